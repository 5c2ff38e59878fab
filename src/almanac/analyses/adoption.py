"""How a feature is taken up: who uses it, who is new to it, how soon, and whether they use it again.

Ask it after a release, or of a feature that ought to matter: which share of the people who are there use it, how that share grows, how long
newcomers take to find it, and whether trying it once leads to using it again.

How it counts:

- Active are the people with an `active` event (any event by default); using the feature is being active too, so that no share exceeds 1.
  Events of no person count for nothing; merged ids are one person.
- View `periods`: of the people active in a period, those who used the feature in it (`used`), and those for whom it was the first time
  (`new`). `new` looks back over the whole history: whoever used it before the range is not new. `reached` are the people active since the
  range began, each once; `adopted` are those of them who have used the feature by the end of the period, before the range too: adopted /
  reached is the adoption curve of the product. (Amplitude and Mixpanel divide by the people of the period alone.)
- View `time_to_use`: of the people whose first use lies in the range, the time from their first active event ever to that use. Those who
  have not used it are not in it, so it is short for a young feature; the view `curve` is not misled so.
- View `curve`: of the people first seen in the range, the share that used the feature in less than so many periods after. Only those
  count who were seen so long ago: the range, or now, ended no earlier. Periods are elapsed time here: a month is 30 days, a quarter 90, a
  year 365.
- View `repeat`: of the people whose first use lies in the range, those who used it in at least so many later calendar periods. `possible`
  are those for whom the range had so many later periods left; the rate is of them.
- Periods are whole calendar periods of the question's zone: the first may begin before the range. Not complete is one that is not over,
  or that the range cuts. Quantiles are exact, with linear interpolation.
- A person has one value of a breakdown: the first that is set over the events of the range that make them active (of simultaneous ones
  the first in the alphabet). A limit keeps the values with most of the people whom the view is about; the rest is Other.
- The people behind a row are those of `used` in the view `periods`, else those of `people`.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file, and this one has four views.
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, ClassVar, Final, Literal, LiteralString

from pydantic import Field

from almanac.analyses import breakdowns, periods
from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import Sql, all_of, any_of, fill, join, sql
from almanac.core.time import TimeRange

_MOST_PERIODS: Final = 2000
_DAYS: Final = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}


class Adoption(Question):
    """The question."""

    kind: Literal["adoption"] = "adoption"
    feature: Selector = Field(description="What is using the feature.", examples=["export"])
    active: Selector | None = Field(None, description="What makes a person active; any event by default.", examples=["visit"])
    view: Literal["periods", "time_to_use", "curve", "repeat"] = Field(
        "periods",
        description="periods: who used it, and for the first time; time_to_use: how long until the first use; "
        "curve: the share of newcomers that used it within so many periods; repeat: who used it again later.",
    )
    period: Literal["day", "week", "month", "quarter", "year"] = Field("week", description="Length of a period.")
    intervals: int = Field(12, ge=1, le=100, description="For the curve: over how many periods to follow newcomers.")
    breakdown: Breakdown | None = Field(None, description="Property to split people by.", examples=["@country"])

    DEFAULT_RANGE: ClassVar[str] = "-90d"


class AdoptionRow(Row):
    """A period, a number of periods, or a value, by the view."""

    breakdown: str = Field("", description="Value of the property; empty: never set; 'Other': all further values.")
    period: str = Field("", description="Start of the period, a local date.")
    active: int | None = Field(None, description="People active in the period.")
    used: int | None = Field(None, description="Of those, who used the feature in it.")
    new: int | None = Field(None, description="Of those, who had never used it before.")
    used_rate: float | None = Field(None, description="used / active, 0 to 1; 0 when nobody was active.")
    new_rate: float | None = Field(None, description="new / active, 0 to 1; 0 when nobody was active.")
    reached: int | None = Field(None, description="People active since the range began, each once.")
    adopted: int | None = Field(None, description="Of those, who have ever used the feature by the end of the period.")
    adoption_rate: float | None = Field(None, description="adopted / reached, 0 to 1; 0 when nobody was active.")
    complete: bool | None = Field(None, description="False while the period is not over, or where the range cuts it.")
    within_periods: int | None = Field(None, description="In less than so many periods after the person was first seen.")
    followed: int | None = Field(None, description="Newcomers who were first seen at least so many periods ago.")
    later_periods: int | None = Field(None, description="In at least so many periods after that of the first use.")
    possible: int | None = Field(None, description="New users for whom the range had so many later periods left.")
    people: int | None = Field(None, description="Who did so.")
    rate: float | None = Field(None, description="people / followed or people / possible, 0 to 1; 0 when there are none.")
    average_seconds: float | None = Field(None, description="Mean time to the first use.")
    p25_seconds: float | None = Field(None, description="Time within which a quarter of them first used it.")
    median_seconds: float | None = Field(None, description="Median time to the first use.")
    p75_seconds: float | None = Field(None, description="Time within which three quarters of them first used it.")
    p90_seconds: float | None = Field(None, description="Time within which nine of ten of them first used it.")


# A person keeps two sets of periods and two instants, however many events there are. `joined`: the period of the first use, NEVER when that
# lies before the range or there is none; `adopted`: the first period in the range in which the person has used it, then or before.
STATEMENT: Final = """
WITH
1000000 AS never,
marked AS
(
    SELECT
        person,
        time,
        $place AS place,
        time >= $start AS inside,
        $feature AS uses,
        $text AS text
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT
        person,
        toUnixTimestamp64Micro(min(time)) AS seen,
        toUnixTimestamp64Micro(minIf(time, uses)) AS began,
        max(uses) AS ever,
        max(uses AND NOT inside) AS used_before,
        $active AS active,
        $used AS used,
        if(used_before OR empty(used), never, used[1]) AS joined,
        multiIf(NOT ever, never, used_before, active[1], used[1]) AS adopted,
        $value AS value
    FROM marked
    GROUP BY person
    HAVING notEmpty(active)
)
"""

PERIODS: Final = """
SELECT
    label,
    at,
    sum(some_active) AS active,
    sum(some_used) AS used,
    sum(some_new) AS new,
    sum(some_reached) AS reached,
    sum(some_adopted) AS adopted
