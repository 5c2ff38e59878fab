"""What an event costs a collector by each protocol, beside the native batch endpoint."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from almanac.core.settings import load
from almanac.core.source import DOCUMENT
from almanac.house import open_catalog
from almanac.ingest.protocols import registry
from bench.bodies import ACTS, acts, bodies, hooks
from bench.report import Row
from bench.server import Server


class Collecting(Server):
    """One collector and its log, without an engine that loads beside it."""

    def __init__(self) -> None:
        super().__init__(role="collect", collectors=1)

    def start(self) -> None:
        """With the webhook that a delivery is sent to."""
        catalog = open_catalog(load({"data": self.folder}, {}))
        catalog.put(DOCUMENT, self.project, "shop", {"source": hooks.SOURCE})
        catalog.close()
        super().start()

    def wait_for_answer(self, seconds: float = 60) -> float:
        """Until it listens."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.monotonic() - self.began
            time.sleep(0.02)
        raise TimeoutError("the collector does not listen")

    def cpu(self) -> float:
        """Seconds of CPU that the collector has taken, all of its threads."""
        (collector,) = [process for process in self.processes() if "collect" in process.cmdline()]
        tasks = Path(f"/proc/{collector.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


class Line:
    """A connection that sends the same requests again and again. The load, which is not there, would count their events once."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests

    def send(self, times: int) -> None:
        """Sends all of them so many times, each after the answer to the one before."""
        for _ in range(times):
            for request in self._requests:
                self._connection.sendall(request)
                answer = self._connection.recv(65536)
                assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")), answer[:500]


def protocols(rounds: int, times: int = 100) -> Iterator[Row]:
    """Rounds of the native endpoint and of the protocol take turns; the ratio is the median of the rounds' ratios of CPU an event."""
    for name in sorted(registry(), key=lambda name: (name != "native", name)):
        with Collecting() as server:
            lines = {
                each: Line(server.port, [request.as_bytes() for request in bodies()[each](server.write_key, acts())])
                for each in ("native", name)
            }
            for line in lines.values():
                line.send(times // 5)  # warm
            took: dict[str, list[float]] = {each: [] for each in lines}
            wall: dict[str, list[float]] = {each: [] for each in lines}
            for _ in range(rounds):
                for each, line in lines.items():
                    time.sleep(0.3)  # the log seals its file
                    cpu, began = server.cpu(), time.perf_counter()
                    line.send(times)
                    wall[each].append((time.perf_counter() - began) / (times * ACTS))
                    took[each].append((server.cpu() - cpu) / (times * ACTS))
            ratio = statistics.median(native / own for native, own in zip(took["native"], took[name], strict=True))
            of = f"{name}, batches of {ACTS}"
            own = 1 / statistics.median(took[name])
            yield Row(f"events a second of a collector's CPU, {of}", own, "events/s", ratio, "native batches", ">= 0.5")
            yield Row(f"events accepted on one connection, {of}", 1 / statistics.median(wall[name]), "events/s")
