"""Many who ask at once: REST with keep-alive connections, each asking one of a board's questions again and again.

Run as a process of its own: `python -m bench.clients PORT KEY PROJECT CLIENTS SECONDS`; prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from almanac.core.settings import load
from almanac.core.sql import Sql
from almanac.house import open_local
from bench.report import Row
from bench.server import Server

BOARD = [
    {"kind": "trend", "series": ["view"], "last": "30 days"},
    {"kind": "trend", "series": [{"event": "pay", "measure": "unique"}], "last": "12 weeks", "interval": "week"},
    {"kind": "trend", "series": [{"event": "pay", "measure": "sum", "property": "price"}], "last": "30 days", "breakdown": ["plan"]},
    {"kind": "funnel", "steps": ["view", "cart", "pay"], "last": "30 days"},
    {"kind": "retention", "start_event": "view", "return_event": "view", "period": "week", "intervals": 8, "last": "8 weeks"},
    {"kind": "lifecycle", "events": ["view"], "interval": "week", "last": "8 weeks"},
]

_FILL = """
INSERT INTO events (project, event, day, person_hash, time, id, distinct_id, time_received, properties)
SELECT
    'bench', ['view', 'cart', 'pay', 'search', 'login'][1 + rand(1) % 5] AS event, toDate(moment), cityHash64(distinct), moment,
    generateUUIDv4(), 'user-' || toString(rand(2) % 50000) AS distinct, moment,
    concat('{"plan":"', ['free', 'pro', 'team'][1 + rand(4) % 3], '","price":', toString(rand(5) % 1000 / 10), '}')
FROM (SELECT now64(6, 'UTC') - toIntervalSecond(rand(3) % 7776000) AS moment FROM numbers({rows:UInt64}))
"""

_HOURS = (
    "INSERT INTO events_per_hour (project, event, hour, count) SELECT project, event, toStartOfHour(time), count() FROM events GROUP BY ALL"
)


class Clients:
    """So many connections, each with one question under way at any time."""

    def __init__(self, port: int, key: str, project: str, clients: int, seconds: float) -> None:
        self._port, self._clients, self._seconds = port, clients, seconds
        self._requests = [
            f"POST /api/v1/projects/{project}/ask HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
            for body in map(json.dumps, BOARD)
        ]
        self.took: list[float] = []
        self.failed = 0

    async def run(self) -> None:
        end = time.monotonic() + self._seconds
        await asyncio.gather(*(self._one(number, end) for number in range(self._clients)))

    async def _one(self, number: int, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while time.monotonic() < end:
            began = time.monotonic()
            writer.write(self._requests[number % len(self._requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.took.append(time.monotonic() - began)
            self.failed += not head.startswith(b"HTTP/1.1 200")
            number += 1
        writer.close()


def clients(seconds: float, rows: int = 1_000_000) -> Iterator[Row]:
    """The answers of a board, asked by 100 and by 500 people at once, kept ones for the most part."""
    with Server() as server:
        server.stop()
        with open_local(load({"data": str(server.folder)})) as local:
            local.store.execute(Sql(_FILL, {"rows": rows}), settings={"max_threads": 1})
            local.store.execute(Sql(_HOURS))
        server.start()
        for question in BOARD:
            server.ask(question)
        for count in (100, 500):
            arguments = [str(server.port), server.api_key, server.project, str(count), str(seconds)]
            done = subprocess.run([sys.executable, "-m", "bench.clients", *arguments], stdout=subprocess.PIPE, text=True, check=True)
            told = json.loads(done.stdout)
            goal = "< 0.1 s" if count == 100 else "report"
            yield Row(f"kept answers by REST, {count} at once, p95", told["p95"], "s", told["p95"] / 0.1, "0.1 s", goal)
            yield Row(f"kept answers by REST, {count} at once", told["asked"] / told["seconds"], "answers/s")
            yield Row(f"kept answers by REST, {count} at once, failed", told["failed"], "answers", goal="0")


def main(port: int, key: str, project: str, count: int, seconds: float) -> None:
    """Prints what was answered, and how soon."""
    many = Clients(port, key, project, count, seconds)
    began = time.monotonic()
    asyncio.run(many.run())
    p95 = statistics.quantiles(many.took, n=20)[18]
    print(json.dumps({"asked": len(many.took), "failed": many.failed, "p95": p95, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    port_, key_, project_, count_, seconds_ = sys.argv[1:]
    main(int(port_), key_, project_, int(count_), float(seconds_))
