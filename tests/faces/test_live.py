"""Live answers by WebSocket, over real rooms and both servers: who may follow what, what is pushed and what is not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.faces.live_stack import Stack, until
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from almanac.web import live
from almanac.web.live_changes import applied
from almanac.web.live_client import updates

if TYPE_CHECKING:
    from tests.faces.conftest import House, Keys

BY_PLAN = {"kind": "trend", "series": ["order"], "last": "3 days", "breakdown": ["plan"]}


def order(plan: str, count: int = 1) -> list[dict[str, Any]]:
    return [{"event": "order", "distinct_id": "u1", "properties": {"plan": plan}} for _ in range(count)]


@pytest.fixture(scope="module")
def stack(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(house.rooms, tmp_path_factory.mktemp("live"))
    yield stack
    stack.stop()


NUMBERS = iter(range(10**6))


@pytest.fixture
def keys(house: House) -> Keys:
    made = house.project(f"live-{next(NUMBERS)}")
    house.send(made.project, *order("free", 2), *order("pro"))
    return made


def send(house: House, keys: Keys, *events: dict[str, Any]) -> None:
    """As the load does when a batch is stored."""
    house.send(keys.project, *events)
    house.rooms.changes.tell([keys.project])


def rest(house: House, keys: Keys, question: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/api/v1/projects/{keys.project}/ask"
    answer = house.client.post(path, json=question, headers={"authorization": f"Bearer {keys.read}"})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["rows"])


# -------------------------------------------------------------------- who may


def test_a_key_comes_by_header_subprotocol_or_first_message(stack: Stack, keys: Keys) -> None:
    with stack.client(keys.read) as client:
        assert client.next()["type"] == "welcome"
    offered = [Subprotocol("almanac.v1"), Subprotocol(f"almanac.key.{keys.read}")]
    with stack.client(subprotocols=offered) as client:
        assert client.next()["type"] == "welcome"
        assert client.socket.subprotocol == "almanac.v1", "the key is not said again"
    with stack.client() as client:
        client.send(type="hello", key=keys.read)
        assert client.next() == {"type": "welcome", "protocol": 1, "almanac_version": "test", "ping_seconds": live.QUIET_SECONDS}


@pytest.mark.parametrize("case", ["unknown", "write", "none", "nonsense"])
def test_without_a_right_nothing_is_followed(stack: Stack, keys: Keys, case: str) -> None:
    with stack.client({"unknown": "rk_nobody", "write": keys.write}.get(case, "")) as client:
        if case == "none":
            client.send(type="subscribe", id="a", project=keys.project, question=BY_PLAN)
        if case == "nonsense":
            client.send(type="hello", key="rk_nobody")
        told = client.next()
        assert (told["type"], told["error"]["code"], told["error"]["retryable"]) == ("error", "denied", False)
        with pytest.raises(ConnectionClosed) as closed:
            client.next()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, told["error"]["message"])


def test_silence_instead_of_a_key_is_not_waited_for(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HELLO_SECONDS", 0.3)
    with stack.client() as client, pytest.raises(ConnectionClosed) as closed:
        client.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4408


def test_projects_of_others_are_not_there(stack: Stack, house: House, keys: Keys) -> None:
    other = house.project(f"live-{next(NUMBERS)}")
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        for question in (BY_PLAN, None):
            client.send(type="subscribe", id="a", project=other.project, **({"question": question} if question else {"events": {}}))
            assert client.next()["error"]["code"] == "not_found"


def test_a_revoked_key_ends_what_it_followed(stack: Stack, house: House, keys: Keys) -> None:
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        client.subscribe(keys.project, BY_PLAN)
        [found] = [key for key in house.catalog.keys(keys.project) if key.role == "read"]
        began = time.monotonic()
        house.catalog.revoke_key(keys.project, found.id)
        told = client.next()
        assert (told["id"], told["error"]["code"]) == ("q", "denied")
        with pytest.raises(ConnectionClosed) as closed:
            client.next()
        assert time.monotonic() - began < 10
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


# ------------------------------------------------------------- what is pushed


def test_what_changes_is_pushed_and_nothing_else(stack: Stack, house: House, keys: Keys) -> None:
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        first = client.subscribe(keys.project, BY_PLAN)
        assert (first["type"], first["id"]) == ("snapshot", "q")
        rows = first["answer"]["rows"]
        assert rows == rest(house, keys, BY_PLAN)
        send(house, keys, *order("pro", 3))
        change = client.next()
        assert (change["type"], change["base"], change["removed"]) == ("change", first["version"], [])
        # pro has overtaken free: today's number of pro is another, and the group stands first now.
        assert {row["row"]["breakdown"] for row in change["rows"]} == {"pro"}
        assert {"watermark", "asked_at", "window", "notes"} <= set(change["receipt"])
        rows = applied(rows, change["key"], [(one["place"], one["row"]) for one in change["rows"]], change["removed"])
        assert rows == rest(house, keys, BY_PLAN)
        send(house, keys, {"event": "other", "distinct_id": "u9"})
        assert client.quiet(), "nothing of it is in this answer"
        client.send(type="unsubscribe", id="q")
        assert client.next() == {"type": "unsubscribed", "id": "q"}
        send(house, keys, *order("pro"))
        assert client.quiet()
        client.send(type="ping")
        assert client.next() == {"type": "pong"}


def test_a_client_that_comes_back_goes_on_where_it_was(stack: Stack, house: House, keys: Keys) -> None:
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        first = client.subscribe(keys.project, BY_PLAN)
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        same = client.subscribe(keys.project, BY_PLAN, since=first["version"])
        assert (same["type"], same["version"], same["rows"], same["removed"]) == ("change", first["version"], [], [])
    send(house, keys, *order("free"))
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        change = client.subscribe(keys.project, BY_PLAN, since=first["version"])
        assert (change["type"], change["base"], len(change["rows"])) == ("change", first["version"], 1)
        unknown = client.subscribe(keys.project, BY_PLAN, id_="b", since="0123456789abcdef")
        assert (unknown["type"], unknown["version"]) == ("snapshot", change["version"])


def test_the_same_question_of_many_is_read_once(stack: Stack, house: House, keys: Keys) -> None:
    with ExitStack() as ending:
        clients = [ending.enter_context(stack.client(keys.read)) for _ in range(20)]
        for number, client in enumerate(clients):
            client.next(of="welcome")
            written = BY_PLAN if number % 2 else {**BY_PLAN, "interval": "day", "series": [{"event": "order"}]}
            client.subscribe(keys.project, written)
        looks = stack.figure("looks_total")
        send(house, keys, *order("team"))
        versions = {client.next(of="change")["version"] for client in clients}
        assert len(versions) == 1
        assert stack.figure("looks_total") == looks + 1
        time.sleep(1)
        assert stack.figure("looks_total") == looks + 1, "where nothing changes, nothing is done"


def test_a_slow_client_misses_steps_and_not_the_end(stack: Stack, house: House, keys: Keys) -> None:
    """A megabyte at every step, read by one client and left lying by the other."""
    wide = {"kind": "sql", "sql": "SELECT arrayJoin(range(1000)) AS n, repeat('x', 1000) AS t, count() AS c FROM events GROUP BY project"}
    with stack.client(keys.read, max_queue=1) as slow, stack.client(keys.read) as quick:
        for client in (slow, quick):
            client.next(of="welcome")
            client.subscribe(keys.project, wide)
        began = time.monotonic()
        steps = 0
        while steps < 15:
            send(house, keys, *order("free"))
            quick.next()
            steps += 1
        end = rest(house, keys, wide)[0]["c"]
        came = 0
        while slow.next()["rows"][0]["row"]["c"] < end:
            came += 1
        assert came < steps, (came, steps, time.monotonic() - began)


def test_a_client_that_takes_nothing_for_long_is_let_go(stack: Stack, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SLOW_SECONDS", 0.5)
    wide = {"kind": "sql", "sql": "SELECT arrayJoin(range(15000)) AS n, repeat('x', 1000) AS t, count() AS c FROM events GROUP BY project"}
    asked = json.dumps({"type": "subscribe", "id": "q", "project": keys.project, "question": wide}).encode()
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as client:
        head = f"GET /api/v1/live HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {keys.read}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
        head += "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        client.sendall(head.encode() + b"\x81\xfe" + len(asked).to_bytes(2, "big") + bytes(4) + asked)  # masked with zeros
        until(lambda: stack.figure("subscriptions") == 1)
        until(lambda: stack.figure("connections") == 0)


# -------------------------------------------------------------- wrong and right


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"type": "subscribe"}, "id"),
        ({"type": "subscribe", "id": 7}, "id"),
        ({"type": "subscribe", "id": "a"}, "project"),
        ({"type": "subscribe", "id": "a", "project": "P"}, "question"),
        ({"type": "subscribe", "id": "a", "project": "P", "question": [], "events": {}}, "question"),
        ({"type": "subscribe", "id": "a", "project": "P", "question": [1]}, "question"),
        ({"type": "subscribe", "id": "a", "project": "P", "events": "all"}, "events"),
        ({"type": "subscribe", "id": "a", "project": "P", "question": BY_PLAN, "since": 3}, "since"),
        ({"type": "subscribe", "id": "a", "project": "P", "question": {"kind": "no such"}}, "kind"),
        ({"type": "subscribe", "id": "a", "project": "P", "question": {**BY_PLAN, "interval": "eon"}}, "interval"),
        ({"type": "unsubscribe"}, "id"),
        ({"type": "sing"}, "type"),
        ({}, "type"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_the_connection_goes_on(
    stack: Stack, keys: Keys, message: dict[str, Any], place: str
) -> None:
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        text = json.dumps(message).replace('"P"', json.dumps(keys.project))
        client.socket.send(text)
        told = client.next()
        assert (told["type"], told["error"]["retryable"]) == ("error", False)
        assert told["error"]["place"].startswith(place), told
        assert told["error"]["way_out"]
        assert told.get("id") == (message.get("id") if isinstance(message.get("id"), str) else None)
        assert client.subscribe(keys.project, BY_PLAN)["type"] == "snapshot"


def test_messages_that_are_no_messages(stack: Stack, keys: Keys) -> None:
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        for wrong in ("{", "[]", b"\xff", "null", "[" * 100_000):
            client.socket.send(wrong)
            assert client.next()["error"]["code"] == "invalid"
        client.subscribe(keys.project, BY_PLAN)
        assert client.subscribe(keys.project, BY_PLAN)["error"]["code"] == "conflict"
        client.socket.send("x" * (live.MESSAGE_LIMIT + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_a_connection_follows_so_much_and_no_more(stack: Stack, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_SUBSCRIPTIONS", 2)
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        for number in range(2):
            assert client.subscribe(keys.project, BY_PLAN, id_=str(number))["type"] == "snapshot"
        assert client.subscribe(keys.project, BY_PLAN, id_="third")["error"]["code"] == "limited"


def test_a_definition_behind_the_question_may_change(stack: Stack, house: House, keys: Keys) -> None:
    house.rooms.definitions.save(keys.project, "metric", "sales", {"event": "order", "measure": "count"})
    asked = {"kind": "trend", "series": [{"metric": "sales"}], "interval": "total", "last": "3 days"}
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        assert client.subscribe(keys.project, asked)["answer"]["rows"][0]["value"] == 3
        house.rooms.definitions.save(keys.project, "metric", "sales", {"event": "order", "measure": "unique"})
        told = client.next()
        assert told["type"] == "snapshot", "it is another question now"
        assert told["answer"]["rows"][0]["value"] == 1
        house.rooms.definitions.remove(keys.project, "metric", "sales")
        told = client.next()
        assert (told["id"], told["error"]["code"]) == ("q", "not_found")


# ------------------------------------------------------------------- the events


def test_the_latest_events_come_as_they_are_stored(stack: Stack, house: House, keys: Keys) -> None:
    with stack.client(keys.read) as client:
        client.next(of="welcome")
        client.send(type="subscribe", id="e", project=keys.project, events={})
        first = client.next()
        assert (first["type"], first["id"], first["skipped"]) == ("events", "e", False)
        assert [event["properties"]["plan"] for event in first["events"]] == ["pro", "free", "free"] or len(first["events"]) == 3
        send(house, keys, {"event": "view", "distinct_id": "u7", "id": "the-one"})
        told = client.next()
        assert [(event["event"], event["distinct_id"]) for event in told["events"]] == [("view", "u7")]
        assert told["skipped"] is False
        send(house, keys, *order("free", 120))
        told = client.next()
        assert (len(told["events"]), told["skipped"]) == (50, True), "so many and no more"
        client.send(type="subscribe", id="views", project=keys.project, events={"event": "view"})
        assert [event["event"] for event in client.next()["events"]] == ["view"]


# ------------------------------------------------------------------- the client


def test_the_client_keeps_the_answer_up_to_date(stack: Stack, house: House, keys: Keys) -> None:
    follow = updates(stack.url, keys.read, keys.project, BY_PLAN)
    first = next(follow)
    assert first.changed == first.answer["rows"] == rest(house, keys, BY_PLAN)
    for plan in ("team", "free", "team"):
        send(house, keys, *order(plan))
        update = next(follow)
        assert {row["breakdown"] for row in update.changed} >= {plan}
        assert update.answer["rows"] == rest(house, keys, BY_PLAN)
    for session in list(stack.live._sessions):  # as when a server stops
        stack._loop.call_soon_threadsafe(session.close, 1001, "gone")
    send(house, keys, *order("free", 5))
    assert next(follow).answer["rows"] == rest(house, keys, BY_PLAN)
    follow.close()


def test_the_client_says_why_it_cannot(stack: Stack, keys: Keys) -> None:
    from almanac.core.errors import AlmanacError, Code

    for key, project, question, code in (
        ("rk_nobody", keys.project, BY_PLAN, Code.DENIED),
        ("", keys.project, BY_PLAN, Code.DENIED),
        (keys.read, "nowhere", BY_PLAN, Code.NOT_FOUND),
        (keys.read, keys.project, {"kind": "trend"}, Code.INVALID),
    ):
        with pytest.raises(AlmanacError) as refused:
            next(updates(stack.url, key, project, question))
        assert refused.value.code is code
    with pytest.raises(AlmanacError) as gone:
        next(updates("http://127.0.0.1:9", "k", "p", BY_PLAN))
    assert gone.value.code is Code.UNAVAILABLE


def test_who_comes_without_a_websocket_is_told(stack: Stack) -> None:
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{stack.url}/api/v1/live", timeout=5)
    with refused.value as answer:
        assert answer.code == 426
        assert "docs/live.md" in json.load(answer)["error"]["way_out"]
