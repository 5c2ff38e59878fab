"""The metrics of experiments: what is compared, a saved metric of the project as one, and the numbers of each person in SQL."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, model_validator

from almanac.core import formula
from almanac.core.analysis import Scope
from almanac.core.filters import Filter, Model, Named, Selector, Window
from almanac.core.metrics import Measured
from almanac.core.sql import Sql, identifier, join, sql
from almanac.core.sql import number as _number

MetricType = Literal["count", "sum", "proportion", "ratio", "quantile", "funnel", "retention"]

MEANS: Final = ("count", "sum")


class Metric(Model):
    """What is compared between the variants."""

    type: MetricType = Field("proportion", description="What to reckon for each person, and over people.")
    name: str = Field("", max_length=200, description="What to call it in the answer; the event's name and the type by default.")
    event: Selector | None = Field(None, description="The events that count; for a ratio, those above the line.", examples=["order"])
    property: str = Field("", max_length=500, description="For sum and quantile, and ratio if wanted: the numeric property, or @revenue.")
    denominator: Selector | None = Field(None, description="For ratio: the events below the line.")
    denominator_property: str = Field("", max_length=500, description="For ratio: their numeric property; left out: their number.")
    quantile: float = Field(0.5, gt=0, lt=1, description="For quantile: which one, from 0 to 1.")
    steps: list[Selector] = Field(default=[], max_length=10, description="For funnel: the events after the exposure, the first one first.")
    after: Window | None = Field(None, description="For retention: from so long after the exposure on.", examples=["7 days"])
    winsorize: float | None = Field(
        None, ge=0.5, lt=1, description="For count and sum: cap values at this quantile of everybody's, 0.5 to 1."
    )
    goal: Literal["increase", "decrease"] = Field("increase", description="Which way is better: for chance to win and expected loss.")

    metric: str | None = Field(None, description="Instead of all this but name, winsorize and goal: the name of a saved metric.")

    @model_validator(mode="wrap")
    @classmethod
    def _written_out(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        name = value.get("metric") if isinstance(value, Mapping) else None
        if not isinstance(name, str):
            return handler(value)
        given = {key: item for key, item in value.items() if item is not None}
        if more := sorted(set(given) - {"metric", "name", "winsorize", "goal"}):
            raise ValueError(f"{more[0]} is the metric's to say; leave it out, or leave out metric")
        if info.context is None:
            return handler(value)
        named: Named = info.context
        goal = "decrease" if named.metric(name).get("direction") == "down" else "increase"
        saved = Measured.model_validate({"metric": name}, context=named)
        return handler({"goal": goal, "name": name, **_compared(name, saved), **{key: given[key] for key in given if key != "metric"}})

    @model_validator(mode="after")
    def _fits(self) -> Metric:
        if self.metric is not None:
            return self
        if (self.event is None) != (self.type == "funnel"):
            raise ValueError(f"a {self.type} needs steps, and no event" if self.type == "funnel" else f"a {self.type} needs an event")
        if self.type in ("sum", "quantile") and not self.property:
            raise ValueError(f"a {self.type} needs a property")
        if self.property and self.type not in ("sum", "quantile", "ratio"):
            raise ValueError(f"a {self.type} has no property; take sum")
        if (self.denominator is not None) != (self.type == "ratio") or (self.denominator_property and self.type != "ratio"):
            raise ValueError("a ratio needs a denominator, and nothing else has one")
        if bool(self.steps) != (self.type == "funnel"):
            raise ValueError("a funnel needs steps, and nothing else has them")
        if (self.after is not None) != (self.type == "retention"):
            raise ValueError("retention needs after, and nothing else has it")
        if self.winsorize is not None and self.type not in MEANS:
            raise ValueError(f"winsorize goes with count and sum, not with {self.type}")
        return self


def label_of(metric: Metric) -> str:
    """Its name in answers."""
    if metric.name or metric.metric:
        return metric.name or metric.metric or ""
    return f"{(metric.event or metric.steps[-1]).label}: {metric.type}"


def _compared(name: str, saved: Measured) -> dict[str, Any]:
    """A saved metric, of all people together, as one of each person. Raises `ValueError` for what has no such."""
    if saved.formula:
        return _ratio(name, saved)
    _refuse_more(name, saved)
    event = Selector(event=saved.event, filters=saved.filters, name=saved.name)
    if saved.measure in ("count", "sum"):
        return {"type": saved.measure, "event": event, "property": saved.property or ""}
    if saved.measure == "unique":
        return {"type": "proportion", "event": event}
    if saved.measure == "average":
        # The mean is of the events that have a number, so these stand below the line.
        has_number = Filter(property=saved.property or "", op=">=", value=-sys.float_info.max)
        below = event.model_copy(update={"filters": [*event.filters, has_number]})
        return {"type": "ratio", "event": event, "property": saved.property, "denominator": below}
    if saved.measure in ("median", "quantile"):
        level = 0.5 if saved.measure == "median" else saved.quantile
        if not 0 < level < 1:
            raise ValueError(f"the metric {name!r} is a least or greatest value, which variants cannot be compared by; take a quantile")
        return {"type": "quantile", "event": event, "property": saved.property, "quantile": level}
    raise ValueError(
        f"the metric {name!r} is a {saved.measure}, which variants cannot be compared by; take a count, unique, sum, average or quantile"
    )


def _ratio(name: str, saved: Measured) -> dict[str, Any]:
    parts = formula.parse(saved.formula).quotient
    sides = [saved.of[part] for part in parts] if parts else []
    if not sides or any(side.formula or side.measure not in ("count", "sum") for side in sides):
        raise ValueError(f"the metric {name!r} is a formula; variants can be compared by A / B of two counts or sums, and by no other")
    for side in sides:
        _refuse_more(name, side)
    above, below = (Selector(event=side.event, filters=side.filters, name=side.name) for side in sides)
    return {
        "type": "ratio",
        "event": above,
        "property": sides[0].property or "",
        "denominator": below,
        "denominator_property": sides[1].property or "",
    }


def _refuse_more(name: str, saved: Measured) -> None:
    if saved.per != "event" or saved.over is not None:
        raise ValueError(
            f"the metric {name!r} is reckoned per person or over days gone by, as an experiment does by itself; leave that out"
        )


# ------------------------------------------------------------------------- SQL

# The value at a rank, and those at the ends of its 95 % interval by ranks.
QUANTILE: Final = """,
    arraySort(groupArrayIf($mine, $known > 0)) AS $sorted,
    toFloat64(length($sorted)) AS $size,
    $level * $size AS $rank,
    1.959963984540054 * sqrt($rank * (1 - $level)) AS $away,
    if($size = 0, 0, $sorted[toUInt64(greatest(1, least(ceil($rank), $size)))]) AS $value,
    if($size = 0, 0, $sorted[toUInt64(greatest(1, least(floor($rank - $away), $size)))]) AS $low,
    if($size = 0, 0, $sorted[toUInt64(greatest(1, least(ceil($rank + $away), $size)))]) AS $high"""


def marks(metric: Metric, place: int, scope: Scope) -> Sql:
    """Columns: what each event is to the metric, whether it is one of its own and what it is worth."""
    if metric.type == "funnel":
        steps = [
            sql("toUInt8($matches) AS $name", matches=scope.matches(step), name=name_of("step", place, number))
            for number, step in enumerate(metric.steps, 1)
        ]
        return sql(", $steps", steps=join(", ", steps))
    assert metric.event is not None
    mark = sql(", $worth AS $mine", worth=_worth(metric.event, metric.property, scope), mine=name_of("mark", place))
    if metric.denominator is None:
        return mark
    worth = _worth(metric.denominator, metric.denominator_property, scope)
    return join("", [mark, sql(", $worth AS $other", worth=worth, other=name_of("other_mark", place))])


def _worth(selector: Selector, property_: str, scope: Scope) -> Sql:
    """What an event adds: 1 or 0; of a property Nullable(Float64), NULL for an event that is none of the selector's or has no number."""
    if not property_:
        return sql("toUInt8($matches)", matches=scope.matches(selector))
    return sql("if($matches, $number, NULL)", matches=scope.matches(selector), number=scope.number(property_))


