"""Which events a question is about: properties, filters, selectors. Shared by every question, segment and alert."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

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
}


class Model(BaseModel):
    """Base of everything that users write: unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Filter(Model):
    """One condition on an event. `property` names an event's property, a person's (with `of: person`), a group's, or a
    built-in column with `@` (`@browser`, `@channel`, `@country`, `@path`)."""

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


Condition = Annotated[Filter | FilterGroup, Field(union_mode="left_to_right")]
FilterGroup.model_rebuild()


class Selector(Model):
    """Events of one name (any event when the name is left out) that pass all filters. A bare text is a name."""

    event: str | None = Field(None, description="Name of the event; left out: any event.")
    filters: list[Condition] = Field(default=[], description="Conditions that all have to hold.")
    name: str = Field("", description="What to call it in the answer; the event's name by default.")

    @property
    def label(self) -> str:
        """Its name in answers."""
        return self.name or self.event or "any event"


def _from_text(value: Any) -> Any:
    return {"event": value} if isinstance(value, str) else value


EventSelector = Annotated[Selector, BeforeValidator(_from_text)]


class Breakdown(Model):
    """Splits an answer by a property. A bare text is an event's property or a built-in column."""

    property: str = Field(validation_alias=AliasChoices("property", "prop"), min_length=1, max_length=500, description="As in a filter.")
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


# Label of the events without the property, and of the values beyond the limit.
NO_VALUE = ""
OTHER = "Other"
