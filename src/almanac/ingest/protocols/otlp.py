"""OTLP over HTTP: log records, spans and data points of OpenTelemetry, in protobuf or JSON, without compression, with gzip or deflate.

`POST /v1/logs`, `/v1/traces` and `/v1/metrics`, and the paths that PostHog's SDKs use, `/i/v1/logs`, `/i/v1/traces` and `/i/v1/metrics`.
The write key is the bearer token of `Authorization`, or the query's `token`.

A log record with an event's name is an event of that name; any other is of kind log and called by its body. A span is an event of kind
span, a metric's data point one of kind metric. The answer is an empty message, which says how many records were refused, if any were.
Senders come back after 429, 502, 503 and 504 alone, so that whatever is our fault, and a request that came too slowly, gets one of these.

A record says when it was observed, not when it was sent, and batches, retries and queues lie between. So a clock is corrected only where it
surely is wrong: when the newest record of a request was observed after the request came, or more than ten minutes before; or a span or a
data point ended after that.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError
from almanac.ingest import body as bodies
from almanac.ingest.answers import Answer, failure
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.protocols import otlp_proto
from almanac.ingest.protocols.otlp_intake import SIGNALS, Intake, Signal

PROTOBUF: Final = b"application/x-protobuf"
_BRACKETS: Final = (b"{", b"[")
_ENCODE: Final = msgspec.json.Encoder().encode


def take(call: Call, signal: str) -> Answer:
    """Records of a signal. In JSON those of the others are taken too."""
    call.admit(call.bearer, call.query.get("token"), call.query.get("write_key"), call.query.get("api_key"), call.basic_user)
    intake = Intake(call)
    body = _protobuf(call)
    if body is None:
        intake.json()
    else:
        intake.protobuf(signal, body, alone=True)
    intake.finish()
    return _answer(call, intake.count, SIGNALS[signal], as_json=body is None)


def _protobuf(call: Call) -> bytes | None:
    """The body, unpacked; None when it is JSON, whatever it is said to be: JSON begins with a bracket, protobuf with a line end."""
    said = call.header(b"content-type")
    if "json" in said and (not call.text.startswith(b"\n") or call.text.lstrip()[:1] in _BRACKETS):
        return None
    encoding = call.header(b"content-encoding") or "gzip"  # which need not be announced
    body = bodies.decompress(call.body, encoding=encoding, limit=call.settings.body_limit)
    return None if (body if "protobuf" in said else body.lstrip())[:1] in _BRACKETS else body


# ------------------------------------------------------------ answers


def _answer(call: Call, count: int, signal: Signal, *, as_json: bool) -> Answer:
    rejected = len(call.rejected)
    if not rejected:
        return Answer(body=b"{}") if as_json else Answer(content_type=PROTOBUF)
    first = call.rejected[0]
    lost = rejected + max(0, count - call.settings.batch_limit - 1)  # those beyond the limit are one dead letter
    sentence = f"{lost} of {count} were refused and kept as dead letters. The first, at place {first.index}: {first.reason}: {first.detail}"
    if as_json:
        return Answer(body=_ENCODE({"partialSuccess": {signal.rejected: str(lost), "errorMessage": sentence}}))
    return Answer(body=otlp_proto.partial_success(signal.name, lost, sentence), content_type=PROTOBUF)


def refuse(call: Call, error: AlmanacError) -> Answer:
    """The answer in the request's own form. What may be sent again gets a status after which it is: 503 where others get 408, and where a
    browser's SDK, which may drop what gets a 429, would get that."""
    status = 503 if error.status == 408 or (error.status == 429 and call.from_browser) else error.status
    answer = failure(error, status=status)
    if "protobuf" in call.header(b"content-type"):
        return Answer(status, otlp_proto.status(str(error)), PROTOBUF, answer.headers)
    return answer


PROTOCOL: Final = Protocol(
    "otlp",
    tuple(Route("POST", f"{before}/v1/{name}", partial(take, signal=name)) for before in ("", "/i") for name in SIGNALS),
    refuse,
    replay=("/v1/logs", b"", b""),
)
