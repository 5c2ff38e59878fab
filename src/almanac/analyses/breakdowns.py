"""What questions with a breakdown share: the biggest values and Other, the order of an answer's groups, a person's first value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from almanac.core.analysis import Scope
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown
from almanac.core.sql import Sql, sql

_MOST_ROWS: Final = 200_000


def in_order(sizes: Mapping[str, float]) -> list[str]:
    """The groups of an answer: the biggest first, Other last."""
    return sorted(sizes, key=lambda label: (label == OTHER, -sizes[label], label))


def refuse_too_many(rows: int, *, place: str, way_out: str) -> None:
    """Raises `invalid` for an answer of so many rows that nobody reads it."""
    if rows > _MOST_ROWS:
        raise invalid("The answer would have too many rows.", place=place, way_out=way_out)


def value_of(row: Mapping[str, Any], breakdown: Breakdown | None) -> str:
    """Which group a row of an answer names; '' without a breakdown. Raises `invalid`."""
    if breakdown is None:
        return ""
    if not isinstance(row.get("breakdown"), str):
        raise invalid("The row does not say which value it is about.", place="breakdown", way_out="Take it from a row of the answer.")
    return str(row["breakdown"])


# ------------------------------------------------------------------------- SQL

_BIGGEST: Final = """if(
            value IN
            (
                SELECT value
                FROM $rows
                GROUP BY value
                ORDER BY count() DESC, value
                LIMIT {limit:UInt64}
            ),
            value,
            {other:String}
        )"""

_RANKED: Final = """
(
    SELECT *, if(dense_rank() OVER (ORDER BY size DESC, value) <= {limit:UInt64}, value, {other:String}) AS label
    FROM $cells
)"""


def biggest(rows: Sql, limit: int | None) -> Sql:
    """An expression over the column `value`: itself, or Other where it is none of those with most `rows`, a FROM clause that is read once
    more for it. '' without a limit."""
    return Sql("''") if limit is None else sql(_BIGGEST, {"limit": limit, "other": OTHER}, rows=rows)


def ranked(cells: Sql, limit: int | None) -> Sql:
    """A FROM clause: `cells` (one too, with the columns `value` and `size`) with the column `label`: the value, or Other where it is none
    of the biggest. They are read once. Without a limit the label is ''."""
    if limit is None:
        return sql("(SELECT *, '' AS label FROM $cells)", cells=cells)
    return sql(_RANKED, {"limit": limit, "other": OTHER}, cells=cells)


def limit_of(breakdown: Breakdown | None) -> int | None:
    """How many values are shown; None without a breakdown."""
    return breakdown.limit if breakdown else None


def text(breakdown: Breakdown | None, scope: Scope) -> Sql:
    """An expression over an event: the property as a plain text; '' without a breakdown."""
    return sql("toString($text)", text=scope.text(breakdown)) if breakdown else Sql("''")


def first_value(text: Sql, condition: Sql) -> Sql:
    """An aggregate: the text at the first event that meets the condition, of simultaneous ones the first in alphabetical order; '' where
    none does."""
    return sql("substring(minIf(concat($instant, $text), $condition), 9)", instant=INSTANT, text=text, condition=condition)


def last_value(text: Sql, condition: Sql) -> Sql:
    """The same of the last event: of simultaneous ones the last in alphabetical order."""
    return sql("substring(maxIf(concat($instant, $text), $condition), 9)", instant=INSTANT, text=text, condition=condition)


# Eight bytes that sort as the instant does: argMin by (time, text) takes three times as long as the least of texts that begin with them.
INSTANT: Final = Sql("reinterpretAsFixedString(byteSwap(toUInt64(toUnixTimestamp64Micro(time))))")
