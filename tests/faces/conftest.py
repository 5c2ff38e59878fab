"""The HTTP faces over real rooms: the embedded engine, the file log, the load, the identity graph, a catalog in SQLite."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from almanac.adapters.cache_memory import MemoryCache
from almanac.adapters.catalog_sql import SqlCatalog
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.adapters.schema import TENANT_TABLES
from almanac.core.event import DeadLetter, Event, Merge, Raw, dead_letter
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.engine import Engine
from almanac.ingest.dead_letters import DeadLetters
from almanac.ingest.identity import Identity
from almanac.ingest.ledger import Ledger
from almanac.ingest.load import Loader
from almanac.ingest.removal import Removal
from almanac.ingest.tracking_plans import Shelf
from almanac.web.rest import create_app
from almanac.web.rooms import Rooms


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Keys:
    """All keys of one project."""

    project: str
    name: str
    write: str
    read: str
    admin: str


@dataclass(frozen=True)
class ByHand:
    """The load as health sees it: it runs, by the hand of the tests."""

    loader: Loader

    def state(self) -> dict[str, Any]:
        return {**self.loader.state(), "running": True}


class House:
    """Everything behind the faces, and the way to send it events."""

    def __init__(self, folder: Path, store: ClickHouseStore) -> None:
        settings = replace(Settings(), data=folder, store_memory=1 << 30, disk_reserve=0)
        settings.log_folder.mkdir(parents=True)
        self.catalog = SqlCatalog(f"sqlite:///{folder / 'catalog.db'}")
        self.server_key = self.catalog.ensure_admin("server-admin-key-of-the-tests")
        reader = FileLogReader(settings.log_folder)
        identity = Identity(store)
        removal = Removal(store, self.catalog, TENANT_TABLES, forget=identity.forget, pause=lambda seconds: None)
        tracking = Shelf(self.catalog, folder / "load", clock=lambda: next(_ids))  # looks at the catalog each time
        self.loader = Loader(reader, store, settings, after=identity.touched, removal=removal, tracking=tracking)
        engine = Engine(
            store,
            self.catalog,
            MemoryCache(1 << 20),
            settings,
            person=identity.person,
            watermark=lambda project: now(),
            clock=now,
            version="test",
        )
        self.rooms = Rooms(
            engine=engine,
            definitions=engine.definitions,
            store=store,
            catalog=self.catalog,
            ledger=Ledger(store, reader),
            dead_letters=DeadLetters(store, self._decode, self._append),
            identity=identity,
            removal=removal,
            loader=ByHand(self.loader),
            log=reader,
            collectors=lambda: [_collector(0), _collector(1)],
            clock=now,
            settings=settings,
            version="test",
            started_at=now(),
        )
        self.client = TestClient(create_app(self.rooms))

    def project(self, name: str) -> Keys:
        made, keys = self.catalog.create_project(name)
        return Keys(made.id, made.name, keys["write"], keys["read"], keys["admin"])

    def send(self, project: str, *events: Mapping[str, Any]) -> None:
        """Through the log and the load, so that they are in every table."""
        self._append([_event(project, event) for event in events])
        self.loader.drain()

    def spoil(self, project: str, original: str) -> None:
        """A message that no collector understands."""
        letter = DeadLetter(stage="decode", reason="no_name", detail="The event has no name.", original=original)
        self._append([dead_letter(project, _micros(), letter, "native")])
        self.loader.drain()

    def _append(self, events: Sequence[Event]) -> None:
        async def append() -> None:
            writer = FileLogWriter(
                self.rooms.settings.log_folder,
                "tests",
                segment_size=1 << 20,
                segment_age=0.05,
                log_limit=1 << 30,
                disk_reserve=0,
                clock=_micros,
            )
            await writer.append(events)
            await writer.close()

        # In a thread of its own: a browser's test runs inside an event loop already.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(append())).result()

    def _decode(self, project: str, protocol: str, original: str) -> Sequence[Event]:
        """As the collector would: an object with a name is an event."""
        try:
            return [_event(project, json.loads(original))]
        except (ValueError, KeyError):
            letter = DeadLetter(stage="decode", reason="no_name", detail="The event has no name.", original=original)
            return [dead_letter(project, _micros(), letter, protocol)]


def _collector(number: int) -> dict[str, Any]:
    """What a collector process tells of itself."""
    return {
        "collector": number,
        "pid": 7,
        "at": time.time(),
        "requests": {"segment": 3},
        "events": {"shop": 2, "other": 1},
        "rejected": {"no_name": 1},
        "refused": {"401": 4},
        "bytes": 10,
        "under_way": {"requests": number, "bytes": 0},
        "log": {"open_bytes": 5, "waiting_appends": 0, "last_error": "", "fsync_seconds_last": 0.1, "fsync_seconds_max": 0.5 + number},
    }


def _micros() -> int:
    return time.time_ns() // 1000


_ids = iter(range(10**9))


def _event(project: str, event: Mapping[str, Any]) -> Event:
    anonymous = str(event.get("anonymous_id", ""))
    who = str(event.get("distinct_id", ""))
    return Event(
        project=project,
        event_id=str(event.get("id", f"m{next(_ids)}")),
        kind="track",
        name=event["event"],
        received_us=_micros(),
        client_time=str(event.get("time", "")),
        distinct_id=who,
        anonymous_id=anonymous,
        merges=[Merge(anonymous, who, "identify")] if anonymous else [],
        properties=Raw(json.dumps(event.get("properties", {})).encode()),
        profile=Raw(json.dumps(event.get("profile", {})).encode()),
    )


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, store: ClickHouseStore) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"), store)
    yield house
    house.client.close()
    house.catalog.close()


@pytest.fixture(scope="module", autouse=True)
def own_books(store: ClickHouseStore) -> None:
    """Tests of the load leave gaps in the books of the store that they share with these, on purpose; /health would be red for them."""
    store.execute(Sql("TRUNCATE TABLE ledger"))
