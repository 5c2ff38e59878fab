"""The web app where things are harder: by the keyboard alone, on a slow line, without one for a while, under a finger."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.story.readers import IN_A_BROWSER, PASSWORD, Reader, call, chromium, send, shown_key
from tests.story.servers import Server, until

pytestmark = IN_A_BROWSER
FINGER = 44  # pixels
SLOW = {"kind": "sql", "sql": "SELECT max(sipHash64(number, 1)) AS m FROM numbers(20000000000)"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("conditions") / "data") as running:
        yield running


def tab_to(page: Page, wanted: Locator, most: int = 60) -> None:
    """As somebody without a mouse gets there."""
    expect(wanted).to_be_visible()
    for _ in range(most):
        if wanted.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} is not reached by the Tab key")


def press(page: Page, name: str, role: str = "button") -> None:
    tab_to(page, page.get_by_role(role, name=name, exact=True).first)  # type: ignore[arg-type]
    page.keyboard.press("Enter")


def type_into(page: Page, field: Locator, text: str) -> None:
    tab_to(page, field)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


@pytest.fixture(scope="module")
def owner(browser: Browser, server: Server) -> Reader:
    """Made by the keyboard alone: the first account, a project, its first events."""
    reader = Reader(browser, server)
    page = reader.go("/")
    type_into(page, page.get_by_label("Name"), "Ann Owner")
    type_into(page, page.get_by_label("Email"), "ann@example.com")
    type_into(page, page.get_by_role("textbox", name="Password"), PASSWORD)
    page.keyboard.press("Enter")
    press(page, "New project")
    type_into(page, page.get_by_role("dialog").get_by_label("Name"), "Tickets")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Waiting for an event")).to_be_visible()
    key = shown_key(page)
    now = datetime.now(UTC)
    events = [
        {"event": name, "user_id": f"person-{person}", "time": (now - timedelta(days=day, minutes=person)).isoformat()}
        for day in range(14)
        for person in range(10)
        for name in ("ticket_viewed", "ticket_bought")[: 1 + person % 2]
    ]
    send(server, key, events)
    server.keys["tickets"] = {"write": key}
    expect(page.get_by_role("heading", name=re.compile("ticket_"))).to_be_visible()
    people = {"kind": "trend", "series": [{"measure": "unique", "name": "People"}], "last": "14 days"}
    tiles = [
        {"id": f"t{n}", "x": 0, "y": 6 * n, "w": 12, "h": 6, "type": "question", "title": title, "question": {**people, **more}}
        for n, (title, more) in enumerate({"People a day": {}, "People by event": {"breakdown": ["@event"]}}.items())
    ]
    assert call(page, "PUT", "/api/v1/projects/tickets/definitions/board/ready", {"title": "Ready", "tiles": tiles})[0] == 200
    return reader


def test_from_the_first_run_to_a_shared_board_without_a_mouse(owner: Reader, browser: Browser, server: Server) -> None:
    page = owner.page
    press(page, "Boards", "link")
    press(page, "New board")
    tab_to(page, page.get_by_role("dialog").get_by_role("button", name="Overview"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="People a day")).to_be_visible()
    expect(page.get_by_title("What the numbers rest on")).to_have_count(8)

    press(page, "Edit")
    tab_to(page, page.get_by_role("button", name="More about People a day"))
    page.keyboard.press("Enter")
    taller = page.get_by_role("menuitem", name="Make taller")
    expect(taller).to_be_visible()
    for _ in range(12):
        if taller.evaluate("node => node === document.activeElement"):
            break
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)
    press(page, "Save board")
    expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
    board = call(page, "GET", "/api/v1/projects/tickets/definitions/board/Overview")[1]
    assert next(tile for tile in board["body"]["tiles"] if tile["title"] == "People a day")["h"] == 7

    press(page, "Share")
    type_into(page, page.get_by_label("For whom"), "The board of directors")
    press(page, "Make a link")
    address = page.get_by_text("/app/shared/").first.inner_text().strip()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.textContent") == "Share"  # back where one was
    stranger = Reader(browser, server, 390)
    stranger.page.goto(address)
    expect(stranger.page.get_by_role("heading", name="Overview")).to_be_visible()
    stranger.page.context.close()


def test_a_point_of_a_chart_is_read_and_looked_into_without_a_mouse(owner: Reader) -> None:
    page = owner.go("/p/tickets/boards/ready")
    chart = page.get_by_role("region", name="People a day", exact=True).get_by_role("group").first
    tab_to(page, chart, 120)
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[aria-live=polite]").filter(has_text="People")).not_to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="See the people")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="See the people")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("person-0")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_slow_line_shows_what_it_does_and_loses_nothing(owner: Reader, server: Server, browser: Browser) -> None:
    """0.4 s to the server and back, 100 kB/s: the shape of the page at once, then the numbers; a click meanwhile counts."""
    state = owner.page.context.storage_state()
    slow = Reader(browser, server, storage_state=state)
    page = slow.page
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    conditions = {"offline": False, "latency": 400, "downloadThroughput": 100_000, "uploadThroughput": 100_000}
    line.send("Network.emulateNetworkConditions", conditions)
    slow.go("/p/tickets/boards/ready")
    expect(page.locator("[aria-busy=true]").first).to_be_visible()
    expect(page.get_by_title("What the numbers rest on")).to_have_count(2)
    began = time.monotonic()
    page.get_by_role("link", name="People").first.click()
    expect(page.get_by_role("heading", name="People", exact=True, level=1)).to_be_visible()
    assert time.monotonic() - began < 10
    page.get_by_role("link", name="Boards").first.click()
    page.get_by_role("button", name="New board").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Made on a slow line")
    page.get_by_role("dialog").get_by_role("button", name="Growth").click()
    expect(page.get_by_role("heading", name="Made on a slow line")).to_be_visible()
    assert slow.said == []

    line.send("Network.emulateNetworkConditions", {**conditions, "offline": True})
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Title").fill("Made without a line")
    page.get_by_role("button", name="Save board").click()
    expect(page.get_by_role("alert").filter(has_text="The server cannot be reached.")).to_be_visible()
    line.send("Network.emulateNetworkConditions", conditions)
    page.get_by_role("button", name="Save board").click()
    expect(page.get_by_role("heading", name="Made without a line")).to_be_visible()
    page.context.close()


def test_a_question_that_takes_long_can_be_cancelled_down_to_the_engine(owner: Reader) -> None:
    page = owner.go(f"/p/tickets/explore?q={_encoded(SLOW)}")
    under_way = "/api/v1/projects/tickets/questions"
    until(lambda: any(one["rows_read"] for one in call(page, "GET", under_way)[1]))
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()
    until(lambda: call(page, "GET", under_way)[1] == [])


def _encoded(question: dict[str, str]) -> str:
    return quote(json.dumps(question))


# Of all that is touched: what is smaller than a finger and does not stand within a text.
SMALL = """(least) => {
  const found = [];
  for (const node of document.querySelectorAll('button, a[href], input, select, summary, [role=button], [role=tab], [role=menuitem]')) {
    const style = getComputedStyle(node);
    if (node.type === 'hidden' || node.disabled || style.visibility === 'hidden' || node.closest('[aria-hidden=true]')) continue;
    const inText = node.matches('a') && style.display === 'inline';
    const label = node.labels && node.labels[0];
    const touched = node.matches('input') ? [node, label, node.closest('[class*=-body]'), node.closest('[class*=-wrapper]')] : [node];
    const boxes = touched.filter(Boolean).map((one) => one.getBoundingClientRect());
    if (inText || boxes.every((box) => box.width === 0 || box.right < 0)) continue;
    if (!boxes.some((box) => box.height >= least - 0.5))
      found.push(`${node.tagName} ${node.ariaLabel || node.textContent.trim().slice(0, 40)} ${Math.round(boxes[0].height)}`);
  }
  return found;
}"""


@pytest.mark.parametrize(
    "path", ["home", "explore", "boards", "boards/ready", "people", "data/events", "data/annotations", "settings/members", "start"]
)
def test_what_is_touched_on_a_phone_is_as_large_as_a_finger(owner: Reader, browser: Browser, server: Server, path: str) -> None:
    state = owner.page.context.storage_state()
    phone = Reader(browser, server, 390, storage_state=state, has_touch=True, is_mobile=True)
    page = phone.go(f"/p/tickets/{path}")
    expect(page.get_by_role("heading").first).to_be_visible()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert page.evaluate(SMALL, FINGER) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.context.close()
