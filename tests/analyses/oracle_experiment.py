"""What each variant did, in plain Python, written from the question's description alone: person by person, metric by metric."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]


def experiment(events: Sequence[Event], question: Mapping[str, Any], now: Any) -> dict[str, Any]:
    """`mixed`: people left out; `cells`: of each label, metric and variant the people, their values and their second numbers.

    Exposures are events `seen` with `variant`; windows are in minutes."""
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    window = timedelta(minutes=question["window"]) if question["window"] else None
    mine: dict[str, list[Event]] = {}
    for event in events:
        if event["person"] and event["time"] < span.end:
            mine.setdefault(event["person"], []).append(event)
    mixed: set[str] = set()
    of: dict[str, tuple[str, str, Any]] = {}  # person -> variant, value, since
    for person, some in mine.items():
        shown = [event for event in some if event["event"] == "seen" and event["properties"].get("variant") and event["time"] >= span.start]
        if not shown:
            continue
        since = min(event["time"] for event in shown)
        if question["complete_only"] and window and since + window >= span.end:
            continue
        if len({event["properties"]["variant"] for event in shown}) > 1:
            mixed.add(person)
            continue
        value = min(event["properties"].get("plan") or "" for event in shown if event["time"] == since) if question["breakdown"] else ""
        of[person] = (shown[0]["properties"]["variant"], value, since)
    kept = biggest([value for _, value, _ in of.values()], question["breakdown"] or 1)
    cells: dict[tuple[str, str, str], dict[str, Any]] = {}
    for metric in question["metrics"]:
        numbers = {person: measured(metric, mine[person], since, window, question) for person, (_, _, since) in of.items()}
        if level := metric.get("winsorize"):
            cap = interpolated(sorted(value for value, _, _ in numbers.values()), level)
            numbers = {person: (min(value, cap), min(other, cap), known) for person, (value, other, known) in numbers.items()}
        for person, (variant, value, _) in of.items():
            label = value if value in kept else "Other"
            cell = cells.setdefault((label, metric["name"], variant), {"people": set(), "values": [], "others": []})
            cell["people"].add(person)
            number, other, known = numbers[person]
            if known:
                cell["values"].append(number)
                cell["others"].append(other)
    return {"mixed": len(mixed), "cells": cells}


def measured(
    metric: Mapping[str, Any], some: Sequence[Event], since: Any, window: Any, question: Mapping[str, Any]
) -> tuple[float, float, bool]:
    """The number of a person, the second one, and whether the person counts."""
    end = since + window if window else None
    after = [event for event in some if event["time"] >= since and (end is None or event["time"] <= end)]
    back = timedelta(minutes=question["cuped"] or 0)
    before = [event for event in some if since - back <= event["time"] < since]
    kind = metric["type"]
    if kind == "funnel":
        later = [event for event in after if not (event["event"] == "seen" and event["time"] == since)]
        return float(in_order(later, metric["steps"])), 0.0, True
    if kind == "retention":
        soonest = since + timedelta(minutes=metric["after"]["value"])
        here = [event for event in after if event["event"] == metric["event"] and event["time"] >= soonest]
        return float(bool(here)), float(any(event["event"] == metric["event"] for event in before)), True

    def worth(some: Sequence[Event], name: str) -> list[float]:
        found = [event["properties"].get("amount") if metric.get("property") else 1.0 for event in some if event["event"] == name]
        return [float(value) for value in found if isinstance(value, (int, float)) and not isinstance(value, bool)]

    here, earlier = worth(after, metric["event"]), worth(before, metric["event"])
    if kind == "proportion":
        return float(bool(here)), float(bool(earlier)), True
    if kind == "ratio":
        return sum(here), float(sum(event["event"] == metric["denominator"] for event in after)), True
    return sum(here), sum(earlier), bool(here) or kind != "quantile"


def in_order(some: Sequence[Event], steps: Sequence[str]) -> bool:
    """Whether events of these names happened one after another, each event serving one step, in any order at one instant."""
    moments = sorted({event["time"] for event in some})
    best = {0}
    for moment in moments:
        here = [event["event"] for event in some if event["time"] == moment]
        found = set(best)
        for start in best:
            done, left = start, list(here)
            while done < len(steps) and steps[done] in left:
                left.remove(steps[done])
                done += 1
                found.add(done)
        best = found
    return len(steps) in best


def interpolated(values: Sequence[float], level: float) -> float:
    if not values:
        return 0.0
    place = level * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def biggest(values: Sequence[str], limit: int) -> set[str]:
    return set(sorted(set(values), key=lambda value: (-values.count(value), value))[:limit])


def shown_value(metric: Mapping[str, Any], cell: Mapping[str, Any]) -> float:
    values, others = cell["values"], cell["others"]
    if metric["type"] == "quantile":
        return sorted(values)[max(1, math.ceil(metric["quantile"] * len(values))) - 1] if values else 0.0
    if metric["type"] == "ratio":
        return sum(values) / sum(others) if sum(others) else 0.0
    return statistics.fmean(values) if values else 0.0


def welch(control: Sequence[float], treatment: Sequence[float], shares: bool) -> tuple[float, float]:
    """Absolute difference and its standard error, (0, 0) where there is none to be had."""
    if len(control) < 2 or len(treatment) < 2:
        return 0.0, 0.0
    means = [statistics.fmean(values) for values in (control, treatment)]
    spreads = [
        mean * (1 - mean) if shares else statistics.variance(values) for mean, values in zip(means, (control, treatment), strict=True)
    ]
    if min(spreads) <= 0:
        return 0.0, 0.0
    return means[1] - means[0], math.sqrt(spreads[0] / len(control) + spreads[1] / len(treatment))


def cuped(control: Mapping[str, Any], treatment: Mapping[str, Any], shares: bool) -> tuple[float, float]:
    """The same after each value lost theta times its second number, theta being the slope over both groups put together."""
    both = [*zip(control["values"], control["others"], strict=True), *zip(treatment["values"], treatment["others"], strict=True)]
    plain = welch(control["values"], treatment["values"], shares)
    centre, middle = (statistics.fmean(pair[place] for pair in both) for place in (1, 0))
    scatter = sum((other - centre) ** 2 for _, other in both)
    if plain == (0.0, 0.0) or not scatter:
        return plain
    theta = sum((value - middle) * (other - centre) for value, other in both) / scatter
    left = [[value - theta * other for value, other in zip(one["values"], one["others"], strict=True)] for one in (control, treatment)]
    spreads = [statistics.variance(values) for values in left]
    return statistics.fmean(left[1]) - statistics.fmean(left[0]), math.sqrt(sum(s / len(v) for s, v in zip(spreads, left, strict=True)))
