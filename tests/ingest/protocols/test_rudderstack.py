"""RudderStack's messages, worked by hand, and how they are told apart from Segment's."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

PYTHON = "analytics-python/2.1.9"
NODE = "analytics-node/3.0.13"
KEY = {"authorization": "Basic " + base64.b64encode(b"test-write-key:").decode()}


def message(type_: str, **members: Any) -> dict[str, Any]:
    """As the SDK for Node makes it."""
    return {
        "type": type_,
        "messageId": "m1",
        "originalTimestamp": "2026-11-20T21:09:59Z",
        "sentAt": "2026-11-20T21:09:59.500Z",
        "channel": "server",
        "_metadata": {"nodeVersion": "20.20.2"},
        "context": {"library": {"name": "analytics-node", "version": "3.0.13"}},
        **members,
    }


def event(**members: Any) -> dict[str, Any]:
    """What every event of the SDK for Node says."""
    return {
        "project": "p1",
        "event_id": "m1",
        "received_us": 1_795_209_000_000_000,
        "client_time": "2026-11-20T21:09:59Z",
        "sent_time": "2026-11-20T21:09:59.500Z",
        "library": "analytics-node",
        "library_version": "3.0.13",
        "protocol": "rudderstack",
        "is_server": True,
        "flags": {"channel": "server"},
        "rest": {"_metadata": {"nodeVersion": "20.20.2"}},
        **members,
    }


def send(door: Any, *messages: Any, agent: str = NODE, path: str = "/v1/batch", **more: Any) -> Any:
    body = {"batch": list(messages), "timestamp": "2026-11-20T21:10:00Z", "sentAt": "2026-11-20T21:10:00Z", **more}
    return door.post(path, body, key=None, headers={**KEY, "user-agent": agent})


def only(door: Any, say: Any, sent: dict[str, Any], **more: Any) -> dict[str, Any]:
    door.clear()
    reply = send(door, sent, **more)
    assert reply.status == 200
    assert reply.json == {"status": 1, "success": True, "code": 200, "error": None, "results": {}}
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    return found


def test_each_type_of_call(door: Any, say: Any) -> None:
    track = message("track", userId="u1", event="Bought", properties={"revenue": 12.5, "currency": "EUR"})
    assert only(door, say, track) == event(
        kind="track", name="Bought", distinct_id="u1", user_id="u1", properties={"revenue": 12.5, "currency": "EUR"}
    )

    library = {"library": {"name": "analytics-node", "version": "3.0.13"}}
    traits = {"plan": "pro", "age": 30}
    merged = {"kind": "identify", "name": "identify", "distinct_id": "u1", "user_id": "u1", "anonymous_id": "a1"}
    merged |= {"merges": [("a1", "u1", "identify")], "profile": {"set": traits}}
    ids = {"userId": "u1", "anonymousId": "a1"}
    # The SDK for Node says the traits twice, the one for Python in the context alone: they are stored once.
    assert only(door, say, message("identify", traits=traits, context={"traits": traits, **library}, **ids)) == event(**merged)
    assert only(door, say, message("identify", context={"traits": traits, **library}, **ids)) == event(**merged)
    assert only(door, say, message("identify", traits=traits, **ids)) == event(**merged)
    differing = message("identify", traits={"plan": "free"}, context={"traits": traits, "locale": "de", **library}, **ids)
    rest = {"_metadata": {"nodeVersion": "20.20.2"}, "traits": {"plan": "free"}}
    assert only(door, say, differing) == event(**merged, context={"locale": "de"}, rest=rest)
    # What was known of the person when something else happened is no change of the profile.
    viewed = message("track", userId="u1", event="Viewed", context={"traits": traits, **library})
    assert only(door, say, viewed) == event(kind="track", name="Viewed", distinct_id="u1", user_id="u1", context={"traits": traits})

    alias = message("alias", userId="u1", previousId="old")
    assert only(door, say, alias) == event(kind="alias", name="alias", distinct_id="u1", user_id="u1", merges=[("old", "u1", "alias")])

    group = message("group", userId="u1", groupId="acme", traits={"seats": 5})
    assert only(door, say, group) == event(
        kind="group",
        name="group",
        distinct_id="u1",
        user_id="u1",
        groups={"group": "acme"},
        group_profile={"type": "group", "key": "acme", "set": {"seats": 5}},
    )

    page = message("page", userId="u1", name="Home", properties={"url": "https://x.example/"})
    assert only(door, say, page) == event(
        kind="page", name="Home", distinct_id="u1", user_id="u1", properties={"url": "https://x.example/"}, url="https://x.example/"
    )

    screen = message("screen", userId="u1", name="Login", properties={})
    assert only(door, say, screen) == event(kind="screen", name="Login", screen="Login", distinct_id="u1", user_id="u1")


def test_the_apps_time_goes_before_the_sdks(door: Any, say: Any) -> None:
    sent = message("track", userId="u1", event="Past", timestamp="2026-11-18T18:09:39.964Z")
    found = only(door, say, sent)
    assert found["client_time"] == "2026-11-18T18:09:39.964Z"
    assert found["rest"]["originalTimestamp"] == "2026-11-20T21:09:59Z"


def test_a_forks_requests_are_known_by_the_channel(door: Any) -> None:
    """The same User-Agent and library as Segment's: only the channel tells, and only that of the message itself."""
    plain = {"type": "track", "messageId": "m1", "userId": "u1", "event": "E"}
    library = {"library": {"name": "analytics-python", "version": "2.4.0"}}
    rudder = {"type": "track", "context": {"library": {"name": "RudderLabs JavaScript SDK"}}, "channel": "web", **plain}
    for agent, first, more, protocol in (
        (PYTHON, {**plain, "channel": "server", "context": library}, {}, "rudderstack"),
        (PYTHON, {**plain, "context": library}, {"writeKey": "test-write-key"}, "segment"),
        (PYTHON, {**plain, "context": library, "properties": {"channel": "email"}}, {}, "segment"),
        (PYTHON, {**plain, "channel": "", "context": library}, {}, "segment"),
        (NODE, {**plain, "channel": "server", "properties": {"ratio": float("nan")}}, {}, "rudderstack"),
        (NODE, {**plain, "properties": {"ratio": float("nan"), "channel": "email"}}, {}, "segment"),
        (NODE, {**plain, "channel": 7}, {}, "rudderstack"),
        ("analytics-node-next/latest", {**plain, "writeKey": "w"}, {"writeKey": "test-write-key"}, "segment"),
        ("Mozilla/5.0", rudder, {}, "rudderstack"),
        ("Mozilla/5.0", {**rudder, "context": {"library": {"name": "analytics.js"}, "page": {"title": "Rudder"}}}, {}, "segment"),
        ("okhttp/4.12", {**plain, "context": {"library": {"name": "com.rudderstack.android.sdk.core"}}}, {}, "rudderstack"),
        ("rudder-go/4.2", plain, {}, "rudderstack"),
        ("", {**plain, "channel": "server", "context": library}, {}, "segment"),
    ):
        door.clear()
        assert send(door, first, plain | {"messageId": "m2"}, agent=agent, **more).status == 200
        assert [stored.protocol for stored in door.events] == [protocol] * 2, (agent, first)


