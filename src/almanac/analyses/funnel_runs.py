"""The runs of each stream through a funnel, as SQL: for each order one linear pass over a stream's sorted marks.

A mark is an event as one integer (see `funnel`); its low bits say which steps and exclusions it matches. Each of the orders reads `streams`
(person, unit, value, period, marks; also entry_end where only earlier starts count) and gives person, unit, value, period and `instants`:
when the steps of the best run were, in microseconds; or a row for each run. `windowFunnel` is no base for this: it gives no times and
knows no exclusions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from almanac.analyses.funnel_streams import Marks
from almanac.core.sql import EMPTY, Sql, any_of, identifier, join, number, sql

_FEW_STEPS: Final = 4

# Step by step, over all events of a person at once. `reached_k`: at each event by which the latest run gets to step k, by when that run has
# to be through, else 0. A later start leaves more time and is never further, so the latest run will do. The run that counts is the first
# one at the last level (`deadline`), and its step k is where the first run gets there that is not an earlier one.
# Event by event, with one `arrayFold`, a funnel took 1.2 s in all where it takes 0.65 s now (4 M events of 0.5 M people, one core).
# TRICKY: a condition on `level` itself is moved below all steps, with a copy of them: 2.3 s instead of 0.5 s for twenty steps in periods.
ORDERED: Final = """
    SELECT
        person,
        unit,
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
        WHERE $started AND NOT ($spoilt)
    )
"""

FIRST_REACHED: Final = """
        (SELECT *, arrayMap(mark -> if(bitTest(toUInt64(mark), 0), $deadline, $wide(0)), marks) AS $name$cut FROM streams)"""

# A subquery for each step: as aliases within one, twenty steps took 0.8 s to analyse.
NEXT_REACHED: Final = """
        (
        SELECT
            *,
            arrayMap(
                (mark, latest$in_time) -> if(bitTest(toUInt64(mark), $bit) AND mark <= latest$limit, latest, $wide(0)),
                $marks,
                $latest_before$in_time_marks
            ) AS $name$cut
        FROM $reached
        )"""

# What lies before the first event by which a step is reached is of no use to the next ones: so do the arrays shrink from step to step, and
# those of whoever stopped are empty.
FROM_THERE: Final = """,
            arrayFirstIndex(latest -> latest > 0, $found) AS $place,
            arraySlice($found, $place) AS $reached,
            arraySlice($marks, $place) AS $left"""

# At each event the latest run that got to the step before that event; 0 when none has.
LATEST_BEFORE: Final = "arrayShiftRight(arrayFill(latest -> latest > 0, $reached), 1)"

# With a limit of its own, a step also looks at the latest event of the step before. A later event of that step has a later run or the same
# one, so that the latest will do here too.
IN_TIME_MARKS: Final = """,
                arrayShiftRight(
                    arrayFill(last -> last > 0, arrayMap((mark, latest) -> if(latest > 0, $deadline, $wide(0)), $marks, $reached)), 1
                )"""

# The latest run past the first of the two steps has not reached the second: if it has, so have all earlier ones.
ORDERED_SPOILT: Final = """arrayExists(
            (mark, after, before) -> bitTest(toUInt64(mark), $bit) AND mark <= after AND after != before, marks, $after, $before
        )"""

# All runs, not the best one. In order, a run is known by its deadline; its step k is the first event by which it, as the latest one, gets
# there: to one step, an event leads one run only. Sorted, the places (run, step, mark) lie run by run.
EACH: Final = """
    SELECT
        person,
        unit,
        value,
        $period AS period,
        arrayMap(place -> toInt64(bitShiftRight(place.3, {instant_at:UInt8})), run) AS instants
    FROM
    (
        SELECT
            person,
            unit,
            value,
            period,
            arraySort(arrayConcat($places)) AS places,
            arrayJoin(arraySplit(
                (place, before) -> place.1 != before.1, places, arrayShiftRight(places, 1)
            )) AS run
        FROM $found
    )
    WHERE notEmpty(run) AND NOT ($spoilt)
