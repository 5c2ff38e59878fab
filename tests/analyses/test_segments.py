"""Segments against the oracle in plain Python, and what they refuse."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_segment
from tests.analyses.worlds import Worlds, seeds

from almanac.analyses.scope import EventScope
from almanac.core.errors import AlmanacError
from almanac.core.filters import SegmentFilter
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

END = datetime(2026, 4, 1, tzinfo=UTC)  # the clocks of Berlin and Los Angeles changed in the weeks before
PRO = {"event": "a", "filters": [{"property": "plan", "value": "pro"}]}
SELECTORS: list[Any] = ["a", "b", "c", PRO]
LENGTHS = ["1 day", "3 days", "2 weeks", "1 month", "5 hours", "90 minutes"]


def happened(seed: int) -> list[dict[str, Any]]:
    """Random events of 30 people, some at one instant, some at the edges of the spans asked about, some too late."""
    chance = random.Random(seed)
    events = []
    for person in range(30):
        for _ in range(chance.randrange(1, 8)):
            back = timedelta(
                days=chance.choice([0, 0, 1, 3, 14, 30, 40]), hours=chance.choice([-1, 0, 0, 1, 5]), minutes=chance.choice([0, 30])
            )
            event = {
                "person": f"p{person}",
                "event": chance.choice("abc"),
                "time": END - back + timedelta(microseconds=chance.choice([-1, 0, 0])),
                "properties": {"plan": chance.choice(["pro", "free"])},
            }
            if chance.random() < 0.3:
                event["person_properties"] = {"size": chance.choice(["s", "m", "l"])}
            events.append(event)
    # Of changes at one instant nobody can say which came last.
    seen: set[tuple[str, datetime]] = set()
    for event in events:
        if "person_properties" in event and (event["person"], event["time"]) in seen:
            del event["person_properties"]
        seen.add((event["person"], event["time"]))
    return events


within = st.none() | st.sampled_from(LENGTHS)


def given_only(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


did = st.builds(
    lambda selector, least, more, span: given_only(
        did=selector, at_least=least, at_most=None if more is None else (least or 0) + more, within=span
    ),
    st.sampled_from(SELECTORS),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(0, 2),
    within,
)
in_order = st.builds(
    lambda steps, window, span: given_only(in_order=steps, window=window, within=span),
    st.permutations(["a", "b", "c"]).map(lambda names: names[:2]) | st.permutations(["a", "b", "c"]),
    st.sampled_from(LENGTHS),
    within,
)
listed = st.builds(lambda ids: {"ids": ids}, st.lists(st.sampled_from(["p1", "p2", "p3", "nobody"]), max_size=3))
having = st.builds(lambda value: {"property": "size", "value": value}, st.sampled_from(["s", "m", "l"]))


def groups(inner: Any) -> Any:
    def built(every: list[Any], some: list[Any], none: list[Any]) -> dict[str, Any]:
        return {name: value for name, value in (("all", every), ("any", some), ("not", none)) if value}

    some = st.lists(inner, max_size=2)
    return st.builds(built, some, some, some).filter(bool)


moments = st.sampled_from(["2026-03-28", "2026-03-31", "2026-04-01", "2026-03-18T00:00:00+00:00", "2026-03-31T23:30:00+02:00"])
parts = st.recursive(
    did | in_order | listed | having,
    lambda inner: groups(inner) | st.builds(lambda segment, at: given_only(segment=segment, at=at), groups(inner), st.none() | moments),
    max_leaves=5,
)


SEEDS = seeds(200)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happened)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    segment=groups(parts),
    at=st.none() | moments,
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"]),
)
def test_any_segment_equals_the_oracle(world: Any, worlds: Worlds, seed: int, segment: dict[str, Any], at: str | None, zone: str) -> None:
    project, events = worlds[seed]
    # Looked at are the people of the events before the end, whoever they were in with at another moment.
    there = {event["person"] for event in events if event["time"] < END}
    then = {"all": [{"segment": segment, "at": at}]}
    assert members(world, project, segment, at, zone) == oracle_segment.members(then, events, END, zone) & there


def members(world: Any, project: str, segment: dict[str, Any], at: str | None, zone: str) -> set[str]:
    span = TimeRange(END - timedelta(days=365), END, zone)
    scope = EventScope(world.projects.by_id[project], now=END, range=span, week_start="monday", person=Sql("person_hash"))
    condition = scope.in_segment(SegmentFilter.model_validate({"segment": segment, "at": at}))
    text = "SELECT DISTINCT distinct_id FROM $events WHERE $scope AND $condition"
    statement = scope.complete(sql(text, events=scope.events(), scope=scope.where(), condition=condition))
    return {row[0] for row in world.store.query(statement).rows}


def people(ask: Any, events: list[dict[str, Any]], segment: Any, zone: str = "UTC", **more: Any) -> set[str]:
    """Who is in the segment when the range ends, seen through the filter of a trend."""
    question = {
        "kind": "trend",
        "series": [{"event": None}],
        "interval": "year",
        "date_from": "2020-01-01",
        "date_to": END.isoformat(),
        "timezone": zone,
        "breakdown": [{"property": "@distinct_id", "limit": 100}],
        "filters": [{"segment": segment}],
        **more,
    }
    rows = ask([{**event, "time": event["time"].isoformat()} for event in events], question, now=END)
    return {row["breakdown"] for row in rows if row["value"]}


def at(person: str, event: str, days: int, **more: Any) -> dict[str, Any]:
    return {"person": person, "event": event, "time": END - timedelta(days=days), **more}


def test_a_person_of_several_ids_is_one(ask: Any, world: Any) -> None:
    project = world.project()
    events = [at("old", "a", 3), at("new", "b", 2), at("other", "b", 1)]
    world.insert(project, [{**event, "time": event["time"].isoformat()} for event in events], same={"old": "new"})
    world.now = END
    question = {
        "kind": "trend",
        "series": [{"event": None, "measure": "unique"}],
        "interval": "year",
        "date_from": "2026-01-01",
        "filters": [{"segment": {"all": [{"in_order": ["a", "b"]}]}}],
    }
    assert [row["value"] for row in world.engine.ask(project, question).rows] == [1]


def test_properties_are_those_of_the_moment(ask: Any) -> None:
    events = [at("p", "a", 40, person_properties={"size": "s"}), at("p", "a", 2, person_properties={"size": "l"})]
    small = {"all": [{"property": "size", "value": "s"}]}
    assert people(ask, events, small) == set()
    assert people(ask, events, small, date_to=(END - timedelta(days=10)).isoformat()) == {"p"}


def test_a_segment_of_another_moment_is_told_apart(ask: Any) -> None:
    """Ten days before the end p was small."""
    events = [at("p", "a", 40, person_properties={"size": "s"}), at("p", "a", 2, person_properties={"size": "l"})]
    small = {"name": "small", "all": [{"property": "size", "value": "s"}]}
    question = {
        "kind": "trend",
        "series": ["a"],
        "interval": "year",
        "date_from": "2026-01-01",
        "breakdown": [{"segments": [{"segment": small}, {"segment": small, "at": (END - timedelta(days=10)).date().isoformat()}]}],
    }
    rows = ask([{**event, "time": event["time"].isoformat()} for event in events], question, now=END)
    assert {row["breakdown"]: row["value"] for row in rows} == {"small at 2026-03-22": 2}


def test_whoever_never_did_it_did_something_else(ask: Any) -> None:
    events = [at("buyer", "buy", 3), at("looker", "look", 3)]
    assert people(ask, events, {"all": [{"did": "buy", "at_most": 0}]}) == {"looker"}
    assert people(ask, events, {"not": [{"did": "buy"}]}) == {"looker"}


def test_segments_split_an_answer(ask: Any) -> None:
    events = [at("p", "a", 3), at("p", "a", 2), at("q", "a", 1), at("r", "a", 1), at("r", "b", 1)]
    question = {
        "kind": "trend",
        "series": ["a"],
        "interval": "year",
        "date_from": "2026-01-01",
        "breakdown": [
            {
                "segments": [
                    {"segment": {"name": "often", "all": [{"did": "a", "at_least": 2}]}},
                    {"segment": {"all": [{"did": "b"}]}},
                ]
            }
        ],
    }
    rows = ask([{**event, "time": event["time"].isoformat()} for event in events], question, now=END)
    assert {row["breakdown"]: row["value"] for row in rows} == {"often": 2, "segment 2": 1, "": 1}


@pytest.mark.parametrize(
    ("segment", "place", "words"),
    [
        ({}, "segment", "at least one condition"),
        ("nosuch", "segment", "There is no segment 'nosuch'"),
        ({"all": [{"did": "a", "at_least": 3, "at_most": 1}]}, "all.0", "most is 1, less than at_least, 3"),
        ({"all": [{"did": "a", "at_least": 0}]}, "all.0", "everybody meets"),
        ({"all": [{"did": "a", "within": "0 days"}]}, "all.0.within", ""),
        ({"all": [{"in_order": ["a"]}]}, "in_order", ""),
        ({"all": [{"in_order": ["a"] * 21}]}, "in_order", ""),
        ({"all": [{"property": "@browser", "value": "x"}]}, "all.0", "is of events, not of people"),
        ({"all": [{"did": "a", "att_least": 1}]}, "all.0.att_least", "There is no field"),
        ({"all": [{"segment": "other"}]}, "segment", "There is no segment 'other'"),
        ({"all": [{"segment": {"all": [{"did": "a"}]}, "at": "-30d"}]}, "at", "'-30d' is not a moment"),
        ({"all": [{"segment": {"all": [{"did": "a"}]}, "at": "0001-01-01"}]}, "at", "is not a moment from 1970 on"),
        ({"all": [{"segment": {"all": [{"did": "a"}]}, "at": "2026-02-30"}]}, "at", "is not a moment"),
        ({"all": [{"segment": {"all": [{"did": "a"}]}, "at": "9999-12-31"}]}, "at", "is not a moment"),
    ],
)
def test_what_is_refused(ask: Any, segment: Any, place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as refused:
        people(ask, [at("p", "a", 1)], segment)
    assert place in refused.value.place
    assert words in refused.value.message
