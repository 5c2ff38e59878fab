"""Hands a request over to the process that answers questions, through its socket, and its answer back.

Collectors own the public port, so that collection goes on while the other process starts, restarts or is busy. One address is enough.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from almanac.adapters.http_server import TUNNEL, Tunnel
from almanac.core.errors import AlmanacError, invalid, unavailable
from almanac.core.settings import MIB

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"transfer-encoding",
        b"te",
        b"upgrade",
        b"proxy-authorization",
        b"content-length",
        b"expect",  # the body is here already; the other side would say 100 first
    }
)
_CHUNK: Final = 1 << 16

BODY_LIMIT: Final = 4 * MIB  # bytes; as much as the other process takes
MOST_BYTES: Final = 64 * MIB  # of all bodies that wait here: whoever sends them has shown no key yet
BODY_SECONDS: Final = 60.0  # for a whole body
_KEPT_SECONDS: Final = 2.0  # that a connection waits for its next request: less than the other side's patience
_MOST_KEPT: Final = 128
_LINGER: Final = 1.0  # seconds in which a sender that is silent may still get its answer
_SWITCH_SECONDS: Final = 10.0  # for the answer to an upgrade
_HEAD_LIMIT: Final = 64 << 10  # bytes of that answer


def reason_file(socket: Path) -> Path:
    """Where the process behind the socket says why it does not listen yet."""
    return socket.with_suffix(".reason")


def live_socket(socket: Path) -> Path:
    """Where that process takes WebSockets."""
    return socket.with_suffix(".live")


class Forward:
    """An ASGI app in front of a server on a Unix socket. HTTP/1.1; bodies are streamed back. A WebSocket is tied
    to one at the socket beside it, byte for byte."""

    def __init__(self, socket: Path, *, body_limit: int = BODY_LIMIT, body_seconds: float = BODY_SECONDS) -> None:
        self._socket = socket
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._connections = _Connections(socket)
        self.held = 0  # bytes of bodies

    def close(self) -> None:
        """Ends the connections that wait for a request. On the event loop."""
        self._connections.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        tunnel: Tunnel | None = scope.get("extensions", {}).get(TUNNEL)
        if tunnel is not None and await self._tied(scope, tunnel):
            return
        held = _Held(self)
        try:
            try:
                async with asyncio.timeout(self._body_seconds):
                    body = await self._body(receive, held)
            except TimeoutError:
                await _refuse(send, invalid("The request did not arrive completely in time.", status=408, way_out="Send it again."))
                return
            except AlmanacError as error:
                await _refuse(send, error)
                return
            if body is not None:
                await self._hand_over(scope, body, receive, send)
        finally:
            held.release()

    async def _tied(self, scope: Scope, tunnel: Tunnel) -> bool:
        """Lives as long as the WebSocket does. False when the other process makes none of it: then it is a request like others, and its
        answer says why."""
        other = _OtherSide(asyncio.get_running_loop())
        try:
            transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: other, str(live_socket(self._socket)))
        except OSError:
            return False
        try:
            transport.write(_head(scope, [b"connection: Upgrade", b"upgrade: websocket"]))
            head = await asyncio.wait_for(other.head, _SWITCH_SECONDS)
            if not head.startswith(b"HTTP/1.1 101 "):
                return False
            sender = tunnel.open(head, transport)
            if sender is not None:
                other.join(sender)
                await tunnel.ended
        except (TimeoutError, ConnectionError):
            return False
        finally:
            transport.close()
        return True

    async def _hand_over(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        try:
            reader, writer = await self._connections.take()
        except OSError:
            await _refuse(send, self._starting())
            return
        begun = kept = False
        try:
            writer.write(_head(scope, [b"content-length: %d" % len(body)]) + body)
            await writer.drain()
            head = await _unless_gone(_status(reader), receive)
            if head is None:  # the other process sees the connection end, and stops what nobody waits for
                return
            status, headers = head
            await send({"type": "http.response.start", "status": status, "headers": headers})
            begun = True
            if scope["method"] != "HEAD" and status not in (204, 304):
                async for chunk in _chunks(reader, headers):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            kept = (b"connection", b"close") not in headers
        except (OSError, asyncio.IncompleteReadError, ValueError):
            if begun:
                raise  # the connection breaks off, so that a part of an answer does not pass for all of it
            await _refuse(send, unavailable("The part that answers questions went away; ask again."))
        finally:
            if kept:
                self._connections.give(reader, writer)
            else:
                writer.close()

    def _starting(self) -> AlmanacError:
        try:
            return unavailable(reason_file(self._socket).read_text())
        except OSError:
            return unavailable("The part that answers questions is starting; events are taken meanwhile.")

    async def _body(self, receive: Receive, held: _Held) -> bytes | None:
        """None when the sender is gone. Too much is read to its end, within reason, so that the sender gets to read why."""
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            piece = message.get("body", b"")
            size += len(piece)
            if size <= self._body_limit:
                held.take(len(piece))
                pieces.append(piece)
            more = message.get("more_body", False)
            if size > self._body_limit and (not more or size > 8 * self._body_limit):
                limit = f"{self._body_limit >> 20} MiB"
                raise invalid(f"The request is larger than {limit}.", status=413, way_out="Send less at once.")
            if not more:
                return b"".join(pieces)


class _Connections:
    """Connections to the other process, kept for the next request for a moment: opening one takes as long as a kept answer."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._waiting: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []

    async def take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that waits, or a new one. Raises `OSError`."""
        now = asyncio.get_running_loop().time()
        while self._waiting:
            reader, writer, since = self._waiting.pop()
            if now - since < _KEPT_SECONDS and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_unix_connection(str(self._socket), limit=1 << 20)

    def give(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Its answer was read to the end."""
        if len(self._waiting) < _MOST_KEPT:
            self._waiting.append((reader, writer, asyncio.get_running_loop().time()))
        else:
            writer.close()

    def close(self) -> None:
        """See `Forward.close`."""
        while self._waiting:
            self._waiting.pop()[1].close()


