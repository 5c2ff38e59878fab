"""A message of Segment's and what becomes of it: the forms that `segment` decodes, and the event that is built of them."""

from __future__ import annotations

from typing import Final

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Merge, Raw, copied
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.messages import NONE, NOTHING, Fields, Shape, UnfitError
from almanac.ingest.protocols.segment_context import BLANK, PAGE, lifted
from almanac.ingest.senders import is_server_library


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, rename="camel"):
    """A message as documented. `Raw` members are `NONE` when absent."""

    type: str | None = None
    message_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    received_at: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    group_id: str | None = None
    previous_id: str | None = None
    channel: str | None = None
    write_key: str | None = None
    properties: Raw = NONE
    traits: Raw = NONE
    context: Raw = NONE
    integrations: Raw = NONE
    metadata: Raw = msgspec.field(default=NONE, name="_metadata")
    version: Raw = NONE


class Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    """The body of `/v1/batch`."""

    batch: list[Message]
    sent_at: str | None = None
    write_key: str | None = None
    timestamp: str | None = None


KINDS: Final = {kind.value: kind.value for kind in (Kind.TRACK, Kind.PAGE, Kind.SCREEN, Kind.IDENTIFY, Kind.ALIAS, Kind.GROUP)}

MESSAGE: Final = Shape(Message)


class Builder:
    """Makes events of the messages of one request. `sent`: the request's time of sending.

    What events have in common, the request and a context that repeats, is worked out once and copied.
    """

    __slots__ = ("_call", "_channel", "_consent", "_context", "_flags", "_integrations", "_limit", "_sent", "_shared", "_traits")

    def __init__(self, call: Call, sent: str) -> None:
        self._call = call
        self._limit = call.settings.depth_limit
        self._sent = sent
        self._context: Raw | None = None  # of the last message, as all below
        self._channel: str | None = None
        self._integrations: Raw | None = None
        self._flags = EMPTY  # of these integrations
        self._shared = BLANK
        self._traits = self._consent = NONE

    def traits(self, m: Message) -> Raw:
        """The message's `context.traits`."""
        if m.context != self._context or m.channel != self._channel:
            self._share(m)
        return self._traits

    def __call__(self, index: int, m: Message, unknown: Fields = NOTHING) -> Event:
        """The event of the message at place `index`; `unknown`: undocumented members. Raises `UnfitError`."""
        if m.context != self._context or m.channel != self._channel:
            self._share(m)
        event = copied(self._shared)
        if m.type == "track":
            event.name = m.event or ""
        else:
            event.kind, event.name, unknown = _said(m, unknown)
        if not event.name:
            raise UnfitError("no_name", "It has no name of an event.")
        if m.properties is not NONE:
            if reading.checked(m.properties, self._limit):
                event.properties = m.properties
            else:
                unknown = {**unknown, "properties": m.properties}
        id_ = m.message_id
        event.event_id = id_ if id_ and reading.is_id(id_) else _derived_id(self._call, index, m, unknown)
        if when := m.timestamp or m.original_timestamp:
            event.client_time = when if when[4:5] == "-" else reading.instant(when)
        if m.sent_at:
            event.sent_time = reading.instant(m.sent_at)
        if user := m.user_id:
            event.user_id = user
        if anonymous := m.anonymous_id:
            event.anonymous_id = anonymous
        event.distinct_id = user or anonymous or event.device_id
        if event.kind != "track":
            _relate(event, m, self._traits, self._limit)
        self._keep(event, m, unknown)
        return event

    def _share(self, m: Message) -> None:
        """Works out what this message has in common with others of its context and channel."""
        call, raw = self._call, m.context
        shared, self._traits, self._consent = lifted(raw, self._limit)
        shared.project, shared.received_us, shared.sent_time = call.project, call.received_us, self._sent
        shared.protocol = call.protocol
        if self._is_server(m, shared.library):
            shared.is_server = True
        else:
            if not shared.ip:
                shared.ip = call.ip
            if not shared.user_agent:
                shared.user_agent = call.user_agent
        self._shared, self._context, self._channel, self._integrations = shared, raw, m.channel, None

    def _is_server(self, m: Message, library: str) -> bool:
        return is_server_library(library) if library else m.channel == "server" or self._call.from_server

    def _keep(self, event: Event, m: Message, unknown: Fields) -> None:
        """Keeps the sender's switches in `flags`, and what has no home of its own in `rest`."""
        if m.channel or self._consent is not NONE or len(m.integrations) > 2:
            if m.integrations != self._integrations:
                channel = reading.encoded(m.channel) if m.channel else None
                self._flags = reading.object_of({"integrations": m.integrations, "channel": channel, "consent": self._consent})
                self._integrations = m.integrations
            event.flags = self._flags
        if (
            unknown
            or event.kind != "track"
            or m.traits is not NONE
            or m.metadata is not NONE
            or m.version is not NONE
            or m.name
            or m.category
            or m.group_id
            or m.previous_id
            or m.received_at
            or (m.original_timestamp and m.timestamp)
        ):
            event.rest = _rest(event, m, unknown)


