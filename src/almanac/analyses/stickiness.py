"""How regularly people come.

Ask it how deep a habit goes: how many people did something on one day of the month only, how many on two, how many on every day.

How it counts:

- A person is active in a period with at least one of the line's events in it; more of them in one period count once. A row counts the
  people who were active in exactly so many periods of the range, with `cumulative` in at least so many. All numbers from 1 to that of the
  periods have a row; people without the event are in none. (Amplitude counts the days of each week or month by itself, so that a person may
  be in several rows.)
- Periods are whole calendar periods of the question's zone: a range that starts mid-week reads all of its first week. The last one counts
  even while it is not over, or where the range cuts it; a note says so.
- People count with all their merged ids; events of no person (about groups only) do not.
- `ratio` is the part of the range's periods in which the line's people were active, on the average: the people active in a period, averaged
  over the periods, divided by all who were active at all. By day over 30 days it is the usual DAU/MAU, for the range's own 30 days. (Others
  draw it as a line, each day by the 30 before it.)
- The previous range has as many periods and ends where the range begins; while the last period is not over, its counterpart is cut at the
  same point, so that like stands beside like. Each person's group in it is by the value there.
- A breakdown puts each person into one group for each line: the value at the first such event in the range; of simultaneous ones the first
  in alphabetical order. So the groups add up to the whole. (A trend counts a person in each of his values.) A limit keeps the values with
  most people in the range, summed over the lines; the rest is Other. An empty value means that the property is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import accumulate
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from almanac.analyses import breakdowns, periods
from almanac.analyses.examples import examples_of
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, join, sql
from almanac.core.time import TimeRange


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


class Stickiness(Question):
    """The question."""

    kind: Literal["stickiness"] = "stickiness"
    series: Annotated[list[Selector], BeforeValidator(_as_list)] = Field(
        validation_alias=AliasChoices("series", "events", "event"),
        min_length=1,
        max_length=26,
        description="The events to be active by, each a line.",
        examples=[["visit"]],
    )
    interval: Literal["hour", "day", "week", "month", "quarter", "year"] = Field("day", description="Length of a period.")
    cumulative: bool = Field(False, description="Count people who were active in at least so many periods, not in exactly so many.")
    compare: Literal["previous_period"] | None = Field(None, description="Put the same number of periods before the range beside it.")
    breakdown: Breakdown | None = Field(None, description="Property to split people by.", examples=["@channel"])

    @model_validator(mode="after")
    def _lines_differ(self) -> Stickiness:
        labels = [one.label for one in self.series]
        if twice := [label for label in labels if labels.count(label) > 1]:
            raise ValueError(f"two lines of series are called {twice[0]!r}; give one another name")
        return self


class StickinessRow(Row):
    """The people of one line who were active so often."""

    series: str = Field(description="Name of the line.")
    breakdown: str = Field("", description="Value of the property; empty: not set; 'Other': all further values.")
    periods: int = Field(description="In how many periods they were active.")
    count: int = Field(description="People who were active in exactly so many periods; with cumulative, in at least so many.")
    rate: float = Field(description="count / people, 0 to 1; 0 for a line of nobody.")
    previous: int | None = Field(description="The count of the range before; empty without compare.")
    people: int = Field(description="All people of the line who were active in the range.")
    ratio: float = Field(description="Part of the periods in which they were active on the average, 0 to 1; by days of a month, DAU/MAU.")


# One scan, one row a person. `lines` are the series of the range, then those of the range before.
STATEMENT: Final = """
WITH
per_person AS
(
    SELECT
        person,
        [$times] AS times_of_lines
        $first_values
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
    GROUP BY person
),
lines AS
(
    SELECT
        person,
        line,
        times
        $value
    FROM per_person
    ARRAY JOIN
        arrayEnumerate(times_of_lines) AS line,
        times_of_lines AS times
        $joined
    WHERE times > 0
)
"""

COUNTED: Final = """
SELECT
    line,
    label,
    times,
    sum(people_of_value) AS people
FROM $ranked
GROUP BY line, label, times
"""

CELLS: Final = """(
        SELECT
            line,
            $value AS value,
            times,
            count() AS people_of_value,
            sumIf(people_of_value, line <= {series:UInt32}) OVER (PARTITION BY value) AS size
        FROM lines
        GROUP BY line, value, times
    )"""

MEMBERS: Final = """
SELECT person
FROM lines
WHERE line = {row_line:UInt32} AND times $compared {row_times:UInt32} AND $label = {row_label:String}
"""

OF_THE_RANGE: Final = "lines WHERE line <= {series:UInt32}"


def compile(question: Stickiness, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """In how many periods each person was active, for each line, then how many people were so often."""
    cells = sql(CELLS, {"series": len(question.series)}, value=Sql("value" if question.breakdown else "''"))
    counted = sql(COUNTED, ranked=breakdowns.ranked(cells, breakdowns.limit_of(question.breakdown)))
    return Compiled(join("", [_lines(question, scope), counted]))


def members(question: Stickiness, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is counted in that row, not in the range before. Raises `invalid` for a row that the answer does not have."""
    labels = [one.label for one in question.series]
    if row.get("series") not in labels:
        raise invalid(f"The answer has no line {row.get('series')!r}.", place="series", way_out=f"There are: {', '.join(labels)}.")
    times_, most = row.get("periods"), len(_starts(question, scope))
    if not isinstance(times_, int) or not 1 <= times_ <= most:
        raise invalid(f"The answer has no row of {times_!r} periods.", place="periods", way_out=f"Give 1 to {most}.")
    picked = sql(
        MEMBERS,
        {
            "row_line": labels.index(row["series"]) + 1,
            "row_times": times_,
            "row_label": breakdowns.value_of(row, question.breakdown),
        },
        compared=Sql(">=" if question.cumulative else "="),
        label=breakdowns.biggest(Sql(OF_THE_RANGE, {"series": len(labels)}), breakdowns.limit_of(question.breakdown)),
    )
    return Compiled(join("", [_lines(question, scope), picked]))


