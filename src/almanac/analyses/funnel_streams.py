"""The streams in which runs of a funnel are looked for, as SQL: what a person did, or did in one session, or with the same values.

From `per_person` to `streams` (person, unit, value, period, marks; with periods also entry_end) in steps that a plain funnel skips: cut
into sessions and equal values, take under each value, drop starts that re-entry does not allow, take in each period. `unit` tells the
sessions of a person apart where these are counted. A mark is an event as one integer (see `funnel`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from almanac.core.sql import EMPTY, Sql, identifier, number, sql

# What an entry of `per_person` holds where streams are cut: the session (0: none was sent), the mark, the held values (0: one is not set).
# An entry of a session without an id that comes later than the timeout begins the next session.
CUT: Final = """
    (
    SELECT
        person,
        $unit AS unit,
        $touch AS touch,
        $cut_again AS entries
    FROM
    (
        SELECT person, touch, arrayJoin($sessions) AS session_entries
        FROM per_person
    )
    )
"""

SESSIONS: Final = """arraySplit(
            (entry, before) -> $session != $session_before OR ($session = 0 AND $instant > $instant_before + {timeout:Int64}),
            arraySort(entries) AS sorted_entries,
            arrayShiftRight(sorted_entries, 1)
        )"""

EQUAL_VALUES: Final = """arrayJoin(arraySplit(
            (entry, before) -> $held != $held_before,
            $by_value AS held_entries,
            arrayShiftRight(held_entries, 1)
        ))"""

TOUCH_OF_SESSION: Final = """
            $take(entry -> entry.4 != '' AND bitAnd(toUInt64(entry.2), {step_bits:UInt64}) != 0, session_entries).4"""

# A person's other values than this one are no longer the attributed steps.
UNDER_VALUE: Final = """arraySort(arrayMap(
        (mark, own) -> if(own = value, mark, bitXor(mark, bitAnd(mark, $wide({attributed:UInt64})))), own_marks, own_values
    ))"""

VALUES_JOINED: Final = """ARRAY JOIN if(
        arrayExists(mark -> bitAnd(toUInt64(mark), {attributed:UInt64}) != 0, own_marks),
        arrayDistinct(arrayFilter((own, mark) -> bitAnd(toUInt64(mark), {attributed:UInt64}) != 0, own_values, own_marks)),
        ['']
    ) AS value"""

VALUED: Final = """
    SELECT person, $unit AS unit, $value, $marks AS marks$periods
    FROM $streams
    $joined
"""

PERIODS_OF_STREAM: Final = """
        arrayDistinct(arrayMap(
            mark -> toUnixTimestamp($period),
            arrayFilter(mark -> bitAnd(toUInt64(mark), {entry_bits:UInt64}) != 0, $marks)
        ))"""

# Only the starts of one period count, and what can belong to them.
IN_PERIODS: Final = """
    SELECT
        person,
        unit,
        value,
        period,
        bitShiftLeft($wide(toInt64(period) * 1000000 - {origin:Int64}), {instant_at:UInt8}) AS entry_start,
        bitShiftLeft($wide(transform(period, {period_starts:Array(UInt32)}, {period_ends:Array(Int64)}, toInt64(0))), {instant_at:UInt8})
            AS entry_end,
        arrayFilter(mark -> mark >= entry_start AND mark <= entry_end + $window, all_marks) AS marks
    FROM
    (
        SELECT person, unit, value, marks AS all_marks, periods
        FROM ($streams)
    )
    ARRAY JOIN periods AS period
"""

WHOLE: Final = """
    SELECT person, unit, value, toUInt32(0) AS period, marks
    FROM ($streams)
"""

FIRST_START_ONLY: Final = """
    SELECT
        person,
        unit,
        value,
        arrayMap(
            mark -> if(bitShiftRight(mark, {instant_at:UInt8}) = first_start, mark, bitXor(mark, bitAnd(mark, $wide(1)))), own_marks
        ) AS marks
        $periods
    FROM
    (
        SELECT
            person,
            unit,
            value,
            marks AS own_marks,
            bitShiftRight(arrayFirst(mark -> bitTest(toUInt64(mark), 0), marks), {instant_at:UInt8}) AS first_start
            $periods
        FROM ($streams)
    )
