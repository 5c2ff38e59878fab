"""Whose question runs next: so many at once, shared fairly between projects, so that one project's load is not the others' wait."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from almanac.core.errors import limited
from almanac.stops import Stop

_numbers = count()


EXPRESS: Final = 2  # further turns, for short questions alone


@dataclass(eq=False)
class _Waiting:
    project: str
    short: bool = False
    number: int = field(default_factory=lambda: next(_numbers))
    news: threading.Event = field(default_factory=threading.Event)
    called: bool = False


class Turns:
    """Hands out `slots` turns. A free one goes to the project with the fewest running, among equals to the one that had its last turn the
    longest ago, and within a project to who came first. Short questions may have one of `EXPRESS` turns more, so that no long ones hold
    them up. Threads may share it."""

    def __init__(self, slots: int, *, per_project: int, seconds: float, waiting_per_project: int) -> None:
        """`per_project`: turns that one project may hold at once. `seconds`: longest wait. `waiting_per_project`: how many may wait."""
        self._slots = slots
        self._per_project = min(per_project, slots)
        self._seconds = seconds
        self._most_waiting = waiting_per_project
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._express: set[_Waiting] = set()  # those that run in a turn for short ones
        self._waiting: list[_Waiting] = []
        self._last: dict[str, int] = {}  # the number of the turn that a project had last

    @contextmanager
    def of(self, project: str, stop: Stop | None = None, *, short: bool = False) -> Iterator[float]:
        """A turn of that project; yields the seconds that it waited. Raises `limited` when none came in time, or too many wait already, and
        `conflict` when it was told to stop."""
        began = time.monotonic()
        me = _Waiting(project, short)
        with self._lock:
            before = sum(1 for other in self._waiting if other.project == project)
            if before >= self._most_waiting:
                raise limited(f"{before} questions of this project wait already.", way_out="Ask again in a moment.", retry_after=5)
            self._waiting.append(me)
            self._call()
        with (stop or Stop()).heard(me.news.set):
            me.news.wait(self._seconds)
        if not me.called:
            self._give_up(me, stop)
        try:
            yield time.monotonic() - began
        finally:
            with self._lock:
                self._running[project] -= 1
                self._express.discard(me)
                self._call()

    def state(self) -> dict[str, int]:
        """For metrics: how many run and wait."""
        with self._lock:
            return {"running": self._running.total(), "waiting": len(self._waiting)}

    def _give_up(self, me: _Waiting, stop: Stop | None) -> None:
        with self._lock:
            if me.called:  # in this very moment
                return
            self._waiting.remove(me)
            mine, all_ = self._running[me.project], self._running.total()
        if stop is not None:
            stop.check()
        whose = f"{mine} other questions of this project" if mine >= self._per_project else f"{all_} other questions"
        raise limited(f"{whose} are running, and none ended within {self._seconds:g} s.", way_out="Ask again in a moment.", retry_after=5)

    def _call(self) -> None:
        """Calls all who may run now. The lock is held."""
        while chosen := self._next():
            self._last[chosen.project] = next(_numbers)
            self._waiting.remove(chosen)
            self._running[chosen.project] += 1
            chosen.called = True
            chosen.news.set()

    def _next(self) -> _Waiting | None:
        """Who may run now. In a turn of its own a short one is no load that its project would be held back for."""
        if self._running.total() - len(self._express) < self._slots:
            plain = self._running - Counter(one.project for one in self._express)
            if free := [one for one in self._waiting if plain[one.project] < self._per_project]:
                return min(free, key=self._rank)
        if len(self._express) < EXPRESS and (short := [one for one in self._waiting if one.short]):
            chosen = min(short, key=self._rank)
            self._express.add(chosen)
            return chosen
        return None

    def _rank(self, one: _Waiting) -> tuple[int, int, int]:
        return self._running[one.project], self._last.get(one.project, -1), one.number
