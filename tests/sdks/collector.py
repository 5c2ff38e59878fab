"""The collector of `server.py` as a process that tests start, look into, kill and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from almanac.core.event import LINE_DECODER, Event

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[Event]:
        return [LINE_DECODER.decode(line) for line in _whole_lines(self.log)]

    def events(self, count: int, seconds: float = 20.0) -> list[Event]:
        """All events, once there are `count` of them."""
        until = time.monotonic() + seconds
        while len(self.lines) < count and time.monotonic() < until:
            time.sleep(0.05)
        found = self.lines
        assert [event.name for event in found if event.kind == "dead_letter"] == []
        return found

    @property
    def refused(self) -> list[tuple[str, Event]]:
        """What faults threw away: the fault, and the event."""
        parts = [line.split(b"\t", 1) for line in _whole_lines(self.log.with_suffix(".refused"))]
        return [(fault.decode(), LINE_DECODER.decode(line)) for fault, line in parts]

    @property
    def unknown(self) -> list[str]:
        """Requests to paths that no protocol claims."""
        return [line.decode() for line in _whole_lines(self.log.with_suffix(".unknown"))]

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The process, from its first answer on. When a fault kills it, it is started again four seconds later, on the same port."""
        ended = threading.Event()
        process = self._start()
        processes = [process]

        def revive() -> None:
            while not ended.is_set():
                if processes[-1].poll() == -signal.SIGKILL and not ended.wait(4):
                    processes.append(self._start())
                ended.wait(0.05)

        guard = threading.Thread(target=revive, daemon=True)
        try:
            self._wait(process)
            guard.start()
            yield self
        finally:
            ended.set()
            if guard.is_alive():
                guard.join()
            for one in processes:
                one.terminate()
                one.communicate(timeout=20)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "ALMANAC_TEST_LOG": str(self.log)}
        command = [sys.executable, str(HERE / "server.py"), str(self.port)]
        return subprocess.Popen(command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(300):
            if process.poll() is not None:
                assert process.stderr is not None
                raise AssertionError(process.stderr.read().decode())
            try:
                with urllib.request.urlopen(self.url + "/up", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise AssertionError("the collector did not start")


def _whole_lines(file: Path) -> list[bytes]:
    return [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if file.exists() else []
