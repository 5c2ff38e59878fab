"""Who wants to know that a project has new data is told, and nobody has to look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

Listener = Callable[[Collection[str]], None]


class Changes:
    """Threads may share it. Listeners are called in the thread that tells, and must return at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> None:
        """Calls `listener` with the ids of projects whenever their data changed in the store."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def tell(self, projects: Collection[str]) -> None:
        """What questions read of these projects may be another now."""
        for listener in self._listeners:
            listener(projects)
