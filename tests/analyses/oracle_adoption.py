"""Adoption of a feature in plain Python, written from the question's description alone: person by person, to be compared with."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from almanac.core import time as times

Event = Mapping[str, Any]
DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}


@dataclass(frozen=True)
class Person:
    """What counts of one person. Periods by their place in the range."""

    value: str
    seen: datetime
    first_use: datetime | None
    active: frozenset[int]
    used: frozenset[int]


def rows(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows of any view; every field of the question is given. Events carry `person` as the one whom their id belongs to."""
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    starts = times.periods(span, question["period"], week_start=question["week_start"])
    edges = [*starts, times.shift(starts[-1], question["period"], 1)]
    people = about(people_of(events, question, edges, span.end), question, starts)
    found = []
    for label, some in labelled(people, question):
        own = {
            "periods": lambda some=some: periods(some, question, edges, min(now, span.end)),
            "time_to_use": lambda some=some: times_to_use(some),
            "curve": lambda some=some: curve(some, question, min(now, span.end)),
            "repeat": lambda some=some: repeat(some, len(starts)),
        }[question["view"]]()
        found += [{**({"breakdown": label} if question["breakdown"] else {}), **row} for row in own]
    return found


def people_of(events: Sequence[Event], question: Mapping[str, Any], edges: Sequence[datetime], end: datetime) -> list[Person]:
    by_person: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: event["time"]):
        wanted = question["active"] is None or event["event"] in (question["active"], question["feature"])
        if event["person"] and event["time"] < end and wanted:
            by_person.setdefault(event["person"], []).append(event)

    def place(event: Event) -> int:
        return max(k for k, edge in enumerate(edges) if edge <= event["time"])

    people = []
    for mine in by_person.values():
        inside = [event for event in mine if event["time"] >= edges[0]]
        uses = [event for event in mine if event["event"] == question["feature"]]
        named = sorted((event["time"], text(event, question)) for event in inside if text(event, question))
        if inside:
            people.append(
                Person(
                    value=named[0][1] if named else "",
                    seen=mine[0]["time"],
                    first_use=uses[0]["time"] if uses else None,
                    active=frozenset(place(event) for event in inside),
                    used=frozenset(place(event) for event in uses if event["time"] >= edges[0]),
                )
            )
    return people


def text(event: Event, question: Mapping[str, Any]) -> str:
    value = event["properties"].get(question["breakdown"]["property"]) if question["breakdown"] else None
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def about(people: Sequence[Person], question: Mapping[str, Any], starts: Sequence[datetime]) -> list[Person]:
    """Whom the view is about."""
    if question["view"] == "periods":
        return list(people)
    if question["view"] == "curve":
        return [person for person in people if person.seen >= starts[0]]
    return [person for person in people if person.first_use and person.first_use >= starts[0]]


def labelled(people: Sequence[Person], question: Mapping[str, Any]) -> list[tuple[str, list[Person]]]:
    if not question["breakdown"]:
        return [("", list(people))]
    values: dict[str, list[Person]] = {}
    for person in people:
        values.setdefault(person.value, []).append(person)
    biggest = sorted(values, key=lambda value: (-len(values[value]), value))[: question["breakdown"]["limit"]]
    labels: dict[str, list[Person]] = {}
    for value, some in values.items():
        labels.setdefault(value if value in biggest else "Other", []).extend(some)
    return sorted(labels.items(), key=lambda item: (item[0] == "Other", -len(item[1]), item[0]))


def periods(people: Sequence[Person], question: Mapping[str, Any], edges: Sequence[datetime], until: datetime) -> list[dict[str, Any]]:
    found = []
    for k, (start, end) in enumerate(pairwise(edges)):
        active = [person for person in people if k in person.active]
        used = [person for person in active if k in person.used]
        new = [person for person in used if person.first_use and person.first_use >= start]
        reached = [person for person in people if min(person.active) <= k]
        adopted = [person for person in reached if person.first_use and person.first_use < end]
        found.append(
            {
                "period": start.date().isoformat(),
                "active": len(active),
                "used": len(used),
                "new": len(new),
                "used_rate": rate(len(used), len(active)),
                "new_rate": rate(len(new), len(active)),
                "reached": len(reached),
                "adopted": len(adopted),
                "adoption_rate": rate(len(adopted), len(reached)),
                "complete": end <= until,
            }
        )
    return found


def times_to_use(people: Sequence[Person]) -> list[dict[str, Any]]:
    took = [(person.first_use - person.seen).total_seconds() for person in people if person.first_use]
    levels = {"p25_seconds": 0.25, "median_seconds": 0.5, "p75_seconds": 0.75, "p90_seconds": 0.9}
    return [
        {
            "people": len(took),
            "average_seconds": statistics.fmean(took) if took else None,
            **{name: float(np.quantile(took, level)) if took else None for name, level in levels.items()},
        }
    ]


def curve(people: Sequence[Person], question: Mapping[str, Any], until: datetime) -> list[dict[str, Any]]:
    found = []
    for k in range(1, question["intervals"] + 1):
        length = timedelta(days=k * DAYS[question["period"]])
        followed = [person for person in people if person.seen + length <= until]
        used = [person for person in followed if person.first_use and person.first_use < person.seen + length]
        found.append({"within_periods": k, "followed": len(followed), "people": len(used), "rate": rate(len(used), len(followed))})
    return found


def repeat(people: Sequence[Person], count: int) -> list[dict[str, Any]]:
    found = []
    for k in range(count):
        possible = sum(min(person.used) + k < count for person in people)
        used = sum(len(person.used) - 1 >= k for person in people)
        found.append({"later_periods": k, "possible": possible, "people": used, "rate": rate(used, possible)})
    return found


def rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
