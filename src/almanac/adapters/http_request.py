"""One request of the collectors' HTTP server, in the hands of the ASGI app: its body as it comes, its answer as it is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from almanac.adapters.http_server import _Connection as Connection

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

BODY_BUFFER: Final = 256 << 10  # bytes of a body that wait for the app before the sender has to
STATUS: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_OURS: Final = frozenset({b"transfer-encoding", b"date"})
_BODILESS: Final = (204, 304)

_log = logging.getLogger("almanac.http")


class Request:
    """One request in the app's hands. `stays`: whether the connection goes on after its answer."""

    __slots__ = (
        "_begun",
        "_chunked",
        "_connection",
        "_expects",
        "_head",
        "_told",
        "_waiter",
        "complete",
        "ended",
        "gone",
        "method",
        "pieces",
        "scope",
        "silent",
        "size",
        "stays",
        "task",
    )

    def __init__(self, connection: Connection, scope: Message, method: str, stays: bool, expects: bool) -> None:
        self._connection = connection
        self.scope = scope
        self.method = method
        self.stays = stays
        self.pieces: list[bytes] = []
        self.size = 0
        self.complete = self.ended = self.gone = self.silent = False
        self.task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._head: Message | None = None
        self._begun = self._chunked = self._told = False
        self._expects = expects  # to be asked for its body

    @property
    def awaited(self) -> bool:
        """Whether the app waits for more of the body."""
        return self._waiter is not None

    async def run(self) -> None:
        """Lets the app answer."""
        try:
            await self._connection.server.app(self.scope, self.receive, self.send)
        except ConnectionError:
            if not self.gone:
                _log.exception("the connection broke inside")
        except Exception:
            _log.exception("a request failed")
        finally:
            self._connection.done(self)

    def wake(self) -> None:
        """There is news for who waits in `receive`."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def lose(self) -> None:
        """The sender is gone, or what it sends is of no use."""
        self.gone, self.stays = True, False
        self.wake()

    def hush(self) -> None:
        """The sender sends nothing any more: it may be gone, or wait for its answer. The app knows for how long that makes sense."""
        self.silent = True
        self.wake()

    def drop(self) -> bool:
        """Takes the answer out of the app's hands; False when it has begun."""
        self.ended = self.ended or not self._begun
        return not self._begun

    async def receive(self) -> Message:
        """ASGI."""
        connection = self._connection
        while True:
            if (self.gone or (self.silent and self.complete)) and not (self.complete and not self._told):
                return {"type": "http.disconnect"}
            if self.pieces or (self.complete and not self._told):
                body = self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)
                large = self.size >= BODY_BUFFER
                self.pieces, self.size = [], 0
                self._told = self.complete
                if large:
                    connection.flow()
                return {"type": "http.request", "body": body, "more_body": not self.complete}
            if self._expects and not self._begun:
                self._expects = False
                connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waiter = connection.loop.create_future()
            await self._waiter

    async def send(self, message: Message) -> None:
        """ASGI. Raises ConnectionError for a further part of an answer that nobody reads."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        if self.gone:
            if more:
                raise ConnectionResetError("the sender is gone")
            self.ended = True
            return
        assert self._head is not None
        out = b""
        if not self._begun:
            out = self._begin(self._head, len(body), more)
        if self.method == "HEAD" or self._head["status"] in _BODILESS:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        self.ended = not more
        connection = self._connection
        connection.transport.write(out + body)
        if more and connection.writable is not None:
            await connection.writable.wait()

    def _begin(self, head: Message, length: int, more: bool) -> bytes:
        """The head of the answer."""
        self._begun = True
        connection = self._connection
        status: int = head["status"]
        self.stays = self.stays and self.complete and not connection.server.closing
        sized = False
        lines = []
        for name, value in head["headers"]:
            if name == b"connection":
                self.stays = self.stays and value != b"close"
            elif name not in _OURS:
                sized = sized or name == b"content-length"
                lines.append(b"%b: %b\r\n" % (name, value))
        if not sized and status not in _BODILESS and self.method != "HEAD":
            if not more:
                lines.append(b"content-length: %d\r\n" % length)
            elif self.scope["http_version"] == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                self.stays = False
        if not self.stays:
            lines.append(b"connection: close\r\n")
        return b"".join([STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status, *lines, connection.server.date(), b"\r\n"])
