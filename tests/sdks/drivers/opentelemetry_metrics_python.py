"""Metrics of OpenTelemetry's SDK for Python, in one request: `opentelemetry_metrics_python.py HOST KEY`."""

import sys

# [snippet]
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

# [/snippet]
_, HOST, KEY = sys.argv
QUICK = {"timeout": 20}
# [snippet]
exporter = OTLPMetricExporter(HOST + "/v1/metrics", headers={"authorization": "Bearer " + KEY}, **QUICK)
provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
meter = provider.get_meter("shop")
meter.create_counter("orders").add(3, {"plan": "pro"})
meter.create_histogram("took", unit="ms").record(12.5)
# [/snippet]
meter.create_gauge("stock").set(7)
# [snippet]
provider.shutdown()
# [/snippet]
