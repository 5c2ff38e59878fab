"""Forms of funnels that are measured, beside `questions_by_hand`, and the statements by hand for the same answers."""

from __future__ import annotations

from typing import Final

from bench.questions_by_hand import LAST, Measured, Plain, Rows

# As the funnel by hand, of each person and device; a person counts once, by the best run.
HELD: Final = """
SELECT
    count(),
    countIf(best.2 > 0),
    countIf(best.3 > 0),
    avgIf(best.2 - best.1, best.2 > 0) / 1e6,
    avgIf(best.3 - best.2, best.3 > 0) / 1e6,
    quantileExactInclusiveIf(0.5)(best.2 - best.1, best.2 > 0) / 1e6,
    quantileExactInclusiveIf(0.5)(best.3 - best.2, best.3 > 0) / 1e6
FROM
(
    SELECT argMin((start, cart, pay), multiIf(pay > 0, pay, cart > 0, cart + 4000000000000000, start + 8000000000000000)) AS best
    FROM
    (
        SELECT
            person_hash,
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
                person_hash,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'view')) AS views,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'cart')) AS carts,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'pay')) AS pays
            FROM events
            WHERE project = 'bench' AND event IN ('view', 'cart', 'pay') AND time >= {start:DateTime} AND device != ''
            GROUP BY person_hash, device
            HAVING notEmpty(views)
        )
    )
    GROUP BY person_hash
)
"""

# Who paid within 14 days of a view, or did not; and what events both did until then.
CORRELATED: Final = """
SELECT event, countIf(converted), countIf(NOT converted)
FROM
(
    SELECT person_hash, event, any(runs.pay > 0) AS converted
    FROM events
    INNER JOIN
    (
        SELECT
            person_hash,
            arrayMap(at -> arrayLast(view -> view <= at, views), pays) AS from_2,
            arrayFirst((start, at) -> start > 0 AND at <= start + 1209600000000, from_2, pays) AS start_2,
            if(start_2 > 0, start_2, views[1]) AS start,
            if(start_2 > 0, arrayFirst(at -> at >= start, pays), 0) AS pay
        FROM
        (
            SELECT
                person_hash,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'view')) AS views,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'pay')) AS pays
            FROM events
            WHERE project = 'bench' AND event IN ('view', 'pay') AND time >= {start:DateTime}
            GROUP BY person_hash
            HAVING notEmpty(views)
        )
    ) AS runs USING (person_hash)
    WHERE project = 'bench'
        AND event NOT IN ('view', 'pay')
        AND time >= {start:DateTime}
        AND toUnixTimestamp64Micro(time) >= start
        AND toUnixTimestamp64Micro(time) <= if(pay > 0, pay - 1, start + 1209600000000)
    GROUP BY person_hash, event
)
GROUP BY event
ORDER BY event
"""

_LONG: Final = ["view", "search", "cart", "login"] * 5
_LEVELS: Final = """
SELECT level, count()
FROM
(
    SELECT windowFunnel(1209600000000)(toUInt64(toUnixTimestamp64Micro(time)), STEPS) AS level
    FROM events
    WHERE project = 'bench' AND event IN ('view', 'search', 'cart', 'login') AND time >= {start:DateTime}
    GROUP BY person_hash
)
GROUP BY level
ORDER BY level
""".replace("STEPS", ", ".join(f"event = '{name}'" for name in _LONG))


def _same_counts(ours: Rows, hand: Plain) -> bool:
    return [row["count"] for row in ours] == list(hand[0][:3])


def _same_people(ours: Rows, hand: Plain) -> bool:
    return sorted((row["value"], row["success_count"], row["failure_count"]) for row in ours) == sorted(map(tuple, hand))


FUNNELS: Final = [
    Measured("funnel with hold", {"kind": "funnel", "steps": ["view", "cart", "pay"], "hold": ["@device"], **LAST}, HELD, _same_counts),
    Measured(
        "correlation of a funnel",
        {"kind": "funnel", "steps": ["view", "pay"], "view": "correlation", **LAST},
        CORRELATED,
        _same_people,
    ),
    Measured("funnel of 20 steps", {"kind": "funnel", "steps": _LONG, **LAST}, also={"windowFunnel": _LEVELS}),
]
