"""How many people come back, and for how long.

Ask it whether people who once began (signed up, placed a first order) are still there days, weeks or months later, and whether those who
began later stay better than those before them. Each row of the usual triangle is a cohort, each column a period after it.

How it counts:

- A cohort holds the people with a start event in one period; period 0 is that period and its count the size of the cohort, whatever the
  return event is. Period k counts those of them with a return event in the k-th calendar period after it.
- Mode `recurring`: a person joins the cohort of every period with a start event. Mode `first_time`: only that of the first start event
  ever, looking back over the whole history; with filters on the start event, the first that meets them. Whoever began before the range is
  in no cohort.
- Rolling: period k counts those with a return event in the k-th period or any later one within the range. (Mixpanel does so by default.)
- Periods are calendar periods of the question's zone, and whole: the first may begin before the range. (Amplitude counts spans of 24
  hours from each person's start by default.) Weeks begin as the question or the project says. (PostHog's begin on Sunday.)
- A cell is marked as not complete while its period is not over, or where the range cuts it.
- The range holds start and return events. `intervals` bounds the triangle: with `date_from` alone it has so many periods from there on;
  without dates, the last so many; with both ends given, the range has the cohorts, and `intervals` is the number of columns.
- A breakdown takes the value at the person's first start event in the cohort's period. A limit keeps the values with most people, summed
  over cohorts; the rest is Other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import Field

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, sql
from almanac.core.time import TimeRange

Period = Literal["hour", "day", "week", "month", "quarter", "year"]

_MOST_ROWS: Final = 200_000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_USUAL: Final[dict[str, int]] = {"hour": 24, "day": 30, "week": 12, "month": 12, "quarter": 8, "year": 5}


class Retention(Question):
    """The question."""

    kind: Literal["retention"] = "retention"
    start_event: Selector = Field(description="What makes a person a member of a cohort.", examples=["signup"])
    return_event: Selector | None = Field(None, description="What counts as coming back; the start event by default.")
    mode: Literal["recurring", "first_time"] = Field(
        "recurring", description="recurring: a cohort for each period with a start event; first_time: only for the first one ever."
    )
    rolling: bool = Field(False, description="Count people who came back in a period or any later one.")
    period: Period = Field("day", description="Length of a period.")
    intervals: int | None = Field(None, ge=1, le=1000, description="Number of periods, that of the cohort included.")
    breakdown: Breakdown | None = Field(None, description="Property to split cohorts by.", examples=["@channel"])


class RetentionRow(Row):
    """One cohort after so many periods."""

    breakdown: str = Field("", description="Value of the property; empty: not set; 'Other': all further values.")
    cohort: str = Field(description="Start of the cohort's period, local: a date, for hours with time and offset.")
    size: int = Field(description="People in the cohort.")
    period: int = Field(description="How many periods after that of the cohort; 0 is its own.")
    period_start: str = Field(description="Start of that period, local.")
    count: int = Field(description="Those of the cohort who came back; for period 0, its size.")
    rate: float = Field(description="count / size, 0 to 1; 0 for an empty cohort.")
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
        $cohorts AS cohorts,
        $returned AS returned
    FROM active
    GROUP BY person
    $begun
),
members AS
(
    SELECT
        $cohort AS cohort,
        arrayJoin(arrayPushBack(arrayFilter(period -> period > cohort, returned), cohort)) AS later
        $value
    FROM per_person
    ARRAY JOIN cohorts AS entry
    $since
)
$counted
"""

COUNTED: Final = """
SELECT '' AS label, cohort, later, count() AS people
FROM members
GROUP BY cohort, later
"""

COUNTED_BY_VALUE: Final = """
SELECT
    if(place <= {limit:UInt64}, value, {other:String}) AS label,
    cohort,
    later,
    sum(members_of_value) AS people
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY size DESC, value) AS place
    FROM
    (
        SELECT
            value,
            cohort,
            later,
            count() AS members_of_value,
            sumIf(members_of_value, later = cohort) OVER (PARTITION BY value) AS size
        FROM members
        GROUP BY value, cohort, later
    )
)
GROUP BY label, cohort, later
"""


