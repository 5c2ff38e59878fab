"""Paths against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_path
from tests.analyses.behind import people_behind
from tests.analyses.worlds import Worlds

from almanac.core.errors import AlmanacError
from almanac.core.sql import Sql

# Clocks go forward in Berlin at 01:00 UTC of the 29th.
START = datetime(2026, 3, 28, 16, tzinfo=UTC)
NOW = START + timedelta(days=3)
PEOPLE = [f"p{number}" for number in range(12)]
PATHS = ["/", "/a", "/a/", "/a/x", "/a/y/", "/b", "/b//", "//", "", "/ü b.html"]
ROOMS = ["r1", "r1", "r2", "r2/", None, "", 5, 5.5, True, "...", "Other"]
MISSING = object()

FOLDED: dict[str, list[list[Any]]] = {
    "event": [[], ["a*"], [{"pattern": "[bc]", "regex": True, "name": "b or c"}], [{"pattern": "a", "name": "c"}]],
    "page": [[], ["/a/*"], ["/a", {"pattern": "^/[ab]", "regex": True, "name": "/A/"}], ["*.html", {"pattern": "/b*", "name": "..."}]],
    "screen": [[], ["*"], ["Ho*e"]],
    "property": [[], [{"pattern": "^r", "regex": True, "name": "room"}], ["r2/"]],
}
ENDS = {
    "event": ["a", "b", "c", "never"],
    "page": ["/", "/a", "/b/", "/a/*", "/A/"],
    "screen": ["Home", "*"],
    "property": ["r1", "room", "5"],
}


def people(seed: int, bursts: int) -> list[dict[str, Any]]:
    """Random events of some people in bursts: pauses shorter, longer and as long as a session's, many at one instant."""
    chance = random.Random(seed)
    events = []
    for person in [*PEOPLE, ""]:
        for _ in range(chance.randrange(0, bursts)):
            moment = START + timedelta(minutes=5 * chance.randrange(0, 12 * 40))
            for _ in range(chance.randrange(1, 9)):
                room = chance.choice([*ROOMS, MISSING])
                events.append(
                    {
                        "person": person,
                        "event": chance.choice("aabbcd"),
                        "time": moment,
                        "path": chance.choice(PATHS),
                        "screen": chance.choice(["Home", "House", "List", ""]),
                        "properties": {} if room is MISSING else {"room": room},
                    }
                )
                moment += timedelta(minutes=chance.choice([0, 0, 5, 10, 20, 25, 30, 40]), microseconds=chance.choice([0, 0, 0, 1]))
    chance.shuffle(events)
    return events


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    node = draw(st.sampled_from(["event", "event", "page", "page", "screen", "property"]))
    some = st.lists(st.sampled_from(["a", "b", {"event": "c", "filters": [{"property": "room", "value": "r1"}]}]), max_size=2)
    return {
        "kind": "path",
        "node": node,
        "property": "room" if node == "property" else None,
        "patterns": draw(st.sampled_from(FOLDED[node])),
        "only": draw(st.just([]) | some),
        "exclude": draw(st.just([]) | some),
        "start": draw(st.none() | st.sampled_from(ENDS[node])),
        "end": draw(st.none() | st.sampled_from(ENDS[node])),
        "within": draw(st.sampled_from(["session", "session", "person"])),
        "session_gap": {"value": draw(st.sampled_from([5, 30, 30, 45])), "unit": "minute"},
        "steps": draw(st.integers(2, 8)),
        "count_from": draw(st.sampled_from(["start", "end"])),
        "edges": draw(st.sampled_from([1, 2, 3, 50])),
        "minimum": draw(st.sampled_from([1, 1, 2, 3])),
        "date_from": draw(st.sampled_from(["2026-03-28", "2026-03-29", "2026-03-29T01:30:00"])),
        "date_to": draw(st.sampled_from([None, "2026-03-29", "2026-03-29T02:10:00", "2026-03-29T06:00:00"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])),
    }


