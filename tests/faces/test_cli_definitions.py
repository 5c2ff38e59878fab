"""Analytics as code, at the command line: a file of definitions from the first plan to a saved question's answer."""

from __future__ import annotations

import json

import pytest
from tests.faces.test_cli import Terminal

EVENTS = """\
{"id":"e1","event":"Visit","user_id":"u1","time":"2026-01-01T10:00:00Z"}
{"id":"e2","event":"Order","user_id":"u1","time":"2026-01-01T11:00:00Z","properties":{"total":12.5}}
{"id":"e3","event":"Order","user_id":"u2","time":"2026-01-02T10:00:00Z","properties":{"total":7.5}}
"""
FILE = """\
metrics:
  revenue:
    event: Order
    measure: sum
    property: total
    unit: EUR
questions:
  new year:
    kind: trend
    series: [{metric: revenue}]
    date_from: 2026-01-01
    date_to: 2026-01-02
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    terminal = Terminal(tmp_path_factory.mktemp("code"))
    (terminal.folder / "events.ndjson").write_text(EVENTS)
    (terminal.folder / "metrics.yaml").write_text(FILE)
    terminal.json("project", "create", "Shop")
    terminal.json("import", "events.ndjson")
    return terminal


def test_a_file_is_planned_applied_and_asked(terminal: Terminal) -> None:
    planned = terminal.run("plan", "metrics.yaml")
    assert (planned.stdout, planned.stderr) == (
        "+ metric revenue\n+ question new year\n",
        "Of 2 definitions 2 would be created.\n",
    )
    assert terminal.run("apply", "metrics.yaml").stderr == "Of 2 definitions 2 were created.\n"
    assert terminal.run("diff", "metrics.yaml").stderr == "The files and the project say the same.\n"
    exported = terminal.run("definitions", "export").stdout
    (terminal.folder / "exported.yaml").write_text(exported)
    assert {change["action"] for change in terminal.json("plan", "exported.yaml", "--prune")} == {"keep"}
    answer = terminal.json("ask", "--saved", "new year")
    assert [row["value"] for row in answer["rows"]] == [12.5, 7.5]
    (terminal.folder / "first.json").write_text(json.dumps(answer))


def test_a_change_shows_in_the_diff_the_history_and_the_comparison(terminal: Terminal) -> None:
    changed = (terminal.folder / "metrics.yaml").read_text().replace("measure: sum\n    property: total", "measure: unique")
    (terminal.folder / "changed.yaml").write_text(changed)
    shown = terminal.run("diff", "changed.yaml").stdout
    assert "change metric revenue\n" in shown
    assert "-measure: sum\n" in shown
    assert "+measure: unique\n" in shown
    assert terminal.run("plan", "changed.yaml").stderr == "Of 2 definitions 1 would be changed, 1 would be kept.\n"
    terminal.run("apply", "changed.yaml")
    assert [version["version"] for version in terminal.json("definitions", "history", "metric", "revenue")] == [2, 1]
    (terminal.folder / "second.json").write_text(json.dumps(terminal.json("ask", "--saved", "new year")))
    sentences = terminal.run("compare", "first.json", "second.json").stdout
    assert "The metric 'revenue' was at version 1 in the first, at 2 in the second.\n" in sentences
    assert terminal.run("compare", "first.json", "first.json").stderr.startswith("Nothing makes them differ")


def test_answers_are_written_and_explained(terminal: Terminal) -> None:
    done = terminal.run("ask", "--saved", "new year", "--output", "answer.csv")
    assert (done.returncode, done.stderr.startswith("answer.csv: ")) == (0, True)
    assert (terminal.folder / "answer.csv").read_text().splitlines()[0] == "series,period,value,previous,complete"
    assert "There are" not in terminal.refused("ask", "--saved", "new year", "--output", "answer.doc")
    explained = terminal.run("explain", "--saved", "new year")
    assert "SELECT" in explained.stdout
    assert "rows" in explained.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metrics:\n  - x", "The file holds no definitions."),
        ("metrics: {a: {event: x}\n", "The file is not YAML"),
        ("metrics: {a: {event: x, measure: sum}}", "The measure sum needs a property."),
        ("charts: {a: {}}", "There is no section 'charts'."),
    ],
)
def test_a_wrong_file_is_refused_naming_the_place(terminal: Terminal, text: str, told: str) -> None:
    (terminal.folder / "wrong.yaml").write_text(text)
    said = terminal.refused("apply", "wrong.yaml")
    assert told in said
    assert "Where: " in said
