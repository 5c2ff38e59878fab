"""Where the import of one file into one project stands, in a small SQLite file beside the data: by the content of the file, not its name.

A journal that is kept after the end remembers each record (16 bytes of its digest, and how often it came), so that a file that grew or
changed brings only what is new in it, however long ago the rest was imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from almanac.core.errors import conflict
from almanac.core.settings import Settings
from almanac.ingest.file_formats import Cursor

if TYPE_CHECKING:
    from almanac.ingest.importing import Job, Progress


@dataclass(frozen=True)
class Earlier:
    """The journal of an earlier state of a file. `grown`: the file begins with all that the journal saw; otherwise it changed. `shared`:
    another file goes by it too, so that it stays."""

    key: str
    grown: bool
    shared: bool = False


class Journal:
    """How far one import is, and how often each content came. One process holds it."""

    def __init__(self, settings: Settings, job: Job, key: str) -> None:
        folder = import_folder(settings)
        self.key = key
        self._file = folder / f"{key}.sqlite"
        self._name = job.name
        self._keep = job.keep
        self._changed = False
        self._lock = (folder / f"{key}.lock").open("a")

    def __enter__(self) -> Journal:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise conflict(
                f"Another process is importing {self._name} into this project.", place=self._name, way_out="Wait for it to end."
            ) from None
        self._base = sqlite3.connect(self._file, isolation_level=None)
        self._base.execute("PRAGMA journal_mode = WAL")
        self._base.execute("PRAGMA synchronous = NORMAL")
        self._base.execute("CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT)")
        self._base.execute("CREATE TABLE IF NOT EXISTS seen (content BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        self._base.execute("CREATE TABLE IF NOT EXISTS again (content BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._base.close()
        self._lock.close()

    def long_ago(self, now_us: int, days: int) -> bool:
        """The file was imported to its end, and the ids of its events may be forgotten: those are remembered from the day of receipt on,
        which an exported event brings with it. A journal that is kept remembers by itself."""
        finished, oldest = self._read("finished_us"), self._read("oldest_us")
        if finished is None or self._read("kept") is not None:
            return False
        return now_us - min(int(finished), int(oldest or finished)) > days * 86_400_000_000

    def received(self, oldest_us: int) -> None:
        """Events that were received at this moment or later are on their way."""
        before = self._read("oldest_us")
        self._write("oldest_us", str(min(oldest_us, int(before or oldest_us))))

    def begin(self, progress: Progress) -> Cursor:
        """Where to go on, with the counts so far; from the start after an import that ended."""
        if self._read("finished_us") is not None:
            kept = self._read("kept") is not None
            self._base.execute("BEGIN")
            self._base.execute("DELETE FROM state")
            self._base.execute("DELETE FROM again")
            if kept:
                self._write("changed", "yes")
            else:
                self._base.execute("DELETE FROM seen")
            self._base.execute("COMMIT")
        self._changed = self._read("changed") is not None
        self._base.execute("BEGIN")
        if self._keep:
            self._write("kept", "yes")
            self._write("content", self.key)
        cursor, counts = self._read("cursor"), self._read("counts")
        if cursor is None:
            return Cursor()
        start = Cursor(**json.loads(cursor))
        if counts is None:  # of what an earlier state of the file held
            progress.resumed_at = start.row
            return start
        said = json.loads(counts)
        progress.accepted, progress.rejected, progress.records, progress.done = (
            said[name] for name in ("accepted", "rejected", "records", "done")
        )
        progress.resumed_at, progress.accepted_before, progress.rejected_before = start.row, progress.accepted, progress.rejected
        return start

    def goes_on_from_here(self, *, grown: bool) -> None:
        """The file of this journal has another content now. May be repeated."""
        if self._read("content") == self.key:
            return
        cursor = self._read("cursor") if grown and self._read("finished_us") is not None else None
        self._base.execute("BEGIN")
        self._base.execute("DELETE FROM state")
        self._base.execute("DELETE FROM again")
        self._write("kept", "yes")
        self._write("content", self.key)
        if cursor is not None:
            self._write("cursor", cursor)
        else:
            self._write("changed", "yes")
        self._base.execute("COMMIT")

    def ordinal(self, content: bytes) -> int | None:
        """How many records of this content came before; counts this one. None: it came before the file changed."""
        digest = hashlib.blake2b(content, digest_size=16).digest()
        if self._changed:
            times = self._count("again", digest)
            row = self._base.execute("SELECT times FROM seen WHERE content = ?", (digest,)).fetchone()
            if row is not None and times <= int(row[0]):
                return None
        return self._count("seen", digest) - 1

    def _count(self, table: str, digest: bytes) -> int:
        statement = {
            "seen": "INSERT INTO seen VALUES (?, 1) ON CONFLICT (content) DO UPDATE SET times = times + 1 RETURNING times",
            "again": "INSERT INTO again VALUES (?, 1) ON CONFLICT (content) DO UPDATE SET times = times + 1 RETURNING times",
        }[table]
        return int(self._base.execute(statement, (digest,)).fetchone()[0])

    def commit(self, cursor: Cursor, progress: Progress) -> None:
        """Everything up to `cursor` is durable in the log."""
        self._write("cursor", json.dumps(asdict(cursor)))
        self._write("counts", json.dumps(asdict(progress)))
        self._base.execute("COMMIT")
        self._base.execute("BEGIN")

    def finish(self, now_us: int, progress: Progress) -> None:
        """The file is in the log to its end."""
        self._write("finished_us", str(now_us))
        self._write("counts", json.dumps(asdict(progress)))
        self._base.execute("DELETE FROM again")
        if not self._keep:
            self._base.execute("DELETE FROM seen")
        self._base.execute("COMMIT")
        if not self._keep:
            self._base.execute("VACUUM")

    def _read(self, name: str) -> str | None:
        row = self._base.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _write(self, name: str, value: str) -> None:
        self._base.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


def carry_on(settings: Settings, earlier: Earlier, key: str) -> None:
    """Makes the journal of an earlier state of a file that of its content now. May be repeated; killed in between, it goes on
    from there."""
    folder = import_folder(settings)
    before, now = (folder / f"{name}.sqlite" for name in (earlier.key, key))
    if before == now or now.exists() or not before.exists():
        return
    copy = now.with_suffix(".copy")
    with contextlib.closing(sqlite3.connect(before, isolation_level=None)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if earlier.shared:
            copy.unlink(missing_ok=True)
            base.execute("VACUUM INTO ?", (str(copy),))
    (copy if earlier.shared else before).replace(now)


def import_folder(settings: Settings) -> Path:
    """Where imports keep their progress."""
    folder = settings.data / "files" / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
