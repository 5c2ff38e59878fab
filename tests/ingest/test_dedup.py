"""Each accepted event is stored once: sent again, loaded again, and whatever dies at whatever moment."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.errors import AlmanacError, unavailable
from almanac.core.event import DeadLetter, Event, Merge, dead_letter
from almanac.core.sql import Sql
from almanac.ingest.ledger import Ledger

from .conftest import NOW_US, Bench

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


def books(bench: Bench) -> tuple[int, int, int]:
    """Stored, duplicate and rejected over all hours; no hour may have a gap."""
    rows = Ledger(bench.store, bench.log).rows(bench.project)
    assert [row for row in rows if row.gap] == []
    return sum(row.stored for row in rows), sum(row.duplicate for row in rows), sum(row.rejected for row in rows)


def names(bench: Bench) -> list[tuple[str, str]]:
    return [(row["id_text"], row["event"]) for row in bench.rows("SELECT * FROM events WHERE project = {project:String} ORDER BY id_text")]


def test_the_first_of_two_in_a_batch_counts(bench: Bench) -> None:
    bench.load(bench.event("a", name="first"), bench.event("b"), bench.event("a", name="second"))
    assert names(bench) == [("a", "first"), ("b", "opened")]
    assert books(bench) == (2, 1, 0)


def test_another_batch_brings_the_same_id(bench: Bench) -> None:
    bench.load(bench.event("a"), bench.event("b"))
    bench.load(bench.event("b", name="again"), bench.event("c"))
    assert names(bench) == [("a", "opened"), ("b", "opened"), ("c", "opened")]
    assert books(bench) == (3, 1, 0)


def test_the_same_id_in_two_projects_is_two_events(make_bench: Callable[[], Bench]) -> None:
    one, other = make_bench(), make_bench()
    one.load(one.event("a"))
    other.load(other.event("a"))
    assert books(one) == books(other) == (1, 0, 0)


@pytest.mark.parametrize("id_", ["a text", str(uuid.UUID(int=7)), str(uuid.UUID(int=7)).upper(), "", "ü\u2028'\\\"\x00"])
def test_ids_of_any_form_are_remembered(bench: Bench, id_: str) -> None:
    event = bench.event("x")
    event.event_id = id_
    bench.load(event)
    bench.load(event)
    [row] = bench.stored()
    assert (row["id_text"] or str(row["id"])) == id_ or id_ == ""
    assert books(bench) == (1, 1, 0)


def test_seven_days_later_and_after_a_restart(bench: Bench) -> None:
    bench.load(bench.event("a"))
    received = bench.later(days=7)
    bench.loader = bench.fresh_loader()
    bench.load(bench.event("a", received_us=received), bench.event("b", received_us=received))
    assert names(bench) == [("a", "opened"), ("b", "opened")]
    assert books(bench) == (2, 1, 0)


def test_forgotten_after_the_days_that_are_set(bench: Bench) -> None:
    """8 days by default: on day 8 the ids loaded on day 0 are still known, on day 9 they are gone."""
    bench.load(bench.event("a"))
    loaded = bench.value("SELECT day FROM message_ids WHERE project = {project:String}")
    known = "SELECT count() FROM message_ids WHERE project = {project:String}"
    for days, count in ((8, 1), (9, 0)):
        bench.now = datetime.combine(loaded, time(), UTC) + timedelta(days=days, hours=23)
        bench.loader.drain()
        assert bench.value(known) == count
    assert len(bench.stored()) == 1


def test_loaded_again_after_a_crash_between_two_deletions(bench: Bench) -> None:
    """Two segments, one already forgotten: the rest of the batch comes again under the batch's number, and adds nothing."""
    bench.log.add([bench.event("a"), bench.event("b")])
    bench.log.add([bench.event("c")])
    steps = iter([None, RuntimeError("died")])

    def step() -> None:
        if trouble := next(steps, None):
            raise trouble

    bench.log.step = step
    with pytest.raises(RuntimeError):
        bench.loader.drain()
    assert len(bench.log.waiting) == 1
    bench.loader = bench.fresh_loader()
    bench.loader.drain()
    assert [id_ for id_, _ in names(bench)] == ["a", "b", "c"]
    assert books(bench) == (3, 0, 0)


# --------------------------------------------------------------------- the law of crashes


class ProcessDiedError(Exception):
    """The process died here."""


