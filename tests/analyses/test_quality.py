"""The checks of metrics against the oracle, by name, and what is refused."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_quality
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

END = datetime(2026, 3, 31, tzinfo=UTC)  # the clocks of Berlin changed on the 29th
VALUES: list[Any] = [5, 2.5, -3, 0, "7", "much", None, True]


def happened(seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    return [
        {
            "person": f"p{chance.randrange(4)}",
            "event": chance.choice("abc"),
            "time": END - timedelta(days=chance.randrange(-1, 6), hours=chance.choice([0, 1, 2, 5]), microseconds=chance.choice([0, 1])),
            "properties": {"total": chance.choice(VALUES)} if chance.random() < 0.8 else {},
        }
        for _ in range(chance.randrange(0, 20))
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    metric: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"event": "a", "measure": "count"},
                {"event": "a", "measure": "unique"},
                {"event": "a", "measure": "sum", "property": "total"},
                {"event": "a", "measure": "median", "property": "total"},
                {"formula": "A / B", "of": {"A": {"event": "a"}, "B": {"event": "b"}}},
            ]
        )
    )
    least, more = draw(st.none() | st.integers(-3, 3)), draw(st.none() | st.integers(0, 4))
    checks = {
        "fresh_within": draw(st.none() | st.sampled_from(["1 day", "26 hours", "3 hours"])),
        "complete": draw(st.none() | st.sampled_from([0.5, 0.8, 1])) if "property" in metric else None,
        "least": least,
        "most": None if more is None else (least or 0) + more,
    }
    return {
        "kind": "quality",
        "metric": {**metric, "checks": {name: value for name, value in checks.items() if value is not None}},
        "date_from": draw(st.sampled_from(["2026-03-27", "2026-03-30"])),
        "date_to": draw(st.sampled_from([None, "2026-03-29", "2026-03-31"])) or END.date().isoformat(),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"])),
    }


SEEDS = seeds(200)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happened)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), hours=st.integers(-30, 30))
def test_any_checks_equal_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], hours: int) -> None:
    if question["date_from"] > question["date_to"]:
        question = {**question, "date_to": question["date_from"]}
    project, events = worlds[seed]
    world.now = END + timedelta(hours=hours)
    rows = world.engine.ask(project, question, fresh=True).rows
    expected = oracle_quality.quality(events, question, world.now)
    told = [{name: value for name, value in row.items() if name not in ("found", "sentence")} for row in rows]
    assert told == [{name: value for name, value in row.items() if name != "found"} for row in expected]
    assert [row["found"] for row in rows] == pytest.approx([row["found"] for row in expected])
    assert all(row["sentence"].endswith(".") for row in rows)


@pytest.fixture
def project(world: Any) -> str:
    world.now = END
    name = world.project()
    world.insert(name, [{"person": "ann", "event": "order", "time": "2026-03-30T12:00:00Z", "properties": {"total": 5}}])
    return str(name)


def test_a_saved_metric_brings_its_checks(world: Any, project: str) -> None:
    body = {"event": "order", "measure": "sum", "property": "total", "owner": "kim", "checks": {"most": 3, "fresh_within": "6 hours"}}
    world.engine.definitions.save(project, "metric", "revenue", body)
    for metric in ("revenue", {"metric": "revenue"}):
        answer = world.engine.ask(project, {"kind": "quality", "metric": metric})
        assert [(row["check"], row["ok"]) for row in answer.rows] == [("events", True), ("fresh_within", False), ("most", False)]
        assert answer.rows[0]["sentence"] == "There is 1 event of 'revenue' in the range."
        assert answer.receipt["definitions"] == [{"kind": "metric", "name": "revenue", "version": 1}]


def test_a_question_of_a_saved_metric_is_saved_by_its_name(world: Any, project: str) -> None:
    world.engine.definitions.save(project, "metric", "orders", {"event": "order", "checks": {"least": 1}})
    world.engine.definitions.save(project, "question", "health", {"kind": "quality", "metric": "orders", "last": "2 days"})
    answer = world.engine.ask(project, {"saved": "health"})
    assert [row["check"] for row in answer.rows] == ["events", "least"]
    with pytest.raises(AlmanacError, match="is in use by question 'health'"):
        world.engine.definitions.remove(project, "metric", "orders")


def test_a_formula_within_a_formula_names_its_parts(world: Any, project: str) -> None:
    inner = {"formula": "x + y", "of": {"x": "order", "y": "refund"}}
    rows = world.engine.ask(project, {"kind": "quality", "metric": {"formula": "A * 2", "of": {"A": inner}}}).rows
    assert [(row["check"], row["part"], row["found"]) for row in rows] == [("events", "A.x", 1), ("events", "A.y", 0), ("divides", "", 0)]
    assert rows[1]["sentence"] == "There is no event of 'refund' in the range."


@pytest.mark.parametrize(
    ("metric", "place", "words"),
    [
        ("nothing", "metric", "There is no metric 'nothing'"),
        ({"event": "order", "checks": {"complete": 0.9}}, "", "The check complete is of a property"),
        ({"event": "order", "checks": {"least": 5, "most": 1}}, "metric.checks", "more than most"),
        ({"event": "order", "checks": {"fresh": "1 day"}}, "metric.checks.fresh", "There is no field"),
        ({"formula": "A / B"}, "metric", "needs its parts"),
        (None, "metric", ""),
        ({"event": "order", "measure": "unique", "over": "36 hours", "checks": {"least": 1}}, "over", "not a whole number of days"),
    ],
)
def test_a_wrong_metric_is_refused_by_the_name_of_its_field(world: Any, project: str, metric: Any, place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        world.engine.ask(project, {"kind": "quality", "metric": metric})
    assert (place in caught.value.place, words in caught.value.message) == (True, True), caught.value
