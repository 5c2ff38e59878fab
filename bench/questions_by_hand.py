"""The questions that are measured, each with the statement that somebody who knows the engine would write for the same answer.

Written for this one question: names, periods and windows stand in the text, people are `person_hash`, and there is nothing that the data do
not need. `same`: of the rows of both answers, numbers that have to be equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.sessions_by_hand import PAGES, SEGMENT_OF_COUNTS, SEGMENT_OF_SEQUENCES, SESSIONS, SESSIONS_BY_PAUSES, SESSIONS_WITH_IDS

Rows = Sequence[Mapping[str, Any]]
Plain = Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Measured:
    """A question. `seconds`: what it may take over 10 M events; `ratio`: beside its SQL by hand, in CPU."""

    name: str
    question: Mapping[str, Any]
    by_hand: str = ""
    same: Callable[[Rows, Plain], bool] = lambda ours, hand: True
    duck: str = ""
    seconds: float = 2.0
    ratio: float = 1.15
    also: Mapping[str, str] | None = None  # statements that answer less, by what they are


def _sums(ours: str, hand: int) -> Callable[[Rows, Plain], bool]:
    """Whether a column of ours and one by hand have the same sum, sizes only (some are drawn negative)."""

    def same(rows: Rows, plain: Plain) -> bool:
        return math.isclose(
            sum(abs(row[ours]) for row in rows if row[ours] is not None), sum(abs(row[hand]) for row in plain), rel_tol=1e-9, abs_tol=1e-6
        )

    return same


def _days_before_today(rows: Rows, plain: Plain) -> bool:
    """Whether the people are as many on each whole day."""
    return [row["people"] for row in rows if row["complete"]] == [row[1] for row in plain][: sum(row["complete"] for row in rows)]


LAST: Final = {"last": "60 days"}

# People at each step, mean and median seconds to steps 2 and 3. `from_2` and `from_3`: the latest start from which each event of a step
# was reached, 0 for none. It knows its steps and window alone, each step its own event.
FUNNEL: Final = """
SELECT
    countIf(start > 0),
    countIf(cart > 0),
    countIf(pay > 0),
    avgIf(cart - start, cart > 0) / 1e6,
    avgIf(pay - cart, pay > 0) / 1e6,
    quantileExactInclusiveIf(0.5)(cart - start, cart > 0) / 1e6,
    quantileExactInclusiveIf(0.5)(pay - cart, pay > 0) / 1e6
FROM
(
    SELECT
        arrayMap(at -> arrayLast(view -> view <= at, views), carts) AS from_2,
        arrayMap(at -> arrayLast((start, cart) -> cart <= at, from_2, carts), pays) AS from_3,
        arrayFirst((start, at) -> start > 0 AND at <= start + 1209600000000, from_2, carts) AS start_2,
        arrayFirst((start, at) -> start > 0 AND at <= start + 1209600000000, from_3, pays) AS start_3,
        if(start_3 > 0, start_3, if(start_2 > 0, start_2, views[1])) AS start,
        if(start_2 > 0, arrayFirst(at -> at >= start, carts), 0) AS cart,
        if(start_3 > 0, arrayFirst(at -> at >= cart, pays), 0) AS pay
    FROM
    (
        SELECT
            arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'view')) AS views,
            arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'cart')) AS carts,
            arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'pay')) AS pays
        FROM events
        WHERE project = 'bench' AND event IN ('view', 'cart', 'pay') AND time >= {start:DateTime}
        GROUP BY person_hash
    )
)
"""

WINDOW_FUNNEL: Final = """
SELECT level, count()
FROM
(
    SELECT
        person_hash,
        windowFunnel(1209600000000)(toUInt64(toUnixTimestamp64Micro(time)), event = 'view', event = 'cart', event = 'pay') AS level
    FROM events
    WHERE project = 'bench' AND event IN ('view', 'cart', 'pay') AND time >= {start:DateTime}
    GROUP BY person_hash
)
GROUP BY level
ORDER BY level
"""

LIFECYCLE: Final = """
SELECT
    at,
    countIf(has(days, at) AND at = first) AS new,
    countIf(has(days, at) AND at != first AND has(days, at - 1)) AS returning,
    countIf(has(days, at) AND at != first AND NOT has(days, at - 1)) AS resurrecting,
    countIf(NOT has(days, at)) AS dormant,
    count() AS people
