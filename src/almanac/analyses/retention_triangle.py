"""The triangle of a retention: its cohorts' periods, its columns, which cells are final, and what each holds."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Final, Literal

from almanac.core import time as times

Counting = Literal["in", "rolling", "before", "streak"]

# Elapsed periods have one length each, like the windows of other questions.
ELAPSED_SECONDS: Final[dict[str, int]] = {
    "hour": 3600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 30 * 86_400,
    "quarter": 90 * 86_400,
    "year": 365 * 86_400,
}
MOST_PERIODS: Final = 1000


@dataclass(frozen=True)
class Column:
    """Periods `first` to `last` after a cohort's own, which is 0."""

    first: int
    last: int

    @property
    def text(self) -> str:
        """As users write it: `3`, `4-7`."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def columns_of(brackets: Sequence[str]) -> list[Column]:
    """The columns that the texts `0`, `1-3` mean. Raises `ValueError` with a sentence that says what is wrong."""
    columns: list[Column] = []
    for text in brackets:
        first, dash, last = text.strip().partition("-")
        if not (first.isdecimal() and first.isascii()) or (dash and not (last.isdecimal() and last.isascii())):
            raise ValueError(f"{text[:40]!r} is no bracket; write it like 0 or 4-7")
        column = Column(int(first), int(last or first))
        if column.last >= MOST_PERIODS:
            raise ValueError(f"the bracket {text[:40]!r} goes beyond period {MOST_PERIODS - 1}")
        if column.last < column.first:
            raise ValueError(f"the bracket {text[:40]!r} ends before it begins")
        if column.first == 0 < column.last:
            raise ValueError("period 0 is the cohort's own and stands alone: write 0, then a bracket from 1 on")
        if columns and column.first <= columns[-1].last:
            raise ValueError(f"the bracket {column.text!r} begins before {columns[-1].text!r} has ended")
        columns.append(column)
    return columns


@dataclass(frozen=True)
class Cell:
    """One cohort in one column. `value` and `first_value`: what its return events add up to there, and in the cohort's period 0."""

    size: int
    count: int
    value: float
    first_value: float
    complete: bool


@dataclass(frozen=True)
class Triangle:
    """`starts`: of the cohorts' periods, in the zone. `end`: of the range; `known`: until when events can have come, at most the end."""

    starts: list[datetime]
    columns: list[Column]
    unit: str
    end: datetime
    known: datetime
    counting: Counting
    elapsed: bool
    valued: bool

    @property
    def length(self) -> timedelta:
        """Of an elapsed period."""
        return timedelta(seconds=ELAPSED_SECONDS[self.unit])

    @cached_property
    def _ends(self) -> list[datetime]:
        return [times.shift(start, self.unit, 1).astimezone(UTC) for start in self.starts]

    @cached_property
    def _firsts(self) -> list[int]:
        return [column.first for column in self.columns]

    @cached_property
    def _lasts(self) -> list[int]:
        return [column.last for column in self.columns]

    @cached_property
    def plain(self) -> bool:
        """Whether the periods of returns are all that is to be known."""
        single = all(column == Column(k, k) for k, column in enumerate(self.columns))
        return single and not (self.elapsed or self.valued) and self.counting in ("in", "rolling")

    def mark(self, cohort: int, later: int) -> int:
        """What a return in the period `later` marks, in the plain case. A later one than all columns counts in the last when rolling."""
        after = later - cohort
        return 0 if after == 0 else min(after + 1, len(self.columns)) if self.counting == "rolling" else after + 1

    def shown(self, cohort: int) -> range:
        """The columns that a cohort has, from 1: those that begin within the range."""
        return range(1, bisect_left(self._firsts, len(self.starts) - cohort) + 1)

    def size(self) -> int:
        """How many cells there are."""
        return sum(len(self.shown(cohort)) for cohort in range(len(self.starts)))

    def complete(self, cohort: int, place: int) -> bool:
        """Whether nothing that is still to come, or lies beyond the range, can change the cell."""
        last = self._lasts[place - 1]
        if not self.elapsed:
            return cohort + last < len(self.starts) and self._ends[cohort + last] <= self.known
        after = 0 if last == 0 and not self.valued else last + 1
        return self._ends[cohort] + after * self.length <= self.known

    def places(self) -> list[int]:
        """For each number of periods after the start, the column in which a return then makes a mark, from 1; 0: in none.

        The marks of all people then run up to the counts (see `row`)."""
        most = len(self.starts)
        if self.elapsed:
            most = max(most, -((self.starts[0] - self.end) // self.length))
        return [self._place(offset) for offset in range(most + 1)]

    def _place(self, offset: int) -> int:
        begun = bisect_right(self._firsts, offset)
        if self.counting == "rolling":
            return begun
        if self.counting == "before":
            return (bisect_left(self._lasts, offset) + 1) % (len(self._lasts) + 1)
        return begun if begun and offset <= self._lasts[begun - 1] else 0

    def marks(self, place: int) -> tuple[int, int]:
        """Whoever has a mark in one of these columns, first to last, counts in the column `place`; mark 0 is the membership itself."""
        if self._lasts[place - 1] == 0:
            return 0, 0
        if self.counting in ("rolling", "streak"):
            return place, len(self.columns)
        return (1 if self.counting == "before" else place), place

    def row(self, cohort: int, marks: Mapping[tuple[int, int], tuple[int, float]]) -> dict[int, Cell]:
        """The cells of a cohort by their columns, from the people and values at its marks."""
        size, first_value = marks.get((cohort, 0), (0, 0.0))
        found = [marks.get((cohort, place), (0, 0.0)) for place in range(1, len(self.columns) + 1)]
        people, values = self._run_up([here for here, _ in found]), self._run_up([value for _, value in found])
        return {
            place: Cell(
                size=size,
                count=size if self._lasts[place - 1] == 0 else int(people[place - 1]),
                value=values[place - 1],
                first_value=first_value,
                complete=self.complete(cohort, place),
            )
            for place in self.shown(cohort)
        }

    def _run_up(self, marks: Sequence[float]) -> list[float]:
        if self.counting in ("rolling", "streak"):
            return list(accumulate(reversed(marks)))[::-1]
        return list(accumulate(marks)) if self.counting == "before" else list(marks)

    def curve(self, place: int) -> list[int]:
        """The cohorts over which a column of the curve is reckoned: those that are complete there; when none is, all that have it."""
        having = [cohort for cohort in range(len(self.starts)) if place in self.shown(cohort)]
        return [cohort for cohort in having if self.complete(cohort, place)] or having
