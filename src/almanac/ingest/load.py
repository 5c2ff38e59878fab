"""The load: from sealed pieces of the log to the events table, each event exactly once.

A batch is a few sealed segments. Its composition is written down (the plan) before the first insert, every insert carries the batch's
token, and the plan goes away last: whatever dies in between, the same batch is made again and changes nothing that was already made.
Each batch is parsed once into a table in memory; everything else reads that table.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import structlog

from almanac.core.ports import EventLogReader, EventStore, Segment
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.ingest.agents import Places
from almanac.ingest.batch import STAGING, Batch
from almanac.ingest.load_plan import BatchPlan, PlanFile
from almanac.ingest.removal import Removal
from almanac.ingest.seen import Seen
from almanac.ingest.statements import statement
from almanac.ingest.tracking_plans import NO_PLANS, Plans, Shelf

log = structlog.get_logger(__name__)

_CATALOG_EVERY: Final = 10.0  # seconds
_UNCATALOGED_US: Final = 600_000_000  # what may have been loaded and not cataloged before the last stop
# Seconds from the start of a batch to that of the next, at least: a batch costs some 60 ms before its first event, so many small ones would
# cost more than they hasten, and at full speed a second one in the same half second takes what the collectors need.
_PACE: Final = 0.25
_FULL_PACE: Final = 0.5
_BUSY_PACE: Final = 0.6
_FULL: Final = 15_000  # events of a batch from which on the full pace holds
_LONGEST_PAUSE: Final = 30.0  # seconds between tries while the store is in trouble
_OLD = "project = {project:String} AND day < {oldest:Date}"
_OLD_MONTHS = f"SELECT DISTINCT toYYYYMM(day) FROM events WHERE {_OLD}"
_DELETE_OLD = f"DELETE FROM events IN PARTITION {{month:String}} WHERE {_OLD}"
_DELETE_OLD_HOURS = f"DELETE FROM events_per_hour IN PARTITION {{month:String}} WHERE {_OLD.replace('day', 'toDate(hour)')}"


@dataclass
class State:
    """What the load is doing, for /health, /metrics and the ledger."""

    batches: int = 0
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    judged: Counter[str] = field(default_factory=Counter[str])  # by plans: checked, and by mode those that do not fit
    seconds: float = 0.0  # spent loading
    last_seconds: float = 0.0
    last_events: int = 0
    last_bytes: int = 0
    last_error: str = ""
    failing_since: datetime | None = None
    tries: int = 0


class Loader:
    """Takes batches one after another. `run_once` may be called from one thread only; `start` runs it in a thread of its own."""

    def __init__(
        self,
        reader: EventLogReader,
        store: EventStore,
        settings: Settings,
        *,
        places: Places | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        after: Callable[[], None] = lambda: None,
        changed: Callable[[Collection[str]], None] = lambda projects: None,
        retention: Callable[[], Mapping[str, int]] = dict,
        removal: Removal | None = None,
        tracking: Shelf | None = None,
    ) -> None:
        """`after` is called after each batch, and then `changed` with the projects that it had events of; `retention` gives the days that
        projects keep their events, where they don't keep all; `removal` knows the projects that are gone, `tracking` the tracking
        plans."""
        self._reader = reader
        self._store = store
        self._settings = settings
        self._places = places
        self._clock = clock
        self._after = after
        self._changed = changed
        self._retention = retention
        self._removal = removal
        self._tracking = tracking
        self._folder = settings.data / "load"
        self._plan_file = PlanFile(self._folder)
        self._seen: Seen | None = None
        self._last_batch = 0
        self._cataloged = 0.0
        self._uncataloged: tuple[int, int] | None = None  # received from and until, microseconds
        self._kept_day: date | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.progress = State()

    # ---------------------------------------------------------------- running

    def start(self) -> None:
        """Loads for as long as the process lives or until `stop`."""
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 20.0) -> None:
        """Ends after the batch under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def drain(self) -> None:
        """Loads until nothing sealed is left."""
        while self.run_once():
            pass
        self._catalog_properties(force=True)

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.is_set():
            try:
                began = time.monotonic()
                worked = self.run_once()
                pause = max(0.0, self._pace() - (time.monotonic() - began)) if worked else 0.03
            except Exception as error:
                # Whatever it is, the log still holds the events: say so, wait, try again, for ever.
                pause = self._failed(error)
            self._stop.wait(pause)

    def _pace(self) -> float:
        if self.progress.last_bytes > self._settings.batch_size // 2:
            return 0.0  # more is waiting
        # A machine that is busy gets time for the collectors: a small batch costs almost what a larger one does.
        return max(_FULL_PACE if self.progress.last_events >= _FULL else _PACE, min(2 * self.progress.last_seconds, _BUSY_PACE))

    def _failed(self, error: Exception) -> float:
        state = self.progress
        state.tries += 1
        state.failing_since = state.failing_since or self._clock()
        cause = error.__cause__ or error
        state.last_error = f"{type(cause).__name__}: {cause}"[:500]
        log.error("load failed, will be tried again", error=state.last_error, tries=state.tries)
        return min(_LONGEST_PAUSE, 0.2 * 2.0 ** min(state.tries, 10))

    def _recovered(self) -> None:
        state = self.progress
        state.last_error, state.failing_since, state.tries = "", None, 0

    def run_once(self) -> bool:
        """Loads one batch, if there is one. Errors mean that it is to be called again; nothing is lost or doubled by them."""
        seen = self._seen if self._seen is not None else self._begin()
        planned = self._begun() or self._next()
        if planned is None:
            self._catalog_properties()
            self._recovered()
            return False
        plan, segments, tracking = planned
        began = time.perf_counter()
        gone = self._removal.gone() if self._removal else frozenset[str]()
        batch = Batch(plan.batch, segments, self._store, self._settings, seen, self._places, self._folder, gone, tracking)
        if segments and not plan.loaded:
            batch.load()
            # The log is on the disk, what the engine wrote perhaps not yet: a power cut after the log has forgotten must lose nothing.
            self._store.settle()
            # From here on segments go one by one: what is left of them must not be taken for the batch.
            self._plan_file.write(replace(plan, loaded=True))
        self._reader.done(segments)
        self._plan_file.done()
        self._last_batch = plan.batch
        if self._tracking and tracking.id:
            self._tracking.tidy(tracking.id)
        self._count(batch, segments, time.perf_counter() - began)
        self._recovered()
        self._after()
        self._changed({tally.project for segment in segments for tally in segment.tallies})
        self._catalog_properties()
        return True

    def _begun(self) -> tuple[BatchPlan, list[Segment], Plans] | None:
        """The batch that was begun before, what is left of it, and the tracking plans that judge it."""
        plan = self._plan_file.begun()
        if plan is None:
            return None
        return plan, self._reader.find(plan.segments), self._tracking.kept(plan.tracking) if self._tracking else NO_PLANS

    def _next(self) -> tuple[BatchPlan, list[Segment], Plans] | None:
        """A batch of what is sealed, written down."""
        segments = self._reader.sealed(self._settings.batch_size)
        if not segments:
            return None
        tracking = self._tracking.current() if self._tracking else NO_PLANS
        if self._tracking and tracking.id:
            self._tracking.keep(tracking)
        number = max(self._last_batch + 1, int(self._clock().timestamp() * 1_000_000))
        plan = BatchPlan(number, [segment.name for segment in segments], tracking=tracking.id)
        self._plan_file.write(plan)
        return plan, segments, tracking

    def _count(self, batch: Batch, segments: Sequence[Segment], seconds: float) -> None:
        if batch.received_us != (0, 0):
            first, last = self._uncataloged or batch.received_us
            self._uncataloged = (min(first, batch.received_us[0]), max(last, batch.received_us[1]))
        state = self.progress
        state.batches += 1
        state.events += batch.stored
        state.duplicates += batch.duplicates
        state.rejected += batch.rejected
        state.judged.update(batch.court.counts)
        state.last_seconds = seconds
        state.last_bytes = sum(segment.size for segment in segments)
        state.last_events = batch.stored + batch.duplicates + batch.rejected
        state.seconds += seconds

    def state(self) -> dict[str, Any]:
        """For /health and /metrics."""
        lag = self._reader.lag()
        state = self.progress
        parts = self._store.query(Sql("SELECT count() FROM system.parts WHERE active AND database = 'default' AND table = 'events'")).rows[
            0
        ][0]
        return {
            "running": self._thread is not None and self._thread.is_alive(),
            "batches": state.batches,
            "events": state.events,
            "duplicates": state.duplicates,
            "rejected": state.rejected,
            **{f"plan_{name}": state.judged[name] for name in ("checked", "observe", "stamp", "reject")},
            "seconds": round(state.seconds, 3),
            "last_seconds": round(state.last_seconds, 3),
            "last_error": state.last_error,
            "failing_since": state.failing_since.isoformat() if state.failing_since else None,
            "tries": state.tries,
            "lag_seconds": lag.seconds,
            "lag_events": lag.events,
            "lag_bytes": lag.bytes,
            "parts": int(parts),
            "remembered_bytes": self._seen.bytes if self._seen else 0,
        }

    # ----------------------------------------------------------- house-keeping

    def _begin(self) -> Seen:
        for text in STAGING:
            self._store.execute(Sql(text))
        # A number that came twice would make an insert look like one that was made already. The ledger alone does not tell:
        # its rows go with a deleted project, and the clock may be set back.
        booked = int(self._store.query(Sql("SELECT max(batch) FROM ledger")).rows[0][0])
        self._last_batch = max(booked, self._plan_file.last_batch())
        newest = int(self._store.query(Sql("SELECT toUnixTimestamp64Micro(max(time_received)) FROM events")).rows[0][0])
        self._uncataloged = (newest - _UNCATALOGED_US, newest)
        seen = Seen()
        for keys in self._store.integers(Sql("SELECT toUInt64(bitAnd(key, 18446744073709551615)) FROM message_ids")):
            seen.add(keys)
        self._seen = seen
        return seen

    def _catalog_properties(self, *, force: bool = False) -> None:
        """Every few seconds: names and types of new events' properties, rows of projects that are gone, ids that may be forgotten."""
        if not force and time.monotonic() - self._cataloged < _CATALOG_EVERY:
            return
        self._cataloged = time.monotonic()
        if self._uncataloged is not None:
            since, until = self._uncataloged
            self._store.execute(statement("load.sql", "properties", {"since": since, "until": until}), settings={"max_threads": 1})
            self._uncataloged = None
        if self._removal:
            self._removal.sweep()
        today = self._clock().date()
        if self._kept_day != today:
            self._forget(today)
            self._kept_day = today

    def _forget(self, today: date) -> None:
        oldest = today - timedelta(days=self._settings.dedup_days)
        for (day,) in self._store.query(Sql("SELECT DISTINCT day FROM message_ids WHERE day < {oldest:Date}", {"oldest": oldest})).rows:
            self._store.execute(Sql("ALTER TABLE message_ids DROP PARTITION {day:String}", {"day": str(day)}))
        for project, days in self._retention().items():
            values = {"project": project, "oldest": today - timedelta(days=days)}
            # Only where there is something, and without waiting: the engine took 0.13 s a part, 30 s for a store of 232 months.
            for (month,) in self._store.query(Sql(_OLD_MONTHS, values)).rows:
                for text in (_DELETE_OLD, _DELETE_OLD_HOURS):
                    self._store.execute(Sql(text, {**values, "month": str(month)}), settings={"lightweight_deletes_sync": 0})