"""

# From the last step back: `ends_k`, at each event of step k, is where a run that is there will be through; 0 when it never will.
# Then start by start: one within an open run is none. TRICKY: the state of a fold is copied at each element, so its flags are gathered by
# blocks: 12 s for 500,000 events of one person, which need more than 2 GiB without (4 s for 100,000, 5 s without).
AFTER_THE_RUN: Final = """
    SELECT
        person,
        unit,
        value,
        arrayMap((mark, begins) -> if(begins, mark, bitXor(mark, bitAnd(mark, $wide(1)))), own_marks, flags) AS marks
        $periods
    FROM
    (
        SELECT
            *,
            arrayFold(
                (state, block) -> (
                    (arrayFold(
                        (open, entry) -> if(
                            bitTest(toUInt64(entry.1), 0) AND entry.1 > open.1,
                            (entry.2, arrayPushBack(open.2, toUInt8(1))),
                            (open.1, arrayPushBack(open.2, toUInt8(0)))
                        ),
                        block,
                        (state.1, CAST([], 'Array(UInt8)'))
                    ) AS after_block).1,
                    arrayConcat(state.2, after_block.2)
                ),
                arraySplit(
                    (entry, place) -> place % 1024 = 0,
                    arrayMap(
                        (mark, end) -> (mark, if(end > 0, least(end, $deadline), $deadline)),
                        own_marks,
                        ends_1
                    ) AS spans,
                    arrayEnumerate(spans)
                ),
                ($wide(0), CAST([], 'Array(UInt8)'))
            ).2 AS flags
        FROM $ends
    )
"""

LAST_END: Final = """
        (
        SELECT
            person,
            unit,
            value,
            marks AS own_marks,
            arrayMap(mark -> if(bitTest(toUInt64(mark), $bit), mark, $wide(0)), own_marks) AS $name
            $periods
        FROM ($streams)
        )"""

END_BEFORE: Final = """
        (
        SELECT
            *,
            arrayMap(
                (mark, later$in_time) -> if(bitTest(toUInt64(mark), $bit)$limit, later, $wide(0)),
                own_marks,
                arrayShiftLeft(arrayReverseFill(end -> end > 0, $after), 1)
                $in_time_marks
            ) AS $name
        FROM $ends
        )"""

IN_TIME_MARKS: Final = """,
                arrayShiftLeft(
                    arrayReverseFill(mark -> mark > 0, arrayMap((mark, end) -> if(end > 0, mark, $wide(0)), own_marks, $after)), 1
                )"""


@dataclass(frozen=True)
class Marks:
    """How marks are written in this statement."""

    steps: int
    wide: Sql  # converts to their type
    window: Sql  # the longest run, in their scale
    limits: Sequence[Sql | None]  # for each step, the longest time since the one before, in their scale

    def deadline(self, mark: Sql, length: Sql) -> Sql:
        """The last mark that is not later than `mark` by more than `length`."""
        return sql("bitOr($mark, {low:UInt64}) + $length", mark=mark, length=length)


@dataclass(frozen=True)
class Cut:
    """Which streams there are of a person."""

    sessions: bool  # each session is one
    held: bool  # events with the same values are one
    valued: bool  # entries carry the value of the breakdown
    count_sessions: bool
    touch_of_session: Sql | None  # with sessions counted: arrayFirst or arrayLast, by the attribution


class Entries:
    """How an event is written in a person's list where streams are cut: as one integer, from its highest bits the session, the mark and the
    held values (or the held values and the mark), or with the value of the breakdown a tuple. Integers sort
    far sooner."""

    def __init__(self, cut: Cut, marks: Marks) -> None:
        self._cut = cut
        self._wide = marks.wide
        self._width = 128 if marks.wide.text == "toUInt128" else 64
        both = cut.sessions and cut.held
        self._wider = Sql("toUInt256" if both or self._width == 128 else "toUInt128")
        self._below = self._width + 64 if both else self._width  # bits below the highest of them

    def entry(self) -> Sql:
        """An expression over an event."""
        cut = self._cut
        if cut.valued:
            return sql(
                "($session, mark, $held, value)",
                session=Sql("session" if cut.sessions else "toUInt64(0)"),
                held=Sql("held" if cut.held else "toUInt64(1)"),
            )
        highest = sql("bitShiftLeft($wider($field), $bits)", wider=self._wider, field=self._highest(), bits=number(self._below))
        if cut.sessions and cut.held:
            return sql("$highest + bitShiftLeft($wider(mark), 64) + held", highest=highest, wider=self._wider)
        return sql("$highest + mark", highest=highest)

    def _highest(self) -> Sql:
        return Sql("session" if self._cut.sessions else "held")

    def sessions(self) -> Sql:
        """A person's `entries`, session by session."""
        if not self._cut.sessions:
            return Sql("[arraySort(entries)]" if self._cut.valued else "[entries]")
        return sql(
            SESSIONS,
            session=self._session(Sql("entry")),
            session_before=self._session(Sql("before")),
            instant=self._instant(Sql("entry")),
            instant_before=self._instant(Sql("before")),
        )

    def equal_values(self) -> Sql:
        """The `session_entries`, those of the same held values each; all in order."""
        cut = self._cut
        if not cut.held:
            return Sql("session_entries")
        if cut.valued:
            by_value = Sql("arraySort(entry -> (entry.3, entry.2), arrayFilter(entry -> entry.3 != 0, session_entries))")
        elif cut.sessions:
            by_value = sql(
                """arraySort(arrayMap(
                entry -> bitShiftLeft(toUInt256(toUInt64(entry)), $width) + $wide(bitShiftRight(entry, 64)),
                arrayFilter(entry -> toUInt64(entry) != 0, session_entries)
            ))""",
                width=number(self._width),
                wide=self._wide,
            )
        else:
            by_value = Sql("arraySort(session_entries)")
        return sql(EQUAL_VALUES, by_value=by_value, held=self._held(Sql("entry")), held_before=self._held(Sql("before")))

    def marks(self) -> Sql:
        """Those of the `entries` of one stream."""
        return Sql("entries.2") if self._cut.valued else sql("arrayMap(entry -> $wide(entry), entries)", wide=self._wide)

    def _session(self, entry: Sql) -> Sql:
        return (
            sql("$entry.1", entry=entry) if self._cut.valued else sql("bitShiftRight($entry, $bits)", entry=entry, bits=number(self._below))
        )

    def _instant(self, entry: Sql) -> Sql:
        """In a session without an id, whose bits are 0."""
        if self._cut.valued:
            return sql("bitShiftRight($entry.2, {instant_at:UInt8})", entry=entry)
        return sql("bitShiftRight($entry, {instant_at:UInt8} + $below)", entry=entry, below=number(self._below - self._width))

    def _held(self, entry: Sql) -> Sql:
        return (
            sql("$entry.3", entry=entry) if self._cut.valued else sql("bitShiftRight($entry, $bits)", entry=entry, bits=number(self._width))
        )


