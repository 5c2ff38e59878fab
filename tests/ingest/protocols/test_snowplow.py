"""Snowplow's events, one of each type, worked by hand; what its trackers sent, replayed and spoilt."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest.protocols import mutated

TP2 = "/com.snowplowanalytics.snowplow/tp2"
PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"
CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0"
OWN = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0"
BEGAN = 1_795_209_000_000  # milliseconds: when the door receives


def sent(*events: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"schema": PAYLOAD, "data": [{"aid": "test-write-key", **event} for event in events], **more}


def node(**members: str) -> dict[str, str]:
    return {"eid": "e1", "dtm": str(BEGAN - 1000), "stm": str(BEGAN), "tv": "node-4.8.0", "p": "srv", **members}


def browser(**members: str) -> dict[str, str]:
    return {**node(), "tv": "js-4.10.1", "p": "web", **members}


def packed(value: Any, *, safe: bool = True, padded: bool = False) -> str:
    written = json.dumps(value, ensure_ascii=False).encode()
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(written).decode()
    return text if padded else text.rstrip("=")


def own(schema: str, data: Any) -> dict[str, Any]:
    return {"schema": OWN, "data": {"schema": schema, "data": data}}


def event(is_server: bool = True, **members: Any) -> dict[str, Any]:
    """What every event of the node tracker says, or of the browser's."""
    return {
        "project": "p1",
        "event_id": "e1",
        "received_us": BEGAN * 1000,
        "client_time": "2026-11-20T21:09:59+00:00",
        "sent_time": "2026-11-20T21:10:00+00:00",
        **(
            {"library": "snowplow-node", "library_version": "4.8.0"}
            if is_server
            else {"library": "snowplow-js", "library_version": "4.10.1"}
        ),
        "protocol": "snowplow",
        **({"is_server": True} if is_server else {"ip": "203.0.113.9"}),
        "context": {"platform": "srv", "app": "test-write-key"},
        **members,
    }


def only(door: Any, say: Any, message: dict[str, str], **more: Any) -> dict[str, Any]:
    door.clear()
    reply = door.post(TP2, sent(message), key=None, **more)
    assert reply.status == 200, reply.body
    assert door.dead == []
    (stored,) = door.events
    found: dict[str, Any] = say(stored)
    return found


def test_each_type_of_event(door: Any, say: Any) -> None:
    view = node(e="pv", url="https://x.example/a?utm_source=news", page="Hömé", refr="https://g.example/")
    assert only(door, say, view) == event(
        kind="page", name="page_view", url="https://x.example/a?utm_source=news", title="Hömé", referrer="https://g.example/"
    )
    ping = node(e="pp", url="https://x.example/", pp_mix="0", pp_max="10", pp_miy="0", pp_may="500")
    assert only(door, say, ping) == event(
        kind="ping", name="page_ping", url="https://x.example/", properties={"pp_mix": 0, "pp_max": 10, "pp_miy": 0, "pp_may": 500}
    )
    structured = node(e="se", se_ca="shop", se_ac="add-to-basket", se_la="L", se_pr="pcs", se_va="2.5")
    assert only(door, say, structured) == event(
        kind="track", name="add-to-basket", properties={"se_ca": "shop", "se_la": "L", "se_pr": "pcs", "se_va": 2.5}
    )
    order = node(e="tr", tr_id="o1", tr_af="Web", tr_tt="49.9", tr_tx="4.4", tr_sh="3", tr_ci="Bern", tr_st="BE", tr_co="CH", tr_cu="CHF")
    assert only(door, say, order) == event(
        kind="track",
        name="transaction",
        properties={
            "order_id": "o1",
            "affiliation": "Web",
            "total": 49.9,
            "tax": 4.4,
            "shipping": 3,
            "city": "Bern",
            "state": "BE",
            "country": "CH",
            "currency": "CHF",
        },
    )
    item = node(e="ti", ti_id="o1", ti_sk="S-1", ti_nm="Tee", ti_ca="tops", ti_pr="12.50", ti_qu="2", ti_cu="CHF")
    assert only(door, say, item) == event(
        kind="track",
        name="transaction_item",
        properties={"order_id": "o1", "sku": "S-1", "name": "Tee", "category": "tops", "price": 12.5, "quantity": 2, "currency": "CHF"},
    )


