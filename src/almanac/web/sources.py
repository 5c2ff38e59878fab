"""REST for sources: webhooks and files that are fetched. For admins; a source that reads the host's folders, for owners of the server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from almanac.core.errors import AlmanacError, conflict, invalid
from almanac.core.source import Base, Files, Generic, Hook, source_of
from almanac.sources import Kept, Sources, Tried, needs_owner, shown_source
from almanac.web.auth import Caller, Visitor
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName
from almanac.web.reads import instant
from almanac.web.rooms import Rooms

router = APIRouter(prefix="/api/v1/projects/{project}/sources", tags=["sources"])

SourceName = Annotated[str, Path(description="Name of the source.", min_length=1, max_length=200)]
_ENTER: Final = responses(401, 403, 404)
_LATEST_FILES: Final = 50
_STRIPE: Final = {"kind": "stripe", "secret": "whsec_…"}


class SourceForm(Form):
    """A source to save."""

    source: dict[str, Any] = Field(
        description="kind (stripe, github, generic, s3, http, folder) and its fields. Secrets that are left out stay as they were.",
        examples=[_STRIPE],
    )


class TryForm(SourceForm):
    """A source to try out."""

    name: str = Field("", max_length=200, description="Of the one whose secrets it uses; empty: it has its own.")
    sample: Any = Field(
        None, description="A delivery's body, or the text of a file. Left out: a generic webhook's own sample, or a real file."
    )
    headers: dict[str, str] = Field({}, max_length=50, description="Headers of the delivery.")


class SourceState(BaseModel):
    """How a source fares. Of webhooks: what the collectors that run now have seen."""

    status: str = Field(description="ok, waiting (nothing yet), running, failing, refusing (signatures that do not fit) or paused.")
    sentence: str = Field(description="The same for a person, with what went wrong.")
    next: datetime | None = Field(None, description="When files are fetched next.")
    last: datetime | None = Field(None, description="When the last run ended, or the last delivery came.")
    failures: int = Field(0, description="Runs in a row that failed.")
    run: dict[str, Any] = Field({}, description="The last run, or the one under way: files, records, accepted, rejected, error, way_out.")
    runs: list[dict[str, Any]] = Field([], description="The latest runs, the newest first.")
    totals: dict[str, int] = Field({}, description="Of all runs; or of all deliveries since the collectors began.")


class SourceBody(BaseModel):
    """A source, without its secrets."""

    name: str
    kind: str
    source: dict[str, Any] = Field(description="Its fields; of secrets only that they are there.")
    path: str = Field(description="Where a webhook's sender posts to; empty for files.")
    author: str
    made_at: datetime
    saved_at: datetime
    state: SourceState


class SourceFile(BaseModel):
    """A file that a source has looked at."""

    key: str
    done: bool = Field(description="Whether it was imported.")
    records: int
    accepted: int
    rejected: int
    error: str
    at: datetime


class TriedBody(BaseModel):
    """What a source would bring. Nothing of it is kept."""

    files: list[dict[str, Any]] = Field(description="The first files that were found: key, size, modified.")
    events: list[dict[str, Any]] = Field(description="Events as they would be.")
    rejected: list[dict[str, Any]] = Field(description="What would become a dead letter: index, reason, detail.")


@router.get("", response_model=list[SourceBody], responses=_ENTER, summary="A project's sources (admin)")
def sources(project: ProjectName, caller: Caller) -> Response:
    """By name, with how they fare."""
    found = caller.enter(project, "admin")
    every = sources_of(caller.rooms)
    return Json([_shown(caller.rooms, every, found.id, kept) for kept in every.every(found.id)])


@router.post("/try", response_model=TriedBody, responses=_ENTER, summary="What a source would bring (admin)")
def try_out(project: ProjectName, form: TryForm, caller: Caller) -> Response:
    """A delivery is taken apart as it would be, without a look at its signature; of files the first records are."""
    found = caller.enter(project, "admin")
    every = sources_of(caller.rooms)
    source = every.read(found.id, form.name, form.source)
    _may(caller, source)
    return Json(_tried(every, source, form).__dict__)


@router.get("/{source}", response_model=SourceBody, responses=_ENTER, summary="One source (admin)")
def one(project: ProjectName, source: SourceName, caller: Caller) -> Response:
    """With how it fares."""
    found = caller.enter(project, "admin")
    every = sources_of(caller.rooms)
    return Json(_shown(caller.rooms, every, found.id, every.get(found.id, source)))


@router.put("/{source}", response_model=SourceBody, responses=_ENTER | responses(409, 429), summary="Save a source (admin)")
def save(project: ProjectName, source: SourceName, form: SourceForm, caller: Caller) -> Response:
    """In the place of the one of that name. A generic webhook is tried on its sample, and refused when that makes no event."""
    found = caller.enter(project, "admin")
    every = sources_of(caller.rooms)
    _may(caller, every.read(found.id, source, form.source))
    kept = every.save(found.id, source, form.source, author=caller.author())
    return Json(_shown(caller.rooms, every, found.id, kept))


@router.delete("/{source}", status_code=204, responses=_ENTER | responses(409), summary="Remove a source (admin)")
def remove(project: ProjectName, source: SourceName, caller: Caller) -> Response:
    """Its events stay. A source of the same files that is made later knows what was imported."""
    found = caller.enter(project, "admin")
    importers = caller.rooms.importers
    if importers is not None and importers.running(found.id, source):
        raise conflict(f"The source {source} is being imported.", place="source", way_out="Wait for it to end, or pause it.")
    sources_of(caller.rooms).remove(found.id, source)
    return Response(status_code=204)


@router.post("/{source}/run", response_model=SourceBody, status_code=202, responses=_ENTER | responses(409), summary="Run it now (admin)")
def run(project: ProjectName, source: SourceName, caller: Caller) -> Response:
    """Answers at once; the state says how it goes."""
    found = caller.enter(project, "admin")
    every = sources_of(caller.rooms)
    kept = every.get(found.id, source)
    if not isinstance(kept.source, Files):
        raise invalid(f"{source} is a webhook: it brings events when its sender sends them.", place="source")
    if caller.rooms.importers is None:
        raise conflict("This process runs no sources.", way_out="Ask the server that does.")
    caller.rooms.importers.run(found.id, source)
    return Json(_shown(caller.rooms, every, found.id, kept), status_code=202)


@router.get("/{source}/files", response_model=list[SourceFile], responses=_ENTER, summary="A source's files (admin)")
def files(
    project: ProjectName,
    source: SourceName,
    caller: Caller,
    failed: Annotated[bool, Query(description="Only those that could not be imported.")] = False,
) -> Response:
    """The last 50 that were looked at."""
    found = caller.enter(project, "admin")
    every = sources_of(caller.rooms)
    every.get(found.id, source)
    return Json([_file(entry) for entry in every.files(found.id, source, limit=_LATEST_FILES, failed=failed)])


def sources_of(rooms: Rooms) -> Sources:
    """The sources of this server."""
    return Sources(rooms.catalog, rooms.settings, rooms.clock)


def _may(caller: Visitor, source: Base) -> None:
    if needs_owner(source):
        caller.rule()


def _tried(every: Sources, source: Base, form: TryForm) -> Tried:
    if isinstance(source, Hook):
        sample, headers = form.sample, form.headers
        if sample is None and isinstance(source, Generic):
            sample, headers = source.sample, {**source.sample_headers, **headers}
        if sample is None:
            raise invalid("There is no delivery to try it on.", place="sample", way_out="Give the body of one.")
        return every.try_hook(source, sample, headers)
    assert isinstance(source, Files)
    if form.sample is None:
        return every.try_files(source)
    if not isinstance(form.sample, str):
        raise invalid("The sample of a file is its text.", place="sample", way_out="Give some of its lines as one text.")
    return every.try_text(source, form.sample)


def _file(entry: Any) -> dict[str, Any]:
    names = ("key", "done", "records", "accepted", "rejected", "error")
    return {**{name: getattr(entry, name) for name in names}, "at": _micros(entry.at_us)}


def _shown(rooms: Rooms, every: Sources, project: str, kept: Kept) -> dict[str, Any]:
    try:
        source = source_of(kept.body)
    except AlmanacError as error:  # kept by another version
        state = {**_EMPTY, "status": "failing", "sentence": f"It cannot be read: {error}"}
        return {**shown_source(kept), "path": "", "state": state}
    if isinstance(source, Files):
        return {**shown_source(kept), "path": "", "state": _state_of_files(rooms, every, project, kept.name, source)}
    path = f"/hooks/{quote(project, safe='')}/{kept.name}"
    return {**shown_source(kept), "path": path, "state": _state_of_hook(rooms, project, kept.name, source)}


_EMPTY: Final[dict[str, Any]] = {
    "status": "waiting", "sentence": "", "next": None, "last": None, "failures": 0, "run": {}, "runs": [], "totals": {},
}  # fmt: skip


def _state_of_files(rooms: Rooms, every: Sources, project: str, name: str, source: Files) -> dict[str, Any]:
    running = rooms.importers is not None and rooms.importers.running(project, name)
    kept = every.state(project, name)  # after the look: a run that was found dead is in it
    run = kept.get("run", {})
    upcoming = rooms.importers.next(project, name, source, kept) if rooms.importers is not None else None
    failures = int(kept.get("failures", 0))
    if running:
        status, sentence = "running", _under_way(run)
    elif run.get("error"):
        status, sentence = "failing", " ".join(part for part in (run["error"], run.get("way_out", "")) if part)
    elif not source.enabled:
        status, sentence = "paused", "It is paused."
    elif not run:
        status, sentence = "waiting", "It was not run yet."
    else:
        status, sentence = "ok", _done(run)
    return {
        **_EMPTY,
        "status": status,
        "sentence": sentence,
        "next": instant(upcoming) if upcoming is not None and not running else None,
        "last": run.get("ended") or None,
        "failures": failures,
        "run": run,
        "runs": kept.get("runs", []),
        "totals": {**kept.get("totals", {}), **every.totals(project, name)},
    }


def _under_way(run: dict[str, Any]) -> str:
    now = run.get("now") or {}
    if now.get("waits"):
        return f"{now['waits']} It goes on as soon as there is room."
    return f"It imports {now['file']}." if now.get("file") else "It looks for what is new."


def _done(run: dict[str, Any]) -> str:
    files_, records = run.get("files", 0), run.get("records", 0)
    if not files_:
        return "Nothing was new."
    rejected = run.get("rejected", 0)
    words = f"{files_} new or changed {'file' if files_ == 1 else 'files'}, {records} {'record' if records == 1 else 'records'}"
    return f"{words}, {rejected} of them dead letters." if rejected else f"{words}."


def _state_of_hook(rooms: Rooms, project: str, name: str, source: Base) -> dict[str, Any]:
    key = f"{project}/{name}"
    told = [counters["hooks"][key] for counters in rooms.collectors() if key in counters.get("hooks", {})]
    totals = {what: sum(int(one.get(what, 0)) for one in told) for what in ("deliveries", "events", "rejected", "refused")}
    last_us = max((int(one.get("last_us", 0)) for one in told), default=0)
    refusal: dict[str, Any] = max(told, key=lambda one: int(one.get("refused_us", 0)), default={})
    if not source.enabled:
        status, sentence = "paused", "It is paused: senders are told to come back later."
    elif int(refusal.get("refused_us", 0)) > last_us:
        status, sentence = "refusing", f"The latest delivery was refused: {refusal['refusal']}"
    elif last_us:
        status, sentence = "ok", f"{totals['deliveries']} deliveries since the collectors began."
    else:
        status, sentence = "waiting", "No delivery came since the collectors began."
    return {**_EMPTY, "status": status, "sentence": sentence, "last": _micros(last_us) if last_us else None, "totals": totals}


def _micros(at_us: int) -> str:
    return instant(datetime.fromtimestamp(at_us / 1e6, UTC))
