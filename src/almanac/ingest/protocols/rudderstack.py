"""RudderStack: Segment's paths and messages, with the traits of identify under `context.traits`, `originalTimestamp` where the app gives no
`timestamp`, and a `channel` (server, web, mobile).

Its requests are known by a library or User-Agent of that name, or, as its SDKs for servers kept the names of Segment's from which they
come (`analytics-python`, `analytics-node`), by the channel, which Segment's leave out. The write key is the user of Basic authentication,
never in the body. What cannot be an event is rejected alone, with status 200: any other ends a program that uses the SDK for Node without
an error handler.
"""

from __future__ import annotations

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


class _Library(msgspec.Struct, gc=False):
    name: str | None = None


class _Context(msgspec.Struct, gc=False):
    library: _Library | None = None


class _Said(msgspec.Struct, gc=False):
    """What of a message tells whose it is."""

    channel: str | None = None
    context: _Context | None = None


class _Body(_Said, gc=False):
    """Many messages, or one."""

    batch: list[_Said] | None = None


_SAID: Final = msgspec.json.Decoder(_Body | list[_Said])


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
    if not (b"udder" in body or (forked and b'"channel"' in body)):
        return False
    said = _first(call)
    library = said.context.library if said.context else None
    return (forked and bool(said.channel)) or (library is not None and _NAME in (library.name or "").lower())


def _first(call: Call) -> _Said:
    try:
        body = _SAID.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _first_of_odd(call)
    messages = body if isinstance(body, list) else body.batch or [body]
    return messages[0] if messages else _Said()


def _first_of_odd(call: Call) -> _Said:
    """The same for bodies of any other form: the first message that is an object."""
    try:
        items = reading.envelope(call)[1]
    except AlmanacError:
        return _Said()
    fields = next((found for found in map(reading.fields_of, items) if found), NOTHING)
    library = reading.fields_of((reading.fields_of(fields.get("context", NONE)) or NOTHING).get("library", NONE)) or NOTHING
    return _Said(reading.text_of(fields.get("channel")), _Context(_Library(reading.text_of(library.get("name")))))


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
