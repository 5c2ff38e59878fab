"""Mixpanel's requests, worked by hand, in every form that its SDKs send, and the answers that these wait for."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.ingest.body import percent_decoded

TOKEN = "test-write-key"
PYTHON = {
    "token": TOKEN,
    "time": 1795208999.25,
    "$insert_id": "0b7f7d8e8f2a4a469f6e000000000001",
    "mp_lib": "python",
    "$lib_version": "5.4.1",
}
MINUTE = {
    "project": "p1",
    "event_id": PYTHON["$insert_id"],
    "received_us": 1_795_209_000_000_000,
    "client_time": "2026-11-20T21:09:59.250000+00:00",
    "library": "mixpanel-python",
    "library_version": "5.4.1",
    "protocol": "mixpanel",
    "is_server": True,
    "kind": "track",
}
CHANGE = {"$token": TOKEN, "$time": 1795208999.25, "$distinct_id": "u1"}


def form(value: Any, **more: Any) -> bytes:
    return urlencode({"data": value if isinstance(value, str) else json.dumps(value), **more}).encode()


def only(door: Any, say: Any, message: dict[str, Any], path: str = "/track", **more: Any) -> dict[str, Any]:
    door.clear()
    reply = door.send("POST", path, form(message, verbose=1, **more), headers={"user-agent": "python-requests/2"})
    assert (reply.status, reply.json["status"], reply.json["error"]) == (200, 1, None)
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    return found


def event(name: str, **properties: Any) -> dict[str, Any]:
    return {"event": name, "properties": {**PYTHON, **properties}}


def test_an_event(door: Any, say: Any) -> None:
    sent = event("Bought", distinct_id="u1", price=12.5)
    assert only(door, say, sent) == {**MINUTE, "name": "Bought", "distinct_id": "u1", "properties": sent["properties"]}


def test_times_are_seconds_or_milliseconds_by_their_size(door: Any, say: Any) -> None:
    for time, told in (
        (1795025385, "2026-11-18T18:09:45"),
        (1795025385240, "2026-11-18T18:09:45.240000"),
        ("1795025385", "2026-11-18T18:09:45"),
    ):
        assert only(door, say, event("E", distinct_id="u", time=time))["client_time"] == told + "+00:00"


def test_who_is_who(door: Any, say: Any) -> None:
    anonymous = only(door, say, event("E", distinct_id="$device:d1", **{"$device_id": "d1"}))
    assert (anonymous["distinct_id"], anonymous["anonymous_id"], anonymous["device_id"]) == ("$device:d1", "$device:d1", "d1")
    both = only(door, say, event("E", distinct_id="u1", **{"$device_id": "d1", "$user_id": "u1"}))
    assert (both["distinct_id"], both["user_id"], both["merges"]) == ("u1", "u1", [("$device:d1", "u1", "same-event")])
    found = only(
        door, say, event("$identify", distinct_id="u1", **{"$anon_distinct_id": "$device:d1", "$device_id": "d1", "$user_id": "u1"})
    )
    assert (found["kind"], found["distinct_id"], found["merges"]) == ("identify", "u1", [("$device:d1", "u1", "identify")])
    found = only(door, say, event("$identify", **{"$identified_id": "u1", "$anon_id": "a1"}))
    assert (found["distinct_id"], found["merges"]) == ("u1", [("a1", "u1", "identify")])
    found = only(door, say, event("$create_alias", distinct_id="u1", alias="old"))
    assert (found["kind"], found["merges"]) == ("alias", [("old", "u1", "alias")])
    found = only(door, say, event("$merge", **{"$distinct_ids": ["u1", "u2", "u1"]}), "/import")
    assert (found["kind"], found["distinct_id"], found["merges"]) == ("alias", "u1", [("u2", "u1", "merge")])


def test_changes_of_a_person(door: Any, say: Any) -> None:
    for member, sent, told in (
        ("$set", {"a": [1]}, {"set": {"a": [1]}}),
        ("$set_once", {"a": 1}, {"set_once": {"a": 1}}),
        ("$add", {"n": -2}, {"add": {"n": -2}}),
        ("$append", {"tags": "x"}, {"append": {"tags": "x"}}),
        ("$append", {"tags": ["x", "y"], "one": 1}, {"append": {"tags": [["x", "y"]], "one": 1}}),  # one element
        ("$union", {"tags": ["x", "y"]}, {"union": {"tags": ["x", "y"]}}),
        ("$remove", {"tags": ["x"]}, {"remove": {"tags": [["x"]]}}),
        ("$unset", ["a", "b"], {"unset": ["a", "b"]}),
        ("$delete", "", {"delete": True}),
    ):
        found = only(door, say, {**CHANGE, member: sent}, "/engage")
        assert (found["kind"], found["name"], found["distinct_id"], found["profile"]) == ("profile", member, "u1", told)
        assert found["client_time"] == MINUTE["client_time"]
    browser = {"$token": TOKEN, "$distinct_id": "u1", "$device_id": "d1", "$user_id": "u1", "$set": {"a": 1}, "$ip": "198.51.100.7"}
    found = only(door, say, {**browser, "$ignore_time": True}, "/engage", ip=1)
    assert found["merges"] == [("$device:d1", "u1", "same-event")]
    assert (found["ip"], found["flags"]) == ("198.51.100.7", {"ignore_time": True})


def test_changes_of_one_request_without_a_time_keep_their_order(door: Any) -> None:
    changes = [{"$token": TOKEN, "$distinct_id": "u1", "$set": {"plan": plan}} for plan in ("pro", "free")]
    assert door.send("POST", "/engage", form(changes)).body == b"1"
    assert [stored.received_us for stored in door.events] == [door.now_us, door.now_us + 1]
    assert len({stored.event_id for stored in door.events}) == 2


def test_changes_of_a_group(door: Any, say: Any) -> None:
    group = {"$token": TOKEN, "$group_key": "company", "$group_id": "acme"}
    found = only(door, say, {**group, "$set": {"size": 5}, "$union": {"tags": ["x"]}}, "/groups")
    assert (found["kind"], found["groups"]) == ("group_profile", {"company": "acme"})
    assert found["group_profile"] == {"type": "company", "key": "acme", "set": {"size": 5}, "union": {"tags": ["x"]}}
    assert "distinct_id" not in found
    found = only(door, say, {**group, "$delete": ""}, "/groups")
    assert found["group_profile"] == {"type": "company", "key": "acme", "delete": True}


def test_money_that_is_booked_is_revenue_of_its_time(door: Any, say: Any) -> None:
    paid = {"$token": TOKEN, "$distinct_id": "u1", "$append": {"$transactions": {"$amount": 19.99, "$time": "2026-11-20T20:00:00"}}}
    found = only(door, say, paid, "/engage")
    assert (found["properties"], found["client_time"]) == ({"$revenue": 19.99}, "2026-11-20T20:00:00")
    assert found["profile"] == {"append": {"$transactions": {"$amount": 19.99, "$time": "2026-11-20T20:00:00"}}}


def test_a_browser_brings_its_page(door: Any, say: Any) -> None:
    properties = {
        "token": TOKEN,
        "distinct_id": "$device:d1",
        "$device_id": "d1",
        "time": 1795208999.25,
        "$insert_id": "abcdefgh12345678",
        "mp_lib": "web",
        "$lib_version": "2.83.0",
        "$current_url": "https://x.example/p",
        "current_page_title": "P",
        "$referrer": "https://g.example/",
        "utm_source": "bing",
    }
    headers = {"user-agent": "Mozilla/5.0 (X11)", "origin": "https://x.example", "content-type": "application/x-www-form-urlencoded"}
    data = base64.b64encode(json.dumps([{"event": "$mp_web_page_view", "properties": properties}]).encode()).decode()
    reply = door.send("POST", "/track/", form(data), headers=headers, query="verbose=1&ip=1&_=1795209000500")
    assert reply.json["status"] == 1
    (stored,) = door.events
    found = say(stored)
    id_ = found.pop("event_id")
    assert id_.startswith("h:")
    assert found == {
        **{name: value for name, value in MINUTE.items() if name not in ("is_server", "event_id")},
        "kind": "page",
        "name": "$mp_web_page_view",
        "sent_time": "2026-11-20T21:10:00.500000+00:00",
        "distinct_id": "$device:d1",
        "anonymous_id": "$device:d1",
        "device_id": "d1",
        "properties": properties,
        "url": "https://x.example/p",
        "title": "P",
        "referrer": "https://g.example/",
        "campaign": '{"source":"bing"}',
        "ip": "203.0.113.9",
        "user_agent": "Mozilla/5.0 (X11)",
        "library": "mixpanel-web",
        "library_version": "2.83.0",
    }
    # The same event again is the same; another one of that insert id is not.
    door.send("POST", "/track/", form(data), headers=headers, query="verbose=1&ip=0&_=1795209001500")
    assert (door.events[1].event_id, door.events[1].ip) == (id_, "")
    other = base64.b64encode(json.dumps([{"event": "Other", "properties": properties}]).encode()).decode()
    door.send("POST", "/track/", form(other), headers=headers)
    assert door.events[2].event_id != id_


def test_every_form_of_a_body(door: Any) -> None:
    message = event("Grüße 🎉", distinct_id="u1", label="a+b/c=d&e")
    plain = json.dumps(message, ensure_ascii=False)
    cesu = plain.encode("utf-16", "surrogatepass").decode("utf-16").replace("🎉", "\ud83c\udf89").encode("utf-8", "surrogatepass")
    coded = base64.b64encode(cesu).decode()
    headers = {"content-type": "text/plain"}
    bodies = [
        form(plain),
        form(coded),
        b"data=" + quote(coded.rstrip("="), safe="").encode(),
        form(coded.replace("+", "-").replace("/", "_")),
        b"ip=0&verbose=0&data=" + quote(plain).encode(),
        plain.encode(),
        b"[" + plain.encode() + b"]",
        gzip.compress(plain.encode()),
    ]
    for body in bodies:
        door.clear()
        reply = door.send("POST", "/track", body, headers=headers)
        assert (reply.status, reply.body) == (200, b"1"), reply.body
        assert [stored.name for stored in door.events] == ["Grüße 🎉"]
        assert json.loads(bytes(door.events[0].properties))["label"] == "a+b/c=d&e"
    door.clear()
    assert door.send("GET", "/track", query="ip=1&data=" + quote(coded, safe="")).body == b"1"
    assert (door.events[0].name, door.events[0].ip) == ("Grüße 🎉", "203.0.113.9")
    lines = "\n".join(json.dumps(event(name)) for name in ("One", "Two"))
    door.clear()
    reply = door.send("POST", "/import", lines.encode(), headers={"content-type": "application/x-ndjson"}, query="strict=1")
    assert (reply.json["code"], reply.json["status"], reply.json["num_records_imported"]) == (200, 1, 2)


@settings(max_examples=1000, deadline=None)
@given(
    text=st.lists(st.sampled_from([b"%", b"%25", b"%c3%A9", b"=3D", b"=\n", b"\r\n", b" ", b"+", b"_", b"\xe9", b"a", b"F"])).map(b"".join)
)
def test_percent_signs_are_read_as_urllib_reads_them(text: bytes) -> None:
    assert percent_decoded(text) == unquote_to_bytes(text)


def test_answers(door: Any) -> None:
    body = form(event("E", distinct_id="u"))
    for query, answer in (("", b"1"), ("verbose=0", b"1")):
        assert door.send("POST", "/track", body, query=query).body == answer
    assert door.send("POST", "/track", form(event("E"), verbose=1)).json["status"] == 1
    assert door.send("GET", "/import", query="verbose=0&" + body.decode()).body == b"1"
    image = door.send("GET", "/track/", query="img=1&" + body.decode())
    assert (image.headers["content-type"], image.body[:6], image.body[-1:]) == ("image/gif", b"GIF89a", b";")
    wrong = door.send("POST", "/track", form(event("E", token="nonsense"), verbose=1))
    assert (wrong.status, wrong.json["status"], bool(wrong.json["error"])) == (401, 0, True)
    assert door.send("GET", "/flags", query="context=%7B%7D&token=x").json["flags"] == {}
    assert door.send("GET", "/flags/definitions", query="mp_lib=python").json["flags"] == []
    assert door.send("GET", "/track").status == 299  # without data it is no protocol's
    assert door.send("GET", "/import").status == 299


def test_one_bad_message_takes_no_other_with_it(door: Any) -> None:
    deep = json.loads("[" * 80 + "]" * 80)
    bad = [
        {"properties": PYTHON},
        {"$token": TOKEN},
        {"$token": TOKEN, "$set": {"a": 1}},
        7,
        "x",
        event("E", x=deep),
        {**CHANGE, "$set": {"x": deep}},
    ]
    messages = [event("One"), *bad, event("Two")]
    reply = door.send("POST", "/track", form(messages, verbose=1))
    assert (reply.status, reply.json["status"], reply.json["num_records_imported"]) == (200, 1, 2)
    assert [one["index"] for one in reply.json["failed_records"]] == list(range(1, len(bad) + 1))
    assert [stored.name for stored in door.events] == ["One", "Two"]
    assert len(door.dead) == len(bad)


def test_each_event_goes_to_the_project_of_its_token(door: Any) -> None:
    messages = [
        event("A"),
        event("B", token="other-write-key"),
        event("C", token="nonsense"),
        {**CHANGE, "$token": "other-write-key", "$set": {"a": 1}},
    ]
    reply = door.send("POST", "/track", form(messages, verbose=1))
    assert [(one["index"], one["reason"]) for one in reply.json["rejected"]] == [(2, "unknown_token")]
    assert [(stored.name, stored.project) for stored in door.events] == [("A", "p1"), ("B", "p2"), ("$set", "p2")]
    assert door.collector.counters()["events"] == {"p1": 1, "p2": 2}
    door.clear()
    # The first one's is wrong: that does not take the others along.
    reply = door.send("POST", "/track", form([event("C", token="nonsense"), event("A"), event("B", token="other-write-key")], verbose=1))
    assert (reply.status, [(stored.name, stored.project) for stored in door.events]) == (200, [("A", "p1"), ("B", "p2")])
    assert len(door.dead) == 1


@pytest.mark.parametrize("where", ["basic", "query", "form"])
def test_the_key_may_stand_beside_the_events(door: Any, where: str) -> None:
    message = {"event": "E", "properties": {"distinct_id": "u", "time": 1795208999}}
    basic = {"authorization": "Basic " + base64.b64encode(b"test-write-key:secret").decode()}
    headers = basic if where == "basic" else {}
    query = "token=test-write-key" if where == "query" else "project_id=4242"
    more = {"api_key": TOKEN} if where == "form" else {}
    assert door.send("POST", "/import", form([message], verbose=1, **more), headers=headers, query=query).json["status"] == 1
    assert [stored.project for stored in door.events] == ["p1"]


def test_dead_letters_are_sent_again_by_their_own_door(door: Any) -> None:
    from almanac.ingest.replay import decode

    door.send("POST", "/engage", form([event("A"), {**CHANGE, "$token": "nonsense", "$set": {"a": 1}}]))
    (letter,) = door.dead
    (again,) = decode(door.settings, "p1", "mixpanel", letter["original"])
    assert (again.kind, again.distinct_id, again.protocol) == ("profile", "u1", "mixpanel")
