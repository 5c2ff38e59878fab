"""Who is behind a row of an answer, as the question itself says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from almanac.core.analysis import Scope


def people_behind(world: Any, project: str, question: Mapping[str, Any], row: Mapping[str, Any]) -> list[int]:
    """The persons, each once."""
    asked = world.engine._understand(world.projects.project(project), question)
    scope = world.engine._scope(asked)
    compiled = asked.analysis.members(asked.question, cast(Scope, scope), row)
    result = world.store.query(scope.complete(compiled.statement))
    assert not result.rows or [column.name for column in result.columns] == ["person"]
    people = [found for (found,) in result.rows]
    assert len(people) == len(set(people)), "each once"
    return people
