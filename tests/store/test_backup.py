"""The drill: a backup fills an empty store, which gives the same answers and still knows every message id."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.errors import AlmanacError

# In a process of its own: `make DIR BACKUP` fills a store and backs it up, `fill DIR BACKUP` restores and sends all of it again.
_DRILL = '''
import json, sys
from datetime import UTC, datetime
from pathlib import Path
import msgspec
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.event import LINE_ENCODER, DeadLetter, Event, Merge, dead_letter
from almanac.core.ports import LogLag, Segment, Tally
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.ingest.dead_letters import DeadLetters
from almanac.ingest.identity import Identity
from almanac.ingest.ledger import Ledger
from almanac.ingest.load import Loader

NOW_US = 1773145800000000

clock = lambda: datetime.fromtimestamp(NOW_US / 1e6, UTC)

class Once:
    """A log with one segment."""
    def __init__(self, folder, events):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "one.log"
        path.write_bytes(LINE_ENCODER.encode_lines(events))
        self.left = [Segment(folder.name, path, path.stat().st_size, (Tally("p", NOW_US // 3600000000 * 3600, len(events)),))]
    def sealed(self, limit_bytes): return self.left
    def find(self, names): return self.left
    def done(self, segments): self.left = []
    def in_flight(self): return []
    def lost(self): return []
    def lag(self): return LogLag(0, 0, 0.0)

events = [
    Event("p", f"id-{n}", "track", f"name {n % 3}", NOW_US + n, distinct_id=f"d{n % 7}",
          client_time=f"2026-0{1 + n % 3}-10T12:00:00Z", properties=msgspec.Raw(b'{"n": %d, "plan": "pro"}' % n))
    for n in range(200)
]
events.append(Event("p", "who", "identify", "identify", NOW_US, distinct_id="d1", merges=[Merge("d0", "d1", "identify")],
                    profile=msgspec.Raw(b'{"set": {"plan": "pro"}}')))
events.append(dead_letter("p", NOW_US, DeadLetter("decode", "no_name", "It has no name.", "{}"), "native"))

def answers(store):
    person = Identity(store).person("p")
    asked = {
        "months": "SELECT toYYYYMM(day) AS m, event, count(), uniqExact(" + person.text + ") FROM events WHERE project = {project:String} GROUP BY m, event ORDER BY m, event",
        "sum": "SELECT sum(properties.n.:Int64), groupUniqArray(properties.plan.:String) FROM events",
        "letters": "SELECT id, state, original FROM dead_letters FINAL",
        "edges": "SELECT source, target, how FROM identity_edges",
        "profiles": "SELECT key, property, op, value FROM profile_changes",
        "names": "SELECT event, sum(count) FROM event_names GROUP BY event ORDER BY event",
        "properties": "SELECT DISTINCT event, property, type FROM event_properties ORDER BY ALL",
        "known": "SELECT count(), uniqExact(key) FROM message_ids",
        "migrations": "SELECT name FROM schema_migrations ORDER BY name",
    }
    return {name: json.loads(json.dumps(store.query(Sql(text, {"project": "p"} if "{project" in text else {})).rows, default=str)) for name, text in asked.items()}

what, folder, backup = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
store = ClickHouseStore.embedded(folder / "store")
told = {}
if what == "make":
    store.migrate()
    Loader(Once(folder / "first", events), store, Settings(data=folder), clock=clock).drain()
    told["before"] = answers(store)
    store.backup(backup)
else:
    store.restore(backup)
    told["ran"] = store.migrate()
    told["after"] = answers(store)
    loader = Loader(Once(folder / "again", events + [Event("p", "new", "track", "new", NOW_US, distinct_id="d9")]), store, Settings(data=folder), clock=clock)
    loader.drain()
    told["sent_again"] = [loader.progress.events, loader.progress.duplicates]
    told["count"] = store.query(Sql("SELECT count() FROM events")).rows[0][0]
    told["gaps"] = [row.gap for row in Ledger(store, Once(folder / "none", [])).rows("p")]
print(json.dumps(told))
store.close()
'''  # noqa: E501


def drill(what: str, folder: Path, backup: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _DRILL, what, str(folder), str(backup)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_backup_and_restore(tmp_path: Path) -> None:
    """201 events and one dead letter; restored elsewhere they answer alike; sent again, all but a new one are known."""
    made = drill("make", tmp_path / "here", tmp_path / "backup")
    assert sum(row[2] for row in made["before"]["months"]) == 201
    restored = drill("fill", tmp_path / "there", tmp_path / "backup")
    assert restored["ran"] == []
    assert restored["after"] == made["before"]
    assert restored["sent_again"] == [1, 202]
    assert restored["count"] == 202
    assert restored["gaps"] == [0]


def test_a_backup_does_not_overwrite_another(store: ClickHouseStore, tmp_path: Path) -> None:
    store.backup(tmp_path / "backup")
    with pytest.raises(AlmanacError):
        store.backup(tmp_path / "backup")


def test_a_store_that_is_not_empty_is_not_filled(store: ClickHouseStore, tmp_path: Path) -> None:
    store.backup(tmp_path / "backup")
    with pytest.raises(AlmanacError):
        store.restore(tmp_path / "backup")


def test_no_backup_there(store: ClickHouseStore, tmp_path: Path) -> None:
    with pytest.raises(AlmanacError):
        store.restore(tmp_path / "nothing")
