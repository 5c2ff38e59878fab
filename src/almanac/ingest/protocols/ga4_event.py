"""A request of GA4's Measurement Protocol and what becomes of its events.

`page_view` is a page, `screen_view` a screen, `user_engagement` a ping, `app_exception` an exception; every event keeps its name and, as
properties, its `params` verbatim. The client id (of an app: its instance id) is the anonymous id; with a `user_id` beside it, both are one
person. `user_properties` change the person, once for each request.
"""

from __future__ import annotations

from typing import Final

import msgspec

from almanac.core.event import Event, Kind, Merge, Raw, copied, derived_id
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.body import plain
from almanac.ingest.call import Call
from almanac.ingest.messages import NONE, NOTHING, Fields, Shape, UnfitError


class Request(msgspec.Struct, omit_defaults=True, gc=False):
    """What stands around the events. `Raw` members are `NONE` when absent."""

    client_id: str | None = None
    app_instance_id: str | None = None
    user_id: str | None = None
    timestamp_micros: int | str | None = None
    ip_override: str | None = None
    user_agent: str | None = None
    measurement_id: str | None = None  # of a dead letter that is replayed; otherwise in the address
    firebase_app_id: str | None = None
    user_properties: Raw = NONE
    user_data: Raw = NONE
    user_location: Raw = NONE
    device: Raw = NONE
    consent: Raw = NONE
    non_personalized_ads: Raw = NONE
    validation_behavior: Raw = NONE


