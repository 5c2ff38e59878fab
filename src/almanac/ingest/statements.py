"""Reads named statements from a .sql file of this package: `-- name: word` begins one."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from almanac.core.sql import Sql, fill


@cache
def _sections(file: str) -> dict[str, str]:
    text = resources.files("almanac.ingest").joinpath(file).read_text()
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def statement(file: str, name: str, values: dict[str, object] | None = None, /, **pieces: Sql) -> Sql:
    """The statement of that name, its holes filled. Pieces that it has no hole for are left out."""
    text = _sections(file)[name]
    wanted = {piece: part for piece, part in pieces.items() if f"${piece}" in text}
    bound = {key: value for key, value in (values or {}).items() if "{" + key + ":" in text}
    return fill(text, bound, wanted)
