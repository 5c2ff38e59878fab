"""Exporting events: NDJSON, CSV or Parquet in constant memory, loss-free, in the form of `exported.py` that an import takes back.

The events are read in pieces of one day and a share of the persons (at most about `PIECE` events), because what the load took out of the
messages (merges, changes of profiles) is joined back to them, and the joined side lies in memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import msgspec

from almanac.core.event import EMPTY, Raw
from almanac.core.ports import EventStore, Limits
from almanac.core.sql import EMPTY as NOTHING
from almanac.core.sql import Sql, sql
from almanac.ingest.exported import FIELDS, NESTED, TRUTHS, Exported
from almanac.ingest.messages import CAMPAIGN, campaign

Format = Literal["ndjson", "csv", "parquet"]
FORMATS: Final[tuple[Format, ...]] = ("ndjson", "csv", "parquet")
MEDIA_TYPES: Final[dict[Format, str]] = {"ndjson": "application/x-ndjson", "csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
PIECE: Final = 500_000  # events

_LIMITS: Final = Limits(seconds=600, memory_bytes=512 << 20, result_rows=0, threads=2, priority=3)

_DAYS: Final = """
SELECT day, count() AS events
FROM events
WHERE project = {project:String} AND $chosen
GROUP BY day
ORDER BY day
"""

# Changes of profiles are kept apart from the events, with the time that the load gave them: the sender's unless it runs ahead.
_PIECE: Final = """
WITH chosen AS
(
    SELECT
        *,
        if(time_client IS NULL OR time_client > time_received, time_received, assumeNotNull(time_client))  AS changed,
        if(id_text != '', id_text, toString(id))                                                            AS event_id,
        reinterpretAsUUID(reinterpretAsUInt128(sipHash128(project, event_id)))                              AS edge_id,
        if(properties_exact != '', properties_exact, toJSONString(properties))                              AS properties_text,
        kind IN ('group', 'group_profile')                                                                  AS about_group,
        if(about_group, JSONExtractString(properties_text, {type_name:String}), '')                         AS named_type,
        if(named_type != '', named_type, if(about_group AND length(groups) = 1, mapKeys(groups)[1], ''))    AS group_type,
        if(named_type != '', JSONExtractString(properties_text, {key_name:String}), groups[group_type])     AS group_key
    FROM events
    WHERE project = {project:String}
        AND day = {day:Date}
        AND person_hash % {pieces:UInt32} = {piece:UInt32}
        AND $chosen
),
edges AS
(
    SELECT id AS said_by, arraySort(groupUniqArray((ordinal, source, target, how))) AS statements
    FROM identity_edges
    WHERE project = {project:String} AND id IN (SELECT edge_id FROM chosen)
    GROUP BY id
),
changes AS
(
    SELECT key_hash AS owner, time AS owner_changed, arraySort(groupUniqArray((op, property, value))) AS ops
    FROM profile_changes
    WHERE project = {project:String} AND subject = 'person' AND (key_hash, time) IN (SELECT person_hash, changed FROM chosen)
    GROUP BY key_hash, time
),
group_changes AS
(
    SELECT subject AS type, key AS type_key, time AS type_changed, arraySort(groupUniqArray((op, property, value))) AS type_ops
    FROM profile_changes
    WHERE project = {project:String}
        AND subject != 'person'
        AND (subject, key, time) IN (SELECT group_type, group_key, changed FROM chosen WHERE group_type != '')
    GROUP BY subject, key, time
)
SELECT
    event_id,
    event,
    formatDateTime(chosen.time, '%Y-%m-%dT%H:%i:%S.%fZ')                                                    AS time_text,
    kind,
    formatDateTime(time_received, '%Y-%m-%dT%H:%i:%S.%fZ')                                                  AS received,
    ifNull(formatDateTime(time_client, '%Y-%m-%dT%H:%i:%S.%fZ'), '')                                        AS client_time,
    ifNull(formatDateTime(time_sent, '%Y-%m-%dT%H:%i:%S.%fZ'), '')                                          AS sent_time,
    toBool(time_origin = 'client')                                                                              AS keep_time,
    distinct_id,
    user_id,
    anonymous_id,
    device_id,
    arrayMap(edge -> (edge.2, edge.3, edge.4), statements)                                                  AS merges,
    session_id,
    window_id,
    toJSONString(groups)                                                                                    AS groups_text,
    properties_text,
    ops                                                                                                     AS profile,
    (type, type_key, type_ops)                                                                              AS group_profile,
    url,
    title,
    referrer,
    screen,
    ip,
    user_agent,
    library,
    library_version,
    context,
    flags,
    rest,
    protocol,
    is_server,
    (utm_source, utm_medium, utm_campaign, utm_term, utm_content)                                           AS campaign
