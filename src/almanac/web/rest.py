"""REST: questions and what is read. Every path under a project passes `Visitor.enter` first.

A question is checked by the engine alone, which says the same by every face; no kind of question is named here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec
from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from starlette.responses import Response

from almanac import lookups
from almanac.core.errors import invalid
from almanac.web import (
    accounts,
    app_files,
    boards,
    definitions,
    demo,
    errors,
    forms,
    graphql,
    live,
    manage,
    mcp,
    members,
    openapi,
    page,
    people,
    questions,
    reads,
    sdk_files,
    sharing,
    sources,
    tables,
    tracking,
    transfer,
)
from almanac.web.again import Again
from almanac.web.asking import QuestionId, answered
from almanac.web.auth import Caller, House
from almanac.web.errors import Json, responses
from almanac.web.health import Health
from almanac.web.manage import ProjectName
from almanac.web.metrics import CONTENT_TYPE, Metrics
from almanac.web.rooms import Rooms
from almanac.web.sign_in import Passwords

router = APIRouter()

# Threads that questions may hold while they run or queue in the engine; further ones wait for a thread.
WAITING_PER_SLOT: Final = 16
_LOOKS: Final = 4  # threads that look for kept answers; more would only wait for each other

_ENTER = responses(401, 403, 404)
_V1: Final = "/api/v1/projects/{project}"


def create_app(rooms: Rooms) -> FastAPI:
    """The HTTP faces over these rooms, as one ASGI app."""
    app = FastAPI(
        title="Almanac",
        version=rooms.version,
        description="Event analytics: every event kept exactly once, every answer with its receipt.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.rooms = rooms
    app.state.health = Health(rooms)
    app.state.metrics = Metrics(rooms)
    app.state.looks = CapacityLimiter(_LOOKS)
    app.state.questions = CapacityLimiter(WAITING_PER_SLOT * rooms.settings.question_slots)
    # Tools wait for other paths of this app, so that their threads are none of those.
    app.state.tools = CapacityLimiter(WAITING_PER_SLOT)
    app.state.passwords = Passwords()
    errors.install(app)
    if rooms.settings.cache_seconds > 0:
        metrics: Metrics = app.state.metrics
        app.add_middleware(Again, state=rooms.state, count=lambda kind, seconds: metrics.asked(kind, "ok", seconds))
    for part in (
        router,
        accounts.router,
        members.router,
        manage.router,
        demo.router,
        definitions.router,
        boards.router,
        questions.router,
        sharing.router,
        people.router,
        tracking.router,
        sources.router,
        transfer.router,
        graphql.router,
        mcp.router,
        page.router,
        app_files.router,
        sdk_files.router,
    ):
        app.include_router(part)
    live.install(app, rooms)
    openapi.install(app)
    return app


async def json_object(request: Request) -> dict[str, Any]:
    """The body as one JSON object. Raises `invalid` with the place of the mistake."""
    try:
        body = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid("The body is not valid JSON.", place="body", way_out=f"The parser says: {error}.") from None
    except RecursionError:
        raise invalid("The body is nested too deeply.", place="body") from None
    if not isinstance(body, dict):
        raise invalid("The body has to be one JSON object.", place="body", way_out='Send a question such as {"kind": ...}; see /docs.')
    return body


@router.post(
    f"{_V1}/ask",
    response_model=forms.AnswerBody,
    responses={200: {"content": {kind: {} for kind in tables.MEDIA_TYPES.values()}}, **_ENTER, **responses(409, 429)},
    openapi_extra=openapi.QUESTION_BODY,
    summary="Ask a question",
    tags=["questions"],
)
async def ask(
    project: ProjectName,
    caller: Caller,
    request: Request,
    question: Annotated[dict[str, Any], Depends(json_object)],
    fresh: Annotated[bool, Query(description="Past the cache.")] = False,
    format_: Annotated[tables.Format, Query(alias="format", description="json, or the rows as a file.")] = "json",
    question_id: QuestionId = None,
) -> Response:
    """Answers with rows and the receipt that says how they came about."""

    def find() -> tuple[str, Mapping[str, Any]]:
        return caller.enter(project, "read").id, question

    return await answered(request, find, id_=question_id, fresh=fresh, show=partial(_response, format_=format_))


def _response(answer: Mapping[str, Any], format_: tables.Format) -> Response:
    if format_ == "json":
        return Json(answer)
    name = f'attachment; filename="{answer["kind"]}.{format_}"'
    return Response(tables.as_file(answer, format_), media_type=tables.MEDIA_TYPES[format_], headers={"content-disposition": name})


@router.post(
    f"{_V1}/explain",
    response_model=forms.ExplanationBody,
    responses=_ENTER | responses(429),
    openapi_extra=openapi.QUESTION_BODY,
    summary="What a question will cost",
    tags=["questions"],
)
def explain(project: ProjectName, caller: Caller, question: Annotated[dict[str, Any], Depends(json_object)]) -> Response:
    """Its SQL, how much it will read, the engine's plan, and how to make it cheaper. It is not answered."""
    found = caller.enter(project, "read")
    return Json(caller.rooms.engine.explain(found.id, question).as_json())


