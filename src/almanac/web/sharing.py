"""REST for boards outside: links that a project makes, and what whoever holds one may see, without a key.

By a link one sees one board: its tiles' answers, with the link's filters on top. Neither questions nor SQL nor single events get out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field, field_validator
from starlette.responses import Response

from almanac import boards
from almanac.core.analysis import analysis_of
from almanac.core.board import Board, Span, Tile, TileType
from almanac.core.errors import AlmanacError, Code, denied, invalid, not_found
from almanac.core.filters import Condition, Filter
from almanac.core.ports import Project
from almanac.definitions import ANNOTATION, question_of
from almanac.links import Link, Links
from almanac.web import forms
from almanac.web.asking import answered
from almanac.web.auth import Caller, House
from almanac.web.boards import BoardName, TileChoice, TileName
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName
from almanac.web.reads import instant
from almanac.web.rooms import Rooms

router = APIRouter(prefix="/api/v1", tags=["sharing"])

_ENTER: Final = responses(401, 403, 404)
_SHARED: Final = responses(403, 404, 410)
_MOST_FILTERS: Final = 50
# What of a receipt says how far an answer can be trusted, and nothing of how it was asked.
_TOLD: Final = (
    "window",
    "timezone",
    "week_start",
    "watermark",
    "rows_read",
    "seconds",
    "exact",
    "approximation",
    "cache_age",
    "notes",
    "asked_at",
    "almanac_version",
)
_OF_VIEWERS: Final = ("token", "tile", "filters", "date_from", "date_to", "last")  # places of faults that may be theirs
# A feed shows single events, which no link gives out.
_SHOWN: Final[tuple[TileType, ...]] = ("question", "number", "text", "image", "filter")


class NewLink(Form):
    """A link to make."""

    label: str = Field("", max_length=200, description="Whom it is for.")
    expires: datetime | None = Field(None, description="When it ends; UTC without an offset. null: when it is revoked.")
    filters: list[dict[str, Any]] = Field(
        [], max_length=_MOST_FILTERS, description="As in a question; they hold for all that is seen by this link."
    )
    embed: bool = Field(False, description="Whether other sites may show it within their pages.")
    signing: bool = Field(False, description="Whether each viewer needs a filter that the embedding site signed with the link's secret.")

    @field_validator("expires")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        if not 1971 <= value.year <= 2199:
            raise ValueError("this is outside the years 1971 to 2199")
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class LinkBody(BaseModel):
    """A link, without its token."""

    id: str = Field(description="What revokes it.")
    board: str
    label: str
    filters: list[dict[str, Any]]
    embed: bool
    signing: bool
    created_by: str
    created_at: datetime
    expires: datetime | None
    revoked_at: datetime | None


class MadeLink(LinkBody):
    """A new link, in the only moment when its token and its secret can be read."""

    token: str = Field(description="Whoever has it sees the board.")
    secret: str = Field(
        description="What signs filters; empty without signing. It belongs on the embedding site's server, not on its pages."
    )


class SharedTile(BaseModel):
    """A tile, as it is shown to whoever holds a link."""

    id: str
    x: int
    y: int
    w: int
    h: int
    type: TileType
    title: str
    kind: str = Field(description="The kind of its question; empty where it has none.")
    chart: dict[str, Any]
    text: str
    image: str
    property: str
    of: str
    group_type: str


class SharedBoard(BaseModel):
    """A board, as it is shown to whoever holds a link."""

    title: str
    description: str
    columns: int
    range: Span | None
    refresh: int
    tiles: list[SharedTile]


class SharedProject(BaseModel):
    """Whose board it is."""

    name: str
    zone: str


class SharedAnnotation(BaseModel):
    """A flag on the board's charts."""

    at: str
    text: str


class SharedBody(BaseModel):
    """All that a page needs to show a shared board, but its answers."""

    board: SharedBoard
    annotations: list[SharedAnnotation] = Field(description="Those of this board; those of the whole project stay within it.")
    project: SharedProject
    embed: bool = Field(description="Whether it may be shown within other sites' pages.")


LinkName = Annotated[str, Path(description="Id of the link, from the list of links.", min_length=1, max_length=64)]
Token = Annotated[str, Path(description="The link's token.", min_length=1, max_length=400)]
Signed = Annotated[str, Query(alias="filter", max_length=8000, description="Of a link with signing: the signed filter, PAYLOAD.SIGNATURE.")]


# ------------------------------------------------------------- those who share


@router.post(
    "/projects/{project}/boards/{board}/links",
    status_code=201,
    response_model=MadeLink,
    responses=_ENTER | responses(429),
    summary="Make a link to a board (analyst)",
)
def make(project: ProjectName, board: BoardName, new: NewLink, caller: Caller) -> Response:
    """Whoever has its token sees this board, with the link's filters, until it ends."""
    found = caller.enter(project, "edit")
    if new.expires is not None and new.expires <= caller.rooms.clock():
        raise invalid("The link would have ended already.", place="expires", way_out="Give a time to come, or leave it out.")
    link, token = _links(caller.rooms).make(
        found.id,
        board,
        label=new.label,
        expires=new.expires,
        filters=new.filters,
        embed=new.embed,
        signed=new.signing,
        author=caller.author(),
    )
    return Json({**_shown(link), "token": token, "secret": link.signing}, status_code=201)


@router.get(
    "/projects/{project}/boards/{board}/links", response_model=list[LinkBody], responses=_ENTER, summary="The links to a board (analyst)"
)
def listed(project: ProjectName, board: BoardName, caller: Caller) -> Response:
    """Those that ended too. Without their tokens: those are kept by nobody."""
    found = caller.enter(project, "edit")
    return Json([_shown(link) for link in _links(caller.rooms).of_board(found.id, board)])


