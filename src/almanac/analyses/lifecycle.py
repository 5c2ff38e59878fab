"""Who is new, who stays, who comes back, who falls silent.

Ask it where the active people of each day, week or month come from, and how many are lost: growth that lives on new people alone looks the
same in a trend, but not here.

How it counts:

- Active in a period is who has one of the events in it (any event when none is named), however many.
- Each period has four groups. `new`: active, and first seen in it. `returning`: active, and in the period before too. `resurrecting`:
  active, not in the period before, and not new. `dormant`: active in the period before and not in this one; it stands in the period after
  the last activity, once for each silence, as a negative number, so that stacked bars show gain above and loss below.
- First seen is, by default, with the person's first event of any kind in the project, looking back over its whole history; neither `events`
  nor `filters` bear on it. Who came long ago and now does the event for the first time is resurrecting. (PostHog takes the creation of the
  person, which may have no event; Amplitude the first event, but keeps people new for one length of the interval from there.) With
  `new_by: first_match` it is the first event that counts as active.
- Periods are whole calendar periods of the question's zone: a range that starts mid-week shows all of its first week. The period before the
  first is read too. The last is marked as not complete while it is not over, or where the range cuts it: who is dormant in it may yet come.
- People count with all their merged ids; events of no person (about groups only) do not.
- A breakdown puts each person into one group: the value at the first event that counts as active, from the period before the range on; of
  simultaneous ones the first in alphabetical order. So the groups add up to the whole. (A trend counts a person in each of his values.) A
  limit keeps the values with most people; the rest is Other. An empty value means that the property is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from almanac.analyses import breakdowns, periods
from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, all_of, any_of, join, sql
from almanac.core.time import TimeRange

Status = Literal["new", "returning", "resurrecting", "dormant"]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


class Lifecycle(Question):
    """The question."""

    kind: Literal["lifecycle"] = "lifecycle"
    events: Annotated[list[Selector], BeforeValidator(_as_list)] = Field(
        default=[],
        validation_alias=AliasChoices("events", "event"),
        max_length=26,
        description="What counts as being active: any of these events; left out: any event.",
        examples=[["visit"]],
    )
    interval: Literal["hour", "day", "week", "month", "quarter", "year"] = Field("day", description="Length of a period.")
    new_by: Literal["first_event", "first_match"] = Field(
        "first_event",
        description="first_event: new with the first event ever, of any kind; first_match: with the first that counts as active.",
    )
    breakdown: Breakdown | None = Field(None, description="Property to split people by.", examples=["@channel"])


class LifecycleRow(Row):
    """One group of people in one period."""

    breakdown: str = Field("", description="Value of the property; empty: not set; 'Other': all further values.")
    status: str = Field(description="new, returning, resurrecting or dormant.")
    period: str = Field(description="Start of the period, local: a date for days and longer, else a time with its offset.")
    count: int = Field(description="People; of the dormant as a negative number.")
    complete: bool = Field(description="False while the period is not over, or where the range cuts it.")


# One scan, one row a person. Places count from that of the period before the range, 0; `began` is the first seen's, 0 or less before the
# range.
STATEMENT: Final = """
WITH
per_person AS
(
    SELECT
        person,
        min($place) AS began,
        $active_in AS active_in
        $value
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
    GROUP BY person
    HAVING notEmpty(active_in)
)
"""

# `fell_silent` in the period after `at`. Far off every place is 1000000.
COUNTED: Final = """
SELECT
    label,
    at,
    sum(news) AS new,
    sum(returns) AS returning,
    sum(actives) - new - returning AS resurrecting,
    sum(silences) AS fell_silent
FROM $ranked
GROUP BY label, at
"""

CELLS: Final = """(
        SELECT
            $value AS value,
            at,
            count() AS actives,
            countIf(at = began) AS news,
            countIf(before + 1 = at AND at != began) AS returns,
            countIf(after != at + 1) AS silences,
            sum(countIf(before = 1000000)) OVER (PARTITION BY value) AS size
        FROM per_person
        ARRAY JOIN
            active_in AS at,
            arrayShiftRight(active_in, 1, 1000000) AS before,
            arrayShiftLeft(active_in, 1, 1000000) AS after
        GROUP BY value, at
    )"""

MEMBERS: Final = """
SELECT person
FROM per_person
WHERE ($behind) AND $label = {row_label:String}
"""

BEHIND: Final[dict[Status, Sql]] = {
    "new": Sql("has(active_in, {row_place:UInt64}) AND began = {row_place:UInt64}"),
    "returning": Sql("has(active_in, {row_place:UInt64}) AND began != {row_place:UInt64} AND has(active_in, {row_place:UInt64} - 1)"),
    "resurrecting": Sql(
        "has(active_in, {row_place:UInt64}) AND began != {row_place:UInt64} AND NOT has(active_in, {row_place:UInt64} - 1)"
    ),
    "dormant": Sql("NOT has(active_in, {row_place:UInt64}) AND has(active_in, {row_place:UInt64} - 1)"),
}


def compile(question: Lifecycle, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Each person's periods, then what the people are in each of them."""
    cells = sql(CELLS, value=Sql("value" if question.breakdown else "''"))
    counted = sql(COUNTED, ranked=breakdowns.ranked(cells, breakdowns.limit_of(question.breakdown)))
    return Compiled(join("", [_per_person(question, scope), counted]))


