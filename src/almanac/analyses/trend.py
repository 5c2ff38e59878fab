"""How does something develop over time.

Ask it for the everyday lines and numbers: events a day, people a week, revenue a month, by channel or plan, beside the period before; and
for what is reckoned from such lines: conversion rates, revenue for each person, DAU/MAU.

How it counts:

- Periods are whole calendar periods of the question's zone: a range that starts mid-week shows all of its first week. The last period is
  marked as not complete while it is not over, or where the range cuts it.
- `unique` counts people, with all their merged ids, once a period; events of no person (about groups only) do not count for it.
- Numeric measures ignore events whose property is missing or not a number; texts that are numbers count, truth values do not.
- A period without events is 0 for count, unique and sum, and empty for the others. Quantiles are exact, with linear interpolation between
  the two nearest values (Hyndman and Fan's type 7; numpy's and spreadsheets' default).
- `per: person` takes one value for each person in a period (and breakdown value): how many of the events he did, or the sum of the
  property over them; average to quantile are of these values. People without a value do not count. (The kind `distribution` shows how
  they spread.)
- `over` takes count, unique and sum over the window that ends with each period: by day `unique` over 7 days are weekly active people, by
  hour the 168 hours that end with each. The events before the range that this needs are read. By week and longer it says nothing: the
  period itself counts. The number of `total` is that of the window that ends with the range, however long the range is. A window of days
  holds whole calendar days.
- A formula is reckoned from the parts of the same period and breakdown value, or over weeks and totals from their events, never from
  smaller periods' results. Its names are its parts in `of`, or the letters A, B, C … of the question's lines: A is the first that is no
  formula over letters. `hidden` keeps a line out of the answer. A missing value is 0, and so is a quotient by zero; the receipt says how
  often that was. DAU/MAU is a formula of `unique` and `unique` over 30 days.
- A breakdown keeps the values with the greatest result of the first line (of no formula, or the first part of one) over all that is read
  of the range, ties by name, for a line of `per: person` those with most people; the rest, reckoned from its events and not from other
  results, is "Other". An empty value means that the property is missing. By `@country` the values are ISO 3166 codes of two letters, as
  maps want them.
- The previous period has the same length and ends where the range begins: no day is in both. (PostHog's lies a day less
  far back, so that they share one; of two days, `previous_day` is the same.) The k-th period stands beside the k-th of the range before.
- Cumulative: counts, sums and formulas run up over the range, a formula as the running sum of its results; `unique` counts people since
  its start, each once.
- A moving average is the mean of the values of so many periods, the last one its own; those before the range are read for it. Empty values
  are left out.
- The people behind a point are those whose events it is reckoned from; for a formula, those of any of its parts. The range before has none.
- Lengths of sessions are asked of the kind `session`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.analyses.trend_blocks import DIMENSIONS, Blocks
from almanac.analyses.trend_lines import Group, Lines
from almanac.analyses.trend_plan import Plan, lettered
from almanac.core import formula
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown
from almanac.core.metrics import NUMERIC, ZERO_WHEN_EMPTY, Measured
from almanac.core.ports import Result
from almanac.core.sql import Sql, all_of, any_of, sql
from almanac.core.time import Interval, TimeRange

Compare = Literal["previous_period", "previous_day", "previous_week", "previous_month", "previous_year"]

_MOST_ROWS: Final = 200_000


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


class TrendLine(Measured):
    """A line: a measure of events, a saved metric, or a formula over `of` or over the letters of the other lines."""

    hidden: bool = Field(False, description="Only for formulas: not shown.")


class Trend(Question):
    """The question."""

    kind: Literal["trend"] = "trend"
    series: Annotated[list[TrendLine], BeforeValidator(_as_list)] = Field(
        description="What to count, each a line.", min_length=1, max_length=26, examples=[["signup"]]
    )
    formula: str = Field(
        "",
        max_length=formula.MOST_LETTERS,
        description="In short: show a line with this formula alone, and hide all others.",
        examples=["A / B"],
    )
    interval: Interval | Literal["total"] = Field("day", description="Length of a period; total: one number for the whole range.")
    breakdown: Annotated[list[Breakdown], BeforeValidator(_as_list)] = Field(
        default=[], max_length=3, description="Properties to split each line by, up to three."
    )
    compare: Compare | None = Field(None, description="Put beside it the same range before, or a day, week, month or year earlier.")
    cumulative: bool = Field(False, description="Let count, unique, sum and formulas run up from the start of the range.")
    moving_average: int | None = Field(None, ge=2, le=366, description="Show the mean of so many periods, each with those before it.")

    @property
    def lines(self) -> list[TrendLine]:
        """All lines, that of `formula` the last."""
        if not self.formula:
            return self.series
        return [*(line.model_copy(update={"hidden": True}) for line in self.series), TrendLine(formula=self.formula)]

    @model_validator(mode="after")
    def _adds_up(self) -> Trend:
        if self.moving_average and (self.cumulative or self.interval == "total"):
            raise ValueError(f"moving_average does not go with {'cumulative' if self.cumulative else 'one number for the whole range'}")
        if self.formula:
            _check_formula(self.formula, "formula", self.series)
        elif all(line.hidden for line in self.series):
            raise invalid("All lines are hidden.", place="series", way_out="Show one.")
        for place, line in enumerate(self.series):
            if line.formula and not line.of:
                _check_formula(line.formula, f"series.{place}.formula", self.series)
            elif self.cumulative and not line.formula and not line.hidden:
                self._check_cumulative(line, f"series.{place}")
        return self

    def _check_cumulative(self, line: Measured, place: str) -> None:
        if line.measure not in ZERO_WHEN_EMPTY:
            raise invalid(
                f"The measure {line.measure} cannot run up.",
                place=f"{place}.measure",
                way_out="Cumulative goes with count, unique and sum.",
            )
        if line.over is not None:
            raise invalid("What is taken over a window cannot run up.", place=f"{place}.over", way_out="Leave out over or cumulative.")


def _check_formula(text: str, place: str, lines: list[TrendLine]) -> None:
    """A formula over letters names lines that are there. Raises `invalid`."""
    letters = lettered(lines)
    there = f"The lines are {', '.join(letters)}." if letters else "Give lines that it reckons with, or `of`."
    try:
        names = formula.parse(text).names
    except ValueError as error:
        raise invalid(f"{str(error)[:1].upper()}{str(error)[1:]}.", place=place) from None
    if not names:
        raise invalid(f"The formula {text!r} names no line.", place=place, way_out=there)
    if unknown := sorted(names - set(letters)):
        raise invalid(f"The formula {text!r} names {', '.join(unknown)}, which no line is.", place=place, way_out=there)
    for letter, line in letters.items():
        # Else it would be reckoned with another line than the one that the reader sees under this name.
        if line.name in letters and line.name != letter:
            raise invalid(
                f"The line {letter} is named {line.name!r}, the letter of another.", place=place, way_out="Rename it, or change the order."
            )


class TrendRow(Row):
    """One period of one line."""

    series: str = Field(description="Name of the line.")
    breakdown: str = Field("", description="Value of the (first) property; empty: events without it; 'Other': all further values.")
    breakdown_2: str = Field("", description="Value of the second property.")
    breakdown_3: str = Field("", description="Value of the third property.")
    period: str = Field(description="Start of the period, local: a date for days and longer, else a time with its offset.")
    value: float | None = Field(description="The measure in this period; empty where there is nothing to reckon it from.")
    previous: float | None = Field(description="The same in the period that it is compared with; empty without compare.")
    complete: bool = Field(description="False while the period is not over, or where the range cuts it.")


MEMBERS: Final = """
SELECT DISTINCT person
FROM $events
WHERE $scope AND person != 0 AND ($within) AND $group
"""


def compile(question: Trend, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """One statement for all lines and both sides."""
    return Compiled(Blocks(Plan(question, scope), scope).statement())


def members(question: Trend, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Whose events the value of a row is reckoned from. Raises `invalid` for a row that the answer does not have."""
    plan = Plan(question, scope)
    shown = _shown(plan)
    labels = _labels(shown)
    if row.get("series") not in labels:
        raise invalid(f"The answer has no line {row.get('series')!r}.", place="series", way_out=f"There are: {', '.join(labels)}.")
    line = shown[labels.index(row["series"])]
    periods = [_label(plan, start) for start in _starts(plan)]
    if row.get("period") not in periods:
        raise invalid(f"The answer has no period {row.get('period')!r}.", place="period", way_out="Take it from a row of the answer.")
    values = [row.get(name.text) for name in DIMENSIONS[: len(question.breakdown)]]
    if not all(isinstance(value, str) for value in values):
        raise invalid("The row does not say which value it is about.", place="breakdown", way_out="Take it from a row of the answer.")
    blocks = Blocks(plan, scope)
    spans: dict[TimeRange, list[Sql]] = {}
    for place in plan.of_line(line):
        part = plan.parts[place].measured
        events = [blocks.condition(place)]
        if part.measure in NUMERIC and part.property:
            events.append(sql("isNotNull($value)", value=scope.number(part.property)))
        spans.setdefault(plan.behind(plan.parts[place], periods.index(row["period"])), []).append(all_of(events))
    within = [sql("$within AND ($wanted)", within=scope.where(span), wanted=any_of(wanted)) for span, wanted in spans.items()]
    group = blocks.of_group([str(value) for value in values])
    return Compiled(sql(MEMBERS, events=scope.events(), scope=scope.where(plan.widest()), within=any_of(within), group=group))


