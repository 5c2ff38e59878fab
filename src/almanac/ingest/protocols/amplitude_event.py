"""An event of Amplitude's and what becomes of it: the forms that `amplitude` decodes, and the event that is built of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Merge, Raw, copied, derived_id
from almanac.ingest import messages as reading
from almanac.ingest import profiles
from almanac.ingest.call import Call
from almanac.ingest.messages import CAMPAIGN, NONE, NOTHING, Fields, Shape, UnfitError
from almanac.ingest.senders import is_server_library


class Item(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An event as documented. `Raw` members are `NONE` when absent. Those below `platform` say something of the circumstances only."""

    event_type: str | None = None
    user_id: str | None = None
    device_id: str | None = None
    time: int | float | str | None = None
    insert_id: str | None = None
    session_id: int | float | str | None = None
    ip: str | None = None
    user_agent: str | None = None
    library: str | None = None
    group_type: str | None = None
    group_value: str | None = None
    event_properties: Raw = NONE
    user_properties: Raw = NONE
    groups: Raw = NONE
    group_properties: Raw = NONE
    price: Raw = NONE
    quantity: Raw = NONE
    revenue: Raw = NONE
    product_id: Raw = msgspec.field(default=NONE, name="productId")
    revenue_type: Raw = msgspec.field(default=NONE, name="revenueType")
    currency: Raw = NONE
    event_id: Raw = NONE
    plan: Raw = NONE
    ingestion_metadata: Raw = NONE
    partner_id: Raw = NONE
    extra: Raw = NONE
    skip_user_properties_sync: Raw = msgspec.field(default=NONE, name="$skip_user_properties_sync")
    platform: Raw = NONE
    os_name: Raw = NONE
    os_version: Raw = NONE
    device_brand: Raw = NONE
    device_manufacturer: Raw = NONE
    device_model: Raw = NONE
    device_type: Raw = NONE
    device_family: Raw = NONE
    carrier: Raw = NONE
    country: Raw = NONE
    region: Raw = NONE
    city: Raw = NONE
    dma: Raw = NONE
    language: Raw = NONE
    location_lat: Raw = NONE
    location_lng: Raw = NONE
    app_version: Raw = NONE
    version_name: Raw = NONE
    idfa: Raw = NONE
    idfv: Raw = NONE
    adid: Raw = NONE
    android_id: Raw = NONE
    android_app_set_id: Raw = NONE


class Properties(msgspec.Struct, gc=False):
    """What of a browser event's properties has a home of its own."""

    location: str | None = msgspec.field(default=None, name="[Amplitude] Page Location")
    url: str | None = msgspec.field(default=None, name="[Amplitude] Page URL")
    title: str | None = msgspec.field(default=None, name="[Amplitude] Page Title")
    screen: str | None = msgspec.field(default=None, name="[Amplitude] Screen Name")
    referrer: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None


KINDS: Final = {
    "$identify": Kind.IDENTIFY.value,
    "$groupidentify": Kind.GROUP_PROFILE.value,
    "$exposure": Kind.FEATURE_FLAG.value,
    "session_start": Kind.SESSION_START.value,
    "[Amplitude] Start Session": Kind.SESSION_START.value,
    "[Amplitude] Page Viewed": Kind.PAGE.value,
    "[Amplitude] Screen Viewed": Kind.SCREEN.value,
}
WORDS: Final = {
    "$set": "set",
    "$setOnce": "set_once",
    "$add": "add",
    "$append": "append",
    "$prepend": "prepend",
    "$preInsert": "pre_insert",
    "$postInsert": "post_insert",
    "$remove": "remove",
    "$unset": "unset",
    "$clearAll": "clear_all",
}
# Amplitude shows these members as properties of these names.
_PAID: Final = (
    ("price", "$price"),
    ("quantity", "$quantity"),
    ("revenue", "$revenue"),
    ("product_id", "$productId"),
    ("revenue_type", "$revenueType"),
    ("currency", "$currency"),
)
# All of them at once, because most events of servers have none: a loop over the names took a quarter of an event's time.
_CIRCUMSTANCE_NAMES: Final = Item.__struct_fields__[Item.__struct_fields__.index("platform") :]
_CIRCUMSTANCES: Final = attrgetter(*_CIRCUMSTANCE_NAMES)
_NO_CIRCUMSTANCES: Final = (NONE,) * len(_CIRCUMSTANCE_NAMES)
_PAYMENT: Final = attrgetter(*(attribute for attribute, _ in _PAID))
_NO_PAYMENT: Final = (NONE,) * len(_PAID)
_OTHERS: Final = attrgetter("event_id", "plan", "ingestion_metadata", "partner_id", "extra", "skip_user_properties_sync")
_OTHER_NAMES: Final = ("event_id", "plan", "ingestion_metadata", "partner_id", "extra", "$skip_user_properties_sync")
_NO_OTHERS: Final = (NONE,) * len(_OTHER_NAMES)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ITEM: Final = Shape(Item)
_PROPERTIES: Final = Shape(Properties)
_BLANK: Final = Event("", "", "track", "", 0, protocol="amplitude")


