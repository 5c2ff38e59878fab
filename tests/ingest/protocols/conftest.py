"""A collector with its log in memory, and a way to send it requests without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from bench.bodies import hooks

from almanac.core.errors import AlmanacError, not_found
from almanac.core.event import LINE_DECODER, LINE_ENCODER, Event
from almanac.core.ports import Key, Project
from almanac.core.settings import Settings
from almanac.core.source import DOCUMENT
from almanac.ingest.collector import Collector
from almanac.ingest.keys import KeyRing

NOW_US = 1_795_209_000_000_000  # 2026-11-20T21:10:00Z


class MemoryLog:
    """A log in memory. `failing` is raised instead of taking events; what it took is read back from its lines, as the load would."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.failing: AlmanacError | None = None
        self.gate: asyncio.Event | None = None

    async def append(self, events: Sequence[Event]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.failing:
            raise self.failing
        self.lines += LINE_ENCODER.encode_lines(events).splitlines(keepends=True)

    async def close(self) -> None: ...

    @property
    def all(self) -> list[Event]:
        assert all(line.endswith(b"\n") for line in self.lines)
        return [LINE_DECODER.decode(line) for line in self.lines]


class Keys:
    """The catalog, as far as keys go: `test-write-key` of project p1, and keys of other roles. Counts what it is asked."""

    def __init__(self) -> None:
        self.keys = {
            "test-write-key": Key("write", "p1", "test"),
            "other-write-key": Key("write", "p2", "othe"),
            "a-read-key": Key("read", "p1", "a-re"),
            "an-admin-key": Key("admin", "", "an-a"),
        }
        self.quota = 0
        self.asked = 0
        self.failing: AlmanacError | None = None

    def find_key(self, secret: str) -> Key | None:
        self.asked += 1
        if self.failing:
            raise self.failing
        return self.keys.get(secret)

    def project(self, id_or_name: str) -> Project:
        if id_or_name not in ("p1", "p2"):
            raise not_found("no such project")
        return Project(id_or_name, id_or_name, quota=self.quota)

    def get(self, kind: str, project: str, name: str) -> dict[str, Any] | None:
        """The bench's webhook is a source of every project."""
        return {"source": hooks.SOURCE} if (kind, name) == (DOCUMENT, "shop") else None


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def fallback(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"fallback"})


@dataclass
class Door:
    """The collector and what came through it."""

    settings: Settings = field(default_factory=Settings)
    log: MemoryLog = field(default_factory=MemoryLog)
    catalog: Keys = field(default_factory=Keys)
    now_us: int = NOW_US
    seconds: float = 1000.0
    workers: int = 1

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        ring = KeyRing(self.catalog, lambda: self.seconds)  # type: ignore[arg-type]
        self.collector = Collector(self.log, ring, self.settings, fallback=fallback, clock=lambda: self.now_us, workers=self.workers)

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        peer: str = "203.0.113.9",
    ) -> Reply:
        pieces = [body] if isinstance(body, bytes) else list(body)
        messages: Iterator[dict[str, Any]] = iter(
            [{"type": "http.request", "body": piece, "more_body": place + 1 < len(pieces)} for place, piece in enumerate(pieces)]
        )
        got: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            got.append(message)

        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        scope = {
            "type": "http",
            "scheme": "http",
            "method": method,
            "path": path,
            "query_string": query.encode("latin-1"),
            "headers": lines,
            "client": (peer, 1234),
        }
        await self.collector(scope, receive, send)
        if not got:
            return Reply(0, {}, b"")
        names = {name.decode(): value.decode("latin-1") for name, value in got[0]["headers"]}
        return Reply(got[0]["status"], names, got[1]["body"])

    def send(self, method: str, path: str, body: bytes | Sequence[bytes] = b"", **more: Any) -> Reply:
        return self.loop.run_until_complete(self.request(method, path, body, **more))

    def post(self, path: str, value: Any, key: str | None = "test-write-key", **more: Any) -> Reply:
        """Sends `value` as JSON with the key as a bearer token."""
        headers = {"content-type": "application/json", **more.pop("headers", {})}
        if key is not None:
            headers.setdefault("authorization", f"Bearer {key}")
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.send("POST", path, body, headers=headers, **more)

    @property
    def events(self) -> list[Event]:
        return [event for event in self.log.all if event.kind != "dead_letter"]

    @property
    def dead(self) -> list[dict[str, Any]]:
        return [json.loads(bytes(event.rest)) for event in self.log.all if event.kind == "dead_letter"]

    @property
    def unexpected(self) -> int:
        return int(self.collector.counters()["refused"].get("unexpected", 0))

    def clear(self) -> None:
        self.log.lines.clear()


def told(event: Event) -> dict[str, Any]:
    """What an event says beyond its defaults, with nested JSON read."""
    blank = Event("", "", "", "", 0)
    found: dict[str, Any] = {}
    for name in Event.__struct_fields__:
        value, default = getattr(event, name), getattr(blank, name)
        if type(value).__name__ == "Raw":
            value, default = json.loads(bytes(value)), json.loads(bytes(default))
        elif name == "merges":
            value = [(merge.source, merge.target, merge.how) for merge in value]
        if value != default:
            found[name] = value
    return found


@pytest.fixture
def doors() -> Iterator[Callable[..., Door]]:
    """Makes collectors of other settings: `doors(body_limit=2048)`."""
    made: list[Door] = []

    def make(**settings: Any) -> Door:
        more = {name: settings.pop(name) for name in ("workers",) if name in settings}
        made.append(Door(settings=Settings(**settings), **more))
        return made[-1]

    yield make
    for door in made:
        door.loop.close()


@pytest.fixture
def door(doors: Callable[..., Door]) -> Door:
    """A collector with the settings as they are by default."""
    return doors()


@pytest.fixture
def say() -> Callable[[Event], dict[str, Any]]:
    """An event as a dict without what it leaves unsaid."""
    return told


@pytest.fixture
def query() -> Callable[..., str]:
    """A query string."""
    return lambda **values: urlencode(values)
