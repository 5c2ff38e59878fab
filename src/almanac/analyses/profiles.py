"""Properties of people and groups as columns beside the events. They are kept as changes; a question reads what they amount to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
    latest = [sql(_LATEST, property=values.bind(name, "String"), column=column) for name, column in columns.items()]
    return sql(
        _JOINED,
        owner=owner,
        owner_name=identifier(f"owner_{place}"),
        texts=join(", ", [sql(_TEXT, column=column) for column in columns.values()]),
        latest=join(", ", latest),
        project=project,
        subject=values.bind(subject, "String"),
        properties=values.bind(list(columns), "Array(String)"),
        profiles=identifier(f"profiles_{place}"),
        key=key,
        known=known,
    )


# The latest set or unset counts; without any, the earliest set_once. Of two at one instant the set wins over the unset.
_LATEST: Final = """if(
                countIf(property = $property AND op != 'set_once') > 0,
                argMaxIf(if(op = 'set', value, 'null'), (time, op = 'set', value), property = $property AND op != 'set_once'),
                argMinIf(value, (time, value), property = $property AND op = 'set_once')
            ) AS json_$column"""

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
            $owner AS $owner_name,
            $latest
        FROM
        (
            SELECT project, key_hash AS person_hash, property, op, value, time
            FROM profile_changes
            WHERE project = $project AND subject = $subject AND property IN $properties AND $known
        )
        GROUP BY $owner_name
    )
) AS $profiles ON $profiles.$owner_name = $key
"""
