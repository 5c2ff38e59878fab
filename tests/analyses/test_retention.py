"""Retention against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_retention
from tests.analyses.behind import behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

START = datetime(2026, 3, 1, tzinfo=UTC)
PRO = {"filters": [{"property": "plan", "value": "pro"}]}
AMOUNTS: list[dict[str, Any]] = [{}, {"amount": 5}, {"amount": 2.5}, {"amount": -3}, {"amount": "much"}]
SELECTORS = [{"event": "a"}, {"event": "b"}, {"event": "a", **PRO}]


def people(seed: int, hours: int) -> list[dict[str, Any]]:
    """Random events of 16 people within so many hours; some before the range."""
    chance = random.Random(seed)
    return [
        {
            "person": f"p{person}",
            "event": chance.choice("abc"),
            "time": START
            + timedelta(
                hours=chance.randrange(-hours // 4, hours),
                minutes=chance.choice([0, 0, 30]),
                microseconds=chance.choice([-1, 0, 0, 0]),
            ),
            "properties": {"plan": chance.choice(["pro", "free", "team", "", "Other"]), **chance.choice(AMOUNTS)},
        }
        for person in range(16)
        for _ in range(chance.randrange(0, 12))
    ]


TO = {"hour": "2026-03-02T05:30:00", "day": "2026-03-20", "week": "2026-04-20", "month": "2026-09-30"}
BRACKETS = [["0", "1-2", "3"], ["1-3", "5-6"], [0, 1, "2-40"], ["2"]]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    period = draw(st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]))
    intervals, brackets = draw(st.none() | st.integers(1, 8)), draw(st.just([]) | st.sampled_from(BRACKETS))
    counting = draw(st.sampled_from(["in", "rolling", "before", "streak"]))
    return {
        "kind": "retention",
        "start_event": draw(st.sampled_from(SELECTORS)),
        "return_event": draw(st.none() | st.sampled_from(SELECTORS)),
        "mode": draw(st.sampled_from(["recurring", "first_time"])),
        "counting": counting,
        "windows": draw(st.sampled_from(["calendar", "elapsed"])),
        "period": period,
        "intervals": None if brackets else intervals,
        "brackets": brackets,
        "value": None if counting == "streak" else draw(st.sampled_from([None, "amount"])),
        "report": draw(st.sampled_from(["cohorts", "cohorts", "curve"])),
        "breakdown": draw(st.none() | st.fixed_dictionaries({"property": st.just("plan"), "limit": st.integers(1, 5)})),
        "date_from": draw(st.sampled_from(["2026-03-01", "2026-03-01T12:20:00"])),
        "date_to": draw(st.sampled_from([None, TO.get(period, "2027-06-30")])) if intervals else TO.get(period, "2027-06-30"),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "Australia/Lord_Howe"])),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


LENGTHS = {"hour": 40, "day": 500, "week": 1500, "month": 5000, "quarter": 10000, "year": 20000}
SEEDS = seeds(40)
MERGED = {f"p{person}-phone": f"p{person}" for person in range(0, 16, 3)}


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    keys = [(period, seed) for period in LENGTHS for seed in SEEDS]
    return Worlds(world, keys, lambda key: people(key[1], LENGTHS[key[0]]))


@pytest.fixture(scope="module")
def merged(world: Any) -> Worlds:
    """Every third person has another id on a second device, which every fifth of the events came from."""

    def sent(key: tuple[str, int]) -> list[dict[str, Any]]:
        chance = random.Random(key[1])
        happened = people(key[1], LENGTHS[key[0]])
        return [{**event, "person": f"{event['person']}-phone" if chance.random() < 0.2 else event["person"]} for event in happened]

    return Worlds(world, [(period, seed) for period in LENGTHS for seed in SEEDS[:5]], sent, lambda key: MERGED)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), part=st.floats(0.1, 1.2), pick=st.integers(0, 2**16))
def test_any_retention_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], part: float, pick: int) -> None:
    project, happened = worlds[question["period"], seed]
    world.now = START + timedelta(hours=max(24, round(LENGTHS[question["period"]] * part)))
    oracle = oracle_retention.Retention(happened, question, world.now)
    expected = oracle.rows_and_people()
    if not any(first < len(oracle.starts) for first, _ in oracle.columns):
        with pytest.raises(AlmanacError, match="No bracket begins within the range"):
            world.engine.ask(project, question, fresh=True)
        return
    rows = world.engine.ask(project, question, fresh=True).rows
    assert [counted(row) for row in rows] == [counted(row) for row, _ in expected]
    for name in RECKONED:
        assert [row.get(name) for row in rows] == pytest.approx([row.get(name) for row, _ in expected]), name
    if rows and pick % 2:
        row, (_, who) = random.Random(pick).choice(list(zip(rows, expected, strict=True)))
        names = {event["person"] for event in happened}
        assert behind(world, project, question, row, names) == sorted(who)


RECKONED = ("rate", "value", "value_per_person", "value_rate")


def counted(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in RECKONED}


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS[:5]), question=questions())
def test_merged_people_are_asked_about_as_one(world: Any, merged: Worlds, seed: int, question: dict[str, Any]) -> None:
    project, happened = merged[question["period"], seed]
    world.now = START + timedelta(hours=LENGTHS[question["period"]])
    expected = oracle_retention.retention(happened, question, world.now)
    assert [counted(row) for row in world.engine.ask(project, question, fresh=True).rows] == [counted(row) for row in expected]


def at(person: str, event: str, day: int) -> dict[str, Any]:
    return {"person": person, "event": event, "time": (START + timedelta(days=day)).isoformat()}


def test_merged_ids_are_one_person(ask: Any) -> None:
    """Ann began on her phone and came back on the web; bob began and stayed away; an event of nobody is in no cohort."""
    events = [at("phone", "visit", 0), at("web", "visit", 1), at("bob", "visit", 0), at("", "visit", 0)]
    question = {"kind": "retention", "start_event": "visit", "date_from": "2026-03-01", "intervals": 2}
    rows = ask(events, question, now="2026-04-01T00:00:00Z", same={"phone": "ann", "web": "ann"})
    assert [(row["cohort"], row["period"], row["count"]) for row in rows] == [
        ("2026-03-01", 0, 2),
        ("2026-03-01", 1, 1),
        ("2026-03-02", 0, 1),
    ]


def test_without_dates_it_is_the_last_periods(ask: Any) -> None:
    rows = ask([], {"kind": "retention", "start_event": "visit", "period": "week", "intervals": 2}, now="2026-03-04T00:00:00Z")
    assert [(row["cohort"], row["period"], row["complete"]) for row in rows] == [
        ("2026-02-23", 0, True),
        ("2026-02-23", 1, False),
        ("2026-03-02", 0, False),
    ]
    rows = ask([], {"kind": "retention", "start_event": "visit", "period": "month"}, now="2026-03-04T00:00:00Z")
    assert (len(rows), rows[0]["cohort"], rows[-1]["cohort"]) == (12 * 13 // 2, "2025-04-01", "2026-03-01")


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({}, "start_event", "missing"),
        ({"start_event": "a", "mode": "once"}, "mode", "not possible"),
        ({"start_event": "a", "intervals": 0}, "intervals", "greater than or equal to 1"),
        ({"start_event": "a", "period": "hour", "last": "60 days"}, "intervals", "too many rows"),
        ({"start_event": "a", "period": "hour", "last": "9 years", "intervals": 1}, "period", "more than 10000 periods"),
        ({"start_event": "a", "counting": "often"}, "counting", "not possible"),
        ({"start_event": "a", "rolling": "yes"}, "", "Rolling is true or false"),
        ({"start_event": "a", "rolling": True, "counting": "streak"}, "", "give either rolling or another counting"),
        ({"start_event": "a", "counting": "streak", "value": "total"}, "", "A streak has no value"),
        ({"start_event": "a", "brackets": ["0", "1-3"], "intervals": 3}, "", "Give either intervals or brackets"),
        ({"start_event": "a", "brackets": ["soon"]}, "", "'soon' is no bracket"),
        ({"start_event": "a", "brackets": ["1-"]}, "", "'1-' is no bracket"),
        ({"start_event": "a", "brackets": ["3-1"]}, "", "ends before it begins"),
        ({"start_event": "a", "brackets": ["0-3"]}, "", "stands alone"),
        ({"start_event": "a", "brackets": ["1-3", "3-5"]}, "", "begins before '1-3' has ended"),
        ({"start_event": "a", "brackets": [5, 4]}, "", "begins before '5' has ended"),
        ({"start_event": "a", "brackets": ["1000"]}, "", "goes beyond period 999"),
        ({"start_event": "a", "brackets": ["5-6"], "last": "2 days"}, "brackets", "No bracket begins within the range"),
        ({"start_event": "a", "value": ""}, "value", "at least 1 character"),
        ({"start_event": "a", "value": "@nonsense"}, "property", "no built-in column"),
    ],
)
def test_a_wrong_retention_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "retention", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value


def test_rolling_is_a_way_of_counting(ask: Any) -> None:
    events = [at("ann", "visit", 0), at("ann", "visit", 2)]
    question = {"kind": "retention", "start_event": "visit", "date_from": "2026-03-01", "intervals": 3}
    said = [ask(events, {**question, **way}, now="2026-04-01T00:00:00Z") for way in ({"rolling": True}, {"counting": "rolling"})]
    assert said[0] == said[1]
    assert [row["count"] for row in said[0]][:3] == [1, 1, 1]
    plain = [ask(events, {**question, **way}, now="2026-04-01T00:00:00Z") for way in ({"rolling": False}, {})]
    assert plain[0] == plain[1]


def test_segments_split_cohorts(ask: Any) -> None:
    """Ann bought, so she is a buyer at the range's end, on the days before too."""
    events = [at("ann", "visit", 0), at("ann", "visit", 1), at("ann", "buy", 1), at("bob", "visit", 0), at("cat", "visit", 0)]
    split = {"segments": [{"segment": {"name": "buyers", "all": [{"did": "buy"}]}}]}
    question = {
        "kind": "retention",
        "start_event": "visit",
        "date_from": "2026-03-01",
        "intervals": 2,
        "breakdown": split,
        "report": "curve",
    }
    rows = ask(events, question, now="2026-04-01T00:00:00Z")
    assert [(row["breakdown"], row["period"], row["size"], row["count"]) for row in rows] == [
        ("", 0, 2, 2),
        ("", 1, 2, 0),
        ("buyers", 0, 2, 2),
        ("buyers", 1, 1, 1),
    ]


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"cohort": "2026-03-09", "period": 0}, "cohort"),
        ({"period": 0}, "cohort"),
        ({"cohort": "2026-03-02", "period": 1}, "period"),
        ({"cohort": "2026-03-01"}, "period"),
        ({"cohort": "2026-03-01", "period": [1]}, "period"),
        ({"cohort": "2026-03-01", "period": 1}, "breakdown"),
    ],
)
def test_a_row_that_the_answer_does_not_have_has_nobody_behind_it(world: Any, row: dict[str, Any], place: str) -> None:
    world.now = START + timedelta(days=9)
    project = world.project()
    question = {"kind": "retention", "start_event": "visit", "date_from": "2026-03-01", "intervals": 2, "breakdown": "plan"}
    with pytest.raises(AlmanacError) as refused:
        behind(world, project, question, row, ["ann"])
    assert refused.value.place == place


@pytest.mark.parametrize(
    "more", [{}, {"mode": "first_time"}, {"counting": "streak"}, {"windows": "elapsed"}, {"value": "total"}, {"breakdown": "plan"}]
)
def test_a_range_may_begin_before_there_were_computers(world: Any, more: dict[str, Any]) -> None:
    world.now = START + timedelta(days=9)
    project = world.project()
    world.insert(project, [at("ann", "visit", 0)])
    question = {"kind": "retention", "start_event": "visit", "date_from": "1960-01-01", "period": "year", "report": "curve", **more}
    rows = world.engine.ask(project, question).rows
    assert (len(rows), rows[0]["size"]) == (67, 1 if not rows[0]["complete"] else 0)
    assert behind(world, project, {**question, "report": "cohorts"}, {"breakdown": "", "cohort": "2026-01-01", "period": 0}, ["ann"]) == [
        "ann"
    ]
