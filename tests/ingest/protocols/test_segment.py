"""Segment's messages, one of each type, worked by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

PYTHON = {"library": {"name": "analytics-python", "version": "2.4.0"}}


def batch(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"batch": list(messages), "sentAt": "2026-11-20T21:10:00Z", "writeKey": "test-write-key", **more}


def message(type_: str, **members: Any) -> dict[str, Any]:
    return {"type": type_, "messageId": "m1", "timestamp": "2026-11-20T21:09:59Z", "context": PYTHON, "integrations": {}, **members}


def event(is_server: bool = True, **members: Any) -> dict[str, Any]:
    """What every event of a server's SDK says."""
    return {
        "project": "p1",
        "event_id": "m1",
        "received_us": 1_795_209_000_000_000,
        "client_time": "2026-11-20T21:09:59Z",
        "sent_time": "2026-11-20T21:10:00Z",
        "library": "analytics-python",
        "library_version": "2.4.0",
        "protocol": "segment",
        **({"is_server": True} if is_server else {}),
        **members,
    }


def only(door: Any, say: Any, *messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    door.clear()
    reply = door.post("/v1/batch", batch(*messages), key=None, **more)
    assert reply.status == 200
    assert reply.json == {"status": 1, "success": True, "code": 200, "error": None, "results": {}}
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    return found


def test_each_type_of_call(door: Any, say: Any) -> None:
    track = message("track", userId="u1", anonymousId=None, event="Bought", properties={"price": 12.5})
    assert only(door, say, track) == event(kind="track", name="Bought", distinct_id="u1", user_id="u1", properties={"price": 12.5})

    identify = message("identify", userId="u1", anonymousId="a1", traits={"email": "x@example.com"})
    assert only(door, say, identify) == event(
        kind="identify",
        name="identify",
        distinct_id="u1",
        user_id="u1",
        anonymous_id="a1",
        merges=[("a1", "u1", "identify")],
        profile={"set": {"email": "x@example.com"}},
    )

    alias = message("alias", userId="u1", previousId="old")
    assert only(door, say, alias) == event(kind="alias", name="alias", distinct_id="u1", user_id="u1", merges=[("old", "u1", "alias")])

    group = message("group", anonymousId="a1", groupId="acme", traits={"seats": 5})
    assert only(door, say, group) == event(
        kind="group",
        name="group",
        distinct_id="a1",
        anonymous_id="a1",
        groups={"group": "acme"},
        group_profile={"type": "group", "key": "acme", "set": {"seats": 5}},
    )

    page = message("page", anonymousId="a1", name="Home", category="Docs", properties={"url": "https://x.example/", "title": "Home!"})
    assert only(door, say, page) == event(
        kind="page",
        name="Home",
        distinct_id="a1",
        anonymous_id="a1",
        properties={"url": "https://x.example/", "title": "Home!"},
        url="https://x.example/",
        title="Home!",
        rest={"category": "Docs"},
    )

    screen = message("screen", userId="u1", name="Login")
    assert only(door, say, screen) == event(kind="screen", name="Login", screen="Login", distinct_id="u1", user_id="u1")


def test_a_browser_brings_its_page_and_its_address(door: Any, say: Any) -> None:
    context = {
        "page": {"url": "https://x.example/p", "title": "P", "referrer": "https://g.example/", "path": "/p"},
        "library": {"name": "analytics.js", "version": "next-1.84.3"},
        "userAgent": "Mozilla/5.0 (X11)",
        "sessionId": 17,
        "groupId": "acme",
        "device": {"id": "d1"},
        "consent": {"categoryPreferences": {"ads": False}},
    }
    sent = message("track", anonymousId="a1", userId=None, event="Clicked", context=context, _metadata={"bundled": []})
    headers = {"user-agent": "Mozilla/5.0 (another)", "origin": "https://x.example"}
    assert only(door, say, sent, headers=headers) == event(
        kind="track",
        name="Clicked",
        distinct_id="a1",
        anonymous_id="a1",
        device_id="d1",
        session_id="17",
        groups={"group": "acme"},
        url="https://x.example/p",
        title="P",
        referrer="https://g.example/",
        ip="203.0.113.9",
        user_agent="Mozilla/5.0 (X11)",
        library="analytics.js",
        library_version="next-1.84.3",
        context={"device": {"id": "d1"}},  # all else has a home of its own
        flags={"consent": {"categoryPreferences": {"ads": False}}},
        rest={"_metadata": {"bundled": []}},
        is_server=False,
    )


def test_a_campaign_is_what_the_address_does_not_say_itself(door: Any) -> None:
    named = {"name": "spring", "source": "google", "medium": "", "term": None, "id": 7}
    for campaign, url, told in (
        (named, "https://x.example/", {"source": "google", "campaign": "spring"}),
        (named, "https://x.example/?a=1&utm_source=bing", {"campaign": "spring"}),
        (named, "https://x.example/?utm_source=bing&utm_campaign=may#utm", None),
        (named, "https://x.example/?utm_source=&xutm_campaign=1", {"source": "google", "campaign": "spring"}),
        ({"content": 5}, "", {"content": "5"}),
        ({}, "", None),
        ("spring", "", None),
    ):
        door.clear()
        context = {**PYTHON, "page": {"url": url}, "campaign": campaign}
        assert door.post("/v1/batch", batch(message("track", userId="u1", event="E", context=context)), key=None).status == 200
        (stored,) = door.events
        assert (json.loads(stored.campaign) if stored.campaign else None) == told
        assert json.loads(bytes(stored.context))["campaign"] == campaign  # verbatim besides


def test_messages_of_one_request_do_not_share_what_is_not_theirs(door: Any, say: Any) -> None:
    """The second has a context of its own, the third the first's, the fourth none, the fifth a channel that makes it a server's."""
    browser = {"library": {"name": "analytics.js"}, "page": {"url": "https://x.example/"}, "ip": "198.51.100.7", "groupId": "acme"}
    contexts = [browser, {"app": {"name": "shop"}}, browser, None, None]
    messages = [message("track", messageId=f"m{place}", userId="u1", event="E", context=each) for place, each in enumerate(contexts)]
    messages[0]["properties"], messages[4]["channel"] = {"a": 1}, "server"
    headers = {"user-agent": "Mozilla/5.0", "origin": "https://x.example"}
    assert door.post("/v1/batch", batch(*messages), key=None, headers=headers).status == 200
    own = event(False, kind="track", name="E", distinct_id="u1", user_id="u1", user_agent="Mozilla/5.0", ip="203.0.113.9")
    del own["library"], own["library_version"]
    there = {**own, "library": "analytics.js", "url": "https://x.example/", "ip": "198.51.100.7", "groups": {"group": "acme"}}
    server = {name: value for name, value in own.items() if name not in ("ip", "user_agent")}
    assert [say(stored) for stored in door.events] == [
        {**there, "event_id": "m0", "properties": {"a": 1}},
        {**own, "event_id": "m1", "context": {"app": {"name": "shop"}}},
        {**there, "event_id": "m2"},
        {**own, "event_id": "m3"},
        {**server, "event_id": "m4", "is_server": True, "flags": {"channel": "server"}},
    ]


def test_nothing_undocumented_is_lost(door: Any, say: Any) -> None:
    sent = message("track", userId=7, event="Bought", properties=[1, 2], traits={"a": 1}, colour="red", timestamp=1795208999000)
    assert only(door, say, sent) == event(
        kind="track",
        name="Bought",
        client_time="2026-11-20T21:09:59+00:00",
        distinct_id="7",
        user_id="7",
        rest={"properties": [1, 2], "traits": {"a": 1}, "colour": "red"},
    )


def test_good_messages_are_kept_and_bad_ones_become_dead_letters(door: Any, say: Any) -> None:
    deep: Any = 1
    for _ in range(80):
        deep = [deep]
    good = message("track", userId="u1", event="Good")
    reply = door.post(
        "/v1/batch", batch(good, "text", message("track", userId="u1"), message("track", event="Deep", properties={"d": deep})), key=None
    )
    assert reply.status == 200
    assert reply.json["success"] is True
    assert reply.json["accepted"] == 1
    assert [(found["index"], found["reason"]) for found in reply.json["rejected"]] == [
        (1, "not_an_object"),
        (2, "no_name"),
        (3, "too_deep"),
    ]
    assert [stored.name for stored in door.events] == ["Good"]
    assert [(letter["stage"], letter["reason"]) for letter in door.dead] == [
        ("decode", "not_an_object"),
        ("decode", "no_name"),
        ("decode", "too_deep"),
    ]
    assert door.dead[0]["original"] == '"text"'
    assert door.collector.counters()["events"] == {"p1": 1}
    assert door.collector.counters()["rejected"] == {"not_an_object": 1, "no_name": 1, "too_deep": 1}


def test_ids(door: Any) -> None:
    """A missing id is derived from the content, so that a retry collapses; one that is too long from itself."""

    def ids(*messages: dict[str, Any], sent: str = "2026-11-20T21:10:00Z") -> list[str]:
        door.clear()
        assert door.post("/v1/batch", {**batch(*messages), "sentAt": sent}, key=None).status == 200
        return [stored.event_id for stored in door.events]

    nameless = {name: value for name, value in message("track", userId="u1", event="E").items() if name != "messageId"}
    (first,) = ids(nameless)
    assert first.startswith("h:")
    assert ids(nameless, sent="2026-11-20T22:00:00Z") == [first]
    assert ids({**nameless, "event": "F"}) != [first]
    assert ids(nameless, "odd")[0] == first  # the tolerant way derives the same id

    long = message("track", userId="u1", event="E", messageId="x" * 201)
    assert ids(long) == ids(long)
    assert ids(long)[0].startswith("h:")

    # Without a time either, two calls are two events.
    timeless = {name: value for name, value in nameless.items() if name != "timestamp"}
    once = ids(timeless, timeless)
    door.now_us += 1
    assert len({*once, *ids(timeless)}) == 3


def test_single_calls_by_short_and_long_names(door: Any, say: Any) -> None:
    auth = {"authorization": "Basic " + base64.b64encode(b"test-write-key:").decode()}
    for path in ("/v1/t", "/v1/track", "/v1/t/", "/v1/track/"):
        door.clear()
        reply = door.send("POST", path, b'{"userId":"u1","event":"E","messageId":"m"}', headers={**auth, "content-type": "text/plain"})
        assert reply.status == 200
        assert [stored.name for stored in door.events] == ["E"]
    kinds = {"i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias"}
    for short, kind in kinds.items():
        for word in (short, kind):
            door.clear()
            assert door.send("POST", f"/v1/{word}", b'{"userId":"u1"}', headers=auth).status == 200
            assert [stored.kind for stored in door.events] == [kind]
    door.clear()
    for path in ("/v1/import", "/v1/b", "/v1/batch/"):
        assert door.post(path, batch(message("track", userId="u", event="E")), key=None).status == 200
    assert len(door.events) == 3
    assert door.send("POST", "/v1/m", b"{}").status == 200


def test_the_browsers_settings_point_to_us(door: Any) -> None:
    reply = door.send("GET", "/v1/projects/test-write-key/settings", headers={"host": "in.example:8000", "origin": "https://x.example"})
    assert reply.status == 200
    assert reply.json["integrations"] == {"Segment.io": {"apiKey": "test-write-key", "apiHost": "in.example:8000/v1", "protocol": "http"}}
    assert reply.json["metrics"] == {"sampleRate": 0, "host": "in.example:8000/v1"}
    assert reply.headers["access-control-allow-origin"] == "https://x.example"
