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
from tests.analyses.behind import behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError
from almanac.core.ports import Definition

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

    At one instant a person has one plan (which of two would be the first to be touched is not said), one product and one session."""
    chance = random.Random(seed)
    plans = [chance.choice(["pro", "free", "team", "", "max"]) for _ in range(30)]
    products = [chance.choice(["hat", "coat", "hat", ""]) for _ in range(30)]
    visits = [chance.choice(["", "", "one", "two"]) for _ in range(10)]
    moments = [(person, chance.randrange(0, 30)) for person in range(count) for _ in range(chance.randrange(0, events))]
    return [
        {
            "person": f"p{person}",
            "event": chance.choice(NAMES),
            "time": START + timedelta(minutes=spacing * moment),
            "properties": {"plan": plans[(moment + person) % 30], "product": products[(moment * 7 + person) % 30]},
            "session_id": visits[(moment // 5 + person) % 10],
        }
        for person, moment in moments
    ]


MINUTES = st.sampled_from([1, 10, 30, 60, 180]).map(lambda minutes: timedelta(minutes=minutes))


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    order = draw(st.sampled_from(["ordered", "ordered", "strict", "any"]))
    counted = draw(st.sampled_from(["people", "people", "sessions"] + ["runs"] * 2 * (order != "any")))
    # In any order the oracle is exact for steps that are the same or have no event in common.
    steps = draw(st.lists(st.sampled_from(SELECTORS[:3] if order == "any" else SELECTORS), min_size=1, max_size=4))
    count = len(steps)
    if order != "any" and draw(st.booleans()):
        steps = [{**step, "within": draw(st.none() | MINUTES)} if place else step for place, step in enumerate(steps)]
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
        "within": draw(st.sampled_from(["person", "person", "session"])),
        "session_timeout": draw(MINUTES),
        "count": counted,
        "reentry": draw(st.sampled_from(["always", "after", "never"])) if order == "ordered" else "always",
        "hold": draw(st.sampled_from([[], [], ["product"], ["product", "plan"]])),
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
    steps = [{**step, "within": length(step["within"])} if step.get("within") else step for step in question["steps"]]
    return {**question, "steps": steps, "window": length(question["window"]), "session_timeout": length(question["session_timeout"])}


def length(of: timedelta) -> dict[str, Any]:
    return {"value": of / timedelta(minutes=1), "unit": "minute"}


def written(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "time": event["time"].isoformat()} for event in events]


# Seed, people, most events of each, minutes between their instants.
MANY = [(seed, 40, 2 + place % 11, (1, 10, 60, 240)[place % 4]) for place, seed in enumerate(seeds(220))]
LONG = [(seed, 6, 60, 10) for seed in seeds(30)]
ALONE = [(seed, 1, 12, 10) for seed in seeds(100)]
Key = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, [*MANY, *LONG, *ALONE], lambda key: people(*key))


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    key=st.sampled_from(MANY),
    question=questions(),
    day=st.integers(1, 20),
    converted=st.sampled_from([None, True, False]),
)
def test_any_funnel_equals_the_oracle(
    world: Any, worlds: Worlds, key: Key, question: dict[str, Any], day: int, converted: bool | None
) -> None:
    project, happened = worlds[key]
    world.now = START + timedelta(days=day)
    rows = world.engine.ask(project, asked(question), fresh=True).rows
    same(rows, oracle_funnel.funnel(happened, question, world.now))
    for row in rows[key[0] % 3 :: max(1, len(rows) // 2)]:
        if converted is False and (row.get("step") == 1 or question["view"] == "time_to_convert"):
            continue
        asked_row = row if converted is None else {**row, "converted": converted}
        expected = oracle_funnel.behind(happened, question, world.now, row, converted)
        assert behind(world, project, asked(question), asked_row, {event["person"] for event in happened}) == expected


def same(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        for name, value in wanted.items():
            assert row[name] == (pytest.approx(value) if isinstance(value, float) else value), (name, row, wanted)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(LONG), question=questions())
def test_twenty_steps_over_years_need_wider_marks(world: Any, worlds: Worlds, key: Key, question: dict[str, Any]) -> None:
    """Their bits and ten years in microseconds are more than one machine word holds."""
    if question["view"] == "trend":
        question |= {"interval": "month"}
    steps = (question["steps"] * 20)[:20]
    exclusions = [{**item, "from_step": 1, "to_step": 20} for item in question["exclusions"]]
    question |= {"steps": steps, "exclusions": exclusions, "date_from": "2016-01-01", "date_to": "2026-03-01"}
    project, happened = worlds[key]
    world.now = START + timedelta(days=30)
    same(world.engine.ask(project, asked(question), fresh=True).rows, oracle_funnel.funnel(happened, question, world.now))


TRAITS = [(seed, 40, 2 + place % 11, 10) for place, seed in enumerate(seeds(200))]


@pytest.fixture(scope="module")
def traits(world: Any) -> Worlds:
    """Every seventh person has a plan of his own."""

    def made(key: Key) -> list[dict[str, Any]]:
        early = key[0] % 7
        return [
            {**event, "person_properties": {"plan": "early" if int(event["person"][1:]) % 7 == early else ""}} for event in people(*key)
        ]

    return Worlds(world, TRAITS, made)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    key=st.sampled_from(TRAITS),
    question=questions().filter(lambda question: len(question["steps"]) > 1),
    correlate=st.sampled_from(["events", "event_properties", "person_properties"]),
    to_step=st.integers(2, 4),
    converted=st.sampled_from([None, True, False]),
)
def test_what_goes_with_conversion_equals_the_oracle(
    world: Any, traits: Worlds, key: Key, question: dict[str, Any], correlate: str, to_step: int, converted: bool | None
) -> None:
    seed = key[0]
    project, happened = traits[key]
    of_people = {event["person"]: event["person_properties"] for event in happened}
    names = [] if correlate == "events" else ["plan"] if correlate == "person_properties" else ["plan", "product"]
    last = min(to_step, len(question["steps"]))
    question |= {"view": "correlation", "breakdown": None, "count": "people", "from_step": 1 + seed % (last - 1), "to_step": last}
    question |= {"correlate": correlate, "properties": names, "limit": 500}
    world.now = START + timedelta(days=20)
    rows = world.engine.ask(project, asked(question), fresh=True).rows
    expected = oracle_funnel.correlation(happened, question, world.now, of_people)
    same(rows, expected)
    for row in rows[:2]:
        asked_row = row if converted is None else {**row, "converted": converted}
        having = oracle_funnel.having(happened, question, world.now, of_people)[row["property"], row["value"]]
        wanted = sorted(person for person, did in having if converted in (None, did))
        assert behind(world, project, asked(question), asked_row, of_people) == wanted


OVERLAPPING = st.lists(
    st.sampled_from([*SELECTORS, {"event": "b", "filters": [{"property": "plan", "value": "pro"}]}]), min_size=2, max_size=4
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from(ALONE), steps=OVERLAPPING, minutes=st.sampled_from([30, 60, 1440]))
def test_in_any_order_an_event_stands_for_one_step_only(
    world: Any, worlds: Worlds, key: Key, steps: list[dict[str, Any]], minutes: int
) -> None:
    """Where steps overlap, nobody is further than the best way to give his events to the steps allows."""
    project, made = worlds[key]
    world.now = START + timedelta(days=20)
    question = {"kind": "funnel", "steps": steps, "order": "any", "window": f"{minutes} minutes", "date_from": "2026-01-05"}
    rows = world.engine.ask(project, {**question, "date_to": "2026-01-06"}, fresh=True).rows
    level = sum(row["count"] for row in rows)
    happened = sorted(made, key=lambda event: event["time"])
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


def test_statements_about_people_are_in_no_session(ask: Any) -> None:
    """Ann's identify lies between her search and her order, 40 minutes apart: it does not bridge the pause, and is no step itself."""
    events = [at("ann", "search", 0), {**at("ann", "known", 20), "kind": "identify"}, at("ann", "order", 40)]
    question = {**JANUARY, "steps": ["search", "order"], "within": "session"}
    assert [row["count"] for row in ask(events, question)] == [1, 0]
    assert [row["count"] for row in ask(events, {**question, "session_timeout": "40 minutes"})] == [1, 1]
    assert [row["count"] for row in ask(events, {**question, "steps": ["known"]})] == [0]


