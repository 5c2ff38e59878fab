"""Almanac's own protocol: its four forms of a body, and each member of an event."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from almanac.core.event import Event

EVENT = {"event": "Ticket Bought", "id": "i1", "time": "2026-11-20T21:09:59Z", "user_id": "u1", "properties": {"price": 12.5}}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(EVENT).encode(),
        json.dumps([EVENT]).encode(),
        json.dumps({"batch": [EVENT]}, indent=2).encode(),
        json.dumps(EVENT).encode() + b"\n",
    ],
)
def test_one_event(body: bytes, door: Any, say: Any) -> None:
    reply = door.post("/api/v1/events", body, headers={"user-agent": "Mozilla/5.0", "origin": "https://x.example"})
    assert (reply.status, reply.json["status"], reply.json["accepted"], reply.json["rejected"]) == (200, 1, 1, [])
    assert [say(event) for event in door.events] == [
        {
            "project": "p1",
            "event_id": "i1",
            "kind": "track",
            "name": "Ticket Bought",
            "received_us": 1_795_209_000_000_000,
            "client_time": "2026-11-20T21:09:59Z",
            "distinct_id": "u1",
            "user_id": "u1",
            "properties": {"price": 12.5},
            "ip": "203.0.113.9",
            "user_agent": "Mozilla/5.0",
        }
    ]


def test_one_event_a_line(door: Any) -> None:
    lines = [json.dumps({**EVENT, "id": str(number)}) for number in range(3)]
    lines.insert(2, '{"event": "cut o')
    reply = door.post("/api/v1/events", "\n".join(lines).encode(), headers={"content-type": "application/x-ndjson"})
    assert reply.json["accepted"] == 3
    assert [(found["index"], found["reason"]) for found in reply.json["rejected"]] == [(2, "not_an_object")]
    assert [event.event_id for event in door.events] == ["0", "1", "2"]
    assert [letter["original"] for letter in door.dead] == ['{"event": "cut o']
    door.clear()
    assert door.post("/api/v1/events", "\r\n".join(lines[:2]).encode()).json["accepted"] == 2


def test_every_member(door: Any, say: Any) -> None:
    sent = {
        "kind": "identify",
        "id": "i1",
        "time": 1795208999.5,
        "sent_at": 1795209000000,
        "user_id": "u1",
        "anonymous_id": "a1",
        "device_id": "d1",
        "session_id": "s1",
        "window_id": "w1",
        "properties": {"a": 1},
        "person": {"set": {"plan": "pro"}, "unset": ["x"]},
        "groups": {"company": "acme"},
        "group": {"type": "company", "key": "acme", "set": {"seats": 5}},
        "url": "https://x.example/",
        "title": "X",
        "referrer": "https://g.example/",
        "screen": "Login",
        "ip": "198.51.100.1",
        "user_agent": "Mozilla/5.0",
        "library": {"name": "almanac-web", "version": "1.0.0"},
        "is_server": False,
        "keep_time": True,
        "context": {"locale": "de"},
        "flags": {"consent": "all"},
        "colour": "red",
    }
    assert door.post("/api/v1/events", sent).json["accepted"] == 1
    (event,) = door.events
    assert say(event) == {
        "project": "p1",
        "event_id": "i1",
        "kind": "identify",
        "name": "identify",
        "received_us": 1_795_209_000_000_000,
        "client_time": "2026-11-20T21:09:59.500000+00:00",
        "sent_time": "2026-11-20T21:10:00+00:00",
        "keep_time": True,
        "distinct_id": "u1",
        "user_id": "u1",
        "anonymous_id": "a1",
        "device_id": "d1",
        "merges": [("a1", "u1", "identify")],
        "session_id": "s1",
        "window_id": "w1",
        "groups": {"company": "acme"},
        "properties": {"a": 1},
        "profile": {"set": {"plan": "pro"}, "unset": ["x"]},
        "group_profile": {"type": "company", "key": "acme", "set": {"seats": 5}},
        "url": "https://x.example/",
        "title": "X",
        "referrer": "https://g.example/",
        "screen": "Login",
        "ip": "198.51.100.1",
        "user_agent": "Mozilla/5.0",
        "library": "almanac-web",
        "library_version": "1.0.0",
        "context": {"locale": "de"},
        "flags": {"consent": "all"},
        "rest": {"colour": "red"},
    }


def test_aliases(door: Any) -> None:
    alias = {"kind": "alias", "distinct_id": "u1", "previous_id": "old"}
    door.post("/api/v1/events", [alias, {**alias, "how": "merge"}, {**alias, "previous_id": "u1"}])
    assert [[(merge.source, merge.target, merge.how) for merge in event.merges] for event in door.events] == [
        [("old", "u1", "alias")],
        [("old", "u1", "merge")],
        [],
    ]


def test_the_key_may_stand_in_three_places(door: Any) -> None:
    assert door.post("/api/v1/events", EVENT).status == 200
    assert door.post("/api/v1/events", EVENT, key=None, query="write_key=test-write-key").status == 200
    assert door.post("/api/v1/events/", {"batch": [EVENT], "write_key": "test-write-key"}, key=None).status == 200
    assert door.post("/api/v1/events", {**EVENT, "write_key": "test-write-key"}, key=None).status == 200
    assert door.post("/api/v1/events", EVENT, key=None).status == 401
    assert len(door.events) == 4


def test_a_program_is_taken_for_a_server_and_a_phone_is_not(door: Any) -> None:
    door.post("/api/v1/events", EVENT, headers={"user-agent": "python-requests/2.34"})
    door.post("/api/v1/events", EVENT, headers={"user-agent": "okhttp/4.12"})
    assert [(event.is_server, event.ip, event.user_agent) for event in door.events] == [
        (True, "", ""),
        (False, "203.0.113.9", "okhttp/4.12"),
    ]


def test_what_is_refused(doors: Any) -> None:
    door = doors(event_limit=1024, batch_limit=3)
    big = {**EVENT, "properties": {"x": "y" * 2000}}
    reply = door.post("/api/v1/events", [EVENT, big, {"user_id": "u"}, {**EVENT, "kind": "nonsense"}])
    assert [(found["index"], found["reason"]) for found in reply.json["rejected"]] == [
        (1, "too_large"),
        (2, "no_name"),
        (3, "over_batch_limit"),
    ]
    assert len(door.dead) == 3
    assert door.post("/api/v1/events", {**EVENT, "kind": "dead_letter"}).json["rejected"][0]["reason"] == "unknown_kind"


def test_reading_the_latest_events_belongs_to_others(door: Any) -> None:
    assert door.send("GET", "/api/v1/events").status == 299
    assert door.send("POST", "/api/v1/projects/p/ask").status == 299


def test_cookieless_people_have_the_ids_of_a_day(doors: Any, tmp_path: Path) -> None:
    door = doors(data=tmp_path)
    event = {"event": "viewed", "cookieless": True}

    def sent(*, agent: str = "Mozilla/5.0 A", peer: str = "203.0.113.9", key: str = "test-write-key", **more: Any) -> Event:
        assert door.post("/api/v1/events", {**event, **more}, key=key, headers={"user-agent": agent}, peer=peer).status == 200
        return door.events[-1]

    first = sent()
    assert first.distinct_id == first.anonymous_id
    assert re.fullmatch(r"c:[0-9a-f]{32}", first.distinct_id)
    assert first.ip == "203.0.113.0"
    assert sent(peer="2001:db8:1:2:3::4").ip == "2001:db8:1::"
    assert sent().distinct_id == first.distinct_id
    others = [sent(agent="Mozilla/5.0 B"), sent(peer="203.0.113.10"), sent(key="other-write-key")]
    assert len({one.distinct_id for one in (first, *others)}) == 4
    known = sent(user_id="u1")
    assert (known.distinct_id, known.anonymous_id, known.ip) == ("u1", "", "203.0.113.0")
    assert sent(cookieless=False).distinct_id == ""
    (file,) = (tmp_path / "run").iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("day-2026-11-20", 0o600)
    door.now_us += 86_400_000_000
    assert sent().distinct_id != first.distinct_id
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["day-2026-11-21"]
