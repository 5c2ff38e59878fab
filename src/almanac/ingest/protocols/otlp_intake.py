"""The way of a request of OTLP: which records are in it, which of them cannot be taken, and what is known only when all are there."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from almanac.core.errors import invalid
from almanac.core.event import Raw, derived_id
from almanac.ingest import body as bodies
from almanac.ingest import messages as reading
from almanac.ingest.call import DEEPEST, Call
from almanac.ingest.messages import NONE, NOTHING, Fields, UnfitError
from almanac.ingest.protocols import otlp_forms, otlp_json, otlp_points, otlp_proto, otlp_wire
from almanac.ingest.protocols.otlp_event import Group, iso
from almanac.ingest.protocols.otlp_sender import Form

DELIVERY_SECONDS: Final = 600  # how long after it was observed a record may well arrive
SPEND: Final = 3  # times the largest body: what may be written of a request
WHOLE: Final = 2  # times the largest event: a protobuf request up to here is parsed in one go


def _itself(value: Any) -> Any:
    return value


_JSON: Final = Form(otlp_json.attributes, otlp_json.repeated, otlp_json.value, otlp_json.given, otlp_json.whole, otlp_json.number)
_PROTO: Final = Form(otlp_wire.attributes, otlp_wire.repeated, otlp_wire.value, otlp_proto.given, _itself, otlp_wire.number)
_LISTS: Final = re.compile(rb'"(?:logRecords|spans|metrics)"\s*:\s*\Z')
_LIST_LEVEL: Final = 6
_ENCODE: Final = msgspec.json.Encoder().encode


class Signal(NamedTuple):
    """One of the three sorts of telemetry: its name, the names of its lists from the outside in, what makes events of it, the forms of the
    lists' elements, and what the answer calls those that were refused."""

    name: str
    outers: str
    inners: str
    records: str
    build: Any
    outer: Any
    inner: Any
    record: Any
    rejected: str


SIGNALS: Final = {
    signal.name: signal
    for signal in (
        Signal(
            *("logs", "resource_logs", "scope_logs", "log_records", Group.log),
            *(otlp_forms.ResourceLogs, otlp_forms.ScopeLogs, otlp_forms.LogRecord, "rejectedLogRecords"),
        ),
        Signal(
            *("traces", "resource_spans", "scope_spans", "spans", Group.span),
            *(otlp_forms.ResourceSpans, otlp_forms.ScopeSpans, otlp_forms.Span, "rejectedSpans"),
        ),
        Signal(
            *("metrics", "resource_metrics", "scope_metrics", "metrics", Group.point),
            *(otlp_forms.ResourceMetrics, otlp_forms.ScopeMetrics, otlp_forms.Metric, "rejectedDataPoints"),
        ),
    )
}
_STRICT: Final = {signal.name: msgspec.json.Decoder(signal.record) for signal in SIGNALS.values()}


