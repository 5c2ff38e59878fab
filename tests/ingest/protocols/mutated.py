"""Payloads that real SDKs sent, with one event of them spoilt: how senders' mistakes look."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

RECORDINGS = Path(__file__).parents[3] / ".." / "shared" / "recordings"

ODD: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**80), 2**80),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(st.characters(codec=None), max_size=12),
    st.sampled_from(["", "x" * 300, "NaN", "{", "[]", '{"schema":1}', "a\u0000b", "\ud800", "1e999", "٣", "-0", "9" * 40, "2026-11-20"]),
    st.sampled_from([[], {}, [[]], {"value": None}, {"schema": "x", "data": []}, [1, {"a": [None]}]]),
    st.integers(70, 700).map(lambda depth: _nested(depth)),
)
CHANGES: Any = st.lists(
    st.tuples(st.sampled_from(["set", "drop", "rename", "cut", "add", "all"]), st.integers(0, 60), ODD), min_size=1, max_size=4
)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@cache
def recorded(sdk: str) -> list[dict[str, Any]]:
    """The requests of a recording. Skips where they are not beside the checkout."""
    file = RECORDINGS / f"{sdk}.jsonl"
    if not file.is_file():
        pytest.skip(f"the recordings are not beside the checkout: {file}")
    return [json.loads(line) for line in file.read_text().splitlines()]


def body(request: dict[str, Any]) -> bytes:
    return base64.b64decode(request["body_b64"] or "")


def count(messages: list[Any]) -> int:
    """How many these are; a list among them stands for what is in it."""
    return sum(len(message) if isinstance(message, list) and message else 1 for message in messages)


def spoilt(message: dict[str, Any], changes: list[tuple[str, int, Any]]) -> Any:
    """`message` with these changes, each to the member at a place."""
    found: Any = dict(message)
    for how, place, odd in changes:
        value = dict(odd) if isinstance(odd, dict) else odd
        if how == "all":
            found = value
        if not isinstance(found, dict) or not found:
            return found
        name = list(found)[place % len(found)]
        if how == "set":
            found[name] = value
        elif how == "drop":
            del found[name]
        elif how == "rename":
            found[str(value)[:200]] = found.pop(name)
        elif how == "cut":
            found[name] = str(found[name])[: place % 20]
        elif how == "add":
            found[str(value)[:50] or "added"] = value
    return found
