"""A cache of answers in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

_OVERHEAD: Final = 200  # bytes that an entry costs beside its key and value


class MemoryCache:
    """Holds up to `max_bytes`; what was not asked for the longest goes first. Threads may share it. `clock` tells seconds."""

    def __init__(self, max_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that it holds now."""
        return self._size

    def get(self, key: str) -> bytes | None:
        """As the port says."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            value, until = entry
            if self._clock() >= until:
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return value

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """As the port says. A value that does not fit at all is not kept."""
        with self._lock:
            self._drop(key)
            cost = _cost(key, value)
            if seconds <= 0 or cost > self._max_bytes:
                return
            while self._size + cost > self._max_bytes:
                self._drop(next(iter(self._entries)))
            self._entries[key] = (value, self._clock() + seconds)
            self._size += cost

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self._size -= _cost(key, entry[0])


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + _OVERHEAD
