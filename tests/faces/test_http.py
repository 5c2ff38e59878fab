"""The HTTP faces: questions, projects, health, metrics, pages, and one shape for every error."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from almanac.core.analysis import registry
from almanac.core.errors import limited, unavailable
from almanac.core.ports import LogLag, LostSegment, Tally
from almanac.web import asking
from almanac.web.rest import create_app
from almanac.web.rooms import Rooms

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("http shop")
    house.send(keys.project, *({"event": "order", "distinct_id": who} for who in ("anna", "ben", "anna")))
    return keys


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def ask(house: House, keys: Keys, question: Any) -> tuple[int, Any]:
    content = question if isinstance(question, (bytes, str)) else json.dumps(question)
    answer = house.client.post(f"/api/v1/projects/{keys.project}/ask", content=content, headers=bearer(keys.read))
    return answer.status_code, answer.json()


# ------------------------------------------------------------------ questions


def test_a_question_is_answered_with_its_receipt(house: House, shop: Keys) -> None:
    status, answer = ask(house, shop, {"kind": "trend", "series": [{"event": "order"}], "interval": "day", "date_from": "today"})
    assert (status, sorted(answer)) == (200, ["columns", "kind", "receipt", "rows"])
    assert [row["value"] for row in answer["rows"]] == [3]
    assert answer["receipt"]["exact"] is True
    assert "SELECT" in answer["receipt"]["sql"]


def test_a_project_goes_by_its_name_too(house: House, shop: Keys) -> None:
    answer = house.client.get(f"/api/v1/projects/{shop.name}/event-names", headers=bearer(shop.read))
    assert [name["event"] for name in answer.json()] == ["order"]


@pytest.mark.parametrize(
    ("question", "status", "place"),
    [
        ({"kind": "no-such-kind"}, 404, "kind"),
        ({}, 400, "kind"),
        ({"kind": "trend", "series": [{"event": "order"}], "last": "soon"}, 400, "last"),
        ("{", 400, "body"),
        ("[]", 400, "body"),
        ("", 400, "body"),
        (b"\xff", 400, "body"),
        ('{"kind": NaN}', 400, "body"),
        ('{"kind": "\\ud800"}', 400, "body"),
        ("[" * 100_000, 400, "body"),
    ],
)
def test_a_wrong_question_is_told_where_it_is_wrong(house: House, shop: Keys, question: Any, status: int, place: str) -> None:
    answered, body = ask(house, shop, question)
    assert (answered, body["error"]["place"], body["error"]["retryable"]) == (status, place, False)


def test_kinds_are_those_of_the_registry(house: House, shop: Keys) -> None:
    kinds = house.client.get(f"/api/v1/projects/{shop.project}/kinds", headers=bearer(shop.read)).json()
    assert [kind["kind"] for kind in kinds] == list(registry())
    for kind in kinds:
        assert kind["doc"]
        assert len(kind["examples"]) >= 3
        assert kind["question"]["properties"]["kind"]


def test_the_reference_knows_every_kind(house: House) -> None:
    document = house.client.get("/openapi.json").json()
    mapping = document["components"]["schemas"]["Question"]["discriminator"]["mapping"]
    assert list(mapping) == list(registry())
    body = document["paths"]["/api/v1/projects/{project}/ask"]["post"]["requestBody"]["content"]["application/json"]
    assert len(body["examples"]) == sum(len(analysis.examples) for analysis in registry().values())
    assert "422" not in json.dumps(document["paths"])


def test_every_worked_example_can_be_asked(house: House, shop: Keys) -> None:
    document = house.client.get("/openapi.json").json()
    body = document["paths"]["/api/v1/projects/{project}/ask"]["post"]["requestBody"]["content"]["application/json"]
    for name, example in body["examples"].items():
        status, answer = ask(house, shop, example["value"])
        assert status == 200, (name, answer)


def test_more_questions_than_may_wait_are_sent_away_at_once(house: House, shop: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen have threads, one waits for a thread: there is no room for more."""
    monkeypatch.setattr(asking, "MOST_WAITING", 1)
    go = threading.Event()

    class Slow:
        questions = house.rooms.engine.questions

        def kept(self, project: str, question: Any) -> Any:
            return None

        def ask(self, project: str, question: Any, *, fresh: bool = False, ticket: Any = None) -> Any:
            go.wait(20)
            raise limited("It took too long.")

    rooms = replace(house.rooms, engine=Slow(), settings=replace(house.rooms.settings, question_slots=1))
    with TestClient(create_app(rooms)) as client:
        path = f"/api/v1/projects/{shop.project}/ask"
        seen: list[int] = []
        threads = [
            threading.Thread(target=lambda: seen.append(client.post(path, json={"kind": "trend"}, headers=bearer(shop.read)).status_code))
            for _ in range(17)
        ]
        for thread in threads:
            thread.start()
        app: Any = client.app
        deadline = time.monotonic() + 30
        while app.state.questions.statistics().tasks_waiting < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        refused = client.post(path, json={"kind": "trend"}, headers=bearer(shop.read))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert client.get(f"/api/v1/projects/{shop.project}", headers=bearer(shop.read)).status_code == 200, "other doors stay open"
        go.set()
        for thread in threads:
            thread.join()
        assert seen == [429] * 17


