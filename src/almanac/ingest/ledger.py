"""The books: for each project and hour of receipt, accepted = stored + duplicate + rejected + in flight.

`accepted` is what the collectors counted as they answered; `stored`, `duplicate` and `rejected` are what the load counted in the rows
themselves; `in_flight` is what lies in the log. What somebody took away
from the log before it was loaded was accepted too. A gap means that something was lost or doubled, and turns /health red.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from almanac.core.ports import EventLogReader, EventStore, LostSegment, Tally
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
_Counts = dict[tuple[str, datetime], int]


class Ledger:
    """Reads the books while the load goes on: the log before and after them, until both say the same."""

    def __init__(self, store: EventStore, reader: EventLogReader) -> None:
        self._store = store
        self._reader = reader

    def rows(self, project: str = "", since: datetime | None = None) -> list[LedgerRow]:
        """Newest hour first; of all projects when `project` is "". While events come in without a pause, the newest hour is as of a moment
        within the call."""
        since = since or datetime(1971, 1, 1, tzinfo=UTC)
        waiting, lost = self._log(project, since)
        for _ in range(_TRIES):
            books = self._books(project, since)
            before, (waiting, lost) = (waiting, lost), self._log(project, since)
            if before == (waiting, lost):
                break
        rows: list[LedgerRow] = []
        for key in sorted(books.keys() | waiting.keys() | lost.keys(), key=lambda key: (-key[1].timestamp(), key[0])):
            accepted, stored, duplicate, rejected = books.get(key, (0, 0, 0, 0))
            in_flight = waiting.get(key, 0)
            rows.append(LedgerRow(key[0], key[1], accepted + in_flight + lost.get(key, 0), stored, duplicate, rejected, in_flight))
        return rows

    def _books(self, project: str, since: datetime) -> dict[tuple[str, datetime], tuple[int, int, int, int]]:
        of_project = Sql("project = {project:String}", {"project": project}) if project else Sql("1")
        rows = self._store.query(sql(_ROWS, {"since": since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")}, of_project=of_project)).rows
        return {
            (str(name), hour.replace(tzinfo=UTC)): (int(accepted), int(stored), int(duplicate), int(rejected))
            for name, hour, accepted, stored, duplicate, rejected in rows
        }

    def _log(self, project: str, since: datetime) -> tuple[_Counts, _Counts]:
        """What waits in the log, and what went away from it."""
        lost = [tally for segment in self._reader.lost() for tally in segment.tallies]
        return _by_hour(self._reader.in_flight(), project, since), _by_hour(lost, project, since)


def _by_hour(tallies: Iterable[Tally], project: str, since: datetime) -> _Counts:
    counts: _Counts = {}
    for tally in tallies:
        hour = datetime.fromtimestamp(tally.hour, UTC)
        if (not project or tally.project == project) and hour >= since:
            counts[tally.project, hour] = counts.get((tally.project, hour), 0) + tally.accepted
    return counts


def told_lost(lost: Sequence[LostSegment]) -> str:
    """In words, which pieces of the log are missing; at least one."""
    names = [f"{one.name} with {_events(one)}" for one in lost[:3]]
    if len(lost) > 3:
        names.append(f"{len(lost) - 3} more with {sum(one.events for one in lost[3:])} events")
    if len(lost) == 1:
        return f"The segment {names[0]} is missing: it was removed from the log before it was loaded."
    return f"{len(lost)} segments are missing that were removed from the log before they were loaded: {'; '.join(names)}."


def _events(lost: LostSegment) -> str:
    if not lost.tallies:
        return "an unknown number of events"
    return "1 event" if lost.events == 1 else f"{lost.events} events"
