"""A message's context: what of it has a home of its own in an event."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeVar

import msgspec

from almanac.core.event import Event, Raw, copied
from almanac.ingest import messages as reading
from almanac.ingest.messages import NONE, NOTHING, Fields, Shape

S = TypeVar("S", bound=msgspec.Struct)


class Page(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """`context.page`, or the properties of a page call."""

    url: str | None = None
    title: str | None = None
    referrer: str | None = None
    path: str | None = None
    search: str | None = None


class Library(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """`context.library`."""

    name: str | None = None
    version: str | None = None


class Device(msgspec.Struct, gc=False):
    """`context.device`, as far as it has a home of its own."""

    id: str | None = None


class Campaign(msgspec.Struct, gc=False):
    """`context.campaign`, as far as it has a home of its own."""

    source: str | None = None
    medium: str | None = None
    campaign: str | None = msgspec.field(default=None, name="name")
    term: str | None = None
    content: str | None = None


class Context(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, rename="camel"):
    """`context` as documented. What has a home of its own in an event is taken out; the rest stays as it is."""

    page: Page | None = None
    library: Library | None = None
    ip: str | None = None
    user_agent: str | None = None
    session_id: str | None = None
    group_id: str | None = None
    device: Raw = NONE
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


BLANK: Final = Event("", "", "track", "", 0, protocol="segment")
PAGE: Final = Shape(Page)
_CONTEXT: Final = Shape(Context)
_LIBRARY: Final = Shape(Library)
_DEVICE: Final = Shape(Device)
_CAMPAIGN: Final = Shape(Campaign)
_REMEMBERED: Final = 1000  # server SDKs send the same short context with every event
_SHORT: Final = 200


def lifted(raw: Raw, limit: int) -> tuple[Event, Raw, Raw]:
    """An event that says what the context `raw` says, and the context's traits and consent.

    Raises `UnfitError` when it nests deeper than `limit`.
    """
    if len(raw) > _SHORT:
        return _lift(raw, limit)
    event, traits, consent = _remembered(bytes(raw), limit)
    return copied(event), traits, consent


def _lift(raw: Raw | bytes, limit: int) -> tuple[Event, Raw, Raw]:
    """What has a home of its own is taken out of the context. Fields are set only where there is something to say, because setting one
    takes four times as long as looking."""
    event, unknown = copied(BLANK), NOTHING
    try:
        context = _CONTEXT.strict.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if not reading.checked(raw, limit):
            if not reading.is_empty(raw):
                event.context = Raw(b'{"context":' + bytes(raw) + b"}")
            return event, NONE, NONE
        context, unknown = _read(reading.fields_of(raw) or {})
    consent = context.consent
    if context.page is not None:
        _place(event, context, context.page)
    if context.library is not None:
        event.library, event.library_version = context.library.name or "", context.library.version or ""
        context.library = None
    if context.ip is not None:
        event.ip, context.ip = context.ip, None
    if context.user_agent is not None:
        event.user_agent, context.user_agent = context.user_agent, None
    if context.session_id is not None:
        event.session_id, context.session_id = context.session_id, None
    if context.group_id is not None:
        event.groups, context.group_id = reading.object_of({"group": reading.encoded(context.group_id)}), None
    if context.device is not NONE:
        event.device_id = _DEVICE.lenient(context.device).id or ""
    if context.campaign is not NONE:
        event.campaign = reading.campaign(msgspec.structs.asdict(_CAMPAIGN.lenient(context.campaign)), event.url)
    if consent is not NONE:
        reading.checked(consent, limit)
        context.consent = NONE
    left = reading.encoded(context)
    if len(left) > 2 * limit:
        reading.checked(left, limit)
    event.context = reading.encoded({**(reading.fields_of(left) or {}), **unknown}) if unknown else left
    return event, context.traits, consent


def _place(event: Event, context: Context, page: Page) -> None:
    if page.url:
        event.url = page.url
    if page.title:
        event.title = page.title
    if page.referrer:
        event.referrer = page.referrer
    if (page.path or "") + (page.search or "") in event.url:
        context.page = None  # path and search are in the address already


_remembered: Final = lru_cache(_REMEMBERED)(_lift)


def _read(fields: Fields) -> tuple[Context, Fields]:
    """A context of any form, and what of it is to be kept beside what is taken out: a page or library with more in it, all of it."""
    page, library = fields.pop("page", None), fields.pop("library", None)
    context, unknown = _CONTEXT.read(fields)
    if page is not None:
        context.page, more = _split(PAGE, page)
        unknown |= {"page": page} if more else {}
    if library is not None:
        context.library, more = _split(_LIBRARY, library)
        unknown |= {"library": library} if more else {}
    return context, unknown


def _split(shape: Shape[S], raw: Raw) -> tuple[S, bool]:
    """A part of the context, and whether there is more in it than its form holds."""
    try:
        return shape.strict.decode(raw), False
    except (msgspec.DecodeError, UnicodeDecodeError):
        return shape.lenient(raw), True
