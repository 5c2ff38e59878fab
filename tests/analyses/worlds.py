"""The projects that a law asks about, made before its first example: in one insert, as alone each took longer than the questions."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

Events = list[dict[str, Any]]


def seeds(count: int) -> list[int]:
    """So many seeds of worlds: the same in every run, as the examples are; `make nightly` looks for new ones."""
    chance = random.Random(None if os.environ.get("ALMANAC_TESTS_RANDOM") == "yes" else count)
    return [chance.getrandbits(32) for _ in range(count)]


class Worlds:
    """Worlds by their keys: `worlds[key]` is a project and what happened in it."""

    def __init__(
        self, world: Any, keys: Sequence[Hashable], make: Callable[[Any], Events], same: Callable[[Any], Mapping[str, str]] = lambda key: {}
    ) -> None:
        """`make(key)`: the events, their times as datetimes. `same(key)`: ids that are another person's; the events that `worlds[key]`
        gives are the persons' already."""
        self._made: dict[Hashable, tuple[str, Events]] = {}
        given: dict[str, tuple[Events, Mapping[str, str]]] = {}
        for key in keys:
            project, events, merged = world.project(), make(key), same(key)
            given[project] = [{**event, "time": event["time"].isoformat()} for event in events], merged
            self._made[key] = project, [{**event, "person": merged.get(event["person"], event["person"])} for event in events]
        world.insert_all(given)

    def __getitem__(self, key: Hashable) -> tuple[str, Events]:
        return self._made[key]
