"""A writer, a sender that comes back, and a load: what every story of the file log needs."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.core.errors import AlmanacError
from almanac.core.event import LINE_DECODER, Event
from almanac.core.ports import Segment

NOON = 1_763_640_000  # 2025-11-20 12:00 UTC, a full hour
HOUR = 3600


def event(id_: str, *, project: str = "shop", hour: int = NOON, title: str = "") -> Event:
    return Event(project=project, event_id=id_, kind="track", name="Bought", received_us=hour * 1_000_000, title=title)


def writer_of(folder: Path, name: str = "c0", **changed: Any) -> FileLogWriter:
    given: dict[str, Any] = {"segment_size": 1 << 20, "segment_age": 30.0, "log_limit": 1 << 30, "disk_reserve": 0}
    return FileLogWriter(folder, name, clock=lambda: time.time_ns() // 1000, **{**given, **changed})


def events_of(segments: list[Segment]) -> list[Event]:
    return [LINE_DECODER.decode(line) for segment in segments for line in segment.path.read_bytes().splitlines()]


def check_tallies(segments: list[Segment]) -> None:
    """The tallies equal the lines, segment by segment."""
    for segment in segments:
        lines = Counter((line.project, line.received_us // 1_000_000 // HOUR * HOUR) for line in events_of([segment]))
        assert {(tally.project, tally.hour): tally.accepted for tally in segment.tallies} == lines


async def append_in_the_end(writer: FileLogWriter, id_: str) -> None:
    """Comes back, as a sender does, until the log has recovered."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return await writer.append([event(id_)])
        except AlmanacError as refused:
            if not refused.retryable or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def crash_copy(folder: Path, copy: Path) -> Path:
    """What a crash at this moment leaves on the disk, in a folder of its own (locks end with their process, so they are not copied)."""
    if (register := FileLogReader(folder).register).exists():
        shutil.copytree(register, FileLogReader(copy).register)
    shutil.copytree(folder, copy)
    return copy


def load(reader: FileLogReader) -> list[str]:
    """Reads all that is sealed and forgets it; tells the ids."""
    segments = reader.sealed(1 << 30)
    check_tallies(segments)
    found = [line.event_id for line in events_of(segments)]
    reader.done(segments)
    return found
