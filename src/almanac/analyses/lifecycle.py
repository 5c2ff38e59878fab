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
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, all_of, any_of, sql
from almanac.core.time import TimeRange

Status = Literal["new", "returning", "resurrecting", "dormant"]

_STATUSES: Final[tuple[Status, ...]] = ("new", "returning", "resurrecting", "dormant")  # as the statement numbers them, from 1
_MOST_PERIODS: Final = 10_000
_MOST_ROWS: Final = 200_000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


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


# One scan, one row a person, whose set is never bigger than the number of periods, however many events there are. `starts` are the periods'
# in seconds, that before the range first; `roundDown` puts an instant before them all there too. Places count from 1, so 2 is the first of
# the range.
STATEMENT: Final = """
WITH
per_person AS
(
    SELECT
        person,
        toUnixTimestamp(min(time)) AS first_seen,
        groupUniqArrayIf($period, $active) AS active_in
        $value
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
    GROUP BY person
    HAVING max($active)
),
placed AS
(
    SELECT
        person,
        transform(roundDown(first_seen, {starts:Array(Int64)}), {starts:Array(Int64)}, arrayEnumerate({starts:Array(Int64)})) AS began,
        arrayMap(
            start -> transform(roundDown(start, {starts:Array(Int64)}), {starts:Array(Int64)}, arrayEnumerate({starts:Array(Int64)})),
            arraySort(active_in)
        ) AS places,
        $label AS label
    FROM per_person
),
steps AS
(
    SELECT
        person,
        label,
        arrayJoin(arrayConcat(
            arrayMap(
                (at, before) -> (at, multiIf(at = began, 1, at = before + 1, 2, 3)),
                places,
                arrayShiftRight(places, 1)
            ),
            arrayMap(
                (at, after) -> (at + 1, if(after = at + 1, 0, 4)),
                places,
                arrayShiftLeft(places, 1)
            )
        )) AS step,
        step.1 AS place,
        step.2 AS status
    FROM placed
    WHERE place > 1 AND place <= length({starts:Array(Int64)}) AND status > 0
)
$wanted_of_steps
"""

COUNTED: Final = """
SELECT label, place, status, count() AS people
FROM steps
GROUP BY label, place, status
"""

# A person has one status a period at most, so each comes once.
MEMBERS: Final = """
SELECT person
FROM steps
WHERE label = {row_label:String} AND place = {row_place:UInt32} AND status = {row_status:UInt8}
"""

# Read twice, so that a million values need no more memory than a million counts.
LABEL: Final = """if(
            value IN
            (
                SELECT value
                FROM per_person
                GROUP BY value
                ORDER BY count() DESC, value
                LIMIT {limit:UInt64}
            ),
            value,
            {other:String}
        )"""


