"""A tracking plan beside the events that are there: a draft of one from what was seen, and how stored events would fare under one.

Both read a sample of each event's properties, and change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from almanac.core.ports import EventStore, Limits
from almanac.core.sql import sql
from almanac.ingest.tracking import OTHERS, Entry, Fault, instance

_LIMITS: Final = Limits(seconds=20.0, memory_bytes=512 << 20, priority=3)
_MOST_NAMES: Final = 500
_DEEPEST: Final = 4  # levels of objects that a draft describes

_NAMES: Final = """
SELECT event, kind, count() AS events
FROM events
WHERE project = {project:String} AND day >= {since:Date} AND ({event:String} = '' OR event = {event:String})
GROUP BY event, kind
ORDER BY events DESC, event, kind
LIMIT {names:UInt32}
"""

_SAMPLE: Final = """
SELECT if(properties_exact != '', properties_exact, toJSONString(properties)) AS text
FROM events
WHERE project = {project:String} AND event = {event:String} AND kind = {kind:String} AND day >= {since:Date}
ORDER BY day DESC
LIMIT {sample:UInt32}
SETTINGS output_format_json_escape_forward_slashes = 0, json_type_escape_dots_in_keys = 1
"""

_TYPES: Final = """
SELECT event, property, groupUniqArray(100)(type) AS types
FROM event_properties
WHERE project = {project:String} AND ({event:String} = '' OR event = {event:String})
GROUP BY event, property
ORDER BY event, property
LIMIT 100000
"""

# The engine's types as those of JSON Schema; of others a draft says nothing.
_TYPE_OF: Final = (
    ("String", "string"),
    ("Int", "integer"),
    ("UInt", "integer"),
    ("Float", "number"),
    ("Bool", "boolean"),
    ("Array", "array"),
)


def draft(store: EventStore, project: str, *, since: date, event: str = "", sample: int = 1000) -> dict[str, Any]:
    """A file of `almanac apply` with an entry for each event's name that came since that day, in the mode observe: the types of all
    properties that were ever seen, and as required those that each event of the sample has. Every event of the sample fits it."""
    seen: dict[str, dict[str, Sequence[str]]] = {}
    for name, property_, types in store.query(sql(_TYPES, {"project": project, "event": event}), limits=_LIMITS).rows:
        seen.setdefault(name, {})[property_] = types
    samples: dict[str, list[Any]] = {}
    for name, kind, _ in _names(store, project, since, event):
        if not name.startswith("$") and kind == "track":
            samples[name] = list(_instances(_sample(store, project, name, kind, since, sample)))
    schemas = {name: _with_seen(_described(values), seen.get(name, {})) for name, values in samples.items()}
    return {"plans": {name: {"mode": "observe", "schema": schema} for name, schema in schemas.items()}}


def check(
    store: EventStore, project: str, plan: Mapping[str, Entry], *, since: date, event: str = "", sample: int = 1000
) -> list[dict[str, Any]]:
    """How stored events would fare under a plan, by event's name: `event`, `mode`, `events` (since that day), `checked` (of the sample),
    `failed`, and `violations` with `property`, `rule`, `wanted`, `count` and an `example` of properties. Names without an entry have
    the mode "none"."""
    found: list[dict[str, Any]] = []
    for name, kind, events in _names(store, project, since, event):
        tracked = kind == "track" and not name.startswith("$")
        entry = plan.get(name) or (plan.get(OTHERS) if tracked else None)
        if entry is None:
            found.append({"event": name, "kind": kind, "mode": "none", "events": events, "checked": 0, "failed": 0, "violations": []})
            continue
        counts: Counter[Fault] = Counter()
        examples: dict[Fault, str] = {}
        checked = failed = 0
        for text in _sample(store, project, name, kind, since, sample):
            faults = entry.faults(text)
            checked += 1
            failed += bool(faults)
            for fault in faults:
                counts[fault] += 1
                examples.setdefault(fault, text[:1000])
        violations = [
            {"property": fault.property, "rule": fault.rule, "wanted": fault.wanted, "count": count, "example": examples[fault]}
            for fault, count in counts.most_common()
        ]
        found.append(
            {
                "event": name,
                "kind": kind,
                "mode": entry.mode,
                "events": events,
                "checked": checked,
                "failed": failed,
                "violations": violations,
            }
        )
    return found


def _names(store: EventStore, project: str, since: date, event: str) -> list[tuple[str, str, int]]:
    values = {"project": project, "since": since, "event": event, "names": _MOST_NAMES}
    return [(str(name), str(kind), int(count)) for name, kind, count in store.query(sql(_NAMES, values), limits=_LIMITS).rows]


def _sample(store: EventStore, project: str, event: str, kind: str, since: date, sample: int) -> Iterator[str]:
    values = {"project": project, "event": event, "kind": kind, "since": since, "sample": sample}
    for block in store.blocks(sql(_SAMPLE, values), limits=_LIMITS):
        yield from (str(row[0]) for row in block.rows)


def _instances(texts: Iterator[str]) -> Iterator[Any]:
    for text in texts:
        try:
            yield instance(text)
        except (msgspec.DecodeError, RecursionError):  # to the engine it was JSON
            continue


# ------------------------------------------------------------------ the draft


def _described(values: Sequence[Any], level: int = 0) -> dict[str, Any]:
    """A schema that all these values fit."""
    types = {_type(value) for value in values}
    schema: dict[str, Any] = _typed(types)
    objects = [value for value in values if isinstance(value, dict)]
    if objects and level < _DEEPEST:
        counts = Counter(name for value in objects for name in value)
        schema["properties"] = {name: _described([value[name] for value in objects if name in value], level + 1) for name in sorted(counts)}
        if required := sorted(name for name, count in counts.items() if count == len(objects)):
            schema["required"] = required
    elements = [item for value in values if isinstance(value, list) for item in value]
    if elements and level < _DEEPEST:
        schema["items"] = _described(elements, level + 1)
    return schema


def _typed(types: set[str]) -> dict[str, Any]:
    names = sorted(types - {"integer"} if "number" in types else types)
    return {"type": names[0] if len(names) == 1 else names} if names else {}


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (dict, "object"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "null"


def _with_seen(schema: dict[str, Any], seen: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The schema widened by what the catalog of properties knows beyond the sample."""
    for path, types in seen.items():
        names = [name.replace("%2E", ".") for name in path.split(".")]
        if names[0].startswith("$") or len(names) > _DEEPEST:
            continue
        part = schema
        for name in names[:-1]:
            part = part.setdefault("properties", {}).setdefault(name, {"type": "object"})
            if "object" not in _types(part):
                part |= _typed({*_types(part), "object"})
        leaf = part.setdefault("properties", {}).setdefault(names[-1], {})
        known = {_name(type_) for type_ in types}
        if "" in known:
            leaf.pop("type", None)
        elif leaf or known:
            leaf |= _typed({*_types(leaf), *known})
    return schema


def _types(schema: Mapping[str, Any]) -> list[str]:
    found = schema.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _name(type_: str) -> str:
    """The word of JSON Schema for a type of the engine; "" when there is none."""
    return next((name for begin, name in _TYPE_OF if type_.startswith(begin)), "")
