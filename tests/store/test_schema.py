"""The schema is the sum of its migrations. Each store has a process of its own: the engine opens one folder a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from almanac.adapters import schema
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.sql import Sql

_BUILD = """
import json, sys
from pathlib import Path
from almanac.adapters import schema
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.sql import Sql

everything = schema.migrations()
store = ClickHouseStore.embedded(Path(sys.argv[1]))
ran = []
for count in json.loads(sys.argv[2]):
    schema.migrations = lambda: everything[:count]
    ran.append(store.migrate())
tables = [row[0] for row in store.query(Sql("SELECT name FROM system.tables WHERE database = 'default' ORDER BY name")).rows]
shown = {name: store.query(Sql(f"SHOW CREATE TABLE {name}")).rows[0][0] for name in tables}
print(json.dumps({"ran": ran, "shown": shown}))
store.close()
"""


def build(folder: Path, counts: list[int]) -> Any:
    """Migrates a new store in steps: to so many migrations, then to so many."""
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(folder), json.dumps(counts)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_at_once_and_step_by_step_are_the_same(tmp_path: Path) -> None:
    names = [migration.name for migration in schema.migrations()]
    at_once = build(tmp_path / "one", [len(names)])
    stepwise = build(tmp_path / "two", list(range(1, len(names) + 1)))
    assert at_once["ran"] == [names]
    assert stepwise["ran"] == [[name] for name in names]
    assert at_once["shown"] == stepwise["shown"]
    assert set(at_once["shown"]) >= {"events", "message_ids", "ledger", "dead_letters", "schema_migrations"}


def test_migrating_again_does_nothing(store: ClickHouseStore) -> None:
    assert store.migrate() == []
    names = [row[0] for row in store.query(Sql("SELECT name FROM schema_migrations ORDER BY name")).rows]
    assert names == [migration.name for migration in schema.migrations()]


def test_migrations_are_numbered_in_their_order_and_say_when_they_run() -> None:
    found = schema.migrations()
    assert [migration.name[:4] for migration in found] == [f"{number:04d}" for number in range(1, len(found) + 1)]
    assert {migration.phase for migration in found} <= {"before", "after"}
    assert all(migration.statements for migration in found)


def test_on_a_cluster_every_table_is_replicated() -> None:
    """The same text with its two holes filled otherwise; nothing else differs."""
    for migration in schema.migrations():
        for statement in migration.statements:
            text = schema.fill(statement, Sql("Replicated"), Sql("ON CLUSTER '{cluster}'")).text
            assert "${" not in text
            if "CREATE TABLE" in text:
                assert "ON CLUSTER" in text
                assert "ENGINE = Replicated" in text


def test_every_table_with_projects_stands_behind_the_tenants_wall(store: ClickHouseStore) -> None:
    rows = store.query(Sql("SELECT DISTINCT table FROM system.columns WHERE database = 'default' AND name = 'project' ORDER BY table")).rows
    assert {row[0] for row in rows} - {"person_of"} == set(schema.TENANT_TABLES)
