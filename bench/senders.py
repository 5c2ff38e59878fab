"""A load generator that costs little: prepared Segment batches in which only the message ids change, over raw sockets.

Run as a process of its own: `python -m bench.senders PORT KEY BATCH SECONDS CONNECTIONS RATE FORM`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import cast

import numpy as np
import uvloop

AGENTS = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{number}.0.0.0 Safari/537.36"
    for number in range(120, 140)
]
NAMES = ["product_viewed", "product_added", "checkout_started", "order_completed", "search", "page_viewed"]
HOLE = "########-####-####-####-############"
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def message(dice: random.Random, now: datetime, form: str = "server") -> dict[str, object]:
    """One event of a shop, as analytics-python sends it (about 420 bytes), or with `form` browser as analytics.js does (about 760)."""
    user = dice.randrange(100_000)
    product = dice.randrange(5_000)
    said: dict[str, object] = {
        "type": "track",
        "event": dice.choice(NAMES),
        "messageId": HOLE,
        "userId": f"user-{user}",
        "timestamp": now.isoformat(timespec="milliseconds"),
        "integrations": {},
        "properties": {
            "product_id": f"sku-{product}",
            "price": round(dice.random() * 200, 2),
            "quantity": dice.randrange(1, 5),
            "currency": "EUR",
            "category": dice.choice(["shoes", "shirts", "hats", "bags"]),
            "logged_in": dice.random() < 0.5,
        },
        "context": {"library": {"name": "analytics-python", "version": "2.4.0"}},
    }
    if form == "server":
        return {**said, "anonymousId": None}
    url = f"https://shop.example.com/products/{product}?utm_source=google&utm_medium=cpc&utm_campaign=spring{dice.randrange(8)}"
    return {
        **said,
        "anonymousId": f"anon-{user}-{dice.randrange(3)}",
        "context": {
            "ip": f"10.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}",
            "userAgent": dice.choice(AGENTS),
            "locale": "de-DE",
            "timezone": "Europe/Berlin",
            "library": {"name": "analytics.js", "version": "next-1.84.3"},
            "page": {"url": url, "path": f"/products/{product}", "title": "A product", "referrer": "https://www.google.com/", "search": ""},
        },
    }


class Batch:
    """A prepared request whose message ids are new at each use."""

    def __init__(self, key: str, size: int, seed: int, form: str = "server") -> None:
        dice = random.Random(seed)
        now = datetime.now(UTC)
        body = json.dumps(
            {"batch": [message(dice, now, form) for _ in range(size)], "writeKey": key, "sentAt": now.isoformat()}, separators=(",", ":")
        )
        head = f"POST /v1/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.bytes = np.frombuffer((head + body).encode(), dtype=np.uint8).copy()
        self.body_size = len(body)
        self._holes = np.flatnonzero(self.bytes == ord("#"))
        self._dice = np.random.default_rng(time.time_ns() + seed)
        self._around = bytes(self.bytes).split(HOLE.encode())

    def fresh(self) -> memoryview:
        """The request with new ids."""
        if len(self._around) == 2:
            return memoryview(str(uuid.uuid4()).encode().join(self._around))
        self.bytes[self._holes] = _DIGITS[self._dice.integers(0, 16, len(self._holes), dtype=np.uint8)]
        return memoryview(self.bytes)


class Sender(asyncio.Protocol):
    """Sends batches over one connection, one after another, at most `rate` events a second (0: as fast as they are answered)."""

    def __init__(self, key: str, size: int, many: int, seconds: float, rate: float, seed: int, form: str) -> None:
        self.accepted = self.refused = self.bytes = 0
        self.slowest = 0.0
        self._batches = [Batch(key, size, seed * 100 + number, form) for number in range(many)]
        self._size, self._seconds, self._rate = size, seconds, rate
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._answer = b""
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._began = self._loop.time()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self) -> None:
        now = self._loop.time()
        if now - self._began >= self._seconds:
            self._transport.close()
            return
        due = self._began + self._number * self._size / self._rate if self._rate else now
        if due > now:
            self._loop.call_at(due, self._send)
            return
        self._batch = self._batches[self._number % len(self._batches)]
        self._number += 1
        self._sent = now
        self._transport.write(self._batch.fresh())

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0 or len(self._answer) < head + 4 + int(_LENGTH.findall(self._answer[:head])[0]):
            return
        self.slowest = max(self.slowest, self._loop.time() - self._sent)
        taken, self._answer = self._answer.startswith(b"HTTP/1.1 200"), b""
        if taken:
            self.accepted += self._size
            self.bytes += self._batch.body_size
            self._send()
        else:
            self.refused += 1
            self._loop.call_later(0.2, self._send)


async def main(port: int, key: str, size: int, seconds: float, connections: int, rate: float, form: str) -> None:
    """Prints what was accepted."""
    loop = asyncio.get_running_loop()
    many = max(4, 2000 // (size * connections))
    senders = [Sender(key, size, many, seconds, rate / connections, seed, form) for seed in range(connections)]
    began = loop.time()
    for sender in senders:
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)
    await asyncio.gather(*(sender.ended for sender in senders))
    print(
        json.dumps(
            {
                "accepted": sum(sender.accepted for sender in senders),
                "refused": sum(sender.refused for sender in senders),
                "bytes": sum(sender.bytes for sender in senders),
                "seconds": loop.time() - began,
                "slowest": max(sender.slowest for sender in senders),
            }
        )
    )


if __name__ == "__main__":
    port_, key_, size_, seconds_, connections_, rate_, form_ = sys.argv[1:]
    uvloop.run(main(int(port_), key_, int(size_), float(seconds_), int(connections_), float(rate_), form_))
