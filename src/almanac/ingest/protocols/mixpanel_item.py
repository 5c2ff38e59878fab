"""What Mixpanel's SDKs send and what becomes of it: events, and changes of people and groups."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError, Code
from almanac.core.event import Event, Kind, Merge, Raw, copied, derived_id
from almanac.ingest import messages as reading
from almanac.ingest import profiles
from almanac.ingest.call import Call
from almanac.ingest.messages import CAMPAIGN, NONE, NOTHING, Fields, Shape, UnfitError
from almanac.ingest.senders import is_server_library


class Item(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An event (`event` and `properties`) or a change of a person or of a group, as documented. `Raw` members are `NONE` when absent."""

    event: str | None = None
    properties: Raw = NONE
    token: str | None = msgspec.field(default=None, name="$token")
    distinct_id: str | None = msgspec.field(default=None, name="$distinct_id")
    device_id: str | None = msgspec.field(default=None, name="$device_id")
    user_id: str | None = msgspec.field(default=None, name="$user_id")
    group_key: str | None = msgspec.field(default=None, name="$group_key")
    group_id: str | None = msgspec.field(default=None, name="$group_id")
    time: int | float | str | None = msgspec.field(default=None, name="$time")
    ip: str | int | None = msgspec.field(default=None, name="$ip")
    ignore_time: Raw = msgspec.field(default=NONE, name="$ignore_time")
    had_persisted_distinct_id: Raw = msgspec.field(default=NONE, name="$had_persisted_distinct_id")
    set_: Raw = msgspec.field(default=NONE, name="$set")
    set_once: Raw = msgspec.field(default=NONE, name="$set_once")
    add: Raw = msgspec.field(default=NONE, name="$add")
    append: Raw = msgspec.field(default=NONE, name="$append")
    union: Raw = msgspec.field(default=NONE, name="$union")
    remove: Raw = msgspec.field(default=NONE, name="$remove")
    unset: Raw = msgspec.field(default=NONE, name="$unset")
    delete: Raw = msgspec.field(default=NONE, name="$delete")


class Properties(msgspec.Struct, gc=False):
    """What of an event's properties has a home of its own."""

    token: str | None = None
    distinct_id: str | None = None
    time: int | float | str | None = None
    alias: str | None = None
    ip: str | None = None
    mp_lib: str | None = None
    page_title: str | None = msgspec.field(default=None, name="current_page_title")
    insert_id: str | None = msgspec.field(default=None, name="$insert_id")
    device_id: str | None = msgspec.field(default=None, name="$device_id")
    user_id: str | None = msgspec.field(default=None, name="$user_id")
    anon_distinct_id: str | None = msgspec.field(default=None, name="$anon_distinct_id")
    anon_id: str | None = msgspec.field(default=None, name="$anon_id")
    identified_id: str | None = msgspec.field(default=None, name="$identified_id")
    distinct_ids: Raw = msgspec.field(default=NONE, name="$distinct_ids")
    own_ip: str | None = msgspec.field(default=None, name="$ip")
    library_version: str | None = msgspec.field(default=None, name="$lib_version")
    url: str | None = msgspec.field(default=None, name="$current_url")
    referrer: str | None = msgspec.field(default=None, name="$referrer")
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None


class Transaction(msgspec.Struct, gc=False):
    """What was paid, and when."""

    amount: int | float | None = msgspec.field(default=None, name="$amount")
    time: int | float | str | None = msgspec.field(default=None, name="$time")


class Charge(msgspec.Struct, gc=False):
    """`$append` of `$transactions`, which is how money is booked."""

    transactions: Transaction | None = msgspec.field(default=None, name="$transactions")


KINDS: Final = {
    "$identify": Kind.IDENTIFY.value,
    "$create_alias": Kind.ALIAS.value,
    "$merge": Kind.ALIAS.value,
    "$mp_web_page_view": Kind.PAGE.value,
    "mp_page_view": Kind.PAGE.value,
    "$experiment_started": Kind.FEATURE_FLAG.value,
}
# Members of a change, what each does, and whether a list is one element there.
_OPERATIONS: Final = (
    ("set_", "$set", "set", False),
    ("set_once", "$set_once", "set_once", False),
    ("add", "$add", "add", False),
    ("append", "$append", "append", True),
    ("union", "$union", "union", False),
    ("remove", "$remove", "remove", True),
    ("unset", "$unset", "unset", False),
    ("delete", "$delete", "delete", False),
)
_CHANGES: Final = attrgetter(*(told[0] for told in _OPERATIONS))
_NO_CHANGES: Final = (NONE,) * len(_OPERATIONS)
_NO_PROPERTIES: Final = Properties()
_UNIQUE: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_DEVICE: Final = "$device:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

