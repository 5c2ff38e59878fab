"""Events on their way: a bounded queue in memory, behind it the spool if there is one, and the count of what became of each."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from . import spool
from .problems import Problems, Stats
from .spool import Batch

SPOOL_PAUSE: Final = 5.0  # seconds after which a disk that refused is tried again
LOOK_SECONDS: Final = 30.0  # how often is looked for batches of processes that are gone


@dataclass(frozen=True)
class Bounds:
    """How much may wait, and how much goes into one request."""

    queue_events: int
    queue_bytes: int
    batch_events: int
    batch_bytes: int
    spool_bytes: int
    flush_seconds: float


class Outbox:
    """Takes lines from any thread without waiting; one thread moves them to the spool, one takes batches out. `changed` guards everything.

    A batch stays where it is until it is finished, so that nothing is lost in between. Own events leave in the order in which they came.
    """

    def __init__(self, bounds: Bounds, folder: Path | None, problems: Problems) -> None:
        self._bounds = bounds
        self._folder = folder
        self._problems = problems
        self.fresh()

    def fresh(self) -> None:
        """Empties it for this process: at the start, and in a child after a fork, whose parent sends what was there."""
        self.changed = threading.Condition()
        self.closing = False
        self._ended = False
        self.spooling = self._folder is not None  # a thread moves events to the disk
        self.urges = 0  # how often somebody wanted everything out now
        self.taken = self.delivered = self.rejected = self.retries = 0
        self.dropped: Counter[str] = Counter()
        self._waiters: list[tuple[int, Future[bool]]] = []
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._in = self._out = 0  # own events that came in, and those whose fate is known
        self._clear = 0  # those whose batch is gone, too
        self._since = 0.0  # when the oldest of those in between came in, or the last batch left
        self._writing = self._flying = 0  # lines at the head of the queue that are on their way to the disk, to the server
        self._spool_at = 0.0  # the disk is not tried before
        self._size, self._sized_at = 0, float("-inf")  # bytes in the spool, and when that was looked up
        self._room: spool.Room | None = None
        self._found = spool.Found(self._folder) if self._folder is not None else None
        self._look_at = 0.0
        self._adopted = 0  # events of processes that are gone, in the batch at hand

    def forked(self) -> None:
        """In a child after a fork."""
        if self._room is not None:
            self._room.abandon()
        if self._found is not None:
            self._found.close()
        self.fresh()

    # ------------------------------------------------------------ any thread

    def put(self, line: bytes) -> str:
        """Takes an event; the reason when it cannot."""
        bounds = self._bounds
        with self.changed:
            self.taken += 1
            if self.closing or len(self._lines) >= bounds.queue_events or self._bytes + len(line) > bounds.queue_bytes:
                reason = "closed" if self.closing else "queue_full"
                self.dropped[reason] += 1
                return reason
            if self._in == self._out:
                self._since = time.monotonic()
            self._lines.append(line)
            self._bytes += len(line)
            self._in += 1
            if len(self._lines) in (1, bounds.batch_events):
                self.changed.notify_all()
        return ""

    def drop(self, reason: str, count: int = 1) -> None:
        """Counts events that were given and go no further."""
        with self.changed:
            self.taken += count
            self.dropped[reason] += count

    def flushed(self) -> Future[bool]:
        """Is done when the fate of all that came in until now is known."""
        future: Future[bool] = Future()
        with self.changed:
            if self._clear >= self._in:
                future.set_result(True)
            else:
                self._waiters.append((self._in, future))
                self.urge()
        return future

    def urge(self) -> None:
        """Everything out now."""
        with self.changed:
            self.urges += 1
            self.changed.notify_all()

    def stats(self, held: int) -> Stats:
        """The books. `held`: events that wait for consent, outside."""
        with self.changed:
            waiting = self._in - self._out + self._adopted
            return Stats(self.taken + held, self.delivered, self.rejected, dict(+self.dropped), waiting, held, self.retries)

    @property
    def waiting(self) -> int:
        """Own events whose fate is not known."""
        return self._in - self._out

    # ------------------------------------------------------------ the thread that writes to the spool

    def to_write(self, now: float) -> float | None:
        """Seconds until something can be written: 0 when it can, None when there is nothing."""
        if not self._lines or self._flying:
            return None
        return max(0.0, self._spool_at - now)

    def write(self) -> None:
        """Moves what is in memory to the disk. When that refuses, events stay where they are, and are sent from there."""
        with self.changed:
            lines = list(self._lines)
            self._writing = len(lines)
        done, trouble = 0, ""
        try:
            done = self._to_disk(lines)
        except OSError as error:
            trouble = str(error)
        with self.changed:
            for _ in range(done):
                self._bytes -= len(self._lines.popleft())
            self._writing = 0
            if done < len(lines):
                self._spool_at = time.monotonic() + SPOOL_PAUSE
            self.changed.notify_all()
        if done < len(lines):
            detail = f"Events stay in memory, because the spool cannot take them: {trouble or 'the disk is full'}."
            self._problems.tell("spool", detail, count=len(lines) - done, will_retry=True)

    def write_last(self) -> None:
        """At the end, when that thread is gone: what is still in memory, and not on its way."""
        with self.changed:
            self.spooling = False
            self.changed.notify_all()
            left = bool(self._lines) and not self._writing and not self._flying
        if left and self._folder is not None:
            self.write()

    def _to_disk(self, lines: list[bytes]) -> int:
        if self._folder is None:
            return 0
        bounds = self._bounds
        if time.monotonic() - self._sized_at > SPOOL_PAUSE:  # looking takes 10 ms when thousands of batches wait
            self._size, self._sized_at = spool.size_of(self._folder), time.monotonic()
        size = sum(map(len, lines)) + len(lines)
        if self._size + size > bounds.spool_bytes:
            raise OSError(f"it may hold {bounds.spool_bytes} bytes")
        self._size += size
        if self._room is None:
            self._room = spool.Room(self._folder, batch_events=bounds.batch_events, batch_bytes=bounds.batch_bytes)
        return self._room.add(lines)

    # ------------------------------------------------------------ the thread that sends

    def due(self, now: float) -> float:
        """Seconds until a batch is to be sent: 0 when there is one, infinity when nothing is to be expected."""
        wait = float("inf")
        if self._found is not None and not self.closing:
            wait = max(0.0, self._look_at - now)
        on_disk = self._room is not None and bool(self._room.batches)
        if on_disk or self._in_memory(now):
            if self.closing or self._waiters or self._full():
                return 0.0
            wait = min(wait, max(0.0, self._since + self._bounds.flush_seconds - now))
        return wait

    def _in_memory(self, now: float) -> bool:
        return bool(self._lines) and not self._writing and (not self.spooling or now < self._spool_at)

    def _full(self) -> bool:
        if self._room is not None and self._room.full_batch:
            return True
        return len(self._lines) >= self._bounds.batch_events or self._bytes >= self._bounds.batch_bytes

    def take(self) -> Batch | None:
        """The next batch; it stays where it is until it is finished. First those of this process, then those that others left behind."""
        if self._room is not None and (batch := self._room.first()) is not None:
            return batch
        with self.changed:
            if self._in_memory(time.monotonic()):
                lines: list[bytes] = []
                size = 0
                for line in islice(self._lines, self._bounds.batch_events):
                    size += len(line)
                    if lines and size > self._bounds.batch_bytes:
                        break
                    lines.append(line)
                self._flying = len(lines)
                return Batch(lines)
        if self._found is None or self.closing:
            return None
        batch = self._found.first()
        with self.changed:
            if batch is None:
                self._look_at = time.monotonic() + LOOK_SECONDS
            else:
                self._adopted = len(batch.lines)
                self.taken += self._adopted
        return batch

    def count(self, batch: Batch, *, delivered: int = 0, rejected: int = 0, reason: str = "", dropped: int = 0) -> None:
        """What became of some events of a batch. After the end it is too late to say so."""
        with self.changed:
            if self._ended:
                return
            self.delivered += delivered
            self.rejected += rejected
            if dropped:
                self.dropped[reason] += dropped
            settled = delivered + rejected + dropped
            if not batch.own:
                self._adopted -= settled
                return
            self._out += settled
            self._since = time.monotonic()

    def finish(self, batch: Batch) -> None:
        """The fate of all its events is known: it goes."""
        if batch.path is None:
            with self.changed:
                for _ in batch.lines:
                    self._bytes -= len(self._lines.popleft())
                self._flying = 0
                self.changed.notify_all()
        elif batch.own and self._room is not None:
            self._room.settled(batch)
        elif self._found is not None:
            self._found.settled(batch)
        with self.changed:
            self._clear = self._out
            done = [future for target, future in self._waiters if target <= self._clear]
            self._waiters = [waiter for waiter in self._waiters if waiter[0] > self._clear]
        for future in done:
            if not future.done():  # whoever waited may have stopped
                future.set_result(True)

    def end(self) -> int:
        """No more threads: what is on the disk stays there, what is in memory is lost. Answers how many were lost."""
        on_disk = 0 if self._room is None else self._room.waiting
        with self.changed:
            lost = max(0, self._in - self._out - on_disk)
            self.dropped["closed"] += lost
            self._out += lost
            self._clear = self._out
            self._ended = True
            waiters, self._waiters = self._waiters, []
        for _, future in waiters:
            if not future.done():
                future.set_result(False)
        if self._room is not None:
            self._room.close()
        if self._found is not None:
            self._found.close()
        return lost
