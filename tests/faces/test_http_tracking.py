"""The tracking plan by REST, files and command line: saved, tried, drafted, and what it found."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from almanac import cli
from almanac.ingest.tracking import Entry
from almanac.web.client import Api, InProcess

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

ORDER = {"required": ["total"], "properties": {"total": {"type": "number", "minimum": 0}}}


@pytest.fixture
def shop(house: House, request: pytest.FixtureRequest) -> Keys:
    return house.project(request.node.name)


def call(house: House, keys: Keys, method: str, path: str, body: Any = None, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {keys.admin}"}
    answer = house.client.request(method, f"/api/v1/projects/{keys.project}/{path}", json=body, params=query, headers=headers)
    return answer.json() if answer.content else None


def save(house: House, keys: Keys, event: str, mode: str, schema: Any = None) -> Any:
    return call(house, keys, "PUT", f"definitions/plan/{event}", {"mode": mode, **({"schema": schema} if schema else {})})


def order(id_: str, **properties: Any) -> dict[str, Any]:
    return {"event": "order", "distinct_id": "ann", "id": id_, "properties": properties}


def today() -> str:
    return str(datetime.now(UTC).date())


def test_a_plan_judges_what_comes_after_it_was_saved(house: House, shop: Keys) -> None:
    house.send(shop.project, order("o1", total="5"))
    assert call(house, shop, "GET", "tracking-plan/violations") == {"events": [], "violations": []}
    assert save(house, shop, "order", "stamp", ORDER)["version"] == 1
    house.send(shop.project, order("o2", total="5"), order("o3", total=5))
    found = call(house, shop, "GET", "tracking-plan/violations", event="order")
    assert found["events"] == [{"event": "order", "mode": "stamp", "version": 1, "day": today(), "checked": 2, "failed": 1}]
    [violation] = found["violations"]
    assert violation.pop("last_seen").startswith(today())
    assert violation == {
        "event": "order",
        "property": "total",
        "rule": "type",
        "mode": "stamp",
        "version": 1,
        "day": today(),
        "count": 1,
    }
    assert call(house, shop, "GET", "tracking-plan/violations", event="visit") == {"events": [], "violations": []}
    marks = {event["event_id"]: event["violations"] for event in call(house, shop, "GET", "events")}
    assert marks == {"o1": "", "o2": "total: type", "o3": ""}
    metrics = house.client.get("/metrics").text
    assert "almanac_load_plan_stamp_total" in metrics
    assert shop.project not in metrics


def test_a_bad_schema_is_refused_with_its_place(house: House, shop: Keys) -> None:
    refused = save(house, shop, "order", "reject", {"properties": {"total": {"type": "numbr"}}})
    assert refused["error"]["place"] == "plans.order.schema.properties.total.type"
    refused = call(house, shop, "PUT", "definitions/plan/order", {"mode": "refuse"})
    assert (refused["error"]["place"], refused["error"]["message"]) == ("plans.order.mode", "'refuse' is not possible here.")
    refused = call(house, shop, "POST", "definitions/apply", {"plans": {"a": {}, "b": {"schema": {"requird": []}}}})
    assert refused["error"]["place"] == "plans.b.schema.requird"
    refused = call(house, shop, "POST", "tracking-plan/check", {"plans": {"b": {"schema": {"requird": []}}}})
    assert refused["error"]["place"] == "plans.b.schema.requird"
    assert call(house, shop, "GET", "definitions/plan") == []


def test_stored_events_are_tried_under_a_plan(house: House, shop: Keys) -> None:
    house.send(shop.project, order("t1", total="5"), order("t2", total=-1), order("t3", total=5), {"event": "visit", "distinct_id": "a"})
    tried = call(house, shop, "POST", "tracking-plan/check", {"plans": {"order": {"mode": "reject", "schema": ORDER}}})
    assert [(row["event"], row["mode"], row["events"], row["checked"], row["failed"]) for row in tried] == [
        ("order", "reject", 3, 3, 2),
        ("visit", "none", 1, 0, 0),
    ]
    assert {(one["property"], one["rule"], one["count"], one["example"]) for one in tried[0]["violations"]} == {
        ("total", "type", 1, '{"total":"5"}'),
        ("total", "minimum", 1, '{"total":-1}'),
    }
    assert len(call(house, shop, "GET", "events")) == 4, "nothing was rejected"
    save(house, shop, "*", "observe")
    tried = call(house, shop, "POST", "tracking-plan/check", {}, event="visit")
    assert [(row["event"], row["mode"], row["failed"]) for row in tried] == [("visit", "observe", 1)]
    assert len(call(house, shop, "POST", "tracking-plan/check", {}, sample=1)) == 2


SEEN = [
    {"total": 5, "tags": ["a", 1], "to": {"city": "Bonn", "zip": "1"}},
    {"total": 5.5, "note": None, "tags": [], "to": {"city": "Köln"}},
    {"total": 7, "note": "x", "tags": [None], "a.b": True},
]


def test_a_draft_fits_everything_that_was_seen(house: House, shop: Keys) -> None:
    house.send(shop.project, *(order(f"d{n}", **{"$lib": "web", **properties}) for n, properties in enumerate(SEEN)))
    house.send(shop.project, {"event": "$pageview", "distinct_id": "a"}, {"event": "bare", "distinct_id": "a"})
    file = call(house, shop, "GET", "tracking-plan/infer")
    assert sorted(file["plans"]) == ["bare", "order"]
    schema = file["plans"]["order"]["schema"]
    assert schema == {
        "type": "object",
        "required": ["tags", "total"],
        "properties": {
            "a.b": {"type": "boolean"},
            "note": {"type": ["null", "string"]},
            "tags": {"type": "array", "items": {"type": ["integer", "null", "string"]}},
            "to": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
            "total": {"type": "number"},
        },
    }
    assert all(Entry("order", 1, "stamp", schema).faults(json.dumps(properties)) == () for properties in SEEN)
    assert [change["action"] for change in call(house, shop, "POST", "definitions/apply", file)] == ["create", "create"]
    assert all(row["failed"] == 0 for row in call(house, shop, "POST", "tracking-plan/check", {}))
    narrow = call(house, shop, "GET", "tracking-plan/infer", event="order", sample=1)["plans"]
    assert set(narrow["order"]["schema"]["properties"]) >= {"total", "a.b", "to"}, "the catalog of properties knows the others"


@pytest.fixture
def terminal(house: House, shop: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The commands on the rooms of these tests."""
    from contextlib import contextmanager

    from almanac.cli import definitions, tracking

    @contextmanager
    def entered(project: str, data: Path | None) -> Any:
        yield Api(InProcess(house.rooms)), project or shop.project

    for module in (definitions, tracking):
        monkeypatch.setattr(module, "entered", entered)
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(cli.app, list(words))
        assert done.exit_code == code, done.output
        return done.output if code else done.stdout

    return run


def test_by_command_line_from_a_draft_to_what_does_not_fit(house: House, shop: Keys, terminal: Any) -> None:
    house.send(shop.project, order("c1", total=5), order("c2", total=6))
    draft = terminal("tracking-plan", "infer")
    assert yaml.safe_load(draft)["plans"]["order"]["schema"]["required"] == ["total"]
    Path("plan.yaml").write_text(draft)
    assert "order" in terminal("tracking-plan", "check", "plan.yaml")
    assert "+ plan order" in terminal("apply", "plan.yaml")
    assert terminal("tracking-plan", "violations") == ""
    house.send(shop.project, order("c3", total="x"))
    told = json.loads(terminal("tracking-plan", "violations", "--json"))
    assert [(row["property"], row["rule"], row["count"]) for row in told["violations"]] == [("total", "type", 1)]
    assert "total" in terminal("tracking-plan", "violations")
    assert '"integer"' in terminal("tracking-plan", "check", code=1)
    Path("none.yaml").write_text("metrics: {}\n")
    assert "hold no plans" in terminal("tracking-plan", "check", "none.yaml", code=1)
