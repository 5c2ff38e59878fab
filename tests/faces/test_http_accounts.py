"""Accounts over HTTP: signing in and out, what a page of somebody else's cannot make a browser do, one's own account."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from tests.faces.signed_in import KEPT, NUMBERS, PASSWORD, Browser, error, signed_in, user

from almanac.adapters import passwords
from almanac.adapters.catalog_sql import SqlCatalog
from almanac.web import sign_in
from almanac.web.rest import create_app

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys


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
