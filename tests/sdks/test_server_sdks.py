"""Vendors' SDKs for servers send all that they can; every call is stored once, as it was meant, over a line that fails at first."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import pytest

FAILURES = ("500", "429", "close")


def meaning(events: list[Any]) -> dict[str, dict[str, Any]]:
    """What is worth comparing of each event, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        merges = [(merge.source, merge.target, merge.how) for merge in event.merges]
        told = {
            "kind": event.kind,
            "id": event.distinct_id,
            "merges": merges,
            "properties": {key: value for key, value in json.loads(bytes(event.properties)).items() if key[0] != "$"},
            "profile": json.loads(bytes(event.profile)),
            "groups": json.loads(bytes(event.groups)),
            "group_profile": json.loads(bytes(event.group_profile)),
        }
        found[event.name] = {key: value for key, value in told.items() if value}
    return found


def once(events: list[Any]) -> None:
    assert len({event.event_id for event in events}) == len(events)
    assert all(event.is_server and not event.ip and not event.user_agent for event in events)
    assert all(event.client_time and event.sent_time for event in events)


PRICE = {"price": 12.5, "label": "Grüße 🎉"}
SEGMENT = {
    "Viewed": {"kind": "track", "id": "a1", "properties": PRICE},
    "identify": {"kind": "identify", "id": "u1", "merges": [("a1", "u1", "identify")], "profile": {"set": {"plan": "pro"}}},
    "Bought": {"kind": "track", "id": "u1", "properties": {"revenue": 12.5, "currency": "EUR"}},
    "alias": {"kind": "alias", "id": "u2", "merges": [("u1", "u2", "alias")]},
    "group": {
        "kind": "group",
        "id": "u1",
        "groups": {"group": "acme"},
        "group_profile": {"type": "group", "key": "acme", "set": {"seats": 5}},
    },
    "Home": {"kind": "page", "id": "u1", "properties": {"url": "https://x.example/"}},
    "Login": {"kind": "screen", "id": "u1"},
}
POSTHOG = {
    "bought": {"kind": "track", "id": "u1", "properties": PRICE, "groups": {"company": "acme"}},
    "$create_alias": {
        "kind": "alias",
        "id": "u1",
        "merges": [("old", "u1", "alias")],
        "properties": {"distinct_id": "u1", "alias": "old"},
    },
    "$groupidentify": {"kind": "group_profile", "group_profile": {"type": "company", "key": "acme", "set": {"seats": 5}}},
    "$exception": {"kind": "exception", "id": "u1"},
}


@pytest.mark.parametrize("packed", [False, True])
def test_segment_python(packed: bool, server: Any, flaky: Callable[..., Any]) -> None:
    from segment.analytics.client import Client

    line = flaky(*FAILURES)
    errors: list[Any] = []
    client = Client("test-write-key", host=line.url, gzip=packed, on_error=lambda error, batch: errors.append(error), upload_interval=0.1)
    client.track(anonymous_id="a1", event="Viewed", properties=PRICE)
    client.identify("u1", anonymous_id="a1", traits={"plan": "pro"})
    client.track("u1", "Bought", {"revenue": 12.5, "currency": "EUR"})
    client.alias("u1", "u2")
    client.group("u1", "acme", {"seats": 5})
    client.page("u1", None, "Home", {"url": "https://x.example/"})
    client.screen("u1", None, "Login")
    client.shutdown()
    events = server.events(7)
    once(events)
    assert errors == []
    assert meaning(events) == SEGMENT
    sent = {message["messageId"] for body in line.bodies() for message in body["batch"]}
    assert len(line.refused) == 3
    assert sent <= {event.event_id for event in events}


@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_posthog_python(mode: str, server: Any, flaky: Callable[..., Any]) -> None:
    from posthog import Posthog

    logging.getLogger("posthog").disabled = True
    line = flaky(*FAILURES)
    errors: list[Any] = []
    client = Posthog(
        "test-write-key", host=line.url, on_error=lambda error, batch: errors.append(error), capture_mode=mode, flush_interval=0.1
    )
    client.capture("bought", distinct_id="u1", properties=PRICE, groups={"company": "acme"})
    client.alias("u1", "old")
    client.group_identify("company", "acme", {"seats": 5})
    client.set(distinct_id="u1", properties={"plan": "pro"})
    client.capture_exception(ValueError("boom"), distinct_id="u1")
    client.shutdown()
    events = server.events(5)
    once(events)
    assert errors == []
    assert meaning(events) == {**POSTHOG, "$set": {"kind": "profile", "id": "u1", "profile": {"set": {"plan": "pro"}}}}
    assert all((event.library, event.library_version != "") == ("posthog-python", True) for event in events)
    sent = {message["uuid"] for body in line.bodies() for message in body["batch"]}
    assert sent <= {event.event_id for event in events}


@pytest.mark.node
def test_segment_node(server: Any, flaky: Callable[..., Any], node: Callable[..., None]) -> None:
    line = flaky(*FAILURES)
    node("drivers/segment_node.mjs", line.url, "test-write-key")
    events = server.events(7)
    once(events)
    found = meaning(events)
    assert found == SEGMENT
    assert {event.client_time for event in events if event.name == "Login"} == {"2026-02-28T12:00:00+02:00"}
    sent = {message["messageId"] for body in line.bodies() for message in body["batch"]}
    assert len(line.refused) == 3
    assert sent <= {event.event_id for event in events}


@pytest.mark.node
@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_posthog_node(mode: str, server: Any, flaky: Callable[..., Any], node: Callable[..., None], monkeypatch: Any) -> None:
    monkeypatch.setenv("POSTHOG_CAPTURE_MODE", mode)
    line = flaky(*FAILURES)
    node("drivers/posthog_node.mjs", line.url, "test-write-key")
    events = server.events(6)
    once(events)
    found = meaning(events)
    found.pop("$feature_flag_called", None)
    assert found.pop("$identify")["profile"] == {"set": {"plan": "pro"}}
    assert found == POSTHOG
    assert server.unknown == []
    sent = {message["uuid"] for body in line.bodies() if "batch" in body for message in body["batch"]}
    assert sent <= {event.event_id for event in events}
    assert os.environ["POSTHOG_CAPTURE_MODE"] == mode
