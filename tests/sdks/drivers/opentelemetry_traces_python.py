"""Spans of OpenTelemetry's SDK for Python, in one request: `opentelemetry_traces_python.py HOST KEY`."""

import sys

# [snippet]
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

# [/snippet]
_, HOST, KEY = sys.argv
QUICK = {"timeout": 20}
# [snippet]
provider = TracerProvider()
exporter = OTLPSpanExporter(HOST + "/v1/traces", headers={"authorization": "Bearer " + KEY}, **QUICK)
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("shop")
with tracer.start_as_current_span("checkout", attributes={"user.id": "u1"}), tracer.start_as_current_span("charge"):
    pass
provider.shutdown()
# [/snippet]
