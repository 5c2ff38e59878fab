"""Reading messages: strictly and fast where they look as documented, tolerantly and without loss where they do not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import msgspec

from almanac.core.errors import AlmanacError
from almanac.core.event import EMPTY, Event, Raw, derived_id
from almanac.ingest import body as bodies
from almanac.ingest.answers import Answer, accepted
from almanac.ingest.body import depth, plain
from almanac.ingest.call import Call

LONGEST_ID: Final = 200
CAMPAIGN: Final = ("source", "medium", "campaign", "term", "content")
NONE: Final = Raw(b"")  # a member that is absent

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Fields = dict[str, Raw]
NOTHING: Final[Fields] = {}

_FIELDS: Final = msgspec.json.Decoder(Fields)
_LIST: Final = msgspec.json.Decoder(list[Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_UTM: Final = re.compile(r"[?&]utm_(\w+)=[^&#]")
_WEB: Final = ("http:", "https:")  # addresses of which the load takes a campaign
_ENCODE: Final = msgspec.json.Encoder().encode  # half the time of `msgspec.json.encode`
S = TypeVar("S", bound=msgspec.Struct)


class UnfitError(Exception):
    """This message cannot become an event. `reason`: a short stable word; `detail`: a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def fields_of(raw: Raw | bytes) -> Fields | None:
    """The members of a JSON object, each as raw JSON; None when it is no object."""
    try:
        return _FIELDS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def items_of(raw: Raw | bytes) -> list[Raw] | None:
    """The elements of a JSON list, each as raw JSON; None when it is no list."""
    try:
        return _LIST.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def text_of(raw: Raw | None) -> str:
    """A JSON value as text: a text is itself, null is "", anything else stays as it is written."""
    if raw is None:
        return ""
    written = bytes(raw)
    if written[:1] == b'"':
        return _TEXT.decode(written)
    return "" if written == b"null" else written.decode("utf-8", "replace")


def true_of(raw: Raw | None) -> bool:
    """Whether a JSON value means yes: true, "true", 1, "1"."""
    return text_of(raw).lower() in ("true", "1")


def is_empty(raw: Raw | bytes) -> bool:
    """Whether it is absent, null, or an object or a list without anything in it."""
    return len(raw) < 5 and bytes(raw).translate(None, b" \t") in (b"", b"{}", b"null", b"[]", b'""')


class Shape(Generic[S]):
    """A message's documented form, as a msgspec Struct whose members are texts, truth values or raw JSON.

    `strict` is the decoder for messages of that form. `read` takes any object: what should be a text becomes one, and unknown members are
    handed back beside it.
    """

    def __init__(self, form: type[S]) -> None:
        self.strict = msgspec.json.Decoder(form)
        self._form = form
        self._names = {item.encode_name: (item.name, _converter(item.type)) for item in msgspec.structs.fields(form)}

    def read(self, fields: Fields) -> tuple[S, Fields]:
        """The message, and its members that the form does not know."""
        known: dict[str, Any] = {}
        unknown: Fields = {}
        for name, value in fields.items():
            if name in self._names:
                attribute, convert = self._names[name]
                known[attribute] = convert(value)
            else:
                unknown[name] = value
        return self._form(**known), unknown

    def lenient(self, raw: Raw) -> S:
        """The message as far as it can be read: all of it in its documented form, else member by member, else nothing of it."""
        try:
            return self.strict.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            fields = fields_of(raw) or {}
            return self.read(fields)[0]


def _converter(type_: Any) -> Callable[[Raw], Any]:
    if type_ is Raw:
        return lambda value: value
    return true_of if bool in (type_, *getattr(type_, "__args__", ())) else text_of


def all_small(call: Call, name: str = "batch") -> bool:
    """Whether no message of the request, of the list `name` or a bare list, can be over the size limit."""
    limit = call.settings.event_limit
    if len(call.json) <= limit:
        return True
    fields = fields_of(call.json)
    items = items_of(call.json) if fields is None else items_of(fields.get(name, NONE))
    return items is not None and all(len(raw) <= limit for raw in items)


def envelope(call: Call, name: str = "batch") -> tuple[Fields, list[Raw]]:
    """The members around the messages, and the messages: those of the list `name`, of a bare list, or the body itself (then its members
    are the first value too). Raises `invalid`."""
    body = Raw(call.mended)
    fields = fields_of(body)
    items = items_of(body) if fields is None else items_of(fields[name]) if name in fields else [body]
    return fields or {}, [body] if items is None else _flat(items)


def _flat(items: list[Raw]) -> list[Raw]:
    """Lists among messages stand for their elements: a dead letter of many messages is one, and comes back as it is."""
    flat: list[Raw] = []
    for raw in items:
        within = items_of(raw) if bytes(raw)[:1] == b"[" else None
        flat += [raw] if within is None else within
    return flat


