"""An event of PostHog's and what becomes of it: the forms that `posthog` decodes, and the event that is built of them."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Merge, Raw
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.messages import Fields, Shape, UnfitError
from almanac.ingest.senders import is_server_library

NONE: Final = Raw(b"")


class Item(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An event as documented. `Raw` members are `NONE` when absent."""

    event: str | None = None
    uuid: str | None = None
    distinct_id: str | None = None
    timestamp: str | None = None
    offset: str | None = None  # milliseconds before sending; older browsers' SDKs
    session_id: str | None = None
    window_id: str | None = None
    library: str | None = None
    library_version: str | None = None
    token: str | None = None
    api_key: str | None = None
    sent_at: str | None = None
    properties: Raw = NONE
    options: Raw = NONE
    set_: Raw = msgspec.field(default=NONE, name="$set")
    set_once: Raw = msgspec.field(default=NONE, name="$set_once")
    unset: Raw = msgspec.field(default=NONE, name="$unset")


class Properties(msgspec.Struct, gc=False):
    """What of an event's properties has a home of its own."""

    distinct_id: str | None = None
    token: str | None = None
    alias: str | None = None
    title: str | None = None
    device_id: str | None = msgspec.field(default=None, name="$device_id")
    user_id: str | None = msgspec.field(default=None, name="$user_id")
    anon_distinct_id: str | None = msgspec.field(default=None, name="$anon_distinct_id")
    session_id: str | None = msgspec.field(default=None, name="$session_id")
    window_id: str | None = msgspec.field(default=None, name="$window_id")
    url: str | None = msgspec.field(default=None, name="$current_url")
    page_title: str | None = msgspec.field(default=None, name="$title")
    referrer: str | None = msgspec.field(default=None, name="$referrer")
    screen: str | None = msgspec.field(default=None, name="$screen_name")
    ip: str | None = msgspec.field(default=None, name="$ip")
    user_agent: str | None = msgspec.field(default=None, name="$raw_user_agent")
    library: str | None = msgspec.field(default=None, name="$lib")
    library_version: str | None = msgspec.field(default=None, name="$lib_version")
    is_server: bool | None = msgspec.field(default=None, name="$is_server")
    is_identified: bool | None = msgspec.field(default=None, name="$is_identified")
    ignore_sent_at: bool | None = msgspec.field(default=None, name="$ignore_sent_at")
    group_type: str | None = msgspec.field(default=None, name="$group_type")
    group_key: str | None = msgspec.field(default=None, name="$group_key")
    group_set: Raw = msgspec.field(default=NONE, name="$group_set")
    groups: Raw = msgspec.field(default=NONE, name="$groups")
    set_: Raw = msgspec.field(default=NONE, name="$set")
    set_once: Raw = msgspec.field(default=NONE, name="$set_once")
    unset: Raw = msgspec.field(default=NONE, name="$unset")
    process_person_profile: Raw = msgspec.field(default=NONE, name="$process_person_profile")
    geoip_disable: Raw = msgspec.field(default=NONE, name="$geoip_disable")
    cookieless_mode: Raw = msgspec.field(default=NONE, name="$cookieless_mode")


class Options(msgspec.Struct, gc=False):
    """`options` of version 1, as far as they change anything."""

    disable_skew_correction: bool | None = None


class Envelope(msgspec.Struct, gc=False, omit_defaults=True):
    """What stands around the events of a request, in its body or its headers."""

    sent: str = ""
    historical: bool = False
    library: str = ""
    library_version: str = ""


KINDS: Final = {
    "$pageview": Kind.PAGE,
    "$screen": Kind.SCREEN,
    "$identify": Kind.IDENTIFY,
    "$create_alias": Kind.ALIAS,
    "$merge_dangerously": Kind.ALIAS,
    "$groupidentify": Kind.GROUP_PROFILE,
    "$set": Kind.PROFILE,
    "$set_once": Kind.PROFILE,
    "$unset": Kind.PROFILE,
    "$exception": Kind.EXCEPTION,
    "$feature_flag_called": Kind.FEATURE_FLAG,
    "$snapshot": Kind.SNAPSHOT,
    "$snapshot_items": Kind.SNAPSHOT,
    "$performance_event": Kind.SNAPSHOT,
}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

ITEM: Final = Shape(Item)
_PROPERTIES: Final = Shape(Properties)
_OPTIONS: Final = Shape(Options)
_NO_PROPERTIES: Final = Properties()


