"""Events and a log record of OpenTelemetry's SDK for Python, in one request: `opentelemetry_python.py HOST KEY`."""

import sys

# [snippet]
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

# [/snippet]
_, HOST, KEY = sys.argv
QUICK = {"timeout": 20}
# [snippet]
exporter = OTLPLogExporter(HOST + "/v1/logs", headers={"authorization": "Bearer " + KEY}, **QUICK)
provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
events = provider.get_logger("shop")
events.emit(event_name="Viewed", attributes={"user.id": "u1", "session.id": "s1", "price": 12.5, "label": "Grüße 🎉"})
events.emit(event_name="Bought", attributes={"user.id": "u1", "revenue": 12.5, "currency": "EUR"})
# [/snippet]
events.emit(event_name="Bought", attributes={"user.id": "u1", "revenue": 12.5, "currency": "EUR"})
events.emit(body="said in passing", severity_text="INFO")
# [snippet]
provider.shutdown()
# [/snippet]
