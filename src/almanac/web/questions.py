"""REST for questions under way: how far they are, and the way to stop them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from almanac.web.auth import Caller
from almanac.web.errors import Json, responses
from almanac.web.manage import ProjectName

router = APIRouter(prefix="/api/v1/projects/{project}/questions", tags=["questions"])


class UnderWay(BaseModel):
    """A question that is not answered yet."""

    id: str = Field(description="The header X-Question-Id of its request; made where that was left out.")
    kind: str = Field(description="Empty for a saved question.")
    seconds: float = Field(description="Since it was asked.")
    state: Literal["waiting", "running"] = Field(description="waiting: for its turn.")
    rows_read: int = Field(description="So far.")
    rows: int | None = Field(description="About how many it will read in all; null when that is not known.")


@router.get("", response_model=list[UnderWay], responses=responses(401, 403, 404), summary="The questions under way")
def listed(project: ProjectName, caller: Caller) -> Response:
    """Of this project, the oldest first."""
    found = caller.enter(project, "read")
    return Json(caller.rooms.engine.questions.listed(found.id))


@router.delete("/{question}", status_code=204, responses=responses(401, 403, 404), summary="Stop a question")
def stop(project: ProjectName, question: Annotated[UUID, Path(description="Its id.")], caller: Caller) -> Response:
    """Whoever asked it is told so, and it leaves the queue or the engine, unless others wait for the same answer. Nothing happens when it
    has ended meanwhile."""
    found = caller.enter(project, "read")
    caller.rooms.engine.questions.stop(found.id, str(question))
    return Response(status_code=204)
