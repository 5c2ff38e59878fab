"""Which variant is better, and how sure is it.

Ask it when people were shown variants by chance: what each variant did to one or several metrics against the control, whether it may be
chance, whether the split of people is sound, and how long it still takes.

How it counts:

- A person belongs to the variant of the exposures within the range, from the first of them on. Who saw several variants is left out, and a
  note counts them. (PostHog can take the first seen instead.) Exposures without a variant count for nothing. Of people exposed
  before the range only what the range holds is known.
- By default exposures are `$feature_flag_called` (flag and variant in `$feature_flag` and `$feature_flag_response`), and
  `experiment_viewed` or `Experiment Viewed` (`experiment_id` or `experiment_name`, and `variation_name` or `variation_id`), of the
  experiment that is named.
- What people do counts from the first exposure on, that instant included, for as long as the window, its end included, and no longer than
  the range. `complete_only` leaves out people whose window is not over when the range ends.
- Metrics are of people, all of them: count and sum (per person), proportion (did it at least once), ratio (sum by sum, or count by
  count), quantile (of the sums of those who have a value; the value at rank n q, rounded up), funnel (all steps in order, within the
  window; an event serves one step, the exposure itself serves none, and at one instant any order will do), retention (did it from `after`
  on). A value that is missing or no number adds nothing.
- Effects are relative to the control's mean by default, with standard errors by the delta method, so that relative and absolute effects may
  differ in significance. Proportions spread by p (1 - p). (GrowthBook does both.) Below 0 the control's size counts: more is positive.
- Method welch: Welch's t test, to be read once. Method sequential: the asymptotic confidence sequence of Waudby-Smith et al., which holds
  however often one looks; narrowest at `tuned_for` people. (GrowthBook's; Spotify spends alpha at planned looks.) Method bayesian: a normal
  posterior, with a flat prior unless one is given; interval, chance to win and expected loss come from it.
- Without data or with impossible ones (fewer than two people on a side, no spread on a side, a control at 0) the effect is 0, the p value 1
  and the chance to win 0.5, with a note.
- `cuped` takes out what people did in so long before their exposure, with one theta from both variants put together; the values shown stay
  raw. `winsorize` caps each person's value at that quantile of everybody's (interpolated), and the covariate at the same.
- The split of people is tested by chi-square against the shares, among the variants that have one; a note warns below 0.01. The correction
  is over all comparisons of the answer.
- Power, people and days needed are for `least_effect`, two-sided, at the spread and pace seen so far, for 80 % power; sequential: for the
  interval at the people of both sides. (GrowthBook's figures for sequential power differ.)
- A breakdown takes the value at the first exposure. A limit keeps the values with most people; the rest is Other.
- The people behind a row are those of its variant whom `people` counts.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file.
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from almanac.analyses.examples import examples_of
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Filter, FilterGroup, Model, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, identifier, join, sql
from almanac.core.sql import number as _number
from almanac.core.time import TimeRange
from almanac.predict import experiment as stats

MetricType = Literal["count", "sum", "proportion", "ratio", "quantile", "funnel", "retention"]

_MOST_VARIANTS: Final = 20
_MEANS: Final = ("count", "sum")
_WITH_COVARIATE: Final = ("count", "sum", "proportion", "retention")
_WANTED_POWER: Final = 0.8
_SHOWN: Final = ("experiment_viewed", "Experiment Viewed")
_DAY: Final = 86_400_000_000  # microseconds


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

    @model_validator(mode="after")
    def _fits(self) -> Metric:
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
        if self.winsorize is not None and self.type not in _MEANS:
            raise ValueError(f"winsorize goes with count and sum, not with {self.type}")
        return self


def _label(metric: Metric) -> str:
    """Its name in answers."""
    return metric.name or f"{(metric.event or metric.steps[-1]).label}: {metric.type}"


class Prior(Model):
    """What is believed of the effect beforehand: a normal distribution."""

    mean: float = Field(0.0, ge=-1e9, le=1e9, description="Its middle, in units of the effect: 0.1 is 10 % where effects are relative.")
    sd: float = Field(gt=0, le=1e9, description="Its standard deviation, in the same units.")


class Experiment(Question):
    """The question."""

    kind: Literal["experiment"] = "experiment"
    experiment: str = Field("", max_length=500, description="Key of the flag or experiment, for the usual exposure events.")
    exposure: Selector | None = Field(None, description="Instead of experiment: the events that say what a person was shown.")
    property: str = Field("variant", min_length=1, max_length=500, description="With exposure: the property that holds the variant.")
    variants: list[str] = Field(default=[], max_length=_MOST_VARIANTS, description="The variants; left out: all that were seen.")
    control: str = Field("control", min_length=1, description="The variant that the others are compared with.")
    shares: dict[str, float] = Field(
        default={}, description="Share of people that each variant should get, of 1 or of 100; equal by default."
    )
    metrics: list[Metric] = Field(min_length=1, max_length=10, description="What to compare.")
    window: Window | None = Field(None, description="How long after the first exposure events count; to the end of the range by default.")
    complete_only: bool = Field(False, description="Leave out people whose window is not over when the range ends.")
    cuped: Window | None = Field(None, description="Take out what people did in so long before their exposure.", examples=["14 days"])
    method: Literal["welch", "sequential", "bayesian"] = Field("welch", description="How to judge; sequential may be read at any time.")
    effect: Literal["relative", "absolute"] = Field(
        "relative", description="Effects as a share of the control's value, or as a difference."
    )
    alternative: Literal["two_sided", "greater", "less"] = Field(
        "two_sided", description="What to test against: the variant differs, is more, is less."
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Risk of a false find; intervals hold 1 - alpha.")
    tuned_for: int = Field(5000, ge=1, le=10**12, description="For sequential: number of people at which the interval is narrowest.")
    prior: Prior | None = Field(None, description="For bayesian: what is believed beforehand; nothing by default.")
    correction: Literal["none", "holm", "benjamini_hochberg"] = Field("none", description="Correct p values for the number of comparisons.")
    least_effect: float = Field(0.05, gt=0, le=1e9, description="The least effect worth finding, in units of the effect; for power.")
    breakdown: Breakdown | None = Field(
        None, description="Property to split people by, as it was at their first exposure.", examples=["@device"]
    )

    @model_validator(mode="after")
    def _fits(self) -> Experiment:
        if bool(self.experiment) == (self.exposure is not None):
            raise ValueError("give either experiment or exposure")
        if self.variants and self.control not in self.variants:
            raise ValueError(f"control is {self.control!r}, which is not among the variants")
        if len(set(self.variants)) < len(self.variants) or "" in self.variants:
            raise ValueError("variants holds an empty text, or one twice")
        if any(not 0 <= share <= 100 for share in self.shares.values()) or (self.shares and not sum(self.shares.values()) > 0):
            raise ValueError("shares are from 0 to 100, and not all 0")
        if self.complete_only and self.window is None:
            raise ValueError("complete_only needs a window")
        if self.prior is not None and self.method != "bayesian":
            raise ValueError("prior goes with the method bayesian")
        if self.method == "bayesian" and (self.alternative != "two_sided" or self.correction != "none"):
            raise ValueError("alternative and correction do not go with the method bayesian")
        if len({_label(metric) for metric in self.metrics}) < len(self.metrics):
            raise ValueError("two metrics have the same name; give them names")
        for metric in self.metrics:
            if self.cuped is not None and metric.type not in _WITH_COVARIATE:
                raise ValueError(f"cuped does not go with {metric.type}; it goes with {', '.join(_WITH_COVARIATE)}")
            if metric.after is not None and self.window is not None and metric.after.microseconds > self.window.microseconds:
                raise ValueError(f"after is longer than the window, so that {_label(metric)!r} would never happen")
        return self


class ExperimentRow(Row):
    """A variant by a metric."""

    breakdown: str = Field("", description="Value of the property; empty: not set; 'Other': all further values.")
    metric: str = Field(description="Name of the metric.")
    variant: str = Field(description="Name of the variant.")
    people: int = Field(description="People who saw it, and no other.")
    value: float = Field(description="The metric: per person, or the share, ratio or quantile; as it is, before CUPED.")
    effect: float | None = Field(None, description="What it adds to the control's; relative: as a share of it. Empty for the control.")
    low: float | None = Field(None, description="Lower end of the effect's interval; empty: open, or the control.")
    high: float | None = Field(None, description="Upper end of the effect's interval; empty: open, or the control.")
    standard_error: float | None = Field(None, description="Of the effect; of its posterior for bayesian. 0: there is no effect to be had.")
    p_value: float | None = Field(None, description="Chance of such an effect where there is none. Empty for bayesian.")
    corrected_p_value: float | None = Field(None, description="The same, corrected for the number of comparisons.")
    significant: bool | None = Field(None, description="The corrected p value is below alpha; bayesian: 0 is outside of the interval.")
    chance_to_win: float | None = Field(None, description="Bayesian: chance that it is better than the control.")
    expected_loss: float | None = Field(None, description="Bayesian: what choosing it is expected to cost, in units of the effect.")
    power: float | None = Field(None, description="Chance to find the least effect worth finding with the people so far.")
    people_needed: int | None = Field(None, description="People of control and variant for 80 % power; empty: nobody knows.")
    days_needed: float | None = Field(None, description="Days in all until there are so many, at the pace so far.")
    split_p_value: float = Field(description="P value of the split of people over the variants; small: something is wrong with it.")


EXPOSED: Final = """
WITH
shown AS
(
    SELECT
        person,
        time,
        $variant AS variant
        $text
    FROM $events
    WHERE $scope AND person != 0 AND ($exposure)
),
exposed AS
(
    SELECT
        person,
        toUnixTimestamp64Micro(min(time)) AS since,
        min(shown.variant) AS variant,
        max(shown.variant) != variant AS several
        $value
    FROM shown
    WHERE shown.variant != ''
    GROUP BY person
    HAVING since < {last:Int64}
)
"""

# Memory is linear in people, whatever they do: each event adds to the sums of its person. A funnel keeps 16 bytes of each of its events.
STATEMENT: Final = """
$exposed,
happened AS
(
    SELECT
        person,
        toUnixTimestamp64Micro(time) AS at,
        toUInt8($exposure) AS shows
        $marks
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT
        any(exposed.since) AS since,
        any(if(exposed.several, '', exposed.variant)) AS variant,
        any(exposed.several) AS several
        $carried
        $reckoned
    FROM happened
    INNER JOIN exposed ON happened.person = exposed.person
    WHERE exposed.several OR exposed.variant IN ($kept)
    GROUP BY happened.person
)
SELECT
    $label AS label,
    variant,
    several,
    count() AS people,
    min(since) AS first
    $moments
