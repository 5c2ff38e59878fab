"""Properties of people are what their changes amount to, now and at any time before, in whatever order the changes arrived."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses.oracle_profiles import ORDER, Change, amount_to
from tests.analyses.worlds import seeds

from almanac import people
from almanac.analyses.scope import EventScope
from almanac.core.filters import Breakdown, Filter
from almanac.core.sql import Sql, sql
from almanac.core.time import TimeRange

START = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = Sql("dictGetOrDefault('person_of', 'person', (project, person_hash), person_hash)")
NAMES = ["ann", "bob", "cat", "dan"]
PROPERTIES = ["n", "tags"]


def as_events(changes: Sequence[Change], names: Sequence[str] = NAMES) -> list[dict[str, Any]]:
    """Each change as an event, and before all of them one of each person."""
    first = [{"person": name, "event": "seen", "time": START.isoformat()} for name in names]
    return first + [
        {
            "person": change.who,
            "event": "changed",
            "time": (START + timedelta(seconds=change.time)).isoformat(),
            "changes": {change.op: True if change.op in ("delete", "clear_all") else {change.property: change.value}},
        }
        for change in changes
    ]


def read_at(world: Any, project: str, seconds: int | None) -> dict[str, dict[str, str]]:
    """The texts that questions read of each id's person: now, or as of so many seconds after the start."""
    end = START + timedelta(days=1) if seconds is None else START + timedelta(seconds=seconds)
    scope = EventScope(
        world.projects.by_id[project],
        now=START + timedelta(days=2),
        range=TimeRange(START, end, "UTC"),
        week_start="monday",
        person=PERSON,
        past=seconds is not None,
    )
    texts = [scope.text(Breakdown(property=name, of="person")) for name in PROPERTIES]
    there = [scope.condition(Filter(property=name, of="person", op="is_set")) for name in PROPERTIES]
    statement = sql(
        "SELECT distinct_id, [$has_one, $has_two], $one, $two FROM $events WHERE $scope AND event = 'seen'",
        one=texts[0],
        two=texts[1],
        has_one=there[0],
        has_two=there[1],
        events=scope.events(),
        scope=scope.where(),
    )
    rows = world.store.query(scope.complete(statement)).rows
    return {who: {name: value for name, has, value in zip(PROPERTIES, known, values, strict=True) if has} for who, known, *values in rows}


def shown(world: Any, project: str) -> dict[str, dict[str, Any]]:
    """The properties that a list of people shows, by id."""
    found = world.engine.lookups.people(project, limit=1000).people
    return {id_: person["properties"] for person in found for id_ in person["ids"]}


def same(text: str, value: Any) -> bool:
    """A question's text against a value: texts without quotes, all else as JSON."""
    return text == value if isinstance(value, str) else json.loads(text) == value


def check(found: Mapping[str, str], wanted: Mapping[str, Any]) -> None:
    assert found.keys() == wanted.keys(), (found, wanted)
    for name, value in wanted.items():
        assert same(found[name], value), (name, found[name], value)


SCALARS = [1, 2, -3, 0.5, "a", "b", "7", "ü 🎉", "", True, None]
ITEMS = [1, "a", "b", [1], {"k": "v"}]
MERGES = [{}, {"ann": "bob"}, {"ann": "bob", "cat": "dan"}]
MOMENTS = 6


def family(seed: int) -> tuple[list[Change], dict[str, str]]:
    """What four people's properties went through, in the order of arrival, many changes at one instant; and who is who."""
    chance = random.Random(seed)
    said = [
        Change(
            who=f"{seed}-{chance.choice(NAMES)}",
            time=chance.randint(1, MOMENTS),
            op=chance.choice([*ORDER, "add", "append", "union", "set"]),
            property=chance.choice(PROPERTIES),
            value=chance.choice(SCALARS) if chance.random() < 0.7 else chance.choices(ITEMS, k=chance.randint(0, 4)),
        )
        for _ in range(chance.randint(0, 40))
    ]
    return said, {f"{seed}-{source}": f"{seed}-{target}" for source, target in chance.choice(MERGES).items()}


SEEDS = seeds(200)


