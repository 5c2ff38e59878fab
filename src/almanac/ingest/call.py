"""What a protocol is to the collector: routes, and a function that turns one request into events and an answer."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError, invalid
from almanac.core.event import DeadLetter, Event, Raw, dead_letter
from almanac.core.settings import Settings
from almanac.ingest import body as bodies
from almanac.ingest import senders
from almanac.ingest.answers import OK, Answer, Rejection, failure
from almanac.ingest.keys import Grant, Grants

DEEPEST: Final = 500  # levels that the parser surely gets through; `depth_limit` cannot be set higher


class Call:
    """One request. Protocols read it, name the write key with `admit`, and fill `events` and `rejected`."""

    __slots__ = (
        "_json",
        "_mended",
        "_text",
        "body",
        "deep",
        "events",
        "grant",
        "headers",
        "ip",
        "keys",
        "method",
        "others",
        "params",
        "path",
        "project",
        "protocol",
        "query",
        "received_us",
        "rejected",
        "scheme",
        "settings",
        "user_agent",
    )

    def __init__(
        self,
        *,
        method: str,
        scheme: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[bytes, bytes],
        peer: str,
        received_us: int,
        settings: Settings,
        keys: Grants,
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.path = path
        self.query = query
        self.headers = headers
        self.received_us = received_us
        self.settings = settings
        self.keys = keys
        self.ip = senders.address(peer, headers.get(b"x-forwarded-for", b"").decode("latin-1"))
        self.user_agent = headers.get(b"user-agent", b"").decode("latin-1")
        self.body = b""
        self.params: Mapping[str, str] = {}
        self.protocol = ""
        self.project = ""
        self.grant: Grant | None = None
        self.others: dict[str, Grant] = {}  # by write key: of events that name another one than the request
        self.events: list[Event] = []
        self.rejected: list[Rejection] = []
        self.deep: dict[bytes, bytes] = {}
        self._text: bytes | None = None
        self._json: bytes | None = None
        self._mended: bytes | None = None

    # ------------------------------------------------------------ reading

    def header(self, name: bytes) -> str:
        """A header by its lower-case name; "" when it is absent."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def text(self) -> bytes:
        """The body, unpacked. Raises `invalid`."""
        if self._text is None:
            encoding = self.header(b"content-encoding")
            self._text = bodies.unpack(self.body, encoding=encoding, query=self.query, limit=self.settings.body_limit)
        return self._text

    @property
    def json(self) -> bytes:
        """The same as valid UTF-8 on one line; JSON unless the sender erred. Raises `invalid`."""
        if self._json is None:
            if bodies.crowded(self.text):
                raise invalid("There are too many values in the request.", status=413, way_out="Send fewer events in one request.")
            self._json = bodies.clean(self.text)
        return self._json

    def reread(self, text: bytes) -> None:
        """Takes `text` for the body from now on: what a protocol found in a form of its own."""
        self._text, self._json, self._mended = text, None, None

    @property
    def mended(self) -> bytes:
        """The body as JSON that surely parses. Messages too deep for that are in `deep`, with a text in their place. Raises `invalid`."""
        if self._mended is None:
            self._mended, self.deep = bodies.mend(self.json), {}
            if not _parses(self._mended):
                self._mended, self.deep = bodies.sever(self._mended, DEEPEST)
                if not _parses(self._mended):
                    raise invalid("The request is not JSON.", way_out="Send a JSON object or list.")
        return self._mended

    @property
    def from_server(self) -> bool:
        """Whether the request itself looks like a server's."""
        return senders.is_server_agent(self.user_agent)

    @property
    def from_browser(self) -> bool:
        """Whether a page's script sent it."""
        return b"origin" in self.headers or b"sec-fetch-mode" in self.headers or self.user_agent.startswith("Mozilla/")

    @property
    def basic_user(self) -> str:
        """The user of HTTP Basic authentication, where several SDKs put the write key; "" without."""
        scheme, _, value = self.header(b"authorization").partition(" ")
        if scheme.lower() != "basic":
            return ""
        try:
            text = base64.b64decode(value + "=" * (-len(value) % 4)).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ""
        user, _, password = text.partition(":")
        return user or password

    @property
    def bearer(self) -> str:
        """The token of `Authorization: Bearer`; "" without."""
        scheme, _, value = self.header(b"authorization").partition(" ")
        return value.strip() if scheme.lower() == "bearer" else ""

    # ------------------------------------------------------------ filling

    def admit(self, *secrets: str | None) -> str:
        """The project of the first of `secrets` that is not empty. Raises `denied`."""
        self.grant = self.keys.grant(next((secret for secret in secrets if secret), ""))
        self.project = self.grant.project
        return self.project

    def also(self, secret: str) -> str:
        """The project of another write key that stands on a single event. Raises `denied`."""
        if secret not in self.others:
            self.others[secret] = self.keys.grant(secret)
        return self.others[secret].project

    def shares(self) -> list[tuple[Grant, int]]:
        """How many events there are for each project, by its grant."""
        if self.grant is None:
            return []
        if not self.others:
            return [(self.grant, len(self.events))]
        grants = {grant.project: grant for grant in (*self.others.values(), self.grant)}
        return [(grants[project], count) for project, count in Counter(event.project for event in self.events).items()]

    def reject(self, index: int, reason: str, detail: str, original: bytes) -> None:
        """Makes a dead letter of the message at place `index`. `reason`: a short stable word; `detail`: a sentence."""
        if self.deep and original in self.deep:
            original = self.deep[original]
            reason, detail = "too_deep", f"It nests deeper than {self.settings.depth_limit} levels."
        self.rejected.append(Rejection(index, reason, detail))
        letter = DeadLetter("decode", reason, detail, original.decode("utf-8", "replace"))
        self.events.append(dead_letter(self.project, self.received_us, letter, self.protocol))

    def reject_rest(self, originals: Sequence[bytes | Raw]) -> None:
        """Makes one dead letter of all messages beyond the batch limit."""
        most = self.settings.batch_limit
        detail = f"There are {len(originals)} events more than {most} in the request."
        self.reject(most, "over_batch_limit", detail, b"[" + b",".join(map(bytes, originals)) + b"]")


def _parses(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=Raw)
    except (RecursionError, msgspec.DecodeError):
        return False
    return True


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Route:
    """One path of a protocol. `path` without trailing slash; `{name}` stands for one segment, and `*` alone for any path.

    `when` tells apart protocols that share a path; for `*` it sees the request without its body. Several routes of one path are tried in
    the order of the protocols' names, those without `when` last.
    """

    method: str
    path: str
    handle: Handler
    when: Callable[[Call], bool] | None = None


def refuse(call: Call, error: AlmanacError) -> Answer:
    """The failure answer that fits most SDKs."""
    return failure(error)


def always_ok(call: Call) -> Answer:
    """Takes note of nothing: for what SDKs report about themselves."""
    return OK


@dataclass(frozen=True)
class Protocol:
    """A vendor's protocol. `refuse` forms the answer to a request that fails as a whole."""

    name: str
    routes: tuple[Route, ...]
    refuse: Callable[[Call, AlmanacError], Answer] = field(default=refuse)
    replay: tuple[str, bytes, bytes] = ("/api/v1/events", b"", b"")  # path, and what to put around one message to post it there again
