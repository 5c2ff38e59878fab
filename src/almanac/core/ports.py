"""The promises that adapters keep. Technology names appear only in `almanac.adapters`.

All methods are synchronous unless they say otherwise; a face that runs an event loop crosses to threads once. Every method raises
`AlmanacError` with code `unavailable` when the thing behind it is out of reach for now, and may be repeated then unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from almanac.core.accounts import Accounts
from almanac.core.event import Event
from almanac.core.sql import Sql

# ------------------------------------------------------------------ the log


class EventLogWriter(Protocol):
    """The collector's end of the log."""

    async def append(self, events: Sequence[Event]) -> None:
        """Returns only after all `events` are durable. Raises `unavailable` when the log is full or cannot be written: nothing was kept
        that would be counted, and the sender is to come back."""
        ...

    async def close(self) -> None:
        """Makes durable what is under way and seals it."""
        ...


@dataclass(frozen=True)
class Tally:
    """Accepted events of one project in one hour (UTC, seconds since 1970 of its start), as the collector counted them."""

    project: str
    hour: int
    accepted: int


@dataclass(frozen=True)
class Segment:
    """A sealed piece of the log. `name` is stable over restarts and unique for ever."""

    name: str
    path: Path
    size: int  # bytes
    tallies: tuple[Tally, ...]

    @property
    def events(self) -> int:
        """How many lines it holds."""
        return sum(tally.accepted for tally in self.tallies)


@dataclass(frozen=True)
class LostSegment:
    """A piece of the log that went away before it was loaded. `hour`: when it was begun (UTC, seconds since 1970); `tallies`: the accepted
    events that it held, empty when nobody knows."""

    name: str
    hour: int
    tallies: tuple[Tally, ...]

    @property
    def events(self) -> int:
        """How many accepted events are lost with it; 0 when nobody knows."""
        return sum(tally.accepted for tally in self.tallies)


class EventLogReader(Protocol):
    """The load's end of the log."""

    def sealed(self, limit_bytes: int) -> list[Segment]:
        """The oldest sealed segments, up to about `limit_bytes` in all (at least one, if there is any)."""
        ...

    def find(self, names: Sequence[str]) -> list[Segment]:
        """The segments of these names that are still there."""
        ...

    def done(self, segments: Sequence[Segment]) -> None:
        """These are loaded; they may be forgotten. May be repeated."""
        ...

    def in_flight(self) -> list[Tally]:
        """What is in the log and not `done`: sealed and open segments together."""
        ...

    def lost(self) -> list[LostSegment]:
        """What somebody took away from the log before it was `done`, the oldest first. One that is put back is lost no more."""
        ...

    def lag(self) -> LogLag:
        """How far the load is behind."""
        ...


@dataclass(frozen=True)
class LogLag:
    """Bytes and events not yet loaded, and the age in seconds of the oldest of them (0 when there is none)."""

    bytes: int
    events: int
    seconds: float


# ---------------------------------------------------------------- the store


@dataclass(frozen=True)
class Limits:
    """What one statement may cost. `priority`: 0 is the load's, for which questions (1) and looks at the catalog (2) pause."""

    seconds: float = 60.0
    memory_bytes: int = 1 << 30
    result_rows: int = 1_000_000
    threads: int = 2
    priority: int = 0


@dataclass(frozen=True)
class Column:
    """A column of a result; `type` is the engine's name of the type."""

    name: str
    type: str