def lines_of(call: Call) -> list[Raw] | None:
    """The lines of NDJSON; None when the body is something else. A line that is not JSON stays as it is, and is rejected alone."""
    lines = [line for line in call.text.split(b"\n") if line.strip()]
    announced = "ndjson" in call.header(b"content-type") or "jsonl" in call.header(b"content-type")
    if not announced and (len(lines) < 2 or not all(line.lstrip()[:1] == b"{" for line in lines[:2]) or fields_of(lines[0]) is None):
        return None
    return [Raw(_line(line)) for line in lines]


def _line(line: bytes) -> bytes:
    line = bodies.clean(line.strip())
    if fields_of(line) is not None:
        return line
    try:
        return bodies.mend(line)
    except AlmanacError:
        return line


def strictly(call: Call, items: Sequence[S], build: Callable[[int, S], Event]) -> Answer:
    """Builds the events of messages that look as documented. The others become dead letters."""
    most = call.settings.batch_limit
    add = call.events.append
    for index, item in enumerate(items if len(items) <= most else items[:most]):
        try:
            add(build(index, item))
        except UnfitError as unfit:
            call.reject(index, unfit.reason, unfit.detail, _ENCODE(item))
    if len(items) > most:
        call.reject_rest([_ENCODE(item) for item in items[most:]])
    return accepted(len(call.events) - len(call.rejected), call.rejected)


def tolerantly(call: Call, items: Sequence[Raw], shape: Shape[S], build: Callable[[int, S, Fields], Event]) -> Answer:
    """Builds the events of messages of any form. What cannot be one becomes a dead letter."""
    most, largest = call.settings.batch_limit, call.settings.event_limit
    for index, raw in enumerate(items[:most]):
        if len(raw) > largest:
            call.reject(index, "too_large", f"It is larger than {largest} bytes.", bytes(raw))
        elif (fields := fields_of(raw)) is None:
            call.reject(index, "not_an_object", "It is not a JSON object.", bytes(raw))
        else:
            try:
                call.events.append(build(index, *shape.read(fields)))
            except UnfitError as unfit:
                call.reject(index, unfit.reason, unfit.detail, bytes(raw))
    if len(items) > most:
        call.reject_rest(items[most:])
    return accepted(len(call.events) - len(call.rejected), call.rejected)


def checked(raw: Raw | bytes, limit: int) -> bool:
    """Whether it is a JSON object. Raises `UnfitError` when it nests deeper than `limit`."""
    written = bytes(raw)
    if len(written) > 2 * limit and written.count(b"{") + written.count(b"[") > limit and depth(written) > limit:
        raise UnfitError("too_deep", f"It nests deeper than {limit} levels.")
    return written[:1] == b"{"


def is_id(sent: str) -> bool:
    """Whether a text can be an event's id as it is: not a long one, nor what once was an object or a list."""
    return len(sent) <= LONGEST_ID and sent[0] not in "{["


def message_id(sent: str | None, content: Callable[[], bytes], *, timed: bool, call: Call, index: int) -> str:
    """The sender's id of a message, or one derived from its content.

    A sender who gives neither an id nor a time means each call as an event of its own, even with the same content; so the moment of receipt
    and the place in the request belong to the derived id then.
    """
    if sent:
        return sent if is_id(sent) else derived_id(sent.encode("utf-8", "replace"))
    return derived_id(content() if timed else b"%d\0%d\0%b" % (call.received_us, index, content()))


def canonical(fields: Mapping[str, Raw], without: frozenset[str] = frozenset()) -> bytes:
    """The members of a message in the order of their names, for deriving an id from. `without`: what changes when it is sent again."""
    return _ENCODE({name: fields[name] for name in sorted(fields) if name not in without})


def object_of(members: Mapping[str, Raw | None]) -> Raw:
    """A JSON object of those members that are there and not empty; `EMPTY` when none is."""
    kept = {name: value for name, value in members.items() if value is not None and not is_empty(value)}
    return Raw(_ENCODE(kept)) if kept else EMPTY


def encoded(value: Any) -> Raw:
    """A value as raw JSON."""
    return Raw(_ENCODE(value))


def campaign(values: Mapping[str, str | None], url: str) -> str:
    """The campaign that the sender names, for `Event.campaign`, without what the address says itself; "" when nothing is left.

    `values`: by the names of `CAMPAIGN`.
    """
    kept = {name: value for name, value in values.items() if value}
    if kept and url.startswith(_WEB):
        for name in _UTM.findall(url):
            kept.pop(name, None)
    return _ENCODE(kept).decode() if kept else ""


def instant(text: str) -> str:
    """A time as the sender wrote it; a number since 1970, in seconds, milli-, micro- or nanoseconds by its size, as ISO 8601."""
    if text[4:5] == "-" or not text:
        return text if text.isascii() else plain(text)
    try:
        number = float(text)
        while 1e11 <= abs(number) < math.inf:
            number /= 1000
        return (_EPOCH + timedelta(seconds=number)).isoformat()
    except (ValueError, OverflowError):
        return plain(text)


def earlier(received_us: int, milliseconds: str) -> str:
    """The time that was so many milliseconds before receipt, as ISO 8601; "" when that is not a number."""
    try:
        return (_EPOCH + timedelta(microseconds=received_us, milliseconds=-float(milliseconds))).isoformat()
    except (ValueError, OverflowError):
        return ""