@router.get(f"{_V1}/kinds", response_model=list[forms.KindBody], responses=_ENTER, summary="The kinds of question", tags=["questions"])
def kinds(project: ProjectName, caller: Caller) -> Response:
    """Each with its schema, its documentation and worked examples."""
    caller.enter(project, "read")
    return Json(openapi.kinds())


@router.get(f"{_V1}/events", response_model=list[dict[str, Any]], responses=_ENTER, summary="The latest events", tags=["data"])
def events(
    project: ProjectName,
    caller: Caller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    event: Annotated[str, Query(max_length=1000, description="Only events of this name.")] = "",
    distinct_id: Annotated[str, Query(max_length=1000, description="Only events of this id.")] = "",
) -> Response:
    """Whole envelopes in the order of their receipt, the newest first: to see what an integration sends."""
    found = caller.enter(project, "read")
    ids = [distinct_id] if distinct_id else []
    return Json(reads.latest_events(caller.rooms.store, found.id, now=caller.rooms.clock(), limit=limit, event=event, distinct_ids=ids))


@router.get(f"{_V1}/event-names", response_model=list[forms.NameBody], responses=_ENTER, summary="The event names", tags=["data"])
def event_names(project: ProjectName, caller: Caller) -> Response:
    """The most frequent first."""
    found = caller.enter(project, "read")
    return Json(reads.event_names(caller.rooms.store, found.id))


@router.get(
    f"{_V1}/properties", response_model=list[forms.PropertyBody], responses=_ENTER, summary="The properties of events", tags=["data"]
)
def properties(
    project: ProjectName, caller: Caller, event: Annotated[str, Query(max_length=1000, description="Only of this event name.")] = ""
) -> Response:
    """One entry for each property and type."""
    found = caller.enter(project, "read")
    return Json(reads.event_properties(caller.rooms.store, found.id, event=event))


@router.get(
    f"{_V1}/property-values", response_model=list[forms.ValueBody], responses=_ENTER, summary="The values of a property", tags=["data"]
)
def property_values(
    project: ProjectName,
    caller: Caller,
    property_: Annotated[
        str, Query(alias="property", min_length=1, max_length=500, description="As in a filter: a property, or a built-in column as @name.")
    ],
    of: Annotated[Literal["event", "person", "group"], Query(description="Whose property it is.")] = "event",
    group_type: Annotated[str, Query(max_length=500, description="With of=group: the group's type.")] = "",
    event: Annotated[str, Query(max_length=1000, description="Only of this event name.")] = "",
    search: Annotated[str, Query(max_length=200, description="Only values that hold this text.")] = "",
    limit: Annotated[int, Query(ge=1, le=lookups.MOST)] = 100,
) -> Response:
    """Of the last 30 days, the most frequent first, for filters to choose from. Of more than 100,000 different values, and where looking
    takes more than three seconds, those that were found by then."""
    found = caller.enter(project, "read")
    look = caller.rooms.engine.lookups
    return Json(look.values(found.id, property_, of=of, group_type=group_type, event=event, search=search, limit=limit))


Since = Annotated[datetime | None, Query(description="Only hours from this instant on; UTC without an offset.")]


@router.get(
    f"{_V1}/ledger", response_model=list[forms.LedgerBody], responses=_ENTER, summary="What became of accepted events", tags=["data"]
)
def ledger(project: ProjectName, caller: Caller, since: Since = None) -> Response:
    """By hour: accepted = stored + duplicate + rejected + in flight, or there is a gap."""
    found = caller.enter(project, "read")
    return _ledger(caller.rooms, found.id, since)


@router.get(
    "/api/v1/ledger",
    response_model=list[forms.LedgerBody],
    responses=responses(401, 403),
    summary="The ledger of all projects (server's admin)",
    tags=["data"],
)
def whole_ledger(caller: Caller, since: Since = None) -> Response:
    """By project and hour."""
    caller.rule()
    return _ledger(caller.rooms, "", since)


def _ledger(rooms: Rooms, project: str, since: datetime | None) -> Response:
    if since is not None and not 1971 <= since.year <= 2100:
        raise invalid("since is outside the years 1971 to 2100.", place="since")
    aware = since.replace(tzinfo=UTC) if since is not None and since.tzinfo is None else since
    columns = ("project", "hour", "accepted", "stored", "duplicate", "rejected", "in_flight", "gap")
    lines = [{name: getattr(row, name) for name in columns} for row in rooms.ledger.rows(project, aware)]
    return Json([{**line, "hour": reads.instant(line["hour"])} for line in lines])


@router.get(
    "/health", response_model=forms.HealthBody, responses={503: {"model": forms.HealthBody}}, summary="Is all well?", tags=["operation"]
)
async def health(request: Request, rooms: House) -> Response:
    """200 when every check is green, 503 when one is not. No key; names no project."""
    report = await request.app.state.health.report()
    return Json({**report, "version": rooms.version}, status_code=200 if report["status"] == "green" else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **responses()},
    summary="Figures for Prometheus",
    tags=["operation"],
)
def metrics(request: Request) -> Response:
    """No key; names no project."""
    kept: Metrics = request.app.state.metrics
    return Response(kept.text(), media_type=CONTENT_TYPE)