FROM chosen
LEFT JOIN edges ON said_by = edge_id
LEFT JOIN changes ON owner = person_hash AND owner_changed = changed
LEFT JOIN group_changes ON type = group_type AND type_key = group_key AND type_changed = changed
"""


# PostHog's properties that name a group; values, because a dollar sign in a statement stands for a fragment.
_GROUP_NAMES: Final = {"type_name": "$group_type", "key_name": "$group_key"}


@dataclass(frozen=True)
class Selection:
    """Which events: all of `project`, or those of one name, of days from `date_from` to `date_to` (UTC, both included)."""

    project: str
    event: str = ""
    date_from: date | None = None
    date_to: date | None = None

    def condition(self) -> Sql:
        """As a condition on the events table."""
        parts = [
            sql("event = {only_event:String}", {"only_event": self.event}) if self.event else NOTHING,
            sql("day >= {first_day:Date}", {"first_day": self.date_from}) if self.date_from else NOTHING,
            sql("day <= {last_day:Date}", {"last_day": self.date_to}) if self.date_to else NOTHING,
        ]
        given = [part for part in parts if part.text]
        return (
            Sql(" AND ".join(part.text for part in given), {k: v for part in given for k, v in part.values.items()}) if given else Sql("1")
        )


def lines(store: EventStore, selection: Selection) -> Iterator[list[Exported]]:
    """The events, some thousand at a time, by day. Raises `unavailable` when the store goes away in between."""
    chosen, project = selection.condition(), selection.project
    for day, count in store.query(sql(_DAYS, {"project": project}, chosen=chosen), limits=_LIMITS).rows:
        pieces = -(-int(count) // PIECE)
        for piece in range(pieces):
            values = {"project": project, "day": day, "pieces": pieces, "piece": piece, **_GROUP_NAMES}
            for block in store.blocks(sql(_PIECE, values, chosen=chosen), limits=_LIMITS):
                yield [_line(row) for row in block.rows]


def encoded(blocks: Iterable[list[Exported]], format_: Format) -> Iterator[bytes]:
    """The bytes of a file of these events, piece by piece. An export of no events is a valid, empty file."""
    return {"ndjson": _ndjson, "csv": _csv, "parquet": _parquet}[format_](blocks)


def _line(row: tuple[Any, ...]) -> Exported:
    found = dict(zip(FIELDS, row, strict=True))
    found["merges"] = [list(edge) for edge in found["merges"]]
    found["profile"] = _document(_operations(found["profile"]))
    type_, key, ops = found["group_profile"]
    found["group_profile"] = _document({"type": type_, "key": key, **_operations(ops)} if ops else {})
    found["campaign"] = campaign(dict(zip(CAMPAIGN, found["campaign"], strict=True)), found["url"])
    for name in ("groups", "properties", "context", "flags", "rest"):
        text = found[name]
        found[name] = EMPTY if text in ("", "{}") else Raw(text.encode())
    return Exported(**found)


def _operations(ops: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """Changes as they are sent: {"set": {…}, "set_once": {…}, "unset": […]}."""
    found: dict[str, Any] = {}
    for op, name, value in ops:
        if op == "unset":
            found.setdefault(op, []).append(name)
        else:
            found.setdefault(op, {})[name] = Raw(value.encode())
    return found


def _document(value: dict[str, Any]) -> Raw:
    return Raw(msgspec.json.encode(value)) if value else EMPTY


def _ndjson(blocks: Iterable[list[Exported]]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    for block in blocks:
        yield encoder.encode_lines(block)


def _cells(line: Exported) -> list[Any]:
    return [_cell(name, getattr(line, name)) for name in FIELDS]


def _cell(name: str, value: Any) -> Any:
    if name == "merges":
        return msgspec.json.encode(value).decode() if value else ""
    if name in NESTED:
        text = bytes(value).decode()
        return "" if text == "{}" else text
    return value


def _csv(blocks: Iterable[list[Exported]]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(FIELDS)
    for block in blocks:
        writer.writerows(["true" if cell is True else "" if cell is False else cell for cell in _cells(line)] for line in block)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue().encode()


class _Sink(io.RawIOBase):
    """Takes what a writer writes, until it is fetched."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any, /) -> int:
        """Keeps a copy."""
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def take(self) -> bytes:
        """What came since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _parquet(blocks: Iterable[list[Exported]]) -> Iterator[bytes]:
    import pyarrow
    import pyarrow.parquet as parquet

    moments = ("time", "received")
    kinds: dict[bool, Callable[[], Any]] = {True: pyarrow.bool_, False: pyarrow.string}
    schema = pyarrow.schema([(name, pyarrow.timestamp("us", tz="UTC") if name in moments else kinds[name in TRUTHS]()) for name in FIELDS])
    sink: Any = _Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for block in blocks:
            rows = [dict(zip(FIELDS, _cells(line), strict=True)) for line in block]
            for row in rows:
                for name in moments:
                    row[name] = datetime.fromisoformat(row[name]).astimezone(UTC)
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            yield sink.take()
    yield sink.take()
