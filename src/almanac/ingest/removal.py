"""The end of a project: its keys stop, its rows leave every table, and what is still on its way never becomes a row.

- First the keys are revoked; once no collector can hold one for valid any more, the project leaves the catalog, and its rows the store.
- Its id belongs to nobody from then on. Lines of the log under it are left out by the load and stand in no book: the books of a project
  go with it, so that what is left of them closes.
- A batch that was under way in that moment may have brought rows after the deletion, and a crash may have come between: the load looks
  after each deleted project until it has seen no row of it. Its own batches leave the project out from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import structlog

from almanac.core.errors import AlmanacError, Code
from almanac.core.ports import Catalog, EventStore
from almanac.core.sql import Sql
from almanac.ingest.keys import KNOWN_SECONDS

log = structlog.get_logger(__name__)

_LONGEST: Final = 300.0  # seconds that a deletion is waited for
_SETTLE: Final = KNOWN_SECONDS + 0.5  # seconds until the last collector has asked for a revoked key again
_LEFT: Final = "SELECT count() FROM (SELECT 1 FROM {table} WHERE project = {{project:String}} LIMIT 1)"
_PARTITIONS: Final = "SELECT DISTINCT _partition_id FROM {table} WHERE project = {{project:String}}"
_DELETE: Final = "ALTER TABLE {table} DELETE IN PARTITION ID {{partition:String}} WHERE project = {{project:String}}"
_UNDER_WAY: Final = "SELECT count() FROM system.mutations WHERE database = 'default' AND table = {table:String} AND NOT is_done"


class Removal:
    """Removes projects, and remembers which are gone. Safe under threads; `sweep` is for the load's thread only."""

    def __init__(
        self,
        store: EventStore,
        catalog: Catalog,
        tables: Iterable[str],
        *,
        forget: Callable[[str], None] = lambda project: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`tables`: those that hold rows of projects. `forget(project)` drops what is kept of it in memory."""
        self._store = store
        self._catalog = catalog
        self._tables = tuple(tables)
        self._forget = forget
        self._pause = pause
        self._gone: frozenset[str] | None = None

    def remove(self, project: str) -> dict[str, Any]:
        """Deletes the project of this id; how many events it had. Raises `not_found`. After an error it can be called again as long as
        the project is there, and the load does the rest when it is not."""
        self._catalog.project(project)
        for key in self._catalog.keys(project):
            self._catalog.revoke_key(project, key.id)
        self._pause(_SETTLE)
        count = Sql("SELECT count() FROM events WHERE project = {project:String}", {"project": project})
        events = int(self._store.query(count).rows[0][0])
        self._catalog.delete_project(project)
        for table in self._left(project):
            # Really deleted, not only hidden until a merge that may never come.
            self._delete(table, project)
        self._await(project)
        self._store.execute(Sql("SYSTEM RELOAD DICTIONARY person_of"))
        self._forget(project)
        return {"id": project, "events": events}

    def gone(self) -> frozenset[str]:
        """Ids of all deleted projects; as they were known last while the catalog is out of reach."""
        try:
            self._gone = self._catalog.deleted_projects()
        except AlmanacError as error:
            if self._gone is None or error.code is not Code.UNAVAILABLE:
                raise
        return self._gone

    def sweep(self) -> None:
        """Between two batches: deletes what came after the deletion, without waiting for it."""
        self.gone()  # what is noted as empty below is left out by the next batch, even when the catalog is out of reach by then
        for project in self._catalog.deleted_projects(emptied=False):
            left = self._left(project)
            for table in left:
                if not self._store.query(Sql(_UNDER_WAY, {"table": table})).rows[0][0]:  # it may be ours
                    self._delete(table, project)
            if not left:
                self._catalog.emptied(project)

    def _left(self, project: str) -> list[str]:
        asked = [(table, Sql(_LEFT.format(table=table), {"project": project})) for table in self._tables]
        return [table for table, statement in asked if self._store.query(statement).rows[0][0]]

    def _delete(self, table: str, project: str) -> None:
        # Only where there is something. The engine takes 0.15 s for each part of the table all the same: 37 s for 250 months.
        for (partition,) in self._store.query(Sql(_PARTITIONS.format(table=table), {"project": project})).rows:
            bound = {"project": project, "partition": str(partition)}
            self._store.execute(Sql(_DELETE.format(table=table), bound), settings={"mutations_sync": 0})

    def _await(self, project: str) -> None:
        """Until its rows are gone. An engine short of memory puts deleting off: then the load sees to it, as after a crash."""
        deadline = time.monotonic() + _LONGEST
        while left := self._left(project):
            if time.monotonic() > deadline:
                log.warning("rows of a deleted project are still being deleted", project=project, tables=left)
                return
            time.sleep(0.02)
