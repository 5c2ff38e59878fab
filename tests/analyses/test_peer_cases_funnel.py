"""The worked cases of funnels: all general ones hold, and each choice is followed or named here with its reason."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from almanac.core.errors import AlmanacError

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "peer_cases.jsonl"

NOT_FOLLOWED = {
    "ch-014": "there is no order in which earlier steps may come again while later ones may not come early; ordered lets all others pass",
}
# Words of the cases for what is asked here without them, or in another word.
ORDERS = {"strict_repeats_allowed": "strict"}  # ch-008: an event out of turn stops the run under both rules
VIEWS = {"funnel_trend": "trend", "funnel_time_to_convert": "time_to_convert", "funnel_correlation": "correlation"}


def worked_cases() -> list[Any]:
    if not CASES.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared folder with worked cases is not beside this checkout"))]
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    return [
        pytest.param(case, id=case["id"])
        for case in cases
        if case["analysis"] in ("funnel", "funnel_breakdown", *VIEWS) and case["id"] not in NOT_FOLLOWED
    ]


def asked(case: dict[str, Any]) -> dict[str, Any]:
    params = {name: value for name, value in case["params"].items() if name != "each_event_once"}  # each event is, always
    moments = [datetime.fromisoformat(event["time"]) for event in case["events"]]
    if "date_from" not in params and moments:
        params |= {"date_from": min(moments).isoformat(), "date_to": (max(moments) + timedelta(seconds=1)).isoformat()}
    params["order"] = ORDERS.get(params.get("order", "ordered"), params.get("order", "ordered"))
    return {"kind": "funnel", **params, "view": VIEWS.get(case["analysis"], "steps")}


def happened(case: dict[str, Any], user: str | None = None) -> list[dict[str, Any]]:
    of_person = {item["user"]: item["props"] for item in case.get("users", [])}
    return [
        {
            "person": event["user"],
            "event": event["event"],
            "time": event["time"],
            "properties": event["props"],
            "person_properties": of_person.get(event["user"], {}),
        }
        for event in case["events"]
        if user in (None, event["user"])
    ]


@pytest.mark.parametrize("case", worked_cases())
def test_worked_case(ask: Any, case: dict[str, Any]) -> None:
    question, expected = asked(case), case["expected"]
    now = "2026-01-01T00:00:00Z"

    def steps(user: str | None = None) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = ask(happened(case, user), question, now=now)
        return rows

    if expected.get("error"):
        refused = [question, {**question, **expected.get("also_invalid", {})}]
        for wrong in refused:
            with pytest.raises(AlmanacError) as caught:
                ask([], wrong, now=now)
            assert caught.value.code == "invalid"
        return
    rows = steps()
    users = sorted({event["user"] for event in case["events"]})
    check_counts(rows, expected)
    check_times(rows, expected)
    check_groups(rows, expected, {user: steps(user) for user in users} if "groups" in expected else {})
    for step, wanted in expected.get("users_at_step", {}).items():
        assert [user for user in users if steps(user)[int(step) - 1]["count"]] == wanted
    for user, level in expected.get("level_by_user", {}).items():
        assert sum(row["count"] for row in steps(user)) == level
    check_trend(rows, expected)
    check_bins(rows, expected, steps)
    for name in ("odds_ratio", "success_count", "failure_count"):
        if name in expected:
            assert {row["value"]: row[name] for row in rows} == pytest.approx(expected[name])


def check_counts(rows: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    counts = [row.get("count") for row in rows]
    if "step_counts" in expected:
        assert counts == expected["step_counts"]
    if "step_counts_first_last" in expected:
        assert [counts[0], counts[-1]] == expected["step_counts_first_last"]
    if "group_names_sorted" in expected:
        assert sorted({row["breakdown"] for row in rows}) == expected["group_names_sorted"]


def check_times(rows: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    one_of = expected.get("one_of", [expected])
    for name in ("avg_seconds_from_previous", "median_seconds_from_previous"):
        column = name.replace("avg", "average")
        wanted = one_of[0].get(name, {})  # fun-036: the first conversion of each user
        assert {step: rows[int(step) - 1][column] for step in wanted} == wanted


def check_groups(rows: list[dict[str, Any]], expected: dict[str, Any], alone: dict[str, list[dict[str, Any]]]) -> None:
    if "groups" not in expected:
        return
    assert {row["breakdown"] for row in rows} == set(expected["groups"])
    for value, group in expected["groups"].items():
        mine = [row for row in rows if row["breakdown"] == value]
        check_counts(mine, group)
        check_times(mine, group)
        if "users" in group:
            assert [user for user, some in alone.items() if value in {row["breakdown"] for row in some}] == group["users"]


def check_trend(rows: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    for name in ("entered", "completed"):
        if name in expected:
            assert [row[name] for row in rows] == expected[name]
        if f"{name}_first_day" in expected:
            assert rows[0][name] == expected[f"{name}_first_day"]
    if "rate_percent" in expected:
        assert [round(row["rate"] * 100, 2) for row in rows] == expected["rate_percent"]


def check_bins(rows: list[dict[str, Any]], expected: dict[str, Any], steps: Any) -> None:
    if "bins_start_and_count" in expected:
        assert [[row["bin_start_seconds"], row["count"]] for row in rows] == expected["bins_start_and_count"]
        assert rows[0]["average_seconds"] == expected["average_seconds"]
    for user, seconds in expected.get("seconds_per_user", {}).items():
        assert steps(user)[0]["average_seconds"] == seconds
    for place, name in ((0, "dropped"), (1, "converted")):
        for user in expected.get(f"{name}_users_last_day", []):
            assert (steps(user)[-1]["entered"], steps(user)[-1]["completed"]) == (1, place)
