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


_TRIES = 5


class Ledger:
    """Reads the books while the load goes on: the log before and after them, until both say the same."""

    def __init__(self, store: EventStore, reader: EventLogReader) -> None:
        self._store = store
        self._reader = reader

    def rows(self, project: str = "", since: datetime | None = None) -> list[LedgerRow]:
        """Newest hour first; of all projects when `project` is "". While events come in without a pause, the newest hour is as of a moment
        within the call."""
        since = since or datetime(1971, 1, 1, tzinfo=UTC)
        waiting = self._waiting(project, since)
        for _ in range(_TRIES):
            books = self._books(project, since)
            before, waiting = waiting, self._waiting(project, since)
            if before == waiting:
                break
        rows: list[LedgerRow] = []
        for key in sorted(books.keys() | waiting.keys(), key=lambda key: (-key[1].timestamp(), key[0])):
            accepted, stored, duplicate, rejected = books.get(key, (0, 0, 0, 0))
            in_flight = waiting.get(key, 0)
            rows.append(LedgerRow(key[0], key[1], accepted + in_flight, stored, duplicate, rejected, in_flight))
        return rows

    def _books(self, project: str, since: datetime) -> dict[tuple[str, datetime], tuple[int, int, int, int]]:
        of_project = Sql("project = {project:String}", {"project": project}) if project else Sql("1")
        rows = self._store.query(sql(_ROWS, {"since": since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")}, of_project=of_project)).rows
        return {
            (str(name), hour.replace(tzinfo=UTC)): (int(accepted), int(stored), int(duplicate), int(rejected))
            for name, hour, accepted, stored, duplicate, rejected in rows
        }

    def _waiting(self, project: str, since: datetime) -> dict[tuple[str, datetime], int]:
        waiting: dict[tuple[str, datetime], int] = {}
        for tally in self._reader.in_flight():
            hour = datetime.fromtimestamp(tally.hour, UTC)
            if (project and tally.project != project) or hour < since:
                continue
            waiting[tally.project, hour] = waiting.get((tally.project, hour), 0) + tally.accepted
        return waiting
