"""Laws of our own SDK for Python: any value can be sent, and the books close whatever the server says."""

from __future__ import annotations

import enum
import json
import math
import threading
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy
import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import almanac
from almanac.sdk import sender, transport, values


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Seat:
    row: int
    name: str


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    @property
    def dtype(self) -> str:
        raise RuntimeError("nothing at all")


ODD = [
    Colour.RED,
    Colour,
    Seat(1, "a"),
    Broken(),
    object(),
    PurePosixPath("/x"),
    pandas.NaT,
    pandas.NA,
    pandas.Timestamp("2026-11-20"),
    numpy.int64(3),
    numpy.float32("nan"),
    numpy.bool_(True),
    numpy.datetime64("2026-11-20T00:00:00", "ns"),
    numpy.arange(3),
    range(2),
    {}.keys(),
    "\ud83c",
    ValueError("x"),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(max_size=20),
    st.uuids(),
    st.decimals(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.fractions(),
    st.complex_numbers(),
    st.sampled_from(ODD),
)
KEYS = st.one_of(
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.uuids(),
    st.dates(),
    st.just(Colour.RED),
    st.just(("a", 1)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=4),
        st.frozensets(st.integers() | st.text(), max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_any_value_is_one_line_of_json(value: Any) -> None:
    line = values.encode({"value": value, "after": 1})
    assert b"\n" not in line
    assert msgspec.json.decode(line)["after"] == 1
    again = json.loads(line, parse_constant=lambda word: pytest.fail(word))
    if isinstance(value, (bool, type(None))) or (isinstance(value, int) and abs(value).bit_length() < values.LONGEST_NUMBER):
        assert again["value"] == value
    if isinstance(value, float):
        assert again["value"] == (value if math.isfinite(value) else None)
    if isinstance(value, (uuid.UUID, date, timedelta)) and value is not pandas.NaT:
        wanted = (
            value.total_seconds() if isinstance(value, timedelta) else str(value) if isinstance(value, uuid.UUID) else value.isoformat()
        )
        assert again["value"] == wanted
    if type(value) is list:
        assert len(again["value"]) == len(value)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (Decimal("12.30"), 12.3),
        (Decimal(7), 7),
        (Decimal("NaN"), None),
        (Decimal("1e999"), "1E+999"),
        (Seat(2, "b"), {"row": 2, "name": "b"}),
        ({Colour.RED}, ["red"]),
        (b"\x01\x02", "AQI="),
        (numpy.array([1.5, float("nan")]), [1.5, None]),
        (pandas.NA, None),
        (datetime(2026, 11, 20, tzinfo=UTC), "2026-11-20T00:00:00+00:00"),
        ({7: "seven", None: 1}, {"7": "seven", "null": 1}),
        ("\ud83c\udf89", "🎉"),
        ("a\ud83c", "a\ufffd"),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_values_that_a_reader_would_expect(value: Any, wanted: Any) -> None:
    assert json.loads(values.encode([value])) == [wanted]


def test_what_contains_itself_ends() -> None:
    assert json.loads(values.encode([1 << 20_000])) == [hex(1 << 20_000)]
    loop: list[Any] = [1]
    loop += [loop, loop]
    assert json.loads(values.encode(loop)) == [1, "<list>", "<list>"]


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        (datetime(2026, 11, 20, 12, tzinfo=timezone(timedelta(hours=2))), "2026-11-20T10:00:00.000000+00:00"),
        (pandas.Timestamp("2026-11-20 12:00:00.123456789", tz="UTC"), "2026-11-20T12:00:00.123456+00:00"),
        (date(2026, 11, 20), "2026-11-20"),
        (1763759353, "1763759353"),
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
        (pandas.NaT, ""),
        (None, ""),
    ],
)
def test_times(time: Any, wanted: str) -> None:
    assert values.moment(time) == wanted
    naive = datetime(2026, 11, 20, 12)
    assert datetime.fromisoformat(values.moment(naive)) == naive.astimezone(UTC)


class Script(ThreadingHTTPServer):
    """Answers as it is told, then takes everything; `kept` counts how often it took an event."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.kept: Counter[str] = Counter()
        threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, else each answer waits 40 ms
    server: Script

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        ids = [item["id"] for item in body["batch"]]
        if status == 0:
            self.close_connection = True
            return
        said: dict[str, Any] = {}
        if status in (200, 207):
            self.server.kept.update(ids)
            said = {"status": 1, "rejected": [{"index": 0, "reason": "odd", "detail": "Odd."}] if status == 207 else []}
        text = json.dumps(said).encode()
        self.send_response_only(200 if status == 207 else status)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def script() -> Any:
    made = Script()
    yield made
    made.shutdown()
    made.server_close()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    statuses=st.lists(st.sampled_from([200, 207, 500, 503, 0, 400, 413, 401, 404]), max_size=12),
    count=st.integers(1, 12),
    batch=st.integers(1, 5),
    queue=st.integers(3, 20),
    spooled=st.booleans(),
)
def test_the_books_close_whatever_the_server_says(
    statuses: list[int], count: int, batch: int, queue: int, spooled: bool, script: Any, monkeypatch: Any, tmp_path_factory: Any
) -> None:
    """Every event is with the server exactly once, or it was said why not. What 4xx refuses may be given up, and only that."""
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(sender, "LONGEST_PAUSE", 0.002)
    script.statuses, script.kept = list(statuses), Counter()
    folder = tmp_path_factory.mktemp("spool") if spooled else None
    client = almanac.Client(
        "wk",
        f"http://127.0.0.1:{script.server_port}",
        batch_events=batch,
        queue_events=queue,
        spool=folder,
        flush_seconds=0.001,
        compress=False,
    )
    given_ids = [client.track("beat") for _ in range(count)]
    assert client.flush(20)
    books = client.close()
    taken = [id_ for id_ in given_ids if id_]
    assert books.taken == count == books.delivered + books.rejected + sum(books.dropped.values())
    assert books.dropped.get("queue_full", 0) == count - len(taken)
    assert len(script.kept) == books.delivered + books.rejected == len(taken) - books.dropped.get("refused", 0)
    assert set(script.kept.values()) <= {1}
    assert books.dropped.get("refused", 0) <= sum(status in (400, 413) for status in statuses)
    assert set(books.dropped) <= {"queue_full", "refused"}


def test_answers() -> None:
    def wait(header: str) -> float:
        return transport.read_answer(429, b"{}", header, "").wait

    assert [wait(header) for header in ("3", "0.5", "-1", "", "soon", "nan", "1e9", "Fri, 20 Nov 1998 00:00:00 GMT")] == [
        3, 0.5, 0, 0, 0, 0, transport.LONGEST_WAIT, 0
    ]  # fmt: skip
    assert transport.read_answer(301, b"", "", "https://x/").detail == "HTTP 301, which points to https://x/. Give that as the host."
