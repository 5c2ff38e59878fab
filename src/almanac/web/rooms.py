"""The rooms that faces stand on, and what a face may ask of each. `app.py` fills them in.

The promises here are the smallest ones that faces need, so that a face is tested and understood without the rooms behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from almanac.changes import Changes
from almanac.core.ports import Catalog, EventStore, LogLag, LostSegment
from almanac.core.settings import Settings
from almanac.core.source import Files
from almanac.definitions import Definitions
from almanac.flights import Ticket
from almanac.lookups import Lookups
from almanac.questions import Questions


class AnswerRoom(Protocol):
    """An answer of the engine."""

    def as_json(self) -> Mapping[str, Any]:
        """The one shape that every face sends."""
        ...


class EngineRoom(Protocol):
    """Answers questions."""

    def ask(
        self, project: str, question: Mapping[str, Any], *, fresh: bool = False, aside: bool = False, ticket: Ticket | None = None
    ) -> AnswerRoom:
        """The answer, `fresh` past the cache, `aside` when nobody waits for it. `ticket`: the way to stop it. Raises `invalid`, `limited`,
        `conflict` (it was stopped) and `unavailable`."""
        ...

    @property
    def questions(self) -> Questions:
        """Those under way."""
        ...

    def same(self, project: str, question: Mapping[str, Any]) -> str:
        """A text that is equal for questions that mean the same. Raises `invalid`."""
        ...

    @property
    def awaited(self) -> int:
        """How many questions somebody waits for now."""
        ...

    def kept(self, project: str, question: Mapping[str, Any]) -> AnswerRoom | None:
        """The answer, if it is kept: at once, without a turn. Raises `invalid` and `not_found` as `ask` does."""
        ...

    @property
    def lookups(self) -> Lookups:
        """Values of properties, and people, while somebody chooses."""
        ...

    def explain(self, project: str, question: Mapping[str, Any]) -> ExplanationRoom:
        """What it will read, without asking it. Raises as `ask` does."""
        ...

    def people(
        self,
        project: str,
        question: Mapping[str, Any],
        row: Mapping[str, Any],
        *,
        limit: int = 100,
        after: str = "",
        ticket: Ticket | None = None,
    ) -> AnswerRoom:
        """How many people are behind a row of the answer, and a page of them. Raises the same."""
        ...

    def everyone(
        self, project: str, question: Mapping[str, Any], row: Mapping[str, Any], *, ticket: Ticket | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """All of them, some thousand at a time. Raises the same."""
        ...


class ExplanationRoom(Protocol):
    """What a question costs."""

    def as_json(self) -> Mapping[str, Any]:
        """`sql`, `rows`, `all_rows`, `seconds`, `plan` and `advice`."""
        ...


class LedgerLine(Protocol):
    """What became of the events that one project had accepted in one hour."""

    @property
    def project(self) -> str:
        """The project's id."""
        ...

    @property
    def hour(self) -> datetime:
        """Start of the hour, UTC."""
        ...

    @property
    def accepted(self) -> int:
        """Answered for by a collector."""
        ...

    @property
    def stored(self) -> int:
        """In the events table."""
        ...

    @property
    def duplicate(self) -> int:
        """Sent again under a message id that is stored already."""
        ...

    @property
    def rejected(self) -> int:
        """Dead letters."""
        ...

    @property
    def in_flight(self) -> int:
        """In the log, not loaded yet."""
        ...

    @property
    def gap(self) -> int:
        """What the others don't account for; anything but 0 is an alert."""
        ...


class LedgerRoom(Protocol):
    """Accounts for every accepted event."""

    def rows(self, project: str = "", since: datetime | None = None) -> Sequence[LedgerLine]:
        """Lines by project and hour; all projects with ""; all hours without `since`."""
        ...


class DeadLetterRoom(Protocol):
    """Keeps what could not become an event."""

    def list(self, project: str, *, limit: int, reason: str = "", state: str = "waiting") -> list[dict[str, Any]]:
        """The newest first."""
        ...

    def replay(self, project: str, ids: Sequence[str] | None, *, edits: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """Sends these (all that wait, with None) through the collector's door again, mended by `edits` (id -> new text): `replayed`, how
        many, and `failed`, those that wait on, each with `id` and `reason`."""
        ...

    def discard(self, project: str, ids: Sequence[str] | None) -> int:
        """Puts these away for good; how many."""
        ...


class IdentityRoom(Protocol):
    """Who is who."""

    def edges(self, project: str, distinct_id: str) -> list[dict[str, Any]]:
        """The statements that touch this person: edge, source, target, how, at, state (in force, refused, undone)."""
        ...

    def undo(self, project: str, edge: str) -> None:
        """Takes a merge back. Raises `not_found`."""
        ...

    def redo(self, project: str, edge: str) -> None:
        """Makes an undone merge count again. Raises `not_found`."""
        ...


class RemovalRoom(Protocol):
    """Ends projects."""

    def remove(self, project: str) -> Mapping[str, Any]:
        """Deletes the project of this id and all that is its: `id`, and `events`, how many it had. Raises `not_found`."""
        ...


class ImportersRoom(Protocol):
    """Runs sources of files."""

    def start(self) -> None:
        """By their schedules, from now on."""
        ...

    def stop(self) -> None:
        """No more, and not those under way."""
        ...

    def run(self, project: str, name: str) -> None:
        """Now. Raises `conflict` when it is being run."""
        ...

    def running(self, project: str, name: str) -> bool:
        """Whether it is being run."""
        ...

    def next(self, project: str, name: str, source: Files, state: Mapping[str, Any]) -> datetime | None:
        """When it is run next; None: not by itself."""
        ...

    def report(self) -> tuple[int, int, str]:
        """How many there are, how many fail again and again, and what keeps them all from being run."""
        ...


class LoaderRoom(Protocol):
    """Moves events from the log to the store."""

    def state(self) -> Mapping[str, Any]:
        """running, batches, events, last_error, failing_since, lag_seconds, lag_events, lag_bytes, parts."""
        ...


class LogRoom(Protocol):
    """The load's end of the log."""

    def lost(self) -> Sequence[LostSegment]:
        """What was taken away from it before it was loaded."""
        ...

    def lag(self) -> LogLag:
        """How far the load is behind."""
        ...


@dataclass(frozen=True)
class Rooms:
    """Everything that faces need. `loader` and `log` are None in a process that does not load."""

    engine: EngineRoom
    definitions: Definitions
    store: EventStore
    catalog: Catalog
    ledger: LedgerRoom
    dead_letters: DeadLetterRoom
    identity: IdentityRoom
    removal: RemovalRoom
    loader: LoaderRoom | None
    log: LogRoom | None
    collectors: Callable[[], list[dict[str, Any]]]
    clock: Callable[[], datetime]
    settings: Settings
    version: str
    started_at: datetime
    changes: Changes = field(default_factory=Changes)  # tells whose data changed
    importers: ImportersRoom | None = None
    state: Callable[[], object] = lambda: None  # another value whenever the store may have changed; None where nobody knows
