"""Out and in again through the real log, load and engine: the same events, the same ids, the same people."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.adapters.log_file import FileLogReader, FileLogWriter
from almanac.core.errors import AlmanacError
from almanac.core.settings import Settings
from almanac.ingest import exporting
from almanac.ingest.identity import Identity
from almanac.ingest.importing import Job, import_file
from almanac.ingest.ledger import Ledger, LedgerRow
from almanac.ingest.load import Loader

_NUMBERS = itertools.count(1)
SENT = [
    {
        "type": "track",
        "messageId": "m1",
        "event": "Order",
        "userId": "u1",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {
            "n": 5,
            "a.b": {"c.d": 1},
            "none": None,
            "big": 2**70,
            "empty": [],
            "f": 1.5,
            "t": "é\u0000",
            "l": [1, "a", {"z": True}],
        },
    },
    {"type": "track", "event": "Order", "userId": "u1", "timestamp": "2026-01-01T00:00:00Z", "properties": {"dotted.key": 1}},
    {"type": "track", "event": "Order", "userId": "u1", "timestamp": "2026-01-01T00:00:00Z", "properties": {"dotted.key": 1}},
    {
        "type": "identify",
        "messageId": "0b7f7d8e-8f2a-4a46-9f6e-111111111111",
        "userId": "u1",
        "anonymousId": "a1",
        "timestamp": "2026-01-01T00:00:00.123Z",
        "traits": {"plan": "pro", "address": {"city": "Oslo"}},
    },
    {"type": "group", "messageId": "g1", "userId": "u1", "groupId": "acme", "timestamp": "2026-01-02", "traits": {"size": 5}},
    {"type": "alias", "messageId": "al", "userId": "u9", "previousId": "u8", "timestamp": "2026-01-03T00:00:00Z"},
    {
        "type": "page",
        "messageId": "p1",
        "userId": "u2",
        "timestamp": "yesterday",
        "properties": {"url": "https://x.y/z?utm_source=g"},
        "context": {"userAgent": "Mozilla/5.0 (X11; Linux x86_64)", "ip": "192.0.2.1", "locale": "de"},
        "something": [1, None],
    },
]


class Shop:
    """Imports, loads and exports in one data folder."""

    def __init__(self, folder: Path, store: ClickHouseStore) -> None:
        self.folder = folder
        self.store = store
        self.settings = Settings(data=folder, disk_reserve=0)
        self.reader = FileLogReader(self.settings.log_folder)
        self.loader = Loader(self.reader, store, self.settings)

    def take(self, path: Path, project: str) -> LedgerRow:
        """Imports a file; what became of the project's events so far."""

        async def work() -> None:
            writer = FileLogWriter(
                self.settings.log_folder,
                "import-1",
                segment_size=1 << 20,
                segment_age=0.05,
                log_limit=1 << 30,
                disk_reserve=0,
                clock=_micros,
            )
            try:
                await import_file(Job(path, project), writer=writer, settings=self.settings, clock=_micros, hold=_never)
            finally:
                await writer.close()

        asyncio.run(work())
        self.loader.drain()
        rows = Ledger(self.store, self.reader).rows(project)
        sums = [sum(getattr(row, name) for row in rows) for name in ("accepted", "stored", "duplicate", "rejected", "in_flight")]
        return LedgerRow(project, rows[0].hour, *sums)

    def give(self, project: str, form: exporting.Format = "ndjson", **chosen: Any) -> Path:
        path = self.folder / f"export-{next(_NUMBERS)}.{form}"
        path.write_bytes(b"".join(exporting.encoded(exporting.lines(self.store, exporting.Selection(project, **chosen)), form)))
        return path


def _micros() -> int:
    return time.time_ns() // 1000


async def _never(error: AlmanacError) -> None:
    raise error


def _lines(path: Path) -> list[dict[str, Any]]:
    return sorted((json.loads(line) for line in path.read_text().splitlines()), key=lambda line: str(line["event_id"]))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, store: ClickHouseStore) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"), store)


@pytest.fixture(scope="module")
def origin(shop: Shop) -> str:
    project = f"origin{next(_NUMBERS)}"
    path = shop.folder / "sent.ndjson"
    path.write_text("".join(json.dumps(message) + "\n" for message in SENT) + '{"type":"track"\n')
    row = shop.take(path, project)
    assert (row.accepted, row.stored, row.duplicate, row.rejected, row.gap) == (8, 7, 0, 1, 0)
    again = shop.take(path, project)
    assert (again.accepted, again.stored, again.duplicate, again.rejected, again.gap) == (16, 7, 8, 1, 0)
    return project


def test_an_export_holds_what_was_sent(shop: Shop, origin: str) -> None:
    lines = {line["event_id"]: line for line in _lines(shop.give(origin))}
    assert len(lines) == 7
    assert lines["m1"]["properties"] == SENT[0]["properties"]
    identify = lines["0b7f7d8e-8f2a-4a46-9f6e-111111111111"]
    assert identify["merges"] == [["a1", "u1", "identify"]]
    assert identify["profile"] == {"set": {"plan": "pro", "address": {"city": "Oslo"}}}
    assert lines["g1"]["group_profile"] == {"type": "group", "key": "acme", "set": {"size": 5}}
    assert lines["al"]["merges"] == [["u8", "u9", "alias"]]
    assert lines["p1"]["rest"] == {"client_time": "yesterday", "something": [1, None]}
    assert [line["properties"] for line in lines.values() if str(line["event_id"]).startswith("h:")] == [{"dotted.key": 1}] * 2


@pytest.mark.parametrize("form", exporting.FORMATS)
def test_an_export_is_taken_back_to_the_same_events_in_every_format(shop: Shop, origin: str, form: exporting.Format) -> None:
    copy = f"copy{form}{next(_NUMBERS)}"
    row = shop.take(shop.give(origin, form), copy)
    assert (row.stored, row.rejected, row.gap) == (7, 0, 0)
    assert _lines(shop.give(copy)) == _lines(shop.give(origin))
    # Who is who came along.
    people = Identity(shop.store)
    assert {(edge["source"], edge["target"], edge["state"]) for edge in people.edges(copy, "a1")} == {("a1", "u1", "in force")}
    # And taken back into its own project it adds nothing.
    home = shop.take(shop.give(origin, form), origin)
    assert home.stored == 7


def test_a_part_can_be_chosen(shop: Shop, origin: str) -> None:
    from datetime import date

    assert [line["event_id"] for line in _lines(shop.give(origin, event="group"))] == ["g1"]
    chosen = _lines(shop.give(origin, date_from=date(2026, 1, 2), date_to=date(2026, 1, 3)))
    assert [line["event_id"] for line in chosen] == ["al", "g1"]


def test_an_export_in_pieces_holds_every_event_once(shop: Shop, origin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _lines(shop.give(origin))
    monkeypatch.setattr(exporting, "PIECE", 1)
    assert _lines(shop.give(origin)) == whole


@pytest.mark.parametrize("form", exporting.FORMATS)
def test_an_export_of_nothing_is_a_valid_file(shop: Shop, form: exporting.Format) -> None:
    path = shop.give("nobody", form)
    if form == "parquet":
        import pyarrow.parquet as parquet

        assert parquet.read_table(path).num_rows == 0
    else:
        lines: Sequence[str] = path.read_text().splitlines()
        assert len(lines) == (1 if form == "csv" else 0)
