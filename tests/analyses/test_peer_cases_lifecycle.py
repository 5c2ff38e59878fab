"""The worked cases of lifecycle: all of them hold, the choices too, as their people were created with their first event."""

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
    return [pytest.param(case, id=case["id"]) for case in cases if case["analysis"] == "lifecycle"]


@pytest.mark.parametrize("case", worked_cases())
def test_worked_case(ask: Any, case: dict[str, Any]) -> None:
    events = [{"person": e["user"], "event": e["event"], "time": e["time"], "properties": e["props"]} for e in case["events"]]
    rows = ask(events, {"kind": "lifecycle", **case["params"]}, now="2026-01-01T00:00:00Z")
    expected = dict(case["expected"])
    if "periods" in expected:
        assert [row["period"] for row in rows if row["status"] == "new"] == expected.pop("periods")
    assert {status: [row["count"] for row in rows if row["status"] == status] for status in expected} == expected
