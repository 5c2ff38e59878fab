"""The people behind a row of a funnel's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from almanac.analyses.breakdowns import value_of
from almanac.analyses.funnel_views import periods
from almanac.analyses.periods import place_of
from almanac.core.analysis import Scope
from almanac.core.errors import invalid
from almanac.core.sql import Sql, sql

if TYPE_CHECKING:
    from almanac.analyses.funnel import Funnel

MEMBERS: Final = """
SELECT DISTINCT person
FROM labelled
WHERE label = {row_label:String} AND $within
"""


def members_of(question: Funnel, scope: Scope, row: Mapping[str, Any]) -> Sql:
    """What is read from `labelled`, each person once. Raises `invalid` for a row that the answer cannot have."""
    return sql(MEMBERS, {"row_label": value_of(row, question.breakdown)}, within=row_condition(question, scope, row))


def outcome_of(row: Mapping[str, Any]) -> bool | None:
    """Which of the people are asked for: those who converted, those who did not, or None for all."""
    converted = row.get("converted")
    if converted is not None and not isinstance(converted, bool):
        raise invalid("converted is true or false.", place="converted", way_out="Leave it out for all of the row.")
    return converted


def row_condition(question: Funnel, scope: Scope, row: Mapping[str, Any]) -> Sql:
    """A condition on `labelled`: those behind this row."""
    if question.view == "steps":
        return _at_step(question, row)
    if question.view == "trend":
        reached = {None: "1", True: "length(instants) >= {to_step:UInt8}", False: "length(instants) < {to_step:UInt8}"}
        starts = periods(question, scope)
        return sql(
            "period = {row_period:UInt32} AND length(instants) >= {from_step:UInt8} AND $reached",
            {"row_period": int(starts[place_of(row, starts, question.interval, scope)].timestamp())},
            reached=Sql(reached[outcome_of(row)]),
        )
    if outcome_of(row) is False:
        raise invalid("Whoever is in a bin has converted.", place="converted", way_out="Ask the view steps for those who did not.")
    edges = [row.get("bin_start_seconds"), row.get("bin_end_seconds")]
    if not all(isinstance(edge, (int, float)) and not isinstance(edge, bool) for edge in edges):
        raise invalid("The row does not say which bin it is.", place="bin_start_seconds", way_out="Take it from a row of the answer.")
    return Sql(
        "length(instants) >= {to_step:UInt8}"
        " AND (instants[{to_step:UInt8}] - instants[{from_step:UInt8}]) / 1e6 >= {row_from:Float64}"
        " AND (instants[{to_step:UInt8}] - instants[{from_step:UInt8}]) / 1e6 < {row_to:Float64}",
        {"row_from": edges[0], "row_to": edges[1]},
    )


def _at_step(question: Funnel, row: Mapping[str, Any]) -> Sql:
    step, count = row.get("step"), len(question.steps)
    if not isinstance(step, int) or isinstance(step, bool) or not 1 <= step <= count:
        raise invalid(f"The funnel has no step {step!r}.", place="step", way_out=f"Give 1 to {count}.")
    if outcome_of(row) is not False:
        return Sql("length(instants) >= {row_step:UInt8}", {"row_step": step})
    if step == 1:
        raise invalid("Nobody drops off before the first step.", place="step", way_out=f"Give 2 to {count}.")
    return Sql("length(instants) = {row_step:UInt8}", {"row_step": step - 1})
