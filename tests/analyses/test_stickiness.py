"""Stickiness against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_stickiness
from tests.analyses.behind import behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

START = datetime(2026, 3, 1, tzinfo=UTC)
PRO = [{"property": "plan", "value": "pro"}]
SERIES: list[dict[str, Any]] = [
    {"event": "a", "name": "a"},
    {"event": "b", "name": "b"},
    {"event": "a", "filters": PRO, "name": "a for money"},
    {"name": "anything"},
]
ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "America/Santiago", "Australia/Lord_Howe"]
NAMES = [f"p{number}" for number in range(30)]
SAME = {"p1": "p0", "p3": "p2", "p4": "p2"}
LENGTHS = {"hour": 40, "day": 300, "week": 1200, "month": 4000, "quarter": 10000, "year": 25000}
LAST_DAYS = {"hour": "2026-03-02T05:30:00", "day": "2026-03-10", "week": "2026-04-05", "month": "2026-07-15"}


def people(seed: int, hours: int) -> list[dict[str, Any]]:
    """Random events of 30 people and of nobody around the range; many at the very edge of an hour, some a microsecond before it."""
    chance = random.Random(seed)
    return [
        {
            "person": person,
            "event": chance.choice("abc"),
            "time": START
            + timedelta(hours=chance.randrange(-hours, hours), minutes=chance.choice([0, 0, 15, 30]), microseconds=-chance.randrange(2)),
            "properties": {"plan": chance.choice(["pro", "pro", "free", "", None, True, 7, "Other"])},
        }
        for person in [*NAMES, ""]
        for _ in range(chance.randrange(0, 12))
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    interval = draw(st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]))
    return {
        "kind": "stickiness",
        "series": draw(st.lists(st.sampled_from(SERIES), min_size=1, max_size=3, unique_by=lambda one: one["name"])),
        "interval": interval,
        "cumulative": draw(st.booleans()),
        "compare": draw(st.sampled_from([None, "previous_period"])),
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
def test_any_stickiness_equals_the_oracle(
    world: Any, worlds: Worlds, seed: int, question: dict[str, Any], part: float, merged: bool, pick: int
) -> None:
    """The people behind one of the rows are those of the oracle too."""
    project, happened = worlds[question["interval"], merged, seed]
    world.now = START + timedelta(hours=max(24, round(LENGTHS[question["interval"]] * part)))
    rows = world.engine.ask(project, question, fresh=True).rows
    expected, people_of = oracle_stickiness.stickiness(happened, question, world.now)
    assert [whole(row) for row in rows] == [whole(row) for row in expected]
    assert [row["rate"] for row in rows] == pytest.approx([row["rate"] for row in expected])
    assert [row["ratio"] for row in rows] == pytest.approx([row["ratio"] for row in expected])
    if filled := [row for row in rows if row["count"]]:
        row = filled[pick % len(filled)]
        assert behind(world, project, question, row, NAMES) == sorted(people_of[row["series"], row.get("breakdown", ""), row["periods"]])


def whole(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("rate", "ratio")}


def visit(person: str, time: str, **more: Any) -> dict[str, Any]:
    return {"person": person, "event": "visit", "time": time, **more}


def test_an_empty_project_has_zeros(ask: Any) -> None:
    rows = ask([], {"kind": "stickiness", "series": ["visit"], "date_from": "2026-01-01", "date_to": "2026-01-02"})
    assert [(row["periods"], row["count"], row["rate"], row["people"], row["ratio"]) for row in rows] == [(1, 0, 0, 0, 0), (2, 0, 0, 0, 0)]
    assert ask([], {"kind": "stickiness", "series": ["visit"], "breakdown": "plan", "date_from": "2026-01-01"}) == []


def test_one_event_may_stand_without_a_list(ask: Any) -> None:
    events = [visit("ann", "2026-01-05T09:00:00Z")]
    question = {"kind": "stickiness", "date_from": "2026-01-05", "date_to": "2026-01-05"}
    for written in ({"event": "visit"}, {"events": ["visit"]}, {"series": "visit"}, {"event": {"event": "visit"}}):
        assert [row["count"] for row in ask(events, {**question, **written})] == [1], written


def test_the_ratio_by_days_of_a_month_is_that_of_daily_and_monthly_people(ask: Any) -> None:
    """Ann comes each of the 30 days, bob on three: 33 / 30 people a day, of 2 in the month."""
    events = [visit("ann", f"2026-04-{day:02}T09:00:00Z") for day in range(1, 31)]
    events += [visit("bob", f"2026-04-{day:02}T09:00:00Z") for day in (1, 2, 30)]
    question = {"series": ["visit"], "date_from": "2026-04-01", "date_to": "2026-04-30"}
    rows = ask(events, {"kind": "stickiness", **question}, now="2026-05-02T00:00:00Z")
    unique = {**question, "kind": "trend", "series": [{"event": "visit", "measure": "unique"}]}
    daily = [row["value"] for row in ask(events, unique, now="2026-05-02T00:00:00Z")]
    [monthly] = [row["value"] for row in ask(events, {**unique, "interval": "total"}, now="2026-05-02T00:00:00Z")]
    [ratio] = {row["ratio"] for row in rows}
    assert (ratio, sum(daily) / len(daily) / monthly) == (pytest.approx(0.55), pytest.approx(0.55))


def test_a_breakdown_of_many_values_keeps_its_limit(ask: Any) -> None:
    events = [visit(f"p{number}", "2026-01-05T09:00:00Z", properties={"plan": f"v{number}"}) for number in range(3000)]
    question = {
        "kind": "stickiness",
        "series": ["visit"],
        "breakdown": {"property": "plan", "limit": 2},
        "date_from": "2026-01-05",
        "date_to": "2026-01-05",
    }
    assert [(row["breakdown"], row["count"]) for row in ask(events, question)] == [("v0", 1), ("v1", 1), ("Other", 2998)]


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({}, "series", "missing"),
        ({"series": []}, "series", "at least 1 item"),
        ({"series": ["a", {"event": "a", "filters": PRO}]}, "", "two lines of series are called 'a'"),
        ({"series": ["a"], "interval": "minute"}, "interval", "not possible"),
        ({"series": ["a"], "compare": "previous_week"}, "compare", "not possible"),
        ({"series": ["a"], "period": "day"}, "period", "no field 'period'"),
        ({"series": ["a"], "interval": "hour", "date_from": "2020-01-01"}, "interval", "more than 10000 periods"),
        ({"series": ["a"], "date_from": "2026-01-05", "date_to": "2026-01-04"}, "date_to", "ends before it starts"),
        ({"series": ["a"], "breakdown": "@nothing"}, "property", "no built-in column"),
    ],
)
def test_a_wrong_stickiness_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "stickiness", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words.lower() in caught.value.message.lower()) == (place, True), caught.value


def test_an_answer_of_too_many_rows_is_refused(ask: Any) -> None:
    events = [visit(f"p{number}", "2026-01-05T09:00:00Z", properties={"plan": f"v{number}"}) for number in range(60)]
    question = {
        "kind": "stickiness",
        "series": ["visit"],
        "interval": "hour",
        "breakdown": {"property": "plan", "limit": 60},
        "date_from": "2025-10-01",
    }
    with pytest.raises(AlmanacError) as caught:
        ask(events, {**question, "series": ["visit", "order"]})
    assert caught.value.place == "breakdown"


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"series": "order", "periods": 1, "breakdown": "pro"}, "series"),
        ({"series": "visit", "periods": 2, "breakdown": "pro"}, "periods"),
        ({"series": "visit", "periods": "1", "breakdown": "pro"}, "periods"),
        ({"series": "visit", "periods": 1}, "breakdown"),
        ({}, "series"),
    ],
)
def test_a_row_that_the_answer_does_not_have_has_nobody_to_name(world: Any, row: dict[str, Any], place: str) -> None:
    question = {"kind": "stickiness", "series": ["visit"], "breakdown": "plan", "date_from": "2026-01-05", "date_to": "2026-01-05"}
    with pytest.raises(AlmanacError) as caught:
        behind(world, world.project(), question, row, ["ann"])
    assert (caught.value.code, caught.value.place) == ("invalid", place)
