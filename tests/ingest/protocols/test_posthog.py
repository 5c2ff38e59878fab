"""PostHog's events, worked by hand, and the answers that its SDKs wait for."""

from __future__ import annotations

import json
from typing import Any

SERVER = {"$lib": "posthog-python", "$lib_version": "7.91.1", "$is_server": True}
BROWSER = {"$lib": "web", "$lib_version": "1.449.2", "$device_id": "d1", "distinct_id": "d1", "$is_identified": False}


def item(name: str, properties: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"event": name, "uuid": "u-1", "timestamp": "2026-11-20T21:09:59Z", "properties": properties, **members}


def event(**members: Any) -> dict[str, Any]:
    return {
        "project": "p1",
        "event_id": "u-1",
        "received_us": 1_795_209_000_000_000,
        "client_time": "2026-11-20T21:09:59Z",
        "sent_time": "2026-11-20T21:10:00Z",
        "protocol": "posthog",
        **members,
    }


def server(properties: dict[str, Any], **members: Any) -> dict[str, Any]:
    return event(properties=properties, library="posthog-python", library_version="7.91.1", is_server=True, **members)


def only(door: Any, say: Any, sent: dict[str, Any], path: str = "/batch/", **more: Any) -> dict[str, Any]:
    door.clear()
    body = {"api_key": "test-write-key", "batch": [sent], "sent_at": "2026-11-20T21:10:00Z", **more.pop("around", {})}
    reply = door.post(path, body, key=None, **more)
    assert reply.status == 200, reply.body
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    return found


def test_a_campaign_among_the_properties_is_told_where_the_address_does_not(door: Any) -> None:
    for properties, told in (
        ({"utm_source": "google", "$utm_medium": "cpc", "utm_campaign": None}, {"source": "google", "medium": "cpc"}),
        ({"utm_source": "google", "$utm_source": "bing", "utm_term": 5}, {"source": "google", "term": "5"}),
        ({"utm_source": "google", "utm_content": "a", "$current_url": "https://x.example/?utm_source=bing"}, {"content": "a"}),
        ({"utm_source": "google", "$current_url": "https://x.example/?utm_source=google"}, None),
        ({"$initial_utm_source": "google"}, None),
    ):
        door.clear()
        body = {"api_key": "test-write-key", "batch": [item("e", properties, distinct_id="u")]}
        assert door.post("/batch/", body, key=None).status == 200
        (stored,) = door.events
        assert (json.loads(stored.campaign) if stored.campaign else None) == told
        assert json.loads(bytes(stored.properties)) == properties


def test_a_servers_events(door: Any, say: Any) -> None:
    properties = {**SERVER, "$groups": {"company": "acme"}, "$session_id": "s1", "$set": {"a": 1, "b": 1}, "$unset": ["c"]}
    sent = item("bought", properties, distinct_id="u1", **{"$set": {"b": 2}, "$set_once": {"d": 3}})
    assert only(door, say, sent) == server(
        properties,
        kind="track",
        name="bought",
        distinct_id="u1",
        session_id="s1",
        groups={"company": "acme"},
        profile={"set": {"a": 1, "b": 2}, "set_once": {"d": 3}, "unset": ["c"]},
    )

    alias = {**SERVER, "distinct_id": "u1", "alias": "old"}
    assert only(door, say, item("$create_alias", alias, distinct_id="u1")) == server(
        alias, kind="alias", name="$create_alias", distinct_id="u1", merges=[("old", "u1", "alias")]
    )
    assert only(door, say, item("$merge_dangerously", alias, distinct_id="u1"))["merges"] == [("old", "u1", "merge")]

    identify = {**SERVER, "$anon_distinct_id": "a1"}
    assert only(door, say, item("$identify", identify, distinct_id="u1")) == server(
        identify, kind="identify", name="$identify", distinct_id="u1", anonymous_id="a1", merges=[("a1", "u1", "identify")]
    )


def test_a_group_is_nobody(door: Any, say: Any) -> None:
    """Server SDKs make an id up for calls about groups; counting it would count people that do not exist."""
    properties = {**SERVER, "$group_type": "company", "$group_key": "acme", "$group_set": {"seats": 5}}
    for made_up in ("3e0319ad-0dbf-4e21-9ef6-d623dac79976", "$company_acme"):
        assert only(door, say, item("$groupidentify", properties, distinct_id=made_up)) == server(
            properties,
            kind="group_profile",
            name="$groupidentify",
            group_profile={"type": "company", "key": "acme", "set": {"seats": 5}},
            rest={"distinct_id": made_up},
        )
    assert only(door, say, item("$groupidentify", properties, distinct_id="u1"))["distinct_id"] == "u1"


def test_a_browsers_page_view(door: Any, say: Any) -> None:
    properties = {
        **BROWSER,
        "$current_url": "https://x.example/p",
        "title": "P",
        "$referrer": "$direct",
        "$raw_user_agent": "Mozilla/5.0 (X11)",
        "$session_id": "s1",
        "$window_id": "w1",
        "$process_person_profile": False,
        "token": "test-write-key",
    }
    headers = {"user-agent": "Mozilla/5.0 (another)", "origin": "https://x.example", "content-type": "text/plain"}
    assert only(door, say, item("$pageview", properties), "/e/", headers=headers) == event(
        kind="page",
        name="$pageview",
        distinct_id="d1",
        anonymous_id="d1",
        device_id="d1",
        session_id="s1",
        window_id="w1",
        properties=properties,
        url="https://x.example/p",
        title="P",
        ip="203.0.113.9",
        user_agent="Mozilla/5.0 (X11)",
        library="web",
        library_version="1.449.2",
        flags={"process_person_profile": False},
    )


