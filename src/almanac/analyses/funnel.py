"""How many people take these steps, and where do they stop.

Ask it for the way to a goal: from the first visit to the order, from the invitation to the first message. It shows how many people reach
each step, how long they take, and, by a property, who gets further.

How it counts:

- A run starts at any occurrence of step 1. Each next step is the first matching event after the one before; events in between do not
  matter, and an event is used for one step only: the same event as two steps has to happen twice.
- The window is elapsed time from step 1 to the last step, its limit included. A month is 30 days. Only events within the range count.
- A person counts once, by the run that gets furthest; of several such, the one that gets there first; of several that get there by the
  same event, the one that started last. Times are those of that run; the median of an even number is halfway between the two in the
  middle.
- Simultaneous events (to the microsecond) are taken in the order of the steps that they match, then excluded ones, then all others:
  senders' batches do not tell their order, so it is read in favour of the person. Starts at one instant are one run.
- Order `strict`: the steps are neighbours in the person's stream of all events that pass the question's filters. Each step 1 starts
  again. (ClickHouse's strict order lets repeats of a step and events outside the funnel pass.)
- Order `any`: at level k are people who did k different steps within one window, whichever came first. An event that fits several steps
  stands for one of them: an open one (the lowest), or the one whose event lies furthest from the run's start.
- Exclusions: an excluded event after `from_step` and before `to_step` is reached spoils the run, if it is still within the window. An
  event that is excluded and a step is taken as excluded first. In order, a person with any spoilt run leaves the funnel, step 1 included.
  In any order an exclusion lies over all steps (a part of them has no meaning there) and a run that it spoils counts as its first step
  alone, since every step is the start of a run; other runs of the person count in full, and what comes after completion does no harm.
- Breakdown by an event's property: first touch takes the first value that is not empty over the person's step events in the range, last
  touch the last; `all_steps` needs the same value at every step; `step` needs the value at that step, and takes each value that the
  person's events of that step have. The last two may show a person under several values. A limit keeps the values with most people; in
  Other, too, a person counts once.
- View `trend`: by the period of step 1; in each period only the runs that start in it count, a person once, and its exclusions only reach
  those. View `time_to_convert`: a histogram with bins of whole seconds; its last bin begins at or after the longest time.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file, and this one has three orders and three views.
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.funnel_runs import runs_of, streams_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, number, sql
from almanac.core.time import TimeRange

_MOST_PERIODS: Final = 2000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = 1 << 62  # later than any instant


class Exclusion(Selector):
    """Events that must not happen between two steps."""

    from_step: int = Field(1, ge=1, description="Number of the step after which it must not happen.")
    to_step: int | None = Field(None, description="Number of the step before which it must not happen; the last step by default.")


class FunnelBreakdown(Breakdown):
    """Splits a funnel by a property."""

    attribution: Literal["first_touch", "last_touch", "all_steps", "step"] = Field(
        "first_touch", description="Which of a person's values counts: the first or last that is set, one at all steps, or at one step."
    )
    attribution_step: int = Field(1, ge=1, description="With the attribution `step`: the number of the step.")


class Funnel(Question):
    """The question."""

    kind: Literal["funnel"] = "funnel"
    steps: list[Selector] = Field(description="The steps, in their order.", min_length=1, max_length=20, examples=[["signup", "order"]])
    order: Literal["ordered", "strict", "any"] = Field(
        "ordered", description="ordered: other events may lie between; strict: none may; any: the steps in whichever order."
    )
    window: Window = Field(Window(value=14, unit="day"), description="Longest time from the first to the last step.", examples=["14 days"])
    exclusions: list[Exclusion] = Field(default=[], max_length=10, description="Events that spoil a run.")
    breakdown: FunnelBreakdown | None = Field(None, description="Property to split by.", examples=["@browser"])
    view: Literal["steps", "trend", "time_to_convert"] = Field(
        "steps", description="steps: people at each step; trend: conversion by the period of step 1; time_to_convert: a histogram."
    )
    interval: Literal["hour", "day", "week", "month", "quarter", "year"] = Field("day", description="For the trend: length of a period.")
    from_step: int = Field(1, ge=1, description="For the trend and time_to_convert: the step to measure from.")
    to_step: int | None = Field(None, description="For the trend and time_to_convert: the step to measure to; the last one by default.")
    bins: int | None = Field(
        None, ge=1, le=90, description="For time_to_convert: number of bins; by default the cube root of the people, 3 to 60."
    )

    @property
    def last_step(self) -> int:
        """The step to measure to."""
        return self.to_step or len(self.steps)

    @model_validator(mode="after")
    def _steps_exist(self) -> Funnel:
        count = len(self.steps)
        for exclusion in self.exclusions:
            last = exclusion.to_step or count
            if not exclusion.from_step < last <= count:
                raise ValueError(f"an exclusion lies between a step and a later one, of {count}")
            if self.order == "any" and (exclusion.from_step, last) != (1, count):
                raise ValueError("in any order an exclusion lies over all steps")
        if self.breakdown and self.breakdown.attribution_step > count:
            raise ValueError(f"attribution_step is {self.breakdown.attribution_step}, but there are {count} steps")
        if not self.from_step <= self.last_step <= count or (self.view == "time_to_convert" and self.from_step == self.last_step):
            raise ValueError(f"from_step has to come before to_step, of {count} steps")
        return self


class FunnelRow(Row):
    """A step, a period or a bin, by the view."""

    breakdown: str = Field("", description="Value of the property; empty: none is set; 'Other': all further values.")
    step: int | None = Field(None, description="Number of the step.")
    name: str | None = Field(None, description="Name of the step; in any order, how many steps were done.")
    count: int | None = Field(None, description="People who reached the step, or whose time is in the bin.")
    rate_from_first: float | None = Field(None, description="Part of the people of step 1 who reached this one, 0 to 1.")
    rate_from_previous: float | None = Field(None, description="Part of the people of the step before; empty for step 1.")
    average_seconds_from_previous: float | None = Field(None, description="Mean time since the step before, in seconds.")
    median_seconds_from_previous: float | None = Field(None, description="Median time since the step before, in seconds.")
    period: str | None = Field(None, description="Start of the period of step 1, local: a date, for hours with time and offset.")
    entered: int | None = Field(None, description="People who reached from_step.")
    completed: int | None = Field(None, description="Of those, who reached to_step.")
    rate: float | None = Field(None, description="completed / entered, 0 to 1; 0 when nobody entered.")
    complete: bool | None = Field(None, description="False while windows of the period are open, or where the range cuts them.")
    bin_start_seconds: float | None = Field(None, description="Shortest time of the bin, in seconds, included.")
    bin_end_seconds: float | None = Field(None, description="Where the next bin begins, in seconds.")
    average_seconds: float | None = Field(None, description="Mean time of all who converted under this value (the same in each bin).")
    median_seconds: float | None = Field(None, description="Median time of all who converted under this value (the same in each bin).")


# An event becomes one integer, its mark: the instant in microseconds since the range's start, then its rank among simultaneous events, then
# a bit for each step and exclusion that it matches. Sorting integers took half the time of sorting tuples (0.34 s and 0.63 s, 6 M events).
STATEMENT: Final = """
WITH
tagged AS
(
    SELECT
        person,
        $mask AS mask,
        least(bitCount(bitXor(mask, mask - 1)), {last_rank:UInt64}) AS rank,
        bitShiftLeft($wide(toUnixTimestamp64Micro(time) - {origin:Int64}), {instant_at:UInt8})
            + $wide(bitShiftLeft(toUInt64(rank), {rank_at:UInt8}) + mask) AS mark
        $tags
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT person, $grouped
    FROM tagged
    GROUP BY person
),
streams AS
($streams),
runs AS
($runs),
labelled AS
($labelled)
$view
"""

# A person who stands under several of the values that make up Other is there once, with the best run.
LABELLED: Final = """
    SELECT person, if(place <= {limit:UInt64}, value, {other:String}) AS label, period, instants
    FROM
    (
        SELECT *, dense_rank() OVER (ORDER BY people DESC, value) AS place
        FROM
        (
            SELECT *, uniqExact(person) OVER (PARTITION BY value) AS people
            FROM runs
        )
    )
    ORDER BY length(instants) DESC, instants[-1], value
    LIMIT 1 BY person, label, period
