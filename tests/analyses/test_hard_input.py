"""Projects of nobody, of one person, and of a million values: each kind answers, or says in a sentence why not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.analyses.shapes import is_list, models_in, questions, selectors, taking, written

from almanac.core.analysis import registry
from almanac.core.errors import AlmanacError
from almanac.core.filters import Breakdown

KINDS = registry()
ASKED = list(questions())
NAMED = [f"{kind}-{place}" for place, (kind, _) in enumerate(ASKED)]
MILLION = 1_000_000
MORE: dict[str, dict[str, Any]] = {
    "experiment": {"exposure": "visit", "metrics": [{"event": "visit"}]}
}  # what a kind needs beyond its fields


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)


@pytest.fixture(scope="module")
def nobody(world: Any) -> str:
    return str(world.project())


@pytest.mark.parametrize(("kind", "question"), ASKED, ids=NAMED)
def test_an_empty_project(world: Any, nobody: str, kind: str, question: dict[str, Any]) -> None:
    """Every count is 0; nothing is NaN; what is a share of nothing is 0 or empty."""
    world.now = datetime(2026, 2, 1, tzinfo=UTC)
    answer = world.engine.ask(nobody, question, fresh=True)
    assert all(math.isfinite(number) for number in numbers(answer.rows)), answer.rows
    counted = ("count", "people", "sessions", "size", "entered", "completed", "conversions", "used", "active", "events")
    assert [(name, row[name]) for row in answer.rows for name in counted if row.get(name)] == []


@pytest.mark.parametrize(("kind", "place"), [(kind, place) for kind in KINDS for place in range(len(KINDS[kind].examples))])
def test_one_person_who_did_all(world: Any, kind: str, place: int) -> None:
    example = KINDS[kind].examples[place]
    events = [{**event, "person": "ann"} for event in example.events]
    answer = world.ask(events, example.question, now=example.now)
    assert all(math.isfinite(number) for number in numbers(answer.rows)), answer.rows
    for row in answer.rows:
        assert all(row.get(name) in (None, 0, 1, -1) for name in ("people", "size", "entered", "completed")), row
        assert all(row.get(name) is None or 0 <= row[name] <= 1 for name in ("bounce_rate", "adoption_rate", "rate_from_first")), row


@pytest.fixture(scope="module")
def million(world: Any) -> str:
    """Everybody came once and again, each with a value of his own."""
    project = str(world.project())
    world._run(
        "INSERT INTO events (project, event, kind, day, person_hash, time, id, distinct_id, path, properties)"
        " SELECT {p:String}, 'visit', 'page', toDate('2026-01-05'), number DIV 2 + 1,"
        " toDateTime64('2026-01-05 00:00:00', 6) + number * 0.01,"
        " generateUUIDv4(), toString(number DIV 2), concat('/', toString(number DIV 2)),"
        " concat('{\"plan\":\"', toString(number DIV 2), '\",\"variant\":\"', if(number DIV 2 % 2, 'test', 'control'), '\"}')"
        " FROM numbers({n:UInt64})",
        p=project,
        n=2 * MILLION,
    )
    return project


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in KINDS for field in taking(kind, Breakdown)])
def test_a_breakdown_of_a_million_values(world: Any, million: str, kind: str, field: str) -> None:
    """The biggest values and all others as one; or that it is too much."""
    world.now = datetime(2026, 2, 1, tzinfo=UTC)
    fields = KINDS[kind].question.model_fields
    question = {"kind": kind, "date_from": "2026-01-05", "date_to": "2026-01-06"}
    for name, info in fields.items():
        if info.is_required() and name != "kind":
            models = sorted(models_in(info.annotation), key=lambda model: model.__name__)
            part = "visit" if name in selectors(kind) else written(models[0]) if models else "visit"
            question[name] = [part] if is_list(info) else part
    part = {"property": "plan", "limit": 3}
    question |= MORE.get(kind, {})
    question[field] = [part] if is_list(fields[field]) else part
    try:
        rows = world.engine.ask(million, question, fresh=True).rows
    except AlmanacError as error:
        told = error
    else:
        values = {row["breakdown"] for row in rows}
        assert 0 < len(values) <= 4, values
        assert "Other" in values
        return
    assert (told.code in ("limited", "invalid"), bool(told.way_out)) == (True, True), told
