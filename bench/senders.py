"""A load generator that costs little: prepared Segment batches in which only the message ids change, over raw sockets.

Run as a process of its own: `python -m bench.senders PORT KEY BATCH SECONDS CONNECTIONS RATE FORM`; prints one JSON line.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from datetime import UTC, datetime

import numpy as np

AGENTS = [
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{number}.0.0.0 Safari/537.36"
    for number in range(120, 140)
]
NAMES = ["product_viewed", "product_added", "checkout_started", "order_completed", "search", "page_viewed"]
HOLE = "########-####-####-####-############"
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

    def fresh(self) -> memoryview:
        """The request with new ids."""
        self.bytes[self._holes] = _DIGITS[self._dice.integers(0, 16, len(self._holes), dtype=np.uint8)]
        return memoryview(self.bytes)


class Sender(threading.Thread):
    """Sends batches over one connection, at most `rate` events a second (0: as fast as it goes)."""

    def __init__(self, port: int, key: str, size: int, seconds: float, rate: float, seed: int, form: str) -> None:
        super().__init__()
        self.accepted = self.refused = self.bytes = 0
        self.slowest = 0.0
        self._batches = [Batch(key, size, seed * 100 + number, form) for number in range(max(1, 2000 // size))]
        self._port, self._size, self._seconds, self._rate = port, size, seconds, rate

    def run(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        number = 0
        while (now := time.monotonic()) - began < self._seconds:
            if self._rate and number * self._size / self._rate > now - began:
                time.sleep(max(0.0, number * self._size / self._rate - (now - began)))
            batch = self._batches[number % len(self._batches)]
            sent = time.monotonic()
            connection.sendall(batch.fresh())
            answer = connection.recv(65536)
            self.slowest = max(self.slowest, time.monotonic() - sent)
            number += 1
            if answer.startswith(b"HTTP/1.1 200"):
                self.accepted += self._size
                self.bytes += batch.body_size
            else:
                self.refused += 1
                time.sleep(0.2)
        connection.close()


def main(port: int, key: str, size: int, seconds: float, connections: int, rate: float, form: str) -> None:
    """Prints what was accepted."""
    senders = [Sender(port, key, size, seconds, rate / connections, seed, form) for seed in range(connections)]
    began = time.monotonic()
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    print(
        json.dumps(
            {
                "accepted": sum(sender.accepted for sender in senders),
                "refused": sum(sender.refused for sender in senders),
                "bytes": sum(sender.bytes for sender in senders),
                "seconds": time.monotonic() - began,
                "slowest": max(sender.slowest for sender in senders),
            }
        )
    )


if __name__ == "__main__":
    port_, key_, size_, seconds_, connections_, rate_, form_ = sys.argv[1:]
    main(int(port_), key_, int(size_), float(seconds_), int(connections_), float(rate_), form_)
