"""What pages look up while somebody chooses: the values of a property, and people. Quick rather than complete; no question, no receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from almanac import people
from almanac.analyses import profile_state as state
from almanac.analyses.scope import EventScope
from almanac.core.errors import invalid
from almanac.core.filters import Breakdown, Selector
from almanac.core.ports import Catalog, EventStore, Limits
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

MOST: Final = 1000  # values or people of one look
LOOK_BACK: Final = timedelta(days=30)  # of values
# Somebody types meanwhile: what was found by then is enough of values, and everything gives way to questions.
_LIMITS: Final = Limits(seconds=3.0, memory_bytes=256 << 20, result_rows=20_000, priority=2)
_PEOPLE_LIMITS: Final = Limits(seconds=10.0, memory_bytes=256 << 20, result_rows=20_000, priority=2)
_LATER: Final = timedelta(days=2)  # clocks of senders may be ahead
_WINDOWS: Final = (timedelta(days=1), timedelta(days=30), None)  # of the latest people; most pages need the first only
_END: Final = 1 << 62  # after all times

# By whom people are found beside their ids. Mixpanel and PostHog write them with a dollar sign.
_SEARCHED: Final = ("email", "name", "$email", "$name")

# Values beyond the first so many different ones are not counted: a property of a million ids would take all memory for nothing.
VALUES: Final = """
SELECT value, count() AS events
FROM
(
    SELECT $value AS value
    FROM $events
    WHERE $scope AND $chosen
)
WHERE value != '' AND length(value) <= 1000 AND ($searched)
GROUP BY value
ORDER BY events DESC, value
LIMIT {limit:UInt32}
SETTINGS max_rows_to_group_by = 100000, group_by_overflow_mode = 'any', timeout_overflow_mode = 'break'
"""

LATEST: Final = """
SELECT person, toUnixTimestamp64Micro(max(time)) AS last_seen
FROM
(
    SELECT $person AS person, time
    FROM events
    WHERE project = {project:String} AND day >= {since:Date} AND person_hash != 0 AND ($consent)
)
WHERE $whom
GROUP BY person
HAVING (last_seen, person) < ({seen:Int64}, {after:UInt64})
ORDER BY last_seen DESC, person DESC
LIMIT {limit:UInt32}
"""

# Who uses an id that begins so, or has such a text in a property that people go by. Who ever had it is found first: to reckon what each of
# 300 k people has now takes ten times as long.
FOUND: Final = """person IN
(
    SELECT $person
    FROM events
    WHERE project = {project:String} AND startsWith(distinct_id, {search:String})
    UNION ALL
    SELECT $person
    FROM
    (
        SELECT project, cityHash64(tied) AS person_hash
        FROM (SELECT project, arrayJoin([source, target]) AS tied FROM identity_edges WHERE project = {project:String})
        WHERE startsWith(tied, {search:String})
    )
    UNION ALL
    SELECT person
    FROM
    (
        SELECT person, $outcome AS json
        FROM
        (
            SELECT person, $left
            FROM
            (
                SELECT person, property, any(wiped_at) AS wiped, $gathered
                FROM
                (
                    SELECT $person AS person, property, op, value, time, $wiped OVER (PARTITION BY person) AS wiped_at
                    FROM ($changes)
                    WHERE person IN
                    (
                        SELECT $person
                        FROM ($changes)
                        WHERE positionCaseInsensitiveUTF8(JSONExtractString(value), {search:String}) > 0
                    )
                )
                GROUP BY person, property
            )
        )
        WHERE positionCaseInsensitiveUTF8(JSONExtractString(json), {search:String}) > 0
    )
)
"""

CHANGES: Final = """
            SELECT project, key_hash AS person_hash, property, op, value, time
            FROM profile_changes
            WHERE project = {project:String} AND subject = 'person' AND property IN {properties:Array(String)}
