"""Live answers by WebSocket, `/api/v1/live`: subscribe to questions and to the latest events, and get what changes.

The protocol stands in docs/live.md. A connection keeps, for each subscription, only the version that its client has: what is sent next is
reckoned from there when the client can take it. So a slow client misses steps and never the end, and no queue grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from fastapi import APIRouter, FastAPI
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import cookie_parser
from starlette.responses import Response
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HandshakeRequest
from websockets.http11 import Response as HandshakeResponse

from almanac.core.errors import AlmanacError, Code, conflict, denied, invalid, limited
from almanac.web.auth import COOKIE, Visitor, same_host
from almanac.web.errors import Json, unforeseen
from almanac.web.live_hub import Hub
from almanac.web.live_topics import Topic, as_json
from almanac.web.rooms import Rooms

router = APIRouter()
_silent = logging.getLogger("almanac.live")
_silent.setLevel(logging.CRITICAL)  # broken handshakes and connections are everyday

PATH: Final = "/api/v1/live"
PROTOCOL: Final = "almanac.v1"
KEY_PREFIX: Final = "almanac.key."  # a browser can set no header: its key comes as a further subprotocol, or in the first message

MOST_SESSIONS: Final = 5000
MOST_SUBSCRIPTIONS: Final = 200  # of one connection
MESSAGE_LIMIT: Final = 256 << 10  # bytes of a client's message
HELLO_SECONDS: Final = 10.0  # for the first message, when it has to bring the key
QUIET_SECONDS: Final = 20.0  # after so long without a message to the client, a ping tells that the connection lives
SLOW_SECONDS: Final = 30.0  # that a client may take for one message

_FAREWELL: Final = 2.0  # seconds for the reason of an end to be taken

# Why a connection is closed; 4000 and above are ours.
GOING_AWAY, TOO_BIG, TRY_AGAIN, REFUSED, TOO_LATE = 1001, 1009, 1013, 4401, 4408


class Subscription:
    """One thing that one client follows. `base`: the version that the client has."""

    def __init__(self, session: Session, id_: str, topic: Topic, grant: tuple[str, str], base: str) -> None:
        self.session = session
        self.id = id_
        self.topic = topic
        self.grant = grant
        self.base = base
        self.owed = True  # the client is to hear, whether something changed or not
        self.told = ""  # the error that it was told last

    def news(self) -> None:
        """See `Follower.news`."""
        topic = self.topic
        if topic.error is not None:
            if not topic.error.retryable:
                self.session.end(self.id, topic.error)
            elif self.told != topic.error.message:
                self.told = topic.error.message
                self.session.say(_error(topic.error, self.id))
        elif self.owed or self.told or topic.version != self.base:
            self.session.mark(self)

    def message(self) -> bytes:
        """What the client has to be told to be up to date."""
        text = b'{"id":%b,%b' % (json.dumps(self.id).encode(), self.topic.text(self.base))
        self.base, self.owed, self.told = self.topic.version, False, ""
        return text


class Session:
    """One connection: what it follows, and what it is still to be told."""

    def __init__(self, live: Live, socket: ServerConnection, secret: str) -> None:
        self._live = live
        self._socket = socket
        self._secret = secret
        self._welcome = False
        self.subscriptions: dict[str, Subscription] = {}
        self._marked: dict[str, Subscription] = {}  # in the order of their news
        self._said: deque[bytes] = deque()  # answers to the client's own messages
        self._wake = asyncio.Event()
        self._end: tuple[int, str] | None = None

    # ------------------------------------------------------------ what it is told

    def say(self, message: Mapping[str, Any]) -> None:
        """An answer to one of the client's messages, which are not read while too many wait."""
        self._said.append(as_json(message))
        self._wake.set()

    def mark(self, subscription: Subscription) -> None:
        """It has something new to tell."""
        if self.subscriptions.get(subscription.id) is subscription:
            self._marked[subscription.id] = subscription
            self._wake.set()

    def end(self, id_: str, error: AlmanacError) -> None:
        """Ends a subscription for this reason."""
        self._forget(id_)
        self.say(_error(error, id_))

    def close(self, code: int, reason: str) -> None:
        """Ends the connection after what was said."""
        self._end = self._end or (code, reason)
        self._wake.set()

    def refused(self, grant: tuple[str, str], error: AlmanacError) -> None:
        """The key lost its right."""
        for subscription in [one for one in self.subscriptions.values() if one.grant == grant]:
            self.end(subscription.id, error)
        if error.status == 401:
            self.close(REFUSED, error.message)

    # ------------------------------------------------------------------- its life

    async def run(self) -> None:
        """Until either side ends it."""
        tasks = reading, writing = asyncio.create_task(self._read()), asyncio.create_task(self._write())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._end:
                await asyncio.wait([writing], timeout=SLOW_SECONDS)  # what was said comes before the end
        finally:
            for task in tasks:
                task.cancel()
            for found in await asyncio.gather(reading, writing, return_exceptions=True):
                if isinstance(found, Exception) and not isinstance(found, ConnectionClosed):
                    unforeseen(found, PATH)
            for id_ in list(self.subscriptions):
                self._forget(id_)
        code, reason = self._end or (GOING_AWAY, "")
        # A control frame holds 123 bytes of reason.
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._socket.close(code, reason.encode()[:120].decode(errors="ignore"))
        except TimeoutError:  # it would take what waits before the reason, and does not
            self._socket.transport.abort()

    async def _write(self) -> None:
        while (text := await self._next()) is not None:
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await self._socket.send(text, text=True)
            except TimeoutError:
                self.close(TRY_AGAIN, f"The client did not take a message within {SLOW_SECONDS:g} s.")
                return

    async def _next(self) -> bytes | None:
        """The next message; None at the end."""
        while True:
            self._wake.clear()
            if self._said:
                return self._said.popleft()
            if self._end:
                return None
            if self._marked:
                subscription = self._marked.pop(next(iter(self._marked)))
                return subscription.message()
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                return b'{"type":"ping"}'

    async def _read(self) -> None:
        if self._secret:
            await self._greet(self._secret)
        try:
            async with asyncio.timeout(None if self._welcome else HELLO_SECONDS) as patience:
                while not self._end:
                    await self._take(await self._socket.recv())
                    if self._welcome:
                        patience.reschedule(None)
        except TimeoutError:
            self.close(TOO_LATE, f"No key came within {HELLO_SECONDS:g} s.")

    async def _take(self, text: str | bytes) -> None:
        message: Any = None
        try:
            message = _object(text)
            await self._obey(message)
        except AlmanacError as error:
            self.say(_error(error, message.get("id") if message else None))
        except Exception as error:
            self.say(_error(unforeseen(error, PATH), message.get("id") if message else None))
        while len(self._said) > MOST_SUBSCRIPTIONS and not self._end:  # it asks and does not listen
            await asyncio.sleep(0.1)

    async def _obey(self, message: Mapping[str, Any]) -> None:
        kind = message.get("type")
        if not self._welcome:
            key = message.get("key")
            if kind != "hello" or not isinstance(key, str):
                error = denied("The first message has to bring the key.", way_out='Send {"type": "hello", "key": KEY} first.')
                self.say(_error(error))
                self.close(REFUSED, error.message)
                return
            await self._greet(key)
        elif kind == "subscribe":
            await self._subscribe(message)
        elif kind == "unsubscribe":
            self._forget(_id(message))
            self.say({"type": "unsubscribed", "id": _id(message)})
        elif kind == "ping":
            self.say({"type": "pong"})
        elif kind != "pong":
            way_out = "Send subscribe, unsubscribe, ping or pong."
            raise invalid(f"There is no message of type {kind!r} at this point.", place="type", way_out=way_out)

    async def _greet(self, secret: str) -> None:
        try:
            await self._live.hub.in_thread(Visitor(self._live.rooms, secret).reader)
        except AlmanacError as error:
            self.say(_error(error))
            self.close(REFUSED if error.code is Code.DENIED else TRY_AGAIN, error.message)
            return
        self._secret, self._welcome = secret, True
        self.say({"type": "welcome", "protocol": 1, "almanac_version": self._live.rooms.version, "ping_seconds": QUIET_SECONDS})

    async def _subscribe(self, message: Mapping[str, Any]) -> None:
        id_ = _id(message)
        project, since = message.get("project"), message.get("since") or ""
        if not isinstance(project, str) or not project:
            raise invalid("A subscription is to one project.", place="project", way_out="Give its id or name.")
        if not isinstance(since, str):
            raise invalid("since is a text.", place="since", way_out="Give the version of an earlier message, or leave it out.")
        if id_ in self.subscriptions:
            raise conflict(f"There is a subscription {id_!r}.", place="id", way_out="Choose another id, or unsubscribe first.")
        if len(self.subscriptions) >= MOST_SUBSCRIPTIONS:
            raise limited(f"A connection has at most {MOST_SUBSCRIPTIONS} subscriptions.", way_out="Open a further connection.")
        found = await self._live.hub.enter(self._secret, project)
        question, events = message.get("question"), message.get("events")
        if (question is None) == (events is None):
            raise invalid("Give either a question or events.", place="question", way_out='Such as "question": {"kind": …} or "events": {}.')
        if question is not None:
            if not isinstance(question, dict):
                raise invalid("A question is an object.", place="question", way_out='Write it like {"kind": "trend", …}.')
            topic = await self._live.hub.question(found, question)
        else:
            topic = self._live.hub.events(found, _event_of(events))
        subscription = Subscription(self, id_, topic, (self._secret, project), since)
        self.subscriptions[id_] = subscription
        self._live.hub.follow(topic, subscription)

    def _forget(self, id_: str) -> None:
        subscription = self.subscriptions.pop(id_, None)
        self._marked.pop(id_, None)
        if subscription is not None:
            self._live.hub.leave(subscription.topic, subscription)