ITEM: Final = Shape(Item)
PROPERTIES: Final = Shape(Properties)
_CHARGE: Final = msgspec.json.Decoder(Charge)
_BLANK: Final = Event("", "", "track", "", 0, protocol="mixpanel")


class Builder:
    """Makes events of the items of one request. `token`: whose project the request's is; `with_ip`: whether its address is the person's."""

    __slots__ = ("_blank", "_call", "_limit", "_token", "_with_ip")

    def __init__(self, call: Call, token: str, sent: str, *, with_ip: bool) -> None:
        self._call = call
        self._limit = call.settings.depth_limit
        self._token = token
        self._with_ip = with_ip
        self._blank = copied(_BLANK)
        self._blank.project, self._blank.received_us, self._blank.sent_time = call.project, call.received_us, sent

    def __call__(self, index: int, m: Item, unknown: Fields = NOTHING) -> Event:
        """The event of the item at place `index`; `unknown`: members that are not documented. Raises `UnfitError`."""
        event = copied(self._blank)
        rest: Fields = {**unknown} if unknown else {}
        if m.event or m.properties is not NONE:
            self._happened(event, index, m, rest)
        else:
            self._changed(event, index, m, rest)
        if rest:
            event.rest = reading.object_of(rest)
            if len(event.rest) > 2 * self._limit:
                reading.checked(event.rest, self._limit)
        return event

    def _happened(self, event: Event, index: int, m: Item, rest: Fields) -> None:
        """An event. What stands beside its properties is kept in `rest`."""
        p = _NO_PROPERTIES
        if m.properties is not NONE:
            if reading.checked(m.properties, self._limit):
                event.properties, p = m.properties, PROPERTIES.lenient(m.properties)
            else:
                rest["properties"] = m.properties
        self._belongs(event, p.token or m.token)
        event.name = name = m.event or ""
        if not name:
            raise UnfitError("no_name", "It has no name of an event.")
        if kind := KINDS.get(name):
            event.kind = kind
        time = p.time if p.time is not None else m.time
        if time is not None:
            event.client_time = _instant(time)
        device, user = p.device_id or m.device_id or "", p.user_id or m.user_id or ""
        self._who(event, p.distinct_id or m.distinct_id or "", device, user)
        _relate(event, p)
        event.event_id = self._id(index, m, p, event.distinct_id, time)
        self._describe(event, p.mp_lib, p.library_version, p.own_ip or p.ip)
        _place(event, p)
        if (changes := _CHANGES(m)) != _NO_CHANGES:
            rest.update({told[1]: value for told, value in zip(_OPERATIONS, changes, strict=True) if value is not NONE})

    def _changed(self, event: Event, index: int, m: Item, rest: Fields) -> None:
        """A change of a person or of a group."""
        self._belongs(event, m.token)
        changes: dict[str, Raw] = {}
        for attribute, member, word, single in _OPERATIONS:
            value: Raw = getattr(m, attribute)
            if value is NONE:
                continue
            reading.checked(value, self._limit)
            event.name = event.name or member
            found = profiles.operation(word, value, single=single)
            if found is None:
                rest[member] = value
            else:
                changes[word] = found
        if not event.name:
            raise UnfitError("no_name", "It is neither an event nor a change of a person or a group.")
        if m.time is not None:
            event.client_time = reading.instant(str(m.time))
        if m.group_key and m.group_id:
            type_, key = reading.encoded(m.group_key), reading.encoded(m.group_id)
            event.kind = Kind.GROUP_PROFILE.value
            event.groups = reading.object_of({m.group_key: key})
            event.group_profile = reading.encoded({"type": type_, "key": key, **changes})
        else:
            event.kind = Kind.PROFILE.value
            self._who(event, m.distinct_id or "", m.device_id or "", m.user_id or "")
            if not event.distinct_id:
                raise UnfitError("no_id", "It has neither a $distinct_id nor a group's $group_key and $group_id.")
            event.profile = reading.object_of(changes)
            if m.append is not NONE and b'"$transactions"' in bytes(m.append):
                _book(event, m.append)
        timed = bool(event.client_time)
        event.event_id = reading.message_id(None, lambda: _content(m, rest), timed=timed, call=self._call, index=index)
        if not timed:
            event.received_us += index  # of two changes of one request the second counts
        self._describe(event, None, None, str(m.ip) if m.ip not in (None, 0, "0", 1, "1") else None)
        flags = {"ignore_time": m.ignore_time, "had_persisted_distinct_id": m.had_persisted_distinct_id}
        event.flags = reading.object_of({name: value for name, value in flags.items() if value is not NONE})

    def _belongs(self, event: Event, token: str | None) -> None:
        """Events of several projects may come in one request."""
        if token and token != self._token:
            try:
                event.project = self._call.also(token)
            except AlmanacError as error:
                if error.code is not Code.DENIED:
                    raise
                raise UnfitError("unknown_token", "Its token is not a write key that is known.") from None

    def _who(self, event: Event, distinct: str, device: str, user: str) -> None:
        """A device's events go by `$device:` and its id, until there is a user."""
        anonymous = device if device.startswith(_DEVICE) else f"{_DEVICE}{device}" if device else ""
        event.distinct_id = distinct or user or anonymous
        if user:
            event.user_id = user
        if device:
            event.device_id = device
            if event.distinct_id in (anonymous, device):
                event.anonymous_id = event.distinct_id
        if user and device and user != device:
            event.merges = [Merge(anonymous, user, "same-event")]

    def _id(self, index: int, m: Item, p: Properties, distinct: str, time: object) -> str:
        """The insert id where it is unique by itself; else with what, who and when, within which Mixpanel asks it to be."""
        if p.insert_id:
            if _UNIQUE.fullmatch(p.insert_id):
                return p.insert_id
            return derived_id(f"{p.insert_id}\0{m.event}\0{distinct}\0{'' if time is None else time}".encode("utf-8", "replace"))
        return reading.message_id(None, lambda: _content(m, NOTHING), timed=time is not None, call=self._call, index=index)

    def _describe(self, event: Event, library: str | None, version: str | None, ip: str | None) -> None:
        call = self._call
        if library:
            event.library = f"mixpanel-{library}"
            event.library_version = version or ""
        if is_server_library(event.library) if library else call.from_server and not call.from_browser:
            event.is_server = True
        else:
            event.user_agent = call.user_agent
        if ip:
            event.ip = ip
        elif self._with_ip:
            event.ip = call.ip


