"""Who may do what in a project, over HTTP: invitations, members, accounts of the server; and the same by the other faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from tests.faces.live_stack import Stack
from tests.faces.signed_in import NUMBERS, PASSWORD, Browser, error, signed_in, user
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from almanac.core.errors import unavailable
from almanac.web.rest import create_app

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys


@pytest.fixture
def app(house: House) -> Any:
    """An app on the house's own catalog, that remembers no wrong password."""
    return create_app(house.rooms)


@pytest.fixture
def shop(house: House) -> Keys:
    return house.project(f"shop of people {next(NUMBERS)}")


# --------------------------------------------------------------------- invitations


def test_an_invitation_by_link(app: Any, house: House, shop: Keys) -> None:
    admin, _ = signed_in(app, house, role="admin", project=shop.project)
    base, email = f"/projects/{shop.project}/invitations", f"new{next(NUMBERS)}@example.com"
    assert "role owner" in admin.call("POST", base, {"email": email, "role": "owner"}).json()["error"]["way_out"]
    error(admin.call("POST", base, {"email": "nobody", "role": "viewer"}), 400, "invalid")
    made = admin.call("POST", base, {"email": email, "role": "analyst"}).json()
    assert (made["email"], made["role"], made["author"]) == (email, "analyst", "Some Body")
    [listed] = admin.call("GET", base).json()
    assert listed == {name: value for name, value in made.items() if name != "token"}
    page, link = Browser(app), f"/invitations/{made['token']}"
    seen = page.call("GET", link).json()
    assert (seen["project"], seen["email"], seen["role"], seen["has_account"]) == (shop.name, email, "analyst", False)
    error(page.call("POST", link, {"name": "New", "password": "short"}), 400, "invalid")
    error(page.call("POST", link, {}), 400, "invalid")
    joined = page.call("POST", link, {"name": "New", "password": PASSWORD}).json()
    assert (joined["user"]["email"], [(one["id"], one["role"]) for one in joined["projects"]]) == (email, [(shop.project, "analyst")])
    assert page.me() == joined
    assert error(Browser(app).call("GET", link), 404, "not_found") == "The invitation was used already."
    assert admin.call("GET", base).json()[0]["used_at"]
    error(admin.call("DELETE", f"{base}/{made['id']}"), 409, "conflict")
    Browser(app).sign_in(email)


def test_somebody_with_an_account_accepts_signed_in(app: Any, house: House, shop: Keys) -> None:
    owner, _ = signed_in(app, house, role="owner", project=shop.project)
    page, ann = signed_in(app, house)
    made = owner.call("POST", f"/projects/{shop.project}/invitations", {"email": ann.email, "role": "owner", "days": 1}).json()
    link = f"/invitations/{made['token']}"
    assert Browser(app).call("GET", link).json()["has_account"]
    error(Browser(app).call("POST", link, {"name": "Ann", "password": PASSWORD}), 409, "conflict")
    assert [one["role"] for one in page.call("POST", link, {}).json()["projects"]] == ["owner"]


def test_a_revoked_invitation(app: Any, house: House, shop: Keys) -> None:
    admin, _ = signed_in(app, house, role="admin", project=shop.project)
    base = f"/projects/{shop.project}/invitations"
    made = admin.call("POST", base, {"email": "x@example.com"}).json()
    assert admin.call("DELETE", f"{base}/{made['id']}").status_code == 204
    told = Browser(app).call("POST", f"/invitations/{made['token']}", {"name": "X", "password": PASSWORD})
    assert error(told, 404, "not_found") == "The invitation was revoked."
    assert admin.call("GET", base).json()[0]["revoked_at"]


# ------------------------------------------------------------------------- members


def test_only_owners_make_and_end_owners(app: Any, house: House, shop: Keys) -> None:
    (admin, admin_user), (owner, owner_user) = (signed_in(app, house, role=role, project=shop.project) for role in ("admin", "owner"))
    viewer = user(house, role="viewer", project=shop.project)
    members = f"/projects/{shop.project}/members"
    assert {(one["id"], one["role"]) for one in admin.call("GET", members).json()} == {
        (admin_user.id, "admin"),
        (owner_user.id, "owner"),
        (viewer.id, "viewer"),
    }
    assert admin.call("PUT", f"{members}/{viewer.id}", {"role": "analyst"}).json()["role"] == "analyst"
    for method, whose, body in (
        ("PUT", viewer.id, {"role": "owner"}),
        ("PUT", admin_user.id, {"role": "owner"}),
        ("PUT", owner_user.id, {"role": "viewer"}),
        ("DELETE", owner_user.id, None),
    ):
        error(admin.call(method, f"{members}/{whose}", body), 403, "denied")
    stranger = user(house)
    error(owner.call("PUT", f"{members}/{stranger.id}", {"role": "viewer"}), 404, "not_found")
    error(owner.call("DELETE", f"{members}/{stranger.id}"), 404, "not_found")
    error(owner.call("PUT", f"{members}/{viewer.id}", {"role": "king"}), 400, "invalid")
    error(owner.call("PUT", f"{members}/{owner_user.id}", {"role": "admin"}), 409, "conflict")
    error(owner.call("DELETE", f"{members}/{owner_user.id}"), 409, "conflict")
    assert owner.call("PUT", f"{members}/{admin_user.id}", {"role": "owner"}).status_code == 200
    assert owner.call("DELETE", f"{members}/{owner_user.id}").status_code == 204, "now he may leave"
    assert owner.me()["projects"] == []
    assert owner.call("GET", members).status_code == 404
    assert admin.call("DELETE", f"{members}/{viewer.id}").status_code == 204


