"""The web app in a real browser over a real server: from the first run to a board that others look at, and what each of them may do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect
from tests.story.readers import IN_A_BROWSER, Reader, begin, chromium, join, send
from tests.story.servers import Server, until

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("app") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def owner(browser: Browser, server: Server) -> Reader:
    """The first account, with a project that has a fortnight of events."""
    reader = Reader(browser, server)
    page = begin(reader)
    page.get_by_role("button", name="New project").first.click()
    page.get_by_label("Name").fill("Tickets")
    page.get_by_role("button", name="Make the project").click()
    expect(page.get_by_role("heading", name="Waiting for an event")).to_be_visible()
    snippet = re.search(r'src="(.+)/sdk/almanac.js"\s+data-key="(wk_[^"]+)"', page.get_by_role("tabpanel").inner_text())
    assert snippet is not None
    assert snippet[1] == server.url
    key = snippet[2]
    now = datetime.now(UTC)
    send(server, key, [{"event": "ticket_viewed", "user_id": "bob", "properties": {"plan": "pro"}}])
    expect(page.get_by_role("heading", name="ticket_viewed")).to_be_visible()
    past = [
        {
            "event": name,
            "user_id": f"person-{person}",
            "time": (now - timedelta(days=day, minutes=person)).isoformat(),
            "properties": {"plan": "pro" if person % 3 else "free", "price": person},
        }
        for day in range(14)
        for person in range(20)
        for name in ("ticket_viewed", "ticket_bought")[: 1 + (person % 2)]
    ]
    send(server, key, past)
    return reader


def test_the_first_page_shows_what_came_in(owner: Reader, server: Server) -> None:
    page = owner.go("/p/tickets/home")
    expect(page.get_by_text("ticket_viewed").first).to_be_visible()
    assert owner.faults() == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize(
    "path", ["home", "explore", "boards", "people", "data/events", "data/catalog", "data/ledger", "settings/keys", "start"]
)
def test_every_page_is_there_and_open_to_all(owner: Reader, path: str, width: int) -> None:
    """Desktop and phone, light and dark: nothing said to the console, no serious finding, nothing from other hosts, no sideways scroll."""
    owner.page.set_viewport_size({"width": width, "height": 900})
    for scheme in ("light", "dark"):
        owner.said.clear()
        owner.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page = owner.go(f"/p/tickets/{path}")
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        assert owner.faults() == [], (path, scheme)
        assert owner.said == [], (path, scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{path} scrolls sideways at {width}"
    assert owner.hosts == {owner.base.split("/")[2]}
    owner.page.set_viewport_size({"width": 1440, "height": 900})
    owner.page.emulate_media(color_scheme="light")


def test_a_board_is_made_shared_and_taken_back(owner: Reader, browser: Browser, server: Server) -> None:
    page = owner.go("/p/tickets/boards")
    page.get_by_role("button", name="New board").first.click()
    page.get_by_role("button", name="Overview").click()
    expect(page.get_by_role("heading", name="People a day")).to_be_visible()
    expect(page.get_by_text("exact").first).to_be_visible()
    assert owner.faults() == []

    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("button", name="Add a tile").first.click()
    page.get_by_text("Text", exact=True).click()
    page.get_by_label("Title", exact=True).last.fill("A note")
    page.get_by_role("textbox", name="Text").fill("**Look** at this")
    page.get_by_role("button", name="Put it on the board").click()
    expect(page.get_by_role("heading", name="A note")).to_be_visible()
    page.reload()  # a closed tab loses nothing
    page.get_by_role("button", name="Go on editing").click()
    expect(page.get_by_role("heading", name="A note")).to_be_visible()
    page.get_by_role("button", name="Save board").click()
    expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()

    page.get_by_role("button", name="Share").click()
    page.get_by_label("For whom").fill("The board of directors")
    page.get_by_role("button", name="Make a link").click()
    address = page.get_by_text("/app/shared/").first.inner_text().strip()
    stranger = Reader(browser, server, 390)
    stranger.page.goto(address)
    expect(stranger.page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(stranger.page.get_by_text("exact").first).to_be_visible()
    assert stranger.faults() == []
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked").first).to_be_visible()
    stranger.page.reload()
    expect(stranger.page.get_by_role("alert")).to_be_visible()
    stranger.page.context.close()


def test_a_viewer_looks_and_changes_nothing(owner: Reader, browser: Browser, server: Server) -> None:
    viewer = Reader(browser, server)
    joined = join(viewer, owner.page, "tickets", "viewer", "Vic Viewer")
    expect(joined.get_by_text("ticket_viewed").first).to_be_visible()
    viewer.go("/p/tickets/boards")
    expect(joined.get_by_role("heading", name="Boards")).to_be_visible()
    expect(joined.get_by_role("button", name="New board")).to_have_count(0)
    status = joined.evaluate(
        """async () => {
          const me = await (await fetch("/api/v1/me")).json();
          const headers = {"content-type": "application/json", "x-almanac-csrf": me.csrf};
          const put = (csrf) => fetch("/api/v1/projects/tickets/definitions/board/mine", {
            method: "PUT", headers: csrf ? headers : {"content-type": "application/json"}, body: JSON.stringify({tiles: []}),
          });
          return [(await put(true)).status, (await put(false)).status];
        }"""
    )
    assert status == [403, 403]
    viewer.page.context.close()


def test_a_server_that_restarts_under_an_open_board_comes_back_by_itself(owner: Reader, server: Server) -> None:
    page = owner.go("/p/tickets/boards/Overview")
    away = page.get_by_role("status").filter(has_text="The server cannot be reached.")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    assert server.stop() == 0
    expect(away.first).to_be_visible()
    server.start()
    server.wait()
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    expect(away).to_have_count(0)
    until(lambda: page.get_by_text("exact").count() > 0)


def test_all_of_it_by_the_keyboard(owner: Reader) -> None:
    page = owner.go("/p/tickets/home")
    expect(page.get_by_text("ticket_viewed").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Control+k")
    expect(page.get_by_placeholder("A page, board, question")).to_be_focused()
    page.keyboard.type("Explore")
    expect(page.get_by_role("dialog").get_by_role("button", name="Explore", exact=True)).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{owner.base}/p/tickets/explore")
