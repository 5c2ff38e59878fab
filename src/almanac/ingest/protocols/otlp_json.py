"""OTLP in JSON: its values as Python's own, and how to read messages that are not quite of their form."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Generic, TypeVar

import msgspec

from almanac.core.event import Raw
from almanac.ingest import messages as reading
from almanac.ingest.messages import Fields
from almanac.ingest.protocols.otlp_forms import AnyValue, Export, Form, KeyValue, Metric, Number, Whole

S = TypeVar("S", bound=msgspec.Struct)

_WHOLE: Final = re.compile(r"-?[0-9]{1,20}")
_LEAST, _MOST = -(2**63), 2**64 - 1  # of what JSON is written from
EXPORT: Final = msgspec.json.Decoder(Export)


def original(outers: str, outer: Any, inners: str, inner: Any, records: str, units: Sequence[Any]) -> Export:
    """A request with these records and what they have in common. `units`: records, or each a metric, its sort and a point."""
    if records == "metrics":
        units = [_alone(*unit) for unit in units]
    within = msgspec.structs.replace(inner, **{records: [*units]})
    return Export(**{outers: [msgspec.structs.replace(outer, **{inners: [within]})]}, keep_time=True)


def _alone(metric: Metric, sort: str, point: Any) -> Metric:
    return msgspec.structs.replace(metric, **{sort: msgspec.structs.replace(getattr(metric, sort), data_points=[point])})


# ------------------------------------------------------------ values


def whole(value: Whole) -> Any:
    """A whole number of 64 bits as a number; a text that is none stays a text."""
    if isinstance(value, str):
        if not (value.isdecimal() and len(value) < 19) and not _WHOLE.fullmatch(value):
            return value
        value = int(value)
    return value if _LEAST <= value <= _MOST else str(value)


def number(value: Number) -> Any:
    """A number; one that JSON cannot hold is a text, as OTLP writes it."""
    if isinstance(value, str) or math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def value(any_: AnyValue | None) -> Any:
    """A value of any type as Python's own: bytes as `{"bytesValue": base64}`, none as None."""
    if any_ is None:
        return None
    if any_.string_value is not None:
        return any_.string_value
    if any_.int_value is not None:
        return whole(any_.int_value)
    if any_.bool_value is not None:
        return any_.bool_value
    if any_.double_value is not None:
        return number(any_.double_value)
    if any_.kvlist_value is not None:
        return attributes(any_.kvlist_value.values)
    if any_.array_value is not None:
        return [value(each) for each in any_.array_value.values]
    return {"bytesValue": any_.bytes_value} if any_.bytes_value is not None else None


def attributes(items: Sequence[KeyValue]) -> dict[str, Any]:
    """Attributes by their keys; of several with one key the last."""
    return {item.key: value(item.value) for item in items}


def repeated(items: Sequence[KeyValue]) -> list[list[Any]]:
    """Keys and values of the attributes that another with the same key follows."""
    last = {item.key: place for place, item in enumerate(items)}
    return [[item.key, value(item.value)] for place, item in enumerate(items) if last[item.key] != place]


def given(message: msgspec.Struct, name: str) -> Any:
    """A member that may be absent: its value, or None."""
    return getattr(message, name)


# ----------------------------------------------- what is not of that form


class Tolerant(Generic[S]):
    """Reads any object as a message as far as it is one. What does not fit is handed back under its name, as it was written."""

    def __init__(self, form: type[S]) -> None:
        self._form = form
        hints = typing.get_type_hints(form)
        self._members = {
            field.encode_name: (field.name, msgspec.json.Decoder(hints[field.name]), *_inner(hints[field.name]))
            for field in msgspec.structs.fields(form)
        }

    def read(self, raw: Raw) -> tuple[S | None, Fields]:
        """The message, None when it is no object, and what did not fit."""
        fields = reading.fields_of(raw)
        if fields is None:
            return None, {}
        known: dict[str, Any] = {}
        unknown: Fields = {}
        for name, written in fields.items():
            if name not in self._members:
                unknown[name] = written
            elif bytes(written) != b"null":
                attribute, decoder, inner, listed = self._members[name]
                try:
                    known[attribute] = decoder.decode(written)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    found, odd = _pieces(written, inner, listed)
                    known |= {} if found is None else {attribute: found}
                    unknown |= {} if odd is None else {name: odd}
        return self._form(**known), unknown


@cache
def tolerant(form: type[S]) -> Tolerant[S]:
    """The reader of a form."""
    return Tolerant(form)


def _inner(hint: Any) -> tuple[Any, bool]:
    """The form within a member's type, None for plain values, `str` for texts; and whether it is a list of them."""
    if typing.get_origin(hint) is list:
        (item,) = typing.get_args(hint)
        return (item if isinstance(item, type) and issubclass(item, Form) else None), True
    if hint is str:
        return str, False
    forms = [part for part in typing.get_args(hint) if isinstance(part, type) and issubclass(part, Form)]
    return (forms[0] if forms else None), False


def _pieces(written: Raw, inner: Any, listed: bool) -> tuple[Any, Raw | None]:
    """What of a member can be read, and what has to be kept as it is."""
    if inner is str:
        return (reading.text_of(written), None) if bytes(written)[:1] not in (b"{", b"[") else (None, written)
    if inner is None:
        return None, written
    if not listed:
        found, odd = tolerant(inner).read(written)
        return found, written if found is None else reading.encoded(odd) if odd else None
    items = reading.items_of(written)
    if items is None:
        return None, written
    pairs = [(tolerant(inner).read(item), item) for item in items]
    left = [item for (found, odd), item in pairs if found is None or odd]
    return [found for (found, _), _ in pairs if found is not None], reading.encoded(left) if left else None
