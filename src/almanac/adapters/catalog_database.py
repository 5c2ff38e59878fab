"""The catalog's database: SQLite or PostgreSQL behind SQLAlchemy, opened lazily, brought up to date, its errors translated."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import NoSuchModuleError as NoDriver

from almanac.core.errors import invalid, unavailable

MIGRATIONS: Final = Path(__file__).parent / "catalog_migrations"
_BUSY_SECONDS: Final = 15.0
_ADVISORY_LOCK: Final = 0x416C6D61  # "Alma": one process at a time changes the schema of a PostgreSQL catalog

_migrating = threading.Lock()  # alembic keeps what it works on in the module


class Database:
    """Connections to one catalog. Threads may share it; nothing is opened before the first use."""

    def __init__(self, address: str) -> None:
        try:
            url = make_url(address) if "://" in address else URL.create("sqlite", database=address)
        except (ArgumentError, ValueError):
            raise invalid("The catalog's address is not one.", place="catalog", way_out="Use postgresql://user:password@host/db.") from None
        if url.drivername in ("postgresql", "postgres"):
            url = url.set(drivername="postgresql+pg8000")
        if url.get_backend_name() not in ("sqlite", "postgresql"):
            raise invalid(f"A catalog cannot be {url.drivername}.", place="catalog", way_out="Use a file, or postgresql://…")
        self._url = url
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        self._watching = threading.Lock()

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with _translated(), self._ready().connect() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that changes; committed at the end, undone by an exception. IntegrityError passes: it tells what is taken."""
        with _translated(), self._ready().execution_options(writes=True).begin() as connection:
            yield connection

    def state(self) -> int | None:
        """Another number whenever anybody changed the database; None where that is not known (PostgreSQL). Costs a hundredth of a read."""
        if self._url.get_backend_name() != "sqlite" or not self._url.database:
            return None
        with _translated():
            self._ready()
        with self._watching, contextlib.suppress(sqlite3.Error):  # what is wrong shows, with its cause, when it is read
            if self._watch is None:
                self._watch = sqlite3.connect(self._url.database, timeout=_BUSY_SECONDS, check_same_thread=False)
            # It tells of what other connections have committed, and this one commits nothing.
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])
        return None

    def close(self) -> None:
        """Closes all connections; the next use opens new ones."""
        with self._watching:
            if self._watch:
                self._watch.close()
                self._watch = None
        with self._opening:
            if self._engine:
                self._engine.dispose()
                self._engine = None

    def _ready(self) -> Engine:
        if self._engine:
            return self._engine
        with self._opening:
            if self._engine is None:
                engine = self._connected()
                try:
                    _bring_up_to_date(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def _connected(self) -> Engine:
        options: dict[str, Any] = {}
        is_sqlite = self._url.get_backend_name() == "sqlite"
        if is_sqlite:
            if self._url.database:
                Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
            options["connect_args"] = {"timeout": _BUSY_SECONDS}
        else:
            options |= {"pool_pre_ping": True, "connect_args": {"timeout": 10}}
        try:
            engine = sa.create_engine(self._url, **options)
        except (ImportError, NoDriver):
            raise invalid(
                "The driver of PostgreSQL is not installed.", place="catalog", way_out="Install almanac with its postgres extra."
            ) from None
        if is_sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver would not for DDL
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # TRICKY: the change to WAL does not wait for another process that makes it in the same moment, whatever the timeout.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts by reading cannot wait for its turn to write, so that those that will write say it at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _bring_up_to_date(engine: Engine) -> None:
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    with engine.connect() as connection:
        if sa.inspect(connection).has_table("alembic_version") and newest == _version(connection):
            return  # alembic is not even imported: a collector process saves 12 MB and 0.1 s
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with _migrating, engine.execution_options(writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise unavailable("The catalog is out of reach.", way_out="Check the catalog's disk or server, then come back.") from error


def plain(value: str) -> str:
    """A text that any database takes as a value; what it changes is in no text that we keep."""
    return value.encode("utf-8", "replace").decode().replace("\0", "?")
