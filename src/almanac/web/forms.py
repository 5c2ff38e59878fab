"""What the REST face takes and gives, as the reference shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from almanac.core.time import WeekStart

Role = Literal["write", "read", "admin"]


class Form(BaseModel):
    """Base of what is taken: an unknown field is refused by its name."""

    model_config = ConfigDict(extra="forbid")


class ColumnBody(BaseModel):
    """A column of an answer."""

    name: str
    type: str
    help: str = ""


class AnswerBody(BaseModel):
    """An answer. `receipt` says how it came about: SQL, range, zone, watermark, rows read, exact or not."""

    kind: str
    columns: list[ColumnBody]
    rows: list[dict[str, Any]]
    receipt: dict[str, Any]


class ExampleBody(BaseModel):
    """A worked example of a kind: events in, question, whole answer."""

    title: str
    events: list[dict[str, Any]]
    question: dict[str, Any]
    rows: list[dict[str, Any]]
    why: str
    now: str


class KindBody(BaseModel):
    """A kind of question."""

    kind: str
    title: str
    doc: str
    question: dict[str, Any] = Field(description="JSON schema of the question.")
    row: dict[str, Any] = Field(description="JSON schema of one row of the answer.")
    examples: list[ExampleBody]


class NameBody(BaseModel):
    """An event name."""

    event: str
    first_seen: datetime
    last_seen: datetime
    count: int


class PropertyBody(BaseModel):
    """A property of events, with one of the types it came in."""

    property: str
    type: str
    last_seen: datetime
    events: list[str]


class LedgerBody(BaseModel):
    """What became of the events that a project had accepted in one hour; `gap` other than 0 is an alert."""

    project: str
    hour: datetime
    accepted: int
    stored: int
    duplicate: int
    rejected: int
    in_flight: int
    gap: int


class PersonBody(BaseModel):
    """One person."""

    distinct_id: str
    ids: list[str] = Field(description="All ids that merges in force tie to this one.")
    edges: list[dict[str, Any]] = Field(description="The merges, undone ones too.")
    properties: dict[str, Any]
    first_seen: datetime | None = Field(description="Time of the first event; null: only named in merges or profiles.")
    last_seen: datetime | None
    event_count: int
    events: list[dict[str, Any]] = Field(description="A page of the timeline, the latest event first; `session_start` marks sessions.")
    next: str = Field(description="Token of the next page, of earlier events; empty on the last.")


class KnownPerson(BaseModel):
    """What is known of a person behind a number."""

    distinct_id: str = Field(description="The id of its user, where it has one; else one of its ids.")
    ids: list[str] = Field(description="Its ids, 100 at most.")
    id_count: int = Field(description="How many ids it has.")
    first_seen: datetime | None
    last_seen: datetime | None
    events: int = Field(description="How many events it has, whatever the question's range.")
    properties: dict[str, Any]


class PeoplePage(BaseModel):
    """Some people."""

    people: list[KnownPerson]
    next: str = Field(description="Token of the next page; empty on the last.")


class ValueBody(BaseModel):
    """A value of a property."""

    value: str = Field(description="As text, as filters take it.")
    events: int = Field(description="How many events of the last 30 days have it.")


class PeopleBody(BaseModel):
    """A page of the people behind a row of an answer."""

    total: int = Field(description="How many they are, on all pages.")
    people: list[KnownPerson]
    next: str = Field(description="Token of the next page; empty on the last.")
    receipt: dict[str, Any] = Field(description="How they were found, as an answer's, with the row.")


_PROJECT: dict[str, Any] = {
    "id": "ticket-shop",
    "name": "Ticket shop",
    "zone": "Europe/Berlin",
    "week_start": "monday",
    "quota": 0,
    "retention_days": 400,
    "created_at": "2026-01-31T12:00:00Z",
    "settings": {},
}


class ProjectBody(BaseModel):
    """A project."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROJECT]})

    id: str
    name: str
    zone: str = Field(description="IANA zone in which days begin.")
    week_start: WeekStart
    quota: int = Field(description="Events per second; 0: no limit of its own.")
    retention_days: int = Field(description="Days that events are kept; 0: for ever.")
    created_at: datetime | None = None
    settings: dict[str, Any] = Field({}, description="What pages keep of the project, e.g. start_page.")


