"""Protobuf read by hand, where the package is too slow or too strict: attributes and values, and requests that it refuses.

Attributes take most of the time: through the package's objects 0.85 µs each. As bytes that are read here it is 0.2 for one that was met
before, as most were, and 1.0 for one that was not. What is wrong with a value is then the matter of its record alone.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

from almanac.core.errors import AlmanacError, invalid
from almanac.ingest.messages import UnfitError
from almanac.ingest.protocols.otlp_points import base64_of

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
TORN: Final = -1  # in place of one: from here on it is not protobuf
DEEPEST: Final = 120  # levels of values in values that are read
MOST_LEAVES: Final = 200_000  # in one list; taking more apart would take many times the memory of the request

# The numbers of the fields that lead to a record. All else on the way is what records have in common.
_DATA: Final = frozenset((5, 7, 9, 10, 11))
_PATHS: Final = {
    "logs": (frozenset((1,)), frozenset((2,)), frozenset((2,))),
    "traces": (frozenset((1,)), frozenset((2,)), frozenset((2,))),
    "metrics": (frozenset((1,)), frozenset((2,)), frozenset((2,)), _DATA, frozenset((1,))),
}
_DOUBLE: Final = struct.Struct("<d").unpack_from
_SHORT: Final = 64  # bytes of an attribute that is remembered
_REMEMBERED: Final = 20_000


class _Met(dict[bytes, tuple[str, Any]]):
    """Attributes that were read before, by their bytes; reads those that were not."""

    def __missing__(self, raw: bytes) -> tuple[str, Any]:
        pair: tuple[str, Any] = _checked(_key_and_value, raw)
        if len(raw) <= _SHORT and type(pair[1]) not in (dict, list):
            if len(self) >= _REMEMBERED:
                self.clear()
            self[raw] = pair
        return pair


_met: Final = _Met()


# ------------------------------------------------------------ values


def attributes(items: Sequence[bytes]) -> dict[str, Any]:
    """Attributes by their keys; of several with one key the last. Raises `UnfitError`."""
    return dict(map(_met.__getitem__, items[:]))  # a list of them is twice as fast as one by one


def repeated(items: Sequence[bytes]) -> list[list[Any]]:
    """Keys and values of the attributes that another with the same key follows."""
    pairs = [_met[raw] for raw in items]
    last = {key: place for place, (key, _) in enumerate(pairs)}
    return [[key, value_] for place, (key, value_) in enumerate(pairs) if last[key] != place]


def value(raw: bytes) -> Any:
    """A value of any type as Python's own: bytes as `{"bytesValue": base64}`, none as None. Raises `UnfitError`."""
    return _checked(_value, raw)


def _checked(read: Any, raw: bytes) -> Any:
    try:
        return read(raw, 0)
    except UnicodeDecodeError:
        raise UnfitError("not_utf8", "A text of it is not UTF-8.") from None
    except (TornError, IndexError, struct.error):
        raise UnfitError("not_protobuf", "A value of it is not protobuf.") from None


def _key_and_value(raw: bytes, depth: int) -> tuple[str, Any]:
    at = raw[1] + 2 if len(raw) > 3 else 0
    # As it is written usually: the key, then the value, both shorter than 128 bytes.
    if at and raw[0] == 10 and at < 130 and at + 2 <= len(raw) < at + 130 and raw[at] == 18 and raw[at + 1] == len(raw) - at - 2:
        return str(raw[2:at], "utf-8"), _value(raw[at + 2 :], depth)
    key, value_ = "", b""
    for number_, wire, _, content, end in fields(raw):
        if wire == TORN:
            raise TornError
        if number_ == 1 and wire == BYTES:
            key = str(raw[content:end], "utf-8")
        elif number_ == 2 and wire == BYTES:
            value_ = raw[content:end]
    return key, _value(value_, depth)


