"""How does something spread over people: how many do it once, how many twenty times; who spends how much.

Ask it where a mean hides the people: orders, sessions or minutes of each person, the amount each has spent; to find a bound (three orders
make a regular) before a segment or a goal is built on it.

How it counts:

- Each person has one amount in the range: how many of the events he did, or the sum, mean, least, greatest or a quantile of a property over
  them. People with all their merged ids are one; who did none of them, or has no number in them, is not in the answer.
- A row holds the people whose amount is at least `at_least` and below `below`: the bounds are exact, and nobody is in two rows. Rows follow
  one another without a gap; those with nobody at both ends are left out.
- Without `bounds` all rows are of one width, the smallest of 1, 2 or 5 times a power of ten with which about `bins` of them reach from the
  least to the greatest amount, and they begin at multiples of it. Numbers of events have whole widths. The bounds are the same for all
  values of a breakdown.
- `bounds` begin the rows that they name, each up to the next; the last one has no upper bound, and who is below the first is in a row
  without lower bound.
- Mean and quantiles are of all people of a value of the breakdown; quantiles are exact, with linear interpolation.
- A breakdown looks at each value's events alone: who did some of them on the web and some on the phone is in both, with the amount of each.
  It keeps the values with most people (ties by name); the rest, reckoned from its events, is "Other". An empty value means that the
  property is missing.
- The people behind a row are those in it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, Field, field_validator

from almanac.analyses.examples import examples_of
from almanac.analyses.trend_blocks import aggregate
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown
from almanac.core.metrics import Measured
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, all_of, number, sql

_OF_A_PERSON: Final = ("count", "sum", "average", "min", "max", "median", "quantile")


class Distribution(Question):
    """The question."""

    kind: Literal["distribution"] = "distribution"
    of: Measured = Field(
        validation_alias=AliasChoices("of", "event", "series"),
        description="The events, and what of them is each person's amount: count, sum, average, min, max, median or quantile.",
        examples=["order"],
    )
    bins: int = Field(10, ge=1, le=200, description="About how many rows there shall be between the least and the greatest amount.")
    bounds: Annotated[list[float], Field(min_length=1, max_length=200)] | None = Field(
        None, description="Where rows begin, ascending, instead of bins of one width.", examples=[[1, 2, 5, 10]]
    )
    breakdown: Breakdown | None = Field(None, description="Property to split by.", examples=["@channel"])

    @field_validator("of")
    @classmethod
    def _has_one_amount(cls, of: Measured) -> Measured:
        if of.formula:
            raise ValueError("a formula has no amount for each person; name one of its parts")
        if of.measure not in _OF_A_PERSON:
            raise ValueError(f"{of.measure} is no amount of one person; use {', '.join(_OF_A_PERSON)}")
        if of.over is not None:
            raise ValueError("over goes with trends; here the whole range counts")
        if of.measure != "count" and not of.property:
            raise ValueError(f"the measure {of.measure} needs a property")
        return of

    @field_validator("bounds")
    @classmethod
    def _ascends(cls, bounds: list[float] | None) -> list[float] | None:
        if bounds and not all(math.isfinite(bound) for bound in bounds):
            raise ValueError("bounds are numbers")
        if bounds and any(one >= other for one, other in itertools.pairwise(bounds)):
            raise ValueError("bounds have to ascend")
        return bounds


class DistributionRow(Row):
    """The people of one value whose amounts lie between two bounds."""

    breakdown: str = Field("", description="Value of the property; empty: events without it; 'Other': all further values.")
    at_least: float | None = Field(description="The least amount in this row; empty: no lower bound.")
    below: float | None = Field(description="Amounts in this row are less than this; empty: no upper bound.")
    people: int = Field(description="People whose amount lies between the two.")
    rate: float = Field(description="people / total, 0 to 1.")
    total: int = Field(description="All people of this value of the breakdown.")
    average: float = Field(description="Their mean amount.")
    median: float = Field(description="Their median amount.")
    p90: float = Field(description="The amount that nine of ten of them do not exceed.")


# The label stands before the amount, so that all further values are one group with one amount for each person.
PER_PERSON: Final = """
    SELECT
        person,
        $label AS label,
        toFloat64($amount) AS amount
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
    GROUP BY person, label
    HAVING isFinite(amount)
"""

# 8 bytes a person. Bounds are whole multiples divided by, or multiplied with, a power of ten: so they are the decimal numbers that they
# look like, and what is compared is what is shown.
COUNTED: Final = """
SELECT
    label,
    bounds,
    arrayMap(place -> countEqual(places, place), range(length(bounds) + 1)) AS people,
    length(amounts) AS total,
    arrayAvg(amounts) AS average,
    arrayReduce('quantileExactInclusive(0.5)', amounts) AS median,
    arrayReduce('quantileExactInclusive(0.9)', amounts) AS p90
