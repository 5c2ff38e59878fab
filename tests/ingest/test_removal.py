"""A project that was deleted does not come back, whatever was on its way in that moment, and the books of the others close."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from almanac.adapters.catalog_sql import SqlCatalog
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.adapters.schema import TENANT_TABLES
from almanac.core.errors import AlmanacError, Code, unavailable
from almanac.core.event import Event
from almanac.core.sql import Sql
from almanac.ingest.ledger import Ledger
from almanac.ingest.load import Loader
from almanac.ingest.removal import Removal

from .conftest import Bench


class Town:
    """Two projects in a real catalog, and a load that knows which are gone."""

    def __init__(self, store: ClickHouseStore, folder: Path) -> None:
        self.bench = Bench(store, folder)
        # Later than any batch of the other tests: each town has a load of its own, which knows nothing of their numbers.
        self.bench.now = datetime.now(UTC)
        self.catalog = SqlCatalog(str(folder / "catalog.db"))
        # The store is shared by all tests: ids that no other test has.
        self.going = self.catalog.create_project(f"{self.bench.project} going")[0].id
        self.staying = self.catalog.create_project(f"{self.bench.project} staying")[0].id
        self.settled = 0.0
        self.removal = Removal(store, self.catalog, TENANT_TABLES, pause=self._pause)
        self.loader = self.fresh_loader()

    def _pause(self, seconds: float) -> None:
        for project in self.catalog.deleted_projects():
            assert {key.revoked_at is None for key in self.catalog.keys(project)} <= {False}, "its keys stop first"
        self.settled = seconds

    def fresh_loader(self, store: Any = None) -> Loader:
        bench = self.bench
        return Loader(bench.log, store or bench.store, bench.settings, clock=lambda: bench.now, removal=self.removal)

    def event(self, project: str, **fields: Any) -> Event:
        event = self.bench.event(**fields)
        event.project = project
        return event

    def mixed(self) -> list[Event]:
        return [self.event(project, name=f"of {project}", profile={"set": {"x": 1}}) for project in (self.going, self.staying)]

    def left(self, project: str) -> int:
        """Rows of a project in all tables."""
        tables = [Sql(f"SELECT count() FROM {table} WHERE project = {{project:String}}", {"project": project}) for table in TENANT_TABLES]
        return sum(int(self.bench.store.query(table).rows[0][0]) for table in tables)

    def books(self, project: str) -> list[tuple[int, int, int]]:
        rows = Ledger(self.bench.store, self.bench.log).rows(project)
        return [(row.accepted, row.stored, row.gap) for row in rows]


@pytest.fixture
def town(store: ClickHouseStore, tmp_path: Path) -> Town:
    # Deleting takes 0.15 s for each month that a table has, and the laws of other tests have left hundreds.
    for table in ("events", "events_per_hour"):
        store.execute(Sql(f"TRUNCATE TABLE {table}"))
    return Town(store, tmp_path)


def test_lines_of_a_deleted_project_are_left_out_and_the_books_close(town: Town) -> None:
    town.bench.log.add(town.mixed())
    town.loader.drain()
    assert town.removal.remove(town.going) == {"id": town.going, "events": 1}
    assert town.settled > 2, "until no collector takes its keys for valid"
    town.bench.log.add(town.mixed())  # a batch in which the others lie beside it
    assert town.books(town.going) == [(1, 0, 0)], "in flight"
    town.loader.drain()
    town.bench.log.add([town.event(town.going)])  # a batch of nothing else
    town.loader.drain()
    assert (town.left(town.going), town.books(town.going)) == (0, [])
    assert town.books(town.staying) == [(2, 2, 0)]
    assert town.bench.log.waiting == {}


def test_an_unreadable_line_beside_it_changes_nothing(town: Town) -> None:
    town.removal.remove(town.going)
    town.bench.log.add([*town.mixed(), b'["torn'])
    town.loader.drain()
    assert (town.left(town.going), town.books(town.staying)) == (0, [(1, 1, 0)])


class DeletedMeanwhile:
    """A store in which the project is deleted while a batch is on its way into the tables."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._store = town.bench.store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def execute(self, statement: Sql, **given: Any) -> None:
        if "INSERT INTO events\n" in statement.text and self._town.catalog.deleted_projects() == frozenset():
            self._town.removal.remove(self._town.going)
        self._store.execute(statement, **given)


def drain_until_empty(town: Town, loader: Loader) -> None:
    """A deletion is not waited for: some later round sees that it is done."""
    deadline = time.monotonic() + 60
    while town.catalog.deleted_projects(emptied=False) and time.monotonic() < deadline:
        loader.drain()
        time.sleep(0.02)


def test_rows_of_a_batch_that_was_under_way_are_deleted_after_it(town: Town) -> None:
    town.bench.log.add(town.mixed())
    loader = town.fresh_loader(DeletedMeanwhile(town))
    assert loader.run_once()
    drain_until_empty(town, loader)
    assert town.catalog.deleted_projects(emptied=True) == {town.going}
    assert (town.left(town.going), town.books(town.staying)) == (0, [(1, 1, 0)])


def test_a_crash_between_the_catalog_and_the_store_is_made_good_by_the_load(town: Town) -> None:
    town.bench.log.add(town.mixed())
    town.loader.drain()
    town.catalog.delete_project(town.going)
    assert town.left(town.going) > 0
    drain_until_empty(town, town.fresh_loader())
    assert (town.left(town.going), town.books(town.staying)) == (0, [(1, 1, 0)])


def test_a_number_of_a_batch_is_not_given_twice_when_its_rows_left_the_ledger(town: Town) -> None:
    """With a clock that stands: an insert under a number of before would be taken for one that was made already."""
    town.bench.log.add(town.mixed())
    town.loader.drain()
    town.removal.remove(town.going)
    town.removal.remove(town.staying)
    third = town.catalog.create_project(f"{town.bench.project} third")[0].id
    town.bench.log.add([town.event(third)])
    town.fresh_loader().drain()
    assert town.books(third) == [(1, 1, 0)]
    assert town.left(third) > 0


def test_while_the_catalog_is_away_the_load_goes_on_by_what_it_knew(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.removal.remove(town.going)
    town.loader.drain()

    def away(**_: Any) -> Any:
        raise unavailable("The catalog is away.")

    monkeypatch.setattr(town.catalog, "deleted_projects", away)
    assert town.removal.gone() == {town.going}
    town.bench.log.add(town.mixed())
    assert town.loader.run_once()
    assert (town.left(town.going), town.books(town.staying)) == (0, [(1, 1, 0)])
    # One that never knew waits rather than letting the dead come back.
    town.bench.log.add(town.mixed())
    stranger = Removal(town.bench.store, town.catalog, TENANT_TABLES)
    with pytest.raises(AlmanacError) as error:
        Loader(town.bench.log, town.bench.store, town.bench.settings, removal=stranger).run_once()
    assert error.value.code is Code.UNAVAILABLE


def test_a_project_that_is_not_there_cannot_be_deleted(town: Town) -> None:
    for _ in range(2):
        with pytest.raises(AlmanacError) as error:
            town.removal.remove("nothing")
        assert error.value.code is Code.NOT_FOUND
    assert town.catalog.deleted_projects() == frozenset()
