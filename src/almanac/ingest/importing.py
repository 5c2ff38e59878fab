"""Importing files: through the collector's decoders into the event log, in constant memory, resumable; the same file twice adds nothing.

A record without an id gets one derived from its content and from how many records of the same content came before it in the file, so two
equal rows stay two and the same file again gives the same ids. Where an import stands is kept beside the data, in a small SQLite file per
input file (by the digest of its content) and project; it is written after the log made the events durable.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from almanac.core.errors import AlmanacError, Code, conflict, invalid
from almanac.core.event import Event, derived_id
from almanac.core.ports import EventLogWriter
from almanac.core.settings import Settings
from almanac.ingest import file_formats as formats
from almanac.ingest.file_formats import Container, Cursor, Record
from almanac.ingest.import_books import PREFIX
from almanac.ingest.import_shapes import NATIVE, SHAPES, Decoder, Refused, Shape, id_of, message_text, readable, shape_of
from almanac.ingest.messages import text_of

BATCH_RECORDS: Final = 2_000
BATCH_BYTES: Final = 4 << 20
_MOST_AT_ONCE: Final = 32
_CONTAINERS: Final = ("ndjson", "json", "csv", "parquet")

Hold = Callable[[AlmanacError], Awaitable[None]]


@dataclass
class Progress:
    """How far an import is. `done` and `size` are bytes of text or rows of Parquet; `size` 0: not known beforehand.

    `accepted` counts what went into the log, `rejected` those of them that are dead letters. `resumed_at` is the record at which an
    interrupted import went on, and `accepted_before` what had been accepted by then; `skipped` says that the file was imported long ago and
    was left alone.
    """

    file: str
    format: str = ""
    done: int = 0
    size: int = 0
    records: int = 0
    accepted: int = 0
    rejected: int = 0
    resumed_at: int = 0
    accepted_before: int = 0
    skipped: bool = False


@dataclass(frozen=True)
class Job:
    """One file on its way into one project. `format`: auto, or a name from `import_shapes`; `columns`: column names of the file by the
    name that stands for them (event, distinct_id, time …); `again`: import even what was imported longer ago than ids are remembered."""

    path: Path
    project: str
    format: str = "auto"
    columns: tuple[tuple[str, str], ...] = ()
    again: bool = False


async def import_file(
    job: Job,
    *,
    writer: EventLogWriter,
    settings: Settings,
    clock: Callable[[], int],
    hold: Hold,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Imports one file. `clock` tells microseconds since 1970; `hold` waits when the log has no room, which is then tried again.

    Raises `invalid` for a file that cannot be read, `conflict` when another process imports the same file.
    """
    container = formats.container_of(job.path)
    shape = _shape(job, container)
    progress = Progress(file=str(job.path), format=shape.name, size=formats.size_of(job.path, container))
    with Journal(settings, job, shape) as journal:
        if journal.long_ago(clock(), settings.dedup_days) and not job.again:
            progress.skipped = True
            return progress
        cursor = journal.begin(progress)
        work = _Work(job, shape, Decoder(shape, job.project, settings), journal)
        for records in _batches(job.path, container, cursor):
            events = work.events(records, clock(), progress)
            await _append(writer, events, hold)
            cursor = records[-1].end
            progress.done = cursor.row if container == "parquet" else cursor.offset
            progress.records = cursor.row
            progress.accepted += len(events)
            journal.received(min(event.received_us for event in events))
            journal.commit(cursor, progress)
            report(progress)
        journal.finish(clock(), progress)
    return progress


async def _append(writer: EventLogWriter, events: list[Event], hold: Hold) -> None:
    while True:
        try:
            await writer.append(events)
        except AlmanacError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            await hold(error)
        else:
            return


def _batches(path: Path, container: Container, start: Cursor) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    try:
        for record in formats.records(path, container, start):
            batch.append(record)
            size += len(record.text)
            if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    except AlmanacError:
        if batch:  # what was readable before the damage
            yield batch
        raise
    if batch:
        yield batch


def _shape(job: Job, container: Container) -> Shape:
    name = job.format
    if name in SHAPES:
        return SHAPES[name]
    if name not in ("auto", *_CONTAINERS):
        raise invalid(f"There is no format {name!r}.", place="--format", way_out=f"There are: auto, {', '.join([*SHAPES, *_CONTAINERS])}.")
    if name in _CONTAINERS and name != container and {name, container} != {"ndjson", "json"}:
        raise invalid(f"{job.path} is not {name}: it looks like {container}.", place="--format", way_out="Leave --format out.")
    for record in formats.records(job.path, container):
        if record.cells is not None:
            return shape_of(set(record.cells))
        try:
            _, fields = readable(record.text)
        except ValueError:
            continue
        return shape_of(set(fields), text_of(fields.get("type")))
    return NATIVE


