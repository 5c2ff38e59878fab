"""Settings -> adapters -> rooms. The only file that knows which adapter stands behind which promise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.changes import Changes
from almanac.core.errors import invalid
from almanac.core.event import Event
from almanac.core.ports import Catalog
from almanac.core.settings import Settings

if TYPE_CHECKING:
    from almanac.adapters.clickhouse import ClickHouseStore
    from almanac.engine import Engine
    from almanac.ingest.dead_letters import DeadLetters
    from almanac.ingest.identity import Identity
    from almanac.ingest.ledger import Ledger
    from almanac.ingest.load import Loader
    from almanac.ingest.removal import Removal
    from almanac.web.rooms import Rooms

VERSION = version("almanac")


# ------------------------------------------------------------------ adapters


def open_catalog(settings: Settings) -> SqlCatalog:
    """Projects and keys; the data folder is made if it is not there."""
    settings.data.mkdir(parents=True, exist_ok=True)
    return SqlCatalog(settings.catalog or f"sqlite:///{(settings.data / 'catalog.db').resolve()}")


def open_store(settings: Settings) -> ClickHouseStore:
    """The event store, its schema up to date. Raises `conflict` when another process holds it."""
    from almanac.adapters.clickhouse import ClickHouseStore

    if settings.store:
        raise invalid("Only the embedded store is built in so far.", place="store", way_out="Leave the setting empty.")
    store = ClickHouseStore.embedded(settings.store_folder, memory_bytes=settings.store_memory, clients=settings.question_slots + 4)
    store.migrate()
    return store


def log_writer(settings: Settings, name: str) -> FileLogWriter:
    """An end of the log to write to, under a name that no other process uses. Raises `conflict` for a name in use."""
    if settings.log:
        raise invalid("Only the file log is built in so far.", place="log", way_out="Leave the setting empty.")
    return FileLogWriter(
        settings.log_folder,
        name,
        segment_size=settings.segment_size,
        segment_age=settings.segment_age,
        log_limit=settings.log_limit,
        disk_reserve=settings.disk_reserve,
        clock=_now_us,
    )


def _now_us() -> int:
    return time.time_ns() // 1000


def _now() -> datetime:
    return datetime.now(UTC)


# --------------------------------------------------------------------- rooms


@dataclass(frozen=True)
class Local:
    """Everything of one data folder, opened in this process."""

    settings: Settings
    catalog: SqlCatalog
    store: ClickHouseStore
    reader: FileLogReader
    loader: Loader
    ledger: Ledger
    identity: Identity
    dead_letters: DeadLetters
    removal: Removal
    engine: Engine
    changes: Changes
    state: Callable[[], object]

    def log_writer(self, name: str) -> FileLogWriter:
        """See `log_writer`."""
        return log_writer(self.settings, name)


@contextmanager
def open_local(settings: Settings) -> Iterator[Local]:
    """Opens all rooms. Raises `conflict` when a server runs on this data folder."""
    from almanac.adapters import schema
    from almanac.adapters.cache_memory import MemoryCache
    from almanac.engine import Engine
    from almanac.ingest.agents import open_places
    from almanac.ingest.dead_letters import DeadLetters
    from almanac.ingest.identity import Identity
    from almanac.ingest.ledger import Ledger
    from almanac.ingest.load import Loader
    from almanac.ingest.removal import Removal
    from almanac.ingest.replay import decode, judged
    from almanac.ingest.tracking_plans import Shelf

    places = open_places(settings.geo_file)
    with contextlib.ExitStack() as stack:
        catalog = open_catalog(settings)
        stack.callback(catalog.close)
        store = open_store(settings)
        stack.callback(store.close)
        reader = FileLogReader(settings.log_folder)
        identity = Identity(store)
        removal = Removal(store, catalog, schema.TENANT_TABLES, forget=identity.forget)
        changes = Changes()
        tracking = Shelf(catalog, settings.data / "load")
        loader = Loader(
            reader,
            store,
            settings,
            places=places,
            after=identity.touched,
            changed=changes.tell,
            retention=lambda: _retention(catalog),
            removal=removal,
            tracking=tracking,
        )

        def state() -> object:
            return loader.progress.batches, identity.switches

        engine = Engine(
            store,
            catalog,
            MemoryCache(64 << 20),
            settings,
            person=identity.person,
            watermark=partial(_watermark, reader),
            clock=_now,
            version=VERSION,
            changes=state,
        )
        letters = DeadLetters(store, judged(partial(decode, settings, catalog=catalog), tracking.current), _Appender(settings))
        yield Local(settings, catalog, store, reader, loader, Ledger(store, reader), identity, letters, removal, engine, changes, state)


def rooms_of(local: Local) -> Rooms:
    """What the faces need of these rooms."""
    from almanac.watch.sources import Importers
    from almanac.web.rooms import Rooms

    return Rooms(
        engine=local.engine,
        definitions=local.engine.definitions,
        store=local.store,
        catalog=local.catalog,
        ledger=local.ledger,
        dead_letters=local.dead_letters,
        identity=local.identity,
        removal=local.removal,
        loader=local.loader,
        log=local.reader,
        collectors=partial(_told, local.settings),
        clock=_now,
        settings=local.settings,
        version=VERSION,
        started_at=_now(),
        changes=local.changes,
        state=local.state,
        importers=Importers(local.settings, local.catalog, _now),
    )


@contextmanager
def open_rooms(settings: Settings) -> Iterator[Rooms]:
    """The rooms of a data folder that no server serves, with everything loaded that waits in its log."""
    with open_local(settings) as local:
        local.loader.drain()
        yield rooms_of(local)


def _watermark(reader: FileLogReader, project: str) -> datetime:
    """Everything that was received before this moment is in the store."""
    return _now() - timedelta(seconds=reader.lag().seconds)


def _retention(catalog: Catalog) -> dict[str, int]:
    return {project.id: project.retention_days for project in catalog.projects() if project.retention_days}


class _Appender:
    """Makes events durable from any thread, under a log name of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()

    def __call__(self, events: Sequence[Event]) -> None:
        with self._lock:
            asyncio.run(self._append(events))

    async def _append(self, events: Sequence[Event]) -> None:
        writer = log_writer(self._settings, "replay")
        try:
            await writer.append(events)
        finally:
            await writer.close()


def _told(settings: Settings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for file in sorted((settings.data / "run").glob("collector-*.json")):
        with contextlib.suppress(OSError, ValueError):
            found.append(json.loads(file.read_text()))
    return found
