"""Makes JSON columns out of columns, instead of out of texts.

The engine takes 0.7 µs a key to read a text into its JSON type, whatever the value, but 0.05 µs to read it into a tuple of Dynamic values,
whose names are known before. In its Native format (flattened) the two hold the same bytes behind their heads: a tuple's type lists the
names, a JSON column's data does. So a file of tuples becomes a file of JSON when its first bytes are written anew.
"""

from __future__ import annotations

import mmap
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_JSON: Final = b"JSON(max_dynamic_paths = 256)"
_FLATTENED: Final = b"\x03" + bytes(7)  # the version of the form, a little-endian UInt64

# Blocks of whatever size: each has a head of its own.
WRITING: Final = {
    "output_format_native_use_flattened_dynamic_and_json_serialization": 1,
    "output_format_native_encode_types_in_binary_format": 0,
    "engine_file_truncate_on_insert": 1,
    "max_threads": 1,
}


def new_name() -> str:
    """A name for the column of tuples. It occurs in no value, for it cannot be guessed; and it is long: with few names a JSON column's head
    takes more bytes than a tuple's, and a shorter name makes up for it."""
    return secrets.token_hex(40)


def tuple_type(keys: Sequence[str]) -> str:
    """The type of a tuple with a Dynamic value for each of these keys, none of which is empty or has a back quote or a backslash."""
    return f"Tuple({', '.join(f'`{key}` Dynamic' for key in keys)})"


def become_json(file: Path, name: str, keys: Sequence[str]) -> int:
    """Makes the first column of a Native file, called `name` and of the type `tuple_type(keys)`, the JSON column `parsed`. Returns how many
    rows the file has. Raises `ValueError` for a file of another form."""
    if not file.stat().st_size:
        return 0
    before = _sized(b"parsed")
    after = _FLATTENED + _written(len(keys)) + b"".join(_sized(key.encode()) for key in keys)
    rows = 0
    with file.open("r+b") as blocks, mmap.mmap(blocks.fileno(), 0) as data:
        place = data.find(_sized(name.encode()))
        while place >= 0:
            rows += _number_before(data, place)
            size, begin = _number(data, place + 1 + len(name))
            end = begin + size
            if not data[begin:end].startswith(b"Tuple("):
                raise ValueError(f"{file.name} has a column of the type {data[begin : begin + 200]!r}")
            data[place:end] = before + _filled(_JSON, end - place - len(before) - len(after)) + after
            place = data.find(_sized(name.encode()), end)
    return rows


def _filled(type_: bytes, room: int) -> bytes:
    """The type with its size before it, in exactly so many bytes: blanks within it fill it up."""
    length = room - 1
    while len(_written(length)) + length > room:
        length -= 1
    size = _written(length)
    if len(size) + length < room:
        size = size[:-1] + bytes([size[-1] | 0x80, 0])  # the same number, written with a byte more
    return size + type_[:-1] + b" " * (length - len(type_)) + type_[-1:]


def _number(data: mmap.mmap, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def _number_before(data: mmap.mmap, place: int) -> int:
    """The number of seven bits a byte that ends there; another one stands before it."""
    begin = place - 1
    while data[begin - 1] >= 0x80:
        begin -= 1
    return _number(data, begin)[0]


def _sized(text: bytes) -> bytes:
    return _written(len(text)) + text


def _written(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])
