"""What senders are answered: one body of success and one of failure that every SDK reads as meant, and the headers that browsers need.

An event endpoint answers exactly 200 (several SDKs send again after 202 or 204) and never redirects (that loses the body). The failure
carries `status`, `code`, `error`, `message` and `missing_field` together, because each vendor's SDK looks for another one of them and
retries for ever without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from almanac.core.errors import AlmanacError

JSON: Final = b"application/json"
PREFLIGHT_SECONDS: Final = b"86400"


class Rejection(msgspec.Struct, frozen=True):
    """One event of a request that became a dead letter: its place in the request, a short stable reason, a sentence."""

    index: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


SUCCESS: Final[dict[str, Any]] = {"status": 1, "success": True, "code": 200, "error": None, "results": {}}
OK: Final = Answer(body=msgspec.json.encode(SUCCESS))


def accepted(count: int, rejected: Sequence[Rejection]) -> Answer:
    """Success; where events were rejected, it says which and why."""
    return as_json({**SUCCESS, "accepted": count, "rejected": rejected}) if rejected else OK


def as_json(value: Any, status: int = 200) -> Answer:
    """`value` as JSON."""
    return Answer(status, msgspec.json.encode(value))


def failure(error: AlmanacError, *, status: int | None = None) -> Answer:
    """The failure body that every SDK understands, with Retry-After where coming back makes sense."""
    status = error.status if status is None else status
    word = "Invalid API key: " + error.message if status == 401 else error.message
    body: dict[str, Any] = {
        "status": 0,
        "success": False,
        "code": status,
        "error": word,
        "message": error.message,
        "detail": error.way_out or error.message,
        "missing_field": error.place or None,
        "retryable": error.retryable,
    }
    if status < 500 and status != 429:
        body["missing_field"] = error.place or "api_key"
    if error.error_id:
        body["error_id"] = error.error_id
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if error.retryable:
        headers = ((b"retry-after", b"%d" % max(1, error.retry_after or 2)),)
    return Answer(status, msgspec.json.encode(body), headers=headers)


def cors(headers: Mapping[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Headers that let any page's script send and read the answer. Credentials forbid the star, so the origin is echoed."""
    origin = headers.get(b"origin")
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


def preflight(headers: Mapping[bytes, bytes], methods: str) -> Answer:
    """The answer to OPTIONS. It may be kept for a day: some SDKs ask before every event."""
    wanted = headers.get(b"access-control-request-headers", b"authorization,content-type,content-encoding,x-retry-count")
    return Answer(
        headers=(
            (b"access-control-allow-methods", methods.encode()),
            (b"access-control-allow-headers", wanted),
            (b"access-control-max-age", PREFLIGHT_SECONDS),
            *(((b"access-control-allow-private-network", b"true"),) if b"access-control-request-private-network" in headers else ()),
            *_webhook(headers, methods),
        )
    )


def _webhook(headers: Mapping[bytes, bytes], methods: str) -> tuple[tuple[bytes, bytes], ...]:
    """What a sender of webhooks wants to hear that asks before it delivers (CloudEvents, HTTP 1.1 Web Hooks, section 4.2)."""
    origin = headers.get(b"webhook-request-origin")
    if origin is None:
        return ()
    return ((b"webhook-allowed-origin", origin), (b"webhook-allowed-rate", b"*"), (b"allow", methods.encode()))
