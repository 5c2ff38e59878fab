"""What was said a moment ago is said again: to those who may hear it, and only while nothing changed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from tests.faces.conftest import House, Keys

from almanac.web import again
from almanac.web.rest import create_app

TREND = {"kind": "trend", "series": ["visit"], "last": "7 days"}


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("said again")
    house.send(keys.project, {"event": "visit", "distinct_id": "ann"})
    return keys


class Watched:
    """The app, with how many questions reached its rooms."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state: Any = 1
        self.reached = 0
        self.client = TestClient(create_app(replace(house.rooms, state=lambda: self.state)))
        engine, kept = house.rooms.engine, house.rooms.engine.kept

        def counted(*given: Any) -> Any:
            self.reached += 1
            return kept(*given)

        monkeypatch.setattr(engine, "kept", counted)

    def ask(self, keys: Keys, key: str = "", **more: Any) -> Any:
        return self.client.post(
            f"/api/v1/projects/{keys.project}/ask", json={**TREND, **more}, headers={"Authorization": f"Bearer {key or keys.read}"}
        )


@pytest.fixture
def watched(house: House, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(again, "MOMENT", 30.0)
    return Watched(house, monkeypatch)


def test_the_same_question_is_answered_once(watched: Watched, shop: Keys) -> None:
    first, second = watched.ask(shop), watched.ask(shop)
    assert (first.status_code, second.status_code, watched.reached) == (200, 200, 1)
    assert first.json() == second.json()
    assert watched.ask(shop, interval="week").status_code == 200
    assert watched.reached == 2
    text = watched.client.get("/metrics").text
    assert 'almanac_questions_total{kind="trend",outcome="ok"} 3.0' in text, "what is said again is counted too"


def test_whoever_may_not_hear_it_is_refused(watched: Watched, shop: Keys, house: House) -> None:
    another = house.project("another")
    watched.ask(shop)
    for key, status in (("wrong", 401), (shop.write, 403), (another.read, 404)):
        assert watched.ask(shop, key).status_code == status
    assert watched.ask(shop, shop.admin).status_code == 200
    assert watched.ask(shop, shop.admin).status_code == 200
    assert watched.reached == 2, "each right is looked at once"


def test_new_data_and_changes_are_seen_at_once(watched: Watched, shop: Keys) -> None:
    watched.ask(shop)
    watched.state = 2
    watched.ask(shop)
    assert watched.reached == 2
    changed = watched.client.patch(
        f"/api/v1/projects/{shop.project}", json={"zone": "Europe/Berlin"}, headers={"Authorization": f"Bearer {shop.admin}"}
    )
    assert changed.status_code == 200
    assert watched.ask(shop).json()["receipt"]["timezone"] == "Europe/Berlin"
    watched.state = None
    watched.ask(shop)
    watched.ask(shop)
    assert watched.reached == 5, "where nobody knows, all go through"


def test_a_moment_passes(house: House, shop: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "MOMENT", 0.05)
    watched = Watched(house, monkeypatch)
    watched.ask(shop)
    time.sleep(0.06)
    watched.ask(shop)
    assert watched.reached == 2


def test_errors_are_not_said_again(watched: Watched, shop: Keys) -> None:
    for _ in range(2):
        assert watched.ask(shop, series=[]).status_code == 400
    assert watched.reached == 2


def test_a_crowd_that_misses_a_kept_answer_waits_for_one_run(house: House, shop: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred at once, more than there are threads for questions: all are answered."""
    monkeypatch.setattr(again, "MOMENT", 0.0)
    app = create_app(house.rooms)
    question = {"kind": "sql", "sql": "SELECT max(sipHash64(number, 1)) AS m FROM numbers(60000000)"}
    headers = {"Authorization": f"Bearer {shop.read}"}

    async def all_of_them() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60) as client:
            path = f"/api/v1/projects/{shop.project}/ask"
            answers = await asyncio.gather(*(client.post(path, json=question, headers=headers) for _ in range(200)))
            return [answer.status_code for answer in answers]

    assert set(asyncio.run(all_of_them())) == {200}


def test_tiles_that_are_asked_for_make_nothing_forgotten(watched: Watched, shop: Keys, house: House) -> None:
    house.rooms.definitions.save(shop.project, "board", "b", {"title": "B"})
    watched.ask(shop)
    headers = {"Authorization": f"Bearer {shop.read}"}
    assert watched.client.post(f"/api/v1/projects/{shop.project}/boards/b/tiles/none", json={}, headers=headers).status_code == 404
    watched.ask(shop)
    assert watched.reached == 1
