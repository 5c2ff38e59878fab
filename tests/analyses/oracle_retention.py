"""Retention in plain Python, written from the question's description alone: person by person, cell by cell, to be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import fsum
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]

HOURS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24, "quarter": 90 * 24, "year": 365 * 24}


def retention(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows. `date_from`, mode, period, zone and week_start are given; the rest may be left out."""
    return Retention(events, question, now).rows()


class Retention:
    """One question of some events. `people(…)` says who is behind a row."""

    def __init__(self, events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> None:
        self.question = question
        self.unit, zone = question["period"], question["timezone"]
        span = times.resolve(question["date_from"], question.get("date_to"), now=now, zone=zone)
        self.starts = times.periods(span, self.unit, week_start=question["week_start"])
        brackets = [tuple(int(end) for end in str(text).split("-")) for text in question.get("brackets") or []]
        self.columns = [(bracket[0], bracket[-1]) for bracket in brackets]
        most = question.get("intervals") or (self.columns[-1][1] + 1 if self.columns else len(self.starts))
        if question.get("date_to") is None:
            self.starts = self.starts[:most]
        self.columns = self.columns or [(k, k) for k in range(min(most, len(self.starts)))]
        self.edges = [*self.starts, times.shift(self.starts[-1], self.unit, 1)]
        self.end = min(self.edges[-1].astimezone(UTC), span.end)
        self.known = min(self.end, now)
        self.counting = "rolling" if question.get("rolling") else question.get("counting", "in")
        self.elapsed = question.get("windows") == "elapsed"
        self.members: dict[tuple[str, int], list[str]] = {}  # value, cohort -> people
        self.began: dict[tuple[str, int], datetime] = {}  # person, cohort -> first start event in it
        self.returns: dict[str, list[Event]] = {}
        self._meet(events)
        self.labels = labelled(self.members, question.get("breakdown"))

    def _meet(self, events: Sequence[Event]) -> None:
        back = self.question.get("return_event") or self.question["start_event"]
        by_person: dict[str, list[Event]] = {}
        for event in sorted(events, key=lambda event: event["time"]):
            if event["time"] < self.end:
                by_person.setdefault(event["person"], []).append(event)
        for person, mine in by_person.items():
            begun = [event for event in mine if matches(event, self.question["start_event"])]
            self.returns[person] = [event for event in mine if matches(event, back)]
            if self.question["mode"] == "first_time":
                begun = [event for event in begun if event["time"] == begun[0]["time"]]
            for place in range(len(self.starts)):
                if here := [event for event in begun if self.edges[place] <= event["time"] < self.edges[place + 1]]:
                    earliest = [event for event in here if event["time"] == here[0]["time"]]
                    value = min(text(event, self.question.get("breakdown")) for event in earliest)
                    self.members.setdefault((value, place), []).append(person)
                    self.began[person, place] = here[0]["time"]

    def after(self, person: str, cohort: int, event: Event) -> int:
        """How many periods after that of the cohort; negative: before it."""
        if self.elapsed:
            return (event["time"] - self.began[person, cohort]) // timedelta(hours=HOURS[self.unit])
        return max((place for place in range(len(self.starts)) if self.edges[place] <= event["time"]), default=-1) - cohort

    def counts(self, person: str, cohort: int, first: int, last: int) -> bool:
        came = {self.after(person, cohort, event) for event in self.returns[person]}
        if last == 0:
            return True
        if self.counting == "rolling":
            return any(k >= first for k in came)
        if self.counting == "before":
            return any(1 <= k <= last for k in came)
        if self.counting == "streak":
            until = [column for column in self.columns if 1 <= column[0] <= first]
            return all(any(low <= k <= high for k in came) for low, high in until)
        return any(first <= k <= last for k in came)

    def value(self, people: Sequence[str], cohort: int, first: int, last: int) -> float:
        found = []
        for person in people:
            for event in self.returns[person]:
                amount = event["properties"].get(self.question["value"])
                k = self.after(person, cohort, event)
                low, high = {"rolling": (first, 10**9), "before": (0, last)}.get(self.counting, (first, last))
                if low <= k <= high and isinstance(amount, (int, float)):
                    found.append(amount)
        return fsum(found)

    def complete(self, cohort: int, last: int) -> bool:
        if not self.elapsed:
            return cohort + last < len(self.starts) and self.edges[cohort + last + 1] <= self.known
        windows = 0 if last == 0 and not self.question.get("value") else last + 1
        return self.edges[cohort + 1].astimezone(UTC) + windows * timedelta(hours=HOURS[self.unit]) <= self.known

    def cells(self, label: str) -> dict[tuple[int, int], dict[str, Any]]:
        """By cohort and first period."""
        found = {}
        for cohort in range(len(self.starts)):
            people = self.labels[label].get(cohort, [])
            for first, last in self.columns:
                if cohort + first < len(self.starts):
                    counted = [person for person in people if self.counts(person, cohort, first, last)]
                    found[cohort, first] = {"people": counted, "size": len(people), "complete": self.complete(cohort, last)}
                    if self.question.get("value"):
                        found[cohort, first]["value"] = self.value(people, cohort, first, last)
                        found[cohort, first]["base"] = fsum(
                            event["properties"][self.question["value"]]
                            for person in people
                            for event in self.returns[person]
                            if self.after(person, cohort, event) == 0
                            and isinstance(event["properties"].get(self.question["value"]), (int, float))
                        )
        return found

    def rows(self) -> list[dict[str, Any]]:
        return [row for row, _ in self.rows_and_people()]

    def rows_and_people(self) -> list[tuple[dict[str, Any], set[str]]]:
        found = []
        for label in self.labels:
            named = {"breakdown": label} if self.question.get("breakdown") else {}
            cells = self.cells(label)
            if self.question.get("report") != "curve":
                for (cohort, first), cell in cells.items():
                    own = {"cohort": written(self.starts[cohort], self.unit)}
                    if not self.elapsed:
                        own["period_start"] = written(self.starts[cohort + first], self.unit)
                    found.append(({**named, **own, **self.column(first), **self.sums([cell])}, set(cell["people"])))
                continue
            for first, _ in self.columns:
                begun = [cell for (_, k), cell in cells.items() if k == first]
                together = [cell for cell in begun if cell["complete"]] or begun
                if together:
                    row = {**named, "cohorts": len(together), **self.column(first), **self.sums(together)}
                    found.append((row, {person for cell in together for person in cell["people"]}))
        return found

    def column(self, first: int) -> dict[str, Any]:
        if not self.question.get("brackets"):
            return {"period": first}
        last = dict(self.columns)[first]
        return {"period": first, "bracket": str(first) if first == last else f"{first}-{last}"}

    def sums(self, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        size, count = sum(cell["size"] for cell in cells), sum(len(cell["people"]) for cell in cells)
        row = {"size": size, "count": count, "rate": count / size if size else 0.0, "complete": all(cell["complete"] for cell in cells)}
        if self.question.get("value"):
            value, base = fsum(cell["value"] for cell in cells), fsum(cell["base"] for cell in cells)
            row |= {"value": value, "value_per_person": value / size if size else 0.0, "value_rate": value / base if base else None}
        return row


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
    sizes = {value: sum(len(people) for (other, _), people in members.items() if other == value) for value in kept}
    kept = set(sorted(kept, key=lambda value: (-sizes[value], value))[: breakdown["limit"]])
    labels = {value if value in kept else "Other" for value, _ in members}
    found: dict[str, dict[int, list[str]]] = {
        label: {} for label in sorted(labels, key=lambda label: (label == "Other", -size(label), label))
    }
    for (value, place), people in members.items():
        found[value if value in kept else "Other"].setdefault(place, []).extend(people)
    return found
