"""The tracking plan: what events are to look like, and how one is judged.

A plan has one entry an event's name: a JSON Schema of its properties, whose it is, and what happens to an event that does not fit:
`observe` counts it, `stamp` stores it with a mark, `reject` makes it a dead letter. The entry `*` stands for all other events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind
from pydantic import Field, model_validator

from almanac.core.filters import Model
from almanac.ingest.tracking_schema import compiled

Mode = Literal["observe", "stamp", "reject"]

OTHERS: Final = "*"  # the name of the entry for events that have none of their own
AGAINST_PLAN: Final = "against_plan"  # the reason of dead letters
UNPLANNED: Final = "unplanned"  # the rule that such an event breaks, where the entry has no schema
UNREADABLE: Final = "unreadable"  # the rule that properties break which are no JSON to us, such as a number beyond all floats
MOST_FAULTS: Final = 20  # of one event
_LONGEST_PROPERTY: Final = 200
_LONGEST_MARK: Final = 500
# What PostHog's SDKs put among the properties of every event, beside names that begin with a dollar sign.
_OF_SDKS: Final = frozenset({"token", "distinct_id"})
_DECODE: Final = msgspec.json.Decoder().decode


class EventPlan(Model):
    """What events of one name are to look like."""

    description: str = Field("", max_length=2000, description="What it says when this event comes, in words.")
    owner: str = Field("", max_length=200, description="Who answers for it.")
    mode: Mode = Field("observe", description="What happens to an event that does not fit: counted, marked, or kept as a dead letter.")
    rules: dict[str, Any] | None = Field(
        None,
        alias="schema",
        description="JSON Schema (draft 2020-12) of its properties; left out: any properties are right. "
        "For the entry `*`, left out: an event without an entry is wrong by being one.",
    )

    @model_validator(mode="after")
    def _is_a_schema(self) -> EventPlan:
        if self.rules is not None:
            compiled(self.rules)
        return self


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an event. `property`: path of the property with dots, `[]` for an element of a list, "" for all of
    them; `rule`: the word of JSON Schema; `wanted`: what the schema says there, shortened."""

    property: str
    rule: str
    wanted: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.property}:" if self.property else "", self.rule, self.wanted) if part)


Faults = tuple[Fault, ...]


@dataclass(frozen=True)
class Entry:
    """One entry of a plan in force. `version`: of its definition."""

    event: str
    version: int
    mode: Mode
    schema: Mapping[str, Any] | None

    @cached_property
    def _validator(self) -> Draft202012Validator | None:
        return None if self.schema is None else compiled(self.schema)

    @cached_property
    def _named(self) -> frozenset[str]:
        """Properties that the schema speaks of."""
        properties = (self.schema or {}).get("properties", {})
        return frozenset(properties) | frozenset((self.schema or {}).get("required", ()))

    @property
    def judges(self) -> bool:
        """Whether any event can be wrong."""
        return self.schema is not None or self.event == OTHERS

    def compile(self) -> None:
        """Makes ready to judge. Raises `invalid` for a schema that cannot be read."""
        _ = self._validator

    def sentence(self, faults: Faults) -> str:
        """What is wrong, for a person."""
        return f"It does not fit version {self.version} of the plan of {self.event!r}: {'; '.join(map(str, faults))}."

    def faults(self, properties: str) -> Faults:
        """What is wrong with an event of these properties (JSON text): none, the first `MOST_FAULTS` in a steady order otherwise.

        Names of SDKs' own (with a dollar sign, and PostHog's `token` and `distinct_id`) count only where the schema names them."""
        if self._validator is None:
            return (Fault("", UNPLANNED),) if self.event == OTHERS else ()
        try:
            value = instance(properties, self._named)
        except (msgspec.DecodeError, RecursionError):
            return (Fault("", UNREADABLE),)
        if self._validator.is_valid(value):
            return ()
        found = {fault for error in self._validator.iter_errors(value) for fault in _faults(error, self.schema)}
        return tuple(sorted(found, key=lambda fault: (fault.property, fault.rule, fault.wanted))[:MOST_FAULTS])


def instance(properties: str, named: frozenset[str] = frozenset()) -> Any:
    """What is judged of an event's properties (JSON text): all but names of SDKs' own that are not `named`. Raises what msgspec raises."""
    value = _DECODE(properties)
    if '"$' not in properties or not isinstance(value, dict):
        return value
    of_posthog = "$lib" in value
    return {name: item for name, item in value.items() if name in named or not (name.startswith("$") or (of_posthog and name in _OF_SDKS))}


def mark(faults: Faults) -> str:
    """What a stamped event carries: property and rule of each fault, such as `currency: required; total: type`."""
    return "; ".join(f"{fault.property}: {fault.rule}" if fault.property else fault.rule for fault in faults)[:_LONGEST_MARK]


def _faults(error: ValidationError, schema: Any) -> Sequence[Fault]:
    """What an error of the validator says, a fault for each property that is meant."""
    path = [f"{step}" if isinstance(step, str) else "[]" for step in error.instance_path]
    kind = error.kind
    # `contains` and `required` stand for minContains, maxContains and dependentRequired too.
    rule = str(error.schema_path[-1]) if kind.name in ("contains", "required") else kind.name
    if isinstance(kind, ValidationErrorKind.Required):
        return [Fault(_joined([*path, kind.property]), rule)]
    if isinstance(kind, (ValidationErrorKind.AdditionalProperties, ValidationErrorKind.UnevaluatedProperties)):
        return [Fault(_joined([*path, name]), rule) for name in kind.unexpected]
    return [Fault(_joined(path), rule, _wanted(schema, error.schema_path))]


def _joined(path: Sequence[str]) -> str:
    return ".".join(path).replace(".[]", "[]")[:_LONGEST_PROPERTY]


def _wanted(schema: Any, path: Sequence[str | int]) -> str:
    """What the schema says at this path, as JSON; "" where it is long, or behind a reference."""
    for step in path:
        try:
            schema = schema[step]
        except (KeyError, IndexError, TypeError):
            return ""
    if isinstance(schema, (dict, bool)):
        return ""
    text = json.dumps(schema, ensure_ascii=False)
    return text if len(text) <= 100 else ""
