"""The people behind a row of an answer: how many, a page of them, and what is known of each.

Questions find persons (`Analysis.members`); here these get their ids, properties, and the times of their first and last event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from almanac.analyses import profile_state as state
from almanac.core.analysis import Analysis, registry
from almanac.core.errors import invalid
from almanac.core.sql import Sql, number, sql

MOST: Final = 1000  # people of a page
MOST_IDS: Final = 100  # ids that are shown of a person
MOST_PROPERTIES: Final = 300  # and properties
_EVER: Final = Sql("1")

# Of the persons of the statement $members: how many there are, and the first ones after the person `after`.
PAGE: Final = """
SELECT
    count()                                                 AS total,
    groupArraySortedIf($most)(person, person > {after:UInt64}) AS page
FROM
(
    SELECT person
    FROM
    ($members)
    WHERE person != 0
    GROUP BY person
)
"""

ALL: Final = """
SELECT person
FROM
($members)
WHERE person != 0
GROUP BY person
"""

# The ids of these persons: a person's number is the hash of one of its ids; all others were named in a merge.
WHOSE: Final = """
    SELECT
        owner,
        person_hash,
        max(id) AS id
    FROM
    (
        SELECT arrayJoin({people:Array(UInt64)}) AS owner, owner AS person_hash, '' AS id
        UNION ALL
        SELECT $person AS owner, person_hash, id
        FROM
        (
            SELECT {people_project:String} AS project, cityHash64(id) AS person_hash, id
            FROM
            (
                SELECT DISTINCT arrayJoin([source, target]) AS id
                FROM identity_edges
                WHERE project = {people_project:String}
            )
        )
        WHERE owner IN ({people:Array(UInt64)})
    )
    GROUP BY owner, person_hash
"""

GIVEN: Final = """
        SELECT one.1 AS owner, one.2 AS person_hash, one.3 AS id
        FROM (SELECT arrayJoin(arrayZip({owners:Array(UInt64)}, {hashes:Array(UInt64)}, {ids:Array(String)})) AS one)
"""

KNOWN: Final = """
SELECT
    owner                                               AS person,
    anyIf(name, person_hash = owner)                    AS own_id,
    groupArraySortedIf($most)(name, name != '')         AS ids,
    count()                                             AS id_count,
    if(sum(done) = 0, NULL, minIf(began, done > 0))     AS first_seen,
    if(sum(done) = 0, NULL, maxIf(ended, done > 0))     AS last_seen,
    sum(done)                                           AS events
FROM
(
    SELECT
        whose.owner                             AS owner,
        whose.person_hash                       AS person_hash,
        if(whose.id != '', whose.id, seen.id)   AS name,
        began,
        ended,
        done
    FROM ($whose) AS whose
    LEFT JOIN
    (
        SELECT
            person_hash,
            any(distinct_id) AS id,
            min(time)        AS began,
            max(time)        AS ended,
            count()          AS done
        FROM events
        WHERE project = {people_project:String} AND ($consent) AND person_hash IN ({hashes:Array(UInt64)})
        GROUP BY person_hash
    ) AS seen ON seen.person_hash = whose.person_hash
)
GROUP BY owner
"""

PROPERTIES: Final = """
SELECT person, property, $outcome AS json
FROM
(
    SELECT person, property, $left
    FROM
    (
        SELECT owner AS person, property, any(wiped_at) AS wiped, $gathered
        FROM
        (
            SELECT owner, property, op, value, time, $wiped OVER (PARTITION BY owner) AS wiped_at
            FROM
            (
                SELECT key_hash, property, op, value, time
                FROM profile_changes
                WHERE project = {people_project:String} AND subject = 'person' AND key_hash IN ({hashes:Array(UInt64)})
            ) AS changes
            INNER JOIN ($whose) AS whose ON whose.person_hash = changes.key_hash
        )
        GROUP BY person, property
    )
)
WHERE json NOT IN ('', 'null')
ORDER BY person, property
LIMIT $most BY person
"""


@dataclass(frozen=True)
class People:
    """A page of the people behind a row. `total`: of all of them, exact. `next`: the token of the next page, "" on the last."""

    total: int
    people: list[dict[str, Any]]
    next: str
    receipt: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The one shape that every face sends."""
        return {"total": self.total, "people": self.people, "next": self.next, "receipt": self.receipt}


