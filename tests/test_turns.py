"""Whose question runs next."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from almanac.core.errors import AlmanacError
from almanac.turns import EXPRESS, Turns


def until(told: object, wanted: object) -> None:
    deadline = time.monotonic() + 10
    while told() != wanted and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.002)
    assert told() == wanted  # type: ignore[operator]


def test_a_busy_project_does_not_keep_the_others_waiting() -> None:
    """One place. While it is taken, ten of a busy project queue before one of another, which is next all the same."""
    turns = Turns(1, per_project=1, seconds=10, waiting_per_project=100)
    order: list[str] = []
    go = threading.Event()

    def ask(project: str) -> None:
        with turns.of(project):
            order.append(project)
            go.wait(10)

    with ThreadPoolExecutor(20) as threads:
        threads.submit(ask, "busy")
        until(lambda: turns.state()["running"], 1)
        for place in range(10):
            threads.submit(ask, "busy")
            until(lambda: turns.state()["waiting"], place + 1)
        threads.submit(ask, "quiet")
        until(lambda: turns.state()["waiting"], 11)
        go.set()
    assert Counter(order) == {"busy": 11, "quiet": 1}
    assert order[:2] == ["busy", "quiet"]
    assert turns.state() == {"running": 0, "waiting": 0}


def test_a_project_holds_no_more_than_its_places() -> None:
    turns = Turns(4, per_project=2, seconds=0.05, waiting_per_project=100)
    with turns.of("a"), turns.of("a"):
        with pytest.raises(AlmanacError, match="2 other questions of this project are running"), turns.of("a"):
            pass
        with turns.of("b"):
            assert turns.state()["running"] == 3


def test_too_many_who_wait_are_refused_at_once() -> None:
    turns = Turns(1, per_project=1, seconds=10, waiting_per_project=1)
    done = threading.Event()

    def wait() -> None:
        with turns.of("a"):
            done.wait(10)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(wait)
        until(lambda: turns.state()["running"], 1)
        threads.submit(wait)
        until(lambda: turns.state()["waiting"], 1)
        with pytest.raises(AlmanacError, match="1 questions of this project wait already"), turns.of("a"):
            pass
        done.set()


def test_never_more_than_the_places_under_many_threads() -> None:
    turns = Turns(3, per_project=2, seconds=20, waiting_per_project=1000)
    lock = threading.Lock()
    running: Counter[str] = Counter()
    worst: list[int] = []

    def ask(number: int) -> None:
        project = "abc"[number % 3]
        with turns.of(project):
            with lock:
                running[project] += 1
                worst.append(max(running.total() - 3, running[project] - 2))
            time.sleep(0.001)
            with lock:
                running[project] -= 1

    with ThreadPoolExecutor(30) as threads:
        list(threads.map(ask, range(300)))
    assert len(worst) == 300
    assert max(worst) <= 0
    assert turns.state() == {"running": 0, "waiting": 0}


def test_short_questions_do_not_wait_for_long_ones() -> None:
    """Both places are taken; short ones have `EXPRESS` more, and the next of them waits as the long one does."""
    turns = Turns(2, per_project=2, seconds=0.05, waiting_per_project=100)
    with turns.of("a"), turns.of("b"), contextlib.ExitStack() as short:
        for _ in range(EXPRESS):
            short.enter_context(turns.of("a", short=True))
        assert turns.state()["running"] == 2 + EXPRESS
        for is_short in (True, False):
            with pytest.raises(AlmanacError, match="are running"), turns.of("c", short=is_short):
                pass
    assert turns.state() == {"running": 0, "waiting": 0}


def test_a_short_question_in_a_turn_of_its_own_is_not_held_against_its_project() -> None:
    turns = Turns(2, per_project=1, seconds=0.05, waiting_per_project=100)
    with turns.of("b"), contextlib.ExitStack() as first:
        first.enter_context(turns.of("a"))
        with turns.of("a", short=True):
            first.close()
            with turns.of("a"):
                assert turns.state()["running"] == 3
