"""How does something develop over time.

Ask it for the everyday lines and numbers: events a day, people a week, revenue a month, by channel or plan, beside the period before.

How it counts:

- Periods are whole calendar periods of the question's zone: a range that starts mid-week shows all of its first week. The last period is
  marked as not complete while it is not over, or where the range cuts it.
- `unique` counts people, with all their merged ids, once a period; events of no person (about groups only) do not count for it.
- Numeric measures ignore events whose property is missing or not a number; texts that are numbers count, truth values do not.
- A period without events is 0 for count, unique and sum, and empty for the others. Quantiles are exact, with linear interpolation between
  the two nearest values (Hyndman and Fan's type 7; numpy's and spreadsheets' default).
- A breakdown keeps the values with the greatest result of the first series over the whole range (ties by name); the rest, reckoned from its
  events and not from other results, is "Other". An empty value means that the property is missing.
- The previous period has the same length and ends where the range begins: no day is in both. (PostHog's shares a day.) The k-th period
  stands beside the k-th of the range before.
- Cumulative: counts and sums run up over the range; `unique` counts people since its start, each once.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file, and this one has the most forms.
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown
from almanac.core.metrics import ZERO_WHEN_EMPTY, Measured
from almanac.core.ports import Result
from almanac.core.sql import Sql, any_of, identifier, join, number, sql
from almanac.core.time import Interval, TimeRange

Compare = Literal["previous_period", "previous_week", "previous_month", "previous_year"]

_MOST_PERIODS: Final = 10_000
_MOST_ROWS: Final = 200_000
_SHIFT: Final[dict[str, str]] = {"previous_week": "week", "previous_month": "month", "previous_year": "year"}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


class Trend(Question):
    """The question."""

    kind: Literal["trend"] = "trend"
    series: Annotated[list[Measured], BeforeValidator(_as_list)] = Field(
        description="What to count, each a line.", min_length=1, max_length=26, examples=[["signup"]]
    )
    interval: Interval | Literal["total"] = Field("day", description="Length of a period; total: one number for the whole range.")
    breakdown: Annotated[list[Breakdown], BeforeValidator(_as_list)] = Field(
        default=[], max_length=3, description="Properties to split each line by, up to three."
    )
    compare: Compare | None = Field(None, description="Put beside it the same range before, or a week, month or year earlier.")
    cumulative: bool = Field(False, description="Let count, unique and sum run up from the start of the range.")

    @model_validator(mode="after")
    def _adds_up(self) -> Trend:
        for series in self.series:
            if self.cumulative and series.measure not in ZERO_WHEN_EMPTY:
                raise ValueError(f"the measure {series.measure} cannot run up; cumulative goes with count, unique and sum")
        return self


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


_DIMENSIONS: Final = (identifier("breakdown"), identifier("breakdown_2"), identifier("breakdown_3"))

# One scan for all lines of a side; side 1 is the range to compare with.
SIDE = """
    SELECT
        $side AS side,
        $period AS period,
        $dimensions
        $measures
    FROM $events
    WHERE $scope AND ($wanted)
    GROUP BY period$names
"""

# The biggest values are those of the range itself, for both sides.
DIMENSION = """
        if(
            $text IN
            (
                SELECT $text AS value
                FROM $events
                WHERE $scope AND ($wanted)
                GROUP BY value
                ORDER BY $biggest DESC NULLS LAST, value
                LIMIT $limit
            ),
            $text,
            $other
        ) AS $name,"""

# A statement around the only side would take 2 ms to analyse, half as long as all the rest.
ONE_SIDE = """$sides
    ORDER BY period$names
