"""The disk is full, may not be written, or somebody removes a file of the log: a clear state, no loss, recovery by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.story.servers import Server, until


def _fill(filler: Path) -> None:
    """Until nothing more fits."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[Path, int], None]]:
    """Mounts disks of some MiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    mounted: list[Path] = []

    def one(folder: Path, mebibytes: int) -> None:
        folder.mkdir(parents=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
        mounted.append(folder)

    yield one
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(("disk", "mebibytes"), [("data/log", 24), ("data", 160)])
def test_a_full_disk_refuses_clearly_and_recovers(tmp_path: Path, mount: Callable[[Path, int], None], disk: str, mebibytes: int) -> None:
    """That of the log alone, and that of everything."""
    mount(tmp_path / disk, mebibytes)
    server = Server(tmp_path / "data")
    server.project("shop")
    with server:
        assert server.send("shop", 0, 100) == 200
        filler = tmp_path / disk / "filler"
        _fill(filler)
        # The sender keeps them and comes back; no part of a refused batch is counted.
        until(lambda: server.send("shop", 100, 100) == 503)
        assert int(server.headers["retry-after"]) >= 1
        until(lambda: server.get("/health", key="")[1].get("status") == "red")
        filler.unlink()
        until(lambda: server.send("shop", 100, 100) == 200)
        books = server.settled("shop")
        assert server.sql("shop", "SELECT count() AS n, uniqExact(id) AS ids FROM events") == [{"n": 200, "ids": 200}]
        assert books["gap"] == 0
        until(lambda: server.check("collectors").get("ok") and server.check("load").get("ok"))


def test_a_log_that_is_read_only_at_the_start_is_taken_when_it_is_writable(tmp_path: Path, mount: Callable[[Path, int], None]) -> None:
    log = tmp_path / "data" / "log"
    mount(log, 24)
    subprocess.run(["mount", "-o", "remount,ro", str(log)], check=True)
    server = Server(tmp_path / "data")
    server.project("shop")
    with server:
        assert server.send("shop", 0, 100) == 503
        assert int(server.headers["retry-after"]) >= 1
        until(lambda: "read-only" in server.check("collectors").get("detail", ""))
        subprocess.run(["mount", "-o", "remount,rw", str(log)], check=True)
        until(lambda: server.send("shop", 0, 100) == 200)
        books = server.settled("shop")
        assert books == {"accepted": 100, "stored": 100, "duplicate": 0, "rejected": 0, "in_flight": 0, "gap": 0}
        until(lambda: server.get("/health", key="")[0] == 200)


def test_a_log_that_becomes_read_only_while_the_server_runs(tmp_path: Path) -> None:
    """Root may write wherever it likes, but not into a folder that cannot change."""
    server = Server(tmp_path / "data")
    server.project("shop")
    with server:
        assert server.send("shop", 0, 100) == 200
        fixed = subprocess.run(["chattr", "+i", str(server.folder / "log")], capture_output=True, text=True)
        if fixed.returncode:
            pytest.skip(f"this file system or user cannot fix a folder: {fixed.stderr.strip()}")
        try:
            until(lambda: server.send("shop", 100, 100) == 503)
            until(lambda: "may not be written" in server.check("collectors").get("detail", ""))
        finally:
            subprocess.run(["chattr", "-i", str(server.folder / "log")], check=True)
        until(lambda: server.send("shop", 100, 100) == 200)
        books = server.settled("shop")
        assert (books["stored"], books["in_flight"], books["gap"]) == (200, 0, 0)
        until(lambda: server.get("/health", key="")[0] == 200)


def test_a_segment_that_is_removed_before_it_was_loaded(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.project("shop")
    log = server.folder / "log"
    with server:
        assert server.send("shop", 0, 100) == 200
        server.settled("shop")
        engine = server.part("engine")
        assert engine is not None
        os.kill(engine.pid, signal.SIGSTOP)
        try:
            assert server.send("shop", 100, 100) == 200
            until(lambda: list(log.glob("*.log")))
            [segment] = log.glob("*.log")
            lines = segment.read_bytes()
            for file in log.glob(f"{segment.stem}.*"):
                file.unlink()
        finally:
            os.kill(engine.pid, signal.SIGCONT)
        until(lambda: not server.check("ledger").get("ok", True))
        told = f"The segment {segment.stem} with 100 events is missing"
        assert told in server.check("ledger")["detail"]
        assert told in server.check("log")["detail"]
        assert server.get("/health", key="")[0] == 503
        assert server.ledger("shop") == {"accepted": 200, "stored": 100, "duplicate": 0, "rejected": 0, "in_flight": 0, "gap": 100}
        assert server.send("shop", 200, 100) == 200
        assert server.stop() == 0
        server.start()  # it is not forgotten
        server.wait()
        assert server.settled("shop")["gap"] == 100
        segment.write_bytes(lines)
        until(lambda: server.ledger("shop") == {"accepted": 300, "stored": 300, "duplicate": 0, "rejected": 0, "in_flight": 0, "gap": 0})
        until(lambda: server.get("/health", key="")[0] == 200)


def test_a_start_on_a_full_disk_says_why_and_goes_on_when_there_is_room(tmp_path: Path, mount: Callable[[Path, int], None]) -> None:
    server = Server(tmp_path / "data")
    mount(server.folder, 160)
    server.project("shop")
    filler = server.folder / "filler"
    _fill(filler)
    server.start()
    try:
        until(server.taking)
        until(lambda: "cannot start: The " in server.get("/health", key="")[1]["error"]["message"], seconds=40)
        assert server.send("shop", 0, 100) == 503
        assert int(server.headers["retry-after"]) >= 1
        filler.unlink()
        until(lambda: server.send("shop", 0, 100) == 200)
        server.wait()
        assert server.settled("shop")["stored"] == 100
        until(lambda: server.get("/health", key="")[0] == 200)
        assert "Traceback" not in server.errors.read_text()
    finally:
        server.stop()
