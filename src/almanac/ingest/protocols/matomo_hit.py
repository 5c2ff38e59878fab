"""A hit of Matomo's tracking API and what becomes of it.

| the hit has | kind, name | properties |
| --- | --- | --- |
| `ping=1` | ping, `ping` | |
| `e_c`, `e_a` | track, its action `e_a` | `e_c`, `e_n`, `e_v` |
| `idgoal=0` with `ec_id` | track, `order` | `order_id`, `revenue`, `subtotal`, `tax`, `shipping`, `discount`, `products` |
| `idgoal=0` | track, `cart_update` | `cart_value`, `products` |
| `idgoal` | track, `goal` | `idgoal`, `revenue` |
| `search` | track, `search` | `search`, `search_cat`, `search_count` |
| `download`, `link` | track, `download`, `outlink` | `download`, `link` |
| `c_n` | track, `content_impression`, or `content_interaction` with `c_i` | `c_n`, `c_p`, `c_t`, `c_i` |
| `cra` | exception, `crash` | `cra` … |
| `ca=1`, none of these | track, `custom_action` | |
| none of these | page, `page_view` | |

Besides, the properties hold `dimensionN`, timings, products looked at, and custom variables of the page (`cvar`) under their names; those
of the visit (`_cvar`) change the person. `uid` is the user; `cid`, else `_id`, the anonymous id; a hit with both says that they are one
person. A campaign is read of `mtm_…` and `pk_…` in the address too. `cdt` and `cip` are believed only with a `token_auth` beside them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from almanac.core.errors import AlmanacError
from almanac.core.event import Event, Kind, Merge, Raw, copied
from almanac.ingest import body as bodies
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.flat import Flat, Owner, Values
from almanac.ingest.messages import UnfitError

# The request's own, which say nothing about what happened.
_TRANSPORT: Final = ("rec", "apiv", "rand", "send_image", "queuedtracking", "token_auth")
_NOTHING: Final = ("",) * len(_TRANSPORT)
_CONTEXT: Final = {
    "res": "screen",
    "lang": "locale",
    "cs": "charset",
    "cookie": "cookies",
    "pv_id": "pageview_id",
    "idsite": "site",
}
_LOCATION: Final = {"country": "country", "region": "region", "city": "city", "lat": "latitude", "long": "longitude"}
_ORDER: Final = {
    "ec_id": "order_id",
    "revenue": "revenue",
    "ec_st": "subtotal",
    "ec_tx": "tax",
    "ec_sh": "shipping",
    "ec_dt": "discount",
}
_PRODUCT: Final = ("sku", "name", "category", "price", "quantity")
# What makes a hit one, its kind and its name; the first that fits.
_SORTS: Final = (
    ("search", "track", "search"),
    ("download", "track", "download"),
    ("link", "track", "outlink"),
    ("c_n", "track", "content_impression"),
    ("cra", Kind.EXCEPTION.value, "crash"),
)
_PROPERTY: Final = re.compile(
    r"dimension[0-9]+|e_[cnv]|c_[nipt]|search(?:_cat|_count)?|download|link|idgoal|revenue|pf_\w+|gt_ms|bw_bytes|_pk[scnp]|ma_\w+|cra\w*"
)
_NUMBER: Final = re.compile(r"e_v|search_count|pf_\w+|gt_ms|bw_bytes|_pkp|revenue|idgoal|ma_(?:le|st|ps|ttp|w|h|fs)")
_CAMPAIGNS: Final = {
    "mtm_source": "source",
    "mtm_medium": "medium",
    "mtm_campaign": "campaign",
    "mtm_kwd": "term",
    "mtm_keyword": "term",
    "mtm_content": "content",
    "pk_source": "source",
    "pk_medium": "medium",
    "pk_campaign": "campaign",
    "pk_cpn": "campaign",
    "pk_kwd": "term",
    "pk_keyword": "term",
    "pk_content": "content",
    "piwik_campaign": "campaign",
    "piwik_kwd": "term",
}
_MARKED: Final = re.compile(r"[?&#](?:mtm|pk|piwik)_")
_ITEMS: Final = msgspec.json.Decoder(list[list[Raw]])
_VARIABLES: Final = msgspec.json.Decoder(dict[str, tuple[Raw, Raw]])
_SLOTS: Final = msgspec.json.Decoder(list[tuple[Raw, Raw]])
_REMEMBERED: Final = 1000
_BLANK: Final = Event("", "", "track", "", 0, protocol="matomo")


class Builder:
    """Makes events of the hits of one request. `token`: the request's own token."""

    def __init__(self, call: Call, owner: Owner, token: str) -> None:
        self._call = call
        self._owner = owner
        self._token = token
        self._limit = call.settings.depth_limit
        self._stated: set[tuple[str, str, str]] = set()  # merges that an event of this request has said already
        self._blank = copied(_BLANK)
        self._blank.received_us = call.received_us

    def __call__(self, index: int, hit: Flat) -> Event:
        """The event of the hit at place `index`. Raises `UnfitError`."""
        m = dict(hit)
        event = copied(self._blank)
        event.project = self._owner.of(m.get("token_auth", ""), m.get("idsite", ""))
        trusted = bool(m.get("token_auth") or self._token)
        meant = m.get("rec") == "1" or "url" in m or "action_name" in m
        list(map(m.pop, _TRANSPORT, _NOTHING))
        if self._owner.is_key(m.get("idsite", "")):
            del m["idsite"]
        timed = trusted and bool(m.get("cdt"))
        event.event_id = reading.message_id(None, lambda: _content(index, hit), timed=timed, call=self._call, index=index)
        if timed:
            event.client_time = flat.instant(m.pop("cdt"))
        rest: Values = {}
        properties = _say(event, m, meant)
        _add_variables(event, m, properties, rest)
        self._describe(event, m, trusted)
        for name in [name for name in m if name not in properties and _is_property(name)]:
            value = m.pop(name)
            properties[name] = flat.number(value) if _is_number(name) else value
        if properties:
            event.properties = reading.encoded(properties)
            reading.checked(event.properties, self._limit)
        if m or rest:
            rest.update(m)
            event.rest = reading.encoded(rest)
        return event

    def _describe(self, event: Event, m: Flat, trusted: bool) -> None:
        """Who and where."""
        take = m.pop
        if url := take("url", ""):
            event.url = url
            if _MARKED.search(url):
                event.campaign = _campaign(url)
        if referrer := take("urlref", ""):
            event.referrer = referrer
        if title := take("action_name", ""):
            event.title = title
        if user := take("uid", ""):
            event.user_id = user
        if anonymous := take("cid", "") or take("_id", ""):
            event.anonymous_id = anonymous
        event.distinct_id = user or anonymous
        if user and anonymous and user != anonymous:
            stated = (event.project, anonymous, user)
            if stated not in self._stated:
                self._stated.add(stated)
                event.merges = [Merge(anonymous, user, "same-event")]
        agent, address = take("ua", ""), take("cip", "") if trusted else ""
        if agent or address:
            event.user_agent, event.ip = agent, address
        elif self._call.from_server:
            event.is_server = True
        else:
            event.user_agent, event.ip = self._call.user_agent, self._call.ip
        context = flat.moved(m, _CONTEXT)
        location = flat.moved(m, _LOCATION, frozenset({"lat", "long"}))
        if location:
            context["location"] = reading.encoded(location)
        if "h" in m and "m" in m:
            context["local_time"] = ":".join(take(name).zfill(2) for name in ("h", "m", "s") if name in m)
        if agent_data := m.get("uadata", ""):
            read = _json(agent_data)
            if read is not None and reading.checked(read, self._limit):
                context["user_agent_data"] = read
                del m["uadata"]
        if context:
            event.context = reading.encoded(context)
        if custom := take("ca", ""):
            event.flags = reading.encoded({"custom_action": custom})


