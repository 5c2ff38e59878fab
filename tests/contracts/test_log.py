"""What every event log promises (core/ports.py), one suite over all adapters."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest

from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.core.errors import AlmanacError, Code
from almanac.core.event import LINE_DECODER, DeadLetter, Event, dead_letter
from almanac.core.ports import EventLogReader, EventLogWriter, LogLag, Segment, Tally

NOON = 1_763_640_000  # 2025-11-20 12:00 UTC, a full hour
HOUR = 3600


class Log(Protocol):
    """One log that can be opened by several writers and readers."""

    def writer(self, name: str = "collector-0", *, segment_size: int = 1 << 20, segment_age: float = 30.0) -> EventLogWriter: ...

    def reader(self) -> EventLogReader: ...


class FileLog:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now_us = NOON * 1_000_000

    def writer(self, name: str = "collector-0", *, segment_size: int = 1 << 20, segment_age: float = 30.0) -> EventLogWriter:
        return FileLogWriter(
            self.folder,
            name,
            segment_size=segment_size,
            segment_age=segment_age,
            log_limit=1 << 30,
            disk_reserve=0,
            clock=lambda: self.now_us,
        )

    def reader(self) -> EventLogReader:
        return FileLogReader(self.folder, clock=lambda: self.now_us)


@pytest.fixture(params=["file"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> FileLog:
    return {"file": FileLog}[request.param](tmp_path / "log")


def event(id_: str, *, project: str = "shop", hour: int = NOON, **more: Any) -> Event:
    return Event(project=project, event_id=id_, kind="track", name="Bought", received_us=hour * 1_000_000 + 5, **more)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def ids(segments: Iterable[Segment]) -> list[str]:
    return [LINE_DECODER.decode(line).event_id for segment in segments for line in segment.path.read_bytes().splitlines()]


def test_what_was_appended_is_sealed_and_counted_by_project_and_hour(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        await writer.append([event("a"), event("b", project="club")])
        await writer.append([event("c", hour=NOON + HOUR), event("d")])
        await writer.close()

    run(story())
    [segment] = log.reader().sealed(1 << 30)
    assert ids([segment]) == ["a", "b", "c", "d"]
    assert segment.tallies == (Tally("club", NOON, 1), Tally("shop", NOON, 2), Tally("shop", NOON + HOUR, 1))
    assert segment.events == 4
    assert segment.size == segment.path.stat().st_size


def test_a_dead_letter_is_counted_like_an_event(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        letter = dead_letter("shop", NOON * 1_000_000, DeadLetter("decode", "no_name", "It has no name.", "{}"), "segment")
        await writer.append([event("a"), letter])
        await writer.close()

    run(story())
    assert log.reader().in_flight() == [Tally("shop", NOON, 2)]


def test_an_empty_append_leaves_nothing(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        await writer.append([])
        await writer.close()

    run(story())
    assert log.reader().sealed(1 << 30) == []
    assert log.reader().lag() == LogLag(0, 0, 0.0)


def test_the_oldest_come_first_and_no_more_than_was_asked_for(log: FileLog) -> None:
    async def story() -> None:
        first, second = log.writer("collector-1", segment_size=1), log.writer("collector-0", segment_size=1)
        await first.append([event("1")])
        log.now_us += 1_000_000
        await second.append([event("2")])
        log.now_us += 1_000_000
        await first.append([event("3")])
        await first.close()
        await second.close()

    run(story())
    reader = log.reader()
    everything = reader.sealed(1 << 30)
    assert ids(everything) == ["1", "2", "3"]
    size = everything[0].size
    assert ids(reader.sealed(2 * size)) == ["1", "2"]
    assert ids(reader.sealed(2 * size - 1)) == ["1"]
    assert ids(reader.sealed(0)) == ["1"], "at least one, or the load would stand still"


def test_done_may_be_repeated_and_find_tells_what_is_left(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer(segment_size=1)
        for id_ in "abc":
            await writer.append([event(id_)])
        await writer.close()

    run(story())
    reader = log.reader()
    first, second, third = reader.sealed(1 << 30)
    reader.done([first, second])
    reader.done([first])
    assert reader.lost() == []
    assert reader.sealed(1 << 30) == [third]
    assert log.reader().find([third.name, first.name, "no such name"]) == [third]
    assert reader.in_flight() == [Tally("shop", NOON, 1)]


def test_open_and_sealed_together_are_in_flight(log: FileLog) -> None:
    async def story() -> None:
        reader, sealing = log.reader(), log.writer("one", segment_size=1)
        await sealing.append([event("a")])
        writer = log.writer("two")
        for count in range(1, 4):  # the open segment grows between two looks
            await writer.append([event(f"b{count}"), event(f"c{count}", project="club")])
            assert reader.in_flight() == [Tally("club", NOON, count), Tally("shop", NOON, 1 + count)]
        log.now_us += 90_000_000
        lag = reader.lag()
        assert (lag.events, lag.seconds) == (7, pytest.approx(90, abs=0.02))
        assert lag.bytes == sum(len(msgspec.json.encode(event(i))) + 1 for i in ("a", "b1", "b2", "b3")) + sum(
            len(msgspec.json.encode(event(i, project="club"))) + 1 for i in ("c1", "c2", "c3")
        )
        await sealing.close()
        await writer.close()
        assert reader.lag().events == 7

    run(story())


def test_an_idle_segment_is_sealed_by_its_age(log: FileLog) -> None:
    async def story() -> None:
        writer, reader = log.writer(segment_age=0.05), log.reader()
        await writer.append([event("a")])
        began = time.monotonic()
        while not (segments := reader.sealed(1 << 30)):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.005)
        assert ids(segments) == ["a"]
        await writer.append([event("b")])
        await writer.close()
        assert ids(reader.sealed(1 << 30)) == ["a", "b"]

    run(story())


def test_names_never_come_again(log: FileLog) -> None:
    async def once(name: str) -> None:
        writer = log.writer(segment_size=1)
        await writer.append([event(name)])
        await writer.append([event(name)])
        await writer.close()

    names: list[str] = []
    for step in (0, 0, -HOUR, 5, 0):  # restarts, one of them with a clock that was set back
        log.now_us += step * 1_000_000
        run(once("x"))
        reader = log.reader()
        segments = reader.sealed(1 << 30)
        names += [segment.name for segment in segments]
        reader.done(segments)
    assert len(names) == len(set(names)) == 10


def test_many_senders_at_once_are_each_answered_and_none_is_lost(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer(segment_size=20_000)
        await asyncio.gather(*(writer.append([event(f"{who}-{i}", project=f"p{who % 3}") for i in range(who % 7)]) for who in range(400)))
        await writer.close()

    run(story())
    segments = log.reader().sealed(1 << 30)
    assert Counter(ids(segments)) == Counter(f"{who}-{i}" for who in range(400) for i in range(who % 7))
    assert len(segments) > 1


def test_a_sender_that_goes_away_harms_nobody_else(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        leaving, staying = (asyncio.create_task(writer.append([event(id_)])) for id_ in ("leaving", "staying"))
        await asyncio.sleep(0)
        leaving.cancel()
        await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await writer.close()

    run(story())
    assert "staying" in ids(log.reader().sealed(1 << 30))


def test_json_that_was_printed_over_several_lines_stays_one_line(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        pretty = msgspec.Raw(b'{\r\n  "text": "one\\ntwo"\n}')
        await writer.append([event("a"), event("b", properties=pretty), event("c")])
        await writer.close()

    run(story())
    [segment] = log.reader().sealed(1 << 30)
    lines = [LINE_DECODER.decode(line) for line in segment.path.read_bytes().split(b"\n")[:-1]]
    assert [line.event_id for line in lines] == ["a", "b", "c"]
    assert msgspec.json.decode(lines[1].properties) == {"text": "one\ntwo"}
    assert segment.events == 3


def test_an_event_that_json_cannot_carry_is_refused_with_its_whole_append(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        with pytest.raises(AlmanacError) as refused:
            await writer.append([event("a"), event("b", title="\ud800")])
        assert refused.value.code == Code.INVALID
        await writer.append([event("c")])
        await writer.close()

    run(story())
    assert ids(log.reader().sealed(1 << 30)) == ["c"]


def test_a_closed_log_sends_its_senders_back(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        await writer.append([event("a")])
        await writer.close()
        await writer.close()
        with pytest.raises(AlmanacError) as refused:
            await writer.append([event("b")])
        assert (refused.value.code, refused.value.retryable) == (Code.UNAVAILABLE, True)

    run(story())
    assert log.reader().in_flight() == [Tally("shop", NOON, 1)]


def test_close_keeps_what_is_under_way(log: FileLog) -> None:
    async def story() -> None:
        writer = log.writer()
        waiting = [asyncio.create_task(writer.append([event(str(i))])) for i in range(50)]
        await asyncio.sleep(0)
        await writer.close()
        await asyncio.gather(*waiting)

    run(story())
    assert sorted(ids(log.reader().sealed(1 << 30)), key=int) == [str(i) for i in range(50)]
