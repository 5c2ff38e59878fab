"""Events for the benchmarks of questions: visits of people who differ, with pages, carts, payments and an experiment.

The same in every run but for the day on which they end. A twentieth as many people as events, some of whom come far more often than others;
visits of one to nine events, half a minute or so apart; a thousand pages, the first of which are seen most.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from almanac.core.sql import Sql
from almanac.house import Local

DAYS: Final = 90
SHOWN_DAYS: Final = 60  # the questions' range
_VISITS_AT_ONCE: Final = 50_000

_FILL: Final = """
INSERT INTO events
(
    project, event, day, person_hash, time, id, distinct_id, session_id, time_received, kind, url, path, referrer, channel, country, device,
    revenue, currency, properties
)
SELECT
    'bench',
    ['view', 'search', 'cart', 'login', 'pay', 'exposure'][
        multiIf(chance < 50, 1, chance < 65, 2, chance < 80, 3, chance < 90, 4, chance < 95, 5, 6)
    ] AS event,
    toDate(moment),
    cityHash64(who),
    moment,
    generateUUIDv4(),
    who,
    concat('visit-', toString(visit)),
    moment,
    if(event = 'view', 'page', 'track'),
    concat('https://shop.example', path),
    concat('/products/', toString(toUInt32(pow((dice % 1000003) / 1000003, 3) * 1000))) AS path,
    if(nth = 1, '', 'https://shop.example/'),
    if(nth = 1, ['Direct', 'Organic Search', 'Paid Search', 'Email', 'Referral', 'Organic Social'][1 + intDiv(visit, 7) % 6], 'Direct'),
    ['DE', 'FR', 'US', 'GB', 'IN', 'BR', 'JP', 'PL'][1 + cityHash64(who, 'country') % 8],
    ['desktop', 'mobile', 'tablet'][1 + cityHash64(visit, 'device') % 3],
    if(event = 'pay', round(5 + dice % 20000 / 100, 2), NULL),
    if(event = 'pay', 'EUR', ''),
    concat(
        '{"plan":"', ['free', 'pro', 'team'][1 + cityHash64(who, 'plan') % 3],
        '","price":', toString(dice % 1000 / 10),
        if(event = 'exposure', concat(',"variant":"', ['control', 'test'][1 + cityHash64(who, 'variant') % 2], '"'), ''),
        '}'
    )
FROM
(
    SELECT
        visit,
        concat('user-', toString(toUInt32(pow((cityHash64(visit, 'who') % 1000003) / 1000003, 1.5) * {people:UInt32}))) AS who,
        arrayJoin(range(1, 2 + cityHash64(visit, 'length') % 9)) AS nth,
        cityHash64(visit, nth) AS dice,
        cityHash64(visit, nth, 'event') % 100 AS chance,
        {start:Int64} + toInt64(cityHash64(visit, 'moment') % {span:UInt64}) AS began,
        fromUnixTimestamp64Micro(toInt64(began + nth * 40000000 + dice % 30000000), 'UTC') AS moment
    FROM (SELECT number AS visit FROM numbers({first:UInt64}, {visits:UInt64}))
)
"""


def fill(local: Local, rows: int) -> datetime:
    """About so many events of the project `bench`; the start of the questions' range, a midnight of UTC."""
    now = datetime.now(UTC)
    values = {
        "start": int((now.timestamp() - DAYS * 86400) * 1e6),
        "span": DAYS * 86_400_000_000 - 600_000_000,
        "people": rows // 20,
    }
    visits = rows // 5
    for first in range(0, visits, _VISITS_AT_ONCE):
        local.store.execute(Sql(_FILL, {**values, "first": first, "visits": min(_VISITS_AT_ONCE, visits - first)}))
    while local.store.query(Sql("SELECT count() FROM system.merges")).rows != [(0,)]:
        time.sleep(0.2)  # merges of what was just filled would slow some rounds
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    return datetime.fromtimestamp(midnight - SHOWN_DAYS * 86400, UTC)
