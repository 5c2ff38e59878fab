"""Who may do what: every door of the API, by every key and every role; and the written list of attempts on another project, all refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from fastapi.routing import iter_route_contexts

from almanac.adapters.schema import TENANT_TABLES
from almanac.core.accounts import ROLES
from almanac.core.sql import Sql

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

LIFECYCLE = {"kind": "lifecycle", "events": ["order"], "date_from": "2026-01-05", "date_to": "2026-01-06"}
RECEIPT = {"definition_hash": "d", "question": {}, "window": None, "timezone": "UTC", "watermark": "2026-01-05T00:00:00+00:00"}

STRIPE = {"kind": "stripe", "secret": "whsec_of-the-matrix"}

# Every door: method, path, body, and what it needs: a deed in the project (read, edit, admin, own); `known`: any key or session that is
# known; `server`: the server's admin key, or its owner; `user`: a session; `open`: nothing.
DOORS: list[tuple[str, str, Any, str]] = [
    ("POST", "/api/v1/projects/{project}/ask", {"kind": "trend", "series": ["order"], "last": "7 days"}, "read"),
    ("GET", "/api/v1/projects/{project}/kinds", None, "read"),
    ("GET", "/api/v1/projects/{project}/events", None, "read"),
    ("GET", "/api/v1/projects/{project}/event-names", None, "read"),
    ("GET", "/api/v1/projects/{project}/properties", None, "read"),
    ("GET", "/api/v1/projects/{project}/ledger", None, "read"),
    ("GET", "/api/v1/projects/{project}/people/{distinct_id}", None, "read"),
    ("POST", "/api/v1/projects/{project}/people", {"question": LIFECYCLE, "row": {"status": "new", "period": "2026-01-05"}}, "read"),
    ("POST", "/api/v1/projects/{project}/explain", {"kind": "trend", "series": ["order"]}, "read"),
    ("POST", "/api/v1/projects/{project}/compare", {"first": RECEIPT, "second": RECEIPT}, "read"),
    ("GET", "/api/v1/projects/{project}/definitions", None, "read"),
    ("GET", "/api/v1/projects/{project}/definitions/{kind}", None, "read"),
    ("GET", "/api/v1/projects/{project}/definitions/{kind}/{name}", None, "read"),
    ("GET", "/api/v1/projects/{project}/definitions/{kind}/{name}/versions", None, "read"),
    ("PUT", "/api/v1/projects/{project}/definitions/{kind}/{name}", {"event": "order"}, "edit"),
    ("DELETE", "/api/v1/projects/{project}/definitions/{kind}/{name}", None, "edit"),
    ("POST", "/api/v1/projects/{project}/definitions/plan", {}, "read"),
    ("POST", "/api/v1/projects/{project}/definitions/apply", {}, "edit"),
    ("POST", "/api/v1/projects/{project}/boards/{board}/tiles/{tile}", {}, "read"),
    ("GET", "/api/v1/projects/{project}/boards/{board}/links", None, "edit"),
    ("POST", "/api/v1/projects/{project}/boards/{board}/links", {}, "edit"),
    ("DELETE", "/api/v1/projects/{project}/boards/{board}/links/{link}", None, "edit"),
    ("GET", "/api/v1/projects/{project}/questions", None, "read"),
    ("DELETE", "/api/v1/projects/{project}/questions/{question}", None, "read"),
    ("GET", "/api/v1/projects/{project}/people", None, "read"),
    ("GET", "/api/v1/projects/{project}/property-values", None, "read"),
    ("GET", "/api/v1/projects/{project}/tracking-plan/violations", None, "read"),
    ("GET", "/api/v1/projects/{project}/tracking-plan/infer", None, "read"),
    ("POST", "/api/v1/projects/{project}/tracking-plan/check", {}, "read"),
    ("GET", "/api/v1/projects/{project}/export", None, "read"),
    ("GET", "/api/v1/projects/{project}", None, "read"),
    ("PATCH", "/api/v1/projects/{project}", {}, "admin"),
    ("DELETE", "/api/v1/projects/{project}", {"name": "not its name"}, "own"),
    ("GET", "/api/v1/projects/{project}/keys", None, "admin"),
    ("POST", "/api/v1/projects/{project}/keys", {"role": "read"}, "admin"),
    ("POST", "/api/v1/projects/{project}/keys/{key}/revoke", None, "admin"),
    ("POST", "/api/v1/projects/{project}/keys/{key}/rotate", {"grace_hours": 1}, "admin"),
    ("GET", "/api/v1/projects/{project}/dead-letters", None, "admin"),
    ("POST", "/api/v1/projects/{project}/dead-letters/replay", {}, "admin"),
    ("POST", "/api/v1/projects/{project}/dead-letters/discard", {"ids": ["none"]}, "admin"),
    ("GET", "/api/v1/projects/{project}/imports/{writer}", None, "server"),
    ("GET", "/api/v1/projects/{project}/sources", None, "admin"),
    ("POST", "/api/v1/projects/{project}/sources/try", {"source": STRIPE, "sample": {"type": "ping"}}, "admin"),
    ("GET", "/api/v1/projects/{project}/sources/{source}", None, "admin"),
    ("PUT", "/api/v1/projects/{project}/sources/{source}", {"source": STRIPE}, "admin"),
    ("DELETE", "/api/v1/projects/{project}/sources/{source}", None, "admin"),
    ("POST", "/api/v1/projects/{project}/sources/{source}/run", None, "admin"),
    ("GET", "/api/v1/projects/{project}/sources/{source}/files", None, "admin"),
    ("POST", "/api/v1/projects/{project}/merges/{edge}/undo", None, "admin"),
    ("POST", "/api/v1/projects/{project}/merges/{edge}/redo", None, "admin"),
    ("GET", "/api/v1/projects/{project}/members", None, "admin"),
    ("PUT", "/api/v1/projects/{project}/members/{user}", {"role": "viewer"}, "admin"),
    ("DELETE", "/api/v1/projects/{project}/members/{user}", None, "admin"),
    ("GET", "/api/v1/projects/{project}/invitations", None, "admin"),
    ("POST", "/api/v1/projects/{project}/invitations", {"email": "of@the.matrix"}, "admin"),
    ("DELETE", "/api/v1/projects/{project}/invitations/{invitation}", None, "admin"),
    ("GET", "/api/v1/me", None, "open"),
    ("PATCH", "/api/v1/me", {"name": "Of the matrix"}, "user"),
    ("POST", "/api/v1/me/password", {"old": "wrong", "new": "short"}, "user"),
    ("GET", "/api/v1/me/sessions", None, "user"),
    ("DELETE", "/api/v1/me/sessions/{session}", None, "user"),
    ("POST", "/api/v1/setup", {"email": "of@the.matrix", "name": "Matrix", "password": "some long words"}, "open"),
    ("POST", "/api/v1/session", {"email": "of@the.matrix", "password": "wrong"}, "open"),
    ("DELETE", "/api/v1/session", None, "open"),
    ("GET", "/api/v1/invitations/{token}", None, "open"),
    ("POST", "/api/v1/invitations/{token}", {}, "open"),
    ("POST", "/api/v1/reset/{token}", {"password": "some long words"}, "open"),
    ("GET", "/api/v1/users", None, "server"),
    ("PATCH", "/api/v1/users/{user}", {"disabled": False}, "server"),
    ("POST", "/api/v1/users/{user}/reset", None, "server"),
    ("POST", "/graphql", {"query": "{projects {id}}"}, "known"),
    ("GET", "/api/v1/projects", None, "server"),
    ("POST", "/api/v1/projects", {"name": "made by the matrix"}, "server"),
    ("POST", "/api/v1/demo", {"name": "demo of the matrix"}, "server"),
    ("GET", "/api/v1/ledger", None, "server"),
    ("POST", "/api/v1/backup", {"folder": "/no/such/folder"}, "server"),
]
# Without a key: what names no project, and what a link opens, whose token takes the key's place.
OPEN = {("GET", "/health"), ("GET", "/metrics"), ("GET", "/api/v1/shared/{token}"), ("POST", "/api/v1/shared/{token}/tiles/{tile}")}
# Doors that the reference does not describe, with what they need.
ASIDE = {
    ("POST", "/mcp"): "known",
    ("GET", "/api/v1/live"): "open",  # says that it speaks WebSocket; test_live.py knows who may
    ("GET", "/openapi.json"): "open",
    ("GET", "/"): "open",
    ("GET", "/docs"): "open",
    ("GET", "/pages/{name}"): "open",
    ("GET", "/start"): "open",
    ("GET", "/app"): "open",
    ("GET", "/app/{path}"): "open",
    ("GET", "/sdk/manifest.json"): "open",
    ("GET", "/sdk/{name}"): "open",
}
NAMED = {
    "kind": "metric",
    "name": "of-the-matrix",
    "edge": "no-such-edge",
    "source": "of-the-matrix",
    "key": "no-such-key",
    "writer": "import-7",
    "user": "no-such-user",
    "invitation": "no-such-invitation",
    "session": "no-such-session",
    "token": "no-such-token",
    "board": "no-such-board",
    "tile": "no-such-tile",
    "link": "no-such-link",
    "question": "11111111-1111-1111-1111-111111111111",
}
LEAST = {"read": "viewer", "edit": "analyst", "admin": "admin", "own": "owner"}
SECRET = "a-secret-name-of-another-tenant"


@pytest.fixture(scope="module")
def ours(house: House) -> Keys:
    keys = house.project("ours")
    house.send(keys.project, {"event": "order", "distinct_id": "us"})
    return keys


@pytest.fixture(scope="module")
def theirs(house: House) -> Keys:
    keys = house.project("theirs")
    house.send(keys.project, {"event": SECRET, "distinct_id": SECRET, "anonymous_id": f"{SECRET}-browser", "properties": {SECRET: SECRET}})
    house.spoil(keys.project, SECRET)
    return keys


def knock(house: House, method: str, path: str, body: Any, key: str | None) -> tuple[int, str]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    answer = house.client.request(method, path, json=body, headers=headers)
    return answer.status_code, answer.text


def path_of(door: str, project: str) -> str:
    path = door.format(project=quote(project, safe=""), distinct_id="us", **NAMED)
    query = {"/imports/": "?since=0", "/property-values": "?property=plan"}
    return path + next((text for part, text in query.items() if part in path), "")


def test_the_list_of_doors_is_whole(house: House) -> None:
    described = house.client.get("/openapi.json").json()["paths"]
    doors = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert doors - OPEN == {(method, path) for method, path, _, _ in DOORS}
    app: Any = house.client.app
    routes = {(method, route.path_format) for route in iter_route_contexts(app.routes) for method in route.methods - {"HEAD"}}
    assert routes == doors | set(ASIDE)


@pytest.mark.parametrize(("method", "door", "body", "needs"), [door for door in DOORS if door[3] != "open"])
def test_keys_and_roles(house: House, ours: Keys, theirs: Keys, method: str, door: str, body: Any, needs: str) -> None:
    path = path_of(door, ours.project)
    allowed = {
        "read": {ours.read, ours.admin},
        **{key: {ours.admin} for key in ("edit", "admin", "own")},
        "known": {ours.write, ours.read, ours.admin, theirs.read},
        "server": set(),
        "user": set(),
    }
    for key in (None, "", "wrong", f"{ours.read}x", ours.read[:-1], f"{ours.read} {ours.admin}"):
        assert knock(house, method, path, body, key)[0] == 401, key
    for key in (ours.write, ours.read, ours.admin):
        status, text = knock(house, method, path, body, key)
        if key in allowed[needs]:
            # A key, a dead letter or a merge that isn't there: entered, and found nothing. No project goes by a wrong name.
            found_nothing = status == 404 and "There is no project" not in text
            assert status in (200, 201, 204) or found_nothing or (method, status) == ("DELETE", 400), text
        else:
            assert status == 403, text
    # 503: no server runs here that could take the events of a demo.
    assert knock(house, method, path, body, house.server_key)[0] in ((403,) if needs == "user" else (200, 201, 204, 400, 404, 503))


@pytest.fixture(scope="module")
def people(house: House, ours: Keys, theirs: Keys) -> dict[str, str]:
    """The token of somebody in each role of our project; of a stranger, who is in theirs; of an owner of the server."""
    accounts, tokens = house.catalog.accounts, {}
    for role in (*ROLES, "stranger", "server"):
        user = accounts.create_user(f"{role}@of.the.matrix", role, "no hash, no way in by a password", owner=role == "server")
        if role in ROLES:
            accounts.set_role(ours.project, user.id, role)
        elif role == "stranger":
            accounts.set_role(theirs.project, user.id, "owner")
        tokens[role] = accounts.open_session(user.id, "pytest")[1]
    return tokens


@pytest.mark.parametrize(("method", "door", "body", "needs"), [door for door in DOORS if door[3] != "open"])
def test_people_and_roles(house: House, ours: Keys, people: dict[str, str], method: str, door: str, body: Any, needs: str) -> None:
    path = path_of(door, ours.project)
    for role, token in people.items():
        status, text = knock(house, method, path, body, token)
        if role == "stranger" and "{project}" in door:
            assert (status, "There is no project" in text) == (404, True), text
            continue
        may = needs in ("known", "user") or role == "server"
        if not may and needs in LEAST:
            may = ROLES.index(role) >= ROLES.index(LEAST[needs])
        if may:
            found_nothing = status == 404 and "There is no project" not in text
            assert status in (200, 201, 204, 400, 409, 503) or found_nothing, (role, text)
        else:
            assert status == 403, (role, text)


@pytest.mark.parametrize(("method", "door", "body", "needs"), [door for door in DOORS if door[3] == "open"])
def test_open_doors_ask_nobody_who_he_is(house: House, method: str, door: str, body: Any, needs: str) -> None:
    assert house.catalog.accounts.any() or house.catalog.accounts.create_user("any@of.the.matrix", "Any", "no hash")
    status, text = knock(house, method, path_of(door, "none"), body, None)
    assert status in (200, 204, 400, 404, 409, 429) or "password is wrong" in text, text


@pytest.mark.parametrize(("method", "door", "body", "needs"), [door for door in DOORS if "{project}" in door[1]])
def test_the_project_of_others_does_not_exist(
    house: House, ours: Keys, theirs: Keys, method: str, door: str, body: Any, needs: str
) -> None:
    for key in (ours.write, ours.read, ours.admin):
        for name in (theirs.project, theirs.name):
            status, text = knock(house, method, path_of(door, name), body, key)
            there = (status, text.replace(name, "NAME"))
            nowhere = knock(house, method, path_of(door, "no-such-project"), body, key)
            assert there == (404, nowhere[1].replace("no-such-project", "NAME"))
            assert SECRET not in text


def attempts(theirs: Keys) -> list[tuple[str, str, Any]]:
    """Ways to reach another project through the doors of one's own."""
    own, other = "/api/v1/projects/{own}", theirs.project
    inside = {"kind": "trend", "series": ["order"], "last": "7 days"}
    return [
        ("GET", f"{own}/../{other}/events", None),
        ("GET", f"{own}/%2e%2e/{other}/events", None),
        ("GET", f"{own}%2f..%2f{other}/events", None),
        ("GET", f"{own}/events/../../{other}/events", None),
        ("GET", f"/api/v1/projects//{other}/events", None),
        ("GET", f"{own}%00/events", None),
        ("GET", f"{own}/events?project={other}", None),
        ("GET", f"{own}/events?event={SECRET}", None),
        ("GET", f"{own}/events?distinct_id={SECRET}", None),
        ("GET", f"{own}/events?event={quote(chr(39) + ' OR 1=1 --')}", None),
        ("GET", f"{own}/events?event={quote('{project:String}')}", None),
        ("GET", f"{own}/properties?event={SECRET}", None),
        ("GET", f"{own}/properties?event={quote(chr(39) + ') OR (1=1')}", None),
        ("GET", f"{own}/export?project={other}", None),
        ("GET", f"{own}/export?event={SECRET}", None),
        ("GET", f"{own}/export?event={quote(chr(39) + ' OR 1=1 --')}", None),
        ("GET", f"{own}/event-names?project={other}", None),
        ("GET", f"{own}/ledger?project={other}", None),
        ("GET", f"{own}/people/{SECRET}", None),
        ("GET", f"{own}/people/{SECRET}-browser", None),
        ("GET", f"{own}/people/{quote(chr(39) + ' OR 1=1 --')}", None),
        ("GET", f"{own}/dead-letters?project={other}", None),
        ("GET", f"{own}/dead-letters?reason={quote(chr(39) + ' OR 1=1 --')}", None),
        ("POST", f"{own}/ask?project={other}", inside),
        ("POST", f"{own}/ask", {**inside, "project": other}),
        ("POST", f"{own}/ask", {**inside, "series": [SECRET]}),
        ("POST", f"{own}/people?project={other}", {"question": LIFECYCLE, "row": {"status": "new", "period": "2026-01-05"}}),
        ("POST", f"{own}/people", {"question": {**LIFECYCLE, "events": [SECRET]}, "row": {"status": "new", "period": "2026-01-05"}}),
        ("POST", f"{own}/people?format=csv", {"question": {**LIFECYCLE, "events": []}, "row": {"status": "new", "period": "2026-01-05"}}),
        ("POST", f"{own}/ask", {"saved": f"../{other}"}),
        ("POST", f"{own}/ask", {**inside, "tenant": other}),
        ("POST", f"{own}/ask", {**inside, "filters": [{"property": "@project", "value": other}]}),
        ("POST", f"{own}/ask", {**inside, "breakdown": [{"property": "@project"}]}),
        ("POST", f"{own}/ask", {**inside, "breakdown": [{"property": "`) OR project != '' OR (`"}]}),
        ("POST", f"{own}/ask", {**inside, "timezone": f"../../{other}"}),
        ("PATCH", own, {"id": other}),
        ("PATCH", own, {"name": other}),
        ("DELETE", own, {"name": other}),
        ("DELETE", own, {"name": theirs.name}),
        ("POST", f"{own}/keys", {"role": "admin", "project": other}),
        ("POST", f"{own}/keys/{{key}}/revoke", None),
        ("POST", f"{own}/keys/{{key}}/rotate", {"grace_hours": 1}),
        ("POST", f"{own}/keys/..%2f..%2f{other}%2fkeys%2f{{key}}/revoke", None),
        ("POST", f"{own}/keys", {"role": "server"}),
        ("POST", f"{own}/dead-letters/replay", {"ids": ["{letter}"]}),
        ("POST", f"{own}/dead-letters/discard", {"ids": ["{letter}"]}),
        ("POST", f"{own}/merges/{{edge}}/undo", None),
        ("POST", f"{own}/merges/{{edge}}/redo", None),
    ]


