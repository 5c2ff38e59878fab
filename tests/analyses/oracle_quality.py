"""The checks of a metric in plain Python, written from the question's description alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]
SECONDS = {"hour": 3600, "day": 86_400}


def quality(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows, without their sentences. Formulas are quotients of counts."""
    metric, zone = question["metric"], question["timezone"]
    checks = metric.get("checks", {})
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=zone)
    until = min(span.end, now)
    events = [event for event in events if span.start <= event["time"] < until]
    rows = []
    for name, part in metric["of"].items() if "formula" in metric else [("", metric)]:
        mine = [event for event in events if event["event"] == part["event"]]
        rows.append(row("events", name, 1, len(mine), bool(mine)))
        if "fresh_within" in checks:
            number, unit = checks["fresh_within"].split()
            most = timedelta(seconds=int(number) * SECONDS[unit.rstrip("s")])
            age = until - max(event["time"] for event in mine) if mine else None
            rows.append(row("fresh_within", name, most.total_seconds(), age and age.total_seconds(), age is not None and age <= most))
        if "complete" in checks and "property" in part:
            share = sum(event["properties"].get(part["property"]) is not None for event in mine) / len(mine) if mine else None
            rows.append(row("complete", name, checks["complete"], share, share is not None and share >= checks["complete"]))
    if "property" in metric:
        mine = [event for event in events if event["event"] == metric["event"]]
        values = [value for event in mine if (value := number_of(event["properties"].get(metric["property"]))) is not None]
        return rows + bounds(checks, values)
    values, divided = by_day(events, metric, span, until)
    rows += bounds(checks, values)
    return [*rows, row("divides", "", 0, divided, not divided)] if "formula" in metric else rows


def bounds(checks: Mapping[str, Any], values: Sequence[float]) -> list[dict[str, Any]]:
    found = []
    if "least" in checks:
        lowest = min(values, default=None)
        found.append(row("least", "", checks["least"], lowest, lowest is None or lowest >= checks["least"]))
    if "most" in checks:
        highest = max(values, default=None)
        found.append(row("most", "", checks["most"], highest, highest is None or highest <= checks["most"]))
    return found


def by_day(events: Sequence[Event], metric: Mapping[str, Any], span: times.TimeRange, until: datetime) -> tuple[list[float], int]:
    """The metric's values on the days that are over, and how many of these divide by zero. Days are whole: the first began before."""
    values: list[float] = []
    divided = 0
    for start in times.periods(span, "day"):
        end = times.shift(start, "day", 1)
        if end > until:
            continue
        today = [event for event in events if start <= event["time"] < end]
        if "formula" not in metric:
            mine = [event for event in today if event["event"] == metric["event"]]
            values.append(len({event["person"] for event in mine}) if metric["measure"] == "unique" else len(mine))
            continue
        above, below = (sum(event["event"] == metric["of"][part]["event"] for event in today) for part in ("A", "B"))
        divided += below == 0
        values.append(above / below if below else 0)
    return values, divided


def number_of(value: Any) -> float | None:
    """Texts that are numbers count, truth values do not."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except ValueError:
        return None


def row(check: str, part: str, expected: float, found: float | None, ok: bool) -> dict[str, Any]:
    return {"check": check, "part": part, "expected": expected, "found": found, "ok": ok}
