"""Retention against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_retention

from almanac.core.errors import AlmanacError

START = datetime(2026, 3, 1, tzinfo=UTC)
PRO = {"filters": [{"property": "plan", "value": "pro"}]}
SELECTORS = [{"event": "a"}, {"event": "b"}, {"event": "a", **PRO}]


def people(seed: int, hours: int) -> list[dict[str, Any]]:
    """Random events of 40 people within so many hours; some before the range."""
    chance = random.Random(seed)
    return [
        {
            "person": f"p{person}",
            "event": chance.choice("abc"),
            "time": START + timedelta(hours=chance.randrange(-hours // 4, hours), minutes=chance.choice([0, 0, 30])),
            "properties": {"plan": chance.choice(["pro", "free", "team", "", "Other"])},
        }
        for person in range(40)
        for _ in range(chance.randrange(0, 12))
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    period = draw(st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]))
    to = {"hour": "2026-03-02T05:30:00", "day": "2026-03-20", "week": "2026-04-20", "month": "2026-09-30"}.get(period, "2027-06-30")
    intervals = draw(st.none() | st.integers(1, 8))
    return {
        "kind": "retention",
        "start_event": draw(st.sampled_from(SELECTORS)),
        "return_event": draw(st.none() | st.sampled_from(SELECTORS)),
        "mode": draw(st.sampled_from(["recurring", "first_time"])),
        "rolling": draw(st.booleans()),
        "period": period,
        "intervals": intervals,
        "breakdown": draw(st.none() | st.fixed_dictionaries({"property": st.just("plan"), "limit": st.integers(1, 5)})),
        "date_from": draw(st.sampled_from(["2026-03-01", "2026-03-01T12:20:00"])),
        "date_to": draw(st.sampled_from([None, to])) if intervals else to,
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


LENGTHS = {"hour": 40, "day": 500, "week": 1500, "month": 5000, "quarter": 10000, "year": 20000}


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), question=questions(), part=st.floats(0.1, 1.2))
def test_any_retention_equals_the_oracle(ask: Any, seed: int, question: dict[str, Any], part: float) -> None:
    hours = LENGTHS[question["period"]]
    happened = people(seed, hours)
    now = START + timedelta(hours=max(24, round(hours * part)))
    rows = ask([{**event, "time": event["time"].isoformat()} for event in happened], question, now=now)
    expected = oracle_retention.retention(happened, question, now)
    assert [without_rate(row) for row in rows] == [without_rate(row) for row in expected]
    assert [row["rate"] for row in rows] == pytest.approx([row["rate"] for row in expected])


def without_rate(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "rate"}


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
    ],
)
def test_a_wrong_retention_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "retention", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value
