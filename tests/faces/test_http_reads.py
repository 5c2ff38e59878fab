"""A developer integrates: sends events, sees them at once, finds who is who, mends what was refused, and the books agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys


@pytest.fixture(scope="module")
def shop(house: House) -> Keys:
    keys = house.project("integration shop")
    house.send(
        keys.project,
        {"event": "visit", "distinct_id": "anna-browser", "id": "e1", "properties": {"path": "/tickets", "seats": 2}},
        {"event": "order", "distinct_id": "anna", "anonymous_id": "anna-browser", "id": "e2", "properties": {"total": 2**70}},
        {"event": "order", "distinct_id": "ben", "id": "e3", "profile": {"set": {"plan": "pro"}, "set_once": {"first": "google"}}},
    )
    house.send(
        keys.project,
        {"event": "order", "distinct_id": "ben", "id": "e4", "profile": {"set": {"plan": "free"}, "set_once": {"first": "bing"}}},
    )
    return keys


def get(house: House, keys: Keys, path: str, **query: Any) -> Any:
    answer = house.client.get(f"/api/v1/projects/{keys.project}/{path}", params=query, headers={"Authorization": f"Bearer {keys.read}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_latest_events_are_there_at_once_newest_first(house: House, shop: Keys) -> None:
    events = get(house, shop, "events")
    assert [event["event_id"] for event in events] == ["e4", "e3", "e2", "e1"]
    visit = events[-1]
    assert (visit["event"], visit["distinct_id"], visit["properties"]) == ("visit", "anna-browser", {"path": "/tickets", "seats": 2})
    assert datetime.now(UTC) - datetime.fromisoformat(visit["time_received"]) < timedelta(minutes=5)
    assert events[2]["properties"] == {"total": 2**70}, "numbers keep all their digits"
    assert [event["event_id"] for event in get(house, shop, "events", event="order", limit=2)] == ["e4", "e3"]
    assert [event["event_id"] for event in get(house, shop, "events", distinct_id="anna")] == ["e2"]


def test_events_of_long_ago_count_as_latest_when_they_come_now(house: House) -> None:
    keys = house.project("history")
    house.send(keys.project, {"event": "old", "distinct_id": "a", "time": "2020-01-01T00:00:00Z"})
    [event] = get(house, keys, "events")
    assert event["time"] == "2020-01-01T00:00:00Z"


def test_names_and_properties(house: House, shop: Keys) -> None:
    names = get(house, shop, "event-names")
    assert [(name["event"], name["count"]) for name in names] == [("order", 3), ("visit", 1)]
    found = {(entry["property"], entry["type"]) for entry in get(house, shop, "properties", event="visit")}
    assert found == {("path", "String"), ("seats", "Int64")}


def test_one_person_under_two_ids_until_the_merge_is_undone(house: House, shop: Keys) -> None:
    anna = get(house, shop, "people/anna")
    assert anna["ids"] == ["anna", "anna-browser"]
    assert [event["event_id"] for event in anna["events"]] == ["e2", "e1"]
    [edge] = anna["edges"]
    assert (edge["source"], edge["target"], edge["how"], edge["state"]) == ("anna-browser", "anna", "identify", "in force")

    merge = f"/api/v1/projects/{shop.project}/merges/{edge['edge']}"
    admin = {"Authorization": f"Bearer {shop.admin}"}
    assert house.client.post(f"{merge}/undo", headers=admin).json() == {"edge": edge["edge"], "undone": True}
    alone = get(house, shop, "people/anna")
    assert (alone["ids"], [event["event_id"] for event in alone["events"]]) == (["anna"], ["e2"])
    assert house.client.post(f"{merge}/redo", headers=admin).json() == {"edge": edge["edge"], "undone": False}
    assert get(house, shop, "people/anna-browser")["ids"] == ["anna", "anna-browser"]


def test_properties_of_a_person(house: House, shop: Keys) -> None:
    assert get(house, shop, "people/ben")["properties"] == {"plan": "free", "first": "google"}


def test_nobody(house: House, shop: Keys) -> None:
    answer = house.client.get(f"/api/v1/projects/{shop.project}/people/nobody", headers={"Authorization": f"Bearer {shop.read}"})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Nobody used the id 'nobody'."


def test_a_dead_letter_is_mended_and_the_books_agree(house: House) -> None:
    keys = house.project("dead letters")
    path, admin = f"/api/v1/projects/{keys.project}/dead-letters", {"Authorization": f"Bearer {keys.admin}"}
    house.spoil(keys.project, '{"distinct_id": "carla"}')
    house.spoil(keys.project, "?")
    waiting = house.client.get(path, headers=admin).json()
    assert [(letter["original"], letter["reason"]) for letter in waiting] == [("?", "no_name"), ('{"distinct_id": "carla"}', "no_name")]
    assert house.client.get(path, headers=admin, params={"reason": "too_large"}).json() == []

    ids = {letter["original"]: letter["id"] for letter in waiting}
    mended = {
        "ids": [ids['{"distinct_id": "carla"}']],
        "edits": {ids['{"distinct_id": "carla"}']: '{"event": "order", "distinct_id": "carla"}'},
    }
    assert house.client.post(f"{path}/replay", headers=admin, json=mended).json() == {"replayed": 1, "failed": []}
    again = house.client.post(f"{path}/replay", headers=admin, json={}).json()
    assert again == {"replayed": 0, "failed": [{"id": ids["?"], "reason": "no_name"}]}
    assert house.client.post(f"{path}/discard", headers=admin, json={"ids": [ids["?"]]}).json() == {"discarded": 1}
    assert house.client.get(path, headers=admin).json() == []
    house.loader.drain()
    assert [event["distinct_id"] for event in get(house, keys, "events")] == ["carla"]

    [*lines] = get(house, keys, "ledger")
    totals = {name: sum(line[name] for line in lines) for name in ("accepted", "stored", "duplicate", "rejected", "in_flight", "gap")}
    assert totals == {"accepted": 3, "stored": 1, "duplicate": 0, "rejected": 2, "in_flight": 0, "gap": 0}
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert get(house, keys, "ledger", since=tomorrow) == []
