"""Files become events: every format, every oddity, and twice is once."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almanac.core.errors import AlmanacError, unavailable
from almanac.core.event import DeadLetter, Event, Kind, Merge, Raw
from almanac.core.settings import Settings
from almanac.ingest import exported, exporting, importing
from almanac.ingest import file_formats as formats
from almanac.ingest.importing import Job, Progress, import_file, writer_name

NOW_US = int(datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp() * 1e6)
DAY_US = 86_400_000_000


class Log:
    """An event log in memory that can be full or break."""

    def __init__(self, room: int = 1 << 60, full: int = 0) -> None:
        self.events: list[Event] = []
        self.room = room
        self.full = full  # so many appends are refused first

    async def append(self, events: Sequence[Event]) -> None:
        if self.full:
            self.full -= 1
            raise unavailable("The log is full.", retry_after=1)
        if self.room <= 0:
            raise RuntimeError("the process dies here")
        self.room -= 1
        self.events += events

    async def close(self) -> None:
        pass


class Desk:
    """Imports into the project `shop` of a fresh data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(data=folder / "data")
        self.now = NOW_US
        self.held: list[str] = []

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def take(self, path: Path, log: Log | None = None, **job: Any) -> tuple[list[Event], Progress]:
        log = log or Log()

        async def hold(error: AlmanacError) -> None:
            self.held.append(error.message)

        work = import_file(Job(path, "shop", **job), writer=log, settings=self.settings, clock=lambda: self.now, hold=hold)
        progress = asyncio.run(work)
        return log.events, progress


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def document(raw: Raw) -> Any:
    return json.loads(bytes(raw))


def letters(events: Sequence[Event]) -> list[DeadLetter]:
    return [msgspec.json.decode(bytes(event.rest), type=DeadLetter) for event in events if event.kind == Kind.DEAD_LETTER]


def test_a_table_becomes_events_by_its_header(desk: Desk) -> None:
    path = desk.file(
        "tickets.csv",
        "Event,Distinct ID,Time,price,seats,vip,zip,note\n"
        'Bought,u1,2026-01-31T10:00:00Z,12.50,2,true,01234,"two\nlines"\n'
        "Bought,42,1769853600,,0,FALSE,99999999999999999999,\n",
    )
    events, progress = desk.take(path)
    assert [(event.name, event.distinct_id, event.client_time) for event in events] == [
        ("Bought", "u1", "2026-01-31T10:00:00Z"),
        ("Bought", "42", "2026-01-31T10:00:00+00:00"),
    ]
    # Numbers and truth values are typed; what would lose a leading zero or digits stays text; an empty cell is a missing property.
    assert document(events[0].properties) == {"price": 12.5, "seats": 2, "vip": True, "zip": "01234", "note": "two\nlines"}
    assert document(events[1].properties) == {"seats": 0, "vip": False, "zip": "99999999999999999999"}
    assert all(event.keep_time and event.project == "shop" and event.received_us == NOW_US for event in events)
    assert (progress.format, progress.records, progress.accepted, progress.rejected) == ("native", 2, 2, 0)


def test_columns_of_other_names_are_mapped_by_hand(desk: Desk) -> None:
    path = desk.file("old.csv", "Action;Who;When\nOpened;u1;2026-01-01\n")
    events, _ = desk.take(path, columns=(("event", "Action"), ("distinct_id", "Who"), ("time", "When")))
    assert [(event.name, event.distinct_id, event.client_time) for event in events] == [("Opened", "u1", "2026-01-01")]


def test_parquet_keeps_its_types(desk: Desk) -> None:
    table = pyarrow.table(
        {
            "event": ["Paid", "Paid"],
            "user_id": ["u1", "u2"],
            "timestamp": [datetime(2026, 1, 1, 9, 30, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)],
            "amount": [Decimal("9.90"), None],
            "tags": [["a", "b"], []],
        }
    )
    path = desk.folder / "paid.parquet"
    parquet.write_table(table, path, row_group_size=1)
    events, progress = desk.take(path)
    assert [(event.user_id, event.client_time) for event in events] == [
        ("u1", "2026-01-01T09:30:00+00:00"),
        ("u2", "2026-01-02T00:00:00+00:00"),
    ]
    assert [document(event.properties) for event in events] == [{"amount": 9.9, "tags": ["a", "b"]}, {"tags": []}]
    assert (progress.done, progress.size) == (2, 2)


def test_a_segment_archive_goes_through_segments_own_decoder(desk: Desk) -> None:
    messages = [
        {"type": "identify", "messageId": "m1", "userId": "u1", "anonymousId": "a1", "traits": {"plan": "pro"}, "timestamp": "2026-01-01"},
        {"type": "track", "messageId": "m2", "userId": "u1", "event": "Order", "properties": {"n": 1}, "timestamp": "2026-01-01"},
    ]
    path = desk.file("archive.json.gz", gzip.compress("\n".join(json.dumps(message) for message in messages).encode()))
    events, progress = desk.take(path)
    assert progress.format == "segment"
    assert [(event.event_id, event.kind, event.name, event.protocol) for event in events] == [
        ("m1", "identify", "identify", "segment"),
        ("m2", "track", "Order", "segment"),
    ]
    assert events[0].merges == [Merge("a1", "u1", "identify")]
    assert document(events[0].profile) == {"set": {"plan": "pro"}}


