"""What a number means: the events that it is made of, and what is reckoned from them.

One language for charts, alerts, experiments and exports: a line of a trend and a saved metric are the same thing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import AliasChoices, Field, model_validator

from almanac.core import formula
from almanac.core.filters import BUILT_IN, Model, Selector, Window

Measure = Literal["count", "unique", "sum", "average", "min", "max", "median", "quantile", "count_per_person"]

NUMERIC: Final = ("sum", "average", "min", "max", "median", "quantile")  # measures of a numeric property
ZERO_WHEN_EMPTY: Final = ("count", "unique", "sum")
OF_PEOPLE: Final = ("average", "min", "max", "median", "quantile")  # measures of one value for each person
_OTHER_WORDS: Final = {"total": "count", "unique_users": "unique", "dau": "unique", "avg": "average", "mean": "average", "p50": "median"}
_ROLLING_WORDS: Final = {"weekly_active": 7, "monthly_active": 30}
_ROLLING_WORD: Final = re.compile(r"rolling_(\d{1,3})_day_active_(?:users|people)")
_MOST_PARTS: Final = 26


class Measured(Selector):
    """Events of one kind and what to reckon from them; or a formula over such. A bare text is an event's name."""

    @property
    def label(self) -> str:
        """Its name in answers."""
        return self.name or self.formula or super().label

    measure: Measure = Field(
        "count", description="What to reckon. Also: avg, unique_users, weekly_active, monthly_active, and p75, p90, p95, p99 for quantiles."
    )
    property: str | None = Field(
        None,
        max_length=500,
        validation_alias=AliasChoices("property", "prop"),
        description="For sum to quantile: the numeric property, or @revenue.",
    )
    quantile: float = Field(0.95, ge=0, le=1, description="For the measure quantile: which one, from 0 to 1.")
    per: Literal["event", "person"] = Field(
        "event", description="person: average to quantile are of one value for each person: the sum of the property, or how many events."
    )
    over: Window | None = Field(
        None,
        description="For count, unique and sum: over the so long that ends with each period (rolling), not over the period.",
        examples=["7 days"],
    )
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
        if days := _rolling_days(measure):
            return {**value, "measure": "unique", "over": f"{days} days"}
        return {**value, "measure": _OTHER_WORDS.get(measure, measure)}

    @classmethod
    def _of_metric(cls, name: str, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """A saved metric as this. Further filters narrow it down."""
        own = {"name", "filters", "metric", "hidden"}
        if more := sorted(set(given) - own):
            raise ValueError(f"{more[0]} is the metric's to say; leave it out, or leave out metric")
        narrowed = _narrowed(body, given.get("filters", []))
        fields = {key: value for key, value in narrowed.items() if key in Measured.model_fields or key == "prop"}
        shown = {"hidden": given["hidden"]} if "hidden" in given else {}
        return {**fields, **shown, "name": given.get("name") or name}

    @model_validator(mode="after")
    def _makes_sense(self) -> Measured:
        if self.formula:
            self._formula_makes_sense()
            return self
        if self.of:
            raise ValueError("of goes with a formula")
        if self.property and self.property.startswith("@") and self.property[1:] not in BUILT_IN:
            raise ValueError(f"there is no built-in column {self.property}; there are @{', @'.join(BUILT_IN)}")
        if self.per == "person" and self.measure not in OF_PEOPLE:
            raise ValueError(f"per person goes with {', '.join(OF_PEOPLE)}, not with {self.measure}")
        if self.measure in NUMERIC and not self.property and self.per == "event":
            raise ValueError(f"the measure {self.measure} needs a property{', or per: person' if self.measure in OF_PEOPLE else ''}")
        if self.over is not None and self.measure not in ZERO_WHEN_EMPTY:
            raise ValueError(f"over goes with {', '.join(ZERO_WHEN_EMPTY)}, not with {self.measure}; divide two of these by a formula")
        return self

    def _formula_makes_sense(self) -> None:
        fields = type(self).model_fields
        if any(getattr(self, name) != fields[name].default for name in ("event", "filters", "measure", "property", "per", "over")):
            raise ValueError("a formula has no event, filters, measure, property, per or over of its own; its parts have them")
        names = formula.parse(self.formula).names
        if not names:
            raise ValueError(f"the formula {self.formula!r} names nothing to reckon with")
        if self.of and (missing := names - set(self.of)):
            raise ValueError(f"the formula names {', '.join(sorted(missing))}, which `of` does not say")
        if bare := [name for name, part in self.of.items() if part.formula and not part.of]:
            raise ValueError(f"{bare[0]} is a formula within a formula and needs its own `of`")


def _narrowed(body: Mapping[str, Any] | str, filters: Sequence[Any]) -> dict[str, Any]:
    """What is filtered of a formula are its parts. A bare text is an event's name."""
    if isinstance(body, str):
        return {"event": body, "filters": [*filters]}
    if body.get("formula"):
        return {**body, "of": {name: _narrowed(part, filters) for name, part in body.get("of", {}).items()}}
    return {**body, "filters": [*body.get("filters", []), *filters]}


def _rolling_days(measure: str) -> int:
    match = _ROLLING_WORD.fullmatch(measure)
    return int(match[1]) if match else _ROLLING_WORDS.get(measure, 0)


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

    @classmethod
    def _of_metric(cls, name: str, body: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """A saved metric with all that is said of it, its checks too."""
        own = {key: value for key, value in body.items() if key in cls.model_fields and key not in Measured.model_fields}
        return {**super()._of_metric(name, body, given), **own}

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