@pytest.mark.parametrize("vendor", ["com.snowplowanalytics.mobile", "com.snowplowanalytics.snowplow"])
def test_a_screen_view_of_either_schema(vendor: str, door: Any, say: Any) -> None:
    schema = f"iglu:{vendor}/screen_view/jsonschema/1-0-0"
    found = only(door, say, node(e="ue", ue_px=packed(own(schema, {"id": "1", "name": "Login"}))))
    assert found == event(
        kind="screen", name="screen_view", screen="Login", properties={"id": "1", "name": "Login"}, rest={"schema": schema}
    )


DATA = {"order_id": "o1", "revenue": 42.5, "label": "Grüße 🎉>>>???", "none": None, "list": [1, {"a": []}], "big": 9007199254740993}
SCHEMA = "iglu:com.acme/order_completed/jsonschema/2-0-1"


@pytest.mark.parametrize(
    "members",
    [
        {"ue_px": packed(own(SCHEMA, DATA))},
        {"ue_px": packed(own(SCHEMA, DATA), padded=True)},
        {"ue_px": packed(own(SCHEMA, DATA), safe=False)},
        {"ue_px": packed(own(SCHEMA, DATA), safe=False, padded=True)},
        {"ue_pr": json.dumps(own(SCHEMA, DATA))},
        {"ue_pr": json.dumps({"schema": SCHEMA, "data": DATA}, ensure_ascii=False, indent=1)},
    ],
)
def test_data_of_ones_own_in_every_packing(members: dict[str, str], door: Any, say: Any) -> None:
    expected = event(kind="track", name="order_completed", properties=DATA, rest={"schema": SCHEMA})
    assert only(door, say, node(e="ue", **members)) == expected
    door.clear()
    query = urlencode({**node(e="ue", **members), "aid": "test-write-key"})
    reply = door.send("GET", "/i", query=query)
    assert (reply.status, reply.headers["content-type"], len(reply.body)) == (200, "image/gif", 42)
    assert reply.headers["cache-control"] == "no-store"
    assert say(door.events[0]) == expected


def test_a_sign_that_an_address_turns_into_a_space(door: Any) -> None:
    text = packed(own(SCHEMA, DATA), safe=False)
    assert "+" in text
    reply = door.send("GET", "/i", query=urlencode({**node(e="ue"), "aid": "test-write-key"}) + f"&ue_px={text}")
    assert reply.status == 200
    assert json.loads(bytes(door.events[0].properties)) == DATA


def test_who_and_where(door: Any, say: Any) -> None:
    headers = {"user-agent": "Mozilla/5.0", "cookie": "a=1; sp=11111111-2222-3333-4444-555555555555"}
    who = {"uid": "u1", "duid": "d1", "sid": "s1", "vid": "3"}
    where = {"lang": "de", "tz": "Europe/Zurich", "res": "1920x1080", "vp": "8x6", "ds": "9x9", "cd": "24", "cs": "UTF-8", "cookie": "1"}
    expected = event(
        is_server=False,
        kind="page",
        name="page_view",
        distinct_id="u1",
        user_id="u1",
        anonymous_id="d1",
        session_id="s1",
        merges=[("d1", "u1", "same-event")],
        user_agent="Mozilla/5.0",
        context={
            "platform": "web",
            "locale": "de",
            "timezone": "Europe/Zurich",
            "screen": "1920x1080",
            "viewport": "8x6",
            "document": "9x9",
            "color_depth": "24",
            "charset": "UTF-8",
            "cookies": "1",
            "app": "test-write-key",
            "session_index": "3",
            "network_id": "11111111-2222-3333-4444-555555555555",
        },
    )
    assert only(door, say, browser(e="pv", **who, **where), headers=headers) == expected


