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
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Selector
from almanac.core.ports import Result
from almanac.core.sql import Sql, all_of, any_of, join, sql
from almanac.core.time import TimeRange

_MOST_PERIODS: Final = 2000
_MOST_ROWS: Final = 200_000
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
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


# A person keeps the distinct periods and two instants, however many events there are. `joined`: the period of the first use, 0 when that
# lies before the range or there is none.
STATEMENT: Final = """
WITH
marked AS
(
    SELECT
        person,
        toUnixTimestamp64Micro(time) AS moment,
        toUnixTimestamp($period) AS period,
        moment >= {start:Int64} AS inside,
        $feature AS uses,
        $text AS text
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT
        person,
        min(moment) AS seen,
        minIf(moment, uses) AS began,
        max(uses) AS ever,
        groupUniqArrayIf(period, inside) AS active,
        groupUniqArrayIf(period, inside AND uses) AS used,
        if(ever AND began >= {start:Int64}, arrayMin(used), 0) AS joined,
        multiIf(NOT ever, 0, joined > 0, joined, arrayMin(active)) AS adopted,
        $value AS value
    FROM marked
    GROUP BY person
    HAVING notEmpty(active)
)
"""

PERIODS: Final = """
SELECT
    if(place <= {limit:UInt64}, value, {other:String}) AS label,
    period,
    sum(some_active) AS active,
    sum(some_used) AS used,
    sum(some_new) AS new,
    sum(some_reached) AS reached,
    sum(some_adopted) AS adopted
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY size DESC, value) AS place
    FROM
    (
        SELECT
            value,
            period,
            count() AS some_active,
            countIf(has(used, period)) AS some_used,
            countIf(period = joined) AS some_new,
            countIf(period = arrayMin(active)) AS some_reached,
            countIf(period = adopted) AS some_adopted,
            sum(some_reached) OVER (PARTITION BY value) AS size
        FROM per_person
        ARRAY JOIN active AS period
        GROUP BY value, period
    )
)
GROUP BY label, period
"""

TIME_TO_USE: Final = """
SELECT
    if(place <= {limit:UInt64}, value, {other:String}) AS label,
    sum(size) AS people,
    toFloat64(sum(some_seconds)) / 1e6 / people AS average,
    quantilesExactInclusiveMerge(0.25, 0.5, 0.75, 0.9)(some_times) AS quantiles
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY size DESC, value) AS place
    FROM
    (
        SELECT
            value,
            count() AS size,
            sum(toInt128(began - seen)) AS some_seconds,
            quantilesExactInclusiveState(0.25, 0.5, 0.75, 0.9)(began - seen) AS some_times
        FROM per_person
        WHERE joined > 0
        GROUP BY value
    )
)
GROUP BY label
"""

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
        if(place <= {limit:UInt64}, value, {other:String}) AS label,
        periods,
        took,
        sum(some) AS newcomers
    FROM
    (
        SELECT *, dense_rank() OVER (ORDER BY size DESC, value) AS place
        FROM
        (
            SELECT
                value,
                least(intDiv({until:Int64} - seen, {length:Int64}), {intervals:Int64}) AS periods,
                if(ever, least(intDiv(began - seen, {length:Int64}), {intervals:Int64}), {intervals:Int64}) AS took,
                count() AS some,
                sum(some) OVER (PARTITION BY value) AS size
            FROM per_person
            WHERE seen >= {start:Int64}
            GROUP BY value, periods, took
        )
    )
    GROUP BY label, periods, took
)
ARRAY JOIN range(1, {intervals:Int64} + 1) AS within
GROUP BY label, within
"""

# Both counts in one pass: how many joined in each period, and how many used the feature in so many later ones.
REPEAT: Final = """
SELECT
    if(place <= {limit:UInt64}, value, {other:String}) AS label,
    of_joined,
    number,
    sum(some) AS people
FROM
(
    SELECT *, dense_rank() OVER (ORDER BY size DESC, value) AS place
    FROM
    (
        SELECT
            value,
            counted.1 AS of_joined,
            counted.2 AS number,
            count() AS some,
            sum(some) OVER (PARTITION BY value) AS size
        FROM per_person
        ARRAY JOIN [(1, joined), (0, toUInt32(length(used) - 1))] AS counted
        WHERE joined > 0
        GROUP BY value, of_joined, number
    )
)
GROUP BY label, of_joined, number
"""

MEMBERS: Final = """
SELECT person
FROM per_person
WHERE $within
"""

FOLLOWED_AND_USED: Final = "{until:Int64} - seen >= {length:Int64} * $count AND ever AND began - seen < {length:Int64} * $count"

BIGGEST: Final = """
(
    SELECT value
    FROM per_person
    WHERE $population
    GROUP BY value
    ORDER BY count() DESC, value
    LIMIT {limit:UInt64}
)
"""


def compile(question: Adoption, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """What each person did, then the view's counts."""
    values: dict[str, Any] = {"limit": _limit(question), "other": OTHER}
    counted = {
        "periods": Sql(PERIODS, values),
        "time_to_use": Sql(TIME_TO_USE, values),
        "curve": Sql(CURVE, {**values, **_curve_values(question, scope)}),
        "repeat": Sql(REPEAT, values),
    }[question.view]
    return Compiled(join("", [_people(question, scope), counted]))


