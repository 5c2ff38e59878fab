"""Many who want the same thing at once wait for one who gets it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

from almanac.core.answer import Answer


class Flights:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[str, Future[Answer]] = {}

    def share(self, key: str, work: Callable[[], Answer]) -> Answer:
        """What `work` returns or raises, or what it did for another thread that is at it under the same key."""
        with self._lock:
            flight = self._under_way.get(key)
            first = flight is None
            if flight is None:
                flight = self._under_way[key] = Future()
        if not first:
            return flight.result()
        try:
            flight.set_result(work())
        except BaseException as error:
            flight.set_exception(error)
        finally:
            with self._lock:
                del self._under_way[key]
        return flight.result()
