"""Who is who: the laws of the graph against an oracle, and the way from a sender's statement to a question."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.together import together

from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.errors import AlmanacError, Code
from almanac.core.event import Merge
from almanac.core.sql import Sql, sql
from almanac.ingest.identity import Edge, Graph, Identity

from .conftest import NOW, NOW_US, Bench

SECOND = 1_000_000

# ------------------------------------------------------------------------------ the oracle


@dataclass
class Crowd:
    """Groups of ids as sets, read off the rules of `almanac.ingest.identity` one sentence at a time."""

    groups: list[set[str]] = field(default_factory=list)
    users: set[str] = field(default_factory=set)  # ids that an identify in force named as a user first in their group
    names: dict[frozenset[str], str] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)

    def of(self, member: str) -> set[str]:
        for group in self.groups:
            if member in group:
                return group
        self.groups.append({member})
        self.names[frozenset({member})] = member
        return self.groups[-1]

    def user(self, group: set[str]) -> bool:
        return bool(self.users & group)

    def add(self, number: int, source: str, target: str, how: str) -> None:
        one, other = self.of(source), self.of(target)
        if how == "identify" and not self.user(other):
            self.users.add(target)
        if one is other:
            return
        if how != "merge" and self.user(one) and self.user(other):
            self.refused.append(number)
            return
        identified_source = self.user(one) and not self.user(other)
        name = self.names[frozenset(one if identified_source else other)]
        self.groups = [group for group in self.groups if group is not one and group is not other] + [one | other]
        self.names[frozenset(one | other)] = name

    def persons(self) -> dict[str, str]:
        """Each id whose person is another id."""
        return {member: self.names[frozenset(group)] for group in self.groups for member in group if member != self.names[frozenset(group)]}


ids = st.sampled_from("abcdefg")
statements = st.lists(st.tuples(ids, ids, st.sampled_from(["identify", "identify", "alias", "merge"])), max_size=12)
Statements = list[tuple[str, str, str]]


def edge(number: int, statement: tuple[str, str, str]) -> Edge:
    source, target, how = statement
    return Edge(str(number), source, target, how, NOW, ord(source), ord(target))


def crowd(given: Statements, without: set[int] | None = None) -> Crowd:
    found = Crowd()
    for number, statement in enumerate(given):
        if number not in (without or set()):
            found.add(number, *statement)
    return found


def graph(given: Statements, without: set[int] | None = None) -> Graph:
    return Graph(edge(number, statement) for number, statement in enumerate(given) if number not in (without or set()))


def persons(found: Graph) -> dict[str, str]:
    return {chr(member): chr(person) for member, person in found.persons().items()}


@settings(max_examples=500, deadline=None)
@given(given=statements)
def test_the_graph_is_the_oracles(given: Statements) -> None:
    expected = crowd(given)
    found = graph(given)
    assert persons(found) == expected.persons()
    assert {int(number) for number in found.refused} == set(expected.refused)
    assert found.merged == bool(expected.persons())
    for group in expected.groups:
        for member in group:
            assert {chr(other) for other in found.with_member(ord(member))} == group


@settings(max_examples=300, deadline=None)
@given(given=statements)
def test_step_by_step_is_the_same_as_at_once(given: Statements) -> None:
    """What `add` says has changed, laid over what was, is the whole outcome; adding all of it again changes nothing."""
    found, outcome = Graph(), dict[int, int]()
    for number, statement in enumerate(given):
        outcome |= found.add(edge(number, statement))
        assert {member: person for member, person in outcome.items() if member != person} == found.persons()
    again = [found.add(edge(number, statement)) for number, statement in enumerate(given)]
    assert not any(again)


@settings(max_examples=300, deadline=None)
@given(given=statements)
def test_two_identified_people_stay_two_unless_asked_for(given: Statements) -> None:
    """Without `merge`, no person holds two ids that were identified while they were apart."""
    found = crowd([statement for statement in given if statement[2] != "merge"])
    assert all(len(found.users & group) <= 1 for group in found.groups)


@settings(max_examples=300, deadline=None)
@given(given=statements, undone=st.sets(st.integers(0, 11)))
def test_undoing_reckons_the_rest_as_if_it_had_never_been(given: Statements, undone: set[int]) -> None:
    rest = [statement for number, statement in enumerate(given) if number not in undone]
    assert persons(graph(given, undone)) == persons(graph(rest)) == crowd(rest).persons()


# ---------------------------------------------------------------- statements, worked by hand


def test_a_visitor_who_turns_out_to_be_a_user() -> None:
    assert persons(graph([("a", "u", "identify")])) == {"a": "u"}


def test_two_people_who_share_a_browser_stay_two() -> None:
    """The browser a is u's; then w signs in on it: refused. The first two ids are one person."""
    found = graph([("a", "u", "identify"), ("b", "w", "identify"), ("a", "w", "identify")])
    assert persons(found) == {"a": "u", "b": "w"}
    assert found.refused == {"2"}


