"""The web SDK in Chromium: bytes that travel, and the main thread at the start and for each event."""

from __future__ import annotations

import http.server
import json
import shutil
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

    with Server() as server, sync_playwright() as driver, _site() as (site, pages):
        with urllib.request.urlopen(server.url + "/sdk/manifest.json", timeout=30) as answer:
            size = json.load(answer)["almanac.js"]["gzip_bytes"]
        yield Row("web SDK: the core, gzip", size, "bytes", size / 5000, "5 kB", "< 5 kB")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        script = f'<script src="{server.url}/sdk/almanac.js" data-key="{server.write_key}"></script>'
        pages.update({"/with": _PAGE.format(script=script), "/without": _PAGE.format(script="")})
        starts = [_start(browser, f"{site}/with") - _start(browser, f"{site}/without") for _ in range(rounds)]
        yield _row("web SDK: main thread at the start", statistics.median(starts), 15)
        events = [_events(browser, f"{site}/with") for _ in range(max(3, rounds // 4))]
        yield _row("web SDK: main thread for each event", statistics.median(events), 3)
        browser.close()


@contextmanager
def _site() -> Iterator[tuple[str, dict[str, str]]]:
    """A site on this host: its address, and its pages by path."""
    pages: dict[str, str] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            self.send_response(200 if body else 404)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}", pages
    listener.shutdown()
    listener.server_close()


def _row(name: str, milliseconds: float, most: float) -> Row:
    return Row(name, milliseconds, "ms CPU", milliseconds / most, f"{most:g} ms", f"< {most:g} ms")


def _visit(address: str) -> Callable[[Any], None]:
    """Opens the page, and waits until its first view is sent."""

    def visit(page: Any) -> None:
        page.goto(address)
        time.sleep(1.5)

    return visit


def _start(browser: Any, address: str) -> float:
    """Milliseconds of the main thread from nothing to a loaded page whose first view is sent."""
    return _measured(browser, _visit(address))[0]


def _events(browser: Any, address: str) -> float:
    """Milliseconds of the main thread that one event adds."""

    def idle(page: Any) -> None:
        page.evaluate(_LOOP, False)

    def told(page: Any) -> None:
        page.evaluate(_LOOP, True)

    _, without, with_ = _measured(browser, _visit(address), idle, told)
    return (with_ - without) / _EVENTS


def _measured(browser: Any, *acts: Callable[[Any], None]) -> list[float]:
    """Milliseconds of the main thread's CPU that each act took, in a fresh profile."""
    context = browser.new_context()
    page = context.new_page()
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
