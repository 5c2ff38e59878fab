"""`almanac source` as real processes, on a data folder that nobody serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


class Terminal:
    """Runs `almanac` on one data folder with a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ALMANAC_")}
        self.environment["HOOK_SECRET"] = "whsec_of-the-terminal"
        self.run("project", "create", "Shop")

    def run(self, *words: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "almanac.cli", *words, "--data", str(self.folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env=self.environment, timeout=120)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    return Terminal(tmp_path_factory.mktemp("terminal"))


def test_a_folder_is_tried_made_run_and_removed(terminal: Terminal) -> None:
    files = terminal.folder / "exports"
    files.mkdir()
    (files / "a.csv").write_text("who,what\nu1,Opened\nu2,\n")
    file = terminal.file(
        "folder.yaml",
        f"kind: folder\npath: {files}\npattern: '*.csv'\nschedule: by hand\nmapping:\n  event: $.what\n  user_id: $.who\n",
    )
    shown = terminal.run("source", "try", file, code=1)  # the second line would become a dead letter
    assert "a.csv" in shown
    assert "There is no name of an event at $.what" in shown
    assert "It was not run yet" in terminal.run("source", "create", "exports", file)
    assert "1 new or changed file, 2 records, 1 of them dead letters." in terminal.run("source", "run", "exports")
    assert "Nothing was new." in terminal.run("source", "run", "exports")
    [entry] = terminal.json("source", "files", "exports")
    assert (entry["key"], entry["records"], entry["rejected"]) == ("a.csv", 2, 1)
    assert terminal.json("sql", "SELECT event, distinct_id FROM events")["rows"] == [{"event": "Opened", "distinct_id": "u1"}]
    assert [row["gap"] for row in terminal.json("ledger")] == [0]
    assert "its events stay" in terminal.run("source", "delete", "exports")
    assert terminal.json("source", "list") == []


def test_secrets_come_from_the_environment_and_are_not_shown(terminal: Terminal) -> None:
    file = terminal.file("stripe.yaml", "kind: stripe\n")
    assert "needs the secret" in terminal.run("source", "create", "payments", file, code=1)
    made = terminal.run("source", "create", "payments", file, "--secret-from", "secret=HOOK_SECRET")
    assert "/hooks/shop/payments" in made
    assert "whsec_of-the-terminal" not in terminal.run("source", "show", "payments") + terminal.run("source", "list")
    assert "no variable" in terminal.run("source", "create", "payments", file, "--secret-from", "secret=NONE", code=1)
    event = {"id": "evt_1", "type": "charge.succeeded", "created": 1769853600, "data": {"object": {"amount": 500, "currency": "usd"}}}
    sample = terminal.file("delivery.json", json.dumps(event))
    tried = terminal.json("source", "try", file, "--sample", sample)
    assert [(one["event"], one["properties"]["revenue"]) for one in tried["events"]] == [("charge.succeeded", 5.0)]
    assert "is a webhook" in terminal.run("source", "run", "payments", code=1)
