"""Webhooks of anybody: signed as the source says, meant as its mapping says."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Any

from almanac.core.errors import denied
from almanac.core.mapping import Mapping as Meaning
from almanac.core.source import Generic, Signature
from almanac.ingest.call import Call
from almanac.ingest.protocols.hooks_vendor import Vendor, checked_time, forged, unsigned


def verify(source: Generic, call: Call) -> None:
    """Raises `denied`."""
    how = source.signature
    shown = call.header(how.header.lower().encode())
    if not shown:
        raise unsigned(how.header)
    if how.style == "token":
        if not hmac.compare_digest(shown.encode("latin-1"), (how.prefix + source.secret).encode("utf-8")):
            raise denied("The token is not the source's secret.", way_out="Check that sender and source hold the same secret.")
    elif not _fits(how, source.secret, call, shown):
        raise forged()
    if how.timestamp_header:
        checked_time(_header(call, how.timestamp_header), call.received_us, how.tolerance)


def _fits(how: Signature, secret: str, call: Call, shown: str) -> bool:
    """Whether one of the signatures shown, with spaces between them, is right."""
    signed = _signed(how, call)
    code = hmac.new(_key(how, secret), signed, how.algorithm).digest()
    right = code.hex().encode() if how.encoding == "hex" else base64.b64encode(code)
    fits = False
    for one in shown.split():
        given = one.rstrip(",").removeprefix(how.prefix).encode("latin-1")
        fits |= hmac.compare_digest(given.lower() if how.encoding == "hex" else given, right)
    return fits


def _signed(how: Signature, call: Call) -> bytes:
    pieces = re.split(r"\{(body|timestamp|id)\}", how.signed)
    values = {
        "body": call.body,
        "timestamp": _header(call, how.timestamp_header).encode("latin-1"),
        "id": _header(call, how.id_header).encode("latin-1"),
    }
    return b"".join(values[piece] if place % 2 else piece.encode() for place, piece in enumerate(pieces))


def _key(how: Signature, secret: str) -> bytes:
    if how.key == "text":
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise denied("The source's secret is not base64.", way_out="Set the secret again, or its key to text.") from None


def _header(call: Call, name: str) -> str:
    return call.header(name.lower().encode()) if name else ""


def delivery(source: Generic, document: Any, headers: Mapping[str, str]) -> str:
    """Of the header that the source names."""
    return headers.get(source.signature.id_header.lower(), "") if source.signature.id_header else ""


VENDOR = Vendor("", Meaning(), verify, delivery, lambda source: str(source.signature.header))
