"""How a segment grows and shrinks over many moments, in one reading of the events.

A statement for each moment would read 30 days' events 30 times: 3 segments on 31 days of 2 M events took 3.3 s of CPU, all at once in
memory, where this takes 0.8 s. Here each event raises a person's count at the first moment after it, and lowers it at the first whose span
has left it behind; so does each spell of a sequence (see `segment_sequences`). Whether the person is in the segment is reckoned where a
count changes, and nowhere else. So the work is linear in events, however many moments there are. What hangs on the state of things at a
moment (a property) cannot be had this way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from almanac.analyses.segment_sequences import spells
from almanac.analyses.segments import Facts, Reading, before, microseconds
from almanac.core.filters import Did, DidInOrder, Having, Listed, Segment, SegmentFilter, SegmentPart, Window
from almanac.core.sql import EMPTY, Sql, all_of, any_of, identifier, join, number, sql
from almanac.core.time import TimeRange

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)

# `place` counts moments from 0. A change is (place, by how much it changes each count).
STATEMENT: Final = """
SELECT change.1 AS place, sum(change.2) AS people
FROM
(
    SELECT
        person$listed,
        arraySort(groupArray((place, $stepped))) AS sorted,
        $counts,
        arrayMap(($names) -> toInt64($condition), $names) AS inside,
        arrayJoin(arrayMap(
            (place, now, earlier) -> (place, now - earlier),
            sorted.1,
            inside,
            arrayPopBack(arrayPushFront(inside, 0))
        )) AS change
    FROM
    (
        SELECT person, raised.1 AS place, $sums
        FROM
        ($raised)
        WHERE place < $moments AND ($changed)
        GROUP BY person, place
    )
    GROUP BY person
)
GROUP BY place
HAVING people != 0
"""

EVENTS: Final = """
    SELECT person, raised
    FROM
    (
        SELECT
            person,
            $begins AS begins
            $ends
            $steps,
            arrayJoin([$changes]) AS raised
        FROM $events
        WHERE $scope AND person != 0 AND ($wanted)
    )
"""


def can_step(part: SegmentPart) -> bool:
    """Whether the segment is one of events and lists alone."""
    match part:
        case Did() | DidInOrder() | Listed():
            return True
        case Segment():
            return all(can_step(inner) for inner in (*part.all, *part.any, *part.not_))
        case SegmentFilter():
            return part.at is None and isinstance(part.segment, Segment) and can_step(part.segment)
        case Having():
            return False


def changes(segment: Segment, reading: Reading, moments: Sequence[datetime]) -> Sql:
    """A statement with the columns `place`, of a moment, and `people`: by how many the segment differs from the moment before (the first:
    from nobody). `moments`: in order; the reading's range ends with the last. The segment `can_step`."""
    facts = _Counts(reading, moments)
    condition, of_nobody = facts.of(segment)
    if of_nobody:  # then whoever has any event is looked at, from the first on
        condition = all_of([sql("$count > 0", count=facts.count(Sql("1"))), condition])
    return facts.statement(condition)


@dataclass(frozen=True)
class _Count:
    """Something that is counted: events, or the spells of a sequence."""

    name: Sql
    done: Sql  # which events
    ends: Sql | None = None  # the place at which an event no longer counts; None: never
    steps: tuple[Sql, ...] = ()  # of a sequence
    sequence: DidInOrder | None = None


