"""Stickiness in plain Python, written from the question's description alone: person by person, to be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]


def stickiness(
    events: Sequence[Event], question: Mapping[str, Any], now: datetime
) -> tuple[list[dict[str, Any]], dict[tuple[str, str, int], set[str]]]:
    """The rows, and who is behind each: (line, group, periods) -> people. All fields are given; `person` is the merged one."""
    zone, unit, week_start = question["timezone"], question["interval"], question["week_start"]
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=zone)
    starts = times.periods(span, unit, week_start=week_start)
    length = len(starts)
    local_end = span.end.astimezone(times.zone_of(zone))
    sides = [
        (edges_of(starts[0], unit, length), span.end),
        (edges_of(times.shift(starts[0], unit, -length), unit, length), times.shift(local_end, unit, -length)),
    ]
    lines: list[dict[str, dict[str, tuple[int, str]]]] = []  # of each side: line -> person -> how often, and the group
    for edges, end in sides:
        lines.append({})
        for series in question["series"]:
            mine: dict[str, list[tuple[Event, int]]] = {}
            for event in sorted(events, key=lambda event: event["time"]):
                place = next((place for place in range(length) if edges[place] <= event["time"] < edges[place + 1]), None)
                if event["person"] and place is not None and event["time"] < end and matches(event, series, question["filters"]):
                    mine.setdefault(event["person"], []).append((event, place))
            lines[-1][series["name"]] = {
                person: (
                    len({place for _, place in some}),
                    min(text(event, question["breakdown"]) for event, _ in some if event["time"] == some[0][0]["time"]),
                )
                for person, some in mine.items()
            }
    if not question["compare"]:
        lines[1] = {name: {} for name in lines[0]}
    kept = top(lines[0], question["breakdown"])
    groups = {""} if not question["breakdown"] else set()
    found: list[dict[tuple[str, str], dict[str, int]]] = [{}, {}]  # of each side: line and group -> person -> how often
    for side in (0, 1):
        for name, people in lines[side].items():
            for person, (often, value) in people.items():
                group = value if kept is None or value in kept else "Other"
                groups.add(group)
                found[side].setdefault((name, group), {})[person] = often
    sizes = {group: sum(len(people) for (_, other), people in found[0].items() if other == group) for group in groups}
    rows, behind = [], {}
    for series in question["series"]:
        for group in sorted(groups, key=lambda group: (group == "Other", -sizes[group], group)):
            name = series["name"]
            here, before = (found[side].get((name, group), {}) for side in (0, 1))
            for periods in range(1, length + 1):
                so_often = {person for person, often in here.items() if fits(often, periods, question)}
                behind[name, group, periods] = so_often
                rows.append(
                    {
                        "series": name,
                        **({"breakdown": group} if question["breakdown"] else {}),
                        "periods": periods,
                        "count": len(so_often),
                        "rate": len(so_often) / len(here) if here else 0.0,
                        "previous": sum(fits(often, periods, question) for often in before.values()) if question["compare"] else None,
                        "people": len(here),
                        "ratio": sum(here.values()) / length / len(here) if here else 0.0,
                    }
                )
    return rows, behind


def edges_of(first: datetime, unit: str, length: int) -> list[datetime]:
    return [times.shift(first, unit, place) for place in range(length + 1)]


def fits(often: int, periods: int, question: Mapping[str, Any]) -> bool:
    return often >= periods if question["cumulative"] else often == periods


def matches(event: Event, series: Mapping[str, Any], filters: Sequence[Mapping[str, Any]]) -> bool:
    wanted = [*series.get("filters", []), *filters]
    return series.get("event") in (None, event["event"]) and all(
        event["properties"].get(item["property"]) == item["value"] for item in wanted
    )


def text(event: Event, breakdown: Mapping[str, Any] | None) -> str:
    """As the store writes a value: whole numbers without a point, truth values in small letters."""
    value = event["properties"].get(breakdown["property"]) if breakdown else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def top(lines: Mapping[str, Mapping[str, tuple[int, str]]], breakdown: Mapping[str, Any] | None) -> list[str] | None:
    """The values with most people in the range, summed over the lines; ties go by name."""
    if not breakdown:
        return None
    values = [value for people in lines.values() for _, value in people.values()]
    return sorted(set(values), key=lambda value: (-values.count(value), value))[: breakdown["limit"]]
