"""A full disk, a second server, messages sent again after a restart: a clear state, no loss, recovery by itself."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.story.servers import Server


def _messages(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "track",
            "event": "beat",
            "userId": "u1",
            "messageId": f"{number:08d}-0000-4000-8000-000000000000",
            "properties": {"filler": "x" * 2000},
        }
        for number in range(first, first + count)
    ]


def _send(server: Server, project: str, first: int, count: int) -> int:
    body = {"batch": _messages(first, count), "writeKey": server.keys[project]["write"]}
    return server.call("POST", "/v1/batch", body, key="")[0]


def _fill(filler: Path) -> None:
    """Until nothing more fits."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def _until(what: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB of its own for the log."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_clearly_and_recovers(small_disk: Path) -> None:
    server = Server(small_disk.parent)
    server.project("shop")
    with server:
        assert _send(server, "shop", 0, 100) == 200
        filler = small_disk / "filler"
        _fill(filler)
        # The sender keeps them and comes back; no part of a refused batch is counted.
        _until(lambda: _send(server, "shop", 100, 100) == 503)
        filler.unlink()
        _until(lambda: _send(server, "shop", 100, 100) == 200)
        books = server.settled("shop")
        assert server.sql("shop", "SELECT count() AS n, uniqExact(id) AS ids FROM events") == [{"n": 200, "ids": 200}]
        assert books["gap"] == 0


def test_messages_sent_again_in_other_batches_and_after_a_restart_count_once(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.project("shop")
    with server:
        assert _send(server, "shop", 0, 50) == 200
        assert _send(server, "shop", 25, 50) == 200
        assert server.settled("shop")["stored"] == 75
        assert server.stop() == 0
        server.start()
        server.wait()
        assert _send(server, "shop", 60, 40) == 200
        _until(lambda: server.sql("shop", "SELECT count() AS n FROM events") == [{"n": 100}])
        books = server.settled("shop")
    assert books == {"accepted": 140, "stored": 100, "duplicate": 40, "rejected": 0, "in_flight": 0, "gap": 0}


def test_a_second_server_on_the_same_port_or_folder_says_so(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.project("shop")
    with server:
        second = subprocess.run(
            [sys.executable, "-m", "almanac.cli", "serve", "--data", str(tmp_path / "other"), "--port", str(server.port)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 1
        assert f"cannot listen on 127.0.0.1:{server.port}" in second.stderr
        assert "Traceback" not in second.stderr
        engine = server.part("engine")
        assert engine is not None
        direct = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from pathlib import Path\nfrom almanac.adapters.clickhouse import ClickHouseStore\n"
                f"try: ClickHouseStore.embedded(Path({str(tmp_path / 'store')!r}))\nexcept Exception as error: print(error)",
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert f"Another process (pid {engine.pid}) holds the event store." in direct.stdout