def members(question: Lifecycle, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is counted in that row. Raises `invalid` for a row that the answer does not have."""
    place = periods.place_of(row, _starts(question, scope), question.interval, scope) + 1
    status = row.get("status")
    if status not in BEHIND:
        raise invalid(f"There is no status {status!r}.", place="status", way_out=f"There are: {', '.join(BEHIND)}.")
    found = sql(
        MEMBERS,
        {"row_label": breakdowns.value_of(row, question.breakdown), "row_place": place},
        behind=BEHIND[status],
        label=breakdowns.biggest(Sql("per_person"), breakdowns.limit_of(question.breakdown)),
    )
    return Compiled(join("", [_per_person(question, scope), found]))


def shape(question: Lifecycle, scope: Scope, result: Result) -> Shaped:
    """Every group has every status in every period; the biggest groups come first, Other last."""
    starts = _starts(question, scope)
    counts: dict[str, dict[tuple[Status, int], int]] = {} if question.breakdown else {"": {}}
    active: dict[str, int] = dict.fromkeys(counts, 0)
    for row in result.dicts():
        label, place = row["label"], row["at"] - 1
        cells = counts.setdefault(label, {})
        cells["dormant", place + 1] = row["fell_silent"]
        if place >= 0:
            cells["new", place], cells["returning", place], cells["resurrecting", place] = row["new"], row["returning"], row["resurrecting"]
            active[label] = active.get(label, 0) + row["new"] + row["returning"] + row["resurrecting"]
    breakdowns.refuse_too_many(
        len(counts) * len(BEHIND) * len(starts), place="breakdown", way_out="Lower its limit, or ask by a longer interval."
    )
    over = periods.over(starts, question.interval, scope)
    rows = [
        {
            **({"breakdown": label} if question.breakdown else {}),
            "status": status,
            "period": period_label(start, question.interval, scope.zone),
            "count": -people if status == "dormant" else people,
            "complete": over[place],
        }
        for label in breakdowns.in_order({label: active.get(label, 0) for label in counts})
        for status in BEHIND
        for place, start in enumerate(starts)
        for people in [counts[label].get((status, place), 0)]
    ]
    return Shaped(rows, notes=() if over[-1] else ("The last period is not complete: who is dormant in it may yet come.",))


def _per_person(question: Lifecycle, scope: Scope) -> Sql:
    starts = _starts(question, scope)
    before = times.shift(starts[0], question.interval, -1)
    since = sql("time >= fromUnixTimestamp64Second({since:Int64})", {"since": periods.microseconds(before) // 1_000_000})
    history = TimeRange(periods.BEGINNING, scope.range.end, scope.zone)
    by_match = question.new_by == "first_match"
    # The first event of any kind is sought among all events, so there the filters bear on what is active alone.
    filters = [] if by_match else question.filters
    meant = [item.model_copy(update={"filters": [*item.filters, *filters]}) for item in question.events or [Selector()]]
    matches = any_of([scope.matches(item) for item in meant])
    active = since if by_match else all_of([matches, since])
    place = periods.place(scope, question.interval, [before, *starts])
    value = breakdowns.first_value(breakdowns.text(question.breakdown, scope), active)
    return sql(
        STATEMENT,
        place=place,
        active_in=periods.set_of(place, active, len(starts) + 1),
        value=sql(", $value AS value", value=value) if question.breakdown else EMPTY,
        events=scope.events(),
        scope=scope.where(history, filtered=by_match),
        wanted=matches if by_match else Sql("1"),
    )


def _starts(question: Lifecycle, scope: Scope) -> list[datetime]:
    return periods.starts_of(scope, question.interval)


ANALYSIS: Final = Analysis(
    question=Lifecycle, row=LifecycleRow, compile=compile, shape=shape, members=members, examples=examples_of("lifecycle")
)
