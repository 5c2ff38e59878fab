"""Amplitude's requests, worked by hand, and what its SDKs need to be answered."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

NODE = {"library": "amplitude-node-ts/1.5.73", "insert_id": "0b7f7d8e-8f2a-4a46-9f6e-000000000001", "time": 1795208999000}
MINUTE = {
    "project": "p1",
    "event_id": NODE["insert_id"],
    "received_us": 1_795_209_000_000_000,
    "client_time": "2026-11-20T21:09:59+00:00",
    "sent_time": "2026-11-20T21:10:00Z",
    "library": "amplitude-node-ts",
    "library_version": "1.5.73",
    "protocol": "amplitude",
    "is_server": True,
    "kind": "track",
}


def body(*events: Any, **more: Any) -> dict[str, Any]:
    return {"api_key": "test-write-key", "events": list(events), "client_upload_time": "2026-11-20T21:10:00Z", **more}


def only(door: Any, say: Any, event: dict[str, Any], **more: Any) -> dict[str, Any]:
    door.clear()
    reply = door.post("/2/httpapi", body({**NODE, **event}, **more.pop("around", {})), key=None, **more)
    assert (reply.status, reply.json["code"], reply.json["events_ingested"]) == (200, 200, 1)
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    return found


def test_an_event(door: Any, say: Any) -> None:
    event = {"event_type": "Bought", "user_id": "u1", "event_properties": {"price": 12.5}, "groups": {"company": "acme"}, "event_id": 5}
    assert only(door, say, event) == {
        **MINUTE,
        "name": "Bought",
        "distinct_id": "u1",
        "user_id": "u1",
        "properties": {"price": 12.5},
        "groups": {"company": "acme"},
        "rest": {"event_id": 5},
    }


def test_a_device_and_its_user_are_one_person(door: Any, say: Any) -> None:
    found = only(door, say, {"event_type": "E", "user_id": "u1", "device_id": "d1"})
    assert (found["distinct_id"], found["device_id"], found["merges"]) == ("u1", "d1", [("d1", "u1", "same-event")])
    found = only(door, say, {"event_type": "E", "device_id": "d1"})
    assert (found["distinct_id"], found["device_id"]) == ("d1", "d1")
    assert "merges" not in found
    assert "merges" not in only(door, say, {"event_type": "E", "user_id": "d1", "device_id": "d1"})


def test_changes_of_a_person(door: Any, say: Any) -> None:
    operations = {
        "$set": {"email": "ü@example.com"},
        "$setOnce": {"first": 1},
        "$add": {"logins": 1},
        "$append": {"tags": ["x", "y"]},
        "$prepend": {"tags": "w"},
        "$preInsert": {"l": "a"},
        "$postInsert": {"l": "b"},
        "$remove": {"l": "c"},
        "$unset": {"old": "-", "older": "-"},
        "$clearAll": "-",
    }
    found = only(door, say, {"event_type": "$identify", "user_id": "u1", "user_properties": operations})
    assert found["kind"] == "identify"
    assert found["profile"] == {
        "set": {"email": "ü@example.com"},
        "set_once": {"first": 1},
        "add": {"logins": 1},
        "append": {"tags": ["x", "y"]},
        "prepend": {"tags": "w"},
        "pre_insert": {"l": "a"},
        "post_insert": {"l": "b"},
        "remove": {"l": "c"},
        "unset": ["old", "older"],
        "clear_all": True,
    }
    # Plain properties, on any event, are set; beside operations too.
    found = only(door, say, {"event_type": "E", "user_id": "u1", "user_properties": {"plan": "pro", "$set": {"a": 1}, "$odd": 2}})
    assert found["profile"] == {"set": {"a": 1, "plan": "pro", "$odd": 2}}
    found = only(door, say, {"event_type": "E", "user_id": "u1", "user_properties": {"plan": "pro"}})
    assert found["profile"] == {"set": {"plan": "pro"}}


def test_groups_and_their_changes(door: Any, say: Any) -> None:
    event = {"event_type": "$groupidentify", "groups": {"company": "acme"}, "group_properties": {"$set": {"size": 5}, "$add": {"deals": 1}}}
    found = only(door, say, event)
    assert "distinct_id" not in found  # nobody is counted
    assert (found["kind"], found["groups"]) == ("group_profile", {"company": "acme"})
    assert found["group_profile"] == {"type": "company", "key": "acme", "set": {"size": 5}, "add": {"deals": 1}}

    many = {"event_type": "$groupidentify", "groups": {"company": ["acme", "other"], "team": 7}, "group_properties": {"size": 5}}
    found = only(door, say, many)
    assert found["groups"] == {"company": "acme", "team": "7"}
    assert found["rest"] == {"groups": {"company": ["acme", "other"], "team": 7}}
    pairs = [("company", "acme"), ("company", "other"), ("team", "7")]
    assert found["group_profile"] == [{"type": type_, "key": key, "set": {"size": 5}} for type_, key in pairs]

    lost = only(door, say, {"event_type": "$groupidentify", "group_properties": {"size": 5}})
    assert lost["rest"] == {"group_properties": {"size": 5}}


def test_money_lands_among_the_properties_as_amplitude_shows_it(door: Any, say: Any) -> None:
    event = {"event_type": "Paid", "user_id": "u1", "price": 1.5, "quantity": 2, "revenue": 3, "productId": "p1", "currency": "EUR"}
    found = only(door, say, {**event, "revenueType": "sale", "event_properties": {"revenue": 42.5, "$price": 9}})
    assert found["properties"] == {
        "revenue": 42.5,
        "$price": 9,
        "$quantity": 2,
        "$revenue": 3,
        "$productId": "p1",
        "$revenueType": "sale",
        "$currency": "EUR",
    }
    assert found["rest"] == {"$price": 1.5}


def test_a_browser_brings_its_page_its_address_and_its_session(door: Any, say: Any) -> None:
    event = {
        "event_type": "[Amplitude] Page Viewed",
        "device_id": "d1",
        "session_id": 1795208000000,
        "ip": "$remote",
        "user_agent": "Mozilla/5.0 (X11)",
        "platform": "Web",
        "language": "de",
        "library": "amplitude-ts/2.48.1",
        "event_properties": {
            "[Amplitude] Page Location": "https://x.example/p?utm_source=bing",
            "[Amplitude] Page URL": "https://x.example/p",
            "[Amplitude] Page Title": "P",
            "referrer": "https://g.example/",
            "utm_source": "bing",
            "utm_medium": "cpc",
        },
    }
    found = only(door, say, event, headers={"user-agent": "Mozilla/5.0 (another)", "origin": "https://x.example"})
    properties = found.pop("properties")
    assert properties == event["event_properties"]
    assert found == {
        **{name: value for name, value in MINUTE.items() if name != "is_server"},
        "kind": "page",
        "name": "[Amplitude] Page Viewed",
        "distinct_id": "d1",
        "device_id": "d1",
        "session_id": "1795208000000",
        "url": "https://x.example/p?utm_source=bing",
        "title": "P",
        "referrer": "https://g.example/",
        "campaign": '{"medium":"cpc"}',
        "ip": "203.0.113.9",
        "user_agent": "Mozilla/5.0 (X11)",
        "library": "amplitude-ts",
        "library_version": "2.48.1",
        "context": {"platform": "Web", "language": "de"},
    }
    assert only(door, say, {"event_type": "session_start", "device_id": "d"})["kind"] == "session_start"
    outside = only(door, say, {"event_type": "E", "device_id": "d", "session_id": -1})
    assert outside["rest"] == {"session_id": -1}
    assert "session_id" not in outside
    assert only(door, say, {"event_type": "E", "device_id": "d", "ip": "198.51.100.7"})["ip"] == "198.51.100.7"
    # Without a word about it, the address is not kept: the SDK was told not to send it.
    quiet = {"event_type": "E", "device_id": "d", "library": "amplitude-ts/2.48.1"}
    assert "ip" not in only(door, say, quiet, headers={"user-agent": "Mozilla/5.0 (X)"})


def test_ids_are_unique_by_themselves_or_within_a_device(door: Any, say: Any) -> None:
    ids = [
        only(door, say, {"event_type": "E", "insert_id": "7", "device_id": device, "time": time})["event_id"]
        for device, time in (("d1", 1), ("d1", 2), ("d2", 1))
    ]
    assert ids[0] == ids[1] != ids[2]
    assert only(door, say, {"event_type": "E", "insert_id": "7", "device_id": "d1"})["rest"] == {"insert_id": "7"}
    # Without an id: from the content, when there is a time.
    event = {"event_type": "E", "user_id": "u", "insert_id": None}
    assert only(door, say, event)["event_id"] == only(door, say, event)["event_id"]
    assert only(door, say, {**event, "time": 5})["event_id"] != only(door, say, event)["event_id"]


def test_a_shortest_id_that_the_sender_asks_for(door: Any) -> None:
    reply = door.post("/2/httpapi", body({"event_type": "A", "user_id": "u"}, {"event_type": "B", "user_id": "user"}), key=None)
    assert reply.json["events_ingested"] == 2
    door.clear()
    events = [
        {"event_type": name, "user_id": user, "device_id": device} for name, user, device in (("A", "u", None), ("B", "user", "device"))
    ]
    reply = door.post("/2/httpapi", body(*events, options={"min_id_length": 4}), key=None)
    assert (reply.status, reply.json["events_ingested"]) == (200, 1)
    assert [(one["index"], one["reason"]) for one in reply.json["rejected"]] == [(0, "short_id")]
    (event,) = door.events
    assert (event.name, json.loads(bytes(event.flags))) == ("B", {"min_id_length": 4})


def test_one_bad_event_takes_no_other_with_it(door: Any) -> None:
    deep = json.loads("[" * 80 + "]" * 80)
    bad = [
        {"user_id": "u"},
        7,
        None,
        "x",
        [],
        {"event_type": "E", "event_properties": {"x": deep}},
        {"event_type": "E", "plan": {"x": deep}},
    ]
    reply = door.post("/2/httpapi", body({"event_type": "One"}, *bad, {"event_type": "Two", "unheard": {"of": 1}}), key=None)
    assert (reply.status, reply.json["code"], reply.json["events_ingested"]) == (200, 200, 2)
    assert [event.name for event in door.events] == ["One", "Two"]
    assert len(door.dead) == len(bad) - 1  # an empty list holds no message
    assert json.loads(bytes(door.events[1].rest)) == {"unheard": {"of": 1}}


def test_odd_values_are_read_as_meant(door: Any, say: Any) -> None:
    door.clear()
    odd = b'{"event_type":"E","user_id":17,"time":"1795208999000","event_properties":{"v":NaN},"session_id":1.0}'
    text = b'{"api_key":"test-write-key","events":[' + odd + b"]}"
    assert door.post("/2/httpapi", text, key=None).json["events_ingested"] == 1
    (event,) = door.events
    found = say(event)
    assert (found["distinct_id"], found["client_time"], found["properties"]) == ("17", "2026-11-20T21:09:59+00:00", {"v": "NaN"})


def test_both_vendors_of_one_path_are_told_apart(door: Any) -> None:
    posthog = {"api_key": "test-write-key", "batch": [{"event": "P", "distinct_id": "u", "properties": {"events": [1]}}]}
    for path in ("/batch", "/batch/"):
        door.clear()
        assert door.post(path, body({"event_type": "A", "event_properties": {"batch": [1]}}), key=None).json["events_ingested"] == 1
        assert door.post(path, posthog, key=None).status == 200
        assert (
            door.post(path, b'{"api_key":"test-write-key","events":[{"event_type":"N","event_properties":{"v":NaN}}]}', key=None).status
            == 200
        )
        assert [(event.protocol, event.name) for event in door.events] == [("amplitude", "A"), ("posthog", "P"), ("amplitude", "N")]
    assert door.post("/batch", b"{", key=None).status == 400
    assert door.send("POST", "/batch", b"\x1f\x8b nothing").status == 400


@pytest.mark.parametrize("as_form", [True, False])
def test_forms_for_people_and_groups(door: Any, say: Any, as_form: bool) -> None:
    def send(path: str, **fields: Any) -> dict[str, Any]:
        door.clear()
        fields = {"api_key": "test-write-key", **fields}
        if as_form:
            text = urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()})
            headers = {"content-type": "application/x-www-form-urlencoded", "user-agent": "curl/8"}
            reply = door.send("POST", path, text.encode(), headers=headers)
        else:
            reply = door.post(path, fields, key=None, headers={"user-agent": "curl/8"})
        assert (reply.status, reply.json["code"]) == (200, 200), reply.body
        (event,) = door.events
        found: dict[str, Any] = say(event)
        return found

    person = {"user_id": "u1", "user_properties": {"$set": {"city": "Zürich & Bern"}}}
    for identification in (person, [person]):
        found = send("/identify", identification=identification)
        assert (found["kind"], found["name"], found["distinct_id"]) == ("identify", "$identify", "u1")
        assert found["profile"] == {"set": {"city": "Zürich & Bern"}}
    group = {"group_type": "company", "group_value": "acme", "group_properties": {"size": 5}}
    found = send("/groupidentify", identification=[group])
    assert (found["kind"], found["group_profile"]) == ("group_profile", {"type": "company", "key": "acme", "set": {"size": 5}})
    found = send("/httpapi", event=[{"event_type": "Old", "user_id": "u1"}])
    assert (found["kind"], found["name"]) == ("track", "Old")


def test_refusals_that_stop_the_sdks_from_sending_again(door: Any, doors: Any) -> None:
    wrong = door.post("/2/httpapi", {"api_key": "nonsense", "events": [{"event_type": "E"}]}, key=None)
    assert (wrong.status, wrong.json["code"]) == (401, 401)
    assert wrong.json["error"].startswith("Invalid API key:")
    broken = door.post("/2/httpapi", b"no JSON", key=None)
    assert (broken.status, broken.json["code"], bool(broken.json["missing_field"])) == (400, 400, True)
    nothing = door.send("POST", "/identify", b"api_key=test-write-key")
    assert (nothing.status, nothing.json["missing_field"]) == (400, "identification")
    small = doors(body_limit=2048)
    large = small.post("/2/httpapi", body({"event_type": "E", "event_properties": {"v": "x" * 4000}}), key=None)
    assert (large.status, large.json["code"]) == (413, 413)
    busy = doors(quota=1)
    replies = [busy.post("/2/httpapi", body(*[{"event_type": "E"}] * count), key=None) for count in (11, 5)]
    assert [reply.status for reply in replies] == [200, 429]
    assert (replies[1].json["code"], "throttled_events" in replies[1].json) == (429, False)  # it is soon over
    busy.seconds += 10
    busy.now_us += 10_000_000
    replies = [busy.post("/2/httpapi", body(*[{"event_type": "E"}] * count), key=None) for count in (40, 5)]
    assert [reply.status for reply in replies] == [200, 429]
    assert (replies[1].json["code"], replies[1].json["throttled_events"]) == (429, list(range(5)))
    assert int(replies[1].headers["retry-after"]) > 20


def test_dead_letters_are_sent_again_by_their_own_door(door: Any) -> None:
    from almanac.ingest.replay import decode

    door.post("/2/httpapi", body({"event_type": "E", "user_id": "u"}, options={"min_id_length": 4}), key=None)
    (letter,) = door.dead
    (event,) = decode(door.settings, "p1", "amplitude", letter["original"])
    assert (event.kind, event.name, event.distinct_id, event.protocol) == ("track", "E", "u", "amplitude")
