"""What the records of a file mean: whose format they have, and how a row of a table becomes a message of that format.

Messages go through the collector's own decoders, so that an import and a live event of the same content become the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from almanac.core.errors import AlmanacError, invalid
from almanac.core.event import DeadLetter, Event, Kind, Raw, dead_letter
from almanac.core.settings import Settings
from almanac.ingest import body as bodies
from almanac.ingest import exported
from almanac.ingest.call import Call
from almanac.ingest.keys import Grant, KeyRing
from almanac.ingest.messages import fields_of, text_of
from almanac.ingest.protocols import Routes, registry

Cells = Mapping[str, Any]
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="number")
_INTEGER: Final = re.compile(r"-?(0|[1-9]\d{0,17})")
_FLOAT: Final = re.compile(r"-?(0|[1-9]\d{0,15})\.\d{1,15}([eE][+-]?\d{1,3})?")
# TRICKY: without a User-Agent a request counts as a server's, and the agent within a message would not be read.
_NOBODY: Final = "Imported"
_SEGMENT_TYPES: Final = frozenset({"track", "page", "screen", "identify", "alias", "group"})


@dataclass(frozen=True)
class Shape:
    """A format of messages: the protocol and the path whose decoder takes them, the member that holds a message's id, what stands around
    the messages of one request, and how a row of a table becomes a message."""

    name: str
    protocol: str
    path: str
    id_field: str
    before: bytes
    after: bytes
    message_of: Callable[[Cells], dict[str, Any]]


@dataclass(frozen=True)
class Refused:
    """Why the message at place `index` became no event."""

    index: int
    reason: str
    detail: str


# ---------------------------------------------------------------- tables

# The names under which tables hold what an event has, lower case without underscores and spaces; anything else is a property.
_NATIVE: Final[dict[str, str]] = {
    **dict.fromkeys(("id", "eventid", "messageid", "uuid", "insertid", "$insertid"), "id"),
    **dict.fromkeys(("event", "eventname", "eventtype", "name"), "event"),
    **dict.fromkeys(("distinctid", "person", "personid", "visitorid"), "distinct_id"),
    **dict.fromkeys(("userid", "user"), "user_id"),
    **dict.fromkeys(("anonymousid", "anonid"), "anonymous_id"),
    **dict.fromkeys(("time", "timestamp", "ts", "datetime", "eventtime", "occurredat", "createdat", "date"), "time"),
    **dict.fromkeys(("sessionid", "session"), "session_id"),
    **dict.fromkeys(("url", "pageurl"), "url"),
    "title": "title",
    **dict.fromkeys(("referrer", "referer"), "referrer"),
    "properties": "properties",
    "groups": "groups",
    "context": "context",
}
_OBJECTS: Final = frozenset({"properties", "groups", "context"})
_POSTHOG: Final = {"set": "$set", "set_once": "$set_once", "person_set": "$set", "person_set_once": "$set_once"}


def plain(name: str) -> str:
    """A column's name without what people write differently."""
    return re.sub(r"[\s_-]", "", name).lower()


def _native(cells: Cells) -> dict[str, Any]:
    message: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for column, cell in cells.items():
        if _missing(cell):
            continue
        field = _NATIVE.get(plain(column))
        if field is None or field in message:
            properties[column] = value_of(cell)
        elif field in _OBJECTS:
            message[field] = _object(cell, column)
        else:
            message[field] = instant(cell) if field == "time" else str(cell)
    own = message.get("properties")
    if properties:
        message["properties"] = {**(msgspec.json.decode(own, type=dict[str, Raw]) if isinstance(own, Raw) else own or {}), **properties}
    return message


def _posthog(cells: Cells) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for column, cell in cells.items():
        if _missing(cell):
            continue
        field = _POSTHOG.get(column, column)
        if field in ("properties", "$set", "$set_once", "person_properties", "elements"):
            message[field] = _object(cell, column)
        elif field in ("timestamp", "created_at"):
            message[field] = instant(cell)
        else:
            message[field] = str(cell) if field in ("uuid", "event", "distinct_id") else value_of(cell)
    return message


def _segment(cells: Cells) -> dict[str, Any]:
    return {
        column: _object(cell, column) if str(cell)[:1] == "{" or isinstance(cell, dict) else cell
        for column, cell in cells.items()
        if not _missing(cell)
    }


