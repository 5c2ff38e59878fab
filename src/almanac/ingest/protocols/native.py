"""Almanac's own protocol: `POST /api/v1/events`.

The write key is sent as `Authorization: Bearer KEY`, `?write_key=KEY` or `"write_key"` in the body. The body is one event, a list of
events, `{"batch": [event …], "sent_at"}`, or one event a line (NDJSON). An event:

    {"event": "Ticket Bought",              what happened; not needed for the kinds page, screen, identify, alias, group and profile
     "id": "5e1c…",                         makes sending again harmless; without it, one is derived from the content
     "time": "2026-11-20T21:09:13.789Z",    or a number since 1970; without it, the moment of receipt
     "user_id": "u1", "anonymous_id": "a1", "device_id": "d1",    or only "distinct_id": the id that counts
     "kind": "track",                       track, page, screen, identify, alias, group, profile, exception, feature_flag, session_start, …
     "properties": {"price": 12.5},
     "person": {"set": {}, "set_once": {}, "unset": []},          changes of the person
     "groups": {"company": "acme"},         whose event it is besides
     "group": {"type": "company", "key": "acme", "set": {}},      changes of a group
     "previous_id": "old", "how": "alias",  with kind alias: both ids are one person ("merge": even when both are identified)
     "session_id", "window_id", "url", "title", "referrer", "screen", "ip", "user_agent": "…",
     "library": {"name": "almanac-web", "version": "1.0.0"},
     "is_server": true,                     the request's address and User-Agent say nothing about the person
     "keep_time": true,                     do not correct the sender's clock
     "context": {}, "flags": {}}

An event of kind identify with a user_id and an anonymous_id says that they are one person. Unknown members are kept.

The answer is 200 with `{"status": 1, "accepted": 2, "rejected": [{"index": 2, "reason": "no_name", "detail": "…"}]}`, and more members that
other vendors' SDKs look for. What is rejected is kept as a dead letter.
"""

from __future__ import annotations

from typing import Final

import msgspec

from almanac.core.errors import AlmanacError
from almanac.core.event import EMPTY, Event, Kind, Merge, Raw
from almanac.ingest import body as bodies
from almanac.ingest import messages as reading
from almanac.ingest.answers import SUCCESS, Answer, as_json
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.messages import Fields, Shape, UnfitError

NONE: Final = Raw(b"")


