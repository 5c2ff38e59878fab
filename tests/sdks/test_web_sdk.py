"""Our own SDK for web pages, in Chromium, against a real server: what it tells, and that nothing is lost or doubled on the way."""

from __future__ import annotations

import html
import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.sdks.site import Site
from tests.story.servers import Server, until

from almanac.web import sdk_files

CHROMIUM = shutil.which("chromium")
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
    pytest.mark.skipif(not sdk_files.built(), reason="the web SDK was not built into this package: python tools/sdk.py"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("web") / "data") as running:
        yield running


class Shop:
    """A project, a site that counts for it, and a visitor's browser."""

    def __init__(self, server: Server, browser: Browser, name: str) -> None:
        self.server, self.browser, self.project = server, browser, name
        self.key = server.project(name)["write"]
        self.site = Site(server.port)
        self.context = self.visitor()
        self.said: list[str] = []

    def visitor(self, **about: Any) -> BrowserContext:
        context = self.browser.new_context(**about)
        context.set_default_timeout(20_000)
        return context

    def close(self) -> None:
        self.context.close()
        self.site.close()

    def script(self, **options: Any) -> str:
        """The element that starts it; values as a page's author writes them."""
        said = {"key": self.key, "endpoint": "/stats/in", **options}
        named = {re.sub("([A-Z])", r"-\1", name).lower(): value for name, value in said.items()}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in named.items()}
        return '<script src="/stats/almanac.js" ' + " ".join(f'data-{n}="{html.escape(v)}"' for n, v in texts.items()) + "></script>"

    def open(self, path: str = "/", *, context: BrowserContext | None = None, query: str = "", body: str = "", **options: Any) -> Page:
        address = self.site.page(path, self.script(**options), body)
        tab = (context or self.context).new_page()
        tab.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.goto(address + query)
        return tab

    def rows(self) -> list[dict[str, Any]]:
        """All events of the project, in the order of their time."""
        key = self.server.keys[self.project]["read"]
        status, found = self.server.get(f"/api/v1/projects/{self.project}/events?limit=1000", key=key)
        assert status == 200, found
        return sorted(found, key=lambda row: row["time"])

    def named(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.rows() if row["event"] == name]

    def wait(self, count: int, name: str = "") -> list[dict[str, Any]]:
        """The events, once there are `count` of them (of that name)."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            nonlocal found
            found = self.named(name) if name else self.rows()
            return len(found) >= count

        until(enough, 30)
        assert len(found) == count, [row["event"] for row in found]
        return found

    def stored(self, tab: Page) -> Any:
        """What lies on the device."""
        return tab.evaluate(
            "async () => [localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length]"
        )


@pytest.fixture
def shop(server: Server, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(server, browser, re.sub(r"\W+", "-", request.node.name).strip("-").lower()[:60])
    yield made
    made.close()


def numbers(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["properties"]["n"] for row in rows)


TEN = "() => { for (let n = 0; n < 10; n++) almanac.track('beat', { n }) }"


def test_what_it_tells_lands_where_questions_find_it(shop: Shop) -> None:
    tab = shop.open(query="?utm_source=news&utm_medium=email&utm_campaign=autumn")
    ids = tab.evaluate(
        """() => {
            const ids = almanac.ids()
            almanac.track("viewed", { price: 12.5, label: "Grüße 🎉", big: 2n ** 70n })
            history.pushState(null, "", "/tickets")
            document.title = "Tickets"
            almanac.register({ theme: "dark" })
            almanac.group("company", "acme", { seats: 5 })
            almanac.identify("u1", { plan: "pro" }, { first: 1 })
            almanac.identify("u1")
            almanac.revenue(20, "EUR", { order: "o1" })
            return ids
        }"""
    )
    assert tab.evaluate("almanac.flush()") is True
    rows = {row["event"] + row["path"]: row for row in shop.wait(6)}
    assert rows.keys() == {"page/", "viewed/", "page/tickets", "group/tickets", "identify/tickets", "purchase/tickets"}
    first, viewed, second, bought = rows["page/"], rows["viewed/"], rows["page/tickets"], rows["purchase/tickets"]
    assert (first["kind"], first["title"], first["referrer"], first["utm_campaign"], first["channel"]) == (
        "page",
        "Shop",
        "",
        "autumn",
        "Email",
    )
    assert (second["kind"], second["title"], second["referrer"]) == ("page", "Tickets", first["url"])
    assert viewed["properties"] == {"price": 12.5, "label": "Grüße 🎉", "big": str(2**70)}
    assert viewed["distinct_id"] == ids["anonymous"] == first["distinct_id"]
    assert (bought["distinct_id"], bought["anonymous_id"], bought["groups"]) == ("u1", ids["anonymous"], {"company": "acme"})
    assert (bought["revenue"], bought["currency"], bought["properties"]["theme"]) == (20, "EUR", "dark")
    assert {row["session_id"] for row in rows.values()} == {first["session_id"]} != {""}
    assert {(row["library"], row["is_server"], row["protocol"]) for row in rows.values()} == {("almanac-web", False, "native")}
    assert first["context"]["locale"] == tab.evaluate("navigator.language")
    assert first["context"]["screen"]["width"] > 0
    # Whoever looked at the page and whoever bought are one person with a profile, of a group with one.
    assert shop.server.ask(shop.project, {"kind": "funnel", "steps": ["viewed", "purchase"]})[1]["count"] == 1
    people = {"kind": "trend", "series": [{"measure": "unique"}], "interval": "total", "last": "1 day"}
    assert shop.server.ask(shop.project, people)[0]["value"] == 1
    pro = {**people, "filters": [{"property": "plan", "of": "person", "value": "pro"}]}
    assert shop.server.ask(shop.project, pro)[0]["value"] == 1
    assert shop.said == []


def test_pages_of_every_kind_of_site(shop: Shop) -> None:
    tab = shop.open("/list")
    tab.evaluate("history.pushState(null, '', '/list?sort=price')")  # the same page
    tab.evaluate("history.pushState(null, '', '/item'); history.replaceState(null, '', '/item/7')")  # each is one, at once or not
    tab.wait_for_timeout(100)
    tab.evaluate("history.back()")
    tab.wait_for_timeout(100)
    tab.goto(shop.site.page("/other", shop.script(pages=False)))
    tab.evaluate("almanac.page('Checkout', { step: 2 })")
    hashed = shop.open("/hash", pages="hash")
    hashed.evaluate("location.hash = '#/cart'")
    hashed.wait_for_timeout(100)
    hashed.evaluate("almanac.flush()")
    shop.wait(7)
    assert [(row["event"], row["path"]) for row in shop.rows()] == [
        ("page", "/list"),
        ("page", "/item"),
        ("page", "/item/7"),
        ("page", "/list"),
        ("Checkout", "/other"),
        ("page", "/hash"),
        ("page", "/hash"),
    ]
    assert {row["kind"] for row in shop.rows()} == {"page"}


@pytest.mark.parametrize("faults", [["500", "503"], ["429"], ["413"], ["400"], ["close", "close"], ["lost"], ["html"], ["slow"], ["401"]])
def test_what_fails_is_sent_again_and_counts_once(faults: list[str], shop: Shop) -> None:
    shop.site.faults = list(faults)
    tab = shop.open(pages=False)
    tab.evaluate(TEN)
    assert numbers(shop.wait(10)) == list(range(10))
    assert shop.site.faults == []
    sent = [event["id"] for body in shop.site.bodies for event in body["batch"]]
    assert {row["event_id"] for row in shop.rows()} == set(sent)  # the same ids, however often
    if faults == ["429"]:
        assert shop.site.at[1] - shop.site.at[0] >= 2
    until(lambda: tab.evaluate("almanac.flush()"))
    books = shop.server.settled(shop.project)
    assert (books["stored"], books["duplicate"], books["rejected"], books["gap"]) == (10, 10 if faults == ["lost"] else 0, 0, 0)
    tab.wait_for_timeout(200)
    assert tab.evaluate(LEFT, shop.key) == 0


# How many events lie in the database.
LEFT = """(key) => new Promise((done) => {
    const request = indexedDB.open(`almanac_${key}`)
    request.onsuccess = () => {
        const count = request.result.transaction("events").objectStore("events").count()
        count.onsuccess = () => { request.result.close(); done(count.result) }
    }
})"""


def test_one_event_that_the_server_takes_for_unreadable_keeps_no_other_back(shop: Shop) -> None:
    tab = shop.open(pages=False)
    tab.evaluate("almanac.track('whole', { text: 'x'.repeat(100_000) }); almanac.track('beat', { n: 1 }); almanac.track('')")
    shop.wait(1, "beat")
    deep = "almanac.track('deep', { deep: JSON.parse('['.repeat(100) + ']'.repeat(100)) }); almanac.track('beat', { n: 2 })"
    tab.evaluate(deep)
    shop.wait(2, "beat")
    until(lambda: [tab.wait_for_timeout(50), *shop.said][3:])
    assert shop.said[:2] == ["Almanac: The event whole is too large.", "Almanac: An event needs a name."]
    assert "64 levels" in shop.said[2]


def test_offline_and_online_again(shop: Shop) -> None:
    tab = shop.open(pages=False)
    tab.evaluate("almanac.track('beat', { n: -1 })")
    shop.wait(1)
    shop.context.set_offline(True)
    tab.evaluate(TEN)
    tab.wait_for_timeout(1500)
    assert len(shop.rows()) == 1
    shop.context.set_offline(False)
    assert numbers(shop.wait(11)) == list(range(-1, 10))
    assert max(row["time"] for row in shop.rows()) < min(row["time_received"] for row in shop.rows()[1:])  # as of when it happened


def test_closed_while_offline_and_sent_by_a_later_page(shop: Shop) -> None:
    tab = shop.open(pages=False)
    shop.context.set_offline(True)
    tab.evaluate(TEN)
    tab.wait_for_timeout(300)
    tab.close()
    shop.context.set_offline(False)
    assert shop.rows() == []
    shop.open("/later", pages=False)
    assert numbers(shop.wait(10)) == list(range(10))


@pytest.mark.parametrize("way", ["closed", "left", "gone to a page without it"])
def test_a_tab_that_is_left_at_once(way: str, shop: Shop) -> None:
    tab = shop.open()
    if way == "closed":
        tab.evaluate("almanac.track('beat', { n: 1 })")
        tab.close(run_before_unload=True)
    elif way == "left":
        tab.evaluate("almanac.track('beat', { n: 1 }); location.href = '/stats/almanac.js'")
    else:
        shop.site.pages["/plain"] = "<title>Plain</title>"
        tab.evaluate("almanac.track('beat', { n: 1 }); location.assign('/plain')")
    assert sorted(row["event"] for row in shop.wait(2)) == ["beat", "page"]


def test_a_server_killed_in_the_middle_and_back(server: Server, shop: Shop) -> None:
    tab = shop.open(pages=False, flushSeconds=0.1)
    tab.evaluate("window.n = 0; window.beat = setInterval(() => window.n < 200 && almanac.track('beat', { n: window.n++ }), 20)")
    for _ in range(3):
        tab.wait_for_timeout(700)
        server.kill("collector")
    tab.wait_for_function("window.n === 200")
    server.wait()
    assert numbers(shop.wait(200)) == list(range(200))
    books = server.settled(shop.project)
    assert (books["stored"], books["gap"], books["rejected"]) == (200, 0, 0)


def test_a_server_that_is_away_for_a_while(server: Server, shop: Shop) -> None:
    tab = shop.open(pages=False)
    shop.site.down = True
    tab.evaluate(TEN)
    tab.wait_for_timeout(1500)
    tab.close()
    second = shop.open(pages=False)
    second.evaluate("for (let n = 10; n < 15; n++) almanac.track('beat', { n })")
    second.wait_for_timeout(5000)  # until the first page's events count as left behind
    shop.site.down = False
    shop.open(pages=False)
    assert numbers(shop.wait(15)) == list(range(15))


def test_nothing_is_stored_or_sent_before_consent(shop: Shop) -> None:
    tab = shop.open(consent={"analytics": "pending", "marketing": "denied"})
    tab.evaluate("almanac.track('early', { n: 1 }); almanac.track('offer', {}, { purpose: 'marketing' }); almanac.identify('u1')")
    assert tab.evaluate("almanac.flush()") is True
    tab.wait_for_timeout(1500)
    assert (shop.site.bodies, shop.stored(tab)) == ([], [0, 0, "", 0])
    said = tab.evaluate("almanac.consent({ analytics: 'granted' })")
    assert said == {"analytics": "granted", "marketing": "denied"}
    rows = {row["event"]: row for row in shop.wait(3)}
    assert rows.keys() == {"page", "early", "identify"}
    assert rows["early"]["time"] < rows["early"]["time_received"]
    assert rows["early"]["flags"] == {"consent": {"analytics": "granted", "marketing": "denied"}, "purpose": "analytics"}
    again = shop.open("/next", consent="pending")  # a grant is remembered
    shop.wait(4)
    assert [row["distinct_id"] for row in shop.rows() if row["path"] == "/next"] == ["u1"]
    again.evaluate("almanac.track('late'); almanac.consent('denied'); almanac.track('later')")
    again.wait_for_timeout(1500)
    assert shop.stored(again) == [0, 0, "", 0]
    third = shop.open("/third", consent="pending")
    third.wait_for_timeout(1500)
    assert (len(shop.rows()), shop.stored(third)) == (4, [0, 0, "", 0])


def test_all_tabs_hear_the_answer_and_are_one_visitor(shop: Shop) -> None:
    first, second = shop.open("/one", consent="pending"), shop.open("/two", consent="pending")
    second.evaluate("almanac.track('early')")
    first.evaluate("almanac.consent('granted')")
    rows = shop.wait(3)
    assert len({row["distinct_id"] for row in rows}) == len({row["session_id"] for row in rows}) == 1
    second.evaluate("almanac.consent('denied')")
    first.evaluate("almanac.track('late')")
    first.wait_for_timeout(1500)
    assert (len(shop.rows()), shop.stored(first)) == (3, [0, 0, "", 0])


def test_a_page_left_before_there_was_consent_leaves_nothing(shop: Shop) -> None:
    tab = shop.open(consent="pending")
    tab.evaluate("almanac.track('early')")
    tab.goto(shop.site.page("/next", shop.script(consent="pending")))
    tab.wait_for_timeout(1200)
    assert (shop.site.bodies, shop.stored(tab)) == ([], [0, 0, "", 0])


@pytest.mark.parametrize("signal", ["globalPrivacyControl: { get: () => true }", "doNotTrack: { get: () => '1' }"])
def test_whoever_does_not_want_to_be_followed_is_not(signal: str, shop: Shop) -> None:
    shop.context.add_init_script(f"Object.defineProperties(Navigator.prototype, {{ {signal} }})")
    tab = shop.open()
    tab.evaluate("almanac.track('beat', { n: 1 })")
    tab.wait_for_timeout(1500)
    assert (shop.site.bodies, shop.stored(tab)) == ([], [0, 0, "", 0])
    tab.evaluate("almanac.consent('granted'); almanac.track('asked')")  # a visitor's own answer counts
    shop.wait(1, "asked")
    other = shop.open("/other", honourSignals=False)
    other.evaluate("almanac.flush()")
    shop.wait(1, "page")


def test_cookieless(shop: Shop) -> None:
    tab = shop.open(cookieless=True)
    tab.evaluate("almanac.track('beat', { n: 1 })")
    shop.wait(2)
    tab.goto(shop.site.page("/next", shop.script(cookieless=True)))
    shop.wait(3)
    assert shop.stored(tab) == [0, 0, "", 0]
    other = shop.visitor(user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    shop.open(context=other, cookieless=True)
    rows = shop.wait(4)
    assert len({row["distinct_id"] for row in rows[:3]}) == 1
    assert rows[0]["distinct_id"].startswith("c:")
    assert rows[3]["distinct_id"] != rows[0]["distinct_id"]
    assert {(row["session_id"], row["ip"]) for row in rows} == {("", "127.0.0.0")}
    other.close()


def test_a_strict_page(shop: Shop) -> None:
    shop.site.headers = {"content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; form-action 'self'"}
    body = "<button data-almanac='ticket chosen' data-almanac-price='12.5'><b>Choose</b></button>"
    tab = shop.open(autocapture="marked", body=body)
    clicks(tab, "b")
    shop.wait(1, "ticket chosen")
    assert shop.said == []
    shop.site.headers = {"content-security-policy": "default-src 'none'; script-src 'nonce-abc'; connect-src 'self'"}
    shop.site.page("/nonce", shop.script(autocapture="all").replace("<script", "<script nonce='abc'"), "<button>Buy</button>")
    tab = shop.context.new_page()
    tab.on("console", lambda message: shop.said.append(message.text))
    tab.goto(shop.site.url + "/nonce")
    clicks(tab, "button")
    assert [row["properties"] for row in shop.wait(1, "click")] == [{"element": "button", "text": "Buy"}]
    assert shop.said == []


def clicks(tab: Page, element: str) -> None:
    """Once the part that sees clicks is there."""
    tab.wait_for_function("performance.getEntriesByType('resource').some((one) => one.name.includes('/autocapture.') && one.responseEnd)")
    tab.wait_for_timeout(100)
    tab.click(element)


FORM = """<a href="/there?q=secret#x" id="there">  There
 is more </a><a href="https://elsewhere.example/page?token=1" onclick="event.preventDefault()">Elsewhere</a>