class Faulty:
    """A store that goes wrong once, before or after the call that `when` picks; with `dies`, for ever from then on."""

    def __init__(self, store: ClickHouseStore, when: Callable[[str], bool], *, before: bool, dies: bool = True) -> None:
        self._store = store
        self._when = when
        self._before = before
        self._dies = dies
        self._dead = self._happened = False

    def step(self, text: str, call: Callable[[], Any]) -> Any:
        if self._dead:
            raise ProcessDiedError
        if self._happened or not self._when(text):
            return call()
        self._happened = True
        if not self._before:
            call()
        self._dead = self._dies
        raise ProcessDiedError if self._dies else unavailable("The store is away.")

    def execute(self, statement: Any, **named: Any) -> None:
        self.step(statement.text, lambda: self._store.execute(statement, **named))

    def insert(self, table: str, *given: Any, **named: Any) -> None:
        self.step(f"insert {table}", lambda: self._store.insert(table, *given, **named))

    def query(self, statement: Any, **named: Any) -> Any:
        return self.step(statement.text, lambda: self._store.query(statement, **named))

    def integers(self, statement: Any) -> Any:
        return self.step(statement.text, lambda: list(self._store.integers(statement)))

    def load_source(self, paths: Any) -> Any:
        return self._store.load_source(paths)

    def settle(self) -> None:
        self.step("settle", self._store.settle)


def at_call(number: int) -> Callable[[str], bool]:
    """Picks the call of that number, counted from 0."""
    calls = iter(range(1_000_000))
    return lambda text: next(calls) == number


@dataclass(frozen=True)
class Line:
    """One line of the log: `kind` good, person (with a merge and a profile), poison (the store refuses it) or letter."""

    kind: str
    number: int
    month: int
    hour: int

    def event(self, bench: Bench) -> Event:
        id_ = f"{self.kind}-{self.number}"
        received = NOW_US + self.hour * HOUR_US
        if self.kind == "letter":
            return dead_letter(bench.project, NOW_US, DeadLetter("decode", "no_name", "It has no name.", id_), "native")
        fields: dict[str, Any] = {"received_us": received, "client_time": f"2025-{self.month:02d}-01T00:00:00Z", "name": f"n{self.month}"}
        if self.kind == "person":
            fields |= {"merges": [Merge("anonymous", "user", "identify")], "profile": {"set": {"plan": "pro"}}}
        if self.kind == "poison":
            fields["properties"] = rb'{"half a pair": "\ud800"}'
        return bench.event(id_, **fields)


lines = st.builds(
    Line,
    kind=st.sampled_from(["good", "good", "good", "person", "poison", "letter"]),
    number=st.integers(0, 2),
    month=st.integers(1, 2),
    hour=st.integers(0, 1),
)


@dataclass(frozen=True)
class Trouble:
    """Something goes wrong at this call of the store; `restart`: the process dies of it."""

    call: int
    before: bool
    restart: bool


troubles = st.builds(Trouble, call=st.integers(0, 45), before=st.booleans(), restart=st.booleans())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    segments=st.lists(st.lists(lines, min_size=1, max_size=4), min_size=1, max_size=2),
    one_by_one=st.booleans(),
    plan=st.lists(troubles, min_size=1, max_size=2),
)
def test_whatever_dies_whenever(make_bench: Callable[[], Bench], segments: list[list[Line]], one_by_one: bool, plan: list[Trouble]) -> None:
    bench = make_bench()
    bench.settings = bench.settings.__class__(data=bench.folder, batch_size=1 if one_by_one else 1 << 20)
    for segment in segments:
        bench.log.add([line.event(bench) for line in segment])
    for trouble in plan:
        store = Faulty(bench.store, at_call(trouble.call), before=trouble.before, dies=trouble.restart)
        bench.log.step = lambda store=store: store.step("forget a segment", lambda: None)  # type: ignore[misc]
        loader = bench.fresh_loader(store)
        try:
            loader.drain()
        except ProcessDiedError:
            continue  # the next one starts with nothing but what is on disk
        except AlmanacError:
            loader.drain()
    bench.log.step = lambda: None
    bench.fresh_loader().drain()

    sent = {(line.kind, line.number) for segment in segments for line in segment}
    good = {f"{kind}-{number}" for kind, number in sent if kind in ("good", "person")}
    people = {id_ for id_ in good if id_.startswith("person")}
    refused = {(kind, number) for kind, number in sent if kind in ("poison", "letter")}
    assert sorted(id_ for id_, _ in names(bench)) == sorted(good)
    assert len(bench.letters()) == len(refused)
    assert bench.value("SELECT count() FROM identity_edges WHERE project = {project:String}") == len(people)
    assert bench.value("SELECT count() FROM profile_changes WHERE project = {project:String}") == len(people)
    by_name = "SELECT event, toUInt64(sum(count)) AS n FROM $table WHERE project = {project:String} GROUP BY event ORDER BY event"
    stored = bench.rows("SELECT event, count() AS n FROM events WHERE project = {project:String} GROUP BY event ORDER BY event")
    assert bench.rows(by_name.replace("$table", "event_names")) == stored
    assert bench.rows(by_name.replace("$table", "events_per_hour")) == stored
    written = sum(len(segment) for segment in segments)
    assert sum(books(bench)) == written
    assert books(bench)[0] == len(good)
    assert bench.log.waiting == {}
    bench.store.execute(Sql("TRUNCATE TABLE events"))  # else each example makes the next one slower


