"""From a request to a number that can be asked for: throughput, freshness, bytes on disk, a long soak."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from bench.report import Row
from bench.senders import HOLE, message
from bench.server import Server, send

_BASELINE = """
import sys, time
import clickhouse_connect
client = clickhouse_connect.get_client(interface="chdb", path=sys.argv[1])
client.command('''CREATE TABLE t (type LowCardinality(String), event LowCardinality(String), messageId String, userId String,
    anonymousId String, timestamp DateTime64(3), properties JSON, context JSON) ENGINE = MergeTree ORDER BY (event, userId, timestamp)''')
statement = f"INSERT INTO t SELECT * FROM file('{sys.argv[2]}', 'JSONEachRow') SETTINGS date_time_input_format = 'best_effort'"
took = []
for _ in range(5):
    client.command("TRUNCATE TABLE t")
    began = time.perf_counter()
    client.command(statement)
    took.append(time.perf_counter() - began)
print(sorted(took)[2])
"""


def own_insert(form: str, events: int = 300_000) -> float:
    """Events a second that the engine takes by itself: one INSERT of the same messages from a file, nothing else; the median of five."""
    dice = random.Random(1)
    now = datetime.now(UTC)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "messages.ndjson"
        with file.open("w") as out:
            for _ in range(events):
                line = json.dumps(message(dice, now, form), separators=(",", ":"))
                out.write(line.replace(HOLE, str(UUID(int=dice.getrandbits(128)))) + "\n")
        command = [sys.executable, "-c", _BASELINE, f"{folder}/store", str(file)]
        return events / float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def throughput(batch: int, seconds: float, connections: int, form: str) -> tuple[dict[str, float], float, float]:
    """Sends for so long; what was accepted, the seconds until all of it could be asked for, and bytes on disk."""
    with Server() as server:
        began = time.monotonic()
        sender = send(server.port, server.write_key, batch=batch, seconds=seconds, connections=connections, form=form)
        sent = json.loads(sender.communicate()[0])
        while server.count() < sent["accepted"]:
            time.sleep(0.05)
        took = time.monotonic() - began
        assert server.count() == sent["accepted"], "more events than were sent"
        assert all(row["gap"] == 0 for row in server.ledger()), "the ledger does not close"
        return sent, took, server.store_bytes() if batch == 500 else 0


def batches(seconds: float) -> Iterator[Row]:
    """Batches of 500 and 50 and single events, each beside the engine's own insert of the same messages."""
    alone = own_insert("server")
    yield Row("engine's own INSERT, a server SDK's messages", alone, "events/s")
    for size, connections, goal in ((500, 4, ">= 0.6 and >= 100 k"), (50, 8, ""), (1, 64, "")):
        sent, took, disk = throughput(size, seconds if size == 500 else min(seconds, 20), connections, "server")
        what = f"batches of {size}" if size > 1 else "single events"
        rate = sent["accepted"] / took
        yield Row(f"HTTP to queryable, {what}", rate, "events/s", rate / alone, "own INSERT", goal)
        if size == 1:
            yield Row("single events accepted", sent["accepted"] / sent["seconds"], "requests/s", goal=">= 10 k")
        if size == 500:
            yield Row("bytes on disk / bytes sent", disk / sent["bytes"], "ratio", disk / sent["bytes"], "bodies as sent", "<= 0.2")
    alone = own_insert("browser")
    yield Row("engine's own INSERT, a browser SDK's messages", alone, "events/s")
    sent, took, disk = throughput(500, min(seconds, 30), 4, "browser")
    yield Row(
        "HTTP to queryable, browser's messages in batches of 500",
        sent["accepted"] / took,
        "events/s",
        sent["accepted"] / took / alone,
        "own INSERT",
    )
    yield Row(
        "bytes on disk / bytes sent, browser's messages", disk / sent["bytes"], "ratio", disk / sent["bytes"], "bodies as sent", "<= 0.2"
    )


