"""Live answers: a thousand subscribers of twenty questions while events come in, and what they cost the page's own questions.

An event's way is reckoned from the sender's request to the arrival of the first message whose receipt says that everything received until
then is in it (`watermark`). The subscribers are one process of raw sockets, on the same cores as all the rest.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

import uvloop

from bench.report import Row
from bench.server import Server, send

SUBSCRIBERS = 1000
CHANGES = 15  # whose pushes are reckoned
RATE = 5000
NAMES = ["product_viewed", "product_added", "checkout_started", "order_completed", "search"]


def twenty() -> list[dict[str, Any]]:
    """Twenty different questions, as boards have them."""
    found: list[dict[str, Any]] = []
    for name in NAMES:
        found.append({"kind": "trend", "series": [name], "interval": "hour", "last": "2 days"})
        found.append({"kind": "trend", "series": [{"event": name, "measure": "unique"}], "last": "7 days"})
        found.append({"kind": "trend", "series": [name], "breakdown": [{"property": "category", "limit": 5}], "last": "7 days"})
    funnel = {"kind": "funnel", "window": "1 day", "last": "7 days"}
    found.append({**funnel, "steps": ["product_viewed", "order_completed"]})
    found.append({**funnel, "steps": ["product_viewed", "product_added", "order_completed"]})
    found.append({"kind": "trend", "series": [{"event": "order_completed", "measure": "sum", "property": "price"}], "last": "7 days"})
    found.append({"kind": "trend", "series": ["product_viewed", "product_added"], "interval": "total", "last": "1 day"})
    found.append(
        {"kind": "retention", "start_event": "product_viewed", "return_event": "product_viewed", "period": "day", "last": "7 days"}
    )
    return found


class Subscriber(asyncio.Protocol):
    """One connection; it notes when a message came and until when its receipt reaches."""

    def __init__(self, port: int, key: str, project: str, question: Mapping[str, Any], came: list[tuple[float, float]]) -> None:
        asked = json.dumps({"type": "subscribe", "id": "q", "project": project, "question": question}).encode()
        head = f"GET /api/v1/live HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\nconnection: Upgrade\r\n"
        head += "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        self._hello = head.encode() + b"\x81\xfe" + len(asked).to_bytes(2, "big") + bytes(4) + asked  # masked with zeros
        self._came = came
        self._bytes = bytearray()
        self._open = False
        self.messages = 0
        self.size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        cast("asyncio.Transport", transport).write(self._hello)

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if not self._open:
            end = self._bytes.find(b"\r\n\r\n")
            if end < 0:
                return
            assert self._bytes.startswith(b"HTTP/1.1 101"), bytes(self._bytes[:200])
            del self._bytes[: end + 4]
            self._open = True
        while (end := self._frame()) is not None:
            start, stop = end
            message = bytes(self._bytes[start:stop])
            del self._bytes[:stop]
            self._note(message)

    def _frame(self) -> tuple[int, int] | None:
        if len(self._bytes) < 2:
            return None
        size, start = self._bytes[1] & 127, 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(self._bytes[2:start], "big")
        return (start, start + size) if len(self._bytes) >= start + size else None

    def _note(self, message: bytes) -> None:
        now = time.time()
        place = message.find(b'"watermark":"')
        if place > 0:
            self.messages += 1
            self.size += len(message)
            text = message[place + 13 : message.index(b'"', place + 13)].decode()
            self._came.append((now, datetime.fromisoformat(text).timestamp()))


async def subscribe(port: int, key: str, project: str, seconds: float, count: int, most: int) -> None:
    """The process of the subscribers: prints one JSON line."""
    loop = asyncio.get_running_loop()
    questions = twenty()[:most]
    came: list[list[tuple[float, float]]] = [[] for _ in range(count)]
    made: list[Subscriber] = []
    for number in range(count):
        one = Subscriber(port, key, project, questions[number % len(questions)], came[number])
        made.append(one)
        await loop.create_connection(lambda one=one: one, "127.0.0.1", port)
        if number % 50 == 49:
            await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        while not all(one.messages for one in made):
            await asyncio.sleep(0.1)
    print("ready", flush=True)
    began = time.time()
    await asyncio.sleep(seconds)
    late: list[float] = []
    for moments in came:
        late += ways([moment for moment in moments if moment[0] > began - 3], began, began + seconds - 4)
    late.sort()
    messages = sum(1 for moments in came for moment in moments if moment[0] >= began)
    told = {"p50": late[len(late) // 2], "p99": late[int(len(late) * 0.99)], "max": late[-1], "events": len(late)}
    print(json.dumps({**told, "messages": messages / seconds, "bytes": sum(one.size for one in made)}))


def ways(moments: list[tuple[float, float]], since: float, until: float) -> list[float]:
    """How long events took that came evenly in this time: each until the first message that reaches beyond it."""
    late, place = [], 0
    moment = since
    while moment < until:
        while place < len(moments) and moments[place][1] <= moment:
            place += 1
        if place == len(moments):
            late.append(time.time() - moment)  # nothing came of it
        else:
            late.append(moments[place][0] - moment)
        moment += 0.05
    return late


class Asker(threading.Thread):
    """Somebody at the page: one question after another."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.seconds: list[float] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopped.is_set():
            question = {"kind": "trend", "series": [NAMES[number % 5]], "last": f"{3 + number % 20} days", "interval": "day"}
            began = time.perf_counter()
            self._server.ask(question)
            self.seconds.append(time.perf_counter() - began)
            number += 1
            time.sleep(0.05)


