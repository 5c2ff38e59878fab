"""What the catalog said last, for as long as nobody changed it: each question asks for its key and its project."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Final, TypeVar

T = TypeVar("T")

_MOST: Final = 10_000  # things that are remembered; then all are forgotten


class Memory:
    """Threads may share it. `state` tells another number whenever the database changed, and None where that cannot be known."""

    def __init__(self, state: Callable[[], int | None]) -> None:
        self._state = state
        self._lock = Lock()
        self._known: dict[Any, Any] = {}
        self._as_of: int | None = None

    def get(self, key: tuple[str, ...], read: Callable[[], T]) -> T:
        """What `read` said last, or says now. What it raises is not remembered."""
        state = self._state()
        if state is None:
            return read()
        with self._lock:
            if state != self._as_of or len(self._known) >= _MOST:
                self._known, self._as_of = {}, state
            if key in self._known:
                known: T = self._known[key]
                return known
        found = read()  # whatever was changed meanwhile has changed the state too
        with self._lock:
            if self._as_of == state:
                self._known[key] = found
        return found
