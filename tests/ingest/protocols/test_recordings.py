"""What real SDKs sent, replayed: every message becomes one event, none a dead letter, whatever it is wrapped in."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDINGS = Path(__file__).parents[3] / ".." / "shared" / "recordings"
SDKS = {"segment_python": 275, "rudder_node": 141, "posthog_python": 303, "posthog_js": 29}  # events in each recording
PROTOCOLS = {"segment_python": "segment", "rudder_node": "rudderstack", "posthog_python": "posthog", "posthog_js": "posthog"}
EVENT_PATHS = ("/v1/batch", "/batch/", "/e/", "/i/v0/e/", "/i/v1/analytics/events", "/i/v0/ai/batch/", "/s/")


def recorded(sdk: str) -> Iterator[dict[str, Any]]:
    file = RECORDINGS / f"{sdk}.jsonl"
    if not file.is_file():
        pytest.skip(f"the recordings are not beside the checkout: {file}")
    with file.open() as lines:
        yield from map(json.loads, lines)


def messages(body: bytes, encoding: str | None) -> list[Any]:
    """An independent reading of the body."""
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    elif encoding == "deflate":
        body = zlib.decompress(body)
    if body.startswith(b"data="):
        from urllib.parse import parse_qs

        body = base64.b64decode(parse_qs(body.decode())["data"][0])
    read = json.loads(body)
    found = read["batch"] if isinstance(read, dict) and "batch" in read else read if isinstance(read, list) else [read]
    return list(found)


@pytest.mark.parametrize("sdk", SDKS)
def test_every_message_becomes_one_event(sdk: str, door: Any) -> None:
    seen = 0
    for request in recorded(sdk):
        if request["path"] not in EVENT_PATHS or request["method"] != "POST":
            continue
        door.clear()
        body = base64.b64decode(request["body_b64"] or "")
        reply = door.send("POST", request["path"], body, headers=request["headers"], query=request["query"] or "")
        assert reply.status == 200, reply.body
        expected = messages(body, request["content_encoding"])
        assert door.dead == []
        assert len(door.events) == len(expected)
        for event, message in zip(door.events, expected, strict=True):
            assert (event.project, event.protocol) == ("p1", PROTOCOLS[sdk])
            assert event.event_id == (message.get("messageId") or message["uuid"])
            assert event.name == (message.get("event") or message.get("name") or message["type"])
            assert event.client_time == (message.get("timestamp") or message.get("originalTimestamp"))
            sent = message.get("properties", {})
            assert same(json.loads(bytes(event.properties)), sent)
        seen += len(expected)
    assert seen == SDKS[sdk]
    assert door.unexpected == 0


@pytest.mark.parametrize("sdk", SDKS)
def test_no_request_of_these_sdks_is_unknown(sdk: str, door: Any) -> None:
    for request in recorded(sdk):
        if request["path"].startswith(("/i/v1/metrics", "/i/v1/traces", "/i/v1/logs", "/static/")):
            continue
        body = base64.b64decode(request["body_b64"] or "")
        reply = door.send(request["method"], request["path"], body, headers=request["headers"], query=request["query"] or "")
        assert reply.status == 200, (request["path"], reply.body)


def same(stored: Any, sent: Any) -> bool:
    """Equal but for what JSON cannot hold: NaN and Infinity are stored as texts, lone surrogates as U+FFFD."""
    if isinstance(sent, float) and (sent != sent or sent in (float("inf"), float("-inf"))):
        return bool(stored == {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(sent)])
    if isinstance(sent, str):
        return bool(stored == "".join("�" if "\ud800" <= letter <= "\udfff" else letter for letter in sent))
    if isinstance(sent, dict):
        return stored.keys() == sent.keys() and all(same(stored[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return len(stored) == len(sent) and all(map(same, stored, sent))
    return bool(stored == sent)
