"""A question in SQL, for whatever no other kind of question answers.

Ask it when you know what you want and how to write it. The statement reads the project's own rows of these tables, in ClickHouse's dialect:

- `events`: one row an event. `person` is who did it (0: an event of no person); properties are paths of JSON, such as
  `properties.plan.:String` or `properties.amount::Nullable(Float64)`.
- `profile_changes`: every change of a property of a person or group.
- `event_names` and `event_properties`: the names that occur.

It is one SELECT; it cannot change anything, read other tables, files or addresses, or choose settings. Write `x IN (SELECT …)`: a bare name
after IN would read a table. LIMIT BY and LIMIT do not go together; put one into a subquery. A time range and filters of the question apply
to `events`; without a range all events are read. Values from outside are best bound: `{plan:String}` in the statement, and `values`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import Field

from almanac.analyses.examples import examples_of
from almanac.analyses.wall import walled
from almanac.core.analysis import Analysis, Compiled, Question, Row, Scope, Shaped
from almanac.core.errors import invalid
from almanac.core.ports import Result
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

_HOLE: Final = re.compile(r"\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*:[^{}]*\}")
_OURS: Final = "scope_"

# All that the engine's Date can hold.
_ALWAYS: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2149, 6, 6, tzinfo=UTC))

EVENTS = "(SELECT * FROM $events WHERE $scope)"


class SqlQuestion(Question):
    """The question."""

    kind: Literal["sql"] = "sql"
    sql: str = Field(description="One SELECT statement.", min_length=1, examples=["SELECT event, count() FROM events GROUP BY event"])
    values: dict[str, Any] = Field(default={}, description="Values for the statement's holes, such as {plan:String}.")


class SqlRow(Row):
    """A row as the statement gives it; its columns are the statement's."""


def tables(question: SqlQuestion, scope: Scope) -> dict[str, Sql]:
    """The public tables, each as a subquery of the project's own rows."""
    ranged = question.date_from or question.date_to or question.last
    span = scope.range if ranged else TimeRange(*_ALWAYS, scope.zone)
    project = scope.bind(scope.project, "String")
    return {
        "events": sql(EVENTS, events=scope.events(), scope=scope.where(span)),
        "profile_changes": sql("(SELECT * FROM profile_changes WHERE project = $project)", project=project),
        "event_names": sql("(SELECT * FROM event_names FINAL WHERE project = $project)", project=project),
        "event_properties": sql("(SELECT * FROM event_properties FINAL WHERE project = $project)", project=project),
    }


def compile(question: SqlQuestion, scope: Scope) -> Compiled:  # noqa: A001 (the promise's word)
    """The statement behind both walls."""
    for name, value in question.values.items():
        if name.startswith(_OURS) or isinstance(value, dict):
            raise invalid(
                f"The value {name!r} cannot be bound.", place="values", way_out="Use texts, numbers, truth values and lists of them."
            )
    holes = set(_HOLE.findall(question.sql))
    missing = holes - set(question.values)
    if missing:
        raise invalid(f"There is no value for {', '.join(sorted(missing))}.", place="values", way_out="Give every hole a value.")
    statement = walled(question.sql, tables(question, scope))
    bound = {name: value for name, value in question.values.items() if name in holes}
    return Compiled(Sql(statement.text, {**statement.values, **bound}), walled=True)


def shape(question: SqlQuestion, scope: Scope, result: Result) -> Shaped:
    """The rows as they come; columns of one name are told apart by a number."""
    names: list[str] = []
    for column in result.columns:
        count = sum(1 for name in names if name == column.name or name.startswith(f"{column.name} ("))
        names.append(column.name if not count else f"{column.name} ({count + 1})")
    columns = [
        {"name": name, "type": column.type, "help": "As the statement gives it."}
        for name, column in zip(names, result.columns, strict=True)
    ]
    return Shaped([dict(zip(names, row, strict=True)) for row in result.rows], columns=columns)


ANALYSIS: Final = Analysis(question=SqlQuestion, row=SqlRow, compile=compile, shape=shape, filtered=False, examples=examples_of("sql"))
