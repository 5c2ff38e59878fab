"""The demo on a fresh data folder: a life is sent to a real server, and what the server answers is what was planted."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from almanac.core.errors import AlmanacError
from almanac.ingest.generate import DEFAULT_SEED, truth
from almanac.ingest.generate_pack import load_pack
from almanac.watch.demo import commands, progress_bar, run_demo, start_page
from almanac.watch.trickle import trickle

EVENTS = 5000
SHOP = load_pack("shop").generator
PEOPLE = [{"property": "@is_bot", "value": False}]
STEPS = ["page_view", "view_item", "add_to_cart", "begin_checkout", "purchase"]
START = """
import sys
from almanac import app
from almanac.core.settings import load
app.serve(load({"data": sys.argv[1], "port": sys.argv[2]}))
"""


@dataclass
class Shop:
    """A running server with the demo's project on it."""

    url: str
    data: Path
    keys: dict[str, str]
    now: datetime
    outcome: dict[str, Any]
    truth: dict[str, Any]
    reported: list[tuple[str, int, int]]

    def ask(self, question: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Rows of the answer, over the range that the truth is about, also after midnight."""
        fixed = {name: value for name, value in question.items() if name != "last"}
        if question["kind"] != "sql":
            fixed |= {"date_from": (self.now - timedelta(days=SHOP.days)).date().isoformat(), "date_to": self.now.isoformat()}
        rows: list[dict[str, Any]] = call(self.url, self.keys["api_key"], "/api/v1/projects/shop/ask", fixed)["rows"]
        return rows

    def funnels(self, by: str) -> dict[str, list[int]]:
        """People at each step by what first brought them."""
        rows = self.ask({"kind": "funnel", "steps": STEPS, "filters": PEOPLE, "breakdown": {"property": by, "attribution": "first_touch"}})
        found: dict[str, list[int]] = {}
        for row in rows:
            found.setdefault(row["breakdown"], []).append(row["count"])
        return found


def call(url: str, key: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def card(kind: str) -> dict[str, Any]:
    return next(one["question"] for one in start_page("shop") if one["question"]["kind"] == kind)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("demo") / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", START, str(data), str(port)])
    try:
        deadline = time.monotonic() + 60
        while not (data / "serve.json").is_file():
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)
        yield data
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def shop(server: Path) -> Shop:
    about = json.loads((server / "serve.json").read_text())
    keys = call(about["url"], about["admin_key"], "/api/v1/projects", {"name": "shop"})
    now = datetime.now(UTC)
    reported: list[tuple[str, int, int]] = []
    outcome = run_demo(about["url"], keys["write_key"], keys["api_key"], "shop", EVENTS, lambda *report: reported.append(report), now=now)
    planted = truth(SHOP, seed=DEFAULT_SEED, now=now, events=EVENTS)
    return Shop(about["url"], server, keys, now, outcome, planted, reported)


def test_all_of_it_arrives_and_is_loaded(shop: Shop) -> None:
    assert shop.outcome | {"seconds": 0} == {"events": EVENTS, "stored": EVENTS, "duplicate": 0, "rejected": 0, "seconds": 0}
    assert shop.reported[-1] == ("Loading", EVENTS, EVENTS)
    assert ("Sending", EVENTS, EVENTS) in shop.reported


def test_visitors_a_day(shop: Shop) -> None:
    rows = shop.ask(card("trend"))
    assert {row["period"]: row["value"] for row in rows if row["value"]} == shop.truth["visitors_per_day"]


def test_the_funnel(shop: Shop) -> None:
    rows = shop.ask(card("funnel"))
    assert [(row["name"], row["count"]) for row in rows] == list(zip(STEPS, shop.truth["funnel"], strict=True))


def test_the_campaign_converts_at_its_own_rates(shop: Shop) -> None:
    assert shop.funnels("@utm_campaign") == shop.truth["funnel_by_campaign"]


def test_channels_are_recognised(shop: Shop) -> None:
    assert shop.funnels("@channel") == shop.truth["funnel_by_channel"]


def test_weekly_retention(shop: Shop) -> None:
    found: dict[str, list[int]] = {}
    for row in shop.ask(card("retention")):
        if row["size"]:
            found.setdefault(row["cohort"], []).append(row["count"])
    assert found == shop.truth["retention"]


def test_revenue_in_sql(shop: Shop) -> None:
    totals: dict[str, float] = {}
    for row in shop.ask(card("sql")):
        totals[row["currency"]] = round(totals.get(row["currency"], 0) + row["revenue"], 2)
    assert totals == shop.truth["totals"]["purchase"]


def test_bots_are_told_from_people(shop: Shop) -> None:
    rows = shop.ask(
        {
            "kind": "trend",
            "series": [{"event": "page_view", "measure": "unique"}],
            "interval": "total",
            "filters": [{"property": "@is_bot", "value": True}],
        }
    )
    assert [row["value"] for row in rows] == [shop.truth["bots"]]


def test_people_have_properties_and_groups(shop: Shop) -> None:
    by_plan = {
        "kind": "trend",
        "series": [{"event": "sign_up"}],
        "interval": "total",
        "breakdown": [{"property": "country", "of": "person"}],
    }
    assert sum(row["value"] for row in shop.ask(by_plan)) == shop.truth["accounts"]
    assert all(row["breakdown"] in shop.truth["people"]["place"] for row in shop.ask(by_plan))
    groups = shop.ask({"kind": "sql", "sql": "SELECT groups['group'] AS id, count() AS n FROM events WHERE kind = 'group' GROUP BY id"})
    assert {row["id"]: row["n"] for row in groups} == shop.truth["groups"]


def test_a_trickle_lives_beside_what_was_planted(shop: Shop) -> None:
    """Two starts of it. What happens now are other messages of other people; the past stays as it was."""
    latest = "SELECT count() AS n, uniqExact(id) AS ids, uniqExact(person) AS people, min(time) AS first FROM events WHERE time > {0}"
    after = latest.format(f"parseDateTime64BestEffort('{shop.now.isoformat()}', 6, 'UTC')")
    before = planted_people(shop)
    for turn in (1, 2):
        stop = threading.Event()
        arguments = (shop.url, shop.keys["write_key"], "shop")
        sender = threading.Thread(
            target=trickle, args=arguments, kwargs={"since": shop.now, "turns": iter([turn]), "stop": stop, "pace": 30.0}, daemon=True
        )
        count = live = shop.ask({"kind": "sql", "sql": after})[0]["n"]
        sender.start()
        deadline = time.monotonic() + 30
        while live < count + 40:
            assert time.monotonic() < deadline, "nothing comes"
            assert sender.is_alive(), "it ended"
            time.sleep(0.2)
            live = shop.ask({"kind": "sql", "sql": after})[0]["n"]
        stop.set()
        sender.join(30)
        assert not sender.is_alive()
    found = shop.ask({"kind": "sql", "sql": after})[0]
    assert found["ids"] == found["n"]
    assert planted_people(shop) == before
    test_visitors_a_day(shop)
    test_the_funnel(shop)
    test_weekly_retention(shop)


def planted_people(shop: Shop) -> list[dict[str, Any]]:
    """Who did what up to the moment of the truth, by person."""
    until = f"parseDateTime64BestEffort('{shop.now.isoformat()}', 6, 'UTC')"
    return shop.ask(
        {"kind": "sql", "sql": f"SELECT person, count() AS n FROM events WHERE time <= {until} GROUP BY person ORDER BY person"}
    )


def test_the_demo_again_counts_nothing_twice(shop: Shop) -> None:
    """Two hours later: every message id is known."""
    with progress_bar() as report:
        outcome = run_demo(
            shop.url, shop.keys["write_key"], shop.keys["api_key"], "shop", EVENTS, report, now=shop.now + timedelta(hours=2)
        )
    assert (outcome["stored"], outcome["duplicate"]) == (0, EVENTS)


def test_a_collector_that_dies_in_the_middle_loses_and_doubles_nothing(shop: Shop) -> None:
    about = json.loads((shop.data / "serve.json").read_text())
    keys = call(shop.url, about["admin_key"], "/api/v1/projects", {"name": "interrupted"})
    supervisor = psutil.Process(about["pid"]).parent()
    assert supervisor is not None
    victims = [child for child in supervisor.children() if "collect" in child.cmdline()]
    assert victims

    def kill_once(what: str, done: int, total: int) -> None:
        if what == "Sending" and done >= 5000 and victims:
            victims.pop().kill()

    outcome = run_demo(shop.url, keys["write_key"], keys["api_key"], "shop", 20_000, kill_once, now=shop.now)
    assert victims == []
    assert outcome["stored"] == 20_000
    rows = call(shop.url, keys["api_key"], "/api/v1/projects/interrupted/ask", {"kind": "sql", "sql": "SELECT count() AS n FROM events"})
    assert rows["rows"] == [{"n": 20_000}]


def test_a_wrong_key_is_said(shop: Shop) -> None:
    with pytest.raises(AlmanacError, match="key"):
        run_demo(shop.url, "wk_wrong", shop.keys["api_key"], "shop", EVENTS, lambda *report: None, now=shop.now)
    with pytest.raises(AlmanacError, match="key"):
        run_demo(shop.url, shop.keys["write_key"], "rk_wrong", "shop", EVENTS, lambda *report: None, now=shop.now)


def test_the_commands_work_as_they_are_printed(shop: Shop) -> None:
    program = Path(sys.executable).parent / "almanac"
    if not program.is_file() or not shutil.which("curl"):
        pytest.skip("needs the installed command line and curl")
    said = commands(shop.url, "shop", shop.keys["api_key"], program=str(program), data=str(shop.data))
    answers = [subprocess.run(line, shell=True, capture_output=True, text=True, env=os.environ, check=True).stdout for line in said]
    assert "begin_checkout" in answers[0]
    assert "GBP" in answers[1]
    assert json.loads(answers[2])["kind"] == "retention"
