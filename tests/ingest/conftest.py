"""A log of a few temporary files, a load that reads it, and a clock that stands where a test wants it."""

from __future__ import annotations

import itertools
import json
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.event import LINE_ENCODER, Event
from almanac.core.ports import LogLag, LostSegment, Segment, Tally
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.ingest.agents import Places
from almanac.ingest.load import Loader
from almanac.ingest.load_plan import PlanFile

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
NOW_US = int(NOW.timestamp() * 1e6)
_NUMBERS = itertools.count(1)


class FewFiles:
    """The load's end of a log that holds just the segments that a test put there (`EventLogReader`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.waiting: dict[str, Segment] = {}
        self.gone: list[LostSegment] = []
        self.step: Callable[[], None] = lambda: None  # called before each segment is forgotten

    def add(self, lines: Iterable[Event | bytes]) -> Segment:
        """Seals one segment with these lines; what is no event counts for the project of the first event."""
        lines = list(lines)
        counts: dict[tuple[str, int], int] = {}
        for line in lines:
            key = (line.project, line.received_us // 3_600_000_000 * 3600) if isinstance(line, Event) else ("", 0)
            counts[key] = counts.get(key, 0) + 1
        name = f"test-{next(_NUMBERS):06d}"
        path = self.folder / f"{name}.log"
        path.write_bytes(b"".join((LINE_ENCODER.encode(line) if isinstance(line, Event) else line) + b"\n" for line in lines))
        tallies = tuple(Tally(project, hour, count) for (project, hour), count in sorted(counts.items()) if project)
        self.waiting[name] = Segment(name, path, path.stat().st_size, tallies)
        return self.waiting[name]

    def sealed(self, limit_bytes: int) -> list[Segment]:
        found: list[Segment] = []
        for segment in self.waiting.values():
            if found and sum(one.size for one in found) + segment.size > limit_bytes:
                break
            found.append(segment)
        return found

    def find(self, names: Sequence[str]) -> list[Segment]:
        return [self.waiting[name] for name in names if name in self.waiting]

    def done(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            self.step()
            segment.path.unlink(missing_ok=True)
            self.waiting.pop(segment.name, None)

    def in_flight(self) -> list[Tally]:
        return [tally for segment in self.waiting.values() for tally in segment.tallies]

    def lost(self) -> list[LostSegment]:
        return self.gone

    def lag(self) -> LogLag:
        return LogLag(sum(one.size for one in self.waiting.values()), sum(one.events for one in self.waiting.values()), 0.0)


_FOLDERS: deque[Path] = deque(maxlen=16)  # of the last benches
_NEWEST = [0]  # the highest number of a batch that is known of


def _after_all_others(folder: Path) -> None:
    """A load goes on after the last batch that its folder or the ledger names. Benches share a store and have folders of their own, and a
    deleted project takes its rows of the ledger along: then a number would come twice, and its inserts look made already."""
    _NEWEST[0] = max(_NEWEST[0], *(PlanFile(other / "load").last_batch() for other in _FOLDERS), 0)
    _FOLDERS.append(folder)
    (folder / "load").mkdir(parents=True, exist_ok=True)
    (folder / "load" / "last.json").write_text(json.dumps({"batch": _NEWEST[0], "segments": []}))


class Bench:
    """One project of its own, with a log, a load and the store behind it."""

    def __init__(self, store: ClickHouseStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.project = f"i{next(_NUMBERS)}-{uuid.uuid4().hex[:6]}"
        self.log = FewFiles(folder / "log")
        self.settings = Settings(data=folder)
        _after_all_others(folder)
        self.now = NOW
        self.retention: dict[str, int] = {}
        self.places: Places | None = None
        self.loader = self.fresh_loader()

    def fresh_loader(self, store: Any = None) -> Loader:
        """The load as it is after a restart: nothing in its memory."""
        return Loader(
            self.log,
            store or self.store,
            self.settings,
            places=self.places,
            clock=lambda: self.now,
            retention=lambda: self.retention,
        )

    def event(self, id_: str = "", **fields: Any) -> Event:
        """A plain event of this project, received now. JSON fields may be given as values."""
        for name in ("groups", "properties", "profile", "group_profile", "context", "flags", "rest"):
            if name in fields and not isinstance(fields[name], msgspec.Raw):
                value = fields[name]
                fields[name] = msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode())
        plain: dict[str, Any] = {"kind": "track", "name": "opened", "received_us": NOW_US, "distinct_id": "ann"}
        return Event(**{"project": self.project, "event_id": id_ or str(uuid.uuid4()), **plain, **fields})

    def load(self, *events: Event | bytes) -> None:
        """Seals these as one segment and loads all there is."""
        self.log.add(events)
        self.loader.drain()

    def rows(self, text: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of a statement; `{project:String}` is this project."""
        bound = {"project": self.project, **values}
        return self.store.query(Sql(text, {name: value for name, value in bound.items() if "{" + name + ":" in text})).dicts()

    def value(self, text: str, **values: Any) -> Any:
        """The one value of a statement."""
        rows = self.rows(text, **values)
        assert len(rows) == 1
        assert len(rows[0]) == 1
        return next(iter(rows[0].values()))

    def stored(self) -> list[dict[str, Any]]:
        """All columns of the project's events, by time."""
        return self.rows("SELECT * FROM events WHERE project = {project:String} ORDER BY time, id")

    def one(self, **fields: Any) -> dict[str, Any]:
        """Loads one event and answers its row."""
        event = self.event(**fields)
        self.load(event)
        column = "toString(id) = {id:String} OR id_text = {id:String}"
        rows = self.rows(f"SELECT * FROM events WHERE project = {{project:String}} AND ({column})", id=event.event_id)
        assert len(rows) == 1, self.letters()
        return rows[0]

    def letters(self) -> list[dict[str, Any]]:
        """The project's dead letters."""
        return self.rows("SELECT * FROM dead_letters FINAL WHERE project = {project:String} ORDER BY id")

    def later(self, days: float) -> int:
        """Moves the clock on; answers the time of receipt that events have then."""
        self.now = self.now + timedelta(days=days)
        return int(self.now.timestamp() * 1e6)


@pytest.fixture
def bench(store: ClickHouseStore, tmp_path: Path) -> Bench:
    return Bench(store, tmp_path)


@pytest.fixture
def make_bench(store: ClickHouseStore, tmp_path: Path) -> Callable[[], Bench]:
    """Further benches in one test: for laws, where each example has its own."""
    return lambda: Bench(store, tmp_path / uuid.uuid4().hex)