def test_single_calls(door: Any) -> None:
    sent = {"userId": "u1", "channel": "web", "context": {"library": {"name": "RudderLabs JavaScript SDK"}, "traits": {"plan": "pro"}}}
    kinds = {"i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}
    for word, kind in (*kinds.items(), *((kind, kind) for kind in kinds.values())):
        for path in (f"/v1/{word}", f"/v1/{word}/"):
            door.clear()
            assert door.post(path, sent, key=None, headers={**KEY, "user-agent": "Mozilla/5.0"}).status == 200
            (stored,) = door.events
            assert (stored.protocol, stored.kind, stored.is_server, stored.ip) == ("rudderstack", kind, False, "203.0.113.9")
    assert json.loads(bytes(stored.context)) == {"traits": {"plan": "pro"}}


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_packed_under_any_content_type(content_type: str, door: Any) -> None:
    body = gzip.compress(json.dumps({"batch": [message("track", userId="u1", event="E")]}).encode())
    for encoding in ({"content-encoding": "gzip"}, {}):
        door.clear()
        headers = {**KEY, "user-agent": NODE, "content-type": content_type, **encoding}
        assert door.send("POST", "/v1/batch", body, headers=headers).status == 200
        assert [(stored.name, stored.protocol) for stored in door.events] == [("E", "rudderstack")]


def test_a_bad_message_is_rejected_alone_and_can_be_sent_again(door: Any) -> None:
    good = message("track", userId="u1", event="Good")
    reply = send(door, good, message("track", userId="u1"), "text")
    assert reply.status == 200
    assert [(found["index"], found["reason"]) for found in reply.json["rejected"]] == [(1, "no_name"), (2, "not_an_object")]
    assert [stored.name for stored in door.events] == ["Good"]
    assert [letter["stage"] for letter in door.dead] == ["decode", "decode"]
    assert json.loads(door.dead[0]["original"])["channel"] == "server"

    from almanac.ingest.replay import decode

    mended = json.dumps({**json.loads(door.dead[0]["original"]), "event": "Mended"})
    (again,) = decode(door.settings, "p1", "rudderstack", mended)
    assert (again.name, again.protocol, again.kind, again.is_server, again.ip) == ("Mended", "rudderstack", "track", True, "")


def test_what_stops_its_retries(door: Any, doors: Any) -> None:
    """The SDK for Python sends again for ever what is refused without `code` and `message`."""
    small = doors(body_limit=2048)
    over = send(small, message("track", userId="u1", event="E", properties={"x": "y" * 4096}))
    wrong = door.post("/v1/batch", {"batch": []}, key=None, headers={"user-agent": NODE})
    broken = door.post("/v1/batch", b'{"batch": [', key=None, headers={**KEY, "user-agent": NODE})
    for reply, status in ((over, 413), (wrong, 401), (broken, 400)):
        assert reply.status == status
        assert reply.json["code"] == status
        assert reply.json["message"]
        assert reply.json["missing_field"]
