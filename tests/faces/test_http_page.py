"""The start page in a real browser, over a real server: from the empty project to the numbers, and back when the server goes away."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parents[1] / "sdks" / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]

# Every visible text against the nearest painted ground, by WCAG's formula; what is below 4.5 : 1 is told.
PALE = """() => {
  const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  return [...document.querySelectorAll("body *")].filter((e) => own(e) && e.checkVisibility()).map((e) => {
    const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.tagName + " " + e.textContent.slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
}"""


CHOSEN = [
    {"title": "Events a day", "question": {"kind": "trend", "series": [{"measure": "count"}], "last": "29 days"}},
    {"title": "From visit to order", "question": {"kind": "funnel", "steps": ["visit", "order"]}},
    {
        "title": "Names",
        "question": {"kind": "sql", "sql": "SELECT event, count() AS events FROM events GROUP BY event ORDER BY events DESC"},
    },
]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app on a free port of this host, from a thread of this process: the embedded engine belongs to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGINL, log_enabled=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve()), daemon=True)
    thread.start()
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("page shop")
    people = [f"person-{number}" for number in range(12)]
    house.send(keys.project, *({"event": "visit", "distinct_id": who, "properties": {"path": "/"}} for who in people))
    house.send(keys.project, *({"event": "order", "distinct_id": who} for who in people[:3]))
    choose(house, keys, CHOSEN)
    return keys


def choose(house: House, keys: Keys, questions: Any) -> None:
    """As the demo does for its projects."""
    headers = {"Authorization": f"Bearer {keys.admin}"}
    answer = house.client.patch(f"/api/v1/projects/{keys.project}", json={"settings": {"start_page": questions}}, headers=headers)
    assert answer.status_code == 200


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    with serving(house.client.app) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def leave(browser: Browser) -> Iterator[None]:
    """Pages go on asking for as long as they are open."""
    yield
    for context in browser.contexts:
        context.close()


class Visit:
    """A page, and what it said and asked for along the way."""

    def __init__(self, browser: Browser, width: int = 1440, colours: Any = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        self.context.set_default_timeout(10_000)
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))


def test_without_a_key_the_page_asks_for_one(url: str, browser: Browser, shop: Keys) -> None:
    page = Visit(browser).page
    page.goto(f"{url}/start")
    expect(page.get_by_label("Read key")).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The key is not known.")
    page.get_by_label("Read key").fill(shop.write)
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("This is a write key: it may only send events.")
    page.get_by_label("Read key").fill(shop.read)
    page.keyboard.press("Enter")
    expect(page.locator("#project")).to_have_text("page shop")
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("Read key")).to_be_visible()


def test_a_forgotten_key_shows_nothing_more(url: str, browser: Browser, shop: Keys) -> None:
    """Not even what was on its way."""
    visit = Visit(browser)
    page = visit.page
    held: list[Route] = []
    page.route("**/events?limit=10", lambda route: held.append(route))
    with page.expect_request("**/events?limit=10"):
        page.goto(f"{url}/start#key={shop.read}")
    page.get_by_role("button", name="Forget key").click()
    expect(page.get_by_label("Read key")).to_be_visible()
    with page.expect_response("**/events?limit=10"):
        held[0].continue_()
    page.wait_for_timeout(300)
    assert page.locator("#today").count() == 0
    expect(page.get_by_label("Read key")).to_be_visible()
    expect(page.get_by_role("status")).to_be_hidden()
    assert visit.said == []


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_numbers_events_and_answers(url: str, browser: Browser, shop: Keys, width: int, colours: str) -> None:
    visit = Visit(browser, width, colours)
    page = visit.page
    page.goto(f"{url}/start#key={shop.read}")
    expect(page.locator("#today .figure")).to_have_text("15")
    assert page.url == f"{url}/start", "the key is not left in the address"
    rows = page.locator(".latest tbody tr:not(.whole)")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("order")
    rows.first.get_by_role("button").click()
    expect(page.locator(".latest tr.whole").first).to_contain_text('"distinct_id": "person-')

    cards = page.locator("#questions > .card")
    expect(cards).to_have_count(3)
    expect(cards.nth(0).get_by_role("img")).to_be_visible()
    steps = cards.nth(1).locator(".steps > li")
    expect(steps).to_have_count(2)
    expect(steps.nth(1)).to_contain_text("3 25%")
    expect(cards.nth(2).locator("tbody tr").first).to_have_text("visit12")
    for number in range(3):
        receipt = cards.nth(number).locator("details", has_text="Receipt")
        receipt.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(receipt.locator("pre")).to_contain_text("SELECT")

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, "nothing sticks out sideways"
    assert page.evaluate(PALE) == []
    assert visit.said == []
    assert visit.hosts == {url.removeprefix("http://")}, "no other host is asked for anything"


def test_an_empty_project_says_what_to_do(url: str, browser: Browser, house: House) -> None:
    keys = house.project("page empty")
    choose(house, keys, CHOSEN)
    visit = Visit(browser)
    page = visit.page
    page.goto(f"{url}/start#key={keys.read}&write_key={keys.write}")
    expect(page.get_by_role("heading", name="No event has come yet")).to_be_visible()
    expect(page.locator("pre").first).to_contain_text(f"Bearer {keys.write}")
    house.send(keys.project, {"event": "<img src=x onerror=alert(1)>", "distinct_id": "ada"})
    expect(page.locator(".latest tbody tr").first).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.get_by_role("heading", name="No event has come yet")).to_be_hidden()
    assert visit.said == []


def test_without_a_choice_the_page_asks_about_the_most_frequent_events(url: str, browser: Browser, house: House) -> None:
    keys = house.project("page default")
    house.send(keys.project, *({"event": "visit", "distinct_id": who} for who in ("ada", "ben")), {"event": "order", "distinct_id": "ada"})
    visit = Visit(browser)
    visit.page.goto(f"{url}/start#key={keys.read}")
    cards = visit.page.locator("#questions > .card")
    expect(cards).to_have_count(4)
    for number in range(4):
        expect(cards.nth(number).locator("details", has_text="Receipt")).to_be_visible()
    cohorts = cards.nth(2).locator(".heat tbody tr")
    expect(cohorts.last).to_contain_text("2100%")
    expect(cohorts.nth(1)).to_contain_text("0–")  # an empty cohort has no rate
    assert visit.said == []


def test_a_question_that_cannot_be_answered_says_why(url: str, browser: Browser, house: House) -> None:
    keys = house.project("page chosen")
    house.send(keys.project, {"event": "vote", "distinct_id": "ada"})
    choose(house, keys, [*CHOSEN[:1], {"kind": "nonsense"}])
    page = Visit(browser).page
    page.goto(f"{url}/start#key={keys.read}")
    cards = page.locator("#questions > .card")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("Events a day")
    expect(cards.nth(1)).to_contain_text("There is no question of kind 'nonsense'.")


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: npm ci in tests/sdks")
@pytest.mark.parametrize("width", [1440, 390])
def test_everybody_can_use_every_page(url: str, browser: Browser, house: House, shop: Keys, width: int) -> None:
    """By axe-core: all its rules in light, those of colours in dark."""
    empty = house.project(f"page for everybody {width}")
    shown = {
        f"/start#key={shop.read}": "#questions .card details",
        f"/start#key={empty.read}": "#first pre",
        "/start": "#key",
        "/docs": "section.path",
    }
    found: list[str] = []
    for path, sign in shown.items():
        page = Visit(browser, width).page
        page.goto(url + path)
        expect(page.locator(sign).first).to_be_visible()
        for details in page.locator("#questions details").all():
            details.locator("summary").click()
        page.evaluate(AXE.read_text())
        for colours, rules in (("light", "{}"), ("dark", "{runOnly: ['cat.color']}")):
            page.emulate_media(color_scheme="dark" if colours == "dark" else "light", reduced_motion="reduce")
            said = page.evaluate(f"axe.run(document, {rules})")
            assert said["passes"], "it looked at something"
            found += [f"{path[:5]} {colours} {one['id']}: {one['nodes'][0]['html']}" for one in said["violations"]]
    assert found == []


@pytest.mark.parametrize("width", [1440, 390])
def test_many_rows_scroll_in_their_own_box_under_their_header(url: str, browser: Browser, house: House, width: int) -> None:
    keys = house.project(f"page of many rows {width}")
    names = ["one unbroken " + "n" * 90, "اشتراك جديد في الخدمة المميزة", "ok"]
    house.send(keys.project, *({"event": name, "distinct_id": "x" * 90} for name in names))
    sql = "SELECT arrayJoin(range(200)) / 4 AS n, event, distinct_id, 123456789 AS a_column_with_a_long_name, kind FROM events LIMIT 500"
    choose(house, keys, [{"title": "Many", "question": {"kind": "sql", "sql": sql}}])
    visit = Visit(browser, width)
    page = visit.page
    page.goto(f"{url}/start#key={keys.read}")
    box = page.locator("#questions .scroll")
    expect(box.locator("tbody tr")).to_have_count(500)
    frame = box.bounding_box()
    assert frame
    assert frame["height"] <= 400
    last = box.locator("tbody tr").last
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()
    head = box.locator("th").first
    expect(head).to_be_in_viewport()
    assert head.evaluate("th => document.elementFromPoint(th.getBoundingClientRect().x + 2, th.getBoundingClientRect().y + 2) === th")
    assert box.locator("th", has_text="a_column").evaluate("th => th.clientHeight") < 40, "words are not broken while there is room"
    assert last.locator("td").first.inner_text().split(".")[1] in {"00", "25", "50", "75"}, "numbers line up"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert visit.said == []


def test_when_the_server_goes_away_the_numbers_say_their_age(browser: Browser, house: House, shop: Keys) -> None:
    with serving(house.client.app) as url:
        page = Visit(browser).page
        page.goto(f"{url}/start#key={shop.read}")
        expect(page.locator("#today .figure")).to_have_text("15")
    expect(page.get_by_role("status")).to_contain_text("The server cannot be reached. The numbers below are from", timeout=15_000)
    expect(page.locator("#today .figure")).to_have_text("15")


def test_the_reference_shows_every_door(url: str, browser: Browser) -> None:
    visit = Visit(browser, 390)
    visit.page.goto(f"{url}/docs")
    expect(visit.page.locator("section.path h3", has_text="/ask")).to_be_visible()
    assert visit.page.locator("section.path .method").count() > 20
    assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert visit.page.evaluate(PALE) == []
    assert visit.said == []
