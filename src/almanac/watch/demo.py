"""The demo: a pack's made-up life, sent through the collector as any app would send it, and the first things to look at."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from almanac.core.errors import AlmanacError, Code, denied, unavailable
from almanac.ingest.generate import DEFAULT_SEED, messages
from almanac.ingest.generate_pack import load_pack

EVENTS: Final = 200_000  # of a life, unless somebody wants another number
BATCH: Final = 500  # events in one request
SENDERS: Final = 3  # requests under way at once
PATIENCE: Final = 60.0  # seconds without any progress before giving up
_POLL: Final = 0.2  # seconds between two looks at the ledger

Report = Callable[[str, int, int], None]  # what is done, how many events of it, of how many


def run_demo(
    url: str, write_key: str, api_key: str, pack: str, events: int, progress: Report, *, now: datetime, seed: int = DEFAULT_SEED
) -> dict[str, Any]:
    """Sends the life of `pack` up to `now` and returns when all of it can be asked about: `events` sent, and what became of them
    (`stored`, `duplicate`, `rejected`), `seconds` in all.

    May be repeated, also with another `now`: message ids are the same, so that nothing counts twice. Raises `unavailable` when the server
    makes no progress for a minute, and whatever else it answers.
    """
    began = time.monotonic()
    life = messages(load_pack(pack).generator, seed=seed, now=now, events=events)
    ledger = _Ledger(url, api_key)
    before = ledger.read()
    with closing(Sender(url, write_key)) as sender:
        _send_all(sender, life, events, progress)
    became = _wait(ledger, before, events, progress)
    return {"events": events, **became, "seconds": round(time.monotonic() - began, 1)}


def start_page(pack: str) -> list[dict[str, Any]]:
    """The questions to begin with, as `{"title", "question"}`, for the project's setting `start_page`."""
    return [card.model_dump() for card in load_pack(pack).start_page]


def commands(url: str, project: str, key: str, *, pack: str = "shop", program: str = "almanac", data: str = "") -> list[str]:
    """Three commands to try in another terminal: a question, SQL, and the API. `data`: the data folder, where it is not the default."""
    questions = {card.question["kind"]: card.question for card in load_pack(pack).start_page}
    where = f" --project {_quoted(project)}" + (f" --data {_quoted(data)}" if data else "")
    return [
        f"{_quoted(program)} {_as_flags(questions['funnel'])}{where}",
        f"{_quoted(program)} sql {_quoted(' '.join(str(questions['sql']['sql']).split()))}{where}",
        f"curl -s {url.rstrip('/')}/api/v1/projects/{quote(project)}/ask -H {_quoted(f'Authorization: Bearer {key}')} "
        f"-d {_quoted(json.dumps(questions['retention'], ensure_ascii=False))}",
    ]


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A bar on stderr, for `run_demo`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield report


def _as_flags(question: dict[str, Any]) -> str:
    """A question as its own command: lists are repeated, what is not a plain value is JSON."""
    flags = [
        f"--{field.replace('_', '-')} {_quoted(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False))}"
        for field, value in question.items()
        if field != "kind"
        for each in (value if isinstance(value, list) else [value])
    ]
    return " ".join([question["kind"].replace("_", "-"), *flags])


def _quoted(text: str) -> str:
    """For a POSIX shell, as people would write it."""
    plain = "'" in text and not any(mark in text for mark in '"$`\\!')
    return f'"{text}"' if plain else shlex.quote(text)


# ------------------------------------------------------------------- the sending


