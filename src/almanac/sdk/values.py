"""Values of an app as JSON. Whatever the value is, something sensible comes out, and nothing is raised.

Dates, times and UUIDs become texts (ISO 8601), sets lists, decimals numbers, bytes base64 text, timedeltas seconds, enums their value,
dataclasses objects; NaN, infinities and the missing values of pandas become null. Anything else becomes `str(value)`.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final

DEEPEST: Final = 50  # levels that are kept as they are; the server takes 64 of a whole event
LONGEST_NUMBER: Final = 1000  # bits of an integer that stays a number; beyond, it is written as a text


def encode(value: Any) -> bytes:
    """One line of JSON, in UTF-8."""
    try:
        text = _FAST.encode(value)
    except Exception:
        text = _FAST.encode(plain(value))
    try:
        return text.encode()
    except UnicodeEncodeError:  # halves of surrogate pairs: joined where both are there
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def plain(value: Any, within: tuple[int, ...] = ()) -> Any:
    """The same in dicts, lists, texts, finite numbers, truth values and None. `within`: what it lies in, by identity; what contains itself,
    or lies deeper than `DEEPEST`, becomes a text."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, Enum):
        return plain(value.value, within)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value) if abs(value).bit_length() <= LONGEST_NUMBER else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if len(within) >= DEEPEST or id(value) in within:
        return f"<{type(value).__name__}>"
    within = (*within, id(value))
    try:
        if isinstance(value, Mapping):
            return {_key(key): plain(item, within) for key, item in list(value.items())}
        if isinstance(value, (list, tuple)):
            return [plain(item, within) for item in list(value)]
        simpler = _simpler(value)
    except Exception:  # a property of the app's own class, or a dict that another thread changes
        return f"<{type(value).__name__}>"
    return plain(simpler, within)


def moment(value: Any) -> str:
    """A time as the server reads it: a text as it is, a number as seconds or milliseconds since 1970, a date or a datetime.

    A datetime without a zone is in the zone of this machine, as everywhere in Python."""
    if isinstance(value, datetime) and not _missing(value):
        try:
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        except (OverflowError, ValueError):  # the first or last day of the calendar
            return value.isoformat(timespec="microseconds")
    found = plain(value)
    return "" if found is None else str(found)


def name_of(value: Any) -> str:
    """An id as a text; "" for what is missing."""
    if isinstance(value, str):
        return value
    found = plain(value)
    if isinstance(found, float) and found.is_integer():  # a column of whole numbers with gaps is one of floats
        found = int(found)
    return "" if found is None else found if isinstance(found, str) else _FAST.encode(found)


def _simpler(value: Any) -> Any:
    """A value that JSON does not know, one step simpler."""
    if _missing(value):
        return None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=_text)
    if isinstance(value, Mapping):
        return dict(value)
    return _of_arrays(value)


def _of_arrays(value: Any) -> Any:
    """A scalar or an array of numpy and its kin; any other collection; any other thing."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(kind, str) and kind in "mM" and kind and not getattr(value, "shape", ()):
        return str(value)  # `item()` of a time in nanoseconds would be a bare number
    if kind and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Collection) and not isinstance(value, type):
        return list(value)
    return _text(value)


def _missing(value: Any) -> bool:
    """NaN, NaT and NA: what is not even equal to itself."""
    try:
        return bool(value != value)
    except Exception:  # NA has no truth value, nor has an array
        return type(value).__name__ == "NAType"


def _number(value: Decimal) -> Any:
    if not value.is_finite() or abs(value.adjusted()) > 300:
        return None if not value.is_finite() else str(value)
    return int(value) if value == value.to_integral_value() and abs(value.adjusted()) < 18 else float(value)


def _key(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    found = plain(value)
    return found if isinstance(found, str) else _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


_FAST: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_simpler)
