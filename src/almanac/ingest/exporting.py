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
from itertools import groupby
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

# Merges and changes of profiles are kept apart from the events, under the id of the message that said so.
_PIECE: Final = """
WITH chosen AS
(
    SELECT
        *,
        if(id_text != '', id_text, toString(id))                                                            AS event_id,
        reinterpretAsUUID(reinterpretAsUInt128(sipHash128(project, event_id)))                              AS edge_id,
        if(properties_exact != '', properties_exact, toJSONString(properties))                              AS properties_text
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
    SELECT
        id                                                                                  AS changed_by,
        arraySort(groupArrayIf((op, property, value), subject = 'person'))                  AS ops,
        arraySort(groupArrayIf((subject, key, op, property, value), subject != 'person'))   AS group_ops
    FROM profile_changes
    WHERE project = {project:String} AND id IN (SELECT edge_id FROM chosen)
    GROUP BY id
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
    group_ops                                                                                               AS group_profile,
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
LEFT JOIN changes ON changed_by = edge_id
"""


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
            values = {"project": project, "day": day, "pieces": pieces, "piece": piece}
            for block in store.blocks(sql(_PIECE, values, chosen=chosen), limits=_LIMITS):
                yield [_line(row) for row in block.rows]


def encoded(blocks: Iterable[list[Exported]], format_: Format) -> Iterator[bytes]:
    """The bytes of a file of these events, piece by piece. An export of no events is a valid, empty file."""
    return {"ndjson": _ndjson, "csv": _csv, "parquet": _parquet}[format_](blocks)


def _line(row: tuple[Any, ...]) -> Exported:
    found = dict(zip(FIELDS, row, strict=True))
    found["merges"] = [list(edge) for edge in found["merges"]]
    found["profile"] = _document(_operations(found["profile"]))
    found["group_profile"] = _group_documents(found["group_profile"])
    found["campaign"] = campaign(dict(zip(CAMPAIGN, found["campaign"], strict=True)), found["url"])
    for name in ("groups", "properties", "context", "flags", "rest"):
        text = found[name]
        found[name] = EMPTY if text in ("", "{}") else Raw(text.encode())
    return Exported(**found)


def _operations(ops: Iterable[tuple[str, str, str]]) -> dict[str, Any]:
    """Changes as they are sent: {"set": {…}, "add": {…}, "unset": […], "delete": true}."""
    found: dict[str, Any] = {}
    for op, name, value in ops:
        if op == "unset":
            found.setdefault(op, []).append(name)
        elif op in ("delete", "clear_all"):
            found[op] = True
        else:
            found.setdefault(op, {})[name] = Raw(value.encode())
    return found


def _group_documents(ops: Iterable[tuple[str, str, str, str, str]]) -> Raw:
    """The changes of one group, or a list of groups' changes."""
    by_group = groupby(ops, key=lambda row: row[:2])
    groups = [{"type": type_, "key": key, **_operations(row[2:] for row in rows)} for (type_, key), rows in by_group]
    return Raw(msgspec.json.encode(groups)) if len(groups) > 1 else _document(groups[0] if groups else {})


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
