"""From the engine's rows to the lines of a trend: windows, formulas, running sums and moving averages, one value for each period."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from almanac.analyses.trend_plan import Part, Plan, Side
from almanac.core import formula
from almanac.core.metrics import Measured
from almanac.core.ports import Result

Group = tuple[str, ...]
Line = list[float | None]


class Lines:
    """The values of each line, group and side, made of the parts that the engine gave."""

    def __init__(self, plan: Plan, result: Result) -> None:
        self._plan = plan
        self._parts: dict[tuple[int, int, Group], Line] = {}  # side, place of the part, group
        self.groups: set[Group] = set() if plan.question.breakdown else {()}
        for block, side, period, group, values in _rows(plan, result):
            self.groups.add(group)
            for place, value in zip(plan.blocks[block].places, values, strict=True):
                self._put(side, place, group, period, value)
        for (side, place, _), line in self._parts.items():
            self._finish(plan.sides[side], plan.parts[place], line)

    def line(self, line: Measured, group: Group, side: int) -> tuple[Line, int]:
        """The values of the periods shown, and for how many of them the formula has no result of its own."""
        plan = self._plan
        first = -plan.sides[side].shown
        values, undefined = self._reckoned(line, group, side) if line.formula else (self._of(plan.place(line, shown=True), group, side), [])
        if plan.running and (line.formula or line.measure != "unique"):
            # From the first period that is shown: those before it are read for the windows of other lines.
            values = [*values[:first], *accumulate(value or 0 for value in values[first:])]
        if plan.question.moving_average:
            values = _smoothed(values, plan.question.moving_average)
        return [_tidy(value) for value in values[first:]], sum(undefined[first:])

    def undefined(self, line: Measured, group: Group, side: int) -> list[bool]:
        """For which of the periods shown the formula has no result of its own."""
        shown = self._plan.sides[side].shown
        return self._reckoned(line, group, side)[1][-shown:] if line.formula else [False] * shown

    def _reckoned(self, line: Measured, group: Group, side: int) -> tuple[Line, list[bool]]:
        """A formula's values, and for which of them it has none of its own."""
        understood, needed = formula.parse(line.formula), self._plan.needed(line)
        undefined = [False] * len(self._plan.sides[side].starts)
        inner: dict[str, Line] = {}
        for name in understood.names:
            if needed[name].formula:
                inner[name], missing = self._reckoned(needed[name], group, side)
                undefined = [one or other for one, other in zip(undefined, missing, strict=True)]
            else:
                inner[name] = self._of(self._plan.place(needed[name]), group, side)
        values: Line = []
        for place in range(len(undefined)):
            value, missing_here = understood.value({name: line[place] for name, line in inner.items()})
            values.append(value)
            undefined[place] = undefined[place] or missing_here
        return values, undefined

    def _of(self, place: int, group: Group, side: int) -> Line:
        line = self._parts.get((side, place, group))
        return line if line is not None else self._blank(side, place)

    def _blank(self, side: int, place: int) -> Line:
        return [0 if self._plan.parts[place].zero_when_empty else None] * len(self._plan.sides[side].starts)

    def _put(self, side: int, place: int, group: Group, period: float, value: Any) -> None:
        of, part = self._plan.sides[side], self._plan.parts[place]
        key = (side, place, group)
        if key not in self._parts:
            self._parts[key] = self._blank(side, place)
        line = self._parts[key]
        if self._plan.total:
            line[0] = value
        elif part.way == "people":
            at = bisect_left(self._marks(of), period)
            if at < len(line):
                line[at] = (line[at] or 0) + value
        else:
            line[bisect_right(of.marks, period) - 1] = value

    def _finish(self, side: Side, part: Part, line: Line) -> None:
        """In place: changes become numbers, and values those of their window."""
        if self._plan.total:
            return
        if part.way in ("people", "running"):
            line[:] = accumulate(value or 0 for value in line)
        elif part.seconds:
            marks = self._marks(side)
            values = [value or 0 for value in line]
            line[:] = [math.fsum(values[bisect_right(marks, mark - part.seconds) : place + 1]) for place, mark in enumerate(marks)]

    def _marks(self, side: Side) -> list[float]:
        return side.days if self._plan.by_day else side.marks


def _rows(plan: Plan, result: Result) -> Iterator[tuple[int, int, float, Group, Sequence[Any]]]:
    dimensions = len(plan.question.breakdown)
    for block, side, period, *rest in result.rows:
        yield block, side, period, tuple(rest[:dimensions]), rest[dimensions]


def _smoothed(line: Line, count: int) -> Line:
    """Of each period and those before it, `count` in all, the mean of the values that there are."""
    found: Line = []
    for place in range(len(line)):
        values = [value for value in line[max(0, place + 1 - count) : place + 1] if value is not None]
        found.append(math.fsum(values) / len(values) if values else None)
    return found


def _tidy(value: Any) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else float(value)
