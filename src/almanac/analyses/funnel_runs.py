"""The best run of each person through a funnel, as SQL: for each order one linear pass over a person's sorted marks.

A mark is an event as one integer (see `funnel`); its low bits say which steps and exclusions it matches. Each of the orders reads `streams`
(person, value, period, marks; also entry_end where only earlier starts count) and gives person, value, period and `instants`: when the
steps of the best run were, in microseconds. `windowFunnel` is no base for this: it gives no times and knows no exclusions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from almanac.core.sql import EMPTY, Sql, any_of, identifier, join, number, sql

# Only the starts of one period count, and what can belong to them.
IN_PERIODS: Final = """
    SELECT
        person,
        value,
        period,
        bitShiftLeft($wide(toInt64(period) * 1000000 - {origin:Int64}), {instant_at:UInt8}) AS entry_start,
        bitShiftLeft($wide(transform(period, {period_starts:Array(UInt32)}, {period_ends:Array(Int64)}, toInt64(0))), {instant_at:UInt8})
            AS entry_end,
        arrayFilter(mark -> mark >= entry_start AND mark <= entry_end + $window, all_marks) AS marks
    FROM
    (
        SELECT person, $value, $marks AS all_marks, periods
        FROM per_person
        $joined
    )
    ARRAY JOIN periods AS period
"""

WHOLE: Final = """
    SELECT person, $value, toUInt32(0) AS period, $marks AS marks
    FROM per_person
    $joined
"""

UNDER_VALUE: Final = """arraySort(arrayMap(
        (mark, own) -> if(own = value, mark, bitXor(mark, bitAnd(mark, $wide({attributed:UInt64})))), own_marks, own_values
    ))"""

VALUES_JOINED: Final = """ARRAY JOIN if(
        arrayExists(mark -> bitAnd(toUInt64(mark), {attributed:UInt64}) != 0, own_marks),
        arrayDistinct(arrayFilter((own, mark) -> bitAnd(toUInt64(mark), {attributed:UInt64}) != 0, own_values, own_marks)),
        ['']
    ) AS value"""

# Step by step, over all events of a person at once. `reached_k`: at each event by which the latest run gets to step k, by when that run has
# to be through, else 0. A later start leaves more time and is never further, so the latest run will do. The run that counts is the first
# one at the last level (`deadline`), and its step k is where the first run gets there that is not an earlier one.
# Event by event, with one `arrayFold`, a funnel took 1.2 s in all where it takes 0.65 s now (4 M events of 0.5 M people, one core).
# TRICKY: a condition on `level` itself is moved below all steps, with a copy of them: 2.3 s instead of 0.5 s for twenty steps in periods.
ORDERED: Final = """
    SELECT
        person,
        value,
        period,
        arrayMap(mark -> toInt64(bitShiftRight(mark, {instant_at:UInt8})), arrayResize([$marks_of_steps], level)) AS instants
    FROM
    (
        SELECT
            *,
            [$firsts] AS firsts,
            arrayCount(first -> first > 0, firsts) AS level,
            firsts[level] AS deadline
        FROM $reached
        WHERE arrayExists(latest -> latest > 0, reached_1) AND NOT ($spoilt)
    )
"""

FIRST_REACHED: Final = """
        (SELECT *, arrayMap(mark -> if(bitTest(toUInt64(mark), 0), $deadline, $wide(0)), marks) AS reached_1 FROM streams)"""

# A subquery for each step: as aliases within one, twenty steps took 0.8 s to analyse.
NEXT_REACHED: Final = """
        (
        SELECT
            *,
            arrayMap(
                (mark, latest) -> if(bitTest(toUInt64(mark), $bit) AND mark <= latest, latest, $wide(0)), marks, $latest_before
            ) AS $name
        FROM $reached
        )"""

# At each event the latest run that got to the step before that event; 0 when none has.
LATEST_BEFORE: Final = "arrayShiftRight(arrayFill(latest -> latest > 0, $reached), 1)"

# The latest run past the first of the two steps has not reached the second: if it has, so have all earlier ones.
ORDERED_SPOILT: Final = """arrayExists(
            (mark, after, before) -> bitTest(toUInt64(mark), $bit) AND mark <= after AND after != before, marks, $after, $before
        )"""

# Step by step over the whole stream: which of the runs that begin at each event go on with the event after their last.
STRICT: Final = """
    SELECT
        person,
        value,
        period,
        arrayMap(
            mark -> toInt64(bitShiftRight(mark, {instant_at:UInt8})),
            arraySlice(marks, indexOf(state.1, arrayMax(state.1)), arrayMax(state.1))
        ) AS instants
    FROM
    (
        SELECT
            *,
            arrayFold(
                (state, step) -> (
                    arrayMap(
                        (level, first, following) -> if(
                            level = step AND bitTest(toUInt64(following), step) AND following <= bitOr(first, {low:UInt64}) + $window,
                            toUInt8(step + 1),
                            level
                        ),
                        state.1, marks, arrayShiftLeft(marks, step)
                    ),
                    $spoilt
                ),
                range(1, {steps:UInt8}),
                (arrayMap(mark -> toUInt8(bitTest(toUInt64(mark), 0) AND $open), marks), toUInt8(0))
            ) AS state
        FROM streams
    )
    WHERE arrayMax(state.1) > 0 AND NOT state.2