class Freshness(threading.Thread):
    """Looks again and again at how old the newest event is that can be asked for. A look reads the last minutes alone (`time_received`
    has an index), as its own time counts for the delay."""

    def __init__(self, server: Server, seconds: float) -> None:
        super().__init__()
        self._server, self._seconds = server, seconds
        self.delays: list[float] = []
        self.errors: list[str] = []

    def run(self) -> None:
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            try:
                rows = self._server.sql(
                    "SELECT toUnixTimestamp64Micro(max(time_received)) AS newest FROM events WHERE time_received > now() - 300"
                )
                self.delays.append(min(300.0, time.time() - int(rows[0]["newest"]) / 1e6))
            except (OSError, KeyError, ValueError) as error:
                self.errors.append(str(error))
            time.sleep(0.02)


def freshness(seconds: float, rate: float = 20_000) -> Iterator[Row]:
    """At a steady rate: how old the newest event is that can be asked for, looked at all the time. An upper bound of the delay of each."""
    with Server() as server:
        sender = send(server.port, server.write_key, batch=100, seconds=seconds + 3, rate=rate)
        time.sleep(2)
        looker = Freshness(server, seconds)
        looker.start()
        looker.join()
        sender.communicate()
        assert not looker.errors, looker.errors[:3]
        p99 = statistics.quantiles(looker.delays, n=100)[98]
        yield Row(f"freshness p99 at {rate / 1000:.0f} k events/s", p99, "s", p99 / 1.0, "1 s", "< 1 s")


QUESTIONS = (
    {
        "kind": "trend",
        "series": [{"event": "product_viewed", "measure": "unique"}],
        "interval": "minute",
        "last": "1 hour",
        "breakdown": ["category"],
    },
    {"kind": "funnel", "steps": ["product_viewed", "product_added", "checkout_started", "order_completed"], "last": "1 day"},
    {
        "kind": "retention",
        "start_event": "product_viewed",
        "return_event": "order_completed",
        "period": "hour",
        "intervals": 6,
        "last": "6 hours",
    },
    {
        "kind": "trend",
        "series": [{"event": "order_completed", "measure": "sum", "property": "price"}],
        "interval": "hour",
        "last": "1 day",
        "breakdown": ["@browser"],
    },
)


class Person(threading.Thread):
    """Asks heavy questions one after another."""

    def __init__(self, server: Server, number: int, seconds: float) -> None:
        super().__init__()
        self._server, self._number, self._end = server, number, time.monotonic() + seconds
        self.asked = 0
        self.errors: list[str] = []

    def run(self) -> None:
        while time.monotonic() < self._end:
            try:
                self._server.ask(QUESTIONS[(self._number + self.asked) % len(QUESTIONS)])
            except OSError as error:
                self.errors.append(str(error))
                time.sleep(0.2)
            self.asked += 1


def soak(seconds: float, rate: float = 20_000) -> Iterator[Row]:
    """A steady rate with four people asking: memory in the last third, freshness, parts, errors."""
    with Server() as server:
        sender = send(server.port, server.write_key, batch=100, seconds=seconds, rate=rate)
        people = [Person(server, number, seconds) for number in range(4)]
        looker = Freshness(server, seconds - 1)
        time.sleep(1)
        for thread in (*people, looker):
            thread.start()
        memory: list[tuple[float, int]] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            memory.append((time.monotonic(), server.resident()))
            time.sleep(5)
        for thread in (*people, looker):
            thread.join()
        sent = json.loads(sender.communicate()[0])
        parts = int(server.metric("almanac_store_parts"))
        late = [bytes_ for at, bytes_ in memory if at > end - seconds / 3]
        half = len(late) // 2 or 1
        growth = statistics.mean(late[half:]) / statistics.mean(late[:half])
        p99 = statistics.quantiles(looker.delays, n=100)[98]
        yield Row("soak: resident memory, most", max(bytes_ for _, bytes_ in memory) / 2**30, "GiB", goal="< 2")
        yield Row("soak: memory, last sixth beside the one before", growth, "ratio", growth, "flat = 1", "flat")
        yield Row("soak: freshness p99", p99, "s", p99 / 2, "2 s", "< 2 s")
        yield Row("soak: parts of the events table", parts, "parts", goal="bounded")
        yield Row("soak: events accepted", sent["accepted"] / sent["seconds"], "events/s")
        yield Row("soak: questions answered", sum(person.asked - len(person.errors) for person in people), "questions")
        yield Row("soak: errors", sent["refused"] + len(looker.errors) + sum(len(person.errors) for person in people), "errors", goal="0")
