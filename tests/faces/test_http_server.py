"""The collectors' own HTTP server, spoken to over sockets as senders of all kinds do."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import unquote

import pytest
import uvloop

from almanac.adapters import http_server
from almanac.adapters.http_server import HEAD_LIMIT, MOST_HEADERS, MOST_WAITING, HttpServer


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Tells what it got; some paths misbehave."""
    body, pieces, more = b"", 0, True
    if scope["path"] == "/early":
        more = False
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            echo.gone += 1  # type: ignore[attr-defined]
            return
        body += message["body"]
        pieces += 1
        more = message["more_body"]
    if scope["path"] == "/fails":
        raise ValueError("as asked for")
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    told = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode("latin-1"), "length": len(body)}
    told |= {"raw": scope["raw_path"].decode(), "text": body[:100].decode("latin-1")}
    told["headers"] = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    answer = json.dumps(told).encode()
    if scope["path"].startswith("/stream"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for _ in range(int(scope["query_string"])):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            echo.streamed += 1  # type: ignore[attr-defined]
        if scope["path"] == "/stream/breaks":
            raise ValueError("as asked for")
        await send({"type": "http.response.body", "body": b""})
        return
    parting = [(b"connection", scope["query_string"])] if scope["path"] == "/parting" else []
    await send({"type": "http.response.start", "status": 204 if scope["path"] == "/nothing" else 200, "headers": parting})
    await send({"type": "http.response.body", "body": b"" if scope["path"] == "/nothing" else answer})


class Running:
    """The server in a thread of its own."""

    def __init__(self, **settings: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        echo.gone = echo.streamed = 0  # type: ignore[attr-defined]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run(settings)))
        self._thread.start()
        assert self._ready.wait(5)

    async def _run(self, settings: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = HttpServer(settings.pop("app", echo), **settings)
        self._stop = asyncio.Event()
        await self.server.start("127.0.0.1", self.port)
        self._ready.set()
        await self._stop.wait()
        await self.server.stop(2)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def say(self, *pieces: bytes, pause: float = 0.0, quiet: float = 0.2) -> bytes:
        """Sends these, and returns all that comes until the connection ends or nothing comes for a moment."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause)
            return _all(connection, quiet)


def _all(connection: socket.socket, quiet: float = 0.6) -> bytes:
    connection.settimeout(quiet)
    got = b""
    try:
        while piece := connection.recv(65536):
            got += piece
    except (TimeoutError, ConnectionResetError):
        pass
    return got


def _told(answer: bytes) -> list[dict[str, Any]]:
    """The bodies of the answers, in order."""
    decoder, found, rest = json.JSONDecoder(), [], answer.decode("latin-1")
    while (start := rest.find("{")) >= 0:
        value, end = decoder.raw_decode(rest[start:])
        found.append(value)
        rest = rest[start + end :]
    return found


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def start(**settings: Any) -> Running:
        made.append(Running(**settings))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def test_many_requests_on_one_connection(running: Callable[..., Running], stack: ExitStack) -> None:
    client = stack.enter_context(closing(HTTPConnection("127.0.0.1", running().port, timeout=5)))
    for number in range(3):
        client.request("POST", f"/a%20b/{number}?q=%C3%A4", body="é" * number, headers={"X-Name": "v"})
        answer = client.getresponse()
        told = json.load(answer)
        assert (told["path"], told["raw"], told["query"]) == (f"/a b/{number}", f"/a%20b/{number}", "q=%C3%A4")
        assert (told["length"], told["headers"]["x-name"]) == (number, "v")
        assert answer.headers["content-length"]
        assert answer.headers["date"].endswith("GMT")


def test_a_request_may_come_in_any_pieces(running: Callable[..., Running]) -> None:
    server = running()
    dice = random.Random(5)
    request = (
        b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;e=1\r\n world\r\n0\r\nhost: trailer\r\n\r\n"
    )
    for _ in range(20):
        cuts = sorted(dice.sample(range(1, len(request)), 4))
        pieces = [request[start:end] for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True)]
        with server.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.001)
            [told] = _told(_all(connection, 0.05))
        assert told["text"] == "hello world"
        assert told["headers"]["host"] == "h", "a trailer is no header"


def test_requests_sent_ahead_are_answered_in_order(running: Callable[..., Running]) -> None:
    requests = [b"POST /%b HTTP/1.1\r\ncontent-length: 2\r\n\r\n%02d" % (b"slow" if not n else b"x", n) for n in range(40)]
    told = _told(running().say(b"".join(requests), quiet=1))
    assert [int(one["text"]) for one in told] == list(range(40))


def test_a_flood_of_requests_sent_ahead_breaks_off(running: Callable[..., Running]) -> None:
    server = running()
    got = server.say(b"GET /slow HTTP/1.1\r\n\r\n" + b"GET /x HTTP/1.1\r\n\r\n" * (MOST_WAITING + 10))
    assert len(_told(got)) == 0
    assert len(_told(server.say(b"GET /x HTTP/1.1\r\n\r\n"))) == 1


def test_the_connection_ends_when_the_sender_says_so(running: Callable[..., Running]) -> None:
    server = running()
    for request in (b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n", b"GET /x HTTP/1.0\r\n\r\n"):
        with server.connect() as connection:
            connection.sendall(request)
            began = time.monotonic()
            got = _all(connection, 3)
        assert b"connection: close\r\n" in got
        assert time.monotonic() - began < 2


def test_the_connection_ends_when_the_app_says_so(running: Callable[..., Running]) -> None:
    paths = (b"/parting?keep-alive", b"/parting?close", b"/late")
    got = running().say(b"".join(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n" for path in paths))
    assert [told["path"] for told in _told(got)] == ["/parting", "/parting"]
    assert got.lower().count(b"\r\nconnection:") == got.count(b"\r\nconnection: close\r\n") == 1


def test_a_sender_may_stop_sending_and_wait(running: Callable[..., Running]) -> None:
    with running().connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert len(_told(_all(connection, 2))) == 1


def test_head_and_nothing_have_no_body(running: Callable[..., Running]) -> None:
    got = running().say(b"HEAD /x HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n")
    first, second, rest = got.split(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert second.startswith(b"HTTP/1.1 204 No Content")
    assert b"content-length" not in second
    assert rest == b""


def test_a_large_body_is_asked_for_and_taken(running: Callable[..., Running]) -> None:
    server = running()
    with server.connect() as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\ncontent-length: 8000000\r\nexpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"y" * 8_000_000)
        [told] = _told(_all(connection))
    assert told["length"] == 8_000_000


def test_an_answer_before_the_body_ends_the_connection(running: Callable[..., Running]) -> None:
    got = running().say(b"POST /early HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf")
    assert b"connection: close" in got
    assert len(_told(got)) == 1


def test_what_goes_away_is_told(running: Callable[..., Running]) -> None:
    server = running()
    with server.connect() as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf")
        time.sleep(0.1)
    until = time.monotonic() + 3
    while not echo.gone and time.monotonic() < until:  # type: ignore[attr-defined]
        time.sleep(0.01)
    assert echo.gone == 1  # type: ignore[attr-defined]


def test_an_answer_of_unknown_length_is_chunked_and_waits_for_its_reader(running: Callable[..., Running], stack: ExitStack) -> None:
    server = running()
    client = stack.enter_context(closing(HTTPConnection("127.0.0.1", server.port, timeout=5)))
    client.request("GET", "/stream?400")
    time.sleep(0.3)
    assert echo.streamed < 390, "the reader did not read yet"  # type: ignore[attr-defined]
    answer = client.getresponse()
    assert answer.headers["transfer-encoding"] == "chunked"
    assert len(answer.read()) == 400 * 65536
    client.request("GET", "/x")
    assert client.getresponse().status == 200
    assert b"transfer-encoding" not in server.say(b"GET /stream?1 HTTP/1.0\r\n\r\n")


def test_half_an_answer_does_not_pass_for_all_of_it(running: Callable[..., Running]) -> None:
    server = running()
    got = server.say(b"GET /stream/breaks?2 HTTP/1.1\r\n\r\n")
    assert not got.endswith(b"0\r\n\r\n")
    assert server.say(b"GET /fails HTTP/1.1\r\n\r\n") == b""
    assert len(_told(server.say(b"GET /x HTTP/1.1\r\n\r\n"))) == 1


@pytest.mark.parametrize("framing", [b"content-length: 3\r\n\r\nabc", b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"])
def test_an_offer_of_another_protocol_is_passed_over(running: Callable[..., Running], framing: bytes) -> None:
    offer = b"POST /x HTTP/1.1\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    server = running()
    for pieces in ([offer + framing], [offer, framing], [offer + framing[:-2], framing[-2:]]):
        [told] = _told(server.say(*pieces, pause=0.01))
        assert (told["path"], told["text"]) == ("/x", "abc")
    [told] = _told(server.say(b"GET /w HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"))
    assert told["path"] == "/w"


@pytest.mark.parametrize("sent", ["/pixel?name=Zoë&x=ü", '/pixel?data={"a":"é"}', "/ü?x"])
def test_text_that_nobody_escaped_is_taken(running: Callable[..., Running], sent: str) -> None:
    line = f"GET {sent} HTTP/1.1\r\nhost: h\r\n\r\n".encode()
    for pieces in ([line], [line[:14], line[14:]], [line[:5], line[5:]]):
        [told] = _told(running().say(*pieces, pause=0.02))
        assert unquote(told["raw"] + "?" + told["query"]) == sent


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /x HTTP/1.1\r\nbad name: x\r\n\r\n",
        b"POST /x HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /x HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        # Ways to let a proxy and us see different requests (HTTP request smuggling): whatever is not one plain framing is refused.
        b"POST /x HTTP/1.1\r\ncontent-length: 3, 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ncontent-length: +3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ncontent-length: 0x3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ncontent-length : 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ncontent-length:\r\n 3\r\n\r\nabc",
        b"POST /x HTTP/1.1\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nabc\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\ncontent-length: 3\n\nabc",
        b"GET /x HTTP/1.1\r\na: b\nc: d\r\n\r\n",
        b"GET /x HTTP/1.1\r\na: b\x00c\r\n\r\n",
        b"GET /x HTTP/1.1\r\n\x0bcontent-length: 5\r\n\r\n",
        b"GET /x HTTP/1.2\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(running: Callable[..., Running], sent: bytes) -> None:
    server = running()
    got = server.say(sent + b"GET /smuggled HTTP/1.1\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 Bad Request\r\n"), got
    assert len(_told(got)) == 1
    assert _told(got)[0]["error"]["code"] == "invalid"
    assert len(_told(server.say(b"GET /x HTTP/1.1\r\n\r\n"))) == 1


def test_heads_and_trailers_have_a_limit(running: Callable[..., Running]) -> None:
    server = running()
    long = b"x" * (HEAD_LIMIT - 1000)
    [told] = _told(server.say(b"GET /x?" + long + b" HTTP/1.1\r\n\r\n"))
    assert len(told["query"]) == len(long)
    assert server.say(b"GET /x?" + long + long + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    endless = b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: "
    with server.connect() as connection:
        connection.sendall(endless)
        time.sleep(0.1)
        try:
            for _ in range(40):
                connection.sendall(b"x" * 65536)
                time.sleep(0.005)
            cut = _all(connection) == b""
        except (ConnectionResetError, BrokenPipeError):
            cut = True
    assert cut
    assert echo.gone == 1  # type: ignore[attr-defined]


def test_slow_heads_and_idle_connections_end(running: Callable[..., Running]) -> None:
    server = running(head_seconds=0.2, idle_seconds=0.4)
    with server.connect() as slow, server.connect() as idle, server.connect() as busy:
        slow.sendall(b"GET /x HT")
        busy.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
        assert _all(slow, 2).startswith(b"HTTP/1.1 408 ")
        assert len(_told(busy.recv(65536))) == 1
        began = time.monotonic()
        assert _all(idle, 3) == b""
        assert time.monotonic() - began < 2


def test_last_bytes_that_nobody_takes_keep_no_connection(running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "STALL_SECONDS", 0.3)
    server = running(head_seconds=0.1)
    with server.connect() as connection:
        time.sleep(0.1)
        [one] = server.server.connections
        server.loop.call_soon_threadsafe(one.transport.set_write_buffer_limits, 1 << 30)  # it never counts as full
        connection.sendall(b"GET /stream?300 HTTP/1.1\r\nconnection: close\r\n\r\n")
        time.sleep(0.2)
        assert server.server.connections
        until = time.monotonic() + 5
        while server.server.connections:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_request_has_so_many_headers_and_no_more(running: Callable[..., Running]) -> None:
    server = running()
    for count, status in ((MOST_HEADERS, b"200"), (MOST_HEADERS + 1, b"431")):
        got = server.say(b"GET /x HTTP/1.1\r\n" + b"a: b\r\n" * count + b"\r\n")
        assert got.startswith(b"HTTP/1.1 " + status)


def test_too_many_connections_are_told_to_come_back(running: Callable[..., Running]) -> None:
    server = running()
    server.server.most_connections = 2
    with server.connect() as one, server.connect() as two:
        for connection in (one, two):
            connection.sendall(b"GET /x HTTP/1.1\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert server.say(b"").startswith(b"HTTP/1.1 503 ")
    time.sleep(0.1)
    assert server.say(b"GET /x HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_stopping_answers_what_is_under_way(running: Callable[..., Running]) -> None:
    server = running()
    with server.connect() as busy, server.connect() as idle:
        busy.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
        time.sleep(0.1)
        server.stop()
        assert len(_told(_all(busy))) == 1
        assert _all(idle) == b""
    with pytest.raises(ConnectionRefusedError):
        server.connect()
