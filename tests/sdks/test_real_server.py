"""SDKs against the whole of `almanac serve`: the network fails, everything is killed, clocks are wrong; the numbers are right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.sdks.collector import HERE
from tests.sdks.tabs import tabs
from tests.story.servers import Server, until

pytestmark = [pytest.mark.browser, pytest.mark.node]

BEATS = 40
SEGMENT = """async ([host, key]) => {
    window.segment = AnalyticsNext.AnalyticsBrowser.load({writeKey: key, cdnURL: host})
    await segment.ready()
    window.beat = (n) => { segment.track('segment beat', {n}) }
}"""
POSTHOG = """async ([host, key]) => {
    const {default: posthog} = await import('/sdk/posthog-js/dist/module.js')
    posthog.init(key, {api_host: host, opt_out_useragent_filter: true, capture_pageview: false, autocapture: false})
    window.beat = (n) => { posthog.capture('posthog beat', {n}) }
}"""


def counted(server: Server) -> dict[str, tuple[int, int]]:
    """For each kind of beat: events, and different numbers in them."""
    rows = server.sql(
        "shop",
        "SELECT event, count() AS events, uniqExact(properties.n.:Int64) AS numbers FROM events WHERE event LIKE '%beat' GROUP BY event",
    )
    return {row["event"]: (row["events"], row["numbers"]) for row in rows}


def test_browsers_and_servers_go_on_through_everything(tmp_path: Path) -> None:
    """Offline for a while, then everything is killed with -9 and comes back: each event is stored once."""
    from segment.analytics.client import Client

    server = Server(tmp_path / "data")
    key = server.project("shop")["write"]
    with server, tabs() as opened:
        pages = [opened("blank.html") for _ in range(2)]
        pages[0].add_script_tag(url="/sdk/@segment/analytics-next/dist/umd/index.js")
        for page, start in zip(pages, (SEGMENT, POSTHOG), strict=True):
            page.evaluate(start, [server.url, key])
        client = Client(key, host=server.url, timeout=3, upload_interval=0.2)
        for number in range(BEATS):
            for page in pages:
                page.evaluate("n => beat(n)", number)
            client.track("u1", "python beat", {"n": number})
            if number in (8, 16):
                for page in pages:
                    page.context.set_offline(number == 8)
            elif number == 20:
                everything = [server.kill(name) for name in ("collector", "engine", "supervisor")]
                assert all(everything)
                assert server.process is not None
                server.process.wait(10)
            elif number == 28:
                server.start()
            pages[0].wait_for_timeout(150)
        server.wait()
        client.shutdown()
        expected = {f"{name} beat": (BEATS, BEATS) for name in ("segment", "posthog", "python")}
        deadline = time.monotonic() + 60
        while counted(server) != expected and time.monotonic() < deadline:
            pages[0].wait_for_timeout(200)  # the pages go on meanwhile
        assert counted(server) == expected
        books = server.settled("shop")
        assert (books["gap"], books["rejected"]) == (0, 0)


def test_clocks_an_hour_fast_are_corrected(tmp_path: Path) -> None:
    node = shutil.which("node") or pytest.skip("node is not installed")
    server = Server(tmp_path / "data")
    key = server.project("shop")["write"]
    with server, tabs() as opened:
        programs = [
            *([sys.executable, "skewed.py", f"drivers/{name}_python.py"] for name in ("segment", "rudderstack", "posthog")),
            *([node, "--import", "./skewed.mjs", f"drivers/{name}_node.mjs"] for name in ("rudderstack", "posthog")),
        ]
        running = [subprocess.Popen([*program, server.url, key], cwd=HERE, env=os.environ) for program in programs]
        pages = [opened(f"{name}_browser.html?host={server.url}&key={key}", skewed=True) for name in ("segment", "posthog")]
        assert [program.wait(60) for program in running] == [0] * len(running)

        def libraries() -> dict[Any, int]:
            pages[0].wait_for_timeout(100)
            rows = server.sql("shop", "SELECT protocol, library, count() AS n FROM events GROUP BY protocol, library")
            return {(row["protocol"], row["library"]): row["n"] for row in rows}

        most = {
            ("segment", "analytics-python"): 7,
            ("rudderstack", "analytics-python"): 7,
            ("posthog", "posthog-python"): 6,
            ("rudderstack", "analytics-node"): 7,
            ("posthog", "posthog-node"): 6,
            ("segment", "analytics.js"): 7,
            ("posthog", "web"): 8,
        }
        until(lambda: libraries() == most, 40)
        assert libraries() == most
        (worst,) = server.sql(
            "shop", "SELECT max(abs(dateDiff('second', time, time_received))) AS off, min(time_client - time_received) AS skew FROM events"
        )
        assert worst["off"] < 60
        assert worst["skew"] > 3000, "the clocks were not fast"
