"""CloudEvents 1.0 and 0.3 over HTTP: one in binary or structured mode, or a batch, posted to `/cloudevents` or any path that is not taken.

At other paths a request is known by its `ce-id`, `ce-type` or `ce-specversion` header or its content type `application/cloudevents…`. The
write key is a bearer token, the user of Basic authentication, the query's `write_key` or `token`, or the extension `writekey`, which is not
kept.

- Name: `type`. `page`, `page_view` and `pageview` are pages, `screen` and `screen_view` screens; all else is of kind track.
- Id: `source`, a space and `id`, so that a sender may send it again. Time: `time`, else the moment of receipt.
- Who: the extensions `userid`, `anonymousid`, `deviceid` and `sessionid`. Without a `userid`, `subject` is the user, unless it holds a
  slash: then it is the path of a thing.
- Properties: `data`, when it is a JSON object, in whatever wrapping it came. Other data are kept in `rest`, as `data` when they are JSON or
  text and as `data_base64` when they are neither.
- All other attributes, `source`, `subject`, `dataschema`, `datacontenttype` and the extensions, are the event's context.

Every webhook's sender that asks whether it may deliver here is told that it may: without a write key it delivers nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

import msgspec

from almanac.core.errors import AlmanacError, invalid
from almanac.core.event import Event, Kind, Raw, copied
from almanac.ingest import body as bodies
from almanac.ingest import messages as reading
from almanac.ingest.answers import Answer, accepted, preflight
from almanac.ingest.call import Call, Protocol, Route
from almanac.ingest.messages import CAMPAIGN, NONE, Fields, Shape, UnfitError

PATH: Final = "/cloudevents"
KINDS: Final = {
    **dict.fromkeys(("page", "page_view", "pageview"), Kind.PAGE.value),
    **dict.fromkeys(("screen", "screen_view"), Kind.SCREEN.value),
}
_MEDIA: Final = "application/cloudevents"
_MARKS: Final = (b"ce-id", b"ce-type", b"ce-specversion")
_KEY: Final = "writekey"
_TAKEN: Final = frozenset(("type", "id", "time", "data", "data_base64", "datacontentencoding", _KEY))  # have a home of their own, or none
_JSON_MEDIA: Final = re.compile(r"(?i)[^;]*(?:[/+]json)\s*(?:;|$)")
_CHARSET: Final = re.compile(r"(?i);\s*charset\s*=\s*\"?([^\s;\"]+)")
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_WHO: Final = {"userid": "user_id", "anonymousid": "anonymous_id", "deviceid": "device_id", "sessionid": "session_id"}
_TEXT: Final = msgspec.json.Decoder(str).decode
_ENCODE: Final = msgspec.json.Encoder().encode
_ITEMS: Final = msgspec.json.Decoder(list[Fields])
_ITEM: Final = msgspec.json.Decoder(Fields)
_BLANK: Final = Event("", "", "track", "", 0, protocol="cloudevents")


class Data(msgspec.Struct, gc=False):
    """What of the data has a home of its own."""

    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    screen: str | None = None
    name: str | None = None
    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None


_DATA: Final = Shape(Data)


def take(call: Call) -> Answer:
    """One event in its headers and body, one as JSON, or a list of them."""
    media = call.header(b"content-type").partition(";")[0].strip().lower()
    if not media.startswith(_MEDIA) and any(mark in call.headers for mark in _MARKS):
        _take_all(call, [_binary(call)])
    elif media.startswith(_MEDIA) and media not in (_MEDIA, f"{_MEDIA}+json", f"{_MEDIA}-batch", f"{_MEDIA}-batch+json"):
        raise invalid(f"CloudEvents as {media} are not taken.", status=415, way_out="Send them as JSON or in binary mode.")
    else:
        try:
            json = call.json
            found = _ITEMS.decode(json) if json[:1] == b"[" else [_ITEM.decode(json)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _take_odd(call)
        _take_all(call, found)
    return accepted(len(call.events) - len(call.rejected), call.rejected)


def _take_all(call: Call, items: list[Fields]) -> None:
    _admit(call, items)
    most, largest = call.settings.batch_limit, call.settings.event_limit
    build, add = _Builder(call), call.events.append
    sizes = len(call.body) > largest or call.header(b"content-encoding") != ""
    for index, item in enumerate(items[:most]):
        if sizes and len(original := _ENCODE(item)) > largest:
            call.reject(index, "too_large", f"It is larger than {largest} bytes.", original)
            continue
        try:
            add(build(index, item))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, _ENCODE(_without_key(item)))
    if len(items) > most:
        call.reject_rest([_ENCODE(_without_key(item)) for item in items[most:]])


def _take_odd(call: Call) -> Answer:
    """The same for a body in which something is no object, or no JSON but for a little mending."""
    body = Raw(call.mended)
    items = reading.items_of(body)
    raws = [body] if items is None else items
    found = [reading.fields_of(raw) for raw in raws]
    _admit(call, [fields for fields in found if fields is not None])
    most, largest, build = call.settings.batch_limit, call.settings.event_limit, _Builder(call)
    for index, (raw, fields) in enumerate(zip(raws[:most], found, strict=False)):
        if len(raw) > largest:
            call.reject(index, "too_large", f"It is larger than {largest} bytes.", bytes(raw))
        elif fields is None:
            call.reject(index, "not_an_object", "It is not a JSON object.", bytes(raw))
        else:
            try:
                call.events.append(build(index, fields))
            except UnfitError as unfit:
                call.reject(index, unfit.reason, unfit.detail, _ENCODE(_without_key(fields)))
    if len(raws) > most:
        call.reject_rest(raws[most:])
    return accepted(len(call.events) - len(call.rejected), call.rejected)


def _without_key(item: Fields) -> Fields:
    return {name: value for name, value in item.items() if name != _KEY}


def _admit(call: Call, items: Iterable[Fields]) -> None:
    key = next((reading.text_of(item[_KEY]) for item in items if _KEY in item), None)
    call.admit(call.bearer, call.basic_user, call.query.get("write_key"), call.query.get("token"), key)


# ------------------------------------------------------------ binary mode


def _binary(call: Call) -> Fields:
    """The event of headers and body, as it would be in JSON."""
    item = {
        name[3:].decode("latin-1"): reading.encoded(_header(value))
        for name, value in call.headers.items()
        if name.startswith(b"ce-") and len(name) > 3
    }
    content_type = call.header(b"content-type")
    if content_type:
        item["datacontenttype"] = reading.encoded(content_type)
    body = bodies.decompress(call.body, encoding=call.header(b"content-encoding"), limit=call.settings.body_limit)
    if body:
        name, value = _data(body, content_type)
        item[name] = value
    return item


def _header(value: bytes) -> str:
    """A header's value: perhaps between quotes, percent-encoded, or UTF-8 as it is."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
    return unquote(text)


