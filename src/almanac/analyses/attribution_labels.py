"""Which labels an attribution shows: those with most touches, or simply all that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from almanac.analyses.periods import whole_days
from almanac.core.analysis import Scope
from almanac.core.filters import Breakdown
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

if TYPE_CHECKING:
    from almanac.analyses.attribution import Attribution

# The labels with most touches, in alphabetical order.
TOP: Final = """
(
    SELECT arraySort(groupArray(toString(label)))
    FROM
    (
        SELECT $label AS label
        FROM $events
        WHERE $needed AND $scope AND ($labelled) AND label NOT IN ('', {other:String})
        GROUP BY label
        ORDER BY count() DESC, label
        LIMIT {limit:UInt16}
    )
)"""

# Where every label is shown, none need be counted: what labels there are is in one small column.
SEEN: Final = """
(
    SELECT arraySort(groupArray(toString(label)))
    FROM
    (
        SELECT DISTINCT $label AS label
        FROM $events
        WHERE $days AND label NOT IN ('', {other:String})
        LIMIT {one_more:UInt16}
    )
) AS seen,
if(length(seen) <= {limit:UInt16}, seen, $ranked)"""


def top_of(question: Attribution, scope: Scope, whole: TimeRange, labelled: Sql) -> Sql:
    """The labels that are shown. Only touches that are no events of one name are worth a look at the labels of all events first."""
    ranked = sql(
        TOP,
        label=scope.text(Breakdown(property=question.label)),
        events=scope.events(),
        needed=Sql("1" if question.touches else "length(seen) > {limit:UInt16}"),
        scope=scope.where(whole),
        labelled=labelled,
    )
    if question.touches:
        return ranked
    return sql(
        SEEN,
        label=scope.text(Breakdown(property=question.label)),
        events=scope.events(),
        days=scope.where(whole_days(whole)),
        ranked=ranked,
    )
