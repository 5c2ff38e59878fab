"""Sources of files, over a folder, a web server and a real S3 server: what is new is imported, once, whatever happens to the files."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as laws
from hypothesis import strategies as st

from almanac.core.errors import unavailable
from almanac.core.event import DeadLetter, Event, Kind
from almanac.core.settings import Settings
from almanac.core.source import Files, source_of
from almanac.ingest import source_s3
from almanac.ingest.source_book import Book, book_of
from almanac.ingest.source_run import Outcome, Run

NOW_US = 1_795_209_000_000_000
LONG_AGO = NOW_US / 1e6 - 86_400


class DeathError(Exception):
    """The process ends here, as by kill -9."""


class Log:
    """An event log in memory that breaks after so many appends."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.room = 1 << 60
        self.full = 0

    async def append(self, events: Sequence[Event]) -> None:
        if self.full:
            self.full -= 1
            raise unavailable("The log is full.", retry_after=0)
        if self.room <= 0:
            raise DeathError
        self.room -= 1
        self.events += events

    async def close(self) -> None:
        pass


class Desk:
    """A folder with files, a source of it, and its runs."""

    def __init__(self, folder: Path, **source: Any) -> None:
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.settings = Settings(data=folder / "data", source_networks="127.0.0.1/32", disk_reserve=0)
        self.log = Log()
        self.now_us = NOW_US
        self.told: list[dict[str, Any]] = []
        self.body: dict[str, Any] = {"kind": "folder", "path": str(self.files), **source}

    def put(self, name: str, content: str | bytes, *, at: float = LONG_AGO) -> Path:
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (at, at))
        return path

    def run(self, **changes: Any) -> Outcome:
        source = source_of({**self.body, **changes})
        assert isinstance(source, Files)
        run = Run(
            "shop", "files", source, writer=self.log, settings=self.settings, clock=lambda: self.now_us,
            tell=lambda outcome: self.told.append(outcome.as_json()),
        )  # fmt: skip
        return asyncio.run(run())

    def new(self) -> list[str]:
        """Names of the events since the last look, dead letters in capitals."""
        events, self.log.events = self.log.events, []
        return [event.name.upper() if event.kind == Kind.DEAD_LETTER else event.name for event in events]

    def entry(self, key: str) -> Any:
        with Book(book_of(self.settings, "shop", "files")) as book:
            return book.get(key)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def lines(*names: str) -> str:
    return "".join(json.dumps({"event": name, "user_id": "u1"}) + "\n" for name in names)


def test_new_files_are_imported_and_old_ones_are_not_read_again(desk: Desk) -> None:
    desk.put("a.ndjson", lines("A", "B"))
    desk.put("deep/b.csv", "event,user_id\nC,u1\n")
    first = desk.run()
    assert sorted(desk.new()) == ["A", "B", "C"]
    assert (first.files, first.records, first.accepted, first.rejected, first.error) == (2, 3, 3, 0, "")
    again = desk.run()
    assert (again.files, again.unchanged, again.records, desk.new()) == (0, 2, 0, [])
    desk.put("c.ndjson", lines("D"))
    assert desk.run().records == 1
    assert desk.new() == ["D"]


def test_a_file_that_grew_brings_what_is_new_even_much_later(desk: Desk) -> None:
    """The same line again is another event: without an id, two equal lines are two."""
    desk.put("a.ndjson", lines("A", "B"))
    desk.run()
    ids = {event.event_id for event in desk.log.events}
    desk.new()
    desk.now_us += 40 * 86_400_000_000
    desk.put("a.ndjson", lines("A", "B", "A", "C"), at=LONG_AGO + 5)
    grown = desk.run()
    assert (grown.records, grown.accepted) == (2, 2)
    assert [event.event_id in ids for event in desk.log.events] == [False, False]
    assert desk.new() == ["A", "C"]


def test_a_file_that_changed_brings_what_it_did_not_have(desk: Desk) -> None:
    desk.put("a.ndjson", lines("A", "B", "B"))
    desk.run()
    desk.new()
    desk.put("a.ndjson", lines("X", "B", "A", "B", "B"), at=LONG_AGO + 5)
    changed = desk.run()
    assert (desk.new(), changed.known) == (["X", "B"], 3)
    desk.put("a.ndjson", lines("B", "Y"), at=LONG_AGO + 6)
    desk.run()
    assert desk.new() == ["Y"]


def test_changes_may_be_ignored(desk: Desk) -> None:
    desk.put("a.ndjson", lines("A"))
    desk.run(changes="ignore")
    desk.put("a.ndjson", lines("A", "B"), at=LONG_AGO + 5)
    assert desk.run(changes="ignore").unchanged == 1
    assert desk.new() == ["A"]


