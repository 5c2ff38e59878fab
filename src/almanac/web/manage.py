"""REST for what is changed by people's hands: projects, keys, dead letters, merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel
from starlette.responses import Response

from almanac.core.accounts import SignedIn
from almanac.web import forms
from almanac.web.auth import Caller, Visitor
from almanac.web.errors import Json, responses
from almanac.web.projects import CatalogProjects, really, shown

F = TypeVar("F", bound=Callable[..., Response])

router = APIRouter(prefix="/api/v1")

ProjectName = Annotated[str, Path(description="Id or name of the project.", min_length=1, max_length=200)]
_ENTER = responses(401, 403, 404)


def _admin_post(path: str, answer: type[BaseModel], summary: str, tag: str, *statuses: int, status: int = 200) -> Callable[[F], F]:
    """A POST under a project that needs an admin key. `statuses`: those of errors beyond the usual ones."""
    return router.post(
        f"/projects/{{project}}/{path}",
        status_code=status,
        response_model=answer,
        responses=_ENTER | responses(*statuses),
        summary=f"{summary} (admin)",
        tags=[tag],
    )


@router.get(
    "/projects",
    response_model=list[forms.ProjectBody],
    responses=responses(401, 403),
    summary="All projects (server's admin)",
    tags=["projects"],
)
def projects(caller: Caller) -> Response:
    """By name."""
    caller.rule()
    return Json(CatalogProjects(caller.rooms.catalog).projects())


@router.post(
    "/projects",
    status_code=201,
    response_model=forms.MadeProject,
    responses=responses(401, 403, 409),
    summary="Make a project (server's admin)",
    tags=["projects"],
)
def make_project(new: forms.NewProject, caller: Caller) -> Response:
    """With its three keys, in the only moment when they can be read. Whoever is signed in becomes its owner."""
    caller.rule()
    made = CatalogProjects(caller.rooms.catalog).create_project(**new.model_dump())
    own(caller, made["id"])
    return Json(made, status_code=201)


def own(caller: Visitor, project: str) -> None:
    """Whoever is signed in becomes the owner of the project that he made."""
    who = caller.who()
    if isinstance(who, SignedIn):
        caller.rooms.catalog.accounts.set_role(project, who.user.id, "owner")


@router.get("/projects/{project}", response_model=forms.ProjectBody, responses=_ENTER, summary="One project", tags=["projects"])
def project(project: ProjectName, caller: Caller) -> Response:
    """Zone, week start, quota, retention and settings."""
    return Json(shown(caller.enter(project, "read")))


@router.patch(
    "/projects/{project}", response_model=forms.ProjectBody, responses=_ENTER, summary="Change a project (admin)", tags=["projects"]
)
def change_project(project: ProjectName, change: forms.ProjectChange, caller: Caller) -> Response:
    """What is left out stays."""
    found = caller.enter(project, "admin")
    given = {name: value for name, value in change.model_dump(exclude_unset=True).items() if value is not None}
    return Json(CatalogProjects(caller.rooms.catalog).change_project(found.id, given))


@router.delete(
    "/projects/{project}",
    response_model=forms.EndedProject,
    responses=_ENTER,
    summary="Delete a project (owner, or an admin key)",
    tags=["projects"],
)
def delete_project(project: ProjectName, end: forms.ProjectEnd, caller: Caller) -> Response:
    """For ever: its keys stop within seconds, its events and everything known of them are deleted, and nothing that is still on its way
    comes back. Answers when that is done. A new project may take the name; it gets an id of its own."""
    found = caller.enter(project, "own")
    really(found, end.name)
    return Json(caller.rooms.removal.remove(found.id))


@router.get(
    "/projects/{project}/keys", response_model=list[forms.KeyBody], responses=_ENTER, summary="A project's keys (admin)", tags=["keys"]
)
def keys(project: ProjectName, caller: Caller) -> Response:
    """Revoked ones too. Without their secrets: those are kept by nobody."""
    found = caller.enter(project, "admin")
    return Json(CatalogProjects(caller.rooms.catalog).keys(found.id))


@_admin_post("keys", forms.MadeKey, "Make a further key", "keys", status=201)
def make_key(project: ProjectName, new: forms.NewKey, caller: Caller) -> Response:
    """The answer holds the secret, and nothing else ever will."""
    found = caller.enter(project, "admin")
    return Json(CatalogProjects(caller.rooms.catalog).create_key(found.id, new.role, name=new.name), status_code=201)


KeyName = Annotated[str, Path(description="Id of the key, from the list of keys.", min_length=1, max_length=200)]
_AT_ONCE = forms.KeyEnd()


@_admin_post("keys/{key}/revoke", forms.KeyBody, "Revoke a key", "keys")
def revoke_key(project: ProjectName, key: KeyName, caller: Caller, end: forms.KeyEnd = _AT_ONCE) -> Response:
    """For ever, and in every collector within seconds; the other keys go on. It stays in the list."""
    found = caller.enter(project, "admin")
    return Json(CatalogProjects(caller.rooms.catalog).revoke_key(found.id, key, grace_hours=end.grace_hours))


@_admin_post("keys/{key}/rotate", forms.MadeKey, "Change a key for a new one", "keys", 409, status=201)
def rotate_key(project: ProjectName, key: KeyName, caller: Caller, end: forms.KeyEnd = _AT_ONCE) -> Response:
    """The new key has the role and the name of the old one, which is revoked when its time of grace is over."""
    found = caller.enter(project, "admin")
    return Json(CatalogProjects(caller.rooms.catalog).rotate_key(found.id, key, grace_hours=end.grace_hours), status_code=201)


@router.get(
    "/projects/{project}/dead-letters",
    response_model=list[dict[str, Any]],
    responses=_ENTER,
    summary="Messages that could not become events (admin)",
    tags=["data"],
)
def dead_letters(
    project: ProjectName,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    reason: Annotated[str, Query(max_length=100, description="Only those of this reason.")] = "",
    state: Annotated[str, Query(pattern="^(waiting|replayed|discarded)$")] = "waiting",
) -> Response:
    """With reason and original, the newest first."""
    found = caller.enter(project, "admin")
    return Json(caller.rooms.dead_letters.list(found.id, limit=limit, reason=reason, state=state))


@_admin_post("dead-letters/replay", forms.Replayed, "Send dead letters again", "data")
def replay(project: ProjectName, which: forms.Replay, caller: Caller) -> Response:
    """Mended by `edits` where given."""
    found = caller.enter(project, "admin")
    return Json(caller.rooms.dead_letters.replay(found.id, which.ids, edits=which.edits or None))


@_admin_post("dead-letters/discard", forms.Discarded, "Give dead letters up", "data")
def discard(project: ProjectName, which: forms.Discard, caller: Caller) -> Response:
    """They stay in the ledger as rejected."""
    found = caller.enter(project, "admin")
    return Json({"discarded": caller.rooms.dead_letters.discard(found.id, which.ids)})


EdgeName = Annotated[str, Path(description="Id of the merge, from a person's `edges`.", min_length=1, max_length=200)]


@_admin_post("merges/{edge}/undo", forms.EdgeBody, "Take a merge back", "people", 409)
def undo(project: ProjectName, edge: EdgeName, caller: Caller) -> Response:
    """No event moves: from now on questions read two persons."""
    found = caller.enter(project, "admin")
    caller.rooms.identity.undo(found.id, edge)
    caller.rooms.changes.tell([found.id])
    return Json({"edge": edge, "undone": True})


@_admin_post("merges/{edge}/redo", forms.EdgeBody, "Make an undone merge count again", "people", 409)
def redo(project: ProjectName, edge: EdgeName, caller: Caller) -> Response:
    """The reverse of undo."""
    found = caller.enter(project, "admin")
    caller.rooms.identity.redo(found.id, edge)
    caller.rooms.changes.tell([found.id])
    return Json({"edge": edge, "undone": False})