@router.delete(
    "/projects/{project}/boards/{board}/links/{link}", status_code=204, responses=_ENTER, summary="Revoke a link to a board (analyst)"
)
def revoke(project: ProjectName, board: BoardName, link: LinkName, caller: Caller) -> Response:
    """From now on it shows nothing."""
    found = caller.enter(project, "edit")
    _links(caller.rooms).revoke(found.id, board, link)
    return Response(status_code=204)


# --------------------------------------------------------- those who hold a link


@router.get("/shared/{token}", response_model=SharedBody, responses=_SHARED, summary="A shared board")
def shared(token: Token, rooms: House, signed: Signed = "") -> Response:
    """No key. What is on it, without questions and answers."""
    link, project, board = _opened(rooms, token)
    _links(rooms).filters(link, signed)
    tiles = [_tile(rooms, project, tile) for tile in board.tiles if tile.type in _SHOWN]
    shown = {
        "title": board.title or link.board,
        "description": board.description,
        "columns": board.columns,
        "range": board.range.model_dump() if board.range else None,
        "refresh": board.refresh,
        "tiles": tiles,
    }
    of = {"name": project.name, "zone": project.zone}
    return Json({"board": shown, "annotations": _annotations(rooms, link), "project": of, "embed": link.embed})


@router.post(
    "/shared/{token}/tiles/{tile}",
    response_model=forms.AnswerBody,
    responses=_SHARED | responses(409, 429),
    summary="The answer of a tile of a shared board",
)
async def shared_tile(token: Token, tile: TileName, choice: TileChoice, rooms: House, request: Request, signed: Signed = "") -> Response:
    """No key. With the filters of the board, of the link and of `filter`; `filters` may be by the properties of the board's own filter
    tiles only. The receipt says how far to trust it, not how it was asked."""

    def find() -> tuple[str, Mapping[str, Any]]:
        link, project, board = _opened(rooms, token)
        one = boards.tile_of(board, tile)
        limits = _links(rooms).filters(link, signed)
        names = rooms.definitions.names(project.id)
        chosen = _chosen(choice.filters, board)
        question = boards.question_of_tile(board, one, names, span=choice.range, filters=[*limits, *chosen])
        if limits:
            _refuse_unlimited(question_of(question, names)[0]["kind"])
        return project.id, question

    try:
        return await answered(request, find, show=_without_question)
    except AlmanacError as error:
        raise _discreet(error) from None


def _opened(rooms: Rooms, token: str) -> tuple[Link, Project, Board]:
    link = _links(rooms).open(token)
    try:
        return link, rooms.catalog.project(link.project), boards.board_of(rooms.definitions, link.project, link.board)
    except AlmanacError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        raise not_found("The board of this link is gone.", place="token", way_out="Ask whoever sent it.") from None


def _tile(rooms: Rooms, project: Project, tile: Tile) -> dict[str, Any]:
    kind = ""
    if tile.question is not None:
        with suppress(AlmanacError):  # a saved question that is gone: the tile says so when it is asked
            kind = question_of(tile.question, rooms.definitions.names(project.id))[0]["kind"]
    shown = tile.model_dump(include=set(SharedTile.model_fields) - {"kind"})
    return {**shown, "kind": kind}


def _annotations(rooms: Rooms, link: Link) -> list[dict[str, str]]:
    found = rooms.definitions.every(link.project, ANNOTATION)
    return [{"at": item.body["at"], "text": item.body.get("text") or item.name} for item in found if item.body.get("board") == link.board]


def _without_question(answer: Mapping[str, Any]) -> Response:
    receipt = {name: answer["receipt"][name] for name in _TOLD if name in answer["receipt"]}
    return Json({**answer, "receipt": receipt})


def _chosen(filters: Sequence[Mapping[str, Any]], board: Board) -> list[Condition]:
    """What a viewer filters by. Whoever could filter by anything could find out anything, a guess at a time."""
    try:
        found = boards.checked_filters(filters, None)  # whose names nobody outside is told
    except AlmanacError as error:
        error.place = "filters"
        raise
    offered = {(tile.property, tile.of, tile.group_type) for tile in board.tiles if tile.type == "filter"}
    for place, item in enumerate(found):
        if not isinstance(item, Filter) or (item.property, item.of, item.group_type) not in offered:
            names = ", ".join(sorted(property_ for property_, _, _ in offered)) or "none"
            raise denied(f"The board offers no filter like number {place + 1}.", way_out=f"It can be filtered by: {names}.", status=403)
    return found


def _refuse_unlimited(kind: str) -> None:
    """A limit that a question could get around is none."""
    if not analysis_of(kind).filtered:
        raise denied(
            "This tile cannot be limited to the filters of the link, so it is not shown.",
            way_out="Take another kind of question for this board, or a link without filters.",
            status=403,
        )


def _discreet(error: AlmanacError) -> AlmanacError:
    """What is wrong with a question names its fields and values, which are not for everybody."""
    if error.code in (Code.INVALID, Code.NOT_FOUND) and error.place not in _OF_VIEWERS:
        return invalid("The question of this tile does not work.", place="tile", way_out="Tell whoever sent the link.")
    return error


def _links(rooms: Rooms) -> Links:
    return Links(rooms.catalog, rooms.definitions, rooms.clock)


def _shown(link: Link) -> dict[str, Any]:
    return {
        "id": link.id,
        "board": link.board,
        "label": link.label,
        "filters": link.filters,
        "embed": link.embed,
        "signing": bool(link.signing),
        "created_by": link.created_by,
        "created_at": instant(link.created_at),
        "expires": instant(link.expires) if link.expires else None,
        "revoked_at": instant(link.revoked_at) if link.revoked_at else None,
    }