class Live(Collector):
    """All connections of one server."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.hub = Hub(rooms)
        self.hub.recheck = lambda: {one.grant for session in self._sessions for one in session.subscriptions.values()}
        self.hub.refused = self._refused
        self._sessions: set[Session] = set()
        self._closing = False

    @asynccontextmanager
    async def listen(self, path: Path) -> AsyncIterator[None]:
        """Takes WebSockets on a Unix socket; at the end all clients are told to come again."""
        server = await unix_serve(
            self.serve,
            str(path),
            process_request=_only_here,
            select_subprotocol=lambda socket, offered: PROTOCOL if PROTOCOL in offered else None,
            compression=None,  # messages are small, and packing them for each client would cost more than all the rest
            max_size=MESSAGE_LIMIT,
            ping_timeout=SLOW_SECONDS,
            close_timeout=2,
            backlog=2048,
            logger=_silent,
            server_header=None,
        )
        try:
            yield
        finally:
            self._closing = True
            for session in self._sessions:
                session.close(GOING_AWAY, "The server stops.")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    while self._sessions:
                        await asyncio.sleep(0.02)
            server.close()
            self.hub.stop()

    async def serve(self, socket: ServerConnection) -> None:
        """One connection."""
        if len(self._sessions) >= MOST_SESSIONS or self._closing:
            await socket.close(TRY_AGAIN, "The server stops." if self._closing else "There are too many connections.")
            return
        self.hub.start()
        session = Session(self, socket, _secret(socket))
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)

    def collect(self) -> Iterator[Metric]:
        """Figures for Prometheus."""
        sessions = list(self._sessions)
        yield GaugeMetricFamily("almanac_live_connections", "Live connections.", len(sessions))
        subscriptions = sum(len(session.subscriptions) for session in sessions)
        yield GaugeMetricFamily("almanac_live_subscriptions", "What they follow, all together.", subscriptions)
        yield CounterMetricFamily("almanac_live_looks", "Answers read for them.", self.hub.looks)

    def _refused(self, grant: tuple[str, str], error: AlmanacError) -> None:
        for session in list(self._sessions):
            session.refused(grant, error)


@router.get(PATH, include_in_schema=False)
def plain() -> Response:
    """Whoever comes without a WebSocket is told so."""
    error = invalid("This address speaks WebSocket only.", way_out="Connect with ws:// or wss://; see docs/live.md.", status=426)
    return Json(error.as_json(), status_code=426, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


def install(app: FastAPI, rooms: Rooms) -> None:
    """Gives `app` the live face."""
    app.state.live = Live(rooms)
    app.state.metrics.also(app.state.live)
    app.include_router(router)


def _only_here(socket: ServerConnection, request: HandshakeRequest) -> HandshakeResponse | None:
    return None if request.path.partition("?")[0] == PATH else socket.respond(404, "There is no WebSocket here.")


def _secret(socket: ServerConnection) -> str:
    headers = socket.request.headers if socket.request else Headers()
    kind, _, secret = headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and secret.strip():
        return secret.strip()
    offered = [name.strip() for line in headers.get_all("Sec-WebSocket-Protocol") for name in line.split(",")]
    return next((name.removeprefix(KEY_PREFIX) for name in offered if name.startswith(KEY_PREFIX)), "") or _token(headers)


def _token(headers: Headers) -> str:
    """Of whoever is signed in. A browser sends its cookies whichever page makes it connect, so only a page of this server counts."""
    origins, hosts = headers.get_all("Origin"), headers.get_all("Host") + headers.get_all("X-Forwarded-Host")
    if len(origins) != 1 or not same_host(origins[0], hosts):
        return ""
    return cookie_parser("; ".join(headers.get_all("Cookie"))).get(COOKIE, "")


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise invalid("The message is not valid JSON.", way_out='Send an object such as {"type": "subscribe", …}.') from None
    if not isinstance(found, dict):
        raise invalid("A message is one JSON object.", way_out='Such as {"type": "subscribe", …}.')
    return found


def _id(message: Mapping[str, Any]) -> str:
    found = message.get("id")
    if not isinstance(found, str) or not 1 <= len(found) <= 200:
        raise invalid("A subscription has an id of your choice.", place="id", way_out="A text of 1 to 200 characters.")
    return found


def _event_of(given: Any) -> str:
    if not isinstance(given, dict) or not isinstance(given.get("event", ""), str) or set(given) - {"event"}:
        raise invalid("events is an object.", place="events", way_out='Write {} for all events, or {"event": NAME}.')
    return str(given.get("event", ""))


def _error(error: AlmanacError, id_: object = None) -> dict[str, Any]:
    return {"type": "error", **({"id": id_} if isinstance(id_, str) else {}), **error.as_json()}
