"""Accounts over HTTP: signing in, what a page of somebody else's cannot make a browser do, invitations, members, links for passwords."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from tests.faces.live_stack import Stack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from almanac.adapters import passwords
from almanac.adapters.catalog_sql import SqlCatalog
from almanac.core.accounts import Role
from almanac.core.errors import unavailable
from almanac.web import sign_in
from almanac.web.rest import create_app

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

PASSWORD = "four words in a row"
NUMBERS = count(1)
KEPT = passwords.hashed(PASSWORD)  # hashing takes its time, on purpose


class Browser:
    """Keeps cookies, and does as a page does: reads /me, and shows its token from then on."""

    def __init__(self, app: Any, *, url: str = "http://almanac.example", sender: str = "203.0.113.5") -> None:
        self.client = TestClient(app, base_url=url, client=(sender, 40000))
        self.csrf = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        shown = {"x-almanac-csrf": self.csrf} if self.csrf else {}
        return self.client.request(method, f"/api/v1{path}", json=body, headers={**shown, **headers})

    def me(self) -> Any:
        answer = self.call("GET", "/me")
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["csrf"]
        return answer.json()

    def sign_in(self, email: str, password: str = PASSWORD) -> Any:
        answer = self.call("POST", "/session", {"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["csrf"]
        return answer.json()

    @property
    def token(self) -> str:
        return str(self.client.cookies.get("almanac_session", ""))


@pytest.fixture
def fresh(house: House, tmp_path: Path) -> Iterator[Any]:
    """An app whose catalog is empty."""
    catalog = SqlCatalog(str(tmp_path / "catalog.db"))
    yield create_app(replace(house.rooms, catalog=catalog))
    catalog.close()


@pytest.fixture
def app(house: House) -> Any:
    """An app on the house's own catalog, that remembers no wrong password."""
    return create_app(house.rooms)


@pytest.fixture
def shop(house: House) -> Keys:
    return house.project(f"shop of people {next(NUMBERS)}")


def user(house: House, *, role: Role | None = None, project: str = "", owner: bool = False) -> Any:
    made = house.catalog.accounts.create_user(f"u{next(NUMBERS)}@example.com", "Some Body", KEPT, owner=owner)
    if role:
        house.catalog.accounts.set_role(project, made.id, role)
    return made


def signed_in(app: Any, house: House, **given: Any) -> tuple[Browser, Any]:
    """A browser in which such a user has signed in."""
    made, browser = user(house, **given), Browser(app)
    browser.client.cookies.set("almanac_session", house.catalog.accounts.open_session(made.id, "a test")[1])
    browser.me()
    return browser, made