def page(members: Sql, *, after: int, most: int) -> Sql:
    """Total and persons of one page, one more than `most` when another page follows."""
    return sql(PAGE, {"after": after}, most=number(most + 1), members=members)


def everyone(members: Sql) -> Sql:
    """All persons, each once."""
    return sql(ALL, members=members)


def of_persons(project: str, persons: Sequence[int], person: Sql) -> Sql:
    """A statement of owner, person_hash and id ('' where it is not known from merges): the ids of these persons. `person` as questions
    read it."""
    return sql(WHOSE, {"people": list(persons), "people_project": project}, person=person)


def of_ids(ids: Sequence[str]) -> Sql:
    """The same of one person, 0, whose ids these are."""
    return Sql("SELECT 0 AS owner, cityHash64(arrayJoin({people_ids:Array(String)}) AS id), id", {"people_ids": list(ids)})


def known(project: str, whose: Sequence[Sequence[Any]], *, consent: Sql = _EVER) -> tuple[Sql, Sql]:
    """Two statements about the people whom `of_persons` or `of_ids` found: ids and times; properties. `consent`: a condition that events
    have to meet."""
    owners, hashes, ids = (list(column) for column in zip(*whose, strict=True))
    values = {"people_project": project, "owners": owners, "hashes": hashes, "ids": ids}
    given = Sql(GIVEN)  # read several times: to go through all merges each time would take half of the whole
    return (
        sql(KNOWN, values, most=number(MOST_IDS), whose=given, consent=consent),
        sql(
            PROPERTIES,
            values,
            outcome=state.outcome("value"),
            left=state.left("value"),
            gathered=state.gathered("value", _EVER),
            wiped=state.WIPED,
            most=number(MOST_PROPERTIES),
            whose=given,
        ),
    )


def described(people: Sequence[int], rows: Iterable[Mapping[str, Any]], properties: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the two statements of `known` found, a dict for each of `people` and in their order."""
    has: dict[int, dict[str, Any]] = {}
    for row in properties:
        has.setdefault(row["person"], {})[row["property"]] = _plain(row["json"])
    found = {row["person"]: row for row in rows}
    return [_described(found[person], has.get(person, {})) for person in people if person in found]


def _described(row: Mapping[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    ids = list(row["ids"])
    best = row["own_id"] or (ids[0] if ids else "")
    return {
        "distinct_id": best,  # a person goes by the id of its user, when it has one
        "ids": ids if best in ids else [best, *ids[: MOST_IDS - 1]],
        "id_count": row["id_count"],
        "first_seen": _instant(row["first_seen"]),
        "last_seen": _instant(row["last_seen"]),
        "events": row["events"],
        "properties": properties,
    }


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")


def place_of(token: str) -> int:
    """The person after whom a page begins. Raises `invalid`."""
    try:
        found = int(token, 16) if token else 0
    except ValueError:
        found = -1
    if not 0 <= found < 1 << 64:
        raise invalid("This is not the token of a page.", place="after", way_out="Give `next` of the page before, or leave it out.")
    return found


def token_of(person: int) -> str:
    """The token of the page after this person."""
    return f"{person:016x}"


def checked_row(analysis: Analysis[Any], row: Any) -> Mapping[str, Any]:
    """A row that the kind's answers may have. Raises `invalid` with the place."""
    if analysis.members is None:
        able = ", ".join(kind for kind, other in registry().items() if other.members is not None)
        raise invalid(f"The rows of {analysis.kind} are not made of people.", place="kind", way_out=f"These are: {able}.")
    if not isinstance(row, Mapping):
        raise invalid("A row is an object.", place="row", way_out="Give a row of the answer as it is.")
    unknown = sorted(str(name) for name in row if name not in analysis.row.model_fields)
    if unknown:
        known_names = ", ".join(analysis.row.model_fields)
        raise invalid(f"The answer has no column {unknown[0]!r}.", place=f"row.{unknown[0]}", way_out=f"There are: {known_names}.")
    return row


def refuse_foreign(row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
    """Raises `invalid` unless one of `rows` has the same texts. Of the numbers some are measures, which may have changed since."""
    texts = {name: value for name, value in row.items() if isinstance(value, str)}
    if not any(all((found.get(name) or "") == value for name, value in texts.items()) for found in rows):
        said = ", ".join(f"{name} {value!r}" for name, value in texts.items()) or "these values"
        raise invalid(f"The answer has no row with {said[:300]}.", place="row", way_out="Give a row of the answer as it is.")