# ------------------------------------------------------------------- projects


def test_a_project_from_making_to_its_keys(house: House) -> None:
    server = bearer(house.server_key)
    made = house.client.post(
        "/api/v1/projects", json={"name": "Tickets", "zone": "Europe/Berlin", "write_key": "their-old-key"}, headers=server
    )
    assert made.status_code == 201
    project = made.json()
    assert (project["name"], project["zone"], project["write_key"]) == ("Tickets", "Europe/Berlin", "their-old-key")
    assert house.client.post("/api/v1/projects", json={"name": "Tickets"}, headers=server).status_code == 409
    assert "Tickets" in [one["name"] for one in house.client.get("/api/v1/projects", headers=server).json()]

    path, admin = f"/api/v1/projects/{project['id']}", bearer(project["admin_key"])
    change = {"zone": "Asia/Kolkata", "week_start": "sunday", "quota": 500, "retention_days": 90, "settings": {"start_page": []}}
    assert house.client.patch(path, json=change, headers=admin).status_code == 200
    kept = house.client.get(path, headers=bearer(project["api_key"])).json()
    assert {name: kept[name] for name in change} == change
    assert house.client.patch(path, json={"quota": 7}, headers=admin).json()["zone"] == "Asia/Kolkata", "what is left out stays"

    made_key = house.client.post(f"{path}/keys", json={"role": "read"}, headers=admin).json()
    assert house.client.get(path, headers=bearer(made_key["key"])).status_code == 200
    roles = sorted(key["role"] for key in house.client.get(f"{path}/keys", headers=admin).json())
    assert roles == ["admin", "read", "read", "write"]


@pytest.mark.parametrize(
    "change",
    [
        {"zone": "Middle/Earth"},
        {"zone": "../../etc/passwd"},
        {"zone": ""},
        {"week_start": "wednesday"},
        {"quota": -1},
        {"retention_days": "soon"},
        {"nmae": "x"},
    ],
)
def test_a_bad_change_changes_nothing(house: House, shop: Keys, change: Any) -> None:
    path = f"/api/v1/projects/{shop.project}"
    before = house.client.get(path, headers=bearer(shop.read)).json()
    answer = house.client.patch(path, json=change, headers=bearer(shop.admin))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")
    assert house.client.get(path, headers=bearer(shop.read)).json() == before


def test_bodies_are_json_whatever_curl_says(house: House, shop: Keys) -> None:
    form = {**bearer(shop.admin), "Content-Type": "application/x-www-form-urlencoded"}
    assert house.client.post(f"/api/v1/projects/{shop.project}/keys", content='{"role": "read"}', headers=form).status_code == 201
    assert (
        house.client.post(f"/api/v1/projects/{shop.project}/ask", content='{"kind": "trend", "series": ["a"]}', headers=form).status_code
        == 200
    )


def test_who_am_i(house: House, shop: Keys) -> None:
    me = house.client.get("/api/v1/me", headers=bearer(shop.read)).json()
    assert (me["role"], me["server"], [project["id"] for project in me["projects"]]) == ("read", False, [shop.project])
    assert house.client.get("/api/v1/me", headers=bearer(shop.write)).json()["projects"] == []
    assert house.client.get("/api/v1/me", headers=bearer(house.server_key)).json()["server"] is True


# --------------------------------------------------------------------- errors


