"""For each protocol, a file of its name that writes a hundred acts of a shop as its SDK sends them.

To add one: `NAME.py` with `requests(key, acts)`, which gives the requests that the SDK would make of them (one, unless the protocol
limits how many events a request may bring). An act is a dict with `event`, `user`, `id` (a UUID), `time` (a datetime) and `properties`;
each has to become one event. `python -m bench protocols` measures it, and a test sends it to a collector.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from bench.senders import message

Act = Mapping[str, Any]
ACTS: Final = 100


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path` with its query."""

    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"

    def as_bytes(self) -> bytes:
        """On the wire."""
        lines = {"host": "localhost", **self.headers, "content-length": str(len(self.body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{head}\r\n".encode() + self.body


def acts(count: int = ACTS, seed: int = 1) -> list[Act]:
    """What happens in the shop; the same for all protocols. Each person acts 25 times in a row, the most that GA4 takes in a request."""
    dice = random.Random(seed)
    now = datetime.now(UTC)
    found = []
    for number in range(count):
        told = message(dice, now)
        when = now - timedelta(milliseconds=10 * (count - number))
        id_ = uuid.UUID(int=dice.getrandbits(128), version=4)
        user = f"user-{seed * 1000 + number // 25}"
        found.append({"event": told["event"], "user": user, "id": str(id_), "time": when, "properties": told["properties"]})
    return found


def stamp(time: datetime) -> str:
    """As most SDKs write a time."""
    return time.isoformat(timespec="milliseconds")


@cache
def bodies() -> dict[str, Callable[[str, Sequence[Act]], list[Request]]]:
    """How each protocol writes acts, by its name."""
    return {module.name: importlib.import_module(f"{__name__}.{module.name}").requests for module in pkgutil.iter_modules(__path__)}