FROM $ranked
GROUP BY label, at
"""

PERIODS_CELLS: Final = """(
        SELECT
            value,
            at,
            count() AS some_active,
            countIf(has(used, at)) AS some_used,
            countIf(at = joined) AS some_new,
            countIf(at = active[1]) AS some_reached,
            countIf(at = adopted) AS some_adopted,
            sum(some_reached) OVER (PARTITION BY value) AS size
        FROM per_person
        ARRAY JOIN active AS at
        GROUP BY value, at
    )"""

TIME_TO_USE: Final = """
SELECT
    label,
    sum(size) AS people,
    toFloat64(sum(some_seconds)) / 1e6 / people AS average,
    quantilesExactInclusiveMerge(0.25, 0.5, 0.75, 0.9)(some_times) AS quantiles
FROM $ranked
GROUP BY label
"""

TIME_TO_USE_CELLS: Final = """(
        SELECT
            value,
            count() AS size,
            sum(toInt128(began - seen)) AS some_seconds,
            quantilesExactInclusiveState(0.25, 0.5, 0.75, 0.9)(began - seen) AS some_times
        FROM per_person
        WHERE joined != never
        GROUP BY value
    )"""

CURVE: Final = """
SELECT
    label,
    within,
    sum(newcomers) AS everybody,
    sumIf(newcomers, periods >= within) AS followed,
    sumIf(newcomers, periods >= within AND took < within) AS people
FROM
(
    SELECT
        label,
        periods,
        took,
        sum(some) AS newcomers
    FROM $ranked
    GROUP BY label, periods, took
)
ARRAY JOIN range(1, {intervals:Int64} + 1) AS within
GROUP BY label, within
"""

CURVE_CELLS: Final = """(
        SELECT
            value,
            least(intDiv({until:Int64} - seen, {length:Int64}), {intervals:Int64}) AS periods,
            if(ever, least(intDiv(began - seen, {length:Int64}), {intervals:Int64}), {intervals:Int64}) AS took,
            count() AS some,
            sum(some) OVER (PARTITION BY value) AS size
        FROM per_person
        WHERE seen >= {start:Int64}
        GROUP BY value, periods, took
    )"""

# Both counts in one pass: how many joined in each period, and how many used the feature in so many later ones.
REPEAT: Final = """
SELECT
    label,
    of_joined,
    number,
    sum(some) AS people
