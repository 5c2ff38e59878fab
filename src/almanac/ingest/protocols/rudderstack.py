"""RudderStack: Segment's paths and messages, with the traits of identify under `context.traits`, `originalTimestamp` where the app gives no
`timestamp`, and a `channel` (server, web, mobile).

Its requests are known by a library or User-Agent of that name, or, as its SDKs for servers kept the names of Segment's from which they
come (`analytics-python`, `analytics-node`), by the channel, which Segment's leave out. The write key is the user of Basic authentication,
never in the body. What cannot be an event is rejected alone, with status 200: any other ends a program that uses the SDK for Node without
an error handler.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError
from almanac.core.event import Event
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer
from almanac.ingest.call import Call, Protocol
from almanac.ingest.messages import NONE, NOTHING, Fields
from almanac.ingest.protocols import segment
from almanac.ingest.protocols.segment_message import Builder, Message

_NAME: Final = "rudder"
_TAIL: Final = 300  # bytes at the end of a body, where Segment's SDKs put the write key
_HEAD: Final = 1 << 15  # bytes within which a first message is looked for before all are read
_BEGIN: Final = re.compile(rb'\s*(?:\{\s*"batch"\s*:\s*)?\[\s*')
_SCANNER: Final = json.JSONDecoder()


def is_rudderstacks(call: Call) -> bool:
    """Whether the first message of a request to one of Segment's paths is RudderStack's."""
    if _NAME in call.user_agent.lower():
        return True
    try:
        body = call.json
    except AlmanacError:  # Segment's route says what is wrong with it
        return False
    if b'"writeKey"' in body[-_TAIL:]:
        return False
    forked = call.user_agent.startswith("analytics-")
    if not ((forked and b'"channel"' in body) or b"udder" in body):
        return False
    first = _first(call)
    library = reading.fields_of((reading.fields_of(first.get("context", NONE)) or NOTHING).get("library", NONE)) or NOTHING
    return (forked and reading.text_of(first.get("channel")) != "") or _NAME in reading.text_of(library.get("name")).lower()


def _first(call: Call) -> Fields:
    """The first message that is an object. Of a body as documented, no more is read than that."""
    body = call.json
    if begun := _BEGIN.match(body):
        text = body[begun.end() : begun.end() + _HEAD].decode("utf-8", "replace")
        with contextlib.suppress(ValueError, RecursionError):
            if first := reading.fields_of(text[: _SCANNER.raw_decode(text)[1]].encode()):
                return first
    try:
        items = reading.envelope(call)[1]
    except AlmanacError:
        return NOTHING
    return next((fields for fields in map(reading.fields_of, items) if fields), NOTHING)


class _Builder(Builder):
    """Makes events of RudderStack's messages."""

    __slots__ = ()

    def __call__(self, index: int, m: Message, unknown: Fields = NOTHING) -> Event:
        """See `Builder`. The traits that identify has in its context are changes of the profile, and leave the context."""
        if m.type != "identify":
            return super().__call__(index, m, unknown)
        traits = self.traits(m)
        if reading.is_empty(traits) or bytes(traits)[:1] != b"{":
            return super().__call__(index, m, unknown)
        if not reading.is_empty(m.traits) and m.traits != traits:  # the SDK for Node sends the same in both places
            unknown = {**unknown, "traits": m.traits}
        event = super().__call__(index, msgspec.structs.replace(m, traits=traits), unknown)
        left = reading.fields_of(event.context) or {}
        left.pop("traits", None)
        event.context = reading.object_of(left)
        return event

    def _is_server(self, m: Message, library: str) -> bool:
        return m.channel == "server" or super()._is_server(m, library)


def take_batch(call: Call) -> Answer:
    """Many messages, a bare list of them, or one."""
    return segment.take_batch(call, _Builder)


def take_one(call: Call) -> Answer:
    """One message, whose type the path says."""
    return segment.take_one(call, _Builder)


PROTOCOL: Final = Protocol(
    "rudderstack",
    segment.routes(take_batch, take_one, is_rudderstacks),
    replay=("/v1/batch", b'{"batch":[', b"]}"),
)
