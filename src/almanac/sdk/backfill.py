"""History from data frames: row by row in a stream, resumable, and with ids that make a second run harmless.

Unlike the calls of an app, a backfill waits until the server has everything, and raises when that cannot be.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

from . import values
from .calls import event_of
from .transport import DELIVERED, SPLIT, Reply, Transport

Row = Mapping[str, Any]
Rows = Any  # a pandas or polars DataFrame, or an iterable of them, or of dicts

_CHUNK: Final = 5_000  # rows of a frame that are in memory a second time
_MOST_PROBLEMS: Final = 100


class BackfillError(Exception):
    """It cannot go on; the sentence says why and what to do. What the server has acknowledged stays there."""


@dataclass
class Backfilled:
    """What became of the rows."""

    rows: int = 0  # read
    resumed: int = 0  # of these, sent by an earlier run
    delivered: int = 0
    rejected: int = 0  # among the server's dead letters
    skipped: int = 0  # not sent
    problems: list[tuple[int, str]] = field(default_factory=list)  # row (the first is 0) and sentence, of the first 100 rejected or skipped

    def trouble(self, row: int, sentence: str) -> None:
        """Notes it."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append((row, sentence))


@dataclass(frozen=True)
class Plan:
    """Which column is what. Members that end in `_column` name one; `event` and `currency` are the same for all rows.

    `key`: columns that tell rows apart, from which (with `source` and the event's name) the ids are derived; `id`: the column of the
    events' own ids. Without both, ids come from the whole row, and rows that are entirely the same are told apart by counting them.
    `properties`: columns that become properties; None: all that are nothing else. `zone`: of times that have none.
    """

    time: str
    event: str = ""
    event_column: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    device_id: str = ""
    session_id: str = ""
    url: str = ""
    revenue: str = ""
    currency: str = ""
    currency_column: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    properties: Sequence[str] | None = None
    id: str = ""
    key: str | Sequence[str] = ()
    source: str = ""
    zone: tzinfo = UTC

    def __post_init__(self) -> None:
        if bool(self.event) == bool(self.event_column):
            raise BackfillError("Say either `event`, the name of all rows' events, or `event_column`, the column that has it.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of `key`."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    @property
    def named(self) -> dict[str, str]:
        """Columns that have a meaning, by what they are."""
        single = ("time", "event_column", "user_id", "anonymous_id", "device_id", "session_id", "url", "revenue", "currency_column", "id")
        found = {name: column for name in single if (column := getattr(self, name))}
        return {**found, **{f"groups[{type_!r}]": column for type_, column in self.groups.items()}}

    def check(self, columns: Iterable[str]) -> None:
        """Raises `BackfillError` for a column that is not there."""
        there = list(columns)
        wanted = [
            *self.named.items(),
            *(("key", column) for column in self.keys),
            *(("properties", column) for column in self.properties or ()),
        ]
        for name, column in wanted:
            if column not in there:
                raise BackfillError(f"There is no column {column!r}, which `{name}` names. There are: {', '.join(map(str, there))}.")


class _Ids:
    """Ids of rows that are the same in every run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: Counter[int] = Counter()

    def of(self, item: dict[str, Any], row: Row) -> str:
        plan = self._plan
        if plan.id and (given := values.name_of(row.get(plan.id))):
            return given
        if plan.keys:
            content = values.encode([plan.source, item["event"], [values.name_of(row.get(column)) for column in plan.keys]])
        else:
            content = values.encode([plan.source, sorted((key, value) for key, value in item.items() if key != "id")])
            short = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
            self._seen[short] += 1
            content += b"%d" % self._seen[short]
        return str(uuid.UUID(bytes=hashlib.blake2b(content, digest_size=16).digest(), version=5))


class _Resume:
    """How far an earlier run came, in a file; and a digest of the ids until there, by which changed rows are noticed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.rows, self._digest_then = 0, ""
        self._digest = hashlib.blake2b(digest_size=16)
        if path is not None and path.exists():
            try:
                kept = json.loads(path.read_text())
                self.rows, self._digest_then = int(kept["rows"]), str(kept["digest"])
            except (ValueError, KeyError, TypeError, OSError):
                raise BackfillError(f"{path} is not the file of an earlier run. Name another one as `resume`.") from None

    def passed(self, row: int, id_: str) -> None:
        """A row was read. Raises `BackfillError` when the earlier run read other ones."""
        self._digest.update(id_.encode() + b"\n")
        if row + 1 == self.rows and self._digest.hexdigest() != self._digest_then:
            raise BackfillError(
                f"The first {self.rows} rows are not those that were sent before. Give them in the same order, or remove {self._path} "
                "to begin anew: rows that were sent in the last week are not counted twice."
            )

    @property
    def digest(self) -> str:
        """Of all rows until now."""
        return self._digest.hexdigest()

    def done(self, rows: int, digest: str) -> None:
        """All rows until there are with the server."""
        if self._path is not None and rows > self.rows:
            beside = self._path.with_name(self._path.name + ".new")
            beside.write_text(json.dumps({"rows": rows, "digest": digest}))
            beside.replace(self._path)


def run(
    rows: Rows,
    transport: Transport,
    more: bytes,
    plan: Plan,
    *,
    resume: str | os.PathLike[str] | None,
    batch: tuple[int, int],
    patience: float,
    progress: Callable[[Backfilled], object] | None,
) -> Backfilled:
    """Sends all rows. `more`: the end of every line. `batch`: most events and bytes of a request. `patience`: seconds without any
    success."""
    result, ids, kept = Backfilled(), _Ids(plan), _Resume(Path(resume) if resume is not None else None)
    post = _Post(transport, patience, result)
    lines: list[tuple[int, bytes]] = []
    size = 0

    def out() -> None:
        post.send(lines)
        kept.done(result.rows, kept.digest)
        lines.clear()
        if progress is not None:
            progress(result)

    for number, row in enumerate(_rows(rows)):
        if number == 0:
            plan.check(row)
        item, trouble = _event(row, plan)
        id_ = "" if trouble else ids.of(item, row)
        result.rows = number + 1
        kept.passed(number, id_)
        if number < kept.rows:
            result.resumed += 1
        elif trouble:
            result.skipped += 1
            result.trouble(number, trouble)
        else:
            item["id"] = id_
            line = values.encode(item)[:-1] + b"," + more
            lines.append((number, line))
            size += len(line)
            if len(lines) >= batch[0] or size >= batch[1]:
                out()
                size = 0
    if result.rows < kept.rows:
        raise BackfillError(f"There are {result.rows} rows, but {kept.rows} were sent before. Are these others?")
    out()
    return result


def _rows(rows: Rows) -> Iterator[Row]:
    if hasattr(rows, "iloc") and hasattr(rows, "columns"):  # pandas
        names = [str(column) for column in rows.columns]
        for start in range(0, len(rows), _CHUNK):
            part = rows.iloc[start : start + _CHUNK]
            columns = [part.iloc[:, place].tolist() for place in range(len(names))]
            yield from (dict(zip(names, found, strict=True)) for found in zip(*columns, strict=True))
    elif hasattr(rows, "iter_rows") and hasattr(rows, "columns"):  # polars
        yield from rows.iter_rows(named=True)
    elif isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, Mapping)):
        for item in rows:
            if isinstance(item, Mapping):
                yield item
            else:
                yield from _rows(item)
    else:
        raise BackfillError(f"A {type(rows).__name__} has no rows. Give a DataFrame, or an iterable of DataFrames or dicts.")