def asking(server: Server, seconds: float) -> list[float]:
    """How long the page's questions take."""
    asker = Asker(server)
    asker.start()
    time.sleep(seconds)
    asker.stopped.set()
    asker.join(30)
    return asker.seconds


def live(seconds: float = 15) -> Iterator[Row]:
    """What a push costs; pushes under load; and the page's questions with and without the subscribers."""
    what = f"{SUBSCRIBERS:,} subscribers of 20 questions at {RATE:,} events/s"
    with Server() as server:
        # The same loads and looks in both, so that what is left is the pushes.
        (once, few), (more, many) = _pushing(server, 1), _pushing(server, SUBSCRIBERS)
        yield Row("live: CPU of a push, engine and collector", (more - once) / (many - few) * 1e6, "µs")
        sender = send(server.port, server.write_key, batch=50, seconds=3 * seconds + 60, connections=2, rate=RATE)
        time.sleep(3)
        alone = asking(server, seconds / 2)
        with _subscribers(server, seconds, SUBSCRIBERS) as subscribers:
            time.sleep(seconds / 4)
            together = asking(server, seconds / 2)
            said = _said(subscribers)
        sender.kill()
        sender.wait()
    yield Row(f"{what}: event to push, p50", said["p50"], "s")
    yield Row(f"{what}: event to push, p99", said["p99"], "s", None, "", "< 1")
    yield Row(f"{what}: messages", said["messages"], "1/s")
    ratio = statistics.median(together) / statistics.median(alone)
    yield Row(f"{what}: the page's questions", statistics.median(together), "s", ratio, "without them", "<= 2")


def _pushing(server: Server, count: int) -> tuple[float, float]:
    """CPU seconds of some single events that each change the answer of so many subscribers of one question, and the messages that came."""
    seconds = CHANGES * 0.6 + 3
    with _subscribers(server, seconds, count, questions=1) as subscribers:
        before = _cpu(server)
        for number in range(CHANGES):
            body = {"batch": [{"type": "track", "event": name, "userId": f"u{number}"} for name in NAMES], "writeKey": server.write_key}
            data = json.dumps(body).encode()
            with urllib.request.urlopen(urllib.request.Request(f"{server.url}/v1/batch", data, {"content-type": "application/json"})):
                time.sleep(0.6)
        time.sleep(1)
        after = _cpu(server)
        messages = _said(subscribers)["messages"] * seconds
    return after - before, messages


@contextmanager
def _subscribers(server: Server, seconds: float, count: int, questions: int = 20) -> Iterator[subprocess.Popen[str]]:
    """A process of so many, once all of them have their first answer."""
    command = [sys.executable, "-m", "bench.live", str(server.port), server.api_key, server.project, str(seconds)]
    command += [str(count), str(questions)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield process
        finally:
            process.kill()


def _said(process: subprocess.Popen[str]) -> dict[str, float]:
    assert process.stdout is not None
    return dict(json.loads(process.stdout.readline()))


def _cpu(server: Server) -> float:
    """Seconds of all processes of the server."""
    times: list[Any] = [process.cpu_times() for process in server.processes()]
    return float(sum(one.user + one.system for one in times))


if __name__ == "__main__":
    port_, key_, project_, seconds_, count_, most_ = sys.argv[1:]
    uvloop.run(subscribe(int(port_), key_, project_, float(seconds_), int(count_), int(most_)))
