"""What a number means: the events that it is made of, and what is reckoned from them.

One language for charts, alerts, experiments and exports: a line of a trend and a saved metric are the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import AliasChoices, Field, model_validator

from almanac.core import formula
from almanac.core.filters import Model, Selector, Window

Measure = Literal["count", "unique", "sum", "average", "min", "max", "median", "quantile", "count_per_person"]

NUMERIC: Final = ("sum", "average", "min", "max", "median", "quantile")  # measures of a numeric property
ZERO_WHEN_EMPTY: Final = ("count", "unique", "sum")
_OTHER_WORDS: Final = {"total": "count", "unique_users": "unique", "avg": "average", "mean": "average", "p50": "median"}
_MOST_PARTS: Final = 26


class Measured(Selector):
    """Events of one kind and what to reckon from them; or a formula over such. A bare text is an event's name."""

    measure: Measure = Field("count", description="What to reckon. Also: avg, unique_users, and p75, p90, p95, p99 for quantiles.")
    property: str | None = Field(
        None, validation_alias=AliasChoices("property", "prop"), description="For sum to quantile: the numeric property, or @revenue."
    )
    quantile: float = Field(0.95, ge=0, le=1, description="For the measure quantile: which one, from 0 to 1.")
    formula: str = Field(
        "", max_length=formula.MOST_LETTERS, description="Instead of events: arithmetic over the parts in `of`.", examples=["A / B"]
    )
    of: dict[str, Measured] = Field(default={}, max_length=_MOST_PARTS, description="The parts of the formula, by their names in it.")

    @model_validator(mode="before")
    @classmethod
    def _familiar_words(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("measure"), str):
            return value
        measure = value["measure"]
        if measure[:1] == "p" and measure[1:] in ("75", "90", "95", "99"):
            return {**value, "measure": "quantile", "quantile": int(measure[1:]) / 100}
        return {**value, "measure": _OTHER_WORDS.get(measure, measure)}

    @classmethod
    def _of_metric(cls, name: str, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """A saved metric as this. Further filters narrow it down."""
        own = {"name", "filters", "metric"}
        if more := sorted(set(given) - own):
            raise ValueError(f"{more[0]} is the metric's to say; leave it out, or leave out metric")
        fields = {key: value for key, value in body.items() if key in Measured.model_fields or key == "prop"}
        return {**fields, "filters": [*body.get("filters", []), *given.get("filters", [])], "name": given.get("name") or name}

    @model_validator(mode="after")
    def _makes_sense(self) -> Measured:
        if self.measure in NUMERIC and not self.property and not self.formula:
            raise ValueError(f"the measure {self.measure} needs a property")
        if self.formula:
            if self.event is not None or self.property or self.measure != "count":
                raise ValueError("a formula has no event, measure or property of its own; its parts have them")
            missing = formula.parse(self.formula).names - set(self.of)
            if self.of and missing:
                raise ValueError(f"the formula names {', '.join(sorted(missing))}, which `of` does not say")
        elif self.of:
            raise ValueError("of goes with a formula")
        return self


class Checks(Model):
    """What makes the numbers of a metric believable."""

    fresh_within: Window | None = Field(None, description="The latest event is at most so old.", examples=["1 day"])
    complete: float | None = Field(None, gt=0, le=1, description="At least so great a share of the events has the property, 0 to 1.")
    least: float | None = Field(None, description="No value of the property (or of the metric itself, when it has none) is below this.")
    most: float | None = Field(None, description="No value of the property (or of the metric itself, when it has none) is above this.")

    @model_validator(mode="after")
    def _fits(self) -> Checks:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least is {self.least:g}, more than most, {self.most:g}")
        return self


class Metric(Measured):
    """A number that a team goes by, under a name that every question, alert, experiment and export takes."""

    description: str = Field("", max_length=2000, description="What it says, in words.")
    unit: str = Field("", max_length=50, description="What it is counted in: EUR, orders, s, %.")
    owner: str = Field("", max_length=200, description="Who answers for it.")
    direction: Literal["up", "down"] = Field("up", description="Which way is better.")
    target: float | None = Field(None, description="What it should reach.")
    checks: Checks = Field(Checks(), description="What makes its numbers believable.")

    @model_validator(mode="after")
    def _stands_alone(self) -> Metric:
        if self.formula and not self.of:
            raise ValueError("the formula of a metric needs its parts, in `of`")
        return self


def parts(measured: Sequence[Measured]) -> list[Measured]:
    """What is to be read from events for these: formulas taken apart, each part once."""
    found: list[Measured] = []
    for one in measured:
        for part in parts(list(one.of.values())) if one.formula else [one]:
            if part not in found:
                found.append(part)
    return found
