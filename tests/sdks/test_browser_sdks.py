"""Vendors' SDKs for browsers, in Chromium, on a page of another origin than the collector."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.node]

SDKS = Path(__file__).parent / "node_modules"
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("chromium is not installed", allow_module_level=True)
if not SDKS.is_dir():
    pytest.skip("the SDKs are not installed: npm ci in tests/sdks", allow_module_level=True)

SEGMENT = """<!doctype html><title>Shop</title><script src="/sdk/@segment/analytics-next/dist/umd/index.js"></script><script>
  const options = DELIVERY
  const settings = {writeKey: 'test-write-key', cdnURL: 'HOST'}
  window.analytics = window.AnalyticsNext.AnalyticsBrowser.load(settings, {integrations: {'Segment.io': options}})
</script>"""
POSTHOG = """<!doctype html><title>Shop</title><script>
  window.posthog = []
  posthog.people = []
  posthog.__SV = 1
  posthog._i = [['test-write-key', {api_host: 'HOST', opt_out_useragent_filter: true, person_profiles: 'always', CONFIG}, 'posthog']]
  posthog.people.toString = posthog.toString = () => 'posthog'
</script><script src="HOST/static/array.js" crossorigin="anonymous"></script><body><button id="b">Buy</button></body>"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Serves a page and the SDKs' files; gives the page's address."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sdk").symlink_to(SDKS)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()

    def page(text: str) -> str:
        (folder / "page.html").write_text(text)
        return f"http://127.0.0.1:{listener.server_port}/page.html"

    yield page
    listener.shutdown()
    listener.server_close()