def test_a_built_in_column_may_be_held(ask: Any) -> None:
    """Ann looks around in one country and orders in another; bob stays in his."""
    events = [
        {**at("ann", "search", 0), "country": "FR"},
        {**at("ann", "order", 5), "country": "DE"},
        {**at("bob", "search", 0), "country": "DE"},
        {**at("bob", "order", 5), "country": "DE"},
    ]
    assert [row["count"] for row in ask(events, {**JANUARY, "steps": ["search", "order"], "hold": ["@country"]})] == [2, 1]


def test_a_saved_metric_keeps_its_place_in_the_funnel(world: Any) -> None:
    """The limit of a step and the place of an exclusion are the funnel's own, whatever stands for the events."""
    project = world.project()
    world.now = START + timedelta(days=10)
    world.insert(project, [at("ann", "visit", 0), at("ann", "pay", 20), at("ann", "order", 30)])
    for name, event in (("orders", "order"), ("payments", "pay")):
        world.projects.save_definition(project, Definition("metric", name, {"event": event}))
    late = {**JANUARY, "steps": ["visit", {"metric": "orders", "within": "10 minutes"}]}
    assert [row["count"] for row in world.engine.ask(project, late).rows] == [1, 0]
    after_payment = {**JANUARY, "steps": ["visit", "pay", "order"], "exclusions": [{"metric": "payments", "from_step": 2}]}
    assert [row["count"] for row in world.engine.ask(project, after_payment).rows] == [1, 1, 1]


