"""Many examples of a law in one go, where what an example costs is its start: a load, a round trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

E = TypeVar("E")


def together(examples: SearchStrategy[E], check: Callable[[list[E]], None], *, count: int) -> None:
    """Checks so many examples at once; when that fails, one by one, so that hypothesis finds the smallest that fails."""
    found: list[E] = []

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(examples)
    def gather(example: E) -> None:
        found.append(example)

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(examples)
    def one_by_one(example: E) -> None:
        check([example])

    gather()
    assert len(found) >= count
    try:
        check(found)
    except AssertionError:
        one_by_one()
        raise
