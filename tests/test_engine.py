"""The life of a question: what is refused, what is kept, what the receipt says, and that all of it holds under threads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from almanac.core.errors import AlmanacError
from almanac.core.printing import literal, printed
from almanac.core.settings import Settings
from almanac.core.sql import Sql

VISITS = [{"person": name, "event": "visit", "time": "2026-01-05T09:00:00Z", "properties": {"plan": "it's"}} for name in ("ann", "bob")]
SLOW = {"kind": "sql", "sql": "SELECT max(sipHash64(number, 1)) AS m FROM numbers(4000000000)"}
TREND = {"kind": "trend", "series": ["visit"], "date_from": "2026-01-05", "date_to": "2026-01-05"}


class Kept:
    """A cache in a dict, as long as the test lasts."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        self.values[key] = value


@pytest.fixture
def project(world: Any) -> Iterator[str]:
    before, world.now = world.now, datetime(2026, 2, 1, tzinfo=UTC)
    name = world.project(zone="Europe/Berlin")
    world.insert(name, VISITS)
    yield name
    world.now = before


def test_an_answer_has_rows_columns_and_a_receipt(world: Any, project: str) -> None:
    asked = {**TREND, "series": [{"event": "visit", "measure": "unique", "name": "people"}]}
    answer = world.engine.ask(project, asked).as_json()
    assert answer["kind"] == "trend"
    assert answer["rows"] == [{"series": "people", "period": "2026-01-05", "value": 2, "previous": None, "complete": True}]
    assert [column["name"] for column in answer["columns"]] == ["series", "period", "value", "previous", "complete"]
    assert {column["type"] for column in answer["columns"]} == {"text", "number", "boolean"}
    receipt = answer["receipt"]
    assert receipt["window"] == {"from": "2026-01-05T00:00:00+01:00", "to": "2026-01-06T00:00:00+01:00"}
    assert (receipt["timezone"], receipt["week_start"]) == ("Europe/Berlin", "monday")
    assert (receipt["exact"], receipt["approximation"], receipt["cache_age"]) == (True, "", None)
    assert (receipt["rows_read"] >= 2, receipt["bytes_read"] > 0, receipt["seconds"] > 0) == (True, True, True)
    assert receipt["watermark"] == receipt["asked_at"] == world.now.isoformat()
    assert receipt["almanac_version"] == "test"
    assert json.loads(json.dumps(answer)) == answer


def test_the_receipts_sql_runs_as_it_is_printed(world: Any, project: str) -> None:
    question = {**TREND, "filters": [{"property": "plan", "value": "it's"}, {"property": "a\\`'b", "op": "is_not_set"}]}
    answer = world.engine.ask(project, question)
    assert "{" not in answer.receipt["sql"]
    again = world.store.query(Sql(answer.receipt["sql"])).rows
    assert [row[-1] for row in again] == [[answer.rows[0]["value"]]] == [[2]]


def test_the_definition_is_the_same_for_the_same_question_only(world: Any, project: str) -> None:
    def definition(question: Mapping[str, Any], of: str = project) -> str:
        return str(world.engine.ask(of, question).receipt["definition_hash"])

    first = definition(TREND)
    world.now += timedelta(days=1)
    assert definition({**TREND, "timezone": "Europe/Berlin", "interval": "day"}) == first
    assert definition({**TREND, "series": [{"event": "visit"}]}) == first
    assert definition({**TREND, "interval": "week"}) != first
    assert definition(TREND, world.project(zone="UTC")) != first
    assert definition(TREND, world.project(zone="Europe/Berlin")) == first


