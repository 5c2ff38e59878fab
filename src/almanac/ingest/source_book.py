"""What a source has imported, file by file: a small SQLite file for each source, beside the data."""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from almanac.core.errors import conflict
from almanac.core.settings import Settings


@dataclass
class Entry:
    """One file. `tag` as its place gives it, "" when it is to be looked at again; `digest` and `length` (bytes) of the content that was
    imported; `journal` remembers its records. `error`: why it was not imported."""

    key: str
    tag: str = ""
    digest: bytes = b""
    length: int = 0
    journal: str = ""
    done: bool = False
    records: int = 0
    accepted: int = 0
    rejected: int = 0
    error: str = ""
    at_us: int = 0


_COLUMNS = ", ".join(item.name for item in fields(Entry))


class Book:
    """The book of one source. One process writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Book:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(self._path, isolation_level=None)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, tag TEXT, digest BLOB, length INTEGER, journal TEXT, done INTEGER,"
            " records INTEGER, accepted INTEGER, rejected INTEGER, error TEXT, at_us INTEGER) WITHOUT ROWID"
        )
        self._base.execute("CREATE INDEX IF NOT EXISTS by_length ON files (length) WHERE done")
        self._base.execute("CREATE INDEX IF NOT EXISTS by_journal ON files (journal)")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._base.close()

    def get(self, key: str) -> Entry | None:
        """The file of that key."""
        row = self._base.execute(f"SELECT {_COLUMNS} FROM files WHERE key = ?", (key,)).fetchone()
        return _entry(row) if row else None

    def put(self, entry: Entry) -> None:
        """In the place of what was known of the file."""
        self._base.execute(f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(Entry)))})", astuple(entry))

    def lengths(self) -> list[int]:
        """How long the contents are that were imported, each length once, from the shortest on."""
        rows = self._base.execute("SELECT DISTINCT length FROM files WHERE done AND length > 0 AND digest != x'' ORDER BY length")
        return [int(row[0]) for row in rows]

    def of_content(self, length: int, digest: bytes) -> Entry | None:
        """A file of which exactly this was imported."""
        row = self._base.execute(
            f"SELECT {_COLUMNS} FROM files WHERE done AND length = ? AND digest = ? ORDER BY at_us DESC LIMIT 1", (length, digest)
        ).fetchone()
        return _entry(row) if row else None

    def others(self, entry: Entry) -> tuple[bool, bool]:
        """Whether another file goes by the same journal, and whether another one has what this one had (it was renamed, or copied)."""
        row = self._base.execute(
            "SELECT max(journal = ?), max(done AND length = ? AND digest = ?) FROM files WHERE key != ?",
            (entry.journal, entry.length, entry.digest, entry.key),
        ).fetchone()
        return bool(row[0]), bool(row[1])

    def latest(self, limit: int, *, failed: bool = False) -> list[Entry]:
        """The files that were looked at last; with `failed` only those that could not be imported."""
        where = "WHERE error != ''" if failed else ""
        return [_entry(row) for row in self._base.execute(f"SELECT {_COLUMNS} FROM files {where} ORDER BY at_us DESC LIMIT ?", (limit,))]

    def totals(self) -> dict[str, int]:
        """Files that were imported, and files that could not be."""
        row = self._base.execute("SELECT count(*) FILTER (WHERE done), count(*) FILTER (WHERE error != '') FROM files")
        done, failed = row.fetchone()
        return {"files": int(done), "failed": int(failed)}


def book_of(settings: Settings, project: str, name: str) -> Path:
    """Where the book of a source is."""
    key = hashlib.blake2b(f"{project}\0{name}".encode(), digest_size=12).hexdigest()
    return settings.data / "files" / "sources" / f"{key}.sqlite"


def staging_of(settings: Settings, project: str, name: str) -> Path:
    """Where a source's files lie while they are imported."""
    return book_of(settings, project, name).with_suffix(".files")


@contextmanager
def held(settings: Settings, project: str, name: str) -> Iterator[None]:
    """Keeps other processes from running the same source. Raises `conflict` when one does."""
    path = book_of(settings, project, name).with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise conflict(f"The source {name} is being imported.", place=name, way_out="Wait for it to end.") from None
        yield


def is_held(settings: Settings, project: str, name: str) -> bool:
    """Whether a process runs the source."""
    path = book_of(settings, project, name).with_suffix(".lock")
    if not path.exists():
        return False
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _entry(row: tuple[Any, ...]) -> Entry:
    found = Entry(*row)
    found.done = bool(found.done)
    return found