def _said(m: Message, unknown: Fields) -> tuple[str, str, Fields]:
    """The kind and the name; a type that nobody knows is kept among the unknown members."""
    kind = KINDS.get(m.type or "")
    if kind is None:
        return "track", m.event or "", {**unknown, "type": reading.encoded(m.type or "")}
    return kind, m.name or kind, unknown


def _relate(event: Event, m: Message, context_traits: Raw, limit: int) -> None:
    """Fills in what identify, alias, group, page and screen say besides that something happened."""
    kind = event.kind
    if kind == "screen":
        event.screen = m.name or ""
    elif kind == "page":
        page = PAGE.lenient(event.properties)
        event.url, event.title = page.url or event.url, page.title or event.title
        event.referrer = page.referrer or event.referrer
    elif kind == "alias":
        if m.previous_id and event.user_id and m.previous_id != event.user_id:
            event.merges = [Merge(m.previous_id, event.user_id, "alias")]
    elif kind == "identify":
        if event.user_id and event.anonymous_id and event.user_id != event.anonymous_id:
            event.merges = [Merge(event.anonymous_id, event.user_id, "identify")]
        traits = context_traits if reading.is_empty(m.traits) else m.traits
        if not reading.is_empty(traits) and reading.checked(traits, limit):
            event.profile = Raw(b'{"set":' + bytes(traits) + b"}")
    elif m.group_id:
        key = reading.encoded(m.group_id)
        traits = m.traits if not reading.is_empty(m.traits) and reading.checked(m.traits, limit) else EMPTY
        event.groups = Raw(b'{"group":' + bytes(key) + b"}")
        event.group_profile = Raw(b'{"type":"group","key":' + bytes(key) + b',"set":' + bytes(traits) + b"}")


def _rest(event: Event, m: Message, unknown: Fields) -> Raw:
    kind = event.kind
    texts = {
        "category": m.category,
        "receivedAt": m.received_at,
        "originalTimestamp": m.original_timestamp if m.timestamp else None,
        "groupId": m.group_id if kind != "group" else None,
        "previousId": m.previous_id if kind != "alias" or not event.merges else None,
        "name": m.name if kind == "track" else None,
        "event": m.event if kind != "track" else None,
    }
    rest: dict[str, Raw | None] = {name: reading.encoded(text) for name, text in texts.items() if text}
    rest["_metadata"], rest["version"] = m.metadata, m.version
    if bytes(m.traits)[:1] != b"{" or not (kind == "identify" or (kind == "group" and m.group_id)):
        rest["traits"] = m.traits
    return reading.object_of({**rest, **unknown})


def _derived_id(call: Call, index: int, m: Message, unknown: Fields) -> str:
    def content() -> bytes:
        stable = msgspec.structs.replace(m, sent_at=None, received_at=None, write_key=None, metadata=NONE)
        return msgspec.json.encode(stable) + (reading.canonical(unknown) if unknown else b"")

    return reading.message_id(m.message_id, content, timed=bool(m.timestamp or m.original_timestamp), call=call, index=index)
