"""How many people come back, and for how long.

Ask it whether people who once began (signed up, placed a first order) are still there days, weeks or months later, and whether those who
began later stay better than those before them. Each row of the usual triangle is a cohort, each column a period after it.

How it counts:

- A cohort holds the people with a start event in one period; period 0 is that period and its count the size of the cohort, whatever the
  return event is. Period k counts those of them with a return event in the k-th calendar period after it.
- Mode `recurring`: a person joins the cohort of every period with a start event. Mode `first_time`: only that of the first start event
  ever, looking back over the whole history; with filters on the start event, the first that meets them. Whoever began before the range is
  in no cohort.
- `counting` says in which periods a return counts for period k: `in` the k-th itself; `rolling`, in the k-th or any later one within the
  range (on or after; Amplitude's unbounded, Mixpanel's default; `rolling: true` says the same); `before`, in any of the first to the k-th
  (on or before); `streak`, in each of the first to the k-th.
- `windows: elapsed` reckons returns from each person's own start: period k begins k times 24 hours after it (an hour, 7, 30, 90 or 365 days
  for the other periods), whatever the clocks do, and cohorts are still by calendar period. In each cohort the person's first start event
  in its period counts. (Amplitude's default; Mixpanel's and PostHog's "24 hour windows".)
- Periods are calendar periods of the question's zone, and whole: the first may begin before the range. Weeks begin as the question or the
  project says. (PostHog's begin on Sunday.)
- Brackets put several periods into one column: `1-3` counts those who came back in any of the three. A streak is then one of brackets.
- With `value`, each cell also says what the return events of its periods add up to, for the whole cohort, for each of its people, and
  beside the cohort's period 0 (net revenue retention: more than 1 when those who stay spend more than all spent at first). Counted
  `rolling`, that is the sum of the k-th period and all later ones; `before`, of period 0 to the k-th (revenue per person since the start).
  Period 0 has all return events of the cohort's period, with elapsed windows those from the start event on. Events whose property is
  missing or not a number add nothing.
- A cell is marked as not complete while its period is not over, or where the range cuts it; with elapsed windows, while it is not over for
  whoever began last.
- The range holds start and return events. `intervals` bounds the triangle: with `date_from` alone it has so many periods from there on;
  without dates, the last so many; with both ends given, the range has the cohorts, and `intervals` is the number of columns.
- The report `curve` has one row for each column: all cohorts that are complete there, put together and weighted by their size; where none
  is, all that have begun it, marked as not complete. A person in several cohorts counts in each.
- A breakdown takes the value at the person's first start event in the cohort's period, or the first of several segments that fits. A limit
  keeps the values with most people, summed over cohorts; the rest is Other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.retention_marks import PERIODS, marks
from almanac.analyses.retention_triangle import ELAPSED_SECONDS, MOST_PERIODS, Cell, Column, Counting, Triangle, columns_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, join, sql
from almanac.core.time import TimeRange

Period = Literal["hour", "day", "week", "month", "quarter", "year"]

_MOST_ROWS: Final = 200_000
_MOST_STARTS: Final = 10_000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_USUAL: Final[dict[str, int]] = {"hour": 24, "day": 30, "week": 12, "month": 12, "quarter": 8, "year": 5}


def _texts(value: Any) -> Any:
    """A single period may be written as a number."""
    if not isinstance(value, (list, tuple)):
        return value
    return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]


class Retention(Question):
    """The question."""

    kind: Literal["retention"] = "retention"
    start_event: Selector = Field(description="What makes a person a member of a cohort.", examples=["signup"])
    return_event: Selector | None = Field(None, description="What counts as coming back; the start event by default.")
    mode: Literal["recurring", "first_time"] = Field(
        "recurring", description="recurring: a cohort for each period with a start event; first_time: only for the first one ever."
    )
    counting: Counting = Field(
        "in",
        description="Who counts for a period: who came back in it; rolling: in it or later; before: in it or earlier; streak: in each.",
    )
    windows: Literal["calendar", "elapsed"] = Field(
        "calendar",
        description="calendar: periods of the zone's calendar; elapsed: spans of 24 hours and so on from each person's own start.",
    )
    period: Period = Field("day", description="Length of a period.")
    intervals: int | None = Field(None, ge=1, le=MOST_PERIODS, description="Number of periods, that of the cohort included.")
    brackets: Annotated[list[str], BeforeValidator(_texts)] = Field(
        default=[], max_length=100, description="Instead of intervals: which periods make a column.", examples=[["0", "1-3", "4-7", "8-14"]]
    )
    value: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Numeric property of the return events to add up, or @revenue.",
        examples=["@revenue"],
    )
    report: Literal["cohorts", "curve"] = Field(
        "cohorts", description="cohorts: a row for each cohort and column; curve: all cohorts in one."
    )
    breakdown: Breakdown | None = Field(None, description="Property or segments to split cohorts by.", examples=["@channel"])

    @model_validator(mode="before")
    @classmethod
    def _familiar_words(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "rolling" not in value:
            return value
        rest = {name: item for name, item in value.items() if name != "rolling"}
        if not isinstance(value["rolling"], bool):
            raise ValueError("rolling is true or false")
        if rest.get("counting", "rolling") != "rolling" and value["rolling"]:
            raise ValueError("rolling is one way of counting; give either rolling or another counting")
        return {**rest, "counting": "rolling"} if value["rolling"] else rest

    @model_validator(mode="after")
    def _fits(self) -> Retention:
        columns_of(self.brackets)
        if self.brackets and self.intervals:
            raise ValueError("give either intervals or brackets")
        if self.value and self.counting == "streak":
            raise ValueError("a streak has no value of its own; count in, rolling or before")
        return self


class RetentionRow(Row):
    """One cohort (or all of them) after so many periods."""

    breakdown: str = Field("", description="Value of the property; empty: not set; 'Other': all further values.")
    cohort: str = Field(description="Start of the cohort's period, local: a date, for hours with time and offset.")
    cohorts: int = Field(description="In the report curve: how many cohorts are put together.")
    size: int = Field(description="People in the cohort.")
    period: int = Field(description="How many periods after that of the cohort; 0 is its own. Of a bracket, the first.")
    bracket: str = Field(description="The periods of the column, such as 4-7.")
    period_start: str = Field(description="Start of that period, local; windows that elapse have none.")
    count: int = Field(description="Those of the cohort who came back; for period 0, its size.")
    rate: float = Field(description="count / size, 0 to 1; 0 for an empty cohort.")
    value: float = Field(description="What the return events add up to.")
    value_per_person: float = Field(description="value / size; 0 for an empty cohort.")
    value_rate: float | None = Field(description="value / that of period 0 alone; empty where that is 0.")
    complete: bool = Field(description="False while the period is not over, or where the range cuts it.")


# Periods stand as the seconds of their start. Gathering all and keeping distinct ones took 0.6 s, a set for each person 0.8 s (4 M events).
STATEMENT: Final = """
WITH
active AS
(
    SELECT
        person,
        toUnixTimestamp($period) AS period,
        $start AS starts,
        $return AS returns
        $tags
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT
        person,
        $cohorts AS cohorts,
        $returned AS returned
        $amounts
    FROM active
    GROUP BY person
    $begun
),
members AS
(
    SELECT
        person,
        $cohort AS cohort,
        $marks
        $value
    FROM per_person
    ARRAY JOIN cohorts AS entry
    $since
)
$answer
"""

COUNTED: Final = """
SELECT '' AS label, cohort, mark, $people AS people, $total AS total
FROM members
GROUP BY cohort, mark
"""

COUNTED_BY_VALUE: Final = """
SELECT
    if(place <= {limit:UInt64}, value_of_breakdown, {other:String}) AS label,
    cohort,
    mark,
    sum(people_of_value) AS people,
    sumKahan(total_of_value) AS total
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY size DESC, value_of_breakdown) AS place
    FROM
    (
        SELECT
            value_of_breakdown,
            cohort,
            mark,
            $people AS people_of_value,
            $total AS total_of_value,
            sumIf(people_of_value, mark = $membership) OVER (PARTITION BY value_of_breakdown) AS size
        FROM members
        GROUP BY value_of_breakdown, cohort, mark
    )
)
GROUP BY label, cohort, mark
"""

MEMBERS: Final = """
SELECT DISTINCT person
FROM members
WHERE has({row_cohorts:Array(Int64)}, cohort) AND mark >= {row_from:UInt16} AND mark <= {row_to:UInt16}
"""

MEMBERS_OF_LABEL: Final = """
SELECT DISTINCT person
FROM members
WHERE
    has({row_cohorts:Array(Int64)}, cohort) AND mark >= {row_from:UInt16} AND mark <= {row_to:UInt16}
    AND {row_label:String} = if(
        value_of_breakdown IN
        (
            SELECT value_of_breakdown
            FROM members
            WHERE mark = 0
            GROUP BY value_of_breakdown
            ORDER BY count() DESC, value_of_breakdown
            LIMIT {limit:UInt64}
        ),
        value_of_breakdown,
        {other:String}
    )
