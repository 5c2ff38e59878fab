"""`almanac user`, as real processes, on a folder that nobody serves and beside a running server; and signing in to that server."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from tests.faces.test_cli import Terminal
from tests.story.servers import Server

PASSWORD = "four words in a row"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    terminal = Terminal(tmp_path_factory.mktemp("people"))
    terminal.json("project", "create", "Shop")
    return terminal


def test_accounts_are_made_and_listed(terminal: Terminal) -> None:
    assert terminal.run("user", "list").stderr == "There is no account yet. Make one with `almanac user create EMAIL`.\n"
    made = terminal.json("user", "create", "Ann@example.com", "--name", "Ann", text=f"{PASSWORD}\n")
    assert (made["email"], made["name"], made["owner"], made["roles"]) == ("Ann@example.com", "Ann", True, {}), (
        "the first may do everything"
    )
    done = terminal.run("user", "create", "bob@example.com", "--project", "Shop", "--role", "analyst", text=PASSWORD)
    assert done.stdout == "bob@example.com can sign in: analyst of shop.\n"
    assert PASSWORD not in done.stdout + done.stderr
    listed = {one["email"]: one for one in terminal.json("user", "list")}
    assert (listed["bob@example.com"]["owner"], listed["bob@example.com"]["roles"]) == (False, {"shop": "analyst"})
    assert listed["Ann@example.com"]["last_here"] is None


@pytest.mark.parametrize(
    ("words", "password", "told"),
    [
        (("create", "ANN@example.com"), PASSWORD, "There is an account of ANN@example.com already."),
        (("create", "no address"), PASSWORD, "This is not an email address."),
        (("create", "carl@example.com"), "", "The password is too short."),
        (("create", "carl@example.com", "--project", "none"), PASSWORD, "There is no project 'none'."),
        (("reset-password", "carl@example.com"), "", "There is no account of carl@example.com."),
    ],
)
def test_what_is_wrong_is_said(terminal: Terminal, words: tuple[str, ...], password: str, told: str) -> None:
    done = terminal.run("user", *words, text=password)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (1, "", told)
    assert "What to do: " in done.stderr
    assert "carl@example.com" not in {one["email"] for one in terminal.json("user", "list")}


def test_whoever_has_an_account_signs_in_to_the_server(terminal: Terminal) -> None:
    with Server(terminal.data) as server:
        status, me = server.call("POST", "/api/v1/session", {"email": "bob@example.com", "password": PASSWORD}, key="")
        assert status == 200, me
        cookie = SimpleCookie(server.headers["set-cookie"])["almanac_session"]
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "lax", "")
        shown = {"cookie": f"almanac_session={cookie.value}"}
        question = {"kind": "trend", "series": ["order"], "last": "7 days"}
        assert server.call("POST", "/api/v1/projects/shop/ask", question, key="", headers=shown)[0] == 403
        shown["x-almanac-csrf"] = me["csrf"]
        assert server.call("POST", "/api/v1/projects/shop/ask", question, key="", headers=shown)[0] == 200

        (bob,) = [one for one in terminal.json("user", "list") if one["email"] == "bob@example.com"]
        assert bob["last_here"], "beside the running server"
        link = terminal.run("user", "reset-password", "bob@example.com").stdout.strip()
        address, token = link.rsplit("/", 1)
        assert address == f"{server.url}/app/reset"
        assert server.call("POST", f"/api/v1/reset/{token}", {"password": "another few words"}, key="")[0] == 200
        status, told = server.call("POST", "/api/v1/projects/shop/ask?fresh=true", question, key="", headers=shown)
        assert (status, told["error"]["message"]) == (401, "The session is over.")


def test_the_owner_is_made_on_the_servers_own_machine(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server(tmp_path_factory.mktemp("first") / "data")
    server.project("Shop")
    ann = {"email": "ann@example.com", "name": "Ann", "password": PASSWORD}
    with server:
        for headers in ({"x-forwarded-for": "203.0.113.5"}, {"host": "rebound.example"}):
            status, told = server.call("POST", "/api/v1/setup", ann, key="", headers=headers)
            assert (status, told["error"]["code"]) == (403, "denied")
        status, me = server.call("POST", "/api/v1/setup", ann, key="")
        assert (status, me["user"]["owner"], [project["id"] for project in me["projects"]]) == (200, True, ["shop"])
        assert server.call("POST", "/api/v1/setup", ann, key="")[0] == 409
