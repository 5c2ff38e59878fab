"""Trend against worked cases and against the oracle in plain Python."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_trend
from tests.analyses.behind import behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

START = datetime(2025, 12, 1, tzinfo=UTC)
PLANS = ["pro", "free", "team", "", None, True, 7, "Other"]
AMOUNTS = [None, 0, 1, 2.5, -3, "4", "x", True, 1e6]

SEEDS = seeds(200)


def happened(seed: int) -> list[dict[str, Any]]:
    """Random events, few or many."""
    chance = random.Random(seed)
    return [
        {
            "person": chance.choice(["ann", "bob", "cat", "dan", None]),
            "event": chance.choice(["visit", "order"]),
            "time": START + timedelta(seconds=chance.choice([chance.randrange(100 * 86400), 86400 * chance.randrange(100)])),
            "properties": {"plan": chance.choice(PLANS), "amount": chance.choice(AMOUNTS)},
        }
        for _ in range(chance.choice([0, 1, 2, 5, 10, 20, 40]))
    ]


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happened)


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


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), days=st.integers(20, 100))
def test_any_trend_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], days: int) -> None:
    project, events = worlds[seed]
    world.now = START + timedelta(days=days, hours=5)
    found = world.engine.ask(project, question)
    expected, undefined = oracle_trend.trend(events, question, world.now)
    assert [without_numbers(row) for row in found.rows] == [without_numbers(row) for row in expected]
    for row, wanted in zip(found.rows, expected, strict=True):
        assert row["value"] == pytest.approx(wanted["value"]), row
        assert row["previous"] == pytest.approx(wanted["previous"]), row
    told = {note.split(":")[0]: int(note.split()[2]) for note in found.receipt["notes"] if "divide by zero" in note}
    assert told == {name: count for name, count in undefined.items() if count}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), chance=st.randoms(use_true_random=False))
def test_the_people_behind_any_value_are_those_of_the_oracle(
    world: Any, worlds: Worlds, seed: int, question: dict[str, Any], chance: random.Random
) -> None:
    project, events = worlds[seed]
    world.now = START + timedelta(days=100)
    rows = world.engine.ask(project, question).rows
    asked = oracle_trend.Asked(events, question)
    for row in chance.sample(rows, min(3, len(rows))):
        assert behind(world, project, question, row, ["ann", "bob", "cat", "dan"]) == asked.people(row), row


def visits(seed: int) -> list[dict[str, Any]]:
    """Around the change of clocks on 29 March 2026 in Berlin, on 5 April on Lord Howe Island (by half an hour)."""
    chance = random.Random(seed)
    return [
        {
            "person": chance.choice(["ann", "bob", "cat", None]),
            "event": "visit",
            "time": datetime(2026, 3, 27, tzinfo=UTC) + timedelta(minutes=chance.choice([1, 30, 60]) * chance.randrange(10 * 24)),
            "properties": {},
        }
        for _ in range(chance.randrange(25))
    ]


@pytest.fixture(scope="module")
def visited(world: Any) -> Worlds:
    return Worlds(world, SEEDS[:60], visits)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.sampled_from(SEEDS[:60]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    hours=st.integers(1, 60),
    first=st.integers(28 * 24, 36 * 24),
    length=st.integers(1, 40),
)
def test_windows_by_hour_are_elapsed_time(world: Any, visited: Worlds, seed: int, zone: str, hours: int, first: int, length: int) -> None:
    """A window of n hours holds the hours that begin less than n hours before the period does, and the period."""
    begin = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=first)
    over = {"event": "visit", "over": f"{hours} hours"}
    question = {
        "kind": "trend",
        "series": [{**over, "measure": "unique", "name": "people"}, {**over, "name": "events"}],
        "interval": "hour",
        "timezone": zone,
        "date_from": begin.isoformat(),
        "date_to": (begin + timedelta(hours=length)).isoformat(),
    }
    project, events = visited[seed]
    world.now = datetime(2026, 5, 1, tzinfo=UTC)
    rows = world.engine.ask(project, question).rows
    inside = [event for event in events if event["time"] < begin + timedelta(hours=length)]
    for row in rows:
        period = datetime.fromisoformat(row["period"])
        mine = [event for event in inside if period - timedelta(hours=hours) < hour_of(event["time"], zone) <= period]
        expected = len({event["person"] for event in mine} - {None}) if row["series"] == "people" else len(mine)
        assert row["value"] == expected, row


def hour_of(moment: datetime, zone: str) -> datetime:
    """Hours count from local midnight, in elapsed time."""
    local = moment.astimezone(ZoneInfo(zone))
    midnight = datetime(local.year, local.month, local.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return midnight + (moment - midnight) // timedelta(hours=1) * timedelta(hours=1)


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
        ({"series": ["visit", {"formula": "A / B"}]}, "series.1.formula", "names B, which no line is"),
        ({"series": ["visit", {"formula": "A / a"}]}, "series.1.formula", "names a, which no line is"),
        ({"series": [{"formula": "A / B"}]}, "series.0.formula", "names A, B, which no line is"),
        ({"series": ["visit", {"formula": "1 + 2"}]}, "series.1", "names nothing"),
        ({"series": ["visit"], "formula": "1 + 2"}, "formula", "names no line"),
        ({"series": ["visit"], "formula": "A +"}, "formula", "is not a formula"),
        ({"series": ["visit"], "formula": "A / B"}, "formula", "names B, which no line is"),
        ({"series": [{"event": "visit", "name": "B"}, "order"], "formula": "A / B"}, "formula", "the letter of another"),
        ({"series": ["visit", {"formula": "A", "event": "order"}]}, "series.1", "no event"),
        ({"series": ["visit", {"formula": "x", "of": {"x": {"formula": "A"}}}]}, "series.1", "needs its own `of`"),
        ({"series": ["visit", {"formula": "x / y", "of": {"x": "order"}}]}, "series.1", "names y"),
        ({"series": [{"event": "visit", "hidden": True}]}, "series", "All lines are hidden"),
        ({"series": [{"event": "visit", "measure": "average", "property": "n", "over": "7 days"}]}, "series.0", "over goes with"),
        ({"series": [{"event": "visit", "over": "36 hours"}]}, "series.over", "not a whole number of days"),
        (
            {"series": [{"event": "visit", "over": "9 days"}], "interval": "minute", "last": "2 hours"},
            "series.over",
            "more than 1000 minutes",
        ),
        ({"series": [{"event": "visit", "over": "seven days"}]}, "series.0.over", "not a length of time"),
        ({"series": [{"event": "visit", "over": "7 days"}], "cumulative": True}, "series.0.over", "cannot run up"),
        ({"series": [{"event": "visit", "measure": "count", "per": "person"}]}, "series.0", "per person goes with"),
        ({"series": ["visit"], "moving_average": 3, "cumulative": True}, "", "moving_average does not go with"),
        ({"series": ["visit"], "moving_average": 1}, "moving_average", "greater than or equal to 2"),
        ({"series": ["visit"], "filters": [{"property": "plan", "op": "is"}]}, "filters.0.op", "'is' is not possible"),
        ({"series": ["visit"], "filters": [{"property": "plan", "op": "matches", "value": "("}]}, "filters", "regular expression"),
    ],
)
def test_a_wrong_question_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "trend", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words.lower() in caught.value.message.lower()) == (place, True), caught.value


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


def test_saved_formulas_are_lines_with_letters_and_filters_narrow_all_their_parts(world: Any) -> None:
    project = world.project()
    world.now = datetime(2026, 1, 6, tzinfo=UTC)
    times = {"time": "2026-01-05T09:00:00Z"}
    events = [
        {"person": "ann", "event": "visit", "properties": {"plan": "pro"}},
        {"person": "bob", "event": "visit", "properties": {"plan": "free"}},
        {"person": "ann", "event": "order", "properties": {"plan": "pro", "amount": 30}},
        {"person": "ann", "event": "order", "properties": {"plan": "pro", "amount": 20}},
        {"person": "bob", "event": "order", "properties": {"plan": "free", "amount": 10}},
    ]
    world.insert(project, [{**event, **times} for event in events])
    save = world.engine.definitions.save
    save(project, "metric", "revenue", {"event": "order", "measure": "sum", "property": "amount"})
    save(project, "metric", "order value", {"formula": "r / n", "of": {"r": {"metric": "revenue"}, "n": {"event": "order"}}})
    pro = [{"property": "plan", "value": "pro"}]
    share = {"formula": "part / whole", "of": {"part": {"metric": "order value", "filters": pro}, "whole": {"metric": "order value"}}}
    question = {
        "kind": "trend",
        "series": [
            {"metric": "order value"},
            {"metric": "order value", "filters": pro, "name": "of pro"},
            {"event": "visit", "hidden": True},
            {"metric": "order value", "hidden": True, "name": "unseen"},
            {"formula": "(A + B) / C", "name": "all"},
            {"name": "share", **share},
        ],
        "interval": "total",
        "date_from": "2026-01-05",
        "date_to": "2026-01-05",
    }
    found = world.engine.ask(project, question)
    assert {row["series"]: row["value"] for row in found.rows} == {"order value": 20, "of pro": 25, "all": 22.5, "share": 1.25}
    assert found.receipt["notes"] == []
    # What divides by zero within a formula is told of the formula around it too.
    nobody = {**question, "filters": [{"property": "plan", "value": "none"}]}
    assert [note.split(":")[0] for note in world.engine.ask(project, nobody).receipt["notes"]] == ["order value", "of pro", "all", "share"]
    by_plan = {**question, "breakdown": "plan", "series": [{"metric": "order value"}]}
    assert {row["breakdown"]: row["value"] for row in world.engine.ask(project, by_plan).rows} == {"pro": 25, "free": 10}
    row = world.engine.ask(project, by_plan).rows[0]
    assert behind(world, project, by_plan, row, ["ann", "bob"]) == ["ann"]


def test_over_says_nothing_by_week_and_the_receipt_says_so(answer: Any) -> None:
    events = [{"person": one, "event": "visit", "time": f"2026-01-{day}T09:00:00Z"} for one, day in (("ann", "04"), ("bob", "06"))]
    series = [{"event": "visit", "measure": "unique", "over": "30 days"}]
    found = answer(events, {"kind": "trend", "series": series, "interval": "week", "date_from": "2026-01-05", "date_to": "2026-01-11"})
    assert [row["value"] for row in found.rows] == [1]
    assert found.receipt["notes"] == ["By week, `over` says nothing: each week itself counts."]


def test_one_number_over_hours_is_that_of_the_hours_before_the_end(ask: Any) -> None:
    events = [{"person": one, "event": "visit", "time": f"2026-01-05T{time}Z"} for one, time in (("ann", "08:29:59"), ("bob", "08:30:00"))]
    question = {"kind": "trend", "series": [{"measure": "unique", "over": "12 hours"}], "interval": "total", "date_from": "2026-01-01"}
    assert [row["value"] for row in ask(events, question, now="2026-01-05T20:30:00Z")] == [1]


def test_lines_of_the_same_events_are_told_apart(ask: Any) -> None:
    pro = [{"property": "plan", "value": "pro"}]
    series = ["visit", {"event": "visit", "filters": pro}, {"event": "visit", "measure": "unique", "over": "7 days"}]
    rows = ask([], {"kind": "trend", "series": series, "interval": "total", "date_from": "2026-01-05"})
    assert [row["series"] for row in rows] == ["visit: count (1)", "visit: count (2)", "visit: unique over 7 days"]


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"series": "order", "period": "2026-01-05", "breakdown": "pro"}, "series"),
        ({"series": "visit", "period": "2026-01-04", "breakdown": "pro"}, "period"),
        ({"series": "visit", "breakdown": "pro"}, "period"),
        ({"series": "visit", "period": "2026-01-05"}, "breakdown"),
    ],
)
def test_people_of_a_row_that_the_answer_does_not_have_are_refused(world: Any, row: dict[str, Any], place: str) -> None:
    question = {"kind": "trend", "series": ["visit"], "breakdown": "plan", "date_from": "2026-01-05", "date_to": "2026-01-06"}
    with pytest.raises(AlmanacError) as caught:
        behind(world, world.project(), question, row, ["ann"])
    assert (caught.value.code, caught.value.place) == ("invalid", place)
