"""OTLP in protobuf: its messages by the package `opentelemetry-proto`, which is imported with the first of them.

Requests are read with a copy of OTLP's messages in which attributes and values are bytes, which on the wire is the same (see `otlp_wire`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Final

from almanac.ingest.protocols.otlp_points import base64_of
from almanac.ingest.protocols.otlp_wire import wrapped

_SERVICES: Final = {
    "logs": ("logs", "logs", "ExportLogsService"),
    "traces": ("trace", "trace", "ExportTraceService"),
    "metrics": ("metrics", "metrics", "ExportMetricsService"),
}
_READ_BY_HAND: Final = frozenset((".opentelemetry.proto.common.v1.KeyValue", ".opentelemetry.proto.common.v1.AnyValue"))
MOST_WRITTEN: Final = 1000  # records in JSON; more are kept as bytes, which takes a tenth of the time
_IDS: Final = frozenset(("traceId", "spanId", "parentSpanId"))


@cache
def _service(signal: str) -> tuple[Any, Any]:
    """OTLP's own messages of a request and of its answer."""
    name, file, service = _SERVICES[signal]
    found = import_module(f"opentelemetry.proto.collector.{name}.v1.{file}_service_pb2")
    return getattr(found, f"{service}Request"), getattr(found, f"{service}Response")


@cache
def _refused() -> type[Exception]:
    """What is raised for bytes that are not the message."""
    error: type[Exception] = import_module("google.protobuf.message").DecodeError
    return error


@cache
def _request(signal: str) -> Any:
    """The message of a request in which attributes and values are bytes."""
    pool = import_module("google.protobuf.descriptor_pool").DescriptorPool()
    descriptors = import_module("google.protobuf.descriptor_pb2")
    request = _service(signal)[0].DESCRIPTOR
    for file in _with_imports(request.file):
        copy = descriptors.FileDescriptorProto()
        file.CopyToProto(copy)
        for message in _with_nested(copy.message_type):
            for field in message.field:
                if field.type_name in _READ_BY_HAND:
                    field.type = descriptors.FieldDescriptorProto.TYPE_BYTES
                    field.ClearField("type_name")
        pool.AddSerializedFile(copy.SerializeToString())
    return import_module("google.protobuf.message_factory").GetMessageClass(pool.FindMessageTypeByName(request.full_name))


def _with_imports(file: Any) -> Iterator[Any]:
    """The files that a file imports, each before those that import it, and the file."""
    found: dict[str, Any] = {}
    for imported in file.dependencies:
        found |= {each.name: each for each in _with_imports(imported)}
    yield from (found | {file.name: file}).values()


def _with_nested(messages: Any) -> Iterator[Any]:
    for message in messages:
        yield message
        yield from _with_nested(message.nested_type)


def parse(signal: str, body: bytes) -> Any:
    """The request, None when it is none or a text of it is not UTF-8."""
    try:
        return _request(signal).FromString(body)
    except _refused():
        return None


def given(message: Any, name: str) -> Any:
    """A member that may be absent: its value, or None."""
    return getattr(message, name) if message.HasField(name) else None


# ------------------------------------------------------------ written


def original(signal: str, outer: Any, inner: Any, units: Sequence[Any]) -> dict[str, Any]:
    """A request with these records and what they have in common, as OTLP writes it in JSON; where that cannot be, as bytes.

    `units`: records, or each a metric, its sort and a point."""
    request = _request(signal)()
    group = request.resource_logs if signal == "logs" else request.resource_spans if signal == "traces" else request.resource_metrics
    resource = group.add(schema_url=outer.schema_url)
    resource.resource.CopyFrom(outer.resource)
    within = resource.scope_logs if signal == "logs" else resource.scope_spans if signal == "traces" else resource.scope_metrics
    scope = within.add(schema_url=inner.schema_url)
    scope.scope.CopyFrom(inner.scope)
    if signal != "metrics":
        (scope.log_records if signal == "logs" else scope.spans).extend(units)
    else:
        for metric, sort, point in units:
            copy = scope.metrics.add()
            copy.CopyFrom(metric)
            del getattr(copy, sort).data_points[:]
            getattr(copy, sort).data_points.append(point)
    body = bytes(request.SerializeToString())
    if len(units) > MOST_WRITTEN:
        return as_bytes(signal, body)
    try:
        read = _service(signal)[0].FromString(body)
    except _refused():
        return as_bytes(signal, body)
    written: dict[str, Any] = _with_ids(import_module("google.protobuf.json_format").MessageToDict(read, use_integers_for_enums=True))
    return {"keepTime": True, **written}


def as_bytes(signal: str, body: bytes) -> dict[str, Any]:
    """A request that JSON cannot hold."""
    return {"signal": signal, "protobuf": base64_of(body)}


def _with_ids(value: Any) -> Any:
    """The same with ids in hexadecimal, which OTLP has in place of base64."""
    if isinstance(value, list):
        return [_with_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(each).hex() if name in _IDS and isinstance(each, str) else _with_ids(each) for name, each in value.items()
    }


def partial_success(signal: str, rejected: int, sentence: str) -> bytes:
    """The answer to a request of which some records were refused."""
    answer = _service(signal)[1]()
    name = {"logs": "rejected_log_records", "traces": "rejected_spans", "metrics": "rejected_data_points"}[signal]
    setattr(answer.partial_success, name, rejected)
    answer.partial_success.error_message = sentence
    return bytes(answer.SerializeToString())


def status(message: str) -> bytes:
    """A `google.rpc.Status` with this message."""
    return wrapped(2, message.encode("utf-8", "replace"))
