"""Segments as statements: who has something in common at a moment. Shared by filters, breakdowns and questions about segments.

Membership is worked out from the events themselves, up to the moment and no further, so a past moment gives who was in then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from almanac.core import time as times
from almanac.core.errors import not_found
from almanac.core.filters import Condition, Did, DidInOrder, Having, Listed, Segment, SegmentFilter, SegmentPart, Selector, Window
from almanac.core.sql import EMPTY, Sql, all_of, any_of, identifier, join, number, sql
from almanac.core.time import TimeRange, zone_of


class Reading(Protocol):
    """What a segment is read through: a scope of its own, whose range ends at the moment."""

    @property
    def range(self) -> TimeRange:
        """From the beginning to the moment."""
        ...

    def events(self) -> Sql:
        """The table expression to read from."""
        ...

    def where(self) -> Sql:
        """The condition that keeps to project, range and consent."""
        ...

    def matches(self, selector: Selector) -> Sql:
        """A condition: this event is one of the selector's."""
        ...

    def condition(self, item: Condition) -> Sql:
        """A condition on one event."""
        ...

    def bind(self, value: object, type_: str) -> Sql:
        """A bound value under a fresh name."""
        ...

    def people(self, segment: Segment, moment: datetime) -> Sql:
        """The people of another segment."""
        ...

    def listed(self, ids: Sequence[str]) -> Sql:
        """Whose these ids are."""
        ...


CENTURIES: Final = 6_311_520_000_000_000  # 200 years in microseconds: longer than all events are apart

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS: Final = {"day": 1, "week": 7, "month": 30}

# One row a person with what each condition needs to know of him.
STATEMENT: Final = """
SELECT person
FROM
(
    SELECT person$facts
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
    GROUP BY person
)
WHERE $condition
"""


def people(segment: Segment, reading: Reading) -> Sql:
    """A statement with one column, `person`: who is in the segment when the reading's range ends, each once."""
    facts = Facts(reading)
    condition, of_nobody = facts.of(segment)
    return sql(
        STATEMENT,
        facts=join("", [sql(", $fact AS $name", fact=fact, name=name) for name, fact in facts.found]) if facts.found else EMPTY,
        events=reading.events(),
        scope=reading.where(),
        # Whoever did none of the things may still be in it ("never bought"): then everybody with any event is looked at.
        wanted=Sql("1") if of_nobody else any_of(facts.wanted),
        condition=condition,
    )


def moment_of(item: SegmentFilter, span: TimeRange) -> datetime:
    """When one has to have been in it, for a question of that range."""
    return span.end if item.at is None else times.moment(item.at, span.zone)


def label_of(item: SegmentFilter, place: int) -> str:
    """What answers call it: its name, and when it is that of another moment."""
    name = item.segment if isinstance(item.segment, str) else item.segment.name or f"segment {place}"
    return name if item.at is None else f"{name} at {item.at}"


class Facts:
    """Gathers the aggregates that the conditions of a segment compare. Each condition comes with whether it could hold for somebody who
    did none of what is counted."""

    def __init__(self, reading: Reading) -> None:
        self.found: list[tuple[Sql, Sql]] = []
        self.wanted: list[Sql] = []
        self._reading = reading

    def of(self, part: SegmentPart) -> tuple[Sql, bool]:
        """The condition that a part of a segment means, over the facts."""
        match part:
            case Segment():
                return self._several(part)
            case SegmentFilter():
                return self._nested(part)
            case Did():
                return self._did(part)
            case DidInOrder():
                return self._in_order(part)
            case Listed():
                return sql("person IN ($listed)", listed=self._reading.listed(part.ids)), True
            case Having():
                return self._named(sql("max($holds)", holds=self._reading.condition(part))), True

    def _several(self, segment: Segment) -> tuple[Sql, bool]:
        every = [self.of(part) for part in segment.all]
        some = [self.of(part) for part in segment.any]
        none = [self.of(part) for part in segment.not_]
        parts = [condition for condition, _ in every]
        parts += [any_of([condition for condition, _ in some])] if some else []
        parts += [sql("NOT ($part)", part=condition) for condition, _ in none]
        # `not` of something may hold for somebody who did nothing, whatever the something is.
        of_nobody = all(possible for _, possible in every) and (not some or any(possible for _, possible in some))
        return all_of(parts), of_nobody

    def _nested(self, part: SegmentFilter) -> tuple[Sql, bool]:
        if not isinstance(part.segment, Segment):
            raise not_found(f"There is no segment {part.segment!r}.", place="segment", way_out="Save it first, or write it out.")
        return sql("person IN ($people)", people=self._reading.people(part.segment, moment_of(part, self._reading.range))), True

    def _did(self, part: Did) -> tuple[Sql, bool]:
        return self._bounded(part, self._named(sql("countIf($done)", done=self._done([part.did], part.within)[0])))

    def _bounded(self, part: Did, count: Sql) -> tuple[Sql, bool]:
        bounds = [sql("$count >= $least", count=count, least=self._reading.bind(part.at_least, "UInt64"))]
        if part.at_most is not None:
            bounds.append(sql("$count <= $most", count=count, most=self._reading.bind(part.at_most, "UInt64")))
        return all_of(bounds), part.at_least == 0

    def _in_order(self, part: DidInOrder) -> tuple[Sql, bool]:
        steps = self._done(part.in_order, part.within)
        # Microseconds as whole numbers: the function refuses times with fractions, and cutting them would change the order.
        reached = sql(
            "windowFunnel($window)(toUInt64(toUnixTimestamp64Micro(time)), $steps)",
            window=number(min(part.window.microseconds, CENTURIES)),
            steps=join(", ", steps),
        )
        return sql("$reached = $steps", reached=self._named(reached), steps=self._reading.bind(len(steps), "UInt8")), False

    def _done(self, selectors: Sequence[Selector], within: Window | None) -> list[Sql]:
        conditions = [self._reading.matches(selector) for selector in selectors]
        if within is not None:
            earlier = before(self._reading.range, within)
            # The day too, as events are kept by day: 7 days of 2 years are found without reading the rest.
            recent = sql(
                "day >= $day AND time >= $since",
                day=self._reading.bind(earlier.date().isoformat(), "Date"),
                since=self._reading.bind(earlier.strftime("%Y-%m-%d %H:%M:%S.%f"), "DateTime64(6, 'UTC')"),
            )
            conditions = [sql("($condition) AND $recent", condition=condition, recent=recent) for condition in conditions]
        self.wanted += conditions
        return conditions

    def _named(self, fact: Sql) -> Sql:
        name = identifier(f"fact_{len(self.found) + 1}")
        self.found.append((name, fact))
        return name


def microseconds(moment: datetime) -> int:
    """Since 1970, as the engine counts them."""
    return (moment - _BEGINNING) // timedelta(microseconds=1)


def before(span: TimeRange, within: Window) -> datetime:
    """So long before the moment: whole days, weeks and months (of 30 days) by the calendar of the zone, everything else as elapsed time."""
    days = _DAYS.get(within.unit, 0) * within.value
    try:
        if days and days.is_integer():
            earlier = times.shift(span.end.astimezone(zone_of(span.zone)), "day", -int(days)).astimezone(UTC)
        else:
            earlier = span.end.astimezone(UTC) - timedelta(microseconds=within.microseconds)
    except (OverflowError, ValueError):
        return span.start
    return max(earlier, span.start)