def test_every_error_has_the_one_shape(house: House, shop: Keys) -> None:
    project = f"/api/v1/projects/{shop.project}"
    answers = [
        (404, house.client.get("/nowhere")),
        (404, house.client.get(f"{project}/events/", headers=bearer(shop.read))),
        (405, house.client.put(project, headers=bearer(shop.admin))),
        (401, house.client.get(project)),
        (401, house.client.get(project, headers={"Authorization": "Basic abc"})),
        (403, house.client.get(project, headers=bearer(shop.write))),
        (400, house.client.get(f"{project}/events", params={"limit": 0}, headers=bearer(shop.read))),
        (400, house.client.get(f"{project}/ledger", params={"since": "yesterday-ish"}, headers=bearer(shop.read))),
        (400, house.client.get(f"{project}/ledger", params={"since": "0001-01-01T00:00:00+23:59"}, headers=bearer(shop.read))),
        (400, house.client.post(f"{project}/keys", content=b"{", headers=bearer(shop.admin))),
        (413, house.client.post(f"{project}/ask", content=b" " * (5 << 20), headers=bearer(shop.read))),
    ]
    for status, answer in answers:
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert error["message"]
        assert error["retryable"] is False
    assert answers[2][1].headers["allow"]
    assert answers[3][1].headers["www-authenticate"] == "Bearer"


def test_what_nobody_foresaw_is_answered_with_an_id(house: House, shop: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def ask(self, project: str, question: Any, *, fresh: bool = False) -> Any:
            raise RuntimeError("a secret of the engine room")

    with TestClient(create_app(replace(house.rooms, engine=Broken()))) as client:
        answer = client.post(f"/api/v1/projects/{shop.project}/ask", json={"kind": "trend"}, headers=bearer(shop.read))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["retryable"]) == (503, "unavailable", True)
    assert "secret" not in answer.text
    logged = capsys.readouterr().out
    assert error["error_id"] in logged
    assert shop.read not in logged, "a key never reaches the log"


# --------------------------------------------------------- health and metrics


def test_health_is_green(house: House) -> None:
    answer = house.client.get("/health")
    body = answer.json()
    assert [check["name"] for check in body["checks"]] == [
        "store",
        "load",
        "ledger",
        "log",
        "collectors",
        "disk",
        "memory",
        "clock",
        "sources",
    ]
    by_name = {check["name"]: check for check in body["checks"]}
    del by_name["ledger"]  # the store is shared with tests whose log is elsewhere
    assert all(check["ok"] for check in by_name.values()), body


class Part:
    """A room that says what a test wants it to say."""

    def __init__(self, house: House, **says: Any) -> None:
        self._says = says
        self.memory_bytes = house.rooms.store.memory_bytes

    def query(self, *args: Any, **kwargs: Any) -> Any:
        said = self._says["query"]
        if isinstance(said, Exception):
            raise said
        return said()

    def state(self) -> Any:
        return {"running": True} | self._says

    def lag(self) -> LogLag:
        return LogLag(**{name: value for name, value in self._says.items() if name != "lost"})

    def lost(self) -> list[LostSegment]:
        return list(self._says.get("lost", []))

    def rows(self, project: str = "", since: datetime | None = None) -> list[Any]:
        return [
            type("Line", (), {"project": "tenant", "hour": datetime(2026, 1, 1, 5, tzinfo=UTC), "gap": gap})() for gap in self._says["gaps"]
        ]


def broken(house: House) -> Iterator[tuple[str, Rooms, str]]:
    """One trouble after the other: the check that has to turn red, the rooms, and words that it has to say."""
    rooms = house.rooms
    since = "2026-01-01T00:00:00+00:00"
    yield "store", replace(rooms, store=Part(house, query=unavailable("The event store cannot answer now."))), "cannot answer now"
    yield "store", replace(rooms, store=Part(house, query=lambda: threading.Event().wait(8))), "No answer within 3 s"
    full = Part(house, failing_since=since, last_error="DatabaseError: Code: 243. Cannot reserve 1 MiB, not enough space: NOT_ENOUGH_SPACE")
    yield "load", replace(rooms, loader=full), f"failing since {since}: the disk is full"
    odd = Part(house, failing_since=since, last_error="DatabaseError: secret-project")
    yield "load", replace(rooms, loader=odd), "an error of type DatabaseError"
    yield "load", replace(rooms, loader=Part(house, running=False)), "not running"
    yield (
        "ledger",
        replace(rooms, ledger=Part(house, gaps=[3, -2, 1])),
        "4 accepted events are not accounted for and 2 more events are stored",
    )
    yield "log", replace(rooms, log=Part(house, bytes=1 << 20, events=7, seconds=90.0)), "7 events (1.0 MiB) wait, the oldest for 90.0 s"
    away = LostSegment(name="collector-0-000123", hour=0, tallies=(Tally("tenant", 0, 100),))
    away_from = Part(house, lost=[away], bytes=0, events=0, seconds=0.0)
    yield "log", replace(rooms, log=away_from), "The segment collector-0-000123 with 100 events is missing"
    full_log = [{"at": datetime.now(UTC).timestamp(), "log": {"last_error": "The disk of the event log is full."}}]
    yield "collectors", replace(rooms, collectors=lambda: full_log), "The disk of the event log is full."
    long_ago = [{"at": datetime.now(UTC).timestamp() - 60}, {"at": datetime.now(UTC).timestamp()}]
    started = replace(rooms, started_at=rooms.started_at - timedelta(hours=1))
    yield "collectors", replace(started, collectors=lambda: long_ago), "1 of 2 have not reported for 15 s"
    yield "disk", replace(rooms, settings=replace(rooms.settings, disk_reserve=1 << 60)), "MiB are free"
    yield "memory", replace(rooms, settings=replace(rooms.settings, store_memory=1 << 20)), "The engine holds"
    clock = iter([datetime.now(UTC)] + [datetime.now(UTC) + timedelta(hours=1)] * 50)
    yield "clock", replace(rooms, clock=lambda: next(clock)), "jumped by +3"  # 3600 s less what passed between the two readings


