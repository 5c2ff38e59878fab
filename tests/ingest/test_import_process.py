"""Imports as processes of their own, beside a running server: what they say of their events, and what is left when one is killed."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}


class Server:
    """A running server with the project Shop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        words = ["serve", "--port", str(self.port), "--collectors", "1", "--disk-reserve", "0"]
        with (folder / "server.log").open("w") as log:
            self.process = subprocess.Popen(self.command(*words), stdout=log, stderr=log, env=ENVIRONMENT)
        self.key = ""

    def started(self) -> None:
        deadline = time.monotonic() + 90
        while not (self.data / "serve.json").exists():
            running = self.process.poll() is None and time.monotonic() < deadline
            assert running, (self.folder / "server.log").read_text()
            time.sleep(0.1)
        self.key = str(self.json("project", "create", "Shop")["write_key"])

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "almanac.cli", *words, "--data", str(self.data)]

    def json(self, *words: str) -> Any:
        done = subprocess.run(self.command(*words, "--json"), capture_output=True, text=True, env=ENVIRONMENT, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def send(self, number: int) -> None:
        """One event of another sender."""
        body = json.dumps({"event": "Live", "userId": "other", "messageId": f"live-{number}", "writeKey": self.key}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/track", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200

    def count(self, event: str) -> list[dict[str, int]]:
        found: list[dict[str, int]] = self.json("sql", f"SELECT count() AS n, uniqExact(id) AS ids FROM events WHERE event = '{event}'")[
            "rows"
        ]
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.started()
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


def likes(file: Path, count: int, event: str) -> Path:
    line = '{{"event":"{}","user_id":"u{}","time":"2026-01-01T00:00:00Z"}}\n'
    file.write_text("".join(line.format(event, number % 1000) for number in range(count)))
    return file


def test_the_counts_are_of_the_imports_own_events(server: Server, tmp_path: Path) -> None:
    """Another sender keeps sending to the same project; of 3,001 rows 3,000 are good, and again they are duplicates."""
    file = likes(tmp_path / "likes.ndjson", 3000, "Own")
    file.write_text(file.read_text() + '{"event":\n')
    done, sent = threading.Event(), 0

    def others() -> None:
        nonlocal sent
        while not done.is_set():
            server.send(sent)
            sent += 1

    sender = threading.Thread(target=others)
    sender.start()
    try:
        names = ("accepted", "stored", "duplicate", "rejected")
        first, again = (server.json("import", str(file)) for _ in range(2))
    finally:
        done.set()
        sender.join()
    assert [first[name] for name in names] == [3001, 3000, 0, 1]
    assert [again[name] for name in names] == [3001, 0, 3001, 0]
    assert sent > 5
    assert server.count("Own") == [{"n": 3000, "ids": 3000}]


def test_killed_in_the_middle_it_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    file = likes(tmp_path / "many.ndjson", 100_000, "Killed")
    journals = server.data / "files" / "imports"
    before = set(journals.glob("*.sqlite"))
    killed = subprocess.Popen(server.command("import", str(file)), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while killed.poll() is None and not any(begun(journal) for journal in set(journals.glob("*.sqlite")) - before):
        time.sleep(0.002)
    killed.kill()
    assert killed.wait() == -9  # it had not ended by itself
    outcome = server.json("import", str(file))
    [progress] = outcome["files"]
    assert 0 < progress["resumed_at"] < 100_000
    assert progress["accepted"] == 100_000
    assert outcome["accepted"] == 100_000 - progress["accepted_before"] == outcome["stored"] + outcome["duplicate"]
    assert outcome["rejected"] == 0
    deadline = time.monotonic() + 60  # what the killed one wrote last is loaded by the server in its own time
    while server.count("Killed")[0]["n"] < 100_000 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert server.count("Killed") == [{"n": 100_000, "ids": 100_000}]
    assert [row["gap"] for row in server.json("ledger") if row["gap"]] == []


def begun(journal: Path) -> bool:
    """Whether the import has noted how far it is."""
    try:
        base = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
        try:
            return bool(base.execute("SELECT count() FROM state WHERE name = 'cursor'").fetchone()[0])
        finally:
            base.close()
    except sqlite3.Error:
        return False  # not made yet
