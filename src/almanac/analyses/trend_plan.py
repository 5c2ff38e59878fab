"""What a trend reads for its lines: their parts, the blocks of the statement that give these, and the times of both sides.

A part is one number for each period and group. Parts of the same way are read in one scan, a block: `plain` parts straight from the events,
`people` parts (people over a window) and `per_person` parts from each person's events first; each `running` part (people since the range
began) is a block of its own, from each person's first event.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final, Literal

from almanac.core import formula
from almanac.core import time as times
from almanac.core.analysis import Scope
from almanac.core.errors import invalid
from almanac.core.filters import Window
from almanac.core.metrics import ZERO_WHEN_EMPTY, Measured
from almanac.core.time import INTERVAL_SECONDS, TimeRange

if TYPE_CHECKING:
    from almanac.analyses.trend import Trend

Way = Literal["plain", "people", "running", "per_person"]

MOST_PERIODS: Final = 10_000
_MOST_PERIODS_OF_A_WINDOW: Final = 1_000
_DAY: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).date()
_SHIFT: Final[dict[str, str]] = {"previous_day": "day", "previous_week": "week", "previous_month": "month", "previous_year": "year"}


@dataclass(frozen=True)
class Part:
    """One number for each period and group. `running`: people since the range began."""

    measured: Measured
    running: bool = False

    @property
    def seconds(self) -> int:
        """Of the window that it is taken over; 0: of none."""
        return self.measured.over.microseconds // 1_000_000 if self.measured.over else 0

    @property
    def way(self) -> Way:
        """How it is read."""
        if self.measured.per == "person":
            return "per_person"
        if self.running:
            return "running"
        return "people" if self.measured.measure == "unique" and self.measured.over else "plain"

    @property
    def zero_when_empty(self) -> bool:
        """Whether a period without events has 0 and not nothing."""
        return self.measured.measure in ZERO_WHEN_EMPTY


@dataclass(frozen=True)
class Side:
    """The range, or the one to compare it with. `starts`: of the periods that are reckoned; the last `shown` of them are in the answer."""

    span: TimeRange
    starts: list[datetime]
    shown: int

    @cached_property
    def marks(self) -> list[float]:
        """The starts as the engine gives them."""
        return [start.timestamp() for start in self.starts]

    @cached_property
    def days(self) -> list[float]:
        """The starts as the local dates that they are, in seconds, as if no clock ever changed."""
        return [float((start.date() - _EPOCH).days * _DAY) for start in self.starts]

    def since(self, back: int) -> TimeRange:
        """All that is shown and `back` periods before."""
        first = self.starts[len(self.starts) - self.shown - back] if back else self.span.start
        return TimeRange(first.astimezone(UTC), self.span.end, self.span.zone)


@dataclass(frozen=True)
class Block:
    """Parts, by their places, that are read in one scan of each side. `spans`: what of each side is read."""

    way: Way
    places: list[int]
    spans: list[TimeRange]


def lettered(lines: Sequence[Measured]) -> dict[str, Measured]:
    """The lines that stand by themselves, under the letters that formulas know them by."""
    return dict(zip(ascii_uppercase, (line for line in lines if line.of or not line.formula), strict=False))


class Plan:
    """Of one question, by itself and its times."""

    def __init__(self, question: Trend, scope: Scope) -> None:
        """Raises `invalid` where there would be too many periods, or a window does not fit them."""
        self.question = question
        self.scope = scope
        self.total = question.interval == "total"
        self.by_day = question.interval == "day"
        self.lines = question.lines
        self.letters = lettered(self.lines)
        self.parts: list[Part] = []
        self._places: dict[tuple[int, bool], int] = {}
        for line in self.lines:
            if not line.hidden:  # else it is read for what names it
                self.of_line(line)
        self._smooth = (question.moving_average or 1) - 1
        back = self._smooth + max((self._window_periods(part) for part in self.parts), default=0)
        self.sides = [self._side(span, back) for span in self._spans()]
        self.blocks = self._blocks()

    # ------------------------------------------------------------------ the parts

    def place(self, measured: Measured, *, shown: bool = False) -> int:
        """Where in `parts` that is which is read for a line, or for a part of a formula (which cumulates as a whole, not part by part)."""
        key = (id(measured), shown)
        if key not in self._places:
            part = self._part(measured, shown=shown)
            if part not in self.parts:
                self.parts.append(part)
            self._places[key] = self.parts.index(part)
        return self._places[key]

    def _part(self, measured: Measured, *, shown: bool) -> Part:
        over = measured.over if self.total or self.question.interval in ("minute", "hour", "day") else None
        told = {name: getattr(measured, name) for name in Measured.model_fields} | {"name": "", "metric": None, "over": over}
        return Part(Measured.model_construct(**told), shown and self.running and measured.measure == "unique")

    @property
    def running(self) -> bool:
        """Whether lines run up over the range."""
        return self.question.cumulative and not self.total

    def needed(self, line: Measured) -> Mapping[str, Measured]:
        """What the formula of a line may name."""
        return line.of or self.letters

    def first(self) -> Part:
        """The part by which the values of a breakdown are ranked: of the first line that is no formula, else of a formula."""
        plain = next((line for line in self.lines if not line.formula), None)
        return self._part(plain, shown=not plain.hidden) if plain else self.parts[0]

    def of_line(self, line: Measured) -> list[int]:
        """Places of all parts that a shown line is made of."""
        if not line.formula:
            return [self.place(line, shown=True)]
        return list(dict.fromkeys(self.place(inner) for inner in self._inner(line)))

    def _inner(self, line: Measured) -> list[Measured]:
        """The parts of a formula that are no formulas, in the order of their names."""
        needed = self.needed(line)
        found: list[Measured] = []
        for name in sorted(formula.parse(line.formula).names):
            found += self._inner(needed[name]) if needed[name].formula else [needed[name]]
        return found

    # ------------------------------------------------------------------ the times

    def _spans(self) -> list[TimeRange]:
        """The range in whole periods, and the one to compare it with."""
        question, scope = self.question, self.scope
        span = scope.range
        if question.interval != "total":
            span = times.whole(scope.range, question.interval, week_start=scope.week_start)
            _refuse_too_fine(question.interval, span)
        if question.compare is None:
            return [span]
        zone = times.zone_of(span.zone)
        unit, count = _SHIFT.get(question.compare, ""), 1
        if not unit:
            unit, count = self._own_length(span)
        start, end = (times.shift(moment.astimezone(zone), unit, -count).astimezone(UTC) for moment in (span.start, span.end))
        earlier = TimeRange(start, end, span.zone)
        if question.interval == "total":
            return [span, earlier]
        return [span, times.whole(earlier, question.interval, week_start=scope.week_start)]

    def _own_length(self, span: TimeRange) -> tuple[str, int]:
        """How far back the range before lies: as many periods as the range has, so that a day begun is compared with the same hours."""
        interval = self.question.interval
        if interval != "total":
            return interval, len(times.periods(span, interval, week_start=self.scope.week_start))
        days = span.length.total_seconds() / _DAY
        return ("day", math.ceil(days)) if days >= 1 else ("minute", math.ceil(days * 1440))

    def _side(self, span: TimeRange, back: int) -> Side:
        interval = self.question.interval
        if interval == "total":
            return Side(span, [span.start], 1)
        starts = times.periods(span, interval, week_start=self.scope.week_start)
        if not back:
            return Side(span, starts, len(starts))
        earlier = times.shift(starts[0], interval, -back).astimezone(UTC)
        wide = times.periods(TimeRange(earlier, span.end, span.zone), interval, week_start=self.scope.week_start)
        return Side(span, wide, len(starts))

    def _window_periods(self, part: Part) -> int:
        """How many periods before its own one a number looks back to."""
        interval = self.question.interval
        if not part.seconds or interval == "total":
            return 0
        count, rest = divmod(part.seconds, INTERVAL_SECONDS[interval])
        if rest or not count:
            raise invalid(
                f"{_words(part.measured.over)} is not a whole number of {interval}s.",
                place="series.over",
                way_out=f"Give whole {interval}s, or another interval.",
            )
        if count > _MOST_PERIODS_OF_A_WINDOW:
            raise invalid(
                f"{_words(part.measured.over)} has more than {_MOST_PERIODS_OF_A_WINDOW} {interval}s.",
                place="series.over",
                way_out="Choose a longer interval, or a shorter window.",
            )
        # Where clocks change by half an hour, one of the hours is half as long.
        return count - 1 if interval == "day" else count

    def window_of(self, part: Part, side: Side) -> TimeRange:
        """For one number over the whole range: what it is reckoned from."""
        over, span = part.measured.over, side.span
        if over is None:
            return span
        days, rest = divmod(part.seconds, _DAY)
        if rest or not days:
            return TimeRange(span.end - timedelta(microseconds=over.microseconds), span.end, span.zone)
        last = (span.end - timedelta(microseconds=1)).astimezone(times.zone_of(span.zone))
        return TimeRange(times.shift(times.floor(last, "day"), "day", 1 - days).astimezone(UTC), span.end, span.zone)

    # ----------------------------------------------------------------- the blocks

    def _blocks(self) -> list[Block]:
        found: dict[tuple[Way, int, tuple[TimeRange, ...]], list[int]] = {}
        for place, part in enumerate(self.parts):
            way: Way = "plain" if self.total and part.way == "people" else part.way
            back = self._smooth + max((self._window_periods(other) for other in self.parts if other.way == way), default=0)
            spans = (self.window_of(part, side) if self.total else side.since(back) for side in self.sides)
            found.setdefault((way, place if way == "running" else 0, tuple(spans)), []).append(place)
        return [Block(way, places, list(spans)) for (way, _, spans), places in found.items()]

    def widest(self) -> TimeRange:
        """All that is read of the range."""
        return min((block.spans[0] for block in self.blocks), key=lambda span: span.start)

    def behind(self, part: Part, period: int) -> TimeRange:
        """Of which time the number of a part is, in that period of those shown."""
        side = self.sides[0]
        if self.total:
            return self.window_of(part, side)
        at = len(side.starts) - side.shown + period
        since = at - self._smooth
        if part.seconds:
            keys = side.days if self.by_day else side.marks
            since = bisect_right(keys, keys[since] - part.seconds)
        if self.running:
            since = len(side.starts) - side.shown
        end = times.shift(side.starts[at], self.question.interval, 1).astimezone(UTC)
        return TimeRange(side.starts[since].astimezone(UTC), min(end, side.span.end), side.span.zone)


def _refuse_too_fine(interval: str, span: TimeRange) -> None:
    # A month is at least 28 days, so that this never counts too few.
    shortest = INTERVAL_SECONDS.get(interval, 28 * _DAY)
    if span.length.total_seconds() / shortest > MOST_PERIODS:
        raise invalid(f"The range has more than {MOST_PERIODS} periods.", place="interval", way_out="Choose a longer interval.")


def _words(window: Window | None) -> str:
    return f"{window.value:g} {window.unit}s" if window else ""
