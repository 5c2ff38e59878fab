"""REST for boards: the answer of a tile, with the range and the filters of its board. Boards themselves are definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from almanac import boards
from almanac.core.board import Span
from almanac.web import forms
from almanac.web.asking import QuestionId, answered
from almanac.web.auth import Caller
from almanac.web.errors import responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName

router = APIRouter(prefix="/api/v1/projects/{project}/boards", tags=["boards"])

BoardName = Annotated[str, Path(description="Name of the board.", min_length=1, max_length=200)]
TileName = Annotated[str, Path(description="Id of the tile.", min_length=1, max_length=64)]
_MOST_FILTERS: Final = 50


class TileChoice(Form):
    """What somebody who looks at a board chose."""

    range: Span | None = Field(None, description="In the place of the board's range.")
    filters: list[dict[str, Any]] = Field(
        [], max_length=_MOST_FILTERS, description="As in a question; beside the filters of the board and of the question."
    )


class BoardChoice(TileChoice):
    """What somebody who works with a board chose."""

    compare: bool | None = Field(None, description="Put the range before beside it, where the kind can; left out: as the board says.")


@router.post(
    "/{board}/tiles/{tile}",
    response_model=forms.AnswerBody,
    responses=responses(401, 403, 404, 409, 429),
    summary="The answer of a tile",
)
async def tile(
    project: ProjectName,
    board: BoardName,
    tile: TileName,
    choice: BoardChoice,
    caller: Caller,
    request: Request,
    fresh: Annotated[bool, Query(description="Past the cache.")] = False,
    question_id: QuestionId = None,
) -> Response:
    """Of its question, with the board's range in the place of its own and the board's filters beside its own."""

    def find() -> tuple[str, Mapping[str, Any]]:
        found = caller.enter(project, "read")
        definitions = caller.rooms.definitions
        whole, names = boards.board_of(definitions, found.id, board), definitions.names(found.id)
        filters = boards.checked_filters(choice.filters, names)
        one = boards.tile_of(whole, tile)
        return found.id, boards.question_of_tile(whole, one, names, span=choice.range, filters=filters, compare=choice.compare)

    return await answered(request, find, id_=question_id, fresh=fresh)
