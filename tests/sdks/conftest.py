"""A collector in a process of its own, a proxy in front of it that fails at first, and the SDKs' languages."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.sdks.collector import Server, free_port

HERE = Path(__file__).parent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The collector behind its own HTTP server."""
    with Server(free_port(), tmp_path / "log.jsonl").running() as made:
        yield made


@dataclass
class Flaky:
    """A proxy whose first connections fail: 500, 429 (with Retry-After 1) or closed without an answer. Keeps what it refused."""

    target: int
    failures: list[str]
    port: int = 0
    refused: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.listener.close()

    def bodies(self) -> list[Any]:
        """What it refused, as JSON."""
        return [json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body) for body in self.refused]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head, body = _request(connection)
            if not head:
                return
            if self.failures and head.startswith(b"POST"):
                failure = self.failures.pop(0)
                self.refused.append(body)
                if failure != "close":
                    more = "retry-after: 1\r\n" if failure == "429" else ""
                    connection.sendall(f"HTTP/1.1 {failure} No\r\ncontent-length: 2\r\nconnection: close\r\n{more}\r\n{{}}".encode())
                return
            with socket.create_connection(("127.0.0.1", self.target)) as behind:
                lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
                behind.sendall(b"\r\n".join([*lines, b"connection: close", b"", b""]) + body)
                while piece := behind.recv(65536):
                    connection.sendall(piece)


def _request(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return b"", b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < (lengths or [0])[0]:
        body += connection.recv(65536)
    if b"chunked" in head.lower():
        while not body.endswith(b"0\r\n\r\n"):
            body += connection.recv(65536)
    return head, body


@pytest.fixture
def flaky(server: Server) -> Iterator[Callable[..., Flaky]]:
    """Puts a proxy before the collector whose first connections fail in these ways."""
    made: list[Flaky] = []

    def make(*failures: str) -> Flaky:
        made.append(Flaky(server.port, list(failures)))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def node() -> Callable[..., None]:
    """Runs a script with the vendors' SDKs for Node."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("the SDKs are not installed: npm ci in tests/sdks")

    def run(script: str, *arguments: str) -> None:
        done = subprocess.run([program, script, *arguments], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr + done.stdout

    return run
