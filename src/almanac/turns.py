"""Whose question runs next: so many at once, shared fairly between projects, so that one project's load is not the others' wait."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from almanac.core.errors import limited

_numbers = count()


@dataclass(eq=False)
class _Waiting:
    project: str
    number: int = field(default_factory=lambda: next(_numbers))
    called: threading.Event = field(default_factory=threading.Event)


class Turns:
    """Hands out `slots` turns. A free one goes to the project with the fewest running, among equals to the one that had its last turn the
    longest ago, and within a project to who came first. Threads may share it."""

    def __init__(self, slots: int, *, per_project: int, seconds: float, waiting_per_project: int) -> None:
        """`per_project`: turns that one project may hold at once. `seconds`: longest wait. `waiting_per_project`: how many may wait."""
        self._slots = slots
        self._per_project = min(per_project, slots)
        self._seconds = seconds
        self._most_waiting = waiting_per_project
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()
        self._waiting: list[_Waiting] = []
        self._last: dict[str, int] = {}  # the number of the turn that a project had last

    @contextmanager
    def of(self, project: str) -> Iterator[float]:
        """A turn of that project; yields the seconds that it waited. Raises `limited` when none came in time, or too many wait already."""
        began = time.monotonic()
        me = _Waiting(project)
        with self._lock:
            before = sum(1 for other in self._waiting if other.project == project)
            if before >= self._most_waiting:
                raise limited(f"{before} questions of this project wait already.", way_out="Ask again in a moment.", retry_after=5)
            self._waiting.append(me)
            self._call()
        if not me.called.wait(self._seconds):
            self._give_up(me)
        try:
            yield time.monotonic() - began
        finally:
            with self._lock:
                self._running[project] -= 1
                self._call()

    def state(self) -> dict[str, int]:
        """For metrics: how many run and wait."""
        with self._lock:
            return {"running": self._running.total(), "waiting": len(self._waiting)}

    def _give_up(self, me: _Waiting) -> None:
        with self._lock:
            if me.called.is_set():  # in this very moment
                return
            self._waiting.remove(me)
            mine, all_ = self._running[me.project], self._running.total()
        whose = f"{mine} other questions of this project" if mine >= self._per_project else f"{all_} other questions"
        raise limited(f"{whose} are running, and none ended within {self._seconds:g} s.", way_out="Ask again in a moment.", retry_after=5)

    def _call(self) -> None:
        """Calls all who may run now. The lock is held."""
        while self._running.total() < self._slots:
            free = [one for one in self._waiting if self._running[one.project] < self._per_project]
            if not free:
                return
            chosen = min(free, key=lambda one: (self._running[one.project], self._last.get(one.project, -1), one.number))
            self._last[chosen.project] = next(_numbers)
            self._waiting.remove(chosen)
            self._running[chosen.project] += 1
            chosen.called.set()
