"""What a question is answered with: plain rows, the meaning of their columns, and a receipt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args, get_origin

from almanac.core.analysis import Row


@dataclass(frozen=True)
class Answer:
    """Rows, what their columns mean, and the receipt that lets anyone check them. All values are what JSON can hold."""

    kind: str
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    receipt: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The one shape that every face sends."""
        return {"kind": self.kind, "columns": self.columns, "rows": self.rows, "receipt": self.receipt}


def row_columns(row: type[Row], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The columns of the row model that this answer has; all of them when it has no rows."""
    return [
        {"name": name, "type": _type_word(field.annotation), "help": field.description or ""}
        for name, field in row.model_fields.items()
        if not rows or name in rows[0]
    ]


def _type_word(annotation: Any) -> str:
    words = {str: "text", int: "integer", float: "number", bool: "boolean", datetime: "time", date: "date"}
    for kind in (annotation, *get_args(annotation)):
        if kind in words:
            return words[kind]
    return "list" if get_origin(annotation) is list else "any"


def plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, Decimal):
        return float(value)
    return str(value)