FROM $people
GROUP BY label, variant, several
"""

SEEN: Final = "SELECT variant FROM exposed WHERE NOT several GROUP BY variant ORDER BY count() DESC, variant LIMIT {most:UInt64}"

BIGGEST: Final = """
if(
    value IN (SELECT value FROM exposed WHERE NOT several GROUP BY value ORDER BY count() DESC, value LIMIT {limit:UInt64}),
    value,
    {other:String}
)"""

MEMBERS: Final = "$exposed SELECT person FROM exposed WHERE NOT several AND variant = $variant AND $labelled"

# The value at a rank, and those at the ends of its 95 % interval by ranks.
QUANTILE: Final = """,
    arraySort(groupArrayIf($mine, $known > 0)) AS $sorted,
    toFloat64(length($sorted)) AS $size,
    $level * $size AS $rank,
    1.959963984540054 * sqrt($rank * (1 - $level)) AS $away,
    if($size = 0, 0, $sorted[toUInt64(greatest(1, least(ceil($rank), $size)))]) AS $value,
    if($size = 0, 0, $sorted[toUInt64(greatest(1, least(floor($rank - $away), $size)))]) AS $low,
    if($size = 0, 0, $sorted[toUInt64(greatest(1, least(ceil($rank + $away), $size)))]) AS $high"""


def compile(question: Experiment, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Who saw what since when; what each of them did since; the moments of each variant."""
    exposure = _exposure(question)
    marks: list[Sql] = []
    reckoned: list[Sql] = []
    moments: list[Sql] = []
    caps: list[Sql] = []
    wanted = [scope.matches(exposure)]
    for place, metric in enumerate(question.metrics, 1):
        wanted += [scope.matches(one) for one in metric.steps or (metric.event, metric.denominator) if one]
        marks.append(_marks(metric, place, scope))
        reckoned.append(_reckoned(question, metric, place, scope))
        if metric.winsorize is not None:
            caps.append(_cap(metric.winsorize, place, scope))
        moments.append(_moments(question, metric, place, scope))
    broken = question.breakdown
    span = scope.range
    if question.cuped is not None:
        span = TimeRange(span.start - timedelta(microseconds=question.cuped.microseconds), span.end, span.zone)
    statement = sql(
        STATEMENT,
        {"limit": broken.limit, "other": OTHER} if broken else {},
        exposed=_exposed(question, scope),
        exposure=wanted[0],
        events=scope.events(),
        scope=scope.where(span),
        wanted=any_of(wanted),
        marks=join("", marks),
        reckoned=join("", reckoned),
        carried=Sql(", any(exposed.value) AS value" if broken else ""),
        kept=_kept(question, scope),
        label=Sql(BIGGEST if broken else "''"),
        moments=join("", moments),
        people=sql("(SELECT *$caps FROM per_person)", caps=join("", caps)) if caps else Sql("per_person"),
    )
    return Compiled(statement)


