"""Dead letters: what could not become an event, kept with its reason and its original until a person mends and replays or discards it.

A replay sends the (edited) original through the collector's own decoder again, so a mended rule or a mended message both work, and the
message id makes it count once however often it is replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from almanac.core.errors import invalid, not_found
from almanac.core.event import Event
from almanac.core.ports import EventStore
from almanac.core.sql import Sql, sql

_LIST = """
SELECT id, project, state, received, stage, reason, detail, original, protocol
FROM dead_letters FINAL
WHERE project = {project:String} AND state = {state:String} AND $of_reason
ORDER BY received DESC, id
LIMIT {limit:UInt32}
"""
_CHOSEN = """
SELECT id, version, received, stage, reason, detail, original, protocol
FROM dead_letters FINAL
WHERE project = {project:String} AND state = 'waiting' AND $chosen
ORDER BY received, id
LIMIT 10000
"""
_COLUMNS = ("project", "id", "version", "state", "received", "stage", "reason", "detail", "original", "protocol")
STATES = ("waiting", "replayed", "discarded")

# Decodes an original of a protocol into events of a project, or dead letters again.
Decode = Callable[[str, str, str], Sequence[Event]]
Append = Callable[[Sequence[Event]], None]


Rows = list[dict[str, Any]]


class DeadLetters:
    """Lists, replays and discards."""

    def __init__(
        self, store: EventStore, decode: Decode, append: Append, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`decode(project, protocol, original)` is the collector's; `append` makes events durable in the log, and returns after that."""
        self._store = store
        self._decode = decode
        self._append = append
        self._clock = clock

    def list(self, project: str, *, limit: int = 100, reason: str = "", state: str = "waiting") -> Rows:
        """Newest first."""
        if state not in STATES:
            raise invalid(f"There is no state {state!r}.", place="state", way_out=f"There are: {', '.join(STATES)}.")
        of_reason = Sql("reason = {reason:String}", {"reason": reason}) if reason else Sql("1")
        rows = self._store.query(sql(_LIST, {"project": project, "state": state, "limit": limit}, of_reason=of_reason)).dicts()
        return [{**row, "received": row["received"].replace(tzinfo=UTC).isoformat()} for row in rows]

    def replay(self, project: str, ids: Sequence[str] | None, *, edits: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Sends these (all that wait, when None) through the decoder again; `edits` replaces originals by id.

        Answers the count `replayed`, and `failed`: id and reason of each that fails again and stays waiting."""
        edits = edits or {}
        failed: Rows = []
        done: list[tuple[Any, ...]] = []
        for row in self._chosen(project, ids):
            original = edits.get(str(row["id"]), str(row["original"]))
            events = self._decode(project, str(row["protocol"]), original)
            bad = [event for event in events if event.kind == "dead_letter"]
            if bad or not events:
                reason = bad[0].name if bad else "not_an_event"
                failed.append({"id": str(row["id"]), "reason": reason})
                continue
            replayed = self._row(project, row, "replayed")  # older than what the load may make of it again
            self._append(events)
            done.append(replayed)
        self._mark(done)
        return {"replayed": len(done), "failed": failed}

    def discard(self, project: str, ids: Sequence[str] | None) -> int:
        """Puts these (all that wait, when None) away for good; answers how many."""
        rows = [self._row(project, row, "discarded") for row in self._chosen(project, ids)]
        self._mark(rows)
        return len(rows)

    def _chosen(self, project: str, ids: Sequence[str] | None) -> Rows:
        chosen = Sql("1") if ids is None else Sql("id IN {ids:Array(String)}", {"ids": list(ids)})
        rows = self._store.query(sql(_CHOSEN, {"project": project}, chosen=chosen)).dicts()
        missing = set(ids or ()) - {str(row["id"]) for row in rows}
        if missing:
            raise not_found(
                f"No dead letter waits under {sorted(missing)[0]!r}.", place="ids", way_out="`almanac dead-letters list` shows them."
            )
        return rows

    def _row(self, project: str, row: Mapping[str, Any], state: str) -> tuple[Any, ...]:
        version = max(int(row["version"]) + 1, int(self._clock().timestamp() * 1e6))  # the clock may have been set back
        kept = (row["received"], row["stage"], row["reason"], row["detail"], row["original"], row["protocol"])
        return (project, row["id"], version, state, *kept)

    def _mark(self, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._store.insert("dead_letters", _COLUMNS, rows)