"""

UNLABELLED: Final = """
    SELECT person, '' AS label, period, instants
    FROM runs
"""

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


def compile(question: Funnel, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """One statement for all orders and views: tag the events, gather each person's, find the best run, count."""
    span = _span(question, scope)
    values = _values(question, scope, span)
    # 63 bits hold the marks of a short funnel over centuries, but not of twenty steps over a year.
    wide = Sql("toUInt64") if values["low"].bit_length() + _longest(question, span).bit_length() <= 63 else Sql("toUInt128")
    window = sql("bitShiftLeft($wide({window:Int64}), {instant_at:UInt8})", wide=wide)
    matches = [scope.matches(selector) for selector in (*question.steps, *question.exclusions)]
    trend = question.view == "trend"
    statement = sql(
        STATEMENT,
        values,
        mask=_mask(matches),
        wide=wide,
        tags=_tags(question, scope),
        events=scope.events(),
        scope=scope.where(span),
        wanted=Sql("1") if question.order == "strict" else any_of(matches),
        grouped=_grouped(question, wide),
        streams=streams_of(several_values=_several_values(question), in_periods=trend, wide=wide, window=window),
        runs=runs_of(
            question.order,
            steps=len(question.steps),
            exclusions=_exclusions(question),
            wide=wide,
            window=window,
            limited=trend,
        ),
        labelled=Sql(LABELLED if question.breakdown else UNLABELLED),
        view=Sql({"steps": STEPS, "trend": TREND, "time_to_convert": TIME_TO_CONVERT}[question.view]),
    )
    return Compiled(statement)


