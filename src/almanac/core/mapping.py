"""How foreign messages become events: which value of a message is which part of an event."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from almanac.core.filters import Model
from almanac.core.picks import compiled

MOST_NAMES: Final = 200  # of properties, of groups
_LONGEST_NAME: Final = 200

Pick = Annotated[str | list[str] | None, Field(description="A pick.")]
Picks = Annotated[dict[str, str | list[str]], Field(max_length=MOST_NAMES)]

SINGLE: Final = (
    "event", "id", "time", "user_id", "anonymous_id", "distinct_id", "session_id", "url", "revenue", "currency",
)  # fmt: skip
SEVERAL: Final = ("properties", "person", "groups")


class Mapping(Model):
    """Which value of a message is which part of an event. Each value is a pick: a path such as `$.data.id`, `header:NAME`, `=a constant`, a
    text with picks in braces, or a list of these, of which the first that finds something counts."""

    each: str | None = Field(
        None, max_length=500, description="Path of a list in the message: each of its elements is an event, and other paths begin there."
    )
    event: Pick = Field(None, description="Name of the event.")
    id: Pick = Field(None, description="What makes a second delivery of the same event harmless.")
    time: Pick = Field(None, description="When it happened: ISO 8601, or a number since 1970; left out or not found: when it is received.")
    user_id: Pick = Field(None, description="Who did it, by the id that your own events use.")
    anonymous_id: Pick = Field(None, description="Who did it, by an id from before the sign-in.")
    distinct_id: Pick = Field(None, description="Who did it, by an id of neither kind.")
    session_id: Pick = Field(None, description="Session that it belongs to.")
    url: Pick = Field(None, description="Address of the page.")
    revenue: Pick = Field(None, description="Amount of money, a number.")
    currency: Pick = Field(None, description="Its currency, as ISO 4217 says it.")
    minor_units: bool = Field(False, description="The amount is in the currency's smallest unit, such as cents.")
    properties: Picks = Field({}, description="Properties of the event by their names.")
    person: Picks = Field({}, description="Properties of the person by their names, set with the event.")
    groups: Picks = Field({}, description="Groups that the event belongs to, by the groups' types.")
    others: Literal["rest", "properties"] = Field(
        "rest", description="Where the part of the message goes that nothing here takes: beside the event, or among its properties."
    )

    @field_validator(*SINGLE)
    @classmethod
    def _is_a_pick(cls, written: str | list[str] | None) -> str | list[str] | None:
        if written is not None:
            compiled(written)
        return written

    @field_validator(*SEVERAL)
    @classmethod
    def _are_picks(cls, written: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        for name, pick in written.items():
            if not 1 <= len(name) <= _LONGEST_NAME:
                raise ValueError(f"a name has from 1 to {_LONGEST_NAME} letters")
            compiled(pick)
        return written

    @field_validator("each")
    @classmethod
    def _is_a_path(cls, written: str | None) -> str | None:
        if written is not None and (not written.startswith("$") or len(compiled(written)) != 1):
            raise ValueError("each is a path such as $.events")
        return written

    @model_validator(mode="after")
    def _revenue_is_one(self) -> Mapping:
        taken = {"revenue", "currency"} & set(self.properties)
        if taken and (self.revenue is not None or self.currency is not None):
            raise ValueError(f"{min(taken)} is a field of its own; leave it out of the properties")
        return self

    def over(self, base: Mapping) -> Mapping:
        """This mapping, with what it leaves out as in `base`; names within properties, person and groups are taken one by one."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        whole = {name: getattr(base, name) for name in type(base).model_fields}
        for name in SEVERAL:
            said[name] = {**getattr(base, name), **getattr(self, name)}
        return Mapping.model_validate({**whole, **said})
