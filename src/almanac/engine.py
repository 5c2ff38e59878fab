"""The life of one question: the same for every kind and for every face. The only caller of `EventStore.query`.

put definitions in the place of names -> validate -> resolve time -> find the definition's hash -> cache -> compile -> wait for a turn ->
estimate -> run -> shape -> receipt
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import structlog

from almanac import people
from almanac.analyses.scope import EventScope
from almanac.asked import Asked, understood
from almanac.core import time as times
from almanac.core.analysis import Compiled, Example, Scope, Shaped, analysis_of, registry
from almanac.core.answer import Answer, plain, row_columns
from almanac.core.errors import AlmanacError, Code, invalid, limited, unavailable
from almanac.core.ports import Cache, Catalog, EventStore, Limits, Result
from almanac.core.printing import printed
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.definitions import Definitions
from almanac.explain import Explanation, advice
from almanac.flights import Flights, Ticket
from almanac.lookups import Lookups
from almanac.people import People
from almanac.questions import Questions
from almanac.stops import Stop, within_reach
from almanac.turns import Turns

log = structlog.get_logger(__name__)

# More rows a second than any question has read on one core (0.3 G/s); what would take longer even so is refused before it starts.
_ROWS_PER_SECOND: Final = 500_000_000
_SIZE_SECONDS: Final = 600
_TELLING_ROWS: Final = 100_000  # of fewer the time says more of the start than of the reading
_SHORT: Final = 0.25  # seconds below which a question need not wait for long ones
_MOST_REMEMBERED: Final = 10_000  # definitions
_KEPT_SECONDS: Final = 86_400.0  # what is over can change by new data only
# A pattern that Python takes and the engine does not, such as a\Z or a{2000}: the one fault of a user that only the engine finds.
_NOT_RE2: Final = re.compile(r"cannot compile re2: (.*?), error: (.*?)\. Look at", re.DOTALL)
# Batches are told last of all that they change. Merges that were undone by hand are in no batch.
_DATA_VERSION: Final = """
SELECT
    (SELECT max(batch) FROM ledger WHERE project = {project:String}),
    (SELECT count() FROM identity_undone WHERE project = {project:String})
