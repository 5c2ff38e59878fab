"""Funnels against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import csv
import gzip
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_funnel

from almanac.core.errors import AlmanacError

SHOP = Path(__file__).parents[2] / ".." / "shared" / "data" / "ecom_clickstream" / "ecom.csv.gz"

START = datetime(2026, 1, 5, tzinfo=UTC)
SELECTORS = [
    {"event": "a"},
    {"event": "b"},
    {"event": "c"},
    {"event": "a", "filters": [{"property": "plan", "value": "pro"}]},
    {"event": None},
]
NAMES = "abcdx"


def people(seed: int, count: int, events: int, spacing: int) -> list[dict[str, Any]]:
    """Random events of so many people: few names and few instants, so that steps repeat and coincide.

    At one instant a person has one plan: which of two would be the first to be touched is not said."""
    chance = random.Random(seed)
    plans = [chance.choice(["pro", "free", "team", "", "max"]) for _ in range(30)]
    moments = [(person, chance.randrange(0, 30)) for person in range(count) for _ in range(chance.randrange(0, events))]
    return [
        {
            "person": f"p{person}",
            "event": chance.choice(NAMES),
            "time": START + timedelta(minutes=spacing * moment),
            "properties": {"plan": plans[(moment + person) % 30]},
        }
        for person, moment in moments
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    order = draw(st.sampled_from(["ordered", "ordered", "strict", "any"]))
    # In any order the oracle is exact for steps that are the same or have no event in common.
    steps = draw(st.lists(st.sampled_from(SELECTORS[:3] if order == "any" else SELECTORS), min_size=1, max_size=4))
    count = len(steps)
    exclusions = []
    for _ in range(draw(st.integers(0, 2)) if count > 1 else 0):
        first = 1 if order == "any" else draw(st.integers(1, count - 1))
        last = count if order == "any" else draw(st.integers(first + 1, count))
        exclusions.append({"event": draw(st.sampled_from(["x", "d", "b"])), "from_step": first, "to_step": last})
    view = draw(st.sampled_from(["steps", "steps", "trend"] + ["time_to_convert"] * (count > 1)))
    last = draw(st.integers(2 if view == "time_to_convert" else 1, count))
    breakdown = draw(
        st.none()
        | st.fixed_dictionaries(
            {
                "property": st.just("plan"),
                "limit": st.integers(1, 5),
                "attribution": st.sampled_from(["first_touch", "last_touch", "all_steps", "step"]),
                "attribution_step": st.integers(1, count),
            }
        )
    )
    return {
        "kind": "funnel",
        "steps": steps,
        "order": order,
        "window": timedelta(minutes=draw(st.sampled_from([1, 30, 60, 180, 1440, 100_000]))),
        "exclusions": exclusions,
        "breakdown": breakdown,
        "view": view,
        "interval": draw(st.sampled_from(["day", "week", "month"])),
        "from_step": draw(st.integers(1, last - 1 if view == "time_to_convert" else last)),
        "to_step": last,
        "bins": draw(st.none() | st.integers(1, 6)),
        "date_from": draw(st.sampled_from(["2026-01-05", "2026-01-06"])),
        "date_to": draw(st.sampled_from(["2026-01-06", "2026-01-07T03:00:00", "2026-01-20"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])),
    }


def asked(question: dict[str, Any]) -> dict[str, Any]:
    return {**question, "window": {"value": question["window"] / timedelta(minutes=1), "unit": "minute"}}


def written(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "time": event["time"].isoformat()} for event in events]


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    events=st.integers(2, 12),
    spacing=st.sampled_from([1, 10, 60, 240]),
    question=questions(),
    day=st.integers(1, 20),
)
def test_any_funnel_equals_the_oracle(ask: Any, seed: int, events: int, spacing: int, question: dict[str, Any], day: int) -> None:
    happened = people(seed, 40, events, spacing)
    now = START + timedelta(days=day)
    rows = ask(written(happened), asked(question), now=now)
    expected = oracle_funnel.funnel(happened, question, now)
    same(rows, expected)


def same(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        for name, value in wanted.items():
            assert row[name] == (pytest.approx(value) if isinstance(value, float) else value), (name, row, wanted)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), question=questions())
def test_twenty_steps_over_years_need_wider_marks(ask: Any, seed: int, question: dict[str, Any]) -> None:
    """Their bits and ten years in microseconds are more than one machine word holds."""
    if question["view"] == "trend":
        question |= {"interval": "month"}
    steps = (question["steps"] * 20)[:20]
    exclusions = [{**item, "from_step": 1, "to_step": 20} for item in question["exclusions"]]
    question |= {"steps": steps, "exclusions": exclusions, "date_from": "2016-01-01", "date_to": "2026-03-01"}
    happened = people(seed, 6, 60, 10)
    rows = ask(written(happened), asked(question), now=START + timedelta(days=30))
    same(rows, oracle_funnel.funnel(happened, question, START + timedelta(days=30)))


OVERLAPPING = st.lists(
    st.sampled_from([*SELECTORS, {"event": "b", "filters": [{"property": "plan", "value": "pro"}]}]), min_size=2, max_size=4
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), steps=OVERLAPPING, minutes=st.sampled_from([30, 60, 1440]))
def test_in_any_order_an_event_stands_for_one_step_only(ask: Any, seed: int, steps: list[dict[str, Any]], minutes: int) -> None:
    """Where steps overlap, nobody is further than the best way to give his events to the steps allows."""
    happened = people(seed, 1, 12, 10)
    rows = ask(
        written(happened),
        {
            "kind": "funnel",
            "steps": steps,
            "order": "any",
            "window": f"{minutes} minutes",
            "date_from": "2026-01-05",
            "date_to": "2026-01-06",
        },
    )
    level = sum(row["count"] for row in rows)
    happened.sort(key=lambda event: event["time"])
    windows = [[e for e in happened if timedelta(0) <= e["time"] - s["time"] <= timedelta(minutes=minutes)] for s in happened]
    most = max((matching(window, steps) for window in windows), default=0)
    assert min(most, 1) <= level <= most


def matching(events: list[dict[str, Any]], steps: list[dict[str, Any]]) -> int:
    """The most steps that can each have an event of their own (augmenting paths)."""
    taken: dict[int, int] = {}

    def give(step: int, tried: set[int]) -> bool:
        for place, event in enumerate(events):
            if place not in tried and oracle_funnel.matches(event, steps[step]):
                tried.add(place)
                if place not in taken or give(taken[place], tried):
                    taken[place] = step
                    return True
        return False

    return sum(give(step, set()) for step in range(len(steps)))


def test_the_shop_of_the_clickstream(ask: Any) -> None:
    """1022 sessions reached the cart, 512 the shipping details, 173 the purchase (counted with an independent program)."""
    if not SHOP.exists():
        pytest.skip("the shared folder with the shop's clickstream is not beside this checkout")
    with gzip.open(SHOP, "rt") as file:
        events = [
            {"person": line["session_id"], "event": line["event"], "time": line["timestamp"]}
            for line in csv.DictReader(file)
            if line["event"] in ("cart", "shipping_details", "purchase")
        ]
    steps = ["cart", "shipping_details", "purchase"]
    rows = ask(events, {"kind": "funnel", "steps": steps, "date_from": "2020-01-01", "date_to": "2025-12-31"})
    assert [row["count"] for row in rows] == [1022, 512, 173]


def at(person: str, event: str, minute: int, **properties: Any) -> dict[str, Any]:
    return {"person": person, "event": event, "time": (START + timedelta(minutes=minute)).isoformat(), "properties": properties}


JANUARY = {"kind": "funnel", "date_from": "2026-01-05", "date_to": "2026-01-31"}


def test_of_two_runs_the_first_to_get_there_counts(ask: Any) -> None:
    """Two visits lead to one order, so the later of them counts: 20 minutes. The order of the next day took longer and came later."""
    events = [at("ann", "visit", 0), at("ann", "visit", 10), at("ann", "order", 30), at("ann", "visit", 1440), at("ann", "order", 1500)]
    rows = ask(events, {**JANUARY, "steps": ["visit", "order"]})
    assert rows[1]["average_seconds_from_previous"] == 20 * 60


def test_the_limit_of_the_window_belongs_to_it(ask: Any) -> None:
    """Ann takes 30 minutes to the microsecond, bob a microsecond more."""
    late = (START + timedelta(minutes=30, microseconds=1)).isoformat()
    events = [at("ann", "a", 0), at("ann", "b", 30), at("bob", "a", 0), {"person": "bob", "event": "b", "time": late}]
    rows = ask(events, {**JANUARY, "steps": ["a", "b"], "window": "30 minutes"})
    assert [row["count"] for row in rows] == [2, 1]


def test_starts_at_one_instant_are_one_run(ask: Any) -> None:
    """Ann's two signups are at one instant and complete the funnel; the help after them would spoil a run of the second alone."""
    events = [at("ann", "signup", 0), at("ann", "signup", 0), at("ann", "help", 5)]
    question = {**JANUARY, "steps": ["signup", "signup"], "exclusions": [{"event": "help"}]}
    assert [row["count"] for row in ask(events, question)] == [1, 1]


