"""What changes of a property amount to, in plain Python, from the words of the docs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ORDER = ("delete", "clear_all", "unset", "set", "set_once", "remove", "add", "append", "prepend", "union", "post_insert", "pre_insert")
_MISSING = object()


@dataclass(frozen=True)
class Change:
    """One change of a person. `property` and `value` say nothing with delete and clear_all."""

    who: str
    time: int
    op: str
    property: str
    value: Any


def text(value: Any) -> str:
    """JSON as the store writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def amount_to(changes: Iterable[Change]) -> dict[str, Any]:
    """The properties of the one person who made all these changes."""
    state: dict[str, Any] = {}
    for change in sorted(changes, key=lambda one: (one.time, ORDER.index(one.op), text(one.value))):
        if change.op in ("delete", "clear_all"):
            state.clear()
            continue
        after = _changed(state.get(change.property, _MISSING), change.op, change.value)
        if after is _MISSING or after is None:
            state.pop(change.property, None)
        else:
            state[change.property] = after
    return state


def _changed(now: Any, op: str, value: Any) -> Any:
    if op == "unset":
        return _MISSING
    if op == "set":
        return value
    if op == "set_once":
        return value if now is _MISSING else now
    if op == "add":
        before, more = (0.0 if now is _MISSING else _number(now)), _number(value)
        if before is None or more is None:
            return now
        return int(before + more) if (before + more).is_integer() else before + more
    items = value if isinstance(value, list) else [value]
    if op == "remove":
        return [item for item in now if not _among(item, items)] if isinstance(now, list) else now
    listed = [] if now is _MISSING else now if isinstance(now, list) else [now]
    if op == "append":
        return listed + items
    if op == "prepend":
        return items + listed
    new: list[Any] = []
    for item in items:
        if not _among(item, listed) and not _among(item, new):
            new.append(item)
    return new + listed if op == "pre_insert" else listed + new


def _among(item: Any, items: list[Any]) -> bool:
    return text(item) in map(text, items)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except ValueError:
        return None
