"""Which touches earned the conversions.

Ask it before money moves: which channels, campaigns or referrers brought the orders and sign-ups, what a conversion cost on each, and how
much the answer hangs on the way of counting. Several models stand beside each other, each handing out the same conversions.

How it counts:

- A touch is an event of `touches` that has a `label`; an event without one is no touch. Left out, with the label `@channel`: events that
  came from somewhere (a channel other than Direct), and page views that came from nowhere (Direct, and no referrer, so that moving within
  the site is no touch); with another label: every event that has it. Each such event is a touch of its own. (GA4 takes one a session: for
  that, name an event that begins a session.)
- A conversion's path holds the touches of the same person, with all merged ids, that happened at most the look-back window before it:
  elapsed time, both ends included. A touch serves every conversion within its reach. (Some data sets end a path at each conversion.) A
  touch at the very moment of a conversion belongs to its path, also where one event is both. Simultaneous touches stand in the order of
  their labels, Other last.
- The range holds the conversions; their touches may lie before it. Conversions of no person (about groups only) have no touch.
- Credits are fractions; of each model they sum up to the conversions. Conversions without a touch are a row of their own, with an empty
  label.
- `unique` counts each person's first conversion in the range. `value` hands out the property instead; where it is missing or no number,
  0.
- `first`, `last`: all to that touch. `last_non_direct`: to the last whose label is not one of `direct`, to the last of all where all are.
  `linear`: the same to each touch. `position`: `first_weight` and `last_weight` to the ends, the rest in equal parts to those between;
  with two touches the ends share all in proportion, one touch has all. `time_decay`: half as much for each `half_life` before the
  conversion.
- `shapley`: the value that each label adds, averaged over all orders of joining, where a set of labels is worth the conversions whose
  paths need no other label. Exact for any number of labels: it is the same part for each different label of a path (Zhao,
  Mahboobi-Ardakani and Bagheri 2018). (Others take a set's rate of conversion as its worth.)
- `markov`: in proportion to what would be lost without the label, in a chain of order 1 that also knows paths that lead nowhere: a
  person's touches in the range after the last conversion, all of them where there is none. Value is handed out in the same proportion.
- The labels with most touches are shown, the rest is Other, one label to the models too. An event of costs weighs like a touch here.
- By interval, a conversion and all its credit stand in the period of the conversion; a path that leads nowhere in that of its last touch.
- Costs are events too: a number in `property`, under the same `label`, in the period in which they happened. cpa is the cost of a
  conversion, roas value / cost, roi (value - cost) / cost. Costs without a label stand in the row without a touch.
- Of a path the latest `most_touches` count; the receipt says how many paths were cut.
- View `paths`: whole paths instead of single touches, the `paths` with most conversions (or value), and all further ones in one row without
  a path. Touches of one label that follow each other are one step there. Times are from the first touch to the conversion.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file.
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from almanac.analyses import attribution_ways as ways
from almanac.analyses import breakdowns, periods
from almanac.analyses.attribution_labels import top_of
from almanac.analyses.attribution_paths import IN_PATH, WEIGHTS, Cell, cells_of, labels_of, paths_of, row_of
from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import BUILT_IN, OTHER, Breakdown, Filter, FilterGroup, Model, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, identifier, join, sql
from almanac.core.time import TimeRange

Way = Literal["first", "last", "last_non_direct", "linear", "position", "time_decay", "shapley", "markov"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = timedelta(days=3660)
_MOST_MARKOV: Final = 100  # its steps are pairs of labels
_OTHER_WORDS: Final = {
    "first_touch": "first",
    "last_touch": "last",
    "last_nondirect": "last_non_direct",
    "position_based": "position",
    "u_shaped": "position",
    "timedecay": "time_decay",
}
_ENDING: Final = (1 << 64) - 2048  # later than any instant


class Costs(Model):
    """Where costs come from: events that carry them. A bare text is an event's name."""

    events: Selector = Field(
        Selector(event="ad_cost"), validation_alias=AliasChoices("events", "event"), description="The events that carry costs."
    )
    property: str = Field(
        "cost", validation_alias=AliasChoices("property", "prop"), description="Numeric property: the cost, in the currency of the value."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"events": value} if isinstance(value, str) else value


