"""Almanac's own protocol: `POST /api/v1/events`.

The write key is sent as `Authorization: Bearer KEY`, `?write_key=KEY` or `"write_key"` in the body. The body is one event, a list of
events, `{"batch": [event …], "sent_at"}`, or one event a line (NDJSON). An event:

    {"event": "Ticket Bought",              what happened; not needed for the kinds page, screen, identify, alias, group and profile
     "id": "5e1c…",                         makes sending again harmless; without it, one is derived from the content
     "time": "2026-11-20T21:09:13.789Z",    or a number since 1970; without it, the moment of receipt
     "user_id": "u1", "anonymous_id": "a1", "device_id": "d1",    or only "distinct_id": the id that counts
     "kind": "track",                       track, page, screen, identify, alias, group, profile, exception, feature_flag, session_start, …
     "properties": {"price": 12.5},
     "person": {"set": {}, "set_once": {}, "unset": [],           changes of the person: also append, prepend, pre_insert, post_insert,
                "add": {}, "remove": {}, "delete": true},         union, clear_all; what each does is told in docs/profiles.md
     "groups": {"company": "acme"},         whose event it is besides
     "group": {"type": "company", "key": "acme", "set": {}},      changes of a group
     "previous_id": "old", "how": "alias",  with kind alias: both ids are one person ("merge": even when both are identified)
     "session_id", "window_id", "url", "title", "referrer", "screen", "ip", "user_agent": "…",
     "library": {"name": "almanac-web", "version": "1.0.0"},
     "is_server": true,                     the request's address and User-Agent say nothing about the person
     "keep_time": true,                     do not correct the sender's clock
     "cookieless": true,                    the sender keeps no id: who sends from this address with this browser is one person today
     "context": {}, "flags": {}}

An event of kind identify with a user_id and an anonymous_id says that they are one person. Unknown members are kept.

The answer is 200 with `{"status": 1, "accepted": 2, "rejected": [{"index": 2, "reason": "no_name", "detail": "…"}]}`, and more members that
other vendors' SDKs look for. What is rejected is kept as a dead letter.
"""

from __future__ import annotations

from typing import Final

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Merge, Raw, copied
from almanac.ingest import messages as reading
from almanac.ingest import profiles
from almanac.ingest.answers import SUCCESS, Answer, as_json
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.daily_ids import coarse, daily_id
from almanac.ingest.messages import NONE, NOTHING, Fields, Shape, UnfitError


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
    cookieless: bool | None = None
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
_BATCH: Final = msgspec.json.Decoder(Batch)
_ITEMS: Final = msgspec.json.Decoder(list[Item])
_KINDS: Final = {kind.value: kind.value for kind in Kind if kind is not Kind.DEAD_LETTER}
_NAMED_BY_KIND: Final = frozenset(kind.value for kind in (Kind.PAGE, Kind.SCREEN, Kind.IDENTIFY, Kind.ALIAS, Kind.GROUP, Kind.PROFILE))
_GROUP: Final = frozenset({"type", "key"})
_OBJECTS: Final = {"properties": "properties", "groups": "groups", "context": "context", "flags": "flags", "person": "profile"}
_BLANK: Final = Event("", "", "", "", 0, protocol="native")


def take(call: Call) -> Answer:
    """Events in any of the four forms of the body."""
    found = _strict(call)
    if found is None:
        _take_odd(call)
    else:
        items, sent = found
        reading.strictly(call, items, _Builder(call, sent))
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
    lines = reading.lines_of(call)
    around, items = reading.envelope(call) if lines is None else ({}, lines)
    first = reading.fields_of(items[0]) if items else None
    _admit(call, reading.text_of(around.get("write_key")), reading.text_of((first or {}).get("write_key")))
    sent = reading.text_of(around.get("sent_at")) if "batch" in around else ""
    reading.tolerantly(call, items, _ITEM, _Builder(call, sent))


def _admit(call: Call, *in_body: str | None) -> None:
    call.admit(call.bearer, call.query.get("write_key"), *in_body, call.basic_user)


