"""The texts of a pack with their holes, ready to be filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from almanac.ingest.generate_pack import EventKind, Record

Scope = dict[str, Record]  # by the name of its pool, what was drawn
Filler = Callable[[Scope], Any]

_HOLE: Final = re.compile(r"\{(\w+)\.(\w+)\}")


def filler(template: Any) -> Filler:
    """What fills the holes of a text. A hole alone keeps the type of what it names; `{"product": [a, b]}` multiplies, to two decimals."""
    if isinstance(template, dict) and set(template) == {"product"}:
        factors = [filler(factor) for factor in template["product"]]
        return lambda scope: round(_multiplied(factor(scope) for factor in factors), 2)
    if isinstance(template, dict):
        fields = {name: filler(value) for name, value in template.items()}
        return lambda scope: {name: fill(scope) for name, fill in fields.items()}
    if not isinstance(template, str) or not _HOLE.search(template):
        return lambda scope: template
    whole = _HOLE.fullmatch(template)
    if whole:
        pool, name = whole.groups()
        return lambda scope: scope[pool][name]
    return lambda scope: _HOLE.sub(lambda hole: str(scope[hole[1]][hole[2]]), template)


def _multiplied(factors: Iterator[Any]) -> float:
    product = 1.0
    for factor in factors:
        product *= factor
    return product


@dataclass(frozen=True, slots=True)
class Kind:
    """An event kind, ready to be filled."""

    name: str
    is_page: bool
    drawn: tuple[str, ...]
    path: Filler | None
    title: Filler
    properties: Filler

    @classmethod
    def of(cls, name: str, kind: EventKind, always: Record) -> Kind:
        """`always`: properties of every event."""
        return cls(
            name,
            kind.type == "page",
            tuple(kind.drawn),
            filler(kind.path) if kind.path else None,
            filler(kind.title),
            filler({**kind.properties, **always}),
        )
