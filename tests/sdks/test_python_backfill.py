"""History from data frames: everything arrives once, whatever the order, the gaps in the columns and the interruptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas
import polars
import pytest

import almanac
from almanac.sdk import Backfilled, BackfillError, backfill

KEY = "test-write-key"


@pytest.fixture
def client(server: Any) -> Iterator[almanac.Client]:
    with almanac.Client(KEY, server.url, batch_events=50) as made:
        yield made


def orders(rows: int = 120) -> pandas.DataFrame:
    """Some gaps, and two rows that are the same."""
    return pandas.DataFrame(
        {
            "order": [f"o{number}" for number in range(rows)],
            "customer": [float(number % 7) if number % 5 else None for number in range(rows)],
            "at": pandas.date_range("2025-01-01", periods=rows, freq="h"),
            "total": [number * 1.5 for number in range(rows)],
            "firm": [f"c{number % 3}" for number in range(rows)],
            "note": [None if number % 2 else "gift" for number in range(rows)],
        }
    )


def send(client: almanac.Client, rows: Any, **more: Any) -> Backfilled:
    return client.backfill(
        rows, event="Order Completed", time="at", user_id="customer", revenue="total", currency="EUR", groups={"company": "firm"}, **more
    )


def seen(server: Any) -> dict[str, Any]:
    """What is worth comparing, by id."""
    return {
        event.event_id: (event.name, event.client_time, event.keep_time, event.distinct_id, bytes(event.groups), bytes(event.properties))
        for event in server.lines
    }


def test_a_frame_becomes_events(client: almanac.Client, server: Any) -> None:
    progress: list[int] = []
    result = send(client, orders(), progress=lambda now: progress.append(now.delivered))
    assert (result.rows, result.delivered, result.skipped, result.rejected) == (120, 120, 0, 0)
    assert progress == [50, 100, 120]
    first = server.lines[8]
    assert (first.name, first.distinct_id, first.client_time, first.keep_time) == (
        "Order Completed",
        "1",
        "2025-01-01T08:00:00.000000+00:00",
        True,
    )
    assert json.loads(bytes(first.properties)) == {"order": "o8", "note": "gift", "revenue": 12.0, "currency": "EUR"}
    assert json.loads(bytes(first.groups)) == {"company": "c2"}
    assert server.lines[0].distinct_id == ""
    assert "note" not in json.loads(bytes(server.lines[1].properties))


@pytest.mark.parametrize("key", [(), "order"])
def test_ids_do_not_depend_on_order_or_form(client: almanac.Client, server: Any, key: Any) -> None:
    frame = orders()
    same = pandas.concat([frame, frame.iloc[:3]]) if not key else frame
    send(client, same, key=key)
    before = seen(server)
    assert len(before) == len(same), "rows that are the same are events of their own; with a key they are one"
    server.log.unlink()
    shuffled = same.sample(frac=1, random_state=1)
    send(client, [shuffled.iloc[:40], shuffled.iloc[40:]], key=key)
    assert seen(server) == before
    server.log.unlink()
    send(client, polars.from_pandas(same), key=key)
    assert seen(server) == before
    server.log.unlink()
    send(client, (row for row in same.to_dict("records")), key=key)
    assert seen(server) == before


def test_ids_tell_sources_and_events_apart(client: almanac.Client, server: Any) -> None:
    send(client, orders(10), key="order")
    send(client, orders(10), key="order", source="the other shop")
    client.backfill(orders(10), event="Order Shipped", time="at", key="order")
    assert len(seen(server)) == 30
    client.backfill(orders(10), event="x", time="at", id="order")
    assert {"o0", "o9"} <= set(seen(server))


def test_it_goes_on_where_it_was(client: almanac.Client, server: Any, tmp_path: Path) -> None:
    resume = tmp_path / "orders.resume"
    frame = orders()

    class EndedError(Exception):
        pass

    def rows() -> Iterator[pandas.DataFrame]:
        yield frame.iloc[:70]
        raise EndedError

    with pytest.raises(EndedError):
        send(client, rows(), resume=resume)
    assert len(server.lines) == 50
    result = send(client, frame, resume=resume)
    assert (result.rows, result.resumed, result.delivered) == (120, 50, 70)
    assert len(server.lines) == 120
    longer = pandas.concat([frame, orders(130).iloc[120:]])
    assert send(client, longer, resume=resume).delivered == 10
    assert len(server.lines) == len(seen(server)) == 130
    with pytest.raises(BackfillError, match="The first 130 rows are not those that were sent before"):
        send(client, longer.iloc[::-1], resume=resume)
    with pytest.raises(BackfillError, match="There are 5 rows, but 130 were sent before"):
        send(client, longer.iloc[:5], resume=resume)
    (tmp_path / "other").write_text("{}")
    with pytest.raises(BackfillError, match="is not the file of an earlier run"):
        send(client, longer, resume=tmp_path / "other")
    assert len(server.lines) == 130


def test_failures_on_the_way(server: Any, flaky: Any) -> None:
    line = flaky("500", "close", "413", "429")
    with almanac.Client(KEY, line.url, batch_events=50) as client:
        result = send(client, orders())
    assert result.delivered == 120
    assert len(server.lines) == len(seen(server)) == 120


def test_rows_that_cannot_be_events_are_said(client: almanac.Client, server: Any) -> None:
    rows = [
        {"name": "A", "when": "2025-01-01", "who": "u1"},
        {"name": None, "when": "2025-01-01", "who": "u1"},
        {"name": "B", "when": float("nan"), "who": "u1"},
        {"name": "C", "when": "yesterday", "who": "u1"},
        {"name": "D", "when": datetime(2025, 1, 1, 12), "who": None, "more": {"deep": [1]}},
        {"name": "E", "when": 1735732800},
    ]
    result = client.backfill(rows, event_column="name", time="when", user_id="who", zone=ZoneInfo("Europe/Berlin"))
    assert (result.rows, result.delivered, result.skipped) == (6, 3, 3)
    assert result.problems == [
        (1, "name is empty."),
        (2, "when is empty."),
        (3, "when is 'yesterday', which is no time. Write it like 2026-11-20T21:09:13Z, or convert the column."),
    ]
    assert [(event.name, event.client_time) for event in server.lines] == [
        ("A", "2024-12-31T23:00:00.000000+00:00"),
        ("D", "2025-01-01T11:00:00.000000+00:00"),
        ("E", "2025-01-01T12:00:00+00:00"),
    ]
    assert json.loads(bytes(server.lines[1].properties)) == {"more": {"deep": [1]}}


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        (
            {"event": "x", "time": "when"},
            "There is no column 'when', which `time` names. There are: order, customer, at, total, firm, note.",
        ),
        ({"event": "x", "time": "at", "groups": {"team": "t"}}, r"which `groups\['team'\]` names"),
        ({"event": "x", "time": "at", "key": ["order", "k"]}, "'k', which `key` names"),
        ({"time": "at"}, "Say either `event`"),
    ],
)
def test_wrong_columns(client: almanac.Client, server: Any, how: Any, sentence: str) -> None:
    with pytest.raises(BackfillError, match=sentence):
        client.backfill(orders(), **how)
    assert server.lines == []


def test_what_has_no_rows(client: almanac.Client) -> None:
    with pytest.raises(BackfillError, match="A dict has no rows"):
        send(client, {"at": 1})
    assert send(client, []).rows == 0


def test_keys_and_servers_that_refuse(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with almanac.Client("wk_wrong", server.url) as wrong, pytest.raises(BackfillError, match=r"The server refuses the key: HTTP 40[13]: "):
        send(wrong, orders())
    with almanac.Client(KEY, "http://127.0.0.1:9") as dead, pytest.raises(BackfillError, match="has not taken anything for 0 s"):
        send(dead, orders(), patience=0.2)


def test_times_keep_the_zone_that_they_have() -> None:
    assert backfill._time(datetime(2025, 1, 1), backfill.Plan("t", "x")) == ("2025-01-01T00:00:00.000000+00:00", "")
    there = backfill.Plan("t", "x", zone=ZoneInfo("Asia/Tokyo"))
    assert backfill._time(datetime(2025, 1, 1, tzinfo=UTC), there) == ("2025-01-01T00:00:00.000000+00:00", "")
    assert backfill._time(datetime(2025, 1, 1), there) == ("2024-12-31T15:00:00.000000+00:00", "")
    assert backfill._time("2025-01-01 09:00", there) == ("2025-01-01T00:00:00.000000+00:00", "")
