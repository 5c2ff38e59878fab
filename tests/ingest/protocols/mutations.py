"""Recorded messages, changed: what a sender's mistake may look like."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(st.characters(codec=None), max_size=12),
    st.sampled_from(["", "x" * 300, "2026-02-30T99:00:00Z", "\x00", "\ud800", "{", "[1", "null", "1e999", "-0", "h:00"]),
)
VALUES = st.recursive(
    _scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)


def _deep(levels: int = 120) -> Any:
    return [_deep(levels - 1)] if levels else "bottom"


def _places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value within this one, itself first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, each in inner for place in _places(each, (*here, key)))]


@st.composite
def changed(draw: st.DrawFn, message: Any) -> Any:
    """The message with one to three of its values replaced, taken out, renamed or buried."""
    message = copy.deepcopy(message)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(message)))
        if not place:
            if draw(st.integers(0, 9)) == 0:
                return draw(VALUES)
            continue
        parent = message
        for key in place[:-1]:
            parent = parent[key]
        key = place[-1]
        match draw(st.sampled_from(("replace", "replace", "remove", "rename", "bury"))):
            case "replace":
                parent[key] = draw(VALUES)
            case "remove":
                del parent[key]
            case "rename" if isinstance(parent, dict):
                parent[draw(st.text(max_size=8))] = parent.pop(key)
            case _:
                parent[key] = draw(st.sampled_from([[parent[key]], {"value": parent[key]}, _deep()]))
    return message