class Builder:
    """Makes events of the items of one request. `sent`: its time of sending. `shortest`: of ids, as the sender wishes; 0 without a wish.
    `name`: of items that have none."""

    __slots__ = ("_blank", "_call", "_limit", "_name", "_shortest")

    def __init__(self, call: Call, sent: str, shortest: int = 0, name: str = "") -> None:
        self._call = call
        self._limit = call.settings.depth_limit
        self._shortest = shortest
        self._name = name
        self._blank = copied(_BLANK)
        self._blank.project, self._blank.received_us, self._blank.sent_time = call.project, call.received_us, sent
        if shortest:
            self._blank.flags = reading.encoded({"min_id_length": shortest})

    def __call__(self, index: int, m: Item, unknown: Fields = NOTHING) -> Event:
        """The event of the item at place `index`; `unknown`: members that are not documented. Raises `UnfitError`."""
        event = copied(self._blank)
        event.name = name = m.event_type or self._name or ("$groupidentify" if m.group_type else "")
        if not name:
            raise UnfitError("no_name", "It has no event_type.")
        if kind := KINDS.get(name):
            event.kind = kind
        rest: Fields = {**unknown} if unknown else {}
        self._who(event, m)
        event.event_id = self._id(index, m, unknown, rest)
        if m.time is not None:
            event.client_time = _instant(m.time)
        self._properties(event, m, rest)
        self._changes(event, m, rest)
        self._describe(event, m, rest)
        if rest:
            event.rest = reading.object_of(rest)
            if len(event.rest) > 2 * self._limit:
                reading.checked(event.rest, self._limit)
        return event

    def _who(self, event: Event, m: Item) -> None:
        user, device = m.user_id or "", m.device_id or ""
        if shortest := self._shortest:
            for id_ in (user, device):
                if id_ and len(id_) < shortest:
                    raise UnfitError("short_id", f"The id {id_!r} is shorter than min_id_length, {shortest}.")
        event.distinct_id = user or device
        if user:
            event.user_id = user
        if device:
            event.device_id = device
            if user and user != device:
                event.merges = [Merge(device, user, "same-event")]

    def _id(self, index: int, m: Item, unknown: Fields, rest: Fields) -> str:
        """The insert id where it is unique by itself; else with the device (or user), within which Amplitude asks it to be."""
        sent = m.insert_id
        if sent:
            if _UUID.fullmatch(sent):
                return sent
            rest["insert_id"] = reading.encoded(sent)
            return derived_id(f"{sent}\0{m.device_id or m.user_id or ''}".encode("utf-8", "replace"))

        def content() -> bytes:
            return msgspec.json.encode(m) + (reading.canonical(unknown) if unknown else b"")

        return reading.message_id(None, content, timed=m.time is not None, call=self._call, index=index)

    def _properties(self, event: Event, m: Item, rest: Fields) -> None:
        """What happened, what was paid and where."""
        given = m.event_properties
        if given is not NONE:
            if reading.checked(given, self._limit):
                event.properties = given
                written = bytes(given)
                if b"[Amplitude] " in written or b'"utm_' in written:
                    _place(event, _PROPERTIES.lenient(given))
            elif not reading.is_empty(given):
                rest["event_properties"] = given
        if (payment := _PAYMENT(m)) == _NO_PAYMENT:
            return
        fields = reading.fields_of(event.properties) or {}
        for (_, name), value in zip(_PAID, payment, strict=True):
            if not reading.is_empty(value) and fields.setdefault(name, value) != value:
                rest[name] = value  # said twice, and not the same
        event.properties = reading.encoded(fields)

    def _changes(self, event: Event, m: Item, rest: Fields) -> None:
        """Groups, and changes of people and groups."""
        limit = self._limit
        groups: dict[str, list[str]] = {}
        if m.groups is not NONE:
            if reading.checked(m.groups, limit):
                groups = {type_: _keys(value) for type_, value in (reading.fields_of(m.groups) or {}).items()}
            if not all(len(keys) == 1 for keys in groups.values()) or (not groups and not reading.is_empty(m.groups)):
                rest["groups"] = m.groups  # an event belongs to one group of a type: the first
        if m.group_type and m.group_value:
            groups[m.group_type] = [m.group_value]
        elif m.group_type or m.group_value:
            rest["group_type"], rest["group_value"] = reading.encoded(m.group_type or ""), reading.encoded(m.group_value or "")
        if groups:
            event.groups = reading.object_of({type_: reading.encoded(keys[0]) for type_, keys in groups.items() if keys})
        if m.user_properties is not NONE:
            if reading.checked(m.user_properties, limit):
                event.profile = _document(m.user_properties)
            elif not reading.is_empty(m.user_properties):
                rest["user_properties"] = m.user_properties
        if m.group_properties is not NONE and not reading.is_empty(m.group_properties):
            if groups and reading.checked(m.group_properties, limit):
                event.group_profile = _group_documents(groups, m.group_properties)
            else:
                rest["group_properties"] = m.group_properties

    def _describe(self, event: Event, m: Item, rest: Fields) -> None:
        """With what, from where, under which circumstances, and what has no home of its own."""
        call, library = self._call, m.library
        if library:
            name, _, version = library.rpartition("/")
            event.library, event.library_version = (name, version) if name else (library, "")
        if is_server_library(library) if library else call.from_server and not call.from_browser:
            event.is_server = True
        elif m.user_agent is None:
            event.user_agent = call.user_agent
        if m.ip:
            event.ip = call.ip if m.ip == "$remote" else m.ip
        if m.user_agent:
            event.user_agent = m.user_agent
        if m.session_id is not None:
            if (session := _whole(m.session_id)) == "-1":
                rest["session_id"] = Raw(b"-1")  # of no session
            else:
                event.session_id = session
        if (others := _OTHERS(m)) != _NO_OTHERS:
            rest.update({name: value for name, value in zip(_OTHER_NAMES, others, strict=True) if value is not NONE})
        if (values := _CIRCUMSTANCES(m)) != _NO_CIRCUMSTANCES:
            named = zip(_CIRCUMSTANCE_NAMES, values, strict=True)
            event.context = reading.encoded({name: value for name, value in named if value is not NONE})
            if len(event.context) > 2 * self._limit:
                reading.checked(event.context, self._limit)