class Sender:
    """Posts batches in Segment's form; a connection for each thread. Comes back when the server is busy or out of reach."""

    def __init__(self, url: str, write_key: str) -> None:
        self._address = urlsplit(url)
        token = base64.b64encode(f"{write_key}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json", "Content-Encoding": "gzip"}
        self._own = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Ends all connections."""
        for connection in self._opened:
            connection.close()

    def send(self, batch: list[bytes]) -> int:
        """How many it sent. Raises what the server says."""
        # Without `sentAt` the times are taken as they are; a clock has nothing to correct here.
        body = gzip.compress(b'{"batch":[' + b",".join(batch) + b"]}", 1)
        deadline = time.monotonic() + PATIENCE
        while True:
            pause = self._post(body)
            if pause is None:
                return len(batch)
            if time.monotonic() + pause > deadline:
                raise unavailable("The server took no events for a minute.", way_out="Look at `almanac doctor`.")
            time.sleep(pause)

    def _post(self, body: bytes) -> float | None:
        """Seconds to wait before the next try; None when it is done."""
        connection = self._connection()
        try:
            connection.request("POST", f"{self._address.path.rstrip('/')}/v1/batch", body, self._headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # it opens itself again
            return 0.5
        if response.status in (429, 503):
            return min(5.0, float(response.headers.get("Retry-After") or 1))
        _check(response.status, answer)
        if b'"rejected"' in answer:
            raise AlmanacError(Code.INVALID, "The server refused events of the demo.", way_out="See `almanac dead-letters list`.")
        return None

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = _connect(self._address.scheme, self._address.netloc)
            self._opened.append(connection)
        return connection


def _send_all(sender: Sender, life: Iterator[dict[str, Any]], events: int, progress: Report) -> None:
    """Reads ahead by no more than a batch for each sender, in constant memory."""
    encode, sent = msgspec.json.Encoder().encode, 0
    with ThreadPoolExecutor(SENDERS) as threads:
        under_way: list[Future[int]] = []
        while batch := [encode(message) for message in islice(life, BATCH)]:
            under_way.append(threads.submit(sender.send, batch))
            if len(under_way) > 2 * SENDERS:
                sent += under_way.pop(0).result()
                progress("Sending", sent, events)
        for last in under_way:
            sent += last.result()
            progress("Sending", sent, events)


# ------------------------------------------------------------------- the waiting


class _Ledger:
    """What became of a project's events."""

    def __init__(self, url: str, api_key: str) -> None:
        self._address = urlsplit(url)
        self._key = api_key
        projects = self._get("/api/v1/me")["projects"]
        if len(projects) != 1:
            raise denied("The key does not open exactly one project.", way_out="Give the project's own read key.")
        self._project = quote(str(projects[0]["id"]), safe="")

    def read(self) -> dict[str, int]:
        """The sums of all hours. Raises what the server says."""
        rows = self._get(f"/api/v1/projects/{self._project}/ledger")
        return {name: sum(int(row[name]) for row in rows) for name in ("stored", "duplicate", "rejected", "in_flight")}

    def _get(self, path: str) -> Any:
        try:
            with closing(_connect(self._address.scheme, self._address.netloc)) as connection:
                connection.request("GET", self._address.path.rstrip("/") + path, headers={"Authorization": f"Bearer {self._key}"})
                response = connection.getresponse()
                answer = response.read()
        except (OSError, http.client.HTTPException):
            raise unavailable("The server cannot be reached.", way_out="Start it with `almanac serve`.") from None
        _check(response.status, answer)
        return msgspec.json.decode(answer)


def _wait(ledger: _Ledger, before: dict[str, int], events: int, progress: Report) -> dict[str, int]:
    last, deadline = -1, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        now = ledger.read()
        became = {name: now[name] - before[name] for name in ("stored", "duplicate", "rejected")}
        done = sum(became.values())
        if done != last:
            last, deadline = done, time.monotonic() + PATIENCE
            progress("Loading", min(done, events), events)
        if done >= events and not now["in_flight"]:
            return became
        time.sleep(_POLL)
    raise unavailable("The load made no progress for a minute.", way_out="Look at `almanac doctor`; accepted events wait in the log.")


def _connect(scheme: str, netloc: str) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    return kind(netloc, timeout=30)


def _check(status: int, answer: bytes) -> None:
    if status == 200:
        return
    try:
        said = msgspec.json.decode(answer)
        error = said.get("error")
        words = error["message"] if isinstance(error, dict) else str(said.get("message") or error)
    except (msgspec.DecodeError, AttributeError, KeyError):
        words = f"The server answered {status}."
    if status in (401, 403):
        raise denied(words, way_out="Check the keys of the project.")
    raise unavailable(words, way_out="Look at `almanac doctor`.") if status >= 500 else AlmanacError(Code.INVALID, words)


if __name__ == "__main__":  # a process of its own, told by standard input what to send and where to
    _told = json.load(sys.stdin)
    run_demo(
        _told["url"],
        _told["write"],
        _told["read"],
        _told["pack"],
        _told["events"],
        lambda what, done, total: None,
        now=datetime.fromisoformat(_told["now"]),
    )
