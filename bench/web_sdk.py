"""The web SDK in Chromium: bytes that travel, and the main thread at the start and for each event."""

from __future__ import annotations

import json
import shutil
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from bench.report import Row
from bench.server import Server

_PAGE = "<!doctype html><html><head><title>Shop</title>{script}</head><body></body></html>"
_EVENTS = 200
# The same loop with and without the call, so that the loop itself is not counted.
_LOOP = """async (tell) => {
    for (let n = 0; n < COUNT; n++) {
        if (tell) almanac.track("viewed", { n, price: 12.5, label: "a ticket", tags: ["a", "b"] })
        await new Promise((done) => setTimeout(done, 5))
    }
    await new Promise((done) => setTimeout(done, 1500))
}""".replace("COUNT", str(_EVENTS))


def web_sdk(rounds: int) -> Iterator[Row]:
    """CPU time of the page's main thread (all its tasks: script, timers, IndexedDB, fetch), as the median of `rounds` differences between
    a page with the SDK and the same page without it, by turns."""
    from playwright.sync_api import sync_playwright

    with Server() as server, sync_playwright() as driver:
        with urllib.request.urlopen(server.url + "/sdk/manifest.json", timeout=30) as answer:
            size = json.load(answer)["almanac.js"]["gzip_bytes"]
        yield Row("web SDK: the core, gzip", size, "bytes", size / 5000, "5 kB", "< 5 kB")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        script = f'<script src="{server.url}/sdk/almanac.js" data-key="{server.write_key}"></script>'
        starts = [_start(browser, script) - _start(browser, "") for _ in range(rounds)]
        yield _row("web SDK: main thread at the start", statistics.median(starts), 15)
        events = [_events(browser, script) for _ in range(max(3, rounds // 4))]
        yield _row("web SDK: main thread for each event", statistics.median(events), 3)
        browser.close()


def _row(name: str, milliseconds: float, most: float) -> Row:
    return Row(name, milliseconds, "ms CPU", milliseconds / most, f"{most:g} ms", f"< {most:g} ms")


def _start(browser: Any, script: str) -> float:
    """Milliseconds of the main thread from nothing to a loaded page whose first view is sent."""

    def visit(page: Any) -> None:
        page.goto("http://shop.test/")
        time.sleep(1.5)

    return _measured(browser, script, visit)[0]


def _events(browser: Any, script: str) -> float:
    """Milliseconds of the main thread that one event adds."""

    def visit(page: Any) -> None:
        page.goto("http://shop.test/")
        time.sleep(1.5)

    def idle(page: Any) -> None:
        page.evaluate(_LOOP, False)

    def told(page: Any) -> None:
        page.evaluate(_LOOP, True)

    _, without, with_ = _measured(browser, script, visit, idle, told)
    return (with_ - without) / _EVENTS


def _measured(browser: Any, script: str, *acts: Callable[[Any], None]) -> list[float]:
    """Milliseconds of the main thread's CPU that each act took, in a fresh profile."""
    context = browser.new_context()
    page = context.new_page()
    page.route("http://shop.test/**", lambda route: route.fulfill(body=_PAGE.format(script=script), content_type="text/html"))
    tools = context.new_cdp_session(page)
    tools.send("Performance.enable", {"timeDomain": "threadTicks"})
    took = []
    for act in acts:
        before = _spent(tools)
        act(page)
        took.append(_spent(tools) - before)
    context.close()
    return took


def _spent(tools: Any) -> float:
    found = {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"]) * 1000
