"""One run of a source of files: what is new there is fetched, imported and noted, in this order, so that a run that is killed goes on.

A file is fetched to the side first, so that what is imported stands still. Its content tells what is new in it: the same as that of a file
that was imported already, nothing; one that begins with such a content (it grew, or was renamed and grew), what comes behind; otherwise
whatever records the file did not have before.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from almanac.core.errors import AlmanacError, Code, unavailable
from almanac.core.ports import EventLogWriter
from almanac.core.settings import MIB, Settings
from almanac.core.source import Files
from almanac.ingest.import_journal import Earlier
from almanac.ingest.importing import Job, Progress, import_file
from almanac.ingest.source_book import Book, Entry, book_of, staging_of
from almanac.ingest.source_places import Content, Item, Place, place_of

SETTLED: Final = timedelta(seconds=60)  # how long a file without an end of its last line is left to whoever writes it
_LOOK_AT_DISK: Final = 64 * MIB  # bytes between two looks at the disk's free space
_TOLD_SECONDS: Final = 1.0
_TEXT_END: Final = 1 << 20  # bytes at the end of a file in which the last line's end is looked for
_NOT_TEXT: Final = (b"PAR1", b"\x1f\x8b", b"[")


@dataclass
class Outcome:
    """What one run did. Counts of files and records; `errors` in sentences, the first few."""

    began: str = ""
    ended: str = ""
    files: int = 0  # that were new or changed
    unchanged: int = 0
    failed: int = 0
    records: int = 0
    accepted: int = 0
    rejected: int = 0
    known: int = 0
    error: str = ""
    way_out: str = ""
    retryable: bool = False
    errors: list[str] = field(default_factory=list[str])
    now: dict[str, Any] = field(default_factory=dict[str, Any])  # the file under way

    def as_json(self) -> dict[str, Any]:
        """For the source's state."""
        return asdict(self)