FROM
(
    SELECT
        *,
        $bounds AS bounds,
        arrayMap(amount -> arrayCount(bound -> bound <= amount, bounds), amounts) AS places
    FROM
    (
        SELECT
            *,
            min(arrayMin(amounts)) OVER () AS low,
            max(arrayMax(amounts)) OVER () AS high
        FROM
        (
            SELECT
                label,
                groupArray(assumeNotNull(amount)) AS amounts
            FROM ($per_person)
            GROUP BY label
        )
    )
)
"""

OF_ONE_WIDTH: Final = """
        greatest(abs(low), abs(high)) AS reach,
        greatest(if(low = high, 1, high / {bins:Float64} - low / {bins:Float64}), reach * 1e-12, {least_width:Float64}) AS width,
        floor(log10(width) + 1e-12) AS power,
        width / exp10(power) AS share,
        multiIf(share <= 1 + 1e-9, 1, share <= 2 + 1e-9, 2, share <= 5 + 1e-9, 5, 10) AS times,
        arrayMap(
            multiple -> if(power < 0, multiple * times / exp10(-power), multiple * times * exp10(power)),
            arrayMap(
                place -> floor(low / (times * exp10(power))) - 1 + place,
                range(toUInt32(high / (times * exp10(power)) - low / (times * exp10(power))) + 4)
            )
        )"""

LABEL: Final = """if(
            $text IN
            (
                SELECT $text AS value
                FROM $events
                WHERE $scope AND person != 0 AND ($wanted)
                GROUP BY value
                ORDER BY uniqExact(person) DESC, value
                LIMIT $limit
            ),
            $text,
            $other
        )"""

MEMBERS: Final = """
SELECT person
FROM ($per_person)
WHERE label = $label AND $within
"""


def compile(question: Distribution, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Each person's amount, all amounts of a value in one array, and how many of them lie between the bounds."""
    bounds = (
        scope.bind(question.bounds, "Array(Float64)")
        if question.bounds
        else Sql(OF_ONE_WIDTH, {"bins": question.bins, "least_width": 1 if question.of.measure == "count" else 1e-300})
    )
    return Compiled(sql(COUNTED, bounds=bounds, per_person=_per_person(question, scope)))


def members(question: Distribution, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who is in a row. Raises `invalid` for a row that the answer does not have."""
    within: list[Sql] = []
    bounds = {"at_least": row.get("at_least"), "below": row.get("below")}
    for name, bound in bounds.items():
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, (int, float))):
            raise invalid(f"{bound!r} is no bound.", place=name, way_out="Take it from a row of the answer.")
    ends = [None, *question.bounds, None] if question.bounds else []
    pair = (bounds["at_least"], bounds["below"])
    if (ends and pair not in itertools.pairwise(ends)) or (not ends and None in pair):
        raise invalid(f"The answer has no row from {pair[0]} to {pair[1]}.", place="at_least", way_out="Take it from a row of the answer.")
    label = row.get("breakdown", "") if question.breakdown else ""
    if question.breakdown and not isinstance(row.get("breakdown"), str):
        raise invalid("The row does not say which value it is about.", place="breakdown", way_out="Take it from a row of the answer.")
    if pair[0] is not None:
        within.append(sql("amount >= $bound", bound=scope.bind(float(pair[0]), "Float64")))
    if pair[1] is not None:
        within.append(sql("amount < $bound", bound=scope.bind(float(pair[1]), "Float64")))
    return Compiled(sql(MEMBERS, per_person=_per_person(question, scope), label=scope.bind(label, "String"), within=all_of(within)))


def _per_person(question: Distribution, scope: Scope) -> Sql:
    of = question.of
    wanted = scope.matches(of)
    value = scope.number(of.property) if of.property else EMPTY
    amount = Sql("count()") if of.measure == "count" else sql("sumKahan($value)", value=value)
    if of.measure not in ("count", "sum"):
        amount = aggregate(of, scope, value, EMPTY)
    label = Sql("''")
    if question.breakdown:
        label = sql(
            LABEL,
            text=scope.text(question.breakdown),
            events=scope.events(),
            scope=scope.where(),
            wanted=wanted,
            limit=number(question.breakdown.limit),
            other=scope.bind(OTHER, "String"),
        )
    return sql(PER_PERSON, label=label, amount=amount, events=scope.events(), scope=scope.where(), wanted=wanted)


def shape(question: Distribution, scope: Scope, result: Result) -> Shaped:
    """The rows of each value, the one with most people first, Other last; ends where nobody is are left out."""
    groups = sorted(result.dicts(), key=lambda row: (row["label"] == OTHER, -row["total"], row["label"]))
    if not groups:
        return Shaped([], notes=("Nobody did it in the range.",))
    bounds = groups[0]["bounds"]
    edges = list(zip([None, *bounds], [*bounds, None], strict=True))
    filled = [place for place in range(len(edges)) if any(group["people"][place] for group in groups)]
    # Bounds that were asked for are shown, but for the rows before the first and after the last where nobody is.
    first, last = (min(filled[0], 1), max(filled[-1], len(edges) - 1)) if question.bounds else (filled[0], filled[-1])
    rows = [
        {
            **({"breakdown": group["label"]} if question.breakdown else {}),
            "at_least": edges[place][0],
            "below": edges[place][1],
            "people": group["people"][place],
            "rate": group["people"][place] / group["total"],
            **{name: group[name] for name in ("total", "average", "median", "p90")},
        }
        for group in groups
        for place in range(first, last + 1)
    ]
    return Shaped(rows)


ANALYSIS: Final = Analysis(
    question=Distribution, row=DistributionRow, compile=compile, shape=shape, members=members, examples=examples_of("distribution")
)
