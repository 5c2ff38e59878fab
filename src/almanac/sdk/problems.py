"""What can go wrong on the way of an event, and the books of a client."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

log: Final = logging.getLogger("almanac.sdk")
QUIET_SECONDS: Final = 60.0  # the same trouble is told once in so long


@dataclass(frozen=True)
class Problem:
    """Something that `on_error` should know of.

    `reason`, a short stable word: queue_full, no_consent, too_large, refused, rejected, expired, spool_lost, closed and failed (these
    events are gone, or at the server's dead letters); unreachable, spool and argument (nothing is lost).
    """

    reason: str
    detail: str  # one sentence for a person
    count: int = 0  # events that it is about
    events: tuple[dict[str, Any], ...] = field(default=(), repr=False)  # as they were to be sent, where they are still known
    will_retry: bool = False


@dataclass(frozen=True)
class Stats:
    """The books: taken = delivered + rejected + dropped + waiting + held, of the events of this process and those that it found on the
    disk."""

    taken: int  # events given to the client, or found on the disk
    delivered: int  # acknowledged by the server, which has them on its disk
    rejected: int  # acknowledged too, but among the server's dead letters
    dropped: dict[str, int]  # lost on this side, by reason
    waiting: int  # in memory or on the disk
    held: int  # waiting for consent
    retries: int  # requests that were sent again


class Problems:
    """Tells `on_error` and the log, never more often than somebody can read, and never raises."""

    def __init__(self, on_error: Callable[[Problem], object] | None) -> None:
        self._on_error = on_error
        self._told: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def tell(
        self,
        reason: str,
        detail: str,
        *,
        count: int = 0,
        events: Sequence[dict[str, Any]] = (),
        will_retry: bool = False,
        quiet: bool = True,
    ) -> None:
        """Says it. `quiet`: the same reason only once a minute; events that were lost meanwhile are counted and said the next time."""
        now = time.monotonic()
        self._unsaid[reason] = count if will_retry else self._unsaid[reason] + count
        if quiet and now - self._told.get(reason, -QUIET_SECONDS) < QUIET_SECONDS:
            return
        self._told[reason] = now
        problem = Problem(reason, detail, self._unsaid.pop(reason, 0), tuple(events), will_retry)
        log.warning("%s: %s (%d events)", problem.reason, problem.detail, problem.count)
        if self._on_error is not None:
            try:
                self._on_error(problem)
            except Exception:
                log.exception("on_error raised")

    def over(self, reason: str) -> None:
        """It is well again: the next time is news."""
        self._told.pop(reason, None)
