"""What Google Analytics documents that it would not take of a Measurement Protocol request, for `/debug/mp/collect`.

The limits are facts of its public documentation (sending events, limitations, reserved names). Almanac keeps events beyond them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Fault = tuple[str, str, str]  # place, sentence, code

_MOST_EVENTS: Final = 25
_MOST_PARAMS: Final = 25
_MOST_PROPERTIES: Final = 25
_MOST_ITEMS: Final = 200
_MOST_CHECKED: Final = 200  # events; a list of faults must end somewhere
_LONGEST_NAME: Final = 40
_LONGEST_PROPERTY_NAME: Final = 24
_LONGEST_VALUE: Final = 100
_LONGEST_PROPERTY_VALUE: Final = 36
_LONGEST_ADDRESS: Final = 1000  # page_location; of page_title and page_referrer less
_LONGEST_USER_ID: Final = 256
_LARGEST_BODY: Final = 130_000
_OLDEST_US: Final = 72 * 3600 * 1_000_000
_AHEAD_US: Final = 15 * 60 * 1_000_000

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_RESERVED_PREFIXES: Final = ("_", "firebase_", "ga_", "google_", "gtag.")
_ALLOWED: Final = frozenset({"ga_session_id", "ga_session_number"})
_LONG_VALUES: Final = {"page_location": _LONGEST_ADDRESS, "page_referrer": 420, "page_title": 300}
_RESERVED_EVENTS: Final = frozenset(
    [
        "ad_activeview",
        "ad_click",
        "ad_exposure",
        "ad_query",
        "ad_reward",
        "adunit_exposure",
        "app_background",
        "app_clear_data",
        "app_exception",
        "app_remove",
        "app_store_refund",
        "app_store_subscription_cancel",
        "app_store_subscription_convert",
        "app_store_subscription_renew",
        "app_uninstall",
        "app_update",
        "app_upgrade",
        "dynamic_link_app_open",
        "dynamic_link_app_update",
        "dynamic_link_first_open",
        "error",
        "firebase_campaign",
        "firebase_in_app_message_action",
        "firebase_in_app_message_dismiss",
        "firebase_in_app_message_impression",
        "first_open",
        "first_visit",
        "in_app_purchase",
        "notification_dismiss",
        "notification_foreground",
        "notification_open",
        "notification_receive",
        "notification_send",
        "os_update",
        "session_start",
        "session_start_with_rollout",
        "user_engagement",
    ]
)
_RESERVED_PROPERTIES: Final = frozenset(
    {"first_open_time", "first_visit_time", "last_deep_link_referrer", "user_id", "first_open_after_install"}
)
_NEEDED: Final = {"purchase": ("transaction_id",), "refund": ("transaction_id",)}


def faults(body: Mapping[str, Any], query: Mapping[str, str], size: int, now_us: int) -> Iterator[Fault]:
    """The faults of a request, in its order. `size`: bytes of the body; `now_us`: microseconds since 1970."""
    if size > _LARGEST_BODY:
        yield "", f"The body has {size} bytes; Google Analytics takes fewer than {_LARGEST_BODY}.", "VALUE_OUT_OF_BOUNDS"
    yield from _senders(body, query)
    yield from _time("timestamp_micros", body.get("timestamp_micros"), now_us)
    yield from _properties(body.get("user_properties"))
    events = body.get("events")
    if isinstance(events, dict):
        yield "events", "The events are no list; Almanac takes a single event in its place, Google Analytics does not.", "VALUE_INVALID"
        events = [events]
    if not isinstance(events, list) or not events:
        yield "events", "There is no list of events.", "VALUE_REQUIRED"
        return
    if len(events) > _MOST_EVENTS:
        yield "events", f"There are {len(events)} events; Google Analytics takes up to {_MOST_EVENTS}.", "EXCEEDED_MAX_ENTITIES"
    for index, event in enumerate(events[:_MOST_CHECKED]):
        yield from _event(f"events[{index}]", event, now_us)


def _senders(body: Mapping[str, Any], query: Mapping[str, str]) -> Iterator[Fault]:
    app = bool(query.get("firebase_app_id"))
    if not app and not query.get("measurement_id"):
        yield "measurement_id", "The address has neither a measurement_id nor a firebase_app_id.", "VALUE_REQUIRED"
    needed = "app_instance_id" if app else "client_id"
    sender = body.get(needed)
    if not sender:
        yield needed, f"There is no {needed}.", "VALUE_REQUIRED"
    elif not isinstance(sender, str):
        yield needed, f"The {needed} is no text.", "VALUE_INVALID"
    elif app and not re.fullmatch(r"[0-9a-fA-F]{32}", sender):
        yield needed, "The app_instance_id is not 32 hexadecimal digits.", "VALUE_INVALID"
    user = body.get("user_id")
    if user is not None and (not isinstance(user, str) or len(user) > _LONGEST_USER_ID):
        yield "user_id", f"The user_id is no text of up to {_LONGEST_USER_ID} characters.", "VALUE_INVALID"


def _time(place: str, value: Any, now_us: int) -> Iterator[Fault]:
    if value is None:
        return
    try:
        micros = int(value)
    except (TypeError, ValueError, OverflowError):
        yield place, "The time is no number of microseconds since 1970.", "VALUE_INVALID"
        return
    if micros < now_us - _OLDEST_US:
        yield place, "The time is more than 72 hours ago; Google Analytics takes none so old.", "VALUE_OUT_OF_BOUNDS"
    elif micros > now_us + _AHEAD_US:
        yield place, "The time lies in the future.", "VALUE_OUT_OF_BOUNDS"


def _properties(properties: Any) -> Iterator[Fault]:
    if properties is None:
        return
    if not isinstance(properties, dict):
        yield "user_properties", "The user properties are no object.", "VALUE_INVALID"
        return
    if len(properties) > _MOST_PROPERTIES:
        sentence = f"There are {len(properties)} user properties; Google Analytics takes up to {_MOST_PROPERTIES}."
        yield "user_properties", sentence, "EXCEEDED_MAX_ENTITIES"
    for name, holder in properties.items():
        place = f"user_properties.{name}"
        yield from _name(place, name, _LONGEST_PROPERTY_NAME, _RESERVED_PROPERTIES)
        if not isinstance(holder, dict) or "value" not in holder:
            yield place, 'A user property is written {"value": …}.', "VALUE_REQUIRED"
        elif isinstance(holder["value"], str) and len(holder["value"]) > _LONGEST_PROPERTY_VALUE:
            sentence = f"The value has {len(holder['value'])} characters; Google Analytics takes up to {_LONGEST_PROPERTY_VALUE}."
            yield f"{place}.value", sentence, "VALUE_OUT_OF_BOUNDS"
        elif isinstance(holder["value"], dict | list):
            yield f"{place}.value", "The value is neither a text nor a number.", "VALUE_INVALID"


def _event(place: str, event: Any, now_us: int) -> Iterator[Fault]:
    if not isinstance(event, dict):
        yield place, "The event is no object.", "VALUE_INVALID"
        return
    name = event.get("name")
    if not name or not isinstance(name, str):
        yield f"{place}.name", "The event has no name.", "VALUE_REQUIRED"
    else:
        yield from _name(f"{place}.name", name, _LONGEST_NAME, _RESERVED_EVENTS)
    yield from _time(f"{place}.timestamp_micros", event.get("timestamp_micros"), now_us)
    params = event.get("params", {})
    if not isinstance(params, dict):
        yield f"{place}.params", "The params are no object.", "VALUE_INVALID"
        return
    if len(params) > _MOST_PARAMS:
        yield f"{place}.params", f"There are {len(params)} params; Google Analytics takes up to {_MOST_PARAMS}.", "EXCEEDED_MAX_ENTITIES"
    for param, value in params.items():
        yield from _param(f"{place}.params.{param}", param, value)
    for needed in _NEEDED.get(str(name), ()):
        if not params.get(needed):
            yield f"{place}.params.{needed}", f"A {name} needs a {needed}.", "VALUE_REQUIRED"
    if "value" in params and "currency" not in params:
        yield f"{place}.params.currency", "A value needs a currency.", "VALUE_REQUIRED"


def _param(place: str, name: str, value: Any) -> Iterator[Fault]:
    yield from _name(place, name, _LONGEST_NAME, frozenset())
    longest = _LONG_VALUES.get(name, _LONGEST_VALUE)
    if name == "items":
        if not isinstance(value, list):
            yield place, "The items are no list.", "VALUE_INVALID"
        elif len(value) > _MOST_ITEMS:
            yield place, f"There are {len(value)} items; Google Analytics takes up to {_MOST_ITEMS}.", "EXCEEDED_MAX_ENTITIES"
    elif name == "currency" and not (isinstance(value, str) and _CURRENCY.fullmatch(value)):
        yield place, "The currency is no code of three capital letters (ISO 4217).", "VALUE_INVALID"
    elif name == "value" and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield place, "The value is no number.", "VALUE_INVALID"
    elif isinstance(value, str) and len(value) > longest:
        yield place, f"The text has {len(value)} characters; Google Analytics takes up to {longest}.", "VALUE_OUT_OF_BOUNDS"
    elif isinstance(value, dict | list):
        yield place, "Only `items` may hold a list or an object.", "VALUE_INVALID"


def _name(place: str, name: str, longest: int, reserved: frozenset[str]) -> Iterator[Fault]:
    if len(name) > longest:
        yield place, f"The name has {len(name)} characters; Google Analytics takes up to {longest}.", "NAME_INVALID"
    elif name in reserved or (name.startswith(_RESERVED_PREFIXES) and name not in _ALLOWED):
        yield place, f"The name {name} is reserved.", "NAME_RESERVED"
    elif not _NAME.fullmatch(name):
        yield place, "A name begins with a letter and has letters, digits and underscores only.", "NAME_INVALID"
