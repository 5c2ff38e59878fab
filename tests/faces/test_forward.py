"""What collectors hand on to the process that answers questions, over real sockets: requests, and WebSockets byte for byte."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from almanac.adapters.http_server import HttpServer
from almanac.web import errors, forward
from almanac.web.forward import Forward, live_socket

ASK = b"GET /live HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n"
AGREED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"


class Behind:
    """The other process: an echo after an upgrade, and an answer that tells the request."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.written = 0
        self.open = 0
        self.flood = 0  # bytes to send after an upgrade

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"/slow" in head:
                await asyncio.sleep(1)
            if b"\r\nupgrade: websocket\r\n" in head and b"/live" in head:
                writer.write(AGREED + b"hello ")
                while self.written < self.flood:
                    writer.write(b"x" * 65536)
                    self.written += 65536
                    await writer.drain()
                while piece := await reader.read(65536):
                    if piece == b"end":
                        break
                    writer.write(piece)
                    await writer.drain()
                return
            length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")), 0)
            body = await reader.readexactly(length)
            self.requests.append(head + body)
            answer = json.dumps({"head": head.decode(), "length": len(body)}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


class Both:
    """A collector's server with `Forward` as its app, and what is behind it, in a thread of their own."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.behind = Behind()
        self._folder = folder
        self._alone = settings.pop("alone", False)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run(settings)))
        self._thread.start()
        assert self._ready.wait(5)

    async def _run(self, settings: dict[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        path = self._folder / "engine.sock"
        sockets = [] if self._alone else [path, live_socket(path)]
        behind = [await asyncio.start_unix_server(self.behind.serve, one) for one in sockets]
        self.forward = Forward(path, **settings)
        self.server = HttpServer(self.forward)
        await self.server.start("127.0.0.1", self.port)
        self._ready.set()
        await self._stop.wait()
        await self.server.stop(2)
        self.forward.close()
        for one in behind:
            one.close()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def connect(self, buffer: int = 0) -> socket.socket:
        made = socket.socket()
        made.settimeout(5)
        if buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.connect(("127.0.0.1", self.port))
        return made

    def say(self, sent: bytes) -> bytes:
        """All that comes until the connection ends."""
        with self.connect() as connection:
            connection.sendall(sent)
            return everything(connection)

    def until(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not what():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def everything(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(1 << 16):
        got += piece
    return got


def exactly(connection: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count:
        piece = connection.recv(min(1 << 16, count - len(got)))
        assert piece, f"it ended after {len(got)} bytes"
        got += piece
    return bytes(got)


def told(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), json.loads(body)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Callable[..., Both]]:
    made: list[Both] = []

    def start(**settings: Any) -> Both:
        made.append(Both(tmp_path, **settings))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def test_bytes_pass_both_ways_and_those_sent_ahead_too(both: Callable[..., Both]) -> None:
    with both().connect() as connection:
        connection.sendall(ASK + b"ahead ")
        assert exactly(connection, len(AGREED) + 12) == AGREED + b"hello ahead "
        for number in range(50):
            piece = bytes([number]) * (number * 1000 + 1)
            connection.sendall(piece)
            assert exactly(connection, len(piece)) == piece


def test_the_end_of_either_side_ends_the_other(both: Callable[..., Both]) -> None:
    server = both()
    with server.connect() as connection:
        connection.sendall(ASK)
        exactly(connection, len(AGREED) + 6)
        connection.sendall(b"end")
        assert everything(connection) == b""
    server.until(lambda: not server.behind.open)
    with server.connect() as connection:
        connection.sendall(ASK)
        exactly(connection, len(AGREED) + 6)
        server.until(lambda: server.behind.open == 1)
    server.until(lambda: not server.behind.open)
    assert server.server.tunnels == 0


def test_who_does_not_read_holds_up_the_other_side_and_no_memory(both: Callable[..., Both]) -> None:
    server = both()
    server.behind.flood = 24 << 20
    with server.connect(buffer=1 << 16) as connection:
        connection.sendall(ASK)
        time.sleep(0.5)
        assert 0 < server.behind.written < 12 << 20
        got = exactly(connection, len(AGREED) + 6 + server.behind.flood)
        assert got.endswith(b"x" * (24 << 20))
        connection.sendall(b"y" * 1000)
        assert exactly(connection, 1000) == b"y" * 1000


def test_a_refused_upgrade_is_a_request_like_others_and_the_last_one(both: Callable[..., Both]) -> None:
    server = both()
    answer = server.say(ASK.replace(b"/live", b"/other") + b"GET /smuggled HTTP/1.1\r\n\r\n")
    status, body = told(answer)
    assert (status, "upgrade" in body["head"]) == (200, False)
    assert not any(b"/smuggled" in request for request in server.behind.requests)


def test_an_upgrade_with_a_body_or_of_another_protocol_is_passed_over(both: Callable[..., Both]) -> None:
    server = both()
    for asked in (
        ASK.replace(b"upgrade: websocket", b"upgrade: h2c"),
        ASK.replace(b"\r\n\r\n", b"\r\ncontent-length: 2\r\n\r\nab"),
        ASK.replace(b"GET", b"POST"),
        ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ):
        with server.connect() as connection:
            connection.sendall(asked)
            assert b"HTTP/1.1 200" in connection.recv(1 << 16)


def test_while_nobody_is_behind_the_answer_says_so(both: Callable[..., Both]) -> None:
    status, body = told(both(alone=True).say(ASK))
    assert (status, body["error"]["code"]) == (503, "unavailable")


def test_live_connections_leave_room_for_senders_of_events(both: Callable[..., Both]) -> None:
    server = both()
    server.server.most_tunnels = 1
    with server.connect() as connection:
        connection.sendall(ASK)
        exactly(connection, len(AGREED))
        status, body = told(server.say(ASK))
        assert (status, body["error"]["retryable"]) == (503, True)
        assert told(server.say(b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n"))[0] == 200
    server.until(lambda: server.server.tunnels == 0)
    with server.connect() as connection:
        connection.sendall(ASK)
        assert exactly(connection, len(AGREED)) == AGREED


def test_stopping_waits_for_no_live_connection(both: Callable[..., Both]) -> None:
    server = both()
    with server.connect() as connection:
        connection.sendall(ASK)
        exactly(connection, len(AGREED) + 6)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1.5
        assert everything(connection) == b""


def test_a_flood_ahead_of_the_upgrade_is_cut(both: Callable[..., Both]) -> None:
    server = both()
    with server.connect() as connection:
        began = time.monotonic()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(ASK.replace(b"/live", b"/slow") + b"x" * (64 << 20))
        assert time.monotonic() - began < 0.9, "before the other side answers"


def test_a_sender_that_waits_to_be_asked_for_its_body_is_asked_here(both: Callable[..., Both]) -> None:
    server = both()
    with server.connect() as connection:
        connection.sendall(b"POST /ask HTTP/1.1\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: 3\r\n\r\n")
        assert exactly(connection, 25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        status, body = told(everything(connection))
    assert (status, body["length"], "expect" in body["head"]) == (200, 3, False)


def test_half_a_body_is_no_request(both: Callable[..., Both]) -> None:
    server = both()
    with server.connect() as connection:
        connection.sendall(b'POST /ask HTTP/1.1\r\ncontent-length: 100\r\n\r\n{"half":')
        time.sleep(0.05)
    assert told(server.say(b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n"))[0] == 200
    assert [request for request in server.behind.requests if b"/ask" in request] == []


def test_bodies_have_a_size_and_a_time(both: Callable[..., Both], monkeypatch: pytest.MonkeyPatch) -> None:
    assert forward.BODY_LIMIT == errors.BODY_LIMIT, "what one process takes the other hands on"
    server = both(body_limit=1000, body_seconds=0.3)
    assert told(server.say(b"POST /x HTTP/1.1\r\nconnection: close\r\ncontent-length: 1001\r\n\r\n" + b"x" * 1001))[0] == 413
    began = time.monotonic()
    with server.connect() as slow:
        slow.sendall(b"POST /x HTTP/1.1\r\ncontent-length: 100\r\n\r\n")
        for _ in range(5):  # a byte now and then keeps no connection
            slow.sendall(b"x")
            time.sleep(0.05)
        assert told(everything(slow))[0] == 408
    assert time.monotonic() - began < 3
    monkeypatch.setattr(forward, "MOST_BYTES", 1500)
    with server.connect() as first:
        first.sendall(b"POST /x HTTP/1.1\r\ncontent-length: 1000\r\n\r\n" + b"x" * 900)
        server.until(lambda: server.forward.held == 900)
        assert told(server.say(b"POST /x HTTP/1.1\r\nconnection: close\r\ncontent-length: 800\r\n\r\n" + b"x" * 800))[0] == 503
    server.until(lambda: server.forward.held == 0)