class _Builder:
    """Makes events of the items of one request. `sent`: the request's time of sending."""

    __slots__ = ("_blank", "_call", "_from_server", "_limit")

    def __init__(self, call: Call, sent: str) -> None:
        self._call = call
        self._limit = call.settings.depth_limit
        self._from_server = call.from_server and not call.from_browser
        self._blank = copied(_BLANK)
        self._blank.project, self._blank.received_us, self._blank.sent_time = call.project, call.received_us, reading.instant(sent)

    def __call__(self, index: int, item: Item, unknown: Fields = NOTHING) -> Event:
        """The event of the item at place `index`; `unknown`: undocumented members. Raises `UnfitError`."""
        event = copied(self._blank)
        event.kind, event.name = _said(item)
        if when := item.time:
            event.client_time = when if when[4:5] == "-" else reading.instant(when)
        if item.sent_at:
            event.sent_time = reading.instant(item.sent_at)
        if item.keep_time:
            event.keep_time = True
        if user := item.user_id:
            event.user_id = user
        if anonymous := item.anonymous_id:
            event.anonymous_id = anonymous
        if device := item.device_id:
            event.device_id = device
        event.distinct_id = item.distinct_id or user or anonymous or device or ""
        self._describe(event, item)
        if item.cookieless:
            self._forget(event)
        unknown = _take_objects(event, item, unknown, self._limit)
        id_ = item.id
        event.event_id = id_ if id_ and reading.is_id(id_) else _derived_id(self._call, index, item, unknown)
        unknown = _relate(event, item, unknown, self._limit)
        if unknown:
            event.rest = reading.object_of(unknown)
        return event

    def _describe(self, event: Event, item: Item) -> None:
        """Fills in where: fields are set only where there is something to say, because setting one takes longer than looking."""
        if self._from_server if item.is_server is None else item.is_server:
            event.is_server = True
        else:
            event.ip, event.user_agent = self._call.ip, self._call.user_agent
        if item.ip:
            event.ip = item.ip
        if item.user_agent:
            event.user_agent = item.user_agent
        if item.session_id:
            event.session_id = item.session_id
        if item.window_id:
            event.window_id = item.window_id
        if item.url:
            event.url = item.url
        if item.title:
            event.title = item.title
        if item.referrer:
            event.referrer = item.referrer
        if item.screen:
            event.screen = item.screen
        if item.library is not NONE:
            library = _LIBRARY.lenient(item.library)
            event.library, event.library_version = library.name or "", library.version or ""

    def _forget(self, event: Event) -> None:
        """Gives somebody without ids the day's, and keeps no more of the address than tells the country."""
        if not event.distinct_id:
            call = self._call
            event.distinct_id = event.anonymous_id = daily_id(
                call.settings.data, call.received_us, call.project, event.ip, event.user_agent
            )
        event.ip = coarse(event.ip)


def _said(item: Item) -> tuple[str, str]:
    kind = _KINDS.get(item.kind or "track")
    if kind is None:
        raise UnfitError("unknown_kind", f"There is no kind of event {item.kind!r}.")
    name = item.event or (kind if kind in _NAMED_BY_KIND else "")
    if not name:
        raise UnfitError("no_name", "It has no name of an event.")
    return kind, name


def _take_objects(event: Event, item: Item, unknown: Fields, limit: int) -> Fields:
    """Fills in the members that have to be objects; those that are not are kept among the unknown ones, which are returned."""
    for name, field in _OBJECTS.items():
        value: Raw = getattr(item, name)
        if value is NONE:
            continue
        if reading.checked(value, limit):
            setattr(event, field, value)
        elif not reading.is_empty(value):
            unknown = {**unknown, name: value}
    return unknown


def _relate(event: Event, item: Item, unknown: Fields, limit: int) -> Fields:
    """Fills in what it says of identity, people and groups. What is no operation on these is kept among the unknown members, which are
    returned."""
    if event.kind == "identify" and item.user_id and item.anonymous_id and item.user_id != item.anonymous_id:
        event.merges = [Merge(item.anonymous_id, item.user_id, "identify")]
    elif event.kind == "alias" and item.previous_id and event.distinct_id and item.previous_id != event.distinct_id:
        event.merges = [Merge(item.previous_id, event.distinct_id, "merge" if item.how == "merge" else "alias")]
    if event.profile is not EMPTY:
        event.profile, odd = profiles.sorted_out(event.profile)
        if odd:
            unknown = {**unknown, "person": reading.encoded(odd)}
    if item.group is not NONE and reading.checked(item.group, limit):
        event.group_profile, odd = profiles.sorted_out(item.group, _GROUP)
        if odd:
            unknown = {**unknown, "group": reading.encoded(odd)}
    return unknown


def _derived_id(call: Call, index: int, item: Item, unknown: Fields) -> str:
    def content() -> bytes:
        stable = msgspec.structs.replace(item, sent_at=None, write_key=None)
        return msgspec.json.encode(stable) + (reading.canonical(unknown) if unknown else b"")

    return reading.message_id(item.id, content, timed=bool(item.time), call=call, index=index)


PROTOCOL: Final = Protocol("native", (Route("POST", "/api/v1/events", take),))
