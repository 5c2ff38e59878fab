"""Many who want the same thing at once wait for one who gets it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from almanac.core.answer import Answer
from almanac.stops import Stop, stopped


class Ticket(Stop):
    """Of one who asks. `work`: what is under way for him, maybe for others as well; None while nothing is."""

    def __init__(self) -> None:
        super().__init__()
        self.work: Stop | None = None


@dataclass(eq=False)
class _Flight:
    answer: Future[Answer] = field(default_factory=Future[Answer])
    stop: Stop = field(default_factory=Stop)  # of the work, for all who wait
    waiting: int = 0


class Flights:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[str, _Flight] = {}

    def share(self, key: str, work: Callable[[Stop], Answer], *, ticket: Ticket | None = None) -> Answer:
        """What `work` returns or raises, or what it did for another thread that is at it under the same key.

        Who has a `ticket` may be told to stop, and raises `conflict` then; the work goes on for the others, in a thread of its own, and is
        told to stop when nobody waits for it any more."""
        with self._lock:
            flight = self._under_way.get(key)
            first = flight is None
            if flight is None:
                flight = self._under_way[key] = _Flight()
            flight.waiting += 1
        if ticket is None:
            if first:
                self._work(key, flight, work)
            return flight.answer.result()
        ticket.work = flight.stop
        if first:
            Thread(target=self._work, args=(key, flight, work), daemon=True).start()
        return self._wait(key, flight, ticket)

    def _work(self, key: str, flight: _Flight, work: Callable[[Stop], Answer]) -> None:
        try:
            flight.answer.set_result(work(flight.stop))
        except BaseException as error:
            flight.answer.set_exception(error)
        finally:
            with self._lock:
                self._forget(key, flight)

    def _wait(self, key: str, flight: _Flight, ticket: Ticket) -> Answer:
        news = Event()
        flight.answer.add_done_callback(lambda _: news.set())
        with ticket.heard(news.set):
            news.wait()
        if flight.answer.done():
            return flight.answer.result()
        with self._lock:
            flight.waiting -= 1
            nobody = not flight.waiting
            if nobody:
                self._forget(key, flight)  # who asks from now on has it done anew
        if nobody:
            flight.stop.tell()
        raise stopped()

    def _forget(self, key: str, flight: _Flight) -> None:
        """The lock is held."""
        if self._under_way.get(key) is flight:
            del self._under_way[key]