@pytest.mark.parametrize("form", ["ndjson", "array", "results", "csv"])
def test_posthogs_exports_in_all_their_forms(desk: Desk, form: str) -> None:
    row = {"event": "$pageview", "distinct_id": "u1", "timestamp": "2026-01-01T00:00:00Z", "properties": {"$current_url": "https://x.y/"}}
    rows = [{"uuid": "0b7f7d8e-8f2a-4a46-9f6e-111111111111", **row}]
    if form == "results":
        rows = [{"id": "0b7f7d8e-8f2a-4a46-9f6e-111111111111", **row}]
    text = {
        "ndjson": json.dumps(rows[0]),
        "array": json.dumps(rows, indent=2),
        "results": json.dumps({"next": None, "results": rows}),
        "csv": _as_csv([{**rows[0], "properties": json.dumps(row["properties"])}]),
    }[form]
    events, progress = desk.take(desk.file(f"posthog.{'csv' if form == 'csv' else 'json'}", text))
    assert progress.format == "posthog"
    assert [(event.event_id, event.kind, event.distinct_id, event.url) for event in events] == [
        ("0b7f7d8e-8f2a-4a46-9f6e-111111111111", "page", "u1", "https://x.y/")
    ]


def _as_csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def test_equal_rows_without_ids_stay_apart_and_the_same_file_gives_the_same_ids(desk: Desk) -> None:
    line = '{"event":"Like","user_id":"u1","time":"2026-01-01T00:00:00Z"}\n'
    path = desk.file("likes.ndjson", line * 3 + '{"event":"Like","user_id":"u2","time":"2026-01-01T00:00:00Z"}\n')
    first, _ = desk.take(path)
    again, _ = desk.take(path)
    ids = [event.event_id for event in first]
    assert len(set(ids)) == 4
    assert [event.event_id for event in again] == ids
    # In another file the rows have the same ids too, wherever they stand.
    moved, _ = desk.take(desk.file("moved.ndjson", '{"event":"New","user_id":"u3"}\n' + line))
    assert moved[1].event_id == ids[0]


def test_bad_rows_become_dead_letters_that_name_file_and_line(desk: Desk) -> None:
    path = desk.file("mixed.ndjson", '{"event":"Good","user_id":"u1"}\n\n{"event":\n[1]\n{"user_id":"u1"}\n')
    events, progress = desk.take(path)
    found = letters(events)
    assert (progress.accepted, progress.rejected) == (4, 3)
    assert [event.name for event in events if event.kind != Kind.DEAD_LETTER] == ["Good"]
    assert [letter.original for letter in found[:2]] == ['{"event":', "[1]"]
    assert [letter.detail.partition("(")[2] for letter in found] == [
        "mixed.ndjson, line 3).",
        "mixed.ndjson, line 4).",
        "mixed.ndjson, line 5).",
    ]
    again, _ = desk.take(path)
    assert [event.event_id for event in again] == [event.event_id for event in events]


def test_a_row_with_too_many_cells_or_odd_bytes_is_rejected_alone(desk: Desk) -> None:
    path = desk.file("odd.csv", b"event,user_id\nA,u1\nB,u2,extra\nC,\xff\nD,u4\n")
    events, _ = desk.take(path)
    assert [event.name for event in events if event.kind != Kind.DEAD_LETTER] == ["A", "D"]
    assert [letter.detail for letter in letters(events)] == [
        "It has 3 cells for 2 columns (odd.csv, line 3).",
        "It is not UTF-8 (odd.csv, line 4).",
    ]


def test_an_import_that_dies_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_RECORDS", 10)
    line = '{{"event":"Like","user_id":"u{}","time":"2026-01-01T00:00:00Z"}}\n'
    path = desk.file("likes.ndjson", "".join(line.format(number % 7) for number in range(100)))
    log = Log(room=4)
    with pytest.raises(RuntimeError):
        desk.take(path, log)
    assert len(log.events) == 40
    log.room = 1 << 60
    events, progress = desk.take(path, log)
    assert progress.resumed_at == 40
    assert progress.accepted == 100
    assert len(events) == len({event.event_id for event in events}) == 100
    whole, _ = desk.take(path)
    assert [event.event_id for event in whole] == [event.event_id for event in events]