def shape(question: Trend, scope: Scope, result: Result) -> Shaped:
    """Every line has every period; the two sides stand beside each other."""
    plan = Plan(question, scope)
    lines, shown, starts = Lines(plan, result), _shown(plan), _starts(plan)
    if len(lines.groups) * len(shown) * len(starts) > _MOST_ROWS:
        raise invalid("The answer would have too many rows.", place="breakdown", way_out="Lower a limit, or ask by a longer interval.")
    complete = [end <= min(scope.range.end, scope.now) for end in _ends(plan, starts)]
    periods = [_label(plan, start) for start in starts]
    groups = _groups(lines, shown[0])
    rows: list[dict[str, Any]] = []
    notes = [] if complete[-1] else ["The last period is not complete."]
    for label, line in zip(_labels(shown), shown, strict=True):
        undefined = 0
        for group in groups:
            now, missing = lines.line(line, group, 0)
            before = lines.line(line, group, 1)[0] if question.compare else []
            undefined += missing
            rows += [
                {
                    "series": label,
                    **{name.text: value for name, value in zip(DIMENSIONS, group, strict=False)},
                    "period": period,
                    "value": now[place],
                    "previous": before[place] if place < len(before) else None,
                    "complete": complete[place],
                }
                for place, period in enumerate(periods)
            ]
        if undefined:
            notes.append(
                f"{label}: {undefined} of {len(groups) * len(periods)} values divide by zero (or are beyond all numbers); they are 0."
            )
    if not plan.total and any(line.over for line in shown) and question.interval not in ("minute", "hour", "day"):
        notes.append(f"By {question.interval}, `over` says nothing: each {question.interval} itself counts.")
    return Shaped(rows, notes=notes)