def compile(question: Retention, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Each person's periods with a start and with a return, then pairs of them."""
    span = _span(question, scope)
    first_time = question.mode == "first_time"
    start = scope.matches(question.start_event)
    back = start if question.return_event is None else scope.matches(question.return_event)
    broken = question.breakdown
    statement = sql(
        STATEMENT,
        {"first": int(span.start.timestamp()), **({"limit": broken.limit, "other": OTHER} if broken else {})},
        period=scope.period(question.period),
        start=start,
        tags=sql(", time, toString($text) AS value", text=scope.text(broken)) if broken else EMPTY,
        events=scope.events(),
        scope=scope.where(TimeRange(_BEGINNING, span.end, span.zone) if first_time else span),
        wanted=any_of([start, back]),
        cohorts=_cohorts(first_time=first_time, valued=broken is not None),
        returned=Sql("[maxIf(period, returns)]" if question.rolling else "arrayDistinct(groupArrayIf(period, returns))"),
        value=Sql(", entry.3 AS value" if broken else ""),
        begun=Sql("HAVING max(starts)" if first_time else ""),
        since=Sql("WHERE cohort >= {first:UInt32}" if first_time else ""),
        cohort=Sql("entry.1" if broken else "entry"),
        counted=Sql(COUNTED_BY_VALUE if broken else COUNTED),
        **{"return": back},
    )
    return Compiled(statement)


def _cohorts(*, first_time: bool, valued: bool) -> Sql:
    """An array of the periods whose cohort the person is in; with values, of (period, time, value) of the first start in each."""
    if valued and first_time:
        return Sql("arrayResize(arraySort(groupArrayIf((period, time, value), starts)), least(countIf(starts), 1))")
    if valued:
        return Sql(
            "arrayFilter((entry, nth) -> nth = 1, arraySort(groupArrayIf((period, time, value), starts)) AS entries,"
            " arrayEnumerateUniq(entries.1))"
        )
    return Sql("[minIf(period, starts)]" if first_time else "arrayDistinct(groupArrayIf(period, starts))")


def shape(question: Retention, scope: Scope, result: Result) -> Shaped:
    """The triangle, cohort by cohort, empty ones too; the biggest values come first, Other last."""
    span = _span(question, scope)
    starts = times.periods(span, question.period, week_start=scope.week_start)
    places = {int(start.timestamp()): place for place, start in enumerate(starts)}
    columns = _columns(question) or len(starts)
    cells: dict[str, dict[tuple[int, int], int]] = {} if question.breakdown else {"": {}}
    for row in result.dicts():
        cohort, later = places[row["cohort"]], places[row["later"]]
        cells.setdefault(row["label"], {})[cohort, later - cohort] = row["people"]
    if len(cells) * sum(min(columns, len(starts) - place) for place in range(len(starts))) > _MOST_ROWS:
        raise invalid("The triangle would have too many rows.", place="intervals", way_out="Choose a longer period or fewer intervals.")
    sizes = {label: sum(people for (_, k), people in counts.items() if k == 0) for label, counts in cells.items()}
    rows = [
        {**({"breakdown": label} if question.breakdown else {}), **row}
        for label in sorted(cells, key=lambda label: (label == OTHER, -sizes[label], label))
        for row in _triangle(question, scope, starts, min(columns, len(starts)), cells[label], span.end)
    ]
    notes = () if all(row["complete"] for row in rows) else ("Periods that are not over are marked as not complete.",)
    return Shaped(rows, notes=notes)


def _triangle(
    question: Retention, scope: Scope, starts: list[datetime], columns: int, counts: dict[tuple[int, int], int], end: datetime
) -> list[dict[str, Any]]:
    labels = [period_label(start, question.period, scope.zone) for start in starts]
    over = [times.shift(start, question.period, 1) <= min(scope.now, end) for start in starts]
    rows = []
    for cohort in range(len(starts)):
        followed = [counts.get((cohort, k), 0) for k in range(len(starts) - cohort)]
        size = followed[0]
        if question.rolling:  # each came with the last period of a return only
            for k in range(len(followed) - 2, 0, -1):
                followed[k] += followed[k + 1]
        rows += [
            {
                "cohort": labels[cohort],
                "size": size,
                "period": k,
                "period_start": labels[cohort + k],
                "count": count,
                "rate": count / size if size else 0.0,
                "complete": over[cohort + k],
            }
            for k, count in enumerate(followed[:columns])
        ]
    return rows


def _columns(question: Retention) -> int | None:
    """How many periods a cohort is followed."""
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


ANALYSIS: Final = Analysis(question=Retention, row=RetentionRow, compile=compile, shape=shape, examples=examples_of("retention"))
