"""Hands a request over to the process that answers questions, through its socket, and its answer back.

Collectors own the public port, so that collection goes on while the other process starts, restarts or is busy. One address is enough.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, Final

from almanac.core.errors import AlmanacError, invalid, unavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"te", b"upgrade", b"proxy-authorization", b"content-length"}
)
_CHUNK: Final = 1 << 16


def reason_file(socket: Path) -> Path:
    """Where the process behind the socket says why it does not listen yet."""
    return socket.with_suffix(".reason")


class Forward:
    """An ASGI app in front of a server on a Unix socket. HTTP/1.1, one connection a request; bodies are streamed back."""

    def __init__(self, socket: Path, *, body_limit: int = 64 << 20) -> None:
        self._socket = socket
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        body = await self._body(receive)
        if body is None:
            limit = f"{self._body_limit >> 20} MiB"
            await _refuse(send, invalid(f"The request is larger than {limit}.", status=413, way_out="Send less at once."))
            return
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=1 << 20)
        except OSError:
            await _refuse(send, self._starting())
            return
        begun = False
        try:
            writer.write(_head(scope, len(body)) + body)
            await writer.drain()
            status, headers = await _status(reader)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            begun = True
            if scope["method"] != "HEAD" and status not in (204, 304):
                async for chunk in _chunks(reader, headers):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except (OSError, asyncio.IncompleteReadError, ValueError):
            if begun:
                raise  # the connection breaks off, so that a part of an answer does not pass for all of it
            await _refuse(send, unavailable("The part that answers questions went away; ask again."))
        finally:
            writer.close()

    def _starting(self) -> AlmanacError:
        try:
            return unavailable(reason_file(self._socket).read_text())
        except OSError:
            return unavailable("The part that answers questions is starting; events are taken meanwhile.")

    async def _body(self, receive: Receive) -> bytes | None:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            piece = message.get("body", b"")
            size += len(piece)
            if size <= self._body_limit:
                pieces.append(piece)
            if not message.get("more_body", False):
                return b"".join(pieces) if size <= self._body_limit else None


def _head(scope: Scope, length: int) -> bytes:
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope["query_string"]
    lines = [scope["method"].encode() + b" " + path.split(b"?")[0] + (b"?" + query if query else b"") + b" HTTP/1.1"]
    client = scope.get("client")
    for name, value in scope["headers"]:
        if name.lower() not in _HOP_BY_HOP:
            lines.append(bytes(name) + b": " + bytes(value))
    if client:
        lines.append(b"x-forwarded-for: " + str(client[0]).encode())
    lines += [b"connection: close", b"content-length: %d" % length]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _status(reader: asyncio.StreamReader) -> tuple[int, list[tuple[bytes, bytes]]]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    status = int(first.split(b" ", 2)[1])
    pairs = [line.split(b":", 1) for line in lines]
    return status, [(name.strip().lower(), value.strip()) for name, value in pairs]


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
