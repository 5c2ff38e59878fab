"""How a segment grows and shrinks over many moments, in one reading of the events.

A statement for each moment would read 30 days' events 30 times: 3 segments on 31 days of 2 M events took 3.3 s of CPU, all at once in
memory, where this takes 0.8 s. Here each event raises a person's count at the first moment after it, and lowers it at the first whose span
has left it behind; whether the person is in the segment is reckoned where a count changes, and nowhere else. So the work is linear in
events, however many moments there are. What is not counted event by event (a sequence, a property) cannot be had this way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from almanac.analyses.segments import Facts, Reading, before
from almanac.core.filters import Did, DidInOrder, Having, Listed, Segment, SegmentFilter, SegmentPart
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
        WHERE place < $moments AND ($changed)
        GROUP BY person, place
    )
    GROUP BY person
)
GROUP BY place
HAVING people != 0
"""


def can_step(part: SegmentPart) -> bool:
    """Whether the segment is one of counts alone."""
    match part:
        case Did() | Listed():
            return True
        case Segment():
            return all(can_step(inner) for inner in (*part.all, *part.any, *part.not_))
        case SegmentFilter():
            return part.at is None and isinstance(part.segment, Segment) and can_step(part.segment)
        case DidInOrder() | Having():
            return False


def changes(segment: Segment, reading: Reading, moments: Sequence[datetime]) -> Sql:
    """A statement with the columns `place`, of a moment, and `people`: by how many the segment differs from the moment before (the first:
    from nobody). `moments`: in order; the reading's range ends with the last. The segment `can_step`."""
    facts = _Counts(reading, moments)
    condition, of_nobody = facts.of(segment)
    if of_nobody:  # then whoever has any event is looked at, from the first on
        condition = all_of([sql("$count > 0", count=facts.count(Sql("1"))), condition])
    return facts.statement(condition)


class _Counts(Facts):
    """Gathers the counts whose changes are read."""

    def __init__(self, reading: Reading, moments: Sequence[datetime]) -> None:
        super().__init__(reading)
        self._moments = moments
        self._listed: list[Sql] = []
        self._ends: list[Sql | None] = []

    def count(self, done: Sql, ends: Sql | None = None) -> Sql:
        """The name of a count of such events. `ends`: the place at which one no longer counts; None: never."""
        self.wanted.append(done)
        self._ends.append(ends)
        return self._named(done)

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
        ends = None
        if part.within is not None:
            zone = self._reading.range.zone
            since = [before(TimeRange(_BEGINNING, moment, zone), part.within) for moment in self._moments]
            ends = self._place(since)
        return self._bounded(part, self.count(self._reading.matches(part.did), ends))

    def statement(self, condition: Sql) -> Sql:
        """With all counts that were asked for."""
        names = [name for name, _ in self.found]
        steps = [identifier(f"step_{at}") for at in range(1, len(names) + 1)]
        lowered = [
            sql(
                "(ends_$at, $steps)",
                at=number(at),
                steps=join(", ", [sql("-$step", step=one) if one is step else _NOTHING for one in steps]),
            )
            for at, (step, ends) in enumerate(zip(steps, self._ends, strict=True), 1)
            if ends is not None
        ]
        return sql(
            STATEMENT,
            listed=join("", [sql(", $listed", listed=listed) for listed in self._listed]),
            stepped=join(", ", steps),
            counts=join(", ", [sql("arrayCumSum(sorted.$at) AS $name", at=number(at), name=name) for at, name in enumerate(names, 2)]),
            names=join(", ", names),
            condition=condition,
            sums=join(", ", [sql("sum(raised.$at) AS $step", at=number(at), step=step) for at, step in enumerate(steps, 2)]),
            begins=self._place(self._moments),
            ends=join(
                "", [sql(", $ends AS ends_$at", ends=ends, at=number(at)) for at, ends in enumerate(self._ends, 1) if ends is not None]
            ),
            steps=join("", [self._step(at, step) for at, step in enumerate(steps, 1)]),
            events=self._reading.events(),
            scope=self._reading.where(),
            wanted=any_of(self.wanted),
            changes=join(", ", [sql("(begins, $steps)", steps=join(", ", steps)), *lowered]),
            moments=number(len(self._moments)),
            changed=any_of([sql("raised.$at != 0", at=number(at)) for at in range(2, len(names) + 2)]),
        )

    def _step(self, at: int, step: Sql) -> Sql:
        """1 for an event that counts at some moment."""
        kept = EMPTY if self._ends[at - 1] is None else sql(" AND begins < ends_$at", at=number(at))
        return sql(", toInt64(($done)$kept) AS $step", done=self.found[at - 1][1], kept=kept, step=step)

    def _place(self, moments: Sequence[datetime]) -> Sql:
        """How many of the moments are not after the event."""
        micros = [_micros(moment) for moment in moments]
        keys = sorted({0, *micros})
        return sql(
            "transform(roundDown(toUnixTimestamp64Micro(time), $keys), $keys, $places, toUInt32(0))",
            keys=self._reading.bind(keys, "Array(Int64)"),
            places=self._reading.bind([bisect_right(micros, key) for key in keys], "Array(UInt32)"),
        )


_NOTHING: Final = Sql("toInt64(0)")


def _micros(moment: datetime) -> int:
    return (moment - _BEGINNING) // timedelta(microseconds=1)
