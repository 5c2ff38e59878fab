"""Trend against worked cases and against the oracle in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_trend

from almanac.core.errors import AlmanacError

START = datetime(2025, 12, 1, tzinfo=UTC)
PLANS = ["pro", "free", "team", "", None, True, 7, "Other"]
AMOUNTS = [None, 0, 1, 2.5, -3, "4", "x", True, 1e6]

EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "person": st.sampled_from(["ann", "bob", "cat", "dan", None]),
            "event": st.sampled_from(["visit", "order"]),
            "time": st.integers(0, 100 * 86400).map(lambda seconds: START + timedelta(seconds=seconds)),
            "properties": st.fixed_dictionaries({"plan": st.sampled_from(PLANS), "amount": st.sampled_from(AMOUNTS)}),
        }
    ),
    max_size=40,
)
MEASURES = ["count", "unique", "sum", "average", "min", "max", "median", "quantile", "count_per_person"]
OVER = st.sampled_from([None, None, "1 day", "3 days", "30 days"])


@st.composite
def parts(draw: st.DrawFn, measures: Sequence[str] = MEASURES, *, over: bool = True) -> dict[str, Any]:
    part: dict[str, Any] = {
        "event": draw(st.sampled_from(["visit", "order", None])),
        "measure": draw(st.sampled_from(measures)),
        "property": "amount",
        "quantile": draw(st.sampled_from([0.0, 0.25, 0.9, 1.0])),
    }
    if over and part["measure"] in ("count", "unique", "sum"):
        part["over"] = draw(OVER)
    if part["measure"] in ("average", "min", "max", "median", "quantile") and draw(st.booleans()):
        part |= {"per": "person", "property": draw(st.sampled_from(["amount", None]))}
    return part


@st.composite
def lines(draw: st.DrawFn, *, cumulative: bool) -> list[dict[str, Any]]:
    some = []
    for _ in range(draw(st.integers(0, 3))):
        hidden = draw(st.booleans())
        alone = parts(["count", "unique", "sum"], over=False) if cumulative and not hidden else parts()
        some.append({**draw(alone), "hidden": hidden})
    for _ in range(draw(st.integers(0, 2))):
        formula: dict[str, Any] = {"formula": draw(st.sampled_from(sorted(oracle_trend.FORMULAS)))}
        if len([line for line in some if "formula" not in line]) < 2 or draw(st.booleans()):
            formula["of"] = {"A": draw(parts()), "B": draw(parts())}
        some.append(formula)
    # Lines with parts of their own have letters too: those over letters come first.
    some.sort(key=lambda line: ("formula" in line, "of" in line))
    assume(any(not line.get("hidden") for line in some))
    return [{**line, "name": f"line {place}"} for place, line in enumerate(some)]


BREAKDOWN = st.lists(
    st.fixed_dictionaries({"property": st.sampled_from(["plan", "amount"]), "limit": st.integers(1, 4)}),
    max_size=2,
    unique_by=lambda item: item["property"],
)
ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu", "America/Santiago"]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    cumulative = draw(st.booleans())
    interval = draw(st.sampled_from(["day", "day", "week", "month", "year", "total"]))
    first = START.date() + timedelta(days=draw(st.integers(20, 70)))
    return {
        "kind": "trend",
        "series": draw(lines(cumulative=cumulative)),
        "interval": interval,
        "breakdown": draw(BREAKDOWN),
        "compare": draw(st.sampled_from([None, "previous_period", "previous_day", "previous_week", "previous_month", "previous_year"])),
        "cumulative": cumulative,
        "moving_average": None if cumulative or interval == "total" else draw(st.sampled_from([None, 2, 5])),
        "date_from": first.isoformat(),
        "date_to": (first + timedelta(days=draw(st.integers(0, 20)))).isoformat(),
        "timezone": draw(st.sampled_from(ZONES)),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS, question=questions(), now=st.integers(20, 100).map(lambda days: START + timedelta(days=days, hours=5)))
def test_any_trend_equals_the_oracle(answer: Any, events: list[dict[str, Any]], question: dict[str, Any], now: datetime) -> None:
    found = answer([{**event, "time": event["time"].isoformat()} for event in events], question, now=now)
    expected, undefined = oracle_trend.trend(events, question, now)
    assert [without_numbers(row) for row in found.rows] == [without_numbers(row) for row in expected]
    for row, wanted in zip(found.rows, expected, strict=True):
        assert row["value"] == pytest.approx(wanted["value"]), row
        assert row["previous"] == pytest.approx(wanted["previous"]), row
    told = {note.split(":")[0]: int(note.split()[2]) for note in found.receipt["notes"] if "divide by zero" in note}
    assert told == {name: count for name, count in undefined.items() if count}


def without_numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("value", "previous")}


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({"series": []}, "series", "at least 1 item"),
        ({"series": [{"event": "visit", "measure": "sum"}]}, "series.0", "needs a property"),
        ({"series": [{"event": "visit", "measure": "mode"}]}, "series.0.measure", "'mode' is not possible"),
        ({"series": ["visit"], "colour": 1}, "colour", "no field 'colour'"),
        ({"series": ["visit"], "interval": "minute", "date_from": "2020-01-01"}, "interval", "more than 10000 periods"),
        ({"series": ["visit"], "timezone": "Mars"}, "timezone", "no time zone 'Mars'"),
        ({"series": ["visit"], "breakdown": ["@nothing"]}, "property", "no built-in column"),
        ({"series": [{"event": "visit", "measure": "average", "property": "n"}], "cumulative": True}, "series.0.measure", "cannot run up"),
        ({"series": ["visit"], "filters": [{"property": "plan", "op": "is"}]}, "filters.0.op", "'is' is not possible"),
        ({"series": ["visit"], "filters": [{"property": "plan", "op": "matches", "value": "("}]}, "filters", "regular expression"),
    ],
)
def test_a_wrong_question_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "trend", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value


def test_a_spring_day_of_23_hours(ask: Any) -> None:
    """On 29 March 2026 clocks in Berlin go from 2 to 3: the day has no hour 2, and 00:30 UTC is 1:30 and 1:30 UTC is 3:30."""
    events = [{"person": "ann", "event": "visit", "time": f"2026-03-29T0{hour}:30:00Z"} for hour in (0, 1)]
    day = {"kind": "trend", "series": ["visit"], "interval": "hour", "date_from": "2026-03-29", "date_to": "2026-03-29"}
    rows = ask(events, {**day, "timezone": "Europe/Berlin"}, now="2026-04-01T00:00:00Z")
    assert len(rows) == 23
    assert [(row["period"], row["value"]) for row in rows[:4]] == [
        ("2026-03-29T00:00:00+01:00", 0),
        ("2026-03-29T01:00:00+01:00", 1),
        ("2026-03-29T03:00:00+02:00", 1),
        ("2026-03-29T04:00:00+02:00", 0),
    ]


def test_a_day_that_has_begun_is_compared_with_the_same_hours(ask: Any) -> None:
    events = [
        {"person": "ann", "event": "visit", "time": time}
        for time in ("2026-01-08T11:00:00Z", "2026-01-06T11:00:00Z", "2026-01-06T13:00:00Z")
    ]
    rows = ask(
        events,
        {"kind": "trend", "series": ["visit"], "date_from": "-1d", "compare": "previous_period"},
        now="2026-01-08T12:00:00Z",
    )
    # Now is noon of the 8th. The range is the 7th and the morning of the 8th; before it lie the 5th and the morning of the 6th.
    assert [(row["period"], row["value"], row["previous"], row["complete"]) for row in rows] == [
        ("2026-01-07", 0, 0, True),
        ("2026-01-08", 1, 1, False),
    ]


def test_breakdown_by_a_property_of_people_follows_merged_ids(ask: Any) -> None:
    """Ann's plan was set on her phone; what she did on the web belongs to the same person."""
    events = [
        {"person": "phone", "event": "visit", "time": "2026-01-05T09:00:00Z", "person_properties": {"plan": "free"}},
        {"person": "web", "event": "visit", "time": "2026-01-05T10:00:00Z"},
        {"person": "bob", "event": "visit", "time": "2026-01-05T11:00:00Z", "person_properties": {"plan": "free"}},
        {"person": "bob", "event": "order", "time": "2026-01-05T12:00:00Z", "person_properties": {"plan": "pro"}},
        {"person": "eve", "event": "visit", "time": "2026-01-05T13:00:00Z"},
    ]
    question = {
        "kind": "trend",
        "series": [{"event": "visit"}, {"event": "visit", "measure": "unique"}],
        "interval": "total",
        "breakdown": [{"property": "plan", "of": "person"}],
        "date_from": "2026-01-05",
    }
    rows = ask(events, question, same={"phone": "ann", "web": "ann"})
    assert [(row["series"], row["breakdown"], row["value"]) for row in rows] == [
        ("visit: count", "free", 2),
        ("visit: count", "", 1),
        ("visit: count", "pro", 1),
        ("visit: unique", "free", 1),
        ("visit: unique", "", 1),
        ("visit: unique", "pro", 1),
    ]
