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
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from almanac.core.errors import AlmanacError, Code, conflict, invalid
from almanac.core.event import DeadLetter, Event, Kind, derived_id
from almanac.core.mapping import Mapping
from almanac.core.ports import EventLogWriter
from almanac.core.settings import Settings
from almanac.ingest import body as bodies
from almanac.ingest import file_formats as formats
from almanac.ingest.file_formats import Container, Cursor, Record
from almanac.ingest.import_books import PREFIX
from almanac.ingest.import_journal import Earlier, Journal, carry_on, import_folder
from almanac.ingest.import_shapes import NATIVE, SHAPES, Decoder, Refused, Shape, id_of, message_text, readable, shape_of
from almanac.ingest.messages import UnfitError, text_of
from almanac.ingest.source_mapping import Translator, encoded, read

BATCH_RECORDS: Final = 2_000
BATCH_BYTES: Final = 4 << 20
_MOST_AT_ONCE: Final = 32
_CONTAINERS: Final = ("ndjson", "json", "csv", "parquet")

Hold = Callable[[AlmanacError], Awaitable[None]]


@dataclass
class Progress:
    """How far an import is. `done` and `size` are bytes of text or rows of Parquet; `size` 0: not known beforehand.

    `accepted` counts what went into the log, `rejected` those of them that are dead letters. `resumed_at` is the record at which an
    interrupted import went on, `accepted_before` what had been accepted by then, `rejected_before` those of it that are dead letters;
    `skipped` says that the file was imported long ago and was left alone. `known` counts the records that an earlier state of the file
    had, and `journal` names what is remembered of it.
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
    rejected_before: int = 0
    known: int = 0
    journal: str = ""


@dataclass(frozen=True)
class Job:
    """One file on its way into one project. `format`: auto, or a name from `import_shapes`; `columns`: column names of the file by the
    name that stands for them (event, distinct_id, time …); `again`: import even what was imported longer ago than ids are remembered.
    `mapping`: what of a record is what of an event, in the place of the format's own; `keep`: remember the records after the end;
    `earlier`: what the file was before; `label`: what it is called, when the path does not say it."""

    path: Path
    project: str
    format: str = "auto"
    columns: tuple[tuple[str, str], ...] = ()
    again: bool = False
    mapping: Mapping | None = None
    keep: bool = False
    earlier: Earlier | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """What people call the file."""
        return self.label or self.path.name


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
    key = journal_key(job, shape)
    if job.earlier is not None:
        carry_on(settings, job.earlier, key)
    progress.journal = key
    with Journal(settings, job, key) as journal:
        if job.earlier is not None and key != job.earlier.key:
            journal.goes_on_from_here(grown=job.earlier.grown)
        if journal.long_ago(clock(), settings.dedup_days) and not job.again:
            progress.skipped = True
            return progress
        report(progress)
        cursor = journal.begin(progress)
        work = _Work(job, shape, Decoder(shape, job.project, settings), journal, settings.depth_limit)
        for records in _batches(job.path, container, cursor):
            events = work.events(records, clock(), progress)
            if events:
                await _append(writer, events, hold)
                journal.received(min(event.received_us for event in events))
            cursor = records[-1].end
            progress.done = cursor.row if container == "parquet" else cursor.offset
            progress.records = cursor.row
            progress.accepted += len(events)
            journal.commit(cursor, progress)
            report(progress)
        journal.finish(clock(), progress)
    return progress


def sampled(
    path: Path, format_: str, mapping: Mapping | None, settings: Settings, now_us: int, most: int
) -> tuple[list[Event], list[dict[str, Any]]]:
    """What the first `most` records of a file would become, and why some would become dead letters. Nothing is kept. Raises `invalid`."""
    job = Job(path, "try", format_, mapping=mapping)
    container = formats.container_of(path)
    shape = _shape(job, container)
    work = _Work(job, shape, Decoder(shape, job.project, settings), _NoJournal(), settings.depth_limit)
    found = work.events(list(islice(formats.records(path, container), most)), now_us, Progress(""))
    letters = [msgspec.json.decode(event.rest, type=DeadLetter) for event in found if event.kind == Kind.DEAD_LETTER]
    rejected = [{"index": place, "reason": letter.reason, "detail": letter.detail} for place, letter in enumerate(letters)]
    return [event for event in found if event.kind != Kind.DEAD_LETTER], rejected


class _NoJournal:
    """For a look: no record was there before."""

    def __init__(self) -> None:
        self._times: Counter[bytes] = Counter()

    def ordinal(self, content: bytes) -> int | None:
        self._times[content] += 1
        return self._times[content] - 1


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


def journal_key(job: Job, shape: Shape | None = None) -> str:
    """Names the journal, by what the file holds and how it is read."""
    shape = shape or _shape(job, formats.container_of(job.path))
    how = f"{job.project}\0{shape.name}\0{job.columns}\0" + ("source\0" if job.keep else "")
    return hashlib.blake2b(how.encode() + _digest(job.path), digest_size=16).hexdigest()


def _shape(job: Job, container: Container) -> Shape:
    name = job.format if job.mapping is None or job.format in _CONTAINERS else "auto"
    if name in SHAPES:
        return SHAPES[name]
    if name not in ("auto", *_CONTAINERS):
        raise invalid(f"There is no format {name!r}.", place="--format", way_out=f"There are: auto, {', '.join([*SHAPES, *_CONTAINERS])}.")
    if name in _CONTAINERS and name != container and {name, container} != {"ndjson", "json"}:
        raise invalid(f"{job.path} is not {name}: it looks like {container}.", place="--format", way_out="Leave --format out.")
    if job.mapping is not None:
        return NATIVE
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

    def __init__(self, job: Job, shape: Shape, decoder: Decoder, journal: Journal | _NoJournal, levels: int) -> None:
        self._job = job
        self._shape = shape
        self._decoder = decoder
        self._journal = journal
        self._levels = levels
        self._renamed = {column: name for name, column in job.columns}
        self._translator = Translator(job.mapping) if job.mapping is not None else None

    def events(self, records: list[Record], now_us: int, progress: Progress) -> list[Event]:
        """Everything that these records become; those that become no event are dead letters among them."""
        messages: list[bytes] = []
        origin: list[Record] = []
        letters: list[Event] = []
        for record in records:
            try:
                message = self._message(record)
            except UnfitError as unfit:
                letters.append(self._letter(record, _original(record), Refused(0, unfit.reason, unfit.detail), now_us))
            except ValueError as error:
                letters.append(self._letter(record, _original(record), Refused(0, "not_readable", f"{error}"), now_us))
            else:
                if message is None:
                    progress.known += 1
                    continue
                messages.append(message)
                origin.append(record)
        events, refused = self._decoder.decode(messages, now_us) if messages else ([], [])
        letters += [self._letter(origin[item.index], messages[item.index], item, now_us) for item in refused]
        progress.rejected += len(letters)
        return events + letters

    def _message(self, record: Record) -> bytes | None:
        """As the decoder takes it, with an id; None for what an earlier state of the file had. Raises `ValueError` and `UnfitError`."""
        if record.problem:
            raise ValueError(record.problem)
        if self._translator is not None:
            return self._mapped(record, self._translator)
        text = record.text
        if record.cells is not None:
            cells = {self._renamed.get(column, column): cell for column, cell in record.cells.items()} if self._renamed else record.cells
            text = message_text(self._shape, cells)
        text, fields = readable(text)
        given = id_of(self._shape, fields)
        ordinal = self._journal.ordinal(text) if self._job.keep or not given else 0
        if ordinal is None:
            return None
        if given and self._shape.id_field in fields:
            return text
        name = json.dumps(given or _derived(ordinal, text)).encode()
        if self._shape.id_field in fields:  # there, but empty
            fields.pop(self._shape.id_field)
            return json_object({self._shape.id_field: name, **{key: bytes(value) for key, value in fields.items()}})
        start = text.index(b"{") + 1
        comma = b"," if fields else b""
        return text[:start] + json.dumps(self._shape.id_field).encode() + b":" + name + comma + text[start:]

    def _mapped(self, record: Record, translator: Translator) -> bytes | None:
        """By the mapping. The id is that of the record as it stands in the file: another mapping makes no other event of it."""
        text = bodies.clean(record.text) if record.cells is None else encoded(dict(record.cells))
        message = translator.message(read(text, levels=self._levels))
        ordinal = self._journal.ordinal(text)
        if ordinal is None:
            return None
        return encoded({"id": _derived(ordinal, text), **message})

    def _letter(self, record: Record, original: bytes, refused: Refused, now_us: int) -> Event:
        ordinal = self._journal.ordinal(b"letter\0" + original) or 0
        event_id = derived_id(b"letter\0%d\0%b" % (ordinal, original))
        return self._decoder.letter(refused, original, f"{self._job.name}, line {record.line}", now_us, event_id)


def _derived(ordinal: int, text: bytes) -> str:
    return derived_id(b"import\0%d\0%b" % (ordinal, text))


def _original(record: Record) -> bytes:
    return record.text or repr(record.cells).encode()


def json_object(members: dict[str, bytes]) -> bytes:
    """A JSON object of members that are JSON already."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in members.items()) + b"}"


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
