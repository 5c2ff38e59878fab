"""Lifecycle against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_lifecycle
from tests.analyses.behind import behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

START = datetime(2026, 3, 1, tzinfo=UTC)
PRO = [{"property": "plan", "value": "pro"}]
SELECTORS: list[dict[str, Any]] = [{"event": "a"}, {"event": "b"}, {"event": "a", "filters": PRO}, {"filters": PRO}]
ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "America/Santiago", "Australia/Lord_Howe"]
NAMES = [f"p{number}" for number in range(30)]
SAME = {"p1": "p0", "p3": "p2", "p4": "p2"}
LENGTHS = {"hour": 60, "day": 400, "week": 1500, "month": 5000, "quarter": 12000, "year": 30000}
LAST_DAYS = {"hour": "2026-03-02T05:30:00", "day": "2026-03-10", "week": "2026-04-05", "month": "2026-08-15"}


def people(seed: int, hours: int) -> list[dict[str, Any]]:
    """Random events of 30 people and of nobody around the range; many at the very edge of an hour, some a microsecond before it."""
    chance = random.Random(seed)
    return [
        {
            "person": person,
            "event": chance.choice("abc"),
            "time": START
            + timedelta(
                hours=chance.randrange(-hours // 2, hours), minutes=chance.choice([0, 0, 15, 30]), microseconds=-chance.randrange(2)
            ),
            "properties": {"plan": chance.choice(["pro", "pro", "free", "", None, True, 7, "Other"])},
        }
        for person in [*NAMES, ""]
        for _ in range(chance.randrange(0, 9))
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    interval = draw(st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]))
    return {
        "kind": "lifecycle",
        "events": draw(st.lists(st.sampled_from(SELECTORS), max_size=2)),
        "interval": interval,
        "new_by": draw(st.sampled_from(["first_event", "first_match"])),
        "filters": draw(st.sampled_from([[], PRO])),
        "breakdown": draw(st.none() | st.fixed_dictionaries({"property": st.just("plan"), "limit": st.integers(1, 5)})),
        "date_from": draw(st.sampled_from(["2026-03-01", "2026-03-01T12:20:00"])),
        "date_to": draw(st.sampled_from([None, LAST_DAYS.get(interval, "2028-06-30")])),
        "timezone": draw(st.sampled_from(ZONES)),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


SEEDS = seeds(20)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    keys = [(interval, merged, seed) for interval in LENGTHS for merged in (False, True) for seed in SEEDS]
    return Worlds(world, keys, lambda key: people(key[2], LENGTHS[key[0]]), lambda key: SAME if key[1] else {})


@settings(max_examples=220, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), part=st.floats(0.5, 1.2), merged=st.booleans(), pick=st.integers(0, 2**16))
def test_any_lifecycle_equals_the_oracle(
    world: Any, worlds: Worlds, seed: int, question: dict[str, Any], part: float, merged: bool, pick: int
) -> None:
    """The people behind one of the rows are those of the oracle too."""
    project, happened = worlds[question["interval"], merged, seed]
    world.now = START + timedelta(hours=max(24, round(LENGTHS[question["interval"]] * part)))
    rows = world.engine.ask(project, question, fresh=True).rows
    expected, people_of = oracle_lifecycle.lifecycle(happened, question, world.now)
    assert rows == expected
    if filled := [row for row in rows if row["count"]]:
        row = filled[pick % len(filled)]
        assert behind(world, project, question, row, NAMES) == sorted(people_of[row.get("breakdown", ""), row["status"], row["period"]])


def visit(person: str, time: str, **more: Any) -> dict[str, Any]:
    return {"person": person, "event": "visit", "time": time, **more}


def counts(rows: list[dict[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["status"], []).append(row["count"])
    return found


def test_an_empty_project_has_zeros_for_every_period(ask: Any) -> None:
    rows = ask([], {"kind": "lifecycle", "date_from": "2026-01-01", "date_to": "2026-01-02"})
    assert counts(rows) == {"new": [0, 0], "returning": [0, 0], "resurrecting": [0, 0], "dormant": [0, 0]}
    assert ask([], {"kind": "lifecycle", "breakdown": "plan", "date_from": "2026-01-01"}) == []


def test_one_event_may_stand_without_a_list(ask: Any) -> None:
    events = [visit("ann", "2026-01-05T09:00:00Z")]
    question = {"kind": "lifecycle", "date_from": "2026-01-05", "date_to": "2026-01-05"}
    for written in ({"event": "visit"}, {"events": "visit"}, {"events": {"event": "visit"}}, {"event": {"event": "visit"}}, {}):
        assert counts(ask(events, {**question, **written}))["new"] == [1], written


def test_the_day_of_23_hours_lies_beside_its_neighbours(ask: Any) -> None:
    """In Berlin the 29th of March 2026 begins at 23:00 UTC and ends at 22:00."""
    events = [visit("ann", "2026-03-28T22:59:59Z"), visit("ann", "2026-03-28T23:00:00Z"), visit("ann", "2026-03-29T22:00:00Z")]
    question = {"kind": "lifecycle", "timezone": "Europe/Berlin", "date_from": "2026-03-28", "date_to": "2026-03-31"}
    assert counts(ask(events, question, now="2026-05-01T00:00:00Z")) == {
        "new": [1, 0, 0, 0],
        "returning": [0, 1, 1, 0],
        "resurrecting": [0, 0, 0, 0],
        "dormant": [0, 0, 0, -1],
    }


def test_filters_do_not_make_old_people_new(ask: Any) -> None:
    """Ann was there in December, on the free plan: with a filter on pro she is resurrecting, unless the first match decides."""
    events = [
        visit("ann", "2025-12-01T09:00:00Z", properties={"plan": "free"}),
        visit("ann", "2026-01-05T09:00:00Z", properties={"plan": "pro"}),
    ]
    question = {"kind": "lifecycle", "filters": PRO, "date_from": "2026-01-05", "date_to": "2026-01-05"}
    assert counts(ask(events, question))["resurrecting"] == [1]
    assert counts(ask(events, {**question, "new_by": "first_match"}))["new"] == [1]


def test_a_range_from_the_beginning_of_time(ask: Any) -> None:
    rows = ask([visit("ann", "1970-01-01T00:00:00Z")], {"kind": "lifecycle", "interval": "year", "date_from": "1970-01-01"})
    assert [(row["status"], row["period"], row["count"]) for row in rows if row["count"]] == [
        ("new", "1970-01-01", 1),
        ("dormant", "1971-01-01", -1),
    ]


def test_a_breakdown_of_many_values_keeps_its_limit(ask: Any) -> None:
    events = [visit(f"p{number}", "2026-01-05T09:00:00Z", properties={"plan": f"v{number}"}) for number in range(3000)]
    question = {"kind": "lifecycle", "breakdown": {"property": "plan", "limit": 2}, "date_from": "2026-01-05", "date_to": "2026-01-05"}
    assert [(row["breakdown"], row["count"]) for row in ask(events, question) if row["status"] == "new"] == [
        ("v0", 1),
        ("v1", 1),
        ("Other", 2998),
    ]


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({"interval": "minute"}, "interval", "not possible"),
        ({"new_by": "birth"}, "new_by", "not possible"),
        ({"events": ["a"] * 27}, "events", "at most 26"),
        ({"period": "day"}, "period", "no field 'period'"),
        ({"interval": "hour", "date_from": "2020-01-01"}, "interval", "more than 10000 periods"),
        ({"date_from": "2026-01-05", "date_to": "2026-01-04"}, "date_to", "ends before it starts"),
        ({"breakdown": "@nothing"}, "property", "no built-in column"),
        ({"timezone": "Mars"}, "timezone", "no time zone 'Mars'"),
    ],
)
def test_a_wrong_lifecycle_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "lifecycle", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value


def test_an_answer_of_too_many_rows_is_refused(ask: Any) -> None:
    events = [visit(f"p{number}", "2026-01-05T09:00:00Z", properties={"plan": f"v{number}"}) for number in range(60)]
    question = {"kind": "lifecycle", "interval": "hour", "breakdown": {"property": "plan", "limit": 60}, "date_from": "2025-12-25"}
    with pytest.raises(AlmanacError) as caught:
        ask(events, question)
    assert caught.value.place == "breakdown"


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"status": "new", "period": "2026-01-06"}, "period"),
        ({"status": "lost", "period": "2026-01-05", "breakdown": "pro"}, "status"),
        ({"status": "new", "period": "2026-01-05"}, "breakdown"),
        ({}, "period"),
    ],
)
def test_a_row_that_the_answer_does_not_have_has_nobody_to_name(world: Any, row: dict[str, Any], place: str) -> None:
    question = {"kind": "lifecycle", "breakdown": "plan", "date_from": "2026-01-05", "date_to": "2026-01-05"}
    with pytest.raises(AlmanacError) as caught:
        behind(world, world.project(), question, row, ["ann"])
    assert (caught.value.code, caught.value.place) == ("invalid", place)