def test_anybody_may_leave_and_an_owner_of_the_server_adds_anybody(app: Any, house: House, shop: Keys) -> None:
    server, _ = signed_in(app, house, owner=True)
    page, ann = signed_in(app, house)
    members = f"/projects/{shop.project}/members"
    assert server.call("PUT", f"{members}/{ann.id}", {"role": "viewer"}).status_code == 200
    assert [one["id"] for one in page.me()["projects"]] == [shop.project]
    error(page.call("GET", members), 403, "denied")
    assert page.call("DELETE", f"{members}/{ann.id}").status_code == 204
    assert page.me()["projects"] == []


def test_an_owner_deletes_a_project_and_an_admin_does_not(app: Any, house: House, shop: Keys) -> None:
    (admin, _), (owner, _) = (signed_in(app, house, role=role, project=shop.project) for role in ("admin", "owner"))
    told = admin.call("DELETE", f"/projects/{shop.project}", {"name": shop.name})
    assert error(told, 403, "denied") == "You are an admin of this project: you may do everything but delete it and make owners."
    assert owner.call("DELETE", f"/projects/{shop.project}", {"name": shop.name}).status_code == 200
    assert owner.me()["projects"] == admin.me()["projects"] == []


def test_definitions_are_saved_under_the_name_of_who_did(app: Any, house: House, shop: Keys) -> None:
    page, _ = signed_in(app, house, role="analyst", project=shop.project)
    path = f"/projects/{shop.project}/definitions/metric/orders"
    assert page.call("PUT", path, {"event": "order"}).json()["author"] == "Some Body"


# ------------------------------------------------------------- accounts of the server


def test_an_owner_of_the_server_sees_to_accounts(app: Any, house: House, shop: Keys) -> None:
    server, boss = signed_in(app, house, owner=True)
    page, ann = signed_in(app, house, role="viewer", project=shop.project)
    listed = {one["id"]: one for one in server.call("GET", "/users").json()}
    assert listed[ann.id]["roles"] == {shop.project: "viewer"}
    assert (listed[ann.id]["owner"], listed[ann.id]["disabled"], listed[boss.id]["owner"]) == (False, False, True)
    assert listed[ann.id]["seen_at"]
    assert server.call("PATCH", f"/users/{ann.id}", {"disabled": True}).status_code == 200
    assert page.me()["user"] is None
    assert server.call("PATCH", f"/users/{ann.id}", {"disabled": False, "owner": True}).json()["owner"]
    again = Browser(app)
    assert again.sign_in(ann.email)["server"]
    assert "owner" in {one["role"] for one in again.me()["projects"]}
    error(server.call("PATCH", "/users/nobody", {"owner": True}), 404, "not_found")


def test_a_link_sets_a_password(app: Any, house: House) -> None:
    server, _ = signed_in(app, house, owner=True)
    page, ann = signed_in(app, house)
    made = server.call("POST", f"/users/{ann.id}/reset").json()
    link = f"/reset/{made['token']}"
    fresh = Browser(app)
    error(fresh.call("POST", link, {"password": "short"}), 400, "invalid")
    assert page.me()["user"], "until it is used, all is as it was"
    assert fresh.call("POST", link, {"password": "another few words"}).json()["user"]["id"] == ann.id
    assert fresh.me()["user"]["id"] == ann.id
    assert page.me()["user"] is None
    error(Browser(app).call("POST", link, {"password": "yet some other words"}), 404, "not_found")
    Browser(app).sign_in(ann.email, "another few words")
    later = server.call("POST", f"/users/{ann.id}/reset").json()["token"]
    server.call("PATCH", f"/users/{ann.id}", {"disabled": True})
    assert error(Browser(app).call("POST", f"/reset/{later}", {"password": PASSWORD}), 403, "denied") == "This account is disabled."


