"""Ending what somebody no longer wants: a question in the queue, one that runs, one that waits for another's answer."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Final

from almanac.core.errors import AlmanacError, conflict
from almanac.core.ports import EventStore

_AGAIN: Final = 0.1  # seconds between two tries to end a statement


def stopped() -> AlmanacError:
    """What whoever asked is told. A conflict, neither `limited` nor `unavailable`: these say that the same may work later, and programs
    would ask again what somebody has just stopped."""
    return conflict("The question was stopped before it was answered.", way_out="Ask it again if it is still wanted.")


class Stop:
    """Told once, from any thread, that something is to end; everybody who listens hears it. `mark`: under what name the store knows the
    statement that runs for it; "" while none does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[object, Callable[[], object]] = {}
        self.told = False
        self.mark = ""

    def tell(self) -> None:
        """It is to end. May be repeated."""
        with self._lock:
            heard = [] if self.told else list(self._listeners.values())
            self.told = True
        for call in heard:
            call()

    @contextmanager
    def heard(self, call: Callable[[], object]) -> Iterator[None]:
        """Within, `call` is called when it is told, in the thread of whoever tells it; at once when it was told before."""
        key = object()
        with self._lock:
            self._listeners[key] = call
            late = self.told
        try:
            if late:
                call()
            yield
        finally:
            with self._lock:
                del self._listeners[key]

    def check(self) -> None:
        """Raises what `stopped` makes when it was told."""
        if self.told:
            raise stopped()


@contextmanager
def within_reach(store: EventStore, stop: Stop) -> Iterator[str]:
    """Yields a mark; the store's statement under it ends soon when `stop` is told, be it now, before it began, or before. Raises what
    `stopped` makes then, whatever the statement made of it."""
    stop.check()
    mark, over = uuid.uuid4().hex, threading.Event()
    try:
        stop.mark = mark
        with stop.heard(Thread(target=_end, args=(store, mark, over), daemon=True).start):
            yield mark
    except AlmanacError as error:
        if stop.told:
            raise stopped() from error
        raise
    finally:
        over.set()
        stop.mark = ""


def _end(store: EventStore, mark: str, over: threading.Event) -> None:
    """Again and again: the statement may not have begun yet."""
    while not over.is_set():
        with suppress(AlmanacError):
            store.stop(mark)
        over.wait(_AGAIN)
