"""The worked cases of attribution: all of them hold, asked as questions about people who walked those paths."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from almanac.predict.attribution import CONVERSION, NOTHING, START, markov

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "attribution_cases.jsonl"


def worked_cases() -> list[Any]:
    if not CASES.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared folder with worked cases is not beside this checkout"))]
    return [pytest.param(case, id=case["id"]) for case in map(json.loads, CASES.read_text().splitlines())]


@pytest.mark.parametrize("case", worked_cases())
def test_worked_case(ask: Any, case: dict[str, Any]) -> None:
    given, expected = case["inputs"], case["expected"]
    paths = given.get("paths") or [[touch.strip() for touch in path.split(given["separator"])] for path in given["raw_paths"]]
    nulls = given.get("nulls", [0] * len(paths))
    events = []
    for number, (path, conversions, nothing) in enumerate(zip(paths, given["conversions"], nulls, strict=True)):
        for person in range(conversions + nothing):
            name = f"{number}-{person}"
            events += [
                {"person": name, "event": "touch", "time": f"2026-01-05T09:{minute:02}:00Z", "properties": {"by": touch}}
                for minute, touch in enumerate(path)
            ]
            if person < conversions:
                events.append({"person": name, "event": "order", "time": "2026-01-06T09:00:00Z"})
    model = {"channels": "linear", "markov1": "markov"}.get(given["model"], given["model"])
    question = {"kind": "attribution", "conversion": "order", "touches": "touch", "label": "by", "models": model, "date_from": "2026-01-01"}
    weights = {f"{end}_weight": given[end] / 100 for end in ("first", "last") if end in given}
    rows = ask(events, {**question, **weights})
    credit = {row["touch"]: row["conversions"] for row in rows if row["touch"] and row["conversions"]}
    if given["model"] == "channels":
        assert sorted(credit) == expected["channels"]
    elif given["model"] == "markov1":
        assert credit == pytest.approx(expected["credit"], abs=case["tolerance"])
        by_removal(paths, given["conversions"], nulls, expected, case["tolerance"])
    else:
        assert credit == pytest.approx(expected, abs=case["tolerance"])


def by_removal(paths: list[list[str]], conversions: list[int], nulls: list[int], expected: dict[str, Any], tolerance: float) -> None:
    names = sorted({touch for path in paths for touch in path})
    steps: Counter[tuple[int, int]] = Counter()
    for path, won, lost in zip(paths, conversions, nulls, strict=True):
        for end, count in ((CONVERSION, won), (NOTHING, lost)):
            for step in pairwise((START, *map(names.index, path), end)):
                steps[step] += count
    found = markov({step: count for step, count in steps.items() if count})
    assert found.conversion_probability == pytest.approx(expected["conversion_probability"], abs=tolerance)
    effects = {names[touch]: effect for touch, effect in found.effects.items()}
    assert effects == pytest.approx(expected["removal_effect"], abs=tolerance)