def test_merged_ids_are_one_person(ask: Any) -> None:
    events = [at("phone", "signup", 0), at("web", "order", 5)]
    assert [row["count"] for row in ask(events, {**JANUARY, "steps": ["signup", "order"]}, same={"phone": "ann", "web": "ann"})] == [1, 1]


def test_events_of_no_person_are_in_no_funnel(ask: Any) -> None:
    events = [{"person": "", "event": "signup", "time": START.isoformat()}]
    assert [row["count"] for row in ask(events, {**JANUARY, "steps": ["signup"]})] == [0]


def test_a_step_may_hold_several_values_of_a_person(ask: Any) -> None:
    """Ann orders with card and by invoice: by the value at the order she stands under both; bob, who did not order, under none."""
    events = [at("ann", "visit", 0), at("ann", "order", 5, by="card"), at("ann", "order", 9, by="invoice"), at("bob", "visit", 0)]
    breakdown = {"property": "by", "attribution": "step", "attribution_step": 2}
    rows = ask(events, {**JANUARY, "steps": ["visit", "order"], "breakdown": breakdown})
    assert [(row["breakdown"], row["step"], row["count"], row["average_seconds_from_previous"]) for row in rows] == [
        ("", 1, 1, None),
        ("", 2, 0, None),
        ("card", 1, 1, None),
        ("card", 2, 1, 300.0),
        ("invoice", 1, 1, None),
        ("invoice", 2, 1, 540.0),
    ]


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({"steps": []}, "steps", "at least 1 item"),
        ({"steps": ["a"] * 21}, "steps", "at most 20 items"),
        ({"steps": ["a", "b"], "window": "soon"}, "window", "not a length of time"),
        ({"steps": ["a", "b"], "window": {"value": 0}}, "window.value", "greater than 0"),
        ({"steps": ["a", "b"], "exclusions": [{"event": "x", "from_step": 2}]}, "", "between a step and a later one"),
        ({"steps": ["a", "b", "c"], "order": "any", "exclusions": [{"event": "x", "to_step": 2}]}, "", "over all steps"),
        ({"steps": ["a", "b"], "breakdown": {"property": "p", "attribution": "step", "attribution_step": 3}}, "", "there are 2 steps"),
        ({"steps": ["a", "b"], "view": "time_to_convert", "from_step": 2}, "", "before to_step"),
        ({"steps": ["a", "b"], "view": "trend", "to_step": 3}, "", "before to_step"),
        ({"steps": ["a"], "view": "trend", "interval": "hour", "date_from": "2020-01-01"}, "interval", "more than 2000 periods"),
    ],
)
def test_a_wrong_funnel_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "funnel", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value
