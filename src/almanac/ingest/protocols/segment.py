"""Segment, and RudderStack, which speaks the same with three differences: traits also under `context.traits`, `originalTimestamp` for
`timestamp`, and a `channel`.

`POST /v1/batch` takes `{"batch": [message …], "sentAt", "writeKey"}`; `/v1/track` and its kin take one message. The write key is the user
of Basic authentication, or `writeKey` in the body. `GET /v1/projects/KEY/settings` makes the browser SDK send its events here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from almanac.core.event import Raw
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer, accepted, as_json
from almanac.ingest.call import Call, Protocol, Route, always_ok
from almanac.ingest.messages import Fields, UnfitError
from almanac.ingest.protocols.segment_message import MESSAGE, Batch, Message, build

_BATCH: Final = msgspec.json.Decoder(Batch)
_NOTHING: Final[Fields] = {}
_LONG: Final = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}


def take_batch(call: Call) -> Answer:
    """Many messages, a bare list of them, or one."""
    try:
        batch = _BATCH.decode(call.json) if len(call.json) <= call.settings.event_limit else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        batch = None
    if batch is None:
        return _take_odd(call, "")
    _admit(call, batch.write_key)
    return _take_all(call, batch.batch, batch.sent_at or "")


def take_one(call: Call) -> Answer:
    """One message, whose type the path says."""
    word = call.path.rstrip("/").rpartition("/")[2]
    type_ = _LONG.get(word, word)
    try:
        message = MESSAGE.strict.decode(call.json) if len(call.json) <= call.settings.event_limit else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = None
    if message is None:
        return _take_odd(call, type_)
    _admit(call, message.write_key)
    message.type = type_
    return _take_all(call, [message], "")


def browser_settings(call: Call) -> Answer:
    """What the browser SDK asks for before anything else; without it, it sends nothing, or to its vendor."""
    call.admit(call.params["key"])
    host = (call.header(b"x-forwarded-host") or call.header(b"host")) + "/v1"
    scheme = call.header(b"x-forwarded-proto") or call.scheme
    ours = {"apiKey": call.params["key"], "apiHost": host, "protocol": scheme}
    return as_json(
        {
            "integrations": {"Segment.io": ours},
            "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
            "metrics": {"sampleRate": 0, "host": host},
        }
    )


def _admit(call: Call, in_body: str | None) -> None:
    call.admit(call.basic_user, in_body, call.bearer, call.query.get("writeKey"))


def _take_all(call: Call, batch: list[Message], sent: str) -> Answer:
    """Messages that all look as documented, in a request so small that none of them can be too large."""
    most = call.settings.batch_limit
    add = call.events.append
    for index, message in enumerate(batch):
        try:
            if index >= most:
                raise UnfitError("over_batch_limit", f"There are more than {most} events in the request.")
            add(build(call, index, message, sent, _NOTHING))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, msgspec.json.encode(message))
    return accepted(len(call.events) - len(call.rejected), call.rejected)


def _take_odd(call: Call, type_: str) -> Answer:
    """The same for bodies in any other form. `type_`: the type that the path says, or ""."""
    body = Raw(call.mended)
    envelope = reading.fields_of(body)
    items = reading.items_of(body) if envelope is None else reading.items_of(envelope["batch"]) if "batch" in envelope else [body]
    envelope = envelope or {}
    _admit(call, reading.text_of(envelope.get("writeKey")))
    sent = reading.text_of(envelope.get("sentAt"))
    for index, raw, found in reading.messages(call, [body] if items is None else items):
        message, unknown = MESSAGE.read(found)
        message.type = type_ or message.type
        try:
            call.events.append(build(call, index, message, sent, unknown))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, bytes(raw))
    return accepted(len(call.events) - len(call.rejected), call.rejected)


PROTOCOL: Final = Protocol(
    "segment",
    (
        *(Route("POST", f"/v1/{word}", take_batch) for word in ("batch", "b", "import")),
        *(Route("POST", f"/v1/{word}", take_one) for word in (*_LONG, *_LONG.values())),
        Route("POST", "/v1/m", always_ok),
        Route("GET", "/v1/projects/{key}/settings", browser_settings),
    ),
    replay=("/v1/batch", b'{"batch":[', b"]}"),
)
