"""What the event store promises: reading that changes nothing, walls, limits, statements side by side, one owner."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.errors import AlmanacError, Code
from almanac.core.ports import Limits
from almanac.core.sql import Sql

ADD = (
    "INSERT INTO events (project, event, day, time, time_received, id)"
    " SELECT {p:String}, {e:String}, '2026-03-10', '2026-03-10 12:00:00', '2026-03-10 12:00:00', generateUUIDv4() FROM numbers({n:UInt32})"
)


@pytest.fixture
def project(store: ClickHouseStore) -> str:
    """A project with three events, beside a neighbour with five."""
    name = f"s{uuid.uuid4().hex[:10]}"
    store.execute(Sql(ADD, {"p": name, "e": "mine", "n": 3}))
    store.execute(Sql(ADD, {"p": f"{name}-neighbour", "e": "theirs", "n": 5}))
    return name


def refused(store: ClickHouseStore, text: str, **named: Any) -> AlmanacError:
    with pytest.raises(AlmanacError) as error:
        store.query(Sql(text), **named)
    return error.value


# ------------------------------------------------------------------------------ reading


def test_rows_with_their_columns_and_cost(store: ClickHouseStore, project: str) -> None:
    result = store.query(Sql("SELECT event, count() AS n FROM events WHERE project = {p:String} GROUP BY event", {"p": project}))
    assert result.dicts() == [{"event": "mine", "n": 3}]
    assert [(column.name, column.type) for column in result.columns] == [("event", "LowCardinality(String)"), ("n", "UInt64")]
    assert result.rows_read >= 3
    assert result.bytes_read > 0
    assert result.seconds > 0


@pytest.mark.parametrize(
    "value", ["", "it's", "back\\slash", "{p:String}", "new\nline", "tab\t", "ü😀", "'; DROP TABLE events; --", "\0", "%s"]
)
def test_bound_values_arrive_as_they_are(store: ClickHouseStore, value: str) -> None:
    assert store.query(Sql("SELECT {v:String}", {"v": value})).rows == [(value,)]
    assert store.query(Sql("SELECT {v:Array(String)}", {"v": [value, "x"]})).rows == [([value, "x"],)]
    assert store.query(Sql("SELECT {v:String} AS a, length({v:String}) AS n", {"v": value})).rows[0][1] == len(value.encode())


def test_blocks_are_the_rows_in_pieces(store: ClickHouseStore) -> None:
    text = "SELECT number FROM numbers(300000)"
    blocks = list(store.blocks(Sql(text)))
    assert len(blocks) > 1
    assert [row[0] for block in blocks for row in block.rows] == list(range(300_000))


def test_a_stream_that_is_left_early_harms_nothing_after_it(store: ClickHouseStore) -> None:
    for _ in range(20):
        stream = store.blocks(Sql("SELECT number FROM numbers(1000000)"))
        assert isinstance(stream, Iterator)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        assert store.query(Sql("SELECT 42")).rows == [(42,)]


def test_integers(store: ClickHouseStore) -> None:
    blocks = list(store.integers(Sql("SELECT toUInt64(number) + 18446744073709551000 FROM numbers(600)")))
    assert [int(key) for block in blocks for key in block] == [18446744073709551000 + place for place in range(600)]
    assert sum(len(block) for block in store.integers(Sql("SELECT toUInt64(1) FROM numbers(0)"))) == 0


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO events (project) VALUES ('x')",
        "ALTER TABLE events DELETE WHERE 1",
        "DROP TABLE events",
        "TRUNCATE TABLE events",
        "CREATE TABLE mine (a UInt8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SYSTEM RELOAD DICTIONARY person_of",
    ],
)
def test_reading_can_change_nothing(store: ClickHouseStore, project: str, text: str) -> None:
    count = Sql("SELECT count() FROM events WHERE project = {p:String}", {"p": project})
    assert refused(store, text).code is Code.INVALID
    assert store.query(count).rows == [(3,)]
    store.execute(Sql(ADD, {"p": project, "e": "more", "n": 1}))  # and the writers still write
    assert store.query(count).rows == [(4,)]


# ------------------------------------------------------------------------- tenants' wall

WALLED = [
    "SELECT count() FROM events",
    "SELECT count() FROM default.events",
    "SELECT count() FROM `default`.`events` AS theirs WHERE project LIKE '%neighbour'  OR 1",
    "WITH everything AS (SELECT * FROM events) SELECT count() FROM everything",
    "SELECT count() FROM (SELECT * FROM events UNION ALL SELECT * FROM events WHERE 0)",
    "SELECT (SELECT count() FROM events)",
    "SELECT count() FROM events AS a JOIN (SELECT 1 AS one) AS b ON 1 = b.one",
    "SELECT count() FROM view(SELECT * FROM events)",
    "SELECT countIf(id IN (SELECT id FROM events)) FROM events",
    "SELECT sum(c) FROM (SELECT count() AS c FROM events GROUP BY project)",
]


@pytest.mark.parametrize("text", WALLED)
def test_a_tenant_sees_its_own_rows(store: ClickHouseStore, project: str, text: str) -> None:
    assert store.query(Sql(text), tenant=project).rows == [(3,)]
    assert [row for block in store.blocks(Sql(text), tenant=project) for row in block.rows] == [(3,)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count() FROM events SETTINGS additional_table_filters = {}",
        "SELECT count() FROM (SELECT * FROM events SETTINGS additional_table_filters = {'events': '1'})",
        "SELECT count() FROM merge('default', '^events$')",
        "SELECT count() FROM merge('^events$')",
        "SELECT * FROM mergeTreeIndex('default', 'events')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/hostname')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', default.events)",
        "SELECT * FROM dictionary('person_of')",
        "SELECT * FROM person_of",
        "SELECT * FROM default.person_of",
        "SELECT query FROM system.processes",
        "SELECT * FROM system.parts",
        "SELECT * FROM staging.lines",
        "SELECT * FROM INFORMATION_SCHEMA.tables",
        "SELECT * FROM executable('cat', 'TSV', 'x String')",
        "SELECT 1 IN system.one",
        "SET additional_table_filters = {}",
        "SHOW TABLES",
        "EXPLAIN ESTIMATE SELECT * FROM events",
        "SELECT 1; SELECT count() FROM events",
        "SELECT 1 INTO OUTFILE '/tmp/almanac-was-here.csv'",
        "SELECT 1) INTO OUTFILE '/tmp/almanac-was-here.csv' --",
        "SELECT 1 FORMAT JSON",
        "SELECT (SELECT 1 FROM (SELECT 2) SETTINGS max_threads = 1)",
        "WITH events AS (SELECT * FROM merge('default', 'events')) SELECT * FROM events",
        "INSERT INTO FUNCTION file('/tmp/almanac-was-here.csv') SELECT 1",
        "SELECT * FROM system.numbers LIMIT 1",
        "SELECT 1 WHERE 1 IN schema_migrations",
        "SELECT file('/etc/hostname') AS `a (alias b) (children 1)`",
        "SELECT * FROM person_of AS `events (alias b)`",
        "SELECT * FROM `merge`('default', 'events')",
    ],
)
def test_ways_around_the_wall_are_refused(store: ClickHouseStore, project: str, text: str) -> None:
    """Whatever the statement says."""
    assert refused(store, text, tenant=project).code is Code.INVALID
    with pytest.raises(AlmanacError):
        list(store.blocks(Sql(text), tenant=project))
    assert not Path("/tmp/almanac-was-here.csv").exists()


def test_the_wall_falls_with_its_statement(store: ClickHouseStore, project: str) -> None:
    """The client goes back to the pool without it."""
    count = Sql("SELECT count() FROM events WHERE project LIKE {p:String}", {"p": f"{project}%"})
    for _ in range(10):
        assert store.query(count, tenant=project).rows == [(3,)]
        assert store.query(count).rows == [(8,)]


@pytest.mark.parametrize("tenant", ["it's", "a b", "x\\", "a" * 101, "ü"])
def test_an_id_that_is_none_is_a_mistake_of_the_program(store: ClickHouseStore, tenant: str) -> None:
    with pytest.raises(ValueError, match="not a project's id"):
        store.query(Sql("SELECT 1"), tenant=tenant)


# --------------------------------------------------------------------------------- limits


def test_limits_are_told_as_limits(store: ClickHouseStore) -> None:
    too_long = refused(store, "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1", limits=Limits(seconds=0.3))
    too_much = refused(store, "SELECT groupArray(number) FROM numbers(50000000)", limits=Limits(memory_bytes=32 << 20))
    too_many = refused(store, "SELECT number FROM numbers(2000)", limits=Limits(result_rows=1000))
    for error in (too_long, too_much, too_many):
        assert error.code is Code.LIMITED
        assert error.way_out
        assert "DB::" not in str(error)
    assert store.query(Sql("SELECT count() FROM numbers(1000)"), limits=Limits(result_rows=1000)).rows == [(1000,)]


@pytest.mark.parametrize("text", ["SELEC 1", "SELECT * FROM no_such_table", "SELECT no_such_column FROM events", "SELECT 1 +", ""])
def test_a_statement_that_does_not_work_is_invalid(store: ClickHouseStore, text: str) -> None:
    error = refused(store, text)
    assert error.code is Code.INVALID
    assert "DB::" not in error.message
    assert "version" not in error.message
    assert store.query(Sql("SELECT 1")).rows == [(1,)]


def test_a_slow_statement_does_not_hold_up_a_fast_one(store: ClickHouseStore) -> None:
    slow = Sql("SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1")
    for _ in range(3):
        store.query(Sql("SELECT 1"))
    running = threading.Event()

    def wait() -> None:
        running.set()
        with pytest.raises(AlmanacError):
            store.query(slow, limits=Limits(seconds=2.0, threads=1))

    thread = threading.Thread(target=wait)
    thread.start()
    running.wait()
    time.sleep(0.2)
    began = time.monotonic()
    assert store.query(Sql("SELECT 42")).rows == [(42,)]
    took = time.monotonic() - began
    assert thread.is_alive(), "the slow one was not slow"
    assert took < 1.0
    thread.join()


# ------------------------------------------------------------------------------- changing


def test_a_token_makes_an_insert_once(store: ClickHouseStore, project: str) -> None:
    token = uuid.uuid4().hex
    for _ in range(3):
        store.execute(Sql(ADD, {"p": project, "e": "again", "n": 2}), token=token)
    count = "SELECT count() FROM events WHERE project = {p:String} AND event = 'again'"
    assert store.query(Sql(count, {"p": project})).rows == [(2,)]
    store.execute(Sql(ADD, {"p": project, "e": "again", "n": 2}), token=f"{token}-2")
    assert store.query(Sql(count, {"p": project})).rows == [(4,)]


def test_rows_made_in_python_with_and_without_a_token(store: ClickHouseStore, project: str) -> None:
    columns = ("project", "edge", "undone", "at", "who")
    row = (project, "e", True, "2026-03-10 12:00:00", "it's me")
    store.insert("identity_undone", columns, [(*row[:3], _moment(), row[4])])
    store.insert("identity_undone", columns, [])
    found = store.query(Sql("SELECT edge, undone, who FROM identity_undone WHERE project = {p:String}", {"p": project})).rows
    assert found == [("e", True, "it's me")]
    ledger = ("project", "hour", "batch", "accepted", "stored", "duplicate", "rejected")
    for _ in range(2):
        store.insert("ledger", ledger, [(project, 1_773_144_000, 1, 1, 1, 0, 0)], token=f"{project}:ledger")
    assert store.query(Sql("SELECT count() FROM ledger WHERE project = {p:String}", {"p": project})).rows == [(1,)]


def _moment() -> Any:
    from datetime import datetime

    return datetime(2026, 3, 10, 12, 0)


def test_memory_is_told(store: ClickHouseStore) -> None:
    assert 1 << 20 < store.memory_bytes() < 8 << 30


# ------------------------------------------------------------------------------ one owner

_OPEN = """
import sys
from pathlib import Path
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.errors import AlmanacError
try:
    store = ClickHouseStore.embedded(Path(sys.argv[1]))
except AlmanacError as error:
    print(error.code, error.message)
else:
    print("opened", flush=True)
    sys.stdin.readline()
    store.close()
"""


def test_a_second_process_is_refused_with_the_owners_pid(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", _OPEN, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdin is not None
    assert first.stdout is not None
    with first:
        try:
            assert first.stdout.readline() == "opened\n"
            second = subprocess.run([sys.executable, "-c", _OPEN, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
            assert second.stdout == f"conflict Another process (pid {first.pid}) holds the event store.\n"
            assert os.getpid() != first.pid
        finally:
            first.stdin.write("\n")
            first.stdin.close()
        first.wait(60)
    third = subprocess.run(
        [sys.executable, "-c", _OPEN, str(tmp_path)], input="\n", capture_output=True, text=True, timeout=60, check=False
    )
    assert third.stdout == "opened\n"