FROM
(
    SELECT
        person_hash,
        min(day) AS first,
        groupUniqArrayIf(day, day >= toDate({start:DateTime}) - 1) AS days
    FROM events
    WHERE project = 'bench'
    GROUP BY person_hash
)
ARRAY JOIN arrayDistinct(arrayConcat(days, arrayMap(one -> one + 1, days))) AS at
WHERE at >= toDate({start:DateTime}) AND at <= today()
GROUP BY at
ORDER BY at
"""

STICKINESS: Final = """
SELECT times, count()
FROM
(
    SELECT uniqExact(day) AS times
    FROM events
    WHERE project = 'bench' AND event = 'view' AND day >= toDate({start:DateTime})
    GROUP BY person_hash
)
GROUP BY times
ORDER BY times
"""

ADOPTION: Final = """
SELECT
    week,
    countIf(has(used, week)),
    countIf(toUInt16(week) = joined),
    countIf(week = reached),
    countIf(toUInt16(week) = if(joined = 0 AND ever, toUInt16(reached), joined)),
    count()
FROM
(
    SELECT
        groupUniqArrayIf(toMonday(day), day >= toMonday(toDate({start:DateTime}))) AS active,
        groupUniqArrayIf(toMonday(day), event = 'pay' AND day >= toMonday(toDate({start:DateTime}))) AS used,
        max(event = 'pay') AS ever,
        minIf(day, event = 'pay') AS began,
        arrayMin(active) AS reached,
        if(ever AND began >= toMonday(toDate({start:DateTime})), toUInt16(arrayMin(used)), 0) AS joined
    FROM events
    WHERE project = 'bench' AND (event = 'pay' OR day >= toMonday(toDate({start:DateTime})))
    GROUP BY person_hash
    HAVING notEmpty(active)
)
ARRAY JOIN active AS week
GROUP BY week
ORDER BY week
"""


def _paths(node: str, wanted: str) -> str:
    """Names stay names: that is what a person writes first, and what reads best."""
    return """
SELECT
    place,
    if(shown, here, 'Other') AS source,
    if(shown, there, 'Other') AS target,
    uniqExactArray(who),
    avgArray(pauses),
    quantileExactInclusiveArray(0.5)(pauses),
    sum(times) AS sessions
FROM
(
    SELECT *, row_number() OVER (PARTITION BY place ORDER BY times DESC, here, there) <= 50 AS shown
    FROM
    (
        SELECT
            place,
            step.1.2 AS here,
            step.2.2 AS there,
            count() AS times,
            groupArray(person_hash) AS who,
            groupArray(step.2.1 - step.1.1) AS pauses
        FROM
        (
            SELECT
                person_hash,
                arraySlice(arrayFilter((one, next) -> one.2 != next.2, visit, arrayShiftLeft(visit, 1)), 1, 5) AS path
            FROM
            (
                SELECT
                    person_hash,
                    arrayJoin(
                        arraySplit((one, pause) -> pause >= 1800000000, visits, arrayDifference(arrayMap(one -> one.1, visits)))
                    ) AS visit
                FROM
                (
                    SELECT person_hash, arraySort(groupArray((toUnixTimestamp64Micro(time), NODE))) AS visits
                    FROM events
                    WHERE project = 'bench' AND day >= toDate({start:DateTime}) AND WANTED
                    GROUP BY person_hash
                )
            )
        )
        ARRAY JOIN arrayZip(arrayPopBack(path), arrayPopFront(path)) AS step, arrayEnumerate(arrayPopBack(path)) AS place
        GROUP BY place, here, there
    )
)
GROUP BY place, source, target
ORDER BY place, sessions DESC
""".replace("NODE", node).replace("WANTED", wanted)


_TOUCHES: Final = """
    SELECT
        person_hash,
        arraySort(groupArrayIf((toUnixTimestamp64Micro(time), toString(channel)), touches)) AS touched,
        groupArrayIf(toUnixTimestamp64Micro(time), event = 'pay' AND day >= toDate({start:DateTime})) AS conversions
    FROM
    (
        SELECT person_hash, time, day, event, channel, channel != 'Direct' OR (kind = 'page' AND referrer = '') AS touches
        FROM events
        WHERE project = 'bench' AND day >= toDate({start:DateTime}) - 30 AND (event = 'pay' OR touches)
    )
    GROUP BY person_hash"""

ATTRIBUTION: Final = f"""
SELECT label, sum(nth = 1), sum(nth = n), sum(1 / n)
FROM
(
    SELECT
        arrayFilter(touch -> touch.1 >= conversion - 2592000000000 AND touch.1 <= conversion, touched).2 AS found,
        if(empty(found), [''], found) AS labels,
        length(labels) AS n
    FROM
    ({_TOUCHES}
        HAVING notEmpty(conversions)
    )
    ARRAY JOIN conversions AS conversion
)
ARRAY JOIN labels AS label, arrayEnumerate(labels) AS nth
GROUP BY label
ORDER BY label
"""

# The steps of the chain and Shapley's parts; what is left for Markov's shares is an inverse of seven by seven.
CHAIN: Final = f"""
SELECT source, label, count(), sumIf(1 / different, converted AND first)
FROM
(
    SELECT
        end < 9000000000000000 AS converted,
        arrayFilter(touch -> touch.1 >= since AND touch.1 <= end, touched).2 AS found,
        if(empty(found), [''], found) AS labels,
        length(arrayDistinct(labels)) AS different
    FROM
    ({_TOUCHES}
    )
    ARRAY JOIN
        arrayPushBack(conversions, 9000000000000000) AS end,
        arrayPushBack(
            arrayMap(one -> one - 2592000000000, conversions),
            if(empty(conversions), toInt64(toUnixTimestamp({{start:DateTime}})) * 1000000, arrayMax(conversions) + 1)
        ) AS since
    WHERE converted OR notEmpty(found)
)
ARRAY JOIN
    arrayPushFront(labels, 'start') AS source,
    arrayPushBack(labels, if(converted, 'conversion', 'nothing')) AS label,
    arrayPushBack(arrayMap(nth -> nth = 1, arrayEnumerateUniq(labels)), 0) AS first
