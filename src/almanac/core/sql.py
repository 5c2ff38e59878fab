"""SQL text with two kinds of holes that cannot be mixed up.

`$piece` takes a typed SQL fragment (`Sql`), `{name:Type}` takes a bound value that the engine itself substitutes. Nothing else is ever
formatted in. Text comes from literals in this repository only (`LiteralString`), so that a type checker refuses text of a user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString

_PIECE = re.compile(r"\$([a-z_][a-z0-9_]*)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Sql:
    """A fragment or a whole statement, with the values bound in it."""

    text: str
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return self.text


EMPTY = Sql("")


def sql(text: LiteralString, /, values: Mapping[str, Any] | None = None, **pieces: Sql) -> Sql:
    """Fills each `$piece` of `text` with the fragment of that name and gathers all values.

    A `$piece` without fragment, a fragment without `$piece`, and one name with two values are programming errors (`ValueError`).
    """
    return fill(text, values, pieces)


def fill(text: str, values: Mapping[str, Any] | None, pieces: Mapping[str, Sql]) -> Sql:
    """As `sql`, for text from this package's own .sql files."""
    gathered: dict[str, Any] = dict(values or {})
    used: set[str] = set()

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in pieces:
            raise ValueError(f"no fragment for ${name}")
        used.add(name)
        return pieces[name].text

    filled = _PIECE.sub(fill, text)
    unused = set(pieces) - used
    if unused:
        raise ValueError(f"fragments without a hole: {', '.join(sorted(unused))}")
    for piece in pieces.values():
        _merge(gathered, piece.values)
    return Sql(filled, gathered)


def join(separator: LiteralString, parts: Sequence[Sql]) -> Sql:
    """Joins fragments, as `str.join` does."""
    gathered: dict[str, Any] = {}
    for part in parts:
        _merge(gathered, part.values)
    return Sql(separator.join(part.text for part in parts), gathered)


def all_of(parts: Sequence[Sql]) -> Sql:
    """`a AND b AND …`; no parts: `1`."""
    return join(" AND ", [Sql(f"({part.text})", part.values) for part in parts]) if parts else Sql("1")


def any_of(parts: Sequence[Sql]) -> Sql:
    """`a OR b OR …`; no parts: `0`."""
    return join(" OR ", [Sql(f"({part.text})", part.values) for part in parts]) if parts else Sql("0")


def identifier(name: str) -> Sql:
    """A plain identifier from our own code. Anything but letters, digits and underscores is a `ValueError`."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"not an identifier: {name!r}")
    return Sql(name)


def number(value: int) -> Sql:
    """A whole number as a literal, for places where the engine takes no bound value (an array index, a parametric aggregate)."""
    return Sql(str(int(value)))


class Values:
    """Gives bound values names of their own within one statement: `values.bind(3, "UInt8")` -> `{v1:UInt8}`."""

    def __init__(self, prefix: str = "v") -> None:
        self._prefix = prefix
        self._count = 0

    def bind(self, value: Any, type_: LiteralString) -> Sql:
        """A hole for `value` of the engine's type `type_`."""
        self._count += 1
        name = f"{self._prefix}{self._count}"
        return Sql("{" + name + ":" + type_ + "}", {name: value})


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if name in into and into[name] != value:
            raise ValueError(f"two values for {{{name}}}")
        into[name] = value