"""

STRICT_SPOILT: Final = """greatest(state.2, arrayExists(
                        (level, first, following) -> level = step
                            AND following <= bitOr(first, {low:UInt64}) + $window
                            AND arrayExists(
                                (bit, after, before) -> bitTest(toUInt64(following), bit) AND after <= step AND step < before,
                                {excluded_bits:Array(UInt8)}, {excluded_after:Array(UInt8)}, {excluded_before:Array(UInt8)}
                            ),
                        state.1, marks, arrayShiftLeft(marks, step)
                    ))"""

# Backwards, so that each event sees what follows it. state.1: when each step comes next, emptied at an excluded event, for whose instant
# state.2 stands. Each event starts a run, found in the slots within its window. state.3: the best run.
ANY: Final = """
    SELECT
        person,
        value,
        period,
        arrayFold(
            (state, mark) -> (
                if(
                    bitAnd(toUInt64(mark), {excluded:UInt64}) != 0 AS spoils,
                    arrayWithConstant({steps:UInt8}, {never:Int64}),
                    arrayMap(
                        (slot, place) -> if(furthest >= 0 AND place = indexOf(fits, furthest), instant, slot),
                        state.1,
                        arrayEnumerate(state.1)
                    ) AS slots
                ),
                if(spoils, toInt64(bitShiftRight(mark, {instant_at:UInt8})) AS instant, state.2),
                if(
                    (arrayMax(
                        arrayMap(
                            (slot, step) -> multiIf(
                                NOT bitTest(toUInt64(mark), step), toInt64(-1),
                                slot > instant + {window:Int64}, {never:Int64},
                                slot
                            ),
                            state.1,
                            range({steps:UInt8})
                        ) AS fits
                    ) AS furthest) >= 0
                        AND $open
                        AND (length(run) > length(state.3) OR (length(run) = length(state.3) AND run[-1] < state.3[-1])),
                    if(
                        length(arraySort(arrayFilter(slot -> slot <= instant + {window:Int64}, slots)) AS near) < {steps:UInt8}
                            AND state.2 <= instant + {window:Int64},
                        [instant],
                        near
                    ) AS run,
                    state.3
                )
            ),
            arrayReverse(marks),
            (arrayWithConstant({steps:UInt8}, {never:Int64}), {never:Int64}, CAST([], 'Array(Int64)'))
        ).3 AS instants
    FROM streams
    WHERE notEmpty(instants)
"""


def runs_of(order: str, *, steps: int, exclusions: Sequence[tuple[int, int, int]], wide: Sql, window: Sql, limited: bool) -> Sql:
    """The runs in that order. `exclusions`: for each its bit, and the numbers of the steps after and before which it spoils a run.

    `limited`: only starts before `entry_end` count. `wide` converts to the marks' type; `window` is the window in the marks' scale.
    """
    opened = Sql("mark < entry_end") if limited else Sql("1")
    if order == "any":
        return sql(ANY, open=opened)
    if order == "strict":
        spoilt = sql(STRICT_SPOILT, window=window) if exclusions else Sql("state.2")
        return sql(STRICT, window=window, open=opened, spoilt=spoilt)
    return _ordered(steps, exclusions, wide, window, limited=limited)


def _ordered(steps: int, exclusions: Sequence[tuple[int, int, int]], wide: Sql, window: Sql, *, limited: bool) -> Sql:
    deadline = sql("bitOr(mark, {low:UInt64}) + $window", window=window)
    if limited:
        deadline = sql("if(mark < entry_end, $deadline, $wide(0))", deadline=deadline, wide=wide)
    names = [identifier(f"reached_{step}") for step in range(1, steps + 1)]
    latest_before = [sql(LATEST_BEFORE, reached=name) for name in names]
    reached = sql(FIRST_REACHED, deadline=deadline, wide=wide)
    for bit in range(1, steps):
        reached = sql(NEXT_REACHED, bit=number(bit), wide=wide, latest_before=latest_before[bit - 1], name=names[bit], reached=reached)
    spoilt = [
        sql(ORDERED_SPOILT, bit=number(bit), after=latest_before[after - 1], before=latest_before[before - 1])
        for bit, after, before in exclusions
    ]
    return sql(
        ORDERED,
        firsts=join(", ", [sql("arrayFirst(latest -> latest > 0, $name)", name=name) for name in names]),
        marks_of_steps=join(", ", [sql("arrayFirst((mark, latest) -> latest >= deadline, marks, $name)", name=name) for name in names]),
        reached=reached,
        spoilt=any_of(spoilt),
    )


def streams_of(*, several_values: bool, in_periods: bool, wide: Sql, window: Sql) -> Sql:
    """What the runs are looked for in: each person's marks; with `several_values`, under each value; with `in_periods`, for each period."""
    value, marks, joined = Sql("touch AS value"), Sql("marks"), EMPTY
    if several_values:
        # Under each value, events with another one are no longer the attributed steps.
        value, joined = Sql("value"), Sql(VALUES_JOINED)
        marks = sql(UNDER_VALUE, wide=wide)
    if in_periods:
        return sql(IN_PERIODS, value=value, marks=marks, joined=joined, wide=wide, window=window)
    return sql(WHOLE, value=value, marks=marks, joined=joined)