GROUP BY source, label
ORDER BY source, label
"""

LIFETIME_VALUE: Final = """
SELECT cohort, payment.1 AS later, countIf(nth = 1), sum(payment.2)
FROM
(
    SELECT
        min(month) AS cohort,
        groupArray((month, revenue)) AS payments
    FROM
    (
        SELECT person_hash, toStartOfMonth(day) AS month, ifNull(revenue, 0) AS revenue
        FROM events
        WHERE project = 'bench' AND event = 'pay'
    )
    GROUP BY person_hash
    HAVING cohort >= toStartOfMonth(toDate({start:DateTime}))
)
ARRAY JOIN payments AS payment, arrayEnumerate(payments) AS nth
GROUP BY cohort, later
ORDER BY cohort, later
"""

_EXPOSED: Final = """
    SELECT person_hash, min(time) AS since, min(seen) AS variant
    FROM
    (
        SELECT person_hash, time, properties.variant.:String AS seen
        FROM events
        WHERE project = 'bench' AND event = 'exposure' AND day >= toDate({start:DateTime})
    )
    GROUP BY person_hash
    HAVING max(seen) = variant"""

EXPERIMENT: Final = f"""
SELECT variant, avg(bought), varSampStable(bought), avg(spent), varSampStable(spent), count()
FROM
(
    SELECT
        any(exposed.variant) AS variant,
        countIf(pays.time >= exposed.since AND pays.person_hash != 0) > 0 AS bought,
        sumIf(ifNull(pays.revenue, 0), pays.time >= exposed.since AND pays.person_hash != 0) AS spent
    FROM
    ({_EXPOSED}
    ) AS exposed
    LEFT JOIN
    (
        SELECT person_hash, time, revenue
        FROM events
        WHERE project = 'bench' AND event = 'pay' AND day >= toDate({{start:DateTime}})
    ) AS pays ON pays.person_hash = exposed.person_hash
    GROUP BY exposed.person_hash
)
GROUP BY variant
ORDER BY variant
"""

EXPERIMENT_CUPED: Final = f"""
SELECT variant, avg(views), varSampStable(views), avg(before), varSampStable(before), covarSampStable(views, before), count()
FROM
(
    SELECT
        any(exposed.variant) AS variant,
        countIf(seen.time >= exposed.since AND seen.person_hash != 0) AS views,
        countIf(seen.time < exposed.since AND seen.time >= exposed.since - INTERVAL 14 DAY AND seen.person_hash != 0) AS before
    FROM
    ({_EXPOSED}
    ) AS exposed
    LEFT JOIN
    (
        SELECT person_hash, time
        FROM events
        WHERE project = 'bench' AND event = 'view' AND day >= toDate({{start:DateTime}}) - 14
    ) AS seen ON seen.person_hash = exposed.person_hash
    GROUP BY exposed.person_hash
)
GROUP BY variant
ORDER BY variant
"""

QUESTIONS: Final = [
    Measured(
        "trend",
        {"kind": "trend", "series": [{"event": "view", "measure": "unique"}], "interval": "day", **LAST},
        "SELECT toStartOfDay(time) AS day, uniqExact(person_hash) FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} GROUP BY day ORDER BY day",
        _sums("value", 1),
        "SELECT date_trunc('day', time) AS day, count(DISTINCT person_hash) FROM events WHERE event = 'view' AND time >= $start"
        " GROUP BY day ORDER BY day",
    ),
    Measured(
        "trend of weekly active people",
        {"kind": "trend", "series": [{"event": "view", "measure": "unique", "over": "7 days"}], **LAST},
        "SELECT active + later AS period, uniqExact(person_hash) FROM (SELECT DISTINCT person_hash, day AS active FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} - INTERVAL 6 DAY) ARRAY JOIN range(7) AS later"
        " WHERE period >= toDate({start:DateTime}) AND period <= today() GROUP BY period ORDER BY period",
        _sums("value", 1),
    ),
    Measured(
        "trend of people so far",
        {"kind": "trend", "series": [{"event": "view", "measure": "unique"}], "cumulative": True, **LAST},
        "SELECT first, sum(count()) OVER (ORDER BY first) FROM (SELECT person_hash, min(day) AS first FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} GROUP BY person_hash) GROUP BY first ORDER BY first",
    ),
    Measured(
        "trend of the middle person",
        {"kind": "trend", "series": [{"event": "view", "measure": "median", "per": "person"}], "interval": "week", **LAST},
        "SELECT week, quantileExactInclusive(0.5)(views) FROM (SELECT person_hash, toStartOfWeek(day, 1) AS week, count() AS views"
        " FROM events WHERE project = 'bench' AND event = 'view' AND time >= toStartOfWeek({start:DateTime}, 1) GROUP BY person_hash, week)"
        " GROUP BY week ORDER BY week",
        _sums("value", 1),
    ),
    Measured(
        "distribution",
        {"kind": "distribution", "of": "view", "bins": 50, **LAST},
        "SELECT views, count(), any(mean), any(middle), any(most) FROM (SELECT views, avg(views) OVER () AS mean,"
        " quantileExactInclusive(0.5)(views) OVER () AS middle, quantileExactInclusive(0.9)(views) OVER () AS most"
        " FROM (SELECT person_hash, count() AS views FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} GROUP BY person_hash)) GROUP BY views ORDER BY views",
        _sums("people", 1),
    ),
    Measured(
        "funnel",
        {"kind": "funnel", "steps": ["view", "cart", "pay"], "window": "14 days", **LAST},
        FUNNEL,
        duck="WITH e AS (SELECT person_hash, event, time FROM events WHERE event IN ('view', 'cart', 'pay') AND time >= $start),"
        " a AS (SELECT person_hash, event, time, max(CASE WHEN event = 'view' THEN time END) OVER w AS s1 FROM e"
        " WINDOW w AS (PARTITION BY person_hash ORDER BY time)),"
        " b AS (SELECT *, max(CASE WHEN event = 'cart' AND time - s1 <= INTERVAL 14 DAY THEN s1 END) OVER w AS s2 FROM a"
        " WINDOW w AS (PARTITION BY person_hash ORDER BY time))"
        " SELECT count(DISTINCT person_hash) FILTER (s1 IS NOT NULL), count(DISTINCT person_hash) FILTER (s2 IS NOT NULL),"
        " count(DISTINCT person_hash) FILTER (event = 'pay' AND time - s2 <= INTERVAL 14 DAY) FROM b",
        also={"windowFunnel": WINDOW_FUNNEL},
    ),
    Measured(
        "retention",
        {
            "kind": "retention",
            "start_event": "view",
            "return_event": "view",
            "mode": "recurring",
            "period": "week",
            "intervals": 8,
            **LAST,
        },
        "SELECT cohort, week, uniqExact(person_hash) FROM (SELECT person_hash, groupUniqArray(toStartOfWeek(time, 1)) AS weeks FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} GROUP BY person_hash)"
        " ARRAY JOIN weeks AS cohort ARRAY JOIN weeks AS week WHERE week >= cohort GROUP BY cohort, week ORDER BY cohort, week",
        duck="WITH w AS (SELECT DISTINCT person_hash, date_trunc('week', time) AS week FROM events WHERE event = 'view' AND time >= $start)"
        " SELECT a.week, b.week, count(DISTINCT a.person_hash) FROM w a JOIN w b ON a.person_hash = b.person_hash AND b.week >= a.week"
        " GROUP BY ALL ORDER BY ALL",
    ),
    Measured("lifecycle", {"kind": "lifecycle", "interval": "day", **LAST}, LIFECYCLE, _sums("count", 5)),
    Measured("stickiness", {"kind": "stickiness", "series": ["view"], "interval": "day", **LAST}, STICKINESS, _sums("count", 1)),
    Measured(
        "sessions",
        {"kind": "session", "interval": "day", **LAST},
        SESSIONS,
        _sums("sessions", 7),
        also={"SQL that takes an id for granted": SESSIONS_WITH_IDS},
    ),
    Measured(
        "sessions by pauses",
        {
            "kind": "session",
            "interval": "day",
            "by": "inactivity",
            "measures": ["sessions", "people", "average_seconds"],
            **LAST,
        },
        SESSIONS_BY_PAUSES,
        _sums("sessions", 3),
    ),
    Measured("pages of sessions", {"kind": "session", "view": "pages", "limit": 50, **LAST}, PAGES, _sums("views", 7)),
    Measured(
        "segment sizes",
        {"kind": "segment", "segments": [{"name": "buyers", "all": [{"did": "pay", "within": "30 days"}]}], "interval": "day", **LAST},
        SEGMENT_OF_COUNTS,
        _days_before_today,
    ),
    Measured(
        "segment sizes by sequences",
        {
            "kind": "segment",
            "segments": [{"name": "converted", "all": [{"in_order": ["view", "cart", "pay"], "within": "30 days"}]}],
            "interval": "day",
            **LAST,
        },
        SEGMENT_OF_SEQUENCES,
        _days_before_today,
    ),
    Measured("adoption", {"kind": "adoption", "feature": "pay", "period": "week", **LAST}, ADOPTION, _sums("active", 5)),
    Measured("paths of events", {"kind": "path", **LAST}, _paths("toString(event)", "1"), _sums("sessions", 6), seconds=5),
    Measured(
        "paths over 1000 pages",
        {"kind": "path", "node": "page", "only": [{"event": "view"}], **LAST},
        _paths("path", "event = 'view'"),
        _sums("sessions", 6),
        seconds=5,
    ),
    Measured(
        "attribution",
        {"kind": "attribution", "conversion": "pay", "models": ["first", "last", "linear"], **LAST},
        ATTRIBUTION,
        lambda ours, hand: math.isclose(
            sum(row["conversions"] for row in ours if row["model"] == "linear"), sum(row[3] for row in hand), rel_tol=1e-9
        ),
    ),
    Measured(
        "attribution by Markov and Shapley",
        {"kind": "attribution", "conversion": "pay", "models": ["markov", "shapley"], **LAST},
        CHAIN,
        lambda ours, hand: math.isclose(
            sum(row["conversions"] for row in ours if row["model"] == "shapley"), sum(row[3] for row in hand), rel_tol=1e-9
        ),
        seconds=5,
    ),
    Measured(
        "lifetime value",
        {"kind": "lifetime_value", "event": "pay", "period": "month", **LAST},
        LIFETIME_VALUE,
        _sums("revenue", 3),
    ),
    # Most of it is the fit, which is no SQL.
    Measured("lifetime value, predicted", {"kind": "lifetime_value", "event": "pay", "view": "predicted", **LAST}),
    Measured(
        "experiment",
        {
            "kind": "experiment",
            "exposure": "exposure",
            "metrics": [{"event": "pay"}, {"type": "sum", "event": "pay", "property": "@revenue"}],
            **LAST,
        },
        EXPERIMENT,
        lambda ours, hand: [row["people"] for row in ours[:2]] == [row[5] for row in hand],
    ),
    Measured(
        "experiment with CUPED",
        {"kind": "experiment", "exposure": "exposure", "metrics": [{"type": "count", "event": "view"}], "cuped": "14 days", **LAST},
        EXPERIMENT_CUPED,
        lambda ours, hand: [row["people"] for row in ours[:2]] == [row[6] for row in hand],
    ),
]
