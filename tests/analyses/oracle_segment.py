"""Who is in a segment at a moment, in plain Python, one person after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.analyses.oracle_retention import matches

ELAPSED = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000}
DAYS = {"day": 1, "week": 7, "month": 30}


def members(segment: Mapping[str, Any], events: Sequence[Mapping[str, Any]], moment: datetime, zone: str) -> set[str]:
    """The people that are in it. Events at the moment itself are too late."""
    people: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        people.setdefault(event["person"], []).append(event)
    return {person for person, every in people.items() if _is_in(segment, person, every, moment, zone)}


def _is_in(segment: Mapping[str, Any], person: str, every: list[Mapping[str, Any]], moment: datetime, zone: str) -> bool:
    """Whoever has done nothing yet is in no segment."""
    return any(event["time"] < moment for event in every) and _holds(segment, person, every, moment, zone)


def _holds(part: Mapping[str, Any], person: str, every: list[Mapping[str, Any]], moment: datetime, zone: str) -> bool:
    own = [event for event in every if event["time"] < moment]

    def holds(inner: Mapping[str, Any]) -> bool:
        return _holds(inner, person, every, moment, zone)

    if "segment" in part:
        then = moment if part.get("at") is None else _end_of(part["at"], zone)
        return _is_in(part["segment"], person, every, then, zone)
    if "did" in part:
        times = _times(part["did"], part.get("within"), own, moment, zone)
        least = part.get("at_least", 0 if "at_most" in part else 1)
        return least <= len(times) <= part.get("at_most", len(times))
    if "in_order" in part:
        return _in_order(part, own, moment, zone)
    if "ids" in part:
        return person in part["ids"]
    if "property" in part:
        changes = [event for event in own if part["property"] in event.get("person_properties", {})]
        value = max(changes, key=lambda event: event["time"])["person_properties"][part["property"]] if changes else None
        return bool(value == part["value"])
    wholly = all(holds(inner) for inner in part.get("all", []))
    some = not part.get("any") or any(holds(inner) for inner in part["any"])
    return wholly and some and not any(holds(inner) for inner in part.get("not", []))


def _times(selector: Any, within: str | None, own: list[Mapping[str, Any]], moment: datetime, zone: str) -> list[datetime]:
    since = _since(within, moment, zone) if within else None
    selector = {"event": selector} if isinstance(selector, str) else selector
    return [event["time"] for event in own if matches(event, selector) and (since is None or event["time"] >= since)]


def _in_order(part: Mapping[str, Any], own: list[Mapping[str, Any]], moment: datetime, zone: str) -> bool:
    """Each start in turn, each later step as early as it can be; at one instant things happened in the order of the steps."""
    number, unit = part.get("window", "14 days").split()
    window = timedelta(seconds=int(number) * ELAPSED[unit.rstrip("s")])
    steps = [sorted(_times(selector, part.get("within"), own, moment, zone)) for selector in part["in_order"]]
    names = [selector if isinstance(selector, str) else repr(selector) for selector in part["in_order"]]
    assert len(set(names)) == len(names), "one event for two steps is left to the funnel's own oracle"
    for start in steps[0]:
        at: datetime | None = start
        for later in steps[1:]:
            at = next((time for time in later if at is not None and at <= time <= start + window), None)
        if at is not None:
            return True
    return False


def _since(within: str, moment: datetime, zone: str) -> datetime:
    number, unit = within.split()
    unit = unit.rstrip("s")
    if unit in DAYS:
        local = moment.astimezone(ZoneInfo(zone))
        return datetime.combine(local.date() - timedelta(days=int(number) * DAYS[unit]), local.timetz())
    return moment - timedelta(seconds=int(number) * ELAPSED[unit])


def _end_of(at: str, zone: str) -> datetime:
    """Of the day, or the instant itself."""
    if len(at) > 10:
        return datetime.fromisoformat(at)
    return datetime.combine(date.fromisoformat(at) + timedelta(days=1), time(), tzinfo=ZoneInfo(zone))
