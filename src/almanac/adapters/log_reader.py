"""The load's end of the file log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock

from almanac.adapters import log_segments as segments
from almanac.adapters.durable import sync_folder
from almanac.adapters.log_faults import as_unavailable
from almanac.adapters.log_lock import abandoned
from almanac.adapters.log_register import Register
from almanac.adapters.log_segments import Counts, Entry
from almanac.core.ports import LogLag, LostSegment, Segment, Tally


class FileLogReader:
    """Reads what all writers of a folder sealed. Threads may share one. `clock` tells microseconds since 1970."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._folder = folder
        self._register = Register(folder)
        self._clock = clock
        self._lock = RLock()
        self._known: dict[str, Segment] = {}
        self._counted: dict[str, tuple[int, Counts]] = {}  # of open segments: bytes that were counted, and what was in them

    @property
    def register(self) -> Path:
        """The folder with one file for each segment under way."""
        return self._register.folder

    def sealed(self, limit_bytes: int) -> list[Segment]:
        """As the port says. Also seals what writers that are gone have left."""
        with self._lock, as_unavailable():
            self._recover_abandoned()
            found: list[Segment] = []
            size = 0
            for entry in self._entries():
                segment = self._segment(entry) if entry.sealed else None
                if segment:
                    if found and size + segment.size > limit_bytes:
                        break
                    found.append(segment)
                    size += segment.size
            return found

    def find(self, names: Sequence[str]) -> list[Segment]:
        """As the port says, in the order of `names`."""
        with self._lock, as_unavailable():
            entries = [entry for name in names if (entry := segments.parse(name, sealed=True))]
            return [segment for entry in entries if (segment := self._segment(entry))]

    def done(self, done: Sequence[Segment]) -> None:
        """As the port says."""
        if not done:
            return
        with self._lock, as_unavailable():
            self._register.forget(segment.name for segment in done)
            for segment in done:
                (self._folder / f"{segment.name}.log").unlink(missing_ok=True)
                (self._folder / f"{segment.name}.tally").unlink(missing_ok=True)
                self._known.pop(segment.name, None)
            if self._folder.exists():
                sync_folder(self._folder)

    def in_flight(self) -> list[Tally]:
        """As the port says."""
        counts: Counts = {}
        for _, _, tallies in self._contents():
            for tally in tallies:
                key = (tally.project, tally.hour)
                counts[key] = counts.get(key, 0) + tally.accepted
        return list(segments.as_tallies(counts))

    def lost(self) -> list[LostSegment]:
        """As the port says."""
        with self._lock, as_unavailable():
            under_way = self._register.stems()  # before the folder is listed: a segment is there before its entry, and goes after it
            absent = under_way - {entry.stem for entry in segments.listing(self._folder)}
            entries = [entry for stem in absent if (entry := segments.parse(stem, sealed=True))]
            return [
                LostSegment(entry.stem, entry.hour, self._register.tallies(entry.stem))
                for entry in sorted(entries)
                if not any((self._folder / f"{entry.stem}.{suffix}").exists() for suffix in ("open", "log"))
                and self._register.has(entry.stem)
            ]

    def lag(self) -> LogLag:
        """As the port says."""
        contents = self._contents()
        events = sum(tally.accepted for _, _, tallies in contents for tally in tallies)
        oldest = min((entry.began for entry, _, _ in contents), default=None)
        seconds = 0.0 if oldest is None else max(0.0, self._clock() / 1e6 - oldest)
        return LogLag(sum(size for _, size, _ in contents), events, seconds)

    def _contents(self) -> list[tuple[Entry, int, tuple[Tally, ...]]]:
        """Every segment with its size and tallies."""
        found: list[tuple[Entry, int, tuple[Tally, ...]]] = []
        with self._lock, as_unavailable():
            for entry in self._entries():
                if not entry.sealed and (known := self._count_open(entry)):
                    found.append((entry, *known))
                elif segment := self._segment(entry):  # or one that was sealed since the listing
                    found.append((entry, segment.size, segment.tallies))
        return found

    def _entries(self) -> list[Entry]:
        entries = segments.listing(self._folder)
        there = {entry.stem for entry in entries}
        for name in self._known.keys() - there:
            del self._known[name]
        for name in self._counted.keys() - {entry.stem for entry in entries if not entry.sealed}:
            del self._counted[name]
        return entries

    def _segment(self, entry: Entry) -> Segment | None:
        """The sealed segment, counted again when its tally file is missing or does not fit; None when it is not there."""
        name, path = entry.stem, self._folder / f"{entry.stem}.log"
        try:
            size = path.stat().st_size
            if (known := self._known.get(name)) and known.size == size:
                return known
            sidecar = segments.read_sidecar(self._folder, name)
            if sidecar and sidecar[0] < size:
                # The writer could not cut off lines that it had refused; it must be done before anybody reads them.
                with path.open("r+b") as file:
                    file.truncate(sidecar[0])
                size = sidecar[0]
            if sidecar and sidecar[0] == size:
                tallies = sidecar[1]
            else:
                # What was accepted stands in the register, also when lines have gone from the file since.
                tallies = self._register.tallies(name) or segments.as_tallies(segments.count_lines(path.read_bytes(), entry.hour))
                with contextlib.suppress(OSError):  # only saves counting once more
                    segments.write_sidecar(self._folder, name, size, {(tally.project, tally.hour): tally.accepted for tally in tallies})
        except FileNotFoundError:
            return None
        self._known[name] = Segment(name, path, size, tallies)
        return self._known[name]

    def _count_open(self, entry: Entry) -> tuple[int, tuple[Tally, ...]] | None:
        """Size and tallies of the whole lines of an open segment; only what is new since the last time is read."""
        if final := segments.read_sidecar(self._folder, entry.stem):
            return final
        counted, counts = self._counted.get(entry.stem, (0, {}))
        try:
            with (self._folder / f"{entry.stem}.open").open("rb") as file:
                file.seek(counted)
                lines = file.read()
        except FileNotFoundError:
            return None
        whole = lines.rfind(b"\n") + 1
        for key, count in segments.count_lines(lines[:whole], entry.hour).items():
            counts[key] = counts.get(key, 0) + count
        self._counted[entry.stem] = (counted + whole, counts)
        return counted + whole, segments.as_tallies(counts)

    def _recover_abandoned(self) -> None:
        for writer in {entry.writer for entry in segments.listing(self._folder) if not entry.sealed}:
            with contextlib.suppress(OSError), abandoned(self._folder, writer) as free:  # not now: the next time
                if free:
                    segments.recover(self._folder, writer)