def reckoned(metric: Metric, place: int, scope: Scope, window: Window | None, cuped: Window | None) -> Sql:
    """Aggregates over a person's events: the metric's number, and its denominator or its covariate."""
    since = Sql("at >= exposed.since")
    if window is not None:
        since = sql("at BETWEEN exposed.since AND exposed.since + $window", window=scope.bind(window.microseconds, "Int64"))
    if metric.type == "funnel":
        return _way(metric, place, since, window)
    if metric.after is not None:
        since = sql("$since AND at >= exposed.since + $after", since=since, after=scope.bind(metric.after.microseconds, "Int64"))
    mine, value, other = name_of("mark", place), name_of("x", place), name_of("o", place)
    found = [_gathered(metric, mine, metric.property, since, value)]
    if metric.type == "quantile":
        found.append(sql("countIf(isNotNull($mine) AND $since) AS $known", mine=mine, since=since, known=name_of("known", place)))
    if metric.type == "ratio":
        found.append(_gathered(metric, name_of("other_mark", place), metric.denominator_property, since, other))
    if cuped is not None:
        before = sql("at < exposed.since AND at >= exposed.since - $days", days=scope.bind(cuped.microseconds, "Int64"))
        found.append(_gathered(metric, mine, metric.property, before, other))
    return sql(", $found", found=join(", ", found))


