"""A board of twelve tiles in a real browser: how soon it is there, how smoothly a tile is dragged, and how much is loaded first.

Cold: the server has just started and has no answer kept, the browser has never been here. Warm: the same page again. The seconds are the
page's own, from the start of its navigation to the frame after the last tile got its answer. The browser, the server and its engine share
the same cores. What a thousand live subscribers make of the page's questions is a row of `bench.live`.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, Response, sync_playwright

from almanac.core.settings import load
from almanac.house import open_local
from bench.questions_data import fill
from bench.report import Row
from bench.server import Server

_ROUNDS: Final = 3
_NAME: Final = "twelve"
_VIEW: Final = {"width": 1440, "height": 900}
_PASSWORD: Final = "a password of some length"
_FRAME: Final = 1000 / 60  # milliseconds
_RECEIPT: Final = "[title='What the numbers rest on']"  # every tile that has its answer has one
_DRAGS: Final = 90  # steps of the mouse

# Notes when the page had painted and when all tiles had their answers, by the page's own clock.
_WATCH: Final = """
(() => {
  const watch = new MutationObserver(() => {
    if (document.querySelectorAll("RECEIPT").length < COUNT) return;
    watch.disconnect();
    requestAnimationFrame(() => { window.allThere = performance.now(); });
  });
  watch.observe(document, {childList: true, subtree: true});
})()
"""
_FRAMES: Final = """() => {
  window.frames_ = [];
  const note = (at) => { window.frames_.push(at); window.noting = requestAnimationFrame(note); };
  window.noting = requestAnimationFrame(note);
}"""


def twelve() -> list[dict[str, Any]]:
    """Twelve different questions, as boards have them: four numbers, eight charts."""
    last: dict[str, Any] = {"last": "30 days"}
    people = {"measure": "unique", "name": "People"}
    numbers: list[dict[str, Any]] = [
        {"kind": "trend", "series": [people], "compare": "previous_period", **last},
        {"kind": "trend", "series": [{"name": "Events"}], "compare": "previous_period", **last},
        {"kind": "trend", "series": ["pay"], "compare": "previous_period", **last},
        {"kind": "trend", "series": [{"event": "pay", "measure": "sum", "property": "@revenue", "name": "Revenue"}], **last},
    ]
    charts: list[dict[str, Any]] = [
        {"kind": "trend", "series": [people], **last},
        {"kind": "trend", "series": ["view", "cart", "pay"], **last},
        {"kind": "trend", "series": ["pay"], "breakdown": ["@channel"], **last},
        {"kind": "trend", "series": [people], "breakdown": ["@country"], **last},
        {"kind": "funnel", "steps": ["view", "cart", "pay"], "window": "7 days", **last},
        {"kind": "retention", "start_event": "view", "return_event": "view", "period": "week", "intervals": 8, "last": "8 weeks"},
        {"kind": "lifecycle", "interval": "week", "last": "8 weeks"},
        {"kind": "stickiness", "series": ["view"], **last},
    ]
    return numbers + charts


def _tiles() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for place, question in enumerate(twelve()):
        number = place < 4
        at = {"x": 3 * place, "y": 0, "w": 3, "h": 3} if number else {"x": 6 * (place % 2), "y": 3 + 6 * ((place - 4) // 2), "w": 6, "h": 6}
        chart = {"chart": {"type": "number"}} if number else {}
        found.append({"id": f"tile-{place}", "type": "number" if number else "question", "title": f"Tile {place}", "question": question})
        found[-1] |= at | chart
    return found


def board(rows: int = 10_000_000) -> Iterator[Row]:
    """First paint, all tiles cold and warm, frames while a tile is dragged, and the bytes of the first load."""
    chromium = shutil.which("chromium")
    if chromium is None:
        yield Row("board: chromium is not on this machine", 0, "")
        return
    what = f"board of 12 tiles over {rows // 1_000_000} M events"
    with Server() as server:
        server.stop()
        subprocess.run([sys.executable, "-m", "bench.board", str(server.folder), str(rows)], check=True)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            server.start()
            with _reader(browser, server) as context:
                _signed_in(context, server)
                state = context.storage_state()
            cold, warm, paints, again = [], [], [], []
            for _ in range(_ROUNDS):
                server.stop()
                server.start()
                with _reader(browser, server, storage_state=state) as context:
                    page = context.new_page()
                    there = _opened(page, server)
                    paints.append(there[0])
                    cold.append(there[1])
                    there = _opened(page, server)
                    again.append(there[0])
                    warm.append(there[1])
            yield _within(f"{what}: first paint", median(paints), 1)
            yield _within(f"{what}: first paint, warm", median(again), 1)
            yield _within(f"{what}: all tiles, cold", median(cold), 3)
            yield _within(f"{what}: all tiles, warm", median(warm), 1)
            with _reader(browser, server, storage_state=state) as context:
                page = context.new_page()
                _opened(page, server)
                late, slowest = _dragged(page)
            yield Row("board: frames that come late while a tile is dragged", late, "share", None, "", "60 fps")
            yield Row(
                "board: the frame of a hundred that takes longest while a tile is dragged", slowest, "ms", slowest / _FRAME, "16.7 ms"
            )
            with _reader(browser, server) as context:
                size = _loaded(context.new_page(), f"{server.url}/app/sign-in")
            yield Row("app: scripts and styles of the first load, gzip", size / 1000, "kB", size / 400_000, "400 kB", "< 400 kB")
            with _reader(browser, server, storage_state=state) as context:
                size = _loaded(context.new_page(), f"{server.url}/app/p/{server.project}/boards/{_NAME}")
            yield Row("app: scripts and styles of a board with its charts, gzip", size / 1000, "kB")
            browser.close()


def _within(name: str, seconds: float, goal: float) -> Row:
    return Row(name, seconds, "s", seconds / goal, f"{goal:g} s", f"< {goal:g} s")


@contextmanager
def _reader(browser: Browser, server: Server, **more: Any) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=_VIEW, base_url=server.url, bypass_csp=True, **more)  # type: ignore[arg-type]
    yield context
    context.close()


def _signed_in(context: BrowserContext, server: Server) -> None:
    """The owner's account, and his board."""
    owner = {"name": "Ann", "email": "ann@example.com", "password": _PASSWORD}
    made = context.request.post("/api/v1/setup", data=owner)
    assert made.ok, made.text()
    path = f"/api/v1/projects/{server.project}/definitions/board/{_NAME}"
    saved = context.request.put(path, data={"tiles": _tiles()}, headers={"x-almanac-csrf": made.json()["csrf"]})
    assert saved.ok, saved.text()


