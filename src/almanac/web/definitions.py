"""REST for what people name: metrics, segments, saved questions, boards, annotations and entries of the tracking plan; and receipts side by
side."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from almanac.core.compare import compare
from almanac.core.ports import Definition
from almanac.definitions import KINDS
from almanac.web.auth import Caller
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName
from almanac.web.reads import instant

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["definitions"])

_ENTER: Final = responses(401, 403, 404)
Kind = Annotated[str, Path(description="What it is.", json_schema_extra={"enum": [*KINDS]})]
Name = Annotated[str, Path(description="Its name.", min_length=1, max_length=200)]


class DefinitionBody(BaseModel):
    """One version of a metric, segment, question, board, annotation or entry of the tracking plan."""

    kind: str
    name: str
    version: int = Field(description="1 for the first.")
    body: dict[str, Any] = Field(description="The metric, segment, question, board, annotation or entry itself.")
    author: str = Field(description="The name of whoever saved it, or of the key.")
    removed: bool = Field(description="True: with this version the name stands for nothing.")
    saved_at: str


def _sections(schema: dict[str, Any]) -> None:
    fields = {
        kind.section: {"type": "object", "additionalProperties": {"type": "object"}, "description": kind.help} for kind in KINDS.values()
    }
    schema["properties"] = fields
    schema["additionalProperties"] = False


class DefinitionFile(Form):
    """Many definitions at once, as in a file of `almanac apply`."""

    # What is in it, and that there is nothing else, is checked where all files are read.
    model_config = ConfigDict(extra="allow", json_schema_extra=_sections)


class ChangeBody(BaseModel):
    """What a file changes."""

    kind: str
    name: str
    action: Literal["create", "change", "remove", "keep"]
    diff: str = Field(description="Both bodies as YAML, as a unified diff.")


class Receipts(Form):
    """Two receipts of answers."""

    first: dict[str, Any] = Field(description="The receipt of one answer, whole.")
    second: dict[str, Any] = Field(description="That of the other.")


class DifferenceBody(BaseModel):
    """One thing in which two answers differ."""

    what: str
    first: Any
    second: Any
    sentence: str


Prune = Annotated[bool, Query(description="Also remove what the file does not hold.")]


@router.get("/definitions", response_model=DefinitionFile, responses=_ENTER, summary="All definitions, as one file")
def whole_file(project: ProjectName, caller: Caller) -> Response:
    """As `apply` reads them."""
    found = caller.enter(project, "read")
    return Json(caller.rooms.definitions.file(found.id))


@router.post("/definitions/plan", response_model=list[ChangeBody], responses=_ENTER, summary="What applying a file would change")
def plan(project: ProjectName, file: DefinitionFile, caller: Caller, prune: Prune = False) -> Response:
    """Nothing is saved."""
    found = caller.enter(project, "read")
    changes = caller.rooms.definitions.plan(found.id, file.model_dump(exclude_unset=True), prune=prune)
    return Json([change.as_json() for change in changes])


@router.post("/definitions/apply", response_model=list[ChangeBody], responses=_ENTER, summary="Save a file of definitions (analyst)")
def apply(project: ProjectName, file: DefinitionFile, caller: Caller, prune: Prune = False) -> Response:
    """All are checked before the first is saved. What is unchanged gets no new version."""
    found = caller.enter(project, "edit")
    changes = caller.rooms.definitions.apply(found.id, file.model_dump(exclude_unset=True), prune=prune, author=caller.author())
    return Json([change.as_json() for change in changes])


@router.get("/definitions/{kind}", response_model=list[DefinitionBody], responses=_ENTER, summary="The definitions of a kind")
def every(project: ProjectName, kind: Kind, caller: Caller) -> Response:
    """Those in force, by name."""
    found = caller.enter(project, "read")
    return Json([shown(item) for item in caller.rooms.definitions.every(found.id, kind)])


@router.get("/definitions/{kind}/{name}", response_model=DefinitionBody, responses=_ENTER, summary="One definition")
def one(
    project: ProjectName,
    kind: Kind,
    name: Name,
    caller: Caller,
    version: Annotated[int, Query(ge=0, le=1 << 31, description="An earlier version; 0: the one in force.")] = 0,
) -> Response:
    """The one in force, or an earlier one."""
    found = caller.enter(project, "read")
    return Json(shown(caller.rooms.definitions.get(found.id, kind, name, version=version)))


@router.get("/definitions/{kind}/{name}/versions", response_model=list[DefinitionBody], responses=_ENTER, summary="Its history")
def versions(project: ProjectName, kind: Kind, name: Name, caller: Caller) -> Response:
    """The newest first."""
    found = caller.enter(project, "read")
    return Json([shown(item) for item in caller.rooms.definitions.versions(found.id, kind, name)])


@router.put(
    "/definitions/{kind}/{name}", response_model=DefinitionBody, responses=_ENTER | responses(409), summary="Save a definition (analyst)"
)
def save(
    project: ProjectName,
    kind: Kind,
    name: Name,
    body: dict[str, Any],
    caller: Caller,
    expected: Annotated[int | None, Query(ge=0, description="Refuse when another version than this is in force; 0: when any is.")] = None,
) -> Response:
    """A further version; what it said before stays in its history."""
    found = caller.enter(project, "edit")
    saved = caller.rooms.definitions.save(found.id, kind, name, body, author=caller.author(), expected=expected)
    return Json(shown(saved))


@router.delete("/definitions/{kind}/{name}", status_code=204, responses=_ENTER | responses(409), summary="Remove a definition (analyst)")
def remove(project: ProjectName, kind: Kind, name: Name, caller: Caller) -> Response:
    """Its history stays, and it can be saved again. Refused while other definitions go by it."""
    found = caller.enter(project, "edit")
    caller.rooms.definitions.remove(found.id, kind, name, author=caller.author())
    return Response(status_code=204)


@router.post("/compare", response_model=list[DifferenceBody], responses=_ENTER, summary="Why two answers differ", tags=["questions"])
def compared(project: ProjectName, receipts: Receipts, caller: Caller) -> Response:
    """In words, from their receipts: range, zone, filters, definitions, merges, age."""
    caller.enter(project, "read")
    return Json([difference.as_json() for difference in compare(receipts.first, receipts.second)])


def shown(item: Definition) -> dict[str, Any]:
    """A definition as JSON."""
    return {
        "kind": item.kind,
        "name": item.name,
        "version": item.version,
        "body": item.body,
        "author": item.author,
        "removed": item.removed,
        "saved_at": instant(item.saved_at) if item.saved_at else "",
    }
