"""What the trackers of Snowplow, GA4 and Matomo say: the same acts, told by different SDKs, arrive as the same."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DRIVERS = Path(__file__).parent / "drivers"
KEY = "test-write-key"


def python(script: str, host: str) -> None:
    command = [sys.executable, str(DRIVERS / script), host, KEY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def by_name(events: list[Any]) -> dict[str, Any]:
    assert len({event.event_id for event in events}) == len(events)
    assert {event.project for event in events} == {"p1"}
    assert all(event.is_server and not event.ip and not event.user_agent for event in events)
    return {event.name: event for event in events}


def properties(event: Any) -> Any:
    return json.loads(bytes(event.properties))


def one_person(events: list[Any], anonymous: str) -> None:
    assert {(event.distinct_id, event.user_id, event.anonymous_id) for event in events} == {("u1", "u1", anonymous)}
    merges = {(merge.source, merge.target, merge.how) for event in events for merge in event.merges}
    assert merges == {(anonymous, "u1", "same-event")}


def snowplow(events: list[Any]) -> None:
    found = by_name(events)
    one_person(events, "a1")
    assert {event.session_id for event in events} == {"s1"}
    view, play = found["page_view"], found["play"]
    assert (view.kind, view.url, view.title) == ("page", "https://x.example/", "Home")
    assert properties(found["bought"]) == {"revenue": 12.5, "currency": "EUR", "label": "Grüße 🎉"}
    assert properties(play) == {"se_ca": "video", "se_la": "trailer", "se_va": 2.5}
    entities = json.loads(bytes(play.context))["entities"]
    assert {"schema": "iglu:com.acme/user/jsonschema/1-0-0", "data": {"plan": "pro"}} in entities
    assert (found["page_ping"].kind, properties(found["page_ping"])) == ("ping", {"pp_may": 500})
    assert (found["screen_view"].kind, found["screen_view"].screen) == ("screen", "Login")
    assert all(event.client_time and event.sent_time for event in events)


def test_snowplow_python(server: Any) -> None:
    python("snowplow_python.py", server.url)
    snowplow(server.events(5))


@pytest.mark.node
def test_snowplow_node(server: Any, node: Callable[..., None]) -> None:
    node("drivers/snowplow_node.mjs", server.url, KEY)
    events = server.events(7)
    snowplow(events)
    found = by_name(events)
    assert properties(found["transaction"]) == {"order_id": "o1", "total": 12.5, "currency": "EUR"}
    assert properties(found["transaction_item"]) == {"order_id": "o1", "sku": "S-1", "price": 12.5, "quantity": 1, "currency": "EUR"}


def test_ga4(server: Any) -> None:
    python("ga4_python.py", server.url)
    events = server.events(3)
    found = by_name(events)
    one_person(events, "a1")
    view = found["page_view"]
    assert (view.kind, view.url, view.title) == ("page", "https://x.example/", "Home")
    bought = properties(found["purchase"])
    assert (bought["value"], bought["currency"]) == (12.5, "EUR")
    assert properties(found["play"])["label"] == "Grüße 🎉"
    assert json.loads(bytes(view.profile)) == {"set": {"plan": "pro"}}
    assert all(event.session_id for event in events)


@pytest.mark.node
def test_matomo(server: Any, node: Callable[..., None]) -> None:
    node("drivers/matomo_node.mjs", server.url, KEY)
    events = server.events(3)
    found = by_name(events)
    one_person(events, "0123456789abcdef")
    view = found["page_view"]
    assert (view.kind, view.url, view.title) == ("page", "https://x.example/", "Home")
    assert properties(found["play"]) == {"e_c": "video", "e_n": "Grüße 🎉", "e_v": 2.5}
    assert properties(found["order"]) == {"order_id": "o1", "revenue": 12.5}
