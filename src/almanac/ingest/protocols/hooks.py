"""Webhooks: `POST /hooks/{project}/{source}`, where the source (`core/source.py`) says who sends, how it is signed, and what it means.

A delivery is believed when its signature fits, and answered when its events are durable. The same delivery again, by its vendor's id, is
counted once. What the mapping cannot make an event of is kept as a dead letter, and the answer is 200 all the same: vendors that see
failures stop sending.

`POST /hooks`, with a write key, takes one delivery by hand: `{"source", "delivery", "headers", "payload"}`. Dead letters are replayed so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qs

from almanac.core.errors import AlmanacError, invalid, not_found, unavailable
from almanac.core.event import Event, Kind, derived_id
from almanac.core.settings import Settings
from almanac.core.source import GitHub, Hook, Stripe, source_of
from almanac.ingest import body as bodies
from almanac.ingest.answers import Answer, Rejection, as_json, failure
from almanac.ingest.call import DEEPEST, Call, Protocol, Route
from almanac.ingest.hook_book import note
from almanac.ingest.keys import Grant, Held
from almanac.ingest.messages import UnfitError
from almanac.ingest.protocols import hooks_generic, hooks_github, hooks_stripe, native
from almanac.ingest.protocols.hooks_vendor import Delivery, Vendor
from almanac.ingest.source_mapping import Translator, encoded, identified, read

LIBRARY: Final = "webhook:"  # before the source's name, in `Event.library`

# Words in the names of headers that a mapping does not get to read.
_CONNECTION: Final = ("accept", "connection", "content", "forwarded", "host", "ip", "proxy", "transfer", "via")
_PROOF: Final = ("authorization", "cookie", "credential", "key", "password", "secret", "signature", "token")
_PRIVATE: Final = frozenset((*_CONNECTION, *_PROOF))
_VENDORS: Final[dict[str, Vendor]] = {"stripe": hooks_stripe.VENDOR, "github": hooks_github.VENDOR, "generic": hooks_generic.VENDOR}


class _Ready:
    """A source, its vendor and its mapping, ready for many deliveries."""

    def __init__(self, source: Hook) -> None:
        self.source = source
        self.vendor = _VENDORS["stripe" if isinstance(source, Stripe) else "github" if isinstance(source, GitHub) else "generic"]
        self.mapping = source.mapping.over(self.vendor.mapping)
        self.translator = Translator(self.mapping)


@lru_cache(maxsize=256)
def _ready(body: str) -> _Ready | None:
    source = source_of(json.loads(body))
    return _Ready(source) if isinstance(source, Hook) else None


def _prepared(held: Held) -> _Ready:
    ready = _ready(json.dumps(held.body, sort_keys=True))
    if ready is None:
        raise not_found(f"The source {held.name!r} is no webhook.", way_out="Files are fetched by their schedule.")
    return ready


def take(call: Call) -> Answer:
    """A delivery. Raises `denied` for a signature that does not fit."""
    held = call.keys.source(call.params["project"], call.params["source"])
    ready = _prepared(held)
    if not ready.source.enabled:
        raise unavailable(f"The source {held.name} is paused.", way_out="Send again later.", retry_after=300)
    try:
        ready.vendor.verify(ready.source, call)
    except AlmanacError as error:
        note(held.grant.project, held.name, call.received_us, refused=error.message)
        raise
    _enter(call, held.grant)
    answer = _take(call, held.name, ready, Delivery(_body(call), _headers(call, ready)))
    note(held.grant.project, held.name, call.received_us, taken=len(call.events) - len(call.rejected), rejected=len(call.rejected))
    return answer


def take_by_hand(call: Call) -> Answer:
    """A delivery with a write key in the place of a signature. Raises `invalid` and `not_found`."""
    project = call.admit(call.bearer, call.query.get("write_key"), call.basic_user)
    try:
        given = read(call.mended, levels=DEEPEST)
    except UnfitError as unfit:
        raise invalid(unfit.detail, way_out="Send it with fewer levels.") from None
    if not isinstance(given, dict) or not isinstance(given.get("source"), str) or "payload" not in given:
        raise invalid("A delivery by hand is an object with source and payload.", way_out='Send {"source": "payments", "payload": {…}}.')
    headers = given.get("headers")
    kept = {str(name).lower(): str(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    payload = given["payload"]
    body = payload.encode() if isinstance(payload, str) else encoded(payload)
    delivery = Delivery(body, kept, str(given.get("delivery") or ""), given.get("part") if isinstance(given.get("part"), int) else None)
    return _take(call, given["source"], _prepared(call.keys.source(project, given["source"])), delivery)


def _enter(call: Call, grant: Grant) -> None:
    call.grant, call.project = grant, grant.project


def _take(call: Call, name: str, ready: _Ready, delivery: Delivery) -> Answer:
    """Fills the call with the delivery's events and dead letters."""
    prefix = ready.vendor.family or f"hook:{name}"
    try:
        document = read(bodies.clean(delivery.body), levels=call.settings.depth_limit)
        parts = [document] if delivery.part is not None else ready.translator.parts(document)
    except UnfitError as unfit:
        _reject(call, 0, unfit, name, delivery, None)
        return _answer(call)
    id_ = delivery.id or ready.vendor.delivery(ready.source, document, delivery.headers) or derived_id(delivery.body)
    made: list[dict[str, Any]] = []
    for place, part in enumerate(parts):
        try:
            for message in _messages(ready, part, delivery.headers):
                own = message.get("id")
                number = place if delivery.part is None else delivery.part
                told = {**message, "id": own or (id_ if len(parts) == 1 and delivery.part is None else f"{id_}#{number}")}
                made.append({**told, "is_server": True, "library": {"name": LIBRARY + name}})
        except UnfitError as unfit:
            number = place if delivery.part is None else delivery.part
            alone = len(parts) == 1 and delivery.part is None
            _reject(call, number, unfit, name, Delivery(b"", delivery.headers, id_, None if alone else number), part)
    _decode(call, list(identified(made, prefix, id_)), name, delivery)
    return _answer(call)


