"""Who is behind a row of an answer, as the kind's `members` finds them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from almanac.core.analysis import Scope
from almanac.core.sql import Sql

_HASHES: dict[str, int] = {}  # by name


def people_behind(world: Any, project: str, question: Mapping[str, Any], row: Mapping[str, Any]) -> list[int]:
    """The persons, each once."""
    asked = world.engine._understand(project, question)
    scope = world.engine._scope(asked)
    compiled = asked.analysis.members(asked.question, cast(Scope, scope), row)
    result = world.store.query(scope.complete(compiled.statement))
    assert not result.rows or [column.name for column in result.columns] == ["person"]  # the engine names no column of no rows
    people = [found for (found,) in result.rows]
    assert len(people) == len(set(people)), "each once"
    return people


def behind(world: Any, project: str, question: Mapping[str, Any], row: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """The same by their names, sorted. `names`: all people that the project has."""
    if unknown := sorted(set(names) - set(_HASHES)):
        found = world.store.query(Sql("SELECT arrayJoin({names:Array(String)}) AS name, cityHash64(name)", {"names": unknown}))
        _HASHES.update(found.rows)
    name_of = {_HASHES[name]: name for name in names}
    return sorted(name_of[person] for person in people_behind(world, project, question, row))