def test_health_turns_red_and_says_why(house: House) -> None:
    for name, rooms, words in broken(house):
        with TestClient(create_app(rooms)) as client:
            answer = client.get("/health")
        [check] = [check for check in answer.json()["checks"] if check["name"] == name]
        assert (answer.status_code, answer.json()["status"], check["ok"]) == (503, "red", False), name
        assert words in check["detail"], check
        assert check["way_out"] or name == "store"
        assert "tenant" not in answer.text
        assert "secret-project" not in answer.text


def test_metrics_count_questions_and_hide_names(house: House, shop: Keys) -> None:
    with TestClient(create_app(house.rooms)) as client:
        for kind in ("trend", "x" * 50, "y" * 50):
            client.post(f"/api/v1/projects/{shop.project}/ask", json={"kind": kind, "series": ["order"]}, headers=bearer(shop.read))
        text = client.get("/metrics").text
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["almanac_questions_total", "ok", "trend"] == 1
    assert found["almanac_questions_total", "not_found", "unknown"] == 2, "made-up kinds make no new series"
    assert found["almanac_ledger_events", "stored"] >= 3
    assert found["almanac_log_lag_events",] == 0
    assert found["almanac_collectors",] == 2
    assert found["almanac_collector_events_total",] == 6, "accepted events are summed over projects"
    assert found["almanac_collector_requests_total", "segment"] == 6
    assert found["almanac_collector_refused_total", "401"] == 8
    assert found["almanac_collector_under_way_requests",] == 1
    assert found["almanac_collector_log_fsync_seconds_max",] == 1.5, "the worst of them"
    assert found["almanac_store_memory_bytes",] > 0
    assert found["almanac_store_parts",] > 0
    assert found["almanac_room_down", "ledger"] == 0
    for name in (shop.project, "shop", "other"):
        assert f'"{name}"' not in text


def test_metrics_of_a_part_that_is_down_are_left_out(house: House) -> None:
    class Down(Part):
        def rows(self, project: str = "", since: datetime | None = None) -> list[Any]:
            raise unavailable("The event store cannot answer now.")

    with TestClient(create_app(replace(house.rooms, ledger=Down(house)))) as client:
        text = client.get("/metrics").text
    assert 'almanac_room_down{room="ledger"} 1.0' in text
    assert "almanac_ledger_gap" not in text
    assert "almanac_log_lag_seconds" in text


# ---------------------------------------------------------------------- pages


def test_pages_come_from_this_host_alone(house: House) -> None:
    for path in ("/start", "/docs"):
        answer = house.client.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        tag = answer.headers["etag"]
        assert house.client.get(path, headers={"If-None-Match": tag}).status_code == 304
    for name in ("page.css", "start.js", "charts.js", "dom.js", "docs.js"):
        answer = house.client.get(f"/pages/{name}")
        assert answer.status_code == 200
        foreign = [line for line in answer.text.splitlines() if "//" in line and "http" in line and "www.w3.org" not in line]
        assert foreign == [], name
    for name in ("nothing.js", "../rest.py", "%2e%2e/rest.py", "..%2frest.py"):
        assert house.client.get(f"/pages/{name}").status_code == 404
