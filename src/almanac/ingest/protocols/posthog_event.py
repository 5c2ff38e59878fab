"""An event of PostHog's and what becomes of it: the forms that `posthog` decodes, and the event that is built of them."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Merge, Raw, copied
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.messages import CAMPAIGN, NONE, NOTHING, Fields, Shape, UnfitError
from almanac.ingest.senders import is_server_library


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
    # A campaign as the browser SDK takes it from the address, and with a dollar sign. Ten fields more to look for take 0.2 µs an event of
    # 1.8 kB; searching it for "utm_" takes 1.3.
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    own_source: str | None = msgspec.field(default=None, name="$utm_source")
    own_medium: str | None = msgspec.field(default=None, name="$utm_medium")
    own_campaign: str | None = msgspec.field(default=None, name="$utm_campaign")
    own_term: str | None = msgspec.field(default=None, name="$utm_term")
    own_content: str | None = msgspec.field(default=None, name="$utm_content")


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
    "$pageview": Kind.PAGE.value,
    "$screen": Kind.SCREEN.value,
    "$identify": Kind.IDENTIFY.value,
    "$create_alias": Kind.ALIAS.value,
    "$merge_dangerously": Kind.ALIAS.value,
    "$groupidentify": Kind.GROUP_PROFILE.value,
    "$set": Kind.PROFILE.value,
    "$set_once": Kind.PROFILE.value,
    "$unset": Kind.PROFILE.value,
    "$exception": Kind.EXCEPTION.value,
    "$feature_flag_called": Kind.FEATURE_FLAG.value,
    "$snapshot": Kind.SNAPSHOT.value,
    "$snapshot_items": Kind.SNAPSHOT.value,
    "$performance_event": Kind.SNAPSHOT.value,
}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

ITEM: Final = Shape(Item)
_PROPERTIES: Final = Shape(Properties)
_OPTIONS: Final = Shape(Options)
_BLANK: Final = Event("", "", "track", "", 0, protocol="posthog")
_NO_PROPERTIES: Final = Properties()


class Builder:
    """Makes events of the messages of one request. What they have in common is worked out once and copied."""

    __slots__ = ("_around", "_blank", "_call", "_limit")

    def __init__(self, call: Call, around: Envelope) -> None:
        self._call = call
        self._around = around
        self._limit = call.settings.depth_limit
        self._blank = copied(_BLANK)
        self._blank.project, self._blank.received_us, self._blank.sent_time = call.project, call.received_us, around.sent
        self._blank.keep_time = around.historical

    def __call__(self, index: int, item: Item, unknown: Fields = NOTHING) -> Event:
        """The event of the message at place `index`; `unknown`: members that are not documented. Raises `UnfitError`."""
        event = copied(self._blank)
        event.name = name = item.event or ""
        event.kind = _kind(name)
        p = _NO_PROPERTIES
        if item.properties is not NONE:
            if reading.checked(item.properties, self._limit):
                event.properties, p = item.properties, _PROPERTIES.lenient(item.properties)
            else:
                unknown = {**unknown, "properties": item.properties}
        id_ = item.uuid
        event.event_id = id_ if id_ and reading.is_id(id_) else _derived_id(self._call, index, item, unknown)
        if when := item.timestamp:
            event.client_time = when if when[4:5] == "-" else reading.instant(when)
        elif item.offset:
            event.client_time, event.keep_time = reading.earlier(self._call.received_us, item.offset), True
        if item.sent_at:
            event.sent_time = item.sent_at
        if p.ignore_sent_at:
            event.keep_time = True
        event.distinct_id = item.distinct_id or p.distinct_id or ""
        self._describe(event, item, p)
        _relate(event, item, p, self._limit)
        _keep(event, item, p, self._around, unknown)
        return event

    def _describe(self, event: Event, item: Item, p: Properties) -> None:
        """Fills in who and where: fields are set only where there is something to say, because setting one takes longer than looking."""
        call, around = self._call, self._around
        library = p.library or item.library or around.library
        if library:
            event.library = library
        if version := p.library_version or item.library_version or around.library_version:
            event.library_version = version
        if (is_server_library(library) or (not library and call.from_server)) if p.is_server is None else p.is_server:
            event.is_server = True
        else:
            event.ip, event.user_agent = call.ip, call.user_agent
        if p.ip:
            event.ip = p.ip
        if p.user_agent:
            event.user_agent = p.user_agent
        if user := p.user_id or (p.is_identified and event.distinct_id):
            event.user_id = user
        if anonymous := p.anon_distinct_id or (p.is_identified is False and event.distinct_id):
            event.anonymous_id = anonymous
        if p.device_id:
            event.device_id = p.device_id
        if session := item.session_id or p.session_id:
            event.session_id = session
        if window := item.window_id or p.window_id:
            event.window_id = window
        if p.url:
            event.url = p.url
        if title := p.page_title or p.title:
            event.title = title
        if p.referrer and p.referrer != "$direct":
            event.referrer = p.referrer
        if p.screen:
            event.screen = p.screen
        event.campaign = _campaign(p)


def _kind(name: str) -> str:
    if name[:1] != "$":
        if not name:
            raise UnfitError("no_name", "It has no name of an event.")
        return "track"
    return KINDS.get(name) or ("ai" if name.startswith("$ai_") else "track")


def _campaign(p: Properties) -> str:
    source, medium, campaign = p.utm_source or p.own_source, p.utm_medium or p.own_medium, p.utm_campaign or p.own_campaign
    values = (source, medium, campaign, p.utm_term or p.own_term, p.utm_content or p.own_content)
    return reading.campaign(dict(zip(CAMPAIGN, values, strict=True)), p.url or "") if any(values) else ""


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
    if any(part is not NONE for part in (item.set_, p.set_, item.set_once, p.set_once, item.unset, p.unset)):
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


def _keep(event: Event, item: Item, p: Properties, around: Envelope, unknown: Fields) -> None:
    """Keeps the sender's switches in `flags`, and what has no home of its own in `rest`."""
    flags: Fields = {}
    if item.options is not NONE:
        flags.update(reading.fields_of(item.options) or {"options": item.options})
        event.keep_time = event.keep_time or bool(_OPTIONS.lenient(item.options).disable_skew_correction)
    if p.process_person_profile is not NONE:
        flags["process_person_profile"] = p.process_person_profile
    if p.geoip_disable is not NONE:
        flags["geoip_disable"] = p.geoip_disable
    if p.cookieless_mode is not NONE:
        flags["cookieless_mode"] = p.cookieless_mode
    if around.historical:
        flags["historical_migration"] = Raw(b"true")
    if flags:
        event.flags = reading.encoded(flags)
    if unknown or item.offset or (item.distinct_id and not event.distinct_id):
        rest = dict(unknown)
        if item.offset:
            rest["offset"] = reading.encoded(item.offset)
        if item.distinct_id and not event.distinct_id:
            rest["distinct_id"] = reading.encoded(item.distinct_id)
        event.rest = reading.encoded(rest)


def _derived_id(call: Call, index: int, item: Item, unknown: Fields) -> str:
    def content() -> bytes:
        stable = msgspec.structs.replace(item, sent_at=None, api_key=None, token=None, offset=None)
        return msgspec.json.encode(stable) + (reading.canonical(unknown) if unknown else b"")

    return reading.message_id(item.uuid, content, timed=bool(item.timestamp), call=call, index=index)
