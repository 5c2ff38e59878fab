"""Counts that are read from the numbers by hour: only where the answer is the same."""

from __future__ import annotations

from typing import Any

import pytest

from almanac.core.settings import Settings
from almanac.core.sql import Sql

EVENTS = [
    {"person": "ann", "event": "visit", "time": "2026-01-05T09:59:59.999999Z", "properties": {"plan": "pro"}},
    {"person": "ann", "event": "visit", "time": "2026-01-05T10:00:00Z"},
    {"person": "bob", "event": "visit", "time": "2026-01-05T18:45:00Z"},
    {"person": "bob", "event": "order", "time": "2026-01-06T00:00:00Z"},
]
DAYS = {"kind": "trend", "series": ["visit"], "date_from": "2026-01-05", "date_to": "2026-01-06"}


@pytest.mark.parametrize(
    ("change", "zone", "by_hours", "values"),
    [
        ({}, "UTC", True, [3, 0]),
        ({"series": ["visit", "order", {"name": "all"}]}, "UTC", True, [3, 0, 0, 1, 3, 1]),
        ({"interval": "week"}, "UTC", True, [3]),
        ({"interval": "hour", "date_to": "2026-01-05T11:00:00"}, "UTC", True, [0] * 9 + [1, 1]),
        ({"compare": "previous_period", "cumulative": True}, "America/New_York", True, [3, 3]),
        ({}, "Asia/Kolkata", False, [2, 1]),
        ({"interval": "minute", "date_from": "2026-01-05T09:59:00", "date_to": "2026-01-05T10:01:00"}, "UTC", False, [1, 1]),
        ({"interval": "total", "date_to": "2026-01-05T10:30:00"}, "UTC", False, [2]),
        ({"interval": "total"}, "UTC", True, [3]),
        ({"series": [{"event": "visit", "measure": "unique"}]}, "UTC", False, [2, 0]),
        ({"breakdown": "plan"}, "UTC", False, [2, 0, 1, 0]),
        ({"filters": [{"property": "plan", "value": "pro"}]}, "UTC", False, [1, 0]),
        ({"series": [{"event": "visit", "filters": [{"property": "plan", "value": "pro"}]}]}, "UTC", False, [1, 0]),
    ],
)
def test_the_numbers_are_the_same(world: Any, change: dict[str, Any], zone: str, by_hours: bool, values: list[int]) -> None:
    answer = world.ask(EVENTS, {**DAYS, **change}, zone=zone)
    assert [row["value"] for row in answer.rows] == values
    assert ("FROM events_per_hour" in answer.receipt["sql"]) == by_hours


def test_consent_rules_count_events_themselves(world: Any) -> None:
    project = world.project()
    world.insert(project, EVENTS)
    engine = world.build(Settings(), consent=lambda _: Sql("distinct_id != 'bob'"))
    answer = engine.ask(project, DAYS)
    assert [row["value"] for row in answer.rows] == [2, 0]
    assert "events_per_hour" not in answer.receipt["sql"]
