"""The command line as real processes, first on a data folder that nobody serves, then beside a running server."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from almanac.core.analysis import registry

EVENTS = """\
{"id":"e1","event":"Visit","user_id":"u1","time":"2026-01-01T10:00:00Z","properties":{"page":"a"}}
{"id":"e2","event":"Visit","user_id":"u2","time":"2026-01-01T11:00:00Z","properties":{"page":"b"}}
{"id":"e3","event":"Order","user_id":"u1","time":"2026-01-02T10:00:00Z","properties":{"price":12.5}}
{"event":"Order","user_id":
"""


class Terminal:
    """Runs `almanac` on one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}

    def run(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "almanac.cli", *words, "--data", str(self.data)]
        return subprocess.run(command, input=text, capture_output=True, text=True, cwd=self.folder, env=self.environment, timeout=120)

    def json(self, *words: str, text: str = "") -> Any:
        done = self.run(*words, "--json", text=text)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str, code: int = 1) -> str:
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert "Traceback" not in done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A folder with one project and four records imported, no server."""
    terminal = Terminal(tmp_path_factory.mktemp("alone"))
    (terminal.folder / "events.ndjson").write_text(EVENTS)
    made = terminal.json("project", "create", "Shop", "--write-key", "my-own-write-key")
    assert (made["id"], made["write_key"]) == ("shop", "my-own-write-key")
    assert made["api_key"].startswith("rk_")
    outcome = terminal.json("import", "events.ndjson")
    assert [outcome[name] for name in ("project", "accepted", "stored", "duplicate", "rejected")] == ["shop", 4, 3, 0, 1]
    return terminal


def test_projects_are_listed_and_changed(alone: Terminal) -> None:
    changed = alone.json("project", "set", "Shop", "--retention-days", "400", "--quota", "1000")
    assert (changed["retention_days"], changed["quota"], changed["zone"]) == (400, 1000, "UTC")
    assert [project["id"] for project in alone.json("project", "list")] == ["shop"]


def test_keys_are_made_changed_and_revoked(alone: Terminal) -> None:
    assert sorted(key["role"] for key in alone.json("key", "list")) == ["admin", "read", "write"]
    done = alone.run("key", "create", "--role", "read", "--name", "notebook")
    secret = done.stdout.strip()
    assert secret.startswith("rk_")
    assert secret not in done.stderr
    (made,) = [key for key in alone.json("key", "list", "--project", "shop") if key["name"] == "notebook"]
    assert done.stderr == f"This is the only moment when the key can be read. Its id is {made['id']}.\n"
    assert (made["prefix"], made["last_four"], made["revoked_at"]) == (secret[:8], secret[-4:], None)
    new = alone.json("key", "rotate", made["id"], "--grace", "2")
    assert (new["name"], new["role"]) == ("notebook", "read")
    table = alone.run("key", "list").stdout
    assert f"{secret[:8]}…{secret[-4:]}" in table
    assert new["key"] not in table
    assert f"The key {secret[:8]}…{secret[-4:]} is refused from 20" in alone.run("key", "revoke", made["id"]).stdout
    told = alone.run("doctor", "--key", secret, "--json")
    assert next(check["finding"] for check in json.loads(told.stdout)["checks"] if check["name"] == "key").startswith(
        f"The key {secret[:8]}…{secret[-4:]} (notebook) was revoked on"
    )
    assert "The project has no key 'nothing'" in alone.refused("key", "revoke", "nothing")


def test_a_project_is_deleted_by_its_name(alone: Terminal) -> None:
    made = alone.json("project", "create", "Short life")
    (alone.folder / "few.ndjson").write_text(EVENTS)
    alone.json("import", "few.ndjson", "--project", made["id"])
    assert "There are several projects" in alone.refused("key", "list")
    assert "no project 'Shortlife'" in alone.refused("project", "delete", "Shortlife", "--yes")
    wrong = alone.run("project", "delete", "Short life", text="Shop\n")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "This is not the project's name; nothing was deleted." in wrong.stderr
    assert alone.run("project", "delete", "Short life").returncode == 1  # nobody there to answer
    done = alone.run("project", "delete", "Short life", text="Short life\n")
    assert (done.returncode, done.stdout) == (0, "short-life is deleted, with 3 events.\n")
    assert [project["id"] for project in alone.json("project", "list")] == ["shop"]
    assert {row["project"] for row in alone.json("ledger")} == {"shop"}


def test_the_same_file_again_adds_nothing(alone: Terminal) -> None:
    done = alone.run("import", "events.ndjson")
    assert done.stdout == "4 accepted: 0 stored, 4 duplicates, 0 rejected.\n"
    assert all(row["gap"] == 0 for row in alone.json("ledger"))


def test_a_question_from_a_file_from_stdin_and_by_flags_has_one_answer(alone: Terminal) -> None:
    question = {"kind": "trend", "series": ["Visit"], "date_from": "2026-01-01", "date_to": "2026-01-02"}
    (alone.folder / "question.json").write_text(json.dumps(question))
    rows = alone.json("ask", "question.json", "--project", "shop")["rows"]
    assert [(row["period"], row["value"]) for row in rows] == [("2026-01-01", 2), ("2026-01-02", 0)]
    assert alone.json("ask", "-", text=json.dumps(question))["rows"] == rows
    by_flags = alone.json("trend", "--series", "Visit", "--date-from", "2026-01-01", "--date-to", "2026-01-02")
    assert by_flags["rows"] == rows
    complex_ = alone.json(
        "trend", "--series", '{"event": "Visit", "measure": "unique"}', "--interval", "total", "--date-from", "2026-01-01"
    )
    assert [row["value"] for row in complex_["rows"]] == [2]


def test_a_table_for_people_and_the_receipt_beside_it(alone: Terminal) -> None:
    done = alone.run("sql", "SELECT event, count() AS n FROM events GROUP BY event ORDER BY event")
    assert [line.split() for line in done.stdout.splitlines() if "r" in line or "i" in line] == [["Order", "1"], ["Visit", "2"]]
    assert done.stderr.startswith("exact · ")


def test_an_export_comes_back_as_the_same_events(alone: Terminal) -> None:
    exported = alone.json("export", "--output", "out.parquet", "--format", "parquet")
    assert exported["bytes"] == (alone.folder / "out.parquet").stat().st_size
    assert alone.run("export", "--event", "Order").stdout.count("\n") == 1
    outcome = alone.json("import", "out.parquet")
    assert (outcome["stored"], outcome["duplicate"]) == (0, 3)


def test_a_dead_letter_is_mended_and_replayed(alone: Terminal) -> None:
    (letter,) = alone.json("dead-letters", "list")
    assert "events.ndjson, line 4" in letter["detail"]
    (alone.folder / "mended.json").write_text('{"id":"e4","event":"Order","user_id":"u9","time":"2026-01-03T00:00:00Z"}')
    done = alone.json("dead-letters", "replay", letter["id"], "--edit", "mended.json")
    assert (done["replayed"], done["failed"]) == (1, [])
    assert alone.json("sql", "SELECT count() AS n FROM events WHERE distinct_id = 'u9'")["rows"] == [{"n": 1}]
    assert alone.json("people", "show", "u9")["ids"] == ["u9"]


def test_the_people_behind_a_number_and_their_file(alone: Terminal) -> None:
    question = {"kind": "stickiness", "series": ["Visit"], "date_from": "2026-01-01", "date_to": "2026-01-02"}
    (alone.folder / "stickiness.json").write_text(json.dumps(question))
    words = ("people", "behind", "stickiness.json", "--row", '{"series": "Visit", "periods": 1}')
    found = alone.json(*words)
    assert (found["total"], sorted(person["distinct_id"] for person in found["people"])) == (2, ["u1", "u2"])
    shown = alone.run(*words, "--limit", "1")
    assert "2 people in all." in shown.stderr
    token = shown.stderr.split("--after ")[1].strip()
    assert alone.json(*words, "--after", token)["people"] == found["people"][1:]
    alone.json(*words, "--output", "people.csv")
    assert (alone.folder / "people.csv").read_text().splitlines()[0].startswith("distinct_id,first_seen,last_seen,events,ids")
    assert [event["event"] for event in alone.json("people", "show", "u1", "--event", "Visit")["events"]] == ["Visit"]
    assert "Where: --row" in alone.refused("people", "behind", "stickiness.json", "--row", "1")


def test_errors_are_a_sentence_a_place_and_a_way_out(alone: Terminal) -> None:
    assert alone.refused("trend", "--series", "Visit", "--interval", "fortnight").splitlines()[1:] == [
        "Where: interval",
        "What to do: Use 'minute', 'hour', 'day', 'week', 'month', 'quarter' or 'year'.",
    ]
    assert "There is no project 'shoppe'" in alone.refused("ask", "question.json", "--project", "shoppe")
    assert "is not valid JSON" in alone.refused("trend", "--series", '{"event"')
    assert "There is no file nowhere.csv" in alone.refused("import", "nowhere.csv")
    assert "No such command" in alone.refused("fortune", code=2)
    assert "No such file" in alone.refused("ask", "nowhere.json")


def test_the_doctor_finds_nothing_and_knows_a_wrong_key(alone: Terminal) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    assert alone.json("doctor", "--port", port)["ok"] is True
    done = alone.run("doctor", "--port", port, "--key", "wk_mistyped", "--json")
    assert done.returncode == 1
    assert [check["name"] for check in json.loads(done.stdout)["checks"] if not check["ok"]] == ["key"]


def test_every_kind_of_question_has_its_command_with_its_help(alone: Terminal) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "almanac.cli", "--help"], capture_output=True, text=True, env={**alone.environment, "COLUMNS": "200"}
    )
    assert [kind for kind in registry() if f" {kind.replace('_', '-')} " not in done.stdout] == []


def test_an_import_that_is_killed_goes_on_and_counts_every_event_once(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.json("project", "create", "Shop")
    line = '{{"event":"Like","user_id":"u{}","time":"2026-01-01T00:00:00Z"}}\n'
    (tmp_path / "likes.ndjson").write_text("".join(line.format(number % 1000) for number in range(60_000)))
    words = [sys.executable, "-m", "almanac.cli", "import", "likes.ndjson", "--data", str(terminal.data)]
    killed = subprocess.Popen(words, cwd=tmp_path, env=terminal.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((terminal.data / "files" / "imports").glob("*.sqlite-wal")) and killed.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    killed.kill()
    killed.wait()
    outcome = terminal.json("import", "likes.ndjson")
    assert outcome["accepted"] == outcome["stored"] + outcome["duplicate"]
    assert terminal.json("sql", "SELECT count() AS n, uniqExact(id) AS ids FROM events")["rows"] == [{"n": 60_000, "ids": 60_000}]
    assert all(row["gap"] == 0 for row in terminal.json("ledger"))


def test_a_folder_held_by_another_process_names_it(alone: Terminal) -> None:
    hold = "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.flock(file, 2); print('held', flush=True); input()"
    words = [sys.executable, "-c", hold, str(alone.data / "store" / "owner")]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        (alone.data / "store" / "owner").write_text(str(holder.pid))
        said = alone.refused("sql", "SELECT 1")
        # Projects need no store.
        assert alone.json("project", "list")[0]["id"] == "shop"
        holder.terminate()
    assert f"pid {holder.pid}" in said


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A running server with the project Shop."""
    terminal = Terminal(tmp_path_factory.mktemp("served"))
    (terminal.folder / "events.ndjson").write_text(EVENTS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", "--data", str(terminal.data), "--port", str(port), "--collectors", "1", "--disk-reserve", "0"]
    with (terminal.folder / "server.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", "almanac.cli", *words], stdout=log, stderr=log, env=terminal.environment)
    try:
        deadline = time.monotonic() + 60
        while not (terminal.data / "serve.json").exists():
            running = server.poll() is None and time.monotonic() < deadline
            assert running, (terminal.folder / "server.log").read_text()
            time.sleep(0.1)
        terminal.json("project", "create", "Shop")
        yield terminal
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def test_beside_a_server_everything_goes_through_it(served: Terminal) -> None:
    outcome = served.json("import", "events.ndjson")
    assert [outcome[name] for name in ("accepted", "stored", "duplicate", "rejected")] == [4, 3, 0, 1]
    assert served.json("sql", "SELECT count() AS n FROM events")["rows"] == [{"n": 3}]
    assert served.run("export").stdout.count("\n") == 3
    assert all(row["gap"] == 0 for row in served.json("ledger"))
    assert {check["name"]: check["ok"] for check in served.json("doctor")["checks"]}["server"]