def build(call: Call, index: int, item: Item, around: Envelope, unknown: Fields) -> Event:
    """The event of one message; `unknown`: members that are not documented. Raises `UnfitError`."""
    name = item.event or ""
    kind = _kind(name)
    properties, p = EMPTY, _NO_PROPERTIES
    if item.properties is not NONE and reading.checked(item.properties, call.settings.depth_limit):
        properties, p = item.properties, _PROPERTIES.lenient(item.properties)
    elif item.properties is not NONE:
        unknown = {**unknown, "properties": item.properties}
    distinct = item.distinct_id or p.distinct_id or ""
    library = p.library or item.library or around.library
    is_server = (is_server_library(library) or (not library and call.from_server)) if p.is_server is None else p.is_server
    event = Event(
        project=call.project,
        event_id=reading.message_id(item.uuid, lambda: _content(item, unknown), timed=bool(item.timestamp), call=call, index=index),
        kind=kind.value,
        name=name,
        received_us=call.received_us,
        client_time=_when(call, item),
        sent_time=item.sent_at or around.sent,
        keep_time=around.historical or bool(p.ignore_sent_at or (item.offset and not item.timestamp)),
        distinct_id=distinct,
        user_id=p.user_id or (distinct if p.is_identified else ""),
        anonymous_id=p.anon_distinct_id or (distinct if p.is_identified is False else ""),
        session_id=item.session_id or p.session_id or "",
        window_id=item.window_id or p.window_id or "",
        properties=properties,
        url=p.url or "",
        title=p.page_title or p.title or "",
        referrer="" if p.referrer in (None, "$direct") else p.referrer,
        screen=p.screen or "",
        ip=p.ip or ("" if is_server else call.ip),
        user_agent=p.user_agent or ("" if is_server else call.user_agent),
        library=library,
        library_version=p.library_version or item.library_version or around.library_version,
        protocol="posthog",
        is_server=is_server,
        device_id=p.device_id or "",
    )
    _relate(event, item, p, call.settings.depth_limit)
    return _keep(event, item, p, around, unknown)


def _kind(name: str) -> Kind:
    if not name:
        raise UnfitError("no_name", "It has no name of an event.")
    return KINDS.get(name) or (Kind.AI if name.startswith("$ai_") else Kind.TRACK)


def _when(call: Call, item: Item) -> str:
    if item.offset and not item.timestamp:
        return reading.earlier(call.received_us, item.offset)
    return reading.instant(item.timestamp or "")


def _relate(event: Event, item: Item, p: Properties, limit: int) -> None:
    """Fills in people and groups: merges, changes of a person, groups, changes of a group."""
    name, distinct = event.name, event.distinct_id
    if name == "$identify":
        if p.anon_distinct_id and distinct and p.anon_distinct_id != distinct:
            event.merges = [Merge(p.anon_distinct_id, distinct, "identify")]
    elif event.kind == "alias" and p.alias and distinct and p.alias != distinct:
        event.merges = [Merge(p.alias, distinct, "merge" if name == "$merge_dangerously" else "alias")]
    if p.groups is not NONE and reading.checked(p.groups, limit):
        event.groups = p.groups
    event.profile = _changes(item, p, limit)
    if name == "$groupidentify" and p.group_type and p.group_key:
        kind, key = bytes(reading.encoded(p.group_type)), bytes(reading.encoded(p.group_key))
        changes = bytes(p.group_set) if p.group_set is not NONE and reading.checked(p.group_set, limit) else b"{}"
        event.group_profile = Raw(b'{"type":' + kind + b',"key":' + key + b',"set":' + changes + b"}")
        if not p.device_id and (_UUID.fullmatch(distinct) or distinct == f"${p.group_type}_{p.group_key}"):
            event.distinct_id = ""  # server SDKs make an id up for this call: it is nobody


def _changes(item: Item, p: Properties, limit: int) -> Raw:
    """`$set` and its kin stand beside the properties or among them, or partly here and partly there."""
    changes: dict[str, Raw] = {}
    for word, outer, inner in (("set", item.set_, p.set_), ("set_once", item.set_once, p.set_once)):
        both: Fields = {}
        for part in (inner, outer):
            if part is not NONE and reading.checked(part, limit):
                both.update(reading.fields_of(part) or {})
        if both:
            changes[word] = Raw(msgspec.json.encode(both))
    removed = [*(reading.items_of(p.unset) or ()), *(reading.items_of(item.unset) or ())]
    if removed:
        changes["unset"] = Raw(msgspec.json.encode([reading.text_of(name) for name in removed]))
    return Raw(msgspec.json.encode(changes)) if changes else EMPTY


def _keep(event: Event, item: Item, p: Properties, around: Envelope, unknown: Fields) -> Event:
    """Keeps the sender's switches in `flags`, and what has no home of its own in `rest`."""
    flags: Fields = {}
    if item.options is not NONE:
        flags.update(reading.fields_of(item.options) or {"options": item.options})
        event.keep_time = event.keep_time or bool(_OPTIONS.lenient(item.options).disable_skew_correction)
    for name in ("process_person_profile", "geoip_disable", "cookieless_mode"):
        if (value := getattr(p, name)) is not NONE:
            flags[name] = value
    if around.historical:
        flags["historical_migration"] = Raw(b"true")
    if flags:
        event.flags = Raw(msgspec.json.encode(flags))
    rest = dict(unknown)
    if item.offset:
        rest["offset"] = reading.encoded(item.offset)
    if item.distinct_id and not event.distinct_id:
        rest["distinct_id"] = reading.encoded(item.distinct_id)
    if rest:
        event.rest = Raw(msgspec.json.encode(rest))
    return event


def _content(item: Item, unknown: Fields) -> bytes:
    stable = msgspec.structs.replace(item, sent_at=None, api_key=None, token=None, offset=None)
    return msgspec.json.encode(stable) + (reading.canonical(unknown) if unknown else b"")