def _relate(event: Event, p: Properties) -> None:
    """Fills in what it says of identity."""
    name, distinct = event.name, event.distinct_id
    if name == "$identify":
        known, anonymous = p.identified_id or distinct, p.anon_distinct_id or p.anon_id
        if known and anonymous and known != anonymous:
            event.merges = [Merge(anonymous, known, "identify")]
            event.distinct_id, event.anonymous_id = known, anonymous
    elif name == "$create_alias":
        if p.alias and distinct and p.alias != distinct:
            event.merges = [Merge(p.alias, distinct, "alias")]
    elif name == "$merge" and p.distinct_ids is not NONE:
        first, *others = [text for item in reading.items_of(p.distinct_ids) or () if (text := reading.text_of(item))] or [""]
        event.merges = [Merge(other, first, "merge") for other in dict.fromkeys(others) if other != first]
        event.distinct_id = distinct or first


def _place(event: Event, p: Properties) -> None:
    if p.url:
        event.url = p.url
    if p.page_title:
        event.title = p.page_title
    if p.referrer and p.referrer != "$direct":
        event.referrer = p.referrer
    values = (p.utm_source, p.utm_medium, p.utm_campaign, p.utm_term, p.utm_content)
    if any(values):
        event.campaign = reading.campaign(dict(zip(CAMPAIGN, values, strict=True)), event.url)


def _book(event: Event, append: Raw) -> None:
    """Money that was booked on a person is revenue, of when it was paid."""
    try:
        paid = _CHARGE.decode(append).transactions
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if paid is None:
        return
    if paid.amount is not None:
        event.properties = reading.encoded({"$revenue": paid.amount})
    if not event.client_time and paid.time is not None:
        event.client_time = reading.instant(str(paid.time))


def _instant(time: float | str) -> str:
    """Seconds since 1970, mostly; or milliseconds."""
    if isinstance(time, float) and 1e8 < time < 1e11:
        return (_EPOCH + timedelta(seconds=time)).isoformat()
    return reading.instant(str(time))


def _content(m: Item, rest: Fields) -> bytes:
    stable = msgspec.structs.replace(m, token=None)
    return msgspec.json.encode(stable) + (reading.canonical(rest) if rest else b"")