class Intake:
    """Fills a call with the events of its records. `count`: records so far."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.count = 0
        self._over: list[bytes] = []
        self._spent = 0
        self._newest = self._latest = ""
        self._keep_time = False

    # ------------------------------------------------------------------ json

    def json(self) -> None:
        """Takes the body as JSON. Raises `invalid` for what is none."""
        call = self.call
        try:
            export = otlp_json.EXPORT.decode(call.json)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._odd()
        if len(call.json) > call.settings.event_limit and not _all_small(call):
            return self._odd()
        self._keep_time = export.keep_time
        for signal in SIGNALS.values():
            self._strictly(signal, export, _JSON)
        return None

    def _odd(self) -> None:
        """The same for a body in any other form."""
        body, deep = _mended(self.call)
        items = reading.items_of(body)
        if items is None and reading.fields_of(body) is None:
            raise invalid("The request is no JSON object.", way_out="Send an export request of OTLP.")
        for raw in [body] if items is None else items:
            fields = reading.fields_of(raw)
            if fields is None:
                self._reject("not_an_object", "It is not a JSON object.", bytes(raw))
            elif "protobuf" in fields:
                self._again(raw, fields)
            else:
                self._keep_time |= reading.true_of(fields.get("keepTime"))
                for signal in SIGNALS.values():
                    for outer in self._list(fields, _camel(signal.outers)):
                        self._odd_outer(signal, outer, deep)

    def _again(self, raw: Raw, fields: Fields) -> None:
        """A dead letter of protobuf that could not be read, as `_refuse_bytes` wrote it."""
        signal = SIGNALS.get(reading.text_of(fields.get("signal")))
        try:
            body = base64.b64decode(reading.text_of(fields["protobuf"]), validate=True)
        except (binascii.Error, ValueError):
            signal = None
        if signal is None:
            return self._reject("not_protobuf", "It is neither JSON nor protobuf of OTLP.", bytes(raw))
        self._keep_time = True
        return self.protobuf(signal.name, body, alone=False)

    def _odd_outer(self, signal: Signal, raw: Raw, deep: dict[bytes, bytes]) -> None:
        fields = reading.fields_of(raw)
        if fields is None:
            return self._reject("not_an_object", "It is not a JSON object.", _around({_camel(signal.outers): raw}))
        inners = self._list(fields, _camel(signal.inners))
        fields.pop(_camel(signal.inners), None)
        outer, odd = otlp_json.tolerant(signal.outer).read(reading.encoded(fields))
        for inner_raw in inners:
            within = reading.fields_of(inner_raw)
            if within is None:
                self._reject("not_an_object", "It is not a JSON object.", _inside(signal, fields, inner=inner_raw))
                continue
            records = self._list(within, _camel(signal.records))
            within.pop(_camel(signal.records), None)
            inner, odd_inner = otlp_json.tolerant(signal.inner).read(reading.encoded(within))
            group = Group(self.call, _JSON, outer, inner, {**odd, **({_camel(signal.inners): odd_inner} if odd_inner else {})})
            most = max(0, self.call.settings.batch_limit - self.count)
            for record in records[:most]:
                original = partial(_inside, signal, fields, within)
                self._odd_record(signal, group, deep.get(bytes(record)) or record, original, is_deep=bytes(record) in deep)
            if over := records[most:]:
                self.count += len(over)
                self._beyond(_inside(signal, fields, within, records=over))
            self._newest, self._latest = max(self._newest, group.newest), max(self._latest, group.latest)
        return None

    def _odd_record(self, signal: Signal, group: Group, raw: Raw | bytes, original: Any, *, is_deep: bool) -> None:
        largest, depth = self.call.settings.event_limit, self.call.settings.depth_limit
        if is_deep:
            return self._reject("too_deep", f"It nests deeper than {depth} levels.", original(records=[raw]))
        if len(raw) > largest:
            return self._reject("too_large", f"It is larger than {largest} bytes.", original(records=[raw]))
        try:
            units, unknown = self._units(signal, raw)
            if units is None:
                return self._reject("not_an_object", "It is not a JSON object.", original(records=[raw]))
            if not units and unknown:
                return self._reject("no_data_points", "The metric has no data points.", original(records=[raw]))
            for unit in units:
                event = signal.build(group, self.count, unit, unknown)
                self._spend(len(event.properties) + len(event.context) + len(event.name))
                self.call.events.append(event)
                self.count, unknown = self.count + 1, NOTHING
        except UnfitError as unfit:
            return self._reject(unfit.reason, unfit.detail, original(records=[raw]))
        except RecursionError:
            return self._reject("too_deep", f"It nests deeper than {depth} levels.", original(records=[raw]))
        return None

    def _units(self, signal: Signal, raw: Raw | bytes) -> tuple[list[Any] | None, Fields]:
        """What becomes an event each: the record, or the data points of the metric; None when it is neither. And what did not fit."""
        unknown: Fields = NOTHING
        try:
            record = _STRICT[signal.name].decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            record, unknown = otlp_json.tolerant(signal.record).read(Raw(bytes(raw)))
        if record is None:
            return None, unknown
        return [*otlp_points.of(_JSON, record)] if signal.name == "metrics" else [record], unknown

    def _list(self, fields: Fields, name: str) -> list[Raw]:
        """The elements of a list; one object stands for a list of it."""
        raw = fields.get(name, NONE)
        if reading.is_empty(raw):
            return []
        items = reading.items_of(raw)
        return [raw] if items is None else items

    # -------------------------------------------------------------- protobuf

    def protobuf(self, signal: str, body: bytes, *, alone: bool) -> None:
        """Takes a request in protobuf. Raises `invalid` for what is none, if it is `alone` in its body."""
        if len(body) <= WHOLE * self.call.settings.event_limit:
            request = otlp_proto.parse(signal, body)
            if request is not None:
                largest = self.call.settings.event_limit
                return self._strictly(SIGNALS[signal], request, _PROTO, largest if len(body) > largest else 0)
        before = self.count
        for leaf, whole in otlp_wire.leaves(signal, body):
            request = otlp_proto.parse(signal, leaf) if whole and len(leaf) <= self.call.settings.event_limit else None
            if request is not None:
                self._strictly(SIGNALS[signal], request, _PROTO)
            elif not whole and alone and self.count == before:
                raise invalid("The request is neither JSON nor protobuf of OTLP.", way_out="Send an export request of this path's signal.")
            else:
                self._refuse_bytes(signal, leaf, whole=whole)
        return None

    def _refuse_bytes(self, signal: str, leaf: bytes, *, whole: bool) -> None:
        largest = self.call.settings.event_limit
        original = _ENCODE(otlp_proto.as_bytes(signal, leaf))
        if len(leaf) > largest:
            self._reject("too_large", f"It is larger than {largest} bytes.", original)
        elif whole:
            self._reject("not_utf8", "A text of it is not UTF-8.", original)
        else:
            self._reject("not_protobuf", "From here on the request is not protobuf.", original)

    # ------------------------------------------------------------------ both

    def _strictly(self, signal: Signal, export: Any, form: Form, largest: int = 0) -> None:
        """Takes the records of a request that could be read as it is. `largest`: bytes of a record, where one may have more."""
        call, build, most = self.call, signal.build, self.call.settings.batch_limit
        add, index = call.events.append, self.count
        for outer in getattr(export, signal.outers):
            for inner in getattr(outer, signal.inners):
                group = Group(call, form, outer, inner)
                units = getattr(inner, signal.records)
                over: list[Any] = []
                for unit in units if signal.name != "metrics" else _points(form, units):
                    if index >= most:
                        over.append(unit)
                        if index > most + otlp_wire.MOST_LEAVES:
                            raise otlp_wire.too_many()
                    elif largest and _size(unit) > largest:
                        self._refuse(
                            index, "too_large", f"It is larger than {largest} bytes.", _original(signal, form, outer, inner, [unit])
                        )
                    else:
                        try:
                            event = build(group, index, unit)
                            self._spend(len(event.properties) + len(event.context) + len(event.name))
                            add(event)
                        except UnfitError as unfit:
                            self._refuse(index, unfit.reason, unfit.detail, _original(signal, form, outer, inner, [unit]))
                    index += 1
                if over:
                    self._beyond(_original(signal, form, outer, inner, over))
                self._newest, self._latest = max(self._newest, group.newest), max(self._latest, group.latest)
        self.count = index

    def _reject(self, reason: str, detail: str, original: bytes) -> None:
        self._refuse(self.count, reason, detail, original)
        self.count += 1

    def _refuse(self, index: int, reason: str, detail: str, original: bytes) -> None:
        self._spend(len(original))
        self.call.reject(index, reason, detail, original)

    def _beyond(self, original: bytes) -> None:
        """Keeps what is over the batch limit for one dead letter."""
        self._spend(len(original))
        self._over.append(original)

    def _spend(self, size: int) -> None:
        """Counts what will be written, which is much more than was sent where a large resource stands around many records."""
        self._spent += size
        if self._spent > SPEND * self.call.settings.body_limit:
            detail = "What its records have in common is too large for so many of them."
            raise invalid(detail, status=413, way_out="Send fewer records in one request, or a smaller resource.")

    def finish(self) -> None:
        """Says what is known only when all records are there: which are alike, whether the clock is wrong, how many are too many."""
        call = self.call
        if self._over:
            most = call.settings.batch_limit
            detail = f"There are {self.count - most} records more than {most} in the request."
            call.reject(most, "over_batch_limit", detail, b"[" + b",".join(self._over) + b"]")
        sent = "" if self._keep_time else self._sent()
        times: dict[str, int] = {}
        for event in call.events:
            if event.kind == "dead_letter":
                continue
            id_ = event.event_id
            if id_ in times:  # a sender means records that are alike as so many records
                times[id_] += 1
                event.event_id = derived_id(f"{id_}\0{times[id_]}".encode())
            else:
                times[id_] = 1
            if sent and event.client_time:
                event.keep_time = False
                if event.sent_time not in ("", sent):
                    observed = {**(reading.fields_of(event.rest) or {}), "observed_time": reading.encoded(event.sent_time)}
                    event.rest = reading.encoded(observed)
                event.sent_time = sent

    def _sent(self) -> str:
        """When the request was sent by the sender's clock, if that surely is wrong; else ""."""
        now, tolerance = self.call.received_us / 1e6, self.call.settings.skew_tolerance
        latest = max(self._newest, self._latest)
        if latest and int(latest) / 1e9 > now + tolerance:
            return iso(latest, {}, "")
        if self._newest and int(self._newest) / 1e9 < now - DELIVERY_SECONDS:
            return iso(self._newest, {}, "")
        return ""


