"""The event store on ClickHouse: embedded in this process (chDB) or a server. Two constructors, one class.

One client runs one statement at a time (a 3 s query held up `select 1` on the same client for 2.8 s, on a second one it took 3 ms), so
statements take a client from a pool. Readers and writers never share one: a client whose `readonly` was set stays so.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import clickhouse_connect
import numpy as np
import numpy.typing as npt
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from almanac.adapters import json_by_column, schema
from almanac.adapters.durable import sync_file_system
from almanac.adapters.tenant_wall import refuse_ways_around
from almanac.core.errors import AlmanacError, Code, conflict, limited, unavailable
from almanac.core.event import LOG_COLUMNS
from almanac.core.ports import Column, Limits, Result, Running
from almanac.core.sql import Sql, sql

log = structlog.get_logger(__name__)

# The engine's error codes (its ErrorCodes.cpp) by what they mean to a caller.
_OVER_LIMIT: Final = {
    159: "It ran longer than its time limit.",
    160: "It would run longer than its time limit.",
    241: "It needs more memory than one question may use.",
    307: "It reads more than one question may read.",
    396: "Its result is larger than one question may return.",
    158: "It reads more rows than one question may read.",
}
# Passing troubles: no connection, timeouts, too many parts or queries, no disk space, a file that is being written.
TRANSIENT: Final = frozenset({3, 74, 75, 76, 198, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 319, 364, 425, 999, 1000})

_STOPPED: Final = 394

# Who runs a statement is told by its comment: the embedded engine takes no id of ours.
_RUNNING: Final = """
SELECT Settings['log_comment'], elapsed, read_rows, total_rows_approx
FROM system.processes
WHERE Settings['log_comment'] != ''
"""
_STOP: Final = "KILL QUERY WHERE Settings['log_comment'] = {mark:String} ASYNC"

_FIRST: Final = 1  # the engine's highest priority; its 0 is none at all, which nobody gives way to
_TENANT: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")

# What a statement reads with: JSON paths are Dynamic, and comparing them has to be explicit.
_SESSION: Final[dict[str, Any]] = {
    "allow_experimental_json_type": 1,
    "type_json_skip_duplicated_paths": 1,
    "json_type_escape_dots_in_keys": 1,
    "input_format_json_read_objects_as_strings": 1,
    "input_format_json_read_arrays_as_strings": 1,
    "input_format_json_max_depth": 2000,
    # A text that looks like a date stays a text: else the same property would be of two types, and the text be lost.
    "input_format_try_infer_dates": 0,
    "input_format_try_infer_datetimes": 0,
    "session_timezone": "UTC",
    "join_use_nulls": 0,
    "transform_null_in": 0,
    "enable_dynamic_type": 1,
}

_CONFIG: Final = """<clickhouse>
  <!-- Written at every start. The embedded engine grew to 1.5 GB in 8 minutes without these bounds. -->
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{mark_cache}</mark_cache_size>
  <index_mark_cache_size>8388608</index_mark_cache_size>
  <primary_index_cache_size>33554432</primary_index_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_uncompressed_cache_size>0</index_uncompressed_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <query_condition_cache_size>8388608</query_condition_cache_size>
  <compiled_expression_cache_size>16777216</compiled_expression_cache_size>
  <query_cache><max_size_in_bytes>0</max_size_in_bytes></query_cache>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <max_thread_pool_size>200</max_thread_pool_size>
  <max_thread_pool_free_size>4</max_thread_pool_free_size>
  <backups><allowed_path>/</allowed_path></backups>
