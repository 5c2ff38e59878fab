"""What real SDKs sent, with a mistake in it: no accident, and the good messages beside the bad one are stored."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.protocols.mutations import changed
from tests.ingest.protocols.test_recordings import EVENT_PATHS, SDKS, messages, recorded

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
UNPACKED = ("content-encoding", "content-length", "content-type")


@cache
def requests(sdk: str) -> list[tuple[str, dict[str, str], dict[str, Any], list[Any]]]:
    """Path, headers, what is around the messages, and some messages, of each recorded request that has a list of them."""
    found = []
    for request in recorded(sdk):
        if request["path"] in EVENT_PATHS and request["method"] == "POST":
            body = base64.b64decode(request["body_b64"] or "")
            around = request["decoded"]
            if isinstance(around, dict) and "batch" in around:
                headers = {name: value for name, value in request["headers"].items() if name.lower() not in UNPACKED}
                found.append((request["path"], headers, around, messages(body, request["content_encoding"])[:4]))
    return found


def id_of(message: Any) -> str:
    return str(message.get("messageId") or message.get("uuid"))


def a_mistake_costs_one_message(sdk: str, door: Any, data: st.DataObject) -> None:
    path, headers, around, good = data.draw(st.sampled_from(requests(sdk)))
    bad = data.draw(changed(data.draw(st.sampled_from(good))))
    place = data.draw(st.integers(0, len(good)))
    door.clear()
    body = {**around, "batch": [*good[:place], bad, *good[place:]]}
    written = json.dumps(body, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    reply = door.send("POST", path, written, headers=headers)
    assert reply.status == 200, reply.body
    assert door.unexpected == 0
    stored = [event.event_id for event in door.events]
    for message in good:
        assert id_of(message) in stored
    beyond = len(stored) - len(good) + len(door.dead)
    assert beyond == (len(bad) if isinstance(bad, list) else 1)


def a_broken_body_is_no_accident(sdk: str, door: Any, data: st.DataObject) -> None:
    path, headers, around, good = data.draw(st.sampled_from(requests(sdk)))
    written = bytearray(json.dumps({**around, "batch": good}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(written) - 1))
        written[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    door.clear()
    reply = door.send("POST", path, bytes(written), headers=headers)
    assert reply.status in (200, 400, 401, 413, 415), reply.body
    assert door.unexpected == 0


@pytest.mark.parametrize("sdk", SDKS)
@QUICK
@given(data=st.data())
def test_a_mistake_costs_one_message(sdk: str, door: Any, data: st.DataObject) -> None:
    a_mistake_costs_one_message(sdk, door, data)


@pytest.mark.parametrize("sdk", SDKS)
@QUICK
@given(data=st.data())
def test_a_broken_body_is_no_accident(sdk: str, door: Any, data: st.DataObject) -> None:
    a_broken_body_is_no_accident(sdk, door, data)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("sdk", SDKS)
@LONG
@given(data=st.data())
def test_many_mistakes(sdk: str, door: Any, data: st.DataObject) -> None:
    a_mistake_costs_one_message(sdk, door, data)
    a_broken_body_is_no_accident(sdk, door, data)
