"""Distribution against its oracle, the people behind its rows, and what it refuses."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_distribution
from tests.analyses.behind import behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

START = datetime(2026, 1, 5, tzinfo=UTC)
PEOPLE = ["ann", "bob", "cat", "dan", "eve", "fay"]
DAYS = {"date_from": "2026-01-05", "date_to": "2026-01-14"}

SEEDS = seeds(200)


def happened(seed: int) -> list[dict[str, Any]]:
    """Random events, few or many."""
    chance = random.Random(seed)
    return [
        {
            "person": chance.choice([*PEOPLE, None]),
            "event": chance.choice(["visit", "order"]),
            "time": START + timedelta(seconds=chance.randrange(10 * 86400)),
            "properties": {
                "plan": chance.choice(["pro", "free", "team", None, "Other"]),
                "amount": chance.choice([None, 0, 1, 2.5, -3, "40", "x", True, 0.125, 1000, 7]),
            },
        }
        for _ in range(chance.choice([0, 1, 2, 5, 10, 20, 40]))
    ]


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happened)


QUESTIONS = st.fixed_dictionaries(
    {
        "kind": st.just("distribution"),
        "of": st.fixed_dictionaries(
            {
                "event": st.sampled_from(["visit", "order", None]),
                "measure": st.sampled_from(["count", "count", "sum", "average", "min", "max", "median", "quantile"]),
                "property": st.just("amount"),
                "quantile": st.sampled_from([0.0, 0.25, 1.0]),
            }
        ),
        "bins": st.sampled_from([1, 2, 3, 10, 50]),
        "bounds": st.sampled_from([None, None, [1], [0, 1, 2.5], [2, 5, 1000], [-10, 10]]),
        "breakdown": st.sampled_from([None, None, {"property": "plan", "limit": 2}, {"property": "plan", "limit": 10}]),
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=QUESTIONS, chance=st.randoms(use_true_random=False))
def test_any_distribution_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], chance: Any) -> None:
    question = {**question, **DAYS}
    project, events = worlds[seed]
    world.now = START + timedelta(days=30)
    rows = world.engine.ask(project, question, fresh=True).rows
    expected = oracle_distribution.distribution(events, question)
    assert len(rows) == len(expected)
    for row, wanted in zip(rows, expected, strict=True):
        assert list(row) == list(wanted)
        assert row == pytest.approx(wanted), row
    if rows:
        row = chance.choice(rows)
        amounts = oracle_distribution.amounts(events, question)[row.get("breakdown", "")]
        low, high = (row[name] for name in ("at_least", "below"))
        inside = [one for one, amount in amounts.items() if (low is None or amount >= low) and (high is None or amount < high)]
        assert behind(world, project, question, row, PEOPLE) == sorted(inside)


def test_bounds_below_one_are_the_decimal_numbers_that_they_look_like(ask: Any) -> None:
    """0.3 is in the row that begins with 0.3, though 3 * 0.1 is a little more."""
    events = [
        {"person": f"p{place}", "event": "rating", "time": START.isoformat(), "properties": {"n": value}}
        for place, value in enumerate([0.0, 0.3, 0.6, 0.7, 0.9])
    ]
    rows = ask(events, {"kind": "distribution", "of": {"event": "rating", "measure": "sum", "property": "n"}, "bins": 9, **DAYS})
    assert [(row["at_least"], row["below"]) for row in rows] == [(place / 10, (place + 1) / 10) for place in range(10)]
    assert [row["at_least"] for row in rows if row["people"]] == [0.0, 0.3, 0.6, 0.7, 0.9]


@pytest.mark.parametrize("values", [[1e300, 1.0], [5e-324, 0.0], [1e18, 1e18 + 4096], [-1.7e308, 1.7e308], [0.1, 0.1], [-5.0, -5.0]])
def test_everybody_is_in_a_row_whatever_the_numbers(ask: Any, values: list[float]) -> None:
    events = [
        {"person": f"p{place}", "event": "rating", "time": START.isoformat(), "properties": {"n": value}}
        for place, value in enumerate(values)
    ]
    rows = ask(events, {"kind": "distribution", "of": {"event": "rating", "measure": "max", "property": "n"}, **DAYS})
    assert sum(row["people"] for row in rows) == len(values)
    assert len(rows) <= 13
    for row in rows:
        low, high = (row[name] for name in ("at_least", "below"))
        assert row["people"] == sum((low is None or low <= value) and (high is None or value < high) for value in values)


def test_nobody_is_a_sentence(answer: Any) -> None:
    found = answer([], {"kind": "distribution", "of": "order", **DAYS})
    assert (found.rows, found.receipt["notes"]) == ([], ["Nobody did it in the range."])


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({}, "of", "missing"),
        ({"of": {"measure": "unique"}}, "of", "no amount of one person"),
        ({"of": {"measure": "sum"}}, "of", "needs a property"),
        ({"of": {"measure": "median", "per": "person"}}, "of", "needs a property"),
        ({"of": {"over": "7 days"}}, "of", "over goes with trends"),
        ({"of": {"formula": "a / b", "of": {"a": "order", "b": "visit"}}}, "of", "a formula has no amount"),
        ({"of": "order", "bounds": [1, 1]}, "bounds", "have to ascend"),
        ({"of": "order", "bounds": []}, "bounds", "at least 1 item"),
        ({"of": "order", "bins": 0}, "bins", "greater than or equal to 1"),
    ],
)
def test_a_wrong_question_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "distribution", **question})
    assert (caught.value.place, words.lower() in caught.value.message.lower()) == (place, True), caught.value


@pytest.mark.parametrize(
    ("question", "row", "place"),
    [
        ({}, {"at_least": "1", "below": 2}, "at_least"),
        ({}, {"below": 2}, "at_least"),
        ({"bounds": [1, 3]}, {"at_least": 1, "below": 2}, "at_least"),
        ({"breakdown": "plan"}, {"at_least": 1, "below": 2}, "breakdown"),
    ],
)
def test_a_row_that_the_answer_does_not_have_is_refused(world: Any, question: dict[str, Any], row: dict[str, Any], place: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        behind(world, world.project(), {"kind": "distribution", "of": "order", **question, **DAYS}, row, PEOPLE)
    assert (caught.value.code, caught.value.place) == ("invalid", place)