def _place(event: Event, p: Properties) -> None:
    event.url = p.location or p.url or ""
    event.title, event.screen, event.referrer = p.title or "", p.screen or "", p.referrer or ""
    values = (p.utm_source, p.utm_medium, p.utm_campaign, p.utm_term, p.utm_content)
    if any(values):
        event.campaign = reading.campaign(dict(zip(CAMPAIGN, values, strict=True)), event.url)


def _keys(value: Raw) -> list[str]:
    """A group's keys: one, or a list."""
    items = reading.items_of(value)
    return [text for item in ([value] if items is None else items) if (text := reading.text_of(item))]


def _operations(properties: Raw) -> dict[str, Raw]:
    """Operations by Amplitude's words; properties without any are set."""
    found, plain = profiles.translated(properties, WORDS)
    if plain:
        found["set"] = reading.encoded({**(reading.fields_of(found.get("set", EMPTY)) or {}), **plain})
    return found


def _document(properties: Raw) -> Raw:
    if b'"$' not in bytes(properties):
        return EMPTY if reading.is_empty(properties) else Raw(b'{"set":' + bytes(properties) + b"}")
    return reading.object_of(_operations(properties))


def _group_documents(groups: dict[str, list[str]], properties: Raw) -> Raw:
    """The changes of each group that is named."""
    changes = _operations(properties)
    named = [(type_, key) for type_, keys in groups.items() for key in keys]
    found = [{"type": reading.encoded(type_), "key": reading.encoded(key), **changes} for type_, key in named]
    return reading.encoded(found if len(found) > 1 else found[0]) if found else EMPTY


def _instant(time: float | str) -> str:
    """Milliseconds since 1970, mostly."""
    if isinstance(time, int) and 100_000_000_000 <= time < 10_000_000_000_000:
        return (_EPOCH + timedelta(milliseconds=time)).isoformat()
    return reading.instant(str(time))


def _whole(number: float | str) -> str:
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)