def members(question: Experiment, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who saw the variant of a row, and no other."""
    broken = question.breakdown
    labelled = Sql("1")
    if broken:
        label = scope.bind(str(row.get("breakdown", "")), "String")
        labelled = sql("$biggest = $label", {"limit": broken.limit, "other": OTHER}, biggest=Sql(BIGGEST), label=label)
    variant = scope.bind(str(row.get("variant", "")), "String")
    return Compiled(sql(MEMBERS, exposed=_exposed(question, scope), variant=variant, labelled=labelled))


def _exposure(question: Experiment) -> Selector:
    if question.exposure is not None:
        return question.exposure
    key = question.experiment
    flag = FilterGroup(all=[Filter(property="@event", value="$feature_flag_called"), Filter(property="$feature_flag", value=key)])
    named = FilterGroup(any=[Filter(property="experiment_id", value=key), Filter(property="experiment_name", value=key)])
    viewed = FilterGroup(all=[Filter(property="@event", op="in", value=list(_SHOWN)), named])
    names = Filter(property="@event", op="in", value=["$feature_flag_called", *_SHOWN])  # so that the primary key serves it
    return Selector(filters=[names, FilterGroup(any=[flag, viewed])])


def _exposed(question: Experiment, scope: Scope) -> Sql:
    broken = question.breakdown
    last = scope.range.end
    if question.complete_only and question.window is not None:
        last -= timedelta(microseconds=question.window.microseconds)
    return sql(
        EXPOSED,
        {"last": round(last.timestamp() * 1_000_000)},
        variant=_variant(question, scope),
        exposure=scope.matches(_exposure(question)),
        events=scope.events(),
        scope=scope.where(),
        text=sql(", toString($text) AS text", text=scope.text(broken)) if broken else EMPTY,
        value=Sql(", argMin(text, (time, text)) AS value" if broken else ""),
    )


def _variant(question: Experiment, scope: Scope) -> Sql:
    if question.exposure is not None:
        return sql("toString($text)", text=scope.text(Breakdown(property=question.property)))
    name = scope.text(Breakdown(property="variation_name"))
    return sql(
        "multiIf(event = $called, $flag, $name != '', $name, $id)",
        called=scope.bind("$feature_flag_called", "String"),
        flag=scope.text(Breakdown(property="$feature_flag_response")),
        name=name,
        id=scope.text(Breakdown(property="variation_id")),
    )


def _kept(question: Experiment, scope: Scope) -> Sql:
    if question.variants:
        return sql("SELECT arrayJoin($variants)", variants=scope.bind(list(question.variants), "Array(String)"))
    return sql(SEEN, {"most": _MOST_VARIANTS + 1})


def _marks(metric: Metric, place: int, scope: Scope) -> Sql:
    """What each event is to the metric: whether it is one of its own, and what it is worth."""
    if metric.type == "funnel":
        steps = [
            sql("toUInt8($matches) AS $name", matches=scope.matches(step), name=_name("step", place, number))
            for number, step in enumerate(metric.steps, 1)
        ]
        return sql(", $steps", steps=join(", ", steps))
    assert metric.event is not None
    mark = sql(", $worth AS $mine", worth=_worth(metric.event, metric.property, scope), mine=_name("mark", place))
    if metric.denominator is None:
        return mark
    worth = _worth(metric.denominator, metric.denominator_property, scope)
    return join("", [mark, sql(", $worth AS $other", worth=worth, other=_name("other_mark", place))])


def _worth(selector: Selector, property_: str, scope: Scope) -> Sql:
    """Nullable(Float64): what an event adds; NULL: nothing, it is none of the selector's or has no number."""
    if not property_:
        return sql("if($matches, 1., NULL)", matches=scope.matches(selector))
    return sql("if($matches, $number, NULL)", matches=scope.matches(selector), number=scope.number(property_))


def _reckoned(question: Experiment, metric: Metric, place: int, scope: Scope) -> Sql:
    """The numbers of a person: the metric's, and its denominator or its covariate."""
    since = Sql("at >= exposed.since")
    if question.window is not None:
        since = sql("at BETWEEN exposed.since AND exposed.since + $window", window=scope.bind(question.window.microseconds, "Int64"))
    mine, value, other = _name("mark", place), _name("x", place), _name("o", place)
    if metric.type == "funnel":
        steps = [sql("$step AND $since", step=_name("step", place, number), since=since) for number in range(1, len(metric.steps) + 1)]
        return sql(
            ", toFloat64(windowFunnel($window, 'strict_once')(toUInt64(at), shows AND at = exposed.since, $steps) > $last) AS $value",
            window=_number(question.window.microseconds if question.window else 1 << 62),
            steps=join(", ", steps),
            last=_number(len(metric.steps)),
            value=value,
        )
    if metric.after is not None:
        since = sql("$since AND at >= exposed.since + $after", since=since, after=scope.bind(metric.after.microseconds, "Int64"))
    happened = sql("isNotNull($mine) AND $since", mine=mine, since=since)
    found = [_gathered(metric, mine, happened, value)]
    if metric.type == "quantile":
        found.append(sql("countIf($happened) AS $known", happened=happened, known=_name("known", place)))
    if metric.type == "ratio":
        found.append(_gathered(metric, _name("other_mark", place), since, other))
    if question.cuped is not None:
        before = sql(
            "isNotNull($mine) AND at < exposed.since AND at >= exposed.since - $days",
            mine=mine,
            days=scope.bind(question.cuped.microseconds, "Int64"),
        )
        found.append(_gathered(metric, mine, before, other))
    return sql(", $found", found=join(", ", found))


def _gathered(metric: Metric, mark: Sql, happened: Sql, name: Sql) -> Sql:
    if metric.type in ("proportion", "retention"):
        return sql("toFloat64(countIf($happened) > 0) AS $name", happened=happened, name=name)
    return sql("ifNull(sumIf($mark, $happened), 0) AS $name", mark=mark, happened=happened, name=name)


def _cap(level: float, place: int, scope: Scope) -> Sql:
    return sql(
        ", quantileExactInclusiveIf($level)($value, NOT several) OVER () AS $cap",
        level=scope.bind(level, "Float64"),
        value=_name("x", place),
        cap=_name("cap", place),
    )


def _moments(question: Experiment, metric: Metric, place: int, scope: Scope) -> Sql:
    """Mean and variance over people, and those of the second number with the covariance. (From plain sums of squares, 1e9 and 1e9 + 1 would
    have no spread.)"""
    mine, other = _name("x", place), _name("o", place)
    if metric.type == "quantile":
        names = {name: _name(name, place) for name in ("sorted", "size", "rank", "away", "value", "low", "high", "known")}
        return sql(QUANTILE, None, mine=mine, level=scope.bind(metric.quantile, "Float64"), **names)
    if metric.winsorize is not None:
        mine, other = (sql("least($plain, $cap)", plain=plain, cap=_name("cap", place)) for plain in (mine, other))
    found = sql(
        ", avg($mine) AS $mean, varSampStable($mine) AS $variance",
        mine=mine,
        mean=_name("mean", place),
        variance=_name("variance", place),
    )
    if question.cuped is None and metric.type != "ratio":
        return found
    more = sql(
        ", avg($other) AS $mean, varSampStable($other) AS $variance, covarSampStable($mine, $other) AS $covariance",
        mine=mine,
        other=other,
        mean=_name("other_mean", place),
        variance=_name("other_variance", place),
        covariance=_name("covariance", place),
    )
    return join("", [found, more])


def _name(word: str, *places: int) -> Sql:
    return identifier("_".join([word, *map(str, places)]))


# ------------------------------------------------------------------ the answer

Group = Mapping[str, Any]


def shape(question: Experiment, scope: Scope, result: Result) -> Shaped:
    """By value of the breakdown, metric and variant, the control first."""
    groups: dict[str, dict[str, Group]] = {}
    mixed = 0
    for row in result.dicts():
        if row["several"]:
            mixed += row["people"]
        else:
            groups.setdefault(row["label"], {})[row["variant"]] = row
    seen = {variant for found in groups.values() for variant in found}
    if len(seen) > _MOST_VARIANTS:
        raise invalid(
            f"The property of the exposures has more than {_MOST_VARIANTS} values.",
            place="variants",
            way_out="Name the variants, or another property.",
        )
    notes = [f"{mixed} people saw several variants and are left out."] if mixed else []
    names = list(question.variants) or sorted(seen)
    if question.control in names:
        names = [question.control, *(name for name in names if name != question.control)]
    elif names:
        notes.append(f"Nobody saw the control {question.control!r}; seen were {', '.join(names)}.")
    else:
        notes.append("Nobody was exposed in this range.")
    if not question.breakdown:
        groups = {"": groups.get("", {})}
    sizes = {label: sum(row["people"] for row in found.values()) for label, found in groups.items()}
    rows: list[dict[str, Any]] = []
    for label in sorted(groups, key=lambda label: (label == OTHER, -sizes[label], label)):
        rows += _of_label(question, scope, label, names, groups[label], notes)
    _correct(question, rows)
    used = [name for name in ExperimentRow.model_fields if any(name in row for row in rows)]
    return Shaped([{name: row.get(name) for name in used} for row in rows], notes=notes)


def _of_label(
    question: Experiment, scope: Scope, label: str, names: list[str], found: Mapping[str, Group], notes: list[str]
) -> list[dict[str, Any]]:
    people = [found[name]["people"] if name in found else 0 for name in names]
    p = stats.split(people, [question.shares.get(name, 0.0) if question.shares else 1.0 for name in names])[1]
    of = f" of {label!r}" if question.breakdown else ""
    if p < 0.01:
        notes.append(f"The split of people{of} is not what it should be (p = {p:.2g}): look for the cause before reading anything else.")
    rows = []
    for place, metric in enumerate(question.metrics, 1):
        moments = {name: _moments_of(found.get(name), place) for name in names}
        plain = {name: _sample(metric, found.get(name), place, moments[name]) for name in names}
        for name in names:
            row: dict[str, Any] = {"breakdown": label} if question.breakdown else {}
            row |= {"metric": _label(metric), "variant": name, "people": moments[name].n, "value": plain[name].mean}
            if name != question.control:
                ours, theirs = plain.get(question.control, stats.Sample(0, 0.0, 0.0)), plain[name]
                if question.cuped is not None and question.control in moments:
                    ours, theirs = stats.adjusted(
                        [moments[question.control], moments[name]], shares=metric.type in ("proportion", "retention")
                    )
                effect = stats.effect(ours, theirs, relative=question.effect == "relative")
                if effect.note:
                    notes.append(f"{_label(metric)}, {name}{of}: {effect.note}.")
                begun = min((found[one]["first"] for one in (question.control, name) if one in found), default=0)
                days = (scope.range.end.timestamp() * 1_000_000 - begun) / _DAY
                row |= _judged(question, metric, effect) | _planned(question, effect, days)
            rows.append({**row, "split_p_value": p})
    return rows


def _moments_of(row: Group | None, place: int) -> stats.Moments:
    if row is None:
        return stats.Moments(0, 0.0, 0.0)
    names = ("mean", "variance", "other_mean", "other_variance", "covariance")
    values = [row.get(f"{name}_{place}", 0.0) for name in names]
    return stats.Moments(row["people"], *(value if value is not None and math.isfinite(value) else 0.0 for value in values))


def _sample(metric: Metric, row: Group | None, place: int, moments: stats.Moments) -> stats.Sample:
    if row is None:
        return stats.Sample(0, 0.0, 0.0)
    if metric.type == "quantile":
        return stats.quantile(int(row[f"size_{place}"]), *(row[f"{name}_{place}"] for name in ("value", "low", "high")))
    if metric.type == "ratio":
        return stats.ratio(moments)
    if metric.type in _MEANS:
        return stats.mean(moments)
    return stats.proportion(moments.n, moments.mean * moments.n)


def _judged(question: Experiment, metric: Metric, effect: stats.Effect) -> dict[str, Any]:
    if question.method == "bayesian":
        prior = question.prior
        belief = stats.bayesian(effect, question.alpha, *((prior.mean, prior.sd) if prior else ()))
        more = metric.goal == "increase"
        return {
            "effect": belief.mean,
            "low": belief.low,
            "high": belief.high,
            "standard_error": belief.sd,
            "significant": belief.low > 0 or belief.high < 0,
            "chance_to_win": belief.chance if more else 1 - belief.chance,
            "expected_loss": belief.loss_of_treatment if more else belief.loss_of_control,
        }
    if question.method == "sequential":
        verdict = stats.sequential(effect, question.alpha, question.tuned_for, question.alternative)
    else:
        verdict = stats.welch(effect, question.alpha, question.alternative)
    return {"effect": effect.value, "low": verdict.low, "high": verdict.high, "standard_error": effect.error, "p_value": verdict.p}


def _planned(question: Experiment, effect: stats.Effect, days: float) -> dict[str, Any]:
    tuned = question.tuned_for if question.method == "sequential" else None
    factor = stats.times_as_many(question.least_effect, effect.error, question.alpha, _WANTED_POWER, n=effect.n, tuned=tuned)
    return {
        "power": stats.power(question.least_effect, effect.error, question.alpha, n=effect.n, tuned=tuned) if effect.error else None,
        "people_needed": math.ceil(effect.n * factor) if factor else None,
        "days_needed": days * factor if factor else None,
    }


def _correct(question: Experiment, rows: Sequence[dict[str, Any]]) -> None:
    """Adds the corrected p values, over all comparisons."""
    compared = [row for row in rows if "p_value" in row]
    values = [row["p_value"] for row in compared]
    if question.correction == "holm":
        values = stats.holm(values)
    if question.correction == "benjamini_hochberg":
        values = stats.benjamini_hochberg(values)
    for row, value in zip(compared, values, strict=True):
        row |= {"corrected_p_value": value, "significant": value < question.alpha}


ANALYSIS: Final = Analysis(
    question=Experiment, row=ExperimentRow, compile=compile, shape=shape, members=members, examples=examples_of("experiment")
)
