"""Where the returns of a person count in a retention: arrays of columns, reckoned within the statement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from almanac.analyses.retention_triangle import Triangle
from almanac.core.sql import Sql, number, sql

# In the plain case a mark is the period of a return, or the cohort's own; the numbers of columns are reckoned from the few rows counted.
PERIODS: Final = Sql("arrayJoin(arrayPushBack(arrayFilter(later -> later > cohort, returned), cohort)) AS mark")

# Else it is the number of the column in which a return counts, or 0 for the membership itself. `after`: so many periods after the start.
COLUMNS: Final = """
        $offsets AS offsets,
        arrayFilter(column -> column > 0, arrayDistinct(arrayMap(after -> {places:Array(UInt16)}[after + 1], offsets))) AS reached,
        $counted AS counted,
        arrayJoin(arrayPushBack(counted, 0)) AS mark"""

# A person's marks, then the values of the returns, those of period 0 beside the membership too.
VALUED_COLUMNS: Final = """
        $offsets AS offsets,
        arrayFilter(column -> column > 0, arrayDistinct(arrayMap(after -> {places:Array(UInt16)}[after + 1], offsets))) AS reached,
        $counted AS counted,
        $flows AS flows,
        arrayJoin(arrayConcat(
            arrayMap(column -> (column, 1, 0.), arrayPushBack(counted, 0)),
            arrayMap(
                flow -> ({places:Array(UInt16)}[flow.1 + 1], 0, flow.2),
                arrayFilter(flow -> {places:Array(UInt16)}[flow.1 + 1] > 0, flows)
            ),
            arrayMap(flow -> (toUInt16(0), 0, flow.2), arrayFilter(flow -> flow.1 = 0, flows))
        )) AS marked,
        marked.1 AS mark"""

CALENDAR_OFFSETS: Final = "arrayMap(later -> $later - $cohort, arrayFilter(later -> later > cohort, returned))"
CALENDAR_FLOWS: Final = """arrayMap(
            (later, amount) -> ($later - $cohort, amount),
            arrayFilter(later -> later >= cohort, amounts.1),
            arrayFilter((amount, later) -> later >= cohort, amounts.2, amounts.1)
        )"""
ELAPSED_OFFSETS: Final = """arrayDistinct(arrayMap(
            at -> intDiv(at - entry.2, {length:Int64}),
            arrayFilter(at -> at >= entry.2 + {length:Int64}, returned)
        ))"""
ELAPSED_FLOWS: Final = """arrayMap(
            flow -> (intDiv(flow.1 - entry.2, {length:Int64}), flow.2),
            arrayFilter(flow -> flow.1 >= entry.2, amounts)
        )"""


def marks(triangle: Triangle, *, valued: bool) -> Sql:
    """The expressions that give `mark` (and `marked`, of (mark, 1 for a person, value), when valued) for each entry of a person."""
    values: dict[str, Any] = {"places": triangle.places()}
    if triangle.elapsed:
        values["length"] = triangle.length // timedelta(microseconds=1)
        offsets, flows = Sql(ELAPSED_OFFSETS), Sql(ELAPSED_FLOWS)
    else:
        later, cohort = place_of(triangle, Sql("later")), place_of(triangle, Sql("cohort"))
        offsets, flows = sql(CALENDAR_OFFSETS, later=later, cohort=cohort), sql(CALENDAR_FLOWS, later=later, cohort=cohort)
    counted = _counted(triangle)
    if valued:
        return sql(VALUED_COLUMNS, values, offsets=offsets, counted=counted, flows=flows)
    return sql(COLUMNS, values, offsets=offsets, counted=counted)


def _counted(triangle: Triangle) -> Sql:
    """Of the columns with a return, those in which it makes a mark."""
    if triangle.counting == "rolling":
        return Sql("arraySlice(arrayReverseSort(reached), 1, 1)")
    if triangle.counting == "before":
        return Sql("arraySlice(arraySort(reached), 1, 1)")
    if triangle.counting == "streak":
        # Sorted and distinct, so those that are their own number are the first without a gap.
        before = number(sum(1 for column in triangle.columns if column.last == 0))
        run = sql("arrayFilter((column, nth) -> column = nth + $before, arraySort(reached), arrayEnumerate(reached))", before=before)
        return sql("arraySlice($run, -1, 1)", run=run)
    return Sql("reached")


def place_of(triangle: Triangle, period: Sql) -> Sql:
    """The number of the period that begins then."""
    starts = {"starts": [int(start.timestamp()) for start in triangle.starts]}
    return sql(
        "toInt64(transform(toInt64($period), {starts:Array(Int64)}, arrayEnumerate({starts:Array(Int64)}), 0))", starts, period=period
    )
