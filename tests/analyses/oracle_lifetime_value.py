"""Lifetime value in plain Python, written from the question's description alone: person by person, to be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from almanac.core import time as times

Event = Mapping[str, Any]


@dataclass
class Person:
    """Who is in a cohort, and all that was bought."""

    label: str
    cohort: int
    bought: list[tuple[datetime, float]]


@dataclass
class Story:
    """A question's times, and the people of its cohorts."""

    starts: list[datetime]
    edges: list[datetime]
    end: datetime
    people: list[Person]


def worth(event: Event, name: str) -> float:
    value = event["properties"].get(name)
    if isinstance(value, bool):
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def story(events: Sequence[Event], question: Mapping[str, Any], now: datetime, cut: datetime | None = None) -> Story:
    """Who began when. `cut`: whoever began later is in no cohort."""
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    starts = times.periods(span, question["period"], week_start=question["week_start"])
    edges = [*starts, times.shift(starts[-1], question["period"], 1)]
    by_person: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda event: event["time"]):
        if event["time"] < span.end and event["person"]:
            by_person.setdefault(event["person"], []).append(event)
    people = []
    for mine in by_person.values():
        bought = [event for event in mine if event["event"] == question["event"]]
        begun = mine if question["since"] == "first_seen" else [event for event in bought if worth(event, question["value"]) >= 0]
        begun = [event for event in begun if cut is None or event["time"] < cut]
        if not begun or begun[0]["time"] < starts[0]:
            continue
        cohort = max(place for place, start in enumerate(starts) if start <= begun[0]["time"])
        label = min((event["properties"].get("plan") or "") for event in begun if event["time"] == begun[0]["time"])
        payments = [(event["time"], worth(event, question["value"])) for event in bought]
        people.append(Person(label if question["breakdown"] else "", cohort, payments))
    if question["breakdown"]:
        relabel(people, question["breakdown"]["limit"])
    return Story(starts, edges, span.end, people)


def relabel(people: Sequence[Person], limit: int) -> None:
    sizes: dict[str, int] = {}
    for person in people:
        sizes[person.label] = sizes.get(person.label, 0) + 1
    kept = sorted(sizes, key=lambda label: (-sizes[label], label))[:limit]
    for person in people:
        person.label = person.label if person.label in kept else "Other"


def labels(told: Story, question: Mapping[str, Any]) -> list[str]:
    if not question["breakdown"]:
        return [""]
    names = {person.label for person in told.people}
    return sorted(names, key=lambda name: (name == "Other", -sum(person.label == name for person in told.people), name))


def historical(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    told = story(events, question, now)
    columns = min(question["intervals"] or len(told.starts), len(told.starts))
    over = [edge <= min(now, told.end) for edge in told.edges[1:]]

    def spent(people: Sequence[Person], k: int) -> float:
        """In the k-th period after their own."""
        return sum(
            amount
            for person in people
            for moment, amount in person.bought
            if person.cohort + k < len(told.starts) and told.edges[person.cohort + k] <= moment < told.edges[person.cohort + k + 1]
        )

    rows = []
    for label in labels(told, question):
        mine = [person for person in told.people if person.label == label]
        named = {"breakdown": label} if question["breakdown"] else {}
        cohorts = range(len(told.starts)) if question["cohorts"] else [-1]
        for cohort in cohorts:
            for k in range(columns if cohort < 0 else min(columns, len(told.starts) - cohort)):
                if cohort < 0:
                    complete = [place for place in range(len(told.starts) - k) if over[place + k]]
                    if not complete:
                        break
                    people = [person for person in mine if person.cohort in complete]
                    place: dict[str, Any] = {}
                else:
                    people = [person for person in mine if person.cohort == cohort]
                    starts = [told.starts[cohort].date().isoformat(), told.starts[cohort + k].date().isoformat()]
                    place = {"cohort": starts[0], "period_start": starts[1], "complete": over[cohort + k]}
                total = sum(spent(people, j) for j in range(k + 1))
                rows.append(
                    {
                        **named,
                        **place,
                        "size": len(people),
                        "period": k,
                        "revenue": spent(people, k),
                        "cumulative": total,
                        "lifetime_value": total / len(people) if people else None,
                    }
                )
    return rows


@dataclass
class History:
    """What the models know of a person, in days, and what happened afterwards."""

    label: str
    cohort: int
    repeats: int
    recency: int
    age: int
    spent: float
    revenue: float
    actual_purchases: int
    actual_revenue: float


def histories(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> tuple[list[History], Story]:
    zone = ZoneInfo(question["timezone"])
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])

    def day(moment: datetime) -> date:
        return moment.astimezone(zone).date()

    last = day(span.end - timedelta(microseconds=1))
    until = last - timedelta(days=question["days"]) if question["holdout"] else last
    cut = datetime.combine(until + timedelta(days=1), datetime.min.time(), tzinfo=zone)
    told = story(events, question, now, cut)
    found = []
    for person in told.people:
        before = [(day(moment), amount) for moment, amount in person.bought if day(moment) <= until]
        after = [(day(moment), amount) for moment, amount in person.bought if day(moment) > until]
        days = sorted({when for when, amount in before if amount >= 0})
        first = sum(amount for when, amount in before if when == days[0] and amount >= 0)
        revenue = sum(amount for _, amount in before)
        found.append(
            History(
                person.label,
                person.cohort,
                len(days) - 1,
                (days[-1] - days[0]).days,
                (until - days[0]).days,
                max(0.0, revenue - first) if len(days) > 1 else 0.0,
                revenue,
                len({when for when, amount in after if amount >= 0}),
                sum(amount for _, amount in after),
            )
        )
    return found, told


def counted(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows of the predicted view without the predictions."""
    found, told = histories(events, question, now)
    rows = []
    for label in labels(told, question):
        for cohort in range(len(told.starts)) if question["cohorts"] else [-1]:
            people = [one for one in found if one.label == label and cohort in (-1, one.cohort)]
            if not people:
                continue
            rows.append(
                {
                    **({"breakdown": label} if question["breakdown"] else {}),
                    **({"cohort": told.starts[cohort].date().isoformat()} if question["cohorts"] else {}),
                    "size": len(people),
                    "purchases": sum(one.repeats + 1 for one in people),
                    "revenue": sum(one.revenue for one in people),
                    **(
                        {
                            "actual_purchases": sum(one.actual_purchases for one in people),
                            "actual_revenue": sum(one.actual_revenue for one in people),
                        }
                        if question["holdout"]
                        else {}
                    ),
                }
            )
    return rows
