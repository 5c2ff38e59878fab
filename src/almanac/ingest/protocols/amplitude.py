"""Amplitude: events of the HTTP API version 2 and of the batch API, and the forms in which people and groups are described.

`POST /2/httpapi` and `POST /batch` take `{"api_key", "events": [event …], "options": {"min_id_length"}, "client_upload_time"}`; PostHog
shares the second path and says `batch` for `events`. `/identify` and `/groupidentify` take a form with `api_key` and `identification`, one
object or a list; `/httpapi` the same with `event`. The write key is the `api_key`.

What cannot be an event becomes a dead letter, and the answer is 200 with `rejected`: its SDKs would send everything else again after a 400.
Each answer has a `code`, because the SDKs read that and not the HTTP status. Ids may be of any length unless the sender sets
`min_id_length`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

import msgspec

from almanac.core.errors import AlmanacError, invalid
from almanac.core.event import Raw
from almanac.ingest import messages as reading
from almanac.ingest.answers import SUCCESS, Answer, as_json, failure
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.messages import NONE
from almanac.ingest.protocols.amplitude_event import ITEM, Builder, Item

_LASTING: Final = 10  # seconds
_FORM: Final = ("identification", "event", "events")


class Options(msgspec.Struct, gc=False):
    """`options`, as far as they change anything."""

    min_id_length: int | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A request. `request_metadata` is what the SDK counts of its own requests."""

    events: list[Item]
    api_key: str | None = None
    options: Raw = NONE
    client_upload_time: str | None = None
    request_metadata: Raw = NONE


class Keys(msgspec.Struct, gc=False):
    """Which list of messages a body has."""

    events: Raw = NONE
    batch: Raw = NONE


_BODY: Final = msgspec.json.Decoder(Body)
_OPTIONS: Final = msgspec.json.Decoder(Options)
_KEYS: Final = msgspec.json.Decoder(Keys)


def take(call: Call) -> Answer:
    """Events."""
    try:
        body = _BODY.decode(call.json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _take_odd(call)
    if not reading.all_small(call, "events"):
        return _take_odd(call)
    _admit(call, body.api_key)
    reading.strictly(call, body.events, Builder(call, reading.instant(body.client_upload_time or ""), _shortest(body.options)))
    return _ingested(call)


def take_form(call: Call) -> Answer:
    """Changes of people or groups (or events of the first HTTP API) in a form, or as JSON with the same members."""
    form: dict[str, str] = {}
    if call.text.lstrip()[:1] not in (b"{", b"["):
        form = _form(call.text)
        found = next((form[name] for name in _FORM if name in form), None)
        if found is None:
            raise invalid("The form has no identification.", place="identification", way_out="Send api_key and identification.")
        call.reread(found.encode("utf-8", "surrogateescape"))
    word = call.path.rstrip("/").rpartition("/")[2]
    return _take_odd(call, form.get("api_key", ""), {"identify": "$identify", "groupidentify": "$groupidentify"}.get(word, ""))


def _take_odd(call: Call, key: str = "", name: str = "") -> Answer:
    """The same for bodies in any other form. `name`: of messages that have none."""
    around = reading.fields_of(call.mended) or {}
    listed = next((member for member in _FORM if member in around), "events")
    around, items = reading.envelope(call, listed)
    if listed in around and len(items) == 1 and bytes(items[0]) == call.mended:
        items = [around[listed]]  # one message in place of a list
    _admit(call, key, reading.text_of(around.get("api_key")))
    sent = reading.instant(reading.text_of(around.get("client_upload_time")))
    reading.tolerantly(call, items, ITEM, Builder(call, sent, _shortest(around.get("options", NONE)), name))
    return _ingested(call)


def _admit(call: Call, *in_body: str | None) -> None:
    call.admit(*in_body, call.query.get("api_key"), call.bearer, call.basic_user)


def _shortest(options: Raw) -> int:
    if reading.is_empty(options):
        return 0
    try:
        return max(0, _OPTIONS.decode(options).min_id_length or 0)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0


def _form(text: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True, errors="surrogateescape", max_num_fields=100))
    except ValueError:
        return {}


def _ingested(call: Call) -> Answer:
    more = {"rejected": call.rejected} if call.rejected else {}
    taken = len(call.events) - len(call.rejected)
    upload = {"events_ingested": taken, "payload_size_bytes": len(call.body), "server_upload_time": call.received_us // 1000}
    return as_json({**SUCCESS, **upload, **more})


def _is_amplitudes(call: Call) -> bool:
    """Whether the body has `events` and not PostHog's `batch`."""
    try:
        if b'"events"' not in call.json:
            return False
        try:
            found = _KEYS.decode(call.json)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = _KEYS.decode(call.mended)
    except (AlmanacError, msgspec.DecodeError, RecursionError):
        return False  # no object, or no JSON at all
    return found.events is not NONE and found.batch is NONE


def refuse(call: Call, error: AlmanacError) -> Answer:
    """The failure with what the SDKs look for. They use up their twelve attempts at intervals of their own, whatever Retry-After says; what
    is in `throttled_events` rests for 30 s each time, which is right only when it is to last."""
    answer = failure(error)
    if answer.status != 429 or (error.retry_after or 0) < _LASTING:
        return answer
    throttled = {"eps_threshold": 0, "throttled_devices": {}, "throttled_users": {}, "throttled_events": list(range(len(call.events)))}
    body = msgspec.json.encode({**msgspec.json.decode(answer.body), **throttled})
    return Answer(answer.status, body, headers=answer.headers)


PROTOCOL: Final = Protocol(
    "amplitude",
    (
        Route("POST", "/2/httpapi", take),
        Route("POST", "/batch", take, when=_is_amplitudes),
        *(Route("POST", path, take_form) for path in ("/identify", "/groupidentify", "/httpapi")),
    ),
    refuse,
    replay=("/2/httpapi", b'{"api_key":"","events":[', b"]}"),
)