def shape(question: Funnel, scope: Scope, result: Result) -> Shaped:
    """Every step, period and bin has its row, also with nobody in it; the biggest values come first, Other last."""
    rows = result.dicts()
    if question.view == "steps":
        return Shaped(_step_rows(question, rows))
    if question.view == "trend":
        return _trend_rows(question, scope, rows)
    return Shaped(_bin_rows(question, rows))


# ----------------------------------------------------------------- the statement


def _values(question: Funnel, scope: Scope, span: TimeRange) -> dict[str, Any]:
    """What is bound: the layout of a mark (from its lowest bits: the matches, the rank, the instant) and the question's numbers."""
    steps, matches = len(question.steps), len(question.steps) + len(question.exclusions)
    instant_at = matches + (matches + 1).bit_length()
    values: dict[str, Any] = {
        "origin": _microseconds(span.start - _EPOCH),
        "rank_at": matches,
        "last_rank": matches + 1,
        "instant_at": instant_at,
        "low": (1 << instant_at) - 1,
        "steps": steps,
        "step_bits": (1 << steps) - 1,
        "entry_bits": (1 << steps) - 1 if question.order == "any" else 1,
        "window": question.window.microseconds,
        "never": _NEVER,
        "excluded": (1 << matches) - (1 << steps),
        "excluded_bits": [bit for bit, _, _ in _exclusions(question)],
        "excluded_after": [after for _, after, _ in _exclusions(question)],
        "excluded_before": [until for _, _, until in _exclusions(question)],
        "from_step": question.from_step,
        "to_step": question.last_step,
        "bins": question.bins or 0,
    }
    if question.breakdown:
        attributed = 1 << question.breakdown.attribution_step - 1
        values |= {
            "limit": question.breakdown.limit,
            "other": OTHER,
            "attributed": attributed if question.breakdown.attribution == "step" else values["step_bits"],
        }
    if question.view == "trend":
        starts = _periods(question, scope)
        ends = [min(end, span.end) for end in _ends(question, starts)]
        values |= {
            "period_starts": [int(start.timestamp()) for start in starts],
            "period_ends": [_microseconds(end - span.start) for end in ends],
        }
    return values


def _mask(matches: Sequence[Sql]) -> Sql:
    """A bit for each match, in the narrowest integer that holds them all: 60 ms less than sums of UInt64 (4 M events)."""
    bits = [sql("if($match, $bit, 0)", match=match, bit=number(1 << place)) for place, match in enumerate(matches)]
    return reduce(lambda mask, bit: sql("bitOr($mask, $bit)", mask=mask, bit=bit), bits)


