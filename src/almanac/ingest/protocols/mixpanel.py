"""Mixpanel: events, changes of people and of groups, imports, and the question for flags.

`/track` and `/import` take events, `/engage` changes of people, `/groups` those of groups; each message is read by what it holds, not by
the path. A body is a form with `data`, base64 or plain, JSON, or NDJSON; small ones come as `GET ?data=`. The write key is the `token` of
each event (`$token` of a change), so that one request may serve several projects; without one, the user of Basic authentication, `?token=`
or `?api_key=`.

With `verbose=1` the answer is JSON with `status: 1`, else the single character 1; with `img=1` an image of one pixel. What cannot be an
event becomes a dead letter, and the answer is 200 with `failed_records`. `ip=1` asks for the request's address; without it the address is
not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError, Code
from almanac.ingest import messages as reading
from almanac.ingest.answers import SUCCESS, Answer, as_json
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.protocols.mixpanel_item import ITEM, PROPERTIES, Builder, Item

_ITEMS: Final = msgspec.json.Decoder(list[Item])
_BESIDE_DATA: Final = frozenset({b"verbose", b"ip", b"img", b"token", b"api_key"})
_ONE: Final = Answer(body=b"1", content_type=b"text/plain")
_PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


def take(call: Call) -> Answer:
    """Events and changes, one or many."""
    asked = _asked(call)
    items = _strict(call)
    if items is None:
        _take_odd(call, asked)
    else:
        token = _admit(call, map(_token, items), asked)
        reading.strictly(call, items, _builder(call, token, asked))
    return _taken(call, asked)


def _strict(call: Call) -> list[Item] | None:
    """The messages of a body that looks as documented."""
    try:
        items = _ITEMS.decode(call.json) if call.json[:1] == b"[" else [ITEM.strict.decode(call.json)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return items if reading.all_small(call, "data") else None


def _take_odd(call: Call, asked: dict[str, str]) -> None:
    lines = reading.lines_of(call)
    raws = reading.envelope(call, "data")[1] if lines is None else lines
    members = (fields for raw in raws if (fields := reading.fields_of(raw)) is not None)
    token = _admit(call, (_token(ITEM.read(fields)[0]) for fields in members), asked)
    reading.tolerantly(call, raws, ITEM, _builder(call, token, asked))


def _builder(call: Call, token: str, asked: dict[str, str]) -> Builder:
    return Builder(call, token, reading.instant(asked.get("_", "")), with_ip=asked.get("ip") == "1")


def _asked(call: Call) -> dict[str, str]:
    """What stands beside the data, in the query or in the form."""
    asked = dict(call.query)
    if call.body[:5] == b"data=" or (b"&data=" in call.body and call.body[:1] not in (b"{", b"[")):
        for field in call.body.split(b"&", 100):
            name, _, value = field.partition(b"=")
            if name in _BESIDE_DATA:
                asked[name.decode()] = value[:256].decode("latin-1")
    return asked


def _token(item: Item) -> str:
    within = PROPERTIES.lenient(item.properties).token if bytes(item.properties)[:1] == b"{" else None
    return within or item.token or ""


def _admit(call: Call, tokens: Iterator[str], asked: dict[str, str]) -> str:
    """The token by which the request is let in: the first message's, or the first one that is known, because a wrong token must not take
    the others' events along. Raises `denied` without any."""
    first = next(tokens, "") or asked.get("token") or call.basic_user or asked.get("api_key") or call.bearer
    try:
        call.admit(first)
    except AlmanacError as refusal:
        if refusal.code is not Code.DENIED:
            raise
        found = next((token for token in dict.fromkeys(filter(None, tokens)) if token != first and _is_known(call, token)), None)
        if found is None:
            raise
        call.admit(found)
        return found
    return first


def _is_known(call: Call, token: str) -> bool:
    try:
        call.also(token)
    except AlmanacError as refusal:
        if refusal.code is not Code.DENIED:
            raise
        return False
    return True


def _taken(call: Call, asked: dict[str, str]) -> Answer:
    if asked.get("img") == "1":
        return Answer(body=_PIXEL, content_type=b"image/gif", headers=((b"cache-control", b"no-store"),))
    if asked.get("verbose", "1" if call.path.rstrip("/") == "/import" else "0") == "0":
        return _ONE
    failed = [{"index": item.index, "field": item.reason, "message": item.detail} for item in call.rejected]
    more = {"failed_records": failed, "rejected": call.rejected} if failed else {}
    return as_json({**SUCCESS, "num_records_imported": len(call.events) - len(call.rejected), **more})


def flags(call: Call) -> Answer:
    """`GET /flags`: there are none."""
    return as_json({**SUCCESS, "flags": {}})


def definitions(call: Call) -> Answer:
    """`/flags/definitions`, for SDKs that evaluate flags themselves: there are none."""
    return as_json({**SUCCESS, "flags": []})


def _has_data(call: Call) -> bool:
    return "data" in call.query


PROTOCOL: Final = Protocol(
    "mixpanel",
    (
        *(Route("POST", path, take) for path in ("/track", "/engage", "/groups", "/import")),
        *(Route("GET", path, take, when=_has_data) for path in ("/track", "/engage", "/groups", "/import")),
        Route("GET", "/flags", flags),
        Route("GET", "/flags/definitions", definitions, when=lambda call: "mp_lib" in call.query),
    ),
    replay=("/track", b"[", b"]"),
)