@lru_cache(_REMEMBERED)
def _is_property(name: str) -> bool:
    return _PROPERTY.fullmatch(name) is not None


@lru_cache(_REMEMBERED)
def _is_number(name: str) -> bool:
    return _NUMBER.fullmatch(name) is not None


def _content(index: int, hit: Flat) -> bytes:
    """What a hit is told by. Its place belongs to it: `cdt` has whole seconds, and the same may happen twice in one."""
    return bytes(reading.encoded([index, {name: hit[name] for name in sorted(hit) if name not in _TRANSPORT}]))


def _say(event: Event, m: Flat, hit: bool) -> Values:
    """Fills in kind and name; answers the properties that need more than their names changed. `hit`: it says that it is to be recorded."""
    if m.get("ping") == "1":
        del m["ping"]
        event.kind, event.name = Kind.PING.value, "ping"
        return {}
    if "e_a" in m or "e_c" in m:
        event.name = m.pop("e_a", "") or m.pop("e_c", "")
        if not event.name:
            raise UnfitError("no_name", "It is an event without an action (`e_a`).")
        return {}
    if "idgoal" in m:
        return _sell(event, m)
    for mark, kind, name in _SORTS:
        if m.get(mark):
            event.kind, event.name = kind, "content_interaction" if mark == "c_n" and m.get("c_i") else name
            return {}
    if m.get("ca") == "1":
        event.name = "custom_action"
    elif not hit:
        raise UnfitError("no_hit", "It says neither `rec=1` nor what happened.")
    else:
        event.kind, event.name = Kind.PAGE.value, "page_view"
    return {}