@pytest.mark.parametrize("container", ["csv", "json", "parquet"])
def test_every_container_can_be_read_on_from_any_record(desk: Desk, container: formats.Container) -> None:
    rows = [{"event": f"E{number}", "note": 'a "quoted"\nline, {[' if number % 3 else "x"} for number in range(25)]
    path = desk.folder / f"rows.{container}"
    if container == "csv":
        path.write_text(_as_csv(rows))
    elif container == "json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=4)
    everything = list(formats.records(path, container))
    assert len(everything) == 25
    for place, record in enumerate(everything):
        rest = list(formats.records(path, container, record.end))
        assert [(one.cells, one.text, one.line) for one in rest] == [(one.cells, one.text, one.line) for one in everything[place + 1 :]]


def test_a_full_log_makes_the_import_wait(desk: Desk) -> None:
    events, _ = desk.take(desk.file("a.ndjson", '{"event":"A","user_id":"u"}\n'), Log(full=3))
    assert len(events) == 1
    assert desk.held == ["The log is full."] * 3


def test_a_file_imported_long_ago_is_left_alone_unless_told(desk: Desk) -> None:
    path = desk.file("a.ndjson", '{"event":"A","user_id":"u"}\n')
    desk.take(path)
    desk.now += 7 * DAY_US
    assert len(desk.take(path)[0]) == 1  # its ids are remembered still: the load knows them again
    desk.now += 9 * DAY_US
    events, progress = desk.take(path)
    assert (events, progress.skipped) == ([], True)
    assert len(desk.take(path, again=True)[0]) == 1


def test_two_imports_at_once_have_writers_of_their_own_and_no_file_twice(desk: Desk) -> None:
    path = desk.file("a.ndjson", '{"event":"A","user_id":"u"}\n')
    with writer_name(desk.settings) as one, writer_name(desk.settings) as two:
        assert (one, two) == ("import-1", "import-2")
    job = Job(path, "shop")
    with (
        importing.Journal(desk.settings, job, importing.journal_key(job)),
        pytest.raises(AlmanacError, match=r"Another process is importing a\.ndjson"),
    ):
        desk.take(path)


@pytest.mark.parametrize(
    ("name", "content", "format_", "message"),
    [
        ("gone.csv", None, "auto", "There is no file"),
        ("a.ndjson", "{}", "xml", "There is no format 'xml'"),
        ("a.ndjson", '{"event":"A"}', "parquet", "is not parquet: it looks like ndjson"),
        ("a.csv", "\n1,2\n", "auto", "does not name the columns"),
        ("cut.ndjson.gz", gzip.compress(b'{"event":"A","user_id":"u"}\n' * 9999)[:-20], "auto", "The file is damaged"),
        ("bad.parquet", b"PAR1 this is none", "auto", "not a readable Parquet file"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(desk: Desk, name: str, content: str | bytes | None, format_: str, message: str) -> None:
    path = desk.folder / name if content is None else desk.file(name, content)
    with pytest.raises(AlmanacError, match=message):
        desk.take(path, format=format_)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3), max_leaves=6
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=4), max_size=8)


@given(rows=OBJECTS, indent=st.sampled_from([None, 0, 2]), ascii_=st.booleans(), wrapped=st.booleans())
def test_the_elements_of_a_document_are_those_that_json_says(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None, ascii_: bool, wrapped: bool
) -> None:
    path = tmp_path_factory.mktemp("document") / "a.json"
    text = json.dumps({"results": rows} if wrapped else rows, indent=indent, ensure_ascii=ascii_)
    path.write_bytes(text.encode("utf-8", "replace"))
    found = [json.loads(record.text) for record in formats.records(path, "json")]
    read = json.loads(path.read_bytes())
    assert found == (read["results"] if wrapped else read)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
OBJECT = st.dictionaries(TEXT, JSON.filter(lambda value: value is not None), min_size=1, max_size=3).map(
    lambda value: Raw(msgspec.json.encode(value))
)
LINES = st.builds(
    exported.Exported,
    event_id=TEXT.filter(bool),
    event=TEXT.filter(bool),
    time=st.just("2026-01-01T00:00:00.000001Z"),
    kind=st.sampled_from(["track", "identify"]),
    received=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")),
    keep_time=st.booleans(),
    distinct_id=TEXT,
    merges=st.lists(st.builds(Merge, TEXT, TEXT, st.just("alias")), max_size=2),
    properties=OBJECT,
    url=TEXT,
    is_server=st.booleans(),
)


@given(lines=st.lists(LINES, min_size=1, max_size=4), form=st.sampled_from(exporting.FORMATS))
def test_an_exported_event_comes_back_the_same_from_every_format(
    tmp_path_factory: pytest.TempPathFactory, lines: list[exported.Exported], form: exporting.Format
) -> None:
    path = tmp_path_factory.mktemp("export") / f"a.{form}"
    path.write_bytes(b"".join(exporting.encoded([lines], form)))
    container: formats.Container = form
    texts = [record.text if record.cells is None else exported.text_of(record.cells) for record in formats.records(path, container)]
    expected = [exported.event_of(msgspec.json.encode(line), "shop") for line in lines]
    assert [msgspec.json.encode(exported.event_of(text, "shop")) for text in texts] == [msgspec.json.encode(event) for event in expected]
