"""OpenTelemetry's and CloudEvents' own SDKs against the collector, over a line that fails at first; and the snippets of the docs, run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

DOCS = Path(__file__).parents[2] / "docs"
HEADERS = {"authorization": "Bearer test-write-key"}
FAILURES = ("503", "429", "close")


def snippet(page: str, language: str, url: str) -> str:
    """The code in that language that a page shows, with the server's address and key in it."""
    found = re.search(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert found is not None
    return found[1].replace("http://127.0.0.1:8000", url).replace("wk_…", "test-write-key")


def said(event: Any) -> dict[str, Any]:
    return dict(json.loads(bytes(event.properties)))


# -------------------------------------------------------------- OpenTelemetry


def test_the_snippet_for_opentelemetry(server: Any) -> None:
    exec(compile(snippet("opentelemetry.md", "python", server.url), "opentelemetry.md", "exec"), {})
    (event,) = server.events(1)
    assert (event.kind, event.name, event.distinct_id, event.session_id) == ("track", "Signed up", "user-1", "s-1")
    assert (said(event)["plan"], event.library, event.is_server) == ("pro", "opentelemetry", True)


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_events_of_opentelemetry(compression: str, server: Any, flaky: Callable[..., Any]) -> None:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    line = flaky(*FAILURES)
    exporter = OTLPLogExporter(f"{line.url}/v1/logs", headers=HEADERS, timeout=30, compression=Compression(compression))
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=50))
    logger = provider.get_logger("shop", "1.0")
    before = time.time_ns()
    for number in range(700):  # more than one request's worth
        logger.emit(event_name="bought", attributes={"user.id": "u1", "n": number}, body={"sku": b"\x00"}, timestamp=before + number)
    logger.emit(body="said in passing", timestamp=before)
    provider.shutdown()
    events = server.events(701)
    assert len({event.event_id for event in events}) == len(events) == 701
    assert sorted(said(event)["n"] for event in events if event.name == "bought") == list(range(700))
    assert said(events[0])["body"] == {"sku": {"bytesValue": "AA=="}}
    assert [event.kind for event in events if event.name == "said in passing"] == ["log"]
    assert all(event.keep_time and event.sent_time for event in events)
    assert len(line.refused) == 3


def test_spans_and_metrics_of_opentelemetry(server: Any, flaky: Callable[..., Any]) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    line = flaky("close", "503")
    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{line.url}/v1/traces", headers=HEADERS, timeout=30)))
    tracer = traces.get_tracer("shop")
    with tracer.start_as_current_span("outer", attributes={"user.id": "u1"}), tracer.start_as_current_span("inner"):
        time.sleep(0.01)
    traces.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{server.url}/v1/metrics", headers=HEADERS))
    metrics = MeterProvider([reader])
    meter = metrics.get_meter("shop")
    meter.create_counter("orders").add(3, {"plan": "pro"})
    meter.create_histogram("took", unit="ms").record(12.5)
    metrics.shutdown()
    found = {event.name: event for event in server.events(4)}
    inner, outer = said(found["inner"]), said(found["outer"])
    assert (inner["parent_span_id"], inner["trace_id"]) == (outer["span_id"], outer["trace_id"])
    assert outer["duration_ms"] >= inner["duration_ms"] >= 10
    assert found["outer"].distinct_id == "u1"
    assert said(found["orders"])["metric"] == {"type": "sum", "value": 3, "temporality": "cumulative", "monotonic": True}
    took = said(found["took"])["metric"]
    assert (took["count"], took["sum"], took["min"], took["unit"]) == (1, 12.5, 12.5, "ms")
    assert len(line.refused) == 2


# ---------------------------------------------------------------- CloudEvents


def test_the_snippet_for_cloudevents(server: Any) -> None:
    exec(compile(snippet("cloudevents.md", "python", server.url), "cloudevents.md", "exec"), {})
    (event,) = server.events(1)
    assert (event.name, event.distinct_id, said(event)) == ("Signed up", "user-1", {"plan": "pro"})
    assert event.event_id.startswith("/shop ")


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_cloudevents_of_python(mode: str, server: Any, flaky: Callable[..., Any]) -> None:
    from cloudevents.core.bindings import http
    from cloudevents.core.v1.event import CloudEvent

    line = flaky("500", "429", "close")
    write = http.to_binary_event if mode == "binary" else http.to_structured_event
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"type": "Viewed", "subject": "u1", "label": "Grüße 🎉 100%"}, {"price": 12.5, "label": "Grüße 🎉"}),
        ({"type": "Packed", "datacontenttype": "application/octet-stream"}, b"\x00\xff"),
        ({"type": "Noted", "datacontenttype": "text/plain"}, "a text"),
        ({"type": "Bare"}, None),
    ]
    for number, (attributes, data) in enumerate(cases):
        message = write(CloudEvent({"source": "/shop", "id": str(number), **attributes}, data))
        for _ in range(5):  # whoever sends CloudEvents brings the retries along
            try:
                if (
                    requests.post(f"{line.url}/events", data=message.body, headers={**message.headers, **HEADERS}, timeout=10).status_code
                    == 200
                ):
                    break
            except requests.ConnectionError:
                continue
    events = server.events(4)
    assert [event.event_id for event in events] == ["/shop 0", "/shop 1", "/shop 2", "/shop 3"]
    assert said(events[0]) == {"price": 12.5, "label": "Grüße 🎉"}
    assert json.loads(bytes(events[0].context))["label"] == "Grüße 🎉 100%"
    assert [json.loads(bytes(event.rest)) for event in events[1:]] == [{"data_base64": "AP8="}, {"data": "a text"}, {}]
    assert all(event.client_time for event in events)
    assert len(line.refused) == 3


@pytest.mark.node
@pytest.mark.parametrize("mode", ["emitter", "binary", "structured", "batch"])
def test_cloudevents_of_node(mode: str, server: Any, flaky: Callable[..., Any], node: Callable[..., None]) -> None:
    line = flaky(*(() if mode == "emitter" else ("500", "429", "close")))  # its emitter does not look at the answer
    node("cloudevents_node.mjs", line.url, mode)
    if mode == "emitter":  # what it sends in binary mode must be latin-1 in its headers, and comes chunked
        assert server.unknown == []
    events = server.events(3)
    assert [(event.event_id, event.name) for event in events] == [("/shop 1", "Viewed"), ("/shop 2", "Bought"), ("/shop 3", "Noted")]
    assert said(events[0]) == {"price": 12.5, "label": "Grüße 🎉"}
    assert said(events[1]) == {"n": 9007199254740991}
    assert [(event.distinct_id, event.session_id) for event in events] == [("u1", ""), ("u1", "s1"), ("", "")]
    assert json.loads(bytes(events[2].rest)) == {"data": "a text"}


@pytest.mark.node
def test_the_snippet_for_cloudevents_in_node(server: Any, tmp_path: Path) -> None:
    here = Path(__file__).parent
    program = shutil.which("node")
    if program is None or not (here / "node_modules").is_dir():
        pytest.skip("node or its SDKs are not installed")
    code = snippet("cloudevents.md", "js", server.url)
    subprocess.run([program, "--input-type=module", "-e", code], cwd=here, check=True, capture_output=True, timeout=60)
    (event,) = server.events(1)
    assert (event.name, event.distinct_id, said(event)) == ("Signed up", "user-1", {"plan": "pro"})
