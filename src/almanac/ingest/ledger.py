"""The books: for each project and hour of receipt, accepted = stored + duplicate + rejected + in flight.

`accepted` is what the collectors counted as they answered; `stored`, `duplicate` and `rejected` are what the load counted in the rows
themselves; `in_flight` is what lies in the log. A gap means that something was lost or doubled, and turns /health red.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from almanac.core.ports import EventLogReader, EventStore
from almanac.core.sql import Sql, sql


@dataclass(frozen=True)
class LedgerRow:
    """One project and hour (UTC). Counts of events."""

    project: str
    hour: datetime
    accepted: int
    stored: int
    duplicate: int
    rejected: int
    in_flight: int

    @property
    def gap(self) -> int:
        """Accepted events that are nowhere (positive), or events that nobody accepted (negative). 0 is right."""
        return self.accepted - self.stored - self.duplicate - self.rejected - self.in_flight


_ROWS = """
SELECT project, hour, sum(accepted) AS accepted, sum(stored) AS stored, sum(duplicate) AS duplicate, sum(rejected) AS rejected
FROM ledger
WHERE $of_project AND hour >= {since:DateTime}
GROUP BY project, hour
ORDER BY hour DESC, project
"""


class Ledger:
    """Reads the books. Loading goes on while it reads: `rows` reads the log before the store, and again after it when they disagree."""

    def __init__(self, store: EventStore, reader: EventLogReader) -> None:
        self._store = store
        self._reader = reader

    def rows(self, project: str = "", since: datetime | None = None) -> list[LedgerRow]:
        """Newest hour first; of all projects when `project` is ""."""
        rows = self._balanced(project, since)
        for _ in range(3):
            if not any(row.gap for row in rows):
                break
            rows = self._balanced(project, since)  # a batch went from the log to the books in between
        return rows

    def _balanced(self, project: str, since: datetime | None) -> list[LedgerRow]:
        since = since or datetime(1971, 1, 1, tzinfo=UTC)
        before = self._waiting(project, since)
        of_project = Sql("project = {project:String}", {"project": project}) if project else Sql("1")
        books = self._store.query(sql(_ROWS, {"since": since.replace(tzinfo=None)}, of_project=of_project)).rows
        after = self._waiting(project, since)
        # Only what was there before and after was in flight while the books were read; what is new since is not in them either.
        found: dict[tuple[str, datetime], list[int]] = {}
        for name, hour, *counts in books:
            found[str(name), hour.replace(tzinfo=UTC)] = [int(count) for count in counts]
        rows: list[LedgerRow] = []
        for key in sorted(found.keys() | before.keys() | after.keys(), key=lambda key: (-key[1].timestamp(), key[0])):
            accepted, stored, duplicate, rejected = found.get(key, [0, 0, 0, 0])
            waiting = min(before.get(key, 0), after.get(key, 0)) if before.get(key, 0) != after.get(key, 0) else after.get(key, 0)
            rows.append(LedgerRow(key[0], key[1], accepted + waiting, stored, duplicate, rejected, waiting))
        return rows

    def _waiting(self, project: str, since: datetime) -> dict[tuple[str, datetime], int]:
        waiting: dict[tuple[str, datetime], int] = {}
        for tally in self._reader.in_flight():
            hour = datetime.fromtimestamp(tally.hour, UTC)
            if (project and tally.project != project) or hour < since:
                continue
            waiting[tally.project, hour] = waiting.get((tally.project, hour), 0) + tally.accepted
        return waiting
