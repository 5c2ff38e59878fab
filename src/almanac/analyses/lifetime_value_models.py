"""From the counted histories of people to the models of lifetime value and back: what `lifetime_value` predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from almanac.predict import lifetime_value as model


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
