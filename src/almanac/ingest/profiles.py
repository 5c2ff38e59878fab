"""Changes of people and groups as events carry them: `{"set": {…}, "add": {…}, "unset": […], "delete": true}`.

What each operation does is told in docs/profiles.md. Here vendors' words become those of ours, without loss: what is no
operation is handed back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from almanac.core.event import Raw
from almanac.ingest import messages as reading
from almanac.ingest.messages import NOTHING, Fields

OPERATIONS: Final = frozenset({"set", "set_once", "add", "append", "prepend", "pre_insert", "post_insert", "union", "remove"})
WIPES: Final = frozenset({"delete", "clear_all"})


def sorted_out(document: Raw, besides: frozenset[str] = frozenset()) -> tuple[Raw, Fields]:
    """The operations of an object, and its members that are none. `besides`: other members that belong to it."""
    fields = reading.fields_of(document) or {}
    odd = {name: value for name, value in fields.items() if name not in besides and not _fits(name, value)}
    if not odd:
        return document, NOTHING
    return reading.object_of({name: value for name, value in fields.items() if name not in odd}), odd


def _fits(name: str, value: Raw) -> bool:
    first = bytes(value)[:1]
    return first == b"{" if name in OPERATIONS else first == b"[" if name == "unset" else name in WIPES and first in b"tf"


def translated(document: Raw, words: Mapping[str, str]) -> tuple[dict[str, Raw], Fields]:
    """The operations of an object in a vendor's words (`words`: vendor's to ours), and its other members."""
    found: dict[str, Raw] = {}
    left: Fields = {}
    for name, value in (reading.fields_of(document) or {}).items():
        changes = operation(words[name], value) if name in words else None
        if changes is None:
            left[name] = value
        else:
            found[words[name]] = changes
    return found, left


def operation(word: str, value: Raw, *, single: bool = False) -> Raw | None:
    """What the operation `word` (one of ours) does, in our form; None when that cannot be read from `value`. `single`: a list is one
    element and does not stand for its elements.

    unset takes a name, a list of names or an object with them."""
    if word in WIPES:
        return Raw(b"true")
    if word == "unset":
        listed = reading.items_of(value)
        names = [*(reading.fields_of(value) or ())] if listed is None else [reading.text_of(item) for item in listed]
        if not names and bytes(value)[:1] == b'"':
            names = [reading.text_of(value)]
        return reading.encoded(names) if names else None
    if bytes(value)[:1] != b"{":
        return None
    if single and b"[" in bytes(value):
        return reading.encoded({name: _one(item) for name, item in (reading.fields_of(value) or {}).items()})
    return value


def _one(item: Raw) -> Raw:
    return Raw(b"[" + bytes(item) + b"]") if bytes(item)[:1] == b"[" else item
