"""From the counted histories of people to the models of lifetime value and back: what `lifetime_value` predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from almanac.analyses import breakdowns
from almanac.core.sql import Sql, sql
from almanac.predict import lifetime_value as model

_MOST_HISTORIES: Final = 20_000  # the model takes about a second for so many

# What the models need, of people counted and not one by one: in rows with bin 0, how often, how long and until when they bought; in the
# others, how often and for how much (a bin is 1 % wide; 1 holds those whom the model of values leaves out).
# A day is a number of days since 1970. A sum's rounding error must not pass for revenue.
PREDICTED: Final = """
WITH
$active,
per_person AS
(
    SELECT
        minIf(period, began) AS cohort,
        minIf(local_day, began) AS first,
        toInt64(uniqExactIf(local_day, began)) - 1 AS repeats,
        maxIf(local_day, began) - first AS recency,
        {until:UInt32} - first AS age,
        sumKahanIf(paid, known) AS revenue,
        revenue - sumKahanArgMinIf(paid, local_day, began) AS rest,
        if(repeats > 0 AND rest > 1e-9 * abs(revenue), rest, 0) AS spent,
        if(spent > 0, 1000000 + toInt64(round(100 * log(spent / repeats))), 1) AS bin
        $actual
        $value
    FROM active
    GROUP BY person
    HAVING max(began) AND cohort >= 0
),
cells AS
(
    SELECT
        $keys
        repeats,
        recency,
        age,
        bin,
        count() AS members,
        sumKahan(revenue) AS revenues,
        sumKahan(spent) AS spents,
        sumKahan(spent * spent) AS squares,
        sumKahanIf(log(spent / repeats), spent > 0) AS logs
        $actuals
    FROM per_person
    GROUP BY GROUPING SETS (($keys repeats, recency, age), (repeats, bin))
)
SELECT
    label,
    $cohort AS cohort,
    bin,
    sum(members) AS people,
    sum(members * repeats) AS all_repeats,
    sum(members * recency) AS all_recencies,
    sum(members * age) AS all_ages,
    sumKahan(revenues) AS all_revenue,
    sumKahan(spents) AS all_spent,
    sumKahan(squares) AS all_squares,
    sumKahan(logs) AS all_logs,
    max(unit) AS grain
    $all_actuals
FROM
(
    SELECT *, toUInt32(greatest(1, ceil(sqrt((countIf(bin = 0) OVER ()) / {most:UInt64})))) AS unit
    FROM $ranked
)
GROUP BY
    label,
    cohort,
    bin,
    if(unit = 1 OR repeats <= 20, toFloat64(repeats), 20 + round(10 * log(repeats / 20))),
    intDiv(recency, unit),
    intDiv(age, unit)
"""

SIZED: Final = "(SELECT *, sumIf(members, bin = 0) OVER (PARTITION BY value) AS size FROM cells)"


def statement(active: Sql, value: Sql, values: Mapping[str, Any], *, limit: int | None, split: bool, held: bool) -> Sql:
    """The counted histories. `active`: what each event says of its person; `value`: the column of the breakdown, whose `limit` biggest are
    told apart, if there is one; `split`: by cohort; `held`: also what happened in the holdout. `values` binds `until`."""
    broken = limit is not None
    return sql(
        PREDICTED,
        {**values, "most": _MOST_HISTORIES},
        active=active,
        value=value,
        keys=Sql(("value, " if broken else "") + ("cohort, " if split else "")),
        cohort=Sql("cohort" if split else "0"),
        ranked=breakdowns.ranked(Sql(SIZED if broken else "cells"), limit),
        actual=Sql(", uniqExactIf(local_day, paid >= 0 AND NOT known) AS comes, sumKahanIf(paid, NOT known) AS pays" if held else ""),
        actuals=Sql(", sum(comes) AS coming, sumKahan(pays) AS paying" if held else ""),
        all_actuals=Sql(", sum(coming) AS all_coming, sumKahan(paying) AS all_paying" if held else ""),
    )


def predictions(
    found: Sequence[Mapping[str, Any]], groups: Sequence[Sequence[int]], days: int
) -> tuple[dict[str, model.Floats | None], list[str]]:
    """What each group will do within so many days, by the answer's columns, and the notes that go with it; all empty where the data carry
    no model. `found`: the statement's rows. `groups`: the places of each one's rows among those with bin 0."""
    histories = [row for row in found if row["bin"] == 0]
    names = ["active"] + [f"expected_{what}{end}" for what in ("purchases", "revenue") for end in ("", "_low", "_high")]
    nothing: dict[str, model.Floats | None] = dict.fromkeys(names)
    if not histories:
        return nothing, ["Nobody of the range bought anything."]
    cells = _histories(histories)
    notes: list[str] = []
    try:
        bought = model.fit_purchases(cells.people, cells.repeats, cells.recency, cells.age)
    except model.TooLittleError as reason:
        return nothing, [str(reason)]
    notes += _said("BG/NBD, time in days", bought)
    values = [row for row in found if row["bin"] > 1]
    worth = None
    try:
        paying = _histories(values)
        logs = np.array([float(row["all_logs"]) for row in values])
        worth = model.fit_values(paying.people, paying.repeats, paying.spent / np.maximum(paying.people * paying.repeats, 1), logs)
        notes += _said("Gamma-gamma, values in money", worth)
    except model.TooLittleError as reason:
        notes.append(str(reason))
    if (grain := max(row["grain"] for row in histories)) > 1:
        notes.append(f"Histories that differ by less than {grain} days were taken together.")
    if days > float(cells.age.max()):
        notes.append("The horizon is longer than anybody has been seen for.")
    group = np.zeros(len(histories), dtype=np.int64)
    for number, places in enumerate(groups):
        group[list(places)] = number
    future = model.forecast(bought, worth, cells, group, len(groups), float(days))
    if worth is not None and future.value_low is None:
        notes.append("Values scatter so widely that their sum has no interval.")
    columns = (
        future.active,
        future.purchases,
        future.purchases_low,
        future.purchases_high,
        future.value,
        future.value_low,
        future.value_high,
    )
    return dict(zip(names, columns, strict=True)), notes


def _histories(rows: Sequence[Mapping[str, Any]]) -> model.Histories:
    """Cells, each of the mean of its people."""

    def column(name: str) -> model.Floats:
        return np.array([float(row[name]) for row in rows])

    people = column("people")
    means = [column(name) / people for name in ("all_repeats", "all_recencies", "all_ages")]
    return model.Histories(people, means[0], means[1], means[2], column("all_spent"), column("all_squares"))


def _said(title: str, fitted: model.Fitted) -> list[str]:
    listed = ", ".join(f"{name} {value:.4g}" for name, value in zip(fitted.names, fitted.parameters, strict=True))
    notes = [f"{title}: {listed}; log-likelihood {fitted.log_likelihood:.2f}."]
    if fitted.at_edge:
        notes.append(f"The data do not fix {', '.join(fitted.at_edge)}: people hardly differ, or too few have left.")
    return notes
