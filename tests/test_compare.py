"""Two receipts, and the sentences that say why their numbers differ."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from almanac.core.compare import compare
from almanac.core.errors import AlmanacError

EVENTS = [{"person": "ann", "event": "order", "time": "2026-01-05T09:00:00Z"}]
QUESTION = {"kind": "trend", "series": ["order"], "date_from": "2026-01-01", "date_to": "2026-01-07"}


@pytest.fixture
def project(world: Any) -> Iterator[str]:
    before, world.now = world.now, datetime(2026, 2, 1, tzinfo=UTC)
    name = world.project()
    world.insert(name, EVENTS)
    yield name
    world.now = before


def test_the_same_question_at_the_same_moment_differs_in_nothing(world: Any, project: str) -> None:
    first, second = (world.engine.ask(project, QUESTION).receipt for _ in range(2))
    assert compare(first, second) == []


@pytest.mark.parametrize(
    ("change", "what", "sentence"),
    [
        (
            {"date_to": "2026-01-09"},
            "window",
            "The second ends 2 days later: 2026-01-01T00:00:00+00:00 to 2026-01-10T00:00:00+00:00.",
        ),
        (
            {"filters": [{"property": "plan", "value": "pro"}]},
            "filters",
            'Only the second has the filter {"property": "plan", "value": "pro"}.',
        ),
        ({"week_start": "sunday"}, "week_start", "Weeks begin on monday in the first, on sunday in the second."),
        ({"interval": "week"}, "interval", "interval is left out in the first, week in the second."),
        (
            {"as_of": "2026-01-20T00:00:00Z"},
            "as_of",
            "Who is who is read as known when it was asked in the first, as known at 2026-01-20T00:00:00+00:00 in the second:"
            " merges make several people one.",
        ),
        ({"timezone": "Asia/Tokyo"}, "timezone", "Days begin by the clocks of UTC in the first, of Asia/Tokyo in the second."),
    ],
)
def test_each_difference_has_its_sentence(world: Any, project: str, change: dict[str, Any], what: str, sentence: str) -> None:
    found = compare(world.engine.ask(project, QUESTION).receipt, world.engine.ask(project, {**QUESTION, **change}).receipt)
    assert (what, sentence) in [(item.what, item.sentence) for item in found]
    assert {item.what for item in found} <= {what, "window"}, "a zone moves the range too, and nothing else is told"


def test_age_versions_and_kinds(world: Any, project: str) -> None:
    world.engine.definitions.save(project, "metric", "m", {"event": "order"})
    asked = {**QUESTION, "series": [{"metric": "m"}]}
    first = world.engine.ask(project, asked).receipt
    world.engine.definitions.save(project, "metric", "m", {"event": "paid"})
    world.now += timedelta(hours=3)
    found = {item.what: item.sentence for item in compare(first, world.engine.ask(project, asked).receipt)}
    assert found["definitions"] == "The metric 'm' was at version 1 in the first, at 2 in the second."
    assert found["watermark"].startswith("The second holds events received in 3 hours more than the first")
    statement = world.engine.ask(project, {"kind": "sql", "sql": "SELECT count() FROM events"}).receipt
    sentences = [item.sentence for item in compare(first, statement)]
    assert sentences[:2] == [
        "They are of different kinds: trend and sql.",
        "One of them is a statement of its own, which says itself which times it reads.",
    ]


def test_what_is_no_receipt_is_refused() -> None:
    with pytest.raises(AlmanacError, match="it has no definition_hash, question, window, timezone, watermark") as refused:
        compare({}, {})
    assert refused.value.place == "first"
