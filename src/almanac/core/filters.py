"""Which events a question is about: properties, filters, selectors. Shared by every question, segment and alert."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar, Final, Literal, Protocol, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    Tag,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from almanac.core import time as times

Operator = Literal[
    "=",
    "!=",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "matches",
    ">",
    ">=",
    "<",
    "<=",
    "is_set",
    "is_not_set",
]

# Columns that every event has, by the name that a person writes after "@".
BUILT_IN: dict[str, str] = {
    "event": "event",
    "kind": "kind",
    "distinct_id": "distinct_id",
    "user_id": "user_id",
    "session_id": "session_id",
    "url": "url",
    "path": "path",
    "host": "host",
    "title": "title",
    "screen": "screen",
    "referrer": "referrer",
    "referrer_host": "referrer_host",
    "utm_source": "utm_source",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
    "utm_term": "utm_term",
    "utm_content": "utm_content",
    "channel": "channel",
    "browser": "browser",
    "browser_version": "browser_version",
    "os": "os",
    "os_version": "os_version",
    "device": "device",
    "is_bot": "is_bot",
    "country": "country",
    "region": "region",
    "city": "city",
    "library": "library",
    "protocol": "protocol",
    "currency": "currency",
    "revenue": "revenue",
    "violations": "violations",
}


class Model(BaseModel):
    """Base of everything that users write: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)

    WRITTEN: ClassVar[tuple[str, str]] = ("an object", "")  # what a value of another type should be, and how it is written


class Named(Protocol):
    """The saved metrics and segments of a project. As pydantic's context it puts them in the place of their names."""

    def metric(self, name: str) -> Mapping[str, Any]:
        """Its body. Raises `not_found`."""
        ...

    def segment(self, name: str) -> Mapping[str, Any]:
        """Its body. Raises `not_found`."""
        ...


class Filter(Model):
    """One condition on an event. `property` names an event's property, a person's (with `of: person`), a group's, or a
    built-in column with `@` (`@browser`, `@channel`, `@country`, `@path`)."""

    WRITTEN: ClassVar[tuple[str, str]] = ("a condition", 'Write it like {"property": "plan", "value": "pro"}.')

    property: str = Field(
        validation_alias=AliasChoices("property", "prop"),
        min_length=1,
        max_length=500,
        description="Property, or a built-in column as @name.",
    )
    op: Operator = Field("=", description="How to compare. `!=`, `not_in` and `not_contains` also keep events without the property.")
    value: Any = Field(None, description="What to compare with: text, number, true or false; a list for `in` and `not_in`.")
    of: Literal["event", "person", "group"] = Field("event", description="Whose property it is.")
    group_type: str = Field("", description="With `of: group`: the group's type, such as company.")

    @model_validator(mode="after")
    def _fits(self) -> Filter:
        if self.op in ("in", "not_in") and not isinstance(self.value, list):
            raise ValueError(f"{self.op} needs a list as its value")
        if self.op not in ("in", "not_in", "is_set", "is_not_set") and (self.value is None or isinstance(self.value, (list, dict))):
            raise ValueError(f"{self.op} needs one text, number or truth value")
        if self.op in (">", ">=", "<", "<=") and (isinstance(self.value, bool) or not isinstance(self.value, (int, float, str))):
            raise ValueError(f"{self.op} needs a number or a time")
        if self.of == "group" and not self.group_type:
            raise ValueError("a group's property needs group_type")
        if self.property.startswith("@") and self.property[1:] not in BUILT_IN:
            raise ValueError(f"there is no built-in column {self.property}; there are @{', @'.join(BUILT_IN)}")
        return self


class FilterGroup(Model):
    """Several conditions: `all` of them, `any` of them, or `not` one."""

    all: list[Condition] = Field(default=[], description="All of these hold.")
    any: list[Condition] = Field(default=[], description="At least one of these holds.")
    not_: list[Condition] = Field(default=[], alias="not", description="None of these holds.")


class SegmentFilter(Model):
    """Events of people who are in a segment at a moment: by default, when the question's range ends."""

    WRITTEN: ClassVar[tuple[str, str]] = ("a segment", 'Write it like {"segment": "buyers"}, with a name or the segment itself.')

    segment: SegmentOrName = Field(description="Name of a saved segment, or a segment written out.")
    at: str | None = Field(
        None,
        description="Who was in it then: a date (at the end of that day) or an instant; left out: when the question's range ends.",
        examples=["2026-01-31"],
    )

    @field_validator("at")
    @classmethod
    def _is_a_moment(cls, value: str | None) -> str | None:
        if value is not None:
            times.moment(value, "UTC")
        return value

    @field_validator("segment", mode="wrap")
    @classmethod
    def _written_out(cls, value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or info.context is None:
            return handler(value)
        named: Named = info.context
        with _no_circle("segment", value):
            return handler({**named.segment(value), "name": value})


_UNIT_SECONDS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000}
_WINDOW: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week|month)s?")