@dataclass
class Read:
    """What was read of all families: by questions as of each moment (None: now), and by the list of people."""

    at: dict[int | None, dict[str, dict[str, str]]]
    shown: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def read(world: Any) -> Read:
    """All families live in one project: a statement takes longer than its rows."""
    world.now = START + timedelta(days=2)
    project = world.project()
    families = {seed: family(seed) for seed in SEEDS}
    names = [f"{seed}-{name}" for seed in SEEDS for name in NAMES]
    merges = {source: target for _, same in families.values() for source, target in same.items()}
    world.insert(project, as_events([change for said, _ in families.values() for change in said], names), merges)
    edges = [(project, str(uuid.uuid4()), 0, source, target, "merge", world.now, 1) for source, target in merges.items()]
    world.store.insert("identity_edges", ("project", "id", "ordinal", "source", "target", "how", "at", "batch"), edges)
    moments = [None, *range(1, MOMENTS + 2)]
    return Read({moment: read_at(world, project, moment) for moment in moments}, shown(world, project))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.sampled_from(SEEDS), name=st.sampled_from(NAMES), moment=st.none() | st.integers(1, MOMENTS + 1))
def test_what_changes_amount_to(read: Read, seed: int, name: str, moment: int | None) -> None:
    said, merges = family(seed)
    id_ = f"{seed}-{name}"
    whose = merges.get(id_, id_)
    mine = [one for one in said if merges.get(one.who, one.who) == whose]
    check(read.at[moment][id_], amount_to(one for one in mine if moment is None or one.time < moment))
    assert read.shown.get(whose, {}) == amount_to(mine)


def test_a_story_of_one_person(world: Any) -> None:
    """Worked by hand: counts up, a list, everything deleted, and a new beginning."""
    world.now = START + timedelta(days=2)
    project = world.project()
    story = [
        Change("ann", 1, "set_once", "n", 10),
        Change("ann", 2, "add", "n", 2.5),
        Change("ann", 3, "append", "tags", ["x", "y"]),
        Change("ann", 4, "union", "tags", ["y", "z"]),
        Change("ann", 5, "remove", "tags", "x"),
        Change("ann", 6, "add", "tags", 1),
        Change("ann", 7, "delete", "", None),
        Change("ann", 7, "add", "n", "3"),
        Change("ann", 8, "prepend", "n", ["first"]),
    ]
    world.insert(project, as_events(list(reversed(story))))
    told = {
        2: {"n": "10"},
        3: {"n": "12.5"},
        4: {"n": "12.5", "tags": '["x","y"]'},
        5: {"n": "12.5", "tags": '["x","y","z"]'},
        7: {"n": "12.5", "tags": '["y","z"]'},
        8: {"n": "3"},
        9: {"n": '["first",3]'},
    }
    for seconds, expected in told.items():
        assert read_at(world, project, seconds)["ann"] == expected


def test_people_are_found_by_what_they_are_called_now(world: Any) -> None:
    world.now = START + timedelta(days=2)
    project = world.project()
    said = [
        Change("ann", 1, "set", "email", "ann@example.org"),
        Change("bob", 1, "set", "email", "ann@example.com"),
        Change("bob", 2, "delete", "", None),
        Change("cat", 1, "set", "email", "ann@example.net"),
        Change("cat", 2, "set", "email", "other"),
        Change("dan", 2, "append", "email", ["ann@example.net", "other"]),
    ]
    world.insert(project, as_events(said))
    assert [one["distinct_id"] for one in world.engine.lookups.people(project, search="ann@").people] == ["dan", "ann"]


@pytest.mark.parametrize("count", [3000])
def test_many_changes_of_one_property(world: Any, count: int) -> None:
    world.now = START + timedelta(days=2)
    project = world.project()
    world.insert(project, as_events([Change("ann", place, "add", "n", 1) for place in range(1, count)]))
    world.insert(project, as_events([Change("ann", place, "append", "tags", place) for place in range(1, count)]))
    found = read_at(world, project, None)["ann"]
    assert found["n"] == str(count - 1)
    assert json.loads(found["tags"]) == list(range(1, count))


def test_known_reads_the_same(world: Any) -> None:
    """The statement behind one person's page."""
    world.now = START + timedelta(days=2)
    project = world.project()
    world.insert(project, as_events([Change("ann", 2, "add", "n", 2), Change("ann", 1, "set", "n", 40)]))
    whose = world.store.query(people.of_ids(["ann"])).rows
    _, properties = people.known(project, whose)
    assert [(row["property"], row["json"]) for row in world.store.query(properties).dicts()] == [("n", "42")]
