"""The views of a funnel: from the runs to the counts, as SQL, and from these to rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from almanac.analyses.breakdowns import in_order, limit_of, ranked
from almanac.analyses.periods import starts_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Scope, Shaped
from almanac.core.sql import EMPTY, Sql, sql
from almanac.core.time import TimeRange

if TYPE_CHECKING:
    from almanac.analyses.funnel import Funnel

_MOST_PERIODS: Final = 2000

# What stands under several of the values that make up Other, or has several streams, is there once, with the best run.
LABELLED: Final = """
    SELECT person, unit, label, period, instants
    FROM $ranked
    $best
"""

SIZED: Final = "(SELECT *, $size OVER (PARTITION BY value) AS size FROM runs)"

BEST: Final = """ORDER BY length(instants) DESC, instants[-1], value, instants[1] DESC, instants
    LIMIT 1 BY person, unit, label, period"""

STEPS: Final = """
SELECT
    label,
    step,
    count() AS people,
    avg(gap) / 1e6 AS average,
    quantileExactInclusive(0.5)(gap) / 1e6 AS median
FROM labelled
ARRAY JOIN
    arrayEnumerate(instants) AS step,
    arrayDifference(instants) AS gap
GROUP BY label, step
"""

TREND: Final = """
SELECT
    label,
    period,
    countIf(length(instants) >= {from_step:UInt8}) AS entered,
    countIf(length(instants) >= {to_step:UInt8}) AS completed
FROM labelled
GROUP BY label, period
"""

# All values share the bins, so that they can be compared.
TIME_TO_CONVERT: Final = """
SELECT
    label,
    first,
    width,
    bins,
    toUInt64(floor((seconds - first) / width)) AS bin,
    count() AS people,
    any(average) AS average,
    any(median) AS median
FROM
(
    SELECT
        label,
        (instants[{to_step:UInt8}] - instants[{from_step:UInt8}]) / 1e6 AS seconds,
        if({bins:UInt64} > 0, {bins:UInt64}, toUInt64(least(60, greatest(3, ceil(cbrt(count() OVER ())))))) AS bins,
        floor(min(seconds) OVER ()) AS first,
        max(seconds) OVER () AS longest,
        if(longest = min(seconds) OVER (), 60, ceil((longest - first) / bins)) AS width,
        avg(seconds) OVER (PARTITION BY label) AS average,
        quantileExactInclusive(0.5)(seconds) OVER (PARTITION BY label) AS median
    FROM labelled
    WHERE length(instants) >= {to_step:UInt8}
)
GROUP BY label, first, width, bins, bin
"""

VIEWS: Final = {"steps": STEPS, "trend": TREND, "time_to_convert": TIME_TO_CONVERT}


def labelled_of(question: Funnel, *, several: bool) -> Sql:
    """Of each that is counted, the run under each label. `several`: a person has more than one stream."""
    broken = question.breakdown
    sizes = {"people": "uniqExact(person)", "sessions": "uniqExact((person, unit))", "runs": "count()"}
    cells = sql(SIZED, size=Sql(sizes[question.count])) if broken else Sql("runs")
    best = Sql(BEST) if question.count != "runs" and (broken or several) else EMPTY
    return sql(LABELLED, ranked=ranked(cells, limit_of(broken)), best=best)


# ---------------------------------------------------------------------- the times


def span_of(question: Funnel, scope: Scope) -> TimeRange:
    """What is read: for a trend, whole periods."""
    return times.whole(scope.range, question.interval, week_start=scope.week_start) if question.view == "trend" else scope.range


def periods(question: Funnel, scope: Scope) -> list[datetime]:
    """The starts of the trend's periods. Raises `invalid` when there are too many."""
    return starts_of(scope, question.interval, span=span_of(question, scope), most=_MOST_PERIODS)


def ends(question: Funnel, starts: list[datetime]) -> list[datetime]:
    """Where each of these periods ends."""
    return [times.shift(start, question.interval, 1).astimezone(UTC) for start in starts]


# ----------------------------------------------------------------------- the rows


def _labels(question: Funnel, sizes: dict[str, int]) -> list[str]:
    return in_order(sizes) if question.breakdown else [""]


def _under(question: Funnel, label: str) -> dict[str, Any]:
    return {"breakdown": label} if question.breakdown else {}


def step_rows(question: Funnel, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every step, with what reached it."""
    found = {(row["label"], row["step"]): row for row in rows}
    shaped = []
    for label in _labels(question, {label: row["people"] for (label, step), row in found.items() if step == 1}):
        counts = [found[label, step]["people"] if (label, step) in found else 0 for step in range(1, len(question.steps) + 1)]
        for place, selector in enumerate(question.steps):
            row = found.get((label, place + 1)) if place else None
            shaped.append(
                {
                    **_under(question, label),
                    "step": place + 1,
                    "name": selector.label if question.order != "any" else f"{place + 1} step{'s' if place else ''}",
                    "count": counts[place],
                    "rate_from_first": _rate(counts[place], counts[0]),
                    "rate_from_previous": _rate(counts[place], counts[place - 1]) if place else None,
                    "average_seconds_from_previous": row["average"] if row else None,
                    "median_seconds_from_previous": row["median"] if row else None,
                }
            )
    return shaped


def trend_rows(question: Funnel, scope: Scope, rows: list[dict[str, Any]]) -> Shaped:
    """Every period of the range, and whether it is complete."""
    starts = periods(question, scope)
    window = timedelta(microseconds=question.window.microseconds)
    closed = min(scope.range.end, scope.now)
    found = {(row["label"], row["period"]): (row["entered"], row["completed"]) for row in rows}
    sizes: dict[str, int] = {}
    for (label, _), (entered, _) in found.items():
        sizes[label] = sizes.get(label, 0) + entered
    shaped = []
    for label in _labels(question, sizes):
        for start, end in zip(starts, ends(question, starts), strict=True):
            entered, completed = found.get((label, int(start.timestamp())), (0, 0))
            shaped.append(
                {
                    **_under(question, label),
                    "period": period_label(start, question.interval, scope.zone),
                    "entered": entered,
                    "completed": completed,
                    "rate": _rate(completed, entered),
                    "complete": end + window <= closed,
                }
            )
    notes = ("Windows of the last periods are still open.",) if shaped and not shaped[-1]["complete"] else ()
    return Shaped(shaped, notes=notes)


def bin_rows(question: Funnel, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every bin of the histogram, also empty ones."""
    found = {(row["label"], row["bin"]): row for row in rows}
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row["label"]] = sizes.get(row["label"], 0) + row["people"]
    shaped = []
    for label in _labels(question, sizes) if rows else []:
        some = next(row for row in rows if row["label"] == label)
        for place in range(some["bins"] + 1):
            here = found.get((label, place))
            start = some["first"] + place * some["width"]
            shaped.append(
                {
                    **_under(question, label),
                    "bin_start_seconds": start,
                    "bin_end_seconds": start + some["width"],
                    "count": here["people"] if here else 0,
                    "average_seconds": some["average"],
                    "median_seconds": some["median"],
                }
            )
    return shaped


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
