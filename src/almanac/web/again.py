"""Answers said a moment ago are said again, before any other part of the server is asked.

A board that hangs on a hundred walls asks the same question a hundred times within a moment, and an answer that is kept still costs its
way: routes, threads, checks, JSON. What was said within `MOMENT` is said again to whoever was let in to the same project within it, as long
as nothing was stored, and nothing was changed through this server, meanwhile.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOMENT: Final = 0.25  # seconds
_MOST: Final = 1000  # answers, and rights
_LARGEST: Final = 1 << 20  # bytes of an answer
_LONGEST: Final = 64 << 10  # bytes of a question
_ASK: Final = re.compile(r"/api/v1/projects/([^/]+)/ask")
_RIGHT: Final = (b"authorization", b"cookie", b"x-almanac-csrf", b"origin")
_HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Tiles are asked for, and questions stopped, all the time; neither changes what was said.
_ASIDE: Final = re.compile(r"/api/v1/(?:shared/[^/]+/tiles/.+|projects/[^/]+/(?:boards/[^/]+/tiles|questions)/.+)")


@dataclass
class _Said:
    until: float
    state: object
    kind: str
    head: Message = field(repr=False)
    body: Message = field(repr=False)


class Again:
    """ASGI, around the app. `state` tells another value whenever anything in the store may have changed, None where nobody knows: then
    everything goes through. `count` is told of each answer that is said again."""

    def __init__(self, app: ASGIApp, *, state: Callable[[], object], count: Callable[[str, float], None]) -> None:
        self._app = app
        self._state = state
        self._count = count
        self._said: dict[tuple[str, bytes, bytes], _Said] = {}
        self._may: dict[tuple[str, tuple[bytes, ...]], float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        asked = _ASK.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if asked is None or b"fresh" in scope.get("query_string", b""):
            try:
                await self._app(scope, receive, send)
            finally:
                if scope["type"] == "http" and scope["method"] not in _HARMLESS and asked is None and not _ASIDE.fullmatch(scope["path"]):
                    self._forget()  # a project's zone, a metric, a key, a merge: whatever it was
            return
        state = self._state()
        if state is None:
            await self._app(scope, receive, send)
            return
        body = await receive()
        if body["type"] != "http.request" or body.get("more_body") or len(body.get("body", b"")) > _LONGEST:
            await self._app(scope, _before(body, receive), send)
            return
        began = time.monotonic()
        sender = {name: value for name, value in scope["headers"] if name in _RIGHT}
        right = asked[1], tuple(sender.get(name, b"") for name in _RIGHT)
        question = scope["path"], scope.get("query_string", b""), body.get("body", b"")
        said = self._said.get(question)
        if said and said.state == state and said.until > began and self._may.get(right, 0.0) > began:
            await send(said.head)
            await send(said.body)
            self._count(said.kind, time.monotonic() - began)
            return
        await self._app(scope, _before(body, receive), self._listening(send, right, question, state))

    def _listening(self, send: Send, right: Any, question: Any, state: object) -> Send:
        head: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal head
            await send(message)
            if message["type"] == "http.response.start":
                head = message if message["status"] == 200 else None
            elif head is not None:
                if not message.get("more_body") and len(message.get("body", b"")) <= _LARGEST and self._state() == state:
                    self._keep(right, question, state, head, message)
                head = None

        return sending

    def _keep(self, right: Any, question: Any, state: object, head: Message, body: Message) -> None:
        if len(self._said) >= _MOST or len(self._may) >= _MOST:
            self._forget()
        until = time.monotonic() + MOMENT
        self._may[right] = until
        known = self._said.get(question)
        if known is None or known.state != state or known.until < time.monotonic():  # what is said again is not younger for it
            self._said[question] = _Said(until, state, _kind_of(body["body"]), head, body)

    def _forget(self) -> None:
        self._said.clear()
        self._may.clear()


def _kind_of(answer: bytes) -> str:
    found = re.match(rb'\{"kind":"(\w+)"', answer)
    return found[1].decode() if found else ""


def _before(first: Message, receive: Receive) -> Receive:
    """All that comes, with the first piece that was taken already."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return first

    return replayed
