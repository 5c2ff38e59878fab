"""Sources of files, run by their schedules: each run is a process of its own, so that fetching and decoding take nothing from questions.

A run that fails is tried again after a minute, then two, four and so on, an hour at most; whatever the schedule says, a source that fails
is not asked more often than that. A run that is killed goes on where it was.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from almanac.core.errors import AlmanacError, conflict
from almanac.core.ports import Catalog
from almanac.core.settings import Settings
from almanac.core.source import DOCUMENT, STATE, Files, source_of
from almanac.core.time import zone_of
from almanac.ingest.source_book import is_held

ROUND: Final = 2.0  # seconds between two looks at what is due
SLOTS: Final = 2  # runs at once
FAILING: Final = 3  # failures in a row from which on /health says that somebody has to look
KEPT_RUNS: Final = 20
_LONGEST_WAIT: Final = timedelta(hours=1)
_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG
_STOPPING: Final = 10.0  # seconds that a run gets to end

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Due:
    at: datetime
    project: str
    name: str


class Importers:
    """Starts what is due. Threads may share it."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        clock: Callable[[], datetime],
        *,
        spawn: Callable[[str, str], subprocess.Popen[bytes]] | None = None,
    ) -> None:
        """`spawn(project, name)` starts the process of one run."""
        self._settings = settings
        self._catalog = catalog
        self._clock = clock
        self._spawn = spawn or self._process
        # TRICKY: a run dies with the thread that started it (PR_SET_PDEATHSIG), and threads of requests come and go; this one stays.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="sources-start")
        self._under_way: dict[tuple[str, str], subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._trouble = ""

    def start(self) -> None:
        """Looks every other second from now on."""
        self._thread = threading.Thread(target=self._rounds, name="sources", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it, and the runs under way: they go on next time where they were."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            processes = list(self._under_way.values())
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(_STOPPING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._starter.shutdown()

    def run(self, project: str, name: str) -> None:
        """Starts a run now, whatever the schedule says. Raises `conflict` when one is under way."""
        with self._lock:
            self._reap()
            if self._runs(project, name):
                raise conflict(f"The source {name} is being imported.", place=name, way_out="Wait for it to end.")
            self._under_way[project, name] = self._started(project, name)

    def running(self, project: str, name: str) -> bool:
        """Whether a run is under way, of this server or of a command."""
        with self._lock:
            self._reap()
            return self._runs(project, name)

    def next(self, project: str, name: str, source: Files, state: Mapping[str, Any]) -> datetime | None:
        """When it is run next; None: by hand, or it is paused."""
        if not source.enabled:
            return None
        return due(source, state, self._zone(project), self._clock())

    def report(self) -> tuple[int, int, str]:
        """How many sources of files there are, how many of them have failed again and again, and what keeps them all from being run."""
        states = self._catalog.documents_of_all(STATE)
        sources = self._files()
        bad = [key for key in sources if states.get(key[0], {}).get(key[1], {}).get("failures", 0) >= FAILING]
        alive = self._thread is None or self._thread.is_alive() or self._stopped.is_set()
        return len(sources), len(bad), self._trouble if alive else "the thread that runs them has ended"

    def look(self) -> None:
        """One round: starts what is due, the longest due first."""
        with self._lock:
            self._reap()
        states, now = self._catalog.documents_of_all(STATE), self._clock()
        waiting: list[_Due] = []
        for (project, name), source in self._files().items():
            if source.enabled:
                at = due(source, states.get(project, {}).get(name, {}), self._zone(project), now)
                if at is not None and at <= now:
                    waiting.append(_Due(at, project, name))
        with self._lock:
            for one in sorted(waiting, key=lambda item: item.at):
                if len(self._under_way) >= SLOTS:
                    return
                if not self._runs(one.project, one.name):
                    self._under_way[one.project, one.name] = self._started(one.project, one.name)

    def _rounds(self) -> None:
        while not self._stopped.wait(ROUND):
            try:
                self.look()
                self._trouble = ""
            except AlmanacError as error:
                self._trouble = error.message
            except Exception as error:  # whatever it is, the next round may fare better, and /health tells
                log.exception("sources cannot be looked at")
                self._trouble = f"an error of type {type(error).__name__}, which the server's log tells whole"

    def _files(self) -> dict[tuple[str, str], Files]:
        found: dict[tuple[str, str], Files] = {}
        for project, documents in self._catalog.documents_of_all(DOCUMENT).items():
            for name, document in documents.items():
                try:
                    source = source_of(document["source"])
                except AlmanacError as error:  # kept by another version
                    log.warning("a source cannot be read", project=project, source=name, reason=str(error))
                    continue
                if isinstance(source, Files):
                    found[project, name] = source
        return found

    def _started(self, project: str, name: str) -> subprocess.Popen[bytes]:
        return self._starter.submit(self._spawn, project, name).result()

    def _runs(self, project: str, name: str) -> bool:
        return (project, name) in self._under_way or is_held(self._settings, project, name)

    def _reap(self) -> None:
        for key, process in list(self._under_way.items()):
            code = process.poll()
            if code is None:
                continue
            del self._under_way[key]
            if code:
                self._died(*key, code)

    def _died(self, project: str, name: str, code: int) -> None:
        """A run that could not say itself how it ended."""
        how = f"by signal {-code}" if code < 0 else f"with code {code}; the server's log says why"
        state = self._catalog.get(STATE, project, name) or {}
        now = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        outcome = {
            **state.get("run", {}),
            "ended": now,
            "error": f"The import was ended {how}.",
            "way_out": "It goes on by itself.",
            "now": {},
        }
        if self._catalog.get(DOCUMENT, project, name) is not None:
            self._catalog.put(STATE, project, name, after(state, outcome, retryable=True))

    def _zone(self, project: str) -> str:
        try:
            return self._catalog.project(project).zone
        except AlmanacError:
            return "UTC"

    def _process(self, project: str, name: str) -> subprocess.Popen[bytes]:
        given = {item.name: str(getattr(self._settings, item.name)) for item in fields(self._settings)}
        told = json.dumps({**given, "socket": "", "collector_count": "", "beside": ""})
        command = [sys.executable, "-m", "almanac.app", "source", project, name]
        return subprocess.Popen(
            command, env={**os.environ, "ALMANAC_PROCESS": told}, stdout=subprocess.DEVNULL, preexec_fn=_die_with_parent
        )


def due(source: Files, state: Mapping[str, Any], zone: str, now: datetime) -> datetime | None:
    """When a run is due, which may be past; None: never by itself. `since` of the state is when the source was saved.

    One that goes every so often begins at once; one with times of day waits for the first of them. A run that was cut off goes on at once.
    """
    when, zone_ = source.when, zone_of(zone)
    run = state.get("run", {})
    ended = _moment(run.get("ended"))
    if run and ended is None:
        return now
    if ended is None:
        return now if when.seconds else when.next(_moment(state.get("since")) or now, zone_)
    usual = when.next(ended, zone_)
    failures = int(state.get("failures", 0))
    if not failures:
        return usual
    wait = ended + min(_LONGEST_WAIT, timedelta(minutes=2 ** min(failures - 1, 10)))
    if state.get("retryable", True):
        return wait
    # Trying again changes nothing by itself; by the schedule, as somebody may have mended it over there.
    return max(usual, wait) if usual is not None else None


def after(state: Mapping[str, Any], outcome: Mapping[str, Any], *, retryable: bool) -> dict[str, Any]:
    """The state of a source after a run."""
    failed = bool(outcome.get("error"))
    runs = [{name: value for name, value in outcome.items() if name not in ("now", "errors")}, *state.get("runs", [])][:KEPT_RUNS]
    totals = dict(state.get("totals", {}))
    for name in ("records", "accepted", "rejected"):
        totals[name] = int(totals.get(name, 0)) + int(outcome.get(name, 0))
    failures = int(state.get("failures", 0)) + 1 if failed else 0
    return {**state, "run": dict(outcome), "runs": runs, "failures": failures, "retryable": retryable, "totals": totals}


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