def _data(body: bytes, content_type: str) -> tuple[str, Raw]:
    """The member of an event that holds this data, and its value there: `data` for JSON and text, `data_base64` for all else."""
    if not content_type or _JSON_MEDIA.match(content_type):
        try:
            written = bodies.mend(bodies.clean(body.removeprefix(b"\xef\xbb\xbf")))
            msgspec.json.decode(written, type=Raw)
            return "data", Raw(written.strip())
        except (AlmanacError, msgspec.DecodeError, RecursionError):
            pass  # not what it is said to be
    charset = _CHARSET.search(content_type)
    if charset is None or charset[1].lower() in ("utf-8", "utf8", "us-ascii"):
        try:
            return "data", reading.encoded(body.decode("utf-8"))
        except UnicodeDecodeError:
            pass
    return "data_base64", reading.encoded(base64.b64encode(body).decode("ascii"))


# ------------------------------------------------------------ every mode


class _Builder:
    """Makes events of the messages of one request."""

    __slots__ = ("_blank", "_call", "_limit")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._limit = call.settings.depth_limit
        self._blank = copied(_BLANK)
        self._blank.project, self._blank.received_us = call.project, call.received_us
        self._blank.is_server = not call.from_browser
        if call.from_browser:
            self._blank.ip, self._blank.user_agent = call.ip, call.user_agent

    def __call__(self, index: int, item: Fields) -> Event:
        """The event of the message at place `index`. Raises `UnfitError`."""
        event = copied(self._blank)
        event.name = name = _text(item.get("type"))
        if not name:
            raise UnfitError("no_name", "It has no type.")
        if name in KINDS:
            event.kind = KINDS[name]
        when = _text(item.get("time"))
        if when:
            event.client_time = when if when[4:5] == "-" else reading.instant(when)
        rest: Fields = {}
        self._take_data(event, item, rest)
        context = {name: value for name, value in item.items() if name not in _TAKEN}
        _identify(event, context)
        id_ = _text(item.get("id"))
        whole = f"{_text(item.get('source'))} {id_}" if id_ else None
        if whole is not None and len(whole) <= reading.LONGEST_ID:
            event.event_id = whole
        else:
            rest |= {"id": item["id"]} if id_ else {}
            event.event_id = reading.message_id(whole, lambda: reading.canonical(item), timed=bool(when), call=self._call, index=index)
        if context:
            event.context = self._written(context)
        if rest:
            event.rest = self._written(rest)
        return event

    def _written(self, members: Fields) -> Raw:
        """The members as JSON. Raises `UnfitError` when they nest too deep."""
        written = _ENCODE(members)
        if len(written) > 2 * self._limit:
            reading.checked(written, self._limit)
        return Raw(written)

    def _take_data(self, event: Event, item: Fields, rest: Fields) -> None:
        """Fills in the properties, and what of them has a home of its own; data that are no object go to `rest`."""
        data, packed = item.get("data", NONE), item.get("data_base64", NONE)
        if "datacontentencoding" in item and data is not NONE and _text(item["datacontentencoding"]).lower() == "base64":
            packed, data = data, NONE
        if packed is not NONE:
            unpacked = _unpacked(packed)
            if unpacked is None:
                rest["data_base64"] = packed
            else:
                name, value = _data(unpacked, reading.text_of(item.get("datacontenttype")) or "application/octet-stream")
                if name == "data" and bytes(value)[:1] == b"{" and data is NONE:
                    data = value
                else:
                    rest[name] = value
        if data is NONE or bytes(data) == b"null":
            return
        if not reading.checked(data, self._limit):
            rest["data"] = data
            return
        event.properties = data
        if event.kind != "track" or b'"utm_' in bytes(data):
            said = _DATA.lenient(data)
            if event.kind != "track":
                event.url, event.title, event.referrer = said.url or "", said.title or "", said.referrer or ""
                if event.kind == "screen":
                    event.screen = said.screen or said.name or ""
            event.campaign = reading.campaign({name: getattr(said, f"utm_{name}") for name in CAMPAIGN}, event.url)


