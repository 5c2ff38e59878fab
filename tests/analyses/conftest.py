"""How a test of a question asks it: `ask(events, question, now=…, zone=…)` gives the rows, `answer(…)` the whole answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from almanac.engine import Answer


@pytest.fixture(scope="session")
def answer(world: Any) -> Callable[..., Answer]:
    """`answer(events, question, now=…, zone=…)`: the whole answer."""
    return world.ask


@pytest.fixture(scope="session")
def ask(world: Any) -> Callable[..., list[dict[str, Any]]]:
    """`ask(events, question, now=…, zone=…)`: the rows of the answer."""

    def rows(*args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        return world.ask(*args, **kwargs).rows

    return rows