@dataclass(frozen=True)
class Result:
    """Rows of a statement, with what reading them cost."""

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    rows_read: int = 0
    bytes_read: int = 0
    seconds: float = 0.0

    def dicts(self) -> list[dict[str, Any]]:
        """The rows as one dict each."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Running:
    """A statement under way. `rows`: about how many it will read in all; 0 when that is not known."""

    mark: str
    seconds: float
    rows_read: int
    rows: int


class EventStore(Protocol):
    """The engine that holds the events. Threads may share one store; statements run side by side, each on a client of its own."""

    def query(self, statement: Sql, *, limits: Limits = Limits(), tenant: str = "", mark: str = "") -> Result:
        """Reads. It can change nothing. With `tenant`, tables of events show that project only, whatever the statement says. `mark`: a name
        of letters and digits, under which it can be seen and stopped.

        Raises `invalid` for a statement that the engine refuses, `limited` when it went over its limits, `conflict` when it was stopped."""
        ...

    def running(self) -> list[Running]:
        """The statements under way that have a mark."""
        ...

    def stop(self, mark: str) -> None:
        """Tells the statements of that mark to end, and returns before they do. Nothing happens when there are none (yet)."""
        ...

    def blocks(self, statement: Sql, *, limits: Limits = Limits(), tenant: str = "", mark: str = "") -> Iterator[Result]:
        """Like `query`, a block of rows at a time, in constant memory. Read it to the end or close it."""
        ...

    def integers(self, statement: Sql) -> Iterator[npt.NDArray[np.uint64]]:
        """The one UInt64 column of a statement, a block at a time."""
        ...

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, token: str = "") -> None:
        """Rows made in Python, into a table of ours. `token` as in `execute`."""
        ...

    def execute(self, statement: Sql, *, token: str = "", settings: dict[str, Any] | None = None) -> None:
        """Changes. With `token`, an insert that was already made under that token into that table does nothing."""
        ...

    def migrate(self) -> list[str]:
        """Brings the schema up to date and names the migrations that it ran. May be repeated."""
        ...

    def load_source(self, paths: Sequence[Path]) -> Sql:
        """A table expression that yields the log lines of these files, with the columns of `LOG_COLUMNS`, and `_file`, the file's name."""
        ...

    def by_column(self, rows: Sql, keys: Sequence[str], file: Path) -> tuple[Sql, int] | None:
        """Parses JSON texts in a fifth of the time that one by one takes. `rows`: a statement with `row` and `properties`, objects whose
        members are values or lists of values, under no other names than `keys`, which are sorted and neither empty nor hold back quotes,
        backslashes or dots. Gives a table expression that reads `file`, with `row` and `parsed` in the same order, and how many rows it
        has; None where the engine cannot."""
        ...

    def settle(self) -> None:
        """Returns when all that was changed before would survive a power cut."""
        ...

    def backup(self, folder: Path) -> None:
        """A consistent copy of everything, to an empty or absent folder."""
        ...

    def restore(self, folder: Path) -> None:
        """Fills an empty store from a backup."""
        ...

    def memory_bytes(self) -> int:
        """What the engine holds in memory now."""
        ...

    def close(self) -> None:
        """Lets go of everything."""
        ...


# -------------------------------------------------------------- the catalog


@dataclass(frozen=True)
class Project:
    """A tenant. `quota` is in events per second (0: none), `retention_days` 0 keeps for ever."""

    id: str
    name: str
    zone: str = "UTC"
    week_start: str = "monday"
    quota: int = 0
    retention_days: int = 0
    created_at: datetime | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Key:
    """A bearer key. `role`: write (send events), read (ask), admin (everything of its project; of all projects when `project` is "").

    It is told apart from others by `name`, and by what is shown of its secret: `prefix`, the first characters, and `last_four` (fewer of
    a short secret, none of a key of an older catalog). From `revoked_at` on it is refused; that may lie ahead, so that senders have the
    time to change to another key.
    """

    role: str
    project: str
    prefix: str
    created_at: datetime | None = None
    id: str = ""
    name: str = ""
    last_four: str = ""
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class Definition:
    """One version of something under a name that questions go by: a metric, a segment, a question. `removed`: with this version the
    name stands for nothing."""

    kind: str
    name: str
    body: dict[str, Any]
    version: int = 0  # 1 for the first
    author: str = ""
    removed: bool = False
    saved_at: datetime | None = None