def _identify(event: Event, context: Fields) -> None:
    """Fills in whose event it is, and takes out of the context what says so."""
    for name, field in _WHO.items():
        if name in context:
            setattr(event, field, _text(context.pop(name)))
    if not event.user_id and "subject" in context:
        subject = _text(context["subject"])
        if subject and "/" not in subject:
            event.user_id = subject
            del context["subject"]
    event.distinct_id = event.user_id or event.anonymous_id or event.device_id


def _text(raw: Raw | None) -> str:
    """The same as `reading.text_of`, faster for what is a text."""
    if raw is None:
        return ""
    try:
        return _TEXT(raw)
    except msgspec.ValidationError:
        return reading.text_of(raw)


def _unpacked(packed: Raw) -> bytes | None:
    """What base64 of either alphabet, padded or not, stands for; None when it is none."""
    text = reading.text_of(packed).translate({0x2D: "+", 0x5F: "/"}).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


# ------------------------------------------------------------ any path


def _is_event(call: Call) -> bool:
    return call.header(b"content-type").lower().startswith(_MEDIA) or any(mark in call.headers for mark in _MARKS)


def _asks(call: Call) -> bool:
    """Whether it asks if a webhook, or a page's script, may send CloudEvents here."""
    wanted = call.header(b"access-control-request-headers").lower()
    return b"webhook-request-origin" in call.headers or "ce-id" in wanted or "ce-type" in wanted or "ce-specversion" in wanted


def consent(call: Call) -> Answer:
    """It may."""
    return preflight(call.headers, "OPTIONS, POST")


PROTOCOL: Final = Protocol(
    "cloudevents",
    (Route("POST", PATH, take), Route("POST", "*", take, when=_is_event), Route("OPTIONS", "*", consent, when=_asks)),
    replay=(PATH, b"", b""),
)