def _shown(plan: Plan) -> list[TrendLine]:
    return [line for line in plan.lines if not line.hidden]


def _starts(plan: Plan) -> list[datetime]:
    return plan.sides[0].starts[-plan.sides[0].shown :]


def _ends(plan: Plan, starts: list[datetime]) -> list[datetime]:
    if plan.question.interval == "total":
        return [plan.scope.range.end]
    return [times.shift(start, plan.question.interval, 1).astimezone(UTC) for start in starts]


def _label(plan: Plan, start: datetime) -> str:
    interval = plan.question.interval
    return period_label(start, "minute" if interval == "total" else interval, plan.scope.zone)


def _groups(lines: Lines, first: TrendLine) -> list[Group]:
    """The biggest first, by the first line; Other last."""
    sizes = {group: sum(value or 0 for value in lines.line(first, group, 0)[0]) for group in lines.groups}
    return sorted(lines.groups, key=lambda group: (OTHER in group, -sizes[group], group))


def _labels(lines: list[TrendLine]) -> list[str]:
    """The events' names; lines of the same events are told apart by what they reckon, and if that does not do, by numbers."""
    labels = [line.label for line in lines]
    longer = [label if labels.count(label) == 1 else f"{label}: {_measured(line)}" for line, label in zip(lines, labels, strict=True)]
    return [label if longer.count(label) == 1 else f"{label} ({place})" for place, label in enumerate(longer, 1)]


def _measured(line: TrendLine) -> str:
    words = ["formula" if line.formula else line.measure.replace("_", " ")]
    if line.property:
        words.append(f"of {line.property}")
    if line.per == "person":
        words.append("per person")
    if line.over:
        words.append(f"over {line.over.value:g} {line.over.unit}s")
    return " ".join(words)


ANALYSIS: Final = Analysis(question=Trend, row=TrendRow, compile=compile, shape=shape, members=members, examples=examples_of("trend"))
