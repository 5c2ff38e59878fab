"""Is all well? Each check is one function with its finding and its way out; a check that hangs is a finding too.

The answer needs no key, so it names no project, no path and no address.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final

import anyio
import psutil
from anyio import CapacityLimiter, to_thread

from almanac.core.errors import AlmanacError
from almanac.core.ports import Limits
from almanac.core.settings import MIB
from almanac.core.sql import sql
from almanac.ingest.ledger import told_lost
from almanac.web.errors import unforeseen
from almanac.web.reads import instant
from almanac.web.rooms import Rooms

TIME_LIMIT: Final = 3.0  # seconds that one check may take
KEPT: Final = 1.0  # seconds that a finding is served again: without a key, asking must cost nothing
LAG_LIMIT: Final = 60.0  # seconds that the load may be behind
LEDGER_DAYS: Final = 2  # how far back gaps are looked for
SILENCE_LIMIT: Final = 15.0  # seconds without a report of a collector; they report every second
CLOCK_LIMIT: Final = 5.0  # seconds that the clock may have jumped since the start


@dataclass(frozen=True)
class Check:
    """One thing looked at; `way_out` says what to do when it is not ok."""

    name: str
    ok: bool
    detail: str
    way_out: str = ""


class Health:
    """Looks at everything at once, at most once a second."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._limiter = CapacityLimiter(16)
        self._lock = anyio.Lock()
        self._found: list[Check] = []
        self._found_at = float("-inf")
        self._began = (time.monotonic(), rooms.clock())

    async def report(self) -> dict[str, Any]:
        """`status` green or red, and `checks`."""
        async with self._lock:
            if time.monotonic() - self._found_at > KEPT:
                self._found = await self._look()
                self._found_at = time.monotonic()
        green = all(check.ok for check in self._found)
        return {"status": "green" if green else "red", "checks": [asdict(check) for check in self._found]}

    async def _look(self) -> list[Check]:
        checks: dict[str, Callable[[Rooms], Check]] = {
            "store": _store,
            "load": _load,
            "ledger": _ledger,
            "log": _log,
            "collectors": _collectors,
            "disk": _disk,
            "memory": _memory,
            "clock": self._clock,
            "sources": _sources,
        }
        found: dict[str, Check] = {}

        async def one(name: str, check: Callable[[Rooms], Check]) -> None:
            found[name] = Check(name, False, f"No answer within {TIME_LIMIT:g} s.", "Look at the server's load and its log.")
            with anyio.move_on_after(TIME_LIMIT):
                found[name] = await to_thread.run_sync(_safely, name, check, self._rooms, abandon_on_cancel=True, limiter=self._limiter)

        async with anyio.create_task_group() as group:
            for name, check in checks.items():
                group.start_soon(one, name, check)
        return [found[name] for name in checks]

    def _clock(self, rooms: Rooms) -> Check:
        """Event times are corrected by this clock, so that a jump of it is in the numbers."""
        ticks, wall = self._began
        drift = (rooms.clock() - wall).total_seconds() - (time.monotonic() - ticks)
        ok = abs(drift) <= CLOCK_LIMIT
        detail = "It runs evenly." if ok else f"It has jumped by {drift:+.0f} s since the start."
        return Check("clock", ok, detail, "" if ok else "Check that the host's time is synchronised (NTP).")


def _safely(name: str, check: Callable[[Rooms], Check], rooms: Rooms) -> Check:
    try:
        return check(rooms)
    except AlmanacError as error:
        return Check(name, False, error.message, error.way_out)
    except Exception as error:
        told = unforeseen(error, f"/health {name}")
        return Check(name, False, told.message, told.way_out)


def _store(rooms: Rooms) -> Check:
    """The canary: a question over real parts of the events table."""
    began = time.perf_counter()
    statement = sql("SELECT count() FROM (SELECT time_received FROM events LIMIT 1000)")
    rooms.store.query(statement, limits=Limits(seconds=TIME_LIMIT - 0.5, memory_bytes=64 * MIB, threads=1, priority=0))
    return Check("store", True, f"It answers in {1000 * (time.perf_counter() - began):.0f} ms.")


def _load(rooms: Rooms) -> Check:
    if rooms.loader is None:
        return Check("load", True, "Another process loads.")
    state = rooms.loader.state()
    since = state.get("failing_since")
    if since:
        words = f"It has been failing since {since}: {_cause(str(state.get('last_error')))}."
        return Check("load", False, words, "Accepted events wait in the log and are loaded by themselves when the cause is gone.")
    if not state.get("running", True):
        return Check("load", False, "It is not running.", "Restart the server; accepted events wait in the log.")
    return Check("load", True, "It runs.")