class Item(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """An event as documented."""

    name: str | None = None
    params: Raw = NONE
    timestamp_micros: int | str | None = None


class Params(msgspec.Struct, gc=False):
    """What of an event's parameters has a home of its own."""

    session_id: Raw = NONE
    ga_session_id: Raw = NONE
    page_location: str | None = None
    page_title: str | None = None
    page_referrer: str | None = None
    screen_name: str | None = None
    firebase_screen: str | None = None
    firebase_screen_class: str | None = None
    transaction_id: Raw = NONE
    campaign: str | None = None
    source: str | None = None
    medium: str | None = None
    term: str | None = None
    content: str | None = None
    campaign_name: str | None = None
    campaign_source: str | None = None
    campaign_medium: str | None = None
    campaign_term: str | None = None
    campaign_content: str | None = None


class Property(msgspec.Struct, gc=False):
    """A user property."""

    value: Raw


REQUEST: Final = Shape(Request)
_PARAMS: Final = Shape(Params)
_NO_PARAMS: Final = Params()
_PROPERTY: Final = msgspec.json.Decoder(Property)
_KINDS: Final = {
    "page_view": Kind.PAGE.value,
    "screen_view": Kind.SCREEN.value,
    "session_start": Kind.SESSION_START.value,
    "user_engagement": Kind.PING.value,
    "app_exception": Kind.EXCEPTION.value,
    "exception": Kind.EXCEPTION.value,
}
_BLANK: Final = Event("", "", "track", "", 0, protocol="ga4")


class Builder:
    """Makes events of a request. `unknown`: its undocumented members."""

    def __init__(self, call: Call, request: Request, unknown: Fields) -> None:
        self._call = call
        self._limit = call.settings.depth_limit
        self._request = request
        self._unknown = unknown
        self._when = "" if request.timestamp_micros is None else str(request.timestamp_micros)
        sent = {"measurement_id": request.measurement_id, "firebase_app_id": request.firebase_app_id}
        self._streams = {name: stream for name in sent if (stream := plain(call.query.get(name, "")) or sent[name])}
        self._around: bytes | None = None
        self._who = ""
        self._blank = copied(_BLANK)
        self._unfit: UnfitError | None = None
        self._changes, left = _changes(request.user_properties)
        try:
            self._share(left)
        except UnfitError as unfit:
            self._unfit = unfit

    def alone(self, *events: Raw | bytes) -> bytes:
        """A whole request with these events alone, for their dead letter."""
        if self._around is None:
            written = reading.fields_of(reading.encoded(self._request)) or {}
            written.pop("events", None)
            streams = {name: reading.encoded(stream) for name, stream in self._streams.items()}
            self._around = bytes(reading.encoded({**written, **self._unknown, **streams}))[:-1]
        return self._around + (b"," if len(self._around) > 1 else b"") + b'"events":[' + b",".join(map(bytes, events)) + b"]}"

    def __call__(self, index: int, item: Item, unknown: Fields = NOTHING) -> Event:
        """The event at place `index`; `unknown`: its undocumented members. Raises `UnfitError`."""
        if self._unfit is not None:
            raise self._unfit.with_traceback(None)
        event = copied(self._blank)
        event.name = item.name or ""
        if not event.name:
            raise UnfitError("no_name", "It has no name of an event.")
        event.kind = _KINDS.get(event.name, "track")
        p = _NO_PARAMS
        if item.params is not NONE:
            if reading.checked(item.params, self._limit):
                event.properties, p = item.params, _PARAMS.lenient(item.params)
            else:
                unknown = {**unknown, "params": item.params}
        own = "" if item.timestamp_micros is None else str(item.timestamp_micros)
        event.client_time = flat.instant(own or self._when)
        event.event_id = self._id(index, item, p, own)
        if session := reading.text_of(p.session_id or p.ga_session_id or None):
            event.session_id = session
        if p.page_location:
            event.url = p.page_location
        if p.page_title:
            event.title = p.page_title
        if p.page_referrer:
            event.referrer = p.page_referrer
        if screen := p.screen_name or p.firebase_screen or (p.firebase_screen_class if event.kind == "screen" else ""):
            event.screen = screen
        if p.campaign_source or p.campaign_medium or p.campaign_name or event.name == "campaign_details":
            event.campaign = _campaign(event, p)
        if unknown:
            event.rest = reading.encoded({**(reading.fields_of(event.rest) or {}), **unknown})
        if self._changes is not NONE:
            event.profile, self._changes = self._changes, NONE
        self._blank.merges = []
        return event

    def _share(self, left: Fields) -> None:
        """What all events of the request say. Raises `UnfitError`."""
        call, request, event = self._call, self._request, self._blank
        event.project, event.received_us = call.project, call.received_us
        event.user_id = request.user_id or ""
        event.anonymous_id = request.client_id or request.app_instance_id or ""
        if request.client_id and request.app_instance_id:
            event.device_id = request.app_instance_id
        event.distinct_id = event.user_id or event.anonymous_id
        self._who = f"{event.user_id}\0{event.anonymous_id}\0"
        if event.user_id and event.anonymous_id and event.user_id != event.anonymous_id:
            event.merges = [Merge(event.anonymous_id, event.user_id, "same-event")]
        if request.ip_override or request.user_agent:
            event.ip, event.user_agent = request.ip_override or "", request.user_agent or ""
        elif call.from_server:
            event.is_server = True
        else:
            event.ip, event.user_agent = call.ip, call.user_agent
        context = {name: reading.encoded(stream) for name, stream in self._streams.items()}
        event.context = reading.object_of({**context, "device": request.device, "location": request.user_location})
        event.flags = reading.object_of({"consent": request.consent, "non_personalized_ads": request.non_personalized_ads})
        rest = {"user_data": request.user_data, "user_properties": reading.encoded(left) if left else NONE, **self._unknown}
        event.rest = reading.object_of(rest)
        for part in (event.context, event.flags, event.rest, self._changes):
            reading.checked(part, self._limit)

    def _id(self, index: int, item: Item, p: Params, own: str) -> str:
        """Derived from who, when and what; the place in the request belongs to it where only the request has a time."""
        if item.name == "purchase" and (transaction := reading.text_of(p.transaction_id or None)):
            return derived_id(f"purchase\0{transaction}".encode("utf-8", "replace"))
        place = "" if own else str(index)
        told = f"{self._who}{item.name}\0{own or self._when}\0{place}\0".encode("utf-8", "replace") + bytes(item.params)
        return reading.message_id(None, lambda: told, timed=bool(own or self._when), call=self._call, index=index)


def _changes(properties: Raw) -> tuple[Raw, Fields]:
    """The changes of the person, and what user properties say besides their values. `NONE`: there are none."""
    if properties is NONE:
        return NONE, {}
    fields = reading.fields_of(properties)
    if fields is None:
        return NONE, {} if reading.is_empty(properties) else {"": properties}
    values: Fields = {}
    removed: list[str] = []
    left: Fields = {}
    for name, raw in fields.items():
        try:
            value = _PROPERTY.decode(raw).value
        except (msgspec.DecodeError, RecursionError):
            value = raw
        else:
            more = {key: inner for key, inner in (reading.fields_of(raw) or {}).items() if key != "value"}
            if more:
                left[name] = reading.encoded(more)
        if bytes(value) == b"null":
            removed.append(name)
        else:
            values[name] = value
    said = {"set": reading.encoded(values) if values else None, "unset": reading.encoded(removed) if removed else None}
    return reading.object_of(said), left


def _campaign(event: Event, p: Params) -> str:
    own = event.name == "campaign_details"
    values = {
        "source": p.campaign_source or (p.source if own else None),
        "medium": p.campaign_medium or (p.medium if own else None),
        "campaign": p.campaign_name or (p.campaign if own else None),
        "term": p.campaign_term or (p.term if own else None),
        "content": p.campaign_content or (p.content if own else None),
    }
    return reading.campaign(values, event.url) if any(values.values()) else ""