def error(answer: Any, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    told = answer.json()["error"]
    assert told["code"] == code
    assert told["way_out"]
    return str(told["message"])


# ------------------------------------------------------------------- the first run


def test_the_first_account_owns_the_server(fresh: Any) -> None:
    page = Browser(fresh)
    me = page.me()
    assert (me["user"], me["first_run"], me["csrf"], me["projects"], me["version"]) == (None, True, "", [], "test")
    ann = {"email": "Ann@example.com", "name": "Ann", "password": PASSWORD}
    for field, wrong in (("email", "ann"), ("name", " "), ("password", "too short"), ("password", "ann@EXAMPLE.com")):
        answer = page.call("POST", "/setup", {**ann, field: wrong})
        error(answer, 400, "invalid")
        assert answer.json()["error"]["place"] == field
    made = page.call("POST", "/setup", ann)
    assert made.status_code == 200, made.text
    assert made.json()["user"] == {"id": "first", "email": "Ann@example.com", "name": "Ann", "owner": True}
    assert page.me() == made.json()
    assert not page.me()["first_run"]
    assert page.csrf
    error(page.call("POST", "/setup", {**ann, "email": "bob@example.com"}), 409, "conflict")
    error(Browser(fresh).call("POST", "/setup", {**ann, "email": "bob@example.com"}), 409, "conflict")
    assert page.call("POST", "/projects", {"name": "Shop"}).status_code == 201
    assert [(project["id"], project["role"]) for project in page.me()["projects"]] == [("shop", "owner")]
    assert [(member["email"], member["role"]) for member in page.call("GET", "/projects/shop/members").json()] == [
        ("Ann@example.com", "owner")
    ]


def test_a_server_with_projects_is_not_given_to_who_comes_first(house: House, tmp_path: Path) -> None:
    ann = {"email": "ann@example.com", "name": "Ann", "password": PASSWORD}
    allowed = [
        ({"url": "http://127.0.0.1:8000", "sender": "127.0.0.1"}, {}),
        ({"url": "http://localhost:8000", "sender": "10.0.0.1"}, {"x-forwarded-for": "127.0.0.1"}),  # as a collector hands it on
        ({"url": "http://almanac.example"}, {"authorization": "Bearer the-admin-key"}),
    ]
    refused = [
        ({"url": "http://almanac.example", "sender": "203.0.113.5"}, {}),
        ({"url": "http://127.0.0.1:8000", "sender": "203.0.113.5"}, {}),
        ({"url": "http://rebound.example", "sender": "127.0.0.1"}, {}),
        ({"url": "http://127.0.0.1:8000", "sender": "127.0.0.1"}, {"x-forwarded-for": "203.0.113.5, 127.0.0.1"}),
        ({"url": "http://127.0.0.1:8000", "sender": "127.0.0.1"}, {"x-forwarded-for": "127.0.0.1, 203.0.113.5"}),
        ({"url": "http://almanac.example"}, {"authorization": "Bearer {read}"}),
    ]
    for number, (given, headers) in enumerate([*refused, *allowed]):
        catalog = SqlCatalog(str(tmp_path / f"{number}.db"))
        catalog.ensure_admin("the-admin-key")
        _, keys = catalog.create_project("Shop")
        headers = {name: value.format(read=keys["read"]) for name, value in headers.items()}
        answer = Browser(create_app(replace(house.rooms, catalog=catalog)), **given).call("POST", "/setup", ann, **headers)
        assert answer.status_code == (403 if number < len(refused) else 200), (given, headers, answer.text)
        assert catalog.accounts.any() == (number >= len(refused))
        catalog.close()


# ------------------------------------------------------------------------ in and out


def test_signing_in_and_out(app: Any, house: House, shop: Keys) -> None:
    ann, page = user(house, role="analyst", project=shop.project), Browser(app)
    me = page.sign_in(ann.email.upper())
    assert me["user"] == {"id": ann.id, "email": ann.email, "name": "Some Body", "owner": False}
    assert [(one["id"], one["name"], one["zone"], one["week_start"], one["role"]) for one in me["projects"]] == [
        (shop.project, shop.name, "UTC", "monday", "analyst")
    ]
    assert (me["server"], me["role"]) == (False, "")
    assert page.me() == me
    first = page.token
    assert page.call("DELETE", "/session").status_code == 204
    assert page.token == ""
    assert page.me()["user"] is None
    stale = Browser(app)
    stale.client.cookies.set("almanac_session", first)
    answer = stale.call("GET", "/me")
    assert answer.json()["user"] is None, "the session is over, not only its cookie gone"
    assert "Max-Age=0" in answer.headers["set-cookie"], "and /me takes the cookie away"
    assert page.call("DELETE", "/session").status_code == 204, "there is nothing to end"


@pytest.mark.parametrize(
    ("url", "headers", "secure"),
    [
        ("http://almanac.example", {}, False),
        ("https://almanac.example", {}, True),
        ("http://almanac.example", {"x-forwarded-proto": "https"}, True),
        ("http://almanac.example", {"x-forwarded-proto": "http"}, False),
    ],
)
def test_the_cookie(app: Any, house: House, url: str, headers: dict[str, str], secure: bool) -> None:
    answer = Browser(app, url=url).call("POST", "/session", {"email": user(house).email, "password": PASSWORD}, **headers)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("almanac_session=st_")
    parts = {part.strip().lower() for part in cookie.split(";")}
    assert {"httponly", "samesite=lax", "path=/"} <= parts
    assert ("secure" in parts) is secure
    assert answer.json()["user"]
    assert cookie.split("=")[1].split(";")[0] not in answer.text


def test_an_unknown_email_and_a_wrong_password_are_the_same(app: Any, house: House) -> None:
    page, known = Browser(app), user(house)
    answers, seconds = [], {}
    for email in (known.email, "nobody@example.com"):
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            answers.append(page.call("POST", "/session", {"email": email, "password": "wrong"}))
            taken.append(time.perf_counter() - began)
        seconds[email] = min(taken)
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}
    assert error(answers[0], 401, "denied") == "The email or the password is wrong."
    first, second = sorted(seconds.values())
    assert second < 2.5 * first, seconds
    assert first > 0.02, "a try costs something"


def test_nobody_stands_for_an_account_that_is_not_there() -> None:
    assert passwords.NOBODY.split("$")[:4] == KEPT.split("$")[:4], "with the parameters of all others"
    assert [len(part) for part in passwords.NOBODY.split("$")] == [len(part) for part in KEPT.split("$")]