@pytest.mark.parametrize(
    ("question", "code", "place"),
    [
        ({}, "invalid", "kind"),
        ({"kind": 3}, "invalid", "kind"),
        ({"kind": "horoscope"}, "not_found", "kind"),
        ({"kind": "trend"}, "invalid", "series"),
        ({**TREND, "date_from": "yesteryear"}, "invalid", "date_from"),
        ({**TREND, "date_from": "2026-01-07"}, "invalid", "date_to"),
        ({**TREND, "last": "5 days"}, "invalid", ""),
        ({**TREND, "as_of": "soon"}, "invalid", "as_of"),
        ({**TREND, "filters": [{"all": [{"property": "x"}]}]}, "invalid", "filters.0.all.0"),
        ({**TREND, "filters": [{"any": 3}]}, "invalid", "filters.0.any"),
        ({**TREND, "filters": [{"property": "x", "op": "in", "value": 3}]}, "invalid", "filters.0"),
        ({**TREND, "breakdown": [{"property": "x", "limit": 0}]}, "invalid", "breakdown.0.limit"),
    ],
)
def test_a_wrong_question_is_refused_with_its_place(world: Any, project: str, question: dict[str, Any], code: str, place: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        world.engine.ask(project, question)
    assert (caught.value.code, caught.value.place) == (code, place), caught.value
    assert caught.value.message.endswith(".")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["visit", "sum", "-7d", "@browser", "day"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["property", "value", "op", "event", "measure", "all"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(question=st.dictionaries(st.sampled_from(["series", "filters", "interval", "last", "breakdown", "compare", "as_of"]), JSON))
def test_nothing_that_is_asked_breaks_the_engine(world: Any, question: dict[str, Any]) -> None:
    try:
        world.engine.ask(next(iter(world.projects.by_id)), {"kind": "trend", "series": ["visit"], **question})
    except AlmanacError as error:
        assert error.code in ("invalid", "limited"), error  # noqa: PT017 (no error at all is right, too)


def stored(world: Any, project: str, batch: int) -> None:
    """The books say so, as after a load."""
    world.store.insert("ledger", ("project", "batch", "stored"), [(project, batch, 1)])


def test_an_answer_is_kept_until_something_new_is_stored(world: Any, project: str) -> None:
    kept = Kept()
    engine = world.build(Settings(), kept)
    first = engine.ask(project, TREND)
    world.now += timedelta(hours=5)
    second = engine.ask(project, TREND)
    assert (second.rows, first.receipt["cache_age"], second.receipt["cache_age"]) == (first.rows, None, 5 * 3600)
    world.insert(project, VISITS)
    assert engine.ask(project, TREND, fresh=True).rows[0]["value"] == 4
    stored(world, project, 1)
    third = engine.ask(project, TREND)
    assert (third.rows[0]["value"], third.receipt["cache_age"]) == (4, None)
    other = world.project(zone="Europe/Berlin")
    stored(world, other, 2)
    assert engine.ask(project, TREND).receipt["cache_age"] == 0, "what others send changes nothing"
    assert engine.ask(other, TREND).rows[0]["value"] == 0


def test_an_answer_that_ends_now_is_kept_for_seconds_only(world: Any, project: str) -> None:
    until: list[float] = []

    class Timed(Kept):
        def put(self, key: str, value: bytes, *, seconds: float) -> None:
            until.append(seconds)

    engine = world.build(Settings(cache_seconds=7.0), Timed())
    engine.ask(project, {"kind": "trend", "series": ["visit"], "last": "30 days"})
    engine.ask(project, {"kind": "sql", "sql": "SELECT now()", "date_from": "2026-01-05", "date_to": "2026-01-05"})
    engine.ask(project, TREND)
    assert (until[0], until[1], until[2] > 3600) == (7.0, 7.0, True)


def test_operators_may_allow_answers_to_be_older_than_what_is_stored(world: Any, project: str) -> None:
    engine = world.build(Settings(cache_stale_seconds=60.0), Kept())
    world.now = world.now.replace(second=0, microsecond=0)
    engine.ask(project, TREND)
    world.insert(project, VISITS)
    stored(world, project, 3)
    world.now += timedelta(seconds=59)
    assert (engine.ask(project, TREND).rows[0]["value"], engine.ask(project, TREND).receipt["cache_age"]) == (2, 59.0)
    world.now += timedelta(seconds=1)
    assert engine.ask(project, TREND).rows[0]["value"] == 4


def test_many_who_ask_the_same_at_once_share_one_run(world: Any, project: str) -> None:
    engine = world.build(Settings(question_slots=1, queue_seconds=0.1), Kept())
    slow = {"kind": "sql", "sql": "SELECT max(sipHash64(number, 1)) AS m FROM numbers(60000000)"}
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: engine.ask(project, slow), range(20)))  # 20 runs in one place would be refused
    assert len({answer.rows[0]["m"] for answer in answers}) == 1


def test_a_slow_question_is_one_short_line_in_the_log(world: Any, project: str) -> None:
    """With the hash of its definition, by which the receipt finds it; question and statement are cut."""
    engine = world.build(Settings(slow_seconds=0))
    question = {**TREND, "filters": [{"property": "plan", "op": "in", "value": ["väl-ue"] * 3000}]}
    with capture_logs() as lines:
        receipt = engine.ask(project, question).receipt
    [line] = [line for line in lines if line["event"] == "slow question"]
    assert (line["project"], line["definition"]) == (project, receipt["definition_hash"])
    assert receipt["sql"].startswith(line["sql"].split("…")[0])
    assert line["sql"].endswith(f"… (of {len(receipt['sql'].encode())} bytes)")
    assert len(json.dumps(line, ensure_ascii=False).encode()) < 2000
    with capture_logs() as lines:
        receipt = engine.ask(project, {"kind": "sql", "sql": "SELECT 1 AS one"}).receipt
    assert [line["sql"] for line in lines] == [receipt["sql"]]


def test_those_who_share_a_run_share_its_error(world: Any, project: str) -> None:
    engine = world.build(Settings(question_slots=1, queue_seconds=0.1, question_seconds=0.5), Kept())
    with ThreadPoolExecutor(5) as threads:
        tries = [threads.submit(engine.ask, project, SLOW) for _ in range(5)]
    assert {str(one.exception()) for one in tries if "time limit" in str(one.exception())}
    assert all(isinstance(one.exception(), AlmanacError) for one in tries)


def test_one_question_too_many_waits_and_is_then_refused(world: Any, project: str) -> None:
    """A question that runs for its whole 2 s holds the one place; another waits 0.2 s, is told to come back, and then has its turn."""
    engine = world.build(Settings(question_slots=1, queue_seconds=0.2, question_seconds=2.0))
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(engine.ask, project, SLOW)
        time.sleep(0.5)
        with pytest.raises(AlmanacError) as refused:
            engine.ask(project, TREND)
        with pytest.raises(AlmanacError, match="longer than its time limit"):
            running.result()
    assert (refused.value.code, refused.value.retryable, refused.value.retry_after) == ("limited", True, 5)
    assert engine.ask(project, TREND).rows[0]["value"] == 2


def test_a_question_that_was_short_does_not_wait_for_long_ones(world: Any, project: str) -> None:
    """The one place is taken by somebody. A question that nobody knows waits and is refused; one that took no time before does not."""
    engine = world.build(Settings(question_slots=1, queue_seconds=0.2))
    engine.ask(project, TREND, fresh=True)
    with engine.turns.of(project):
        assert engine.ask(project, TREND, fresh=True).rows[0]["value"] == 2
        with pytest.raises(AlmanacError, match="other questions of this project are running"):
            engine.ask(project, {**TREND, "date_to": "2026-01-06"}, fresh=True)


def test_a_question_over_its_memory_is_refused_and_leaves_its_place(world: Any, project: str) -> None:
    engine = world.build(Settings(question_slots=1, question_memory=32 << 20))
    greedy = {"kind": "sql", "sql": "SELECT length(groupArray(toString(number))) AS n FROM numbers(20000000)"}
    for _ in range(3):
        with pytest.raises(AlmanacError, match="more memory than one question may use"):
            engine.ask(project, greedy)
    assert engine.ask(project, TREND).rows[0]["value"] == 2


def test_a_question_that_cannot_end_in_time_is_refused_before_it_starts(world: Any, project: str) -> None:
    """Two events are too many for a nanosecond. (The estimate counts whole granules, which other projects share.)"""
    engine = world.build(replace(Settings(), question_seconds=1e-9))
    with pytest.raises(AlmanacError, match="It would read"):
        engine.ask(project, TREND)


def test_threads_share_one_engine(world: Any, project: str) -> None:
    other = world.project()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda place: world.engine.ask((project, other)[place % 2], TREND).rows[0]["value"], range(40)))
    assert answers == [2, 0] * 20