class Catalog(Protocol):
    """Small things that change by people's hands: projects, keys, definitions, documents; and the people themselves."""

    @property
    def accounts(self) -> Accounts:
        """Who signs in, and what he may do where."""
        ...

    def create_project(self, name: str, *, write_key: str = "", zone: str = "UTC") -> tuple[Project, dict[str, str]]:
        """A new project and its keys by role (`write`, `read`, `admin`), in the only moment when they can be read. Raises `conflict`
        for a taken name or write key."""
        ...

    def projects(self) -> list[Project]:
        """All of them, by name."""
        ...

    def project(self, id_or_name: str) -> Project:
        """Raises `not_found`."""
        ...

    def update_project(self, project: Project) -> None:
        """Stores zone, week start, quota, retention and settings."""
        ...

    def delete_project(self, id_: str) -> None:
        """Removes a project with its keys, documents, definitions, members and invitations, in one step: from then on its keys are not
        known, its name is free again, and its id belongs to nobody for ever, as events under it may still be on their way. Raises
        `not_found`."""
        ...

    def deleted_projects(self, *, emptied: bool | None = None) -> frozenset[str]:
        """Ids of projects that were deleted; only those whose rows are (not) out of the store yet, when asked."""
        ...

    def emptied(self, id_: str) -> None:
        """Notes that a deleted project has no row in the store any more. May be repeated."""
        ...

    def find_key(self, secret: str) -> Key | None:
        """Who this key is, or None. Raises `denied` for a key that is revoked."""
        ...

    def create_key(self, project: str, role: str, *, name: str = "", secret: str = "") -> tuple[Key, str]:
        """A further key, and its secret, which is told only here. Raises `not_found`, `invalid`, and `conflict` for a secret in use."""
        ...

    def keys(self, project: str) -> list[Key]:
        """All keys of a project, revoked ones too, without their secrets; the oldest first."""
        ...

    def revoke_key(self, project: str, id_: str, *, after: float = 0.0) -> Key:
        """Refuses a key from now on, or in `after` seconds; never later than it would be already. Raises `not_found`. May be repeated."""
        ...

    def rotate_key(self, project: str, id_: str, *, after: float = 0.0) -> tuple[Key, str]:
        """A new key with the role and name of that one, which is revoked in `after` seconds; the new secret is told only here. Raises
        `not_found`, and `conflict` for a key that is refused already."""
        ...

    def ensure_admin(self, secret: str = "") -> str:
        """The server's admin key. A given `secret` is made that key, in place of the one given before, and returned. Without one, a key is
        made and returned the first time; later "" is returned, as only its hash is kept."""
        ...

    def save_definition(self, project: str, definition: Definition, *, expected: int | None = None) -> Definition:
        """A further version, with the next number; the newest one when that says the same. Raises `conflict` when the newest is not the
        `expected` one (0: none is there), `not_found` for the project, `invalid` for a name or a body that cannot be kept."""
        ...

    def remove_definition(self, project: str, kind: str, name: str, *, author: str = "") -> bool:
        """The name stands for nothing from now on; its versions stay. False when it stood for nothing."""
        ...

    def definition(self, project: str, kind: str, name: str, *, version: int = 0) -> Definition | None:
        """The newest version, None when it was removed or never was; or that version, whatever came after."""
        ...

    def definitions(self, project: str, kind: str) -> list[Definition]:
        """The newest version of each that is not removed, by name."""
        ...

    def versions(self, project: str, kind: str, name: str) -> list[Definition]:
        """All versions, the newest first."""
        ...

    def definitions_of_all(self, kind: str) -> dict[str, list[Definition]]:
        """As `definitions`, by project, of all projects that have any."""
        ...

    def definitions_state(self, kind: str) -> str:
        """Something that is another when a definition of the kind was saved or removed in any project, or a project that has some deleted.
        Cheap, so that it may be asked for again and again."""
        ...

    def put(self, kind: str, project: str, name: str, body: dict[str, Any]) -> None:
        """Saves a small JSON document (a rule, progress of an import) in place of the one of that name. `project` ""
        stands for the server. Raises `invalid` for a body that JSON cannot carry."""
        ...

    def get(self, kind: str, project: str, name: str) -> dict[str, Any] | None:
        """The document, or None."""
        ...

    def documents(self, kind: str, project: str) -> dict[str, dict[str, Any]]:
        """All documents of a kind, by name."""
        ...

    def documents_of_all(self, kind: str) -> dict[str, dict[str, dict[str, Any]]]:
        """As `documents`, by project, of all projects that have any."""
        ...

    def delete(self, kind: str, project: str, name: str) -> bool:
        """Removes a document; False when there was none."""
        ...

    def close(self) -> None:
        """Lets go of everything."""
        ...


class Cache(Protocol):
    """Answers of a while ago. A miss is never an error."""

    def get(self, key: str) -> bytes | None:
        """None when it is not there (any more)."""
        ...

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keeps `value` for at most `seconds`."""
        ...