def _way(metric: Metric, place: int, since: Sql, window: Window | None) -> Sql:
    steps = [sql("$step AND $since", step=name_of("step", place, number), since=since) for number in range(1, len(metric.steps) + 1)]
    return sql(
        ", toFloat64(windowFunnel($window, 'strict_once')(toUInt64(at), shows AND at = exposed.since, $steps) > $last) AS $value",
        window=_number(window.microseconds if window else 1 << 62),
        steps=join(", ", steps),
        last=_number(len(metric.steps)),
        value=name_of("x", place),
    )


def _gathered(metric: Metric, mark: Sql, property_: str, when: Sql, name: Sql) -> Sql:
    if property_:
        return sql("ifNull(sumIf($mark, $when), 0) AS $name", mark=mark, when=when, name=name)
    if metric.type in ("proportion", "retention"):
        return sql("toFloat64(max($mark AND $when)) AS $name", mark=mark, when=when, name=name)
    return sql("toFloat64(countIf($mark AND $when)) AS $name", mark=mark, when=when, name=name)


def cap(level: float, place: int, scope: Scope) -> Sql:
    """A column: the value at that quantile of everybody's."""
    return sql(
        ", quantileExactInclusiveIf($level)($value, NOT several) OVER () AS $cap",
        level=scope.bind(level, "Float64"),
        value=name_of("x", place),
        cap=name_of("cap", place),
    )


def moments(metric: Metric, place: int, scope: Scope, *, second: bool) -> Sql:
    """Aggregates over people: mean and variance, and (`second`, or for a ratio) those of the second number with the covariance. (From plain
    sums of squares, 1e9 and 1e9 + 1 would have no spread.)"""
    mine, other = name_of("x", place), name_of("o", place)
    if metric.type == "quantile":
        names = {name: name_of(name, place) for name in ("sorted", "size", "rank", "away", "value", "low", "high", "known")}
        return sql(QUANTILE, None, mine=mine, level=scope.bind(metric.quantile, "Float64"), **names)
    if metric.winsorize is not None:
        mine, other = (sql("least($plain, $cap)", plain=plain, cap=name_of("cap", place)) for plain in (mine, other))
    found = sql(
        ", avg($mine) AS $mean, varSampStable($mine) AS $variance",
        mine=mine,
        mean=name_of("mean", place),
        variance=name_of("variance", place),
    )
    if not second and metric.type != "ratio":
        return found
    more = sql(
        ", avg($other) AS $mean, varSampStable($other) AS $variance, covarSampStable($mine, $other) AS $covariance",
        mine=mine,
        other=other,
        mean=name_of("other_mean", place),
        variance=name_of("other_variance", place),
        covariance=name_of("covariance", place),
    )
    return join("", [found, more])


def name_of(word: str, *places: int) -> Sql:
    """A column's name, of one metric."""
    return identifier("_".join([word, *map(str, places)]))