def test_our_own_mistakes_reach_the_user_as_an_id_only(world: Any, project: str) -> None:
    def broken(project: str, as_of: Any) -> Sql:
        return Sql("no_such_function(person_hash)")

    engine = world.build(Settings())
    engine._person = broken
    with pytest.raises(AlmanacError) as caught:
        engine.ask(project, {**TREND, "filters": [{"property": "plan", "value": "x"}]})
    assert (caught.value.code, len(caught.value.error_id)) == ("unavailable", 12)
    assert "no_such_function" not in str(caught.value.as_json())


def test_kinds_and_examples_are_those_of_the_registry(world: Any) -> None:
    assert {"trend", "sql"} <= set(world.engine.kinds())
    assert len(world.engine.examples("trend")) >= 3
    with pytest.raises(AlmanacError, match="no question of kind"):
        world.engine.examples("horoscope")


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    number=st.integers(-(1 << 63), (1 << 63) - 1),
    fraction=st.floats(allow_nan=False),
)
def test_printed_values_mean_what_was_bound(world: Any, text: str, number: int, fraction: float) -> None:
    values = {"t": text, "n": number, "f": fraction, "l": [text, "x"], "e": [], "b": True}
    bound = Sql("SELECT {t:String}, {n:Int64}, {f:Float64}, {l:Array(String)}, {e:Array(UInt8)}, {b:Bool}", values)
    assert world.store.query(Sql(printed(bound))).rows == [(text, number, fraction, [text, "x"], [], True)]


def test_literals_carry_their_type() -> None:
    assert literal("2026-01-31", "Date") == "CAST('2026-01-31', 'Date')"
    assert literal("2026-01-31 12:00:00", "DateTime64(6, 'UTC')") == "CAST('2026-01-31 12:00:00', 'DateTime64(6, \\'UTC\\')')"
    assert literal(None, "Nullable(String)") == "CAST(NULL, 'Nullable(String)')"