"""

STATEMENT = """
SELECT side, period$names, $results
FROM
($sides)
ORDER BY side, period$names
"""


def compile(question: Trend, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """One statement for all lines and both sides."""
    spans = _spans(question, scope)
    conditions = [scope.matches(series) for series in question.series]
    wanted = any_of(conditions)
    on = conditions if len(conditions) > 1 else [Sql("1")]
    measures = [_measure(series, scope, condition) for series, condition in zip(question.series, on, strict=True)]
    names = [_DIMENSIONS[place] for place in range(len(question.breakdown))]
    listed = join("", [sql(", $name", name=name) for name in names])
    columns = [identifier(f"series_{place}") for place in range(len(question.series))]
    running = question.cumulative and question.interval != "total"
    states = [running and series.measure == "unique" for series in question.series]
    dimensions = [_dimension(question.breakdown[place], scope, wanted, measures[0], spans[0], name) for place, name in enumerate(names)]
    sides = [
        sql(
            SIDE,
            side=number(place),
            period=_period(question, scope),
            dimensions=join("", dimensions),
            measures=join(
                ",\n        ",
                [
                    sql("$measure AS $column", measure=_people_state(condition) if state else measure, column=column)
                    for measure, condition, state, column in zip(measures, on, states, columns, strict=True)
                ],
            ),
            events=scope.events(),
            scope=scope.where(span),
            wanted=wanted,
            names=listed,
        )
        for place, span in enumerate(spans)
    ]
    if len(sides) == 1 and not any(states):
        return Compiled(sql(ONE_SIDE, sides=sides[0], names=listed))
    results = [
        sql("uniqExactMerge($column) OVER (PARTITION BY side$names ORDER BY period) AS running_$column", column=column, names=listed)
        if state
        else column
        for column, state in zip(columns, states, strict=True)
    ]
    return Compiled(sql(STATEMENT, names=listed, results=join(", ", results), sides=join("    UNION ALL", sides)))


def shape(question: Trend, scope: Scope, result: Result) -> Shaped:
    """Every line has every period; the two sides stand beside each other."""
    spans = _spans(question, scope)
    starts = [_starts(question, scope, span) for span in spans]
    lines = _lines(question, result, starts)
    groups = _groups(question, lines)
    if len(groups) * len(question.series) * len(starts[0]) > _MOST_ROWS:
        raise invalid("The answer would have too many rows.", place="breakdown", way_out="Lower a limit, or ask by a longer interval.")
    complete = [end <= min(scope.range.end, scope.now) for end in _ends(question, scope, starts[0])]
    labels = _labels(question.series)
    rows = [
        {
            "series": labels[index],
            **{name.text: value for name, value in zip(_DIMENSIONS, group, strict=False)},
            "period": _label(question, scope, start),
            "value": now[place],
            "previous": before[place] if place < len(before) else None,
            "complete": complete[place],
        }
        for index, series in enumerate(question.series)
        for group in groups
        for now, before in [(lines[0, index, group], lines[1, index, group] if len(spans) > 1 else [])]
        for place, start in enumerate(starts[0])
    ]
    notes = () if complete[-1] else ("The last period is not complete.",)
    return Shaped(rows, notes=notes)


# ----------------------------------------------------------------- the statement


def _measure(series: Measured, scope: Scope, on: Sql) -> Sql:
    if series.measure == "count":
        return sql("countIf($on)", on=on)
    people = sql("uniqExactIf(person, $on AND person != 0)", on=on)
    if series.measure == "unique":
        return people
    if series.measure == "count_per_person":
        return sql("countIf($on AND person != 0) / nullIf($people, 0)", on=on, people=people)
    value = scope.number(series.property or "")
    if series.measure == "sum":
        return sql("ifNull(sumKahanIf($value, $on), 0)", value=value, on=on)
    if series.measure == "average":
        return sql("avgIf($value, $on)", value=value, on=on)
    if series.measure == "min":
        return sql("minIf($value, $on)", value=value, on=on)
    if series.measure == "max":
        return sql("maxIf($value, $on)", value=value, on=on)
    level = scope.bind(0.5 if series.measure == "median" else series.quantile, "Float64")
    return sql("quantileExactInclusiveIf($level)($value, $on)", level=level, value=value, on=on)


def _people_state(on: Sql) -> Sql:
    return sql("uniqExactStateIf(person, $on AND person != 0)", on=on)


def _dimension(breakdown: Breakdown, scope: Scope, wanted: Sql, biggest: Sql, span: TimeRange, name: Sql) -> Sql:
    return sql(
        DIMENSION,
        text=scope.text(breakdown),
        events=scope.events(),
        scope=scope.where(span),
        wanted=wanted,
        biggest=biggest,
        limit=number(breakdown.limit),
        other=scope.bind(OTHER, "String"),
        name=name,
    )


def _period(question: Trend, scope: Scope) -> Sql:
    if question.interval == "total":
        return Sql("toUInt32(0)")
    return sql("toUnixTimestamp($start)", start=scope.period(question.interval))


# --------------------------------------------------------------------- the times


def _spans(question: Trend, scope: Scope) -> list[TimeRange]:
    """The range in whole periods, and the one to compare it with."""
    if question.interval == "total":
        span = scope.range
    else:
        span = times.whole(scope.range, question.interval, week_start=scope.week_start)
        _refuse_too_fine(question.interval, span)
    if question.compare is None:
        return [span]
    zone = times.zone_of(span.zone)
    unit, count = _SHIFT.get(question.compare, ""), 1
    if not unit:
        unit, count = _own_length(question, scope, span)
    start, end = (times.shift(moment.astimezone(zone), unit, -count).astimezone(UTC) for moment in (span.start, span.end))
    earlier = TimeRange(start, end, span.zone)
    return [span, earlier if question.interval == "total" else times.whole(earlier, question.interval, week_start=scope.week_start)]


def _refuse_too_fine(interval: str, span: TimeRange) -> None:
    # A month is at least 28 days, so that this never counts too few.
    shortest = times.INTERVAL_SECONDS.get(interval, 28 * 86400)
    if span.length.total_seconds() / shortest > _MOST_PERIODS:
        raise invalid(f"The range has more than {_MOST_PERIODS} periods.", place="interval", way_out="Choose a longer interval.")


def _own_length(question: Trend, scope: Scope, span: TimeRange) -> tuple[str, int]:
    """How far back the range before lies: as many periods as the range has, so that a day begun is compared with the same hours."""
    if question.interval != "total":
        return question.interval, len(_starts(question, scope, span))
    days = span.length.total_seconds() / 86400
    return ("day", math.ceil(days)) if days >= 1 else ("minute", math.ceil(days * 1440))


def _starts(question: Trend, scope: Scope, span: TimeRange) -> list[datetime]:
    return [span.start] if question.interval == "total" else times.periods(span, question.interval, week_start=scope.week_start)


def _ends(question: Trend, scope: Scope, starts: list[datetime]) -> list[datetime]:
    if question.interval == "total":
        return [scope.range.end]
    return [times.shift(start, question.interval, 1).astimezone(UTC) for start in starts]


def _label(question: Trend, scope: Scope, start: datetime) -> str:
    return period_label(start, "minute" if question.interval == "total" else question.interval, scope.zone)


# --------------------------------------------------------------------- the lines

Group = tuple[str, ...]
Line = list[float | None]


def _lines(question: Trend, result: Result, starts: list[list[datetime]]) -> dict[tuple[int, int, Group], Line]:
    """The values of each side, series and group, one for each period."""
    marks = [[moment.timestamp() for moment in side] for side in starts]
    dimensions = len(question.breakdown)

    def blank(side: int, index: int) -> Line:
        return [0 if question.series[index].measure in ZERO_WHEN_EMPTY else None] * len(starts[side])

    lines: dict[tuple[int, int, Group], Line] = defaultdict(list)
    groups = {tuple(row[2 : 2 + dimensions]) for row in result.rows} or ({()} if not dimensions else set())
    for side, index, group in _each(len(starts), len(question.series), groups):
        lines[side, index, group] = blank(side, index)
    for side, period, *rest in result.rows:
        place = 0 if question.interval == "total" else bisect_right(marks[side], period) - 1
        group, values = tuple(rest[:dimensions]), rest[dimensions:]
        for index, value in enumerate(values):
            lines[side, index, group][place] = _tidy(value)
    if question.cumulative:
        for (_, index, _), line in lines.items():
            _run_up(line, seen_before=question.series[index].measure == "unique")
    return lines


def _each(sides: int, series: int, groups: set[Group]) -> Iterator[tuple[int, int, Group]]:
    for side in range(sides):
        for index in range(series):
            for group in groups:
                yield side, index, group


def _run_up(line: Line, *, seen_before: bool) -> None:
    """In place: running totals. People seen so far come as such from the engine, and only stay where a period has no events."""
    total: float = 0
    for place, value in enumerate(line):
        total = max(total, value or 0) if seen_before else total + (value or 0)
        line[place] = total


def _groups(question: Trend, lines: dict[tuple[int, int, Group], Line]) -> list[Group]:
    """The biggest first, by the first series; Other last."""
    groups = {group for _, _, group in lines}
    sizes = {group: sum(value or 0 for value in lines[0, 0, group]) for group in groups}
    return sorted(groups, key=lambda group: (OTHER in group, -sizes[group], group))


def _labels(series: list[Measured]) -> list[str]:
    """The events' names; lines of the same events are told apart by what they reckon."""
    labels = [one.label for one in series]
    return [
        label if labels.count(label) == 1 else f"{label}: {one.measure.replace('_', ' ')}{f' of {one.property}' if one.property else ''}"
        for one, label in zip(series, labels, strict=True)
    ]


def _tidy(value: Any) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else float(value)


ANALYSIS: Final = Analysis(question=Trend, row=TrendRow, compile=compile, shape=shape, examples=examples_of("trend"))