def members(question: Adoption, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who used the feature as a row says."""
    within = [_population(question)]
    if question.view == "periods":
        moment = _moment(question, scope, str(row.get("period")))
        within.append(sql("has(used, $moment)", moment=scope.bind(moment, "UInt32")))
    elif question.view == "curve":
        count = scope.bind(_count(row, "within_periods"), "Int64")
        within.append(sql(FOLLOWED_AND_USED, _lengths(question, scope), count=count))
    elif question.view == "repeat":
        within.append(sql("length(used) > $count", count=scope.bind(_count(row, "later_periods"), "Int64")))
    if question.breakdown:
        label = str(row.get("breakdown") or "")
        same = sql("value = $label", label=scope.bind(label, "String"))
        biggest = sql(BIGGEST, {"limit": _limit(question)}, population=_population(question))
        within.append(any_of([same, sql("value NOT IN $biggest", biggest=biggest)]) if label == OTHER else same)
    return Compiled(join("", [_people(question, scope), sql(MEMBERS, within=all_of(within))]))


def shape(question: Adoption, scope: Scope, result: Result) -> Shaped:
    """The biggest values first, Other last; every period, and every number of periods."""
    found: dict[str, list[dict[str, Any]]] = {} if question.breakdown else {"": []}
    for row in result.dicts():
        found.setdefault(row["label"], []).append(row)
    starts = _starts(question, scope)
    if len(found) * len(starts) > _MOST_ROWS:
        raise invalid("The answer would have too many rows.", place="period", way_out="Lower the limit, or choose a longer period.")
    shaped = {label: _SHAPES[question.view](question, scope, rows, starts) for label, rows in found.items()}
    order = sorted(found, key=lambda label: (label == OTHER, -_size(question, found[label]), label))
    rows = [{**({"breakdown": label} if question.breakdown else {}), **row} for label in order for row in shaped[label]]
    open_ = question.view == "periods" and any(not row["complete"] for row in rows)
    return Shaped(rows, notes=("Periods that are not over are marked as not complete.",) if open_ else ())


# ----------------------------------------------------------------- the statement


def _people(question: Adoption, scope: Scope) -> Sql:
    span = _span(question, scope)
    feature = scope.matches(question.feature)
    active = scope.matches(question.active) if question.active else Sql("1")
    if question.view in ("periods", "repeat"):  # of earlier events only those of the feature are needed
        active = sql("$active AND toUnixTimestamp64Micro(time) >= {start:Int64}", active=active)
    # The least of the texts that begin with their instant: argMin by (moment, text) took 0.51 s where this takes 0.16 s (2 M events).
    value = "substring(minIf(concat(leftPad(toString(moment), 20, '0'), text), inside AND text != ''), 21)" if question.breakdown else "''"
    return sql(
        STATEMENT,
        {"start": _micros(span.start)},
        period=scope.period(question.period),
        feature=feature,
        text=sql("toString($text)", text=scope.text(question.breakdown)) if question.breakdown else Sql("''"),
        events=scope.events(),
        scope=scope.where(TimeRange(_BEGINNING, span.end, span.zone)),
        wanted=any_of([feature, active]),
        value=Sql(value),
    )


def _population(question: Adoption) -> Sql:
    """Whom the view is about."""
    return Sql({"periods": "1", "curve": "seen >= {start:Int64}"}.get(question.view, "joined > 0"))


def _lengths(question: Adoption, scope: Scope) -> dict[str, Any]:
    until = min(_span(question, scope).end, scope.now)
    return {"until": _micros(until), "length": _DAYS[question.period] * 86_400_000_000}


def _curve_values(question: Adoption, scope: Scope) -> dict[str, Any]:
    return {**_lengths(question, scope), "intervals": question.intervals}


def _limit(question: Adoption) -> int:
    return question.breakdown.limit if question.breakdown else 1


# --------------------------------------------------------------------- the times


def _span(question: Adoption, scope: Scope) -> TimeRange:
    """The range in whole periods."""
    span = times.whole(scope.range, question.period, week_start=scope.week_start)
    # A month is at least 28 days, so that this never counts too few.
    if span.length.total_seconds() / times.INTERVAL_SECONDS.get(question.period, 28 * 86400) > _MOST_PERIODS:
        raise invalid(f"The range has more than {_MOST_PERIODS} periods.", place="period", way_out="Choose a longer period.")
    return span


def _starts(question: Adoption, scope: Scope) -> list[datetime]:
    return times.periods(_span(question, scope), question.period, week_start=scope.week_start)


def _moment(question: Adoption, scope: Scope, label: str) -> int:
    """The start of the period that an answer's row names."""
    for start in _starts(question, scope):
        if period_label(start, question.period, scope.zone) == label:
            return int(start.timestamp())
    raise invalid(f"The answer has no period {label!r}.", place="period", way_out="Take it from a row of the answer.")


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise invalid(f"The answer has no {name} {value!r}.", place=name, way_out="Take it from a row of the answer.")
    return value


def _micros(moment: datetime) -> int:
    return (moment - _BEGINNING) // timedelta(microseconds=1)


# ---------------------------------------------------------------------- the rows


def _period_rows(question: Adoption, scope: Scope, rows: list[dict[str, Any]], starts: list[datetime]) -> list[dict[str, Any]]:
    found = {row["period"]: row for row in rows}
    counts = [
        {name: here[name] if here else 0 for name in ("active", "used", "new", "reached", "adopted")}
        for start in starts
        for here in [found.get(int(start.timestamp()))]
    ]
    reached, adopted = (list(accumulate(count[name] for count in counts)) for name in ("reached", "adopted"))
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
            "complete": times.shift(start, question.period, 1) <= min(scope.now, scope.range.end),
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
    left = {int(start.timestamp()): len(starts) - 1 - place for place, start in enumerate(starts)}
    shaped = []
    for k in range(len(starts)):
        possible = sum(row["people"] for row in rows if row["of_joined"] and left[row["number"]] >= k)
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
