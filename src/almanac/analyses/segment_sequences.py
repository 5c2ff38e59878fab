"""When people are in a sequence (`in_order`), over many moments, in one reading of its events.

A statement for each moment would look for the sequence in the same events again and again: at the end of 30 days 5.9 s for 2 M events,
where 60 days take 0.4 s of CPU now. Each person's events are gone through once, as those of a funnel are: at each event by which the
sequence is complete, the latest start that led there is known. The person is in from the first moment after that event on, until the start
falls out of the span asked about. More such spells may overlap; who is in one of them is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Final

from almanac.analyses.segments import CENTURIES, Reading, microseconds
from almanac.core.sql import Sql, any_of, identifier, number, sql

# A mark is an event as one integer, as in a funnel: the instant, its rank among simultaneous events, and a bit for each step.
MARKS: Final = """
    (
        SELECT person, arraySort(groupArray(mark)) AS marks
        FROM
        (
            SELECT
                person,
                $mask AS mask,
                least(bitCount(bitXor(mask, mask - 1)), $last_rank) AS rank,
                bitShiftLeft($wide(toUnixTimestamp64Micro(time)), $instant_at)
                    + $wide(bitShiftLeft(toUInt64(rank), $rank_at) + mask) AS mark
            FROM $events
            WHERE $scope AND person != 0 AND ($wanted)
        )
        GROUP BY person
    )"""

# `reached_k`: at each event of step k, how late the latest run that gets there may still go on, as a mark; 0 when none gets there.
FIRST_REACHED: Final = """
    (SELECT *, arrayMap(mark -> if(bitTest(toUInt64(mark), 0), bitOr(mark, $low) + $window, $wide(0)), marks) AS reached_1 FROM $marks)"""

# The latest run will do: it leaves most time, and an earlier one is never further.
NEXT_REACHED: Final = """
    (
        SELECT
            *,
            arrayMap(
                (mark, latest) -> if(bitTest(toUInt64(mark), $bit) AND mark <= latest, latest, $wide(0)),
                marks,
                arrayShiftRight(arrayFill(latest -> latest > 0, $before), 1)
            ) AS $name
        FROM $reached
    )"""

# One change where the sequence counts for ever, else two a spell: in at one place, out at the next.
FOR_EVER: Final = """
    SELECT person, ($first_place, $entered) AS raised
    FROM
    (
        SELECT person, toInt64(bitShiftRight(arrayFirst((mark, latest) -> latest > 0, marks, $last), $instant_at)) AS at
        FROM $reached
    )
    WHERE at > 0
"""
SPELLS: Final = """
    SELECT person, arrayJoin([(spell.1, $entered), (spell.2, $left)]) AS raised
    FROM
    (
        SELECT
            person,
            arrayJoin(arrayDistinct(arrayMap(
                (mark, latest) -> ($begin, $end),
                arrayFilter((mark, latest) -> latest > 0, marks, $last),
                arrayFilter(latest -> latest > 0, $last)
            ))) AS spell
        FROM $reached
    )
    WHERE spell.1 < spell.2
"""


def spells(
    steps: Sequence[Sql],
    window: int,
    reading: Reading,
    *,
    begin: Callable[[Sql], Sql],
    end: Callable[[Sql], Sql] | None,
    entered: Sql,
    left: Sql,
) -> Sql:
    """A statement with the columns `person` and `raised`: (place, changes…), where somebody comes into a spell or leaves it.

    `steps`: a condition for each; `window`: in microseconds, from the first to the last at most so long. `begin`: from an instant in
    microseconds, the place of the first moment after it. `end`: the place of the first moment whose span begins after it; None: there is no
    such span. `entered` and `left`: the changes.
    """
    window = min(window, CENTURIES)
    last_rank = len(steps) + 1
    instant_at = len(steps) + last_rank.bit_length()
    wide = Sql("toUInt64" if instant_at + (microseconds(reading.range.end) + window).bit_length() <= 63 else "toUInt128")
    marks = sql(
        MARKS,
        mask=_mask(steps),
        last_rank=number(last_rank),
        wide=wide,
        instant_at=number(instant_at),
        rank_at=number(len(steps)),
        events=reading.events(),
        scope=reading.where(),
        wanted=any_of(steps),
    )
    reached = sql(
        FIRST_REACHED,
        low=number((1 << instant_at) - 1),
        window=sql("bitShiftLeft($wide($window), $instant_at)", wide=wide, window=number(window), instant_at=number(instant_at)),
        wide=wide,
        marks=marks,
    )
    for bit in range(1, len(steps)):
        before, name = identifier(f"reached_{bit}"), identifier(f"reached_{bit + 1}")
        reached = sql(NEXT_REACHED, bit=number(bit), wide=wide, before=before, name=name, reached=reached)
    last = identifier(f"reached_{len(steps)}")
    if end is None:
        first_place = begin(Sql("at"))
        return sql(FOR_EVER, first_place=first_place, entered=entered, last=last, instant_at=number(instant_at), reached=reached)
    instant = sql("toInt64(bitShiftRight(mark, $instant_at))", instant_at=number(instant_at))
    start = sql("toInt64(bitShiftRight(latest, $instant_at)) - $window", instant_at=number(instant_at), window=number(window))
    return sql(SPELLS, begin=begin(instant), end=end(start), entered=entered, left=left, last=last, reached=reached)


def _mask(steps: Sequence[Sql]) -> Sql:
    bits = [sql("if($step, $bit, 0)", step=step, bit=number(1 << place)) for place, step in enumerate(steps)]
    return reduce(lambda mask, bit: sql("bitOr($mask, $bit)", mask=mask, bit=bit), bits)