def test_a_log_that_is_rotated_and_written_on_counts_once(desk: Desk) -> None:
    desk.put("app.log", lines("A", "B"))
    desk.run()
    (desk.files / "app.log").rename(desk.files / "app.log.1")
    desk.put("app.log", lines("A"), at=LONG_AGO + 10)  # a new file, whose first line is as the old one's
    desk.run()
    desk.put("app.log.1", lines("A", "B", "C"), at=LONG_AGO + 20)  # the writer had not let go of it yet
    desk.put("app.log", lines("A", "D"), at=LONG_AGO + 21)
    desk.run()
    assert Counter(desk.new()) == Counter(["A", "B", "A", "C", "D"])


def test_a_line_that_is_being_written_waits_for_its_end(desk: Desk) -> None:
    now = NOW_US / 1e6
    desk.put("a.ndjson", lines("A") + '{"event": "B", "us', at=now)
    assert desk.run().records == 1
    assert desk.new() == ["A"]
    assert desk.run().records == 0
    desk.put("a.ndjson", lines("A") + '{"event": "B", "user_id": "u1"}', at=now + 5)
    desk.run()
    assert desk.new() == []
    desk.now_us += 120_000_000  # nobody writes any more: this is its end
    desk.run()
    assert desk.new() == ["B"]


def test_gzip_parquet_and_tables_by_a_mapping(desk: Desk) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    desk.put("a.csv.gz", gzip.compress(b"Action,Who,Paid\nOrder,u1,12.5\nOrder,u2,oops\n"))
    parquet.write_table(pyarrow.table({"Action": ["Visit"], "Who": [7], "Paid": [None]}), desk.files / "b.parquet")
    os.utime(desk.files / "b.parquet", (LONG_AGO, LONG_AGO))
    outcome = desk.run(mapping={"event": "$.Action", "user_id": "$.Who", "revenue": "$.Paid"})
    assert (outcome.records, outcome.accepted, outcome.rejected) == (3, 3, 1)
    good = [event for event in desk.log.events if event.kind != Kind.DEAD_LETTER]
    assert [(event.name, event.user_id, json.loads(bytes(event.properties))) for event in good] == [
        ("Order", "u1", {"revenue": 12.5}),
        ("Visit", "7", {}),
    ]
    [letter] = [msgspec.json.decode(event.rest, type=DeadLetter) for event in desk.log.events if event.kind == Kind.DEAD_LETTER]
    assert (letter.reason, letter.detail) == ("no_amount", "The revenue 'oops' is not a number (a.csv.gz, line 3).")


def test_a_bad_file_does_not_keep_the_others_and_is_named(desk: Desk) -> None:
    desk.put("a.ndjson", lines("A"))
    desk.put("b.parquet", b"PAR1 and then nothing of the kind")
    desk.put("c.ndjson", lines("C"))
    outcome = desk.run()
    assert sorted(desk.new()) == ["A", "C"]
    assert (outcome.failed, outcome.files) == (1, 3)
    assert outcome.error.startswith("b.parquet: ")
    assert "Parquet" in outcome.error
    assert str(desk.settings.data) not in outcome.error
    assert desk.entry("b.parquet").error == outcome.error
    desk.put("b.parquet", lines("B"), at=LONG_AGO + 5)
    mended = desk.run()
    assert (mended.error, desk.new(), desk.entry("b.parquet").error) == ("", ["B"], "")


def test_the_folder_does_not_lead_to_other_places(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "secret.ndjson").write_text(lines("Secret"))
    (desk.files / "link.ndjson").symlink_to(tmp_path / "secret.ndjson")
    desk.put("a.ndjson", lines("A"))
    desk.run()
    assert desk.new() == ["A"]
    desk.settings.data.mkdir(exist_ok=True)
    for path in (desk.settings.data, tmp_path, desk.settings.data / "files"):
        assert "own data" in desk.run(path=str(path)).error
    assert "no folder" in desk.run(path=str(tmp_path / "none")).error


def test_a_full_log_is_waited_for(desk: Desk) -> None:
    desk.put("a.ndjson", lines("A"))
    desk.log.full = 2
    assert desk.run().error == ""
    assert desk.new() == ["A"]


def test_no_room_on_the_disk_is_said_and_tried_again(desk: Desk) -> None:
    desk.put("a.ndjson", lines("A"))
    whole = desk.settings
    desk.settings = (
        msgspec.structs.replace(whole)
        if isinstance(whole, msgspec.Struct)
        else Settings(data=whole.data, source_networks=whole.source_networks, disk_reserve=1 << 60)
    )
    outcome = desk.run()
    assert "no room" in outcome.error
    assert outcome.retryable
    desk.settings = whole
    assert desk.run().error == ""
    assert desk.new() == ["A"]


