"""Sources by REST: who may make them, what is refused and how, that secrets are never shown, and how a source fares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from almanac.core.source import DOCUMENT, STATE
from almanac.watch.sources import Importers, after
from almanac.web.rest import create_app

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

SECRET = "whsec_a-secret-that-nobody-is-shown"
STRIPE = {"kind": "stripe", "secret": SECRET}
GENERIC = {
    "kind": "generic",
    "secret": SECRET,
    "mapping": {"event": "$.type", "user_id": "$.user"},
    "sample": {"type": "Paid", "user": "u1", "more": 1},
}
BUCKET = {"kind": "s3", "bucket": "exports", "access_key": "AKIA1", "secret_key": "the-secret-key-of-the-bucket"}


class Runs:
    """Notes what is started instead of starting it."""

    def __init__(self) -> None:
        self.started: list[tuple[str, str]] = []
        self.code: int | None = None

    def __call__(self, project: str, name: str) -> Any:
        self.started.append((project, name))
        return self

    def poll(self) -> int | None:
        return self.code


class Face:
    """The HTTP face with importers of its own, and one project."""

    def __init__(self, house: House, name: str) -> None:
        self.runs = Runs()
        self.now = datetime(2026, 3, 10, 12, tzinfo=UTC)
        self.importers = Importers(house.rooms.settings, house.catalog, lambda: self.now, spawn=self.runs)
        self.hooks: dict[str, Any] = {}
        collectors = [{"hooks": self.hooks}]
        rooms = replace(house.rooms, importers=self.importers, clock=lambda: self.now, collectors=lambda: collectors)
        self.client = TestClient(create_app(rooms))
        self.keys: Keys = house.project(name)
        self.catalog = house.catalog
        self.server_key = house.server_key

    def call(self, method: str, path: str, body: Any = None, *, key: str = "") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key or self.keys.admin}"}
        answer = self.client.request(method, f"/api/v1/projects/{self.keys.project}/sources{path}", json=body, headers=headers)
        return answer.status_code, json.loads(answer.content or b"null")

    def save(self, name: str, source: Any, *, key: str = "") -> tuple[int, Any]:
        return self.call("PUT", f"/{name}", {"source": source}, key=key)


@pytest.fixture
def face(house: House, request: pytest.FixtureRequest) -> Iterator[Face]:
    made = Face(house, f"Sources {request.node.name}"[:90])
    yield made
    made.client.close()
    for kind in (DOCUMENT, STATE):
        for name in house.catalog.documents(kind, made.keys.project):
            house.catalog.delete(kind, made.keys.project, name)


def test_a_webhook_from_its_making_to_its_end(face: Face) -> None:
    assert face.call("GET", "") == (200, [])
    status, made = face.save("payments", STRIPE)
    assert (status, made["path"], made["kind"]) == (200, f"/hooks/{face.keys.project}/payments", "stripe")
    assert made["source"] == {"kind": "stripe", "secret": "…hown"}
    assert made["state"]["status"] == "waiting"
    assert SECRET not in json.dumps(face.call("GET", "")[1])
    at = int(face.now.timestamp() * 1e6)
    key = f"{face.keys.project}/payments"
    face.hooks[key] = {"deliveries": 3, "events": 4, "rejected": 1, "refused": 0, "last_us": at}
    assert face.call("GET", "/payments")[1]["state"]["status"] == "ok"
    face.hooks[key] |= {"refused": 1, "refused_us": at + 1, "refusal": "The signature does not fit."}
    state = face.call("GET", "/payments")[1]["state"]
    assert (state["status"], state["totals"]["deliveries"]) == ("refusing", 3)
    assert "does not fit" in state["sentence"]
    assert face.call("DELETE", "/payments")[0] == 204
    assert face.call("GET", "/payments")[0] == 404


def test_secrets_that_are_left_out_stay_and_go_nowhere_else(face: Face) -> None:
    face.save("payments", STRIPE)
    kept = face.call("GET", "/payments")[1]["source"]
    assert face.save("payments", {**kept, "tolerance": 60})[0] == 200
    assert face.catalog.get(DOCUMENT, face.keys.project, "payments")["source"] == {**STRIPE, "tolerance": 60}  # type: ignore[index]
    assert face.save("payments", {"kind": "stripe", "enabled": False})[0] == 200
    assert face.catalog.get(DOCUMENT, face.keys.project, "payments")["source"]["secret"] == SECRET  # type: ignore[index]
    # Who may change a source is not to read its keys by sending them to himself.
    face.save("bucket", BUCKET)
    shown = face.call("GET", "/bucket")[1]["source"]
    status, refused = face.save("bucket", {**shown, "endpoint": "https://evil.example"})
    assert (status, refused["error"]["place"]) == (400, "secret_key")
    assert "given again" in refused["error"]["message"]
    web = {"kind": "http", "urls": ["https://a.example/x"], "headers": {"Authorization": "Bearer of-some-length"}}
    assert face.save("web", web)[1]["source"]["headers"] == {"Authorization": "…ngth"}
    assert face.save("web", {**web, "headers": {"Authorization": "…ngth"}, "schedule": "every day at 03:30"})[0] == 200
    assert face.catalog.get(DOCUMENT, face.keys.project, "web")["source"]["headers"] == web["headers"]  # type: ignore[index]
    assert face.save("web", {**web, "urls": ["https://b.example/x"], "headers": {"Authorization": "…ngth"}})[0] == 400


@pytest.mark.parametrize(
    ("source", "place", "words"),
    [
        ({}, "kind", "no kind of source"),
        ({"kind": "ftp"}, "kind", "There are: stripe"),
        ({"kind": "stripe"}, "secret", "needs the secret"),
        ({"kind": "github", "secret": "short"}, "secret", "8 letters"),
        ({**STRIPE, "secrets": 1}, "secrets", "no field"),
        ({**STRIPE, "mapping": {"user_id": "customer"}}, "mapping.user_id", "says not where"),
        ({**STRIPE, "mapping": {"properties": {"a": "$.["}}}, "mapping.properties", "no path"),
        ({**GENERIC, "sample": {"kind": "x"}}, "mapping", "no name of an event at $.type"),
        ({"kind": "generic", "secret": SECRET}, "sample", "missing"),
        ({**GENERIC, "signature": {"signed": "{timestamp}.{body}"}}, "signature", "timestamp_header"),
        ({**GENERIC, "signature": {"timestamp_header": "X-Time"}}, "signature", "proves nothing"),
        ({**BUCKET, "secret_key": ""}, "", "go together"),
        ({**BUCKET, "schedule": "now and then"}, "schedule", "no schedule"),
        ({**BUCKET, "format": "xml"}, "format", "There are: auto"),
        ({**BUCKET, "mapping": {"user_id": "$.u"}}, "mapping.event", "what the event is called"),
        ({**BUCKET, "mapping": {"event": "$.e", "each": "$.x"}}, "mapping.each", "one by one"),
        ({**BUCKET, "endpoint": "file:///etc"}, "endpoint", "http://"),
        ({"kind": "http", "urls": ["https://u:p@x.example/"]}, "urls", "password"),
        ({"kind": "http", "urls": ["https://x.example/"], "headers": {"A": "b\nc"}}, "headers", "cannot hold"),
        ({"kind": "http", "urls": []}, "urls", "at least 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(face: Face, source: Any, place: str, words: str) -> None:
    status, answer = face.save("one", source)
    error = answer["error"]
    assert status == 400, answer
    assert error.get("place", "").startswith(place)
    assert words in f"{error['message']} {error.get('way_out', '')}"


def test_names_kinds_and_keys_of_other_roles(face: Face) -> None:
    assert face.save("Big Name", STRIPE)[0] == 400
    assert face.save("payments", STRIPE)[0] == 200
    assert face.save("payments", {"kind": "github", "secret": SECRET})[0] == 409
    for key in (face.keys.read, face.keys.write):
        assert face.call("GET", "", key=key)[0] == 403
        assert face.save("payments", STRIPE, key=key)[0] == 403
    folder = {"kind": "folder", "path": "/srv/exports"}
    assert face.save("files", folder)[0] == 403  # a project's admin does not read the host's files
    assert face.call("POST", "/try", {"source": folder})[0] == 403
    assert face.save("files", folder, key=face.server_key)[0] == 200


def test_a_source_is_tried_out_before_it_is_saved(face: Face, tmp_path: Path) -> None:
    status, tried = face.call("POST", "/try", {"source": GENERIC})
    assert status == 200
    [event] = tried["events"]
    assert {name: event[name] for name in ("event", "user_id", "rest")} == {
        "event": "Paid",
        "user_id": "u1",
        "rest": {"payload": {"more": 1}},
    }
    charge = {"id": "evt_1", "type": "charge.succeeded", "created": 1769853600, "data": {"object": {"amount": 500, "currency": "usd"}}}
    tried = face.call("POST", "/try", {"source": STRIPE, "sample": charge})[1]
    assert tried["events"][0]["properties"] == {"currency": "USD", "revenue": 5.0}
    tried = face.call("POST", "/try", {"source": GENERIC, "sample": {"user": "u1"}})[1]
    assert (tried["events"], tried["rejected"][0]["reason"]) == ([], "no_name")
    table = {**BUCKET, "mapping": {"event": "=Order", "user_id": "$.who"}}
    tried = face.call("POST", "/try", {"source": table, "sample": "who,paid\nu1,5\nu2,6\n"})[1]
    assert [(event["event"], event["user_id"]) for event in tried["events"]] == [("Order", "u1"), ("Order", "u2")]
    (tmp_path / "a.ndjson").write_text('{"event":"A","user_id":"u1"}\n{"event":\n')
    files = {"kind": "folder", "path": str(tmp_path)}
    status, tried = face.call("POST", "/try", {"source": files}, key=face.server_key)
    assert status == 200, tried
    assert [file["key"] for file in tried["files"]] == ["a.ndjson"]
    assert ([event["event"] for event in tried["events"]], len(tried["rejected"])) == (["A"], 1)
    status, refused = face.call("POST", "/try", {"source": {"kind": "http", "urls": ["http://127.0.0.1:1/"]}})
    assert (status, "own network" in refused["error"]["message"]) == (400, True)
    assert face.call("GET", "")[1] == []


def test_a_source_of_files_runs_by_hand_and_by_its_schedule(face: Face) -> None:
    project = face.keys.project
    state = face.save("bucket", {**BUCKET, "schedule": "every 15 minutes"})[1]["state"]
    assert (state["status"], state["next"]) == ("waiting", "2026-03-10T12:00:00Z")
    face.importers.look()
    assert face.runs.started == [(project, "bucket")]
    assert face.call("GET", "/bucket")[1]["state"]["status"] == "running"
    assert face.call("POST", "/bucket/run")[0] == 409
    assert face.call("DELETE", "/bucket")[0] == 409
    face.runs.code = 0
    done = {
        "began": "2026-03-10T12:00:00Z",
        "ended": "2026-03-10T12:00:05Z",
        "files": 2,
        "records": 7,
        "rejected": 1,
        "error": "",
    }
    face.catalog.put(STATE, project, "bucket", after({}, done, retryable=False))
    state = face.call("GET", "/bucket")[1]["state"]
    assert (state["status"], state["next"], state["sentence"]) == (
        "ok",
        "2026-03-10T12:15:00Z",
        "2 new or changed files, 7 records, 1 of them dead letters.",
    )
    face.importers.look()
    assert len(face.runs.started) == 1
    assert face.call("POST", "/bucket/run")[0] == 202
    assert len(face.runs.started) == 2
    face.save("payments", STRIPE)
    assert face.call("POST", "/payments/run")[0] == 400


def test_a_source_that_fails_is_tried_again_ever_more_slowly_and_health_says_so(face: Face) -> None:
    project = face.keys.project
    face.save("bucket", {**BUCKET, "schedule": "every minute"})
    failed = {"ended": face.now.isoformat(), "error": "The bucket does not answer.", "way_out": "It is tried again by itself."}
    state: dict[str, Any] = {}
    waits = []
    for _ in range(8):
        state = after(state, failed, retryable=True)
        face.catalog.put(STATE, project, "bucket", state)
        upcoming = datetime.fromisoformat(face.call("GET", "/bucket")[1]["state"]["next"])
        waits.append((upcoming - face.now) / timedelta(minutes=1))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    found = face.call("GET", "/bucket")[1]["state"]
    assert (found["status"], found["failures"], found["sentence"]) == (
        "failing",
        8,
        "The bucket does not answer. It is tried again by itself.",
    )
    checks = {check["name"]: check for check in face.client.get("/health").json()["checks"]}
    assert checks["sources"]["ok"] is False
    assert "fail again and again" in checks["sources"]["detail"]
    assert project not in json.dumps(checks["sources"])
    face.save("bucket", {**BUCKET, "schedule": "every minute"})  # mended: it is not held back any more
    assert face.call("GET", "/bucket")[1]["state"]["failures"] == 0


def test_a_run_that_is_killed_is_told_and_goes_on(face: Face) -> None:
    face.save("bucket", {**BUCKET, "schedule": "every day at 03:30"})
    assert face.call("GET", "/bucket")[1]["state"]["next"] == "2026-03-11T03:30:00Z"
    assert face.call("POST", "/bucket/run")[0] == 202
    face.runs.code = -9
    state = face.call("GET", "/bucket")[1]["state"]
    assert (state["status"], state["next"]) == ("failing", "2026-03-10T12:01:00Z")
    assert "signal 9" in state["sentence"]
    face.now += timedelta(minutes=2)
    face.runs.code = None
    face.importers.look()
    assert len(face.runs.started) == 2


def test_a_paused_source_is_not_run(face: Face) -> None:
    face.save("bucket", {**BUCKET, "enabled": False})
    face.importers.look()
    state = face.call("GET", "/bucket")[1]["state"]
    assert (face.runs.started, state["status"], state["next"]) == ([], "paused", None)