"""
_NO_CONSENT_RULE: Final = Sql("1")
_LOGGED: Final = 500  # bytes of a question and of its statement in the log: a line stays below 2 kB
_ADVICE: Final = 3  # sentences in the log, what weighs most
_DESCRIBED_AT_ONCE: Final = 2000  # people; of an export


class Engine:
    """Answers questions. Threads may share one; each call holds at most one of `settings.question_slots` turns."""

    def __init__(
        self,
        store: EventStore,
        catalog: Catalog,
        cache: Cache,
        settings: Settings,
        *,
        person: Callable[[str, datetime | None], Sql],
        watermark: Callable[[str], datetime],
        clock: Callable[[], datetime],
        version: str,
        consent: Callable[[str], Sql] = lambda project: _NO_CONSENT_RULE,
        changes: Callable[[], object] | None = None,
    ) -> None:
        """`person(project, as_of)`: a UInt64 from the columns `project` and `person_hash`. `watermark(project)`: all events received
        before it are in the store. `consent(project)`: a condition that events have to meet. `changes`: another value whenever
        anything in the store may have changed, where this process knows."""
        self._store = store
        self._catalog = catalog
        self._cache = cache
        self._settings = settings
        self._person = person
        self._watermark = watermark
        self.definitions = Definitions(catalog)
        self.lookups = Lookups(store, catalog, person=person, consent=consent, clock=clock)
        self.questions = Questions(store)
        self._flights = Flights()
        self._clock = clock
        self._version = version
        self._consent = consent
        self._changes = changes
        self._data_versions: dict[str, tuple[object, str]] = {}
        self._pace: float | None = None  # rows a second, lately
        self._sizes: dict[str, tuple[int, datetime | None]] = {}
        self._seconds: dict[str, float] = {}  # of definitions: how long they took the last time
        self._awaited = 0
        self._counting = threading.Lock()
        self.turns = Turns(
            settings.question_slots,
            per_project=settings.project_slots or settings.question_slots,
            seconds=settings.queue_seconds,
            waiting_per_project=settings.project_queue,
        )

    def kinds(self) -> list[str]:
        """All kinds of question, by name."""
        return list(registry())

    def examples(self, kind: str) -> Sequence[Example]:
        """Worked examples of a kind. Raises `not_found`."""
        return analysis_of(kind).examples

    @property
    def awaited(self) -> int:
        """How many questions somebody waits for at this moment."""
        return self._awaited

    def same(self, project: str, question: Mapping[str, Any]) -> str:
        """A text that is equal for questions to `project` that mean the same by the same names. Raises `invalid` and `not_found`."""
        asked = self._understand(project, question)
        return json.dumps([asked.project.id, asked.definition, sorted(asked.names.used)])

    def ask(
        self, project: str, question: Mapping[str, Any], *, fresh: bool = False, aside: bool = False, ticket: Ticket | None = None
    ) -> Answer:
        """Answers `question` from the events of `project` (id or name). `fresh`: not from the cache. `aside`: nobody waits for it, so that
        the engine lets other questions go first. `ticket`: the way to stop it.

        Raises `invalid` (naming the field), `not_found`, `limited` (no turn within the queue's time, or too costly), `conflict` (it was
        stopped) and `unavailable`.
        """
        if aside:
            return self._found(project, question, fresh, aside, ticket)
        with self._counting:
            self._awaited += 1
        try:
            return self._found(project, question, fresh, aside, ticket)
        finally:
            with self._counting:
                self._awaited -= 1

    def _found(self, project: str, question: Mapping[str, Any], fresh: bool, aside: bool, ticket: Ticket | None) -> Answer:
        asked = self._understand(project, question, aside=aside)
        if fresh:
            return self._flights.share(uuid.uuid4().hex, lambda stop: self._answered(asked, stop), ticket=ticket)
        key = self._cache_key(asked)

        def work(stop: Stop) -> Answer:
            return self._kept(key, asked.now) or self._answered(asked, stop, key)

        # Many who ask the same at once wait for one answer.
        return self._kept(key, asked.now) or self._flights.share(key, work, ticket=ticket)

    def kept(self, project: str, question: Mapping[str, Any]) -> Answer | None:
        """The answer, if it is kept: at once, without a turn. Raises `invalid` and `not_found` as `ask` does."""
        asked = self._understand(project, question)
        return self._kept(self._cache_key(asked), asked.now)

    def people(
        self,
        project: str,
        question: Mapping[str, Any],
        row: Mapping[str, Any],
        *,
        limit: int = 100,
        after: str = "",
        ticket: Ticket | None = None,
    ) -> People:
        """Who is behind a row of the answer to `question`: how many, and a page of at most `limit` of them, those after the token `after`.
        `ticket`: the way to stop it.

        Raises as `ask`; also `invalid` for a kind whose rows are not made of people, and for a row that the answer cannot have."""
        place, most = people.place_of(after), min(max(1, limit), people.MOST)
        asked, scope, members = self._members(project, question, row)
        watermark = self._watermark(asked.project.id)
        statement = scope.complete(people.page(members.statement, after=place, most=most))
        with self.turns.of(asked.project.id, _own(ticket)):
            self._refuse_excess(asked, members, statement)
            result = self._run(asked, members, statement, ticket)
            total, page = result.rows[0]
            found = self._described(asked, page[:most], ticket)
        if not total:
            people.refuse_foreign(row, self.ask(project, question, ticket=ticket).rows)
        receipt = self._receipt(asked, members, statement, result, watermark) | {"row": dict(row)}
        return People(int(total), found, people.token_of(page[most - 1]) if len(page) > most else "", receipt)

    def everyone(
        self, project: str, question: Mapping[str, Any], row: Mapping[str, Any], *, ticket: Ticket | None = None
    ) -> Iterator[list[dict[str, Any]]]:
        """All people behind a row, some thousand at a time. Raises as `people`, before the first of them is asked for."""
        asked, scope, members = self._members(project, question, row)
        statement = scope.complete(people.everyone(members.statement))
        with self.turns.of(asked.project.id, _own(ticket)):
            self._refuse_excess(asked, members, statement)
            limits = replace(self._limits(members), result_rows=0)
            with self._told(statement), within_reach(self._store, ticket or Stop()) as mark:
                blocks = [
                    np.array(block.rows, dtype=np.uint64).ravel() for block in self._store.blocks(statement, limits=limits, mark=mark)
                ]
        everybody = np.sort(np.concatenate([np.array([], dtype=np.uint64), *blocks]))
        if not len(everybody):
            people.refuse_foreign(row, self.ask(project, question, ticket=ticket).rows)
        return self._in_pieces(asked, everybody)

    def _in_pieces(self, asked: Asked, everybody: npt.NDArray[np.uint64]) -> Iterator[list[dict[str, Any]]]:
        for start in range(0, len(everybody), _DESCRIBED_AT_ONCE):
            with self.turns.of(asked.project.id):
                found = self._described(asked, everybody[start : start + _DESCRIBED_AT_ONCE].tolist())
            yield found

    def _members(self, project: str, question: Mapping[str, Any], row: Any) -> tuple[Asked, EventScope, Compiled]:
        asked = self._understand(project, question)
        checked = people.checked_row(asked.analysis, row)
        scope = self._scope(asked)
        assert asked.analysis.members is not None
        return asked, scope, asked.analysis.members(asked.question, scope, checked)

    def _described(self, asked: Asked, page: Sequence[int], stop: Stop | None = None) -> list[dict[str, Any]]:
        """What is known of these persons by now, whatever the question's range."""
        if not page:
            return []
        merged = people.of_persons(asked.project.id, page, self._person(asked.project.id, asked.as_of))
        whose = self._guarded(merged, self._most(), walled="", stop=stop).rows
        ids, properties = (
            self._guarded(statement, self._most(), walled="", stop=stop).dicts()
            for statement in people.known(asked.project.id, whose, consent=self._consent(asked.project.id))
        )
        return people.described(page, ids, properties)

    def _answered(self, asked: Asked, stop: Stop, key: str = "") -> Answer:
        watermark = self._watermark(asked.project.id)
        scope = self._scope(asked)
        compiled = asked.analysis.compile(asked.question, scope)
        statement = scope.complete(compiled.statement)
        with self.turns.of(asked.project.id, stop, short=self._seconds.get(asked.definition, _SHORT) < _SHORT):
            self._refuse_excess(asked, compiled, statement)
            result = self._run(asked, compiled, statement, stop)
        self._learn(asked, result, statement)
        shaped = asked.analysis.shape(asked.question, cast(Scope, scope), result)
        answer = self._answer(asked, compiled, statement, result, shaped, watermark)
        if key:
            # What a statement of the user's own reads may move with the clock too.
            moving = asked.moving or compiled.walled
            seconds = max(self._settings.cache_seconds, self._settings.cache_stale_seconds) if moving else _KEPT_SECONDS
            self._cache.put(key, json.dumps(answer.as_json()).encode(), seconds=seconds)
        return answer

    def explain(self, project: str, question: Mapping[str, Any]) -> Explanation:
        """What the question will read and how the engine goes about it; it is not answered. Raises as `ask` does."""
        asked = self._understand(project, question)
        scope = self._scope(asked)
        compiled = asked.analysis.compile(asked.question, scope)
        statement = scope.complete(compiled.statement)
        # A user's own statement is not explained: the wall takes plain SELECTs only, and an estimate might run its subqueries.
        rows, plan = self._project_rows(asked), list[str]()
        if not compiled.walled:
            limits = self._limits(compiled)
            with self.turns.of(asked.project.id):
                rows = self._estimate(statement, limits)
                said = self._guarded(Sql(f"EXPLAIN indexes = 1 {statement.text}", statement.values), limits, walled="")
                plan = [str(row[0]) for row in said.rows]
        return Explanation(
            statement=printed(statement),
            rows=rows,
            all_rows=self._project_rows(asked),
            seconds=round(rows / self._pace, 3) if self._pace else None,
            plan=plan,
            advice=advice(asked.question, asked.window, rows, self._project_rows(asked)),
        )

    # ------------------------------------------------------------- the steps

    def _understand(self, project: str, question: Mapping[str, Any], *, aside: bool = False) -> Asked:
        """A wrong question is refused here, by the name of the field, before anything is read."""
        return understood(self._catalog.project(project), question, self.definitions, now=self._clock(), aside=aside)

    def _cache_key(self, asked: Asked) -> str:
        """An answer is given again while nothing new is stored; one whose range ends now, for some seconds at most, as the range moves.
        Operators may allow more age than that."""
        stale = self._settings.cache_stale_seconds
        state = str(int(asked.now.timestamp() // stale)) if stale > 0 else self._data_version(asked.project.id)
        window = "now" if asked.moving else f"{asked.window.start.timestamp()}-{asked.window.end.timestamp()}"
        return f"answer:{self._version}:{asked.project.id}:{asked.definition}:{window}:{state}"

    def _data_version(self, project: str) -> str:
        """Another text whenever something of the project changed in the store. Old events are dropped at the turn of a day."""
        changes = (self._changes(), self._clock().date()) if self._changes else None
        known = self._data_versions.get(project)
        if known and changes and known[0] == changes:
            return known[1]
        said = self._store.query(Sql(_DATA_VERSION, {"project": project})).rows[0]
        version = f"{said[0]}:{said[1]}:{self._clock():%Y%m%d}"
        self._data_versions[project] = (changes, version)
        return version

    def _kept(self, key: str, now: datetime) -> Answer | None:
        kept = self._cache.get(key)
        if kept is None:
            return None
        answer = Answer(**json.loads(kept))
        age = (now - datetime.fromisoformat(answer.receipt["asked_at"])).total_seconds()
        answer.receipt["cache_age"] = max(0.0, age)
        return answer

    def _scope(self, asked: Asked) -> EventScope:
        """The only way to events: this project's, within consent, by the people that its ids belong to."""
        return EventScope(
            asked.project,
            now=asked.now,
            range=asked.window,
            week_start=asked.week_start,
            filters=asked.question.filters,
            person=self._person(asked.project.id, asked.as_of),
            consent=self._consent(asked.project.id),
        )

    def _refuse_excess(self, asked: Asked, compiled: Compiled, statement: Sql) -> None:
        """Better a reason at once than a timeout after a minute in which the host was busy for nothing."""
        most = _ROWS_PER_SECOND * self._settings.question_seconds
        if compiled.walled or self._project_rows(asked) * statement.text.count("FROM events") <= most:
            return  # a user's statement may hold subqueries that an estimate would run; its limits have to do
        rows = self._estimate(statement, self._limits(compiled))
        if rows > most:
            raise limited(
                f"It would read {rows:,} rows, more than can be read in {self._settings.question_seconds:g} s.",
                way_out="Ask about a shorter range, or name the events.",
            )

    def _project_rows(self, asked: Asked) -> int:
        """At most so many rows has the project. Asked rarely: an estimate takes 7 ms, half of what a small question takes."""
        known, since = self._sizes.get(asked.project.id, (0, None))
        if since is None or abs((asked.now - since).total_seconds()) > _SIZE_SECONDS:
            project = Sql("SELECT count() FROM events WHERE project = {project:String} AND time > 0", {"project": asked.project.id})
            known = self._estimate(project, Limits())
            self._sizes[asked.project.id] = (known, asked.now)
        return known

    def _estimate(self, statement: Sql, limits: Limits) -> int:
        plan = self._guarded(Sql(f"EXPLAIN ESTIMATE {statement.text}", statement.values), limits, walled="")
        return sum(int(row["rows"]) for row in plan.dicts())

    def _learn(self, asked: Asked, result: Result, statement: Sql) -> None:
        """How fast rows are read, and how long this question takes; and a word in the log about what took long."""
        with self._counting:
            if len(self._seconds) >= _MOST_REMEMBERED:
                del self._seconds[next(iter(self._seconds))]
            self._seconds[asked.definition] = result.seconds
        if result.rows_read >= _TELLING_ROWS and result.seconds > 0:
            pace = result.rows_read / result.seconds
            self._pace = pace if self._pace is None else 0.8 * self._pace + 0.2 * pace
        if result.seconds >= self._settings.slow_seconds:
            log.warning(
                "slow question",
                project=asked.project.id,
                definition=asked.definition,
                seconds=round(result.seconds, 3),
                rows=result.rows_read,
                advice=advice(asked.question, asked.window, result.rows_read, self._project_rows(asked))[:_ADVICE],
                question=_cut(json.dumps(asked.meant, ensure_ascii=False)),
                sql=_cut(printed(statement)),
            )

    def _run(self, asked: Asked, compiled: Compiled, statement: Sql, stop: Stop | None = None) -> Result:
        limits = self._limits(compiled)
        if asked.aside:
            limits = replace(limits, priority=limits.priority + 1)
        return self._guarded(statement, limits, walled=asked.project.id if compiled.walled else "", stop=stop)

    def _guarded(self, statement: Sql, limits: Limits, *, walled: str, stop: Stop | None = None) -> Result:
        with self._told(statement, walled=bool(walled)):
            if stop is None:
                return self._store.query(statement, limits=limits, tenant=walled)
            with within_reach(self._store, stop) as mark:
                return self._store.query(statement, limits=limits, tenant=walled, mark=mark)

    @contextmanager
    def _told(self, statement: Sql, *, walled: bool = False) -> Iterator[None]:
        """A statement of ours that the engine refuses is our fault: it goes to the log, and the user gets its id."""
        try:
            yield
        except AlmanacError as error:
            if error.code is not Code.INVALID or walled:
                raise
            if wrong := _NOT_RE2.search(error.message):
                raise invalid(f"The regular expression {wrong[1]!r} does not work: {wrong[2]}.", way_out="See RE2's syntax.") from None
            error_id = uuid.uuid4().hex[:12]
            log.error("question failed", error_id=error_id, reason=error.message, sql=printed(statement))
            raise unavailable("The question could not be answered.", way_out="Report it with this id.", error_id=error_id) from error

    def _limits(self, compiled: Compiled) -> Limits:
        most, own = self._most(), compiled.limits
        if own is None:
            return most
        return Limits(
            seconds=min(own.seconds, most.seconds),
            memory_bytes=min(own.memory_bytes, most.memory_bytes),
            result_rows=min(own.result_rows, most.result_rows),
            threads=min(own.threads, most.threads),
            priority=max(own.priority, most.priority),
        )

    def _most(self) -> Limits:
        return Limits(seconds=self._settings.question_seconds, memory_bytes=self._settings.question_memory, priority=1)

    def _answer(self, asked: Asked, compiled: Compiled, statement: Sql, result: Result, shaped: Shaped, watermark: datetime) -> Answer:
        receipt = self._receipt(asked, compiled, statement, result, watermark, shaped.notes)
        rows = [{name: plain(value) for name, value in row.items()} for row in shaped.rows]
        columns = shaped.columns if shaped.columns is not None else row_columns(asked.analysis.row, rows)
        return Answer(asked.analysis.kind, columns, rows, receipt)

    def _receipt(
        self, asked: Asked, compiled: Compiled, statement: Sql, result: Result, watermark: datetime, notes: Sequence[str] = ()
    ) -> dict[str, Any]:
        """It holds all that is needed to check the answer, or to get it again."""
        zone = times.zone_of(asked.window.zone)
        return {
            "definition_hash": asked.definition,
            "question": asked.meant,
            "definitions": [{"kind": kind, "name": name, "version": version} for (kind, name), version in sorted(asked.names.used.items())],
            "sql": printed(statement),
            # A statement of the user's own says itself which times it reads.
            "window": None
            if compiled.walled
            else {
                "from": asked.window.start.astimezone(zone).isoformat(),
                "to": asked.window.end.astimezone(zone).isoformat(),
            },
            "timezone": asked.window.zone,
            "week_start": asked.week_start,
            "as_of": asked.as_of.isoformat() if asked.as_of else None,
            "watermark": watermark.astimezone(UTC).isoformat(),
            "rows_read": result.rows_read,
            "bytes_read": result.bytes_read,
            "seconds": round(result.seconds, 4),
            "exact": not compiled.approximate,
            "approximation": compiled.approximate,
            "cache_age": None,
            "notes": list(notes),
            "asked_at": asked.now.astimezone(UTC).isoformat(),
            "almanac_version": self._version,
        }


def _own(ticket: Ticket | None) -> Ticket | None:
    """Of one whose work nobody shares: what is under way for him is his alone."""
    if ticket is not None:
        ticket.work = ticket
    return ticket


def _cut(text: str) -> str:
    whole = text.encode("utf-8", "replace")
    return text if len(whole) <= _LOGGED else f"{whole[:_LOGGED].decode('utf-8', 'ignore')}… (of {len(whole)} bytes)"
