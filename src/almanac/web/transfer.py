"""REST for what is large: exports of events, and backups made by the process that holds the store."""

from __future__ import annotations

from datetime import date
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi import Path as PathPart
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from almanac.core.errors import invalid
from almanac.ingest import exporting, import_books
from almanac.watch import backup
from almanac.web.auth import Caller
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName

router = APIRouter(prefix="/api/v1")


class BackupPlace(Form):
    """Where a backup goes."""

    folder: str = Field(min_length=1, max_length=1000, description="An empty folder of the server's host, by its absolute path.")


@router.get(
    "/projects/{project}/export",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in exporting.MEDIA_TYPES.values()}}, **responses(401, 403, 404)},
    summary="All events, to take away",
    tags=["data"],
)
def export(
    project: ProjectName,
    caller: Caller,
    format_: Annotated[
        Literal["ndjson", "csv", "parquet"], Query(alias="format", description="NDJSON holds nested values as they are.")
    ] = "ndjson",
    event: Annotated[str, Query(max_length=1000, description="Only events of this name.")] = "",
    date_from: Annotated[date | None, Query(description="First day, UTC.")] = None,
    date_to: Annotated[date | None, Query(description="Last day, UTC.")] = None,
) -> Response:
    """Whole and without loss: an import of the file makes the same events with the same ids. Streamed, however much it is."""
    found = caller.enter(project, "read")
    for name, day in (("date_from", date_from), ("date_to", date_to)):
        if day is not None and not 1970 <= day.year <= 2148:
            raise invalid(f"{name} is outside the years 1970 to 2148.", place=name)
    selection = exporting.Selection(found.id, event, date_from, date_to)
    pieces = exporting.encoded(exporting.lines(caller.rooms.store, selection), format_)
    first = next(pieces, b"")  # what is wrong is said before the answer begins
    name = f"{found.id}.{format_}"
    return StreamingResponse(
        chain((first,), pieces),
        media_type=exporting.MEDIA_TYPES[format_],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


class ImportOutcome(Form):
    """What became of the events of an import so far."""

    stored: int = Field(description="Events that are stored.")
    duplicate: int = Field(description="Events that were there already.")
    rejected: int = Field(description="Events that became dead letters.")


@router.get(
    "/projects/{project}/imports/{writer}",
    response_model=ImportOutcome,
    responses=responses(401, 403, 404),
    summary="What became of an import (server's admin)",
    tags=["data"],
)
def import_outcome(
    project: ProjectName,
    caller: Caller,
    writer: Annotated[str, PathPart(pattern="^import-[0-9]{1,3}$", description="The name under which it writes the log.")],
    since: Annotated[int, Query(ge=0, le=1 << 53, description="When it began, in microseconds since 1970.")],
) -> Response:
    """Of its own events only, whatever else was sent meanwhile. What waits in the log is not counted yet."""
    caller.enter(project, "read")
    caller.rule()
    return Json(import_books.outcome(caller.rooms.store, writer, since))


@router.post(
    "/backup",
    response_model=dict[str, Any],
    responses=responses(401, 403, 409),
    summary="Back everything up (server's admin)",
    tags=["operation"],
)
def make_backup(place: BackupPlace, caller: Caller) -> Response:
    """Events, catalog, files, and what waits in the log, while everything goes on."""
    caller.rule()
    folder = Path(place.folder)
    if "\0" in place.folder or not folder.is_absolute() or not folder.is_dir():
        raise invalid(
            "The folder has to be there, given by its absolute path.", place="folder", way_out="Make it on the server's host first."
        )
    return Json(backup.make(folder, caller.rooms.settings, caller.rooms.store, caller.rooms.version, caller.rooms.clock()))
