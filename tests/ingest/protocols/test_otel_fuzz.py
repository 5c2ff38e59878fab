"""OTLP and CloudEvents with a message that is changed at random among good ones: a deliberate answer, and the good ones arrive."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs

NOW = "1795209000000000123"
VALUE = {"kvlistValue": {"values": [{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "5"}, {"bytesValue": "AP8="}]}}}]}}
ATTRIBUTES = [
    {"key": "user.id", "value": {"stringValue": "u1"}},
    {"key": "n", "value": {"doubleValue": 2.5}},
    {"key": "b", "value": {"boolValue": True}},
    {"key": "o", "value": VALUE},
]
IDS = {"traceId": "5e8d557082b8680800ca6171c3258fc1", "spanId": "ed55471e339e1d43"}
LOG = {
    "timeUnixNano": NOW,
    "observedTimeUnixNano": NOW,
    "severityNumber": 9,
    "severityText": "INFO",
    "body": VALUE,
    "attributes": ATTRIBUTES,
    "flags": 1,
    "eventName": "e",
    **IDS,
}
SPAN_ = {
    "name": "s",
    "kind": 2,
    "startTimeUnixNano": NOW,
    "endTimeUnixNano": NOW,
    "attributes": ATTRIBUTES,
    "parentSpanId": "ab",
    **IDS,
    "events": [{"timeUnixNano": NOW, "name": "x", "attributes": ATTRIBUTES}],
    "links": [{**IDS, "attributes": ATTRIBUTES}],
    "status": {"code": 2, "message": "m"},
}
POINT = {
    "attributes": ATTRIBUTES,
    "timeUnixNano": NOW,
    "asDouble": 1.5,
    "exemplars": [{"asInt": "3", "filteredAttributes": ATTRIBUTES, **IDS}],
}
HISTOGRAM = {"count": "3", "sum": 1.5, "bucketCounts": ["1", 2], "explicitBounds": [1.0], "timeUnixNano": NOW}
EXPONENTIAL = {"count": 3, "scale": 1, "zeroCount": "1", "positive": {"offset": 1, "bucketCounts": ["2"]}, "timeUnixNano": NOW}
METRIC = {
    "name": "m",
    "unit": "ms",
    "description": "d",
    "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": [POINT, POINT]},
    "histogram": {"dataPoints": [HISTOGRAM]},
    "exponentialHistogram": {"dataPoints": [EXPONENTIAL]},
    "summary": {"dataPoints": [{"count": 3, "sum": 2.0, "quantileValues": [{"quantile": 0.5, "value": 1}]}]},
}
CLOUD = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "t",
    "time": "2026-11-20T21:09:13Z",
    "subject": "u",
    "userid": "u1",
    "datacontenttype": "application/json",
    "data": {"a": {"b": [1, None]}, "utm_source": "x"},
    "data_base64": "e30=",
}
GOOD_LOG = {"eventName": "good", "timeUnixNano": NOW}
GOOD_METRIC = {"name": "good", "gauge": {"dataPoints": [{"asInt": "1", "timeUnixNano": NOW}]}}
DOORS = {
    "/v1/logs": (LOG, GOOD_LOG, lambda items: {"resourceLogs": [{"scopeLogs": [{"logRecords": items}]}]}),
    "/v1/traces": (
        SPAN_,
        {"name": "good", "startTimeUnixNano": NOW},
        lambda items: {"resourceSpans": [{"scopeSpans": [{"spans": items}]}]},
    ),
    "/v1/metrics": (METRIC, GOOD_METRIC, lambda items: {"resourceMetrics": [{"scopeMetrics": [{"metrics": items}]}]}),
    "/cloudevents": (CLOUD, {"type": "good", "id": "2", "source": "/s"}, list),
}
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**64, 2**70, -(2**70), 10**400, float("nan"), float("inf"), "", "0", "-1", "1e3", "NaN", "x" * 300),
    *(
        "\0",
        "\ud800",
        "🎉",
        "Grüße",
        [],
        {},
        [[]],
        {"": None},
        [None, 1, "a"],
        {"key": 5},
        {"stringValue": 5, "intValue": "6"},
        {"a.b": 1, "a": {"b": 2}},
    ),
    *({"kvlistValue": {"values": [{"key": "a", "value": {"kvlistValue": None}}]}}, "data:,", "2026-11-20", "application/xml", "base64"),
)


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Each container with each of its keys or places."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()):
        found.append((value, key))
        places(inner, found)
    return found


def changed(message: Any, dice: random.Random) -> Any:
    """The message with one to four things in it replaced, removed, moved, wrapped or named otherwise."""
    message = copy.deepcopy(message)
    for _ in range(dice.randint(1, 4)):
        spots = places(message, [])
        if not spots:
            return dice.choice(ODD)
        holder, key = dice.choice(spots)
        deed = dice.randrange(6)
        if deed == 0:
            del holder[key]
        elif deed == 1:
            holder[key] = [holder[key]]
        elif deed == 2:
            other, place = dice.choice(spots)
            holder[key] = copy.deepcopy(other[place])
        elif deed == 3 and isinstance(holder, dict):
            holder[key + "X"] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(dice.choice(ODD))
    return message if dice.randrange(10) else dice.choice(ODD)


def check(door: Any, reply: Any) -> None:
    assert reply.status == 200, reply.body
    assert door.unexpected == 0
    for event in door.events:
        assert event.event_id
        assert event.name
        for name in ("properties", "context", "rest"):
            assert isinstance(json.loads(bytes(getattr(event, name))), dict)


def among_good_json(door: Any, path: str, dice: random.Random) -> None:
    message, good, around = DOORS[path]
    door.clear()
    items = [{**good, "id": "first"} if path == "/cloudevents" else good, changed(message, dice), good]
    body = json.dumps(around(items)).encode()
    reply = door.send("POST", path, body, headers={"authorization": "Bearer test-write-key", "content-type": "application/json"})
    check(door, reply)
    assert [event.name for event in door.events].count("good") >= 2
    if path != "/v1/metrics":  # a metric may be without data points, or have many
        assert len(door.events) + len(door.dead) == len(items)


def among_good_protobuf(door: Any, dice: random.Random) -> None:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    record = scope.log_records.add(event_name="odd", trace_id=b"a" * 16, time_unix_nano=5, severity_number=9)  # type: ignore[arg-type]
    record.attributes.add(key="k").value.kvlist_value.values.add(key="b").value.double_value = 2.5
    record.body.string_value = "Grüße"
    odd = bytearray(record.SerializeToString())
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(odd))
        deed = dice.randrange(3)
        if deed == 0:
            odd[place] = dice.randrange(256)
        elif deed == 1:
            del odd[place : place + dice.randint(1, 3)]
        else:
            odd[place:place] = dice.randbytes(dice.randint(1, 3))
        odd = odd or bytearray(b"\0")
    good = scope.log_records.add(event_name="good", time_unix_nano=7).SerializeToString()
    records = b"".join(b"\x12" + _length(each) + each for each in (good, bytes(odd), good))
    assert ScopeLogs.FromString(b"\x12" + _length(good) + good).log_records[0].event_name == "good"
    assert ResourceLogs.DESCRIPTOR.fields_by_name["scope_logs"].number == 2
    body = b"\x0a" + _length(inner := b"\x12" + _length(records) + records) + inner
    door.clear()
    reply = door.send(
        "POST", "/v1/logs", body, headers={"authorization": "Bearer test-write-key", "content-type": "application/x-protobuf"}
    )
    check(door, reply)
    assert [event.name for event in door.events].count("good") >= 2


def _length(data: bytes) -> bytes:
    return bytes((len(data),)) if len(data) < 128 else bytes((len(data) & 127 | 128, len(data) >> 7))


quick = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
long = settings(max_examples=100_000, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**48).map(random.Random)


@pytest.mark.parametrize("path", DOORS)
@quick
@given(dice=seeds)
def test_json(path: str, door: Any, dice: random.Random) -> None:
    among_good_json(door, path, dice)


@quick
@given(dice=seeds)
def test_protobuf(door: Any, dice: random.Random) -> None:
    among_good_protobuf(door, dice)


@quick
@given(
    path=st.sampled_from(list(DOORS)),
    body=st.binary(max_size=100),
    said=st.sampled_from(["application/x-protobuf", "application/json", ""]),
)
def test_any_bytes(path: str, body: bytes, said: str, door: Any) -> None:
    door.clear()
    reply = door.send("POST", path, body, headers={"authorization": "Bearer test-write-key", "content-type": said})
    assert reply.status in (200, 400, 413)
    assert door.unexpected == 0


@quick
@given(
    body=st.binary(max_size=50), names=st.dictionaries(st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True), st.binary(max_size=20), max_size=5)
)
def test_any_headers(body: bytes, names: dict[str, bytes], door: Any) -> None:
    door.clear()
    said = {f"ce-{name}": value.decode("latin-1") for name, value in names.items()}
    reply = door.send("POST", "/x", body, headers={"ce-type": "t", "ce-id": "1", **said, "authorization": "Bearer test-write-key"})
    check(door, reply)
    assert len(door.events) + len(door.dead) == 1


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("path", DOORS)
@long
@given(dice=seeds)
def test_json_at_length(path: str, door: Any, dice: random.Random) -> None:
    among_good_json(door, path, dice)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@long
@given(dice=seeds)
def test_protobuf_at_length(door: Any, dice: random.Random) -> None:
    among_good_protobuf(door, dice)