def _value(raw: bytes, depth: int) -> Any:
    if not raw:
        return None
    # As they are written usually: a short text, a small number, a truth value, a float.
    kind, size, first = raw[0], len(raw), raw[1]
    if kind == 10 and first == size - 2 and first < 128:
        return str(raw[2:], "utf-8")
    if size == 2 and first < 128:
        if kind == 24:
            return first
        if kind == 16:
            return first > 0
    elif kind == 33 and size == 9:
        return number(_DOUBLE(raw, 1)[0])
    if depth > DEEPEST:
        raise UnfitError("too_deep", f"It nests deeper than {DEEPEST} levels.")
    found: Any = None
    for number_, wire, _, content, end in fields(raw):
        if wire == TORN:
            raise TornError
        if wire == BYTES:
            if number_ == 1:
                found = str(raw[content:end], "utf-8")
            elif number_ == 7:
                found = {"bytesValue": base64_of(raw[content:end])}
            elif number_ == 5:
                found = [_value(inner, depth + 1) for inner in _elements(raw[content:end])]
            elif number_ == 6:
                found = dict(_key_and_value(inner, depth + 1) for inner in _elements(raw[content:end]))
        elif wire == VARINT and number_ in (2, 3):
            whole, _ = _read_varint(raw, content)
            found = bool(whole) if number_ == 2 else whole - (1 << 64) if whole >> 63 else whole
        elif wire == FIXED64 and number_ == 4:
            found = number(_DOUBLE(raw, content)[0])
    return found


def _elements(raw: bytes) -> Iterator[bytes]:
    """What is in a list or an object."""
    for number_, wire, _, content, end in fields(raw):
        if wire == TORN:
            raise TornError
        if number_ == 1 and wire == BYTES:
            yield raw[content:end]


def number(value_: float) -> float | str:
    """A number; one that JSON cannot hold is a text, as OTLP writes it."""
    if math.isfinite(value_):
        return value_
    return "NaN" if value_ != value_ else "Infinity" if value_ > 0 else "-Infinity"


# ----------------------------------------------------- a request taken apart


def too_many() -> AlmanacError:
    """There are more records in the request than it is worth to put away."""
    return invalid("There are too many records in the request.", status=413, way_out="Send fewer records in one request.")


def leaves(signal: str, body: bytes) -> Iterator[tuple[bytes, bool]]:
    """Requests of one record each; where the bytes are not protobuf, what is left of them, and False. Raises `invalid` for too many."""
    yield from _leaves(body, _PATHS[signal], ())


def _leaves(data: bytes, path: Sequence[frozenset[int]], around: tuple[tuple[bytes, int], ...]) -> Iterator[tuple[bytes, bool]]:
    """`around`: of each level above, what it holds besides, and the number of the field that leads here."""
    numbers, deeper = path[0], path[1:]
    head: list[bytes] = []
    found: list[tuple[int, bytes]] = []
    torn = b""
    for number_, wire, start, content, end in fields(data):
        if wire == TORN:
            torn = data[start:]
        elif number_ in numbers and wire == BYTES:
            found.append((number_, data[content:end]))
            if len(found) > MOST_LEAVES:
                raise too_many()
        else:
            head.append(data[start:end])
    common = b"".join(head)
    for number_, child in found:
        above = (*around, (common, number_))
        if deeper:
            yield from _leaves(child, deeper, above)
        else:
            yield _inside(above, child), True
    if torn:
        yield _inside(around, common + torn), False


def _inside(around: Sequence[tuple[bytes, int]], child: bytes) -> bytes:
    for common, number_ in reversed(around):
        child = common + wrapped(number_, child)
    return child


# ------------------------------------------------------------ the wire


class TornError(ValueError):
    """These bytes are not protobuf."""


def wrapped(number_: int, content: bytes) -> bytes:
    """A field that holds these bytes."""
    return _varint(number_ << 3 | BYTES) + _varint(len(content)) + content


def _varint(whole: int) -> bytes:
    written = bytearray()
    while whole > 0x7F:
        written.append(whole & 0x7F | 0x80)
        whole >>= 7
    written.append(whole)
    return bytes(written)


def fields(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """The fields of a message: number, wire type, and where the field starts, where its content starts, where it ends. Where the bytes make
    no sense any more, the last is of type `TORN`."""
    place, size = 0, len(data)
    while place < size:
        start = place
        try:
            tag, place = _read_varint(data, place)
            wire, content = tag & 7, place
            if wire == BYTES:
                length, content = _read_varint(data, place)
                place = content + length
            elif wire == VARINT:
                _, place = _read_varint(data, place)
            elif wire in (FIXED64, FIXED32):
                place += 8 if wire == FIXED64 else 4
            else:
                raise TornError
            if place > size or tag >> 3 == 0:
                raise TornError
        except (TornError, IndexError):
            yield 0, TORN, start, start, size
            return
        yield tag >> 3, wire, start, content, place


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    found = shift = 0
    while shift < 70:
        byte = data[place]
        found |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return found & 0xFFFF_FFFF_FFFF_FFFF, place
        shift += 7
    raise TornError