"""

FIRST_PLACES: Final = """
                arrayFilter(
                    (place, before) -> place.1 > 0 AND place.1 != before,
                    arrayMap((latest, mark$next) -> (latest, toUInt8($step), mark$next_marks), $reached, marks$following),
                    $latest_before
                )"""

# At each event, the next one that is excluded; 0 when none is.
NEXT_EXCLUDED: Final = """arrayShiftLeft(
                        arrayReverseFill(mark -> mark > 0, arrayMap(mark -> if(bitTest(toUInt64(mark), $bit), mark, $wide(0)), marks)), 1
                    )"""

RUN_SPOILT: Final = """
        length(run) >= $from_step
            AND run[$from_step].4[$place] > 0
            AND run[$from_step].4[$place] <= run[1].1
            AND (length(run) < $to_step OR run[$from_step].4[$place] <= run[$to_step].3)"""

STRICT_PLACES: Final = """
                arrayFilter(
                    (place, level, spoilt) -> level >= $step AND NOT spoilt,
                    arrayMap((start, mark) -> (start, toUInt8($step), mark), arrayEnumerate(marks), arrayShiftLeft(marks, $step - 1)),
                    state.1,
                    state.2
                )"""

# Step by step over the whole stream: which of the runs that begin at each event go on with the event after their last. state.2: which of
# them were spoilt.
STRICT_FOUND: Final = """
    (
        SELECT
            *,
            arrayFold(
                (state, step) -> (
                    arrayMap(
                        (level, first, following$last) -> if(
                            level = step AND bitTest(toUInt64(following), step) AND following <= bitOr(first, {low:UInt64}) + $window$limit,
                            toUInt8(step + 1),
                            level
                        ),
                        state.1, marks, arrayShiftLeft(marks, step)$last_marks
                    ),
                    $spoilt
                ),
                range(1, {steps:UInt8}),
                (arrayMap(mark -> toUInt8(bitTest(toUInt64(mark), 0) AND $open), marks), arrayMap(mark -> toUInt8(0), marks))
            ) AS state
        FROM streams
    )"""

STRICT_SPOILT: Final = """arrayMap(
                        (spoilt, level, first, following) -> toUInt8(
                            spoilt OR (level = step
                            AND following <= bitOr(first, {low:UInt64}) + $window
                            AND arrayExists(
                                (bit, after, before) -> bitTest(toUInt64(following), bit) AND after <= step AND step < before,
                                {excluded_bits:Array(UInt8)}, {excluded_after:Array(UInt8)}, {excluded_before:Array(UInt8)}
                            ))
                        ),
                        state.2, state.1, marks, arrayShiftLeft(marks, step)
                    )"""

STRICT: Final = """
    SELECT
        person,
        unit,
        value,
        period,
        arrayMap(
            mark -> toInt64(bitShiftRight(mark, {instant_at:UInt8})),
            arraySlice(marks, indexOf(state.1, arrayMax(state.1)), arrayMax(state.1))
        ) AS instants
    FROM $found
    WHERE arrayMax(state.1) > 0 AND NOT arrayExists(spoilt -> spoilt, state.2)
"""

# Backwards, so that each event sees what follows it. state.1: when each step comes next, emptied at an excluded event, for whose instant
# state.2 stands. Each event starts a run, found in the slots within its window. state.3: the best run.
ANY: Final = """
    SELECT
        person,
        unit,
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


def runs_of(order: str, marks: Marks, exclusions: Sequence[tuple[int, int, int]], *, limited: bool, each: Sql | None) -> Sql:
    """The runs in that order. `exclusions`: for each its bit, and the numbers of the steps after and before which it spoils a run.

    `limited`: only starts before `entry_end` count. `each`: not the best run but all, under the period that this expression gives.
    """
    opened = Sql("mark < entry_end") if limited else Sql("1")
    if order == "any":
        return sql(ANY, open=opened)
    if order == "strict":
        return _strict(marks, exclusions, opened, each)
    return _ordered(marks, exclusions, opened, each)


def _strict(marks: Marks, exclusions: Sequence[tuple[int, int, int]], opened: Sql, each: Sql | None) -> Sql:
    limited = any(marks.limits)
    limits = sql("[$limits][step]", limits=join(", ", [limit or marks.window for limit in marks.limits[1:]])) if limited else EMPTY
    found = sql(
        STRICT_FOUND,
        window=marks.window,
        open=opened,
        spoilt=sql(STRICT_SPOILT, window=marks.window) if exclusions else Sql("state.2"),
        last=Sql(", last" if limited else ""),
        limit=sql(" AND following <= $deadline", deadline=marks.deadline(Sql("last"), limits)) if limited else EMPTY,
        last_marks=Sql(", arrayShiftLeft(marks, step - 1)" if limited else ""),
    )
    if each is None:
        return sql(STRICT, found=found)
    places = [sql(STRICT_PLACES, step=number(step)) for step in range(1, marks.steps + 1)]
    return sql(EACH, period=each, places=join(",", places), found=found, spoilt=Sql("0"))