def _sell(event: Event, m: Flat) -> Values:
    """A goal, an order, or a cart's change, whose worth is no revenue yet."""
    if m["idgoal"] != "0":
        event.name = "goal"
        return {}
    del m["idgoal"]
    names = _ORDER if m.get("ec_id") else {**_ORDER, "revenue": "cart_value"}
    event.name = "order" if m.get("ec_id") else "cart_update"
    properties = flat.moved(m, names, frozenset(_ORDER) - {"ec_id"})
    rows = _json(m.get("ec_items", ""))
    if rows is not None:
        try:
            items = _ITEMS.decode(rows)
        except (msgspec.DecodeError, RecursionError):
            return properties
        if all(len(row) <= len(_PRODUCT) for row in items):
            properties["products"] = reading.encoded([dict(zip(_PRODUCT, row, strict=False)) for row in items])
            del m["ec_items"]
    return properties


def _add_variables(event: Event, m: Flat, properties: Values, rest: Values) -> None:
    """Custom variables, `{"slot": [name, value]}`: of the page they are properties, of the visit they change the person."""
    for word, into in (("cvar", properties), ("_cvar", {})):
        pairs = _variables(m.get(word, ""))
        if pairs is None or any(name in into for name in pairs):
            continue
        del m[word]
        into.update({name: value for name, (_, value) in pairs.items()})
        rest[word] = reading.encoded({name: slot for name, (slot, _) in pairs.items()})
        if word == "_cvar" and into:
            event.profile = reading.encoded({"set": into})


def _variables(text: str) -> dict[str, tuple[str, Raw]] | None:
    """Slot and value by name; None when there are none or they cannot be read."""
    written = _json(text)
    if written is None:
        return None
    try:
        found = _VARIABLES.decode(written)
    except (msgspec.DecodeError, RecursionError):
        try:
            found = {str(slot): pair for slot, pair in enumerate(_SLOTS.decode(written), 1)}
        except (msgspec.DecodeError, RecursionError):
            return None
    named = {reading.text_of(name): (slot, value) for slot, (name, value) in found.items()}
    return named if named and len(named) == len(found) and "" not in named else None


def _json(text: str) -> Raw | None:
    """JSON within a parameter; None when it is none."""
    if text[:1] not in ("{", "["):
        return None
    try:
        written = bodies.mend(bodies.clean(text.encode("utf-8", "replace")))
        return msgspec.json.decode(written, type=Raw)
    except (AlmanacError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _campaign(url: str) -> str:
    """The campaign that the address names in Matomo's own words."""
    query = url.replace("#", "&").partition("?")[2] or url.partition("#")[2]
    try:
        pairs = parse_qsl(query, max_num_fields=200)
    except ValueError:
        return ""
    values: dict[str, str | None] = {}
    for name, value in pairs:
        if name in _CAMPAIGNS:
            values.setdefault(_CAMPAIGNS[name], value)
    return reading.campaign(values, url)