def test_a_person_without_any_own_id_is_known_by_the_network_id(door: Any, say: Any) -> None:
    assert only(door, say, browser(e="pv", nuid="n1"))["distinct_id"] == "n1"
    assert only(door, say, node(e="pv", tnuid="n2"))["distinct_id"] == "n2"
    assert "distinct_id" not in only(door, say, node(e="pv"))


def test_an_anonymous_sender_leaves_neither_address_nor_network_id(door: Any, say: Any) -> None:
    headers = {"sp-anonymous": "*", "user-agent": "Mozilla/5.0", "cookie": "sp=n1"}
    found = only(door, say, browser(e="pv", nuid="n2", ip="198.51.100.1"), headers=headers)
    assert "ip" not in found
    assert "distinct_id" not in found
    assert "n1" not in str(found)
    assert "n2" not in str(found)
    assert found["flags"] == {"anonymous": True}


def test_a_server_that_names_the_persons_address_speaks_of_the_person(door: Any, say: Any) -> None:
    found = only(door, say, node(e="pv", ip="198.51.100.1", ua="Phone/1.0"))
    assert (found["ip"], found["user_agent"], found.get("is_server")) == ("198.51.100.1", "Phone/1.0", None)
    desktop = only(door, say, {**node(e="pv"), "tv": "py-1.1.0", "p": "pc"})
    assert (desktop["is_server"], desktop["library"], desktop["library_version"]) == (True, "snowplow-py", "1.1.0")


def test_times(door: Any, say: Any) -> None:
    hour = 3_600_000
    true = only(door, say, node(e="pv", ttm=str(BEGAN - 86_400_000)))
    assert (true["client_time"], true["keep_time"]) == ("2026-11-19T21:10:00+00:00", True)
    assert true["rest"] == {"dtm": str(BEGAN - 1000)}
    cut = only(door, say, node(e="pv", dtm=str(BEGAN - hour + 636), stm=str(BEGAN - hour)))
    assert cut["client_time"] == cut["sent_time"] == "2026-11-20T20:10:00.636000+00:00"
    assert "keep_time" not in cut
    odd = only(door, say, node(e="pv", dtm="yesterday"))
    assert odd["client_time"] == "yesterday"