def compile(question: Lifecycle, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Each person's periods, then what the person is in each of them."""
    return Compiled(_statement(question, scope, Sql(COUNTED)))


def members(question: Lifecycle, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is counted in that row. Raises `invalid` for a row that the answer does not have."""
    labels = [period_label(start, question.interval, scope.zone) for start in _starts(question, scope)]
    if row.get("period") not in labels:
        raise invalid(f"The answer has no period {row.get('period')!r}.", place="period", way_out="Take it from a row of the answer.")
    if row.get("status") not in _STATUSES:
        raise invalid(f"There is no status {row.get('status')!r}.", place="status", way_out=f"There are: {', '.join(_STATUSES)}.")
    if question.breakdown and not isinstance(row.get("breakdown"), str):
        raise invalid("The row does not say which value it is about.", place="breakdown", way_out="Take it from a row of the answer.")
    values = {
        "row_label": row["breakdown"] if question.breakdown else "",
        "row_place": labels.index(row["period"]) + 2,
        "row_status": _STATUSES.index(row["status"]) + 1,
    }
    return Compiled(_statement(question, scope, Sql(MEMBERS, values)))


def shape(question: Lifecycle, scope: Scope, result: Result) -> Shaped:
    """Every group has every status in every period; the biggest groups come first, Other last."""
    starts = _starts(question, scope)
    counts: dict[str, dict[tuple[int, int], int]] = {} if question.breakdown else {"": {}}
    for row in result.dicts():
        counts.setdefault(row["label"], {})[row["status"], row["place"] - 2] = row["people"]
    if len(counts) * len(_STATUSES) * len(starts) > _MOST_ROWS:
        raise invalid("The answer would have too many rows.", place="breakdown", way_out="Lower its limit, or ask by a longer interval.")
    labels = [period_label(start, question.interval, scope.zone) for start in starts]
    over = [times.shift(start, question.interval, 1).astimezone(UTC) <= min(scope.range.end, scope.now) for start in starts]
    active = {label: sum(people for (status, _), people in cells.items() if status < len(_STATUSES)) for label, cells in counts.items()}
    rows = [
        {
            **({"breakdown": label} if question.breakdown else {}),
            "status": status,
            "period": labels[place],
            "count": -people if status == "dormant" else people,
            "complete": over[place],
        }
        for label in sorted(counts, key=lambda label: (label == OTHER, -active[label], label))
        for number, status in enumerate(_STATUSES, 1)
        for place in range(len(starts))
        for people in [counts[label].get((number, place), 0)]
    ]
    return Shaped(rows, notes=() if over[-1] else ("The last period is not complete: who is dormant in it may yet come.",))


def _statement(question: Lifecycle, scope: Scope, wanted_of_steps: Sql) -> Sql:
    starts = _starts(question, scope)
    before = times.shift(starts[0], question.interval, -1)
    since = sql("time >= fromUnixTimestamp64Second({since:Int64})", {"since": _seconds(before)})
    history = TimeRange(_BEGINNING, scope.range.end, scope.zone)
    by_match, broken = question.new_by == "first_match", question.breakdown
    # The first event of any kind is sought among all events, so there the filters bear on what is active alone.
    filters = [] if by_match else question.filters
    meant = [item.model_copy(update={"filters": [*item.filters, *filters]}) for item in question.events or [Selector()]]
    matches = any_of([scope.matches(item) for item in meant])
    active = since if by_match else all_of([matches, since])
    return sql(
        STATEMENT,
        {"starts": [_seconds(start) for start in (before, *starts)], **({"limit": broken.limit, "other": OTHER} if broken else {})},
        active=active,
        # Hours are reckoned from the starts: where clocks change by half an hour, those of the engine lie elsewhere.
        period=Sql("roundDown(toUnixTimestamp(time), {starts:Array(Int64)})")
        if question.interval == "hour"
        else sql("toUnixTimestamp($start)", start=scope.period(question.interval)),
        value=sql(", argMinIf(toString($text), (time, toString($text)), $active) AS value", text=scope.text(broken), active=active)
        if broken
        else EMPTY,
        events=scope.events(),
        scope=scope.where(history, filtered=by_match),
        wanted=matches if by_match else Sql("1"),
        label=Sql(LABEL if broken else "''"),
        wanted_of_steps=wanted_of_steps,
    )


def _starts(question: Lifecycle, scope: Scope) -> list[datetime]:
    """The periods of the range, by their starts. Raises `invalid` when there are too many."""
    # A month is at least 28 days, so that this never counts too few.
    shortest = times.INTERVAL_SECONDS.get(question.interval, 28 * 86400)
    if scope.range.length.total_seconds() / shortest > _MOST_PERIODS:
        raise invalid(f"The range has more than {_MOST_PERIODS} periods.", place="interval", way_out="Choose a longer interval.")
    return times.periods(scope.range, question.interval, week_start=scope.week_start)


def _seconds(moment: datetime) -> int:
    return (moment - _BEGINNING) // timedelta(seconds=1)


ANALYSIS: Final = Analysis(
    question=Lifecycle, row=LifecycleRow, compile=compile, shape=shape, members=members, examples=examples_of("lifecycle")
)
