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
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, join, sql
from almanac.core.time import TimeRange

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_PERIODS: Final = 10_000
_MOST_ROWS: Final = 200_000


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


# One scan, one row a person and side (1 is the range before), its sets never bigger than the number of periods, however many events there
# are.
STATEMENT: Final = """
WITH
per_person AS
(
    SELECT
        person,
        $side AS side,
        [$times] AS times_of_series
        $first_values
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
    GROUP BY person, side
),
lines AS
(
    SELECT
        person,
        side,
        series,
        times
        $value
    FROM per_person
    ARRAY JOIN
        arrayEnumerate(times_of_series) AS series,
        times_of_series AS times
        $joined
    WHERE times > 0
),
labelled AS
(
    SELECT
        person,
        side,
        series,
        times,
        $label AS label
    FROM lines
)
$wanted_of_lines
"""

COUNTED: Final = """
SELECT
    side,
    series,
    label,
    times,
    count() AS people
FROM labelled
GROUP BY side, series, label, times
"""

MEMBERS: Final = """
SELECT person
FROM labelled
WHERE side = 0 AND series = {row_series:UInt32} AND times $compared {row_times:UInt32} AND label = {row_label:String}
"""

# Read twice, so that a million values need no more memory than a million counts.
LABEL: Final = """if(
            value IN
            (
                SELECT value
                FROM lines
                WHERE side = 0
                GROUP BY value
                ORDER BY count() DESC, value
                LIMIT {limit:UInt64}
            ),
            value,
            {other:String}
        )"""


def compile(question: Stickiness, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """In how many periods each person was active, for each line, then how many people were so often."""
    return Compiled(_statement(question, scope, Sql(COUNTED)))


def members(question: Stickiness, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is counted in that row, not in the range before. Raises `invalid` for a row that the answer does not have."""
    labels = [one.label for one in question.series]
    if row.get("series") not in labels:
        raise invalid(f"The answer has no line {row.get('series')!r}.", place="series", way_out=f"There are: {', '.join(labels)}.")
    periods, most = row.get("periods"), len(_starts(question, scope))
    if not isinstance(periods, int) or not 1 <= periods <= most:
        raise invalid(f"The answer has no row of {periods!r} periods.", place="periods", way_out=f"Give 1 to {most}.")
    if question.breakdown and not isinstance(row.get("breakdown"), str):
        raise invalid("The row does not say which value it is about.", place="breakdown", way_out="Take it from a row of the answer.")
    picked = sql(
        MEMBERS,
        {
            "row_series": labels.index(row["series"]) + 1,
            "row_times": periods,
            "row_label": row["breakdown"] if question.breakdown else "",
        },
        compared=Sql(">=" if question.cumulative else "="),
    )
    return Compiled(_statement(question, scope, picked))


def shape(question: Stickiness, scope: Scope, result: Result) -> Shaped:
    """Every line and group has every number of periods; the biggest groups come first, Other last."""
    starts = _starts(question, scope)
    groups: set[str] = set() if question.breakdown else {""}
    counts: dict[tuple[int, int, str], list[int]] = {}  # side, series, group -> people active once, twice …
    sizes: dict[str, int] = {}
    for row in result.dicts():
        side, series, label = row["side"], row["series"] - 1, row["label"]
        counts.setdefault((side, series, label), [0] * len(starts))[row["times"] - 1] = row["people"]
        sizes[label] = sizes.get(label, 0) + (row["people"] if side == 0 else 0)
        groups.add(label)
    if len(groups) * len(question.series) * len(starts) > _MOST_ROWS:
        raise invalid("The answer would have too many rows.", place="breakdown", way_out="Lower its limit, or ask by a longer interval.")
    nobody = [0] * len(starts)
    rows = [
        row
        for series in range(len(question.series))
        for label in sorted(groups, key=lambda label: (label == OTHER, -sizes.get(label, 0), label))
        for row in _line(question, series, label, counts.get((0, series, label), nobody), counts.get((1, series, label), nobody))
    ]
    over = times.shift(starts[-1], question.interval, 1).astimezone(UTC) <= min(scope.range.end, scope.now)
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


def _statement(question: Stickiness, scope: Scope, wanted_of_lines: Sql) -> Sql:
    starts = _starts(question, scope)
    conditions = [scope.matches(one) for one in question.series]
    wanted, side, first = any_of(conditions), Sql("toUInt8(0)"), starts[0]
    marks = starts
    if question.compare:
        earlier = [times.shift(starts[0], question.interval, place - len(starts)) for place in range(len(starts))]
        cut = times.shift(scope.range.end.astimezone(times.zone_of(scope.zone)), question.interval, -len(starts))
        values = {"since": _microseconds(starts[0]), "cut": _microseconds(cut)}
        side = sql("toUnixTimestamp64Micro(time) < {since:Int64}", values)
        # What lies between the point at which the range before is cut and the range is in neither.
        wanted = sql("($wanted) AND (NOT $side OR toUnixTimestamp64Micro(time) < {cut:Int64})", wanted=wanted, side=side)
        first, marks = earlier[0], [*earlier, *starts]
    # Hours are reckoned from the starts: where clocks change by half an hour, those of the engine lie elsewhere.
    by_starts = Sql(
        "roundDown(toUnixTimestamp(time), {starts:Array(Int64)})", {"starts": [_microseconds(mark) // 1_000_000 for mark in marks]}
    )
    period = by_starts if question.interval == "hour" else scope.period(question.interval)
    broken = question.breakdown
    text = sql("toString($text)", text=scope.text(broken)) if broken else EMPTY
    return sql(
        STATEMENT,
        {"limit": broken.limit, "other": OTHER} if broken else {},
        side=side,
        times=join(
            ", ",
            [sql("uniqExactIf($period, $condition)", period=period, condition=condition) for condition in conditions],
        ),
        first_values=sql(", [$firsts] AS values_of_series", firsts=join(", ", [_first_value(text, condition) for condition in conditions]))
        if broken
        else EMPTY,
        events=scope.events(),
        scope=scope.where(TimeRange(first.astimezone(UTC), scope.range.end, scope.zone)),
        wanted=wanted,
        value=Sql(", value" if broken else ""),
        joined=Sql(", values_of_series AS value" if broken else ""),
        label=Sql(LABEL if broken else "''"),
        wanted_of_lines=wanted_of_lines,
    )


def _first_value(text: Sql, condition: Sql) -> Sql:
    return sql("argMinIf($text, (time, $text), $condition)", text=text, condition=condition)


def _starts(question: Stickiness, scope: Scope) -> list[datetime]:
    """The periods of the range, by their starts. Raises `invalid` when there are too many."""
    # A month is at least 28 days, so that this never counts too few.
    shortest = times.INTERVAL_SECONDS.get(question.interval, 28 * 86400)
    if scope.range.length.total_seconds() / shortest > _MOST_PERIODS:
        raise invalid(f"The range has more than {_MOST_PERIODS} periods.", place="interval", way_out="Choose a longer interval.")
    return times.periods(scope.range, question.interval, week_start=scope.week_start)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


ANALYSIS: Final = Analysis(
    question=Stickiness, row=StickinessRow, compile=compile, shape=shape, members=members, examples=examples_of("stickiness")
)
