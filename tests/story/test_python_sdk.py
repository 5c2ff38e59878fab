"""Our own SDK for Python and a real `almanac serve` that is killed, stopped and started again: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.story.servers import Server, until

APP = Path(__file__).parent.parent / "sdks" / "python_app.py"
CLOCK = Path(__file__).parent / "clock"


def app(server: Server, key: str, folder: object, count: int, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(APP), "steady", server.url, key, str(folder), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )


def stored(server: Server) -> list[str]:
    return [row["id"] for row in server.sql("shop", "SELECT toString(id) AS id FROM events")]


@pytest.mark.parametrize("spooled", [False, True])
def test_the_server_is_killed_in_the_middle(spooled: bool, tmp_path: Path) -> None:
    dice = random.Random(5)
    server = Server(tmp_path / "data")
    keys = server.project("shop")
    with server:
        apps = [app(server, keys["write"], tmp_path / "spool" if spooled else "-", 400) for _ in range(2)]
        for victim in ("collector", "engine", "collector", "supervisor"):
            time.sleep(dice.uniform(0.5, 1.0))
            assert server.kill(victim)
        assert server.process is not None
        server.process.wait(10)
        time.sleep(1)
        server.start()
        given: list[str] = []
        for process in apps:
            lines = process.communicate(timeout=100)[0].splitlines()
            assert lines[-1] == "end True 400 400 0 {}"
            given += lines[:-1]
        server.wait()
        books = server.settled("shop")
        found = stored(server)
        assert len(found) == len(set(found)), "doubled"
        assert set(found) == set(given), "lost"
        assert (books["gap"], books["rejected"]) == (0, 0)


def test_a_clock_that_is_an_hour_wrong(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    keys = server.project("shop")
    with server:
        for wrong_by in (3600, -3600):
            clock = tmp_path / "clock"
            clock.write_text(f"{wrong_by}\n")
            path = os.pathsep.join([str(CLOCK), os.environ.get("PYTHONPATH", "")])
            with app(server, keys["write"], "-", 10, {"PYTHONPATH": path, "TESTS_CLOCK": str(clock)}) as process:
                assert process.communicate(timeout=60)[0].splitlines()[-1].startswith("end True 10 10")
        until(lambda: server.settled("shop")["stored"] == 20)
        (row,) = server.sql(
            "shop",
            "SELECT countIf(time_origin = 'corrected') AS corrected, max(abs(dateDiff('second', time, time_received))) AS off, "
            "min(abs(dateDiff('second', time_client, time_received))) AS was_off FROM events",
        )
        assert row["corrected"] == 20
        assert row["off"] < 30
        assert row["was_off"] > 3500
