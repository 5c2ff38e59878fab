"""Self-describing JSON, `{"schema": "iglu:VENDOR/NAME/FORMAT/VERSION", "data": …}`, as Snowplow's events carry it."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError
from almanac.core.event import Raw
from almanac.ingest import body as bodies
from almanac.ingest import messages as reading
from almanac.ingest.flat import Flat
from almanac.ingest.messages import NONE, UnfitError


class SelfDescribing(msgspec.Struct, gc=False):
    """Data with the address of its schema."""

    schema: str = ""
    data: Raw = NONE


class Wrapped(msgspec.Struct, gc=False):
    """A self-describing event as trackers wrap it."""

    schema: str
    data: SelfDescribing


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


TRANSACTION: Final = reading.Shape(Transaction)
SESSION: Final = reading.Shape(Session)
SCREEN: Final = reading.Shape(Screen)

_SCHEMA: Final = re.compile(r"iglu:([^/]+)/([^/]+)/")
_WRAPPER: Final = "iglu:com.snowplowanalytics.snowplow/unstruct_event/"
_SELF_DESCRIBING: Final = msgspec.json.Decoder(SelfDescribing)
_WRAPPED: Final = msgspec.json.Decoder(Wrapped)
_ENTITIES: Final = msgspec.json.Decoder(list[SelfDescribing])
_ALPHABET: Final = bytes.maketrans(b"-_ ", b"+/+")  # an address turns a plus sign into a space
_REMEMBERED: Final = 1000


def own_event(m: Flat) -> SelfDescribing:
    """Takes a self-describing event out of a message, without its wrapper. Raises `UnfitError`."""
    written = _written(m, "ue_px", "ue_pr")
    if written is not None:
        try:
            wrapped = _WRAPPED.decode(written)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            if wrapped.schema.startswith(_WRAPPER):
                return wrapped.data
    outer = _read(written)
    if outer is None:
        raise UnfitError("no_event", "It is a self-describing event without readable data (`ue_px`, `ue_pr`).")
    if not outer.schema.startswith(_WRAPPER):
        return outer
    try:
        return _SELF_DESCRIBING.decode(outer.data)
    except (msgspec.DecodeError, RecursionError):
        raise UnfitError("no_event", "It is a self-describing event without a schema and data.") from None


def entities_of(m: Flat, limit: int) -> Raw:
    """Takes the entities out of a message, as a JSON list; `NONE` without any. What cannot be read stays in the message.

    Raises `UnfitError` when they nest deeper than `limit`.
    """
    name = "cx" if "cx" in m else "co"
    sent = m.get(name)
    if not sent:
        return NONE
    document = _read(_written(m, "cx", "co"))
    if document is None or bytes(document.data)[:1] != b"[":
        m[name] = sent
        return NONE
    reading.checked(document.data, limit)
    return document.data


def entity(entities: Raw, name: str) -> Raw:
    """The data of the first entity whose schema has this name; `NONE` when there is none."""
    try:
        listed = _ENTITIES.decode(entities)
    except (msgspec.DecodeError, RecursionError):
        return NONE
    for each in listed:
        found = _SCHEMA.match(each.schema)
        if found and found[2] == name:
            return each.data
    return NONE


@lru_cache(_REMEMBERED)
def name_of(schema: str) -> tuple[str, Raw]:
    """The name in a schema's address, and what is kept of the address."""
    found = _SCHEMA.match(schema)
    return found[2] if found else schema, reading.encoded({"schema": schema})


def _written(m: Flat, packed: str, plain: str) -> bytes | None:
    """Takes JSON out of a message: in base64 under the name `packed`, or as it is under `plain`. None: there is none."""
    if packed in m:
        text = m.pop(packed).encode("ascii", "replace").translate(_ALPHABET)
        try:
            return bodies.clean(binascii.a2b_base64(text + b"=="))  # more padding than needed does no harm
        except ValueError:
            return None
    return bodies.clean(m.pop(plain).encode("utf-8", "replace")) if plain in m else None


def _read(written: bytes | None) -> SelfDescribing | None:
    """None: it is not readable. Raises `UnfitError` when it nests too deep to be read."""
    if written is None:
        return None
    try:
        return _SELF_DESCRIBING.decode(written)
    except RecursionError:
        raise UnfitError("too_deep", "It nests too deep.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        try:
            return _SELF_DESCRIBING.decode(bodies.mend(written))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AlmanacError):
            return None
