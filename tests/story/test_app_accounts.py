"""Accounts in a real browser: a role that changes under an open page, a project that goes, a password that ends other sessions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.story.readers import IN_A_BROWSER, PASSWORD, Reader, begin, call, chromium, join
from tests.story.servers import Server

pytestmark = IN_A_BROWSER
BOARD = {"tiles": [{"id": "a", "x": 0, "y": 0, "w": 6, "h": 2, "type": "text", "text": "Hello"}], "title": "Ours"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("accounts") / "data")
    for project in ("shop", "going"):
        server.project(project)
    with server:
        yield server


@pytest.fixture(scope="module")
def owner(browser: Browser, server: Server) -> Reader:
    reader = Reader(browser, server)
    begin(reader)
    return reader


def give(page: Page, email: str, role: str) -> None:
    """Another role, by the members' page."""
    page.get_by_role("combobox", name=f"Role of {email}").click()
    with page.expect_response(lambda answer: "/members" in answer.url and answer.request.method != "GET"):
        page.get_by_role("option", name=role, exact=True).click()
    expect(page.get_by_role("combobox", name=f"Role of {email}")).to_have_value(role)


def test_a_role_that_changes_under_an_open_page(owner: Reader, browser: Browser, server: Server) -> None:
    assert call(owner.page, "PUT", "/api/v1/projects/shop/definitions/board/ours", BOARD)[0] == 200
    member = Reader(browser, server)
    bob = join(member, owner.page, "shop", "analyst", "Bob Analyst")
    member.go("/p/shop/boards/ours")
    bob.get_by_role("button", name="Edit", exact=True).click()
    bob.get_by_role("textbox", name="Title").fill("Of Bob")
    ann = owner.go("/p/shop/settings/members")
    give(ann, "bob@example.com", "viewer")
    bob.get_by_role("button", name="Save board").click()
    expect(bob.get_by_role("alert")).to_be_visible()  # in words; what he wrote is still there
    expect(bob.get_by_role("textbox", name="Title")).to_have_value("Of Bob")
    give(ann, "bob@example.com", "admin")
    bob.get_by_role("button", name="Save board").click()
    expect(bob.get_by_role("heading", name="Of Bob")).to_be_visible()
    member.go("/p/shop/settings/members")
    expect(bob.get_by_role("button", name="Invite")).to_be_visible()
    give(ann, "bob@example.com", "viewer")
    bob.reload()
    expect(bob.get_by_text("Admins see who else is in the project", exact=False)).to_be_visible()

    ann.get_by_role("button", name="Remove bob@example.com").click()
    with ann.expect_response(lambda answer: "/members" in answer.url and answer.request.method == "DELETE"):
        ann.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(ann.get_by_text("bob@example.com")).to_have_count(0)
    bob.get_by_role("link", name="Boards").first.click()
    expect(bob.get_by_role("heading", name="There is no project here for you")).to_be_visible()
    bob.get_by_role("link", name="Your projects").click()
    expect(bob.get_by_role("heading", name="There is no project yet")).to_be_visible()
    member.page.context.close()


def test_a_project_that_goes_under_an_open_page(owner: Reader, browser: Browser, server: Server) -> None:
    assert call(owner.page, "PUT", "/api/v1/projects/going/definitions/board/ours", BOARD)[0] == 200
    member = Reader(browser, server)
    eve = join(member, owner.page, "going", "analyst", "Eve Analyst")
    member.go("/p/going/boards/ours")
    expect(eve.get_by_text("Hello")).to_be_visible()
    ann = owner.go("/p/going/settings/project")
    ann.get_by_role("button", name="Delete …").click()
    delete = ann.get_by_role("button", name="Delete for ever")
    expect(delete).to_be_disabled()
    ann.get_by_label("Type going to go on").fill("going")
    delete.click()
    expect(ann.get_by_role("heading", name="Projects")).to_be_visible()
    expect(ann.get_by_text("going", exact=True)).to_have_count(0)
    eve.get_by_role("link", name="People").first.click()
    expect(eve.get_by_role("heading", name="There is no project here for you")).to_be_visible()
    owner.go("/")  # what was looked at last is gone: the next best page, not an error
    expect(ann.get_by_role("alert")).to_have_count(0)
    member.page.context.close()


def test_a_new_password_ends_the_other_sessions(owner: Reader, browser: Browser, server: Server) -> None:
    ann = owner.go("/p/shop/settings/account")
    elsewhere = Reader(browser, server)
    phone = elsewhere.go("/sign-in")
    phone.get_by_label("Email").fill("ann@example.com")
    phone.get_by_role("textbox", name="Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in").click()
    phone.wait_for_url("**/app/p**")
    elsewhere.go("/p/shop/boards")
    expect(phone.get_by_role("heading", name="Boards")).to_be_visible()
    ann.reload()
    expect(ann.get_by_role("button", name="End")).to_have_count(1)

    ann.get_by_role("textbox", name="Password until now").fill("not the password")
    ann.get_by_role("textbox", name="New password").fill("quite another password")
    ann.get_by_role("button", name="Change the password").click()
    expect(ann.get_by_role("alert")).to_be_visible()
    ann.get_by_role("textbox", name="Password until now").fill(PASSWORD)
    ann.get_by_role("button", name="Change the password").click()
    expect(ann.get_by_text("The password is changed", exact=False)).to_be_visible()
    expect(ann.get_by_role("button", name="End")).to_have_count(0)
    assert call(ann, "GET", "/api/v1/projects/shop/definitions/board")[0] == 200

    phone.get_by_role("link", name="People").first.click()
    expect(phone.get_by_role("button", name="Sign in")).to_be_visible()  # and then back to where one wanted to go
    phone.get_by_label("Email").fill("ann@example.com")
    phone.get_by_role("textbox", name="Password").fill(PASSWORD)
    phone.get_by_role("button", name="Sign in").click()
    expect(phone.get_by_role("alert")).to_be_visible()
    phone.get_by_role("textbox", name="Password").fill("quite another password")
    phone.get_by_role("button", name="Sign in").click()
    phone.wait_for_url("**/p/shop/people")
    elsewhere.page.context.close()
