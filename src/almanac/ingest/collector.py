"""The way in: a raw ASGI app that turns SDKs' requests into durable events, and answers only then."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

from almanac.core.errors import AlmanacError, invalid, unavailable
from almanac.core.ports import EventLogWriter
from almanac.core.settings import Settings
from almanac.ingest.answers import Answer, cors, failure, preflight
from almanac.ingest.body import too_large
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.keys import KeyRing
from almanac.ingest.limits import Gate, Quotas, Stay
from almanac.ingest.protocols import Routes, registry

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS: Final = 60.0  # how long the rest of a body may take to arrive
DISCARD: Final = 8  # times the body limit that is read and thrown away, so that the sender gets to read its 413

_log = logging.getLogger("almanac.collector")


def _now_us() -> int:
    return time.time_ns() // 1000


class _GoneError(Exception):
    """The sender hung up before its request was complete."""


class Collector:
    """Serves every protocol of `almanac.ingest.protocols`; all other paths go to `fallback`.

    `clock` gives microseconds since 1970. `workers`: how many processes share a project's quota.
    """

    def __init__(
        self,
        writer: EventLogWriter,
        keys: KeyRing,
        settings: Settings,
        *,
        fallback: App,
        clock: Callable[[], int] = _now_us,
        workers: int = 1,
    ) -> None:
        self._writer = writer
        self._keys = keys
        self._settings = settings
        self._fallback = fallback
        self._clock = clock
        self._routes = Routes(iter(registry().values()))
        self._quotas = Quotas(settings, workers)
        self._gate = Gate(settings)
        self._idle = asyncio.Event()
        self._requests: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._bytes = 0

    def counters(self) -> dict[str, Any]:
        """Since the start: requests by protocol, accepted events by project, rejected events by reason, refused requests by HTTP status,
        bytes received; and what is under way now."""
        return {
            "requests": dict(self._requests),
            "events": dict(self._events),
            "rejected": dict(self._rejected),
            "refused": dict(self._refused),
            "bytes": self._bytes,
            "under_way": {"requests": self._gate.requests, "bytes": self._gate.bytes},
        }

    async def drain(self) -> None:
        """Takes no more requests (they get a 503) and returns when those under way are answered."""
        self._gate.closed = True
        while self._gate.requests:
            self._idle.clear()
            await self._idle.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return await self._fallback(scope, receive, send)
        routes, params = self._routes.of(scope["path"])
        method = scope["method"]
        if routes and method == "OPTIONS":
            headers = dict(scope["headers"])
            methods = ", ".join(sorted({route.method for _, route in routes} | {"OPTIONS"}))
            return await _answer(send, preflight(headers, methods), headers)
        call = self._call(scope)
        call.params = params
        routes = [pair for pair in routes if pair[1].method == method or (method == "HEAD" and pair[1].method == "GET")]
        if method in ("GET", "HEAD"):  # these have no body, so what tells protocols apart is known already
            routes = [pair for pair in routes if pair[1].when is None or pair[1].when(call)]
        if not routes and (anywhere := self._routes.anywhere(call)):
            routes = [anywhere]
        if not routes:
            return await self._fallback(scope, receive, send)
        return await self._serve(call, routes, receive, send)

    def _call(self, scope: Scope) -> Call:
        client = scope.get("client")
        return Call(
            method=scope["method"],
            scheme=scope.get("scheme", "http"),
            path=scope["path"],
            query=_query(scope["query_string"]),
            headers=dict(scope["headers"]),
            peer=client[0] if client else "",
            received_us=self._clock(),
            settings=self._settings,
            keys=self._keys,
        )

    async def _serve(self, call: Call, routes: list[tuple[Protocol, Route]], receive: Receive, send: Send) -> None:
        protocol = routes[0][0]
        try:
            stay = self._gate.enter()
        except AlmanacError as error:
            await self._discard(receive)
            return await self._refuse(call, protocol, error, send)
        try:
            try:
                await self._read(call, receive, stay)
                protocol, route = _choose(call, routes)
                self._requests[protocol.name] += 1
                answer = await self._take(call, protocol, route)
            except _GoneError:
                self._refused["gone"] += 1
                return None
            except AlmanacError as error:
                return await self._refuse(call, protocol, error, send)
            except Exception:
                return await self._refuse(call, protocol, _unexpected(), send)
            return await _answer(send, answer, call.headers, head=call.method == "HEAD")
        finally:
            stay.leave()
            if not self._gate.requests:
                self._idle.set()

    async def _take(self, call: Call, protocol: Protocol, route: Route) -> Answer:
        call.protocol = protocol.name
        answer = route.handle(call)
        if call.events:
            if call.grant is None:
                raise AssertionError(f"{protocol.name} took events without a write key")
            shares = call.shares()
            for grant, count in shares:
                self._quotas.take(grant.project, grant.quota, count, call.received_us / 1e6)
            await self._writer.append(call.events)
            for grant, count in shares:
                self._events[grant.project] += count
            self._events[call.project] -= len(call.rejected)
            for rejection in call.rejected:
                self._rejected[rejection.reason] += 1
        return answer

    async def _read(self, call: Call, receive: Receive, stay: Stay) -> None:
        """Reads the body into `call`."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        body = message.get("body", b"")
        self._bytes += len(body)
        limit = self._settings.body_limit
        if not message.get("more_body"):
            if len(body) > limit:
                raise too_large(limit)
            stay.hold(len(body))
            call.body = body
            return
        pieces, size = [body], len(body)
        stay.hold(size)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while message.get("more_body"):
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _GoneError
                    body = message.get("body", b"")
                    self._bytes += len(body)
                    size += len(body)
                    if size <= limit:
                        pieces.append(body)
                        stay.hold(len(body))
                    elif size > DISCARD * limit:
                        break
        except TimeoutError:
            raise invalid("The request did not arrive completely in time.", status=408, way_out="Send it again.") from None
        if size > limit:
            raise too_large(limit)
        call.body = b"".join(pieces)

    async def _discard(self, receive: Receive) -> None:
        """Reads what a sender that will be refused is about to send, within reason: else it sees a broken connection, not the answer."""
        size, more = 0, True
        try:
            async with asyncio.timeout(BODY_SECONDS / 10):
                while more and size <= self._settings.body_limit:
                    message = await receive()
                    size += len(message.get("body", b""))
                    more = message["type"] != "http.disconnect" and message.get("more_body", False)
        except TimeoutError:
            return

    async def _refuse(self, call: Call, protocol: Protocol, error: AlmanacError, send: Send) -> None:
        try:
            answer = protocol.refuse(call, error)
        except Exception:
            error = _unexpected()
            answer = failure(error)
        self._refused[str(answer.status)] += 1
        if error.error_id:
            self._refused["unexpected"] += 1
        await _answer(send, answer, call.headers)


def _choose(call: Call, routes: list[tuple[Protocol, Route]]) -> tuple[Protocol, Route]:
    for protocol, route in routes:
        if route.when is None or route.when(call):
            return protocol, route
    raise invalid("No protocol of this path takes a body of this form.", way_out="See the protocols in the documentation.")


def _unexpected() -> AlmanacError:
    """For what should not happen: the log gets the whole error under an id, the sender gets the id."""
    error_id = secrets.token_hex(6)
    _log.exception("unexpected error %s", error_id)
    return unavailable("Something unexpected went wrong; nothing of this request was kept.", way_out="Send it again.", error_id=error_id)


def _query(text: bytes) -> Mapping[str, str]:
    if not text:
        return {}
    try:
        return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=1000))
    except ValueError:
        return {}


async def _answer(send: Send, answer: Answer, headers: Mapping[bytes, bytes], *, head: bool = False) -> None:
    length = (b"content-length", b"%d" % len(answer.body))
    lines = [(b"content-type", answer.content_type), length, *answer.headers]
    if b"origin" in headers:
        lines += cors(headers)
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