def _ordered(marks: Marks, exclusions: Sequence[tuple[int, int, int]], opened: Sql, each: Sql | None) -> Sql:
    deadline = marks.deadline(Sql("mark"), marks.window)
    if opened.text != "1":
        deadline = sql("if($open, $deadline, $wide(0))", open=opened, deadline=deadline, wide=marks.wide)
    names = [identifier(f"reached_{step}") for step in range(1, marks.steps + 1)]
    # Exclusions, and the ways of all runs, look at the whole stream at each step; and few steps save less than the cutting takes.
    whole = bool(exclusions) or each is not None or marks.steps <= _FEW_STEPS
    found = names if whole else [identifier(f"found_{step}") for step in range(1, marks.steps + 1)]
    lefts = [Sql("marks") if whole else identifier(f"marks_{step}") for step in range(1, marks.steps + 1)]
    cuts = [
        EMPTY
        if whole
        else sql(
            FROM_THERE,
            found=found[place],
            place=identifier(f"first_{place + 1}"),
            reached=names[place],
            marks=lefts[place - 1] if place else Sql("marks"),
            left=lefts[place],
        )
        for place in range(marks.steps)
    ]
    latest_before = [sql(LATEST_BEFORE, reached=name) for name in names]
    reached = sql(FIRST_REACHED, deadline=deadline, wide=marks.wide, name=found[0], cut=cuts[0])
    for bit in range(1, marks.steps):
        limit = marks.limits[bit]
        in_time = EMPTY
        if limit:
            in_time = sql(
                IN_TIME_MARKS, deadline=marks.deadline(Sql("mark"), limit), wide=marks.wide, marks=lefts[bit - 1], reached=names[bit - 1]
            )
        reached = sql(
            NEXT_REACHED,
            bit=number(bit),
            wide=marks.wide,
            marks=lefts[bit - 1],
            latest_before=latest_before[bit - 1],
            name=found[bit],
            cut=cuts[bit],
            reached=reached,
            in_time=Sql(", in_time" if limit else ""),
            limit=Sql(" AND mark <= in_time" if limit else ""),
            in_time_marks=in_time,
        )
    if each is not None:
        return _each_ordered(marks, exclusions, names, latest_before, reached, each)
    spoilt = [
        sql(ORDERED_SPOILT, bit=number(bit), after=latest_before[after - 1], before=latest_before[before - 1])
        for bit, after, before in exclusions
    ]
    return sql(
        ORDERED,
        firsts=join(
            ", ", [sql("arrayFirst(latest -> latest > 0, $name)", name=name) if whole else sql("$name[1]", name=name) for name in names]
        ),
        marks_of_steps=join(
            ", ",
            [
                sql("arrayFirst((mark, latest) -> latest >= deadline, $marks, $name)", marks=left, name=name)
                for left, name in zip(lefts, names, strict=True)
            ],
        ),
        reached=reached,
        started=Sql("arrayExists(latest -> latest > 0, reached_1)" if whole else "notEmpty(reached_1)"),
        spoilt=any_of(spoilt),
    )


def _each_ordered(
    marks: Marks, exclusions: Sequence[tuple[int, int, int]], names: list[Sql], latest_before: list[Sql], reached: Sql, each: Sql
) -> Sql:
    places, spoilt = [], []
    excluded = [sql(NEXT_EXCLUDED, bit=number(bit), wide=marks.wide) for bit, _, _ in exclusions]
    nexts = [identifier(f"next_{place}") for place in range(1, len(exclusions) + 1)]
    for step, (name, before) in enumerate(zip(names, latest_before, strict=True), 1):
        places.append(
            sql(
                FIRST_PLACES,
                step=number(step),
                reached=name,
                latest_before=before,
                next=join("", [sql(", $next", next=one) for one in nexts]),
                next_marks=sql(", [$nexts]", nexts=join(", ", nexts)) if nexts else EMPTY,
                following=join("", [sql(", $marks", marks=one) for one in excluded]),
            )
        )
    for place, (_, after, before_step) in enumerate(exclusions, 1):
        spoilt.append(sql(RUN_SPOILT, from_step=number(after), to_step=number(before_step), place=number(place)))
    return sql(EACH, period=each, places=join(",", places), found=reached, spoilt=any_of(spoilt))
