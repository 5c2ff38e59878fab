"""The worked cases of paths: all of them hold, the choices too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "peer_cases.jsonl"


def worked_cases() -> list[Any]:
    if not CASES.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared folder with worked cases is not beside this checkout"))]
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    return [pytest.param(case, id=case["id"]) for case in cases if case["analysis"] == "paths"]


@pytest.mark.parametrize("case", worked_cases())
def test_worked_case(world: Any, case: dict[str, Any]) -> None:
    params = case["params"]
    question = {
        "kind": "path",
        "steps": params["step_limit"],
        "session_gap": f"{params['session_gap_minutes']} minutes",
        "date_from": params.get("date_from", "2010-01-01"),
        "date_to": params.get("date_to"),
        "start": params.get("start"),
        "end": params.get("end"),
        **({"node": "page", "property": "url"} if params["node"] == "url" else {"node": params["node"]}),
    }
    events = [{"person": e["user"], "event": e["event"], "time": e["time"], "properties": e["props"]} for e in case["events"]]
    rows = world.ask(events, question, now="2022-01-01T00:00:00Z").rows
    found = [
        {
            "from": f"{row['step']}:{row['from_node']}",
            "to": f"{row['step'] + 1}:{row['to_node']}",
            "count": row["sessions"],
            "avg_seconds": row["average_seconds"],
        }
        for row in rows
    ]
    expected = case["expected"]["edges"]
    assert len(found) == len(expected)
    for edge in expected:
        assert any(edge.items() <= row.items() for row in found), (edge, found)
    if "users_on_edge" in case["expected"]:
        assert [row["people"] for row in rows] == [len(case["expected"]["users_on_edge"])]
