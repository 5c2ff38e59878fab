"""People at browsers of their own over a real server: what they see, and what their consoles said."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.story.servers import Server

from almanac.web import app_files

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parents[1] / "sdks" / "node_modules" / "axe-core" / "axe.min.js"
PASSWORD = "a password of some length"
IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
    pytest.mark.skipif(not app_files.built(), reason="the web app was not built into this package"),
    pytest.mark.timeout(600),
]
expect.set_options(timeout=30_000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without a window."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


class Reader:
    """Somebody at a browser of his own, and what the console said to him."""

    def __init__(self, browser: Browser, server: Server, width: int = 1440, **more: Any) -> None:
        """`more`: of the browser's context."""
        self.base = f"{server.url}/app"
        self.page: Page = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **more).new_page()
        self.said: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def go(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def faults(self) -> list[str]:
        """What axe-core finds serious on the page as it stands."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        return [f"{one['id']}: {node['target']} {node['failureSummary'][:200]}" for one in serious for node in one["nodes"][:3]]


def send(server: Server, key: str, events: Sequence[Mapping[str, object]]) -> None:
    request = urllib.request.Request(
        f"{server.url}/api/v1/events", json.dumps(events).encode(), {"authorization": f"Bearer {key}", "content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def call(page: Page, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """A call of the API by whoever is signed in on that page: status and JSON."""
    status, text = page.evaluate(
        """async ([method, path, body]) => {
          const me = await (await fetch("/api/v1/me")).json();
          const headers = {"content-type": "application/json", "x-almanac-csrf": me.csrf};
          const answer = await fetch(path, {method, headers, ...(body === null ? {} : {body: JSON.stringify(body)})});
          return [answer.status, await answer.text()];
        }""",
        [method, path, body],
    )
    return status, json.loads(text) if text else None


def begin(reader: Reader, name: str = "Ann Owner", email: str = "ann@example.com") -> Page:
    """The server's first account, by its form; then on the page of all projects."""
    page = reader.go("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Email").fill(email)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    return page


def join(reader: Reader, owner: Page, project: str, role: str, name: str) -> Page:
    """Somebody invited to a project, who takes the invitation in a browser."""
    email = f"{name.split()[0].lower()}@example.com"
    status, made = call(owner, "POST", f"/api/v1/projects/{project}/invitations", {"email": email, "role": role})
    assert status == 201, made
    page = reader.go(f"/join/{made['token']}")
    page.get_by_label("Name").fill(name)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"**/p/{project}/**")
    return page


def shown_key(page: Page) -> str:
    """The write key that stands in a new project's snippets."""
    found = re.search(r"\bwk_[\w-]+", page.get_by_role("tabpanel").inner_text())
    assert found is not None
    return found.group()
