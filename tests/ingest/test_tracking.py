"""Events beside the tracking plan: counted, marked or kept as dead letters, each once, by the version that was in force."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.errors import AlmanacError, unavailable
from almanac.core.event import LINE_DECODER, LINE_ENCODER, Event, Merge
from almanac.core.ports import Definition
from almanac.definitions import Definitions
from almanac.ingest.dead_letters import DeadLetters
from almanac.ingest.ledger import Ledger
from almanac.ingest.load import Loader
from almanac.ingest.replay import decode, judged
from almanac.ingest.tracking_plans import Shelf

from .conftest import NOW_US, Bench

ORDER = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"type": "number", "minimum": 0}, "currency": {"enum": ["EUR", "USD"]}},
    "additionalProperties": False,
}


class Planned:
    """A bench whose project has a tracking plan."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.catalog = SqlCatalog(str(bench.folder / "catalog.db"))
        self.catalog.create_project(bench.project)
        self.definitions = Definitions(self.catalog)
        self.seconds = 0.0
        self.restart()

    def restart(self, store: Any = None) -> Loader:
        """The load as it is after a restart."""
        self.shelf = Shelf(self.catalog, self.bench.folder / "load", clock=lambda: self.seconds)
        self.loader = Loader(
            self.bench.log, store or self.bench.store, self.bench.settings, clock=lambda: self.bench.now, tracking=self.shelf
        )
        return self.loader

    def plan(self, event: str, mode: str, schema: Mapping[str, Any] | None = None) -> int:
        """Saves an entry; its version."""
        body = {"mode": mode, **({"schema": dict(schema)} if schema is not None else {})}
        saved = self.definitions.save(self.bench.project, "plan", event, body)
        self.seconds += 60
        return saved.version

    def load(self, *events: Event) -> None:
        self.bench.log.add(events)
        self.loader.drain()

    def replay(self, events: Sequence[Event]) -> None:
        """Appends to the log as a replay of dead letters does: in segments of its own name."""
        added = self.bench.log.add(events)
        del self.bench.log.waiting[added.name]
        path = added.path.rename(added.path.with_name(f"replay-{added.name}.log"))
        self.bench.log.waiting[path.stem] = replace(added, name=path.stem, path=path)

    def event(self, id_: str = "", name: str = "order", properties: Any = None, **more: Any) -> Event:
        return self.bench.event(id_, name=name, properties={} if properties is None else properties, **more)

    def stored(self) -> dict[str, tuple[str, int]]:
        """Mark and version by id."""
        return {row["id_text"]: (row["violations"], row["plan_version"]) for row in self.bench.stored()}

    def found(self) -> set[tuple[Any, ...]]:
        """Event, property, rule, mode, version, count."""
        text = """
            SELECT event, property, rule, mode, version, toInt64(sum(count)) AS count
            FROM plan_violations WHERE project = {project:String} GROUP BY ALL
        """
        return {tuple(row.values()) for row in self.bench.rows(text)}

    def checked(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Checked and failed by event and version."""
        text = """
            SELECT event, version, toInt64(sum(checked)) AS checked, toInt64(sum(failed)) AS failed
            FROM plan_checks WHERE project = {project:String} GROUP BY ALL
        """
        return {(row["event"], row["version"]): (row["checked"], row["failed"]) for row in self.bench.rows(text)}

    def books(self) -> tuple[int, int, int, int, int]:
        """Accepted, stored, duplicate, rejected, gap."""
        rows = Ledger(self.bench.store, self.bench.log).rows(self.bench.project)
        return (
            sum(row.accepted for row in rows),
            sum(row.stored for row in rows),
            sum(row.duplicate for row in rows),
            sum(row.rejected for row in rows),
            sum(abs(row.gap) for row in rows),
        )


@pytest.fixture
def planned(bench: Bench) -> Iterator[Planned]:
    made = Planned(bench)
    yield made
    made.catalog.close()


def test_observed_events_are_stored_as_they_are_and_counted(planned: Planned) -> None:
    planned.plan("order", "observe", ORDER)
    planned.load(
        planned.event("good", properties={"total": 5, "currency": "EUR"}),
        planned.event("bad", properties={"total": "5", "currency": "GBP", "x": 1}),
        planned.event("none"),
        planned.event("other", name="visit", properties={"total": "5"}),
    )
    assert planned.stored() == {"good": ("", 1), "bad": ("", 1), "none": ("", 1), "other": ("", 0)}
    assert planned.found() == {
        ("order", "total", "type", "observe", 1, 1),
        ("order", "total", "required", "observe", 1, 1),
        ("order", "currency", "enum", "observe", 1, 1),
        ("order", "x", "additionalProperties", "observe", 1, 1),
    }
    assert planned.checked() == {("order", 1): (3, 2)}
    assert planned.books() == (4, 4, 0, 0, 0)


def test_stamped_events_carry_what_is_wrong(planned: Planned) -> None:
    planned.plan("order", "stamp", ORDER)
    planned.load(planned.event("good", properties={"total": 5}), planned.event("bad", properties={"currency": "GBP"}))
    assert planned.stored() == {"good": ("", 1), "bad": ("currency: enum; total: required", 1)}
    assert planned.checked() == {("order", 1): (2, 1)}


def test_rejected_events_become_dead_letters_with_reason_place_and_original(planned: Planned) -> None:
    planned.plan("order", "reject", ORDER)
    bad = planned.event("bad", properties={"total": "5/€", "x": [1, None]}, url='https://shop.example/a?b="c"', flags={"a": True})
    planned.load(planned.event("good", properties={"total": 5}), bad)
    assert planned.stored() == {"good": ("", 1)}
    [letter] = planned.bench.letters()
    assert (letter["stage"], letter["reason"], letter["state"]) == ("plan", "against_plan", "waiting")
    assert letter["detail"] == "It does not fit version 1 of the plan of 'order': total: type \"number\"; x: additionalProperties."
    assert LINE_DECODER.decode(letter["original"]) == LINE_DECODER.decode(LINE_ENCODER.encode(bad))
    assert planned.books() == (2, 1, 0, 1, 0)
    assert planned.checked() == {("order", 1): (2, 1)}


def test_an_event_that_no_entry_is_meant_for_is_a_fault_where_the_plan_says_so(planned: Planned) -> None:
    planned.plan("order", "observe")
    planned.plan("*", "stamp")
    planned.load(
        planned.event("planned", properties={"any": "thing"}),
        planned.event("unplanned", name="ordr"),
        planned.event("page", name="home", kind="page"),
        planned.event("sdk", name="$autocapture"),
    )
    assert planned.stored() == {"planned": ("", 1), "unplanned": ("unplanned", 1), "page": ("", 0), "sdk": ("", 0)}
    assert planned.found() == {("ordr", "", "unplanned", "stamp", 1, 1)}
    assert planned.checked() == {("order", 1): (1, 0), ("ordr", 1): (1, 1)}


def test_an_entry_for_others_may_have_a_schema(planned: Planned) -> None:
    planned.plan("*", "stamp", {"required": ["team"]})
    planned.load(planned.event("a", properties={"team": "x"}), planned.event("b"))
    assert planned.stored() == {"a": ("", 1), "b": ("team: required", 1)}


def test_a_changed_plan_counts_from_the_next_batch_on_and_tells_its_version(planned: Planned) -> None:
    bad = {"total": "5"}
    planned.load(planned.event("before", properties=bad))
    planned.plan("order", "stamp", ORDER)
    planned.load(planned.event("first", properties=bad))
    planned.plan("order", "stamp", {**ORDER, "properties": {"total": {"type": "string"}}})
    planned.load(planned.event("second", properties=bad))
    planned.definitions.remove(planned.bench.project, "plan", "order")
    planned.seconds += 60
    planned.load(planned.event("after", properties=bad))
    assert planned.stored() == {"before": ("", 0), "first": ("total: type", 1), "second": ("", 2), "after": ("", 0)}
    assert planned.checked() == {("order", 1): (1, 1), ("order", 2): (1, 0)}


def test_a_change_is_seen_within_a_second_and_the_catalog_may_be_away(planned: Planned) -> None:
    planned.plan("order", "stamp", ORDER)
    assert planned.shelf.current().of[planned.bench.project]["order"].version == 1
    planned.plan("order", "reject", ORDER)
    planned.seconds -= 59.5
    assert planned.shelf.current().of[planned.bench.project]["order"].version == 1
    planned.seconds += 0.6
    again = planned.shelf.current()
    assert again.of[planned.bench.project]["order"].version == 2

    def away(*_: Any) -> Any:
        raise unavailable("The catalog is away.")

    planned.shelf._catalog = SimpleNamespace(definitions_state=away)  # type: ignore[assignment]
    planned.seconds += 60
    assert planned.shelf.current() is again
    with pytest.raises(AlmanacError, match="away"):
        Shelf(SimpleNamespace(definitions_state=away), planned.bench.folder).current()  # type: ignore[arg-type]


def test_a_rejected_event_that_an_sdk_sends_again_is_one_dead_letter(planned: Planned) -> None:
    planned.plan("order", "reject", ORDER)
    planned.load(planned.event("bad"))
    planned.load(planned.event("bad", received_us=NOW_US + 1), planned.event("bad", received_us=NOW_US + 2))
    planned.restart().drain()
    planned.load(planned.event("bad", received_us=NOW_US + 3))
    assert len(planned.bench.letters()) == 1
    assert planned.books() == (4, 0, 3, 1, 0)
    assert planned.found() == {("order", "total", "required", "reject", 1, 1)}
    planned.load(planned.event("bad", properties={"total": 1}))  # mended by the sender
    assert planned.stored() == {"bad": ("", 1)}
    assert planned.books() == (5, 1, 3, 1, 0)


def test_a_copy_of_a_stored_event_is_a_duplicate_however_it_looks(planned: Planned) -> None:
    planned.plan("order", "reject", ORDER)
    good, bad = {"total": 1}, {"total": "x"}
    planned.load(planned.event("a", properties=good))
    planned.load(planned.event("a", properties=bad))
    assert planned.books() == (2, 1, 1, 0, 0)
    # In one batch: the first copy that fits is stored; one before it is a dead letter, one behind it a copy.
    copies = [bad, bad, good, bad, good]
    planned.load(*(planned.event("b", properties=each, received_us=NOW_US + place) for place, each in enumerate(copies)))
    assert planned.books() == (7, 2, 4, 1, 0)
    assert planned.found() == {("order", "total", "type", "reject", 1, 1)}


def test_a_dead_letter_is_replayed_once_the_plan_is_mended(planned: Planned) -> None:
    planned.plan("order", "reject", ORDER)
    planned.load(planned.event("a", properties={"total": "5"}), planned.event("b", properties={"total": "6"}))
    letters = DeadLetters(
        planned.bench.store,
        judged(partial(decode, planned.bench.settings), planned.shelf.current),
        planned.replay,
        clock=lambda: planned.bench.now,
    )
    ids = sorted(str(row["id"]) for row in letters.list(planned.bench.project))
    refused = {"replayed": 0, "failed": [{"id": id_, "reason": "against_plan"} for id_ in ids]}
    tried = letters.replay(planned.bench.project, None)
    assert {**tried, "failed": sorted(tried["failed"], key=lambda one: one["id"])} == refused
    planned.plan("order", "reject", {"properties": {"total": {"type": "string"}}})
    assert letters.replay(planned.bench.project, [ids[0]])["replayed"] == 1
    planned.loader.drain()
    assert letters.replay(planned.bench.project, None)["replayed"] == 1
    planned.loader.drain()
    assert planned.stored() == {"a": ("", 2), "b": ("", 2)}
    assert letters.list(planned.bench.project) == []
    assert planned.books() == (4, 2, 0, 2, 0)


def test_a_replay_that_the_plan_rejects_after_all_waits_again(planned: Planned) -> None:
    """The plan was changed between the replay's own look at it and the load."""
    planned.plan("order", "reject", ORDER)
    planned.load(planned.event("a", properties={"total": "5"}))
    letters = DeadLetters(planned.bench.store, partial(decode, planned.bench.settings), planned.replay, clock=lambda: planned.bench.now)
    for times in (1, 2):
        planned.bench.now += timedelta(seconds=1)
        assert letters.replay(planned.bench.project, None) == {"replayed": 1, "failed": []}
        assert letters.list(planned.bench.project) == []
        planned.bench.now += timedelta(seconds=1)
        planned.loader.drain()
        [waiting] = letters.list(planned.bench.project)
        assert waiting["reason"] == "against_plan"
        assert planned.books() == (1 + times, 0, 0, 1 + times, 0)


def test_a_rejected_event_moves_nobody(planned: Planned) -> None:
    planned.plan("identified", "reject", {"required": ["plan"]})
    merge = [Merge("anon", "ann", "identify")]
    planned.load(
        planned.event("bad", name="identified", kind="identify", merges=merge, profile={"set": {"a": 1}}),
        planned.event("good", name="identified", kind="identify", merges=merge, properties={"plan": "pro"}),
    )
    assert planned.bench.value("SELECT count() FROM identity_edges WHERE project = {project:String}") == 1
    assert planned.bench.value("SELECT count() FROM profile_changes WHERE project = {project:String}") == 0
    assert planned.bench.value("SELECT toInt64(sum(count)) FROM event_names WHERE project = {project:String}") == 1


def test_what_the_store_refuses_is_still_told_apart(planned: Planned) -> None:
    """A poison event of a planned name, beside one that the plan rejects."""
    planned.plan("order", "reject", {"type": "object"})
    planned.load(planned.event("list", properties=b"[1]"), planned.event("good"), planned.event("poison", "visit", rb'{"s":"\ud800"}'))
    assert {letter["reason"] for letter in planned.bench.letters()} == {"against_plan", "refused_by_store"}
    assert planned.stored() == {"good": ("", 1)}
    assert planned.books() == (3, 1, 0, 2, 0)


def test_other_projects_are_left_alone(planned: Planned, make_bench: Callable[[], Bench]) -> None:
    planned.plan("order", "reject", ORDER)
    other = make_bench()
    planned.load(planned.event("a"), other.event("b", name="order"))
    assert [row["id_text"] for row in other.stored()] == ["b"]
    assert planned.stored() == {}


class DeadError(Exception):
    """The process is gone."""


class Mortal:
    """A store whose user dies at its nth change from now on: after it was `done`, or before."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.left, self.done = 1 << 30, False
        self.lock = Lock()  # the load makes some changes side by side

    def _change(self, name: str, *given: Any, **named: Any) -> None:
        with self.lock:
            self.left -= 1
            dies = self.left <= 0
        if not dies or self.done:
            getattr(self._store, name)(*given, **named)
        if dies:
            raise DeadError

    def execute(self, *given: Any, **named: Any) -> None:
        self._change("execute", *given, **named)

    def insert(self, *given: Any, **named: Any) -> None:
        self._change("insert", *given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_stopped_anywhere_and_made_again_with_another_plan_in_force(make_bench: Callable[[], Bench]) -> None:
    """The load dies at its nth change of the store, done or not done; meanwhile the plan is changed. The batch is judged as it began."""
    stop = 0
    while True:
        stop += 1
        planned = Planned(make_bench())
        planned.plan("order", "reject", ORDER)
        store = Mortal(planned.bench.store)
        loader = planned.restart(store)
        loader.run_once()
        bad = [planned.event(f"bad{n}", properties={"total": "x"}) for n in range(3)]
        good = [planned.event(f"good{n}", properties={"total": n}) for n in range(3)]
        planned.bench.log.add([*bad, *good, bad[0], good[0]])
        store.left, store.done = stop, stop % 2 == 0
        with contextlib.suppress(DeadError):
            loader.drain()
        planned.plan("order", "observe", ORDER)
        planned.restart().drain()
        assert planned.stored() == {f"good{n}": ("", 1) for n in range(3)}, stop
        assert len(planned.bench.letters()) == 3, stop
        assert planned.books() == (8, 3, 2, 3, 0), stop
        assert planned.found() == {("order", "total", "type", "reject", 1, 3)}, stop
        assert planned.checked() == {("order", 1): (6, 3)}, stop
        planned.catalog.close()
        if store.left > 0:
            break
    assert stop > 20, "the load changes much more than that"


def test_plans_that_no_batch_needs_are_not_kept(planned: Planned) -> None:
    planned.load(planned.event("a"))
    folder = planned.bench.folder / "load"
    assert list(folder.glob("tracking-*")) == []
    for mode in ("observe", "stamp"):
        planned.plan("order", mode, ORDER)
        planned.load(planned.event())
        assert [file.name for file in folder.glob("tracking-*")] == [f"tracking-{planned.shelf.current().id}.json"]
    assert planned.restart().run_once() is False


def test_an_entry_that_cannot_be_read_any_more_stops_nothing(planned: Planned) -> None:
    """Saved by a version of the validator that took it."""
    planned.plan("visit", "stamp", ORDER)
    planned.catalog.save_definition(planned.bench.project, Definition("plan", "order", {"mode": "reject", "schema": {"type": "numbr"}}))
    planned.seconds += 60
    planned.load(planned.event("a"), planned.event("b", name="visit"))
    assert planned.stored() == {"a": ("", 0), "b": ("total: required", 1)}


def test_names_that_senders_make_up_do_not_fill_the_counts(planned: Planned) -> None:
    planned.plan("order", "reject", {"additionalProperties": False})
    planned.load(*(planned.event(f"e{n}", properties={f"p{n}": 1}) for n in range(1010)))
    found = planned.found()
    assert len(found) == 1001
    assert ("order", "…", "additionalProperties", "reject", 1, 10) in found
    assert planned.checked() == {("order", 1): (1010, 1010)}
    assert planned.books() == (1010, 0, 0, 1010, 0)
    assert {json.loads(letter["original"])[1] for letter in planned.bench.letters()} == {f"e{n}" for n in range(1010)}


def test_a_question_can_be_asked_about_what_does_not_fit(world: Any, store: Any) -> None:
    events = [
        {"person": "ann", "event": "order", "time": "2026-01-05T09:00:00Z", "violations": "total: type"},
        {"person": "bob", "event": "order", "time": "2026-01-05T10:00:00Z", "violations": "currency: required; total: type"},
        {"person": "eve", "event": "order", "time": "2026-01-05T11:00:00Z"},
    ]
    day = {"kind": "trend", "interval": "total", "date_from": "2026-01-05", "date_to": "2026-01-05"}

    def count(*filters: dict[str, Any]) -> float:
        rows = world.ask(events, {**day, "series": [{"event": "order", "filters": list(filters)}]}).rows
        return float(rows[0]["value"])

    assert count({"property": "@violations", "op": "is_set"}) == 2
    assert count({"property": "@violations", "op": "is_not_set"}) == 1
    assert count({"property": "@violations", "op": "contains", "value": "currency:"}) == 1
    split = world.ask(events, {**day, "series": ["order"], "breakdown": "@violations"}).rows
    assert {row["breakdown"]: row["value"] for row in split} == {"total: type": 1, "currency: required; total: type": 1, "": 1}
