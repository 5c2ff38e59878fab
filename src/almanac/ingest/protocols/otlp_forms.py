"""The messages of OTLP in JSON, under the names of the protobuf ones.

Whole numbers of 64 bits come as texts or as numbers, ids as hexadecimal texts, bytes as base64, enumerations as numbers or as names.
"""

from __future__ import annotations

import msgspec

from almanac.core.event import Raw
from almanac.ingest.messages import NONE

Whole = int | str
Number = float | str


class Form(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, rename="camel"):
    """A message of OTLP. Members that are absent have the value that protobuf gives them, or None where it tells the two apart."""


class AnyValue(Form):
    """A value of any type; none is given where all members are None."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Whole | None = None
    double_value: Number | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class ArrayValue(Form):
    """A list of values."""

    values: list[AnyValue] = []


class KeyValue(Form):
    """An attribute."""

    key: str = ""
    value: AnyValue | None = None


class KeyValueList(Form):
    """An object."""

    values: list[KeyValue] = []


class Resource(Form):
    """What sends: a service, a device."""

    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0
    entity_refs: Raw = NONE


class Scope(Form):
    """Which library within it."""

    name: str = ""
    version: str = ""
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0


class LogRecord(Form):
    """An entry of a log, or an event."""

    time_unix_nano: Whole = 0
    observed_time_unix_nano: Whole = 0
    severity_number: Whole = 0
    severity_text: str = ""
    body: AnyValue | None = None
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0
    flags: int = 0
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class SpanEvent(Form):
    """Something that happened within a span."""

    time_unix_nano: Whole = 0
    name: str = ""
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0


class SpanLink(Form):
    """Another span that has to do with it."""

    trace_id: str = ""
    span_id: str = ""
    trace_state: str = ""
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0
    flags: int = 0


class SpanStatus(Form):
    """How a span ended."""

    message: str = ""
    code: Whole = 0


class Span(Form):
    """A piece of work with a beginning and an end."""

    trace_id: str = ""
    span_id: str = ""
    trace_state: str = ""
    parent_span_id: str = ""
    flags: int = 0
    name: str = ""
    kind: Whole = 0
    start_time_unix_nano: Whole = 0
    end_time_unix_nano: Whole = 0
    attributes: list[KeyValue] = []
    dropped_attributes_count: int = 0
    events: list[SpanEvent] = []
    dropped_events_count: int = 0
    links: list[SpanLink] = []
    dropped_links_count: int = 0
    status: SpanStatus | None = None


class Exemplar(Form):
    """One of the measurements behind a data point."""

    filtered_attributes: list[KeyValue] = []
    time_unix_nano: Whole = 0
    as_double: Number | None = None
    as_int: Whole | None = None
    span_id: str = ""
    trace_id: str = ""


class _Point(Form):
    attributes: list[KeyValue] = []
    start_time_unix_nano: Whole = 0
    time_unix_nano: Whole = 0
    exemplars: list[Exemplar] = []
    flags: int = 0


class NumberPoint(_Point):
    """A data point of a gauge or a sum."""

    as_double: Number | None = None
    as_int: Whole | None = None


class HistogramPoint(_Point):
    """A data point of a histogram with explicit bounds."""

    count: Whole = 0
    sum: Number | None = None
    bucket_counts: list[Whole] = []
    explicit_bounds: list[Number] = []
    min: Number | None = None
    max: Number | None = None


class Buckets(Form):
    """Counts of consecutive buckets, the first at `offset`."""

    offset: int = 0
    bucket_counts: list[Whole] = []


class ExponentialPoint(_Point):
    """A data point of an exponential histogram."""

    count: Whole = 0
    sum: Number | None = None
    scale: int = 0
    zero_count: Whole = 0
    positive: Buckets | None = None
    negative: Buckets | None = None
    min: Number | None = None
    max: Number | None = None
    zero_threshold: Number = 0.0


class Quantile(Form):
    """A value and the share of measurements that are not above it."""

    quantile: Number = 0.0
    value: Number = 0.0


class SummaryPoint(_Point):
    """A data point of a summary."""

    count: Whole = 0
    sum: Number = 0.0
    quantile_values: list[Quantile] = []


class Gauge(Form):
    """A value at a moment."""

    data_points: list[NumberPoint] = []


class Sum(Form):
    """A counter."""

    data_points: list[NumberPoint] = []
    aggregation_temporality: Whole = 0
    is_monotonic: bool = False


class Histogram(Form):
    """Counts of measurements between explicit bounds."""

    data_points: list[HistogramPoint] = []
    aggregation_temporality: Whole = 0


class ExponentialHistogram(Form):
    """Counts of measurements between bounds that grow by a factor."""

    data_points: list[ExponentialPoint] = []
    aggregation_temporality: Whole = 0


class Summary(Form):
    """Quantiles of measurements."""

    data_points: list[SummaryPoint] = []


class Metric(Form):
    """A measure, as one of five sorts."""

    name: str = ""
    description: str = ""
    unit: str = ""
    gauge: Gauge | None = None
    sum: Sum | None = None
    histogram: Histogram | None = None
    exponential_histogram: ExponentialHistogram | None = None
    summary: Summary | None = None
    metadata: list[KeyValue] = []


class ScopeLogs(Form):
    """Records of one library."""

    scope: Scope | None = None
    log_records: list[LogRecord] = []
    schema_url: str = ""


class ScopeSpans(Form):
    """Spans of one library."""

    scope: Scope | None = None
    spans: list[Span] = []
    schema_url: str = ""


class ScopeMetrics(Form):
    """Metrics of one library."""

    scope: Scope | None = None
    metrics: list[Metric] = []
    schema_url: str = ""


class ResourceLogs(Form):
    """Records of one sender."""

    resource: Resource | None = None
    scope_logs: list[ScopeLogs] = []
    schema_url: str = ""


class ResourceSpans(Form):
    """Spans of one sender."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] = []
    schema_url: str = ""


class ResourceMetrics(Form):
    """Metrics of one sender."""

    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] = []
    schema_url: str = ""


class Export(Form):
    """The body of a request. `keep_time` is ours: a dead letter that is replayed was sent long ago."""

    resource_logs: list[ResourceLogs] = []
    resource_spans: list[ResourceSpans] = []
    resource_metrics: list[ResourceMetrics] = []
    keep_time: bool = False
