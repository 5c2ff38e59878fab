"""A second server, a held store, a clock set back, messages sent again after a restart: a clear state, no loss, recovery by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.story.servers import Server, until


def test_messages_sent_again_in_other_batches_and_after_a_restart_count_once(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.project("shop")
    with server:
        assert server.send("shop", 0, 50) == 200
        assert server.send("shop", 25, 50) == 200
        assert server.settled("shop")["stored"] == 75
        assert server.stop() == 0
        server.start()
        server.wait()
        assert server.send("shop", 60, 40) == 200
        until(lambda: server.sql("shop", "SELECT count() AS n FROM events") == [{"n": 100}])
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


HOLD = """
import sys
from pathlib import Path
from almanac.adapters.clickhouse import ClickHouseStore
store = ClickHouseStore.embedded(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
store.close()
"""


def test_a_store_that_another_process_holds_is_waited_for_while_events_are_taken(tmp_path: Path) -> None:
    server = Server(tmp_path / "data")
    server.project("shop")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "data" / "store")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        server.start()
        until(server.taking)
        assert server.send("shop", 0, 100) == 200
        reason = f"Another process (pid {holder.pid}) holds the event store"
        until(lambda: reason in server.get("/health", key="")[1].get("error", {}).get("message", ""))
        assert server.get("/health", key="")[0] == 503
        assert server.send("shop", 50, 100) == 200
        assert server.errors.read_text().count(reason) == 1
        assert "Traceback" not in server.errors.read_text()
    finally:
        holder.communicate(timeout=20)
    try:
        server.wait()
        books = server.settled("shop")
        assert books == {"accepted": 200, "stored": 150, "duplicate": 50, "rejected": 0, "in_flight": 0, "gap": 0}
        assert server.get("/health", key="")[0] == 200
    finally:
        assert server.stop() == 0


def test_a_clock_set_back_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """By two hours, while the server runs; it starts again under the wrong clock, and once more under the right one."""
    wrong_by = tmp_path / "wrong-by"
    wrong_by.write_text("0\n")
    server = Server(tmp_path / "data", environment={"PYTHONPATH": str(Path(__file__).with_name("clock")), "TESTS_CLOCK": str(wrong_by)})
    server.project("shop")

    def loaded(count: int) -> bool:
        return server.settled("shop")["stored"] == count

    with server:
        assert server.send("shop", 0, 100) == 200
        until(lambda: loaded(100))
        wrong_by.write_text("-7200\n")
        until(lambda: not server.check("clock")["ok"])
        assert "jumped by -7200 s" in server.check("clock")["detail"]
        assert server.send("shop", 50, 100) == 200  # half of them again
        until(lambda: loaded(150))
        assert server.stop() == 0
        server.start()
        server.wait()
        assert server.send("shop", 100, 100) == 200
        until(lambda: loaded(200))
        wrong_by.write_text("0\n")
        assert server.send("shop", 150, 100) == 200
        until(lambda: loaded(250))
        assert server.stop() == 0
        server.start()
        server.wait()
        assert server.send("shop", 200, 100) == 200
        until(lambda: loaded(300))
        books = server.settled("shop")
        assert books == {"accepted": 500, "stored": 300, "duplicate": 200, "rejected": 0, "in_flight": 0, "gap": 0}
        hours = server.sql("shop", "SELECT count() AS n FROM events GROUP BY toStartOfHour(time_received) ORDER BY n")
        assert sum(row["n"] for row in hours) == 300
        assert len(hours) > 1, "the clock did not go wrong"
        assert server.get("/health", key="")[0] == 200
