"""Google Analytics 4, Measurement Protocol: `POST /mp/collect?measurement_id=G-…&api_secret=KEY` (`firebase_app_id=` for apps).

The write key is the `api_secret`; failing that, a measurement id or Firebase app id that is one. The body is `{"client_id", "user_id",
"timestamp_micros", "user_properties", "events": [{"name", "params"}]}`; a single event may stand for the list. The answer is 204, or 200
with validation messages where an event was refused. `POST /debug/mp/collect` stores nothing and answers what Google Analytics would not
take of the body; Almanac itself has none of those limits.

An event has no id. One is derived from who, when and what it says, so that the same body sent again counts once if it holds a time; a
`purchase` is known by its `transaction_id`, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from almanac.core.errors import AlmanacError, Code
from almanac.core.event import Raw
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer, as_json
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.messages import NONE, UnfitError
from almanac.ingest.protocols.ga4_event import REQUEST, Builder, Item, Request
from almanac.ingest.protocols.ga4_rules import faults


class Body(Request, forbid_unknown_fields=True, gc=False):
    """A request as documented."""

    events: list[Item] = []


_BODY: Final = msgspec.json.Decoder(Body)
_ITEM: Final = reading.Shape(Item)


def take(call: Call) -> Answer:
    """The events of a request."""
    _admit(call)
    try:
        body = _BODY.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _take_odd(call)
    if len(call.json) > call.settings.event_limit:
        return _take_odd(call)
    build = Builder(call, body, {})
    most = call.settings.batch_limit
    for index, item in enumerate(body.events[:most]):
        try:
            call.events.append(build(index, item))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, build.alone(reading.encoded(item)))
    if len(body.events) > most:
        _reject_rest(call, build, [reading.encoded(item) for item in body.events[most:]])
    return _answer(call)


def _take_odd(call: Call) -> Answer:
    """The same for bodies in any other form: one event in the place of the list, odd types, undocumented members."""
    fields = reading.fields_of(call.mended)
    if fields is None:
        call.reject(0, "not_an_object", "The request is not a JSON object.", call.mended)
        return _answer(call)
    events = fields.pop("events", NONE)
    items = reading.items_of(events)
    around, unknown = REQUEST.read(fields)
    build = Builder(call, around, unknown)
    most, largest = call.settings.batch_limit, call.settings.event_limit
    items = ([] if reading.is_empty(events) else [events]) if items is None else items
    for index, raw in enumerate(items[:most]):
        members = reading.fields_of(raw)
        if len(raw) > largest:
            call.reject(index, "too_large", f"It is larger than {largest} bytes.", build.alone(raw))
        elif members is None:
            call.reject(index, "not_an_object", "It is not a JSON object.", bytes(raw) if bytes(raw) in call.deep else build.alone(raw))
        else:
            try:
                call.events.append(build(index, *_ITEM.read(members)))
            except UnfitError as unfit:
                call.reject(index, unfit.reason, unfit.detail, build.alone(raw))
    if len(items) > most:
        _reject_rest(call, build, items[most:])
    return _answer(call)


def _reject_rest(call: Call, build: Builder, rest: Sequence[Raw]) -> None:
    most = call.settings.batch_limit
    call.reject(most, "over_batch_limit", f"There are {len(rest)} events more than {most} in the request.", build.alone(*rest))


def _admit(call: Call) -> None:
    query = call.query
    streams = (query.get("measurement_id"), query.get("firebase_app_id"))
    call.admit(flat.known(call, (query.get("api_secret"), *streams, call.bearer, call.basic_user)))


def _answer(call: Call) -> Answer:
    if not call.rejected:
        return flat.NO_CONTENT
    messages = [_message(f"events[{refused.index}]", refused.detail, "VALUE_INVALID") for refused in call.rejected]
    return as_json({"validationMessages": messages})


def validate(call: Call) -> Answer:
    """What is wrong with a request, in Google's words and places. Stores nothing. Raises `unavailable`."""
    messages: list[dict[str, str]] = []
    try:
        _admit(call)
    except AlmanacError as error:
        if error.code is not Code.DENIED:
            raise
        messages.append(_message("api_secret", error.message, "VALUE_INVALID" if call.query.get("api_secret") else "VALUE_REQUIRED"))
    try:
        body: Any = msgspec.json.decode(call.mended)
    except (AlmanacError, msgspec.DecodeError, RecursionError):
        body = None
    if isinstance(body, dict):
        messages += [_message(*fault) for fault in faults(body, call.query, len(call.text), call.received_us)]
    else:
        messages.append(_message("", "The request is not a JSON object.", "VALUE_INVALID"))
    return as_json({"validationMessages": messages})


def _message(place: str, description: str, code: str) -> dict[str, str]:
    return {"fieldPath": place, "description": description, "validationCode": code}


PROTOCOL: Final = Protocol(
    "ga4",
    (
        Route("POST", "/mp/collect", take),
        Route("POST", "/debug/mp/collect", validate),
    ),
    replay=("/mp/collect", b"", b""),
)
