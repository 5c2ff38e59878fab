"""The periods of a range, for questions that count by them: their starts, an event's place among them, the sets that people leave in them.

A place is a number from 0, that of the first start. Sets of places are bits of whole numbers: they take a third of the time of sets of
dates, and 8 bytes a person for 64 periods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Scope
from almanac.core.errors import invalid
from almanac.core.sql import Sql, join, number, sql
from almanac.core.time import TimeRange

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)  # there are no events before

_MOST: Final = 10_000
_BITS: Final = 64
_MOST_WORDS: Final = 8  # each costs an event as much as the first


def starts_of(scope: Scope, interval: str, *, span: TimeRange | None = None, most: int = _MOST, place: str = "interval") -> list[datetime]:
    """The starts of all periods that touch the range (or `span`). Raises `invalid` at `place` where there are more than `most`."""
    span = span or scope.range
    # A month is at least 28 days, so that this never counts too few.
    shortest = times.INTERVAL_SECONDS.get(interval, 28 * 86400)
    if span.length.total_seconds() / shortest > most:
        raise invalid(f"The range has more than {most} periods.", place=place, way_out=f"Choose a longer {place}.")
    return times.periods(span, interval, week_start=scope.week_start)


def over(starts: Sequence[datetime], interval: str, scope: Scope) -> list[bool]:
    """Of each period, whether it is over and whole within the range."""
    return [times.shift(start, interval, 1).astimezone(UTC) <= min(scope.range.end, scope.now) for start in starts]


def place_of(row: Mapping[str, Any], starts: Sequence[datetime], interval: str, scope: Scope) -> int:
    """Which period a row of an answer names. Raises `invalid`."""
    named = row.get("period")
    for place, start in enumerate(starts):
        if period_label(start, interval, scope.zone) == named:
            return place
    raise invalid(f"The answer has no period {named!r}.", place="period", way_out="Take it from a row of the answer.")


def microseconds(moment: datetime) -> int:
    """Since 1970, as the engine counts them."""
    return (moment - BEGINNING) // timedelta(microseconds=1)


def whole_days(span: TimeRange) -> TimeRange:
    """The days of UTC that the span touches: of which events are known without their times."""
    start = datetime.combine(span.start.astimezone(UTC).date(), time(), tzinfo=UTC)
    end = datetime.combine((span.end - timedelta(microseconds=1)).astimezone(UTC).date(), time(), tzinfo=UTC) + timedelta(days=1)
    return TimeRange(start, end, span.zone)


# ------------------------------------------------------------------------- SQL

# What the engine numbers periods by; a place is the difference to the first one's number.
_NUMBERS: Final = {
    "month": Sql("toRelativeMonthNum"),
    "quarter": Sql("toRelativeQuarterNum"),
    "year": Sql("toRelativeYearNum"),
}


def place(scope: Scope, interval: str, starts: Sequence[datetime]) -> Sql:
    """An expression over an event: the place of its period, a signed number. Before the first start it is negative; of hours it is 0."""
    if interval == "hour":  # by the starts themselves: where clocks change by half an hour, hours count from midnight and not from a number
        return sql(
            "toInt32(transform(roundDown(toUnixTimestamp(time), $starts), $starts, arrayEnumerate($starts), 1)) - 1",
            starts=Sql("{place_starts:Array(Int64)}", {"place_starts": [microseconds(start) // 1_000_000 for start in starts]}),
        )
    # The stored day is that of UTC.
    at = Sql("day") if scope.zone == "UTC" else sql("time, $zone", zone=scope.bind(scope.zone, "String"))
    first = starts[0].date()
    if interval in ("day", "week"):
        days = sql("toInt32(toRelativeDayNum($at)) - {place_day:Int32}", {"place_day": (first - BEGINNING.date()).days}, at=at)
        # Whole weeks before the first start as well: division cuts towards 0.
        return sql("intDiv($days + 7000000, 7) - 1000000", days=days) if interval == "week" else days
    return sql(
        "toInt32($number($at)) - toInt32($number({place_first:Date32}))",
        {"place_first": first.isoformat()},
        number=_NUMBERS[interval],
        at=at,
    )


def set_of(place: Sql, condition: Sql, count: int) -> Sql:
    """An aggregate: the places, less than `count`, of the events that meet the condition, in order."""
    if count > _BITS * _MOST_WORDS:
        return sql("arraySort(groupUniqArrayIf(toUInt64($place), $condition))", place=place, condition=condition)
    words = _words(place, condition, count)
    if len(words) == 1:
        return sql("bitPositionsToArray($word)", word=words[0])
    parts = [
        sql("arrayMap(bit -> bit + $first, bitPositionsToArray($word))", first=number(nth * _BITS), word=word)
        for nth, word in enumerate(words)
    ]
    return sql("arrayConcat($parts)", parts=join(", ", parts))


def size_of(place: Sql, condition: Sql, count: int) -> Sql:
    """An aggregate: how many places, less than `count`, the events have that meet the condition."""
    if count > _BITS * _MOST_WORDS:
        return sql("uniqExactIf($place, $condition)", place=place, condition=condition)
    return join(" + ", [sql("bitCount($word)", word=word) for word in _words(place, condition, count)])


def _words(place: Sql, condition: Sql, count: int) -> list[Sql]:
    bit = sql("bitShiftLeft(toUInt64(1), bitAnd(toUInt8(bitAnd($place, 63)), 63))", place=place)
    if count <= _BITS:
        return [sql("groupBitOrIf($bit, $condition)", bit=bit, condition=condition)]
    return [
        sql(
            "groupBitOrIf($bit, ($condition) AND bitShiftRight($place, 6) = $nth)",
            bit=bit,
            condition=condition,
            place=place,
            nth=number(nth),
        )
        for nth in range(-(-count // _BITS))
    ]
