"""Six error codes, one sentence for a person, one bit for retrying.

Every face turns an `AlmanacError` into its own form from one table (`HTTP_STATUS`) and one JSON shape (`as_json`).
Anything else that escapes is logged under an id and reaches the user as `unavailable` with that id.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """What went wrong, from the caller's point of view."""

    INVALID = "invalid"  # the input is wrong; sending it again unchanged fails again
    DENIED = "denied"  # no key, a wrong key, or a key that may not do this
    NOT_FOUND = "not_found"  # no such thing
    CONFLICT = "conflict"  # the thing is in a state that forbids this
    LIMITED = "limited"  # over a quota or a limit; `retry_after` says when to come back
    UNAVAILABLE = "unavailable"  # we cannot do it now; nothing is lost


HTTP_STATUS: dict[Code, int] = {
    Code.INVALID: 400,
    Code.DENIED: 401,
    Code.NOT_FOUND: 404,
    Code.CONFLICT: 409,
    Code.LIMITED: 429,
    Code.UNAVAILABLE: 503,
}

RETRYABLE: frozenset[Code] = frozenset({Code.LIMITED, Code.UNAVAILABLE})


class AlmanacError(Exception):
    """An error that a user may see.

    `message` is one sentence that names what is wrong; `place` is where (a field, a file and line, an event's index);
    `way_out` is what to do. `retry_after` is in seconds. `status` overrides the HTTP status where a protocol wants
    another one (403, 413).
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        place: str = "",
        way_out: str = "",
        retry_after: int | None = None,
        status: int | None = None,
        error_id: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.place = place
        self.way_out = way_out
        self.retry_after = retry_after
        self.status = HTTP_STATUS[code] if status is None else status
        self.error_id = error_id

    @property
    def retryable(self) -> bool:
        """True when the same call may succeed later."""
        return self.code in RETRYABLE

    def as_json(self) -> dict[str, Any]:
        """The one shape that every face prints."""
        body: dict[str, Any] = {"code": self.code.value, "message": self.message, "retryable": self.retryable}
        for key in ("place", "way_out", "retry_after", "error_id"):
            value = getattr(self, key)
            if value:
                body[key] = value
        return {"error": body}

    def __str__(self) -> str:
        parts = [self.message]
        if self.place:
            parts.append(f"(at {self.place})")
        if self.way_out:
            parts.append(self.way_out)
        return " ".join(parts)


def invalid(message: str, *, place: str = "", way_out: str = "", status: int | None = None) -> AlmanacError:
    """The input is wrong."""
    return AlmanacError(Code.INVALID, message, place=place, way_out=way_out, status=status)


def denied(message: str, *, way_out: str = "", status: int | None = None) -> AlmanacError:
    """The caller may not do this."""
    return AlmanacError(Code.DENIED, message, way_out=way_out, status=status)


def not_found(message: str, *, place: str = "", way_out: str = "") -> AlmanacError:
    """There is no such thing."""
    return AlmanacError(Code.NOT_FOUND, message, place=place, way_out=way_out)


def conflict(message: str, *, place: str = "", way_out: str = "") -> AlmanacError:
    """The thing's state forbids this."""
    return AlmanacError(Code.CONFLICT, message, place=place, way_out=way_out)


def limited(message: str, *, way_out: str = "", retry_after: int | None = None, status: int | None = None) -> AlmanacError:
    """Over a quota or a limit."""
    return AlmanacError(Code.LIMITED, message, way_out=way_out, retry_after=retry_after, status=status)


def unavailable(message: str, *, way_out: str = "", retry_after: int = 2, error_id: str = "") -> AlmanacError:
    """We cannot do it now; nothing is lost."""
    return AlmanacError(Code.UNAVAILABLE, message, way_out=way_out, retry_after=retry_after, error_id=error_id)