def test_entities_are_kept_whole_and_read_where_questions_look(door: Any, say: Any) -> None:
    page = {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": "p"}}
    session = {
        "schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2",
        "data": {"sessionId": "s9", "userId": "d9", "sessionIndex": 2},
    }
    order = {
        "schema": "iglu:com.snowplowanalytics.snowplow.ecommerce/transaction/jsonschema/1-0-0",
        "data": {"transaction_id": "o1", "revenue": 49.9, "currency": "EUR", "payment_method": "card"},
    }
    action = "iglu:com.snowplowanalytics.snowplow.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2"
    entities = [page, session, order]
    for members in ({"cx": packed({"schema": CONTEXTS, "data": entities})}, {"co": json.dumps({"schema": CONTEXTS, "data": entities})}):
        found = only(door, say, node(e="ue", ue_pr=json.dumps(own(action, {"type": "transaction"})), **members))
        assert found["context"]["entities"] == entities
        assert found["properties"] == {"transaction_id": "o1", "revenue": 49.9, "currency": "EUR", "type": "transaction"}
        assert (found["session_id"], found["device_id"], found["distinct_id"]) == ("s9", "d9", "d9")
    unread = only(door, say, node(e="pv", cx="!!!"))
    assert unread["rest"] == {"cx": "!!!"}


def test_what_nobody_knows_is_kept(door: Any, say: Any) -> None:
    found = only(door, say, node(e="pv", f_pdf="1", evn="com.acme", newest="ü"))
    assert found["rest"] == {"f_pdf": "1", "evn": "com.acme", "newest": "ü"}


def test_the_bad_event_goes_alone(door: Any) -> None:
    bad = [
        {"e": "xx"},
        {"e": "ue"},
        {"e": "ue", "ue_px": "!"},
        {"e": "se", "se_la": "l"},
        {"e": "ue", "ue_pr": json.dumps({"data": {}})},
        {},
    ]
    good = node(e="pv")
    reply = door.post(TP2, sent(*bad, good), key=None)
    assert reply.status == 200
    assert [event.event_id for event in door.events] == ["e1"]
    reasons = ["unknown_type", "no_event", "no_event", "no_name", "no_name", "unknown_type"]
    assert [letter["reason"] for letter in door.dead] == reasons
    assert [json.loads(letter["original"]) for letter in door.dead] == [{"aid": "test-write-key", **event} for event in bad]
    assert [rejection["index"] for rejection in reply.json["rejected"]] == [0, 1, 2, 3, 4, 5]


def test_events_without_an_id(door: Any) -> None:
    timed, untimed = {"e": "pv", "dtm": "1795208999000"}, {"e": "pv"}
    for later in ("1", "2"):
        door.post(TP2, sent({**timed, "stm": later}, {**untimed, "stm": later}), key=None)
    first, second, again, third = [event.event_id for event in door.events]
    assert first == again
    assert len({first, second, third}) == 2  # the door's clock stands still
    assert first.startswith("h:")


def test_where_the_key_may_be(door: Any) -> None:
    other = {"aid": "shop-app", **node(e="pv")}
    body = {"schema": PAYLOAD, "data": [other]}
    basic = {"authorization": "Basic " + base64.b64encode(b"test-write-key:").decode()}
    assert door.post(TP2, body, key=None).status == 401
    assert door.post("/test-write-key" + TP2, body, key=None).status == 200
    assert door.post(TP2, body, key=None, query="write_key=test-write-key").status == 200
    assert door.post(TP2, body, key=None, headers=basic).status == 200
    assert door.post(TP2, body).status == 200
    query = urlencode(other)
    assert door.send("GET", "/test-write-key/i", query=query).status == 200
    assert door.send("GET", "/i", query=query + "&write_key=test-write-key").status == 200
    assert door.send("GET", "/i", query=query).status == 401
    assert {event.project for event in door.events} == {"p1"}
    assert {json.loads(bytes(event.context))["app"] for event in door.events} == {"shop-app"}
    assert door.send("GET", "/test-write-key/i").status == 299  # a page of the app may be called so


def test_trackers_of_two_projects_may_share_a_request(door: Any) -> None:
    events = [node(e="pv", eid="a"), node(e="pv", eid="b", aid="other-write-key"), node(e="pv", eid="c", aid="nobody")]
    assert door.post(TP2, sent(*events), key=None).status == 200
    assert [(event.event_id, event.project) for event in door.events] == [("a", "p1"), ("b", "p2")]
    assert [letter["reason"] for letter in door.dead] == ["unknown_key"]
    door.clear()
    assert door.post(TP2, sent(*reversed(events)), key=None).status == 200
    assert [(event.event_id, event.project) for event in door.events] == [("b", "p2"), ("a", "p1")]


def test_paths(door: Any) -> None:
    body = sent(node(e="pv"))
    for path in (TP2, TP2 + "/", "/com.acme/track", "/com.acme/track/"):
        assert door.post(path, body, key=None).status == 200
        allowed = door.send(
            "OPTIONS", path, headers={"origin": "https://x.example", "access-control-request-headers": "content-type,sp-anonymous"}
        )
        assert allowed.headers["access-control-allow-headers"] == "content-type,sp-anonymous"
        assert allowed.headers["access-control-allow-credentials"] == "true"
        assert allowed.headers["access-control-allow-origin"] == "https://x.example"
    assert door.post("/com.acme/track", {"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": []}, key=None).status == 404
    assert door.post("/acme/track", body, key=None).status == 299
    assert len(door.events) == 4


def test_a_replay_of_the_original_mended(door: Any) -> None:
    from almanac.core.settings import Settings
    from almanac.ingest.replay import decode

    door.post(TP2, sent(node(e="xx", url="https://x.example/")), key=None)
    original = door.dead[0]["original"].replace('"xx"', '"pv"')
    (event,) = decode(Settings(), "p1", "snowplow", original)
    assert (event.name, event.event_id, event.url, event.project) == ("page_view", "e1", "https://x.example/", "p1")


# ------------------------------------------------------------ recordings


def messages(request: dict[str, Any]) -> list[dict[str, str]]:
    if request["method"] == "POST":
        data: list[dict[str, str]] = json.loads(mutated.body(request))["data"]
        return data
    return [dict(parse_qsl(request["query"]))]


def unpacked(message: dict[str, str], packed_name: str, plain_name: str) -> Any:
    if packed_name in message:
        text = message[packed_name]
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return json.loads(message[plain_name]) if plain_name in message else None


def plain(value: Any) -> Any:
    """What is stored of a value: what JSON cannot hold becomes a text."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, str):
        return "".join("�" if "\ud800" <= letter <= "\udfff" else letter for letter in value)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def test_what_the_python_tracker_sent(door: Any) -> None:
    seen = 0
    for request in mutated.recorded("snowplow_python"):
        for _ in range(2):  # sent twice, each event keeps its id
            door.clear()
            reply = door.send(request["method"], request["path"], mutated.body(request), headers=request["headers"], query=request["query"])
            assert reply.status == 200, reply.body
            expected = messages(request)
            assert door.dead == []
            assert [event.event_id for event in door.events] == [message["eid"] for message in expected]
        for event, message in zip(door.events, expected, strict=True):
            entities = unpacked(message, "cx", "co")
            assert json.loads(bytes(event.context)).get("entities") == (entities["data"] if entities else None)
            if message["e"] == "ue":
                data = unpacked(message, "ue_px", "ue_pr")["data"]
                assert json.loads(bytes(event.properties)) == plain(data["data"])
                assert event.name == data["schema"].split("/")[1]
            assert (event.project, event.user_id, event.distinct_id) == ("p1", message.get("uid", ""), message.get("uid", ""))
            assert event.sent_time
            assert event.client_time
        seen += len(expected)
    assert seen == 95
    assert door.unexpected == 0


# ------------------------------------------------------------ spoilt


def spoil(door: Any, request: dict[str, Any], place: int, changes: list[Any]) -> None:
    """One event of a recorded request is spoilt; the others arrive, and it is counted."""
    door.clear()
    events: list[Any] = messages(request)
    place %= len(events)
    events[place] = mutated.spoilt(events[place], changes)
    body = json.dumps({"schema": PAYLOAD, "data": events}).encode()
    reply = door.send("POST", TP2, body, query="write_key=test-write-key")
    assert door.unexpected == 0
    assert reply.status == 200, (reply.body, body)
    good = {message["eid"] for index, message in enumerate(events) if index != place}
    found = [event.event_id for event in door.events]
    assert good <= set(found)
    assert len(found) + len(door.dead) == mutated.count(events)
    for event in door.events:
        assert event.event_id
        assert event.name
        for name in ("properties", "context", "rest", "flags", "profile", "groups"):
            assert isinstance(json.loads(bytes(getattr(event, name))), dict)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1000), place=st.integers(0, 100), changes=mutated.CHANGES)
def test_one_spoilt_event_goes_alone(which: int, place: int, changes: list[Any], door: Any) -> None:
    requests = mutated.recorded("snowplow_python")
    spoil(door, requests[which % len(requests)], place, changes)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
@settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 1000), place=st.integers(0, 100), changes=mutated.CHANGES)
def test_one_spoilt_event_goes_alone_at_length(which: int, place: int, changes: list[Any], door: Any) -> None:
    requests = mutated.recorded("snowplow_python")
    spoil(door, requests[which % len(requests)], place, changes)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1000), changes=mutated.CHANGES)
def test_a_spoilt_address(which: int, changes: list[Any], door: Any) -> None:
    door.clear()
    found = [request for request in mutated.recorded("snowplow_python") if request["method"] == "GET"]
    message = mutated.spoilt(messages(found[which % len(found)])[0], changes)
    pairs = message.items() if isinstance(message, dict) else [("x", message)]
    text = {name.encode("utf-8", "surrogatepass"): str(value).encode("utf-8", "surrogatepass") for name, value in pairs}
    reply = door.send("GET", "/i", query=urlencode(text) + "&write_key=test-write-key")
    assert reply.status == 200, reply.body
    assert door.unexpected == 0
    assert len(door.events) + len(door.dead) == 1
