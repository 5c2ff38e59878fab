"""A message of Segment's and what becomes of it: the forms that `segment` decodes, and the event that is built of them."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from almanac.core.event import EMPTY, Event, Kind, Merge, Raw
from almanac.ingest import messages as reading
from almanac.ingest.call import Call
from almanac.ingest.messages import LONGEST_ID, Fields, Shape, UnfitError
from almanac.ingest.senders import is_server_library

NONE: Final = Raw(b"")
S = TypeVar("S", bound=msgspec.Struct)


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, rename="camel"):
    """A message as documented. `Raw` members are `NONE` when absent."""

    type: str | None = None
    message_id: str | None = None
    timestamp: str | None = None
    original_timestamp: str | None = None
    sent_at: str | None = None
    received_at: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    group_id: str | None = None
    previous_id: str | None = None
    channel: str | None = None
    write_key: str | None = None
    properties: Raw = NONE
    traits: Raw = NONE
    context: Raw = NONE
    integrations: Raw = NONE
    metadata: Raw = msgspec.field(default=NONE, name="_metadata")
    version: Raw = NONE


class Batch(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename="camel"):
    """The body of `/v1/batch`."""

    batch: list[Message]
    sent_at: str | None = None
    write_key: str | None = None
    timestamp: str | None = None


class Page(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """`context.page`, or the properties of a page call."""

    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    path: str | None = None
    search: str | None = None


class Library(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """`context.library`."""

    name: str | None = None
    version: str | None = None


class Device(msgspec.Struct, gc=False):
    """`context.device`."""

    id: str | None = None


class Context(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, rename="camel"):
    """`context` as documented. What has a home of its own in an event is taken out; the rest stays as it is."""

    page: Raw = NONE
    library: Raw = NONE
    device: Raw = NONE
    ip: str | None = None
    user_agent: str | None = None
    session_id: str | None = None
    group_id: str | None = None
    traits: Raw = NONE
    consent: Raw = NONE
    active: Raw = NONE
    app: Raw = NONE
    campaign: Raw = NONE
    locale: Raw = NONE
    location: Raw = NONE
    network: Raw = NONE
    os: Raw = NONE
    screen: Raw = NONE
    timezone: Raw = NONE
    user_agent_data: Raw = NONE


class Plain(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, rename="camel"):
    """A context whose every part is as documented: the usual one, taken apart in one step. `page` and `library` hold nothing else."""

    page: Page | None = None
    library: Library | None = None
    ip: str | None = None
    user_agent: str | None = None
    session_id: str | None = None
    active: Raw = NONE
    app: Raw = NONE
    campaign: Raw = NONE
    locale: Raw = NONE
    location: Raw = NONE
    network: Raw = NONE
    os: Raw = NONE
    screen: Raw = NONE
    timezone: Raw = NONE
    user_agent_data: Raw = NONE


class Lifted(msgspec.Struct, gc=False):
    """A context taken apart: texts are "" when absent. `left` is what has no home of its own."""

    left: Raw
    page: Page
    library: str = ""
    library_version: str = ""
    is_server: bool | None = None  # None: the SDK does not tell
    ip: str = ""
    user_agent: str = ""
    session: str = ""
    device: str = ""
    group: str = ""
    traits: Raw = NONE
    consent: Raw = NONE
    is_plain: bool = True  # no page, session, device, group or consent


KINDS: Final = {kind.value: kind.value for kind in (Kind.TRACK, Kind.PAGE, Kind.SCREEN, Kind.IDENTIFY, Kind.ALIAS, Kind.GROUP)}
MOST_CONTEXTS: Final = 1000  # server SDKs send the same context with every event
LONGEST_CONTEXT: Final = 512

MESSAGE: Final = Shape(Message)
_PLAIN: Final = msgspec.json.Decoder(Plain)
_CONTEXT: Final = Shape(Context)
_PAGE: Final = Shape(Page)
_LIBRARY: Final = Shape(Library)
_DEVICE: Final = Shape(Device)
_NO_PAGE: Final = Page()
_NO_DEVICE: Final = Device()
_NO_CONTEXT: Final = Lifted(EMPTY, _NO_PAGE)

_contexts: dict[bytes, Lifted] = {}


def build(call: Call, index: int, m: Message, sent: str, unknown: Fields) -> Event:
    """The event of one message; `sent`: the request's time of sending; `unknown`: undocumented members. Raises `UnfitError`."""
    kind, name, unknown = _said(m, unknown)
    context = _NO_CONTEXT if m.context is NONE else _lifted(m.context, call.settings.depth_limit)
    properties = m.properties
    if properties is NONE or not reading.checked(properties, call.settings.depth_limit):
        unknown = unknown if properties is NONE else {**unknown, "properties": properties}
        properties = EMPTY
    user, anonymous = m.user_id or "", m.anonymous_id or ""
    is_server = context.is_server
    if is_server is None:
        is_server = m.channel == "server" or call.from_server
    sent_id = m.message_id
    event = Event(
        project=call.project,
        event_id=sent_id if sent_id and len(sent_id) <= LONGEST_ID and sent_id[0] not in "{[" else _derived_id(call, index, m, unknown),
        kind=kind,
        name=name,
        received_us=call.received_us,
        client_time=reading.instant(m.timestamp or m.original_timestamp or ""),
        sent_time=reading.instant(m.sent_at) if m.sent_at else sent,
        distinct_id=user or anonymous,
        user_id=user,
        anonymous_id=anonymous,
        properties=properties,
        ip=context.ip or ("" if is_server else call.ip),
        user_agent=context.user_agent or ("" if is_server else call.user_agent),
        library=context.library,
        library_version=context.library_version,
        context=context.left,
        protocol="segment",
        is_server=is_server,
    )
    if not context.is_plain:
        _place(event, context)
    if kind != "track":
        _relate(event, m, context, call.settings.depth_limit)
    _keep(event, m, context, unknown)
    return event