def test_kinds(door: Any, say: Any) -> None:
    for name, kind in {
        "$screen": "screen",
        "$exception": "exception",
        "$feature_flag_called": "feature_flag",
        "$snapshot": "snapshot",
        "$ai_generation": "ai",
        "$set": "profile",
        "$autocapture": "track",
    }.items():
        assert only(door, say, item(name, {"$screen_name": "Login"}, distinct_id="u"))["kind"] == kind


def test_clocks(door: Any, say: Any) -> None:
    """A clock is left alone when its sender says so; older browsers' SDKs send how long ago it was instead of a time."""
    assert only(door, say, item("e", {}, distinct_id="u"), around={"historical_migration": True})["keep_time"] is True
    assert only(door, say, item("e", {"$ignore_sent_at": True}, distinct_id="u"))["keep_time"] is True
    assert only(door, say, item("e", {}, distinct_id="u", options={"disable_skew_correction": True}))["keep_time"] is True
    assert "keep_time" not in only(door, say, item("e", {}, distinct_id="u"))
    late = only(door, say, item("e", {}, distinct_id="u", offset=1500, timestamp=None))
    assert (late["client_time"], late["keep_time"]) == ("2026-11-20T21:09:58.500000+00:00", True)


def test_bare_events_and_lists(door: Any) -> None:
    one = {"event": "e", "properties": {"token": "test-write-key", "distinct_id": "u1"}}
    assert door.post("/e", one, key=None).status == 200
    assert door.post("/s/", [one, one], key=None).status == 200
    assert door.post("/capture/", {"event": "e", "distinct_id": "u1", "api_key": "test-write-key"}, key=None).status == 200
    assert door.send("GET", "/e/", query="data=eyJldmVudCI6ImUiLCJhcGlfa2V5IjoidGVzdC13cml0ZS1rZXkifQ").status == 200
    assert [stored.name for stored in door.events] == ["e"] * 5
    assert [stored.distinct_id for stored in door.events] == ["u1"] * 4 + [""]


def test_version_1_tells_what_became_of_each_event(door: Any) -> None:
    good = {"event": "e", "uuid": "a", "distinct_id": "u", "timestamp": "2026-11-20T21:09:59Z", "options": {}, "properties": {}}
    bad = {"uuid": "b", "distinct_id": "u", "properties": {}}
    headers = {"posthog-sdk-info": "posthog-python/7.91.1", "posthog-request-timestamp": "2026-11-20T21:10:00Z"}
    reply = door.post("/i/v1/analytics/events", {"created_at": "x", "batch": [good, bad]}, headers=headers)
    assert reply.status == 200
    assert reply.json["results"] == {"a": {"result": "ok"}, "b": {"result": "drop", "details": "no_name: It has no name of an event."}}
    (stored,) = door.events
    assert (stored.library, stored.library_version, stored.sent_time, stored.is_server) == (
        "posthog-python",
        "7.91.1",
        "2026-11-20T21:10:00Z",
        True,
    )


def test_what_else_the_sdks_ask_for(door: Any, doors: Any, tmp_path: Any) -> None:
    reply = door.send("GET", "/array/test-write-key/config")
    assert reply.json["analytics"] == {"endpoint": "/i/v0/e/"}
    script = door.send("GET", "/array/test-write-key/config.js")
    assert script.headers["content-type"] == "application/javascript"
    assert b'c["test-write-key"]={config:{"token":"test-write-key"' in script.body
    assert door.send("POST", "/flags/", b"{}", query="v=2").json["flags"] == {}
    assert door.send("GET", "/flags/definitions", query="token=x&send_cohorts").json == {
        "flags": [],
        "group_type_mapping": {},
        "cohorts": {},
    }
    assert door.send("GET", "/api/surveys/", query="token=x").json == {"surveys": []}
    assert door.send("GET", "/api/projects/@current/feature_flags/f/remote_config").json == {}
    missing = door.send("GET", "/static/array.js")
    assert (missing.status, missing.json["code"]) == (404, 404)
    assert door.send("GET", "/static/app.js").status == 299  # not PostHog's: the pages' own

    there = doors(data=tmp_path)
    (tmp_path / "files" / "posthog-js").mkdir(parents=True)
    (tmp_path / "files" / "posthog-js" / "array.js").write_text("1")
    assert there.send("GET", "/static/array.js").body == b"1"
    assert there.send("GET", "/static/1.449.2/surveys.js").status == 404


def test_the_browser_gets_503_for_429(doors: Any) -> None:
    door = doors(quota=1)
    many = {"api_key": "test-write-key", "batch": [{"event": "e", "distinct_id": "u"}] * 30}
    assert door.post("/batch/", many, key=None).status == 200
    assert door.post("/batch/", many, key=None, headers={"user-agent": "posthog-python/7"}).status == 429
    reply = door.post("/e/", many, key=None, headers={"user-agent": "Mozilla/5.0", "origin": "https://x.example"})
    assert (reply.status, reply.json["code"]) == (503, 503)
    assert int(reply.headers["retry-after"]) == 20  # 30 events are 20 s over a burst of 10
    assert json.loads(reply.body)["retryable"] is True