def _ways(value: Any) -> Any:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return listed
    words = [_OTHER_WORDS.get(word, word) if isinstance(word, str) else word for word in listed]
    return [word for place, word in enumerate(words) if word not in words[:place]]


class Attribution(Question):
    """The question."""

    kind: Literal["attribution"] = "attribution"
    conversion: Selector = Field(description="The events whose credit is handed out.", examples=["order"])
    measure: Literal["count", "unique", "value"] = Field(
        "count", description="count: every conversion; unique: each person's first in the range; value: the property of every conversion."
    )
    property: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        validation_alias=AliasChoices("property", "prop"),
        description="Numeric property of conversions that is their value; @revenue by default for the measure value, and with costs.",
    )
    touches: Selector | None = Field(None, description="The events that may earn credit; left out: whatever came with a label.")
    label: str = Field(
        "@channel", min_length=1, max_length=500, description="Property that names a touch.", examples=["@utm_source", "@utm_campaign"]
    )
    limit: int = Field(20, ge=1, le=500, description="How many labels to show; the rest is one label, 'Other'. With markov at most 100.")
    view: Literal["touches", "paths"] = Field("touches", description="touches: what each earned; paths: whole ways to conversions.")
    paths: int = Field(20, ge=1, le=500, description="For the view paths: how many to show.")
    models: Annotated[list[Way], BeforeValidator(_ways)] = Field(
        ["first", "last", "linear"], min_length=1, max_length=8, description="How to hand out the credit, each its own rows."
    )
    look_back: Window = Field(
        Window(value=30, unit="day"), description="How long before a conversion a touch counts.", examples=["30 days"]
    )
    half_life: Window = Field(Window(value=7, unit="day"), description="For time_decay: a touch so much earlier earns half as much.")
    first_weight: float = Field(0.4, ge=0, le=1, description="For position: part of the first touch, 0 to 1.")
    last_weight: float = Field(0.4, ge=0, le=1, description="For position: part of the last touch, 0 to 1.")
    direct: list[str] = Field(["Direct", "(direct)"], max_length=20, description="For last_non_direct: labels of direct traffic.")
    most_touches: int = Field(100, ge=1, le=500, description="How many touches of a path count at most, the latest ones.")
    interval: Literal["total", "hour", "day", "week", "month", "quarter", "year"] = Field(
        "total", description="Length of a period; total: the whole range."
    )
    costs: Costs | None = Field(None, description="Events with costs, for cost per conversion and return.", examples=["ad_cost"])

    @field_validator("label", "property")
    @classmethod
    def _is_there(cls, name: str | None) -> str | None:
        if name and name.startswith("@") and name[1:] not in BUILT_IN:
            raise ValueError(f"there is no built-in column {name}; there are @{', @'.join(BUILT_IN)}")
        return name

    @field_validator("look_back", "half_life")
    @classmethod
    def _is_reasonable(cls, window: Window) -> Window:
        if not 0 < window.microseconds <= _LONGEST // timedelta(microseconds=1):
            raise ValueError(f"it is at most {_LONGEST.days} days, and more than 0")
        return window

    @model_validator(mode="after")
    def _adds_up(self) -> Attribution:
        if self.first_weight + self.last_weight > 1 + 1e-9:
            raise ValueError(f"first_weight and last_weight sum up to {self.first_weight + self.last_weight:g}, more than 1")
        if self.view == "paths":
            for name in ("models", "interval", "costs"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} does not go with the view paths")
        if "markov" in self.models and self.limit > _MOST_MARKOV:
            raise ValueError(f"the model markov takes a limit of at most {_MOST_MARKOV}, not {self.limit}")
        return self


def _valued(question: Attribution) -> str | None:
    """The property that is a conversion's value, if any is asked for."""
    return question.property or ("@revenue" if question.measure == "value" or question.costs else None)


