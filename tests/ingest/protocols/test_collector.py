"""The collector itself: keys, quotas, room, CORS, draining, and what it counts."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from almanac.core.errors import unavailable
from almanac.ingest import limits
from almanac.ingest.protocols import registry

TRACK = {"type": "track", "userId": "u1", "event": "E"}
BODY = json.dumps({"batch": [TRACK]}).encode()


def auth(key: str = "test-write-key") -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_every_file_of_the_package_is_found() -> None:
    assert {"native", "posthog", "segment"} <= registry().keys()
    for name, protocol in registry().items():
        assert protocol.name == name
        assert protocol.routes


def test_a_durable_event_is_answered_200(door: Any) -> None:
    reply = door.send("POST", "/v1/batch", BODY, headers=auth())
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert door.collector.counters() == {
        "requests": {"segment": 1},
        "events": {"p1": 1},
        "rejected": {},
        "refused": {},
        "bytes": len(BODY),
        "under_way": {"requests": 0, "bytes": 0},
    }


def test_a_log_that_cannot_take_events_is_told_to_senders(door: Any) -> None:
    door.log.failing = unavailable("The log is full.", retry_after=7)
    reply = door.send("POST", "/v1/batch", BODY, headers={**auth(), "origin": "https://x.example"})
    assert (reply.status, reply.headers["retry-after"], reply.json["code"]) == (503, "7", 503)
    assert reply.headers["access-control-expose-headers"] == "Retry-After"
    assert door.collector.counters()["events"] == {}
    assert door.collector.counters()["refused"] == {"503": 1}


# ------------------------------------------------------------------- keys


def test_keys(door: Any) -> None:
    assert door.send("POST", "/v1/batch", BODY).status == 401
    assert door.send("POST", "/v1/batch", BODY, headers=auth("wrong")).status == 401
    assert door.send("POST", "/v1/batch", BODY, headers=auth("x" * 5000)).status == 401
    for role in ("a-read-key", "an-admin-key"):
        reply = door.send("POST", "/v1/batch", BODY, headers=auth(role))
        assert (reply.status, reply.json["code"]) == (403, 403)
    assert door.send("POST", "/v1/batch", BODY, headers=auth("other-write-key")).status == 200
    assert [event.project for event in door.events] == ["p2"]


def test_a_new_key_works_at_once_and_a_withdrawn_one_stops_soon(door: Any) -> None:
    assert door.send("POST", "/v1/batch", BODY, headers=auth("new")).status == 401
    door.catalog.keys["new"] = door.catalog.keys["test-write-key"]
    assert door.send("POST", "/v1/batch", BODY, headers=auth("new")).status == 200
    del door.catalog.keys["new"]
    assert door.send("POST", "/v1/batch", BODY, headers=auth("new")).status == 200
    door.seconds += 2.1
    assert door.send("POST", "/v1/batch", BODY, headers=auth("new")).status == 401


def test_the_catalog_is_asked_seldom(door: Any) -> None:
    for _ in range(100):
        assert door.send("POST", "/v1/batch", BODY, headers=auth()).status == 200
    assert door.catalog.asked == 1


def test_a_flood_of_wrong_keys_does_not_reach_the_catalog(door: Any) -> None:
    statuses = [door.send("POST", "/v1/batch", BODY, headers=auth(f"wrong{number}")).status for number in range(1000)]
    assert set(statuses) == {401, 503}  # beyond the rate nobody can tell whether a key is wrong: come back
    assert door.catalog.asked == 200
    assert door.send("POST", "/v1/batch", BODY, headers=auth("wrong1")).status == 401
    door.seconds += 1
    assert door.send("POST", "/v1/batch", BODY, headers=auth()).status == 200


def test_known_keys_work_on_while_the_catalog_is_away(door: Any) -> None:
    assert door.send("POST", "/v1/batch", BODY, headers=auth()).status == 200
    door.catalog.failing = unavailable("The catalog is away.")
    door.seconds += 3600
    assert door.send("POST", "/v1/batch", BODY, headers=auth()).status == 200
    assert door.send("POST", "/v1/batch", BODY, headers=auth("other-write-key")).status == 503


# ----------------------------------------------------------------- quotas


def test_a_quota_is_a_rate_with_a_burst_of_ten_seconds(doors: Any) -> None:
    """4 events/s shared by 2 processes: 2 here, 20 at once. The 21st waits; a larger batch is let in and paid off."""
    door = doors(workers=2)
    door.catalog.quota = 4
    ten = json.dumps({"batch": [TRACK] * 10}).encode()
    assert [door.send("POST", "/v1/batch", ten, headers=auth()).status for _ in range(3)] == [200, 200, 429]
    door.now_us += 1_000_000
    assert door.send("POST", "/v1/batch", ten, headers=auth()).status == 200  # 2 - 10 = -8 tokens: 4 s of debt
    reply = door.send("POST", "/v1/batch", ten, headers=auth())
    assert (reply.status, reply.headers["retry-after"], reply.json["code"]) == (429, "4", 429)
    door.now_us += 4_100_000
    assert door.send("POST", "/v1/batch", ten, headers=auth()).status == 200
    assert len(door.events) == 40


def test_projects_do_not_share_a_quota(doors: Any) -> None:
    door = doors(quota=1)
    twenty = json.dumps({"batch": [TRACK] * 20}).encode()
    assert door.send("POST", "/v1/batch", twenty, headers=auth()).status == 200
    assert door.send("POST", "/v1/batch", twenty, headers=auth()).status == 429
    assert door.send("POST", "/v1/batch", twenty, headers=auth("other-write-key")).status == 200


# ------------------------------------------------------- room and draining


def test_too_many_requests_under_way(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        door.log.gate = asyncio.Event()
        door.collector._gate._most_requests = 3
        waiting = [asyncio.create_task(door.request("POST", "/v1/batch", BODY, headers=auth())) for _ in range(3)]
        await asyncio.sleep(0)
        refused = await door.request("POST", "/v1/batch", BODY, headers=auth())
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        door.log.gate.set()
        assert [(await task).status for task in waiting] == [200, 200, 200]
        assert (await door.request("POST", "/v1/batch", BODY, headers=auth())).status == 200

    door.loop.run_until_complete(story())


def test_too_many_bytes_under_way(doors: Any) -> None:
    door = doors(body_limit=64 << 20)
    half = b'{"batch":[],"x":"' + b"y" * (40 << 20) + b'"}'

    async def story() -> None:
        door.log.gate = asyncio.Event()
        door.collector._gate._most_bytes = 50 << 20
        event = b'{"batch":[{"type":"track","event":"E"}],"x":"' + b"y" * (40 << 20) + b'"}'
        waiting = asyncio.create_task(door.request("POST", "/v1/batch", event, headers=auth()))
        await asyncio.sleep(0)
        assert (await door.request("POST", "/v1/batch", half, headers=auth())).status == 503
        door.log.gate.set()
        assert (await waiting).status == 200
        assert (await door.request("POST", "/v1/batch", half, headers=auth())).status == 200

    door.loop.run_until_complete(story())
    assert door.collector.counters()["under_way"] == {"requests": 0, "bytes": 0}


def test_draining_lets_finish_what_is_under_way(door: Any) -> None:
    async def story() -> None:
        door.log.gate = asyncio.Event()
        waiting = asyncio.create_task(door.request("POST", "/v1/batch", BODY, headers=auth()))
        await asyncio.sleep(0)
        draining = asyncio.create_task(door.collector.drain())
        await asyncio.sleep(0.01)
        assert not draining.done()
        assert (await door.request("POST", "/v1/batch", BODY, headers=auth())).status == 503
        assert (await door.request("GET", "/elsewhere")).status == 299
        door.log.gate.set()
        await asyncio.wait_for(draining, 1)
        assert (await waiting).status == 200

    door.loop.run_until_complete(story())
    assert len(door.events) == 1


def test_bodies_in_pieces(doors: Any) -> None:
    door = doors(body_limit=1024)
    assert door.send("POST", "/v1/batch", [BODY[:10], BODY[10:20], BODY[20:]], headers=auth()).status == 200
    reply = door.send("POST", "/v1/batch", [b" " * 600, b" " * 600, b" "], headers=auth())
    assert (reply.status, reply.json["code"]) == (413, 413)
    assert door.send("POST", "/v1/batch", [b" " * 600] * 100, headers=auth()).status == 413
    assert door.collector.counters()["under_way"] == {"requests": 0, "bytes": 0}


def test_a_sender_that_hangs_up_is_not_answered(door: Any) -> None:
    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    scope = {"type": "http", "method": "POST", "path": "/v1/batch", "query_string": b"", "headers": [], "client": None}
    door.loop.run_until_complete(door.collector(scope, receive, send))
    assert door.collector.counters()["refused"] == {"gone": 1}
    assert door.collector.counters()["under_way"] == {"requests": 0, "bytes": 0}


# ------------------------------------------------------------ paths, CORS


def test_other_paths_and_kinds_of_connection_are_others_business(door: Any) -> None:
    for method, path in (("GET", "/"), ("GET", "/v1/batch"), ("POST", "/v1/unknown"), ("DELETE", "/batch"), ("OPTIONS", "/api/v1/x")):
        assert door.send(method, path).status == 299, (method, path)


def test_a_browser_may_send_from_any_page(door: Any) -> None:
    headers = {
        "origin": "https://shop.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-retry-count,x-custom",
    }
    for path in ("/v1/t", "/v1/batch/", "/e/", "/api/v1/events"):
        reply = door.send("OPTIONS", path, headers=headers)
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "https://shop.example"
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert reply.headers["access-control-allow-headers"] == "authorization,x-retry-count,x-custom"
        assert "POST" in reply.headers["access-control-allow-methods"]
        assert int(reply.headers["access-control-max-age"]) >= 86400
    reply = door.send("POST", "/v1/batch", BODY, headers={**auth(), "origin": "https://shop.example"})
    assert reply.headers["access-control-allow-origin"] == "https://shop.example"
    assert reply.headers["access-control-expose-headers"] == "Retry-After"
    assert "access-control-allow-origin" not in door.send("POST", "/v1/batch", BODY, headers=auth()).headers


def test_the_address_behind_a_proxy(door: Any) -> None:
    headers = {**auth(), "user-agent": "Mozilla/5.0"}
    for peer, forwarded, address in (
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger's claim
        ("10.0.0.1", "6.6.6.6, 8.8.8.8, 10.0.0.2", "8.8.8.8"),
        ("127.0.0.1", "[2606:4700::1]:443", "2606:4700::1"),
        ("127.0.0.1", "10.1.2.3:80", "10.1.2.3"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
    ):
        door.clear()
        more = {"x-forwarded-for": forwarded} if forwarded else {}
        assert door.send("POST", "/v1/batch", BODY, headers={**headers, **more}, peer=peer).status == 200
        assert [event.ip for event in door.events] == [address]


def test_buckets() -> None:
    bucket = limits.Bucket(rate=2.0, burst=10.0, now=100.0)
    assert bucket.take(100.0, 13)
    assert not bucket.take(100.0)
    assert bucket.wait() == 1.5
    assert not bucket.take(101.5)
    assert bucket.take(102.0)
    assert not bucket.take(99.0)  # a clock that went back gives nothing
    assert not bucket.take(102.0)
    assert bucket.take(102.5)


def test_hostile_text_does_not_take_for_ever(door: Any) -> None:
    """Unfinished texts full of escaped quotes, brackets without end, a form of many fields: each is done with in a moment."""
    for body in (
        b'{"a":NaN,"b":"' + b'\\"' * 1_000_000,
        b'{"batch":[' * 200_000,
        b'{"a":"\\ud8' * 200_000,
        b"data=x&" * 500_000,
        b"A" * 3_000_001,
        b'{"batch":[' + b'{"":' * 100_000,
    ):
        began = time.perf_counter()
        assert door.post("/v1/batch", body).status == 400
        assert time.perf_counter() - began < 5
    assert door.unexpected == 0