def _said(m: Message, unknown: Fields) -> tuple[str, str, Fields]:
    kind = KINDS.get(m.type or "")
    if kind is None:
        kind, unknown = "track", {**unknown, "type": reading.raw_text(m.type or "")}
    name = m.event if kind == "track" else m.name or kind
    if not name:
        raise UnfitError("no_name", "It has no name of an event.")
    return kind, name, unknown


def _place(event: Event, context: Lifted) -> None:
    page = context.page
    event.url, event.title, event.referrer = page.url or "", page.title or "", page.referrer or ""
    event.session_id, event.device_id = context.session, context.device
    event.distinct_id = event.distinct_id or context.device
    if context.group:
        event.groups = reading.object_of({"group": reading.raw_text(context.group)})


def _relate(event: Event, m: Message, context: Lifted, limit: int) -> None:
    """Fills in what identify, alias, group, page and screen say besides that something happened."""
    kind = event.kind
    if kind == "screen":
        event.screen = m.name or ""
    elif kind == "page":
        page = _PAGE.lenient(event.properties)
        event.url, event.title = page.url or event.url, page.title or event.title
        event.referrer = page.referrer or event.referrer
    elif kind == "alias":
        if m.previous_id and event.user_id and m.previous_id != event.user_id:
            event.merges = [Merge(m.previous_id, event.user_id, "alias")]
    elif kind == "identify":
        if event.user_id and event.anonymous_id and event.user_id != event.anonymous_id:
            event.merges = [Merge(event.anonymous_id, event.user_id, "identify")]
        traits = context.traits if reading.is_empty(m.traits) else m.traits
        if not reading.is_empty(traits) and reading.checked(traits, limit):
            event.profile = Raw(b'{"set":' + bytes(traits) + b"}")
    elif m.group_id:
        key = reading.raw_text(m.group_id)
        traits = m.traits if not reading.is_empty(m.traits) and reading.checked(m.traits, limit) else EMPTY
        event.groups = Raw(b'{"group":' + bytes(key) + b"}")
        event.group_profile = Raw(b'{"type":"group","key":' + bytes(key) + b',"set":' + bytes(traits) + b"}")


def _keep(event: Event, m: Message, context: Lifted, unknown: Fields) -> None:
    """Keeps the sender's switches in `flags`, and what has no home of its own in `rest`."""
    if m.channel or context.consent is not NONE or len(m.integrations) > 2:
        channel = reading.raw_text(m.channel) if m.channel else None
        event.flags = reading.object_of({"integrations": m.integrations, "channel": channel, "consent": context.consent})
    is_track = event.kind == "track"
    if (
        unknown
        or m.metadata is not NONE
        or m.version is not NONE
        or m.category
        or m.received_at
        or (m.timestamp and m.original_timestamp)
        or (is_track and (m.traits is not NONE or m.name or m.group_id or m.previous_id))
        or not is_track
    ):
        event.rest = _rest(event, m, unknown)