def _exclusions(question: Funnel) -> list[tuple[int, int, int]]:
    """The bit of each in a mark, and the numbers of its two steps."""
    steps = len(question.steps)
    return [(steps + place, one.from_step, one.to_step or steps) for place, one in enumerate(question.exclusions)]


def _tags(question: Funnel, scope: Scope) -> Sql:
    value = sql(", toString($text) AS value", text=scope.text(question.breakdown)) if question.breakdown else EMPTY
    if question.view != "trend":
        return value
    return sql("$value, toUnixTimestamp($period) AS period", value=value, period=scope.period(question.interval))


def _several_values(question: Funnel) -> bool:
    return question.breakdown is not None and question.breakdown.attribution in ("all_steps", "step")


def _grouped(question: Funnel, wide: Sql) -> Sql:
    periods = Sql(", groupUniqArrayIf(period, bitAnd(mask, {entry_bits:UInt64}) != 0) AS periods" if question.view == "trend" else "")
    if _several_values(question):
        return sql("groupArray(mark) AS own_marks, groupArray(value) AS own_values$periods", periods=periods)
    attribution = question.breakdown.attribution if question.breakdown else ""
    if not attribution:
        return sql("arraySort(groupArray(mark)) AS marks, '' AS touch$periods", periods=periods)
    return sql(
        "arraySort(groupArray(mark)) AS marks, $take(value, $key, value != '' AND bitAnd(mask, {step_bits:UInt64}) != 0) AS touch$periods",
        take=Sql("argMinIf" if attribution == "first_touch" else "argMaxIf"),
        # One integer, so that equal marks give the same answer each time: 0.4 s where a tuple took 1.9 s (6 M events).
        key=sql("bitShiftLeft($wider(mark), 64) + cityHash64(value)", wider=Sql("toUInt128" if wide.text == "toUInt64" else "toUInt256")),
        periods=periods,
    )


# ---------------------------------------------------------------------- the times


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def _longest(question: Funnel, span: TimeRange) -> int:
    """The latest deadline of a run, in microseconds since the start of the range."""
    return _microseconds(span.length) + question.window.microseconds


def _span(question: Funnel, scope: Scope) -> TimeRange:
    return times.whole(scope.range, question.interval, week_start=scope.week_start) if question.view == "trend" else scope.range


def _periods(question: Funnel, scope: Scope) -> list[datetime]:
    starts = times.periods(_span(question, scope), question.interval, week_start=scope.week_start)
    if len(starts) > _MOST_PERIODS:
        raise invalid(f"The range has more than {_MOST_PERIODS} periods.", place="interval", way_out="Choose a longer interval.")
    return starts


def _ends(question: Funnel, starts: list[datetime]) -> list[datetime]:
    return [times.shift(start, question.interval, 1).astimezone(UTC) for start in starts]


# ----------------------------------------------------------------------- the rows


def _labels(question: Funnel, sizes: dict[str, int]) -> list[str]:
    if not question.breakdown:
        return [""]
    return sorted(sizes, key=lambda label: (label == OTHER, -sizes[label], label))


def _under(question: Funnel, label: str) -> dict[str, Any]:
    return {"breakdown": label} if question.breakdown else {}


def _step_rows(question: Funnel, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _trend_rows(question: Funnel, scope: Scope, rows: list[dict[str, Any]]) -> Shaped:
    starts = _periods(question, scope)
    window = timedelta(microseconds=question.window.microseconds)
    closed = min(scope.range.end, scope.now)
    found = {(row["label"], row["period"]): (row["entered"], row["completed"]) for row in rows}
    sizes: dict[str, int] = {}
    for (label, _), (entered, _) in found.items():
        sizes[label] = sizes.get(label, 0) + entered
    shaped = []
    for label in _labels(question, sizes):
        for start, end in zip(starts, _ends(question, starts), strict=True):
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


def _bin_rows(question: Funnel, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


ANALYSIS: Final = Analysis(question=Funnel, row=FunnelRow, compile=compile, shape=shape, examples=examples_of("funnel"))
