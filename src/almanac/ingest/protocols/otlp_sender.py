"""Who sent a record of OTLP and whose it is: the resource, the scope, and the attributes that have a home of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from almanac.core.event import Event
from almanac.ingest import messages as reading
from almanac.ingest.messages import CAMPAIGN
from almanac.ingest.protocols import otlp_points as points

# The attributes that have a home of their own. Where two have the same, the second counts when the first says nothing.
_WHO: Final = {
    "user.id": "user_id",
    "enduser.id": "user_id",
    "user.anonymous_id": "anonymous_id",
    "enduser.pseudo.id": "anonymous_id",
    "device.id": "device_id",
    "app.installation.id": "device_id",
    "session.id": "session_id",
    "sessionId": "session_id",
    "posthogDistinctId": "distinct_id",  # PostHog's SDKs do not say whether it is a user or a device
    "posthog.distinct_id": "distinct_id",
}
_WHERE: Final = {
    **_WHO,
    "url.full": "url",
    "http.url": "url",
    "app.screen.name": "screen",
    "screen.name": "screen",
    "client.address": "ip",
    "user_agent.original": "user_agent",
    **dict.fromkeys((f"utm_{name}" for name in CAMPAIGN), ""),
}
_FIRST: Final = {
    second: first
    for first, field in _WHERE.items()
    for second in _WHERE
    if field and first != second and _WHERE[second] == field and [*_WHERE].index(first) < [*_WHERE].index(second)
}
_TITLES: Final = ("page.title", "title")
_REFERRERS: Final = ("page.referrer", "referrer", "http.request.header.referer")
_CLIENT_LANGUAGES: Final = frozenset(("webjs", "swift"))
_CLIENT_SYSTEMS: Final = frozenset(("android", "ios", "ipados"))


class Form(NamedTuple):
    """How messages are read: those of protobuf and those of JSON have the same names, but not the same values."""

    attributes: Callable[[Sequence[Any]], dict[str, Any]]
    repeated: Callable[[Sequence[Any]], list[list[Any]]]
    value: Callable[[Any], Any]
    given: Callable[[Any, str], Any]
    whole: Callable[[Any], Any]
    number: Callable[[Any], Any]


def filled(**members: Any) -> dict[str, Any]:
    """The members that say something; a `value` does when it is 0 too."""
    return {name: value for name, value in members.items() if value or (name == "value" and value is not None)}


def text(said: Mapping[str, Any], *names: str) -> str:
    """The first of these attributes that is a text or a whole number, as text."""
    for name in names:
        found = said.get(name)
        if found and (type(found) is str or type(found) is int):
            return str(found)
    return ""


def lift(event: Event, said: Mapping[str, Any], own: str, *, place: bool) -> str:
    """Fills in whose event it is, and with `place` page, screen, address and campaign. What a record says wins over what its resource says.

    `own`, and the value: an id by which PostHog's SDKs call a person."""
    homes = _WHERE if place else _WHO
    found = [name for name in said if name in homes]
    if not found:
        return own
    for name in found:
        field, value = homes[name], said[name]
        if type(value) is not str:
            value = text(said, name)
        if field and value and not (name in _FIRST and text(said, _FIRST[name])):
            if field == "distinct_id":
                own = value
            else:
                setattr(event, field, value)
        elif not field and not event.campaign:
            url = text(said, "url.full", "http.url")
            event.campaign = reading.campaign({word: text(said, f"utm_{word}") for word in CAMPAIGN}, url)
    event.distinct_id = event.user_id or own or event.anonymous_id or event.device_id
    return own


def describe_page(event: Event, said: Mapping[str, Any]) -> None:
    """Fills in what only a page has."""
    event.title, event.referrer = text(said, *_TITLES), text(said, *_REFERRERS)


def is_client(sender: Mapping[str, Any]) -> bool:
    """Whether the resource is a browser or a phone, whose address is a person's."""
    return (
        sender.get("telemetry.sdk.language") in _CLIENT_LANGUAGES
        or str(sender.get("os.name", "")).lower() in _CLIENT_SYSTEMS
        or any(name.startswith("browser.") for name in sender)
    )


def library(sender: Mapping[str, Any], context: dict[str, Any]) -> tuple[str, str]:
    """The SDK, which has a home of its own and is taken out of the context."""
    name, version = (sender.get(f"telemetry.sdk.{word}") for word in ("name", "version"))
    if not (isinstance(name, str) and isinstance(version, str) and name):
        return "", ""
    left = {key: value for key, value in sender.items() if key not in ("telemetry.sdk.name", "telemetry.sdk.version")}
    context.pop("resource")
    if left:
        context["resource"] = left
    return name, version


def context_of(form: Form, outer: Any, inner: Any, sender: dict[str, Any], unknown: Mapping[str, Any]) -> dict[str, Any]:
    """Resource and scope, and under `unread` what of them did not fit. `sender`: the resource's attributes."""
    resource, scope = form.given(outer, "resource"), form.given(inner, "scope")
    context: dict[str, Any] = {"unread": unknown} if unknown else {}
    if sender:
        context["resource"] = sender
    if resource is not None:
        if len(sender) < len(resource.attributes):
            context["resource_repeated_attributes"] = form.repeated(resource.attributes)
        if resource.dropped_attributes_count:
            context["resource_dropped_attributes_count"] = resource.dropped_attributes_count
        if len(resource.entity_refs):
            context["resource_entity_refs"] = points.entities(resource.entity_refs)
    if outer.schema_url:
        context["resource_schema_url"] = outer.schema_url
    if scope is not None:
        said = filled(
            name=scope.name,
            version=scope.version,
            attributes=form.attributes(scope.attributes),
            dropped_attributes_count=scope.dropped_attributes_count,
        )
        if said:
            context["scope"] = said
    if inner.schema_url:
        context["scope_schema_url"] = inner.schema_url
    return context