FROM $ranked
GROUP BY label, of_joined, number
"""

REPEAT_CELLS: Final = """(
        SELECT
            value,
            counted.1 AS of_joined,
            counted.2 AS number,
            count() AS some,
            sum(some) OVER (PARTITION BY value) AS size
        FROM per_person
        ARRAY JOIN [(1, toUInt64(joined)), (0, toUInt64(length(used) - 1))] AS counted
        WHERE joined != never
        GROUP BY value, of_joined, number
    )"""

MEMBERS: Final = """
SELECT person
FROM per_person
WHERE $within
"""

FOLLOWED_AND_USED: Final = "{until:Int64} - seen >= {length:Int64} * $count AND ever AND began - seen < {length:Int64} * $count"


_VIEWS: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "periods": (PERIODS, PERIODS_CELLS),
    "time_to_use": (TIME_TO_USE, TIME_TO_USE_CELLS),
    "curve": (CURVE, CURVE_CELLS),
    "repeat": (REPEAT, REPEAT_CELLS),
}


def compile(question: Adoption, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """What each person did, then the view's counts."""
    answer, cells = _VIEWS[question.view]
    bound = _lengths(question, scope) | {"intervals": question.intervals} if question.view == "curve" else {}
    counted = fill(answer, bound, {"ranked": breakdowns.ranked(Sql(cells), breakdowns.limit_of(question.breakdown))})
    return Compiled(join("", [_people(question, scope), counted]))