class _Counts(Facts):
    """Gathers the counts whose changes are read."""

    def __init__(self, reading: Reading, moments: Sequence[datetime]) -> None:
        super().__init__(reading)
        self._moments = moments
        self._listed: list[Sql] = []
        self._counts: list[_Count] = []

    def count(self, done: Sql, ends: Sql | None = None) -> Sql:
        """The name of a count of such events. `ends`: the place at which one no longer counts; None: never."""
        return self._kept(_Count(self._name(), done, ends))

    def of(self, part: SegmentPart) -> tuple[Sql, bool]:
        """See `Facts.of`."""
        if isinstance(part, SegmentFilter) and isinstance(part.segment, Segment):
            return self.of(part.segment)
        if isinstance(part, Listed):
            name = identifier(f"listed_{len(self._listed) + 1}")
            self._listed.append(sql("person IN ($listed) AS $name", listed=self._reading.listed(part.ids), name=name))
            return name, True
        return super().of(part)

    def _did(self, part: Did) -> tuple[Sql, bool]:
        ends = None if part.within is None else self._end(part.within, _TIME)
        return self._bounded(part, self.count(self._reading.matches(part.did), ends))

    def _in_order(self, part: DidInOrder) -> tuple[Sql, bool]:
        steps = tuple(self._reading.matches(step) for step in part.in_order)
        spells_open = self._kept(_Count(self._name(), any_of(steps), steps=steps, sequence=part))
        return sql("$spells > 0", spells=spells_open), False

    def statement(self, condition: Sql) -> Sql:
        """With all counts that were asked for."""
        names = [count.name for count in self._counts]
        steps = [identifier(f"step_{at}") for at in range(1, len(names) + 1)]
        places = range(2, len(names) + 2)
        return sql(
            STATEMENT,
            listed=join("", [sql(", $listed", listed=listed) for listed in self._listed]),
            stepped=join(", ", steps),
            counts=join(
                ", ", [sql("arrayCumSum(sorted.$at) AS $name", at=number(at), name=name) for at, name in zip(places, names, strict=True)]
            ),
            names=join(", ", names),
            condition=condition,
            sums=join(", ", [sql("sum(raised.$at) AS $step", at=number(at), step=step) for at, step in zip(places, steps, strict=True)]),
            raised=join("    UNION ALL", self._raised(steps)),
            moments=number(len(self._moments)),
            changed=any_of([sql("raised.$at != 0", at=number(at)) for at in places]),
        )

    def _raised(self, steps: Sequence[Sql]) -> list[Sql]:
        """Statements of changes: one for all events that are counted, one for each sequence."""
        of_events = [(step, count) for step, count in zip(steps, self._counts, strict=True) if count.sequence is None]
        found = [self._of_events(steps, of_events)] if of_events else []
        for step, count in zip(steps, self._counts, strict=True):
            if count.sequence is None:
                continue
            within = count.sequence.within
            found.append(
                spells(
                    count.steps,
                    count.sequence.window.microseconds,
                    self._reading,
                    begin=self._begin,
                    end=None if within is None else partial(self._end, within),
                    entered=_alone(Sql("toInt64(1)"), step, steps),
                    left=_alone(Sql("toInt64(-1)"), step, steps),
                )
            )
        return found

    def _of_events(self, steps: Sequence[Sql], counted: Sequence[tuple[Sql, _Count]]) -> Sql:
        ending = [(step, count, sql("ends_of_$step", step=step)) for step, count in counted if count.ends is not None]
        all_steps = join(", ", [step if any(step is one for one, _ in counted) else _NOTHING for step in steps])
        lowered = [sql("($ends, $steps)", ends=name, steps=_alone(sql("-$step", step=step), step, steps)) for step, _, name in ending]
        return sql(
            EVENTS,
            begins=self._begin(_TIME),
            ends=join("", [sql(", $ends AS $name", ends=count.ends or EMPTY, name=name) for _, count, name in ending]),
            steps=join("", [self._step(step, count) for step, count in counted]),
            changes=join(", ", [sql("(begins, $steps)", steps=all_steps), *lowered]),
            events=self._reading.events(),
            scope=self._reading.where(),
            wanted=any_of([count.done for _, count in counted]),
        )

    def _step(self, step: Sql, count: _Count) -> Sql:
        """1 for an event that counts at some moment."""
        kept = EMPTY if count.ends is None else sql(" AND begins < ends_of_$step", step=step)
        return sql(", toInt64(($done)$kept) AS $step", done=count.done, kept=kept, step=step)

    def _name(self) -> Sql:
        return identifier(f"count_{len(self._counts) + 1}")

    def _kept(self, count: _Count) -> Sql:
        self._counts.append(count)
        return count.name

    def _begin(self, instant: Sql) -> Sql:
        """The place of the first moment after an instant in microseconds."""
        return self._place(self._moments, instant)

    def _end(self, within: Window, instant: Sql) -> Sql:
        """The place of the first moment whose span begins after the instant."""
        zone = self._reading.range.zone
        return self._place([before(TimeRange(_BEGINNING, moment, zone), within) for moment in self._moments], instant)

    def _place(self, moments: Sequence[datetime], instant: Sql) -> Sql:
        """How many of the moments are not after the instant."""
        micros = [microseconds(moment) for moment in moments]
        keys = sorted({0, *micros})
        return sql(
            "transform(roundDown($instant, $keys), $keys, $places, toUInt32(0))",
            instant=instant,
            keys=self._reading.bind(keys, "Array(Int64)"),
            places=self._reading.bind([bisect_right(micros, key) for key in keys], "Array(UInt32)"),
        )


def _alone(change: Sql, step: Sql, steps: Sequence[Sql]) -> Sql:
    """The change of one count, and no other's."""
    return join(", ", [change if one is step else _NOTHING for one in steps])


_NOTHING: Final = Sql("toInt64(0)")
_TIME: Final = Sql("toUnixTimestamp64Micro(time)")
