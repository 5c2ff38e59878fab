"""The people behind a row of an answer, by name, as the kind's `members` finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from almanac.core.analysis import analysis_of
from almanac.core.sql import Sql


def behind(world: Any, project: str, question: Mapping[str, Any], row: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Sorted, each as often as the statement gives it. `names`: all people that the project has."""
    asked = world.engine._understand(world.projects.project(project), question)
    scope = world.engine._scope(asked)
    members = analysis_of(asked.analysis.kind).members
    assert members is not None
    result = world.store.query(scope.complete(members(asked.question, scope, row).statement))
    assert not result.rows or [column.name for column in result.columns] == ["person"]  # without rows it has no columns
    known = world.store.query(Sql("SELECT cityHash64(arrayJoin({names:Array(String)}) AS name), name", {"names": list(names)}))
    name_of = cast("dict[int, str]", dict(known.rows))
    return sorted(name_of[person] for (person,) in result.rows)
