"""Sessions and the sizes of segments by hand: statements of `questions_by_hand`."""

from typing import Final

# Of each event it looks whether it belongs to a session and whether it says to which: these data always do, those of a product do not.
SESSIONS: Final = """
SELECT
    toDate(fromUnixTimestamp64Micro(began, 'UTC')) AS at,
    uniqExact(person_hash),
    avg(lasted),
    quantilesExactInclusive(0.5, 0.9)(lasted),
    sum(events),
    sum(pages),
    countIf(pages <= 1 AND lasted < 10000000),
    count()
FROM
(
    SELECT
        person_hash,
        if(visit = 0, intDiv(cut[1], 2), first) AS began,
        if(visit = 0, intDiv(cut[-1], 2), latest) - began AS lasted,
        if(visit = 0, length(cut), number) AS events,
        if(visit = 0, arrayCount(mark -> bitTest(mark, 0), cut), seen) AS pages
    FROM
    (
        SELECT
            *,
            arrayJoin(if(
                visit = 0,
                arraySplit((mark, pause) -> pause > 1800000000, stream, arrayDifference(arrayMap(mark -> intDiv(mark, 2), stream))),
                [[]]
            )) AS cut
        FROM
        (
            SELECT
                person_hash,
                if(session_id = '', 0, cityHash64(session_id)) AS visit,
                toUnixTimestamp64Micro(min(time)) AS first,
                toUnixTimestamp64Micro(max(time)) AS latest,
                count() AS number,
                countIf(kind IN ('page', 'screen')) AS seen,
                arraySort(groupArrayIf(2 * toUnixTimestamp64Micro(time) + (kind IN ('page', 'screen')), session_id = '')) AS stream
            FROM events
            WHERE project = 'bench' AND day >= toDate({start:DateTime}) - 1 AND person_hash != 0
                AND kind NOT IN ('identify', 'alias', 'group', 'profile', 'group_profile')
            GROUP BY person_hash, visit
        )
    )
)
WHERE began >= toUnixTimestamp({start:DateTime}) * 1000000
GROUP BY at
ORDER BY at
"""

SESSIONS_WITH_IDS: Final = """
SELECT
    toDate(began) AS at,
    uniqExact(person_hash),
    avg(lasted),
    quantilesExactInclusive(0.5, 0.9)(lasted),
    sum(events),
    sum(pages),
    countIf(pages <= 1 AND lasted < 10000000),
    count()
FROM
(
    SELECT
        person_hash,
        min(time) AS began,
        toUnixTimestamp64Micro(max(time)) - toUnixTimestamp64Micro(began) AS lasted,
        count() AS events,
        countIf(kind IN ('page', 'screen')) AS pages
    FROM events
    WHERE project = 'bench' AND day >= toDate({start:DateTime}) - 1
    GROUP BY person_hash, cityHash64(session_id)
)
WHERE began >= {start:DateTime}
GROUP BY at
ORDER BY at
"""

SESSIONS_BY_PAUSES: Final = """
SELECT
    toDate(fromUnixTimestamp64Micro(visit[1], 'UTC')) AS at,
    uniqExact(person_hash),
    avg(visit[-1] - visit[1]),
    count()
FROM
(
    SELECT
        person_hash,
        arrayJoin(arraySplit((moment, pause) -> pause > 1800000000, moments, arrayDifference(moments))) AS visit
    FROM
    (
        SELECT person_hash, arraySort(groupArray(toUnixTimestamp64Micro(time))) AS moments
        FROM events
        WHERE project = 'bench' AND day >= toDate({start:DateTime}) - 1
        GROUP BY person_hash
    )
)
WHERE visit[1] >= toUnixTimestamp({start:DateTime}) * 1000000
GROUP BY at
ORDER BY at
"""

