"""Retention in plain Python, written from the question's description alone: person by person, cell by cell, to be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]


def retention(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows. `date_from` and every field but date_to, intervals, return_event and breakdown are given."""
    zone, unit, week_start = question["timezone"], question["period"], question["week_start"]
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=zone)
    starts = times.periods(span, unit, week_start=week_start)
    columns = question["intervals"] or len(starts)
    if question["date_to"] is None:
        starts = starts[:columns]
    edges = [*starts, times.shift(starts[-1], unit, 1)]
    end = min(edges[-1], span.end)
    back = question["return_event"] or question["start_event"]
    by_person: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: event["time"]):
        if event["time"] < end:
            by_person.setdefault(event["person"], []).append(event)

    def inside(some: Sequence[Event], place: int) -> list[Event]:
        return [event for event in some if edges[place] <= event["time"] < edges[place + 1]]

    members: dict[tuple[str, int], list[str]] = {}  # value, cohort -> people
    returned: dict[str, set[int]] = {}
    for person, mine in by_person.items():
        begun = [event for event in mine if matches(event, question["start_event"])]
        returned[person] = {place for place in range(len(starts)) if inside([event for event in mine if matches(event, back)], place)}
        if question["mode"] == "first_time":
            begun = [event for event in begun if event["time"] == begun[0]["time"]]
        for place in range(len(starts)):
            if here := inside(begun, place):
                earliest = [event for event in here if event["time"] == here[0]["time"]]
                value = min(text(event, question["breakdown"]) for event in earliest)
                members.setdefault((value, place), []).append(person)
    rows = []
    for label, cohorts in labelled(members, question["breakdown"]).items():
        for cohort in range(len(starts)):
            people = cohorts.get(cohort, [])
            for k in range(min(columns, len(starts) - cohort)):
                still = range(cohort + k, len(starts)) if question["rolling"] else [cohort + k]
                count = sum(k == 0 or any(place in returned[person] for place in still) for person in people)
                rows.append(
                    {
                        **({"breakdown": label} if question["breakdown"] else {}),
                        "cohort": written(starts[cohort], unit),
                        "size": len(people),
                        "period": k,
                        "period_start": written(starts[cohort + k], unit),
                        "count": count,
                        "rate": count / len(people) if people else 0.0,
                        "complete": edges[cohort + k + 1] <= min(now, end),
                    }
                )
    return rows


def matches(event: Event, selector: Mapping[str, Any]) -> bool:
    filters = selector.get("filters", [])
    return event["event"] == selector["event"] and all(event["properties"].get(item["property"]) == item["value"] for item in filters)


def text(event: Event, breakdown: Mapping[str, Any] | None) -> str:
    return (event["properties"].get(breakdown["property"]) or "") if breakdown else ""


def written(start: datetime, unit: str) -> str:
    return start.isoformat() if unit == "hour" else start.date().isoformat()


def labelled(members: Mapping[tuple[str, int], list[str]], breakdown: Mapping[str, Any] | None) -> dict[str, dict[int, list[str]]]:
    """Of each label, biggest first, the people of its cohorts."""
    if not breakdown:
        return {"": {place: people for (_, place), people in members.items()}}

    def size(label: str) -> int:
        return sum(len(people) for (value, _), people in members.items() if label == (value if value in kept else "Other"))

    kept = {value for value, _ in members}
    kept = set(sorted(kept, key=lambda value: (-size(value), value))[: breakdown["limit"]])
    labels = {value if value in kept else "Other" for value, _ in members}
    found: dict[str, dict[int, list[str]]] = {
        label: {} for label in sorted(labels, key=lambda label: (label == "Other", -size(label), label))
    }
    for (value, place), people in members.items():
        found[value if value in kept else "Other"].setdefault(place, []).extend(people)
    return found
