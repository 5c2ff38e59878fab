"""The books close; trouble of the store is told, outlived and forgotten; old events go by their project's rule."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.core.errors import unavailable
from almanac.core.event import DeadLetter, dead_letter
from almanac.core.ports import LostSegment, Tally
from almanac.ingest.ledger import Ledger, LedgerRow, told_lost
from almanac.ingest.load import Loader

from .conftest import NOW_US, Bench

HOUR = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_where_each_accepted_event_is(bench: Bench) -> None:
    """7 accepted: 3 stored, 1 duplicate, 1 rejected, 2 still in the log."""
    letter = dead_letter(bench.project, NOW_US, DeadLetter("decode", "no_name", "It has no name.", "{}"), "native")
    bench.load(bench.event("a"), bench.event("b"), bench.event("c"), bench.event("a"), letter)
    bench.log.add([bench.event("d"), bench.event("e")])
    ledger = Ledger(bench.store, bench.log)
    assert ledger.rows(bench.project) == [LedgerRow(bench.project, HOUR, 7, 3, 1, 1, 2)]
    assert ledger.rows(bench.project)[0].gap == 0
    bench.loader.drain()
    assert ledger.rows(bench.project) == [LedgerRow(bench.project, HOUR, 7, 5, 1, 1, 0)]


@pytest.mark.parametrize(("off", "gap"), [(2, 2), (-1, -1)])
def test_a_gap_shows(bench: Bench, off: int, gap: int) -> None:
    """The collectors say that they accepted more (or fewer) than the load found in the rows."""
    segment = bench.log.add([bench.event("a"), bench.event("b")])
    told = Tally(bench.project, int(HOUR.timestamp()), 2 + off)
    bench.log.waiting[segment.name] = segment.__class__(segment.name, segment.path, segment.size, (told,))
    bench.loader.drain()
    [row] = Ledger(bench.store, bench.log).rows(bench.project)
    assert (row.accepted, row.stored, row.gap) == (2 + off, 2, gap)


def test_what_was_removed_from_the_log_before_it_was_loaded_is_a_gap(bench: Bench) -> None:
    """Of 6 accepted: 2 loaded, 1 in the log, 3 gone, one of them in an hour of which nothing else is known."""
    bench.load(bench.event("a"), bench.event("b"))
    bench.log.add([bench.event("c")])
    hour = int(HOUR.timestamp())
    bench.log.gone = [
        LostSegment("collector-0-000000000001", hour, (Tally(bench.project, hour, 2), Tally("another", hour, 5))),
        LostSegment("collector-0-000000000002", hour, (Tally(bench.project, hour - 3600, 1),)),
        LostSegment("collector-0-000000000003", hour, ()),
    ]
    ledger = Ledger(bench.store, bench.log)
    rows = ledger.rows(bench.project)
    assert rows == [LedgerRow(bench.project, HOUR, 5, 2, 0, 0, 1), LedgerRow(bench.project, HOUR - timedelta(hours=1), 1, 0, 0, 0, 0)]
    assert [row.gap for row in rows] == [2, 1]
    assert [row.gap for row in ledger.rows(bench.project, HOUR)] == [2]


@pytest.mark.parametrize("left", [0, 1])
def test_lines_that_went_from_a_piece_of_the_log_are_a_gap(bench: Bench, tmp_path: Path, left: int) -> None:
    """3 accepted, of which somebody left none or one; and a batch that was planned with a piece that is gone since."""

    async def collect(*ids: str) -> None:
        writer = FileLogWriter(
            tmp_path / "log", "c", segment_size=1, segment_age=1, log_limit=1 << 30, disk_reserve=0, clock=lambda: NOW_US
        )
        await writer.append([bench.event(id_) for id_ in ids])
        await writer.close()

    asyncio.run(collect("a", "b", "c"))
    asyncio.run(collect("d"))
    asyncio.run(collect("e", "f"))
    reader = FileLogReader(tmp_path / "log")
    cut, whole, gone = reader.sealed(1 << 30)
    cut.path.write_bytes(b"".join(cut.path.read_bytes().splitlines(keepends=True)[:left]))
    plan = bench.settings.data / "load" / "plan.json"
    plan.parent.mkdir(exist_ok=True)
    number = bench.value("SELECT max(batch) + 1 FROM ledger")
    plan.write_text(json.dumps({"batch": number, "segments": [cut.name, whole.name, gone.name], "loaded": False}))
    gone.path.unlink()
    reader = FileLogReader(tmp_path / "log")
    Loader(reader, bench.store, bench.settings, clock=lambda: bench.now).drain()
    assert [lost.name for lost in reader.lost()] == [gone.name]
    [row] = Ledger(bench.store, reader).rows(bench.project)
    assert row == LedgerRow(bench.project, HOUR, 6, left + 1, 0, 0, 0)
    assert row.gap == 3 - left + 2


def test_missing_segments_in_words() -> None:
    few = [LostSegment(f"c-{number}", 0, (Tally("shop", 0, number),)) for number in range(1, 6)]
    assert told_lost(few[:1]) == "The segment c-1 with 1 event is missing: it was removed from the log before it was loaded."
    assert told_lost([LostSegment("c-0", 0, ())]).startswith("The segment c-0 with an unknown number of events is missing")
    assert told_lost(few).endswith("before they were loaded: c-1 with 1 event; c-2 with 2 events; c-3 with 3 events; 2 more with 9 events.")


def test_newest_hour_first_since_a_time_and_of_one_project(make_bench: Callable[[], Bench]) -> None:
    one, other = make_bench(), make_bench()
    day = 86_400_000_000
    for bench in (one, other):
        bench.load(bench.event("a", received_us=NOW_US - day), bench.event("b"))
    ledger = Ledger(one.store, one.log)
    assert [row.hour for row in ledger.rows(one.project)] == [HOUR, HOUR - timedelta(days=1)]
    assert [row.hour for row in ledger.rows(one.project, HOUR)] == [HOUR]
    everybody = {row.project for row in ledger.rows("", HOUR)}
    assert {one.project, other.project} <= everybody
    assert ledger.rows("nobody") == []


class Away:
    """A store that cannot be reached for the next `times` changes."""

    def __init__(self, store: ClickHouseStore, times: int) -> None:
        self._store = store
        self.times = times

    def execute(self, statement: Any, **named: Any) -> None:
        if self.times > 0:
            self.times -= 1
            raise unavailable("The event store cannot answer now.")
        self._store.execute(statement, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_trouble_of_the_store_is_told_and_outlived(bench: Bench) -> None:
    store = Away(bench.store, times=10_000)
    loader = bench.fresh_loader(store)
    bench.log.add([bench.event("a"), bench.event("b")])
    assert loader.state()["failing_since"] is None
    loader.start()
    try:
        wait_for(lambda: loader.state()["tries"] >= 2)
        state = loader.state()
        assert state["running"] is True
        assert state["failing_since"] == "2026-03-10T12:30:00+00:00"
        assert "cannot answer now" in state["last_error"]
        assert (state["lag_events"], state["events"]) == (2, 0)
        assert Ledger(bench.store, bench.log).rows(bench.project)[0].in_flight == 2
        store.times = 0
        wait_for(lambda: loader.state()["events"] == 2)
        wait_for(lambda: loader.state()["failing_since"] is None)
        assert (loader.state()["last_error"], loader.state()["tries"], loader.state()["lag_events"]) == ("", 0, 0)
    finally:
        loader.stop()
    assert loader.state()["running"] is False
    assert len(bench.stored()) == 2


def test_trouble_with_nothing_left_to_load_is_forgotten_too(bench: Bench) -> None:
    """The store is away while the load idles, and comes back: nothing fails any more, though no batch came since."""
    store = Away(bench.store, times=1)
    loader = bench.fresh_loader(store)
    loader.start()
    try:
        wait_for(lambda: store.times == 0)
        wait_for(lambda: loader.state()["failing_since"] is None)
        assert loader.state()["last_error"] == ""
    finally:
        loader.stop()


def test_trouble_in_the_middle_of_a_batch_doubles_nothing(bench: Bench) -> None:
    """A store that fails at any third statement, for a while."""

    class Shaky(Away):
        calls = 0

        def execute(self, statement: Any, **named: Any) -> None:
            self.calls += 1
            if self.times > 0 and self.calls % 3 == 0:
                self.times -= 1
                self._store.execute(statement, **named)
                raise unavailable("It was done, but nobody heard so.")
            self._store.execute(statement, **named)

    loader = bench.fresh_loader(Shaky(bench.store, times=4))
    bench.log.add([bench.event("a"), bench.event("b"), bench.event("a")])
    loader.start()
    try:
        wait_for(lambda: bench.log.waiting == {} and loader.state()["batches"] == 1)
    finally:
        loader.stop()
    assert len(bench.stored()) == 2
    [row] = Ledger(bench.store, bench.log).rows(bench.project)
    assert (row.stored, row.duplicate, row.gap) == (2, 1, 0)


def test_old_events_go_by_their_own_projects_rule(make_bench: Callable[[], Bench]) -> None:
    """Kept for 30 days: on 10 March the events before 8 February go, those of that day stay."""
    short, for_ever = make_bench(), make_bench()
    times = {"old": "2026-02-07T23:59:59Z", "edge": "2026-02-08T00:00:00Z", "new": "2026-03-10T12:00:00Z"}
    for bench in (for_ever, short):
        bench.retention = {short.project: 30}
        bench.load(*[bench.event(id_, client_time=moment) for id_, moment in times.items()])
    short.later(days=0)
    short.fresh_loader().drain()
    wait_for(lambda: len(short.stored()) == 2, seconds=120)  # the engine does it beside the load
    assert [row["id_text"] for row in short.stored()] == ["edge", "new"]
    assert [row["id_text"] for row in for_ever.stored()] == ["old", "edge", "new"]


def test_state_names_what_health_and_metrics_read(bench: Bench) -> None:
    bench.load(bench.event("a"), bench.event("a"))
    state = bench.loader.state()
    assert (state["batches"], state["events"], state["duplicates"], state["rejected"]) == (1, 1, 1, 0)
    assert state["seconds"] >= state["last_seconds"] > 0
    assert state["parts"] > 0
    assert state["remembered_bytes"] > 0
