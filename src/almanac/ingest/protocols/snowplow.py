"""Snowplow: `POST /com.snowplowanalytics.snowplow/tp2` takes `{"schema", "data": [event …]}`, `GET /i` one event in its query.

An event is a flat list of names and texts. Trackers have no write key; the project is found by the first of these that is one: a key in the
collector's path (`https://HOST/KEY`, where `/KEY/com.snowplowanalytics.snowplow/tp2` and `/KEY/i` come out), `?write_key=`, the user of
Basic authentication, a bearer token, and the app id (`aid`). So a tracker gets its write key as app id; or, where apps are out there that
cannot be changed, the project is made with the app id that they have: `almanac project create shop --write-key THEIR-APP-ID`.

A tracker whose `postPath` is one of its company's own is heard at any path of the form `/com.acme/word`, if the body is Snowplow's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from almanac.core.errors import not_found
from almanac.core.event import Raw
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer, accepted, preflight
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.flat import Flat, Owner
from almanac.ingest.protocols.snowplow_event import Builder

PATH: Final = "/com.snowplowanalytics.snowplow/tp2"
_PAYLOAD: Final = re.compile(rb'"schema"\s*:\s*"iglu:com\.snowplowanalytics\.snowplow\\?/payload_data\\?/')
_OWN_PATH: Final = re.compile(r"/[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+/[A-Za-z0-9_-]+/?")


class Body(msgspec.Struct, gc=False):
    """The body of a POST as documented."""

    schema: str
    data: list[Flat]


_BODY: Final = msgspec.json.Decoder(Body)


def take_posted(call: Call) -> Answer:
    """Many events."""
    try:
        body = _BODY.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _take_odd(call)
    if len(call.json) > call.settings.event_limit:  # then one of them may be over it
        return _take_odd(call)
    flat.take(call, body.data, Builder(call, _owner(call, (event.get("aid", "") for event in body.data))))
    return _answer(call)


def take_query(call: Call) -> Answer:
    """One event."""
    event = flat.of_query({name: value for name, value in call.query.items() if name != "write_key"})
    flat.take_any(call, [reading.encoded(event)], Builder(call, _owner(call, (event.get("aid", ""),))))
    return _answer(call) if call.rejected else flat.PIXEL


def take_elsewhere(call: Call) -> Answer:
    """Many events at a path of the sender's own. Raises `not_found` for a body of any other kind."""
    if _PAYLOAD.search(call.json) is None:
        raise not_found("Nothing is taken at this path but Snowplow's events.", way_out=f"Send them to {PATH}.")
    return take_posted(call)


def _take_odd(call: Call) -> Answer:
    """The same for bodies in any other form: odd types, a bare event, a bare list."""
    body = Raw(call.mended)
    fields = reading.fields_of(body)
    items = reading.items_of(body) if fields is None else reading.items_of(fields["data"]) if "data" in fields else [body]
    if items is None:
        items = [body]
    aids = (reading.text_of((reading.fields_of(raw) or {}).get("aid")) for raw in items)
    flat.take_any(call, items, Builder(call, _owner(call, aids)))
    return _answer(call)


def _owner(call: Call, aids: Iterable[str]) -> Owner:
    around = (call.params.get("key"), call.query.get("write_key"), call.basic_user, call.bearer)
    return Owner(call, around, ((aid,) for aid in aids))


def _answer(call: Call) -> Answer:
    return accepted(len(call.events) - len(call.rejected), call.rejected)


def _is_event(call: Call) -> bool:
    return "e" in call.query and ("aid" in call.query or "tv" in call.query)


def _may_be_elsewhere(call: Call) -> bool:
    return _OWN_PATH.fullmatch(call.path) is not None


def _allow(call: Call) -> Answer:
    return preflight(call.headers, "OPTIONS, POST")


PROTOCOL: Final = Protocol(
    "snowplow",
    (
        Route("POST", PATH, take_posted),
        Route("POST", "/{key}" + PATH, take_posted),
        Route("GET", "/i", take_query),
        Route("GET", "/{key}/i", take_query, when=_is_event),
        Route("POST", "*", take_elsewhere, when=_may_be_elsewhere),
        Route("OPTIONS", "*", _allow, when=_may_be_elsewhere),
    ),
    replay=(PATH, b'{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[', b"]}"),
)
