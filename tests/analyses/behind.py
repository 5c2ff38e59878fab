"""Who is behind a row of an answer, as the kind's `members` finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from almanac.core.analysis import Scope
from almanac.core.sql import Sql


def people_behind(world: Any, project: str, question: Mapping[str, Any], row: Mapping[str, Any]) -> list[int]:
    """The persons, each once."""
    asked = world.engine._understand(world.projects.project(project), question)
    scope = world.engine._scope(asked)
    compiled = asked.analysis.members(asked.question, cast(Scope, scope), row)
    result = world.store.query(scope.complete(compiled.statement))
    assert not result.rows or [column.name for column in result.columns] == ["person"]  # the engine names no column of no rows
    people = [found for (found,) in result.rows]
    assert len(people) == len(set(people)), "each once"
    return people


def behind(world: Any, project: str, question: Mapping[str, Any], row: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """The same by their names, sorted. `names`: all people that the project has."""
    known = world.store.query(Sql("SELECT cityHash64(arrayJoin({names:Array(String)}) AS name), name", {"names": list(names)}))
    name_of = cast("dict[int, str]", dict(known.rows))
    return sorted(name_of[person] for person in people_behind(world, project, question, row))
