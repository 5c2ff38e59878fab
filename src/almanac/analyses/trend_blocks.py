"""The statement of a trend: a block for each way of reading, one scan for each side.

Its rows: block, side, period, values of the breakdown, results of the block's parts."""

from __future__ import annotations

from typing import Final

from almanac.analyses.trend_plan import Block, Part, Plan
from almanac.core.analysis import Scope
from almanac.core.filters import OTHER, Breakdown
from almanac.core.metrics import Measured
from almanac.core.sql import EMPTY, Sql, all_of, any_of, identifier, join, number, sql
from almanac.core.time import TimeRange

DIMENSIONS: Final = (identifier("breakdown"), identifier("breakdown_2"), identifier("breakdown_3"))

_ALL: Final = Sql("1")

PLAIN: Final = """
    SELECT
        $block AS block,
        $side AS side,
        $period AS period,
        $dimensions
        CAST([$results], 'Array(Nullable(Float64))') AS results
    FROM $events
    WHERE $scope AND ($wanted)
    GROUP BY period$names
"""

# People of a window that moves on, linear in the days (or hours) on which people were active: a run of days without a pause longer than the
# window counts a person from its first day until the window has left the last one. What comes out are the changes of the number.
PEOPLE: Final = """
    SELECT
        $block AS block,
        $side AS side,
        toUInt32(change.2) * $unit AS period,
        $listed
        CAST([$results], 'Array(Nullable(Float64))') AS results
    FROM
    (
        SELECT
            person,
            $dimensions
            $actives
        FROM $events
        WHERE $scope AND person != 0 AND ($wanted)
        GROUP BY person$names
    )
    ARRAY JOIN arrayConcat($changes) AS change
    GROUP BY period$names
"""

ROLLING: Final = """
        arrayFlatten(arrayMap(
            run -> [($place, run[1], 1), ($place, run[-1] + $window, -1)],
            arraySplit((moment, pause) -> pause > $window, $active, arrayDifference($active))
        ))"""

RUNNING: Final = """
    SELECT
        $block AS block,
        $side AS side,
        toUnixTimestamp($start) AS period,
        $listed
        [toNullable(toFloat64(count()))] AS results
    FROM
    (
        SELECT
            person,
            $dimensions
            $first AS first
        FROM $events
        WHERE $scope AND person != 0 AND ($wanted)
        GROUP BY person$names
    )
    GROUP BY period$names
"""

PER_PERSON: Final = """
    SELECT
        $block AS block,
        $side AS side,
        period,
        $listed
        CAST([$results], 'Array(Nullable(Float64))') AS results
    FROM
    (
        SELECT
            person,
            $period AS period,
            $dimensions
            $of_each
        FROM $events
        WHERE $scope AND person != 0 AND ($wanted)
        GROUP BY person, period$names
    )
    GROUP BY period$names
"""

# The biggest values are those of the range itself, for both sides.
DIMENSION: Final = """if(
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
        )"""