def test_a_person_who_signs_in_on_two_devices_is_one() -> None:
    assert persons(graph([("a", "u", "identify"), ("b", "u", "identify")])) == {"a": "u", "b": "u"}


def test_a_merge_that_is_asked_for_joins_two_users_under_the_target() -> None:
    assert persons(graph([("a", "u", "identify"), ("b", "w", "identify"), ("u", "w", "merge")])) == {"a": "w", "b": "w", "u": "w"}


def test_an_alias_keeps_the_identified_name() -> None:
    assert persons(graph([("a", "u", "identify"), ("u", "nickname"[0], "alias")])) == {"a": "u", "n": "u"}


# --------------------------------------------------------------------- in the store


class People:
    """A bench whose events state who is who, one second after another, and the rooms that read it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        # A fresh reader reads the edges of all projects; those of the tests before this one would only take time.
        for table in ("identity_edges", "identity_undone", "persons"):
            bench.store.execute(Sql(f"TRUNCATE TABLE {table}"))
        self.identity = Identity(bench.store, clock=lambda: bench.now)
        self.said: Counter[str] = Counter()

    def say(self, *given: tuple[str, str, str]) -> None:
        """One event a statement, all in one batch; the questions look afterwards."""
        self.say_in({self.bench.project: list(given)})

    def say_in(self, projects: Mapping[str, Statements]) -> None:
        """The same in several projects, all in one batch."""
        events = []
        for project, told in projects.items():
            for statement in told:
                self.said[project] += 1
                number = self.said[project]
                fields: dict[str, Any] = {"project": project, "distinct_id": statement[1], "merges": [Merge(*statement)]}
                fields["received_us"] = NOW_US + number * SECOND
                events.append(self.bench.event(str(uuid.UUID(int=number)), kind="identify", **fields))
        self.bench.log.add(events)
        self.bench.loader.run_once()
        self.identity.touched()

    def moment(self, said: int) -> datetime:
        """Just when the statement of that number was received, counted from 1."""
        return NOW + timedelta(seconds=said)

    def groups(self, members: str, as_of: datetime | None = None, identity: Identity | None = None, project: str = "") -> dict[str, str]:
        """Each id whose person is another id, through a real query over rows with these ids."""
        project = project or self.bench.project
        person = (identity or self.identity).person(project, as_of)
        statement = sql(
            "SELECT member, person FROM (SELECT $person AS person, member FROM (SELECT {project:String} AS project, member,"
            " cityHash64(member) AS person_hash FROM (SELECT arrayJoin({members:Array(String)}) AS member)))",
            {"project": project, "members": list(members)},
            person=person,
        )
        hashed = "SELECT arrayJoin({members:Array(String)}) AS member, cityHash64(member) AS hash"
        hashes = {row["hash"]: row["member"] for row in self.bench.rows(hashed, members=list(members))}
        found = {str(member): hashes[int(person)] for member, person in self.bench.store.query(statement).rows}
        return {member: person for member, person in found.items() if member != person}


@pytest.fixture
def people(bench: Bench) -> People:
    return People(bench)


def test_events_of_all_ids_of_a_person_count_as_one(bench: Bench) -> None:
    people = People(bench)
    bench.load(bench.event("1", distinct_id="a"), bench.event("2", distinct_id="u"), bench.event("3", distinct_id="z"))
    count = "SELECT uniqExact($person) FROM events WHERE project = {project:String}"

    def persons() -> int:
        statement = sql(count, {"project": bench.project}, person=people.identity.person(bench.project))
        return int(bench.store.query(statement).rows[0][0])

    assert persons() == 3
    people.say(("a", "u", "identify"))
    assert persons() == 2
    [stated] = people.identity.edges(bench.project, "a")
    people.identity.undo(bench.project, str(stated["edge"]))
    assert persons() == 3


batches_of = st.lists(st.lists(st.tuples(ids, ids, st.sampled_from(["identify", "alias", "merge"])), min_size=1, max_size=4), max_size=2)


def test_asked_after_each_batch_as_of_any_time_and_rebuilt(make_bench: Callable[[], Bench]) -> None:
    def check(examples: list[list[Statements]]) -> None:
        people = People(make_bench())
        projects = {f"{people.bench.project}-{place}": batches for place, batches in enumerate(examples)}
        said: dict[str, Statements] = {project: [] for project in projects}
        for place in range(2):
            further = {project: batches[place] for project, batches in projects.items() if len(batches) > place}
            people.say_in(further)
            for project, batch in further.items():
                said[project] += batch
                assert people.groups("abcdefg", project=project) == crowd(said[project]).persons(), said[project]
        fresh = Identity(people.bench.store)
        for project, statements in said.items():
            assert people.groups("abcdefg", identity=fresh, project=project) == crowd(statements).persons(), statements
            for number in {len(statements) // 2, len(statements)}:
                then = people.groups("abcdefg", as_of=people.moment(number), project=project)
                assert then == crowd(statements[:number]).persons(), (statements, number)

    together(batches_of, check, count=100)


def test_undo_then_redo(people: People) -> None:
    said = [("a", "u", "identify"), ("b", "a", "alias"), ("c", "d", "merge")]
    people.say(*said)
    whole = crowd(said).persons()
    assert people.groups("abcdu") == whole == {"a": "u", "b": "u", "c": "d"}
    project = people.bench.project
    edges = {str(one["source"]): str(one["edge"]) for one in people.identity.edges(project, "b")}
    assert set(edges) == {"a", "b"}

    people.bench.now = NOW + timedelta(hours=1)
    people.identity.undo(project, edges["a"], who="me")
    assert people.groups("abcdu") == crowd(said[1:]).persons() == {"b": "a", "c": "d"}
    people.bench.now = NOW + timedelta(hours=2)
    people.identity.redo(project, edges["a"], who="me")
    assert people.groups("abcdu") == whole
    assert people.groups("abcdu", identity=Identity(people.bench.store)) == whole

    # What was known then: before the undo, between, and after.
    assert people.groups("abcdu", as_of=NOW + timedelta(minutes=59)) == whole
    assert people.groups("abcdu", as_of=NOW + timedelta(minutes=90)) == {"b": "a", "c": "d"}
    assert people.groups("abcdu", as_of=NOW + timedelta(hours=3)) == whole


def test_undo_wins_with_a_clock_that_stands(people: People) -> None:
    """Outcomes are told apart by their order, not by the time of day."""
    people.say(("a", "u", "identify"))
    assert people.groups("au") == {"a": "u"}
    [stated] = people.identity.edges(people.bench.project, "a")
    people.identity.undo(people.bench.project, str(stated["edge"]))
    assert people.groups("au") == {}
    assert people.groups("au", identity=Identity(people.bench.store, clock=lambda: datetime(2001, 1, 1, tzinfo=UTC))) == {}


def test_new_statements_after_an_undo(people: People) -> None:
    people.say(("a", "u", "identify"))
    [stated] = people.identity.edges(people.bench.project, "a")
    people.identity.undo(people.bench.project, str(stated["edge"]))
    people.say(("a", "w", "identify"))
    assert people.groups("auw") == {"a": "w"}


def test_edges_show_their_state(people: People) -> None:
    people.say(("a", "u", "identify"), ("b", "w", "identify"), ("a", "w", "identify"), ("x", "y", "alias"))
    project = people.bench.project

    def shown(member: str) -> list[tuple[str, str, str, str]]:
        return [(str(e["source"]), str(e["target"]), str(e["how"]), str(e["state"])) for e in people.identity.edges(project, member)]

    assert shown("a") == [("a", "u", "identify", "in force"), ("a", "w", "identify", "refused")]
    assert shown("w") == [("b", "w", "identify", "in force"), ("a", "w", "identify", "refused")]
    assert shown("nobody") == []
    people.bench.now += timedelta(hours=1)
    people.identity.undo(project, str(people.identity.edges(project, "a")[0]["edge"]))
    # With the first out of force, nothing forbids the third.
    assert shown("u") == [("a", "u", "identify", "undone")]
    assert ("a", "w", "identify", "in force") in shown("a")


@pytest.mark.parametrize("edge_id", ["nobody", "", f"{uuid.UUID(int=9)}:1"])
def test_an_unknown_statement_cannot_be_undone(people: People, edge_id: str) -> None:
    people.say(("a", "u", "identify"))
    for call in (people.identity.undo, people.identity.redo):
        with pytest.raises(AlmanacError) as refused:
            call(people.bench.project, edge_id)
        assert refused.value.code is Code.NOT_FOUND


def test_projects_do_not_see_each_others_people(make_bench: Callable[[], Bench]) -> None:
    one, other = People(make_bench()), People(make_bench())
    one.say(("a", "u", "identify"))
    other.identity.touched()
    assert other.groups("au") == {}
    [stated] = one.identity.edges(one.bench.project, "a")
    with pytest.raises(AlmanacError):
        other.identity.undo(other.bench.project, str(stated["edge"]))


def test_a_statement_sent_again_is_one_statement(people: People, store: ClickHouseStore) -> None:
    event = people.bench.event("m", kind="identify", distinct_id="u", merges=[Merge("a", "u", "identify"), Merge("b", "u", "alias")])
    people.bench.load(event, event)
    people.bench.load(event)
    people.identity.touched()
    assert [e["source"] for e in people.identity.edges(people.bench.project, "u")] == ["a", "b"]
    assert people.groups("abu") == {"a": "u", "b": "u"}
