"""What a board's range and filters make of the question of a tile: the same for the board itself and for a link to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from almanac.core.board import Board, Span, Tile
from almanac.core.errors import invalid, not_found
from almanac.core.faults import first_fault
from almanac.core.filters import Condition
from almanac.definitions import BOARD, Definitions, Names, question_of

_PREVIOUS: Final = "previous_period"
_RANGE: Final = tuple(Span.model_fields)


def board_of(definitions: Definitions, project: str, name: str) -> Board:
    """The board of that name that is in force. Raises `not_found`."""
    body = definitions.get(project, BOARD, name).body
    try:
        return Board.model_validate(body)
    except ValidationError as error:  # saved by another release
        raise first_fault(error, Board) from None


def tile_of(board: Board, id_: str) -> Tile:
    """Raises `not_found`."""
    for tile in board.tiles:
        if tile.id == id_:
            return tile
    ids = ", ".join(tile.id for tile in board.tiles) or "none"
    raise not_found(f"The board has no tile {id_!r}.", place="tile", way_out=f"There are: {ids[:500]}.")


def question_of_tile(
    board: Board, tile: Tile, names: Names, *, span: Span | None = None, filters: Sequence[Condition] = (), compare: bool | None = None
) -> dict[str, Any]:
    """The question to ask for a tile. `span`, else the board's range, takes the place of the question's own; the board's filters and
    `filters` come to its own; `compare`, else the board's, puts the range before beside it where the kind can do that.

    Raises `invalid` for a tile without a question, `not_found` for a saved one that is gone."""
    if tile.question is None:
        raise invalid(f"A tile of type {tile.type} has no question.", place="tile", way_out="Ask for a tile of type question or number.")
    whole, model = question_of(tile.question, names)
    question = dict(tile.question)
    if span := span or board.range:
        question = {name: value for name, value in question.items() if name not in _RANGE} | span.model_dump(exclude_none=True)
    if more := [*board.filters, *filters]:
        question["filters"] = [*_listed(whole.get("filters")), *(plain(item) for item in more)]
    compare = board.compare if compare is None else compare
    if compare is not None and "compare" in model.model_fields:
        question["compare"] = (whole.get("compare") or _PREVIOUS) if compare else None
    return question


def plain(condition: Condition) -> dict[str, Any]:
    """As it is written in a question."""
    written: dict[str, Any] = condition.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return written


def checked_filters(filters: Sequence[Mapping[str, Any]] | Any, names: Names | None) -> list[Condition]:
    """Filters that a board could have, whose segments are there (with `names`). Raises `invalid` with the place, and `not_found`."""
    try:
        if names is not None:
            Board.model_validate({"filters": filters}, context=names)
        return Board.model_validate({"filters": filters}).filters
    except ValidationError as error:
        raise first_fault(error, Board) from None


def _listed(filters: Any) -> list[Any]:
    return list(filters) if isinstance(filters, (list, tuple)) else []