def test_killed_in_the_middle_it_goes_on_where_it_was(desk: Desk) -> None:
    """What was in the log when it died is not sent with another id; the rest comes once."""
    content = "".join(json.dumps({"event": f"E{number % 9}", "user_id": "u1"}) + "\n" for number in range(9_000))
    desk.put("a.ndjson", content)
    for room in (0, 2, 1):
        desk.log.room = room
        with pytest.raises(DeathError):
            desk.run()
    desk.log.room = 1 << 60
    last = desk.run()
    ids = [event.event_id for event in desk.log.events]
    assert len(ids) == len(set(ids)) == 9_000
    assert 0 < last.records < 9_000
    desk.new()
    # Killed while it takes what is new of a file that changed, and then the file changes again.
    desk.put("a.ndjson", lines("New") + content + lines("Later") * 5_000, at=LONG_AGO + 5)
    desk.log.room = 1
    with pytest.raises(DeathError):
        desk.run()
    desk.log.room = 1 << 60
    desk.put("a.ndjson", lines("Newer", "New") + content + lines("Later") * 5_000, at=LONG_AGO + 6)
    desk.run()
    assert Counter(desk.new()) == Counter({"New": 1, "Newer": 1, "Later": 5_000})


class Web:
    """A web server with files, entity tags, and faults."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status = 200
        self.tags = True
        self.sent: list[int] = []
        self.headers: list[dict[str, str]] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = web.files.get(self.path)
                tag = '"' + hashlib.md5(content or b"").hexdigest() + '"'
                status = web.status if web.status != 200 else 404 if content is None else 200
                if web.tags and self.headers.get("If-None-Match") == tag and status == 200:
                    status = 304
                web.sent.append(status)
                web.headers.append(dict(self.headers.items()))
                self.send_response(status)
                if web.tags:
                    self.send_header("ETag", tag)
                body = (content or b"") if status == 200 else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.mark.parametrize("tags", [True, False])
def test_files_of_a_web_server(tmp_path: Path, web: Web, tags: bool) -> None:
    web.tags = tags
    desk = Desk(tmp_path, kind="http", urls=[f"{web.url}/a.ndjson", f"{web.url}/b.csv?day=1"], headers={"Authorization": "Bearer t"})
    desk.body.pop("path")
    web.files = {"/a.ndjson": lines("A").encode(), "/b.csv?day=1": b"event,user_id\nB,u1\n"}
    assert desk.run().error == ""
    assert desk.new() == ["A", "B"]
    assert {headers["Authorization"] for headers in web.headers} == {"Bearer t"}
    web.sent.clear()
    assert desk.run().unchanged == 2
    assert web.sent == ([304, 304] if tags else [200, 200])
    web.files["/a.ndjson"] += lines("C").encode()
    desk.run()
    assert desk.new() == ["C"]


def test_a_web_server_that_fails_is_told(tmp_path: Path, web: Web) -> None:
    desk = Desk(tmp_path, kind="http", urls=[f"{web.url}/a.ndjson"])
    desk.body.pop("path")
    missing = desk.run()
    assert ("status 404" in missing.error, missing.retryable) == (True, False)
    web.status = 503
    busy = desk.run()
    assert ("status 503" in busy.error, busy.retryable) == (True, True)
    web.status, web.files = 200, {"/a.ndjson": lines("A").encode()}
    assert desk.run().error == ""
    assert desk.new() == ["A"]


def test_a_file_that_comes_often_and_changed_counts_each_record_once(tmp_path: Path, web: Web) -> None:
    """A daily export of all orders: rows come, go and move."""
    desk = Desk(tmp_path, kind="http", urls=[f"{web.url}/orders.csv"], mapping={"event": "=Order", "user_id": "$.who", "id": "$.number"})
    desk.body.pop("path")
    days = [range(5), range(2, 9), [8, 7, 1, 10], range(12)]
    for day in days:
        web.files = {"/orders.csv": ("number,who\n" + "".join(f"{number},u{number % 3}\n" for number in day)).encode()}
        assert desk.run().error == ""
        desk.now_us += 20 * 86_400_000_000
    assert sorted(int(event.event_id) for event in desk.log.events) == list(range(12))


# ------------------------------------------------------------------------ S3


class S3:
    """A bucket of a real S3 server (moto's), on a port of this host."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.url = f"http://{host}:{port}"

    def put(self, bucket: str, key: str = "", content: bytes = b"") -> None:
        import urllib.request
        from urllib.parse import quote

        owner = "AWS4-HMAC-SHA256 Credential=a-key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"Content-Type": "application/octet-stream", "Authorization": owner}
        request = urllib.request.Request(f"{self.url}/{bucket}/{quote(key)}", content, headers, method="PUT")
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    made = S3()
    yield made
    made.server.stop()


def bucket_desk(tmp_path: Path, s3: S3, **source: Any) -> tuple[Desk, str]:
    bucket = f"b-{uuid.uuid4().hex}"
    s3.put(bucket)
    keys = {"access_key": "a-key", "secret_key": "a-secret-key"}
    desk = Desk(tmp_path, kind="s3", endpoint=s3.url, bucket=bucket, **keys, **source)
    desk.body.pop("path")
    return desk, bucket


def test_objects_of_a_bucket(tmp_path: Path, s3: S3) -> None:
    desk, bucket = bucket_desk(tmp_path, s3, prefix="in/", pattern="*.ndjson*")
    s3.put(bucket, "in/2026/a b+ü&.ndjson", lines("A").encode())
    s3.put(bucket, "in/c.ndjson.gz", gzip.compress(lines("C").encode()))
    s3.put(bucket, "in/d.txt", b"no")
    s3.put(bucket, "out/e.ndjson", lines("E").encode())
    assert desk.run().error == ""
    assert sorted(desk.new()) == ["A", "C"]
    assert (desk.run().unchanged, desk.new()) == (2, [])
    s3.put(bucket, "in/2026/a b+ü&.ndjson", lines("A", "B").encode())
    assert desk.run().error == ""
    assert desk.new() in (["B"], [])  # the store may say that it was written a moment ago; then its end is waited for


def test_a_bucket_of_more_than_a_page(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    desk, bucket = bucket_desk(tmp_path, s3)
    monkeypatch.setattr(source_s3, "PAGE", 4)
    for number in range(9):
        s3.put(bucket, f"k {number}+ü", b"")
    s3.put(bucket, "last.ndjson", lines("L").encode())
    assert desk.run().unchanged == 9
    assert desk.new() == ["L"]


def test_a_bucket_that_is_not_there(tmp_path: Path, s3: S3) -> None:
    desk, _ = bucket_desk(tmp_path, s3)
    outcome = desk.run(bucket="none-of-this-name")
    assert ("404" in outcome.error, outcome.retryable) == (True, False)
    refused = Desk(tmp_path / "other", kind="s3", endpoint=s3.url, bucket="any")
    refused.body.pop("path")
    refused.settings = Settings(data=refused.settings.data)
    assert "own network" in refused.run().error


# ----------------------------------------------------------------------- laws

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2), st.integers(1, 3)),
        st.tuples(st.just("insert"), st.integers(0, 2), st.integers(0, 5)),
        st.tuples(st.just("drop"), st.integers(0, 2), st.integers(0, 5)),
        st.tuples(st.just("rotate"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("copy"), st.integers(0, 2), st.integers(0, 2)),
        st.tuples(st.just("run"), st.just(0), st.just(0)),
        st.tuples(st.just("die"), st.just(0), st.integers(0, 2)),
    ),
    min_size=2,
    max_size=10,
)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where the host has it: hundreds of small files of SQLite wait for the disk six times as long as they reckon."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path_factory.mktemp("laws")) as folder:
        yield Path(folder)