def _missing(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell


def _object(cell: Any, column: str) -> Any:
    if not isinstance(cell, (str, bytes)):
        return cell
    text = cell.encode("utf-8", "replace") if isinstance(cell, str) else cell
    if fields_of(text) is None:
        try:
            text = bodies.mend(bodies.clean(text))
        except AlmanacError:
            raise ValueError(f"The column {column} does not hold a JSON object") from None
    return Raw(text)


def value_of(cell: Any) -> Any:
    """What a cell means: true and false, numbers (not those that lose digits or leading zeros), else text."""
    if not isinstance(cell, str):
        return cell
    if cell in ("true", "True", "TRUE"):
        return True
    if cell in ("false", "False", "FALSE"):
        return False
    if _INTEGER.fullmatch(cell) or _FLOAT.fullmatch(cell):
        return Raw(cell.encode())
    return cell


def instant(cell: Any) -> str:
    """A time as text: whole numbers are seconds, milliseconds or microseconds since 1970, by their size."""
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    text = str(cell).strip()
    if re.fullmatch(r"\d{9,17}(\.\d+)?", text):
        number = float(text)
        seconds = number / (1e6 if number > 1e14 else 1e3 if number > 1e11 else 1)
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    return text


NATIVE: Final = Shape("native", "native", "/api/v1/events", "id", b'{"batch":[', b"]}", _native)
SEGMENT: Final = Shape("segment", "segment", "/v1/batch", "messageId", b'{"batch":[', b"]}", _segment)
POSTHOG: Final = Shape(
    "posthog", "posthog", "/batch", "uuid", b'{"api_key":"import","historical_migration":true,"batch":[', b"]}", _posthog
)
ALMANAC: Final = Shape("almanac", "native", "", "event_id", b"", b"", dict)
SHAPES: Final = {shape.name: shape for shape in (NATIVE, SEGMENT, POSTHOG, ALMANAC)}


def shape_of(names: Collection[str], type_: str = "") -> Shape:
    """Whose format it is, by the members of an object or the columns of a table, and an object's `type`."""
    if set(names) >= exported.SIGNS:
        return ALMANAC
    if type_ in _SEGMENT_TYPES and ({"messageId", "anonymousId", "userId"} & set(names)):
        return SEGMENT
    if {"event", "timestamp"} <= set(names) and {"properties", "uuid"} & set(names) and {"distinct_id", "uuid", "elements"} & set(names):
        return POSTHOG
    return NATIVE


# -------------------------------------------------------------- messages


def message_text(shape: Shape, cells: Cells) -> bytes:
    """A row of a table as JSON. Raises `ValueError`."""
    return exported.text_of(cells) if shape is ALMANAC else _ENCODER.encode(shape.message_of(cells))


def readable(text: bytes) -> tuple[bytes, dict[str, Raw]]:
    """The message as JSON that surely parses, and its members. Raises `ValueError`."""
    fields = fields_of(text)
    if fields is None:
        try:
            text = bodies.mend(bodies.clean(text))
        except AlmanacError as error:
            raise ValueError(error.message.replace("The request", "It")) from None
        fields = fields_of(text)
    if fields is None:
        raise ValueError("It is not a JSON object")
    return text, fields


def id_of(shape: Shape, fields: Mapping[str, Raw]) -> str:
    """The message's own id; "" without. PostHog's API calls it `id`."""
    given = text_of(fields.get(shape.id_field))
    return given or (text_of(fields.get("id")) if shape is POSTHOG else "")


class _Granted(KeyRing):
    """Whoever imports has been let in already: any key is the project's."""

    def __init__(self, project: str) -> None:
        self._grant = Grant(project, 0)

    def grant(self, secret: str) -> Grant:
        return self._grant


class Decoder:
    """Messages of one format into events of one project. Times stay as they are: what is imported happened long before it is sent."""

    def __init__(self, shape: Shape, project: str, settings: Settings) -> None:
        self._shape = shape
        self._project = project
        self._settings = settings
        self._keys = _Granted(project)
        if shape is not ALMANAC:
            routes, _ = Routes(iter(registry().values())).of(shape.path)
            found = [route for protocol, route in routes if protocol.name == shape.protocol and route.method == "POST"]
            if not found:
                raise invalid(f"Files of the format {shape.name} cannot be imported here.", place="--format")
            self._handle = found[0].handle

    def decode(self, messages: Sequence[bytes], now_us: int) -> tuple[list[Event], list[Refused]]:
        """The events, and why the other messages are none."""
        if self._shape is ALMANAC:
            return self._own(messages)
        call = Call(
            method="POST",
            scheme="http",
            path=self._shape.path,
            query={},
            headers={b"user-agent": _NOBODY.encode()},
            peer="",
            received_us=now_us,
            settings=self._settings,
            keys=self._keys,
        )
        call.protocol = self._shape.protocol
        call.body = self._shape.before + b",".join(messages) + self._shape.after
        self._handle(call)
        events = [event for event in call.events if event.kind != Kind.DEAD_LETTER]
        for event in events:
            event.keep_time = True
            if event.user_agent == _NOBODY:
                event.user_agent = ""
        return events, [Refused(item.index, item.reason, item.detail) for item in call.rejected]

    def _own(self, messages: Sequence[bytes]) -> tuple[list[Event], list[Refused]]:
        events: list[Event] = []
        refused: list[Refused] = []
        for index, text in enumerate(messages):
            try:
                events.append(exported.event_of(text, self._project))
            except ValueError as error:
                refused.append(Refused(index, "not_an_export", f"{str(error).rstrip(chr(46))}."))
        return events, refused

    def letter(self, refused: Refused, original: bytes, place: str, now_us: int, event_id: str) -> Event:
        """The dead letter of a record; `place` names its file and line. Its id is that of its content, so that it counts once."""
        text = original.decode("utf-8", "replace")
        letter = DeadLetter("decode", refused.reason, f"{refused.detail.rstrip('.')} ({place}).", text)
        event = dead_letter(self._project, now_us, letter, self._shape.protocol)
        event.event_id = event_id
        return event


def all_formats() -> Iterator[str]:
    """The words that --format takes."""
    yield from ("auto", *SHAPES, "ndjson", "json", "csv", "parquet")