def _opened(page: Page, server: Server) -> tuple[float, float]:
    """Seconds from the start of the navigation until something was painted, and until all tiles had their answers."""
    page.add_init_script(_WATCH.replace("RECEIPT", _RECEIPT).replace("COUNT", str(len(twelve()))))
    page.goto(f"{server.url}/app/p/{server.project}/boards/{_NAME}")
    page.wait_for_function("window.allThere", timeout=120_000)
    assert page.get_by_role("alert").count() == 0, page.get_by_role("alert").all_inner_texts()
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return painted / 1000, page.evaluate("window.allThere") / 1000


def _dragged(page: Page) -> tuple[float, float]:
    """Of the frames while a chart is dragged across the board and back: the share that comes late by half a frame or more, and the longest
    of a hundred, in milliseconds."""
    page.get_by_role("button", name="Edit", exact=True).click()
    head = page.get_by_role("heading", name="Tile 4", exact=True)
    head.scroll_into_view_if_needed()
    box = head.bounding_box()
    assert box is not None
    x, y = box["x"] + 40, box["y"] + box["height"] / 2
    page.wait_for_timeout(500)
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(_FRAMES)
    for step in range(_DRAGS):
        part = 1 - abs(1 - 2 * step / _DRAGS)
        page.mouse.move(x + 500 * part, y + 200 * part)
        page.wait_for_timeout(8)
    frames = page.evaluate("() => { cancelAnimationFrame(window.noting); return window.frames_; }")
    page.mouse.up()
    lengths = sorted(later - before for before, later in pairwise(frames))
    return sum(1 for length in lengths if length >= 1.5 * _FRAME) / len(lengths), lengths[int(len(lengths) * 0.99)]


def _loaded(page: Page, url: str) -> int:
    """Bytes of the scripts and styles that the page loads, as gzip makes them."""
    found: list[Response] = []
    page.on("response", lambda response: found.append(response) if response.url.endswith((".js", ".css")) else None)
    page.goto(url, wait_until="networkidle")
    return sum(len(gzip.compress(response.body(), 6)) for response in found)


if __name__ == "__main__":
    folder_, rows_ = sys.argv[1:]
    with open_local(load({"data": Path(folder_)})) as local_:
        fill(local_, int(rows_))
