"""The collectors' HTTP/1.1 server: an ASGI app on uvloop and httptools, in one thread.

A request of one event is little work, so what a server adds to it counts: one that reads sockets in another thread pays for two
hand-overs of the interpreter at each request (figures in docs/decisions). HTTP/2 is left to a proxy. Requests of a connection are served
one after another, in order. A WebSocket is not understood here: the app gets the means to tie its connection to another one (`TUNNEL`).
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import deque
from email.utils import formatdate
from pathlib import Path
from typing import Final, cast
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, parse_url

from almanac.adapters.http_request import BODY_BUFFER, STATUS, App, Message, Request
from almanac.core.errors import AlmanacError, invalid, unavailable

HEAD_LIMIT: Final = 1 << 20  # bytes; a whole payload may stand in the query of a GET
MOST_WAITING: Final = 256  # requests that a sender may send ahead of their answers
MOST_CONNECTIONS: Final = 8192
MOST_HEADERS: Final = 500  # of one request

TUNNEL: Final = "almanac.tunnel"  # the extension of the ASGI scope that holds a `Tunnel`, where the sender asks for a WebSocket
HELD_LIMIT: Final = 64 << 10  # bytes that a sender may send ahead of a tunnel

HEAD_SECONDS: Final = 30.0  # for a request's head
IDLE_SECONDS: Final = 75.0  # between requests: longer than the 60 s after which common proxies let go of a connection
STALL_SECONDS: Final = 90.0  # without a byte of a body, or of an answer taken
_SWEEP_SECONDS: Final = 5.0


class HttpServer:
    """Serves `app` on one address, which several processes may share."""

    def __init__(self, app: App, *, head_seconds: float = HEAD_SECONDS, idle_seconds: float = IDLE_SECONDS) -> None:
        self.app = app
        self.closing = False
        self.connections: set[_Connection] = set()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most_connections = min(MOST_CONNECTIONS, max(64, files - 256))
        self.most_tunnels = self.most_connections // 4  # each takes two files, and must leave room for senders of events
        self.tunnels = 0
        self._head_seconds = head_seconds
        self._idle_seconds = idle_seconds
        self._listener: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._second = 0
        self._date = b""

    async def start(self, host: str, port: int) -> None:
        """Listens. Raises OSError when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Connection(self, loop), host, port, backlog=2048, reuse_port=True)
        self._sweep(loop)

    async def start_unix(self, path: Path) -> None:
        """Listens on a socket of this machine. Raises OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_unix_server(lambda: _Connection(self, loop), str(path), backlog=2048)
        self._sweep(loop)

    async def stop(self, seconds: float) -> None:
        """Takes no more requests; those under way get so long to be answered."""
        self.closing = True
        if self._listener:
            self._listener.close()
        if self._timer:
            self._timer.cancel()
        for connection in tuple(self.connections):
            connection.close_if_idle()
        deadline = time.monotonic() + seconds
        while self.connections and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for connection in tuple(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # the loop closes their sockets

    def date(self) -> bytes:
        """Now, as answers say it."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, f"date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._date

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in tuple(self.connections):
            connection.check(now, self._head_seconds, self._idle_seconds)
        self._timer = loop.call_later(min(_SWEEP_SECONDS, self._head_seconds, self._idle_seconds), self._sweep, loop)


class Tunnel:
    """The way out of HTTP for a connection whose sender asked for a WebSocket."""

    def __init__(self, connection: _Connection, request: Request) -> None:
        self._connection = connection
        self._request = request
        self.ended: asyncio.Future[None] = connection.loop.create_future()

    def open(self, head: bytes, other: asyncio.Transport) -> asyncio.Transport | None:
        """Sends `head`, the answer, and hands on to `other` all that the sender sends from then on. Returns the sender's transport: what
        comes from the other side is to be written to it, and it is to be paused while `other` takes nothing. None when the sender is gone.
        The one that calls it waits for `ended`."""
        return self._connection.splice(self._request, head, other)


