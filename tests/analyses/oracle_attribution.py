"""Attribution in plain Python, written from the question's description alone: conversion by conversion, to be compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from math import factorial
from typing import Any

import numpy as np

from almanac.core import time as times

Event = Mapping[str, Any]
Path = tuple[str, ...]
HOURS = {"hour": 1, "day": 24, "week": 168}


def attribution(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows, each with `people`: those behind it. Every field of the question is given; `person` of an event is whom it belongs to."""
    zone, interval = question["timezone"], question["interval"]
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=zone)
    if interval != "total":
        span = times.whole(span, interval)
    back = length(question["look_back"])
    events = [event for event in events if span.start - back <= event["time"] < span.end]
    costs = [event for event in events if question["costs"] and event["event"] == question["costs"]["events"]["event"]]
    touching = [event for event in events if touches(event, question)]
    named = Counter(own_label(event, question) for event in [*touching, *costs])
    kept = sorted((label for label in named if label not in ("", "Other")), key=lambda label: (-named[label], label))[: question["limit"]]

    def label_of(event: Event) -> str:
        own = own_label(event, question)
        return own if own in ("", *kept) else "Other"

    starts = times.periods(span, interval) if interval != "total" else [span.start]

    def period(moment: datetime) -> int:
        return max(place for place, start in enumerate(starts) if start <= moment) if interval != "total" else 0

    credit: Counter[tuple[int, str, str]] = Counter()
    value: Counter[tuple[int, str, str]] = Counter()
    people: dict[tuple[int, str, str], set[str]] = {}
    shown: set[str] = set()
    converting: dict[int, list[tuple[str, list[tuple[float, str, bool]], float]]] = {}  # person, path, value
    leading_nowhere: dict[int, list[Path]] = {}
    for person in sorted({event["person"] for event in events}):
        mine = [event for event in events if event["person"] == person]
        path = sorted(
            (
                (event["time"], label_of(event) == "Other", label_of(event), own_label(event, question) in question["direct"])
                for event in mine
                if person and touches(event, question) and own_label(event, question)
            ),
        )
        conversions = sorted(
            (event["time"], amount(event, question))
            for event in mine
            if matches(event, question["conversion"]) and event["time"] >= span.start
        )
        if question["measure"] == "unique":
            conversions = conversions[:1] if person else []
        for moment, worth in conversions:
            found = [touch for touch in path if moment - back <= touch[0] <= moment][-question["most_touches"] :]
            reduced = [((touch[0] - moment).total_seconds(), touch[2], touch[3]) for touch in found]
            converting.setdefault(period(moment), []).append((person, reduced, worth))
        last = conversions[-1][0] if conversions else None
        tail = [touch for touch in path if touch[0] >= span.start and (last is None or touch[0] > last)][-question["most_touches"] :]
        if tail:
            leading_nowhere.setdefault(period(tail[-1][0]), []).append(tuple(touch[2] for touch in tail))
    if question.get("view") == "paths":
        return ways(converting.get(0, []), question)
    for place in range(len(starts)):
        here = converting.get(place, [])
        for person, path, worth in here:
            labels = [label for _, label, _ in path] or [""]
            shown |= set(labels)
            for model in question["models"]:
                if model in ("markov", "shapley"):
                    for label in set(labels):
                        people.setdefault((place, label, model), set()).add(person)
                    continue
                for label, weight in zip(labels, weights(model, path, question) if path else [1.0], strict=True):
                    credit[place, label, model] += weight
                    value[place, label, model] += weight * worth
                    if weight:
                        people.setdefault((place, label, model), set()).add(person)
        with_touch = [(tuple(label for _, label, _ in path), worth) for _, path, worth in here if path]
        for model in set(question["models"]) & {"markov", "shapley"}:
            credit[place, "", model] = sum(not path for _, path, _ in here)
            value[place, "", model] = sum(worth for _, path, worth in here if not path)
            if model == "shapley":
                for label, (one, two) in shapley(with_touch).items():
                    credit[place, label, model], value[place, label, model] = one, two
            else:
                for label, share in removal([path for path, _ in with_touch], leading_nowhere.get(place, [])).items():
                    credit[place, label, model] = share * len(with_touch)
                    value[place, label, model] = share * sum(worth for _, worth in with_touch)
    spent: Counter[tuple[int, str]] = Counter()
    for event in costs:
        if event["time"] >= span.start and isinstance(event["properties"].get("cost"), (int, float)):
            spent[period(event["time"]), label_of(event)] += event["properties"]["cost"]
    for place, label in spent:
        if spent[place, label]:
            shown.add(label)
    first = question["models"][0]
    total = {label: sum(credit[place, label, first] for place in range(len(starts))) for label in shown}
    rows = []
    for place, start in enumerate(starts):
        for label in sorted(shown, key=lambda label: (label == "", label == "Other", -round(total[label], 9), label)):
            for model in question["models"]:
                sums = value if question["measure"] == "value" else credit
                whole = sum(sums[place, other, model] for other in shown)
                row = {
                    "touch": label,
                    "model": model,
                    "conversions": credit[place, label, model],
                    "share": sums[place, label, model] / whole if abs(whole) > 1e-12 else 0.0,
                    "people": people.get((place, label, model), set()) - {""},
                }
                if interval != "total":
                    row["period"] = start.isoformat() if interval == "hour" else start.date().isoformat()
                    row["complete"] = times.shift(start, interval, 1) <= min(span.end, now)
                if question["costs"] or question["measure"] == "value":
                    row["value"] = value[place, label, model]
                if question["costs"]:
                    cost, earned = spent[place, label], value[place, label, model]
                    row |= {
                        "cost": cost,
                        "cpa": cost / row["conversions"] if row["conversions"] > 1e-9 else None,
                        "roas": earned / cost if cost else None,
                        "roi": (earned - cost) / cost if cost else None,
                    }
                rows.append(row)
    return rows


