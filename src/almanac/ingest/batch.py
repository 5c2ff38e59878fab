"""One batch of the load: parsed once into a table in memory, then inserted from there, statement by statement."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import structlog

from almanac.core.errors import AlmanacError, Code
from almanac.core.event import LINE_DECODER, LINE_ENCODER, LOG_COLUMNS, DeadLetter, Event, Merge, dead_letter, derived_id
from almanac.core.ports import EventStore, Limits, Segment
from almanac.core.settings import Settings
from almanac.core.sql import Sql, all_of
from almanac.ingest.agents import Places, agent_of
from almanac.ingest.channels import channel
from almanac.ingest.import_books import note
from almanac.ingest.seen import Seen
from almanac.ingest.statements import statement
from almanac.ingest.tracking_batch import NESTED, Court
from almanac.ingest.tracking_batch import STAGING as TRACKING_STAGING
from almanac.ingest.tracking_batch import TABLES as TRACKING_TABLES
from almanac.ingest.tracking_plans import NO_PLANS, Plans

log = structlog.get_logger(__name__)

# What the JSON column does not keep to the letter: nulls, empty objects and arrays, numbers of 17 digits and more or with exponents, NUL,
# truth values in lists (beside a text they become texts).
_INEXACT: Final = r"null|\{\s*\}|\[\s*\]|\d{17}|\d[eE][+-]?\d|\\u0000|\[[^\]]*(?:true|false)"
# Names in which a revenue stands; values, because a dollar sign in a statement stands for a fragment.
_REVENUE: Final = {
    "revenue_words": ['"revenue"', '"total"', '"value"', '"$revenue"', '"$price"'],
    "revenue_total": "$revenue",
    "revenue_price": "$price",
    "revenue_quantity": "$quantity",
    "revenue_currency": "$currency",
    "currency_words": ['"currency"', '"$currency"'],
}
_MOST_AGENTS: Final = 20_000
_MOST_PLACES: Final = 200_000
_ALL: Final = Sql("1")
# Which of several copies counts must not hang on the order in which files are read: when a batch is made again, another copy could go to
# another month's partition, where the batch's token is not known yet. Within a file the order of the rows is the order of the lines.
_FIRST: Final = "row IN (SELECT argMin(row, (received_us, file, row)) FROM staging.lines GROUP BY key)"
_AGAIN: Final = """key IN (
    SELECT key
    FROM message_ids
    WHERE batch != {batch:UInt64} AND key IN (SELECT key FROM staging.lines WHERE kind = 'dead_letter')
)"""
_PUT_AWAY: Final = """(project, event_id) IN (
    SELECT project, id
    FROM dead_letters FINAL
    WHERE state = 'discarded' AND (project, id) IN (SELECT project, event_id FROM staging.lines WHERE kind = 'dead_letter')
)"""
# From so many lines on, two inserts of half of the messages each: one insert that a token can name runs on one thread.
_HALVES_FROM: Final = 30_000
# From so many on, properties are parsed by column: that takes a fifth of the time for each, and some 10 ms for three statements more.
_BY_COLUMN_FROM: Final = 3_000
_MOST_COLUMNS: Final = 128  # half of what the JSON column keeps as columns; each costs a little for every event
_MOST_FORMS: Final = 1_000  # that are looked at
_COLUMN: Final = re.compile(r"[^`'.\\\x00-\x1f]{1,200}")
# The batch holds each key once already; merging it while it is inserted took 9.2 instead of 6.1 µs of CPU an event.
_INSERT: Final = {"max_partitions_per_insert_block": 0, "max_threads": 2, "optimize_on_insert": 0}
_LIMITS: Final = Limits(seconds=600, memory_bytes=0, result_rows=0, priority=0)
_CHANNEL: Final = channel(Sql("best_source"), Sql("best_medium"), Sql("best_campaign"), Sql("other_host"), Sql("web_url"))

# What the stage says of a line, in its order.
_SAID: Final = {
    "row": "UInt64",
    "file": "LowCardinality(String)",
    "key": "UInt128",
    "hour": "DateTime('UTC')",
    "time": "DateTime64(6, 'UTC')",
    "id": "UUID",
    "id_text": "String",
    "time_client": "Nullable(DateTime64(6, 'UTC'))",
    "time_sent": "Nullable(DateTime64(6, 'UTC'))",
    "time_received": "DateTime64(6, 'UTC')",
    "time_origin": "LowCardinality(String)",
    "exact": "String",
    "host": "LowCardinality(String)",
    "path": "String",
    "referrer_host": "LowCardinality(String)",
    "utm_source": "LowCardinality(String)",
    "utm_medium": "LowCardinality(String)",
    "utm_campaign": "LowCardinality(String)",
    "utm_term": "LowCardinality(String)",
    "utm_content": "LowCardinality(String)",
    "channel": "LowCardinality(String)",
    "unread": "String",
    "revenue": "Nullable(Float64)",
    "currency": "LowCardinality(String)",
    "form": "LowCardinality(String)",
}

STAGING: Final = (
    "CREATE DATABASE IF NOT EXISTS staging ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS staging.lines"
    f" ({', '.join(f'{name} {kind}' for name, kind in {**LOG_COLUMNS, **_SAID}.items())}) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS staging.known (key UInt128) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS staging.agents (text String, browser String, browser_version String, os String, os_version String,"
    " device String, is_bot Bool) ENGINE = Memory",
    "CREATE TABLE IF NOT EXISTS staging.places (address String, country String, region String, city String) ENGINE = Memory",
    *TRACKING_STAGING,
)


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a log line: whose it is."""

    project: str
    event_id: msgspec.Raw
    kind: msgspec.Raw
    name: msgspec.Raw
    received_us: int


