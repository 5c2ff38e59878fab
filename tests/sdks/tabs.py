"""Tabs of Debian's Chromium, each with a memory of its own, on pages of another origin than the collector's."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.sdks.collector import HERE

NODE_MODULES = HERE / "node_modules"


class _Files(http.server.SimpleHTTPRequestHandler):
    """The drivers, and the npm packages under /sdk/."""

    def log_message(self, *_: Any) -> None: ...

    def translate_path(self, path: str) -> str:
        plain = path.partition("?")[0]
        return str(NODE_MODULES / plain[5:] if plain.startswith("/sdk/") else HERE / "drivers" / plain[1:])


@contextmanager
def tabs() -> Iterator[Callable[..., Any]]:
    """Opens pages of `drivers/`; gives Playwright's page. `skewed`: its clock is an hour fast. A request to anywhere but this host fails
    the test."""
    program = shutil.which("chromium") or pytest.skip("chromium is not installed")
    if not NODE_MODULES.is_dir():
        pytest.skip("the SDKs are not installed: npm ci in tests/sdks")
    from playwright.sync_api import sync_playwright

    strangers: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files) as site, sync_playwright() as playwright:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])

        def opened(address: str, *, skewed: bool = False) -> Any:
            context = browser.new_context()
            if skewed:
                context.add_init_script((HERE / "skewed.mjs").read_text())
            page = context.new_page()
            page.on("request", lambda request: None if "//127.0.0.1:" in request.url else strangers.append(request.url))
            page.goto(f"http://127.0.0.1:{site.server_port}/{address}")
            return page

        try:
            yield opened
        finally:
            browser.close()
            site.shutdown()
    assert strangers == [], "the SDK called another host"
