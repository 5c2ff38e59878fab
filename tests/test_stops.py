"""Questions that are stopped: in the queue, in the engine, and among several who wait for one answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.answer import Answer
from almanac.core.errors import AlmanacError, Code
from almanac.core.settings import Settings
from almanac.core.sql import Sql
from almanac.flights import Flights, Ticket
from almanac.stops import Stop, stopped
from almanac.turns import Turns

SLOW = {"kind": "sql", "sql": "SELECT max(sipHash64(number, 1)) AS m FROM numbers(4000000000)"}
TREND = {"kind": "trend", "series": ["visit"], "date_from": "2026-01-05", "date_to": "2026-01-05"}


@pytest.fixture
def project(world: Any) -> Iterator[str]:
    before, world.now = world.now, datetime(2026, 2, 1, tzinfo=UTC)
    name = world.project()
    world.insert(name, [{"person": "ann", "event": "visit", "time": "2026-01-05T09:00:00Z"}])
    yield name
    world.now = before


def until(what: Callable[[], Any], seconds: float = 10) -> float:
    """How long it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds
        time.sleep(0.005)
    return time.monotonic() - began


def a_second(store: Any) -> float:
    """And what looking takes on a machine that is busy otherwise."""
    began = time.monotonic()
    for _ in range(3):
        store.running()
    return 1.0 + 5 * (time.monotonic() - began)


def under_way(world: Any) -> int:
    """Statements of the kind that these tests stop."""
    found = world.store.running()
    return len([one for one in found if one.mark])


def asked(world: Any, engine: Any, project: str, question: dict[str, Any], ticket: Ticket, threads: ThreadPoolExecutor) -> Future[Any]:
    """In a thread, as a face does."""

    def ask() -> Any:
        with engine.questions.under_way(project, str(uuid4()), ticket, question["kind"]):
            return engine.ask(project, question, ticket=ticket)

    return threads.submit(ask)


def was_stopped(future: Future[Any], within: float = 1.0) -> None:
    error = future.exception(timeout=within)
    assert isinstance(error, AlmanacError)
    assert (error.code, error.message, error.retryable) == (Code.CONFLICT, stopped().message, False)


def test_a_long_question_leaves_the_engine_within_a_second(world: Any, project: str) -> None:
    engine = world.build(Settings())
    with ThreadPoolExecutor(1) as threads:
        ticket = Ticket()
        running = asked(world, engine, project, SLOW, ticket, threads)
        until(lambda: any(one["rows_read"] for one in engine.questions.listed(project)))
        (shown,) = engine.questions.listed(project)
        assert (shown["kind"], shown["state"], shown["rows"]) == ("sql", "running", 4_000_000_000)
        assert 0 < shown["rows_read"] < shown["rows"]
        assert shown["seconds"] > 0
        limit = a_second(world.store)
        engine.questions.stop(project, shown["id"])
        assert until(lambda: not under_way(world)) < limit
        was_stopped(running)
    assert engine.questions.listed(project) == []
    assert engine.turns.state() == {"running": 0, "waiting": 0}
    assert engine.ask(project, TREND).rows[0]["value"] == 1, "its place is free, and its client works"


def test_one_that_waits_for_its_turn_leaves_the_queue(world: Any, project: str) -> None:
    engine = world.build(Settings(question_slots=1, queue_seconds=30))
    with ThreadPoolExecutor(2) as threads:
        first, second = Ticket(), Ticket()
        running = asked(world, engine, project, SLOW, first, threads)
        until(lambda: under_way(world))
        waiting = asked(world, engine, project, TREND, second, threads)
        until(lambda: engine.turns.state() == {"running": 1, "waiting": 1})
        assert [one["state"] for one in engine.questions.listed(project)] == ["running", "waiting"]
        second.tell()
        was_stopped(waiting)
        until(lambda: engine.turns.state() == {"running": 1, "waiting": 0}, 1.0)
        first.tell()
        was_stopped(running)


def test_of_several_who_wait_for_one_answer_only_the_last_ends_the_run(world: Any, project: str) -> None:
    engine = world.build(Settings())
    with ThreadPoolExecutor(3) as threads:
        tickets = [Ticket() for _ in range(3)]
        waiting = [asked(world, engine, project, SLOW, ticket, threads) for ticket in tickets]
        until(lambda: [one["state"] for one in engine.questions.listed(project)] == ["running"] * 3)
        assert under_way(world) == 1
        for place in (0, 2):
            tickets[place].tell()
            was_stopped(waiting[place])
        time.sleep(0.3)
        assert (under_way(world), waiting[1].done()) == (1, False), "one still wants it"
        tickets[1].tell()
        was_stopped(waiting[1])
        until(lambda: not under_way(world), 1.0)


