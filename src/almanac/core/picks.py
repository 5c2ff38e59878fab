"""Picks: how a mapping says where a value stands in a foreign message.

A pick is one text, or a list of them of which the first that finds something counts:

    $.data.object.id        a path, in the plain part of JSONPath (RFC 9535, 2.3): names, ['names'] and [numbers], no wildcards
    header:X-GitHub-Event   a header of the request
    =Invoice paid           this text itself
    {header:X-Event}.{$.action}   a text with other picks in it; it finds nothing unless all of them do
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MISSING: Final = object()
MOST_PICKS: Final = 20  # alternatives of one value
_LONGEST: Final = 500  # letters of one pick
_STEP: Final = re.compile(r"""\.([^\s.\[\]'"{}]+)|\[(-?\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]""")
_HEADER: Final = re.compile(r"header:([A-Za-z0-9!#$%&'*+.^_`|~-]+)")
_HOLE: Final = re.compile(r"\{([^{}]*)\}")
_FORMS: Final = "Write a path such as $.data.id, header:NAME, =a constant, or a text with {$.paths} in it."

Step = str | int


@dataclass(frozen=True)
class Path:
    """A place in the message."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Header:
    """A header of the request, its name in lower case."""

    name: str


@dataclass(frozen=True)
class Constant:
    """The same whatever the message."""

    text: str


@dataclass(frozen=True)
class Template:
    """Texts with values between them."""

    parts: tuple[Path | Header | Constant, ...]


Pick = Path | Header | Constant | Template


def compiled(written: str | Sequence[str]) -> tuple[Pick, ...]:
    """The alternatives of a pick. Raises `ValueError` with a sentence."""
    texts = [written] if isinstance(written, str) else list(written)
    if not 1 <= len(texts) <= MOST_PICKS:
        raise ValueError(f"give from 1 to {MOST_PICKS} alternatives, not {len(texts)}")
    return tuple(_compiled(text) for text in texts)


def _compiled(text: str) -> Pick:
    if len(text) > _LONGEST:
        raise ValueError(f"a pick has at most {_LONGEST} letters")
    if text.startswith("="):
        return Constant(text[1:])
    if text.startswith("$") or (text.startswith("header:") and "{" not in text):
        return _plain(text)
    if "{" not in text:
        raise ValueError(f"{text!r} says not where the value is. {_FORMS}")
    pieces = _HOLE.split(text)
    parts: list[Path | Header | Constant] = []
    for place, piece in enumerate(pieces):
        if place % 2:
            parts.append(_plain(piece))
        elif "{" in piece or "}" in piece:
            raise ValueError(f"{text!r} has a brace without its other half")
        elif piece:
            parts.append(Constant(piece))
    return Template(tuple(parts))


def _plain(text: str) -> Path | Header:
    if found := _HEADER.fullmatch(text):
        return Header(found[1].lower())
    if not text.startswith("$"):
        raise ValueError(f"{text!r} is no path. {_FORMS}")
    steps: list[Step] = []
    end = 1
    while end < len(text):
        step = _STEP.match(text, end)
        if step is None:
            raise ValueError(f"{text!r} is no path from letter {end + 1} on: {text[end:][:20]!r}. {_FORMS}")
        name, number, single, double = step.groups()
        quoted = single if single is not None else double
        steps.append(int(number) if number is not None else name if name is not None else re.sub(r"\\(.)", r"\1", quoted))
        end = step.end()
    return Path(tuple(steps))


def found(picks: Sequence[Pick], document: Any, headers: Mapping[str, str]) -> tuple[Any, Pick | None]:
    """The value of the first alternative that finds one, and that alternative; `MISSING` and None when none does. null is nothing."""
    for pick in picks:
        value = _value(pick, document, headers)
        if value is not MISSING and value is not None and value != "":
            return value, pick
    return MISSING, None


def _value(pick: Pick, document: Any, headers: Mapping[str, str]) -> Any:
    if isinstance(pick, Path):
        return at(document, pick.steps)
    if isinstance(pick, Header):
        return headers.get(pick.name, MISSING)
    if isinstance(pick, Constant):
        return pick.text
    texts: list[str] = []
    for part in pick.parts:
        value = _value(part, document, headers)
        if value is MISSING or value is None or isinstance(value, (dict, list)):
            return MISSING
        texts.append(text_of(value))
    return "".join(texts)


def at(document: Any, steps: Sequence[Step]) -> Any:
    """What stands at a place; `MISSING` when there is no such place."""
    here = document
    for step in steps:
        if isinstance(step, str):
            if not isinstance(here, dict) or step not in here:
                return MISSING
            here = here[step]
        else:
            if not isinstance(here, list) or not -len(here) <= step < len(here):
                return MISSING
            here = here[step]
    return here


def text_of(value: Any) -> str:
    """A plain value as text, as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def without(document: Any, places: Sequence[tuple[Step, ...]]) -> Any:
    """A copy of the document without what stands at these places. Elements of lists stay: taking one out would move the others."""
    tree: dict[Any, Any] = {}
    for place in places:
        if not place or any(isinstance(step, int) for step in place):
            continue
        branch = tree
        for step in place[:-1]:
            branch = branch.setdefault(step, {})
            if branch is None:
                break
        if branch is not None:
            branch[place[-1]] = None  # all of it; what was noted of its parts is in it
    return _pruned(document, tree)


def _pruned(document: Any, tree: Mapping[Any, Any]) -> Any:
    if not isinstance(document, dict) or not tree:
        return document
    kept: dict[str, Any] = {}
    for name, value in document.items():
        branch = tree.get(name, MISSING)
        if branch is MISSING:
            kept[name] = value
        elif branch is not None:
            rest = _pruned(value, branch)
            if rest != {} or value == {}:
                kept[name] = rest
    return kept
