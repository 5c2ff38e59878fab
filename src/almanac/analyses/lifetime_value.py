"""What are people worth: what they have spent, and what they are going to.

Ask the historical view how much the people who began in one month have brought in since, month after month, and whether later ones bring
more than those before them: what may the next one cost. Ask the predicted view how much those same people will still buy within a horizon.

How it counts:

- Purchases are the events of the question; those with a negative value are refunds, which take from the revenue but are no purchase. An
  event without the property, or with something that is no number, is a purchase of value 0: filter on the value where free ones do not
  count. Currencies are not converted: filter by `@currency` where there are several.
- A cohort holds the people who began in one period of the range: with their first purchase ever or, with `since: first_seen`, their first
  event of any kind, looking back over the whole history; filters hold for these events too.
- Historical: period 0 is the calendar period of the cohort, in the question's zone, and whole; revenue is counted to the end of the range,
  from period 0 on. (Some count spans of 30 days from each person's own start.) A cell is not complete while its period is not over, or
  where the range cuts it. Without `cohorts` there is one curve: its point k is of all people whose cohort has k periods after its own
  complete, so that the people change from point to point.
- Predicted: BG/NBD for the number of purchases, gamma-gamma for their value, fitted by maximum likelihood without penalty to all people of
  the range, whatever the breakdown. Purchases of one calendar day are one (as in the CDNOW data of the papers); times are in whole days,
  and the day in which the range ends counts as whole. The value model leaves the first purchase out, as its authors do, and people whose
  repeat purchases come to nothing. Refunds, whenever they are, take from the repeat purchases. A horizon begins where the range ends.
- Intervals hold 95 %: the scatter of what people do, and (delta method) what is unsure about the parameters. They do not hold what the
  model gets wrong, such as seasons and campaigns. `holdout` shows it: the model learns all but the last horizon of the range, and what
  happened in it stands beside the prediction. For CDNOW's last 39 weeks it predicts 1653 (1463 to 1862); there were 1882.
- Fewer than 10 people who bought again are not enough: the predictions are empty, and a note says why. The parameters are in the notes.
- With more than 20,000 different histories, those that differ by a few days are taken as one of their mean; a note says so.
- A breakdown takes the value at a person's first purchase (or first event). A limit keeps the values with most people; the rest is Other.
- The people behind a row are those whom its `size` counts.
"""

from __future__ import annotations

# Over 300 lines: a question stays in one file, and this one has two views.
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from almanac.analyses import breakdowns, periods
from almanac.analyses import lifetime_value_models as models
from almanac.analyses.examples import examples_of
from almanac.analyses.scope import period_label
from almanac.core import time as times
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import BUILT_IN, Breakdown, Selector, Window
from almanac.core.ports import Result
from almanac.core.sql import EMPTY, Sql, sql
from almanac.core.time import TimeRange

Period = Literal["day", "week", "month", "quarter", "year"]

_MOST_PERIODS: Final = 2000
_MOST_DAYS: Final = 3660
_NOBODY: Final = 1_000_000  # in the place of a cohort: who never began
_ACTUAL: Final = {"actual_purchases": "all_coming", "actual_revenue": "all_paying"}
_DAY: Final = 86_400_000_000  # microseconds


