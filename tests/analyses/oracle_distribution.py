"""Distribution in plain Python, written from the question's description alone."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from tests.analyses.oracle_trend import numeric, text


def amounts(events: Sequence[Mapping[str, Any]], question: Mapping[str, Any]) -> dict[str, dict[str, Fraction]]:
    """By value of the breakdown, each person's amount."""
    of, split = question["of"], question.get("breakdown")
    mine = [event for event in events if event["person"] and of["event"] in (None, event["event"])]

    def value_of(event: Mapping[str, Any]) -> str:
        return text(event["properties"].get(split["property"])) if split else ""

    people: dict[str, set[str]] = {}
    for event in mine:
        people.setdefault(value_of(event), set()).add(event["person"])
    kept = sorted(people, key=lambda value: (-len(people[value]), value))[: split["limit"] if split else 1]
    done: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for event in mine:
        label = value_of(event) if value_of(event) in kept else "Other"
        done.setdefault(label, {}).setdefault(event["person"], []).append(event)
    found = {
        label: {person: amount for person, some in by_person.items() if (amount := amount_of(some, of)) is not None}
        for label, by_person in done.items()
    }
    return {label: by_person for label, by_person in found.items() if by_person}


def amount_of(events: Sequence[Mapping[str, Any]], of: Mapping[str, Any]) -> Fraction | None:
    if of["measure"] == "count":
        return Fraction(len(events))
    numbers = [number for event in events if (number := numeric(event["properties"].get(of["property"]))) is not None]
    if not numbers:
        return None
    if of["measure"] == "sum":
        return sum(numbers, Fraction(0))
    if of["measure"] == "average":
        return sum(numbers, Fraction(0)) / len(numbers)
    if of["measure"] == "quantile":
        return quantile(numbers, Fraction(str(of["quantile"])))
    return {"min": min, "max": max}[of["measure"]](numbers) if of["measure"] != "median" else quantile(numbers, Fraction(1, 2))


def quantile(numbers: Sequence[Fraction], level: Fraction) -> Fraction:
    ordered = sorted(numbers)
    place = level * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def edges(found: Sequence[Fraction], question: Mapping[str, Any]) -> list[tuple[Fraction | None, Fraction | None]]:
    if question.get("bounds"):
        bounds = [Fraction(str(bound)) for bound in question["bounds"]]
        below = [(None, bounds[0])] if min(found) < bounds[0] else []
        return [*below, *itertools.pairwise(bounds), (bounds[-1], None)]
    low, high = min(found), max(found)
    wanted = (high - low) / question["bins"] if high > low else Fraction(1)
    if question["of"]["measure"] == "count":
        wanted = max(wanted, Fraction(1))
    width = next(width for power in range(-6, 12) for times in (1, 2, 5) if (width := times * Fraction(10) ** power) >= wanted)
    first, last = low // width, high // width
    return [(place * width, (place + 1) * width) for place in range(first, last + 1)]


def distribution(events: Sequence[Mapping[str, Any]], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    groups = amounts(events, question)
    if not groups:
        return []
    rows = []
    ends = edges([amount for by_person in groups.values() for amount in by_person.values()], question)
    for label in sorted(groups, key=lambda label: (label == "Other", -len(groups[label]), label)):
        of_all = list(groups[label].values())
        for low, high in ends:
            inside = [amount for amount in of_all if (low is None or amount >= low) and (high is None or amount < high)]
            row: dict[str, Any] = {"breakdown": label} if question.get("breakdown") else {}
            row |= {"at_least": low, "below": high, "people": len(inside), "rate": len(inside) / len(of_all), "total": len(of_all)}
            row |= {
                "average": sum(of_all) / len(of_all),
                "median": quantile(of_all, Fraction(1, 2)),
                "p90": quantile(of_all, Fraction(9, 10)),
            }
            rows.append({name: float(value) if isinstance(value, Fraction) else value for name, value in row.items()})
    return rows
