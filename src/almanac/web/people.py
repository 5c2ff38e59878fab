"""REST for people: who is behind a number, and one person's ids, properties and events."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Path, Query, Request
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from almanac import lookups, people
from almanac.core.errors import invalid, not_found
from almanac.core.ports import EventStore
from almanac.core.sql import EMPTY, Sql, join, sql
from almanac.flights import Ticket
from almanac.web import forms, reads
from almanac.web.asking import QuestionId, stoppable
from almanac.web.auth import Caller, Visitor
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName
from almanac.web.metrics import Metrics
from almanac.web.rooms import Rooms

router = APIRouter(prefix="/api/v1/projects/{project}/people", tags=["people"])

# Between two events of a session lies at most so much, where the sender gave no session ids.
_SESSION_GAP: Final = timedelta(minutes=30)
_MOST_COLUMNS: Final = 500

_TIMELINE: Final = """
SELECT
    toString(id) AS row_id,
    toUnixTimestamp64Micro(time) AS row_time,
    $columns
FROM events
WHERE project = {project:String}
    AND person_hash IN (SELECT cityHash64(arrayJoin({ids:Array(String)})))
    AND distinct_id IN ({ids:Array(String)})
    $chosen
ORDER BY row_time DESC, events.id DESC
LIMIT {limit:UInt32}
SETTINGS output_format_json_escape_forward_slashes = 0
"""

_PROPERTY_NAMES: Final = """
SELECT DISTINCT property
FROM profile_changes
WHERE project = {project:String} AND subject = 'person' AND op NOT IN ('delete', 'clear_all')
ORDER BY property
LIMIT {limit:UInt32}
"""


class Behind(Form):
    """A row of an answer, whose people are wanted."""

    question: dict[str, Any] = Field(description="The question, as it is asked.")
    row: dict[str, Any] = Field(description="A row of its answer; those columns that say which row it is will do.")
    limit: int = Field(100, ge=1, le=people.MOST, description="Most people to give.")
    after: str = Field("", max_length=100, description="`next` of the page before; left out: the first page.")


@router.post(
    "",
    response_model=forms.PeopleBody,
    responses={200: {"content": {"text/csv": {}}}, **responses(401, 403, 404, 429)},
    summary="The people behind a number",
)
async def behind(
    project: ProjectName,
    caller: Caller,
    request: Request,
    which: Behind,
    format_: Annotated[
        Literal["json", "csv"], Query(alias="format", description="csv: all people as a file, whatever the limit.")
    ] = "json",
    question_id: QuestionId = None,
) -> Response:
    """How many they are, exactly, and a page of them: ids, properties, first and last seen, number of events. With them goes the receipt
    of the statement that found them."""
    metrics: Metrics = request.app.state.metrics
    work = _as_file if format_ == "csv" else _page
    return await stoppable(request, lambda ticket: work(caller, project, which, metrics, ticket, str(question_id or uuid4())))


@router.get("", response_model=forms.PeoplePage, responses=responses(401, 403, 404), summary="People, the latest first")
def latest(
    project: ProjectName,
    caller: Caller,
    search: Annotated[str, Query(max_length=200, description="Only who uses an id that begins so, or whose email or name holds it.")] = "",
    limit: Annotated[int, Query(ge=1, le=lookups.MOST, description="Most people to give.")] = 50,
    after: Annotated[str, Query(max_length=100, description="`next` of the page before: goes on with people seen before those.")] = "",
) -> Response:
    """By their latest event, each with ids, properties, first and last seen and number of events."""
    found = caller.enter(project, "read")
    return Json(caller.rooms.engine.lookups.people(found.id, search=search, limit=limit, after=after).as_json())


def _page(caller: Visitor, project: str, which: Behind, metrics: Metrics, ticket: Ticket, id_: str) -> Response:
    found, engine = caller.enter(project, "read"), caller.rooms.engine
    with metrics.asking(which.question), engine.questions.under_way(found.id, id_, ticket, _kind(which)):
        page = engine.people(found.id, which.question, which.row, limit=which.limit, after=which.after, ticket=ticket)
    return Json(page.as_json())


def _as_file(caller: Visitor, project: str, which: Behind, metrics: Metrics, ticket: Ticket, id_: str) -> Response:
    found, engine = caller.enter(project, "read"), caller.rooms.engine
    with metrics.asking(which.question), engine.questions.under_way(found.id, id_, ticket, _kind(which)):
        blocks = engine.everyone(found.id, which.question, which.row, ticket=ticket)
    names = caller.rooms.store.query(Sql(_PROPERTY_NAMES, {"project": found.id, "limit": _MOST_COLUMNS}), limits=reads.LIMITS)
    pieces = _csv(blocks, [str(name) for (name,) in names.rows])
    first = next(pieces)  # what is wrong is said before the answer begins
    headers = {"Content-Disposition": f'attachment; filename="{found.id}-people.csv"'}
    return StreamingResponse(chain((first,), pieces), media_type="text/csv", headers=headers)


def _kind(which: Behind) -> str:
    return str(which.question.get("kind", ""))[:100]


def _csv(blocks: Iterable[list[dict[str, Any]]], names: Sequence[str]) -> Iterator[bytes]:
    """One line a person, one column a property."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    own = ("distinct_id", "first_seen", "last_seen", "events", "ids")
    writer.writerow([*own, *(f"properties.{name}" for name in names)])
    for block in blocks:
        for person in block:
            cells = [*(person[name] for name in own), *(person["properties"].get(name) for name in names)]
            writer.writerow([_cell(cell) for cell in cells])
        yield buffer.getvalue().encode("utf-8", "replace")
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