def _event(row: Row, plan: Plan) -> tuple[dict[str, Any], str]:
    """The event of a row, and why there is none."""
    name = plan.event or values.name_of(row.get(plan.event_column))
    when, trouble = _time(row.get(plan.time), plan)
    if not name:
        trouble = f"{plan.event_column} is empty."
    if trouble:
        return {}, trouble
    taken = set(plan.named.values())
    names = [column for column in row if column not in taken] if plan.properties is None else plan.properties
    properties = {column: found for column in names if (found := values.plain(row.get(column))) is not None}
    if plan.revenue and (revenue := values.plain(row.get(plan.revenue))) is not None:
        properties["revenue"] = revenue
        if currency := plan.currency or (values.name_of(row.get(plan.currency_column)) if plan.currency_column else ""):
            properties["currency"] = currency
    details: dict[str, Any] = {
        known: row.get(column)
        for known in ("user_id", "anonymous_id", "device_id", "session_id", "url")
        if (column := getattr(plan, known))
    }
    details["groups"] = {type_: key for type_, column in plan.groups.items() if (key := values.name_of(row.get(column)))}
    return event_of("", name, {"properties": properties}, {**details, "time": when, "keep_time": True, "id": "-"}, {}), ""


def _time(value: Any, plan: Plan) -> tuple[str, str]:
    if isinstance(value, datetime) and value == value:
        return values.moment(value if value.tzinfo is not None else value.replace(tzinfo=plan.zone)), ""
    if isinstance(value, date) and value == value:
        return values.moment(datetime(value.year, value.month, value.day, tzinfo=plan.zone)), ""
    found = values.plain(value)
    if found is None or found == "":
        return "", f"{plan.time} is empty."
    if isinstance(found, (int, float)):
        return str(found), ""
    try:
        read = datetime.fromisoformat(str(found).strip())
    except ValueError:
        return "", f"{plan.time} is {found!r}, which is no time. Write it like 2026-11-20T21:09:13Z, or convert the column."
    return values.moment(read if read.tzinfo is not None else read.replace(tzinfo=plan.zone)), ""


class _Post:
    """Sends batches until the server has them."""

    def __init__(self, transport: Transport, patience: float, result: Backfilled) -> None:
        self._transport = transport
        self._patience = patience
        self._result = result

    def send(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """Raises `BackfillError` when it cannot be."""
        parts = deque([list(lines)] if lines else [])
        failures, since = 0, time.monotonic()
        while parts:
            part = parts.popleft()
            reply = self._transport.post([line for _, line in part])
            if reply.outcome == DELIVERED:
                self._delivered(part, reply)
                failures, since = 0, time.monotonic()
            elif reply.outcome == SPLIT and len(part) > 1:
                parts.extendleft((part[len(part) // 2 :], part[: len(part) // 2]))
            elif reply.outcome == SPLIT:
                self._result.skipped += 1
                self._result.trouble(part[0][0], f"The server refuses it: {reply.detail}.")
            elif reply.status in (401, 403):
                raise BackfillError(f"The server refuses the key: {reply.detail}.")
            elif not reply.wait and time.monotonic() - since > self._patience:
                raise BackfillError(
                    f"The server has not taken anything for {self._patience:.0f} s: {reply.detail}. With `resume`, call it again."
                )
            else:
                parts.appendleft(part)
                time.sleep(reply.wait or min(30.0, 0.25 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))
                failures += 1

    def _delivered(self, part: list[tuple[int, bytes]], reply: Reply) -> None:
        self._result.delivered += len(part) - len(reply.rejected)
        self._result.rejected += len(reply.rejected)
        for item in reply.rejected:
            place = item.get("index")
            if isinstance(place, int) and 0 <= place < len(part):
                self._result.trouble(part[place][0], f"The server put it among its dead letters: {item.get('detail')}")