def _rest(event: Event, m: Message, unknown: Fields) -> Raw:
    kind = event.kind
    texts = {
        "category": m.category,
        "receivedAt": m.received_at,
        "originalTimestamp": m.original_timestamp if m.timestamp else None,
        "groupId": m.group_id if kind != "group" else None,
        "previousId": m.previous_id if kind != "alias" or not event.merges else None,
        "name": m.name if kind == "track" else None,
        "event": m.event if kind != "track" else None,
    }
    rest: dict[str, Raw | None] = {name: reading.raw_text(text) for name, text in texts.items() if text}
    rest["_metadata"], rest["version"] = m.metadata, m.version
    if bytes(m.traits)[:1] != b"{" or not (kind == "identify" or (kind == "group" and m.group_id)):
        rest["traits"] = m.traits
    return reading.object_of({**rest, **unknown})


def _derived_id(call: Call, index: int, m: Message, unknown: Fields) -> str:
    def content() -> bytes:
        stable = msgspec.structs.replace(m, sent_at=None, received_at=None, write_key=None, metadata=NONE)
        return msgspec.json.encode(stable) + (reading.canonical(unknown) if unknown else b"")

    return reading.message_id(m.message_id, content, timed=bool(m.timestamp or m.original_timestamp), call=call, index=index)


def _lifted(raw: Raw, limit: int) -> Lifted:
    written = bytes(raw)
    found = _contexts.get(written)
    if found is None:
        found = _lift(raw, limit)
        if len(written) < LONGEST_CONTEXT:
            if len(_contexts) >= MOST_CONTEXTS:
                _contexts.clear()
            _contexts[written] = found
    return found


def _lift(raw: Raw, limit: int) -> Lifted:
    try:
        plain = _PLAIN.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _lift_any(raw, limit)
    page, library = plain.page, plain.library
    lifted = Lifted(
        left=EMPTY,
        page=page or _NO_PAGE,
        ip=plain.ip or "",
        user_agent=plain.user_agent or "",
        session=plain.session_id or "",
        is_plain=page is None and not plain.session_id,
    )
    if library is not None:
        lifted.library, lifted.library_version = library.name or "", library.version or ""
        lifted.is_server = is_server_library(library.name) if library.name else None
    plain.library = plain.ip = plain.user_agent = plain.session_id = None
    if page is not None and _says_no_more(page):
        plain.page = None
    lifted.left = Raw(msgspec.json.encode(plain))
    reading.checked(lifted.left, limit)
    return lifted


def _lift_any(raw: Raw, limit: int) -> Lifted:
    if not reading.checked(raw, limit):
        return _NO_CONTEXT if reading.is_empty(raw) else Lifted(Raw(b'{"context":' + bytes(raw) + b"}"), _NO_PAGE)
    try:
        context, unknown = _CONTEXT.strict.decode(raw), None
    except (msgspec.DecodeError, UnicodeDecodeError):
        context, unknown = _CONTEXT.read(reading.fields_of(raw) or {})
    device = _NO_DEVICE if context.device is NONE else _DEVICE.lenient(context.device)
    lifted = Lifted(
        left=EMPTY,
        page=_NO_PAGE,
        ip=context.ip or "",
        user_agent=context.user_agent or "",
        session=context.session_id or "",
        device=device.id or "",
        group=context.group_id or "",
        traits=context.traits,
        consent=context.consent,
        is_plain=context.page is NONE and not (context.session_id or device.id or context.group_id) and context.consent is NONE,
    )
    if context.page is not NONE:
        lifted.page, context.page = _page(context.page)
    if context.library is not NONE:
        library, more = _split(_LIBRARY, context.library)
        lifted.library, lifted.library_version = library.name or "", library.version or ""
        lifted.is_server = is_server_library(library.name) if library.name else None
        context.library = context.library if more else NONE
    context.ip = context.user_agent = context.session_id = context.group_id = None
    context.consent = NONE
    left = msgspec.json.encode(context)
    lifted.left = Raw(left) if not unknown else reading.object_of({**(reading.fields_of(left) or {}), **unknown})
    return lifted


def _page(raw: Raw) -> tuple[Page, Raw]:
    """The page, and what of it has no home of its own: path and search are in the address already."""
    page, more = _split(_PAGE, raw)
    return page, raw if more or not _says_no_more(page) else NONE


def _says_no_more(page: Page) -> bool:
    """Whether its path and search are in its address already."""
    return f"{page.path or ''}{page.search or ''}" in (page.url or "")


def _split(shape: Shape[S], raw: Raw) -> tuple[S, bool]:
    """A part of the context, and whether there is more in it than its form holds."""
    try:
        return shape.strict.decode(raw), False
    except (msgspec.DecodeError, UnicodeDecodeError):
        return shape.lenient(raw), True