_HEAD: Final = msgspec.json.Decoder(_Head)


class Batch:
    """Loads `segments` under the number `number`. `load` may be called again after a crash, with the same number and segments."""

    def __init__(
        self,
        number: int,
        segments: Sequence[Segment],
        store: EventStore,
        settings: Settings,
        seen: Seen,
        places: Places | None,
        folder: Path,
        gone: frozenset[str] = frozenset(),
        plans: Plans = NO_PLANS,
    ) -> None:
        """Lines of the projects `gone` are left out, of the books too. `plans`: what judges the events, the same whenever it is loaded."""
        self.number = number
        self.stored = self.duplicates = self.rejected = 0
        self.received_us = (0, 0)  # of the first and the last event received
        self._segments = segments
        self._paths = [segment.path for segment in segments]
        self._store = store
        self._settings = settings
        self._seen = seen
        self._places = places
        self._folder = folder
        self._gone = gone
        self._kept = Sql("project NOT IN {gone:Array(String)}", {"gone": sorted(gone)}) if gone else Sql("1")
        self._fresh = self._unknown = Sql("1")
        self._lines = 0
        self._copies = self._some_known = False
        self._columns: list[str] = []  # names under which properties are parsed by column
        self._columnar = Sql("1")
        self._refused = {"again": Sql("0"), "put_away": Sql("0")}
        self.court = Court(store, number, segments, plans)

    def load(self) -> None:
        """All of it: stage, leave out what is known, enrich, insert, account."""
        self._empty()
        try:
            self._stage()
            self._lines = self._find_known(_ALL)
            if self.court.judge(self._unknown):
                self._find_known(Sql("kind = 'dead_letter'"))
            self._describe()
            try:
                self._insert_events()
            except AlmanacError as error:
                if error.code is not Code.INVALID:
                    raise
                self._isolate()
                self._insert_events()
            *rare, first, last = self._store.query(self._statement("rare")).rows[0]
            self.received_us = (int(first), int(last))
            found = [name for name, count in zip(("dead_letters", "edges", "profiles"), rare, strict=True) if count]
            _side_by_side([partial(self._insert, name) for name in ("message_ids", "names", "hours", *found)])
            note(self._store, self.number, self._segments, self._fresh)
            self.court.account(self._fresh)
            self._account()
        finally:
            self._empty()

    def _empty(self) -> None:
        for table in ("lines", "known", *TRACKING_TABLES):
            self._store.execute(Sql(f"TRUNCATE TABLE staging.{table}"))

    def _statement(self, name: str, values: Mapping[str, object] | None = None, half: Sql = _ALL, **more: Sql) -> Sql:
        bound = {"batch": self.number, **(values or {})}
        pieces = {"fresh": self._fresh, "unknown": self._unknown, "half": half, "columnar": self._columnar, **self._refused}
        return statement("load.sql", name, bound, **pieces, **self.court.pieces, **more)

    def _insert_events(self) -> None:
        if self._choose_columns() < _HALVES_FROM:
            self._insert_half(_ALL, "")
        else:
            _side_by_side([partial(self._insert_half, Sql(f"bitAnd(key, 1) = {half}"), f":{half}") for half in (0, 1)])

    def _choose_columns(self) -> int:
        """Picks the names under which this batch's properties are parsed by column, those of its most frequent forms. Returns how many are
        left to be parsed one by one, at most."""
        self._columns, self._columnar = [], Sql("0")
        if self._lines < _BY_COLUMN_FROM:
            return self._lines
        names: set[str] = set()
        fit: list[str] = []
        left = self._lines
        forms = self._store.query(self._statement("forms"), limits=_LIMITS).rows
        for form, times in forms:
            members = form.split("\x01")
            if all(map(_COLUMN.fullmatch, members)) and len(names.union(members)) <= _MOST_COLUMNS:
                names.update(members)
                fit.append(form)
                left -= times
        self._columns = sorted(names)
        if len(fit) == len(forms) < _MOST_FORMS:
            self._columnar = Sql("form != ''")
        elif fit:
            self._columnar = Sql("form IN ({forms:Array(String)})", {"forms": fit})
        return left

    def _insert_half(self, half: Sql, mark: str) -> None:
        file = self._folder / f"columns-{self.number}{mark.replace(':', '-')}.native"
        try:
            insert = self._statement("events", half=half, parsed=self._parsed(half, file))
            self._store.execute(insert, token=f"{self.number}:events{mark}", settings={**_INSERT, "max_threads": 1})
        finally:
            file.unlink(missing_ok=True)  # before `settle` would wait for it to reach the disk

    def _parsed(self, half: Sql, file: Path) -> Sql:
        if self._columns:
            rows = self._statement("columnar", half=half)
            made = self._store.by_column(rows, self._columns, file)
            if made is not None:
                columns, count = made
                wanted = int(self._store.query(self._statement("how_many", rows=rows), limits=_LIMITS).rows[0][0])
                if count == wanted:
                    return self._statement("parsed_by_column", half=half, columns=columns)
                log.warning("properties are parsed one by one, because by column some are missing", found=count, wanted=wanted)
        return self._statement("parsed_one_by_one", half=half)

    def _insert(self, name: str) -> None:
        self._store.execute(self._statement(name), token=f"{self.number}:{name}", settings=_INSERT)

    def _stage(self) -> None:
        try:
            self._stage_from(self._paths)
        except AlmanacError as error:
            if error.code is not Code.INVALID:
                raise
            log.warning("a batch has lines that cannot be read; they become dead letters", error=str(error.__cause__)[:300])
            self._empty()
            mended = self._mend()
            self._stage_from([mended / path.name for path in self._paths])
            shutil.rmtree(mended)

    def _stage_from(self, paths: Sequence[Path]) -> None:
        bound = {"skew_us": int(self._settings.skew_tolerance * 1e6), "inexact": _INEXACT, **_REVENUE}
        staged = statement("load.sql", "stage", bound, source=self._store.load_source(paths), channel=_CHANNEL, kept=self._kept)
        # Cutting one file into pieces for several threads costs a third more than it takes to parse it; several files go side by side.
        # The engine would read them one after another when less than a GiB is free for each thread.
        settings = {"max_threads": 2, "input_format_parallel_parsing": 0, "max_threads_min_free_memory_per_thread": 0}
        self._store.execute(staged, settings=settings)

    def _mend(self) -> Path:
        """A folder of copies of the segments, under their names, in which each line that is no event is a dead letter."""
        mended = self._folder / f"mended-{self.number}"
        mended.mkdir(exist_ok=True)
        for segment in self._segments:
            with (mended / segment.path.name).open("wb") as out:
                # The hour for which the log counted what it could not read.
                hour = next((tally.hour for tally in segment.tallies if tally.project == ""), int(segment.path.stat().st_mtime))
                with segment.path.open("rb") as lines:
                    for line in lines:
                        if not line.isspace():
                            out.write(LINE_ENCODER.encode(_readable(line, hour * 1_000_000)) + b"\n")
        return mended

    def _find_known(self, which: Sql) -> int:
        """Leaves out what another batch brought already, and all but the first of what this one brings twice: of these lines, and of
        those looked at before. How many they are."""
        blocks = list(self._store.integers(self._statement("keys", which=which)))
        keys = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.uint64)
        unique = np.unique(keys)
        self._copies |= len(unique) < len(keys)
        suspects = self._seen.suspects(unique)
        if len(suspects):
            self._store.execute(self._statement("known", {"suspects": [int(key) for key in suspects]}))
            self._some_known |= bool(self._store.query(Sql("SELECT count() FROM staging.known")).rows[0][0])
        known = [Sql("key NOT IN (SELECT key FROM staging.known)")] if self._some_known else []
        self._fresh = all_of([*([Sql(_FIRST)] if self._copies else []), *known])
        self._unknown = all_of(known)  # all copies
        self._seen.add(unique)
        return len(keys)

    def _describe(self) -> None:
        """Looks up what the engine cannot: user agents, and addresses when there is a geo file."""
        agents = self._new("agents", _MOST_AGENTS)
        if agents:
            found = [agent_of(text) for text in agents]
            rows = [
                (text, a.browser, a.browser_version, a.os, a.os_version, a.device, a.is_bot) for text, a in zip(agents, found, strict=True)
            ]
            columns = ("text", "browser", "browser_version", "os", "os_version", "device", "is_bot")
            self._store.insert("staging.agents", columns, rows)
        if self._places is not None:
            addresses = self._new("places", _MOST_PLACES)
            if addresses:
                where = [self._places.find(address) for address in addresses]
                places = [(address, place.country, place.region, place.city) for address, place in zip(addresses, where, strict=True)]
                self._store.insert("staging.places", ("address", "country", "region", "city"), places)

    def _new(self, table: str, most: int) -> list[str]:
        """Values of this batch that the table lacks. A full table is emptied first: random values must not fill the memory."""
        if self._store.query(Sql(f"SELECT count() FROM staging.{table}")).rows[0][0] > most:
            self._store.execute(Sql(f"TRUNCATE TABLE staging.{table}"))
        return [str(row[0]) for row in self._store.query(self._statement(table), limits=_LIMITS).rows]

    def _isolate(self) -> None:
        """Halves until each event that the engine refuses is alone, and makes it a dead letter."""
        ranges = [(0, int(self._store.query(Sql("SELECT max(row) FROM staging.lines")).rows[0][0]))]
        while ranges:
            low, high = ranges.pop()
            try:
                self._store.execute(self._statement("try", {"low": low, "high": high}))
            except AlmanacError as error:
                if error.code is not Code.INVALID:
                    raise
                if low == high:
                    log.warning("the store refuses an event; it becomes a dead letter", error=str(error.__cause__)[:300])
                    self._condemn(low, error.message)
                else:
                    middle = (low + high) // 2
                    ranges += [(low, middle), (middle + 1, high)]
        # Sent again, by its sender or by a replay that mended nothing: rejected once in the books, and what was discarded stays so.
        self._refused = {"again": Sql(_AGAIN, {"batch": self.number}), "put_away": Sql(_PUT_AWAY)}

    def _condemn(self, row: int, detail: str) -> None:
        columns = ", ".join(LOG_COLUMNS)
        found = self._store.query(Sql(f"SELECT {columns} FROM staging.lines WHERE row = {{row:UInt64}}", {"row": row})).dicts()[0]
        nested = {name: _raw(str(found[name])) for name in NESTED}
        merges = msgspec.json.decode(str(found["merges"]), type=list[Merge])
        line = LINE_ENCODER.encode(Event(**{**found, **nested, "merges": merges})).decode("utf-8", "replace")
        letter = msgspec.json.encode(DeadLetter("insert", "refused_by_store", detail[:500], line)).decode()
        id_ = derived_id(f"refused\0{found['project']}\0{found['event_id']}".encode("utf-8", "surrogatepass"))
        self._store.execute(self._statement("condemn", {"row": row, "letter": letter, "id": id_}), settings={"mutations_sync": 1})

    def _account(self) -> None:
        """Writes the ledger: what the collectors counted beside what the store took."""
        accepted: dict[tuple[str, int], int] = {}
        for segment in self._segments:
            for tally in segment.tallies:
                if tally.project not in self._gone:
                    accepted[tally.project, tally.hour] = accepted.get((tally.project, tally.hour), 0) + tally.accepted
        outcome: dict[tuple[str, int], tuple[int, int, int]] = {}
        for project, hour, *counts in self._store.query(self._statement("outcome"), limits=_LIMITS).rows:
            at = int(hour.replace(tzinfo=UTC).timestamp())
            stored, duplicate, rejected = (int(count) for count in counts)
            outcome[str(project), at] = (stored, duplicate, rejected)
        rows = [
            (project, hour, self.number, accepted.get((project, hour), 0), *outcome.get((project, hour), (0, 0, 0)))
            for project, hour in sorted(accepted.keys() | outcome.keys())
        ]
        columns = ("project", "hour", "batch", "accepted", "stored", "duplicate", "rejected")
        if rows:
            self._store.insert("ledger", columns, rows, token=f"{self.number}:ledger")
        self.stored = sum(row[4] for row in rows)
        self.duplicates = sum(row[5] for row in rows)
        self.rejected = sum(row[6] for row in rows)


def _side_by_side(work: Sequence[Callable[[], None]]) -> None:
    """Does all of it on two threads; the first error is raised when all have ended."""
    with ThreadPoolExecutor(2, thread_name_prefix="load") as threads:
        for done in [threads.submit(each) for each in work]:
            done.result()


def _readable(line: bytes, received_us: int) -> Event:
    try:
        return LINE_DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = line.decode("utf-8", "backslashreplace").rstrip("\n")
        letter = DeadLetter("parse", "unreadable_line", f"A line of the log is no event: {error}.", text)
        project, received_us = _sender(line, received_us)
        return dead_letter(project, received_us, letter, "native")


def _sender(line: bytes, received_us: int) -> tuple[str, int]:
    """Whose it was and when it was received, if the beginning of the line can be read: as the log counted it."""
    try:
        head = _HEAD.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", received_us
    return head.project, head.received_us


def _raw(text: str) -> msgspec.Raw:
    """Nested JSON as it was in the line: a text was read without its quotes."""
    return msgspec.Raw(text.encode() if text[:1] in ("{", "[") else msgspec.json.encode(text))