PAGES: Final = """
SELECT
    page,
    count() AS views,
    uniqExact(person_hash, visit),
    uniqExact(person_hash),
    sum(until - seen) / nullIf(countIf(until > seen OR NOT last), 0),
    sum(first),
    sum(last),
    views
FROM
(
    SELECT
        person_hash,
        visit,
        pages.2 AS page,
        pages.1 AS seen,
        nth = 1 AS first,
        nth = length(entries) AS last,
        if(last, ended, entries[nth + 1].1) AS until
    FROM
    (
        SELECT
            person_hash,
            cityHash64(session_id) AS visit,
            arraySort(groupArrayIf((toUnixTimestamp64Micro(time), path), kind IN ('page', 'screen'))) AS entries,
            toUnixTimestamp64Micro(max(time)) AS ended,
            min(time) AS began
        FROM events
        WHERE project = 'bench' AND day >= toDate({start:DateTime}) - 1
        GROUP BY person_hash, visit
    )
    ARRAY JOIN entries AS pages, arrayEnumerate(entries) AS nth
    WHERE began >= {start:DateTime}
)
GROUP BY page
ORDER BY views DESC, page
LIMIT 50
"""

# A person is in from the day of an event to the 29th day after it; where such spells meet, neither end is a change.
SEGMENT_OF_COUNTS: Final = """
SELECT *
FROM
(
    SELECT change.1 AS at, sum(sum(change.2)) OVER (ORDER BY at) AS people
    FROM
    (
        SELECT
            arraySort(groupUniqArray(day)) AS days,
            arrayJoin(arrayConcat(
                arrayMap(one -> (one, 1), arrayFilter((one, before) -> one > before + 30, days, arrayShiftRight(days, 1))),
                arrayMap(
                    one -> (one + 30, -1),
                    arrayFilter((one, next) -> next > one + 30 OR toUInt16(next) = 0, days, arrayShiftLeft(days, 1))
                )
            )) AS change
        FROM events
        WHERE project = 'bench' AND event = 'pay' AND day >= toDate({start:DateTime}) - 30
        GROUP BY person_hash
    )
    GROUP BY at
)
WHERE at >= toDate({start:DateTime})
ORDER BY at
"""

# Each payment with the latest view from which it was reached, in 14 days: in from the day of the one to the 29th day after the other.
SEGMENT_OF_SEQUENCES: Final = """
SELECT *
FROM
(
    SELECT change.1 AS at, sum(sum(change.2)) OVER (ORDER BY at) AS people
    FROM
    (
        SELECT
            arrayMap(at -> arrayLast(view -> view <= at, views), carts) AS from_2,
            arrayMap(at -> arrayLast((start, cart) -> cart <= at, from_2, carts), pays) AS from_3,
            arrayDistinct(arrayMap(
                (start, at) -> (toDate(fromUnixTimestamp64Micro(at)), toDate(fromUnixTimestamp64Micro(start)) + 30),
                arrayFilter((start, at) -> start > 0 AND at <= start + 1209600000000, from_3, pays),
                arrayFilter((at, start) -> start > 0 AND at <= start + 1209600000000, pays, from_3)
            )) AS spells,
            arrayJoin(arrayConcat(
                arrayMap(one -> (one.1, 1), arrayFilter((one, before) -> one.1 > before.2, spells, arrayShiftRight(spells, 1))),
                arrayMap(
                    one -> (one.2, -1),
                    arrayFilter((one, next) -> next.1 > one.2 OR toUInt16(next.1) = 0, spells, arrayShiftLeft(spells, 1))
                )
            )) AS change
        FROM
        (
            SELECT
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'view')) AS views,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'cart')) AS carts,
                arraySort(groupArrayIf(toUnixTimestamp64Micro(time), event = 'pay')) AS pays
            FROM events
            WHERE project = 'bench' AND event IN ('view', 'cart', 'pay') AND day >= toDate({start:DateTime}) - 30
            GROUP BY person_hash
        )
    )
    GROUP BY at
)
WHERE at >= toDate({start:DateTime})
ORDER BY at
"""
