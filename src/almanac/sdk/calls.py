"""The calls of an app: what happened, who somebody is, what is known of people and groups."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypedDict, Unpack

from . import consent as consents
from . import values

Properties = Mapping[str, Any]


class Common(TypedDict, total=False):
    """What every call may say besides."""

    anonymous_id: object  # somebody who is not signed in, such as a cookie's value
    device_id: object
    time: object  # when it happened; without it, now. A datetime, an ISO 8601 text, or seconds or milliseconds since 1970
    keep_time: bool  # the time comes from elsewhere: it is not corrected when this machine's clock is wrong
    id: object  # of the event: sending it again is harmless. Without it, a random one
    session_id: object
    window_id: object
    groups: Mapping[str, object]  # {"company": "acme"}: whose event it is besides
    title: str
    referrer: str
    ip: str
    user_agent: str
    context: Properties
    purpose: str  # what it is recorded for; "analytics" without it
    consent: consents.Given  # what this person has agreed to, by purpose: {"analytics": True}


class Who(Common, total=False):
    """And, where the call itself does not say it, whose event it is."""

    user_id: object  # the signed-in person; anything that has a text, such as a number or a UUID


class Details(Who, total=False):
    """And, where the call itself does not say it, where it happened."""

    url: str
    screen: str


_TEXTS: Final = (
    "user_id",
    "anonymous_id",
    "device_id",
    "session_id",
    "window_id",
    "url",
    "title",
    "referrer",
    "screen",
    "ip",
    "user_agent",
)
PURPOSE: Final = "analytics"
_KNOWN: Final = Details.__required_keys__ | Details.__optional_keys__


def anonymous_id() -> str:
    """A new id for somebody who is not known, to be kept by the app, for instance in a cookie."""
    return str(uuid.uuid4())


class Calls:
    """What a client and a person have in common. Each call answers the event's id, "" when it was not taken; none waits or raises."""

    def _take(self, kind: str, name: str, own: dict[str, Any], details: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def track(
        self,
        event: str,
        properties: Properties | None = None,
        *,
        revenue: object = None,
        currency: str | None = None,
        **details: Unpack[Details],
    ) -> str:
        """Something happened. `revenue`: an amount in `currency` (ISO 4217), which becomes the property of that name."""
        found = dict(properties or {})
        if revenue is not None:
            found["revenue"] = revenue
        if currency is not None:
            found["currency"] = currency
        return self._take("", event, {"properties": found}, details)

    def page(self, url: str, properties: Properties | None = None, *, name: str = "", **details: Unpack[Who]) -> str:
        """Somebody looked at a page of a website."""
        return self._take("page", name, {"properties": dict(properties or {}), "url": url}, details)

    def screen(self, screen: str, properties: Properties | None = None, **details: Unpack[Who]) -> str:
        """Somebody looked at a screen of an app."""
        return self._take("screen", "", {"properties": dict(properties or {}), "screen": screen}, details)

    def identify(
        self,
        user_id: object,
        properties: Properties | None = None,
        *,
        once: Properties | None = None,
        unset: Iterable[str] = (),
        **details: Unpack[Common],
    ) -> str:
        """Who somebody is: with an `anonymous_id`, both are one person from now on. `properties` of the person are set, those of `once`
        only where they are not, and those in `unset` removed."""
        return self._take("identify", "", {"person": _changes(properties, once, unset)}, {**details, "user_id": user_id})

    def profile(
        self,
        properties: Properties | None = None,
        *,
        once: Properties | None = None,
        unset: Iterable[str] = (),
        changes: Mapping[str, Properties] | None = None,
        **details: Unpack[Details],
    ) -> str:
        """Sets properties of a person, and says nothing else. `changes`: operations by their names, such as {"add": {"logins": 1}, "union":
        {"tags": "vip"}}; docs/profiles.md has them all."""
        return self._take("profile", "", {"person": _changes(properties, once, unset, changes)}, details)

    def alias(self, user_id: object, previous_id: object, *, merge: bool = False, **details: Unpack[Common]) -> str:
        """Both ids are one person. Two that are both known as users are joined only with `merge`."""
        own = {"previous_id": values.name_of(previous_id), "how": "merge" if merge else "alias"}
        return self._take("alias", "", own, {**details, "user_id": user_id})

    def group(
        self,
        type_: str,
        key: object,
        properties: Properties | None = None,
        *,
        once: Properties | None = None,
        unset: Iterable[str] = (),
        changes: Mapping[str, Properties] | None = None,
        **details: Unpack[Details],
    ) -> str:
        """A group such as a company, its properties, and that the person belongs to it when one is given. `changes`: as for `profile`."""
        name = values.name_of(key)
        details["groups"] = {**details.get("groups", {}), type_: name}
        own = {"group": {"type": type_, "key": name, **_changes(properties, once, unset, changes)}}
        return self._take("group", "", own, details)


class Person(Calls):
    """Calls about one person (or one request, or one session): every call gets these details unless it says otherwise."""

    def __init__(self, calls: Calls, details: Mapping[str, Any]) -> None:
        self._calls = calls
        self._details = dict(details)

    def _take(self, kind: str, name: str, own: dict[str, Any], details: Mapping[str, Any]) -> str:
        if kind == "identify" and details.get("user_id"):
            self._details = {**self._details, "user_id": details["user_id"]}
        merged = {**self._details, **details}
        for key in ("groups", "context"):
            if key in self._details and key in details:
                merged[key] = {**self._details[key], **details[key]}
        return self._calls._take(kind, name, own, merged)


def event_of(kind: str, name: str, own: Mapping[str, Any], details: Mapping[str, Any], context: Properties) -> dict[str, Any]:
    """An event as the server's own protocol has it, and its id first. What is empty is left out."""
    item: dict[str, Any] = {"id": values.name_of(details.get("id")) or str(uuid.uuid4())}
    if kind:
        item["kind"] = kind
    if name or not kind:
        item["event"] = str(name)
    when = details.get("time")
    item["time"] = (values.moment(when) if when is not None else "") or datetime.now(UTC).isoformat(timespec="microseconds")
    if details.get("keep_time"):
        item["keep_time"] = True
    for key in _TEXTS:
        if (value := details.get(key)) is not None and (text := values.name_of(value)):
            item[key] = text
    if groups := details.get("groups"):
        item["groups"] = {str(type_): values.name_of(key) for type_, key in groups.items()}
    if context or details.get("context"):
        item["context"] = {**context, **details.get("context", {})}
    item.update((key, value) for key, value in own.items() if value)
    return item


def unknown(details: Mapping[str, Any]) -> list[str]:
    """Names of details that there are not."""
    return [name for name in details if name not in _KNOWN]


def _changes(
    properties: Properties | None, once: Properties | None, unset: Iterable[str], changes: Mapping[str, Properties] | None = None
) -> dict[str, Any]:
    names = [str(name) for name in ([unset] if isinstance(unset, str) else unset)]
    found = {**(changes or {}), "set": dict(properties or {}), "set_once": dict(once or {}), "unset": names}
    return {key: value for key, value in found.items() if value}