def tried(source: Hook, body: bytes, headers: Mapping[str, str], settings: Settings, now_us: int) -> tuple[list[Event], list[Rejection]]:
    """What a delivery would become, and why parts of it would become nothing. Nothing is checked of who sends, and nothing kept."""
    call = Call(
        method="POST", scheme="http", path="", query={}, headers={}, peer="", received_us=now_us, settings=settings, keys=_Nobody()
    )  # fmt: skip
    call.protocol, call.project = "hooks", "try"
    kept = {name.lower(): value for name, value in headers.items()}
    _take(call, "try", _Ready(source), Delivery(body, kept))
    return [event for event in call.events if event.kind != Kind.DEAD_LETTER], call.rejected


def _messages(ready: _Ready, part: Any, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    message = ready.translator.message(part, headers)
    return ready.vendor.finished(ready.source, ready.mapping, part, message)


def _decode(call: Call, messages: list[dict[str, Any]], name: str, delivery: Delivery) -> None:
    """Through Almanac's own protocol, so that a delivery and an event that says the same become the same."""
    if not messages:
        return
    inner = Call(
        method="POST",
        scheme=call.scheme,
        path="/api/v1/events",
        query={},
        headers={},
        peer="",
        received_us=call.received_us,
        settings=call.settings,
        keys=_Nobody(call.project),
    )
    inner.body, inner.protocol = encoded({"batch": messages}), call.protocol
    native.take(inner)
    for event in inner.events:
        if event.kind != Kind.DEAD_LETTER:
            event.protocol = call.protocol
            call.events.append(event)
    for rejection in inner.rejected:
        _reject(call, rejection.index, UnfitError(rejection.reason, rejection.detail), name, delivery, None)


class _Nobody:
    """The signature has been checked; the messages that a delivery became need no key any more."""

    def __init__(self, project: str = "try") -> None:
        self._grant = Grant(project, 0)

    def grant(self, secret: str) -> Grant:
        return self._grant

    def source(self, project: str, name: str) -> Held:
        raise not_found(f"There is no source {name!r}.")


def _reject(call: Call, place: int, unfit: UnfitError, name: str, delivery: Delivery, part: Any) -> None:
    """Keeps what can be sent again by `POST /hooks`."""
    original: dict[str, Any] = {"source": name, "delivery": delivery.id, "headers": dict(delivery.headers)}
    if delivery.part is not None:
        original["part"] = delivery.part
    original["payload"] = delivery.body.decode("utf-8", "replace") if part is None else part
    call.reject(place, unfit.reason, unfit.detail, encoded(original))


def _body(call: Call) -> bytes:
    """The JSON of the delivery; GitHub may be told to send it as a form."""
    text = call.text if call.header(b"content-encoding") else call.body
    if call.header(b"content-type").startswith("application/x-www-form-urlencoded") and text.lstrip()[:1] not in (b"{", b"["):
        fields = parse_qs(text.decode("utf-8", "replace"), max_num_fields=10)
        return fields.get("payload", [""])[0].encode()
    return text


def _headers(call: Call, ready: _Ready) -> Mapping[str, str]:
    """Those that a mapping may read: none that proves who sends, or that belongs to the connection."""
    proof = ready.vendor.proof(ready.source).lower()
    kept = {name.decode("latin-1"): value.decode("latin-1")[:1000] for name, value in call.headers.items()}
    return {name: value for name, value in kept.items() if name != proof and not _PRIVATE.intersection(name.split("-"))}


def _answer(call: Call) -> Answer:
    return as_json({"accepted": len(call.events) - len(call.rejected), "rejected": call.rejected})


def refuse(call: Call, error: AlmanacError) -> Answer:
    """Errors in Almanac's own shape."""
    status = failure(error)
    return Answer(status.status, encoded(error.as_json()), headers=status.headers)


PROTOCOL: Final = Protocol(
    "hooks",
    (Route("POST", "/hooks/{project}/{source}", take), Route("POST", "/hooks", take_by_hand)),
    refuse=refuse,
    replay=("/hooks", b"", b""),
)