</clickhouse>
"""


class ClickHouseStore:
    """Implements `EventStore`."""

    def __init__(
        self, connect: Callable[[], Client], *, replicated: bool, readers: int, lock: IO[str] | None = None, folder: Path | None = None
    ) -> None:
        """`folder`: where an engine in this process keeps its data."""
        self._connect = connect
        self._replicated = replicated
        self._folder = folder
        self._lock = lock
        self._readers = _Pool(lambda: self._client(readonly=True), readers)
        self._writers = _Pool(lambda: self._client(readonly=False), 4)

    @classmethod
    def embedded(cls, folder: Path, *, memory_bytes: int = 1 << 30, clients: int = 8) -> ClickHouseStore:
        """The engine in this process, its data under `folder`. Raises `conflict` when another process holds the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "engine.xml"
        config.write_text(_CONFIG.format(memory=memory_bytes, mark_cache=min(96 << 20, memory_bytes // 10)))
        options = {"config-file": str(config.resolve())}

        lock = _take(folder)

        def connect() -> Client:
            try:
                client: Client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "data"), chdb_options=options)
            except (ClickHouseError, RuntimeError) as error:
                raise _cannot_open(folder, error) from error
            # TRICKY: the client takes the rows of the result for the rows read; the engine knows both.
            client._backend._summary = _read_by_storage  # type: ignore[attr-defined]
            return client

        store = cls(connect, replicated=False, readers=clients, lock=lock, folder=folder)
        try:
            with store._writers.client():
                return store
        except BaseException:
            lock.close()
            raise

    def _client(self, *, readonly: bool) -> Client:
        client = self._connect()
        for name, value in _SESSION.items():
            client.set_client_setting(name, value)
        if readonly:
            client.set_client_setting("readonly", 2)
        return client

    # -------------------------------------------------------------- reading

    def query(self, statement: Sql, *, limits: Limits = Limits(), tenant: str = "", mark: str = "") -> Result:  # noqa: B008 (frozen)
        """See `EventStore.query`."""
        began = time.perf_counter()
        with self._readers.client() as client, _translated():
            _wall(client, statement, tenant)
            answer = client.query(statement.text, parameters=dict(statement.values), settings=_settings(limits, tenant, mark))
        return Result(
            columns=tuple(Column(name, kind.name) for name, kind in zip(answer.column_names, answer.column_types, strict=True)),
            rows=[tuple(row) for row in answer.result_rows],
            rows_read=int(answer.summary.get("read_rows", 0)),
            bytes_read=int(answer.summary.get("read_bytes", 0)),
            seconds=time.perf_counter() - began,
        )

    def running(self) -> list[Running]:
        """See `EventStore.running`."""
        return [Running(str(row[0]), float(row[1]), int(row[2]), int(row[3])) for row in self.query(Sql(_RUNNING)).rows]

    def stop(self, mark: str) -> None:
        """See `EventStore.stop`."""
        self.execute(Sql(_STOP, {"mark": mark}))

    def blocks(self, statement: Sql, *, limits: Limits = Limits(), tenant: str = "", mark: str = "") -> Iterator[Result]:  # noqa: B008
        """See `EventStore.blocks`."""
        with self._readers.client() as client, _translated():
            _wall(client, statement, tenant)
            settings = _settings(limits, tenant, mark)
            stream = client.query_row_block_stream(statement.text, parameters=dict(statement.values), settings=settings)
            with stream:
                source: Any = stream.source
                columns = tuple(Column(name, kind.name) for name, kind in zip(source.column_names, source.column_types, strict=True))
                for block in stream:
                    yield Result(columns=columns, rows=[tuple(row) for row in block])

    def integers(self, statement: Sql) -> Iterator[npt.NDArray[np.uint64]]:
        """See `EventStore.integers`."""
        with self._readers.client() as client, _translated(), client.query_np_stream(statement.text, dict(statement.values)) as stream:
            for block in stream:
                yield block.reshape(-1).astype(np.uint64, copy=False)

    # ------------------------------------------------------------- changing

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, token: str = "") -> None:
        """See `EventStore.insert`."""
        settings = {"insert_deduplication_token": token} if token else {}
        with self._writers.client() as client, _translated():
            client.insert(table, rows, column_names=list(columns), settings=settings)

    def execute(self, statement: Sql, *, token: str = "", settings: dict[str, Any] | None = None) -> None:
        """See `EventStore.execute`."""
        given = dict(settings or {})
        if given or token:  # not of the statements that make tables, whose settings are the table's
            given.setdefault("priority", _FIRST)
        if token:
            # One block, one part a partition: a token names a block, and a block must hold the same rows when the insert is made again.
            given |= {
                "insert_deduplication_token": token,
                "max_insert_threads": 1,
                "min_insert_block_size_rows": 50_000_000,
                "min_insert_block_size_bytes": 0,
            }
        text = statement.text
        if given:
            text += _clause(given)
        with self._writers.client() as client, _translated():
            client.command(text, parameters=dict(statement.values) or None)

    def migrate(self) -> list[str]:
        """See `EventStore.migrate`."""
        engine = Sql("Replicated") if self._replicated else Sql("")
        on_cluster = Sql("ON CLUSTER '{cluster}'") if self._replicated else Sql("")
        self.execute(schema.fill(schema.JOURNAL, engine, on_cluster))
        done = {str(row[0]) for row in self.query(Sql("SELECT DISTINCT name FROM schema_migrations")).rows}
        ran: list[str] = []
        for migration in schema.migrations():
            if migration.name in done:
                continue
            for statement in migration.statements:
                self.execute(schema.fill(statement, engine, on_cluster))
            self.execute(
                Sql(
                    "INSERT INTO schema_migrations (name, phase) VALUES ({name:String}, {phase:String})",
                    {"name": migration.name, "phase": migration.phase},
                )
            )
            ran.append(migration.name)
        return ran

    def load_source(self, paths: Sequence[Path]) -> Sql:
        """See `EventStore.load_source`."""
        names = ",".join(path.name for path in paths)
        folder = paths[0].parent.resolve()
        pattern = f"{folder}/{{{names}}}" if len(paths) > 1 else f"{folder}/{names}"
        structure = ", ".join(f"{name} {kind}" for name, kind in LOG_COLUMNS.items())
        return Sql(
            "file({load_paths:String}, 'JSONCompactEachRow', {load_structure:String})",
            {"load_paths": pattern, "load_structure": structure},
        )

    def by_column(self, rows: Sql, keys: Sequence[str], file: Path) -> tuple[Sql, int] | None:
        """See `EventStore.by_column`."""
        name, kind = json_by_column.new_name(), json_by_column.tuple_type(keys)
        self.execute(
            sql(
                "INSERT INTO FUNCTION file({column_file:String}, 'Native', {column_written:String})"
                " SELECT JSONExtract(properties, {column_type:String}), row FROM ($rows)",
                {"column_file": str(file.resolve()), "column_written": f"`{name}` {kind}, row UInt64", "column_type": kind},
                rows=rows,
            ),
            settings=dict(json_by_column.WRITING),
        )
        count = json_by_column.become_json(file, name, keys)
        read = {"column_file": str(file.resolve()), "column_read": "parsed JSON(max_dynamic_paths = 256), row UInt64"}
        return Sql("file({column_file:String}, 'Native', {column_read:String})", read), count

    def settle(self) -> None:
        """See `EventStore.settle`. The engine leaves it to the system when its files reach the disk. Asking it to wait for each of them
        (`fsync_after_insert`) took 60 ms for the dozen files of one part; one call for the whole file system takes 5 ms."""
        if self._folder is not None:
            sync_file_system(self._folder)

    def backup(self, folder: Path) -> None:
        """See `EventStore.backup`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.execute(Sql("BACKUP DATABASE default TO File({folder:String})", {"folder": str(folder.resolve() / "store")}))

    def restore(self, folder: Path) -> None:
        """Fills an empty store from a backup."""
        self.execute(
            Sql(
                "RESTORE DATABASE default FROM File({folder:String}) SETTINGS allow_different_database_def = true",
                {"folder": str(folder.resolve() / "store")},
            )
        )

    def memory_bytes(self) -> int:
        """See `EventStore.memory_bytes`."""
        rows = self.query(Sql("SELECT value FROM system.metrics WHERE metric = 'MemoryTracking'")).rows
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """See `EventStore.close`."""
        self._readers.close()
        self._writers.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class _Pool:
    """Clients made as they are needed, at most `size` at once; a further caller waits."""

    def __init__(self, make: Callable[[], Client], size: int) -> None:
        self._make = make
        self._free: list[Client] = []
        self._all: list[Client] = []
        self._places = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()

    @contextmanager
    def client(self) -> Iterator[Client]:
        with self._places:
            with self._lock:
                client = self._free.pop() if self._free else None
            if client is None:
                client = self._make()
                with self._lock:
                    self._all.append(client)
            try:
                yield client
            finally:
                with self._lock:
                    self._free.append(client)

    def close(self) -> None:
        with self._lock:
            for client in self._all:
                client.close()
            self._all.clear()
            self._free.clear()


def _clause(settings: dict[str, Any]) -> str:
    """Settings as part of the statement: set around it by the client, each would cost statements of its own (8 ms for six of them)."""
    quoted = {name: str(value).replace("\\", "\\\\").replace("'", "\\'") for name, value in settings.items()}
    return "\nSETTINGS " + ", ".join(f"{name} = '{value}'" for name, value in quoted.items())


def _read_by_storage(result: Any) -> dict[str, str]:
    return {"read_rows": str(result.storage_rows_read()), "read_bytes": str(result.storage_bytes_read())}


def _wall(client: Client, statement: Sql, tenant: str) -> None:
    if tenant:
        refuse_ways_around(statement.text, statement.values, lambda text, values: client.query(text, parameters=dict(values)).result_rows)


def _settings(limits: Limits, tenant: str, mark: str = "") -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_execution_time": limits.seconds,
        "max_memory_usage": limits.memory_bytes,
        "max_bytes_before_external_group_by": limits.memory_bytes // 2,
        "max_bytes_before_external_sort": limits.memory_bytes // 2,
        "max_result_rows": limits.result_rows,
        "result_overflow_mode": "throw",
        "max_threads": limits.threads,
        "priority": limits.priority + _FIRST,
    }
    if mark:
        settings["log_comment"] = mark
    if tenant:
        if not _TENANT.fullmatch(tenant):  # it stands in a text within a text: letters, digits, dashes and underscores only
            raise ValueError(f"not a project's id: {tenant!r}")
        walls = ", ".join(f"'{table}': 'project = \\'{tenant}\\''" for table in schema.TENANT_TABLES)
        settings["additional_table_filters"] = "{" + walls + "}"
    return settings


@contextmanager
def _translated() -> Iterator[None]:
    """Turns the engine's errors into ours; the raw text goes to our log only, and into `__cause__` for the load's decisions."""
    try:
        yield
    except ClickHouseError as error:
        code = error_code(error)
        if code in _OVER_LIMIT:
            raise limited(_OVER_LIMIT[code], way_out="Ask about a shorter range, fewer steps or fewer breakdowns.") from error
        if code == _STOPPED:
            raise conflict("The statement was stopped.", way_out="Ask again if it is still wanted.") from error
        if code in TRANSIENT:
            raise unavailable("The event store cannot answer now; it is tried again.") from error
        raise AlmanacError(Code.INVALID, _plain(str(error)), place="sql") from error


def error_code(error: BaseException) -> int:
    """The engine's number of an error; 0 when it has none."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    match = re.search(r"Code: (\d+)", str(error))
    return int(match.group(1)) if match else 0


def _plain(text: str) -> str:
    text = re.sub(r"Code: \d+\. DB::Exception: ", "", text)
    text = re.sub(r" ?\(version [^)]*\)", "", text)
    text = re.sub(r"[:.] (?:In scope|While processing|while executing).*", ".", text, flags=re.DOTALL)
    return f"The statement does not work: {text.strip()[:400]}"


def _take(folder: Path) -> IO[str]:
    """Holds the folder for this process. The engine locks it too, but its error does not say so."""
    lock = (folder / "owner").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise conflict(
            f"Another process (pid {owner}) holds the event store.",
            place=str(folder),
            way_out="Talk to that process over HTTP, stop it, or choose another --data folder.",
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _cannot_open(folder: Path, error: Exception) -> AlmanacError:
    log.error("store cannot be opened", folder=str(folder), error=str(error))
    free = shutil.disk_usage(folder).free
    return unavailable(f"The event store in {folder} cannot be opened ({free >> 20} MiB of disk free).", way_out="See `almanac doctor`.")
