"""What the webhooks of a vendor are: how a delivery is believed, what its id is, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from almanac.core.errors import AlmanacError, denied
from almanac.core.mapping import Mapping as Meaning
from almanac.ingest.call import Call


@dataclass(frozen=True)
class Delivery:
    """A body with the headers that a mapping may read. `part`: it is the one at this place of a delivery that held several."""

    body: bytes
    headers: Mapping[str, str]
    id: str = ""
    part: int | None = None


def _as_it_is(source: Any, meaning: Meaning, document: Any, message: dict[str, Any]) -> list[dict[str, Any]]:
    return [message]


@dataclass(frozen=True)
class Vendor:
    """`verify(source, call)` raises `denied`; `delivery(source, document, headers)` is the delivery's id, "" without; `finished(source,
    mapping, document, message)` are the messages that the mapped one becomes; `proof(source)` names the header that proves who sends.
    `family`: the ids are the vendor's own, whichever endpoint they come by; "": each source has its own."""

    family: str
    mapping: Meaning
    verify: Callable[[Any, Call], None]
    delivery: Callable[[Any, Any, Mapping[str, str]], str]
    proof: Callable[[Any], str]
    finished: Callable[[Any, Meaning, Any, dict[str, Any]], list[dict[str, Any]]] = field(default=_as_it_is)


def unsigned(header: str) -> AlmanacError:
    """For a delivery that does not say who sent it."""
    return denied(
        f"The delivery has no signature: the header {header} is missing.", way_out="Send it signed, or check the source's settings."
    )


def forged() -> AlmanacError:
    """For a signature that is not of the body and the secret."""
    return denied(
        "The signature does not fit the body and the source's secret.", way_out="Check that sender and source hold the same secret."
    )


def checked_time(sent: str, received_us: int, tolerance: int) -> None:
    """Raises `denied` for a time of sending (seconds since 1970) that is too far from the clock: somebody may be sending it again."""
    try:
        apart = received_us / 1e6 - float(sent)
    except (ValueError, OverflowError):
        raise denied("The signature's time is not a number.", way_out="Send seconds since 1970.") from None
    if not abs(apart) <= tolerance:
        words = f"{apart:.0f} s old" if apart > 0 else f"{-apart:.0f} s ahead of the clock here"
        raise denied(f"The signature is {words}; {tolerance} s are allowed.", way_out="Sign it anew for each try, and check both clocks.")