class NewProject(Form):
    """A project to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ticket shop", "zone": "Europe/Berlin"}]})

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$", description="Its name, unique.")
    zone: str = Field("UTC", max_length=100, description="IANA zone in which days begin.")
    write_key: str = Field(
        "", max_length=200, pattern=r"^[\x21-\x7e]*$", description="A write key that SDKs have already; made when left out."
    )


class MadeProject(ProjectBody):
    """A new project and its keys, in the only moment when they can be read."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_PROJECT, "write_key": "wk_Jp3x9…Zk7Q", "api_key": "rk_f0Qm2…8sLw", "admin_key": "ak_7Hd1n…c3Vb"}]
        }
    )

    write_key: str
    api_key: str = Field(description="The read key.")
    admin_key: str


class ProjectChange(Form):
    """What to change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"retention_days": 400, "quota": 5000}]})

    zone: str | None = Field(None, max_length=100, description="IANA zone in which days begin.")
    week_start: WeekStart | None = Field(None, description="First day of the week.")
    quota: int | None = Field(None, ge=0, le=100_000_000, description="Events per second; 0: no limit of its own.")
    retention_days: int | None = Field(None, ge=0, le=36_500, description="Days that events are kept; 0: for ever.")
    settings: dict[str, Any] | None = Field(None, description="Replaces the settings as a whole.")


_KEY: dict[str, Any] = {
    "id": "5d41402abc4b",
    "name": "iOS app",
    "role": "write",
    "prefix": "wk_Jp3x9",
    "last_four": "Zk7Q",
    "created_at": "2026-01-31T12:00:00Z",
    "revoked_at": None,
}
_GRACE = "Hours in which the old key goes on working, so that senders have the time to change; 0: it stops within seconds."


class ProjectEnd(Form):
    """Says that a project is really meant."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ticket shop"}]})

    name: str = Field(max_length=200, description="The project's own name (or id), again.")


class EndedProject(BaseModel):
    """A project that is gone."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "ticket-shop", "events": 81_204}]})

    id: str
    events: int = Field(description="How many events it had.")


class KeyBody(BaseModel):
    """A key, without its secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: str = Field(description="What revokes or rotates it.")
    name: str = Field(description="What people call it.")
    role: Role
    prefix: str = Field(description="Its first characters.")
    last_four: str = Field(description="Its last characters; empty of a key that is older than this field.")
    created_at: datetime | None = None
    revoked_at: datetime | None = Field(None, description="From then on it is refused; null: it works.")


class NewKey(Form):
    """A key to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "write", "name": "iOS app"}]})

    role: Role = Field(description="write: send events; read: ask; admin: everything in the project.")
    name: str = Field("", max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="What people call it, such as who sends with it.")


class MadeKey(KeyBody):
    """A new key, in the only moment when it can be read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_KEY, "key": "wk_Jp3x9…Zk7Q"}]})

    key: str = Field(description="The secret itself.")


class ExplanationBody(BaseModel):
    """What a question will cost."""

    sql: str = Field(description="The statement that would run.")
    rows: int = Field(description="Rows that it will read, as the engine reckons from its index.")
    all_rows: int = Field(description="Rows that the project has.")
    seconds: float | None = Field(description="How long so many rows took lately; null when nothing ran yet.")
    plan: list[str] = Field(description="The engine's plan, line by line.")
    advice: list[str] = Field(description="What would make it read less.")


class KeyEnd(Form):
    """When a key stops."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"grace_hours": 24}]})

    grace_hours: float = Field(0.0, ge=0, le=8784, description=_GRACE)


class Replay(Form):
    """Dead letters to send again."""

    ids: list[str] | None = Field(None, max_length=100_000, description="Which; left out: all that wait.")
    edits: dict[str, str] = Field({}, description="New text of a message by the id of its dead letter.")


class Replayed(BaseModel):
    """What a replay did."""

    replayed: int
    failed: list[dict[str, str]] = Field(description="Those that failed again, with id and reason; they wait on.")


class Discard(Form):
    """Dead letters to give up."""

    ids: list[str] = Field(min_length=1, max_length=100_000, description="Which.")


class Discarded(BaseModel):
    """How many dead letters were given up."""

    discarded: int


class EdgeBody(BaseModel):
    """A merge, and whether it is undone now."""

    edge: str
    undone: bool


class CheckBody(BaseModel):
    """One thing that health looks at."""

    name: str
    ok: bool
    detail: str
    way_out: str = ""


class HealthBody(BaseModel):
    """Whether all is well."""

    status: Literal["green", "red"]
    version: str
    checks: list[CheckBody]
