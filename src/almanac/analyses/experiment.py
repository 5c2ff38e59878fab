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

from almanac.analyses import breakdowns
from almanac.analyses import experiment_metrics as metrics
from almanac.analyses.examples import examples_of
from almanac.analyses.experiment_metrics import Metric
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import OTHER, Breakdown, Filter, FilterGroup, Model, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, any_of, join, sql
from almanac.core.time import TimeRange
from almanac.predict import experiment as stats

_MOST_VARIANTS: Final = 20
_WITH_COVARIATE: Final = ("count", "sum", "proportion", "retention")
_WANTED_POWER: Final = 0.8
_SHOWN: Final = ("experiment_viewed", "Experiment Viewed")
_DAY: Final = 86_400_000_000  # microseconds


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
        if len({metrics.label_of(metric) for metric in self.metrics}) < len(self.metrics):
            raise ValueError("two metrics have the same name; give them names")
        for metric in self.metrics:
            if metric.metric is not None:  # not yet put in the place of its name
                continue
            if self.cuped is not None and metric.type not in _WITH_COVARIATE:
                raise ValueError(f"cuped does not go with {metric.type}; it goes with {', '.join(_WITH_COVARIATE)}")
            if metric.after is not None and self.window is not None and metric.after.microseconds > self.window.microseconds:
                raise ValueError(f"after is longer than the window, so that {metrics.label_of(metric)!r} would never happen")
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
        max(shown.variant) != min(shown.variant) AS several,
        if(several, '', min(shown.variant)) AS variant
        $value
    FROM shown
    WHERE shown.variant != ''
    GROUP BY person
    HAVING since < {last:Int64}
)
"""

# Memory is linear in people, whatever they do: each event adds to the sums of its person. A funnel keeps 16 bytes of each of its events.
# TRICKY: who did nothing has one row with an instant and marks of 0 (or NULL), which add nothing.
STATEMENT: Final = """
$exposed,
happened AS
(
    SELECT
        person,
        toUnixTimestamp64Micro(time) AS at
        $shows
        $marks
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
per_person AS
(
    SELECT
        exposed.person AS person,
        any(exposed.since) AS since,
        any(exposed.variant) AS variant,
        variant = '' AS several
        $carried
        $reckoned
    FROM happened
    RIGHT JOIN exposed ON happened.person = exposed.person
    WHERE $kept
    GROUP BY exposed.person
)
SELECT
    $label AS label,
    variant,
    several,
    count() AS people,
    min(since) AS first
    $moments
-- In one order, so that the moments are the same each time to the last digit.
FROM (SELECT *$caps FROM per_person ORDER BY person)
GROUP BY label, variant, several
-- Fewer rows than these have all variants that are taken, of every label; with more there are too many variants.
LIMIT 20000
-- The join's hash table is of people, not of events.
SETTINGS query_plan_join_swap_table = 'false'
"""

SINGLE: Final = "exposed WHERE NOT several"

MEMBERS: Final = "$exposed SELECT person FROM exposed WHERE NOT several AND variant = $variant AND $labelled"


def compile(question: Experiment, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Who saw what since when; what each of them did since; the moments of each variant."""
    exposure = scope.matches(_exposure(question))
    # A funnel begins with the exposure itself; nothing else needs these events once more.
    from_exposure = any(metric.type == "funnel" for metric in question.metrics)
    wanted = [exposure] if from_exposure else []
    for metric in question.metrics:
        wanted += [scope.matches(one) for one in metric.steps or (metric.event, metric.denominator) if one]
    numbered = list(enumerate(question.metrics, 1))
    caps = [metrics.cap(metric.winsorize, place, scope) for place, metric in numbered if metric.winsorize is not None]
    covariate = question.cuped is not None
    broken = question.breakdown
    span = scope.range
    if question.cuped is not None:
        span = TimeRange(span.start - timedelta(microseconds=question.cuped.microseconds), span.end, span.zone)
    statement = sql(
        STATEMENT,
        exposed=_exposed(question, scope),
        shows=sql(", toUInt8($exposure) AS shows", exposure=exposure) if from_exposure else EMPTY,
        events=scope.events(),
        scope=scope.where(span),
        wanted=any_of(wanted),
        marks=join("", [metrics.marks(metric, place, scope) for place, metric in numbered]),
        reckoned=join("", [metrics.reckoned(metric, place, scope, question.window, question.cuped) for place, metric in numbered]),
        carried=Sql(", any(exposed.value) AS value" if broken else ""),
        kept=sql("exposed.several OR has($variants, exposed.variant)", variants=scope.bind(question.variants, "Array(String)"))
        if question.variants
        else Sql("1"),
        label=breakdowns.biggest(Sql(SINGLE), breakdowns.limit_of(broken)),
        moments=join("", [metrics.moments(metric, place, scope, second=covariate) for place, metric in numbered]),
        caps=join("", caps),
    )
    return Compiled(statement)


def members(question: Experiment, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """Who saw the variant of a row, and no other."""
    label = breakdowns.biggest(Sql(SINGLE), breakdowns.limit_of(question.breakdown))
    value = scope.bind(breakdowns.value_of(row, question.breakdown), "String")
    variant = scope.bind(str(row.get("variant", "")), "String")
    labelled = sql("$label = $value", label=label, value=value)
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
            row |= {"metric": metrics.label_of(metric), "variant": name, "people": moments[name].n, "value": plain[name].mean}
            if name != question.control:
                ours, theirs = plain.get(question.control, stats.Sample(0, 0.0, 0.0)), plain[name]
                if question.cuped is not None and question.control in moments:
                    ours, theirs = stats.adjusted(
                        [moments[question.control], moments[name]], shares=metric.type in ("proportion", "retention")
                    )
                effect = stats.effect(ours, theirs, relative=question.effect == "relative")
                if effect.note:
                    notes.append(f"{metrics.label_of(metric)}, {name}{of}: {effect.note}.")
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
    if metric.type in metrics.MEANS:
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