def _size(unit: Any) -> int:
    """Bytes of a record in protobuf, or of a data point."""
    return int((unit[2] if isinstance(unit, tuple) else unit).ByteSize())


def _points(form: Form, metrics: Any) -> Iterator[tuple[Any, str, Any]]:
    for metric in metrics:
        yield from otlp_points.of(form, metric)


def _original(signal: Signal, form: Form, outer: Any, inner: Any, units: list[Any]) -> bytes:
    if form is _JSON:
        return _ENCODE(otlp_json.original(signal.outers, outer, signal.inners, inner, signal.records, units))
    return _ENCODE(otlp_proto.original(signal.name, outer, inner, units))


def _around(members: dict[str, Any]) -> bytes:
    return _ENCODE({"keepTime": True, **members})


def _inside(
    signal: Signal, fields: Fields, within: Fields | None = None, *, inner: Raw = NONE, records: Sequence[Raw | bytes] = ()
) -> bytes:
    """A request with these records, or with one list of them, and what stands around."""
    if within is not None:
        inner = reading.encoded({**within, _camel(signal.records): [Raw(bytes(record)) for record in records]})
    return _around({_camel(signal.outers): [{**fields, _camel(signal.inners): [inner]}]})


def _camel(name: str) -> str:
    first, _, second = name.partition("_")
    return first + second.capitalize()


def _mended(call: Call) -> tuple[Raw, dict[bytes, bytes]]:
    """The body as JSON that surely parses, and the records that are too deep for that, by the texts in their places. Raises `invalid`."""
    body = bodies.mend(call.json)
    if _parses(body):
        return Raw(body), {}
    body, deep = bodies.sever(body, DEEPEST, _LISTS, _LIST_LEVEL)
    if not _parses(body):
        raise invalid("The request is not JSON.", way_out="Send an export request of OTLP.")
    return Raw(body), deep


def _parses(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=Raw)
    except (RecursionError, msgspec.DecodeError):
        return False
    return True


def _all_small(call: Call) -> bool:
    """Whether no record of the request can be over the size limit."""
    fields, limit = reading.fields_of(call.json) or {}, call.settings.event_limit
    for signal in SIGNALS.values():
        for outer in reading.items_of(fields.get(_camel(signal.outers), NONE)) or ():
            for inner in reading.items_of((reading.fields_of(outer) or {}).get(_camel(signal.inners), NONE)) or ():
                records = reading.items_of((reading.fields_of(inner) or {}).get(_camel(signal.records), NONE)) or ()
                if any(len(record) > limit for record in records):
                    return False
    return True
