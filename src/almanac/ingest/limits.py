"""How much may come in: events per second of a project, and requests under way in this process."""

from __future__ import annotations

import math
from typing import Final

from almanac.core.errors import limited, unavailable
from almanac.core.settings import MIB, Settings

BURST_SECONDS: Final = 10.0
MOST_REQUESTS: Final = 4096
MOST_PROJECTS: Final = 100_000


class Bucket:
    """A token bucket that may go into debt: what does not fit in a burst passes when the bucket is not empty, and is paid off after."""

    __slots__ = ("burst", "rate", "seen", "tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.seen = now

    def take(self, now: float, count: float = 1.0) -> bool:
        """False when it is empty; then nothing is taken."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self.seen) * self.rate)
        self.seen = max(now, self.seen)
        if self.tokens <= 0:
            return False
        self.tokens -= count
        return True

    def wait(self) -> float:
        """Seconds until something can be taken again."""
        return max(0.0, -self.tokens) / self.rate


class Quotas:
    """Events per second of each project, shared evenly by `workers` processes."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self._default = settings.quota
        self._workers = max(1, workers)
        self._buckets: dict[str, Bucket] = {}

    def take(self, project: str, quota: int, count: int, now: float) -> None:
        """Raises `limited`, with the seconds after which to come back, when the project is over its quota."""
        quota = quota or self._default
        if not quota or not count:
            return
        rate = quota / self._workers
        bucket = self._buckets.get(project)
        if bucket is None or bucket.rate != rate:
            if len(self._buckets) >= MOST_PROJECTS:
                self._buckets.clear()
            bucket = self._buckets[project] = Bucket(rate, rate * BURST_SECONDS, now)
        if not bucket.take(now, count):
            seconds = max(1, math.ceil(bucket.wait()))
            raise limited(
                f"The project is over its quota of {quota} events per second.",
                way_out=f"Come back in {seconds} s, or raise the project's quota.",
                retry_after=seconds,
            )


class Gate:
    """Requests and bytes of bodies under way. Beyond the bounds senders are told to come back, before memory runs out."""

    def __init__(self, settings: Settings, *, most_requests: int = MOST_REQUESTS) -> None:
        self.requests = 0
        self.bytes = 0
        self.closed = False
        self._most_requests = most_requests
        self._most_bytes = max(64 * MIB, 3 * settings.body_limit)

    def enter(self) -> Stay:
        """Raises `unavailable` when there is no room, or when the process is about to end."""
        if self.closed:
            raise unavailable("The collector is about to stop.", way_out="Send again; another process takes over.", retry_after=1)
        if self.requests >= self._most_requests:
            raise unavailable("Too many requests are under way.", way_out="Send again in a moment, or add collectors.")
        self.requests += 1
        return Stay(self)

    def hold(self, count: int) -> None:
        """Counts `count` more bytes. Raises `unavailable` when there is no room; then they are not counted."""
        if self.bytes and self.bytes + count > self._most_bytes:
            raise unavailable("Too many bytes are under way.", way_out="Send again in a moment, or add collectors.")
        self.bytes += count


class Stay:
    """One request that is under way, and the bytes that it holds."""

    __slots__ = ("_gate", "_held")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held = 0

    def hold(self, count: int) -> None:
        """Takes `count` more bytes. Raises `unavailable`."""
        self._gate.hold(count)
        self._held += count

    def leave(self) -> None:
        """The request is over and gives back what it held."""
        self._gate.requests -= 1
        self._gate.bytes -= self._held
