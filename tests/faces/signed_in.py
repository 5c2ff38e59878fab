"""People for tests: accounts made without ceremony, and browsers in which they are signed in."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from almanac.adapters import passwords
from almanac.core.accounts import Role

if TYPE_CHECKING:
    from tests.faces.conftest import House

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


def user(house: House, *, role: Role | None = None, project: str = "", owner: bool = False) -> Any:
    made = house.catalog.accounts.create_user(f"u{next(NUMBERS)}@people.example", "Some Body", KEPT, owner=owner)
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
