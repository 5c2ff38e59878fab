"""Lifecycle in plain Python, written from the question's description alone: person by person, period by period, to be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]
STATUSES = ("new", "returning", "resurrecting", "dormant")


def lifecycle(
    events: Sequence[Event], question: Mapping[str, Any], now: datetime
) -> tuple[list[dict[str, Any]], dict[tuple[str, str, str], set[str]]]:
    """The rows, and who is behind each: (group, status, period) -> people. All fields are given; `person` is the merged one."""
    zone, unit, week_start = question["timezone"], question["interval"], question["week_start"]
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=zone)
    starts = times.periods(span, unit, week_start=week_start)
    edges = [times.shift(starts[0], unit, -1), *starts, times.shift(starts[-1], unit, 1)]
    by_person: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: event["time"]):
        if event["person"] and event["time"] < span.end:
            by_person.setdefault(event["person"], []).append(event)

    def period_of(event: Event) -> int:
        """0: the period before the range; -1: before that."""
        return next((place for place in range(len(edges) - 1) if edges[place] <= event["time"] < edges[place + 1]), -1)

    group_of: dict[str, str] = {}
    status_of: dict[tuple[str, int], str] = {}
    for person, mine in by_person.items():
        active = [event for event in mine if is_active(event, question)]
        seen = active if question["new_by"] == "first_match" else mine
        recent = [event for event in active if period_of(event) >= 0]
        if not recent:
            continue
        earliest = [event for event in recent if event["time"] == recent[0]["time"]]
        group_of[person] = min(text(event, question["breakdown"]) for event in earliest)
        places = {period_of(event) for event in recent}
        for place in range(1, len(starts) + 1):
            if place in places and place == period_of(seen[0]):
                status_of[person, place] = "new"
            elif place in places:
                status_of[person, place] = "returning" if place - 1 in places else "resurrecting"
            elif place - 1 in places:
                status_of[person, place] = "dormant"
    group_of = labelled(group_of, question["breakdown"])
    sizes = dict.fromkeys({group_of[person] for person, _ in status_of} if question["breakdown"] else {""}, 0)
    behind: dict[tuple[str, str, str], set[str]] = {}
    for (person, place), status in status_of.items():
        behind.setdefault((group_of[person], status, written(starts[place - 1], unit)), set()).add(person)
        sizes[group_of[person]] += status != "dormant"
    rows = []
    for group in sorted(sizes, key=lambda group: (group == "Other", -sizes[group], group)):
        for status in STATUSES:
            for place, start in enumerate(starts, 1):
                count = len(behind.get((group, status, written(start, unit)), ()))
                rows.append(
                    {
                        **({"breakdown": group} if question["breakdown"] else {}),
                        "status": status,
                        "period": written(start, unit),
                        "count": -count if status == "dormant" else count,
                        "complete": edges[place + 1] <= min(now, span.end),
                    }
                )
    return rows, behind


def is_active(event: Event, question: Mapping[str, Any]) -> bool:
    selectors = question["events"] or [{}]
    return holds(event, question["filters"]) and any(
        item.get("event") in (None, event["event"]) and holds(event, item.get("filters", [])) for item in selectors
    )


def holds(event: Event, filters: Sequence[Mapping[str, Any]]) -> bool:
    return all(event["properties"].get(item["property"]) == item["value"] for item in filters)


def text(event: Event, breakdown: Mapping[str, Any] | None) -> str:
    """As the store writes a value: whole numbers without a point, truth values in small letters."""
    value = event["properties"].get(breakdown["property"]) if breakdown else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def written(start: datetime, unit: str) -> str:
    return start.isoformat() if unit == "hour" else start.date().isoformat()


def labelled(group_of: Mapping[str, str], breakdown: Mapping[str, Any] | None) -> dict[str, str]:
    """The groups with most people keep their names; ties go by name."""
    if not breakdown:
        return dict(group_of)
    values = list(group_of.values())
    kept = sorted(set(values), key=lambda value: (-values.count(value), value))[: breakdown["limit"]]
    return {person: value if value in kept else "Other" for person, value in group_of.items()}