class Item(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An event as documented. `Raw` members are `NONE` when absent."""

    event: str | None = None
    id: str | None = None
    time: str | None = None
    sent_at: str | None = None
    kind: str | None = None
    distinct_id: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    device_id: str | None = None
    previous_id: str | None = None
    how: str | None = None
    session_id: str | None = None
    window_id: str | None = None
    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    screen: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    write_key: str | None = None
    is_server: bool | None = None
    keep_time: bool | None = None
    properties: Raw = NONE
    person: Raw = NONE
    groups: Raw = NONE
    group: Raw = NONE
    library: Raw = NONE
    context: Raw = NONE
    flags: Raw = NONE


class Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Several events in one body."""

    batch: list[Item]
    sent_at: str | None = None
    write_key: str | None = None


class Library(msgspec.Struct, gc=False):
    """The SDK."""

    name: str | None = None
    version: str | None = None


_ITEM: Final = Shape(Item)
_LIBRARY: Final = Shape(Library)
_NO_LIBRARY: Final = Library()
_BATCH: Final = msgspec.json.Decoder(Batch)
_ITEMS: Final = msgspec.json.Decoder(list[Item])
_KINDS: Final = {kind.value: kind.value for kind in Kind if kind is not Kind.DEAD_LETTER}
_NAMED_BY_KIND: Final = frozenset(kind.value for kind in (Kind.PAGE, Kind.SCREEN, Kind.IDENTIFY, Kind.ALIAS, Kind.GROUP, Kind.PROFILE))
_OBJECTS: Final = ("properties", "groups", "context", "flags", "person")
_NOTHING: Final[Fields] = {}


def take(call: Call) -> Answer:
    """Events in any of the four forms of the body."""
    found = _strict(call)
    if found is None:
        _take_odd(call)
    else:
        items, sent = found
        reading.strictly(call, items, lambda index, item: _build(call, index, item, sent, _NOTHING))
    return as_json({**SUCCESS, "accepted": len(call.events) - len(call.rejected), "rejected": call.rejected})


def _strict(call: Call) -> tuple[list[Item], str] | None:
    """The events of a body that looks as documented, and when it was sent."""
    try:
        found = _ITEMS.decode(call.json) if call.json[:1] == b"[" else _BATCH.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not reading.all_small(call):
        return None
    if isinstance(found, Batch):
        _admit(call, found.write_key)
        return found.batch, found.sent_at or ""
    _admit(call, found[0].write_key if found else None)
    return found, ""


def _take_odd(call: Call) -> None:
    lines = _lines(call)
    around, items = reading.envelope(call) if lines is None else ({}, lines)
    first = reading.fields_of(items[0]) if items else None
    _admit(call, reading.text_of(around.get("write_key")), reading.text_of((first or {}).get("write_key")))
    sent = reading.text_of(around.get("sent_at")) if "batch" in around else ""
    reading.tolerantly(call, items, _ITEM, lambda index, item, unknown: _build(call, index, item, sent, unknown))


def _lines(call: Call) -> list[Raw] | None:
    """The lines of NDJSON; None when the body is something else. A line that is not JSON stays as it is, and is rejected alone."""
    lines = [line for line in call.text.split(b"\n") if line.strip()]
    announced = "ndjson" in call.header(b"content-type") or "jsonl" in call.header(b"content-type")
    if not announced and (
        len(lines) < 2 or not all(line.lstrip()[:1] == b"{" for line in lines[:2]) or reading.fields_of(lines[0]) is None
    ):
        return None
    return [Raw(_line(line)) for line in lines]


def _line(line: bytes) -> bytes:
    line = bodies.clean(line.strip())
    if reading.fields_of(line) is not None:
        return line
    try:
        return bodies.mend(line)
    except AlmanacError:
        return line


def _admit(call: Call, *in_body: str | None) -> None:
    call.admit(call.bearer, call.query.get("write_key"), *in_body, call.basic_user)


def _said(item: Item) -> tuple[str, str]:
    kind = _KINDS.get(item.kind or "track")
    if kind is None:
        raise UnfitError("unknown_kind", f"There is no kind of event {item.kind!r}.")
    name = item.event or (kind if kind in _NAMED_BY_KIND else "")
    if not name:
        raise UnfitError("no_name", "It has no name of an event.")
    return kind, name


def _build(call: Call, index: int, item: Item, sent: str, unknown: Fields) -> Event:
    kind, name = _said(item)
    objects, unknown = _objects(item, unknown, call.settings.depth_limit)
    library = _NO_LIBRARY if item.library is NONE else _LIBRARY.lenient(item.library)
    is_server = (call.from_server and not call.from_browser) if item.is_server is None else item.is_server
    event = Event(
        project=call.project,
        event_id=reading.message_id(item.id, lambda: _content(item, unknown), timed=bool(item.time), call=call, index=index),
        kind=kind,
        name=name,
        received_us=call.received_us,
        client_time=reading.instant(item.time or ""),
        sent_time=reading.instant(item.sent_at or sent),
        keep_time=bool(item.keep_time),
        distinct_id=item.distinct_id or item.user_id or item.anonymous_id or item.device_id or "",
        user_id=item.user_id or "",
        anonymous_id=item.anonymous_id or "",
        device_id=item.device_id or "",
        session_id=item.session_id or "",
        window_id=item.window_id or "",
        url=item.url or "",
        title=item.title or "",
        referrer=item.referrer or "",
        screen=item.screen or "",
        ip=item.ip or ("" if is_server else call.ip),
        user_agent=item.user_agent or ("" if is_server else call.user_agent),
        library=library.name or "",
        library_version=library.version or "",
        protocol="native",
        is_server=is_server,
    )
    if objects:
        event.properties, event.groups = objects.get("properties", EMPTY), objects.get("groups", EMPTY)
        event.context, event.flags = objects.get("context", EMPTY), objects.get("flags", EMPTY)
        event.profile = objects.get("person", EMPTY)
    _relate(event, item, call.settings.depth_limit)
    if unknown:
        event.rest = reading.object_of(unknown)
    return event


def _objects(item: Item, unknown: Fields, limit: int) -> tuple[Fields, Fields]:
    """The members that have to be objects; those that are not are kept among the unknown ones."""
    objects: Fields = {}
    for name in _OBJECTS:
        value: Raw = getattr(item, name)
        if value is not NONE and reading.checked(value, limit):
            objects[name] = value
        elif value is not NONE and not reading.is_empty(value):
            unknown = {**unknown, name: value}
    return objects, unknown


def _relate(event: Event, item: Item, limit: int) -> None:
    """Fills in what it says of identity and of groups."""
    if event.kind == "identify" and item.user_id and item.anonymous_id and item.user_id != item.anonymous_id:
        event.merges = [Merge(item.anonymous_id, item.user_id, "identify")]
    elif event.kind == "alias" and item.previous_id and event.distinct_id and item.previous_id != event.distinct_id:
        event.merges = [Merge(item.previous_id, event.distinct_id, "merge" if item.how == "merge" else "alias")]
    if item.group is not NONE and reading.checked(item.group, limit):
        event.group_profile = item.group


def _content(item: Item, unknown: Fields) -> bytes:
    stable = msgspec.structs.replace(item, sent_at=None, write_key=None)
    return msgspec.json.encode(stable) + (reading.canonical(unknown) if unknown else b"")


PROTOCOL: Final = Protocol("native", (Route("POST", "/api/v1/events", take),))