class LifetimeValue(Question):
    """The question."""

    kind: Literal["lifetime_value"] = "lifetime_value"
    event: Selector = Field(description="What counts as a purchase.", examples=["order"])
    value: str = Field(
        "@revenue", min_length=1, max_length=500, description="What a purchase is worth: a numeric property in units of money, or @revenue."
    )
    view: Literal["historical", "predicted"] = Field(
        "historical", description="historical: revenue so far, period after period; predicted: purchases and revenue of the horizon."
    )
    since: Literal["first_purchase", "first_seen"] = Field(
        "first_purchase", description="Where a person begins; first_seen goes with the historical view."
    )
    period: Period = Field("month", description="Length of a period, and of cohorts.")
    intervals: int | None = Field(None, ge=1, le=1000, description="Historical: number of periods to follow a cohort, its own included.")
    cohorts: bool = Field(True, description="Split people by the period in which they began.")
    horizon: Window = Field(Window(value=365), description="Predicted: how far ahead, in whole days.", examples=["90 days"])
    holdout: bool = Field(False, description="Predicted: predict the last horizon of the range from what was before, beside what happened.")
    breakdown: Breakdown | None = Field(None, description="Property to split people by.", examples=["@channel"])

    DEFAULT_RANGE: ClassVar[str] = "-12m"

    @field_validator("value")
    @classmethod
    def _is_there(cls, value: str) -> str:
        if value.startswith("@") and value[1:] not in BUILT_IN:
            raise ValueError(f"there is no built-in column {value}; for money there is @revenue")
        return value

    @field_validator("horizon")
    @classmethod
    def _whole_days(cls, value: Window) -> Window:
        if value.microseconds % _DAY or not 1 <= value.microseconds // _DAY <= _MOST_DAYS:
            raise ValueError(f"the horizon is of whole days, 1 to {_MOST_DAYS}")
        return value

    @field_validator("since", "intervals", "horizon", "holdout")
    @classmethod
    def _fits_the_view(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name or ""
        wanted = "historical" if name in ("since", "intervals") else "predicted"
        if info.data.get("view", wanted) != wanted and value != cls.model_fields[name].default:
            raise ValueError(f"this goes with the view {wanted}")
        return value

    @property
    def days(self) -> int:
        """Length of the horizon."""
        return self.horizon.microseconds // _DAY


class LifetimeValueRow(Row):
    """Historical: a cohort after so many periods. Predicted: a cohort."""

    breakdown: str = Field("", description="Value of the property; empty: not set; 'Other': all further values.")
    cohort: str = Field("", description="Start of the period in which these people began: a local date.")
    size: int = Field(description="People in it.")
    period: int = Field(0, description="How many periods after that of the cohort; 0 is its own.")
    period_start: str = Field("", description="Start of that period: a local date.")
    revenue: float = Field(description="Historical: their revenue in this period. Predicted: their revenue so far.")
    cumulative: float = Field(0, description="Their revenue up to the end of this period.")
    purchases: int = Field(0, description="Their days with a purchase so far, the first included.")
    active: float | None = Field(None, description="How many of them are expected to be customers still.")
    expected_purchases: float | None = Field(None, description="Their purchases within the horizon, expected.")
    expected_purchases_low: float | None = Field(None, description="Lower end of its 95 % interval.")
    expected_purchases_high: float | None = Field(None, description="Upper end of its 95 % interval.")
    expected_revenue: float | None = Field(None, description="Their revenue within the horizon, expected.")
    expected_revenue_low: float | None = Field(None, description="Lower end of its 95 % interval.")
    expected_revenue_high: float | None = Field(None, description="Upper end of its 95 % interval.")
    actual_purchases: int = Field(0, description="With holdout: their purchases within the horizon.")
    actual_revenue: float = Field(0, description="With holdout: their revenue within the horizon.")
    lifetime_value: float | None = Field(
        description="Per person. Historical: cumulative / size. Predicted: (revenue + expected_revenue) / size."
    )
    complete: bool = Field(True, description="False while the period is not over, or where the range cuts it.")


# Every statement begins with it: what each event says of its person.
ACTIVE: Final = """active AS
(
    SELECT
        person,
        $period AS period,
        $paid AS paid,
        $began AS began
        $more
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
)"""

# A payment takes 16 bytes of memory, whosoever it is. Periods are places from 0. Who never paid has one row too, with nth 0.
HISTORICAL: Final = """
WITH
$active,
per_person AS
(
    SELECT
        min(if(began, period, {nobody:Int32})) AS cohort,
        $periods AS periods,
        $payments AS payments
        $value
    FROM active
    GROUP BY person
    HAVING cohort >= 0 AND cohort < {nobody:Int32}
),
cells AS
(
    SELECT
        $keys
        cohort,
        greatest(period, cohort) AS later,
        countIf(nth <= 1) AS people_of_value,
        sumKahan(if(period < cohort, 0, payment)) AS amount_of_value
    FROM per_person
    $left ARRAY JOIN periods AS period, payments AS payment, arrayEnumerate(periods) AS nth
    GROUP BY $keys cohort, later
)
SELECT label, cohort, later, sum(people_of_value) AS people, sumKahan(amount_of_value) AS amount
FROM $ranked
GROUP BY label, cohort, later
"""

SIZED: Final = "(SELECT *, sum(people_of_value) OVER (PARTITION BY value) AS size FROM cells)"

MEMBERS: Final = """
WITH
$active,
per_person AS
(
    SELECT
        person,
        minIf(period, began) AS cohort
        $value
    FROM active
    GROUP BY person
    HAVING max(began) AND cohort >= 0
)
SELECT person
FROM per_person
WHERE has({cohorts:Array(Int32)}, cohort) AND $biggest = {label:String}
"""


def compile(question: LifetimeValue, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """Historical: every payment by cohort and period. Predicted: the histories of people, counted."""
    return Compiled(_predicted(question, scope) if question.view == "predicted" else _historical(question, scope))


def _historical(question: LifetimeValue, scope: Scope) -> Sql:
    broken, seen = question.breakdown is not None, question.since == "first_seen"
    return sql(
        HISTORICAL,
        {"nobody": _NOBODY},
        # Where every event is a purchase, everybody has one, and next to none are free.
        periods=Sql("groupArrayIf(period, paid != 0)" if seen else "groupArray(period)"),
        payments=Sql("groupArrayIf(paid, paid != 0)" if seen else "groupArray(paid)"),
        left=Sql("LEFT" if seen else ""),
        active=_active(question, scope),
        value=_value(question),
        keys=Sql("value," if broken else ""),
        ranked=breakdowns.ranked(Sql(SIZED if broken else "cells"), breakdowns.limit_of(question.breakdown)),
    )


def _predicted(question: LifetimeValue, scope: Scope) -> Sql:
    until = (_cut(question, scope) - timedelta(microseconds=1)).astimezone(times.zone_of(scope.zone)).date()
    days = sql(", toUInt32(toDate($day)) AS local_day, $known AS known", day=scope.period("day"), known=_known(question, scope))
    return models.statement(
        _active(question, scope, days),
        _value(question),
        {"until": (until - date(1970, 1, 1)).days},
        limit=breakdowns.limit_of(question.breakdown),
        split=question.cohorts,
        held=question.holdout,
    )


def members(question: LifetimeValue, scope: Scope, row: Mapping[str, Any]) -> Compiled:
    """The people whom the row's `size` counts."""
    starts = _starts(question, scope)
    chosen = range(len(starts))
    if question.cohorts:
        labels = [period_label(start, question.period, scope.zone) for start in starts]
        chosen = range(labels.index(row["cohort"]), labels.index(row["cohort"]) + 1) if row.get("cohort") in labels else range(0)
    elif question.view == "historical":
        chosen = range(max(0, sum(periods.over(starts, question.period, scope)) - int(row.get("period", 0))))
    more = sql(", $known AS known", known=_known(question, scope)) if question.view == "predicted" else EMPTY
    return Compiled(
        sql(
            MEMBERS,
            {"label": breakdowns.value_of(row, question.breakdown), "cohorts": list(chosen)},
            active=_active(question, scope, more),
            value=_value(question),
            biggest=breakdowns.biggest(Sql("per_person"), breakdowns.limit_of(question.breakdown)),
        )
    )


# ----------------------------------------------------------------- the statements


def _active(question: LifetimeValue, scope: Scope, more: Sql = EMPTY) -> Sql:
    bought = scope.matches(question.event)
    paid = sql("ifNull($number, 0)", number=scope.number(question.value))
    seen = question.since == "first_seen"
    tag = sql(", time, $text AS tag", text=breakdowns.text(question.breakdown, scope)) if question.breakdown else EMPTY
    began = Sql("paid >= 0 AND known" if question.view == "predicted" else "1" if seen else "paid >= 0")
    return sql(
        ACTIVE,
        period=periods.place(scope, question.period, _starts(question, scope)),
        paid=sql("if($bought, $paid, 0)", bought=bought, paid=paid) if seen else paid,
        began=began,
        more=sql("$more $tag", more=more, tag=tag),
        events=scope.events(),
        scope=scope.where(TimeRange(periods.BEGINNING, scope.range.end, scope.zone)),
        wanted=Sql("1") if seen else bought,
    )


def _value(question: LifetimeValue) -> Sql:
    """The property where the person began; of simultaneous events, the first by name."""
    return sql(", $value AS value", value=breakdowns.first_value(Sql("tag"), Sql("began"))) if question.breakdown else EMPTY


def _known(question: LifetimeValue, scope: Scope) -> Sql:
    if not question.holdout:
        return Sql("1")
    return sql("time < $cut", cut=scope.bind(_cut(question, scope).strftime("%Y-%m-%d %H:%M:%S"), "DateTime64(6, 'UTC')"))


# ---------------------------------------------------------------------- the times


def _starts(question: LifetimeValue, scope: Scope) -> list[datetime]:
    return periods.starts_of(scope, question.period, most=_MOST_PERIODS, place="period")


def _cut(question: LifetimeValue, scope: Scope) -> datetime:
    """What happened before is known to the model: the end of the range, or the day's beginning that is a horizon earlier."""
    if not question.holdout:
        return scope.range.end
    if scope.range.length <= timedelta(days=question.days + 1):
        raise invalid(
            f"The range has no more than the {question.days} days of the horizon: nothing is left to learn from.",
            place="horizon",
            way_out="Choose a shorter horizon, or an earlier date_from.",
        )
    zone = times.zone_of(scope.zone)
    last = (scope.range.end - timedelta(microseconds=1)).astimezone(zone).date()
    return datetime.combine(last - timedelta(days=question.days - 1), time(), tzinfo=zone).astimezone(UTC)


# --------------------------------------------------------------------- the answer


def shape(question: LifetimeValue, scope: Scope, result: Result) -> Shaped:
    """The biggest values come first, Other last; cohorts in the order of time."""
    if question.view == "predicted":
        return _shape_predicted(question, scope, result)
    starts = _starts(question, scope)
    columns = min(question.intervals or len(starts), len(starts))
    sizes: dict[str, dict[int, int]] = {} if question.breakdown else {"": {}}
    paid: dict[str, dict[tuple[int, int], float]] = {}
    for row in result.dicts():
        cohort = row["cohort"]
        size = sizes.setdefault(row["label"], {})
        size[cohort] = size.get(cohort, 0) + row["people"]
        paid.setdefault(row["label"], {})[cohort, row["later"] - cohort] = row["amount"]
    rows_of_each = columns * len(starts) - columns * (columns - 1) // 2 if question.cohorts else columns
    breakdowns.refuse_too_many(len(sizes) * rows_of_each, place="intervals", way_out="Choose a longer period or fewer intervals.")
    labels = [period_label(start, question.period, scope.zone) for start in starts]
    form = _Form(labels, periods.over(starts, question.period, scope), columns)
    table = _triangle if question.cohorts else _curve
    rows = [
        {**({"breakdown": label} if question.breakdown else {}), **row}
        for label in breakdowns.in_order({label: sum(cohorts.values()) for label, cohorts in sizes.items()})
        for row in table(form, sizes[label], paid.get(label, {}))
    ]
    unfinished = question.cohorts and not all(row["complete"] for row in rows)
    return Shaped(rows, notes=("Periods that are not over are marked as not complete.",) if unfinished else ())


@dataclass(frozen=True)
class _Form:
    """The periods' labels, whether each is complete, and how many of them a cohort is followed."""

    labels: list[str]
    over: list[bool]
    columns: int


def _triangle(form: _Form, sizes: Mapping[int, int], paid: Mapping[tuple[int, int], float]) -> list[dict[str, Any]]:
    rows = []
    for cohort, label in enumerate(form.labels):
        size = sizes.get(cohort, 0)
        revenue = [paid.get((cohort, k), 0.0) for k in range(min(form.columns, len(form.labels) - cohort))]
        rows += [
            {
                "cohort": label,
                "size": size,
                "period": k,
                "period_start": form.labels[cohort + k],
                "revenue": revenue[k],
                "cumulative": cumulative,
                "lifetime_value": cumulative / size if size else None,
                "complete": form.over[cohort + k],
            }
            for k, cumulative in enumerate(itertools.accumulate(revenue))
        ]
    return rows


def _curve(form: _Form, sizes: Mapping[int, int], paid: Mapping[tuple[int, int], float]) -> list[dict[str, Any]]:
    revenue = np.zeros((len(form.labels), form.columns))
    for (cohort, k), amount in paid.items():
        if k < form.columns:
            revenue[cohort, k] = amount
    cumulative = revenue.cumsum(axis=1)
    over = sum(form.over)
    rows = []
    for k in range(min(form.columns, over)):
        followed = over - k  # so many cohorts, the first ones
        size, total = sum(sizes.get(cohort, 0) for cohort in range(followed)), float(cumulative[:followed, k].sum())
        rows.append(
            {
                "size": size,
                "period": k,
                "revenue": float(revenue[:followed, k].sum()),
                "cumulative": total,
                "lifetime_value": total / size if size else None,
            }
        )
    return rows


def _shape_predicted(question: LifetimeValue, scope: Scope, result: Result) -> Shaped:
    found = result.dicts()
    histories = [row for row in found if row["bin"] == 0]
    groups: dict[tuple[str, int], list[int]] = {}
    sizes: dict[str, int] = {}
    for place, row in enumerate(histories):
        groups.setdefault((row["label"], row["cohort"]), []).append(place)
        sizes[row["label"]] = sizes.get(row["label"], 0) + row["people"]
    breakdowns.refuse_too_many(len(groups), place="period", way_out="Choose a longer period, or leave cohorts out.")
    order = {label: place for place, label in enumerate(breakdowns.in_order(sizes))}
    keys = sorted(groups, key=lambda key: (order[key[0]], key[1]))
    future, notes = models.predictions(found, [groups[key] for key in keys], question.days)
    labels = [period_label(start, question.period, scope.zone) for start in _starts(question, scope)]
    rows = []
    for place, (label, cohort) in enumerate(keys):
        cells = [histories[cell] for cell in groups[label, cohort]]
        size, revenue = sum(cell["people"] for cell in cells), sum(cell["all_revenue"] for cell in cells)
        expected = {name: None if values is None else float(values[place]) for name, values in future.items()}
        coming = expected["expected_revenue"]
        rows.append(
            {
                **({"breakdown": label} if question.breakdown else {}),
                **({"cohort": labels[cohort]} if question.cohorts else {}),
                "size": size,
                "purchases": size + sum(cell["all_repeats"] for cell in cells),
                "revenue": revenue,
                **expected,
                **({name: sum(cell[column] for cell in cells) for name, column in _ACTUAL.items()} if question.holdout else {}),
                "lifetime_value": None if coming is None else (revenue + coming) / size,
            }
        )
    return Shaped(rows, notes=notes)


ANALYSIS: Final = Analysis(LifetimeValue, LifetimeValueRow, compile, shape, members, examples_of("lifetime_value"))