def _ledger(rooms: Rooms) -> Check:
    rows = rooms.ledger.rows("", rooms.clock() - timedelta(days=LEDGER_DAYS))
    gaps = [row for row in rows if row.gap]
    if not gaps:
        return Check("ledger", True, f"Every event accepted in the last {LEDGER_DAYS} days is accounted for.")
    first = min(row.hour for row in gaps)
    missing, surplus = sum(row.gap for row in gaps if row.gap > 0), -sum(row.gap for row in gaps if row.gap < 0)
    parts = [f"{missing} accepted events are not accounted for"] * bool(missing)
    parts += [f"{surplus} more events are stored than were accepted"] * bool(surplus)
    cause = _gap_cause(rooms)
    return Check(
        "ledger", False, f"{' and '.join(parts)}, from {instant(first)} on. {cause}", "`almanac ledger` shows the project and the hour."
    )


def _gap_cause(rooms: Rooms) -> str:
    if lost := rooms.log.lost() if rooms.log else []:
        return told_lost(lost)
    state = rooms.loader.state() if rooms.loader else {}
    if state.get("last_error"):
        return f"The load's last error: {_cause(state['last_error'])}."
    return "The load reports no error: a piece of the log may have been removed, or changed by another program."


def _cause(error: str) -> str:
    """An error of the load without the values in it, which belong to a project."""
    words = {
        "no space": "the disk is full",
        "not_enough_space": "the disk is full",
        "memory": "the engine has no memory left",
        "permission": "the data folder may not be written",
        "read-only": "the data folder may not be written",
        "connect": "the event store cannot be reached",
        "timeout": "the event store is too slow",
    }
    known = next((meaning for word, meaning in words.items() if word in error.lower()), "")
    return known or f"an error of type {error.partition(':')[0] or 'unknown'}, which the server's log tells whole"


def _log(rooms: Rooms) -> Check:
    if rooms.log is None:
        return Check("log", True, "Another process loads.")
    if lost := rooms.log.lost():
        way_out = (
            "Put the missing file back from a copy, and it is loaded by itself; `almanac doctor` says where, and what else can be done."
        )
        return Check("log", False, told_lost(lost), way_out)
    lag = rooms.log.lag()
    ok = lag.seconds <= LAG_LIMIT
    detail = f"{lag.events} events ({lag.bytes / MIB:.1f} MiB) wait, the oldest for {lag.seconds:.1f} s."
    return Check("log", ok, detail, "" if ok else "The load does not keep up: see the check `load`, or give it more cores.")


def _collectors(rooms: Rooms) -> Check:
    """They own the public port; what they could not write, their senders still have."""
    now, since = rooms.clock().timestamp(), rooms.started_at.timestamp()
    told = [counters for counters in rooms.collectors() if counters.get("at", now) >= since]  # older ones are of an earlier run
    troubles = [trouble for counters in told if (trouble := counters.get("log", {}).get("last_error"))]
    if troubles:
        return Check("collectors", False, f"The log is not written: {troubles[0]}", "Senders are told to come back; nothing is lost.")
    silent = sum(1 for counters in told if now - counters.get("at", now) > SILENCE_LIMIT)
    if silent:
        detail = f"{silent} of {len(told)} have not reported for {SILENCE_LIMIT:g} s."
        return Check("collectors", False, detail, "Look at the server's log, or restart it.")
    return Check("collectors", True, f"{len(told)} report.")


def _disk(rooms: Rooms) -> Check:
    usage = shutil.disk_usage(rooms.settings.data)
    # Collection stops at the reserve; say so while there is time to act.
    ok = usage.free >= 2 * rooms.settings.disk_reserve
    detail = f"{usage.free // MIB} MiB of {usage.total // MIB} MiB are free."
    return Check(
        "disk", ok, detail, "" if ok else f"Make room: below {rooms.settings.disk_reserve // MIB} MiB senders are told to come back later."
    )


def _sources(rooms: Rooms) -> Check:
    """Files that are fetched by a schedule. One failure is told by the source's state alone; it is tried again by itself."""
    if rooms.importers is None:
        return Check("sources", True, "Another process fetches.")
    count, failing, trouble = rooms.importers.report()
    if trouble:
        return Check("sources", False, f"No source is run: {trouble}.", "Look at the server's log, or restart it.")
    if failing:
        words = f"{failing} of {count} sources of files fail again and again."
        return Check("sources", False, words, "`almanac source list` says why; pause a source that is not to be fetched.")
    return Check("sources", True, f"{count} sources of files are fetched by their schedules." if count else "There is none.")


def _memory(rooms: Rooms) -> Check:
    used, allowed = rooms.store.memory_bytes(), rooms.settings.store_memory
    left = psutil.virtual_memory().available
    detail = f"The engine holds {used // MIB} of {allowed // MIB} MiB; the host has {left // MIB} MiB left."
    if left < 64 * MIB:
        return Check("memory", False, detail, "Give the host more memory, or lower store_memory.")
    if used > 0.95 * allowed:
        return Check("memory", False, detail, "Ask for less at once (question_slots, question_memory), or raise store_memory.")
    return Check("memory", True, detail)