def hashes(world: Any, names: list[str]) -> dict[str, int]:
    found = world.store.query(Sql("SELECT arrayJoin({names:Array(String)}) AS name, cityHash64(name)", {"names": names}))
    return dict(found.rows)


@pytest.fixture(scope="module")
def ids(world: Any) -> dict[str, int]:
    return hashes(world, PEOPLE)


@pytest.fixture(scope="module")
def order(world: Any) -> dict[str, int]:
    """Simultaneous events come in the order of their nodes' hashes; which edges are shown hangs on them as well."""
    rules = [rule for some in FOLDED.values() for rules in some for rule in rules]
    named = [rule if isinstance(rule, str) else rule.get("name") or rule["pattern"] for rule in rules]
    pages = [oracle_path.without_slashes(page) for page in PATHS]
    return hashes(world, [*"abcd", *pages, *named, "Home", "House", "List", *map(oracle_path.text, ROOMS), "..."])


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    """Projects, and what happened in them: many sessions or few. In every second one p1 is p0, and p3 is p2."""
    return Worlds(world, range(16), lambda seed: people(seed, 2 + seed // 4), lambda seed: {"p1": "p0", "p3": "p2"} if seed % 2 else {})


@settings(max_examples=240, deadline=None, suppress_health_check=list(HealthCheck))
@given(place=st.integers(0, 15), question=questions(), pick=st.integers(0, 2**16))
def test_any_path_equals_the_oracle(world: Any, order: Any, ids: Any, worlds: Any, place: int, question: dict[str, Any], pick: int) -> None:
    """The people behind one of the rows are those of the oracle, too."""
    project, happened = worlds[place]
    world.now = NOW
    rows = world.engine.ask(project, question, fresh=True).rows
    expected = oracle_path.path(happened, question, NOW, order)
    assert [whole(row) for row in rows] == [whole(row) for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        assert (row["average_seconds"], row["median_seconds"]) == pytest.approx((wanted["average_seconds"], wanted["median_seconds"]))
    if rows and pick % 4 == 0:
        chosen = pick // 4 % len(rows)
        found = people_behind(world, project, question, rows[chosen])
        assert sorted(found) == sorted(ids[person] for person in expected[chosen]["who"])


def whole(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("average_seconds", "median_seconds", "who")}


def at(person: str, event: str, second: float) -> dict[str, Any]:
    return {"person": person, "event": event, "time": (datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=second)).isoformat()}


def edges(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["step"], row["from_node"], row["to_node"], row["sessions"]) for row in rows]


def test_a_pause_as_long_as_the_gap_ends_a_session(ask: Any) -> None:
    question = {"kind": "path", "session_gap": "10 minutes"}
    assert ask([at("ann", "a", 0), at("ann", "b", 600)], question) == []
    assert edges(ask([at("ann", "a", 0), at("ann", "b", 599.999999)], question)) == [(1, "a", "b", 1)]


def test_a_session_goes_on_through_repeats_however_long(ask: Any) -> None:
    """From the first a to b it is 70 minutes, but never 30 without an event."""
    events = [at("ann", "a", 0), at("ann", "a", 1500), at("ann", "a", 3000), at("ann", "b", 4200)]
    assert ask(events, {"kind": "path"})[0]["average_seconds"] == 1200


def test_the_range_cuts_a_session(ask: Any) -> None:
    events = [at("ann", "a", -2), at("ann", "b", 0), at("ann", "c", 86_399.999999), at("ann", "d", 86_400)]
    question = {"kind": "path", "within": "person", "date_from": "2026-01-05", "date_to": "2026-01-05"}
    assert edges(ask(events, question)) == [(1, "b", "c", 1)]


def test_from_a_thing_back_to_itself(ask: Any) -> None:
    events = [at("ann", "a", 0), at("ann", "b", 1), at("ann", "a", 2), at("ann", "c", 3), at("bob", "a", 0), at("bob", "c", 1)]
    assert edges(ask(events, {"kind": "path", "start": "a", "end": "a"})) == [(1, "a", "b", 1), (2, "b", "a", 1)]


def test_a_person_with_several_sessions_counts_once(ask: Any) -> None:
    events = [at("ann", name, hour * 3600 + place) for hour in range(5) for place, name in enumerate("ab")]
    (row,) = ask(events, {"kind": "path"})
    assert (row["sessions"], row["people"]) == (5, 1)
    events += [at("bob", "a", 0), at("bob", "c", 1), at("ann", "a", 36_000), at("ann", "c", 36_001)]
    rows = ask([*events, at("ann", "b", 72_000), at("ann", "c", 72_001)], {"kind": "path", "minimum": 3})
    assert [(row["to_node"], row["sessions"], row["people"]) for row in rows] == [("b", 5, 1), ("Other", 3, 2)]


def test_a_wildcard_is_taken_by_the_letter(ask: Any) -> None:
    pages = ["/a.b (1)/x", "/aXb (1)/x", "/a.b (1)/x\ny", "/\\1"]
    events = [{**at("ann", "view", place), "path": page} for place, page in enumerate(pages)]
    rows = ask(events, {"kind": "path", "node": "page", "patterns": ["/a.b (1)/*", {"pattern": "/\\1", "name": "digit"}]})
    assert [row["to_node"] for row in rows] == ["/aXb (1)/x", "/a.b (1)/*", "digit"]


def test_nothing_happened_and_nothing_fits(answer: Any) -> None:
    assert answer([], {"kind": "path"}).rows == []
    for question in ({"node": "property", "property": "nobody.sends.it"}, {"filters": [{"property": "plan", "value": "pro"}]}):
        assert answer([at("ann", "a", 0), at("ann", "b", 1)], {"kind": "path", **question}).rows == []
    nowhere = answer([at("ann", "a", 0), at("ann", "b", 1)], {"kind": "path", "start": "b", "end": "x"})
    assert (nowhere.rows, nowhere.receipt["notes"]) == ([], ["No path of two nodes or more has the start 'b' and then the end 'x'."])


def test_the_people_behind_no_row(world: Any) -> None:
    project = world.project()
    world.insert(project, [at("ann", "a", 0), at("ann", "b", 1)])
    assert people_behind(world, project, {"kind": "path"}, {"step": 2, "from_node": "a", "to_node": "b"}) == []
    with pytest.raises(AlmanacError, match="no row of the answer"):
        people_behind(world, project, {"kind": "path"}, {"step": "1", "from_node": "a", "to_node": "b"})


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({"steps": 1}, "steps", "greater than or equal to 2"),
        ({"steps": 21}, "steps", "less than or equal to 20"),
        ({"edges": 0}, "edges", "greater than or equal to 1"),
        ({"minimum": 0}, "minimum", "greater than or equal to 1"),
        ({"node": "click"}, "node", "not possible"),
        ({"session_gap": "0 minutes"}, "session_gap.value", "greater than 0"),
        ({"session_gap": "soon"}, "session_gap", "not a length of time"),
        ({"node": "property"}, "", "property has to name one"),
        ({"property": "room"}, "", "node is event"),
        ({"node": "page", "property": "@room"}, "property", "no built-in column @room"),
        ({"patterns": [{"pattern": "(", "regex": True}]}, "patterns", "not a regular expression"),
        ({"patterns": [{"pattern": "a(?=b)", "regex": True}]}, "patterns", "looks around"),
        ({"patterns": [{"pattern": "a\\Z", "regex": True}]}, "", "invalid escape sequence"),
        ({"patterns": [""]}, "patterns.0.pattern", "at least 1"),
        ({"date_from": "2026-01-05", "date_to": "2026-01-01"}, "date_to", "before"),
    ],
)
def test_a_wrong_path_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "path", **question})
    assert caught.value.code == "invalid"
    assert (caught.value.place, words in caught.value.message) == (place, True), caught.value