def test_blocks_of_starts_are_one_after_another(ask: Any) -> None:
    """3000 visits a second apart, each run open for 10 seconds: one visit in eleven starts a run, over all blocks."""
    events = [{"person": "ann", "event": "visit", "time": (START + timedelta(seconds=second)).isoformat()} for second in range(3000)]
    rows = ask(events, {**JANUARY, "steps": ["visit", "order"], "window": "10 seconds", "count": "runs", "reentry": "after"})
    assert [row["count"] for row in rows] == [273, 0]


def test_strongest_evidence_is_shown_first_when_there_is_much(ask: Any) -> None:
    """Of a thousand values that one person each has, and one that all who paid have, the latter alone is significant."""
    events = []
    for number in range(1000):
        name = f"p{number}"
        events += [at(name, "signup", 0), at(name, "look", 1, page=f"page {number}", plan="pro" if number < 300 else "free")]
        events += [at(name, "pay", 2)] * (number < 200)
    correlation = {"view": "correlation", "correlate": "event_properties", "properties": ["page", "plan"], "limit": 3}
    rows = ask(events, {**JANUARY, "steps": ["signup", "pay"], **correlation})
    assert [(row["value"], row["success_count"], row["failure_count"], row["significant"]) for row in rows] == [
        ("pro", 200, 100, True),
        ("page 0", 1, 0, False),
        ("free", 0, 700, True),
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
        ({"steps": [{"event": "a", "within": "1 hour"}, "b"]}, "", "the first step does not have"),
        ({"steps": ["a", {"event": "b", "within": "1 hour"}], "order": "any"}, "", "use window instead of within"),
        ({"steps": ["a", {"event": "b", "within": "0 days"}]}, "steps.1.within.value", "greater than 0"),
        ({"steps": ["a", "b"], "order": "any", "count": "runs"}, "", "count people or sessions"),
        ({"steps": ["a", "b"], "order": "strict", "reentry": "after"}, "", "goes with the order ordered"),
        ({"steps": ["a", "b"], "hold": [{"property": "p", "of": "person"}]}, "hold.0.of", "not possible here"),
        ({"steps": ["a", "b"], "hold": ["@planet"]}, "property", "no built-in column"),
        ({"steps": ["a", "b"], "exclusions": [{"event": "x", "from_step": "c"}]}, "", "step is called 'c'"),
        ({"steps": ["a", "b", "a"], "exclusions": [{"event": "x", "from_step": "a"}]}, "", "steps are called 'a'"),
        ({"steps": ["a", "b"], "view": "correlation", "count": "runs"}, "", "compares people"),
        ({"steps": ["a", "b"], "view": "correlation", "properties": ["p"]}, "", "takes no properties"),
        ({"steps": ["a", "b"], "view": "correlation", "correlate": "event_properties"}, "", "names those to correlate with"),
        ({"steps": ["a"], "view": "correlation"}, "", "before to_step"),
        ({"steps": ["a"], "view": "trend", "interval": "hour", "date_from": "2020-01-01"}, "interval", "more than 2000 periods"),
    ],
)
def test_a_wrong_funnel_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "funnel", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value


@pytest.mark.parametrize(
    ("question", "row", "place"),
    [
        ({}, {}, "step"),
        ({}, {"step": 3}, "step"),
        ({}, {"step": 1, "converted": False}, "step"),
        ({}, {"step": 2, "converted": "no"}, "converted"),
        ({"breakdown": "plan"}, {"step": 1}, "breakdown"),
        ({"view": "trend"}, {"period": "2025-01-05"}, "period"),
        ({"view": "time_to_convert"}, {"bin_start_seconds": 5}, "bin_start_seconds"),
        ({"view": "time_to_convert"}, {"bin_start_seconds": 5, "bin_end_seconds": 6, "converted": False}, "converted"),
        ({"view": "correlation"}, {"property": "plan", "value": "pro"}, "property"),
        ({"view": "correlation"}, {"property": "@event"}, "value"),
    ],
)
def test_a_row_that_the_answer_cannot_have_is_refused(world: Any, question: dict[str, Any], row: dict[str, Any], place: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        behind(world, world.project(), {**JANUARY, "steps": ["a", "b"], **question}, row, [])
    assert (caught.value.code, caught.value.place) == ("invalid", place)