def send(served: Terminal, key: str) -> int:
    url = json.loads((served.data / "serve.json").read_text())["url"]
    body = json.dumps({"event": "Ping", "user_id": "u1"}).encode()
    request = urllib.request.Request(f"{url}/api/v1/events", body, {"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def soon(status: int, served: Terminal, key: str) -> None:
    """Within some seconds, senders with this key get this status."""
    deadline = time.monotonic() + 6
    while (got := send(served, key)) != status:
        assert time.monotonic() < deadline, got
        time.sleep(0.1)


def test_keys_and_a_project_end_while_the_collector_runs(served: Terminal) -> None:
    made = served.json("project", "create", "Short life")
    extra = served.json("key", "create", "--role", "write", "--name", "old app", "--project", made["id"])
    new = served.json("key", "rotate", extra["id"], "--project", made["id"], "--grace", "1")
    for key in (made["write_key"], extra["key"], new["key"]):
        assert send(served, key) == 200
    served.json("key", "revoke", extra["id"], "--project", made["id"])
    soon(401, served, extra["key"])
    for key in (made["write_key"], new["key"]):
        assert send(served, key) == 200

    ended = served.json("project", "delete", "Short life", "--yes")
    assert ended["id"] == "short-life"
    for key in (made["write_key"], new["key"]):
        assert send(served, key) == 401, "they stopped before anything was deleted"
    assert [project["id"] for project in served.json("project", "list")] == ["shop"]
    time.sleep(1)  # what was in the log is loaded
    assert "short-life" not in {row["project"] for row in served.json("ledger")}
    health = json.loads(urllib.request.urlopen(f"{json.loads((served.data / 'serve.json').read_text())['url']}/health").read())
    assert health["status"] == "green"


def test_a_backup_made_while_it_runs_is_restored_into_a_new_folder(served: Terminal) -> None:
    served.json("import", "events.ndjson")
    assert served.json("backup", "copy")["bytes"] > 0
    assert "is not empty" in served.refused("backup", "copy")
    other = Terminal(served.folder)
    other.data = served.folder / "restored"
    other.json("restore", "copy")
    assert "holds data already" in other.refused("restore", "copy")
    assert other.json("sql", "SELECT id_text, event FROM events ORDER BY time")["rows"] == [
        {"id_text": "e1", "event": "Visit"},
        {"id_text": "e2", "event": "Visit"},
        {"id_text": "e3", "event": "Order"},
    ]
    assert other.json("project", "list") == served.json("project", "list")


SCRIPT = """
import json, sys
import almanac
with almanac.open(sys.argv[1]) as client:
    answer = client.ask(almanac.Trend(series=["Visit"], date_from="2026-01-01", date_to="2026-01-02"))
    same = client.ask({"kind": "trend", "series": ["Visit"], "date_from": "2026-01-01", "date_to": "2026-01-02"})
    print(json.dumps({
        "project": client.project,
        "same": answer.rows == same.rows,
        "pandas": answer.to_pandas()["value"].tolist(),
        "polars": answer.to_polars()["value"].to_list(),
        "arrow": answer.to_arrow().column("value").to_pylist(),
        "sql": client.sql("SELECT count() AS n FROM events").rows,
        "events": sorted(event["event_id"] for event in client.events()),
        "gaps": [row["gap"] for row in client.ledger()],
        "exact": answer.receipt["exact"],
    }))
"""


@pytest.mark.parametrize("where", ["folder", "served folder", "address"])
def test_python_asks_the_same_of_a_folder_a_server_and_an_address(served: Terminal, alone: Terminal, where: str) -> None:
    terminal = alone if where == "folder" else served
    served.json("import", "events.ndjson")
    target = str(terminal.data)
    script = SCRIPT
    if where == "address":
        running = json.loads((served.data / "serve.json").read_text())
        script = SCRIPT.replace("almanac.open(sys.argv[1])", "almanac.open(sys.argv[1], key=sys.argv[2])")
        target = running["url"]
    key = json.loads((served.data / "serve.json").read_text())["admin_key"]
    done = subprocess.run(
        [sys.executable, "-c", script, target, key], capture_output=True, text=True, env=terminal.environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    events = ["e1", "e2", "e3", "e4"] if where == "folder" else ["e1", "e2", "e3"]
    assert said.pop("events") == events
    assert said.pop("sql") == [{"n": len(events)}]
    assert set(said.pop("gaps")) == {0}
    assert said == {"project": "shop", "same": True, "pandas": [2, 0], "polars": [2, 0], "arrow": [2, 0], "exact": True}
