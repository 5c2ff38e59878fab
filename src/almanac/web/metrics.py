"""Figures for Prometheus. They need no key, so they carry no project's name."""

from __future__ import annotations

import time
from collections import Counter as Counted
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from almanac.core.analysis import registry
from almanac.core.errors import AlmanacError, Code
from almanac.web.rooms import Rooms

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
LEDGER_HOURS: Final = 24
_KEPT: Final = 2.0  # seconds that figures are served again: without a key, asking must cost nothing
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_LOAD: Final = {
    "batches": "Batches loaded.",
    "events": "Events loaded.",
    "duplicates": "Events that came again.",
    "rejected": "Dead letters.",
    "seconds": "Time spent loading.",
    "plan_checked": "Events that a tracking plan judged.",
    "plan_observe": "Events that do not fit their plan, which only counts them.",
    "plan_stamp": "Events that do not fit their plan and were stored with a mark.",
    "plan_reject": "Events that do not fit their plan and became dead letters.",
}

# What collectors count: help, and what it is counted by.
_COUNTED: Final = {
    "requests": ("Requests taken.", "protocol"),
    "events": ("Events accepted.", ""),
    "rejected": ("Events that became dead letters.", "reason"),
    "refused": ("Requests refused.", "status"),
    "bytes": ("Bytes received.", ""),
}
# What is true of collectors now: help, and how several become one figure.
_NOW: Final[dict[tuple[str, str], tuple[str, Callable[[list[float]], float]]]] = {
    ("under_way", "requests"): ("Requests under way.", sum),
    ("under_way", "bytes"): ("Bytes of requests under way.", sum),
    ("log", "open_bytes"): ("Bytes in open pieces of the log.", sum),
    ("log", "waiting_appends"): ("Appends that wait for the disk.", sum),
    ("log", "fsync_seconds_max"): ("Longest time in which the disk made an append durable.", max),
}

log = structlog.get_logger("almanac.web")


class Metrics:
    """All figures of one server, in a registry of its own."""

    def __init__(self, rooms: Rooms) -> None:
        self._registry = CollectorRegistry()
        self._questions = Counter(
            "almanac_questions", "Questions by kind and outcome (ok, or an error's code).", ["kind", "outcome"], registry=self._registry
        )
        self._seconds = Histogram(
            "almanac_question_seconds", "Time from question to answer.", ["kind"], buckets=_SECONDS, registry=self._registry
        )
        self._registry.register(_FromRooms(rooms))
        self._text = b""
        self._text_at = float("-inf")

    def also(self, figures: Collector) -> None:
        """Further figures, read at the moment of scraping."""
        self._registry.register(figures)

    @contextmanager
    def asking(self, question: object) -> Iterator[None]:
        """Counts what happens within as one question."""
        began, outcome = time.perf_counter(), Code.UNAVAILABLE.value
        try:
            yield
            outcome = "ok"
        except AlmanacError as error:
            outcome = error.code.value
            raise
        finally:
            self.asked(question.get("kind") if isinstance(question, Mapping) else None, outcome, time.perf_counter() - began)

    def asked(self, kind: object, outcome: str, seconds: float) -> None:
        """Counts one question. Kinds that don't exist are one label: a caller can't make new ones."""
        label = kind if isinstance(kind, str) and kind in registry() else "unknown"
        self._questions.labels(label, outcome).inc()
        self._seconds.labels(label).observe(seconds)

    def text(self) -> bytes:
        """The Prometheus text form."""
        if time.monotonic() - self._text_at > _KEPT:
            self._text = generate_latest(self._registry)
            self._text_at = time.monotonic()
        return self._text


class _FromRooms(Collector):
    """Figures that the rooms keep themselves, read at the moment of scraping. What can't be read now is left out, and counted as down."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: a registry must not read rooms to be built."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield _gauge("almanac_start_time_seconds", "When the server started, seconds since 1970.", self._rooms.started_at.timestamp())
        down = GaugeMetricFamily("almanac_room_down", "1 when figures of this part cannot be read now.", labels=["room"])
        for name, read in (("ledger", _ledger), ("log", _log), ("load", _load), ("store", _store), ("collectors", _collectors)):
            try:
                families = list(read(self._rooms))
            except AlmanacError as error:
                log.warning("metrics cannot be read", room=name, error=str(error))
                families = []
                down.add_metric([name], 1)
            else:
                down.add_metric([name], 0)
            yield from families
        yield down


def _ledger(rooms: Rooms) -> Iterator[Metric]:
    rows = rooms.ledger.rows("", rooms.clock() - timedelta(hours=LEDGER_HOURS))
    events = GaugeMetricFamily(
        "almanac_ledger_events", f"Events accepted in the last {LEDGER_HOURS} hours, by what became of them.", labels=["state"]
    )
    for state in ("accepted", "stored", "duplicate", "rejected", "in_flight"):
        events.add_metric([state], sum(getattr(row, state) for row in rows))
    yield events
    yield _gauge(
        "almanac_ledger_gap", "Events that the ledger does not account for; anything but 0 is an alert.", sum(abs(row.gap) for row in rows)
    )


def _log(rooms: Rooms) -> Iterator[Metric]:
    if rooms.log is None:
        return
    lag = rooms.log.lag()
    yield _gauge("almanac_log_lag_seconds", "Age of the oldest event that is not loaded.", lag.seconds)
    yield _gauge("almanac_log_lag_bytes", "Bytes in the log that are not loaded.", lag.bytes)
    yield _gauge("almanac_log_lag_events", "Events in the log that are not loaded.", lag.events)


def _load(rooms: Rooms) -> Iterator[Metric]:
    if rooms.loader is None:
        return
    state = rooms.loader.state()
    yield _gauge("almanac_load_failing", "1 while the load fails.", 1 if state.get("failing_since") else 0)
    for name, help_ in _LOAD.items():
        if _is_number(state.get(name)):
            yield _counter(f"almanac_load_{name}", help_, float(state[name]))
    if _is_number(state.get("parts")):
        yield _gauge("almanac_store_parts", "Parts of the events table.", float(state["parts"]))


def _store(rooms: Rooms) -> Iterator[Metric]:
    yield _gauge("almanac_store_memory_bytes", "What the engine holds in memory.", rooms.store.memory_bytes())


def _collectors(rooms: Rooms) -> Iterator[Metric]:
    """Counters by what they are counted by, summed over the collectors; of what is true now, the sum, or the worst."""
    told = rooms.collectors()
    yield _gauge("almanac_collectors", "Collector processes that report.", len(told))
    for name, (help_, label) in _COUNTED.items():
        totals: Counted[str] = Counted()
        for counters in told:
            said = counters.get(name, {})
            totals.update(said if isinstance(said, Mapping) else {"": said})
        if not label:  # events are counted by project: names stay inside
            totals = Counted({"": totals.total()})
        family = CounterMetricFamily(f"almanac_collector_{name}", help_, labels=[label] if label else [])
        for key, number in sorted(totals.items()):
            family.add_metric([key] if label else [], number)
        yield family
    for (part, name), (help_, gathered) in _NOW.items():
        said = [float(counters[part][name]) for counters in told if _is_number(counters.get(part, {}).get(name))]
        if said:
            yield _gauge(f"almanac_collector_{part}_{name}", help_, gathered(said))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _gauge(name: str, help_: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, help_)
    family.add_metric([], value)
    return family


def _counter(name: str, help_: str, value: float) -> Metric:
    family = CounterMetricFamily(name, help_)
    family.add_metric([], value)
    return family
