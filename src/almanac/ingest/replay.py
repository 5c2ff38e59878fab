"""Decodes the original of a dead letter again, through the door that it came by."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from almanac.core.errors import AlmanacError, not_found
from almanac.core.event import LINE_DECODER, DeadLetter, Event, Kind, dead_letter
from almanac.core.ports import Catalog
from almanac.core.settings import Settings
from almanac.ingest.call import Call
from almanac.ingest.dead_letters import Decode
from almanac.ingest.keys import Grant, Held, held_of
from almanac.ingest.protocols import Routes, registry
from almanac.ingest.tracking import AGAINST_PLAN
from almanac.ingest.tracking_plans import Plans


class _OneProject:
    """Grants everything to the dead letter's project: its key was checked when it came."""

    def __init__(self, project: str, catalog: Catalog | None) -> None:
        self._grant = Grant(project, 0)
        self._catalog = catalog

    def grant(self, secret: str) -> Grant:
        """See `KeyRing.grant`."""
        return self._grant

    def source(self, project: str, name: str) -> Held:
        """See `KeyRing.source`."""
        if self._catalog is None:
            raise not_found(f"There is no source {name!r}.")
        return held_of(self._catalog, project, name)


def decode(settings: Settings, project: str, protocol: str, original: str, *, catalog: Catalog | None = None) -> Sequence[Event]:
    """The events of one original, or one dead letter that says what is wrong with it now. `catalog`: where sources of deliveries are.

    What the collector had taken and the store refused is a line of the log; anything else is a message in the sender's own form."""
    received_us = time.time_ns() // 1000
    line = _line(original)
    if line is not None and line.project == project and line.kind != Kind.DEAD_LETTER:
        line.received_us = received_us
        return [line]
    door = registry().get(protocol) or registry()["native"]
    path, before, behind = door.replay
    call = Call(
        method="POST",
        scheme="http",
        path=path,
        query={},
        headers={b"content-type": b"application/json"},
        peer="",
        received_us=received_us,
        settings=settings,
        keys=_OneProject(project, catalog),
    )
    call.body, call.protocol = before + original.encode("utf-8", "surrogatepass") + behind, door.name
    routes, call.params = Routes(iter([door])).of(path)
    try:
        route = next(route for _, route in routes if route.method == "POST")
        route.handle(call)
    except AlmanacError as error:
        return [dead_letter(project, received_us, DeadLetter("decode", error.code.value, str(error), original), protocol)]
    return call.events


def judged(decode: Decode, plans: Callable[[], Plans]) -> Decode:
    """`decode` which also says what the load would reject by the plan in force."""

    def decoded(project: str, protocol: str, original: str) -> Sequence[Event]:
        in_force = plans()
        return [_judged(event, in_force, original) for event in decode(project, protocol, original)]

    return decoded


def _judged(event: Event, plans: Plans, original: str) -> Event:
    entry = plans.entry_of(event)
    faults = entry.faults(bytes(event.properties).decode("utf-8", "replace")) if entry is not None and entry.mode == "reject" else ()
    if entry is None or not faults:
        return event
    letter = DeadLetter("plan", AGAINST_PLAN, entry.sentence(faults), original)
    return dead_letter(event.project, event.received_us, letter, event.protocol)


def _line(original: str) -> Event | None:
    try:
        return LINE_DECODER.decode(original)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