class _Work:
    """Turns records into events: reads, names, decodes."""

    def __init__(self, job: Job, shape: Shape, decoder: Decoder, journal: Journal) -> None:
        self._job = job
        self._shape = shape
        self._decoder = decoder
        self._journal = journal
        self._renamed = {column: name for name, column in job.columns}

    def events(self, records: list[Record], now_us: int, progress: Progress) -> list[Event]:
        """Everything that these records become; those that become no event are dead letters among them."""
        messages: list[bytes] = []
        origin: list[Record] = []
        letters: list[Event] = []
        for record in records:
            try:
                messages.append(self._message(record))
                origin.append(record)
            except ValueError as error:
                original = record.text or repr(record.cells).encode()
                letters.append(self._letter(record, original, Refused(0, "not_readable", f"{error}"), now_us))
        events, refused = self._decoder.decode(messages, now_us) if messages else ([], [])
        letters += [self._letter(origin[item.index], messages[item.index], item, now_us) for item in refused]
        progress.rejected += len(letters)
        return events + letters

    def _message(self, record: Record) -> bytes:
        if record.problem:
            raise ValueError(record.problem)
        text = record.text
        if record.cells is not None:
            cells = {self._renamed.get(column, column): cell for column, cell in record.cells.items()} if self._renamed else record.cells
            text = message_text(self._shape, cells)
        text, fields = readable(text)
        given = id_of(self._shape, fields)
        if given and self._shape.id_field in fields:
            return text
        name = json.dumps(given or self._derived(text)).encode()
        if self._shape.id_field in fields:  # there, but empty
            fields.pop(self._shape.id_field)
            return json_object({self._shape.id_field: name, **{key: bytes(value) for key, value in fields.items()}})
        start = text.index(b"{") + 1
        comma = b"," if fields else b""
        return text[:start] + json.dumps(self._shape.id_field).encode() + b":" + name + comma + text[start:]

    def _derived(self, text: bytes) -> str:
        ordinal = self._journal.ordinal(text)
        return derived_id(b"import\0%d\0%b" % (ordinal, text))

    def _letter(self, record: Record, original: bytes, refused: Refused, now_us: int) -> Event:
        event_id = derived_id(b"letter\0%d\0%b" % (self._journal.ordinal(b"letter\0" + original), original))
        return self._decoder.letter(refused, original, f"{self._job.path.name}, line {record.line}", now_us, event_id)


def json_object(members: dict[str, bytes]) -> bytes:
    """A JSON object of members that are JSON already."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in members.items()) + b"}"


class Journal:
    """Where the import of one file into one project stands, and how often each content without an id came. One process holds it."""

    def __init__(self, settings: Settings, job: Job, shape: Shape) -> None:
        folder = import_folder(settings)
        key = hashlib.blake2b(f"{job.project}\0{shape.name}\0{job.columns}\0".encode() + _digest(job.path), digest_size=16).hexdigest()
        self._file = folder / f"{key}.sqlite"
        self._name = job.path.name
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
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._base.close()
        self._lock.close()

    def long_ago(self, now_us: int, days: int) -> bool:
        """The file was imported to its end, and the ids of its events may be forgotten: those are remembered from the day of receipt on,
        which an exported event brings with it."""
        finished, oldest = self._read("finished_us"), self._read("oldest_us")
        return finished is not None and now_us - min(int(finished), int(oldest or finished)) > days * 86_400_000_000

    def received(self, oldest_us: int) -> None:
        """Events that were received at this moment or later are on their way."""
        before = self._read("oldest_us")
        self._write("oldest_us", str(min(oldest_us, int(before or oldest_us))))

    def begin(self, progress: Progress) -> Cursor:
        """Where to go on, with the counts so far; from the start after an import that ended."""
        if self._read("finished_us") is not None:
            self._base.execute("DELETE FROM state")
            self._base.execute("DELETE FROM seen")
        self._base.execute("BEGIN")
        cursor, counts = self._read("cursor"), self._read("counts")
        if cursor is None or counts is None:
            return Cursor()
        start = Cursor(**json.loads(cursor))
        said = json.loads(counts)
        progress.accepted, progress.rejected, progress.records, progress.done = (
            said[name] for name in ("accepted", "rejected", "records", "done")
        )
        progress.resumed_at, progress.accepted_before = start.row, progress.accepted
        return start

    def ordinal(self, content: bytes) -> int:
        """How many records of this content came before; counts this one."""
        row = self._base.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT (content) DO UPDATE SET times = times + 1 RETURNING times",
            (hashlib.blake2b(content, digest_size=16).digest(),),
        ).fetchone()
        return int(row[0]) - 1

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
        self._base.execute("DELETE FROM seen")
        self._base.execute("COMMIT")
        self._base.execute("VACUUM")

    def _read(self, name: str) -> str | None:
        row = self._base.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _write(self, name: str, value: str) -> None:
        self._base.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


def import_folder(settings: Settings) -> Path:
    """Where imports keep their progress."""
    folder = settings.data / "files" / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def writer_name(settings: Settings) -> Iterator[str]:
    """A name for a log writer that no other import uses now: `import-1`, `import-2` … Raises `conflict` when too many run."""
    for number in range(1, _MOST_AT_ONCE + 1):
        lock = (import_folder(settings) / f"writer-{number}.lock").open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield f"{PREFIX}{number}"
            return
    raise conflict(f"{_MOST_AT_ONCE} imports are running.", way_out="Wait for one of them to end.")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
