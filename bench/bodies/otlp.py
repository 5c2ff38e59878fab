"""Log records as OpenTelemetry's SDK for Python exports them, in protobuf."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from bench.bodies import Act, Request


def _value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value) if isinstance(value, float) else AnyValue(string_value=str(value))


def requests(key: str, acts: Sequence[Act]) -> list[Request]:
    records = [
        LogRecord(
            time_unix_nano=int(act["time"].timestamp() * 1e9),
            observed_time_unix_nano=int(act["time"].timestamp() * 1e9),
            event_name=act["event"],
            attributes=[
                KeyValue(key="user.id", value=_value(act["user"])),
                *(KeyValue(key=name, value=_value(value)) for name, value in act["properties"].items()),
            ],
        )
        for act in acts
    ]
    resource = Resource(
        attributes=[
            KeyValue(key="service.name", value=_value("shop")),
            KeyValue(key="telemetry.sdk.name", value=_value("opentelemetry")),
            KeyValue(key="telemetry.sdk.language", value=_value("python")),
            KeyValue(key="telemetry.sdk.version", value=_value("1.45.2")),
        ]
    )
    scope = ScopeLogs(scope=InstrumentationScope(name="shop"), log_records=records)
    body = ExportLogsServiceRequest(resource_logs=[ResourceLogs(resource=resource, scope_logs=[scope])]).SerializeToString()
    headers = {
        "content-type": "application/x-protobuf",
        "user-agent": "OTel-OTLP-Exporter-Python/1.45.2",
        "authorization": f"Bearer {key}",
    }
    return [Request("/v1/logs", body, headers)]