@pytest.fixture
def tab() -> Iterator[Any]:
    """An empty tab. Requests to anywhere but this host fail the test."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        strangers: list[str] = []
        page.on("request", lambda request: None if "//127.0.0.1:" in request.url else strangers.append(request.url))
        yield page
        browser.close()
        assert strangers == []


def by_name(events: list[Any]) -> dict[str, Any]:
    return {event.name: event for event in events}


@pytest.mark.parametrize("delivery", ["{}", "{deliveryStrategy: {strategy: 'batching', config: {size: 10, timeout: 200}}}"])
def test_segment_in_the_browser(delivery: str, server: Any, site: Callable[[str], str], tab: Any) -> None:
    address = site(SEGMENT.replace("DELIVERY", delivery).replace("HOST", server.url))
    tab.goto(address)
    tab.evaluate(
        """async () => {
            await analytics.page('Home')
            await analytics.track('Viewed', {price: 12.5, label: 'Grüße 🎉'})
            await analytics.identify('u1', {plan: 'pro'})
            await analytics.track('Bought')
            await analytics.group('acme', {seats: 5})
        }"""
    )
    found = by_name(server.events(5))
    assert found.keys() == {"Home", "Viewed", "identify", "Bought", "group"}
    anonymous = found["Viewed"].distinct_id
    assert anonymous == found["Viewed"].anonymous_id != ""
    assert json.loads(bytes(found["Viewed"].properties)) == {"price": 12.5, "label": "Grüße 🎉"}
    (merge,) = found["identify"].merges
    assert (merge.source, merge.target, merge.how) == (anonymous, "u1", "identify")
    assert json.loads(bytes(found["identify"].profile)) == {"set": {"plan": "pro"}}
    assert found["Bought"].distinct_id == "u1"
    assert json.loads(bytes(found["group"].group_profile)) == {"type": "group", "key": "acme", "set": {"seats": 5}}
    for event in found.values():
        assert (event.url, event.title, event.ip, event.is_server, event.library) == (address, "Shop", "127.0.0.1", False, "analytics.js")
        assert "Chrome" in event.user_agent
        assert event.event_id.startswith("ajs-next-")
    assert server.unknown == []


@pytest.mark.parametrize("config", ["", "disable_compression: true", "request_batching: false", "disable_session_recording: true"])
def test_posthog_in_the_browser(config: str, server: Any, site: Callable[[str], str], tab: Any) -> None:
    scripts = server.log.parent / "files" / "posthog-js"
    scripts.parent.mkdir()
    scripts.symlink_to(SDKS / "posthog-js" / "dist")
    address = site(POSTHOG.replace("CONFIG", config).replace("HOST", server.url))
    tab.goto(address)
    tab.wait_for_function("window.posthog && window.posthog.__loaded")
    anonymous = tab.evaluate(
        """() => {
            const anonymous = posthog.get_distinct_id()
            posthog.capture('viewed', {price: 12.5, label: 'Grüße 🎉'})
            posthog.group('company', 'acme', {seats: 5})
            posthog.identify('u1', {plan: 'pro'}, {first: 1})
            posthog.capture('bought', {}, {send_instantly: true})
            posthog.capture('beacon', {}, {transport: 'sendBeacon', send_instantly: true})
            return anonymous
        }"""
    )
    tab.click("#b")
    expected = {"$pageview", "viewed", "$groupidentify", "$identify", "bought", "beacon", "$autocapture"}
    found = by_name(server.events(len(expected)))
    assert expected <= found.keys()
    assert found["viewed"].distinct_id == found["viewed"].anonymous_id == anonymous
    assert {"price": 12.5, "label": "Grüße 🎉"}.items() <= json.loads(bytes(found["viewed"].properties)).items()
    (merge,) = found["$identify"].merges
    assert (merge.source, merge.target, merge.how) == (anonymous, "u1", "identify")
    profile = json.loads(bytes(found["$identify"].profile))
    assert (profile["set"], profile["set_once"]["first"]) == ({"plan": "pro"}, 1)
    assert json.loads(bytes(found["$groupidentify"].group_profile)) == {"type": "company", "key": "acme", "set": {"seats": 5}}
    assert json.loads(bytes(found["bought"].groups)) == {"company": "acme"}
    assert found["bought"].distinct_id == found["bought"].user_id == "u1"
    assert found["$pageview"].kind == "page"
    for event in found.values():
        assert (event.url, event.ip, event.is_server, event.library) == (address, "127.0.0.1", False, "web")
        assert event.session_id
        assert "Chrome" in event.user_agent
    ids = [event.event_id for event in server.lines]
    assert len(ids) == len(set(ids))
    assert server.unknown == []


def test_browsers_send_again_what_failed(server: Any, flaky: Callable[..., Any], site: Callable[[str], str], tab: Any) -> None:
    line = flaky("500", "close", "503")
    tab.goto(site(SEGMENT.replace("DELIVERY", "{}").replace("HOST", line.url)))
    tab.evaluate("async () => { for (const name of ['one', 'two', 'three']) await analytics.track(name) }")
    events = server.events(3, seconds=40)
    assert sorted(event.name for event in events) == ["one", "three", "two"]
    assert len(line.refused) == 3
    assert {body["messageId"] for body in line.bodies()} <= {event.event_id for event in events}


def test_snowplow_in_the_browser(server: Any, site: Callable[[str], str], tab: Any) -> None:
    """One tracker each for a batch, a query, a path of one's own, a key in the path, and for somebody who wants to stay unknown."""
    text = '<!doctype html><title>Shop</title><script src="/sdk/@snowplow/browser-tracker/dist/index.umd.js"></script>'
    address = site(text)
    tab.goto(address)
    tab.evaluate(
        """host => {
            const {newTracker, setUserId, trackPageView, trackSelfDescribingEvent} = snowplowBrowserTracking
            const key = {appId: 'test-write-key'}
            newTracker('batch', host, key)
            newTracker('query', host, {...key, eventMethod: 'get'})
            newTracker('own', host, {...key, postPath: '/com.acme/track'})
            newTracker('path', host + '/test-write-key', {appId: 'shop'})
            newTracker('unknown', host, {...key, anonymousTracking: {withServerAnonymisation: true}})
            setUserId('u1')
            trackPageView()
            const data = {revenue: 12.5, label: 'Grüße 🎉'}
            trackSelfDescribingEvent({event: {schema: 'iglu:com.acme/bought/jsonschema/1-0-0', data}})
        }""",
        server.url,
    )
    events = server.events(10)
    trackers = [json.loads(bytes(event.context))["tracker"] for event in events]
    assert sorted(trackers) == sorted(["batch", "query", "own", "path", "unknown"] * 2)
    assert len({event.event_id for event in events}) == 10
    for tracker, event in zip(trackers, events, strict=True):
        assert (event.project, event.url, event.library) == ("p1", address, "snowplow-js")
        if event.name == "bought":
            assert json.loads(bytes(event.properties)) == {"revenue": 12.5, "label": "Grüße 🎉"}
        else:
            assert (event.kind, event.name, event.title) == ("page", "page_view", "Shop")
        if tracker == "unknown":
            assert (event.ip, event.user_id, event.anonymous_id, event.session_id) == ("", "", "", "")
        else:
            assert (event.ip, event.distinct_id) == ("127.0.0.1", "u1")
            assert event.anonymous_id
            assert event.session_id
    assert server.unknown == []
