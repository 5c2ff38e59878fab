"""CloudEvents: binary, structured and batch, at any path, and the questions that senders of webhooks ask first."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest

from almanac.core.settings import Settings
from almanac.ingest.replay import decode

KEY = {"authorization": "Bearer test-write-key"}
STRUCTURED = {**KEY, "content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {**KEY, "content-type": "application/cloudevents-batch+json"}
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "42",
    "source": "https://shop.example/orders",
    "type": "com.example.bought",
    "time": "2026-11-20T21:09:13.789+02:00",
    "subject": "u1",
    "dataschema": "https://schemas.example/bought",
    "traceparent": "00-ab-cd-01",
    "sessionid": "s1",
}
DATA = {"price": 12.5, "label": "Grüße 🎉", "list": [1, None, {}]}
EVENT = {
    "project": "p1",
    "event_id": "https://shop.example/orders 42",
    "kind": "track",
    "name": "com.example.bought",
    "received_us": 1_795_209_000_000_000,
    "client_time": "2026-11-20T21:09:13.789+02:00",
    "distinct_id": "u1",
    "user_id": "u1",
    "session_id": "s1",
    "properties": DATA,
    "context": {
        "specversion": "1.0",
        "source": "https://shop.example/orders",
        "dataschema": "https://schemas.example/bought",
        "traceparent": "00-ab-cd-01",
        "datacontenttype": "application/json",
    },
    "protocol": "cloudevents",
    "is_server": True,
}


def structured(**more: Any) -> dict[str, Any]:
    return {**ATTRIBUTES, "datacontenttype": "application/json", "data": DATA, **more}


def binary(content_type: str | None = "application/json", **more: str) -> dict[str, str]:
    said = {f"ce-{name}": value for name, value in {**ATTRIBUTES, **more}.items()}
    return {**KEY, **said, **({"content-type": content_type} if content_type else {})}


def test_all_three_modes_say_the_same(door: Any, say: Any) -> None:
    body = json.dumps(DATA).encode()
    assert door.send("POST", "/any/path", body, headers=binary()).status == 200
    assert door.send("POST", "/", json.dumps(structured()).encode(), headers=STRUCTURED).status == 200
    assert door.send("POST", "/cloudevents/", json.dumps([structured()] * 2).encode(), headers=BATCH).json["status"] == 1
    assert door.send("POST", "/cloudevents", json.dumps(structured()).encode(), headers=KEY).status == 200
    assert [say(event) for event in door.events] == [EVENT] * 5


def test_what_is_no_cloudevent_is_left_to_others(door: Any) -> None:
    for headers in (KEY, {**KEY, "content-type": "application/json"}):
        assert door.send("POST", "/any/path", b"{}", headers=headers).body == b"fallback"
    assert door.send("GET", "/any/path", headers=binary()).body == b"fallback"


def test_chunks_and_compression(door: Any) -> None:
    body = json.dumps(DATA).encode()
    assert door.send("POST", "/x", [body[:10], body[10:]], headers=binary()).status == 200
    for encoding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        assert door.send("POST", "/x", packed, headers={**binary(), "content-encoding": encoding}).status == 200
        written = {**STRUCTURED, "content-encoding": encoding}
        again = gzip.compress if encoding == "gzip" else zlib.compress
        assert door.send("POST", "/x", again(json.dumps(structured()).encode()), headers=written).status == 200
    assert [json.loads(bytes(event.properties)) for event in door.events] == [DATA] * 5


def test_headers_are_percent_encoded_or_quoted_or_as_they_are(door: Any) -> None:
    texts = {
        "a": "Gr%C3%BC%C3%9Fe%20%F0%9F%8E%89",
        "b": '"a \\"b\\" %22"',
        "c": "Grüße".encode().decode("latin-1"),
        "d": "100%",
        "e": "caf\xe9",
    }
    door.send("POST", "/x", b"", headers=binary(**texts))
    context = json.loads(bytes(door.events[0].context))
    assert [context[name] for name in texts] == ["Grüße 🎉", 'a "b" "', "Grüße", "100%", "café"]


@pytest.mark.parametrize(
    ("content_type", "body", "properties", "rest"),
    [
        (None, b'{"a":1}', {"a": 1}, {}),
        ("application/vnd.x+json; charset=utf-8", b' {"a" :1} ', {"a": 1}, {}),
        ("application/json", b"[1,2]", {}, {"data": [1, 2]}),
        ("application/json", b'"text"', {}, {"data": "text"}),
        ("application/json", b"{broken", {}, {"data": "{broken"}),
        ("application/json", b'{"n": NaN}', {"n": "NaN"}, {}),
        ("text/xml", b"<a>\n\xc3\xbc</a>", {}, {"data": "<a>\nü</a>"}),
        ("text/plain; charset=iso-8859-1", b"\xfc", {}, {"data_base64": "/A=="}),
        ("application/octet-stream", b"\x00\xff", {}, {"data_base64": "AP8="}),
        ("application/gzip", gzip.compress(b"x", mtime=0), {}, {"data_base64": base64.b64encode(gzip.compress(b"x", mtime=0)).decode()}),
        ("text/plain", b'{"a":1}', {}, {"data": '{"a":1}'}),
        ("application/json", b"", {}, {}),
    ],
)
def test_data_of_any_type_are_kept(content_type: str | None, body: bytes, properties: Any, rest: Any, door: Any) -> None:
    assert door.send("POST", "/x", body, headers=binary(content_type)).status == 200
    event = door.events[0]
    assert (json.loads(bytes(event.properties)), json.loads(bytes(event.rest))) == (properties, rest)
    assert json.loads(bytes(event.context)).get("datacontenttype") == content_type


@pytest.mark.parametrize(
    ("more", "properties", "rest"),
    [
        ({"data": None}, {}, {}),
        ({"data": "text", "datacontenttype": "text/plain"}, {}, {"data": "text"}),
        ({"data_base64": base64.b64encode(b'{"a":1}').decode()}, {"a": 1}, {}),
        ({"data_base64": "AP8", "datacontenttype": "image/png"}, {}, {"data_base64": "AP8="}),
        ({"data_base64": "_w==", "datacontenttype": None}, {}, {"data_base64": "/w=="}),
        ({"data_base64": "no base64!"}, {}, {"data_base64": "no base64!"}),
        ({"data": "eyJhIjoxfQ==", "datacontentencoding": "base64", "specversion": "0.3"}, {"a": 1}, {}),
        ({"data": {"b": 2}, "data_base64": base64.b64encode(b'{"a":1}').decode()}, {"b": 2}, {"data": {"a": 1}}),
    ],
)
def test_data_in_json(more: dict[str, Any], properties: Any, rest: Any, door: Any) -> None:
    event = {**ATTRIBUTES, "datacontenttype": "application/json", **more}
    assert door.send("POST", "/x", json.dumps(event).encode(), headers=STRUCTURED).status == 200
    assert (json.loads(bytes(door.events[0].properties)), json.loads(bytes(door.events[0].rest))) == (properties, rest)


def test_who_it_is(door: Any) -> None:
    cases = [
        {"subject": "u1"},
        {"subject": "photos/1.jpg"},
        {"subject": "order-7", "userid": "u2"},
        {"subject": None, "userid": 3, "anonymousid": "a3", "deviceid": "d3"},
        {"subject": None, "anonymousid": "a4"},
        {"subject": None},
    ]
    door.send("POST", "/x", json.dumps([structured(id=str(number), **case) for number, case in enumerate(cases)]).encode(), headers=BATCH)
    found = [(event.distinct_id, event.user_id, event.anonymous_id, event.device_id) for event in door.events]
    assert found == [
        ("u1", "u1", "", ""),
        ("", "", "", ""),
        ("u2", "u2", "", ""),
        ("3", "3", "a3", "d3"),
        ("a4", "", "a4", ""),
        ("", "", "", ""),
    ]
    subjects = [json.loads(bytes(event.context)).get("subject") for event in door.events]
    assert subjects == [None, "photos/1.jpg", "order-7", None, None, None]


def test_pages_and_campaigns(door: Any) -> None:
    page = {"url": "https://x.example/a", "title": "A", "referrer": "https://y.example/", "utm_source": "news"}
    for type_, data in (
        ("page_view", page),
        ("screen", {"name": "Home"}),
        ("bought", {"utm_source": "mail", "url": "https://api.example"}),
    ):
        door.send("POST", "/x", json.dumps(structured(type=type_, data=data)).encode(), headers=STRUCTURED)
    assert [(event.kind, event.url, event.title, event.referrer, event.screen, event.campaign) for event in door.events] == [
        ("page", "https://x.example/a", "A", "https://y.example/", "", '{"source":"news"}'),
        ("screen", "", "", "", "Home", ""),
        ("track", "", "", "", "", '{"source":"mail"}'),
    ]


def test_a_pages_script_is_not_a_server(door: Any) -> None:
    door.send("POST", "/x", b"{}", headers={**binary(), "origin": "https://x.example", "user-agent": "Mozilla/5.0"})
    event = door.events[0]
    assert (event.is_server, event.ip, event.user_agent) == (False, "203.0.113.9", "Mozilla/5.0")


def test_ids(door: Any) -> None:
    long = "x" * 300
    cases: list[dict[str, Any]] = [{"id": long}, {"id": long}, {"id": 7}, {"source": None}, {"id": None}, {"id": None, "data": {}}]
    door.send("POST", "/x", json.dumps([structured(**case) for case in cases]).encode(), headers=BATCH)
    ids = [event.event_id for event in door.events]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 34
    assert json.loads(bytes(door.events[0].rest)) == {"id": long}
    assert ids[2:4] == ["https://shop.example/orders 7", " 42"]
    assert ids[4].startswith("h:")
    assert ids[4] != ids[5]


def test_places_of_the_key(door: Any) -> None:
    body = json.dumps(structured(writekey="test-write-key")).encode()
    bare = {"content-type": "application/cloudevents+json"}
    assert door.send("POST", "/x", body, headers=bare).status == 200
    assert (
        door.send(
            "POST", "/x", b"", headers={**{k: v for k, v in binary().items() if k != "authorization"}, "ce-writekey": "test-write-key"}
        ).status
        == 200
    )
    basic = base64.b64encode(b"test-write-key:").decode()
    assert door.send("POST", "/x", b"", headers={**binary(), "authorization": f"Basic {basic}"}).status == 200
    for name in ("write_key", "token"):
        assert door.send("POST", "/x", json.dumps(structured()).encode(), headers=bare, query=f"{name}=test-write-key").status == 200
    assert all("writekey" not in json.loads(bytes(event.context)) for event in door.events)
    reply = door.send("POST", "/x", json.dumps(structured()).encode(), headers=bare)
    assert (reply.status, reply.json["code"]) == (401, 401)
    assert len(door.events) == 5


def test_the_bad_does_not_take_the_good_with_it(doors: Any) -> None:
    door = doors(event_limit=1024, batch_limit=6)
    large, deep = structured(id="large", data={"x": "y" * 2000}), structured(id="deep", data="@@@")
    items = [structured(), 5, {"id": "1"}, large, deep, structured(id="good"), structured(id="over")]
    deepest = b'{"a":' * 5000 + b"1" + b"}" * 5000
    reply = door.send("POST", "/x", json.dumps(items).encode().replace(b'"@@@"', deepest), headers=BATCH)
    assert reply.status == 200
    assert [event.event_id.rpartition(" ")[2] for event in door.events] == ["42", "good"]
    reasons = ["not_an_object", "no_name", "too_large", "too_deep", "over_batch_limit"]
    assert [letter["reason"] for letter in door.dead] == reasons
    assert [rejected["reason"] for rejected in reply.json["rejected"]] == reasons
    assert deepest.decode() in door.dead[3]["original"]
    again = [decode(Settings(), "p1", "cloudevents", letter["original"]) for letter in door.dead]
    assert [events[0].kind for events in again] == ["dead_letter", "dead_letter", "track", "dead_letter", "track"]
    assert again[4][0].event_id.endswith(" over")


def test_the_same_where_all_are_objects(doors: Any) -> None:
    door = doors(event_limit=1024, batch_limit=3)
    items = [
        structured(),
        structured(id="large", data={"x": "y" * 2000}),
        {"id": "nameless"},
        structured(id="over", writekey="test-write-key"),
    ]
    door.send("POST", "/x", json.dumps(items).encode(), headers=BATCH)
    assert len(door.events) == 1
    assert [letter["reason"] for letter in door.dead] == ["too_large", "no_name", "over_batch_limit"]
    assert "test-write-key" not in door.dead[2]["original"]


def test_binary_that_cannot_be_an_event_can_be_replayed(door: Any) -> None:
    reply = door.send("POST", "/x", b'{"a":1}', headers={name: value for name, value in binary().items() if name != "ce-type"})
    assert reply.json["rejected"][0]["reason"] == "no_name"
    mended = {**json.loads(door.dead[0]["original"]), "type": "bought"}
    event = decode(Settings(), "p1", "cloudevents", json.dumps(mended))[0]
    assert (event.name, event.distinct_id, json.loads(bytes(event.properties))) == ("bought", "u1", {"a": 1})


def test_other_formats_are_refused(door: Any) -> None:
    reply = door.send("POST", "/x", b"\x0a", headers={**KEY, "content-type": "application/cloudevents+protobuf"})
    assert (reply.status, reply.json["code"]) == (415, 415)


@pytest.mark.parametrize("path", ["/cloudevents", "/any/path", "/v1/batch"])
def test_a_sender_of_webhooks_is_told_that_it_may_deliver(path: str, door: Any) -> None:
    reply = door.send("OPTIONS", path, headers={"webhook-request-origin": "emitter.example", "webhook-request-rate": "120"})
    assert reply.status == 200
    assert reply.headers["webhook-allowed-origin"] == "emitter.example"
    assert reply.headers["webhook-allowed-rate"] == "*"
    assert "POST" in reply.headers["allow"]


def test_a_pages_script_may_send_to_any_path(door: Any) -> None:
    asked = {"origin": "https://x.example", "access-control-request-method": "POST"}
    reply = door.send("OPTIONS", "/any", headers={**asked, "access-control-request-headers": "authorization,ce-id,ce-source,ce-type"})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://x.example")
    assert reply.headers["access-control-allow-headers"] == "authorization,ce-id,ce-source,ce-type"
    assert "webhook-allowed-origin" not in reply.headers
    assert door.send("OPTIONS", "/any", headers=asked).body == b"fallback"