def test_a_question_stopped_before_it_began_does_not_begin(world: Any, project: str) -> None:
    ticket = Ticket()
    ticket.tell()
    began = time.monotonic()
    with pytest.raises(AlmanacError, match="stopped"):
        world.build(Settings()).ask(project, SLOW, ticket=ticket)
    assert time.monotonic() - began < 1
    until(lambda: not under_way(world), 1.0)


def test_ids_are_of_one_question_and_one_project(world: Any, project: str) -> None:
    questions = world.build(Settings()).questions
    ticket = Ticket()
    with questions.under_way(project, "a", ticket, "trend"):
        with pytest.raises(AlmanacError, match="is under way") as taken, questions.under_way(project, "a", Ticket(), "trend"):
            pass
        assert taken.value.code is Code.CONFLICT
        questions.stop("another", "a")
        assert questions.listed("another") == []
        assert not ticket.told
    questions.stop(project, "a")
    assert not ticket.told, "it had ended"


ENDLESS = Sql("1 IN (SELECT toUInt8(max(sipHash64(number, 1)) > 0) FROM numbers(4000000000))")


def test_who_is_behind_a_number_can_be_stopped_too(world: Any, project: str) -> None:
    """A rule of consent that takes for ever holds up the statement that finds them, be it a page of them or all."""
    engine = world.build(Settings(), consent=lambda project: ENDLESS)
    row = {"series": "visit", "period": "2026-01-05"}
    with ThreadPoolExecutor(1) as threads:
        for ask in (engine.people, engine.everyone):
            ticket = Ticket()

            def behind(ask: Any = ask, ticket: Ticket = ticket) -> Any:
                with engine.questions.under_way(project, "p", ticket, "trend"):
                    return ask(project, TREND, row, ticket=ticket)

            running = threads.submit(behind)
            until(lambda: any(one["rows_read"] for one in engine.questions.listed(project)))
            assert [(one["kind"], one["state"]) for one in engine.questions.listed(project)] == [("trend", "running")]
            limit = a_second(world.store)
            engine.questions.stop(project, "p")
            assert until(lambda: not under_way(world)) < limit
            was_stopped(running)
    assert engine.turns.state() == {"running": 0, "waiting": 0}
    assert world.engine.people(project, TREND, row).total == 1


def test_a_stop_is_heard_once_by_all_and_by_those_who_come_late() -> None:
    stop, heard = Stop(), []
    with stop.heard(lambda: heard.append(1)):
        stop.tell()
        stop.tell()
        with stop.heard(lambda: heard.append(2)):
            pass
    with stop.heard(lambda: heard.append(3)):
        pass
    assert heard == [1, 2, 3]


def test_a_turn_that_comes_as_it_is_given_up_is_not_lost() -> None:
    turns = Turns(1, per_project=1, seconds=10, waiting_per_project=100)

    def wait(stop: Stop) -> str:
        try:
            with turns.of("a", stop):
                return "had it"
        except AlmanacError as error:
            return error.code

    outcomes = set()
    with ThreadPoolExecutor(2) as threads:
        for _ in range(200):
            stop = Stop()
            with turns.of("a"):
                waiting = threads.submit(wait, stop)
                until(lambda: turns.state()["waiting"])
                threads.submit(stop.tell)
            outcomes.add(waiting.result(5))
            assert turns.state() == {"running": 0, "waiting": 0}
    assert outcomes <= {"had it", Code.CONFLICT}


ANSWER = Answer("trend", [], [], {})


@settings(max_examples=200, deadline=None)
@given(
    with_ticket=st.lists(st.booleans(), min_size=1, max_size=4),
    leaves=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_a_run_goes_on_as_long_as_anybody_wants_it(with_ticket: list[bool], leaves: list[bool]) -> None:
    """All come, then some leave: each who left is told so at once; the others get the answer; the work is told to stop when all left."""
    flights, told = Flights(), threading.Event()
    finish = threading.Event()
    runs: list[Stop] = []

    def work(stop: Stop) -> Answer:
        runs.append(stop)
        with stop.heard(lambda: (told.set(), finish.set())):
            finish.wait(10)
        stop.check()
        return ANSWER

    tickets = [Ticket() if has else None for has in with_ticket]
    left = [ticket is not None and leave for ticket, leave in zip(tickets, leaves, strict=False)]
    with ThreadPoolExecutor(4) as threads:
        futures = []
        for place, ticket in enumerate(tickets):
            futures.append(threads.submit(flights.share, "key", work, ticket=ticket))
            until(lambda place=place: sum(flight.waiting for flight in flights._under_way.values()) == place + 1)
        for ticket, future, goes in zip(tickets, futures, left, strict=True):
            if goes and ticket is not None:
                ticket.tell()
                was_stopped(future, 5)
        assert told.is_set() == all(left)
        finish.set()
        for future, goes in zip(futures, left, strict=True):
            if not goes:
                assert future.result(timeout=5) is ANSWER
    assert len(runs) == 1
    until(lambda: not flights._under_way)
