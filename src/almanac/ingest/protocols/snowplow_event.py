"""An event of Snowplow's tracker protocol and what becomes of it.

| `e` | kind, name | properties |
| --- | --- | --- |
| `pv` | page, `page_view` | |
| `pp` | ping, `page_ping` | `pp_mix` … `pp_may` |
| `se` | track, its action `se_ac` | `se_ca`, `se_la`, `se_pr`, `se_va` |
| `ue` | track, the name in its schema: `iglu:com.acme/bought/…` is `bought`; `screen_view` is a screen | its data, verbatim |
| `tr` | track, `transaction` | `order_id`, `total`, `currency` … for `tr_id`, `tr_tt`, `tr_cu` … |
| `ti` | track, `transaction_item` | `order_id`, `sku`, `price` … for `ti_id`, `ti_sk`, `ti_pr` … |

`uid` is the user, `duid` the anonymous id, `sid` the session; an event with both ids says that they are one person. `ttm` is a true time
and is not corrected, `dtm` is the device's and `stm` says when it was sent. Entities are kept whole in the context; of the transaction
entity revenue and currency, and of the session entity session and device, are read besides. With the header `SP-Anonymous` neither
address nor network id is kept. The network id is that of the `sp` cookie which an earlier collector may have set; this one sets none.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError
from almanac.core.event import Event, Kind, Merge, Raw, copied
from almanac.ingest import body as bodies
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.flat import Flat, Owner
from almanac.ingest.messages import NONE, Fields, UnfitError


class SelfDescribing(msgspec.Struct, gc=False):
    """Data with the address of its schema."""

    schema: str = ""
    data: Raw = NONE


class Transaction(msgspec.Struct, gc=False):
    """The transaction entity, as far as it has a home of its own."""

    revenue: Raw = NONE
    currency: Raw = NONE
    transaction_id: Raw = NONE


class Session(msgspec.Struct, gc=False, rename="camel"):
    """The session entity of mobile trackers, as far as it has a home of its own."""

    session_id: str | None = None
    user_id: str | None = None


class Screen(msgspec.Struct, gc=False):
    """The data of a screen view, as far as it has a home of its own."""

    name: str | None = None


# Members of an event and their names in its context.
_CONTEXT: Final = {
    "p": "platform",
    "lang": "locale",
    "tz": "timezone",
    "res": "screen",
    "vp": "viewport",
    "ds": "document",
    "cd": "color_depth",
    "cs": "charset",
    "cookie": "cookies",
    "aid": "app",
    "tna": "tracker",
    "vid": "session_index",
    "nuid": "network_id",
    "tnuid": "tracker_network_id",
}
_PING: Final = {name: name for name in ("pp_mix", "pp_max", "pp_miy", "pp_may")}
_STRUCTURED: Final = {name: name for name in ("se_ca", "se_la", "se_pr", "se_va")}
_ORDER: Final = {
    "tr_id": "order_id",
    "tr_af": "affiliation",
    "tr_tt": "total",
    "tr_tx": "tax",
    "tr_sh": "shipping",
    "tr_ci": "city",
    "tr_st": "state",
    "tr_co": "country",
    "tr_cu": "currency",
}
_ITEM: Final = {
    "ti_id": "order_id",
    "ti_sk": "sku",
    "ti_nm": "name",
    "ti_ca": "category",
    "ti_pr": "price",
    "ti_qu": "quantity",
    "ti_cu": "currency",
}
_NUMBERS: Final = frozenset({*_PING, "se_va", "tr_tt", "tr_tx", "tr_sh", "ti_pr", "ti_qu"})
_FORMS: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "pv": (Kind.PAGE.value, "page_view", {}),
    "pp": (Kind.PING.value, "page_ping", _PING),
    "tr": (Kind.TRACK.value, "transaction", _ORDER),
    "ti": (Kind.TRACK.value, "transaction_item", _ITEM),
}
_KINDS: Final = {"screen_view": Kind.SCREEN.value, "application_error": Kind.EXCEPTION.value}
_SENT_AGAIN: Final = frozenset({"stm", "aid"})
_SERVER_TRACKERS: Final = frozenset(
    {"py", "node", "rb", "ruby", "java", "golang", "go", "php", "scala", "net", "cpp", "lua", "rust", "perl"}
)

_SCHEMA: Final = re.compile(r"iglu:([^/]+)/([^/]+)/")
_SELF_DESCRIBING: Final = msgspec.json.Decoder(SelfDescribing)
_ENTITIES: Final = msgspec.json.Decoder(list[SelfDescribing])
_TRANSACTION: Final = reading.Shape(Transaction)
_SESSION: Final = reading.Shape(Session)
_SCREEN: Final = reading.Shape(Screen)
_BLANK: Final = Event("", "", "track", "", 0, protocol="snowplow")
_LONGEST_COOKIE: Final = 200


class Builder:
    """Makes events of the messages of one request. What they have in common is worked out once and copied."""

    __slots__ = ("_anonymous", "_blank", "_call", "_limit", "_network_id", "_owner", "_sent", "_stated")

    def __init__(self, call: Call, owner: Owner) -> None:
        self._call = call
        self._owner = owner
        self._limit = call.settings.depth_limit
        self._anonymous = b"sp-anonymous" in call.headers
        self._network_id = "" if self._anonymous else _cookie(call.header(b"cookie"))
        self._sent = ("", "")  # the last time of sending, as it was written and as ISO 8601
        self._stated: set[tuple[str, str, str]] = set()  # merges that an event of this request has said already
        self._blank = copied(_BLANK)
        self._blank.received_us = call.received_us
        if self._anonymous:
            self._blank.flags = Raw(b'{"anonymous":true}')

    def __call__(self, index: int, message: Flat) -> Event:
        """The event of the message at place `index`. Raises `UnfitError`."""
        m = dict(message)
        event = copied(self._blank)
        event.project = self._owner.of(m.get("aid", ""))
        entities = self._say(event, m)
        id_ = m.pop("eid", "")
        timed = "ttm" in m or "dtm" in m
        if id_ and reading.is_id(id_):
            event.event_id = id_
        else:
            event.event_id = reading.message_id(id_, lambda: _content(message), timed=timed, call=self._call, index=index)
        self._date(event, m)
        self._describe(event, m, entities)
        if m:
            event.rest = reading.encoded(m)
        return event

    # ------------------------------------------------------------ what happened

    def _say(self, event: Event, m: Flat) -> Raw:
        """Fills in kind, name and properties; answers the entities."""
        type_ = m.pop("e", "")
        entities = self._entities(m)
        if type_ == "ue":
            self._read_own(event, m)
        elif type_ == "se":
            event.name = m.pop("se_ac", "") or m.pop("se_ca", "")
            _put(event, flat.moved(m, _STRUCTURED, _NUMBERS))
            if not event.name:
                raise UnfitError("no_name", "It is a structured event without an action (`se_ac`).")
        elif (form := _FORMS.get(type_)) is not None:
            event.kind, event.name, names = form
            _put(event, flat.moved(m, names, _NUMBERS))
        else:
            raise UnfitError("unknown_type", f"There is no type of event {type_[:100]!r} (`e`); there are pv, pp, se, ue, tr and ti.")
        if b"snowplow.ecommerce" in bytes(entities):
            _add_transaction(event, entities)
        return entities

    def _read_own(self, event: Event, m: Flat) -> None:
        """A self-describing event."""
        outer = _document(m, "ue_px", "ue_pr")
        if outer is None:
            raise UnfitError("no_event", "It is a self-describing event without readable data (`ue_px`, `ue_pr`).")
        inner = outer
        if outer.schema.startswith("iglu:com.snowplowanalytics.snowplow/unstruct_event/"):
            try:
                inner = _SELF_DESCRIBING.decode(outer.data)
            except (msgspec.DecodeError, RecursionError):
                raise UnfitError("no_event", "It is a self-describing event without a schema and data.") from None
        found = _SCHEMA.match(inner.schema)
        event.name = found[2] if found else inner.schema
        if not event.name:
            raise UnfitError("no_name", "It is a self-describing event without a schema.")
        m["schema"] = inner.schema
        if event.name in _KINDS:
            event.kind = _KINDS[event.name]
        if inner.data is NONE:
            return
        if reading.checked(inner.data, self._limit):
            event.properties = inner.data
        else:
            m["data"] = bytes(inner.data).decode()
        if event.kind == "screen":
            event.screen = _SCREEN.lenient(inner.data).name or ""

    def _entities(self, m: Flat) -> Raw:
        """The entities as a JSON list; `NONE` without any. What cannot be read stays in the message."""
        name = "cx" if "cx" in m else "co"
        sent = m.get(name)
        if not sent:
            return NONE
        document = _document(m, "cx", "co")
        if document is None or bytes(document.data)[:1] != b"[":
            m[name] = sent
            return NONE
        reading.checked(document.data, self._limit)
        return document.data

    # ------------------------------------------------------------ when, who and where

    def _date(self, event: Event, m: Flat) -> None:
        sent = m.pop("stm", "")
        if true_time := m.pop("ttm", ""):
            event.client_time, event.keep_time = reading.instant(true_time), True
        elif when := m.pop("dtm", ""):
            event.client_time = reading.instant(when)
            if len(sent) == len(when) and sent < when and sent[:-3] == when[:-3]:
                sent = when  # some trackers cut the time of sending to whole seconds; no event was sent before it happened
        if sent != self._sent[0]:
            self._sent = (sent, reading.instant(sent))
        event.sent_time = self._sent[1]

    def _describe(self, event: Event, m: Flat, entities: Raw) -> None:
        take = m.pop
        if url := take("url", ""):
            event.url = url
        if title := take("page", ""):
            event.title = title
        if referrer := take("refr", ""):
            event.referrer = referrer
        event.user_id, event.anonymous_id, event.session_id = take("uid", ""), take("duid", ""), take("sid", "")
        if not (event.session_id and event.anonymous_id) and b"client_session" in bytes(entities):
            session = _SESSION.lenient(_entity(entities, "client_session"))
            event.session_id = event.session_id or session.session_id or ""
            event.device_id = session.user_id or ""
        self._place(event, m)
        if self._anonymous:
            m.pop("nuid", "")
            m.pop("tnuid", "")
        elif self._network_id:
            m.setdefault("nuid", self._network_id)
        event.distinct_id = event.user_id or event.anonymous_id or event.device_id or m.get("nuid", "") or m.get("tnuid", "")
        self._identify(event, event.anonymous_id or event.device_id)
        context = {new: reading.encoded(take(old)) for old, new in _CONTEXT.items() if old in m}
        if entities is not NONE:
            context["entities"] = entities
        if context:
            event.context = reading.encoded(context)

    def _place(self, event: Event, m: Flat) -> None:
        """The library, and address and user agent: those that the event names, else the request's when it is the person's own."""
        version = m.pop("tv", "")
        tracker, _, number = version.partition("-")
        if version:
            event.library, event.library_version = (f"snowplow-{tracker}", number) if number else ("snowplow", version)
        ip, agent = m.pop("ip", ""), m.pop("ua", "")
        if ip or agent:
            event.ip, event.user_agent = ip, agent
        elif m.get("p") == "srv" or (tracker in _SERVER_TRACKERS and m.get("p", "pc") == "pc") or (not version and self._call.from_server):
            event.is_server = True
        else:
            event.ip, event.user_agent = self._call.ip, self._call.user_agent
        if self._anonymous:
            event.ip = ""

    def _identify(self, event: Event, anonymous: str) -> None:
        user = event.user_id
        if user and anonymous and user != anonymous:
            pair = (event.project, anonymous, user)
            if pair not in self._stated:
                self._stated.add(pair)
                event.merges = [Merge(anonymous, user, "identify")]


def _document(m: Flat, packed: str, plain: str) -> SelfDescribing | None:
    """Takes self-describing JSON out of a message: in base64 under the name `packed`, or as it is under `plain`. None: none is readable."""
    if packed in m:
        text = m.pop(packed).replace("-", "+").replace("_", "/").replace(" ", "+").rstrip("=")
        try:
            written = binascii.a2b_base64(text + "=" * (-len(text) % 4))
        except ValueError:
            return None
    elif plain in m:
        written = m.pop(plain).encode("utf-8", "replace")
    else:
        return None
    written = bodies.clean(written)
    try:
        return _SELF_DESCRIBING.decode(written)
    except RecursionError:
        raise UnfitError("too_deep", "It nests too deep.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            return _SELF_DESCRIBING.decode(bodies.mend(written))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AlmanacError):
            return None


def _entity(entities: Raw, name: str) -> Raw:
    """The data of the first entity whose schema has this name; `NONE` when there is none."""
    try:
        listed = _ENTITIES.decode(entities)
    except (msgspec.DecodeError, RecursionError):
        return NONE
    for entity in listed:
        found = _SCHEMA.match(entity.schema)
        if found and found[2] == name:
            return entity.data
    return NONE


def _add_transaction(event: Event, entities: Raw) -> None:
    """What the transaction entity of an ecommerce event says of money, among its properties, where questions look for it."""
    data = _entity(entities, "transaction")
    if data is NONE:
        return
    said = msgspec.structs.asdict(_TRANSACTION.lenient(data))
    own = reading.fields_of(event.properties) or {}
    _put(event, {**{name: value for name, value in said.items() if value is not NONE}, **own})


def _put(event: Event, properties: Fields) -> None:
    if properties:
        event.properties = reading.encoded(properties)


def _content(message: Flat) -> bytes:
    """What an event without an id is told by: all of it but what changes when it is sent again."""
    return bytes(reading.encoded({name: message[name] for name in sorted(message) if name not in _SENT_AGAIN}))


def _cookie(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == "sp":
            return value if value.isascii() and value.isprintable() and len(value) <= _LONGEST_COOKIE else ""
    return ""
