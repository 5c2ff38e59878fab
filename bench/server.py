"""A server under measurement: `almanac serve` on a free port and a folder of its own, ended when done."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil


class Server:
    """Starts at `with`, and is gone after it."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="almanac-bench-"))
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Server:
        made = _almanac("project", "create", "bench", "--data", str(self.folder), "--json")
        keys = json.loads(made)
        self.project, self.write_key, self.api_key = keys["id"], keys["write_key"], keys["api_key"]
        self.start()
        return self

    def start(self) -> None:
        """Starts it and waits for its first answer."""
        options = [part for name, value in self._settings.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        command = [sys.executable, "-m", "almanac.cli", "serve", "--data", str(self.folder), "--port", str(self.port), *options]
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.wait_for_answer()

    def stop(self) -> None:
        """Ends it; the folder stays."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_for_answer(self, seconds: float = 60) -> float:
        """Until the first question is answered; seconds since the start."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.sql("SELECT count() AS n FROM events")
                return time.monotonic() - self.began
            except OSError:
                time.sleep(0.02)
        raise TimeoutError("the server does not answer")

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """One question by REST."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/projects/{self.project}/ask",
            json.dumps(question).encode(),
            {"authorization": f"Bearer {self.api_key}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return dict(json.load(answer))

    def sql(self, text: str) -> list[dict[str, Any]]:
        """Rows of a statement."""
        return list(self.ask({"kind": "sql", "sql": text})["rows"])

    def count(self) -> int:
        """Events that can be asked about."""
        return int(self.sql("SELECT count() AS n FROM events")[0]["n"])

    def ledger(self) -> list[dict[str, Any]]:
        """The books of the project."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/projects/{self.project}/ledger", headers={"authorization": f"Bearer {self.api_key}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return list(json.load(answer))

    def metric(self, name: str) -> float:
        """The first value of a metric of that name."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            lines = [line.decode() for line in answer if line.startswith(name.encode() + b" ")]
        return float(lines[0].rsplit(" ", 1)[1])

    def processes(self) -> list[psutil.Process]:
        """All processes of the server."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def resident(self) -> int:
        """Bytes of memory that belong to the processes (shared pages once: proportional)."""
        return sum(process.memory_full_info().pss for process in self.processes())

    def store_bytes(self, seconds: float = 240) -> int:
        """Bytes that the store takes on disk at rest: merges go on after the last event, and the parts that they replaced lie beside them
        ones for a minute. Waits until nothing has changed for 75 s, at most `seconds`."""
        end, since, size = time.monotonic() + seconds, time.monotonic(), -1
        while time.monotonic() < min(end, since + 75):
            if (now := self._store_bytes()) != size:
                since, size = time.monotonic(), now
            time.sleep(1)
        return size

    def _store_bytes(self) -> int:
        found = 0
        for file in (self.folder / "store").rglob("*"):
            with contextlib.suppress(FileNotFoundError):  # a merge has just removed it
                found += file.stat().st_size if file.is_file() else 0
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _almanac(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "almanac.cli", *arguments], check=True, capture_output=True, text=True).stdout


def send(
    port: int, key: str, *, batch: int, seconds: float, connections: int = 4, rate: float = 0, form: str = "server"
) -> subprocess.Popen[str]:
    """Starts the load generator beside us."""
    arguments = [str(port), key, str(batch), str(seconds), str(connections), str(rate), form]
    return subprocess.Popen([sys.executable, "-m", "bench.senders", *arguments], stdout=subprocess.PIPE, text=True)
