"""OTLP: what becomes of log records, spans and data points, in protobuf and in JSON, and what their senders are answered."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from almanac.core.errors import unavailable
from almanac.core.settings import Settings
from almanac.ingest.replay import decode

NOW_NS = 1_795_209_000_000_000_000  # 2026-11-20T21:10:00Z, when the collector's clock says that requests come
TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))
PROTOBUF = {"authorization": "Bearer test-write-key", "content-type": "application/x-protobuf"}
JSON = {"authorization": "Bearer test-write-key", "content-type": "application/json"}
RECORDING = Path(__file__).parents[3] / ".." / "shared" / "recordings" / "posthog_python.jsonl"


def any_value(value: Any) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(value)))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(each) for each in value]))
    names = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value", bytes: "bytes_value"}
    return AnyValue(**{names[type(value)]: value})


def attributes(values: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def logs(*records: LogRecord, resource: dict[str, Any] | None = None) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url="https://schemas/1")
    group.resource.attributes.extend(attributes({"service.name": "shop"} if resource is None else resource))
    scope = group.scope_logs.add()
    scope.scope.name, scope.scope.version = "cart", "2.1"
    scope.log_records.extend(records)
    return request


def record(name: str = "bought", **more: Any) -> LogRecord:
    said = {"user.id": "u1", **more.pop("said", {})}
    return LogRecord(
        event_name=name, attributes=attributes(said), **{"time_unix_nano": NOW_NS - 5, "observed_time_unix_nano": NOW_NS, **more}
    )


def spans(*found: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes({"service.name": "shop"}))
    group.scope_spans.add().spans.extend(found)
    return request


def in_json(request: Any) -> bytes:
    """The request as OTLP writes it in JSON: ids in hexadecimal."""

    def with_ids(value: Any) -> Any:
        if isinstance(value, list):
            return [with_ids(each) for each in value]
        if not isinstance(value, dict):
            return value
        ids = ("traceId", "spanId", "parentSpanId")
        return {name: base64.b64decode(each).hex() if name in ids else with_ids(each) for name, each in value.items()}

    return json.dumps(with_ids(MessageToDict(request, use_integers_for_enums=True))).encode()


@pytest.fixture(params=["protobuf", "json"])
def send(request: pytest.FixtureRequest, door: Any) -> Any:
    """Sends a request in either form; the form must make no difference to what is stored."""

    def sent(path: str, message: Any, **more: Any) -> Any:
        if request.param == "json":
            return door.send("POST", path, in_json(message), headers={**JSON, **more})
        return door.send("POST", path, message.SerializeToString(), headers={**PROTOBUF, **more})

    sent.form = request.param  # type: ignore[attr-defined]
    return sent


def test_protobuf_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, almanac.ingest.protocols as p; p.registry(); sys.exit('google.protobuf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------- what becomes of it


def test_a_record_with_a_name_is_an_event(send: Any, door: Any, say: Any) -> None:
    resource = {
        "service.name": "shop",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45",
        "telemetry.sdk.language": "go",
    }
    said = {"session.id": "s1", "price": 12.5, "currency": "EUR"}
    reply = send(
        "/v1/logs",
        logs(record(said=said, severity_number=9, trace_id=TRACE, span_id=SPAN, body=any_value({"sku": ["a", 1]})), resource=resource),
    )
    assert (reply.status, reply.body) == (200, b"{}" if send.form == "json" else b"")
    assert reply.headers["content-type"] == ("application/json" if send.form == "json" else "application/x-protobuf")
    event = say(door.events[0])
    assert event.pop("event_id").startswith("h:")
    assert event == {
        "project": "p1",
        "kind": "track",
        "name": "bought",
        "received_us": NOW_NS // 1000,
        "client_time": "2026-11-20T21:09:59.999999Z",
        "sent_time": "2026-11-20T21:10:00.000000Z",
        "keep_time": True,
        "distinct_id": "u1",
        "user_id": "u1",
        "session_id": "s1",
        "properties": {
            "user.id": "u1",
            **said,
            "body": {"sku": ["a", 1]},
            "severity": "INFO",
            "severity_number": 9,
            "trace_id": TRACE.hex(),
            "span_id": SPAN.hex(),
        },
        "library": "opentelemetry",
        "library_version": "1.45",
        "context": {
            "resource": {"service.name": "shop", "telemetry.sdk.language": "go"},
            "resource_schema_url": "https://schemas/1",
            "scope": {"name": "cart", "version": "2.1"},
        },
        "rest": {"nanoseconds": 995},
        "protocol": "otlp",
        "is_server": True,
    }


def test_a_record_without_a_name_is_a_log_called_by_its_body(send: Any, door: Any) -> None:
    long = "x" * 300
    bodies = ["card refused", long, {"a": 1}, None]
    records = [LogRecord(time_unix_nano=NOW_NS, severity_text="warning", severity_number=14, body=any_value(body)) for body in bodies]
    send("/v1/logs", logs(*records))
    assert [(event.kind, event.name) for event in door.events] == [
        ("log", "card refused"),
        ("log", long[:200]),
        ("log", "log"),
        ("log", "log"),
    ]
    said = [json.loads(bytes(event.properties)) for event in door.events]
    severity = {"severity": "warning", "severity_number": 14}
    assert said == [severity, {"body": long, **severity}, {"body": {"a": 1}, **severity}, severity]
    assert all(event.distinct_id == "" for event in door.events)


def test_the_old_attribute_for_an_events_name(send: Any, door: Any) -> None:
    send(
        "/v1/logs", logs(record("", said={"event.name": "browser.page_view", "url.full": "https://x.example/a?utm_source=n", "title": "A"}))
    )
    event = door.events[0]
    assert (event.kind, event.name, event.url, event.title) == ("page", "browser.page_view", "https://x.example/a?utm_source=n", "A")


def test_values_of_any_type_are_kept_exactly(send: Any, door: Any) -> None:
    values = {
        "text": 'Grüße 🎉 "\\\n\0',
        "largest": 2**63 - 1,
        "least": -(2**63),
        "odd": 9007199254740993,
        "zero": 0,
        "no": False,
        "half": 0.5,
        "whole": 3.0,
        "nan": float("nan"),
        "infinite": float("-inf"),
        "bytes": b"\x00\xff",
        "none": None,
        "empty": "",
        "list": [1, "a", [], {}, None],
        "object": {"a": {"b": [1.5, True]}},
    }
    send("/v1/logs", logs(record(said=values)))
    written = bytes(door.events[0].properties)
    found = json.loads(written)
    expected = {**values, "user.id": "u1", "nan": "NaN", "infinite": "-Infinity", "bytes": {"bytesValue": "AP8="}}
    assert {key: found[key] for key in expected} == expected
    assert b'"largest":9223372036854775807' in written
    assert b'"whole":3.0' in written


def test_an_attribute_keeps_the_name_that_we_would_give_something_else(send: Any, door: Any) -> None:
    send("/v1/logs", logs(record(said={"body": 1, "trace_id": "mine"}, body=any_value("text"), trace_id=TRACE)))
    said, rest = json.loads(bytes(door.events[0].properties)), json.loads(bytes(door.events[0].rest))
    assert (said["body"], said["trace_id"], rest["body"], rest["trace_id"]) == (1, "mine", "text", TRACE.hex())


def test_of_attributes_with_one_key_the_last_counts_and_none_is_lost(send: Any, door: Any) -> None:
    twice = LogRecord(event_name="e", attributes=[*attributes({"a": 1, "b": 2}), *attributes({"a": 3})])
    send("/v1/logs", logs(twice))
    event = door.events[0]
    assert json.loads(bytes(event.properties)) == {"a": 3, "b": 2}
    assert json.loads(bytes(event.rest)) == {"repeated_attributes": [["a", 1]]}


def test_who_it_is(send: Any, door: Any) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"user.id": 42}, {}),
        ({"enduser.id": "u2", "enduser.pseudo.id": "a2"}, {}),
        ({"user.anonymous_id": "a3"}, {"device.id": "d3"}),
        ({}, {"device.id": "d4", "session.id": "s4"}),
        ({"posthogDistinctId": "p5", "sessionId": "s5"}, {"user.id": ""}),
        ({"user.id": "u6"}, {"user.id": "other"}),
    ]
    for said, resource in cases:
        send("/v1/logs", logs(LogRecord(event_name="e", time_unix_nano=NOW_NS, attributes=attributes(said)), resource=resource))
    found = [(event.distinct_id, event.user_id, event.anonymous_id, event.device_id, event.session_id) for event in door.events]
    assert found == [
        ("42", "42", "", "", ""),
        ("u2", "u2", "a2", "", ""),
        ("a3", "", "a3", "d3", ""),
        ("d4", "", "", "d4", "s4"),
        ("p5", "", "", "", "s5"),
        ("u6", "u6", "", "", ""),
    ]


def test_a_browsers_telemetry_is_not_a_servers(send: Any, door: Any) -> None:
    resource = {"telemetry.sdk.language": "webjs", "telemetry.sdk.name": "opentelemetry", "telemetry.sdk.version": "2"}
    agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
    said = {"utm_source": "news", "utm_medium": "mail", "app.screen.name": "Home"}
    send("/v1/logs", logs(record(said=said), resource=resource), **{"user-agent": agent})
    event = door.events[0]
    assert (event.is_server, event.ip, event.user_agent, event.screen) == (False, "203.0.113.9", agent, "Home")
    assert json.loads(event.campaign) == {"source": "news", "medium": "mail"}


def test_a_span_is_a_performance_event(send: Any, door: Any, say: Any) -> None:
    span = Span(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=PARENT,
        trace_state="a=b",
        flags=257,
        name="GET /cart",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=NOW_NS - 1_234_567_891,
        end_time_unix_nano=NOW_NS - 1_000_000_000,
        attributes=attributes({"http.route": "/cart", "user.id": "u1", "url.full": "https://api.example/cart"}),
    )
    span.status.code, span.status.message = 2, "boom"
    span.events.add(name="exception", time_unix_nano=NOW_NS, attributes=attributes({"exception.type": "ValueError"}))
    span.links.add(trace_id=TRACE, span_id=PARENT, attributes=attributes({"a": b"b"}))
    assert send("/v1/traces", spans(span)).status == 200
    event = say(door.events[0])
    assert (event["kind"], event["name"], event["client_time"], event["distinct_id"]) == (
        "span",
        "GET /cart",
        "2026-11-20T21:09:58.765432Z",
        "u1",
    )
    assert "url" not in event
    assert event["properties"] == {
        "http.route": "/cart",
        "user.id": "u1",
        "url.full": "https://api.example/cart",
        "duration_ms": 234.567891,
        "trace_id": TRACE.hex(),
        "span_id": SPAN.hex(),
        "parent_span_id": PARENT.hex(),
        "span_kind": "server",
        "span_status": "error",
        "span_status_message": "boom",
    }
    assert event["rest"] == {
        "trace_state": "a=b",
        "flags": 257,
        "nanoseconds": 109,
        "events": [{"time_unix_nano": NOW_NS, "name": "exception", "attributes": {"exception.type": "ValueError"}}],
        "links": [{"trace_id": TRACE.hex(), "span_id": PARENT.hex(), "attributes": {"a": {"bytesValue": "Yg=="}}}],
    }


def metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    scope = group.scope_metrics.add()
    point = {"attributes": attributes({"plan": "pro"}), "time_unix_nano": NOW_NS, "start_time_unix_nano": NOW_NS - 10**9}
    gauge = scope.metrics.add(name="heat", unit="Cel", description="How warm").gauge
    gauge.data_points.add(as_double=21.5, **point)
    gauge.data_points.add(as_int=-3, time_unix_nano=NOW_NS + 1000)
    gauge.data_points.add(flags=1, time_unix_nano=NOW_NS)
    total = scope.metrics.add(name="orders").sum
    total.aggregation_temporality, total.is_monotonic = 2, True
    total.data_points.add(as_int=2**62, **point)
    times = scope.metrics.add(name="took", unit="ms").histogram
    times.aggregation_temporality = 1
    times.data_points.add(count=3, sum=30.5, min=1.5, max=20.0, bucket_counts=[1, 2], explicit_bounds=[10.0], **point)
    times.data_points[0].exemplars.add(as_double=0.0, trace_id=TRACE, span_id=SPAN, time_unix_nano=NOW_NS)
    sizes = scope.metrics.add(name="sizes").exponential_histogram
    sizes.aggregation_temporality = 2
    sizes.data_points.add(count=5, sum=9.0, scale=-1, zero_count=1, zero_threshold=0.1, time_unix_nano=NOW_NS)
    sizes.data_points[0].positive.offset = 2
    sizes.data_points[0].positive.bucket_counts.extend([3, 1])
    old = scope.metrics.add(name="old").summary
    old.data_points.add(count=4, sum=10.0, time_unix_nano=NOW_NS).quantile_values.add(quantile=0.5, value=2.0)
    return request


def test_each_data_point_is_an_event_with_its_measures(send: Any, door: Any) -> None:
    assert send("/v1/metrics", metrics()).status == 200
    assert [(event.kind, event.name) for event in door.events] == [
        ("metric", name) for name in ("heat", "heat", "heat", "orders", "took", "sizes", "old")
    ]
    said = [json.loads(bytes(event.properties))["metric"] for event in door.events]
    assert said == [
        {"type": "gauge", "unit": "Cel", "value": 21.5},
        {"type": "gauge", "unit": "Cel", "value": -3},
        {"type": "gauge", "unit": "Cel"},
        {"type": "sum", "value": 2**62, "temporality": "cumulative", "monotonic": True},
        {
            "type": "histogram",
            "unit": "ms",
            "count": 3,
            "sum": 30.5,
            "min": 1.5,
            "max": 20.0,
            "bounds": [10.0],
            "buckets": [1, 2],
            "temporality": "delta",
        },
        {
            "type": "exponential_histogram",
            "count": 5,
            "sum": 9.0,
            "scale": -1,
            "zero_count": 1,
            "zero_threshold": 0.1,
            "positive": {"offset": 2, "buckets": [3, 1]},
            "temporality": "cumulative",
        },
        {"type": "summary", "count": 4, "sum": 10.0, "quantiles": [{"quantile": 0.5, "value": 2.0}]},
    ]
    assert json.loads(bytes(door.events[0].properties))["plan"] == "pro"
    assert json.loads(bytes(door.events[0].context))["metric"] == {"description": "How warm"}
    assert json.loads(bytes(door.events[2].rest)) == {"flags": 1}
    exemplar = {"time_unix_nano": NOW_NS, "value": 0.0, "trace_id": TRACE.hex(), "span_id": SPAN.hex()}
    assert json.loads(bytes(door.events[4].rest)) == {"start_time_unix_nano": NOW_NS - 10**9, "exemplars": [exemplar]}


# --------------------------------------------------------------- ids and times


def test_both_forms_of_a_record_are_one_event(door: Any) -> None:
    for path, request in (("/v1/logs", logs(record(said={"a": [1, 2.5, None]}))), ("/v1/metrics", metrics())):
        door.clear()
        door.send("POST", path, request.SerializeToString(), headers=PROTOBUF)
        count = len(door.events)
        door.send("POST", path, in_json(request), headers=JSON)
        ids = [event.event_id for event in door.events]
        assert ids[:count] == ids[count:]
        assert len(set(ids)) == count


def test_sent_again_is_the_same_and_alike_is_not(send: Any, door: Any) -> None:
    one, other = record(), record(said={"sku": 2})
    send("/v1/logs", logs(one, other, one))
    door.now_us += 60_000_000
    send("/v1/logs", logs(one, other, one))
    ids = [event.event_id for event in door.events]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3
    send("/v1/logs", logs(other))  # another way to cut the batch
    assert door.events[6].event_id == ids[1]
    send("/v1/logs", logs(one, resource={"service.name": "another"}))
    assert door.events[7].event_id not in ids


def test_a_record_without_any_time_is_new_each_time(send: Any, door: Any) -> None:
    for _ in range(2):
        send("/v1/logs", logs(LogRecord(event_name="tick")))
        door.now_us += 1
    first, second = door.events
    assert (first.client_time, first.event_id != second.event_id) == ("", True)


@pytest.mark.parametrize(
    ("seconds", "corrected"), [(-3600, True), (-700, True), (-500, False), (-60, False), (0, False), (4, False), (6, True), (3600, True)]
)
def test_a_clock_is_corrected_where_it_surely_is_wrong(seconds: int, corrected: bool, send: Any, door: Any) -> None:
    """Two records 20 s apart; the later was observed so many seconds after the request came."""
    later = NOW_NS + seconds * 10**9
    early = record("early", time_unix_nano=later - 20 * 10**9, observed_time_unix_nano=later - 20 * 10**9)
    send("/v1/logs", logs(early, record("late", time_unix_nano=later, observed_time_unix_nano=later)))
    assert [event.keep_time for event in door.events] == [not corrected] * 2
    if corrected:  # the load moves each by received - sent: the later to the moment of receipt, the earlier 20 s before
        assert door.events[0].sent_time == door.events[1].sent_time == door.events[1].client_time
        assert "observed_time" in json.loads(bytes(door.events[0].rest))


@pytest.mark.parametrize(("seconds", "sent"), [(3600, "2026-11-20T22:10:00.000000Z"), (4, ""), (-86400, "")])
def test_spans_and_points_that_end_in_the_future(seconds: int, sent: str, send: Any, door: Any) -> None:
    ended = NOW_NS + seconds * 10**9
    send("/v1/traces", spans(Span(name="s", start_time_unix_nano=ended - 10**9, end_time_unix_nano=ended)))
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(as_int=1, time_unix_nano=ended)
    send("/v1/metrics", request)
    assert [(event.kind, event.sent_time, event.keep_time) for event in door.events] == [("span", sent, False), ("metric", sent, False)]


# --------------------------------------------------------------------- answers


def test_paths_and_places_of_the_key(send: Any, door: Any) -> None:
    body = in_json(logs(record()))
    for path in ("/v1/logs", "/v1/logs/", "/i/v1/logs", "/i/v1/logs/"):
        assert door.send("POST", path, body, headers={"content-type": "application/json"}, query="token=test-write-key").status == 200
    assert len(door.events) == 4
    reply = send("/v1/logs", logs(record()), authorization="Bearer wrong")
    assert reply.status == 401
    if send.form == "json":
        assert (reply.json["code"], reply.json["message"]) == (401, "The write key is not known.")
    else:
        assert reply.headers["content-type"] == "application/x-protobuf"
        assert b"The write key is not known." in reply.body


@pytest.mark.parametrize("said", ["application/x-protobuf", "application/json", "text/plain", "application/octet-stream", None])
@pytest.mark.parametrize("packed", ["", "gzip", "deflate", "silently gzip"])
def test_the_body_is_what_it_is_and_not_what_it_is_said_to_be(said: str | None, packed: str, door: Any) -> None:
    request = logs(record())
    headers = {"authorization": "Bearer test-write-key", **({"content-type": said} if said else {})}
    headers |= {"content-encoding": packed} if packed in ("gzip", "deflate") else {}
    for body in (request.SerializeToString(), in_json(request)):
        written = zlib.compress(body) if packed == "deflate" else gzip.compress(body) if packed else body
        assert door.send("POST", "/v1/logs", written, headers=headers).status == 200
    assert len({event.event_id for event in door.events}) == 1
    assert len(door.events) == 2


def test_a_form_within_a_text_is_no_form(door: Any) -> None:
    request = logs(record(said={"url": "https://x.example/?a=b&data=aGVsbG8="}))
    assert door.send("POST", "/v1/logs", request.SerializeToString(), headers=PROTOBUF).status == 200
    assert json.loads(bytes(door.events[0].properties))["url"].endswith("aGVsbG8=")


def test_nothing_is_something_too(door: Any) -> None:
    for path in ("/v1/logs", "/v1/traces", "/v1/metrics"):
        assert door.send("POST", path, b"", headers=PROTOBUF).status == 200
        assert door.send("POST", path, b"{}", headers=JSON).status == 200
    assert door.log.all == []


@pytest.mark.parametrize("body", [b"\x07\x07\x07", b"\xff", b'{"resourceLogs":', b"5"])
def test_what_is_no_request_at_all(body: bytes, door: Any) -> None:
    assert door.send("POST", "/v1/logs", body, headers=PROTOBUF).status == 400
    assert door.send("POST", "/v1/logs", body, headers=JSON).status == 400
    assert door.unexpected == 0


def test_whatever_is_our_fault_may_be_sent_again(send: Any, door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    door.log.failing = unavailable("The log is full.", retry_after=7)
    reply = send("/v1/logs", logs(record()))
    assert (reply.status, reply.headers["retry-after"]) == (503, "7")
    door.log.failing = None
    door.catalog.quota, door.seconds = 1, door.seconds + 3
    for _ in range(2):
        reply = send("/v1/logs", logs(*[record(said={"n": number}) for number in range(30)]))
    assert (reply.status, reply.headers["retry-after"]) == (429, "20")
    reply = send("/v1/logs", logs(record()), origin="https://x.example")
    assert (reply.status, reply.headers["retry-after"]) == (503, "20")  # browsers' SDKs drop what gets a 429
    monkeypatch.setattr("almanac.ingest.protocols.otlp.Intake.finish", lambda intake: 1 / 0)
    reply = send("/v1/logs", logs(record()))
    assert reply.status == 503


# ------------------------------------------------------------- the bad among the good


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that has a length."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes((size & 127 | 128,)), size >> 7
    return bytes((number << 3 | 2,)) + length + bytes((size,)) + content


def deep_in_protobuf(levels: int) -> bytes:
    """Three records; the body of the second is an object in an object, and so on. The package will not even write that."""
    value = field(1, b"here")
    for _ in range(levels):
        value = field(6, field(1, field(1, b"a") + field(2, value)))
    records = [record("one").SerializeToString(), field(5, value) + field(12, b"two"), record("three").SerializeToString()]
    return field(1, field(2, b"".join(field(2, each) for each in records)))


def broken_text() -> bytes:
    """A request of three records, of which the second holds a text that is not UTF-8."""
    return logs(record("one"), record("two", said={"x": "@@@@"}), record("three")).SerializeToString().replace(b"@@@@", b"\xff\xfe\xff\xfe")


@pytest.mark.parametrize("settings", [{}, {"event_limit": 1024, "body_limit": 1 << 20}])
def test_a_text_that_is_not_utf8_takes_only_its_record_with_it(settings: dict[str, Any], doors: Any) -> None:
    door = doors(**settings)
    reply = door.send("POST", "/v1/logs", broken_text(), headers=PROTOBUF)
    assert [event.name for event in door.events] == ["one", "three"]
    answer = ExportLogsServiceResponse.FromString(reply.body)
    assert answer.partial_success.rejected_log_records == 1
    assert answer.partial_success.error_message == (
        "1 of 3 were refused and kept as dead letters. The first, at place 1: not_utf8: A text of it is not UTF-8."
    )
    assert door.dead[0]["reason"] == "not_utf8"
    held = json.loads(door.dead[0]["original"])
    assert b"\xff\xfe\xff\xfe" in base64.b64decode(held["protobuf"])
    assert [event.kind for event in decode(Settings(), "p1", "otlp", door.dead[0]["original"])] == ["dead_letter"]


def test_what_follows_a_torn_place_is_kept_as_it_is(door: Any) -> None:
    whole = logs(record("one")).SerializeToString()
    reply = door.send("POST", "/v1/logs", whole + whole[:-3], headers=PROTOBUF)
    assert reply.status == 200
    assert [event.name for event in door.events] == ["one"]
    assert door.dead[0]["reason"] == "not_protobuf"
    assert base64.b64decode(json.loads(door.dead[0]["original"])["protobuf"]) == whole[:-3]


@pytest.mark.parametrize("levels", [70, 200, 400, 3000])
def test_what_nests_too_deep_takes_only_its_record_with_it(levels: int, door: Any) -> None:
    depth = b'{"kvlistValue":{"values":[{"key":"a","value":' * levels + b'{"stringValue":"x"}' + b"}]}}" * levels
    body = in_json(logs(record("one"), record("two", body=any_value("@@@")), record("three")))
    reply = door.send("POST", "/v1/logs", body.replace(b'{"stringValue": "@@@"}', depth), headers=JSON)
    assert reply.json["partialSuccess"]["rejectedLogRecords"] == "1"
    reply = door.send("POST", "/v1/logs", deep_in_protobuf(levels), headers=PROTOBUF)
    assert ExportLogsServiceResponse.FromString(reply.body).partial_success.rejected_log_records == 1
    assert [event.name for event in door.events] == ["one", "three"] * 2
    assert [letter["reason"] for letter in door.dead] == ["too_deep", "too_deep"]
    assert depth in door.dead[0]["original"].encode()


def test_what_the_parser_takes_and_the_limit_does_not(doors: Any, send: Any) -> None:
    door = doors(depth_limit=8)
    value: Any = 1
    for _ in range(10):
        value = {"a": value}
    request = logs(record("one"), record("two", body=any_value(value)))
    body, headers = (in_json(request), JSON) if send.form == "json" else (request.SerializeToString(), PROTOBUF)
    assert door.send("POST", "/v1/logs", body, headers=headers).status == 200
    assert [event.name for event in door.events] == ["one"]
    assert [letter["reason"] for letter in door.dead] == ["too_deep"]
    assert [event.name for event in decode(Settings(), "p1", "otlp", door.dead[0]["original"])] == ["two"]


def test_what_is_too_large_takes_only_its_record_with_it(doors: Any) -> None:
    door = doors(event_limit=2048)
    request = logs(record("one"), record("two", said={"x": "y" * 3000}), record("three"))
    for body, headers in ((request.SerializeToString(), PROTOBUF), (in_json(request), JSON)):
        door.clear()
        assert door.send("POST", "/v1/logs", body, headers=headers).status == 200
        assert [event.name for event in door.events] == ["one", "three"]
        assert [letter["reason"] for letter in door.dead] == ["too_large"]
        again = decode(Settings(), "p1", "otlp", door.dead[0]["original"])
        assert [(event.name, event.keep_time) for event in again] == [("two", True)]


def test_what_is_too_many_can_be_replayed(doors: Any, send: Any) -> None:
    door = doors(batch_limit=2)
    request = logs(*[record(f"e{number}") for number in range(5)])
    body, headers = (in_json(request), JSON) if send.form == "json" else (request.SerializeToString(), PROTOBUF)
    reply = door.send("POST", "/v1/logs", body, headers=headers)
    assert [event.name for event in door.events] == ["e0", "e1"]
    assert [letter["reason"] for letter in door.dead] == ["over_batch_limit"]
    sentence = "3 of 5 were refused and kept as dead letters. The first, at place 2: over_batch_limit: There are 3 records more than 2"
    sentence += " in the request."
    if send.form == "json":
        assert reply.json == {"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": sentence}}
    else:
        assert ExportLogsServiceResponse.FromString(reply.body).partial_success.rejected_log_records == 3
    again = decode(Settings(), "p1", "otlp", door.dead[0]["original"])
    assert [event.name for event in again] == ["e2", "e3", "e4"]
    roomy = doors()
    roomy.send("POST", "/v1/logs", body, headers=headers)
    assert [event.event_id for event in roomy.events[2:]] == [event.event_id for event in again]


def test_a_metric_without_a_name(send: Any, door: Any) -> None:
    request = metrics()
    request.resource_metrics[0].scope_metrics[0].metrics[1].name = ""
    reply = send("/v1/metrics", request)
    assert len(door.events) == 6
    assert door.dead[0]["reason"] == "no_name"
    held = json.loads(door.dead[0]["original"])["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert [len(metric["sum"]["dataPoints"]) for metric in held] == [1]
    if send.form == "protobuf":
        assert ExportMetricsServiceResponse.FromString(reply.body).partial_success.rejected_data_points == 1


# ------------------------------------------------------------------- odd JSON


def posted(door: Any, *records: Any, resource: Any = None, **around: Any) -> Any:
    body = {"resourceLogs": [{"resource": resource or {}, "scopeLogs": [{"logRecords": [*records]}]}], **around}
    return door.send("POST", "/v1/logs", json.dumps(body).encode(), headers=JSON)


def test_json_of_other_writers(door: Any) -> None:
    odd = {
        "timeUnixNano": NOW_NS,
        "severityNumber": "SEVERITY_NUMBER_WARN",
        "severityText": None,
        "eventName": 5,
        "body": {"stringValue": "b", "unheardOf": 1},
        "attributes": [
            {"key": "a", "value": {"intValue": 7}},
            {"key": "b", "value": {"intValue": "not a number"}},
            {"key": "c", "value": {"doubleValue": "Infinity"}},
            {"key": "d", "value": {"arrayValue": {}}},
            {"key": "e"},
            17,
        ],
        "newMember": {"x": [1]},
        "flags": 1.5,
    }
    assert posted(door, odd, 5, {"eventName": "good"}, resource={"attributes": [], "colour": "red"}).status == 200
    assert [event.name for event in door.events] == ["5", "good"]
    event = door.events[0]
    said = {"a": 7, "b": "not a number", "c": "Infinity", "d": [], "e": None, "body": "b"}
    assert json.loads(bytes(event.properties)) == {**said, "severity": "WARN", "severity_number": "SEVERITY_NUMBER_WARN"}
    assert json.loads(bytes(event.rest)) == {"attributes": [17], "body": {"unheardOf": 1}, "newMember": {"x": [1]}, "flags": 1.5}
    assert json.loads(bytes(event.context)) == {"unread": {"resource": {"colour": "red"}}}
    assert [letter["reason"] for letter in door.dead] == ["not_an_object"]


def test_json_that_is_not_quite_json(door: Any) -> None:
    body = (
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"e\x01","attributes":[{"key":"n","value":{"doubleValue":NaN}}]}]}]}]}'
    )
    assert door.send("POST", "/v1/logs", body, headers=JSON).status == 200
    assert door.events[0].name == "e\x01"
    assert json.loads(bytes(door.events[0].properties)) == {"n": "NaN"}


def test_pieces_that_are_no_objects(door: Any) -> None:
    good = {"scopeLogs": [{"logRecords": [{"eventName": "good"}]}, 7, {"logRecords": {"eventName": "alone"}}]}
    body = {"resourceLogs": [5, good, {"scopeLogs": "none"}]}
    assert door.send("POST", "/v1/logs", json.dumps(body).encode(), headers=JSON).status == 200
    assert [event.name for event in door.events] == ["good", "alone"]
    assert [letter["reason"] for letter in door.dead] == ["not_an_object"] * 3


def test_what_posthogs_sdk_sends(door: Any) -> None:
    if not RECORDING.is_file():
        pytest.skip(f"the recordings are not beside the checkout: {RECORDING}")
    seen = 0
    for line in RECORDING.read_text().splitlines():
        request = json.loads(line)
        if request["path"] in ("/i/v1/metrics", "/i/v1/traces", "/i/v1/logs"):
            body = base64.b64decode(request["body_b64"])
            reply = door.send("POST", request["path"], body, headers=request["headers"], query=request["query"] or "")
            assert (reply.status, reply.body) == (200, b"{}")
            seen += 1
    assert seen == 2
    metric, span = door.events
    assert (metric.kind, metric.name, metric.library, metric.library_version) == ("metric", "orders", "posthog-python", "7.91.1")
    said = json.loads(bytes(metric.properties))
    assert said == {"plan": "pro", "metric": {"type": "sum", "value": 1.0, "temporality": "delta", "monotonic": True}}
    assert (span.kind, span.name, json.loads(bytes(span.properties))["duration_ms"]) == ("span", "work", 0.021877)


@pytest.mark.parametrize("form", ["protobuf", "json", "odd json"])
def test_a_large_resource_around_many_records_is_refused(form: str, doors: Any) -> None:
    """Each record would be stored with it: from 60 kB would come 60 MB."""
    door = doors(body_limit=1 << 20)
    request = logs(*[LogRecord(event_name="e")] * 1000, resource={"x": "y" * 50_000})
    body = request.SerializeToString() if form == "protobuf" else in_json(request)
    body = body.replace(b'"schemaUrl"', b'"unheardOf"') if form == "odd json" else body
    reply = door.send("POST", "/v1/logs", body, headers=PROTOBUF if form == "protobuf" else JSON)
    assert reply.status == 413
    assert door.log.all == []


def test_a_large_metric_of_many_points_is_refused(send: Any, door: Any) -> None:
    for name, unit, description in (("m" * 50_000, "", ""), ("m", "u" * 50_000, ""), ("m", "", "d" * 50_000)):
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name, unit=unit, description=description)
        for number in range(2100):
            metric.gauge.data_points.add(as_int=number)
        assert send("/v1/metrics", request).status == 413
    assert door.log.all == []


def test_many_records_that_are_next_to_nothing(doors: Any) -> None:
    """What is beyond the limit is one dead letter; a hundred times the limit are refused before they take time and room."""
    door = doors(batch_limit=100)
    empty = b"\x12\x00"
    reply = door.send("POST", "/v1/logs", field(1, field(2, empty * 2000)), headers=PROTOBUF)
    assert (reply.status, len(door.events), len(door.dead)) == (200, 100, 1)
    assert ExportLogsServiceResponse.FromString(reply.body).partial_success.rejected_log_records == 1900
    again = decode(Settings(), "p1", "otlp", door.dead[0]["original"])
    assert [event.kind for event in again] == ["log"] * 1900
    for body in (field(1, field(2, empty * 250_000)), field(1, field(2, empty * 2_000_000))):
        assert door.send("POST", "/v1/logs", body, headers=PROTOBUF).status == 413