class _Connection(asyncio.Protocol):
    """One connection: `reading` is the request whose body comes in, `active` the one that the app has, `waiting` those after it."""

    transport: asyncio.Transport

    def __init__(self, server: HttpServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.writable: asyncio.Event | None = None  # there while the sender does not take what we write
        self.parser = HttpRequestParser(self)
        self.reading: Request | None = None
        self.active: Request | None = None
        self.waiting: deque[Request] = deque()
        self.peer: tuple[str, int] | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._codings: list[bytes] = []
        self._expects = False
        self._head_size = 0  # bytes of the head, or of anything but the body itself, since the last piece of a body
        self._first_line = True
        self._since = loop.time()  # when the head began, or the last request ended
        self._moved = self._since  # when bytes last went in or out
        self._paused = False
        self._ending = False  # nothing more is read
        self._resuming = False
        self._tunnel: Tunnel | None = None  # offered, or open when there is `_other`
        self._held = bytearray()  # what came after the request that asked for it
        self._other: asyncio.Transport | None = None

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = (str(peer[0]), int(peer[1])) if peer else None
        self.server.connections.add(self)
        if len(self.server.connections) > self.server.most_connections:
            self._refuse(unavailable("There are too many connections.", way_out="Come again in a moment.", retry_after=1))

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.connections.discard(self)
        self._ending = True
        for request in (self.reading, self.active, *self.waiting):
            if request is not None:
                request.lose()
        self.waiting.clear()
        if self._tunnel is not None:
            self.server.tunnels -= 1
            if not self._tunnel.ended.done():
                self._tunnel.ended.set_result(None)
            if self._other is not None:
                self._other.close()
        self.resume_writing()

    def eof_received(self) -> bool:
        """A sender may stop sending and wait for its answer; but not in a tunnel, where it has nothing to wait for."""
        self._ending = True
        if self._other is not None:
            return False
        if self.reading is not None:
            self.reading.lose()
        if self.active is not None:
            self.active.hush()
        return self.active is not None

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        self._moved = self.loop.time()
        if self._tunnel is not None:
            self._hand_on(data)
            return
        if self.reading is None:
            if not self._head_size:
                self._since = self._moved
                self._first_line = True
            if self._first_line:
                if not data.isascii():
                    data = _with_ascii_line(data)
                self._first_line = b"\n" not in data
        self._head_size += len(data)
        self._feed(data)
        if self._head_size > HEAD_LIMIT:
            self._refuse(invalid(f"The head of the request is larger than {HEAD_LIMIT} bytes.", status=431, way_out="Send it in a body."))

    def pause_writing(self) -> None:
        self.writable = asyncio.Event()
        self._moved = self.loop.time()
        if self._other is not None and not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if self.writable is not None:
            self.writable.set()
            self.writable = None
            if self._other is not None and not self._other.is_closing():
                self._other.resume_reading()

    # ------------------------------------------------------------ the parser's side

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._tunnel is not None and self.reading is not None:
                self._hold(self.reading, rest)
            else:
                self._stay(rest)
        except HttpParserError as error:
            if isinstance(error.__context__, _TooManyHeadersError):
                self._refuse(invalid(f"The request has more than {MOST_HEADERS} headers.", status=431, way_out="Send fewer."))
                return
            self._refuse(invalid(f"This is not a request of HTTP/1.1: {error}.", way_out="Mend the request."))

    def _stay(self, rest: bytes) -> None:
        """The sender offered another protocol, such as HTTP/2, which we pass over; the parser stopped before the body, which comes all the
        same (Java's HTTP client does that). Another parser reads it."""
        if self.reading is None:
            self._ending = True  # a tunnel was asked for; it gets an answer, and then the end
            return
        framing = [
            name + b": " + value for name, value in self.reading.scope["headers"] if name in (b"content-length", b"transfer-encoding")
        ]
        self.parser = HttpRequestParser(self)
        self._resuming = True
        self._feed(b"\r\n".join([b"POST / HTTP/1.1", *framing, b"\r\n"]) + rest)

    def on_message_begin(self) -> None:
        if not self._resuming:
            self._url, self._headers, self._codings, self._expects = b"", [], [], False

    def on_url(self, url: bytes) -> None:
        if not self._resuming:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.reading is None:  # else it is a trailer
            name = name.lower()
            if len(self._headers) >= MOST_HEADERS:
                raise _TooManyHeadersError
            self._headers.append((name, value))
            if name == b"expect":
                self._expects = value.lower() == b"100-continue"
            elif name == b"transfer-encoding":
                self._codings.append(value.strip().lower())

    def on_headers_complete(self) -> None:
        self._head_size = 0
        if self._resuming:
            self._resuming = False
            return
        if self._ending:  # what was sent ahead of a request that ended it
            return
        parser = self.parser
        method, version = parser.get_method().decode(), parser.get_http_version()
        # Other codings, and chunks in HTTP/1.0, pass the parser: a proxy before us might see another end of the body than we do.
        if self._codings and (self._codings != [b"chunked"] or version != "1.1"):
            self._refuse(invalid("The body can come with a content-length, or chunked in HTTP/1.1.", way_out="Mend the request."))
            return
        path, query = _target(self._url)
        text = path.decode("ascii")
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": version,
            "scheme": "http",
            "method": method,
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": self._headers,
            "client": self.peer,
        }
        keep = version == "1.1" and parser.should_keep_alive() and method != "CONNECT"
        request = self.reading = Request(self, scope, method, keep, self._expects)
        if self.active is None and version == "1.1" and parser.should_upgrade() and _asks_for_websocket(method, self._headers):
            if self.server.tunnels >= self.server.most_tunnels:
                self.reading = None
                self._refuse(unavailable("There are too many live connections.", way_out="Come again in a moment.", retry_after=5))
                return
            self.server.tunnels += 1
            self._tunnel = Tunnel(self, request)
            scope["extensions"] = {TUNNEL: self._tunnel}
        if self.active is None:
            self._begin(request)
        elif len(self.waiting) < MOST_WAITING:
            self.waiting.append(request)
            self.flow()
        else:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._head_size = 0
        request = self.reading
        if request is not None:
            request.pieces.append(body)
            request.size += len(body)
            request.wake()
            if request.size >= BODY_BUFFER:
                self.flow()

    def on_message_complete(self) -> None:
        request = self.reading
        if request is not None and not (self.parser.should_upgrade() and request.method != "CONNECT"):
            request.complete = True
            request.wake()
            self.reading = None
            self._head_size = 0

    # ----------------------------------------------------------------- a tunnel

    def _hold(self, request: Request, rest: bytes) -> None:
        """The request is complete; what follows is no HTTP. When no tunnel comes of it, the answer ends the connection, as nobody can tell
        what these bytes were meant to be."""
        request.complete, request.stays = True, False
        request.wake()
        self.reading = None
        self._head_size = 0
        self._hand_on(rest)

    def _hand_on(self, data: bytes) -> None:
        if self._other is not None:
            self._other.write(data)
            return
        self._held += data
        if len(self._held) > HELD_LIMIT:
            self.transport.abort()

    def splice(self, request: Request, head: bytes, other: asyncio.Transport) -> asyncio.Transport | None:
        """See `Tunnel.open`."""
        if self.transport.is_closing() or self._ending:
            return None
        request.ended = True
        self._other = other
        self.transport.write(head)
        other.write(bytes(self._held))
        self._held.clear()
        if self.writable is not None:
            other.pause_reading()
        return self.transport

    # ------------------------------------------------------------ the requests' side

    def _begin(self, request: Request) -> None:
        self.active = request
        request.task = self.loop.create_task(request.run())

    def done(self, request: Request) -> None:
        """The app is through with it."""
        self.active = None
        self._since = self.loop.time()
        if not request.ended:  # a part of an answer must not pass for all of it
            self.transport.abort()
        elif self.waiting and request.stays:
            self._begin(self.waiting.popleft())
            self.flow()
        elif not request.stays or self._ending or self.server.closing:
            self._ending = True
            self.transport.close()

    def flow(self) -> None:
        """Lets the sender wait while requests or a body do."""
        wait = bool(self.waiting) or (self.reading is not None and self.reading.size >= BODY_BUFFER)
        if wait != self._paused and not self.transport.is_closing():
            self._paused = wait
            (self.transport.pause_reading if wait else self.transport.resume_reading)()

    def close_if_idle(self) -> None:
        """Closes it between requests. A tunnel never is."""
        if self.active is None or self._other is not None:
            self._ending = True
            self.transport.close()

    def check(self, now: float, head_seconds: float, idle_seconds: float) -> None:
        """Ends it when its sender keeps us waiting."""
        if self.writable is not None or self.transport.is_closing():  # a few last bytes that nobody takes keep no connection either
            if now - self._moved > STALL_SECONDS:
                self.transport.abort()
        elif self.active is not None:
            if self.active is self.reading and self.active.awaited and now - self._moved > STALL_SECONDS:
                self.transport.abort()
        elif self._head_size:
            if now - self._since > head_seconds:
                self._refuse(invalid("The head of the request did not arrive in time.", status=408, way_out="Send it again."))
        elif now - self._since > idle_seconds:
            self.close_if_idle()

    def _refuse(self, error: AlmanacError) -> None:
        """Says why, unless earlier requests still await their answers, and reads no more."""
        if self._ending:
            return
        self._ending = True
        broken = self.reading
        if broken is not None:
            broken.lose()
        if self.active is None or (self.active is broken and broken.drop()):
            body = json.dumps(error.as_json()).encode()
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
            self.transport.write(STATUS[error.status] + head + self.server.date() + b"\r\n" + body)
            self.transport.close()


class _TooManyHeadersError(Exception):
    """Within the parser's callbacks, for `_feed`."""


def _asks_for_websocket(method: str, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether what follows the head is no HTTP any more if we agree: a GET without a body."""
    names = {name for name, _ in headers}
    offers = [value.strip().lower() for name, value in headers if name == b"upgrade"]
    return method == "GET" and offers == [b"websocket"] and not names & {b"content-length", b"transfer-encoding"}


def _with_ascii_line(data: bytes) -> bytes:
    """Text that stands unescaped in the request's first line, escaped: not allowed, and sent all the same."""
    end = data.find(b"\r\n")
    line = data[: end if end >= 0 else len(data)]
    if line.isascii():
        return data
    return b"".join(b"%%%02X" % byte if byte > 127 else bytes([byte]) for byte in line) + data[len(line) :]


def _target(url: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request's target. Raises HttpParserError."""
    if not url.startswith(b"/") and b"://" in url:
        parts = parse_url(url)
        return parts.path or b"/", parts.query or b""
    path, _, query = url.partition(b"?")
    return path, query