# Which form is meant, by its telling field: so a fault names that field, and no other form's.


def _condition(value: Any) -> str:
    if isinstance(value, Mapping):
        return "SegmentFilter" if "segment" in value else "FilterGroup" if {"all", "any", "not", "not_"} & set(value) else "Filter"
    return type(value).__name__ if isinstance(value, Model) else "Filter"


def _segment(value: Any) -> str:
    return "Segment" if isinstance(value, (Mapping, Model)) else "SavedSegment"


Condition = Annotated[
    Annotated[Filter, Tag("Filter")] | Annotated[FilterGroup, Tag("FilterGroup")] | Annotated[SegmentFilter, Tag("SegmentFilter")],
    Discriminator(_condition),
]


_UNDER_WAY: Final[ContextVar[tuple[tuple[str, str], ...]]] = ContextVar("_UNDER_WAY", default=())


@contextmanager
def _no_circle(kind: str, name: str) -> Iterator[None]:
    """While a definition is put in the place of its name, that name stands for nothing within it."""
    under_way = _UNDER_WAY.get()
    if (kind, name) in under_way:
        raise ValueError(f"the {kind} {name!r} is defined by itself")
    token = _UNDER_WAY.set((*under_way, (kind, name)))
    try:
        yield
    finally:
        _UNDER_WAY.reset(token)


