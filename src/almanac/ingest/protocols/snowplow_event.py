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

from typing import Final

import msgspec

from almanac.core.event import Event, Kind, Merge, Raw, copied
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.flat import Flat, Owner, Values
from almanac.ingest.messages import NONE, Fields, UnfitError
from almanac.ingest.protocols.snowplow_json import SCREEN, SESSION, TRANSACTION, entities_of, entity, name_of, own_event

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

_AROUND: Final = (*_CONTEXT, "tv", "ip", "ua")  # what events of one tracker have in common
_NOTHING: Final = ("",) * len(_AROUND)
_BLANK: Final = Event("", "", "track", "", 0, protocol="snowplow")
_LONGEST_COOKIE: Final = 200


class Builder:
    """Makes events of the messages of one request. What they have in common is worked out once and copied."""

    __slots__ = ("_anonymous", "_around", "_blank", "_call", "_limit", "_network", "_owner", "_sent", "_shared", "_stated")

    def __init__(self, call: Call, owner: Owner) -> None:
        self._call = call
        self._owner = owner
        self._limit = call.settings.depth_limit
        self._anonymous = b"sp-anonymous" in call.headers
        self._sent = ("", "")  # the last time of sending, as it was written and as ISO 8601
        self._stated: set[tuple[str, str, str]] = set()  # merges that an event of this request has said already
        self._around: tuple[str, ...] = ()  # of the last message
        self._network = ""
        self._blank = copied(_BLANK)
        self._blank.received_us = call.received_us
        if self._anonymous:
            self._blank.flags = Raw(b'{"anonymous":true}')
        self._shared = self._blank

    def __call__(self, index: int, message: Flat) -> Event:
        """The event of the message at place `index`. Raises `UnfitError`."""
        m = dict(message)
        around = tuple(map(m.pop, _AROUND, _NOTHING))
        if around != self._around:
            self._share(around)
        event = copied(self._shared)
        entities = entities_of(m, self._limit) if "cx" in m or "co" in m else NONE
        self._say(event, m)
        id_ = m.pop("eid", "")
        if id_ and reading.is_id(id_):
            event.event_id = id_
        else:
            timed = "ttm" in m or "dtm" in m
            event.event_id = reading.message_id(id_, lambda: _content(message), timed=timed, call=self._call, index=index)
        self._date(event, m)
        if entities is not NONE:
            _add_entities(event, entities, has_session="sid" in m and "duid" in m)
        self._describe(event, m)
        if m:
            event.rest = reading.encoded({**m, **(reading.fields_of(event.rest) or {})})
        return event

    def _share(self, around: tuple[str, ...]) -> None:
        """Works out what this message has in common with others of its tracker. Raises `UnfitError`."""
        told = {name: value for name, value in zip(_AROUND, around, strict=True) if value}
        if self._anonymous:
            told.pop("nuid", "")
            told.pop("tnuid", "")
        elif cookie := _cookie(self._call.header(b"cookie")):
            told.setdefault("nuid", cookie)
        shared = copied(self._blank)
        shared.project = self._owner.of(told.get("aid", ""))
        self._network = told.get("nuid", "") or told.get("tnuid", "")
        self._place(shared, told)
        if context := flat.moved(told, _CONTEXT):
            shared.context = reading.encoded(context)
        self._shared, self._around = shared, around

    def _place(self, shared: Event, told: Flat) -> None:
        """The library, and address and user agent: those that the event names, else the request's when it is the person's own."""
        version = told.pop("tv", "")
        tracker, _, number = version.partition("-")
        if version:
            shared.library, shared.library_version = (f"snowplow-{tracker}", number) if number else ("snowplow", version)
        ip, agent = told.pop("ip", ""), told.pop("ua", "")
        platform = told.get("p", "")
        if ip or agent:
            shared.ip, shared.user_agent = ip, agent
        elif platform == "srv" or (tracker in _SERVER_TRACKERS and platform in ("", "pc")) or (not version and self._call.from_server):
            shared.is_server = True
        else:
            shared.ip, shared.user_agent = self._call.ip, self._call.user_agent
        if self._anonymous:
            shared.ip = ""

    def _say(self, event: Event, m: Flat) -> None:
        """Fills in kind, name and properties."""
        type_ = m.pop("e", "")
        if type_ == "ue":
            self._say_own(event, m)
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

    def _say_own(self, event: Event, m: Flat) -> None:
        """A self-describing event."""
        own = own_event(m)
        event.name, event.rest = name_of(own.schema)
        if not event.name:
            raise UnfitError("no_name", "It is a self-describing event without a schema.")
        if event.name in _KINDS:
            event.kind = _KINDS[event.name]
            if event.kind == "screen":
                event.screen = SCREEN.lenient(own.data).name or ""
        if own.data is not NONE:
            if reading.checked(own.data, self._limit):
                event.properties = own.data
            else:
                m["data"] = bytes(own.data).decode()

    def _date(self, event: Event, m: Flat) -> None:
        sent = m.pop("stm", "")
        if true_time := m.pop("ttm", ""):
            event.client_time, event.keep_time = flat.instant(true_time), True
        elif when := m.pop("dtm", ""):
            event.client_time = flat.instant(when)
            if len(sent) == len(when) and sent < when and sent[:-3] == when[:-3]:
                sent = when  # some trackers cut the time of sending to whole seconds; no event was sent before it happened
        if sent != self._sent[0]:
            self._sent = (sent, flat.instant(sent))
        event.sent_time = self._sent[1]

    def _describe(self, event: Event, m: Flat) -> None:
        """Fills in who and on which page. Fields are set only where there is something to say: setting one takes longer than looking."""
        take = m.pop
        if url := take("url", ""):
            event.url = url
        if title := take("page", ""):
            event.title = title
        if referrer := take("refr", ""):
            event.referrer = referrer
        if session := take("sid", ""):
            event.session_id = session
        if anonymous := take("duid", ""):
            event.anonymous_id = anonymous
        if user := take("uid", ""):
            event.user_id = user
        anonymous = anonymous or event.device_id
        event.distinct_id = user or anonymous or self._network
        if user and anonymous and user != anonymous:
            stated = (event.project, anonymous, user)
            if stated not in self._stated:
                self._stated.add(stated)
                event.merges = [Merge(anonymous, user, "same-event")]


def _add_entities(event: Event, entities: Raw, *, has_session: bool) -> None:
    """The entities, into the context; and what they say that has a home of its own."""
    written, around = bytes(entities), bytes(event.context)
    event.context = Raw(around[:-1] + (b"," if len(around) > 2 else b"") + b'"entities":' + written + b"}")
    if not has_session and b"client_session" in written:
        session = SESSION.lenient(entity(entities, "client_session"))
        event.session_id, event.device_id = session.session_id or "", session.user_id or ""
    if b"snowplow.ecommerce" in written and (data := entity(entities, "transaction")) is not NONE:
        said = msgspec.structs.asdict(TRANSACTION.lenient(data))
        own = reading.fields_of(event.properties) or {}
        _put(event, {**{name: value for name, value in said.items() if value is not NONE}, **own})


def _put(event: Event, properties: Values | Fields) -> None:
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