class AttributionRow(Row):
    """What one label earned under one model."""

    period: str = Field("", description="Start of the conversions' period, local: a date, for hours with time and offset.")
    path: list[str] | None = Field(None, description="View paths: labels on the way, the first one first; empty: none; null: all further.")
    touch: str = Field("", description="Label of the touches; empty: conversions without a touch; 'Other': all further labels.")
    model: str = Field("", description="How the credit was handed out.")
    conversions: float = Field(description="Credit for conversions; fractions add up to the conversions.")
    value: float | None = Field(None, description="Credit for their value, in the unit of the property.")
    share: float = Field(
        description="Part of the period's whole credit under this model (of value, for that measure); 0 where there is none."
    )
    touches: float = Field(0, description="View paths: touches on the way, on average.")
    average_seconds: float = Field(0, description="View paths: mean time from the first touch to the conversion; 0 without a touch.")
    cost: float | None = Field(None, description="Cost under this label, the same for every model.")
    cpa: float | None = Field(None, description="cost / conversions; empty without conversions.")
    roas: float | None = Field(None, description="value / cost; empty without cost.")
    roi: float | None = Field(None, description="(value - cost) / cost; empty without cost.")
    complete: bool = Field(True, description="False while the period is not over, or where the range cuts it.")


# Marks and the rest of the way are told in attribution_paths.py.
STATEMENT: Final = """
WITH
$top AS top,
-- Of each label that is known the place and whether it is direct, as they stand in a mark: looked up once an event, not reckoned.
arrayConcat([''], top, arrayFilter(label -> NOT has(top, label) AND label != '', {direct:Array(String)})) AS known,
arrayMap(
    label -> 2 * multiIf(label = '', 0, has(top, label), indexOf(top, label), 511) + has({direct:Array(String)}, label),
    known
) AS codes,
tagged AS
(
    SELECT
        person,
        bitShiftLeft(toUInt64(toUnixTimestamp64Micro(time) - {origin:Int64}), 12) AS at,
        $label AS label,
        toUInt64(transform(label, known, codes, 1022)) AS code,
        ($touch) AND code > 1 AND person != 0 AS touches,
        ($conversion) AND at >= {begin:UInt64} AS converts,
        at + code AS touch,
        at + 1024 AS conversion
        $value
    FROM $events
    WHERE $scope AND ($wanted)
),
per_person AS
(
    SELECT
        person,
        $last_conversion AS last_conversion,
        arraySort(arrayConcat(groupArrayIf($touch_entry, touches), $conversions)) AS entries
    FROM tagged
    GROUP BY person
    $kept
),
$paths
$view
"""

ONE_CONVERSION: Final = "arrayResize([minIf($entry, converts)], least(countIf(converts), 1))"

CREDITS: Final = """
SELECT
    period,
    source,
    touch,
    multiIf(touch = 0, '', touch = 511, {other:String}, top[touch]) AS label,
    count() AS steps,
    countIf(converted) AS reached,
    countIf(cuts AND converted) AS cut,
    $credits AS credits,
    $amounts AS amounts,
    sumIf(amount, converted) AS worth,
    0. AS cost
FROM steps
GROUP BY period, source, touch
$costs
"""

COSTS: Final = """
UNION ALL
SELECT
    $period AS period,
    0 AS source,
    toUInt64(if(toString($label) = '', 0, transform(toString($label), top, arrayEnumerate(top), 511))) AS touch,
    multiIf(touch = 0, '', touch = 511, {other:String}, top[touch]) AS label,
    0 AS steps,
    0 AS reached,
    0 AS cut,
    emptyArrayFloat64() AS credits,
    emptyArrayFloat64() AS amounts,
    0. AS worth,
    ifNull(sumKahan($cost), 0.) AS cost
FROM $events
WHERE $scope AND ($spent)
GROUP BY period, touch
"""

PEOPLE: Final = """
SELECT DISTINCT person
FROM steps
WHERE person != 0
    AND converted
    AND weight > 0
    AND multiIf(touch = 0, '', touch = 511, {other:String}, top[touch]) = {label:String}
    AND $in_period
"""