def ways(converting: Sequence[tuple[str, list[tuple[float, str, bool]], float]], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The view of whole paths."""
    by_value = question["measure"] == "value"
    found: dict[tuple[str, ...], list[tuple[str, list[tuple[float, str, bool]], float]]] = {}
    for one in converting:
        labels = [label for _, label, _ in one[1]]
        found.setdefault(tuple(label for place, label in enumerate(labels) if labels[:place][-1:] != [label]), []).append(one)

    def size(some: Sequence[tuple[str, list[tuple[float, str, bool]], float]]) -> float:
        return sum(worth for _, _, worth in some) if by_value else len(some)

    order = sorted(found, key=lambda way: (-size(found[way]), [(label == "Other", label) for label in way]))
    shown: list[tuple[tuple[str, ...] | None, list[tuple[str, list[tuple[float, str, bool]], float]]]] = [
        (way, found[way]) for way in order[: question["paths"]]
    ]
    if rest := [one for way in order[question["paths"] :] for one in found[way]]:
        shown.append((None, rest))
    return [
        {
            "path": None if way is None else list(way),
            "conversions": len(some),
            **({"value": sum(worth for _, _, worth in some)} if by_value else {}),
            "share": size(some) / size(converting) if size(converting) else 0.0,
            "touches": sum(len(path) for _, path, _ in some) / len(some),
            "average_seconds": sum(-path[0][0] if path else 0.0 for _, path, _ in some) / len(some),
            "people": {person for person, _, _ in some} - {""},
        }
        for way, some in shown
    ]


def weights(model: str, path: Sequence[tuple[float, str, bool]], question: Mapping[str, Any]) -> list[float]:
    """The part of each touch of a path of (seconds after the conversion, label, whether direct)."""
    n = len(path)
    parts = [0.0] * n
    if model == "first":
        parts[0] = 1.0
    elif model == "last":
        parts[-1] = 1.0
    elif model == "last_non_direct":
        parts[max((place for place in range(n) if not path[place][2]), default=n - 1)] = 1.0
    elif model == "linear":
        parts = [1 / n] * n
    elif model == "time_decay":
        half = length(question["half_life"]).total_seconds()
        raw = [2 ** ((seconds - path[-1][0]) / half) for seconds, _, _ in path]
        parts = [one / sum(raw) for one in raw]
    else:
        first, last = question["first_weight"], question["last_weight"]
        if n == 1:
            return [1.0]
        if n == 2:
            return [first / (first + last), last / (first + last)] if first + last else [0.5, 0.5]
        parts = [first, *[(1 - first - last) / (n - 2)] * (n - 2), last]
    return parts


def shapley(paths: Sequence[tuple[Path, float]]) -> dict[str, tuple[float, float]]:
    """By the definition: what a label adds to every set of the others, over all orders. Conversions, and their value."""
    labels = sorted({label for path, _ in paths for label in path})

    def worth(some: Iterable[str]) -> tuple[float, float]:
        enough = set(some)
        inside = [value for path, value in paths if set(path) <= enough]
        return len(inside), sum(inside)

    found = {}
    for label in labels:
        others = [other for other in labels if other != label]
        one = two = 0.0
        for size in range(len(labels)):
            chance = factorial(size) * factorial(len(labels) - size - 1) / factorial(len(labels))
            for some in combinations(others, size):
                with_it, without = worth([*some, label]), worth(some)
                one += chance * (with_it[0] - without[0])
                two += chance * (with_it[1] - without[1])
        found[label] = (one, two)
    return found


def removal(converting: Sequence[Path], nowhere: Sequence[Path]) -> dict[str, float]:
    """Shares by what is lost when the steps to a label lead nowhere instead, each by a chain solved anew."""
    steps: Counter[tuple[str, str]] = Counter()
    for paths, end in ((converting, "!won"), (nowhere, "!lost")):
        for path in paths:
            steps.update(pairwise(("!start", *path, end)))
    labels = sorted({label for path in (*converting, *nowhere) for label in path})
    whole = chance(steps, labels, without=None)
    if not whole:
        return dict.fromkeys(labels, 0.0)
    lost = {label: 1 - chance(steps, labels, without=label) / whole for label in labels}
    return {label: one / sum(lost.values()) for label, one in lost.items()}


def chance(steps: Mapping[tuple[str, str], int], labels: Sequence[str], without: str | None) -> float:
    states = ["!start", *(label for label in labels if label != without)]
    system, won = np.eye(len(states)), np.zeros(len(states))
    for place, state in enumerate(states):
        leaving = sum(count for (source, _), count in steps.items() if source == state)
        for (source, target), count in steps.items():
            if source == state and target in states:
                system[place, states.index(target)] -= count / leaving
            if source == state and target == "!won":
                won[place] += count / leaving
    return float(np.linalg.solve(system, won)[0])


def length(text: str) -> timedelta:
    number, unit = text.split()
    return timedelta(hours=float(number) * HOURS[unit.rstrip("s")])


def matches(event: Event, selector: Mapping[str, Any]) -> bool:
    return event["event"] == selector["event"]


def touches(event: Event, question: Mapping[str, Any]) -> bool:
    if question["touches"]:
        return matches(event, question["touches"])
    if question["costs"] and matches(event, question["costs"]["events"]):
        return False
    if question["label"] != "@channel":
        return True
    return event["channel"] not in ("", "Direct") or (event["kind"] == "page" and event["referrer"] == "")


def own_label(event: Event, question: Mapping[str, Any]) -> str:
    if question["label"] == "@channel":
        return str(event["channel"])
    value = event["properties"].get(question["label"])
    return "" if value is None else {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def amount(event: Event, question: Mapping[str, Any]) -> float:
    value = event["properties"].get("price")
    try:
        return 0.0 if value is None or isinstance(value, bool) else float(value)
    except ValueError:
        return 0.0
