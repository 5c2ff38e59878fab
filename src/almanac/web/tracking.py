"""REST for the tracking plan: what did not fit it, how stored events would fare under another, and a draft from what was seen."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from almanac.core.ports import EventStore
from almanac.core.sql import sql
from almanac.definitions import PLAN
from almanac.ingest.tracking_draft import check, draft
from almanac.ingest.tracking_plans import entry
from almanac.web.auth import Caller
from almanac.web.errors import Json, responses
from almanac.web.forms import Form
from almanac.web.manage import ProjectName
from almanac.web.reads import LIMITS, instant

router = APIRouter(prefix="/api/v1/projects/{project}/tracking-plan", tags=["tracking plan"])

_ENTER: Final = responses(401, 403, 404)

_CHECKS: Final = """
SELECT event, mode, version, day, sum(checked) AS checked, sum(failed) AS failed
FROM plan_checks
WHERE project = {project:String} AND day >= {since:Date} AND ({event:String} = '' OR event = {event:String})
GROUP BY event, mode, version, day
ORDER BY day DESC, failed DESC, event, version DESC, mode
LIMIT {limit:UInt32}
"""

_VIOLATIONS: Final = """
SELECT event, property, rule, mode, version, day, sum(count) AS count, max(last_seen) AS last_seen
FROM plan_violations
WHERE project = {project:String} AND day >= {since:Date} AND ({event:String} = '' OR event = {event:String})
GROUP BY event, property, rule, mode, version, day
ORDER BY day DESC, count DESC, event, property, rule, version DESC, mode
LIMIT {limit:UInt32}
"""

Days = Annotated[int, Query(ge=1, le=3660, description="Of so many days, today included (UTC).")]
OfEvent = Annotated[str, Query(max_length=1000, description="Only of this event's name.")]
Sample = Annotated[int, Query(ge=1, le=100_000, description="At most so many events of each name are looked at, the latest days first.")]


class CheckedBody(BaseModel):
    """What one entry of the plan judged on one day."""

    event: str = Field(description="Name of the events.")
    mode: str = Field(description="observe, stamp or reject.")
    version: int = Field(description="Version of the entry that judged.")
    day: str = Field(description="When they were received, UTC.")
    checked: int = Field(description="Events judged.")
    failed: int = Field(description="Of these, events that do not fit.")


class ViolationBody(BaseModel):
    """One thing that was wrong, on one day."""

    event: str = Field(description="Name of the events.")
    property: str = Field(description="Path with dots, [] for an element of a list; empty: the properties as a whole.")
    rule: str = Field(description="The word of JSON Schema; unplanned: the event has no entry.")
    mode: str = Field(description="observe, stamp or reject.")
    version: int = Field(description="Version of the entry that judged.")
    day: str = Field(description="When they were received, UTC.")
    count: int = Field(description="How many events.")
    last_seen: str = Field(description="When the last of them was received.")


class ViolationsBody(BaseModel):
    """What the plan found."""

    events: list[CheckedBody] = Field(description="By event, version and day, the latest day first.")
    violations: list[ViolationBody] = Field(description="By what was wrong too. An event with two faults counts in two rows.")


class PlanFile(Form):
    """A tracking plan."""

    plans: dict[str, Any] = Field(description="Entries by their events' names; * for all other events.")


class PlanForm(Form):
    """A tracking plan to try."""

    plans: dict[str, Any] | None = Field(None, description="Entries by their events' names; left out: those in force.")


class WouldBody(BaseModel):
    """How stored events of one name would fare."""

    event: str
    kind: str = Field(description="track, page, identify and so on.")
    mode: str = Field(description="observe, stamp or reject; none: no entry is meant for it.")
    events: int = Field(description="Events of the days asked for.")
    checked: int = Field(description="Of these, looked at.")
    failed: int = Field(description="Of these, not as the plan says.")
    violations: list[dict[str, Any]] = Field(description="property, rule, what is wanted, how many, and the properties of an example.")


@router.get("/violations", response_model=ViolationsBody, responses=_ENTER, summary="What did not fit the tracking plan")
def violations(
    project: ProjectName,
    caller: Caller,
    days: Days = 30,
    event: OfEvent = "",
    limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many rows of each list.")] = 1000,
) -> Response:
    """Counted as events are loaded, by event, property, rule, version of the entry and day."""
    found = caller.enter(project, "read")
    values = {"project": found.id, "since": _since(caller, days), "event": event, "limit": limit}
    return Json(_found(caller.rooms.store, values))


@router.get("/infer", response_model=PlanFile, responses=_ENTER, summary="A draft of a tracking plan")
def infer(project: ProjectName, caller: Caller, days: Days = 30, event: OfEvent = "", sample: Sample = 1000) -> Response:
    """From what was seen: the types of all properties, and as required those that every event looked at has. All entries observe."""
    found = caller.enter(project, "read")
    return Json(draft(caller.rooms.store, found.id, since=_since(caller, days), event=event, sample=sample))


@router.post("/check", response_model=list[WouldBody], responses=_ENTER, summary="How stored events would fare under a plan")
def try_out(project: ProjectName, form: PlanForm, caller: Caller, days: Days = 7, event: OfEvent = "", sample: Sample = 1000) -> Response:
    """Nothing is saved, marked or rejected. Without a plan, that in force is tried."""
    found = caller.enter(project, "read")
    if form.plans is None:
        plan = {item.name: entry(item.name, item.body, item.version) for item in caller.rooms.definitions.every(found.id, PLAN)}
    else:
        bodies = caller.rooms.definitions.checked(found.id, {"plans": form.plans})
        plan = {name: entry(name, body, 0) for (_, name), body in bodies.items()}
    return Json(check(caller.rooms.store, found.id, plan, since=_since(caller, days), event=event, sample=sample))


def _since(caller: Caller, days: int) -> date:
    return caller.rooms.clock().date() - timedelta(days=days - 1)


def _found(store: EventStore, values: dict[str, Any]) -> dict[str, Any]:
    events = [{**row, "day": str(row["day"])} for row in store.query(sql(_CHECKS, values), limits=LIMITS).dicts()]
    rows = store.query(sql(_VIOLATIONS, values), limits=LIMITS).dicts()
    shown = [{**row, "day": str(row["day"]), "last_seen": instant(row["last_seen"])} for row in rows]
    return {"events": events, "violations": shown}
