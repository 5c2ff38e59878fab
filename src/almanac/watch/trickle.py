"""The demo while it runs: some of the product's regulars are always there, so that what is live can be seen to live."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError
from almanac.ingest.generate import DEFAULT_SEED, Message, regulars
from almanac.ingest.generate_pack import load_pack
from almanac.watch.demo import BATCH, Sender

PACE: Final = 2.0  # events a second, on average
CROWD: Final = 4000  # events of one turn of the regulars: some 400 people, so that days with and without the demo look alike
_TICK: Final = 1.0  # seconds between two requests


def trickle(
    url: str, write_key: str, pack: str, *, since: datetime, turns: Iterator[int], stop: threading.Event, pace: float = PACE
) -> None:
    """Sends visits of the regulars of `pack` as they happen, `pace` events a second, until `stop` is set or `turns` end. They are other
    people than those of `run_demo`, and all of it happens from now on: what was planted up to `since` stays as it was.

    `turns`: numbers from 1 that never come again, nor after a restart; `since` is the same at each start. A server that is away for a while
    is waited for. Raises what it says otherwise, such as that the key is revoked."""
    generator = load_pack(pack).generator
    coming = (visit for turn in turns for visit in regulars(generator, seed=DEFAULT_SEED, now=since, events=CROWD, turn=turn))
    crowd, chance, encode = _Crowd(coming), random.Random(), msgspec.json.Encoder().encode
    with closing(Sender(url, write_key)) as sender:
        while not stop.wait(_TICK):
            happened = crowd.happened(datetime.now(UTC), wanted=round(chance.uniform(0, 2 * pace * _TICK)))
            if happened is None:
                return
            while happened and not stop.is_set():
                try:
                    sender.send([encode(message) for message in happened])
                    break
                except AlmanacError as error:
                    if not error.retryable:
                        raise


class _Crowd:
    """Who is there at the moment. Each visit keeps its own pauses; new ones begin whenever too little happens."""

    def __init__(self, coming: Iterator[list[Message]]) -> None:
        self._coming = coming
        self._next: list[tuple[datetime, int, Message]] = []
        self._left: dict[str, int] = {}  # of each device that is there: how many events its visit has left
        self._count = 0

    def happened(self, now: datetime, *, wanted: int) -> list[Message] | None:
        """What happened up to now and was not told yet, at most a batch; about `wanted` events. None when nobody comes any more."""
        told: list[Message] = []
        while self._next and self._next[0][0] <= now and len(told) < BATCH:
            told.append(self._take())
        for _ in range(wanted - len(told)):
            visit = next(self._coming, None)
            if visit is None:
                return told if told or self._next else None
            if visit[0]["anonymousId"] not in self._left:  # nobody is there twice at a time
                self._begin(visit, now)
                told.append(self._take())
        return told

    def _begin(self, visit: list[Message], now: datetime) -> None:
        planned = [datetime.fromisoformat(message["timestamp"]) for message in visit]
        for message, moment in zip(visit, planned, strict=True):
            self._count += 1
            heappush(self._next, (now + (moment - planned[0]), self._count, message))
        self._left[visit[0]["anonymousId"]] = len(visit)

    def _take(self) -> Message:
        moment, _, message = heappop(self._next)
        device = message["anonymousId"]
        self._left[device] -= 1
        if not self._left[device]:
            del self._left[device]
        return {**message, "timestamp": moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