"""


@dataclass(frozen=True)
class Page:
    """Some people, and the token of the next ones ("" when there are none)."""

    people: list[dict[str, Any]]
    next: str

    def as_json(self) -> dict[str, Any]:
        """For faces."""
        return {"people": self.people, "next": self.next}


class Lookups:
    """Looks into one store. Threads may share it."""

    def __init__(
        self,
        store: EventStore,
        catalog: Catalog,
        *,
        person: Callable[[str, datetime | None], Sql],
        consent: Callable[[str], Sql],
        clock: Callable[[], datetime],
    ) -> None:
        """The same as of the engine."""
        self._store = store
        self._catalog = catalog
        self._person = person
        self._consent = consent
        self._clock = clock

    def values(
        self,
        project: str,
        property_: str,
        *,
        of: Literal["event", "person", "group"] = "event",
        group_type: str = "",
        event: str = "",
        search: str = "",
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """The values of a property (as filters name it) as texts, each with the number of events of the last 30 days that have it: the most
        frequent first, of these at most `limit` that hold the text `search`. Of very many different values, and after three seconds,
        those that were found by then.

        Raises `invalid` for a built-in column that there is not, and for a group without its type."""
        found = self._catalog.project(project)
        now = self._clock()
        scope = EventScope(
            found,
            now=now,
            range=TimeRange(now - LOOK_BACK, now + _LATER, found.zone),
            week_start="monday",
            person=self._person(found.id, None),
            consent=self._consent(found.id),
        )
        if of == "group" and not group_type:
            raise invalid("A group's property needs the group's type.", place="group_type", way_out="Give it, such as company.")
        wanted = sql("positionCaseInsensitiveUTF8(value, {search:String}) > 0", {"search": search}) if search else Sql("1")
        statement = sql(
            VALUES,
            {"limit": min(max(1, limit), MOST)},
            value=scope.text(Breakdown(property=property_, of=of, group_type=group_type)),
            events=scope.events(),
            scope=scope.where(),
            chosen=scope.matches(Selector(event=event or None)),
            searched=wanted,
        )
        return self._store.query(scope.complete(statement), limits=_LIMITS).dicts()

    def people(self, project: str, *, search: str = "", limit: int = 100, after: str = "") -> Page:
        """People by their latest event, the latest first; with `search` who uses an id that begins so, or whose email or name holds it.

        Raises `invalid` for a token that is none."""
        found = self._catalog.project(project)
        most = min(max(1, limit), MOST)
        seen, person = _place_of(after)
        rows: list[tuple[Any, ...]] = []
        for back in (None,) if search else _WINDOWS:
            rows = self._store.query(self._latest(found.id, search, seen, person, back, most + 1), limits=_PEOPLE_LIMITS).rows
            if len(rows) > most:
                break
        page = [int(row[0]) for row in rows[:most]]
        next_ = f"{rows[most - 1][1]}.{rows[most - 1][0]:016x}" if len(rows) > most else ""
        return Page(self._described(found.id, page), next_)

    def _latest(self, project: str, search: str, seen: int, person: int, back: timedelta | None, limit: int) -> Sql:
        """Those seen before `seen` (µs since 1970). Who was seen in the `back` before it, and not after, was seen last then."""
        latest = self._clock() if seen >= _END else datetime.fromtimestamp(seen / 1e6, UTC)
        since = (latest - back).date() if back else datetime(1970, 1, 1, tzinfo=UTC).date()
        whose = self._person(project, None)
        whom = Sql("1")
        if search:
            values = {"project": project, "search": search, "properties": ["", *_SEARCHED]}
            whom = sql(
                FOUND,
                values,
                outcome=state.outcome("value"),
                left=state.left("value"),
                gathered=state.gathered("value", Sql("1")),
                wiped=state.WIPED,
                person=whose,
                changes=Sql(CHANGES),
            )
        return sql(
            LATEST,
            {"project": project, "since": since.isoformat(), "seen": seen, "after": person, "limit": limit},
            person=whose,
            consent=self._consent(project),
            whom=whom,
        )

    def _described(self, project: str, page: list[int]) -> list[dict[str, Any]]:
        if not page:
            return []
        whose = self._store.query(people.of_persons(project, page, self._person(project, None)), limits=_PEOPLE_LIMITS).rows
        statements = people.known(project, whose, consent=self._consent(project))
        ids, properties = (self._store.query(statement, limits=_PEOPLE_LIMITS).dicts() for statement in statements)
        return people.described(page, ids, properties)


def _place_of(token: str) -> tuple[int, int]:
    if not token:
        return _END, 0
    seen, _, person = token.partition(".")
    try:
        place = int(seen), int(person, 16)
    except ValueError:
        place = -1, -1
    if not (0 <= place[0] < _END and 0 <= place[1] < 1 << 64):
        raise invalid("This is not the token of a page.", place="after", way_out="Give `next` of the page before, or leave it out.")
    return place
