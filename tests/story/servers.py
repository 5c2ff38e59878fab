"""A real `almanac serve` for stories: processes that can be killed, and a sender that behaves like an SDK."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import psutil

from almanac.core.settings import load
from almanac.house import open_catalog


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: Callable[[], object], seconds: float = 20) -> None:
    """Asks again and again until it is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


class Server:
    """`almanac serve` on a folder; it may be started again after its end."""

    def __init__(self, folder: Path, *, environment: dict[str, str] | None = None, **settings: Any) -> None:
        self.folder = folder
        self.errors = folder.with_name(f"{folder.name}-stderr")
        self._environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {"data": str(folder), "port": self.port, "disk_reserve": 0, **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self.keys: dict[str, dict[str, str]] = {}
        self.headers = Message()  # of the last answer

    def project(self, name: str) -> dict[str, str]:
        """Makes a project; its keys by role."""
        catalog = open_catalog(load({"data": str(self.folder)}, {}))
        try:
            _, self.keys[name] = catalog.create_project(name)
        finally:
            catalog.close()
        return self.keys[name]

    def start(self) -> Server:
        program = f"from almanac.core.settings import load; from almanac.app import serve; serve(load({self._settings!r}))"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=errors, env=self._environment
            )
        return self

    def __enter__(self) -> Server:
        self.start()
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """As an operator stops it; answers the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def wait(self, seconds: float = 60) -> None:
        """Until questions are answered."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if "status" in self.get("/health", key="")[1]:  # of the engine, green or red
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("the server did not start")

    def taking(self) -> bool:
        """Whether collectors answer, whatever the engine does."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def part(self, name: str) -> psutil.Process | None:
        """A process: supervisor, engine or collector."""
        assert self.process is not None
        try:
            top = psutil.Process(self.process.pid)
            if name == "supervisor":
                return top
            word = {"engine": "engine", "collector": "collect"}[name]
            return next((child for child in top.children() if word in child.cmdline()), None)
        except psutil.NoSuchProcess:
            return None

    def kill(self, name: str) -> bool:
        """kill -9, if it lives."""
        process = self.part(name)
        if process is None:
            return False
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def call(self, method: str, path: str, body: Any = None, *, key: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json", **(headers or {})}, method=method)
        if key:
            request.add_header("authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.headers = answer.headers
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                self.headers = error.headers
                return error.code, json.loads(error.read() or b"null")

    def send(self, project: str, first: int, count: int) -> int:
        """Sends messages numbered from `first` on; the status."""
        messages = [
            {"type": "track", "event": "beat", "userId": "u1", "messageId": f"{number:08d}-0000-4000-8000-000000000000"}
            for number in range(first, first + count)
        ]
        body = {"batch": [{**message, "properties": {"filler": "x" * 2000}} for message in messages]}
        return self.call("POST", "/v1/batch", {**body, "writeKey": self.keys[project]["write"]}, key="")[0]

    def check(self, name: str) -> dict[str, Any]:
        """One check of /health."""
        checks = self.get("/health", key="")[1].get("checks", [])
        return next((dict(check) for check in checks if check["name"] == name), {})

    def get(self, path: str, *, key: str) -> tuple[int, Any]:
        return self.call("GET", path, key=key)

    def ask(self, project: str, question: dict[str, Any]) -> list[dict[str, Any]]:
        status, answer = self.call("POST", f"/api/v1/projects/{project}/ask", question, key=self.keys[project]["read"])
        assert status == 200, answer
        return list(answer["rows"])

    def sql(self, project: str, text: str) -> list[dict[str, Any]]:
        return self.ask(project, {"kind": "sql", "sql": text})

    def ledger(self, project: str) -> dict[str, int]:
        """All hours of the books in one sum."""
        status, answer = self.get(f"/api/v1/projects/{project}/ledger", key=self.keys[project]["read"])
        assert status == 200, answer
        names = ("accepted", "stored", "duplicate", "rejected", "in_flight", "gap")
        return {name: sum(row[name] for row in answer) for name in names}

    def settled(self, project: str, seconds: float = 60) -> dict[str, int]:
        """The books when nothing is in flight any more."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                books = self.ledger(project)
                if books["in_flight"] == 0 and books["accepted"] > 0:
                    return books
            except (OSError, AssertionError):
                pass
            time.sleep(0.1)
        raise TimeoutError(f"the log does not empty: {self.ledger(project)}")


class Sdk(threading.Thread):
    """Sends batches of Segment messages, the same again with the same ids until they are acknowledged."""

    def __init__(self, server: Server, write_key: str, *, seed: int, batch: int = 20) -> None:
        super().__init__(daemon=True)
        self._server, self._key, self._batch = server, write_key, batch
        self._dice = random.Random(seed)
        self._stop_asked = threading.Event()
        self.acknowledged: list[str] = []
        self.retries = 0

    def finish(self) -> None:
        """After the batch under way is acknowledged."""
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            ids = [str(uuid.UUID(int=self._dice.getrandbits(128))) for _ in range(self._batch)]
            messages = [{"type": "track", "event": "beat", "userId": f"u{self._dice.randrange(50)}", "messageId": id_} for id_ in ids]
            while not self._send({"batch": messages, "writeKey": self._key}):
                self.retries += 1
                time.sleep(0.05)
            self.acknowledged += ids

    def _send(self, body: dict[str, Any]) -> bool:
        try:
            return self._server.call("POST", "/v1/batch", body, key="")[0] == 200
        except OSError:
            return False
