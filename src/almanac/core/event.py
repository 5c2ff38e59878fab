"""The one `Event` envelope that every protocol is decoded into, and the log line that carries it.

An event is written to the log as one JSON array per line (`Event` is array-like), which the engine parses as
JSONCompactEachRow: without the keys a line is a quarter shorter and parses 1.5 times as fast. Because fields are found by their position, a
new field goes to the end, with a default, and never anywhere else.

Nothing is lost and nothing is stored twice: what has a field of its own goes there; event properties stay verbatim in
`properties`, the sender's context in `context`, and whatever is left of the message in `rest`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

Raw = msgspec.Raw

EMPTY: Final = msgspec.Raw(b"{}")
NO_LIST: Final = msgspec.Raw(b"[]")


class Kind(StrEnum):
    """What the sender said, not what a report makes of it."""

    TRACK = "track"
    PAGE = "page"
    SCREEN = "screen"
    IDENTIFY = "identify"
    ALIAS = "alias"
    GROUP = "group"
    PROFILE = "profile"
    GROUP_PROFILE = "group_profile"
    EXCEPTION = "exception"
    FEATURE_FLAG = "feature_flag"
    SESSION_START = "session_start"
    PING = "ping"
    SNAPSHOT = "snapshot"
    LOG = "log"
    SPAN = "span"
    METRIC = "metric"
    AI = "ai"
    DEAD_LETTER = "dead_letter"  # not an event: one that the collector could not take, on its way to the dead letters


class Merge(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A statement of the sender that two ids are one person.

    `how`: identify (an anonymous id turns out to be this user), same-event (an event has the ids of a device and of its user; where each
    event says so again), alias (two names of one user), merge (asked for outright, even between two identified users).
    """

    source: str
    target: str
    how: str


class Event(msgspec.Struct, array_like=True, gc=False):
    """One event as the collector understood it. Times without a unit in the name are texts as the sender wrote them."""

    project: str
    event_id: str  # the sender's message id, or "h:" + digest where the protocol has none; unique per project
    kind: str  # a Kind
    name: str
    received_us: int  # microseconds since 1970, the collector's clock
    client_time: str = ""  # "" when the sender gave none
    sent_time: str = ""
    keep_time: bool = False  # true: do not correct the client's clock (the sender forbids it, or the time is historical)
    distinct_id: str = ""  # the id that counts; "" for events about groups only
    user_id: str = ""
    anonymous_id: str = ""
    device_id: str = ""
    merges: list[Merge] = []
    session_id: str = ""
    window_id: str = ""
    groups: Raw = EMPTY  # {"company": "acme"}
    properties: Raw = EMPTY  # verbatim
    profile: Raw = EMPTY  # {"set": {…}, "add": {…}, "unset": […], "delete": true}: the operations are in profile_state
    group_profile: Raw = EMPTY  # {"type": "company", "key": "acme", "set": {…}}, or a list of such
    url: str = ""
    title: str = ""
    referrer: str = ""
    screen: str = ""
    ip: str = ""
    user_agent: str = ""
    library: str = ""
    library_version: str = ""
    context: Raw = EMPTY  # verbatim
    flags: Raw = EMPTY  # integrations, consent, historical, geoip_disable …
    rest: Raw = EMPTY  # whatever has no home of its own
    protocol: str = "native"
    is_server: bool = False  # the sender is a server: its address and user agent say nothing about the person
    campaign: str = ""  # JSON text {"source", "medium", "campaign", "term", "content"}: what the sender says and the address does not


# A copy of an event takes half the time of a new one with as many values. `copy.copy` would add 90 ns.
copied: Final[Callable[[Event], Event]] = Event.__copy__  # type: ignore[attr-defined]

# The engine's type of each field of a log line, in order. Nested JSON travels as text until the insert.
LOG_COLUMNS: Final[dict[str, str]] = {
    "project": "String",
    "event_id": "String",
    "kind": "LowCardinality(String)",
    "name": "String",
    "received_us": "Int64",
    "client_time": "String",
    "sent_time": "String",
    "keep_time": "Bool",
    "distinct_id": "String",
    "user_id": "String",
    "anonymous_id": "String",
    "device_id": "String",
    "merges": "String",
    "session_id": "String",
    "window_id": "String",
    "groups": "String",
    "properties": "String",
    "profile": "String",
    "group_profile": "String",
    "url": "String",
    "title": "String",
    "referrer": "String",
    "screen": "String",
    "ip": "String",
    "user_agent": "String",
    "library": "String",
    "library_version": "String",
    "context": "String",
    "flags": "String",
    "rest": "String",
    "protocol": "LowCardinality(String)",
    "is_server": "Bool",
    "campaign": "String",
}

LINE_ENCODER: Final = msgspec.json.Encoder()
LINE_DECODER: Final = msgspec.json.Decoder(Event)


class DeadLetter(msgspec.Struct):
    """Why something could not become an event, with the original so that it can be mended and replayed."""

    stage: str  # decode (the collector), parse, plan or insert (the load)
    reason: str  # a short stable word: not_an_object, no_name, too_large, against_plan …
    detail: str  # one sentence for a person
    original: str  # the message as it came, as text


def derived_id(canonical: bytes) -> str:
    """An id for a message whose protocol has none: "h:" + 128 bits of BLAKE2b over its content without send-time fields.

    Only exact replays collapse.
    """
    return "h:" + hashlib.blake2b(canonical, digest_size=16).hexdigest()


def dead_letter(project: str, received_us: int, letter: DeadLetter, protocol: str) -> Event:
    """The log line of a dead letter: it travels, is made durable and is counted like an event."""
    rest = msgspec.json.encode(letter)
    return Event(
        project=project,
        event_id=derived_id(f"{letter.stage}\0{letter.reason}\0{letter.original}\0{received_us}".encode("utf-8", "replace")),
        kind=Kind.DEAD_LETTER,
        name=letter.reason,
        received_us=received_us,
        rest=msgspec.Raw(rest),
        protocol=protocol,
    )
