"""Matomo's tracking API: `GET` and `POST /matomo.php` (`/piwik.php`), one hit in the query or a form, or many as
`{"requests": ["?idsite=…&rec=1&url=…"], "token_auth": KEY}`.

The write key is the `token_auth` or the `idsite`: `new MatomoTracker("wk_…", "https://HOST/matomo.php")`. Where sites are out there that
send a number, the project is made with it: `almanac project create shop --write-key 3`; the hits of one bulk request may be of several
sites then.

A hit is answered with a transparent GIF, or with 204 when it says `send_image=0`; a bulk request with how many were tracked. A hit has no
id, and no time but that of its receipt: sent twice it counts twice. With a time of its own (`cdt`, believed with a `token_auth` beside
it) an id is derived from the hit, so that the same one sent again counts once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from almanac.core.errors import AlmanacError, invalid
from almanac.core.event import Raw
from almanac.ingest import flat
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer, accepted, as_json, failure
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.flat import Flat, Owner
from almanac.ingest.protocols.matomo_hit import Builder

_PATHS: Final = ("/matomo.php", "/piwik.php")


def take_query(call: Call) -> Answer:
    """One hit in the address."""
    return _take_one(call, flat.of_query(call.query))


def take_posted(call: Call) -> Answer:
    """One hit in a form, or many as JSON. What the address says besides counts for each where the hit itself is silent."""
    text = call.text
    around = flat.of_query(call.query)
    if text.lstrip()[:1] in (b"{", b"["):
        return _take_many(call, around)
    hit = flat.of_form(text.decode("utf-8", "surrogateescape").strip())
    if hit is None:
        raise invalid(
            "The form has too many fields.", way_out="Send many hits as JSON: the docs of the tracking API call it bulk tracking."
        )
    return _take_one(call, around | hit)


def _take_one(call: Call, hit: Flat) -> Answer:
    owner = Owner(call, (), (_keys(hit),))
    flat.take_any(call, [reading.encoded(hit)], Builder(call, owner, ""))
    if call.rejected:
        return _parting(call, accepted(0, call.rejected))
    return _parting(call, flat.NO_CONTENT if hit.get("send_image") == "0" else flat.PIXEL)


def _parting(call: Call, answer: Answer) -> Answer:
    """The answer, after which the connection ends if the sender is a program that does not name itself, as Node's own client does not:
    matomo-tracker never reads what it is answered, and its program cannot end before the connection does."""
    if call.user_agent:
        return answer
    return replace(answer, headers=(*answer.headers, (b"connection", b"close")))


def _take_many(call: Call, around: Flat) -> Answer:
    body = Raw(call.mended)
    members = reading.fields_of(body)
    many = members is not None and "requests" in members
    items = reading.items_of(members["requests"]) if members is not None and many else reading.items_of(body) if members is None else [body]
    if items is None:
        raise invalid("The hits are no list.", place="requests", way_out='Send {"requests": ["?idsite=1&rec=1&url=…"], "token_auth": "…"}.')
    token = (reading.text_of(members.get("token_auth")) if members is not None and many else "") or around.get("token_auth", "")
    owner = Owner(call, (token,), (_keys(around | (_read_any(raw) or {})) for raw in items))
    build = Builder(call, owner, token)
    flat.take_any(call, items, lambda index, hit: build(index, around | hit), _read)
    invalid_indices = [rejection.index for rejection in call.rejected]
    tracked = len(call.events) - len(call.rejected)
    counts = {"status": "success", "tracked": tracked, "invalid": max(len(items) - tracked, len(call.rejected))}
    return as_json({**counts, "invalid_indices": invalid_indices, "rejected": call.rejected} if call.rejected else counts)


def _read(raw: Raw) -> Flat | None:
    """A hit of a bulk request that is written as an address's query."""
    if bytes(raw)[:1] != b'"':
        return None
    try:
        text = msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    head, _, tail = text.partition("?")
    query = tail if tail and "=" not in head else text
    return flat.of_form(query) if "=" in query else None


def _read_any(raw: Raw) -> Flat | None:
    fields = reading.fields_of(raw)
    return _read(raw) if fields is None else flat.of_fields(fields)


def _keys(hit: Flat) -> tuple[str, str]:
    return hit.get("token_auth", ""), hit.get("idsite", "")


def refuse(call: Call, error: AlmanacError) -> Answer:
    """The failure that fits most SDKs, and may not be kept: a hit is a GET."""
    answer = failure(error)
    return _parting(call, replace(answer, headers=answer.headers + flat.NO_STORE))


PROTOCOL: Final = Protocol(
    "matomo",
    (
        *(Route("GET", path, take_query) for path in _PATHS),
        *(Route("POST", path, take_posted) for path in _PATHS),
    ),
    refuse,
    replay=("/matomo.php", b'{"requests":[', b"]}"),
)
