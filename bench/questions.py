"""Questions over 10 M events: ours beside SQL by hand for the same answer, and beside DuckDB on the same data.

The funnel by hand knows its steps and window alone, each step its own event. `windowFunnel` answers less: how far
people get, without the times between the steps, and without saying which of simultaneous events come first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from almanac.app import Local, open_local
from almanac.core.ports import Limits
from almanac.core.settings import load
from almanac.core.sql import Sql
from bench.report import Row

ROUNDS = 15
DAYS = 90
_LIMITS = Limits(seconds=300, memory_bytes=4 << 30)

_FILL = """
INSERT INTO events (project, event, day, person_hash, time, id, distinct_id, time_received, properties)
SELECT
    'bench', ['view', 'cart', 'pay', 'search', 'login'][1 + rand(1) % 5] AS event, toDate(moment), cityHash64(distinct), moment,
    generateUUIDv4(), 'user-' || toString(rand(2) % 500000) AS distinct, moment,
    concat('{"plan":"', ['free', 'pro', 'team'][1 + rand(4) % 3], '","price":', toString(rand(5) % 1000 / 10), '}')
FROM (SELECT fromUnixTimestamp64Micro({start:Int64} + toInt64(rand64(3) % {span:UInt64}), 'UTC') AS moment FROM numbers({rows:UInt64}))
"""

# People at each step, mean and median seconds to steps 2 and 3. `from_2` and `from_3`: the latest start from which each event of a step
# was reached, 0 for none.
_FUNNEL_BY_HAND = """
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

_WINDOW_FUNNEL = (
    "SELECT level, count() FROM (SELECT person_hash, windowFunnel(1209600000000)(toUInt64(toUnixTimestamp64Micro(time)),"
    " event = 'view', event = 'cart', event = 'pay') AS level FROM events WHERE project = 'bench' AND event IN ('view', 'cart', 'pay')"
    " AND time >= {start:DateTime} GROUP BY person_hash) GROUP BY level ORDER BY level"
)

QUESTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "trend": (
        {"kind": "trend", "series": [{"event": "view", "measure": "unique"}], "interval": "day", "last": "60 days"},
        "SELECT toStartOfDay(time) AS day, uniqExact(person_hash) FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} GROUP BY day ORDER BY day",
        "SELECT date_trunc('day', time) AS day, count(DISTINCT person_hash) FROM events WHERE event = 'view' AND time >= $start"
        " GROUP BY day ORDER BY day",
    ),
    "funnel": (
        {"kind": "funnel", "steps": ["view", "cart", "pay"], "window": "14 days", "last": "60 days"},
        _FUNNEL_BY_HAND,
        "WITH e AS (SELECT person_hash, event, time FROM events WHERE event IN ('view', 'cart', 'pay') AND time >= $start),"
        " a AS (SELECT person_hash, event, time, max(CASE WHEN event = 'view' THEN time END) OVER w AS s1 FROM e"
        " WINDOW w AS (PARTITION BY person_hash ORDER BY time)),"
        " b AS (SELECT *, max(CASE WHEN event = 'cart' AND time - s1 <= INTERVAL 14 DAY THEN s1 END) OVER w AS s2 FROM a"
        " WINDOW w AS (PARTITION BY person_hash ORDER BY time))"
        " SELECT count(DISTINCT person_hash) FILTER (s1 IS NOT NULL), count(DISTINCT person_hash) FILTER (s2 IS NOT NULL),"
        " count(DISTINCT person_hash) FILTER (event = 'pay' AND time - s2 <= INTERVAL 14 DAY) FROM b",
    ),
    "retention": (
        {
            "kind": "retention",
            "start_event": "view",
            "return_event": "view",
            "mode": "recurring",
            "period": "week",
            "intervals": 8,
            "last": "60 days",
        },
        "SELECT cohort, week, uniqExact(person_hash) FROM (SELECT person_hash, groupUniqArray(toStartOfWeek(time, 1)) AS weeks FROM events"
        " WHERE project = 'bench' AND event = 'view' AND time >= {start:DateTime} GROUP BY person_hash)"
        " ARRAY JOIN weeks AS cohort ARRAY JOIN weeks AS week WHERE week >= cohort GROUP BY cohort, week ORDER BY cohort, week",
        "WITH w AS (SELECT DISTINCT person_hash, date_trunc('week', time) AS week FROM events WHERE event = 'view' AND time >= $start)"
        " SELECT a.week, b.week, count(DISTINCT a.person_hash) FROM w a JOIN w b ON a.person_hash = b.person_hash AND b.week >= a.week"
        " GROUP BY ALL ORDER BY ALL",
    ),
}


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def questions(rows: int = 10_000_000) -> Iterator[Row]:
    """Each question with its rivals, by turns."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="almanac-bench-")))
        local = stack.enter_context(open_local(load({"data": folder / "data"})))
        project, _ = local.catalog.create_project("bench")
        assert project.id == "bench"
        start = _fill(local, rows)
        duck = stack.enter_context(duckdb.connect(str(folder / "duck.db")))
        _copy(local, duck, folder)
        millions = f"{rows // 1_000_000} M events"
        values = {"start": start.replace(tzinfo=None)}
        for kind, (question, by_hand, for_duck) in QUESTIONS.items():
            bound = Sql(by_hand, values)
            ways: list[Callable[[], Any]] = [
                lambda question=question: local.engine.ask("bench", question, fresh=True),
                lambda bound=bound: local.store.query(bound, limits=_LIMITS),
                lambda text=for_duck: duck.execute(text, {"start": start}).to_arrow_table(),
            ]
            if kind == "funnel":
                ways.append(lambda: local.store.query(Sql(_WINDOW_FUNNEL, values), limits=_LIMITS))
            ours, hand, rival, *levels = _in_turns(ways)
            yield Row(f"{kind} over {millions}", median(ours), "s", _ratio(ours, hand), "SQL by hand", "<= 1.1")
            yield Row(f"{kind} over {millions}, beside DuckDB", median(rival), "s (DuckDB)", _ratio(ours, rival), "DuckDB")
            for some in levels:
                yield Row(
                    f"{kind} over {millions}, beside levels only", median(some), "s (windowFunnel)", _ratio(ours, some), "windowFunnel"
                )


def _in_turns(ways: list[Callable[[], Any]]) -> list[list[float]]:
    """Seconds of each way in each round, forwards and backwards by turns; the first round only warms up."""
    seconds: list[list[float]] = [[] for _ in ways]
    for turn in range(ROUNDS + 1):
        for place in range(len(ways)) if turn % 2 else reversed(range(len(ways))):
            took = _timed(ways[place])
            if turn:
                seconds[place].append(took)
    return seconds


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' own ratios: what else the machine does in a round slows both."""
    return median([one / other for one, other in zip(ours, theirs, strict=True)])


def _fill(local: Local, rows: int) -> datetime:
    now = datetime.now(UTC)
    begin = now.timestamp() - DAYS * 86400
    step = 250_000
    for _ in range(rows // step):
        values = {"start": int(begin * 1e6), "span": DAYS * 86_400_000_000, "rows": step}
        local.store.execute(Sql(_FILL, values))
    while local.store.query(Sql("SELECT count() FROM system.merges")).rows != [(0,)]:
        time.sleep(0.2)  # merges of what was just filled would slow some rounds
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    return datetime.fromtimestamp(midnight - 60 * 86400, UTC)


def _copy(local: Local, duck: duckdb.DuckDBPyConnection, folder: Path) -> None:
    file = folder / "events.parquet"
    local.store.execute(
        Sql(
            "INSERT INTO FUNCTION file({path:String}, 'Parquet') SELECT toString(event) AS event, person_hash, time FROM events",
            {"path": str(file)},
        )
    )
    duck.execute("SET threads = 2; SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    duck.execute(f"CREATE TABLE events AS SELECT * FROM '{file}' ORDER BY event, time")
