"""The worked cases of retention: all of them hold, the choices too."""

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
    return [pytest.param(case, id=case["id"]) for case in cases if case["analysis"] == "retention"]


@pytest.mark.parametrize("case", worked_cases())
def test_worked_case(ask: Any, case: dict[str, Any]) -> None:
    params = dict(case["params"])
    question = {"kind": "retention", "date_from": params.pop("first_day")}
    for side in ("start", "return"):
        question[f"{side}_event"] = {**params.pop(f"{side}_event"), "filters": params.pop(f"{side}_filters", [])}
    events = [{"person": e["user"], "event": e["event"], "time": e["time"], "properties": e["props"]} for e in case["events"]]
    rows = ask(events, {**question, **params}, now="2026-01-01T00:00:00Z")
    matrix: dict[str, list[int]] = {}
    for row in rows:
        matrix.setdefault(row["cohort"], []).append(row["count"])
    expected = case["expected"]
    if "matrix" in expected:
        assert list(matrix.values()) == expected["matrix"]
    if "first_row" in expected:
        assert next(iter(matrix.values())) == expected["first_row"]
    if "row_dates" in expected:
        assert list(matrix) == expected["row_dates"]