def streams_of(marks: Marks, *, cut: Cut | None, several_values: bool, reentry: str, period: Sql | None) -> Sql:
    """`period`: from a mark's instant, where only the starts of one period count at a time. `cut`: None for all that a person did."""
    periods = Sql(", periods") if period else EMPTY
    streams = _valued(marks, cut, period, periods, several_values=several_values)
    if reentry == "never":
        streams = sql(FIRST_START_ONLY, wide=marks.wide, streams=streams, periods=periods)
    elif reentry == "after":
        streams = _after_the_run(marks, streams, periods)
    if period:
        return sql(IN_PERIODS, streams=streams, wide=marks.wide, window=marks.window)
    return sql(WHOLE, streams=streams)


def _valued(marks: Marks, cut: Cut | None, period: Sql | None, periods: Sql, *, several_values: bool) -> Sql:
    value, own, joined = Sql("touch AS value"), Entries(cut, marks).marks() if cut else Sql("marks"), EMPTY
    streams = _cut(cut, marks) if cut else Sql("per_person")
    if period and cut:
        periods = sql(", $of_stream AS periods", of_stream=sql(PERIODS_OF_STREAM, period=period, marks=own))
    if several_values:
        value, joined, own = Sql("value"), Sql(VALUES_JOINED), sql(UNDER_VALUE, wide=marks.wide)
        if cut:
            streams = sql("(SELECT *, entries.2 AS own_marks, entries.4 AS own_values FROM $streams)", streams=streams)
    return sql(
        VALUED,
        unit=Sql("unit" if cut else "toUInt64(0)"),
        value=value,
        marks=own,
        periods=periods,
        streams=streams,
        joined=joined,
    )


def _cut(cut: Cut, marks: Marks) -> Sql:
    touch = sql(TOUCH_OF_SESSION, take=cut.touch_of_session) if cut.touch_of_session else Sql("touch")
    entries = Entries(cut, marks)
    return sql(
        CUT,
        unit=Sql("cityHash64(session_entries[1])" if cut.count_sessions else "toUInt64(0)"),
        touch=touch,
        sessions=entries.sessions(),
        cut_again=entries.equal_values(),
    )


def _after_the_run(marks: Marks, streams: Sql, periods: Sql) -> Sql:
    name = identifier(f"ends_{marks.steps}")
    ends = sql(LAST_END, bit=number(marks.steps - 1), wide=marks.wide, name=name, periods=periods, streams=streams)
    for step in range(marks.steps - 1, 0, -1):
        limit = marks.limits[step]
        ends = sql(
            END_BEFORE,
            bit=number(step - 1),
            wide=marks.wide,
            after=name,
            name=(before := identifier(f"ends_{step}")),
            ends=ends,
            in_time=Sql(", next" if limit else ""),
            limit=sql(" AND next <= $deadline", deadline=marks.deadline(Sql("mark"), limit)) if limit else EMPTY,
            in_time_marks=sql(IN_TIME_MARKS, wide=marks.wide, after=name) if limit else EMPTY,
        )
        name = before
    return sql(AFTER_THE_RUN, wide=marks.wide, deadline=marks.deadline(Sql("mark"), marks.window), ends=ends, periods=periods)