@given(steps)
@laws(max_examples=200, deadline=None)
def test_law_each_record_that_a_run_could_see_is_one_event(many: Path, done: list[tuple[str, int, int]]) -> None:
    """Files are appended to, changed, renamed and copied; every record is one of its kind, so that each
    that a run ended on has come, and has one id. A run that died may have taken some of what it saw."""
    desk = Desk(many / uuid.uuid4().hex)
    files: dict[int, list[int]] = {0: [], 1: [], 2: []}
    fresh, at, seen, due = 0, LONG_AGO, set[int](), set[int]()

    def write() -> None:
        nonlocal at
        at += 1
        for number, records in files.items():
            path = desk.files / f"f{number}.ndjson"
            content = lines(*(str(record) for record in records))
            if not path.exists() or path.read_text() != content:
                desk.put(path.name, content, at=at)

    for what, number, count in [*done, ("run", 0, 0)]:
        if what == "append":
            files[number] += range(fresh, fresh + count)
            fresh += count
        elif what == "insert":
            files[number].insert(count, fresh)
            fresh += 1
        elif what == "drop" and files[number]:
            files[number].pop(count % len(files[number]))
        elif what == "rotate" and number != count:
            files[count], files[number] = files[number], []
        elif what == "copy":
            files[count] = list(files[number])
        elif what in ("run", "die"):
            write()
            there = {record for records in files.values() for record in records}
            seen |= there
            desk.log.room = count if what == "die" else 1 << 60
            try:
                assert desk.run().error == ""
                due |= there
            except DeathError:
                assert what == "die"
    names = [int(event.name) for event in desk.log.events]
    assert due <= set(names) <= seen
    if {what for what, _, _ in done} <= {"append", "insert", "drop", "run"}:  # then nothing hangs on ids that the load remembers
        assert len(names) == len(set(names))
    assert len({event.event_id for event in desk.log.events}) == len(set(names))
