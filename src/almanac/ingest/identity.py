"""Who is who: a time-stamped, reversible set of statements that two ids are one person.

Events keep the ids they came with. Edges are read in the order of their arrival into groups of ids; each group is one person. A question
looks an event's id up in the outcome, so a merge or its undo moves no event. Rules:

- `identify` (this anonymous id is that user), `same-event` (a device's id and a user's stood on one event) and `alias` (two names of one
  user) join two groups unless both hold an identified user: then they are refused, and kept as refused. Two people who share a browser stay
  two people. A `same-event` statement is kept once, however many events make it, and so one that was undone stays undone.
- `merge` joins whatever it is told to.
- Undoing an edge takes it out of the reckoning; the rest is reckoned again. Reading as of a time takes the edges and undos of until then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from almanac.core.errors import not_found
from almanac.core.ports import EventStore
from almanac.core.sql import Sql

_EDGES = """
SELECT toString(id) || ':' || toString(ordinal), source, target, how, at, cityHash64(source), cityHash64(target)
FROM identity_edges
WHERE project = {project:String} AND at <= {until:DateTime64(6, 'UTC')} AND batch > {after:UInt64}
ORDER BY batch, at, id, ordinal
"""
_UNDONE = """
SELECT edge
FROM identity_undone
WHERE project = {project:String} AND at <= {until:DateTime64(6, 'UTC')}
GROUP BY edge
HAVING argMax(undone, at)
"""
_CHANGED = "SELECT project, max(batch), count() FROM identity_edges GROUP BY project"
_STORED = "SELECT person_hash, argMax(person, version), max(version) FROM persons WHERE project = {project:String} GROUP BY person_hash"
# The dictionary holds only ids whose person is not themselves; everybody else is found by default.
_PERSON = "dictGetOrDefault('person_of', 'person', tuple(project, person_hash), person_hash)"


@dataclass(frozen=True)
class Edge:
    """One statement, and whether it counts."""

    id: str
    source: str
    target: str
    how: str
    at: datetime
    source_hash: int
    target_hash: int


@dataclass
class _Group:
    members: list[int]
    user: int | None  # the identified user in it, if any
    person: int  # the id by which the person is known


class Graph:
    """Groups of ids that are one person, as some edges in their order make them."""

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self._group: dict[int, _Group] = {}
        self.refused: set[str] = set()
        for edge in edges:
            self.add(edge)

    def add(self, edge: Edge) -> dict[int, int]:
        """Takes one more edge; answers the ids whose person is another one now."""
        source, target = self._of(edge.source_hash), self._of(edge.target_hash)
        if edge.how in ("identify", "same-event") and target.user is None:
            target.user = edge.target_hash
        if source is target:
            return {}
        if edge.how != "merge" and source.user is not None and target.user is not None:
            self.refused.add(edge.id)
            return {}
        # The person keeps the id under which it is identified; else that of the statement's target.
        person = source.person if source.user is not None and target.user is None else target.person
        big, small = (source, target) if len(source.members) >= len(target.members) else (target, source)
        moved = {member: person for group in (source, target) if group.person != person for member in group.members}
        big.user = target.user if target.user is not None else source.user
        big.person = person
        big.members += small.members
        for member in small.members:
            self._group[member] = big
        return moved

    def _of(self, member: int) -> _Group:
        return self._group.setdefault(member, _Group([member], None, member))

    @property
    def merged(self) -> bool:
        """True when some id's person is another id."""
        return any(group.person != member for member, group in self._group.items())

    def persons(self) -> dict[int, int]:
        """Each id whose person is another id."""
        return {member: group.person for member, group in self._group.items() if group.person != member}

    def with_member(self, member: int) -> list[int]:
        """All ids of that id's person."""
        group = self._group.get(member)
        return list(group.members) if group else [member]


