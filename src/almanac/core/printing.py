"""A statement as a person can run it: with its values in the places of its holes. For reading and checking only; what runs is bound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from almanac.core.sql import Sql

_HOLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*):([^{}]+)\}")
_ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\b": "\\b"}
_BARE: Final = re.compile(r"(U?Int(8|16|32|64|128|256)|Float(32|64)|Bool|String)")


def printed(statement: Sql) -> str:
    """The text with each `{name:Type}` that has a value replaced by a literal of that type."""

    def fill(match: re.Match[str]) -> str:
        name, kind = match.groups()
        return literal(statement.values[name], kind.strip()) if name in statement.values else match.group()

    return _HOLE.sub(fill, statement.text)


def literal(value: Any, kind: str) -> str:
    """`value` as the engine's literal of the type `kind`."""
    bare = _bare(value)
    return bare if value is not None and _BARE.fullmatch(kind) else f"CAST({bare}, {_quoted(kind)})"


def _bare(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_bare(item) for item in value)}]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    return "'" + "".join(_ESCAPES.get(character, character) for character in text) + "'"