def compile(question: Attribution, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """One statement for all models: each person's marks, each conversion's path, the weights of its touches, their sums."""
    if question.view == "paths":
        return _of_paths(question, scope, ways.counted(question.paths, by_value=question.measure == "value"))
    weights = [WEIGHTS[model] for model in _summed(question)]
    names = [identifier(f"weight_{place}") for place in range(len(weights))]
    valued = _valued(question) is not None
    view = sql(
        CREDITS,
        credits=_array([sql("sumKahanIf($name, converted)", name=name) for name in names]),
        amounts=_array([sql("sumKahanIf($name * amount, converted)", name=name) for name in names] if valued else []),
        costs=_costs(question, scope),
    )
    return Compiled(_statement(question, scope, view, weights, names, steps="markov" in question.models))


def members(question: Attribution, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Whose conversions gave credit to the label, under the model and in the period of that row."""
    if question.view == "paths":
        return _of_paths(question, scope, ways.people(question.paths, row, by_value=question.measure == "value"))
    model, label = row.get("model"), row.get("touch")
    if model not in question.models or not isinstance(label, str):
        raise invalid(
            "The row names no model of the question, or no touch.", place="row", way_out="Give model and touch as the answer has them."
        )
    in_period = Sql("1")
    if question.interval != "total":
        starts = {period_label(start, question.interval, scope.zone): start for start in _starts(question, scope)}
        if row.get("period") not in starts:
            raise invalid("The row's period is not in the range.", place="row", way_out="Give period as the answer has it.")
        in_period = sql("period = $start", start=scope.bind(int(starts[row["period"]].timestamp()), "UInt32"))
    view = sql(PEOPLE, {"label": label}, in_period=in_period)
    return Compiled(_statement(question, scope, view, [WEIGHTS.get(model, IN_PATH)], [Sql("weight")], steps=False))


def shape(question: Attribution, scope: Scope, result: Result) -> Shaped:
    """Every label has a row in each period under each model; the labels with most credit come first, Other and no touch last."""
    found = result.dicts()
    if question.view == "paths":
        rows = ways.rows_of(found, valued=_valued(question) is not None, by_value=question.measure == "value")
        return Shaped(rows, notes=_cut(question, found))
    starts = _starts(question, scope)
    cells = cells_of(found, _summed(question), with_markov="markov" in question.models)
    labels = labels_of(question.models[0], cells)
    breakdowns.refuse_too_many(
        len(labels) * len(question.models) * len(starts), place="interval", way_out="Choose a longer interval or a lower limit."
    )
    by_period = question.interval != "total"
    over = periods.over(starts, question.interval, scope) if by_period else []
    rows = []
    for place, start in enumerate(starts):
        key = int(start.timestamp()) if by_period else 0
        here = {label: cells.get((key, label), Cell()) for label in labels}
        of_value = question.measure == "value"
        totals = [sum((cell.values if of_value else cell.credits).get(model, 0.0) for cell in here.values()) for model in question.models]
        for label, cell in here.items():
            for model, total in zip(question.models, totals, strict=True):
                row = row_of(question, label, model, cell, total, valued=_valued(question) is not None)
                if by_period:
                    row = {"period": period_label(start, question.interval, scope.zone), **row}
                    row["complete"] = over[place]
                rows.append(row)
    notes = _cut(question, found)
    if rows and not rows[-1].get("complete", True):
        notes.append("The last period is not complete.")
    return Shaped(rows, notes=notes)


def _cut(question: Attribution, found: Sequence[Mapping[str, Any]]) -> list[str]:
    cut = sum(row["cut"] for row in found)
    return [f"{cut} paths had more than {question.most_touches} touches; their latest ones count."] if cut else []


# ----------------------------------------------------------------- the statement


def _of_paths(question: Attribution, scope: Scope, view: Sql) -> Compiled:
    return Compiled(_statement(question, scope, view, [IN_PATH], [Sql("weight")], steps=False))


def _statement(question: Attribution, scope: Scope, view: Sql, weights: Sequence[Sql], names: Sequence[Sql], *, steps: bool) -> Sql:
    """From events to `view`. `steps`: as in `paths_of`."""
    span, whole = _range(question, scope), _span(question, scope)
    conversion = scope.matches(question.conversion)
    spent = [scope.matches(question.costs.events)] if question.costs else []
    touch = _touches(question, scope, spent)
    unique, property_ = question.measure == "unique", _valued(question)
    entry = Sql("(conversion, value)" if property_ else "conversion")
    return sql(
        STATEMENT,
        _values(question, span, whole),
        top=top_of(question, scope, whole, any_of([touch, *spent])),
        label=scope.text(Breakdown(property=question.label)),
        events=scope.events(),
        scope=scope.where(whole),
        touch=touch,
        conversion=sql("($conversion) AND person != 0", conversion=conversion) if unique else conversion,
        value=sql(", ifNull($value, 0.) AS value", value=scope.number(property_)) if property_ else EMPTY,
        wanted=any_of([touch, conversion]),
        last_conversion=sql("$latest(conversion, converts)", latest=Sql("minIf" if unique else "maxIf")) if steps else Sql("toUInt64(0)"),
        touch_entry=Sql("(touch, 0.)" if property_ else "touch"),
        conversions=sql(ONE_CONVERSION, entry=entry) if unique else sql("groupArrayIf($entry, converts)", entry=entry),
        kept=EMPTY if steps else Sql("HAVING max(converts)"),
        paths=paths_of(
            valued=property_ is not None, steps=steps, period=_period(question, scope, Sql("moment")), weights=weights, names=names
        ),
        view=view,
    )


def _values(question: Attribution, span: TimeRange, whole: TimeRange) -> dict[str, Any]:
    ends = question.first_weight + question.last_weight
    return {
        "other": OTHER,
        "limit": question.limit,
        "one_more": question.limit + 1,
        "origin": periods.microseconds(whole.start),
        "begin": (span.start - whole.start) // timedelta(microseconds=1) << 12,
        "ending": _ENDING,
        "look_back": question.look_back.microseconds,
        "half_life": float(question.half_life.microseconds),
        "direct": question.direct,
        "most": question.most_touches,
        "first_weight": question.first_weight,
        "last_weight": question.last_weight,
        "middle": max(0.0, 1 - ends),
        "first_of_two": question.first_weight / ends if ends else 0.5,
    }


def _touches(question: Attribution, scope: Scope, spent: Sequence[Sql]) -> Sql:
    """Left out, they are no events of costs: those have labels, and maybe a person who sent them."""
    if question.touches is not None:
        return scope.matches(question.touches)
    touch = _usual_touches(question, scope)
    return sql("($touch) AND NOT ($spent)", touch=touch, spent=spent[0]) if spent else touch


def _usual_touches(question: Attribution, scope: Scope) -> Sql:
    if question.label != "@channel":
        return scope.matches(Selector())
    came_from_somewhere = FilterGroup(all=[Filter(property="@channel", op="!=", value=word) for word in ("", "Direct")])
    from_nowhere = [Filter(property="@kind", value="page"), Filter(property="@referrer", value="")]
    return scope.matches(Selector(filters=[FilterGroup(any=[came_from_somewhere, FilterGroup(all=from_nowhere)])]))


def _costs(question: Attribution, scope: Scope) -> Sql:
    if question.costs is None:
        return EMPTY
    return sql(
        COSTS,
        period=_period(question, scope, None),
        label=scope.text(Breakdown(property=question.label)),
        cost=scope.number(question.costs.property),
        events=scope.events(),
        scope=scope.where(_range(question, scope)),
        spent=scope.matches(question.costs.events),
    )


def _period(question: Attribution, scope: Scope, moment: Sql | None) -> Sql:
    if question.interval == "total":
        return Sql("toUInt32(0)")
    return sql("toUnixTimestamp($start)", start=scope.period(question.interval, moment))


def _array(items: Sequence[Sql]) -> Sql:
    return sql("[$items]", items=join(", ", items)) if items else Sql("emptyArrayFloat64()")


# --------------------------------------------------------------------- the times


def _range(question: Attribution, scope: Scope) -> TimeRange:
    """Of the conversions and costs. There are no events before 1970."""
    span = scope.range
    if question.interval != "total":
        span = times.whole(span, question.interval, week_start=scope.week_start)
    return TimeRange(max(span.start, _EPOCH), max(span.end, _EPOCH), span.zone)


def _span(question: Attribution, scope: Scope) -> TimeRange:
    """Of the touches: the look-back window longer."""
    span = _range(question, scope)
    return TimeRange(max(span.start - timedelta(microseconds=question.look_back.microseconds), _EPOCH), span.end, span.zone)


def _starts(question: Attribution, scope: Scope) -> list[datetime]:
    span = _range(question, scope)
    if question.interval == "total":
        return [span.start]
    return periods.starts_of(scope, question.interval, span=span)


# ---------------------------------------------------------------------- the rows


def _summed(question: Attribution) -> list[str]:
    """The models that sum up weights of touches."""
    return [model for model in question.models if model != "markov"]


ANALYSIS: Final = Analysis(
    question=Attribution,
    row=AttributionRow,
    compile=compile,
    shape=shape,
    members=members,
    examples=examples_of("attribution"),
)
