"""One exported event: the form in which events leave and come back without loss.

A line of NDJSON (or a row of CSV or Parquet, nested values as JSON text) holds everything that the sender said and when it was received,
under the names below. What the load works out from that (browser, country, channel …) is not in it: the load works it out again.
`time` is for people; an import takes `client_time`, `sent_time` and `received` and comes to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from almanac.core.event import EMPTY, Event, Merge, Raw


class Exported(msgspec.Struct, omit_defaults=True):
    """An event with its id, times, ids of the person, properties and circumstances. Fields are those of `Event`."""

    event_id: str
    event: str
    time: str  # as questions see it, after the correction of the sender's clock; ISO 8601, UTC, like all times here
    kind: str
    received: str
    client_time: str = ""
    sent_time: str = ""
    keep_time: bool = False
    distinct_id: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    device_id: str = ""
    merges: list[Merge] = []
    session_id: str = ""
    window_id: str = ""
    groups: Raw = EMPTY
    properties: Raw = EMPTY
    profile: Raw = EMPTY
    group_profile: Raw = EMPTY
    url: str = ""
    title: str = ""
    referrer: str = ""
    screen: str = ""
    ip: str = ""
    user_agent: str = ""
    library: str = ""
    library_version: str = ""
    context: Raw = EMPTY
    flags: Raw = EMPTY
    rest: Raw = EMPTY
    protocol: str = "native"
    is_server: bool = False
    campaign: str = ""


FIELDS: Final[tuple[str, ...]] = Exported.__struct_fields__
NESTED: Final = frozenset({"merges", "groups", "properties", "profile", "group_profile", "context", "flags", "rest"})
TRUTHS: Final = frozenset({"keep_time", "is_server"})
SIGNS: Final = frozenset({"event_id", "received", "kind"})  # no other format has these three

_DECODER: Final = msgspec.json.Decoder(Exported)
_SAME: Final = tuple(name for name in FIELDS if name in Event.__struct_fields__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def event_of(text: bytes, project: str) -> Event:
    """The event of one line, as an event of `project`. Raises `ValueError` (msgspec's among them) with what is wrong."""
    line = _DECODER.decode(text)
    given = {name: getattr(line, name) for name in _SAME}
    return Event(project=project, name=line.event, received_us=microseconds(line.received), **given)


def text_of(cells: Mapping[str, Any]) -> bytes:
    """A row of a table as a line of NDJSON. Raises `ValueError`."""
    line: dict[str, Any] = {}
    for name in FIELDS:
        cell = cells.get(name)
        if cell is None or cell == "":
            continue
        if name in NESTED:
            line[name] = msgspec.Raw(str(cell).encode())
        elif name in TRUTHS:
            line[name] = str(cell).lower() in ("true", "1")
        else:
            line[name] = str(cell)
    return msgspec.json.encode(line)


def microseconds(text: str) -> int:
    """An ISO time as microseconds since 1970; without an offset it is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
