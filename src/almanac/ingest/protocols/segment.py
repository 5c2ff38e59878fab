"""Segment.

`POST /v1/batch` takes `{"batch": [message …], "sentAt", "writeKey"}`; `/v1/track` and its kin take one message. The write key is the user
of Basic authentication, or `writeKey` in the body. `GET /v1/projects/KEY/settings` makes the browser SDK send its events here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from almanac.core.event import Event
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer, as_json
from almanac.ingest.call import Call, Handler, Protocol, Route, always_ok
from almanac.ingest.messages import Fields
from almanac.ingest.protocols.segment_message import MESSAGE, Batch, Builder, Message

_BATCH: Final = msgspec.json.Decoder(Batch)
_LONG: Final = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}


def take_batch(call: Call, builder: type[Builder] = Builder) -> Answer:
    """Many messages, a bare list of them, or one."""
    try:
        batch = _BATCH.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _take_odd(call, "", builder)
    if not reading.all_small(call):
        return _take_odd(call, "", builder)
    _admit(call, batch.write_key)
    return reading.strictly(call, batch.batch, builder(call, reading.instant(batch.sent_at or "")))


def take_one(call: Call, builder: type[Builder] = Builder) -> Answer:
    """One message, whose type the path says."""
    word = call.path.rstrip("/").rpartition("/")[2]
    type_ = _LONG.get(word, word)
    try:
        message = MESSAGE.strict.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _take_odd(call, type_, builder)
    if len(call.json) > call.settings.event_limit:
        return _take_odd(call, type_, builder)
    _admit(call, message.write_key)
    message.type = type_
    return reading.strictly(call, [message], builder(call, ""))


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


def _take_odd(call: Call, type_: str, builder: type[Builder]) -> Answer:
    """The same for bodies in any other form. `type_`: the type that the path says, or ""."""
    around, items = reading.envelope(call)
    _admit(call, reading.text_of(around.get("writeKey")))
    build = builder(call, reading.instant(reading.text_of(around.get("sentAt"))))

    def one(index: int, message: Message, unknown: Fields) -> Event:
        message.type = type_ or message.type
        return build(index, message, unknown)

    return reading.tolerantly(call, items, MESSAGE, one)


def routes(batch: Handler, one: Handler, when: Callable[[Call], bool] | None = None) -> tuple[Route, ...]:
    """The paths for many messages and for one."""
    return (
        *(Route("POST", f"/v1/{word}", batch, when) for word in ("batch", "b", "import")),
        *(Route("POST", f"/v1/{word}", one, when) for word in (*_LONG, *_LONG.values())),
    )


PROTOCOL: Final = Protocol(
    "segment",
    (
        *routes(take_batch, take_one),
        Route("POST", "/v1/m", always_ok),
        Route("GET", "/v1/projects/{key}/settings", browser_settings),
    ),
    replay=("/v1/batch", b'{"batch":[', b"]}"),
)