class _Held:
    """The bytes that one request holds of all that may wait."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._bytes = 0

    def take(self, count: int) -> None:
        """Raises `unavailable`."""
        if self._forward.held + count > MOST_BYTES:
            raise unavailable("Too many bytes are under way.", way_out="Send again in a moment.")
        self._forward.held += count
        self._bytes += count

    def release(self) -> None:
        """Gives all of them back."""
        self._forward.held -= self._bytes
        self._bytes = 0


class _OtherSide(asyncio.Protocol):
    """The connection to the other process that a WebSocket is tied to."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.head: asyncio.Future[bytes] = loop.create_future()  # of its answer
        self._came = b""
        self._sender: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.head.done():
            self.head.set_exception(ConnectionResetError("the other side went away"))
            self.head.exception()  # it may be that nobody waits any more
        if self._sender is not None:
            self._sender.close()

    def data_received(self, data: bytes) -> None:
        if self._sender is not None:
            self._sender.write(data)
            return
        self._came += data
        end = self._came.find(b"\r\n\r\n") + 4
        if end > 3 and not self.head.done():
            self.head.set_result(self._came[:end])
            self._came = self._came[end:]
            self.transport.pause_reading()
        elif len(self._came) > _HEAD_LIMIT:
            self.transport.abort()

    def pause_writing(self) -> None:
        if self._sender is not None and not self._sender.is_closing():
            self._sender.pause_reading()

    def resume_writing(self) -> None:
        if self._sender is not None and not self._sender.is_closing():
            self._sender.resume_reading()

    def join(self, sender: asyncio.Transport) -> None:
        """From now on what comes goes to it."""
        self._sender = sender
        if self._came:
            sender.write(self._came)
        self.transport.resume_reading()


def _head(scope: Scope, more: list[bytes]) -> bytes:
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    lines = [scope["method"].encode() + b" " + path.split(b"?")[0] + (b"?" + query if query else b"") + b" HTTP/1.1"]
    client = scope.get("client")
    for name, value in scope["headers"]:
        if name.lower() not in _HOP_BY_HOP:
            lines.append(bytes(name) + b": " + bytes(value))
    if client:
        lines.append(b"x-forwarded-for: " + str(client[0]).encode())
    lines += more
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _status(reader: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    status = int(first.split(b" ", 2)[1])
    pairs = [line.split(b":", 1) for line in lines]
    return status, [(name.strip().lower(), value.strip()) for name, value in pairs]


async def _unless_gone(answer: Coroutine[Any, Any, T], receive: Receive) -> T | None:
    """What `answer` gives; None when the sender is gone before. One that only stopped sending cannot be told from that: it gets what comes
    within a second."""
    answering = asyncio.create_task(answer)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            await asyncio.wait((answering,), timeout=_LINGER)
        return answering.result() if answering.done() else None
    finally:
        leaving.cancel()
        answering.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _chunks(reader: asyncio.StreamReader, headers: list[tuple[bytes, bytes]]) -> Any:
    found = dict(headers)
    if found.get(b"transfer-encoding", b"").lower() == b"chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        return
    left = int(found.get(b"content-length", b"0"))
    while left > 0:
        chunk = await reader.read(min(left, _CHUNK))
        if not chunk:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(chunk)
        yield chunk


async def _refuse(send: Send, error: AlmanacError) -> None:
    body = json.dumps(error.as_json()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if error.retry_after:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
