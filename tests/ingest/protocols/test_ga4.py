"""GA4's Measurement Protocol, worked by hand; what its SDK sent, replayed and spoilt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.protocols import mutated

WEB = "measurement_id=G-1&api_secret=test-write-key"
APP = "firebase_app_id=1:1:android:1&api_secret=test-write-key"
NOW = 1_795_209_000_000_000


def post(door: Any, body: Any, query: str = WEB, path: str = "/mp/collect", **more: Any) -> Any:
    return door.post(path, body, key=None, query=query, **more)


def only(door: Any, say: Any, body: Any, **more: Any) -> dict[str, Any]:
    door.clear()
    reply = post(door, body, **more)
    assert (reply.status, reply.body) == (204, b"")
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    assert found.pop("event_id").startswith("h:")
    return found


def event(**members: Any) -> dict[str, Any]:
    return {
        "project": "p1",
        "received_us": NOW,
        "protocol": "ga4",
        "is_server": True,
        "anonymous_id": "c1",
        "distinct_id": "c1",
        "context": {"measurement_id": "G-1"},
        **members,
    }


def test_a_whole_request(door: Any, say: Any) -> None:
    params = {"session_id": "123", "engagement_time_msec": "100", "page_location": "https://x.example/?utm_source=a", "page_title": "Hömé"}
    body = {
        "client_id": "c1",
        "user_id": "u1",
        "timestamp_micros": str(NOW - 1_000_000),
        "non_personalized_ads": False,
        "user_properties": {"plan": {"value": "pro", "timestamp_micros": 1}, "old": {"value": None}, "n": {"value": 5}},
        "consent": {"ad_user_data": "GRANTED"},
        "user_location": {"city": "Zurich"},
        "device": {"category": "desktop"},
        "user_agent": "UA/1.0",
        "ip_override": "198.51.100.7",
        "events": [{"name": "page_view", "params": params}],
    }
    expected = event(
        kind="page",
        name="page_view",
        client_time="2026-11-20T21:09:59+00:00",
        distinct_id="u1",
        user_id="u1",
        merges=[("c1", "u1", "same-event")],
        session_id="123",
        url="https://x.example/?utm_source=a",
        title="Hömé",
        ip="198.51.100.7",
        user_agent="UA/1.0",
        properties=params,
        profile={"set": {"plan": "pro", "n": 5}, "unset": ["old"]},
        context={"measurement_id": "G-1", "device": {"category": "desktop"}, "location": {"city": "Zurich"}},
        flags={"consent": {"ad_user_data": "GRANTED"}, "non_personalized_ads": False},
        rest={"user_properties": {"plan": {"timestamp_micros": 1}}},
    )
    del expected["is_server"]
    assert only(door, say, body) == expected


def test_kinds_and_screens(door: Any, say: Any) -> None:
    body = {"app_instance_id": "c1", "events": [{"name": "screen_view", "params": {"firebase_screen": "Login"}}]}
    found = only(door, say, body, query=APP)
    context = {"firebase_app_id": "1:1:android:1"}
    assert found == event(kind="screen", name="screen_view", screen="Login", properties={"firebase_screen": "Login"}, context=context)
    for name, kind in (("session_start", "session_start"), ("user_engagement", "ping"), ("app_exception", "exception"), ("buy", "track")):
        assert only(door, say, {"client_id": "c1", "events": [{"name": name}]}) == event(kind=kind, name=name)


def test_one_event_in_the_place_of_the_list(door: Any, say: Any) -> None:
    body = {"client_id": "c1", "events": {"name": "later", "params": {"a": 1}}, "timestamp_micros": NOW}
    assert only(door, say, body) == event(kind="track", name="later", properties={"a": 1}, client_time="2026-11-20T21:10:00+00:00")


def test_campaigns(door: Any) -> None:
    named = {"source": "news", "medium": "email", "campaign": "spring", "term": "t", "content": "c"}
    own = {"campaign_source": "news", "campaign_medium": "email", "campaign_name": "spring", "campaign_term": "t", "campaign_content": "c"}
    events = [{"name": "campaign_details", "params": named}, {"name": "login", "params": own}, {"name": "select_content", "params": named}]
    post(door, {"client_id": "c1", "events": events})
    first, second, third = [event.campaign for event in door.events]
    assert json.loads(first) == json.loads(second) == named
    assert third == ""


def test_a_person_changes_once_for_each_request(door: Any) -> None:
    body = {"client_id": "c1", "user_properties": {"plan": {"value": "pro"}}, "events": [{}, {"name": "a"}, {"name": "b"}]}
    post(door, body)
    assert [bytes(event.profile) for event in door.events] == [b'{"set":{"plan":"pro"}}', b"{}"]


def ids(door: Any, *bodies: Any) -> list[str]:
    door.clear()
    for body in bodies:
        assert post(door, body).status == 204
    return [event.event_id for event in door.events]


def test_the_same_body_counts_once_if_it_holds_a_time(door: Any) -> None:
    timed = {"client_id": "c1", "timestamp_micros": NOW, "events": [{"name": "a"}, {"name": "a"}, {"name": "a", "params": {"i": 1}}]}
    first = ids(door, timed)
    assert len(set(first)) == 3
    assert ids(door, timed) == first
    assert ids(door, {**timed, "user_properties": {"x": {"value": 1}}}) == first
    assert not set(ids(door, {**timed, "client_id": "c2"})) & set(first)
    own = {"client_id": "c1", "events": [{"name": "a", "timestamp_micros": NOW}, {"name": "b", "timestamp_micros": NOW}]}
    assert ids(door, own) == list(reversed(ids(door, {**own, "events": own["events"][::-1]})))
    untimed = {"client_id": "c1", "events": [{"name": "a"}, {"name": "a"}]}
    before = ids(door, untimed)
    door.now_us += 1
    assert len({*before, *ids(door, untimed)}) == 4


def test_a_purchase_is_known_by_its_transaction(door: Any) -> None:
    def body(name: str, value: float) -> Any:
        return {"client_id": "c1", "events": [{"name": name, "params": {"transaction_id": "o1", "value": value, "currency": "EUR"}}]}

    first, again = ids(door, body("purchase", 49.9), body("purchase", 49.9))
    assert first == again
    door.now_us += 1
    assert ids(door, body("purchase", 49.9)) == [first]
    refunds = [*ids(door, body("refund", 10)), *ids(door, body("refund", 5))]
    assert len({first, *refunds}) == 3


def test_the_bad_event_goes_alone(door: Any) -> None:
    bad: list[Any] = [{"params": {"a": 1}}, 5, {"name": ""}]
    reply = post(door, {"client_id": "c1", "timestamp_micros": NOW, "events": [*bad, {"name": "good", "odd": 1}]})
    assert reply.status == 200
    assert [message["fieldPath"] for message in reply.json["validationMessages"]] == ["events[0]", "events[1]", "events[2]"]
    assert [event.name for event in door.events] == ["good"]
    assert json.loads(bytes(door.events[0].rest)) == {"odd": 1}
    assert [letter["reason"] for letter in door.dead] == ["no_name", "not_an_object", "no_name"]
    original = json.loads(door.dead[0]["original"])
    assert original.pop("measurement_id") == "G-1"
    assert original.pop("client_id") == "c1"
    assert original.pop("events") == [{"params": {"a": 1}}]
    assert str(original.pop("timestamp_micros")) == str(NOW)
    assert original == {}


def test_a_replay_of_the_original_mended(door: Any, say: Any) -> None:
    from almanac.core.settings import Settings
    from almanac.ingest.replay import decode

    post(door, {"client_id": "c1", "timestamp_micros": NOW, "events": [{"name": "good"}, {"params": {"a": 1}}]})
    original = json.loads(door.dead[0]["original"])
    original["events"][0]["name"] = "mended"
    (event,) = decode(Settings(), "p1", "ga4", json.dumps(original))
    found = say(event)
    assert (found["name"], found["distinct_id"], found["properties"]) == ("mended", "c1", {"a": 1})
    assert (found["context"], found["client_time"]) == ({"measurement_id": "G-1"}, "2026-11-20T21:10:00+00:00")


def test_keys(door: Any) -> None:
    body = {"client_id": "c1", "events": [{"name": "a"}]}
    assert post(door, body, query="measurement_id=G-1&api_secret=wrong").status == 401
    assert post(door, body, query="").status == 401
    assert post(door, body, query="measurement_id=test-write-key&api_secret=wrong").status == 204
    assert post(door, body, query="firebase_app_id=test-write-key").status == 204
    assert post(door, body, path="/mp/collect/").status == 204
    assert len(door.events) == 3


# ------------------------------------------------------------ the validation server


def faults(door: Any, body: Any, query: str = WEB) -> set[tuple[str, str]]:
    reply = post(door, body, query=query, path="/debug/mp/collect")
    assert reply.status == 200
    assert door.log.lines == []
    assert all(message["description"].endswith((".", ")")) for message in reply.json["validationMessages"])
    return {(message["fieldPath"], message["validationCode"]) for message in reply.json["validationMessages"]}


GOOD: dict[str, Any] = {"client_id": "c1", "events": [{"name": "login", "params": {"method": "x", "session_id": "1"}}]}


def one(**members: Any) -> dict[str, Any]:
    return {**GOOD, "events": [{"name": "login", **members}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (GOOD, set()),
        ({**GOOD, "timestamp_micros": NOW - 71 * 3_600_000_000}, set()),
        ({"events": GOOD["events"]}, {("client_id", "VALUE_REQUIRED")}),
        ({**GOOD, "client_id": 5}, {("client_id", "VALUE_INVALID")}),
        ({"client_id": "c1"}, {("events", "VALUE_REQUIRED")}),
        ({"client_id": "c1", "events": []}, {("events", "VALUE_REQUIRED")}),
        ({**GOOD, "events": GOOD["events"][0]}, {("events", "VALUE_INVALID")}),
        ({**GOOD, "events": [5]}, {("events[0]", "VALUE_INVALID")}),
        ({**GOOD, "events": GOOD["events"] * 26}, {("events", "EXCEEDED_MAX_ENTITIES")}),
        ({**GOOD, "events": [{}]}, {("events[0].name", "VALUE_REQUIRED")}),
        ({**GOOD, "events": [{"name": "a b"}]}, {("events[0].name", "NAME_INVALID")}),
        ({**GOOD, "events": [{"name": "a" * 41}]}, {("events[0].name", "NAME_INVALID")}),
        ({**GOOD, "events": [{"name": "first_open"}]}, {("events[0].name", "NAME_RESERVED")}),
        ({**GOOD, "events": [{"name": "ga_x"}]}, {("events[0].name", "NAME_RESERVED")}),
        ({**GOOD, "timestamp_micros": NOW - 73 * 3_600_000_000}, {("timestamp_micros", "VALUE_OUT_OF_BOUNDS")}),
        ({**GOOD, "timestamp_micros": "soon"}, {("timestamp_micros", "VALUE_INVALID")}),
        (one(timestamp_micros=NOW + 10**10), {("events[0].timestamp_micros", "VALUE_OUT_OF_BOUNDS")}),
        (one(params=[]), {("events[0].params", "VALUE_INVALID")}),
        (one(params={f"p{number}": 1 for number in range(26)}), {("events[0].params", "EXCEEDED_MAX_ENTITIES")}),
        (one(params={"a": "x" * 101}), {("events[0].params.a", "VALUE_OUT_OF_BOUNDS")}),
        (one(params={"page_location": "x" * 1000}), set()),
        (one(params={"a": {}}), {("events[0].params.a", "VALUE_INVALID")}),
        (one(params={"items": 1}), {("events[0].params.items", "VALUE_INVALID")}),
        (one(params={"value": 1}), {("events[0].params.currency", "VALUE_REQUIRED")}),
        (one(params={"value": "1", "currency": "EUR"}), {("events[0].params.value", "VALUE_INVALID")}),
        (one(params={"value": 1, "currency": "euro"}), {("events[0].params.currency", "VALUE_INVALID")}),
        ({**GOOD, "events": [{"name": "purchase"}]}, {("events[0].params.transaction_id", "VALUE_REQUIRED")}),
        ({**GOOD, "user_properties": {"user_id": {"value": 1}}}, {("user_properties.user_id", "NAME_RESERVED")}),
        ({**GOOD, "user_properties": {"p" * 25: {"value": 1}}}, {("user_properties." + "p" * 25, "NAME_INVALID")}),
        ({**GOOD, "user_properties": {"plan": "pro"}}, {("user_properties.plan", "VALUE_REQUIRED")}),
        ({**GOOD, "user_properties": {"plan": {"value": "x" * 37}}}, {("user_properties.plan.value", "VALUE_OUT_OF_BOUNDS")}),
        ({**GOOD, "user_id": "u" * 257}, {("user_id", "VALUE_INVALID")}),
        ({**GOOD, "x": "y" * 130_000}, {("", "VALUE_OUT_OF_BOUNDS")}),
        ([], {("", "VALUE_INVALID")}),
        (b"{", {("", "VALUE_INVALID")}),
    ],
)
def test_what_google_would_not_take(body: Any, expected: set[tuple[str, str]], door: Any) -> None:
    assert faults(door, body) == expected


def test_what_google_would_not_take_of_the_address(door: Any) -> None:
    assert faults(door, GOOD, "measurement_id=G-1&api_secret=wrong") == {("api_secret", "VALUE_INVALID")}
    assert faults(door, GOOD, "") == {("api_secret", "VALUE_REQUIRED"), ("measurement_id", "VALUE_REQUIRED")}
    assert faults(door, {**GOOD, "app_instance_id": "a" * 32}, APP) == set()
    assert faults(door, GOOD, APP) == {("app_instance_id", "VALUE_REQUIRED")}
    assert faults(door, {**GOOD, "app_instance_id": "x"}, APP) == {("app_instance_id", "VALUE_INVALID")}


# ------------------------------------------------------------ recordings


def test_what_ga4mp_sent(door: Any) -> None:
    door.catalog.keys["test-api-secret"] = door.catalog.keys["test-write-key"]
    seen = 0
    for request in mutated.recorded("ga4_python"):
        door.clear()
        body = mutated.body(request)
        reply = door.send("POST", request["path"], body, headers=request["headers"], query=request["query"])
        if request["path"].startswith("/debug"):
            assert (reply.status, reply.json) == (200, {"validationMessages": []})
            assert door.log.lines == []
            continue
        assert reply.status == 204
        assert door.dead == []
        sent = json.loads(body)
        events = sent["events"] if isinstance(sent["events"], list) else [sent["events"]]
        assert [event.name for event in door.events] == [event["name"] for event in events]
        assert [json.loads(bytes(event.properties)) for event in door.events] == [event["params"] for event in events]
        assert len({event.event_id for event in door.events}) == len(events)
        assert {event.distinct_id for event in door.events} == {sent.get("user_id") or sent.get("client_id") or sent["app_instance_id"]}
        assert {event.session_id for event in door.events} == {str(event["params"]["session_id"]) for event in events}
        seen += len(events)
    assert seen == 68


# ------------------------------------------------------------ spoilt


def spoil(door: Any, which: int, place: int, changes: list[Any]) -> None:
    """One event of a recorded request is spoilt; the others arrive, and it is counted."""
    requests = [request for request in mutated.recorded("ga4_python") if request["path"] == "/mp/collect"]
    sent = json.loads(mutated.body(requests[which % len(requests)]))
    events = sent["events"] if isinstance(sent["events"], list) else [sent["events"]]
    events.append({"name": "beside"})
    place %= len(events)
    events[place] = mutated.spoilt(events[place], changes)
    door.clear()
    reply = post(door, {**sent, "events": events})
    assert door.unexpected == 0
    assert reply.status in (200, 204), reply.body
    assert len(door.events) + len(door.dead) == len(events)
    assert len(door.dead) <= 1
    if door.dead:
        assert [event.name for event in door.events] == [event["name"] for index, event in enumerate(events) if index != place]
        assert reply.json["validationMessages"][0]["fieldPath"] == f"events[{place}]"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1000), place=st.integers(0, 100), changes=mutated.CHANGES)
def test_one_spoilt_event_goes_alone(which: int, place: int, changes: list[Any], door: Any) -> None:
    spoil(door, which, place, changes)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 1000), place=st.integers(0, 100), changes=mutated.CHANGES)
def test_one_spoilt_event_goes_alone_at_length(which: int, place: int, changes: list[Any], door: Any) -> None:
    spoil(door, which, place, changes)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1000), changes=mutated.CHANGES, path=st.sampled_from(["/mp/collect", "/debug/mp/collect"]))
def test_a_spoilt_request(which: int, changes: list[Any], path: str, door: Any) -> None:
    requests = mutated.recorded("ga4_python")
    sent = json.loads(mutated.body(requests[which % len(requests)]))
    door.clear()
    reply = post(door, mutated.spoilt(sent, changes), path=path)
    assert door.unexpected == 0
    assert reply.status in (200, 204, 400), reply.body
