"""What faces show besides answers: the latest events, the catalog of names and properties.

For debugging an integration: whole envelopes as they are stored, the newest first, the moment they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from almanac.core.ports import EventStore, Limits
from almanac.core.sql import EMPTY, Sql, sql

LIMITS: Final = Limits(seconds=20.0, memory_bytes=256 << 20, result_rows=20_000, priority=2)

# The usual question is about now: a narrow look first, and everything only when that was too little.
_LOOK_BACK: Final = (timedelta(minutes=10), timedelta(days=1), None)

# A whole envelope.
COLUMNS: Final = Sql("""
            * EXCEPT (project, day, person_hash, properties, properties_exact, id, id_text),
            if(id_text != '', id_text, toString(id))                                            AS event_id,
            if(properties_exact != '', properties_exact, toJSONString(properties))              AS properties
""")

# Columns that hold JSON as text, and are shown as what they mean.
_DOCUMENTS: Final = frozenset({"properties", "context", "flags", "rest"})


def latest_events(
    store: EventStore,
    project: str,
    *,
    now: datetime,
    limit: int,
    event: str = "",
    distinct_ids: Sequence[str] = (),
    since: datetime | None = None,
    after: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Up to `limit` whole envelopes, latest `time_received` first; of one event name, of these ids, and received since then only, where
    given. `after`: those that follow the event of this `time_received` and `event_id`."""
    found: list[dict[str, Any]] = []
    if since is not None:
        return [envelope(row) for row in store.query(_latest(project, since, limit, event, distinct_ids, after), limits=LIMITS).dicts()]
    for back in _LOOK_BACK:
        found = store.query(_latest(project, now - back if back else None, limit, event, distinct_ids, after), limits=LIMITS).dicts()
        if len(found) >= limit:
            break
    return [envelope(row) for row in found]


def event_names(store: EventStore, project: str) -> list[dict[str, Any]]:
    """The project's event names with how often and when they came, the most frequent first."""
    statement = sql(
        """
        SELECT
            event,
            min(first_seen) AS first_seen,
            max(last_seen)  AS last_seen,
            sum(count)      AS count
        FROM event_names
        WHERE project = {project:String}
        GROUP BY event
        ORDER BY count DESC, event
        LIMIT 10000
        """,
        {"project": project},
    )
    return [_timed(row) for row in store.query(statement, limits=LIMITS).dicts()]


def event_properties(store: EventStore, project: str, *, event: str = "") -> list[dict[str, Any]]:
    """The properties that events came with, and the engine's name of each type seen; of one event name only, where given."""
    statement = sql(
        """
        SELECT
            property,
            type,
            max(last_seen)                        AS last_seen,
            arraySort(groupUniqArray(100)(event)) AS events
        FROM event_properties
        WHERE project = {project:String}
            AND ({event:String} = '' OR event = {event:String})
        GROUP BY property, type
        ORDER BY property, type
        LIMIT 10000
        """,
        {"project": project, "event": event},
    )
    return [_timed(row) for row in store.query(statement, limits=LIMITS).dicts()]


def _latest(
    project: str, since: datetime | None, limit: int, event: str, distinct_ids: Sequence[str], after: tuple[str, str] | None
) -> Sql:
    since_us = 0 if since is None else int(since.timestamp() * 1_000_000)
    recent = sql("AND time_received >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')", {"since": since_us}) if since else EMPTY
    named = sql("AND event = {event:String}", {"event": event}) if event else EMPTY
    whose = (
        sql(
            """AND person_hash IN (SELECT cityHash64(arrayJoin({ids:Array(String)})))
            AND distinct_id IN ({ids:Array(String)})""",
            {"ids": list(distinct_ids)},
        )
        if distinct_ids
        else EMPTY
    )
    beyond = EMPTY
    if after is not None:
        beyond = sql(
            """AND time_received <= parseDateTime64BestEffort({at:String}, 6, 'UTC')
            AND (time_received < parseDateTime64BestEffort({at:String}, 6, 'UTC') OR event_id > {at_id:String})""",
            {"at": after[0], "at_id": after[1]},
        )
    return sql(
        """
        SELECT $columns
        FROM events
        WHERE project = {project:String}
            $recent
            $named
            $whose
            $beyond
        ORDER BY time_received DESC, event_id
        LIMIT {limit:UInt32}
        SETTINGS output_format_json_escape_forward_slashes = 0
        """,
        {"project": project, "limit": limit},
        columns=COLUMNS,
        recent=recent,
        named=named,
        whose=whose,
        beyond=beyond,
    )


def envelope(row: dict[str, Any]) -> dict[str, Any]:
    """An event of `COLUMNS`, the telling fields first."""
    shown = _timed(row)
    for name in _DOCUMENTS & shown.keys():
        shown[name] = document(shown[name])
    first = ("event_id", "event", "time", "time_received", "distinct_id", "properties")
    return {name: shown[name] for name in first} | shown


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    return {name: instant(value) if isinstance(value, datetime) else value for name, value in row.items()}


def instant(moment: datetime) -> str:
    """A time as ISO 8601 in UTC; the engine's times without a zone are UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def document(text: str) -> Any:
    """JSON to the letter (numbers keep all their digits); what is no JSON stays a text."""
    if not text:
        return {}
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return msgspec.Raw(text.encode())