<form id="sign-up" action="/done?x=1"><input name="email" value="ann@example.com"><button>Send</button></form>
<form data-almanac="newsletter asked for" data-almanac-place="footer"><button data-almanac-ignore>Go</button></form>
<div data-almanac-ignore><button id="private">Secret</button></div><p id="text">Text</p>"""


def test_clicks_and_forms_when_they_are_asked_for(shop: Shop) -> None:
    tab = shop.open(autocapture="all", body=FORM, flushSeconds=0.2)
    tab.evaluate("for (const one of document.forms) one.addEventListener('submit', (event) => event.preventDefault())")
    tab.evaluate("document.querySelector('#there').addEventListener('click', (event) => event.preventDefault())")
    clicks(tab, "#there")
    for element in ("text=Elsewhere", "text=Send", "text=Go", "#private", "#text"):
        tab.click(element)
    shop.wait(1, "newsletter asked for")
    host = shop.site.url
    told = [(row["event"], row["properties"]) for row in shop.rows() if row["event"] != "page"]
    assert told == [
        ("click", {"element": "a", "text": "There is more", "id": "there", "href": f"{host}/there"}),
        ("click", {"element": "a", "text": "Elsewhere", "href": "https://elsewhere.example/page", "outbound": True}),
        ("click", {"element": "button", "text": "Send"}),
        ("form_submit", {"form": "sign-up", "action": f"{host}/done", "method": "get"}),
        ("newsletter asked for", {"place": "footer"}),
    ]
    marked = shop.open("/marked", autocapture="marked", body=FORM)
    marked.evaluate("document.querySelector('#there').addEventListener('click', (event) => event.preventDefault())")
    clicks(marked, "#there")
    silent = shop.open("/silent", body=FORM + "<button data-almanac='named'>Named</button>")
    silent.click("text=Named")
    silent.evaluate("almanac.flush()")
    marked.evaluate("almanac.flush()")
    until(lambda: len(shop.named("page")) == 3)
    assert len(shop.rows()) == len(told) + 3


def test_two_tabs_are_one_visitor(shop: Shop) -> None:
    first = shop.open("/one")
    shop.wait(1)
    second = shop.open("/two")
    for tab in (first, second):
        tab.evaluate(TEN)
    second.evaluate("almanac.identify('u1')")
    first.wait_for_timeout(300)  # until the browser has told the other tab
    first.evaluate("almanac.track('after')")
    rows = shop.wait(24)
    assert len({row["anonymous_id"] or row["distinct_id"] for row in rows}) == 1
    assert len({row["session_id"] for row in rows}) == 1
    assert [row["distinct_id"] for row in rows if row["event"] == "after"] == ["u1"]


def test_another_user_on_the_same_device_is_somebody_else(shop: Shop) -> None:
    tab = shop.open(pages=False)
    tab.evaluate(
        """() => {
            almanac.identify("ann"); almanac.track("a"); almanac.identify("bob"); almanac.track("b")
            almanac.reset(); almanac.track("c"); almanac.identify("undefined"); almanac.alias("bobby")
        }"""
    )
    rows = {f"{row['event']}{row['distinct_id']}": row for row in shop.wait(6)}
    anonymous = {name: row["anonymous_id"] or row["distinct_id"] for name, row in rows.items()}
    assert anonymous["identifyann"] == anonymous["aann"] != anonymous["identifybob"] == anonymous["bbob"]
    assert len(set(anonymous.values())) == 3
    assert shop.said == ["Almanac: undefined is nobody's id."]
    days = {"kind": "trend", "series": [{"measure": "unique"}], "interval": "total", "last": "1 day"}
    assert shop.server.ask(shop.project, days)[0]["value"] == 3


def test_the_queue_is_bounded(shop: Shop) -> None:
    shop.site.down = True
    tab = shop.open(pages=False, queueLimit=10)
    tab.evaluate("for (let n = 0; n < 30; n++) almanac.track('beat', { n })")
    tab.wait_for_timeout(500)
    assert tab.evaluate(LEFT, shop.key) == 10
    assert [text for text in shop.said if "given up" in text] == ["Almanac: Too many events wait; the oldest was given up."] * 20
    tab.close()
    second = shop.open(pages=False, queueLimit=10)
    second.evaluate("for (let n = 30; n < 36; n++) almanac.track('beat', { n })")
    second.wait_for_timeout(500)
    assert second.evaluate(LEFT, shop.key) == 10
    shop.site.down = False
    second.close()
    third = shop.open(pages=False, queueLimit=10)
    third.wait_for_timeout(5500)
    shop.open(pages=False, queueLimit=10)
    assert numbers(shop.wait(10)) == list(range(26, 36))


def test_a_clock_that_is_an_hour_ahead(shop: Shop) -> None:
    shop.context.add_init_script("const real = Date.now; Date.now = () => real() + 3_600_000")
    tab = shop.open(pages=False)
    tab.evaluate("almanac.track('beat', { n: 1 })")
    (row,) = shop.wait(1)
    assert abs((datetime.fromisoformat(row["time"]) - datetime.now(UTC)).total_seconds()) < 30
    assert row["time_origin"] == "corrected"


def test_the_snippet_of_the_docs_and_of_the_first_event_page(shop: Shop, server: Server) -> None:
    text = (ROOT / "docs" / "sdk-web.md").read_text()
    snippet = re.search(r"```html\n(.*?)```", text, re.DOTALL)
    assert snippet is not None
    welcome = (ROOT / "ui" / "src" / "pages" / "welcome" / "snippets.ts").read_text()
    page = snippet[1].strip().replace("https://almanac.example.com", "${host}").replace("WRITE_KEY", "${key}")
    assert f"`{page}`" in welcome
    page = page.replace("${host}", server.url).replace("${key}", shop.key)
    address = shop.site.page("/", page)
    tab = shop.context.new_page()
    tab.on("console", lambda message: shop.said.append(message.text))
    tab.goto(address)
    rows = {row["event"]: row for row in shop.wait(2)}
    assert (rows["signed_up"]["properties"], rows["page"]["url"]) == ({"plan": "pro"}, address)
    module = re.search(r"```js\n(.*?)```", text, re.DOTALL)
    assert module is not None
    script = module[1].replace("https://almanac.example.com", server.url).replace("WRITE_KEY", shop.key)
    tab.goto(shop.site.page("/module", f"<script type=module>{script}</script>"))
    shop.wait(2, "signed_up")
    assert shop.said == []


def test_started_by_init_after_calls(shop: Shop) -> None:
    stub = "<script>window.almanac = { q: [['track', 'before']], track: (...given) => almanac.q.push(['track', ...given]) }</script>"
    address = shop.site.page("/", stub + "<script src='/stats/almanac.js'></script>")
    tab = shop.context.new_page()
    tab.goto(address)
    tab.evaluate("almanac.track('between')")
    tab.evaluate(
        "(options) => { almanac.init(options); almanac.track('after') }", {"key": shop.key, "endpoint": "/stats/in", "pages": False}
    )
    assert {row["event"] for row in shop.wait(3)} == {"before", "between", "after"}


def test_a_page_without_storage_still_counts(shop: Shop) -> None:
    shop.context.add_init_script(
        "for (const name of ['localStorage', 'indexedDB']) Object.defineProperty(window, name, { get: () => { throw new Error('no') } })"
    )
    tab = shop.open(pages=False)
    tab.evaluate(TEN)
    assert numbers(shop.wait(10)) == list(range(10))
    assert shop.said == []


def test_a_cookie_for_all_hosts_of_a_domain(shop: Shop) -> None:
    tab = shop.context.new_page()
    port = shop.site.url.rpartition(":")[2]
    shop.site.page("/", shop.script(cookieDomain="shop.localhost"))
    for host in ("www", "app"):
        tab.goto(f"http://{host}.shop.localhost:{port}/")
        tab.evaluate("almanac.flush()")
    rows = shop.wait(2)
    assert rows[0]["distinct_id"] == rows[1]["distinct_id"]
    assert rows[0]["session_id"] == rows[1]["session_id"]
    assert tab.evaluate("localStorage.length") == 0


def test_files_are_kept_for_ever_by_their_full_names(server: Server) -> None:
    def get(path: str, **headers: str) -> tuple[int, Any, bytes]:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, headers=headers), timeout=20) as answer:
            return answer.status, answer.headers, answer.read()

    told = json.loads(get("/sdk/manifest.json")[2])
    assert told.keys() == {"almanac.js", "index.mjs", "autocapture.mjs"}
    assert told["almanac.js"]["gzip_bytes"] < 5000
    assert told["almanac.js"]["integrity"].startswith("sha384-")
    for name, file in told.items():
        _, plain, body = get(f"/sdk/{name}")
        _, pinned, same = get(file["address"])
        assert (body, len(body)) == (same, file["bytes"])
        assert ("max-age=3600" in plain["cache-control"], "immutable" in pinned["cache-control"]) == (True, True)
        assert (pinned["access-control-allow-origin"], pinned.get_content_type()) == ("*", "text/javascript")
        assert len(get(file["address"], **{"accept-encoding": "gzip"})[2]) == file["gzip_bytes"]
    old = get("/sdk/almanac.000000000000.js")
    assert (old[2], "max-age=3600" in old[1]["cache-control"]) == (get("/sdk/almanac.js")[2], True)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("/sdk/nothing.js")
