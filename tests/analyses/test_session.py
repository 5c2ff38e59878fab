"""Sessions against the oracle in plain Python, the people behind their rows, and what is refused."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_session
from tests.analyses.behind import people_behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

EDGE = datetime(2026, 3, 28, 23, tzinfo=UTC)  # midnight in Berlin, where the clock changes two hours later
SAME = {"phone": "ann", "web": "ann"}
IDS = ["ann", "phone", "web", "bob", "cat", "dan", ""]
PAUSES = [0, 0, 1, 9, 10, 60, 1799, 1800, 1801, 7200, 86_400, 86_401, 100_000]
WHOLE: dict[str, Any] = {
    "kind": "session",
    "view": "sessions",
    "interval": "total",
    "breakdown": None,
    "breakdown_event": "first",
    "by": "sender",
    "timeout": "30 minutes",
    "event": None,
    "min_length": None,
    "max_length": None,
    "page_event": None,
    "page_property": None,
    "limit": 10,
    "engaged_after": "10 seconds",
    "key_event": None,
    "date_from": "2026-03-29",
    "date_to": "2026-03-30",
    "timezone": "UTC",
    "week_start": "monday",
}
MEASURES = [
    "sessions",
    "people",
    "sessions_per_person",
    "average_seconds",
    "median_seconds",
    "p90_seconds",
    "events_per_session",
    "pages_per_session",
    "bounce_rate",
]


def happened(seed: int) -> list[dict[str, Any]]:
    """Random events; pauses lie around the limits, many events are simultaneous, some sessions cross the edges of the range."""
    chance = random.Random(seed)
    events = []
    for person in IDS:
        moment = EDGE + timedelta(seconds=chance.choice([-90_000, -86_400, -1800, -1, 0, 3600, 86_400]))
        for _ in range(chance.randrange(0, 14)):
            moment += timedelta(seconds=chance.choice(PAUSES), microseconds=chance.choice([0, 0, 1, 999_999]))
            events.append(
                {
                    "person": person,
                    "event": chance.choice(["a", "b", "c"]),
                    "time": moment,
                    "kind": chance.choice(["page", "page", "screen", "track", "identify"]),
                    "session_id": chance.choice(["", "", "s1", "s2"]),
                    "path": chance.choice(["", "/", "/a", "Other"]),
                    "screen": chance.choice(["", "Home"]),
                    "properties": chance.choice(
                        [{}, {"plan": "pro"}, {"plan": 5}, {"plan": True}, {"plan": ""}, {"plan": "Other"}, {"plan": None}]
                    ),
                }
            )
    return events


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    view = draw(st.sampled_from(["sessions", "sessions", "entry_pages", "exit_pages", "pages"]))
    plan = st.fixed_dictionaries({"property": st.just("plan"), "limit": st.integers(1, 5)})
    chosen = {} if view == "pages" else {"measures": draw(st.sampled_from([MEASURES, ["bounce_rate"], ["people", "p90_seconds"]]))}
    return {
        **WHOLE,
        **chosen,
        "view": view,
        "interval": draw(st.sampled_from(["total", "total", "hour", "day", "week", "month", "year"])),
        "breakdown": draw(st.none() | plan) if view == "sessions" else None,
        "breakdown_event": draw(st.sampled_from(["first", "last"])),
        "by": draw(st.sampled_from(["sender", "inactivity"])),
        "timeout": draw(st.sampled_from(["30 minutes", "1 second", "24 hours"])),
        "event": draw(st.sampled_from([None, None, "a"])),
        "min_length": draw(st.sampled_from([None, None, "1 second", "10 seconds"])),
        "max_length": draw(st.sampled_from([None, None, "30 minutes", "1 day"])),
        "page_event": draw(st.sampled_from([None, None, "b"])),
        "page_property": draw(st.sampled_from([None, None, "plan"])),
        "limit": draw(st.integers(1, 4)),
        "key_event": draw(st.sampled_from([None, "c"])),
        "date_from": draw(st.sampled_from(["2026-03-29", "2026-03-29T00:30:00"])),
        "date_to": draw(st.sampled_from(["2026-03-29", "2026-03-30", "2026-03-30T05:00:00"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


SEEDS = seeds(200)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happened, lambda seed: SAME)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), hours=st.sampled_from([20, 48, 400]))
def test_any_sessions_equal_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], hours: int) -> None:
    project, events = worlds[seed]
    world.now = EDGE + timedelta(hours=hours)
    rows = world.engine.ask(project, question, fresh=True).rows
    expected = oracle_session.rows(events, question, world.now)
    assert [exact(row) for row in rows] == [exact(row) for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert reckoned(row) == pytest.approx(reckoned(other), rel=1e-12, abs=1e-9)


def exact(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) else value for name, value in row.items()}


def reckoned(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if isinstance(value, float)}


@pytest.mark.parametrize(
    "question",
    [
        {"interval": "day"},
        {"breakdown": {"property": "plan", "limit": 1}},
        {"view": "entry_pages", "limit": 1, "interval": "week"},
        {"view": "exit_pages", "limit": 2},
        {"view": "pages", "interval": "day"},
    ],
)
def test_the_people_behind_a_row_are_as_many_as_it_says(ask: Any, world: Any, question: dict[str, Any]) -> None:
    asked = {name: value for name, value in WHOLE.items() if value is not None} | question
    events = [{**event, "time": event["time"].isoformat()} for seed in range(4) for event in happened(seed)]
    rows = ask(events, asked, now="2026-05-01T00:00:00Z", same=SAME)
    project = list(world.projects.by_id)[-1]
    assert any(row["people"] for row in rows)
    for row in rows:
        assert len(people_behind(world, project, asked, row)) == row["people"], row


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({"timeout": "0 minutes"}, "timeout.value", "greater than 0"),
        ({"timeout": "25 hours"}, "timeout", "more than 24 hours"),
        ({"timeout": "soon"}, "timeout", "not a length of time"),
        ({"measures": []}, "measures", "at least 1"),
        ({"measures": ["visits"]}, "measures.0", "not possible"),
        ({"view": "pages", "measures": ["sessions"]}, "", "measures are of sessions"),
        ({"view": "pages", "breakdown": "plan"}, "", "breakdown does not go with the view pages"),
        ({"min_length": "2 minutes", "max_length": "1 minute"}, "", "min_length is more than max_length"),
        ({"page_property": "@pathh"}, "page_property", "no built-in column @pathh"),
        ({"limit": 501}, "limit", "less than or equal to 500"),
        ({"interval": "minute", "last": "3 years"}, "interval", "more than 10000 periods"),
        ({"date_from": "2026-02-02", "date_to": "2026-02-01"}, "date_to", "ends before it starts"),
    ],
)
def test_a_wrong_question_of_sessions_is_refused_by_the_name_of_its_field(
    ask: Any, question: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "session", **question})
    assert caught.value.code == "invalid"
    said = caught.value.message.lower()
    assert (caught.value.place, words.lower() in said) == (place, True), caught.value


def test_an_unknown_period_has_no_people(ask: Any, world: Any) -> None:
    ask([], {"kind": "session", "interval": "day"})
    project = list(world.projects.by_id)[-1]
    with pytest.raises(AlmanacError) as caught:
        people_behind(world, project, {"kind": "session", "interval": "day"}, {"period": "2020-01-01"})
    assert caught.value.place == "period"


def test_without_events_there_are_no_sessions_and_no_error(ask: Any) -> None:
    assert ask([], {"kind": "session", "measures": ["sessions", "average_seconds", "bounce_rate"]}) == [
        {"sessions": 0, "average_seconds": None, "bounce_rate": None}
    ]
    assert ask([], {"kind": "session", "view": "pages"}) == []


def test_very_many_pages_in_one_session_answer_with_the_biggest(ask: Any, world: Any) -> None:
    """Each page once, but one twice; and one person has all the events."""
    project = world.project()
    world._run(
        "INSERT INTO events (project, event, kind, day, person_hash, time, id, distinct_id, path)"
        " SELECT {p:String}, 'view', 'page', toDate('2026-01-05'), 7, toDateTime64('2026-01-05 00:00:00', 6) + number * 0.01,"
        " generateUUIDv4(), 'ann', concat('/', toString(greatest(number, 1))) FROM numbers(100000)",
        p=project,
    )
    world.now = datetime(2026, 2, 1, tzinfo=UTC)
    rows = world.engine.ask(project, {"kind": "session", "view": "pages", "limit": 1, "last": "60 days"}).rows
    assert [(row["page"], row["views"], row["sessions"]) for row in rows] == [("/1", 2, 1)]


@pytest.mark.parametrize("by", ["sender", "inactivity"])
def test_very_many_sessions_of_one_person_are_told_apart(ask: Any, world: Any, by: str) -> None:
    """Without ids, each an event by itself: what is kept of one session is not kept for each of the others."""
    project = world.project()
    world._run(
        "INSERT INTO events (project, event, kind, day, person_hash, time, id, distinct_id, path)"
        " SELECT {p:String}, 'view', 'page', toDate(moment), 7, toDateTime64('2023-01-05 00:00:00', 6)"
        " + toIntervalMinute(number * 31) AS moment, generateUUIDv4(), 'ann', concat('/', toString(number % 7)) FROM numbers(50000)",
        p=project,
    )
    world.now = datetime(2026, 2, 1, tzinfo=UTC)
    asked = {"kind": "session", "by": by, "date_from": "2023-01-01"}
    (row,) = world.engine.ask(project, {**asked, "measures": ["sessions", "people", "bounce_rate"]}).rows
    assert row == {"sessions": 50_000, "people": 1, "bounce_rate": 1.0}
    rows = world.engine.ask(project, {**asked, "view": "pages", "limit": 1}).rows
    assert [(row["page"], row["views"], row["entries"], row["average_seconds"]) for row in rows] == [("/0", 7143, 7143, None)]
