"""Properties of people and groups as columns beside the events. They are kept as changes; a question reads what they amount to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from almanac.analyses import profile_state as state
from almanac.core.sql import Sql, Values, identifier, join, sql

_EVER: Final = Sql("1")


def joined(project: Sql, subject: str, columns: Mapping[str, Sql], person: Sql, values: Values, place: int, known: Sql = _EVER) -> Sql:
    """A LEFT JOIN to `facts` that gives each property of `columns` as Nullable(String) under its column's name.

    `subject` is person or a group's type. A person has the properties of all ids that are his: `person` says whose an id is, from the
    columns `project` and `person_hash`. `place` tells several joins of one statement apart. `known`: a condition on the column
    `time` of changes.
    """
    owner, key = person, Sql("facts.person")
    if subject != "person":
        owner, key = Sql("person_hash"), sql("cityHash64(facts.groups[$type])", type=values.bind(subject, "String"))
    names = [column.text for column in columns.values()]
    ones = [sql("property = $property", property=values.bind(property_, "String")) for property_ in columns]
    return sql(
        _JOINED,
        owner=owner,
        owner_name=identifier(f"owner_{place}"),
        texts=join(", ", [sql(_TEXT, column=column) for column in columns.values()]),
        outcomes=join(", ", [sql("$outcome AS json_$column", outcome=state.outcome(name), column=identifier(name)) for name in names]),
        left=join(", ", [state.left(name) for name in names]),
        gathered=join(", ", [state.gathered(name, one) for name, one in zip(names, ones, strict=True)]),
        wiped=state.WIPED,
        project=project,
        subject=values.bind(subject, "String"),
        properties=values.bind(["", *columns], "Array(String)"),
        profiles=identifier(f"profiles_{place}"),
        key=key,
        known=known,
    )


# Values are JSON: a text loses its quotes, null and '' (no row of that property) are missing.
_TEXT: Final = """if(
            startsWith(json_$column, '"'),
            JSONExtractString(json_$column),
            nullIf(nullIf(json_$column, 'null'), '')
        ) AS $column"""

_JOINED: Final = """
LEFT JOIN
(
    SELECT
        $owner_name,
        $texts
    FROM
    (
        SELECT
            $owner_name,
            $outcomes
        FROM
        (
            SELECT
                $owner_name,
                $left
            FROM
            (
                SELECT
                    $owner AS $owner_name,
                    $wiped AS wiped,
                    $gathered
                FROM
                (
                    SELECT project, key_hash AS person_hash, property, op, value, time
                    FROM profile_changes
                    WHERE project = $project AND subject = $subject AND property IN $properties AND $known
                )
                GROUP BY $owner_name
            )
        )
    )
) AS $profiles ON $profiles.$owner_name = $key
"""