# ------------------------------------------------------------------ one person


@router.get("/{distinct_id:path}", response_model=forms.PersonBody, responses=responses(401, 403, 404), summary="One person")
def person(
    project: ProjectName,
    caller: Caller,
    distinct_id: Annotated[str, Path(max_length=1000, description="Any of the person's ids.")],
    limit: Annotated[int, Query(ge=1, le=1000, description="Most events to give.")] = 100,
    event: Annotated[str, Query(max_length=1000, description="Only events of this name.")] = "",
    until: Annotated[datetime | None, Query(description="Only events before this instant; UTC without an offset.")] = None,
    after: Annotated[str, Query(max_length=100, description="`next` of the page before: goes on with the events before those.")] = "",
) -> Response:
    """Ids, merges, properties, and the timeline, the latest event first. `session_start` marks the first event of a session: of another
    session id than the event before, or 30 minutes after it; null where an event name hides what was before."""
    found = caller.enter(project, "read")
    return Json(one(caller.rooms, found.id, distinct_id, limit=limit, event=event, until=until, after=after))


def one(
    rooms: Rooms, project: str, distinct_id: str, *, limit: int = 100, event: str = "", until: datetime | None = None, after: str = ""
) -> dict[str, Any]:
    """Everything known of who uses this id. Raises `not_found`."""
    edges = rooms.identity.edges(project, distinct_id)
    ids = _ids(distinct_id, edges)
    whose = rooms.store.query(people.of_ids(ids), limits=reads.LIMITS).rows
    statements = people.known(project, whose)
    summary, properties = (rooms.store.query(statement, limits=reads.LIMITS).dicts() for statement in statements)
    (known,) = people.described([0], summary, properties)
    if not (edges or known["properties"] or known["events"]):
        raise not_found(f"Nobody used the id {distinct_id!r}.", place="distinct_id", way_out="Ids are compared to the letter.")
    events, next_ = _timeline(rooms.store, project, ids, limit, event, until, after)
    return {
        "distinct_id": distinct_id,
        "ids": ids,
        "edges": edges,
        "properties": known["properties"],
        "first_seen": known["first_seen"],
        "last_seen": known["last_seen"],
        "event_count": known["events"],
        "events": events,
        "next": next_,
    }


def _ids(distinct_id: str, edges: Sequence[dict[str, Any]]) -> list[str]:
    """The id and all that merges in force tie to it."""
    in_force = [(str(edge["source"]), str(edge["target"])) for edge in edges if edge["state"] == "in force"]
    known = {distinct_id}
    grew = True
    while grew:
        tied = {one for edge in in_force if known & set(edge) for one in edge}
        grew = not tied <= known
        known |= tied
    return sorted(known)


def _timeline(
    store: EventStore, project: str, ids: Sequence[str], limit: int, event: str, until: datetime | None, after: str
) -> tuple[list[dict[str, Any]], str]:
    """The page, and the token of the next one."""
    chosen: list[Sql] = []
    if event:
        chosen.append(sql("AND event = {event:String}", {"event": event}))
    if until is not None:
        chosen.append(sql("AND toUnixTimestamp64Micro(time) < {until:Int64}", {"until": _micros(until)}))
    if after:
        moment, row = _place_of(after)
        beyond = sql("AND (toUnixTimestamp64Micro(time), id) < ({at:Int64}, {row:UUID})", {"at": moment, "row": row})
        chosen.append(beyond)
    values = {"project": project, "ids": list(ids), "limit": limit + 1}
    statement = sql(_TIMELINE, values, columns=reads.COLUMNS, chosen=join(" ", chosen) if chosen else EMPTY)
    rows = store.query(statement, limits=reads.LIMITS).dicts()
    page = rows[:limit]
    next_ = f"{page[-1]['row_time']}.{page[-1]['row_id']}" if len(rows) > limit else ""
    starts = [None if event else _begins(row, before) for row, before in zip(page, [*rows[1:], None], strict=False)]
    shown = [reads.envelope({name: row[name] for name in row if name not in ("row_id", "row_time")}) for row in page]
    return [{**item, "session_start": start} for item, start in zip(shown, starts, strict=True)], next_


def _begins(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    if before is None:
        return True
    if row["session_id"] and before["session_id"]:
        return bool(row["session_id"] != before["session_id"])
    return bool(row["time"] - before["time"] > _SESSION_GAP)


def _micros(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 1900 <= aware.year <= 2299:
        raise invalid("until is outside the years 1900 to 2299.", place="until")
    return int(aware.timestamp() * 1_000_000)


def _place_of(token: str) -> tuple[int, str]:
    moment, _, row = token.partition(".")
    try:
        place, id_ = int(moment), str(UUID(row))
    except ValueError:
        place, id_ = 1 << 63, ""
    if abs(place) >= 1 << 63:
        raise invalid("This is not the token of a page.", place="after", way_out="Give `next` of the page before.")
    return place, id_