def test_keys_are_told_as_they_were(app: Any, house: House, shop: Keys) -> None:
    program = TestClient(app)
    for key, role, role_there, server in (
        (shop.read, "read", "viewer", False),
        (shop.admin, "admin", "owner", False),
        (house.server_key, "admin", "owner", True),
    ):
        me = program.get("/api/v1/me", headers={"authorization": f"Bearer {key}"}).json()
        assert (me["user"], me["csrf"], me["role"], me["server"]) == (None, "", role, server)
        assert {one["role"] for one in me["projects"]} == {role_there}
        assert shop.project in {one["id"] for one in me["projects"]}
    error(program.get("/api/v1/me/sessions", headers={"authorization": f"Bearer {shop.admin}"}), 403, "denied")


# --------------------------------------------------------------------- other faces


def test_graphql_and_mcp_know_sessions(app: Any, house: House, shop: Keys) -> None:
    house.send(shop.project, {"event": "order", "distinct_id": "ann"})
    page, _ = signed_in(app, house, role="viewer", project=shop.project)
    query = {"query": f'{{projects {{id}} project(id: "{shop.project}") {{event_names(first: 5) {{nodes {{event}}}}}}}}'}
    answer = page.client.post("/graphql", json=query, headers={"x-almanac-csrf": page.csrf}).json()
    assert answer["data"] == {"projects": [{"id": shop.project}], "project": {"event_names": {"nodes": [{"event": "order"}]}}}
    assert page.client.post("/graphql", json=query).status_code == 403
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_projects", "arguments": {}}}
    headers = {"x-almanac-csrf": page.csrf, "accept": "application/json, text/event-stream"}
    told = page.client.post("/mcp", json=call, headers=headers)
    assert told.status_code == 200, told.text
    assert [one["id"] for one in told.json()["result"]["structuredContent"]["items"]] == [shop.project]


@contextmanager
def listening(stack: Stack, token: str, origin: str | None) -> Iterator[Any]:
    cookie = {"Cookie": f"theme=dark; almanac_session={token}"}
    with connect(f"ws://127.0.0.1:{stack.port}/api/v1/live", additional_headers=cookie, origin=origin, proxy=None) as socket:  # type: ignore[arg-type]
        yield socket


def test_the_live_socket_takes_the_cookie_of_its_own_pages(app: Any, house: House, shop: Keys, tmp_path: Path) -> None:
    page, ann = signed_in(app, house, role="viewer", project=shop.project)
    stack = Stack(house.rooms, tmp_path)
    try:
        for origin in (None, "https://evil.example", "null", f"http://127.0.0.1:{stack.port + 1}"):
            with listening(stack, page.token, origin) as socket:
                socket.send(json.dumps({"type": "subscribe", "id": "a", "project": shop.project, "events": {}}))
                assert json.loads(socket.recv(timeout=20))["error"]["code"] == "denied", origin
        with listening(stack, page.token, stack.url) as socket:
            assert json.loads(socket.recv(timeout=20))["type"] == "welcome"
            question = {"kind": "trend", "series": ["order"], "last": "7 days", "interval": "total"}
            socket.send(json.dumps({"type": "subscribe", "id": "q", "project": shop.project, "question": question}))
            assert json.loads(socket.recv(timeout=20))["type"] == "snapshot"
            house.catalog.accounts.remove_member(shop.project, ann.id)
            told = json.loads(socket.recv(timeout=20))
            assert (told["id"], told["error"]["code"]) == ("q", "not_found")
            house.catalog.accounts.set_role(shop.project, ann.id, "viewer")
            socket.send(json.dumps({"type": "subscribe", "id": "q", "project": shop.project, "question": question}))
            assert json.loads(socket.recv(timeout=20))["type"] == "snapshot"
            page.call("DELETE", "/session")
            assert json.loads(socket.recv(timeout=20))["error"]["message"] == "The session is over."
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=20)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
    finally:
        stack.stop()


def test_a_catalog_out_of_reach_is_not_taken_for_a_stranger(house: House) -> None:
    class Gone:
        def any(self) -> bool:
            return True

        def find_session(self, token: str) -> Any:
            raise unavailable("The catalog is out of reach.", way_out="Come back.")

    class Catalog:
        accounts = Gone()

    page = Browser(create_app(replace(house.rooms, catalog=Catalog())))  # type: ignore[arg-type]
    page.client.cookies.set("almanac_session", "st_something")
    told = page.call("GET", "/me")
    assert error(told, 503, "unavailable") == "The catalog is out of reach."
    assert "set-cookie" not in told.headers