def shape(question: Stickiness, scope: Scope, result: Result) -> Shaped:
    """Every line and group has every number of periods; the biggest groups come first, Other last."""
    starts = _starts(question, scope)
    sizes: dict[str, int] = {} if question.breakdown else {"": 0}
    counts: dict[tuple[int, str], list[int]] = {}  # line, group -> people active once, twice …
    for row in result.dicts():
        line, label = row["line"] - 1, row["label"]
        counts.setdefault((line, label), [0] * len(starts))[row["times"] - 1] = row["people"]
        sizes[label] = sizes.get(label, 0) + (row["people"] if line < len(question.series) else 0)
    breakdowns.refuse_too_many(
        len(sizes) * len(question.series) * len(starts), place="breakdown", way_out="Lower its limit, or ask by a longer interval."
    )
    nobody = [0] * len(starts)
    rows = [
        row
        for line in range(len(question.series))
        for label in breakdowns.in_order(sizes)
        for row in _line(question, line, label, *(counts.get((line + side, label), nobody) for side in (0, len(question.series))))
    ]
    over = periods.over(starts, question.interval, scope)[-1]
    return Shaped(rows, notes=() if over else ("The last period is not complete: people may yet become active in it.",))


def _line(question: Stickiness, series: int, label: str, now: list[int], before: list[int]) -> list[dict[str, Any]]:
    people = sum(now)
    ratio = sum(often * count for often, count in enumerate(now, 1)) / (people * len(now)) if people else 0.0
    shown, shown_before = (_at_least(now), _at_least(before)) if question.cumulative else (now, before)
    return [
        {
            "series": question.series[series].label,
            **({"breakdown": label} if question.breakdown else {}),
            "periods": often,
            "count": count,
            "rate": count / people if people else 0.0,
            "previous": shown_before[often - 1] if question.compare else None,
            "people": people,
            "ratio": ratio,
        }
        for often, count in enumerate(shown, 1)
    ]


def _at_least(counts: list[int]) -> list[int]:
    return list(accumulate(reversed(counts)))[::-1]


# ----------------------------------------------------------------- the statement


def _lines(question: Stickiness, scope: Scope) -> Sql:
    starts = _starts(question, scope)
    count, first = len(starts), starts[0]
    conditions = [scope.matches(one) for one in question.series]
    wanted = any_of(conditions)
    if question.compare:
        first, conditions, wanted = _both(question, scope, starts, conditions)
        starts = [*(times.shift(starts[0], question.interval, nth - count) for nth in range(count)), *starts]
    place = periods.place(scope, question.interval, starts)
    broken = question.breakdown
    text = breakdowns.text(broken, scope)
    return sql(
        STATEMENT,
        # Conditions hold places of one side only, so that the sets of both may have the size of both.
        times=join(", ", [periods.size_of(place, condition, len(starts)) for condition in conditions]),
        first_values=sql(
            ", [$firsts] AS values_of_lines", firsts=join(", ", [breakdowns.first_value(text, condition) for condition in conditions])
        )
        if broken
        else EMPTY,
        events=scope.events(),
        scope=scope.where(TimeRange(first.astimezone(UTC), scope.range.end, scope.zone)),
        wanted=wanted,
        value=Sql(", value" if broken else ""),
        joined=Sql(", values_of_lines AS value" if broken else ""),
    )


def _both(question: Stickiness, scope: Scope, starts: list[datetime], conditions: list[Sql]) -> tuple[datetime, list[Sql], Sql]:
    """With the range before: its start, the conditions of the lines of both, and which events are wanted at all."""
    earlier = times.shift(starts[0], question.interval, -len(starts))
    cut = times.shift(scope.range.end.astimezone(times.zone_of(scope.zone)), question.interval, -len(starts))
    now = sql("toUnixTimestamp64Micro(time) >= {since:Int64}", {"since": periods.microseconds(starts[0])})
    # What lies between the point at which the range before is cut and the range is in neither.
    before = sql("toUnixTimestamp64Micro(time) < {until:Int64}", {"until": min(periods.microseconds(cut), periods.microseconds(starts[0]))})
    both = [sql("($condition) AND $side", condition=condition, side=side) for side in (now, before) for condition in conditions]
    return earlier, both, sql("($wanted) AND ($now OR $before)", wanted=any_of(conditions), now=now, before=before)


def _starts(question: Stickiness, scope: Scope) -> list[datetime]:
    return periods.starts_of(scope, question.interval)


ANALYSIS: Final = Analysis(
    question=Stickiness, row=StickinessRow, compile=compile, shape=shape, members=members, examples=examples_of("stickiness")
)
