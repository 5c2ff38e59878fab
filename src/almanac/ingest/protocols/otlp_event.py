"""What becomes of a log record, a span and a data point: one event each.

The attributes are the event's properties, as they are. What OTLP says beside them stands among them under these names, unless an
attribute has the name already; then it is kept in `rest`:

- log records: `body`, `severity`, `severity_number`, `trace_id`, `span_id`
- spans: `duration_ms`, `trace_id`, `span_id`, `parent_span_id`, `span_kind`, `span_status`, `span_status_message`
- data points: `metric`, an object of `type` (gauge, sum, histogram, exponential_histogram, summary), `unit`, `value` or `count`, `sum`,
  `min` and `max`, `temporality`, `monotonic`, and the buckets or quantiles

Resource and scope are the event's context. Everything else, such as a span's events and links, is kept in `rest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Raw, copied, derived_id
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.messages import NOTHING, Fields, UnfitError
from almanac.ingest.protocols import otlp_points as points
from almanac.ingest.protocols.otlp_sender import Form, context_of, describe_page, filled, is_client, library, lift, text

DIGITS: Final = 19  # of a time in nanoseconds, from 2001 to 2286
LONGEST_NAME: Final = 200  # of a log record without a name of an event, which is called by its body

KINDS: Final = {
    "browser.page_view": Kind.PAGE.value,
    "page_view": Kind.PAGE.value,
    "app.screen.view": Kind.SCREEN.value,
    "screen_view": Kind.SCREEN.value,
    "session.start": Kind.SESSION_START.value,
    "exception": Kind.EXCEPTION.value,
    "feature_flag.evaluation": Kind.FEATURE_FLAG.value,
}
SPAN_KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
STATUSES: Final = ("", "ok", "error")
_SEVERITIES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")

_ENCODE: Final = msgspec.json.Encoder().encode
_BLANK: Final = Event("", "", "track", "", 0, protocol="otlp")


class Group:
    """Makes events of what one library of one sender sent. What they have in common is worked out once and copied."""

    __slots__ = ("_blank", "_call", "_common", "_context", "_form", "_key", "_limit", "_own", "_unfit", "latest", "newest")

    def __init__(self, call: Call, form: Form, outer: Any, inner: Any, unknown: Mapping[str, Any] = NOTHING) -> None:
        """`outer` and `inner` hold the resource and the scope; `unknown`: what did not fit of them."""
        self._call, self._form, self._limit = call, form, call.settings.depth_limit
        resource = form.given(outer, "resource")
        self._unfit: UnfitError | None = None
        sender: dict[str, Any] = {}
        try:
            sender = form.attributes(resource.attributes) if resource is not None else {}
            self._context = context_of(form, outer, inner, sender, unknown)
            reading.checked(_ENCODE(self._context), call.settings.depth_limit)
        except UnfitError as unfit:
            self._unfit, self._context, sender = unfit, {}, {}
        blank = copied(_BLANK)
        blank.project, blank.received_us = call.project, call.received_us
        blank.is_server = not (call.from_browser or is_client(sender))
        if not blank.is_server:
            blank.ip, blank.user_agent = call.ip, call.user_agent
        blank.library, blank.library_version = library(sender, self._context)
        blank.context = Raw(_ENCODE(self._context)) if self._context else EMPTY
        self._own = lift(blank, sender, "", place=False)
        self._blank = blank
        self.newest = self.latest = ""  # of the times at which records were observed; at which spans and points ended
        self._key = derived_id(bytes(blank.context) + f"{blank.library}\0{blank.library_version}".encode()).encode()
        self._common: tuple[Any, Raw, bytes] = (None, blank.context, self._key)

    # ------------------------------------------------------------ log records

    def log(self, index: int, record: Any, unknown: Fields = NOTHING) -> Event:
        """The event of a log record. Raises `UnfitError`."""
        form = self._form
        said, rest = self._start(record.attributes, unknown)
        event = copied(self._blank)
        body = form.value(record.body)
        if name := record.event_name or text(said, "event.name"):
            event.name = name
            if name in KINDS:
                event.kind = KINDS[name]
                if event.kind == "page":
                    describe_page(event, said)
        else:
            event.kind, event.name = "log", body[:LONGEST_NAME] if body and type(body) is str else "log"
            if body == event.name:
                body = None
        if body is not None:
            _put(said, rest, "body", body)
        level, severity = record.severity_text, record.severity_number
        if level:
            _put(said, rest, "severity", level)
        if severity and (severity := form.whole(severity)):
            _put(said, rest, "severity_number", severity)
            if not level:
                _put(said, rest, "severity", _severity(severity))
        if id_ := record.trace_id:
            _put(said, rest, "trace_id", _hex(id_))
        if id_ := record.span_id:
            _put(said, rest, "span_id", _hex(id_))
        if flags := record.flags:
            rest["flags"] = flags
        if dropped := record.dropped_attributes_count:
            rest["dropped_attributes_count"] = dropped
        when, seen = str(record.time_unix_nano), str(record.observed_time_unix_nano)
        if when != "0":
            event.client_time = iso(when, rest, "nanoseconds")
        if seen != "0":
            event.sent_time = event.client_time if seen == when else iso(seen, rest, "observed_nanoseconds")
            event.keep_time = True
            self.newest = max(self.newest, _whole_time(seen))
            if when == "0":
                event.client_time = event.sent_time
        return self._finish(index, event, said, rest, timed=event.client_time != "")

    # ------------------------------------------------------------------ spans

    def span(self, index: int, span: Any, unknown: Fields = NOTHING) -> Event:
        """The event of a span. Raises `UnfitError`."""
        form = self._form
        said, rest = self._start(span.attributes, unknown)
        event = copied(self._blank)
        event.kind, event.name = "span", span.name or "span"
        start, end = form.whole(span.start_time_unix_nano), form.whole(span.end_time_unix_nano)
        if type(start) is int and type(end) is int and start and end:
            _put(said, rest, "duration_ms", (end - start) / 1e6)
        elif end:
            rest["end_time_unix_nano"] = end
        if span.trace_id:
            _put(said, rest, "trace_id", _hex(span.trace_id))
        if span.span_id:
            _put(said, rest, "span_id", _hex(span.span_id))
        if span.parent_span_id:
            _put(said, rest, "parent_span_id", _hex(span.parent_span_id))
        if span.kind:
            _put(said, rest, "span_kind", points.word(form.whole(span.kind), SPAN_KINDS, "SPAN_KIND_"))
        status = form.given(span, "status")
        if status is not None:
            if status.code:
                _put(said, rest, "span_status", points.word(form.whole(status.code), STATUSES, "STATUS_CODE_"))
            if status.message:
                _put(said, rest, "span_status_message", status.message)
        for name in ("trace_state", "flags", "dropped_attributes_count", "dropped_events_count", "dropped_links_count"):
            if plain := getattr(span, name):
                rest[name] = plain
        if span.events:
            rest["events"] = [self._moment(each) for each in span.events]
        if span.links:
            rest["links"] = [self._link(each) for each in span.links]
        if start:
            event.client_time = iso(str(start), rest, "nanoseconds")
        self.latest = max(self.latest, _whole_time(str(end)))
        return self._finish(index, event, said, rest, timed=bool(start or span.span_id))

    def _moment(self, moment: Any) -> dict[str, Any]:
        return filled(
            time_unix_nano=self._form.whole(moment.time_unix_nano),
            name=moment.name,
            attributes=self._form.attributes(moment.attributes),
            dropped_attributes_count=moment.dropped_attributes_count,
        )

    def _link(self, link: Any) -> dict[str, Any]:
        return filled(
            trace_id=_hex(link.trace_id),
            span_id=_hex(link.span_id),
            trace_state=link.trace_state,
            attributes=self._form.attributes(link.attributes),
            dropped_attributes_count=link.dropped_attributes_count,
            flags=link.flags,
        )

    # ------------------------------------------------------------ data points

    def point(self, index: int, pair: tuple[Any, str, Any], unknown: Fields = NOTHING) -> Event:
        """The event of a data point: of a metric, the sort that it is of, and the point. Raises `UnfitError`."""
        metric, sort, point = pair
        form = self._form
        if not metric.name:
            raise UnfitError("no_name", "The metric has no name.")
        said, rest = self._start(point.attributes, unknown)
        event = copied(self._blank)
        event.kind, event.name = "metric", metric.name
        _put(said, rest, "metric", points.measures(form, metric, sort, point))
        start, when = form.whole(point.start_time_unix_nano), form.whole(point.time_unix_nano)
        if start:
            rest["start_time_unix_nano"] = start
        if point.flags:
            rest["flags"] = point.flags
        if sort != "summary" and point.exemplars:
            rest["exemplars"] = [self._exemplar(each) for each in point.exemplars]
        if when:
            event.client_time = iso(str(when), rest, "nanoseconds")
            self.latest = max(self.latest, _whole_time(str(when)))
        if metric.description or metric.metadata:
            event.context, key = self._describe(metric)
            return self._finish(index, event, said, rest, timed=bool(when), key=key)
        return self._finish(index, event, said, rest, timed=bool(when))

    def _exemplar(self, exemplar: Any) -> dict[str, Any]:
        form = self._form
        return filled(
            time_unix_nano=form.whole(exemplar.time_unix_nano),
            value=points.amount(form, exemplar),
            attributes=form.attributes(exemplar.filtered_attributes),
            trace_id=_hex(exemplar.trace_id),
            span_id=_hex(exemplar.span_id),
        )

    def _describe(self, metric: Any) -> tuple[Raw, bytes]:
        """The context with what is said of the metric itself, and its digest; worked out once for all its points."""
        if self._common[0] is not metric:
            said = filled(description=metric.description, metadata=self._form.attributes(metric.metadata))
            context = Raw(_ENCODE({**self._context, "metric": said}))
            self._common = (metric, context, derived_id(self._key + bytes(context)).encode())
        return self._common[1], self._common[2]

    # -------------------------------------------------------------- all three

    def _start(self, items: Sequence[Any], unknown: Fields) -> tuple[dict[str, Any], dict[str, Any]]:
        """The properties so far, and what is kept besides. Raises `UnfitError` when what the records have in common is."""
        if self._unfit is not None:
            raise self._unfit
        said = self._form.attributes(items)
        rest: dict[str, Any] = dict(unknown)
        if len(said) < len(items):
            rest["repeated_attributes"] = self._form.repeated(items)
        return said, rest

    def _finish(
        self, index: int, event: Event, said: dict[str, Any], rest: dict[str, Any], *, timed: bool, key: bytes | None = None
    ) -> Event:
        """Fills in who and where, properties, rest and the id."""
        properties = more = b""
        if said:
            lift(event, said, self._own, place=event.kind != "span" and event.kind != "metric")
            properties = self._written(said)
            event.properties = Raw(properties)
        if rest:
            more = self._written(rest)
            event.rest = Raw(more)
        head = f"{event.kind}\0{event.name}\0{event.client_time}\0{event.sent_time}"
        if not timed:  # each is an event of its own
            head += f"\0{self._call.received_us}\0{index}"
        event.event_id = derived_id(b"\0".join((key or self._key, head.encode("utf-8", "replace"), properties, more)))
        return event

    def _written(self, members: dict[str, Any]) -> bytes:
        """The members as JSON. Raises `UnfitError` when they nest too deep."""
        written, limit = _ENCODE(members), self._limit
        if len(written) > 2 * limit and written.count(b"{") + written.count(b"[") > limit:
            reading.checked(written, limit)
        return written


# ------------------------------------------------------------------ pieces


def _put(said: dict[str, Any], rest: dict[str, Any], name: str, value: Any) -> None:
    (rest if name in said else said)[name] = value


def _hex(id_: Any) -> str:
    return id_ if type(id_) is str else id_.hex()


def _severity(number: Any) -> str:
    """The short name of a severity: 9 is INFO, 10 is INFO2."""
    if type(number) is str:
        return number.removeprefix("SEVERITY_NUMBER_")
    if type(number) is not int or not 1 <= number <= 24:
        return str(number)
    step = (number - 1) % 4
    return _SEVERITIES[(number - 1) // 4] + (str(step + 1) if step else "")


def _whole_time(nanoseconds: str) -> str:
    """A time that can be compared as text; "" for any other."""
    return nanoseconds if len(nanoseconds) == DIGITS and nanoseconds.isdecimal() else ""


def iso(nanoseconds: str, rest: dict[str, Any], name: str) -> str:
    """A time in nanoseconds since 1970 as ISO 8601 with microseconds; what is finer is kept in `rest`. A text that is none stays."""
    if len(nanoseconds) != DIGITS or not nanoseconds.isdecimal():
        if not nanoseconds.isdecimal() or len(nanoseconds) > DIGITS:
            return nanoseconds
        nanoseconds = nanoseconds.zfill(DIGITS)
    if nanoseconds[-3:] != "000":
        rest[name] = int(nanoseconds[-3:])
    return f"{_second(nanoseconds[:-9])}.{nanoseconds[-9:-3]}Z"


@lru_cache(maxsize=1000)
def _second(seconds: str) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:19]