class Identity:
    """Keeps the outcome of the edges in the store, and answers how to read it. Safe under threads."""

    def __init__(self, store: EventStore, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._graphs: dict[str, Graph] = {}
        self._read: dict[str, tuple[int, int]] = {}  # how far the edges of a project are in its graph
        self._version = 0  # of the outcomes written last
        self._stale = True
        self.switches = 0  # how often this process undid or redid a merge

    def touched(self) -> None:
        """New edges may have come; the next question looks."""
        self._stale = True

    def person(self, project: str, as_of: datetime | None = None) -> Sql:
        """An expression over a row of events: whose it is."""
        if as_of is not None:
            return self._as_of(project, as_of)
        if self._stale:
            self._refresh()
        graph = self._graphs.get(project)
        return Sql(_PERSON) if graph and graph.merged else Sql("person_hash")

    def _as_of(self, project: str, as_of: datetime) -> Sql:
        persons = Graph(self._edges(project, as_of)).persons()
        if not persons:
            return Sql("person_hash")
        return Sql(
            "transform(person_hash, {ids_then:Array(UInt64)}, {persons_then:Array(UInt64)}, person_hash)",
            {"ids_then": list(persons), "persons_then": list(persons.values())},
        )

    def edges(self, project: str, distinct_id: str) -> list[dict[str, Any]]:
        """The statements that touch the person of this id, oldest first, each with its state: in force, refused or undone."""
        everything = self._all_edges(project, _END)
        undone = self._undone(project, _END)
        graph = Graph(edge for edge in everything if edge.id not in undone)
        start = self._hash(distinct_id)
        members = set(graph.with_member(start)) | {start}
        return [
            {
                "edge": edge.id,
                "source": edge.source,
                "target": edge.target,
                "how": edge.how,
                "at": edge.at.isoformat(),
                "state": "undone" if edge.id in undone else "refused" if edge.id in graph.refused else "in force",
            }
            for edge in everything
            if edge.source_hash in members or edge.target_hash in members
        ]

    def undo(self, project: str, edge: str, who: str = "") -> None:
        """Takes a statement out of force, from now on. Raises `not_found`."""
        self._switch(project, edge, undone=True, who=who)

    def redo(self, project: str, edge: str, who: str = "") -> None:
        """Puts it in force again. Raises `not_found`."""
        self._switch(project, edge, undone=False, who=who)

    def _switch(self, project: str, edge: str, *, undone: bool, who: str) -> None:
        if not any(known.id == edge for known in self._all_edges(project, _END)):
            raise not_found(f"There is no merge {edge!r}.", place="edge", way_out="`almanac people show ID` lists the merges of a person.")
        row = (project, edge, undone, self._clock().replace(tzinfo=None), who)
        self._store.insert("identity_undone", ("project", "edge", "undone", "at", "who"), [row])
        self.forget(project)
        self._stale = True
        self.switches += 1

    def forget(self, project: str) -> None:
        """Drops what is kept of a project in memory."""
        with self._lock:
            self._read.pop(project, None)
            self._graphs.pop(project, None)

    def _refresh(self) -> None:
        with self._lock:
            self._stale = False
            changed = False
            for project, batch, count in self._store.query(Sql(_CHANGED)).rows:
                far = (int(batch), int(count))
                if self._read.get(str(project)) != far:
                    self._bring_up_to_date(str(project))
                    self._read[str(project)] = far
                    changed = True
            if changed:
                # 3 ms for a few entries, 0.4 s for a million; paid by the first question after a change.
                self._store.execute(Sql("SYSTEM RELOAD DICTIONARY person_of"))

    def _bring_up_to_date(self, project: str) -> None:
        graph = self._graphs.get(project)
        if graph is None:
            graph = Graph(self._edges(project, _END))
            wanted = graph.persons()
            found = self._store.query(Sql(_STORED, {"project": project})).rows
            stored = {int(key): int(person) for key, person, _ in found}
            self._version = max([self._version, *(int(version) for _, _, version in found)])
            changes = {key: person for key, person in wanted.items() if stored.get(key, key) != person}
            changes |= {key: key for key, person in stored.items() if key not in wanted and person != key}
        else:
            changes = {}
            for edge in self._all_edges(project, _END, after=self._read[project][0]):
                changes |= graph.add(edge)
        if changes:
            # A later outcome has to win, though the clock may stand or have been set back.
            self._version = max(self._version + 1, int(self._clock().timestamp() * 1e6))
            rows = [(project, key, person, self._version) for key, person in changes.items()]
            self._store.insert("persons", ("project", "person_hash", "person", "version"), rows)
        self._graphs[project] = graph

    def _edges(self, project: str, until: datetime) -> list[Edge]:
        undone = self._undone(project, until)
        return [edge for edge in self._all_edges(project, until) if edge.id not in undone]

    def _all_edges(self, project: str, until: datetime, *, after: int = 0) -> list[Edge]:
        values = {"project": project, "until": _text(until), "after": after}
        return [
            Edge(str(id_), str(source), str(target), str(how), at.replace(tzinfo=UTC), int(source_hash), int(target_hash))
            for id_, source, target, how, at, source_hash, target_hash in self._store.query(Sql(_EDGES, values)).rows
        ]

    def _undone(self, project: str, until: datetime) -> set[str]:
        return {str(row[0]) for row in self._store.query(Sql(_UNDONE, {"project": project, "until": _text(until)})).rows}

    def _hash(self, distinct_id: str) -> int:
        return int(self._store.query(Sql("SELECT cityHash64({id:String})", {"id": distinct_id})).rows[0][0])


_END = datetime(2200, 1, 1, tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