def without_the_question(text: str) -> str:
    """An answer's receipt repeats the question, which the caller said himself."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text
    if isinstance(answer, dict) and "receipt" in answer:
        del answer["receipt"]["question"]
    return json.dumps(answer, separators=(",", ":"))


def test_attempts_on_another_project(house: House, ours: Keys, theirs: Keys) -> None:
    server = {"Authorization": f"Bearer {house.server_key}"}
    base = f"/api/v1/projects/{theirs.project}"
    letter = house.client.get(f"{base}/dead-letters", headers=server).json()[0]["id"]
    edge = house.client.get(f"{base}/people/{SECRET}", headers=server).json()["edges"][0]["edge"]
    key_id = house.client.get(f"{base}/keys", headers=server).json()[0]["id"]

    def state() -> list[str]:
        paths = ("", "/keys", "/dead-letters", f"/people/{SECRET}", "/events", "/event-names")
        return [house.client.get(f"{base}{path}", headers=server).text for path in paths]

    before = state()
    for method, path, body in attempts(theirs):
        reached = path.replace("{own}", ours.project).replace("{edge}", edge).replace("{key}", key_id)
        if body and "ids" in body:
            body = {"ids": [letter]}
        for key in (ours.read, ours.admin):
            status, text = knock(house, method, reached, body, key)
            told = without_the_question(text.replace(path, "").replace(reached, ""))
            assert status < 500, (method, reached, body, text)
            echoed = reached + str(body)  # what the caller said himself is no secret
            assert SECRET not in told or SECRET in echoed, (method, reached, body, text)
            assert f'"event":"{SECRET}"' not in told, (method, reached, body, text)
    assert state() == before, "nothing of theirs has changed"


def test_a_key_made_for_one_project_opens_that_one_only(house: House, ours: Keys, theirs: Keys) -> None:
    made = house.client.post(
        f"/api/v1/projects/{ours.project}/keys", json={"role": "admin"}, headers={"Authorization": f"Bearer {ours.admin}"}
    )
    assert made.status_code == 201
    key = made.json()["key"]
    assert knock(house, "GET", f"/api/v1/projects/{ours.project}/keys", None, key)[0] == 200
    assert knock(house, "GET", f"/api/v1/projects/{theirs.project}/keys", None, key)[0] == 404
    assert knock(house, "GET", "/api/v1/projects", None, key)[0] == 403


def test_what_needs_no_key_names_no_project(house: House, ours: Keys, theirs: Keys) -> None:
    for path in ("/health", "/metrics", "/openapi.json", "/docs", "/"):
        text = house.client.get(path).text
        assert SECRET not in text
        for name in (ours.project, theirs.project):
            assert f'"{name}"' not in text, path


def test_lists_of_keys_hold_no_secrets(house: House, ours: Keys) -> None:
    answer = house.client.get(f"/api/v1/projects/{ours.project}/keys", headers=bearer(ours.admin))
    for secret in (ours.write, ours.read, ours.admin):
        assert secret not in answer.text
        assert (secret[:8], secret[-4:]) in [(key["prefix"], key["last_four"]) for key in answer.json()]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_the_life_of_a_key(house: House) -> None:
    keys = house.project("Keys live here")
    path, admin = f"/api/v1/projects/{keys.project}", bearer(keys.admin)
    made = house.client.post(f"{path}/keys", json={"role": "read", "name": "notebook"}, headers=admin).json()
    assert (made["name"], made["role"], made["revoked_at"]) == ("notebook", "read", None)
    listed = house.client.get(f"{path}/keys", headers=admin).json()
    assert {name: value for name, value in made.items() if name != "key"} in listed

    rotated = house.client.post(f"{path}/keys/{made['id']}/rotate", json={"grace_hours": 24}, headers=admin)
    assert rotated.status_code == 201
    new = rotated.json()
    assert (new["name"], new["role"]) == ("notebook", "read")
    for secret in (made["key"], new["key"]):  # both work while the time of grace lasts
        assert knock(house, "GET", path, None, secret)[0] == 200

    revoked = house.client.post(f"{path}/keys/{made['id']}/revoke", headers=admin).json()
    assert revoked["revoked_at"] <= datetime.now(UTC).isoformat()
    status, text = knock(house, "GET", path, None, made["key"])
    assert status == 401
    assert f"The key {made['prefix']}…{made['last_four']} (notebook) was revoked on" in text
    assert knock(house, "GET", path, None, new["key"])[0] == 200
    assert knock(house, "POST", f"{path}/keys/{made['id']}/rotate", None, keys.admin)[0] == 409
    assert [key["id"] for key in house.client.get(f"{path}/keys", headers=admin).json() if key["revoked_at"]] == [made["id"]]


def rows_left(house: House, project: str) -> dict[str, int]:
    counts = {}
    for table in TENANT_TABLES:
        statement = Sql(f"SELECT count() FROM {table} WHERE project = {{project:String}}", {"project": project})
        counts[table] = int(house.rooms.store.query(statement).rows[0][0])
    return counts


def test_a_deleted_project_is_gone_from_everywhere_and_the_others_stay(house: House) -> None:
    keys, other = house.project("Short life"), house.project("Long life")
    path, server = f"/api/v1/projects/{keys.project}", bearer(house.server_key)
    for project in (keys.project, other.project):
        planned = {"mode": "observe", "schema": {"type": "object", "properties": {"n": {"type": "string"}}}}
        house.client.put(f"/api/v1/projects/{project}/definitions/plan/order", json=planned, headers=server)
        house.send(
            project, {"event": "order", "distinct_id": "anna", "anonymous_id": "a", "properties": {"n": 1}, "profile": {"set": {"x": 1}}}
        )
        house.spoil(project, "{}")
        edge = house.client.get(f"/api/v1/projects/{project}/people/anna", headers=server).json()["edges"][0]["edge"]
        for deed in ("undo", "redo"):
            house.client.post(f"/api/v1/projects/{project}/merges/{edge}/{deed}", headers=server)
        house.client.post(f"/api/v1/projects/{project}/ask", json={"kind": "trend", "series": ["order"], "last": "7 days"}, headers=server)
    before = rows_left(house, other.project)
    assert 0 not in before.values(), before
    assert 0 not in rows_left(house, keys.project).values()

    refused = house.client.request("DELETE", path, json={"name": "Long life"}, headers=server)
    assert (refused.status_code, refused.json()["error"]["place"]) == (400, "name")
    assert knock(house, "DELETE", path, None, house.server_key)[0] == 400
    answer = house.client.request("DELETE", path, json={"name": "Short life"}, headers=bearer(keys.admin))
    assert (answer.status_code, answer.json()) == (200, {"id": "short-life", "events": 1})

    assert set(rows_left(house, keys.project).values()) == {0}
    assert rows_left(house, other.project) == before
    for secret in (keys.write, keys.read, keys.admin):
        assert knock(house, "GET", path, None, secret)[0] == 401
    assert knock(house, "GET", path, None, house.server_key)[0] == 404

    # What was in the log still: left out, in no book, and the books close.
    house.send(keys.project, {"event": "late", "distinct_id": "anna", "profile": {"set": {"x": 1}}})
    house.send(other.project, {"event": "order", "distinct_id": "ben"})
    assert set(rows_left(house, keys.project).values()) == {0}
    ledger = house.client.get("/api/v1/ledger", headers=server).json()
    assert keys.project not in {row["project"] for row in ledger}
    assert {row["gap"] for row in ledger if row["project"] == other.project} == {0}
    assert sum(row["stored"] for row in ledger if row["project"] == other.project) == 2

    again = house.project("Short life")
    assert again.project != keys.project
    assert knock(house, "GET", f"/api/v1/projects/{again.project}/events", None, again.read) == (200, "[]")