class Blocks:
    """Of one plan. Its fragments are bound in one scope."""

    def __init__(self, plan: Plan, scope: Scope) -> None:
        self._plan = plan
        self._scope = scope
        self._conditions = [scope.matches(part.measured) for part in plan.parts]
        self._names = DIMENSIONS[: len(plan.question.breakdown)]
        self._listed = join("", [sql(", $name", name=name) for name in self._names])
        self.dimensions = [self._dimension(breakdown) for breakdown in plan.question.breakdown]

    def statement(self) -> Sql:
        """The whole."""
        selects = [
            self._select(number(place), side, block, span)
            for place, block in enumerate(self._plan.blocks)
            for side, span in enumerate(block.spans)
        ]
        return join("    UNION ALL", selects)

    def _hours(self, parts: list[Part], side: int, span: TimeRange) -> Sql | None:
        """Where the counts by hour have the same answer, in a hundredth of the time."""
        counted = all(part.measured.measure == "count" for part in parts)
        if not counted or self._names or any(start.timestamp() % 3600 for start in self._plan.sides[side].starts):
            return None
        return self._scope.hours([part.measured for part in parts], span)

    def condition(self, place: int) -> Sql:
        """Which events the part at that place is reckoned from."""
        return self._conditions[place]

    def _select(self, place: Sql, side_at: int, block: Block, span: TimeRange) -> Sql:
        side, where = number(side_at), self._scope.where(span)
        parts = [self._plan.parts[at] for at in block.places]
        conditions = [self._conditions[at] for at in block.places]
        # With one condition, the WHERE has sorted out all others already.
        on = conditions if len(conditions) > 1 else [_ALL]
        wanted = any_of(conditions)
        if block.way == "people":
            return self._people(place, side, parts, on, where, wanted)
        if block.way == "running":
            return self._running(place, side, where, wanted)
        if block.way == "plain":
            hours = self._hours(parts, side_at, span)
            measures = [
                sql("sumIf(events, $on)", on=one) if hours else _measure(part.measured, self._scope, one)
                for part, one in zip(parts, on, strict=True)
            ]
            return sql(
                PLAIN,
                block=place,
                side=side,
                period=self._period(),
                dimensions=self._named_dimensions(),
                results=_list(measures),
                events=hours or self._scope.events(),
                scope=where,
                wanted=wanted,
                names=self._listed,
            )
        return self._per_person(place, side, parts, on, where, wanted)

    def _per_person(self, place: Sql, side: Sql, parts: list[Part], on: list[Sql], where: Sql, wanted: Sql) -> Sql:
        names = [identifier(f"value_{at}") for at in range(len(parts))]
        of_each = [
            sql("$value AS $name", value=_of_person(part.measured, self._scope, one), name=name)
            for part, one, name in zip(parts, on, names, strict=True)
        ]
        results = [aggregate(part.measured, self._scope, name, EMPTY) for part, name in zip(parts, names, strict=True)]
        return sql(
            PER_PERSON,
            block=place,
            side=side,
            period=self._period(),
            listed=self._commas(),
            dimensions=self._named_dimensions(),
            of_each=join(",\n            ", of_each),
            results=_list(results),
            events=self._scope.events(),
            scope=where,
            wanted=wanted,
            names=self._listed,
        )

    def _people(self, place: Sql, side: Sql, parts: list[Part], on: list[Sql], where: Sql, wanted: Sql) -> Sql:
        # Days are gathered as the two bytes that they are.
        unit = 86_400 if self._plan.by_day else 1
        moment = sql("toUInt16(toDate($day))", day=self._period_start()) if self._plan.by_day else self._period()
        names = [identifier(f"active_{at}") for at in range(len(parts))]
        actives = [
            sql("arraySort(groupUniqArrayIf($moment, $on)) AS $name", moment=moment, on=one, name=name)
            for one, name in zip(on, names, strict=True)
        ]
        changes = [
            sql(ROLLING, place=number(at), active=name, window=number(part.seconds // unit))
            for at, (part, name) in enumerate(zip(parts, names, strict=True))
        ]
        return sql(
            PEOPLE,
            unit=number(unit),
            block=place,
            side=side,
            listed=self._commas(),
            results=_list([sql("sumIf(change.3, change.1 = $place)", place=number(at)) for at in range(len(parts))]),
            dimensions=self._named_dimensions(),
            actives=join(",\n            ", actives),
            events=self._scope.events(),
            scope=where,
            wanted=wanted,
            names=self._listed,
            changes=join(", ", changes),
        )

    def _running(self, place: Sql, side: Sql, where: Sql, wanted: Sql) -> Sql:
        interval = self._plan.question.interval
        # The stored day is that of UTC: the first of two bytes, not of eight.
        by_day = self._scope.zone == "UTC" and interval not in ("minute", "hour")
        return sql(
            RUNNING,
            block=place,
            side=side,
            first=Sql("min(day)" if by_day else "min(time)"),
            start=self._scope.period(interval, Sql("toDateTime(first, 'UTC')" if by_day else "first")),
            listed=self._commas(),
            dimensions=self._named_dimensions(),
            events=self._scope.events(),
            scope=where,
            wanted=wanted,
            names=self._listed,
        )

    def _period(self) -> Sql:
        return Sql("toUInt32(0)") if self._plan.total else sql("toUnixTimestamp($start)", start=self._period_start())

    def _period_start(self) -> Sql:
        return self._scope.period(self._plan.question.interval)

    def _commas(self) -> Sql:
        return join("", [sql("$name,", name=name) for name in self._names])

    def _named_dimensions(self) -> Sql:
        named = [sql("$text AS $name,", text=text, name=name) for text, name in zip(self.dimensions, self._names, strict=True)]
        return join("\n        ", named)

    def _dimension(self, breakdown: Breakdown) -> Sql:
        plan, scope = self._plan, self._scope
        first = plan.first().measured
        condition = scope.matches(first)
        # A mean of each person's values ranks nothing: the values with most people are shown.
        shown = first.model_copy(update={"measure": "unique"}) if first.per == "person" else first
        return sql(
            DIMENSION,
            text=scope.text(breakdown),
            events=scope.events(),
            scope=scope.where(plan.widest()),
            wanted=any_of(self._conditions),
            biggest=_measure(shown, scope, condition if len(plan.parts) > 1 or first != plan.parts[0].measured else _ALL),
            limit=number(breakdown.limit),
            other=scope.bind(OTHER, "String"),
        )

    def of_group(self, values: list[str]) -> Sql:
        """A condition: the event is of this group of the answer."""
        return all_of(
            [
                sql("$text = $value", text=text, value=self._scope.bind(value, "String"))
                for text, value in zip(self.dimensions, values, strict=True)
            ]
        )


def _list(measures: list[Sql]) -> Sql:
    return join(", ", [sql("toFloat64($measure)", measure=measure) for measure in measures])


def _measure(measured: Measured, scope: Scope, on: Sql) -> Sql:
    """Over the events that meet `on`."""
    if measured.measure == "count":
        return sql("countIf($on)", on=on)
    people = sql("uniqExactIf(person, $on AND person != 0)", on=on)
    if measured.measure == "unique":
        return people
    if measured.measure == "count_per_person":
        return sql("countIf($on AND person != 0) / nullIf($people, 0)", on=on, people=people)
    value = scope.number(measured.property or "")
    if measured.measure == "sum":
        return sql("ifNull(sumKahanIf($value, $on), 0)", value=value, on=on)
    return aggregate(measured, scope, value, on)


def _of_person(measured: Measured, scope: Scope, on: Sql) -> Sql:
    """Of one person: the sum of the property, or how many events; NULL without any."""
    if measured.property:
        return sql("sumKahanIf($value, $on)", value=scope.number(measured.property), on=on)
    return Sql("count()") if on == _ALL else sql("nullIf(countIf($on), 0)", on=on)


def aggregate(measured: Measured, scope: Scope, value: Sql, on: Sql) -> Sql:
    """Of values, NULL ignored. `on`: only those that meet it."""
    when, comma = (Sql("If"), sql(", $on", on=on)) if on.text else (EMPTY, EMPTY)
    if measured.measure == "average":
        return sql("avg$when($value$comma)", value=value, when=when, comma=comma)
    if measured.measure == "min":
        return sql("min$when($value$comma)", value=value, when=when, comma=comma)
    if measured.measure == "max":
        return sql("max$when($value$comma)", value=value, when=when, comma=comma)
    level = scope.bind(0.5 if measured.measure == "median" else measured.quantile, "Float64")
    return sql("quantileExactInclusive$when($level)($value$comma)", when=when, level=level, value=value, comma=comma)
