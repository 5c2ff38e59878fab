"""REST for what is changed by people's hands: projects, keys, dead letters, merges."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from almanac.core.ports import Project
from almanac.core.time import zone_of
from almanac.web import forms
from almanac.web.auth import Caller
from almanac.web.errors import Json, responses

router = APIRouter(prefix="/api/v1")

ProjectName = Annotated[str, Path(description="Id or name of the project.", min_length=1, max_length=200)]
_ENTER = responses(401, 403, 404)


@router.get(
    "/me", response_model=forms.WhoBody, responses=responses(401), summary="Who the key is, and the projects it enters", tags=["projects"]
)
def me(caller: Caller) -> Response:
    """A page or a client that holds a key alone starts here."""
    key, catalog = caller.key(), caller.rooms.catalog
    projects = [catalog.project(key.project)] if key.project else catalog.projects()
    if key.role == "write":
        projects = []
    return Json({"role": key.role, "server": not key.project, "projects": [asdict(project) for project in projects]})


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
    return Json([asdict(project) for project in caller.rooms.catalog.projects()])


@router.post(
    "/projects",
    status_code=201,
    response_model=forms.MadeProject,
    responses=responses(401, 403, 409),
    summary="Make a project (server's admin)",
    tags=["projects"],
)
def make_project(new: forms.NewProject, caller: Caller) -> Response:
    """With its three keys, in the only moment when they can be read."""
    caller.rule()
    zone_of(new.zone)
    project, keys = caller.rooms.catalog.create_project(new.name, write_key=new.write_key, zone=new.zone)
    secrets = {"write_key": keys["write"], "api_key": keys["read"], "admin_key": keys["admin"]}
    return Json({**asdict(project), **secrets}, status_code=201)


@router.get("/projects/{project}", response_model=forms.ProjectBody, responses=_ENTER, summary="One project", tags=["projects"])
def project(project: ProjectName, caller: Caller) -> Response:
    """Zone, week start, quota, retention and settings."""
    return Json(asdict(caller.enter(project, "read")))


@router.patch(
    "/projects/{project}", response_model=forms.ProjectBody, responses=_ENTER, summary="Change a project (admin)", tags=["projects"]
)
def change_project(project: ProjectName, change: forms.ProjectChange, caller: Caller) -> Response:
    """What is left out stays."""
    found = caller.enter(project, "admin")
    given = {name: value for name, value in change.model_dump(exclude_unset=True).items() if value is not None}
    if "zone" in given:
        zone_of(given["zone"])
    changed: Project = replace(found, **given)
    caller.rooms.catalog.update_project(changed)
    return Json(asdict(changed))


@router.get(
    "/projects/{project}/keys", response_model=list[forms.KeyBody], responses=_ENTER, summary="A project's keys (admin)", tags=["projects"]
)
def keys(project: ProjectName, caller: Caller) -> Response:
    """Without their secrets: those are kept by nobody."""
    found = caller.enter(project, "admin")
    return Json([{"role": key.role, "prefix": key.prefix, "created_at": key.created_at} for key in caller.rooms.catalog.keys(found.id)])


@router.post(
    "/projects/{project}/keys",
    status_code=201,
    response_model=forms.MadeKey,
    responses=_ENTER,
    summary="Make a further key (admin)",
    tags=["projects"],
)
def make_key(project: ProjectName, new: forms.NewKey, caller: Caller) -> Response:
    """The answer holds the secret, and nothing else ever will."""
    found = caller.enter(project, "admin")
    return Json({"role": new.role, "key": caller.rooms.catalog.create_key(found.id, new.role)}, status_code=201)


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


@router.post(
    "/projects/{project}/dead-letters/replay",
    response_model=forms.Replayed,
    responses=_ENTER,
    summary="Send dead letters again (admin)",
    tags=["data"],
)
def replay(project: ProjectName, which: forms.Replay, caller: Caller) -> Response:
    """Mended by `edits` where given."""
    found = caller.enter(project, "admin")
    return Json(caller.rooms.dead_letters.replay(found.id, which.ids, edits=which.edits or None))


@router.post(
    "/projects/{project}/dead-letters/discard",
    response_model=forms.Discarded,
    responses=_ENTER,
    summary="Give dead letters up (admin)",
    tags=["data"],
)
def discard(project: ProjectName, which: forms.Discard, caller: Caller) -> Response:
    """They stay in the ledger as rejected."""
    found = caller.enter(project, "admin")
    return Json({"discarded": caller.rooms.dead_letters.discard(found.id, which.ids)})


EdgeName = Annotated[str, Path(description="Id of the merge, from a person's `edges`.", min_length=1, max_length=200)]


@router.post(
    "/projects/{project}/merges/{edge}/undo",
    response_model=forms.EdgeBody,
    responses=_ENTER | responses(409),
    summary="Take a merge back (admin)",
    tags=["people"],
)
def undo(project: ProjectName, edge: EdgeName, caller: Caller) -> Response:
    """No event moves: from now on questions read two persons."""
    found = caller.enter(project, "admin")
    caller.rooms.identity.undo(found.id, edge)
    return Json({"edge": edge, "undone": True})


@router.post(
    "/projects/{project}/merges/{edge}/redo",
    response_model=forms.EdgeBody,
    responses=_ENTER | responses(409),
    summary="Make an undone merge count again (admin)",
    tags=["people"],
)
def redo(project: ProjectName, edge: EdgeName, caller: Caller) -> Response:
    """The reverse of undo."""
    found = caller.enter(project, "admin")
    caller.rooms.identity.redo(found.id, edge)
    return Json({"edge": edge, "undone": False})