class Run:
    """One run. `tell` is called once a second or so with what was done so far."""

    def __init__(
        self,
        project: str,
        name: str,
        source: Files,
        *,
        writer: EventLogWriter,
        settings: Settings,
        clock: Callable[[], int],
        tell: Callable[[Outcome], None],
    ) -> None:
        """`clock` tells microseconds since 1970."""
        self._project = project
        self._name = name
        self._source = source
        self._writer = writer
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._told = 0.0
        self._staging = staging_of(settings, project, name)
        self.outcome = Outcome()

    async def __call__(self) -> Outcome:
        """Everything that is new. Errors are in the outcome."""
        self.outcome.began = self._moment()
        self._say(now={})
        shutil.rmtree(self._staging, ignore_errors=True)
        try:
            place = place_of(self._source, self._settings)
            items = sorted(place.items(), key=lambda item: (item.modified or datetime.max.replace(tzinfo=UTC), item.key))
            with Book(book_of(self._settings, self._project, self._name)) as book:
                for item in items:
                    await self._one(place, item, book)
        except AlmanacError as error:
            self._failed(error)
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)
        self.outcome.ended, self.outcome.now = self._moment(), {}
        if self.outcome.failed and not self.outcome.error:
            self.outcome.error = self.outcome.errors[0]
        return self.outcome

    async def _one(self, place: Place, item: Item, book: Book) -> None:
        """One file. What is wrong with it alone does not keep the others."""
        before = book.get(item.key)
        if before is not None and before.done and self._source.changes == "ignore":
            self.outcome.unchanged += 1
            return
        if before is not None and before.done and item.tag and item.tag == before.tag:
            self.outcome.unchanged += 1
            return
        entry = before or Entry(item.key)
        try:
            await self._take(place, item, book, entry)
            entry.error = ""
        except AlmanacError as error:
            sentence = f"{item.key}: {str(error).replace(str(self._staging) + '/', '')}"
            entry.error = sentence
            self.outcome.failed += 1
            self.outcome.retryable |= error.retryable
            if len(self.outcome.errors) < 10:
                self.outcome.errors.append(sentence)
            if error.code is Code.UNAVAILABLE:  # the place itself: the others would not fare better
                entry.at_us = self._clock()
                book.put(entry)
                raise
        entry.at_us = self._clock()
        book.put(entry)

    async def _take(self, place: Place, item: Item, book: Book, entry: Entry) -> None:
        with place.content(item, entry.tag if entry.done else "") as content:
            if content is None:
                self.outcome.unchanged += 1
                return
            self._say(now={"file": item.key, "done": 0, "size": content.item.size})
            staged = self._stage(content, book.lengths())
        whole = staged.digests[staged.length]
        same = book.of_content(staged.length, whole)
        if same is not None or staged.length == 0:
            self.outcome.unchanged += 1
        else:
            self.outcome.files += 1
            await self._import(staged, book, entry)
        entry.tag, entry.done = "" if staged.torn else content.item.tag, True
        entry.digest, entry.length = whole, staged.length
        if same is not None:
            entry.journal = same.journal
        staged.path.unlink()

    async def _import(self, staged: _Staged, book: Book, entry: Entry) -> None:
        job = Job(
            staged.path,
            self._project,
            self._source.format,
            mapping=self._source.mapping,
            keep=self._source.changes == "take",
            earlier=self._earlier(staged, book, entry),
            label=entry.key,
        )
        counts = self.outcome
        before = (counts.records, counts.accepted, counts.rejected, counts.known)

        def report(progress: Progress) -> None:
            if entry.journal != progress.journal:  # whoever comes after a kill finds by it what was taken
                entry.journal = progress.journal
                book.put(entry)
            counts.records = before[0] + max(0, progress.records - progress.resumed_at)
            counts.accepted = before[1] + progress.accepted - progress.accepted_before
            counts.rejected = before[2] + progress.rejected - progress.rejected_before
            counts.known = before[3] + progress.known
            self._say(now={"file": entry.key, "done": progress.done, "size": progress.size})

        progress = await import_file(
            job, writer=self._writer, settings=self._settings, clock=self._clock, hold=self._hold, report=report
        )  # fmt: skip
        report(progress)
        entry.records = max(progress.records, progress.resumed_at)
        entry.accepted += counts.accepted - before[1]
        entry.rejected += counts.rejected - before[2]

    def _earlier(self, staged: _Staged, book: Book, entry: Entry) -> Earlier | None:
        """What was imported of this content already: the longest beginning of it that was a whole file; else what the file was before."""
        if self._source.changes == "ignore":
            return None
        for length in sorted(staged.digests, reverse=True):
            found = book.of_content(length, staged.digests[length]) if length < staged.length else None
            if found is not None and found.journal:
                return Earlier(found.journal, grown=True, shared=found.key != entry.key or book.others(found)[0])
        shared, moved = book.others(entry)
        # Where the name's old content lives on under another name (logs are rotated so), this is a new file.
        return Earlier(entry.journal, grown=False, shared=shared) if entry.journal and not (entry.done and moved) else None

    def _stage(self, content: Content, lengths: list[int]) -> _Staged:
        """Copies the file to the side, with digests of its beginnings of these lengths, and of the whole."""
        self._staging.mkdir(parents=True, exist_ok=True)
        path = self._staging / (re.sub(r"[^A-Za-z0-9._-]", "_", content.item.key.partition("?")[0].rpartition("/")[2])[-100:] or "file")
        self._room(content.item.size)
        looked = size = 0
        with path.open("wb") as out:
            for piece in content.pieces:
                out.write(piece)
                size += len(piece)
                if size - looked > _LOOK_AT_DISK:
                    looked = size
                    self._room(0)
                    self._say(now={"file": content.item.key, "fetched": size, "size": content.item.size})
        length = size if self._is_settled(content.item) else _whole_lines(path, size)
        if length < size:
            with path.open("r+b") as out:
                out.truncate(length)
        return _Staged(path, length, length < size, _digests(path, length, lengths))

    def _is_settled(self, item: Item) -> bool:
        now = datetime.fromtimestamp(self._clock() / 1e6, UTC)
        return item.modified is None or now - item.modified > SETTLED

    def _room(self, needed: int) -> None:
        free = shutil.disk_usage(self._staging).free
        if free - needed < self._settings.disk_reserve:
            raise unavailable(
                f"There is no room for it: {free // MIB} MiB of the disk are free, {self._settings.disk_reserve // MIB} are kept free.",
                way_out="Make room; it is tried again by itself.",
            )

    async def _hold(self, error: AlmanacError) -> None:
        self._say(now={**self.outcome.now, "waits": error.message})
        await asyncio.sleep(error.retry_after or 1)

    def _failed(self, error: AlmanacError) -> None:
        self.outcome.error, self.outcome.way_out, self.outcome.retryable = error.message, error.way_out, error.retryable

    def _say(self, *, now: dict[str, Any]) -> None:
        self.outcome.now = now
        if time.monotonic() - self._told >= _TOLD_SECONDS:
            self._told = time.monotonic()
            self._tell(self.outcome)

    def _moment(self) -> str:
        return datetime.fromtimestamp(self._clock() / 1e6, UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class _Staged:
    """A file on the side. `digests` by the lengths of its beginnings; `torn`: what stands behind its last whole line was left out."""

    path: Path
    length: int
    torn: bool
    digests: dict[int, bytes]


def _whole_lines(path: Path, size: int) -> int:
    """How long the file is without a last line that is still being written; all of it where lines are not what it is made of."""
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith(_NOT_TEXT) or size == 0:
            return size
        file.seek(max(0, size - _TEXT_END))
        tail = file.read()
    if tail.endswith(b"\n"):
        return size
    end = tail.rfind(b"\n")
    return size - len(tail) + end + 1 if end >= 0 or len(tail) == size else size


def _digests(path: Path, length: int, lengths: list[int]) -> dict[int, bytes]:
    wanted = [one for one in lengths if one < length] + [length]
    found: dict[int, bytes] = {}
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        at = 0
        for stop in wanted:
            while at < stop:
                piece = file.read(min(1 << 20, stop - at))
                if not piece:
                    break
                digest.update(piece)
                at += len(piece)
            found[stop] = digest.copy().digest()
    return found
