"""What goes with conversion: for each event or value, how many of those who got through the funnel have it, and how many of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from almanac.analyses.funnel_members import outcome_of
from almanac.analyses.periods import whole_days
from almanac.core.analysis import Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.filters import Breakdown
from almanac.core.sql import Sql, any_of, join, number, sql
from almanac.predict.experiment import fisher

if TYPE_CHECKING:
    from almanac.analyses.funnel import Funnel

_EVENT: Final = "@event"
_LEVEL: Final = 0.05  # of the false discovery rate

# One row a person, with the distinct values of his events between the two steps; so memory grows with what there is, and spills to disk.
# Who did nothing between them has one row too, without a value. Events are hashes until they are counted.
CORRELATED: Final = """
$runs,
outcomes AS
(
    SELECT
        person,
        length(instants) >= {to_step:UInt8} AS converted,
        instants[{from_step:UInt8}] AS since,
        if(converted, instants[{to_step:UInt8}] - 1, instants[1] + {window:Int64}) AS until
    FROM labelled
    WHERE length(instants) >= {from_step:UInt8}
),
happened AS
(
    SELECT
        person,
        toUnixTimestamp64Micro(time) - {origin:Int64} AS at,
        $said AS said
    FROM $events
    WHERE $scope AND person != 0 AND ($wanted)
),
entrants AS
(
    SELECT
        outcomes.person AS person,
        any(outcomes.converted) AS converted,
        $found AS found
    FROM happened
    RIGHT JOIN outcomes ON happened.person = outcomes.person
    GROUP BY outcomes.person
)
$view
"""

# Of two lists of people, with and without a value, chi-square tells how far they are from being the same.
COUNTED: Final = """
SELECT
    place,
    value,
    successes,
    failures,
    all_successes,
    all_failures,
    tested
FROM
(
    SELECT
        *,
        maxIf(successes, place = {everybody:UInt8}) OVER () AS all_successes,
        maxIf(failures, place = {everybody:UInt8}) OVER () AS all_failures,
        count() OVER () - 1 AS tested,
        toFloat64(successes + failures) AS having_it,
        toFloat64(all_successes) + all_failures - having_it AS without_it,
        pow(toFloat64(successes) * all_failures - toFloat64(failures) * all_successes, 2)
            / greatest(1, having_it * without_it * all_successes * all_failures) AS chi_square
    FROM
    ($counts)
)
WHERE place != {everybody:UInt8}
ORDER BY chi_square DESC, place, value
LIMIT {most:UInt64}
-- Left to itself, the engine makes the hash table of the events: 3.3 s instead of 2 s.
SETTINGS query_plan_join_swap_table = 'false'
"""

OF_PAIRS: Final = """
        SELECT
            pair.1 AS place,
            pair.2 AS value,
            countIf(converted) AS successes,
            countIf(NOT converted) AS failures
        FROM entrants
        ARRAY JOIN arrayPushBack(found, ({everybody:UInt8}, '')) AS pair
        GROUP BY place, value
    """

OF_EVENTS: Final = """
        SELECT
            if(name = 0, {everybody:UInt8}, 0) AS place,
            names.value AS value,
            successes,
            failures
        FROM
        (
            SELECT
                name,
                countIf(converted) AS successes,
                countIf(NOT converted) AS failures
            FROM entrants
            ARRAY JOIN arrayPushBack(found, 0) AS name
            GROUP BY name
        ) AS counted
        LEFT JOIN
        (
            SELECT cityHash64(event) AS name, toString(event) AS value
            FROM (SELECT DISTINCT event FROM $events WHERE $days)
        ) AS names USING (name)
    """

MEMBERS: Final = """
SELECT person
FROM entrants
WHERE has(found, $wanted) $outcome
"""


def correlated(question: Funnel, scope: Scope, runs: Sql, steps: Sequence[Sql], within: Sql, row: Mapping[str, Any] | None) -> Sql:
    """The counts, or with `row` the people behind it. `steps`: for each step, its condition; `within`: the funnel's scope."""
    by_event = question.correlate == "events"
    if row is None:
        counts = sql(OF_EVENTS, events=scope.events(), days=scope.where(whole_days(scope.range))) if by_event else Sql(OF_PAIRS)
        view = sql(COUNTED, {"everybody": 255, "most": question.limit}, counts=counts)
    else:
        wanted = Sql("cityHash64({row_value:String})" if by_event else "(toUInt8({row_place:UInt8}), {row_value:String})")
        converted = {None: "", True: "AND converted", False: "AND NOT converted"}[outcome_of(row)]
        view = sql(MEMBERS, _place_of(question, row), wanted=wanted, outcome=Sql(converted))
    return sql(
        CORRELATED,
        runs=runs,
        said=Sql("cityHash64(event)") if by_event else _pairs(question, scope),
        events=scope.events(),
        scope=within,
        wanted=sql("NOT ($step)", step=any_of(steps)) if by_event else Sql("1"),
        found=Sql(
            "groupUniqArrayIf(said, said != 0 AND at >= since AND at <= until)"
            if by_event
            else "groupUniqArrayArrayIf(said, at >= since AND at <= until)"
        ),
        view=view,
    )


def correlation_rows(question: Funnel, rows: Sequence[Mapping[str, Any]]) -> Shaped:
    """What goes with getting there comes first, what goes with stopping last."""
    names = _names(question)
    shaped: list[dict[str, Any]] = []
    for row in rows:
        s, f, all_s, all_f = row["successes"], row["failures"], row["all_successes"], row["all_failures"]
        shaped.append(
            {
                "property": names[row["place"]],
                "value": row["value"],
                "success_count": s,
                "failure_count": f,
                "success_total": all_s,
                "failure_total": all_f,
                "odds_ratio": (s + 1) / (f + 1) * (all_f + 1 - f) / (all_s + 1 - s),
                "p_value": fisher([[s, f], [all_s - s, all_f - f]]),
            }
        )
    tested = rows[0]["tested"] if rows else 0
    borne_out = [p for place, p in enumerate(sorted(row["p_value"] for row in shaped), 1) if p <= place / tested * _LEVEL]
    for row_shaped in shaped:
        row_shaped["significant"] = bool(borne_out) and row_shaped["p_value"] <= borne_out[-1]
    shaped.sort(key=lambda row: (-row["odds_ratio"], row["property"], row["value"]))
    notes = (f"{tested} values were compared; these are the {len(shaped)} with the strongest evidence.",) if tested > len(shaped) else ()
    return Shaped(shaped, notes=notes)


def _names(question: Funnel) -> list[str]:
    return [_EVENT] if question.correlate == "events" else question.properties


def _pairs(question: Funnel, scope: Scope) -> Sql:
    """What one event says, as pairs of the property's place and a value."""
    of: Any = "person" if question.correlate == "person_properties" else "event"
    texts = [scope.text(Breakdown(property=name, of=of)) for name in question.properties]
    pairs = [sql("(toUInt8($place), toString($text))", place=number(place), text=text) for place, text in enumerate(texts)]
    return sql("arrayFilter(pair -> notEmpty(pair.2), [$pairs])", pairs=join(", ", pairs))


def _place_of(question: Funnel, row: Mapping[str, Any]) -> dict[str, Any]:
    names = _names(question)
    if row.get("property") not in names:
        raise invalid(f"The answer has no property {row.get('property')!r}.", place="property", way_out=f"There are: {', '.join(names)}.")
    if not isinstance(row.get("value"), str):
        raise invalid("The row does not say which value it is about.", place="value", way_out="Take it from a row of the answer.")
    return {"row_place": names.index(row["property"]), "row_value": row["value"]}
