"""Adoption against the oracle in plain Python, the people behind its rows, and what is refused."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_adoption
from tests.analyses.behind import people_behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

EDGE = datetime(2026, 3, 22, 23, tzinfo=UTC)  # midnight in Berlin, a week before the clock changes
SAME = {"phone": "ann", "web": "ann"}
PLANS: list[dict[str, Any]] = [{}, {"plan": "pro"}, {"plan": 5}, {"plan": True}, {"plan": ""}, {"plan": "Other"}, {"plan": None}]


def happened(seed: int) -> list[dict[str, Any]]:
    """Random events of 20 people, some before the range, many simultaneous or whole days apart."""
    chance = random.Random(seed)
    people = ["ann", "phone", "web", "", *(f"p{number}" for number in range(16))]
    return [
        {
            "person": person,
            "event": chance.choice("uvw"),
            "time": EDGE + timedelta(days=chance.randrange(-20, 30), seconds=chance.choice([0, 0, 3600, 7200, 80_000]), microseconds=fine),
            "properties": chance.choice(PLANS),
        }
        for person in people
        for _ in range(chance.randrange(0, 8))
        for fine in [chance.choice([0, 0, 1])]
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kind": "adoption",
        "feature": "u",
        "active": draw(st.sampled_from([None, "v", "u"])),
        "view": draw(st.sampled_from(["periods", "time_to_use", "curve", "repeat"])),
        "period": draw(st.sampled_from(["day", "week", "month", "quarter", "year"])),
        "intervals": draw(st.sampled_from([1, 3, 12])),
        "breakdown": draw(st.none() | st.fixed_dictionaries({"property": st.just("plan"), "limit": st.integers(1, 5)})),
        "date_from": draw(st.sampled_from(["2026-03-23", "2026-03-23T12:30:00", "2026-03-01"])),
        "date_to": draw(st.sampled_from(["2026-03-23", "2026-04-05", "2026-04-15T05:00:00"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


SEEDS = seeds(200)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happened, lambda seed: SAME)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), days=st.sampled_from([0.5, 10, 60]))
def test_any_adoption_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], days: float) -> None:
    project, events = worlds[seed]
    world.now = EDGE + timedelta(days=1 + days)
    if question["date_to"].startswith("2026-03-23") and question["date_from"].endswith("12:30:00"):
        question |= {"date_to": "2026-03-24"}
    rows = world.engine.ask(project, question, fresh=True).rows
    expected = oracle_adoption.rows(events, question, world.now)
    assert [exact(row) for row in rows] == [exact(row) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert reckoned(row) == pytest.approx(reckoned(other), rel=1e-12, abs=1e-9)


def exact(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) else value for name, value in row.items()}


def reckoned(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float)}


@pytest.mark.parametrize("view", ["periods", "time_to_use", "curve", "repeat"])
@pytest.mark.parametrize("breakdown", [None, {"property": "plan", "limit": 2}])
def test_the_people_behind_a_row_are_as_many_as_it_says(ask: Any, world: Any, view: str, breakdown: Any) -> None:
    question = {
        "kind": "adoption",
        "feature": "u",
        "view": view,
        "breakdown": breakdown,
        "date_from": "2026-03-10",
        "date_to": "2026-04-10",
    }
    events = [{**event, "time": event["time"].isoformat()} for event in happened(5)]
    rows = ask(events, question, now="2026-05-01T00:00:00Z", same=SAME)
    project = list(world.projects.by_id)[-1]
    name = "used" if view == "periods" else "people"
    assert any(row[name] for row in rows)
    for row in rows:
        assert len(people_behind(world, project, question, row)) == row[name], row


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({}, "feature", "missing"),
        ({"feature": "a", "view": "funnel"}, "view", "not possible"),
        ({"feature": "a", "period": "hour"}, "period", "not possible"),
        ({"feature": "a", "intervals": 0}, "intervals", "greater than or equal to 1"),
        ({"feature": "a", "intervals": 101}, "intervals", "less than or equal to 100"),
        ({"feature": "a", "period": "day", "last": "6 years"}, "period", "more than 2000 periods"),
        ({"feature": "a", "date_from": "2026-02-02", "date_to": "2026-02-01"}, "date_to", "ends before it starts"),
    ],
)
def test_a_wrong_question_of_adoption_is_refused_by_the_name_of_its_field(
    ask: Any, question: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "adoption", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value


@pytest.mark.parametrize(
    ("view", "row", "place"),
    [("periods", {"period": "2020-01-01"}, "period"), ("curve", {}, "within_periods"), ("repeat", {"later_periods": -1}, "later_periods")],
)
def test_a_row_that_is_not_of_the_answer_has_no_people(ask: Any, world: Any, view: str, row: dict[str, Any], place: str) -> None:
    question = {"kind": "adoption", "feature": "u", "view": view}
    ask([], question)
    with pytest.raises(AlmanacError) as caught:
        people_behind(world, list(world.projects.by_id)[-1], question, row)
    assert caught.value.place == place


def test_without_events_nobody_adopts_and_nothing_fails(ask: Any) -> None:
    rows = ask([], {"kind": "adoption", "feature": "u", "date_from": "2026-01-05", "date_to": "2026-01-11"})
    assert [(row["period"], row["active"], row["adoption_rate"]) for row in rows] == [("2026-01-05", 0, 0.0)]
    rows = ask([], {"kind": "adoption", "feature": "u", "view": "time_to_use"})
    assert [(row["people"], row["median_seconds"]) for row in rows] == [(0, None)]
    assert ask([], {"kind": "adoption", "feature": "u", "breakdown": "plan", "view": "curve"}) == []