def test_how_passwords_are_kept() -> None:
    assert KEPT.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.hashed(PASSWORD) != KEPT, "salted"
    assert passwords.matches(KEPT, PASSWORD)
    assert passwords.matches(passwords.hashed("caf\u00e9 au lait"), "cafe\u0301 au lait"), "however the keyboard composes it"
    for kept, tried in ((KEPT, PASSWORD + " "), (KEPT, ""), (KEPT, "\ud800"), ("", PASSWORD), ("not a hash", PASSWORD)):
        assert not passwords.matches(kept, tried)


def test_wrong_passwords_are_limited_by_email_and_by_address(app: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    now, tried = [0.0], []
    app.state.passwords = sign_in.Passwords(lambda: now[0])
    monkeypatch.setattr(passwords, "matches", lambda kept, password: tried.append(kept) is None and password == PASSWORD)
    ann, elsewhere = user(house), Browser(app, sender="198.51.100.7")

    def attempt(page: Browser, email: str, password: str) -> int:
        return int(page.call("POST", "/session", {"email": email, "password": password}).status_code)

    here = Browser(app)
    assert [attempt(here, ann.email.upper() if turn % 2 else ann.email, "wrong") for turn in range(7)] == [401] * 5 + [429] * 2
    assert len(tried) == 5, "further ones are not even tried"
    told = elsewhere.call("POST", "/session", {"email": ann.email, "password": PASSWORD})
    assert error(told, 429, "limited") == "There were too many wrong passwords."
    assert told.headers["retry-after"] == "900"
    now[0] = 899.5
    assert attempt(elsewhere, ann.email, PASSWORD) == 429
    now[0] = 900.0
    assert attempt(elsewhere, ann.email, PASSWORD) == 200

    now[0] = 5000.0  # of one address
    statuses = [attempt(here, f"nobody{number}@example.com", "wrong") for number in range(21)]
    assert statuses == [401] * 20 + [429]
    assert attempt(here, ann.email, PASSWORD) == 429
    assert attempt(elsewhere, ann.email, PASSWORD) == 200, "from elsewhere he gets in"

    now[0] = 9000.0  # one neighbour of IPv6 has all addresses of its network
    six = [Browser(app, sender=f"2001:db8:1:2::{number:x}") for number in range(21)]
    assert [attempt(page, f"nobody{number}@example.com", "wrong") for number, page in enumerate(six)] == [401] * 20 + [429]
    assert attempt(Browser(app, sender="2001:db8:1:3::1"), "nobody@example.com", "wrong") == 401


def test_right_passwords_do_not_count(app: Any, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "matches", lambda kept, password: password == PASSWORD)
    page, ann = Browser(app), user(house)
    for turn in range(8):
        for password in ("wrong", "wrong", "wrong", PASSWORD):
            last = page.call("POST", "/session", {"email": ann.email, "password": password})
        assert last.status_code == (200 if turn < 6 else 429), "the wrong ones of the address do"
    assert page.me()["user"]["id"] == ann.id


def test_what_is_remembered_of_wrong_passwords_is_bounded(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_REMEMBERED", 50)
    monkeypatch.setattr(passwords, "matches", lambda kept, password: False)
    for number in range(200):
        page = Browser(app, sender=f"198.51.100.{number}")
        assert page.call("POST", "/session", {"email": f"e{number}@example.com", "password": "wrong"}).status_code == 401
    assert len(app.state.passwords._tries) <= 51


def test_a_disabled_account_is_told_only_who_knows_its_password(app: Any, house: House) -> None:
    user(house, owner=True)
    page, ann = signed_in(app, house)
    house.catalog.accounts.change_user(ann.id, disabled=True)
    assert page.me()["user"] is None
    other = Browser(app)
    assert error(other.call("POST", "/session", {"email": ann.email, "password": PASSWORD}), 403, "denied") == "This account is disabled."
    error(other.call("POST", "/session", {"email": ann.email, "password": "wrong"}), 401, "denied")
    assert other.token == ""


# --------------------------------------------------------------- pages of somebody else's


def test_a_change_by_cookie_shows_the_page_that_makes_it(app: Any, house: House, shop: Keys) -> None:
    page, _ = signed_in(app, house, role="owner", project=shop.project)
    other, _ = signed_in(app, house)
    base = f"/projects/{shop.project}"
    doors = [
        ("POST", f"{base}/ask", {"kind": "trend", "series": ["order"], "last": "7 days"}),
        ("PUT", f"{base}/definitions/metric/m", {"event": "order"}),
        ("PATCH", base, {"retention_days": 3}),
        ("DELETE", f"{base}/definitions/metric/m", None),
        ("PATCH", "/me", {"name": "New"}),
        ("DELETE", "/session", None),
    ]
    right = page.csrf
    for wrong in ("", other.csrf, page.token, "ä", right[:-1], right.upper()):
        page.csrf = wrong
        for method, path, body in doors:
            told = page.client.request(method, f"/api/v1{path}", json=body, headers={"x-almanac-csrf": wrong.encode()})
            assert "X-Almanac-CSRF" in error(told, 403, "denied"), (method, path)
        if not wrong:  # a form of somebody else's page
            told = page.client.post(f"/api/v1{base}/ask", content=json.dumps(doors[0][2]), headers={"content-type": "text/plain"})
            error(told, 403, "denied")
    assert page.client.get(f"/api/v1{base}").status_code == 200, "to look is no change"
    page.csrf = right
    assert [page.call(*door).status_code for door in doors] == [200, 200, 200, 204, 200, 204]


def test_a_token_as_a_bearer_needs_no_more(app: Any, house: House, shop: Keys) -> None:
    page, _ = signed_in(app, house, role="viewer", project=shop.project)
    program = TestClient(app)
    headers = {"authorization": f"Bearer {page.token}"}
    question = {"kind": "trend", "series": ["order"], "last": "7 days"}
    assert program.post(f"/api/v1/projects/{shop.project}/ask", json=question, headers=headers).status_code == 200
    assert program.get("/api/v1/me", headers=headers).json()["user"]
    over = {"authorization": "Bearer st_not-a-session"}
    assert error(program.get(f"/api/v1/projects/{shop.project}", headers=over), 401, "denied") == "The session is over."
    error(program.get("/api/v1/me", headers=over), 401, "denied")


@pytest.mark.parametrize("path", ["/setup", "/session", "/invitations/none", "/reset/none"])
def test_nobody_elses_page_signs_a_browser_in(app: Any, path: str) -> None:
    body = {"/setup": {"email": "a@b.c", "name": "A", "password": PASSWORD}, "/session": {"email": "a@b.c", "password": "x"}}.get(
        path, {"password": PASSWORD}
    )
    for origin in ("https://evil.example", "null", "http://almanac.example:81", "http://almanac.example.evil.example", "http://["):
        message = error(Browser(app).call("POST", path, body, origin=origin), 403, "denied")
        assert message == "A page of another host asks for this.", origin
    own = [{"origin": "http://almanac.example"}, {"origin": "https://shown.example", "x-forwarded-host": "shown.example"}, {}]
    for headers in own:
        assert "another host" not in Browser(app).call("POST", path, body, **headers).text


# ----------------------------------------------------------------- one's own account


def test_a_password_is_changed_by_who_knows_it(app: Any, house: House) -> None:
    page, ann = signed_in(app, house)
    other = Browser(app)
    other.sign_in(ann.email)
    error(page.call("POST", "/me/password", {"old": "wrong", "new": "another few words"}), 401, "denied")
    told = page.call("POST", "/me/password", {"old": PASSWORD, "new": ann.email})
    assert error(told, 400, "invalid") == "The password is the email address."
    assert page.call("POST", "/me/password", {"old": PASSWORD, "new": "another few words"}).status_code == 204
    assert page.me()["user"]["id"] == ann.id
    assert other.me()["user"] is None
    error(Browser(app).call("POST", "/session", {"email": ann.email, "password": PASSWORD}), 401, "denied")
    Browser(app).sign_in(ann.email, "another few words")


def test_sessions_are_listed_and_ended(app: Any, house: House) -> None:
    page, ann = signed_in(app, house)
    phone = Browser(app)
    phone.client.headers["user-agent"] = "A phone"
    phone.sign_in(ann.email)
    listed = page.call("GET", "/me/sessions").json()
    assert {(one["agent"], one["current"]) for one in listed} == {("A phone", False), ("a test", True)}
    assert not any(token in json.dumps(listed) for token in (page.token, phone.token))
    [of_phone] = [one["id"] for one in listed if not one["current"]]
    stranger, _ = signed_in(app, house)
    error(stranger.call("DELETE", f"/me/sessions/{of_phone}"), 404, "not_found")
    assert page.call("DELETE", f"/me/sessions/{of_phone}").status_code == 204
    assert phone.me()["user"] is None
    assert page.call("PATCH", "/me", {"name": " Ann "}).json()["name"] == "Ann"
    assert page.me()["user"]["name"] == "Ann"
    error(page.call("PATCH", "/me", {"name": ""}), 400, "invalid")


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
