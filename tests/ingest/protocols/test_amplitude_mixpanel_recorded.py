"""What Amplitude's and Mixpanel's SDKs for Node really sent: replayed whole, replayed twice, and mutated."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.protocols.test_recordings import same

RECORDINGS = Path(__file__).parents[3] / ".." / "shared" / "recordings"
EVENTS = {"amplitude_node": 139, "mixpanel_node": 151}


@cache
def requests(sdk: str) -> tuple[dict[str, Any], ...]:
    file = RECORDINGS / f"{sdk}.jsonl"
    if not file.is_file():
        pytest.skip(f"the recordings are not beside the checkout: {file}")
    return tuple(json.loads(line) for line in file.read_text().splitlines())


def messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    """An independent reading of a request."""
    body = base64.b64decode(request["body_b64"] or "")
    if request["path"] in ("/2/httpapi", "/batch"):
        return list(json.loads(body)["events"])
    fields = parse_qs(body.decode() or request["query"])
    read = json.loads(base64.b64decode(fields["data"][0]))
    return read if isinstance(read, list) else [read]


def send(door: Any, request: dict[str, Any], body: bytes | None = None) -> Any:
    body = base64.b64decode(request["body_b64"] or "") if body is None else body
    return door.send(request["method"], request["path"], body, headers=request["headers"], query=request["query"] or "")


@pytest.mark.parametrize("sdk", EVENTS)
def test_every_message_becomes_one_event(sdk: str, door: Any) -> None:
    seen = 0
    for request in requests(sdk):
        door.clear()
        reply = send(door, request)
        assert reply.status == 200, reply.body
        assert reply.body == b"1" or (reply.json["status"], reply.json["code"]) == (1, 200)
        expected = messages(request)
        assert door.dead == []
        assert len(door.events) == len(expected)
        for event, message in zip(door.events, expected, strict=True):
            assert event.project == "p1"
            assert event.name == (message.get("event_type") or message.get("event") or next(word for word in message if word in CHANGES))
            sent = message.get("event_properties") or message.get("properties") or {}
            stored = json.loads(bytes(event.properties))
            assert same({name: stored.get(name) for name in sent}, sent)
        seen += len(expected)
    assert seen == EVENTS[sdk]
    assert door.unexpected == 0


CHANGES = ("$set", "$set_once", "$add", "$append", "$union", "$unset", "$remove", "$delete")


@pytest.mark.parametrize("sdk", EVENTS)
def test_replayed_twice_counts_once(sdk: str, door: Any) -> None:
    """Where the message brings an id or a time; without both, each call is an event of its own (that SDK never sends again)."""
    for request in requests(sdk):
        door.clear()
        send(door, request)
        door.now_us += 1_000_000
        send(door, request)
        half = len(door.events) // 2
        for message, first, second in zip(messages(request), door.events[:half], door.events[half:], strict=True):
            inner = message.get("properties", message)
            if any(name in inner for name in ("insert_id", "$insert_id", "time", "$time")):
                assert first.event_id == second.event_id
            elif "$transactions" not in json.dumps(message):
                assert first.event_id != second.event_id


def test_the_duplicate_of_the_recordings_is_told(door: Any) -> None:
    for sdk in EVENTS:
        door.clear()
        for request in requests(sdk):
            send(door, request)
        twice = [event.event_id for event in door.events if event.name == "Duplicate"]
        assert len(twice) == 2
        assert len(set(twice)) == 1


# -------------------------------------------------------------------- mutations

junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(st.characters(codec=None), max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something can be changed in a message."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


@st.composite
def mutated(draw: Any, sdk: str) -> tuple[dict[str, Any], list[Any], int]:
    """A request, its messages of which one was changed, and that one's place."""
    request = draw(st.sampled_from(requests(sdk)))
    found = copy.deepcopy(messages(request))[:6]
    at = draw(st.integers(0, len(found) - 1))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(found[at]))))
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if not path:
            found[at] = draw(junk) if what == "replace" else found[at]
            continue
        holder = found[at]
        for step in path[:-1]:
            holder = holder[step]
        if what == "replace":
            holder[path[-1]] = draw(junk)
        elif what == "remove" or not isinstance(holder, dict):
            del holder[path[-1]]
        else:
            holder[draw(st.text(max_size=6))] = draw(junk)
        if not isinstance(found[at], (dict, list)):
            break
    return request, found, at


def packed(request: dict[str, Any], found: list[Any]) -> tuple[str, bytes, str]:
    """The request with these messages: its method, body and query."""
    if request["path"] in ("/2/httpapi", "/batch"):
        around = json.loads(base64.b64decode(request["body_b64"]))
        return "POST", json.dumps({**around, "events": found}).encode(), ""
    data = base64.b64encode(json.dumps(found).encode()).decode()
    return "POST", b"verbose=1&data=" + data.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D").encode(), ""


def survives(door: Any, request: dict[str, Any], found: list[Any], at: int) -> None:
    door.clear()
    method, body, query = packed(request, found)
    others = [message for place, message in enumerate(found) if place != at]
    basic = {"authorization": "Basic " + base64.b64encode(b"test-write-key:").decode()}
    reply = door.send(method, request["path"], body, headers={**basic, "content-type": "text/plain"}, query=query)
    assert door.unexpected == 0
    if reply.status != 200:
        # Only a request of which nothing is known to be good may be refused: the changed message was its only one.
        assert not others, (reply.status, reply.body)
        assert reply.status in (400, 401, 413), reply.body
        return
    names = [event.name for event in door.events]
    for message in others:
        name = message.get("event_type") or message.get("event") or next(word for word in message if word in CHANGES)
        assert name in names, (name, names, door.dead)
        names.remove(name)
    assert len(names) + len(door.dead) >= 1 or found[at] == []
    for event in door.events:
        assert event.event_id
        for part in ("properties", "profile", "context", "groups", "flags", "rest"):
            assert isinstance(json.loads(bytes(getattr(event, part))), dict)


def _mutations(sdk: str, door: Any, count: int) -> None:
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=mutated(sdk))
    def run(case: tuple[dict[str, Any], list[Any], int]) -> None:
        survives(door, *case)

    run()


@pytest.mark.parametrize("sdk", EVENTS)
def test_mutated_messages(sdk: str, door: Any) -> None:
    _mutations(sdk, door, 400)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("sdk", EVENTS)
def test_mutated_messages_at_length(sdk: str, door: Any) -> None:
    _mutations(sdk, door, 100_000)