def members(question: Adoption, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who used the feature as a row says."""
    population = {"periods": Sql("1"), "curve": Sql("seen >= {start:Int64}")}.get(question.view, Sql("joined != never"))
    within = [population]
    if question.view == "periods":
        place = periods.place_of(row, _starts(question, scope), question.period, scope)
        within.append(sql("has(used, $place)", place=scope.bind(place, "UInt64")))
    elif question.view == "curve":
        count = scope.bind(_count(row, "within_periods"), "Int64")
        within.append(sql(FOLLOWED_AND_USED, _lengths(question, scope), count=count))
    elif question.view == "repeat":
        within.append(sql("length(used) > $count", count=scope.bind(_count(row, "later_periods"), "Int64")))
    if question.breakdown:
        label = scope.bind(breakdowns.value_of(row, question.breakdown), "String")
        biggest = breakdowns.biggest(sql("per_person WHERE $population", population=population), breakdowns.limit_of(question.breakdown))
        within.append(sql("$biggest = $label", biggest=biggest, label=label))
    return Compiled(join("", [_people(question, scope), sql(MEMBERS, within=all_of(within))]))


def shape(question: Adoption, scope: Scope, result: Result) -> Shaped:
    """The biggest values first, Other last; every period, and every number of periods."""
    found: dict[str, list[dict[str, Any]]] = {} if question.breakdown else {"": []}
    for row in result.dicts():
        found.setdefault(row["label"], []).append(row)
    starts = _starts(question, scope)
    breakdowns.refuse_too_many(len(found) * len(starts), place="period", way_out="Lower the limit, or choose a longer period.")
    shaped = {label: _SHAPES[question.view](question, scope, rows, starts) for label, rows in found.items()}
    order = breakdowns.in_order({label: _size(question, rows) for label, rows in found.items()})
    rows = [{**({"breakdown": label} if question.breakdown else {}), **row} for label in order for row in shaped[label]]
    open_ = question.view == "periods" and any(not row["complete"] for row in rows)
    return Shaped(rows, notes=("Periods that are not over are marked as not complete.",) if open_ else ())


# ----------------------------------------------------------------- the statement


def _people(question: Adoption, scope: Scope) -> Sql:
    starts = _starts(question, scope)
    feature = scope.matches(question.feature)
    active = scope.matches(question.active) if question.active else Sql("1")
    start = scope.bind(starts[0].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"), "DateTime64(6, 'UTC')")
    if question.view in ("periods", "repeat"):  # of earlier events only those of the feature are needed
        active = sql("$active AND time >= $start", active=active, start=start)
    return sql(
        STATEMENT,
        {"start": periods.microseconds(starts[0])} if question.view == "curve" else {},
        start=start,
        place=periods.place(scope, question.period, starts),
        feature=feature,
        text=breakdowns.text(question.breakdown, scope),
        events=scope.events(),
        scope=scope.where(TimeRange(periods.BEGINNING, scope.range.end, scope.zone)),
        wanted=any_of([feature, active]),
        active=periods.set_of(Sql("place"), Sql("inside"), len(starts)),
        used=periods.set_of(Sql("place"), Sql("inside AND uses"), len(starts)),
        value=breakdowns.first_value(Sql("text"), Sql("inside AND text != ''")) if question.breakdown else Sql("''"),
    )


def _lengths(question: Adoption, scope: Scope) -> dict[str, Any]:
    until = min(scope.range.end, scope.now)
    return {"until": periods.microseconds(until), "length": _DAYS[question.period] * 86_400_000_000}


def _starts(question: Adoption, scope: Scope) -> list[datetime]:
    return periods.starts_of(scope, question.period, most=_MOST_PERIODS, place="period")


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"The answer has no {name} {value!r}.", place=name, way_out="Take it from a row of the answer.")
    return value


# ---------------------------------------------------------------------- the rows


def _period_rows(question: Adoption, scope: Scope, rows: list[dict[str, Any]], starts: list[datetime]) -> list[dict[str, Any]]:
    found = {row["at"]: row for row in rows}
    counts = [
        {name: found[place][name] if place in found else 0 for name in ("active", "used", "new", "reached", "adopted")}
        for place in range(len(starts))
    ]
    reached, adopted = (list(accumulate(count[name] for count in counts)) for name in ("reached", "adopted"))
    over = periods.over(starts, question.period, scope)
    return [
        {
            "period": period_label(start, question.period, scope.zone),
            "active": count["active"],
            "used": count["used"],
            "new": count["new"],
            "used_rate": _rate(count["used"], count["active"]),
            "new_rate": _rate(count["new"], count["active"]),
            "reached": reached[place],
            "adopted": adopted[place],
            "adoption_rate": _rate(adopted[place], reached[place]),
            "complete": over[place],
        }
        for place, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]


def _time_rows(question: Adoption, scope: Scope, rows: list[dict[str, Any]], starts: list[datetime]) -> list[dict[str, Any]]:
    names = ("p25_seconds", "median_seconds", "p75_seconds", "p90_seconds")
    if not rows:
        return [{"people": 0, "average_seconds": None, **dict.fromkeys(names)}]
    quantiles = {name: _seconds(value) for name, value in zip(names, rows[0]["quantiles"], strict=True)}
    return [{"people": rows[0]["people"], "average_seconds": rows[0]["average"], **quantiles}]


def _curve_rows(question: Adoption, scope: Scope, rows: list[dict[str, Any]], starts: list[datetime]) -> list[dict[str, Any]]:
    found = {row["within"]: row for row in rows}
    return [
        {"within_periods": k, "followed": followed, "people": people, "rate": _rate(people, followed)}
        for k in range(1, question.intervals + 1)
        for followed, people in [(found[k]["followed"], found[k]["people"]) if k in found else (0, 0)]
    ]


def _repeat_rows(question: Adoption, scope: Scope, rows: list[dict[str, Any]], starts: list[datetime]) -> list[dict[str, Any]]:
    shaped = []
    for k in range(len(starts)):
        possible = sum(row["people"] for row in rows if row["of_joined"] and len(starts) - 1 - row["number"] >= k)
        people = sum(row["people"] for row in rows if not row["of_joined"] and row["number"] >= k)
        shaped.append({"later_periods": k, "possible": possible, "people": people, "rate": _rate(people, possible)})
    return shaped


_SHAPES: Final = {"periods": _period_rows, "time_to_use": _time_rows, "curve": _curve_rows, "repeat": _repeat_rows}


def _size(question: Adoption, rows: list[dict[str, Any]]) -> int:
    """How many people a value has, of those whom the view is about."""
    if question.view == "curve":
        return max((row["everybody"] for row in rows), default=0)
    return sum(row["reached" if question.view == "periods" else "people"] for row in rows)


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _seconds(micros: float) -> float:
    return round(micros, 3) / 1e6  # the interpolation leaves a trace in the last digits


ANALYSIS: Final = Analysis(
    question=Adoption, row=AdoptionRow, compile=compile, shape=shape, members=members, examples=examples_of("adoption")
)
