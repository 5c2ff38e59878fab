"""Properties, filters and periods as the engine really reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.analyses.properties import quoted
from almanac.analyses.scope import EventScope, period_label
from almanac.core.errors import AlmanacError
from almanac.core.filters import Breakdown, Filter, Selector
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

DAY = TimeRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), "UTC")


def scope_of(world: Any, project: str, **more: Any) -> EventScope:
    person = Sql("dictGetOrDefault('person_of', 'person', (project, person_hash), person_hash)")
    given = {"now": DAY.end, "range": DAY, "week_start": "monday", "person": person, **more}
    return EventScope(world.projects.by_id[project], **given)


def events_with(values: list[Any], name: str = "p") -> list[dict[str, Any]]:
    return [
        {"person": f"u{place}", "event": "e", "time": f"2026-01-01T00:00:{place:02d}Z", "properties": {} if value is ... else {name: value}}
        for place, value in enumerate(values)
    ]


def found(world: Any, values: list[Any], **condition: Any) -> list[int]:
    """The places of the values that pass the filter."""
    project = world.project()
    world.insert(project, events_with(values))
    scope = scope_of(world, project, filters=[Filter(property="p", **condition)])
    statement = sql("SELECT toSecond(time) AS place FROM $events WHERE $scope ORDER BY place", events=scope.events(), scope=scope.where())
    return [row[0] for row in world.store.query(scope.complete(statement)).rows]


VALUES = ["pro", "Pro plan", 5, 5.5, "5", True, "true", False, None, ..., "", [1, 2], 1 << 60, "1e3", "nan", -3]


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ({"value": "pro"}, [0]),
        ({"value": 5}, [2, 4]),
        ({"value": 5.0}, [2, 4]),
        ({"value": "5"}, [2, 4]),
        ({"value": True}, [5, 6]),
        ({"value": "true"}, [5, 6]),
        ({"value": 1 << 60}, [12]),
        ({"value": (1 << 60) + 1}, []),
        ({"op": "!=", "value": "pro"}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ({"op": "in", "value": ["pro", "5"]}, [0, 2, 4]),
        ({"op": "in", "value": ["pro", 5, False]}, [0, 2, 4, 7]),
        ({"op": "in", "value": []}, []),
        ({"op": "not_in", "value": ["pro", 5, False, True, "", "nan"]}, [1, 3, 8, 9, 11, 12, 13, 15]),
        ({"op": "contains", "value": "PRO"}, [0, 1]),
        ({"op": "not_contains", "value": "o"}, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ({"op": "starts_with", "value": "pro"}, [0, 1]),
        ({"op": "ends_with", "value": "Plan"}, [1]),
        ({"op": "matches", "value": "^[Pp]ro$"}, [0]),
        ({"op": ">", "value": 5}, [3, 12, 13]),
        ({"op": ">=", "value": "5"}, [2, 3, 4, 12, 13]),
        ({"op": "<", "value": 5}, [15]),
        ({"op": "<=", "value": 5}, [2, 4, 15]),
        ({"op": "is_set"}, [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15]),
        ({"op": "is_not_set"}, [8, 9]),
    ],
)
def test_each_operator_finds_what_a_person_means(world: Any, condition: dict[str, Any], places: list[int]) -> None:
    assert found(world, VALUES, **condition) == places