def test_hours_of_receipt_are_kept_apart(bench: Bench) -> None:
    bench.load(bench.event("a"), bench.event("b", received_us=NOW_US + HOUR_US), bench.event("a", received_us=NOW_US + HOUR_US))
    rows = Ledger(bench.store, bench.log).rows(bench.project)
    assert [(row.hour, row.accepted, row.stored, row.duplicate) for row in rows] == [
        (datetime(2026, 3, 10, 13, tzinfo=UTC), 2, 1, 1),
        (datetime(2026, 3, 10, 12, tzinfo=UTC), 1, 1, 0),
    ]


def test_the_store_settles_before_the_log_forgets(bench: Bench) -> None:
    """A power cut takes what the system has not written yet; the log's copy may go only when the store's is on the disk."""
    steps: list[str] = []
    store = Faulty(bench.store, lambda text: bool(steps.append(text)), before=True)  # type: ignore[func-returns-value]
    bench.log.step = lambda: steps.append("forget")
    bench.log.add([bench.event("a", profile={"set": {"plan": "pro"}})])
    bench.fresh_loader(store).drain()
    assert steps.count("settle") == steps.count("forget") == 1
    settled = steps.index("settle")
    assert settled < steps.index("forget")
    after = [found[1] for step in steps[settled:] if (found := re.search(r"^(?:INSERT INTO|insert) (\w+)", step, re.MULTILINE))]
    assert set(after) <= {"event_properties"}, "only the catalog of properties can be made again from the events"


# Large ones last: the load looks at all ids of the store when it starts.


def test_the_first_counts_in_a_batch_of_many_blocks(bench: Bench) -> None:
    # The engine reads 65 k rows at a time, by several threads: 8 copies of one id stand in different blocks, the true first one in front.
    lines = [bench.event("same", name="first")]
    for block in range(8):
        lines += [bench.event(f"{block}-{place}") for place in range(18000)]
        lines.append(bench.event("same", name="later"))
    bench.load(*lines)
    assert bench.rows("SELECT event FROM events WHERE project = {project:String} AND id_text = 'same'") == [{"event": "first"}]
    assert bench.value("SELECT sum(count) FROM event_names WHERE project = {project:String} AND event = 'first'") == 1
    assert books(bench) == (144_001, 8, 0)


def test_a_large_batch_sent_again_in_whole(bench: Bench) -> None:
    """Every id of it is a suspect, and has to be looked up exactly."""
    lines = [bench.event(f"id-{place}") for place in range(60_000)]
    bench.load(*lines)
    bench.loader = bench.fresh_loader()
    bench.load(*lines, bench.event("new"))
    assert bench.value("SELECT count() FROM events WHERE project = {project:String}") == 60_001
    assert books(bench) == (60_001, 60_000, 0)


def test_a_crash_after_an_insert_into_a_thousand_months(bench: Bench) -> None:
    """Each month is a part of its own; all of them have to be recognised when the batch comes again."""
    months = [f"{1971 + place // 12}-{1 + place % 12:02d}-15T00:00:00Z" for place in range(1010)]
    bench.log.add([bench.event(f"m{place}", client_time=month) for place, month in enumerate(months)])

    with pytest.raises(ProcessDiedError):
        bench.fresh_loader(Faulty(bench.store, lambda text: "INSERT INTO events\n" in text, before=False)).drain()
    bench.fresh_loader().drain()
    assert bench.value("SELECT count() FROM events WHERE project = {project:String}") == 1010
    assert bench.value("SELECT uniqExact(toYYYYMM(day)) FROM events WHERE project = {project:String}") == 1010
    assert books(bench) == (1010, 0, 0)
    # A thousand parts would slow down all tests after this one.
    bench.store.execute(Sql("TRUNCATE TABLE events"))