class Selector(Model):
    """Events of one name (any event when the name is left out) that pass all filters. A bare text is a name."""

    WRITTEN: ClassVar[tuple[str, str]] = ("an event's name or an object", 'Write it like "order" or {"event": "order"}.')

    event: str | None = Field(None, description="Name of the event; left out: any event.")
    filters: list[Condition] = Field(default=[], description="Conditions that all have to hold.")
    name: str = Field("", description="What to call it in the answer; the event's name by default.")
    metric: str | None = Field(None, description="Instead of an event: the name of a saved metric, whose events are meant.")

    @model_validator(mode="wrap")
    @classmethod
    def _written_out(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if isinstance(value, str):
            value = {"event": value}
        name = value.get("metric") if isinstance(value, Mapping) else None
        if not isinstance(name, str):
            return handler(value)
        given = {key: item for key, item in value.items() if item not in (None, "", [])}
        if "event" in given:
            raise ValueError("give either an event or a metric")
        if info.context is None:
            return handler(value)
        named: Named = info.context
        with _no_circle("metric", name):
            return handler(cls._of_metric(name, named.metric(name), given))

    @classmethod
    def _of_metric(cls, name: str, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The events of a saved metric. Further filters narrow them down."""
        if body.get("formula"):
            raise ValueError(f"the metric {name!r} is a formula, which has no events of its own; name one of its parts")
        filters = [*body.get("filters", []), *given.get("filters", [])]
        return {"event": body.get("event"), "filters": filters, "name": given.get("name") or name}

    @property
    def label(self) -> str:
        """Its name in answers."""
        return self.name or self.event or "any event"


class Window(Model):
    """A length of time. A text such as '14 days' will do."""

    WRITTEN: ClassVar[tuple[str, str]] = ("a length of time", "Write it like '14 days' or '30 minutes'.")

    value: float = Field(gt=0, le=1e9, description="How many.")
    unit: Literal["second", "minute", "hour", "day", "week", "month"] = Field("day", description="Of what; a month is 30 days.")

    @property
    def microseconds(self) -> int:
        """Its length."""
        return round(self.value * _UNIT_SECONDS[self.unit] * 1_000_000)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _WINDOW.fullmatch(value.strip().lower())
        if not match:
            raise ValueError(f"{value!r} is not a length of time; write it like '14 days' or '30 minutes'")
        return {"value": float(match.group(1)), "unit": match.group(2)}


class Did(Model):
    """People who did something so many times. `at_most: 0` are those who never did."""

    did: Selector = Field(description="The events that count.")
    at_least: int = Field(1, ge=0, le=1_000_000_000, description="How many times at least; 0 when at_most is given alone.")
    at_most: int | None = Field(None, ge=0, le=1_000_000_000, description="How many times at most.")
    within: Window | None = Field(None, description="Only the last so long, such as '30 days'; left out: ever.", examples=["30 days"])

    @model_validator(mode="before")
    @classmethod
    def _from_none(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("at_most") is not None and "at_least" not in value:
            return {**value, "at_least": 0}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Did:
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most is {self.at_most}, less than at_least, {self.at_least}")
        if self.at_least == 0 and self.at_most is None:
            raise ValueError("at_least is 0, which everybody meets; give at_most too")
        return self


class DidInOrder(Model):
    """People who did several things one after another, others between them or not."""

    in_order: list[Selector] = Field(min_length=2, max_length=20, description="The events, the first one first.")
    window: Window = Field(Window(value=14, unit="day"), description="From the first to the last at most so long.", examples=["7 days"])
    within: Window | None = Field(None, description="Only the last so long, such as '90 days'; left out: ever.")


class Listed(Model):
    """People given by their ids."""

    ids: list[str] = Field(max_length=100_000, description="Distinct ids.")


class Having(Filter):
    """People by a property of their own (or, with `of: group`, of the group that their last event named)."""

    of: Literal["person", "group"] = Field("person", description="Whose property it is.")

    @model_validator(mode="after")
    def _not_of_events(self) -> Having:
        if self.property.startswith("@"):
            raise ValueError(f"{self.property} is of events, not of people; write did: with a filter")
        return self


class Segment(Model):
    """People who have something in common. All of `all` hold, at least one of `any`, none of `not`. A segment may hold others."""

    WRITTEN: ClassVar[tuple[str, str]] = ("a segment", 'Write it like {"all": [{"did": "order", "at_least": 2}]}.')

    name: str = Field("", max_length=200, description="What to call it in answers.")
    all: list[SegmentPart] = Field(default=[], max_length=50, description="All of these hold.")
    any: list[SegmentPart] = Field(default=[], max_length=50, description="At least one of these holds.")
    not_: list[SegmentPart] = Field(default=[], max_length=50, alias="not", description="None of these holds.")

    @model_validator(mode="after")
    def _says_something(self) -> Segment:
        if not (self.all or self.any or self.not_):
            raise ValueError("a segment needs at least one condition, in all, any or not")
        return self


_PARTS: Final = {
    "did": "Did",
    "in_order": "DidInOrder",
    "ids": "Listed",
    "property": "Having",
    "prop": "Having",
    "segment": "SegmentFilter",
}


def _part(value: Any) -> str:
    if isinstance(value, Mapping):
        return next((form for name, form in _PARTS.items() if name in value), "Segment")
    return type(value).__name__ if isinstance(value, Model) else "Segment"


SegmentPart = Annotated[
    Annotated[Did, Tag("Did")]
    | Annotated[DidInOrder, Tag("DidInOrder")]
    | Annotated[Listed, Tag("Listed")]
    | Annotated[Having, Tag("Having")]
    | Annotated[SegmentFilter, Tag("SegmentFilter")]
    | Annotated[Segment, Tag("Segment")],
    Discriminator(_part),
]
SegmentOrName = Annotated[Annotated[str, Tag("SavedSegment")] | Annotated[Segment, Tag("Segment")], Discriminator(_segment)]
for _model in (FilterGroup, SegmentFilter, Selector, Did, DidInOrder, Segment):
    _model.model_rebuild()


class Breakdown(Model):
    """Splits an answer by a property, or by segments. A bare text is an event's property or a built-in column."""

    WRITTEN: ClassVar[tuple[str, str]] = ("a property's name or an object", 'Write it like "plan" or {"property": "plan", "limit": 5}.')

    property: str = Field("", validation_alias=AliasChoices("property", "prop"), max_length=500, description="As in a filter.")
    segments: list[SegmentFilter] = Field(
        default=[], max_length=20, description="Instead of a property: each person belongs to the first of these that fits."
    )
    of: Literal["event", "person", "group"] = Field("event", validation_alias=AliasChoices("of", "by"), description="Whose property it is.")
    group_type: str = Field("", description="With `of: group`: the group's type.")
    limit: int = Field(10, ge=1, le=500, description="How many of the biggest values to show; the rest is one group, 'Other'.")

    @model_validator(mode="before")
    @classmethod
    def _user_is_person(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"property": value}
        if isinstance(value, dict) and value.get("by") == "user":
            return {**value, "by": "person"}
        return value

    @model_validator(mode="after")
    def _by_something(self) -> Breakdown:
        if bool(self.property) == bool(self.segments):
            raise ValueError("give a property or segments")
        return self


# Label of the events without the property, and of the values beyond the limit.
NO_VALUE = ""
OTHER = "Other"