"""


def compile(question: Retention, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Each person's periods with a start and with a return, then pairs of them."""
    triangle = _triangle(question, scope)
    people = Sql("countIf(marked.2 = 1)" if question.value else "count()")
    total = Sql("sumKahan(marked.3)" if question.value else "0.")
    if question.breakdown is None:
        answer = sql(COUNTED, people=people, total=total)
    else:
        membership = Sql("cohort" if triangle.plain else "0")
        answer = sql(COUNTED_BY_VALUE, people=people, total=total, membership=membership)
    return Compiled(_statement(question, scope, triangle, answer, plain=triangle.plain))


def members(question: Retention, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is counted in that cell. Raises `invalid` for a row that the answer does not have."""
    triangle = _triangle(question, scope)
    labels = _labels(question, scope, triangle)
    column = next((place for place, column in enumerate(triangle.columns, 1) if column.first == row.get("period")), 0)
    if question.report == "curve":
        cohorts = triangle.curve(column) if column else []
    else:
        cohorts = [cohort for cohort, label in enumerate(labels) if label == row.get("cohort")]
        if not cohorts:
            raise invalid(f"The answer has no cohort {row.get('cohort')!r}.", place="cohort", way_out="Take it from a row of the answer.")
    if not column or not cohorts or column not in triangle.shown(cohorts[0]):
        raise invalid(f"The answer has no period {row.get('period')!r} there.", place="period", way_out="Take it from a row of the answer.")
    first, last = triangle.marks(column)
    values: dict[str, Any] = {
        "row_cohorts": [int(triangle.starts[cohort].timestamp()) for cohort in cohorts],
        "row_from": first,
        "row_to": last,
    }
    if question.breakdown is None:
        return Compiled(_statement(question, scope, triangle, sql(MEMBERS, values), people=True))
    if not isinstance(row.get("breakdown"), str):
        raise invalid("The row does not say which value it is about.", place="breakdown", way_out="Take it from a row of the answer.")
    return Compiled(_statement(question, scope, triangle, sql(MEMBERS_OF_LABEL, {**values, "row_label": row["breakdown"]}), people=True))


def shape(question: Retention, scope: Scope, result: Result) -> Shaped:
    """The triangle, cohort by cohort, empty ones too, or its curve; the biggest values come first, Other last."""
    triangle = _triangle(question, scope)
    cohorts = {int(start.timestamp()): cohort for cohort, start in enumerate(triangle.starts)}
    found: dict[str, dict[tuple[int, int], tuple[int, float]]] = {} if question.breakdown else {"": {}}
    for row in result.dicts():
        cohort, mark = cohorts[row["cohort"]], row["mark"]
        if triangle.plain:
            mark = triangle.mark(cohort, cohorts[mark])
        people, total = found.setdefault(row["label"], {}).get((cohort, mark), (0, 0.0))
        found[row["label"]][cohort, mark] = (people + row["people"], total + row["total"])
    if len(found) * triangle.size() > _MOST_ROWS:
        raise invalid("The triangle would have too many rows.", place="intervals", way_out="Choose a longer period or fewer intervals.")
    sizes = {label: sum(people for (_, mark), (people, _) in marked.items() if mark == 0) for label, marked in found.items()}
    shaped = _curve if question.report == "curve" else _cohorts
    rows = [
        {**({"breakdown": label} if question.breakdown else {}), **row}
        for label in sorted(found, key=lambda label: (label == OTHER, -sizes[label], label))
        for row in shaped(question, scope, triangle, [triangle.row(cohort, found[label]) for cohort in range(len(triangle.starts))])
    ]
    notes = () if all(row["complete"] for row in rows) else ("Periods that are not over are marked as not complete.",)
    return Shaped(rows, notes=notes)


# ---------------------------------------------------------------------- the rows


def _cohorts(question: Retention, scope: Scope, triangle: Triangle, cells: list[dict[int, Cell]]) -> Iterator[dict[str, Any]]:
    labels = _labels(question, scope, triangle)
    for cohort, row in enumerate(cells):
        for place, cell in row.items():
            column = triangle.columns[place - 1]
            yield {
                "cohort": labels[cohort],
                "size": cell.size,
                **_of_column(question, column),
                **({} if triangle.elapsed else {"period_start": labels[cohort + column.first]}),
                **_counted(question, [cell]),
            }


def _curve(question: Retention, scope: Scope, triangle: Triangle, cells: list[dict[int, Cell]]) -> Iterator[dict[str, Any]]:
    for place, column in enumerate(triangle.columns, 1):
        if together := [cells[cohort][place] for cohort in triangle.curve(place)]:
            yield {
                "cohorts": len(together),
                "size": sum(cell.size for cell in together),
                **_of_column(question, column),
                **_counted(question, together),
            }


def _of_column(question: Retention, column: Column) -> dict[str, Any]:
    return {"period": column.first, **({"bracket": column.text} if question.brackets else {})}


def _counted(question: Retention, cells: list[Cell]) -> dict[str, Any]:
    size, count = sum(cell.size for cell in cells), sum(cell.count for cell in cells)
    counted: dict[str, Any] = {"count": count, "rate": count / size if size else 0.0}
    if question.value:
        value, first = math.fsum(cell.value for cell in cells), math.fsum(cell.first_value for cell in cells)
        counted |= {"value": value, "value_per_person": value / size if size else 0.0, "value_rate": value / first if first else None}
    return {**counted, "complete": all(cell.complete for cell in cells)}


def _labels(question: Retention, scope: Scope, triangle: Triangle) -> list[str]:
    return [period_label(start, question.period, scope.zone) for start in triangle.starts]


# ----------------------------------------------------------------- the statement


def _statement(question: Retention, scope: Scope, triangle: Triangle, answer: Sql, *, plain: bool = False, people: bool = False) -> Sql:
    """`plain`: marks are periods. `people`: not what they are worth."""
    span, broken, elapsed = _span(question, scope), question.breakdown, triangle.elapsed
    first_time, valued = question.mode == "first_time", question.value is not None and not people
    tagged = elapsed or broken is not None
    start = scope.matches(question.start_event)
    back = start if question.return_event is None else scope.matches(question.return_event)
    return sql(
        STATEMENT,
        {**({"first": int(span.start.timestamp())} if first_time else {}), **({"limit": broken.limit, "other": OTHER} if broken else {})},
        period=scope.period(question.period),
        start=start,
        tags=join("", [*([_tags(broken, scope)] if tagged else []), *([_amount(question, scope)] if valued else [])]),
        events=scope.events(),
        scope=scope.where(TimeRange(_BEGINNING, span.end, span.zone) if first_time else span),
        wanted=any_of([start, back]),
        cohorts=_entries(first_time=first_time, tagged=tagged),
        returned=_returned(elapsed=elapsed, last_only=plain and question.counting == "rolling"),
        amounts=_amounts(elapsed=elapsed) if valued else EMPTY,
        begun=Sql("HAVING max(starts)" if first_time else ""),
        cohort=Sql("entry.1" if tagged else "entry"),
        marks=PERIODS if plain else marks(triangle, valued=valued),
        value=Sql(", entry.3 AS value_of_breakdown" if broken else ""),
        since=Sql("WHERE cohort >= {first:Int64}" if first_time else ""),
        answer=answer,
        **{"return": back},
    )


def _tags(breakdown: Breakdown | None, scope: Scope) -> Sql:
    """What else a start is known by: its instant in microseconds, and the value that it brings."""
    text = sql("toString($text)", text=scope.text(breakdown)) if breakdown else Sql("''")
    return sql(", toUnixTimestamp64Micro(time) AS at, $text AS value", text=text)


def _amount(question: Retention, scope: Scope) -> Sql:
    return sql(", ifNull($number, 0.) AS amount", number=scope.number(question.value or ""))


def _entries(*, first_time: bool, tagged: bool) -> Sql:
    """An array of the periods whose cohort the person is in; tagged, of (period, instant, value) of the first start in each."""
    if tagged and first_time:
        return Sql("arrayResize(arraySort(groupArrayIf((period, at, value), starts)), least(countIf(starts), 1))")
    if tagged:
        return Sql(
            "arrayFilter((entry, nth) -> nth = 1, arraySort(groupArrayIf((period, at, value), starts)) AS entries,"
            " arrayEnumerateUniq(entries.1))"
        )
    return Sql("[minIf(period, starts)]" if first_time else "arrayDistinct(groupArrayIf(period, starts))")


def _returned(*, elapsed: bool, last_only: bool) -> Sql:
    if elapsed:
        return Sql("groupArrayIf(at, returns)")
    return Sql("[maxIf(period, returns)]" if last_only else "arrayDistinct(groupArrayIf(period, returns))")


def _amounts(*, elapsed: bool) -> Sql:
    return Sql(", groupArrayIf((at, amount), returns) AS amounts" if elapsed else ", sumMapIf([period], [amount], returns) AS amounts")


# --------------------------------------------------------------------- the times


def _triangle(question: Retention, scope: Scope) -> Triangle:
    """Raises `invalid` when it would be too big."""
    span = _span(question, scope)
    # No period is 10 % shorter than it counts as when it elapses, so that none is refused for too many that has not so many.
    if span.length.total_seconds() / ELAPSED_SECONDS[question.period] > 1.1 * _MOST_STARTS:
        raise invalid(f"The range has more than {_MOST_STARTS} periods.", place="period", way_out="Choose a longer period.")
    starts = times.periods(span, question.period, week_start=scope.week_start)
    followed = min(_columns(question) or len(starts), len(starts))
    triangle = Triangle(
        starts=starts,
        columns=columns_of(question.brackets) or [Column(k, k) for k in range(followed)],
        unit=question.period,
        end=span.end,
        known=min(scope.now, span.end),
        counting=question.counting,
        elapsed=question.windows == "elapsed",
        valued=question.value is not None,
    )
    if not triangle.size():
        raise invalid("No bracket begins within the range.", place="brackets", way_out="Choose a longer range, or earlier brackets.")
    if triangle.size() > _MOST_ROWS:
        raise invalid("The triangle would have too many rows.", place="intervals", way_out="Choose a longer period or fewer intervals.")
    return triangle


def _columns(question: Retention) -> int | None:
    """How many periods a cohort is followed."""
    if question.brackets:
        return columns_of(question.brackets)[-1].last + 1
    if question.intervals or question.date_from or question.date_to or question.last:
        return question.intervals
    return _USUAL[question.period]


def _span(question: Retention, scope: Scope) -> TimeRange:
    """The cohorts' periods and their returns."""
    columns = _columns(question)
    first = times.whole(scope.range, question.period, week_start=scope.week_start).start
    if columns is None or question.date_to or question.last:
        return TimeRange(first, scope.range.end, scope.zone)
    zone = times.zone_of(scope.zone)
    if question.date_from is None:
        now = times.floor(scope.now.astimezone(zone), question.period, week_start=scope.week_start)
        return TimeRange(times.shift(now, question.period, 1 - columns).astimezone(UTC), scope.now, scope.zone)
    end = times.shift(first.astimezone(zone), question.period, columns).astimezone(UTC)
    return TimeRange(first, min(end, scope.range.end), scope.zone)


ANALYSIS: Final = Analysis(
    question=Retention, row=RetentionRow, compile=compile, shape=shape, members=members, examples=examples_of("retention")
)
