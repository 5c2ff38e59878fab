"""SQL of users: what works, and that nothing gets over the wall."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.errors import AlmanacError
from almanac.core.sql import Sql

SECRET = "the other tenant's secret"


@pytest.fixture(scope="module")
def mine(world: Any) -> str:
    """A project of one event, beside another project whose every value is secret."""
    mine, other = world.project(), world.project()
    world.insert(mine, [{"person": "ann", "event": "visit", "time": "2026-01-05T09:00:00Z", "properties": {"plan": "pro"}}])
    theirs = {"person": SECRET, "event": SECRET, "time": "2026-01-05T09:00:00Z", "properties": {"plan": SECRET}, "url": SECRET}
    world.insert(other, [{**theirs, "person_properties": {"plan": SECRET}}], {SECRET: "x"})
    return mine


def run(world: Any, project: str, text: str, **values: Any) -> Any:
    return world.engine.ask(project, {"kind": "sql", "sql": text, "values": values})


def attempt(world: Any, project: str, text: str) -> Any:
    """The answer, or the error with which it was refused."""
    try:
        return run(world, project, text, t="persons", d="default")
    except AlmanacError as error:
        return error


ATTEMPTS = [
    # other tenants, by the tables' own names
    "SELECT * FROM default.events",
    "SELECT * FROM `default`.`events`",
    "SELECT * FROM default . events",
    "SELECT * FROM events WHERE project != '' OR 1",
    "SELECT * FROM events WHERE 1 OR project LIKE '%'",
    "SELECT * FROM events UNION ALL SELECT * FROM default.events",
    "SELECT * FROM (SELECT * FROM events) AS x JOIN events AS y ON 1",
    "SELECT * FROM events AS a, events AS b",
    "SELECT (SELECT groupArray(url) FROM events)",
    "SELECT event FROM events WHERE event NOT IN (SELECT event FROM events)",
    "WITH events AS (SELECT * FROM events) SELECT * FROM events",
    "WITH persons AS (SELECT * FROM persons) SELECT * FROM persons",
    "WITH x AS (SELECT * FROM identity_edges) SELECT * FROM x",
    "SELECT * FROM persons",
    "SELECT * FROM `persons`",
    "SELECT * FROM person_of",
    "SELECT * FROM identity_edges",
    "SELECT * FROM message_ids",
    "SELECT * FROM ledger",
    "SELECT * FROM dead_letters",
    "SELECT * FROM events_per_hour",
    "SELECT * FROM schema_migrations",
    "SELECT * FROM profile_changes",
    "SELECT * FROM event_names",
    "SELECT * FROM event_properties",
    "SELECT url FROM events FINAL",
    "SELECT * FROM events /* */ -- x\n, default /* */ . events",
    "SELECT * FROM ev/**/ents",
    "SELECT 1 WHERE 'x' IN persons",
    "SELECT 1 WHERE 'x' IN (persons)",
    "SELECT 1 WHERE 'x' IN ((persons))",
    "SELECT 1 WHERE 'x' NOT IN default.events",
    "SELECT 1 WHERE 'x' GLOBAL IN person_of",
    "SELECT in('x', persons)",
    "SELECT notIn(('x', 1, 1), person_of)",
    "SELECT dictGet('person_of', 'person', ('t2', 1))",
    "SELECT dictGetOrDefault('default.person_of', 'person', ('t2', 1), 0)",
    "SELECT dictHas('person_of', ('t2', 1))",
    "SELECT `dictHas`('person_of', ('t2', 1))",
    "SELECT * FROM dictionary('person_of')",
    "SELECT joinGet('default.x', 'y', 1)",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM merge('default', 'events')",
    "SELECT * FROM loop(events)",
    "SELECT * FROM loop('default', 'events')",
    "SELECT * FROM view(SELECT * FROM default.events)",
    "SELECT * FROM viewIfPermitted(SELECT * FROM default.events ELSE null('x Int'))",
    "SELECT * FROM cluster('default', default.events)",
    "SELECT * FROM remote('127.0.0.1', default.events)",
    "SELECT * FROM clusterAllReplicas('default', 'default', 'events')",
    "SELECT * FROM mergeTreeIndex('default', 'events')",
    "SELECT * FROM eval('SELECT * FROM default.events')",
    "SELECT * FROM {t:Identifier}",
    "SELECT * FROM {d:Identifier}.{t:Identifier}",
    # the engine itself
    "SELECT * FROM system.tables",
    "SELECT * FROM `system`.`one`",
    'SELECT * FROM "system"."query_log"',
    "SELECT * FROM SYSTEM.one",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM INFORMATION_SCHEMA.COLUMNS",
    "SELECT 1 IN system.one",
    "SELECT getSetting('additional_table_filters')",
    "SELECT currentUser(), hostName(), version(), serverUUID()",
    "SELECT hasColumnInTable('default', 'persons', 'person')",
    "SELECT * FROM events SETTINGS additional_table_filters = {}",
    "SELECT * FROM (SELECT * FROM events SETTINGS additional_table_filters = {})",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT sleep(3)",
    # the host and the network
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT file('/etc/passwd')",
    "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1/x', 'CSV')",
    "SELECT * FROM executable('id', 'TSV', 'x String')",
    "SELECT * FROM python('os')",
    "SELECT * FROM Python(os)",
    "SELECT * FROM sqlite('/etc/x.db', 't')",
    "SELECT * FROM filesystem('/')",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM input('x String')",
    "SELECT reverseDNSQuery('127.0.0.1')",
    "SELECT aiGenerate('x', 'y')",
    "SELECT * FROM events INTO OUTFILE '/tmp/out'",
    "SELECT * FROM events FORMAT JSON",
    # anything but one reading statement
    "SELECT 1; SELECT * FROM default.events",
    "INSERT INTO events SELECT * FROM events",
    "DROP TABLE events",
    "ALTER TABLE events DELETE WHERE 1",
    "CREATE TABLE x AS SELECT 1",
    "SET readonly = 0",
    "USE system",
    "SHOW TABLES",
    "SYSTEM RELOAD DICTIONARY person_of",
    "EXPLAIN SELECT * FROM events",
    "DESCRIBE TABLE events",
    "EXISTS TABLE persons",
    "SELECT * FROM (SHOW TABLES)",
    "SELECT * FROM (DELETE FROM events)",
    "SELECT $x$ FROM $x$, url FROM events",
    "SELECT '\\' , (SELECT 1) , '' FROM events",
    "SELECT 1 # FROM events",
    "SELECT `a\\`b` FROM events",
    "SELECT " + "(" * 3000 + "1" + ")" * 3000,
    "",
    "   ",
    "/* */",
]


@pytest.mark.parametrize("text", ATTEMPTS, ids=[str(place) for place in range(len(ATTEMPTS))])
def test_an_attempt_to_read_elsewhere_is_refused_or_finds_nothing(world: Any, mine: str, text: str) -> None:
    answer = attempt(world, mine, text)
    assert SECRET not in str(answer)
    assert "root:" not in str(answer)
    if isinstance(answer, AlmanacError):
        assert answer.code in ("invalid", "limited"), answer
        return
    assert all(row.get("project", mine) == mine for row in answer.rows)


@pytest.mark.parametrize(
    "text", ["SELECT * FROM default.events", "SELECT * FROM events", "SELECT event FROM events WHERE 1 OR project LIKE '%'"]
)
def test_the_second_wall_holds_without_the_first(world: Any, mine: str, text: str) -> None:
    rows = world.store.query(Sql(text), tenant=mine).dicts()
    assert [row["event"] for row in rows] == ["visit"]
    assert SECRET not in str(rows)


WORKS = [
    ("SELECT count() AS n FROM events", [{"n": 1}]),
    ("select count(*) from `events` e where e.event = 'visit';", [{"count()": 1}]),
    ("SELECT properties.plan AS plan FROM events", [{"plan": "pro"}]),
    ("SELECT events.properties.plan.:String AS plan FROM events", [{"plan": "pro"}]),
    ("SELECT a.event FROM events AS a JOIN events AS b ON a.person = b.person", [{"event": "visit"}]),
    ("WITH x AS (SELECT event FROM events), y AS (SELECT * FROM x) SELECT * FROM y", [{"event": "visit"}]),
    ("SELECT number FROM numbers(2)", [{"number": 0}, {"number": 1}]),
    ("SELECT 'it''s \\'q\\' 100%' AS t, 7 DIV 2 AS d, splitByChar(',', 'a,b') AS s", [{"t": "it's 'q' 100%", "d": 3, "s": ["a", "b"]}]),
    ("SELECT arrayMap(x -> x * 2, [1, 2]) AS a, (1, 'b').2 AS t, if(1, 2, 3) AS i -- done", [{"a": [2, 4], "t": "b", "i": 2}]),
    ("SELECT 1 AS a, 2 AS b WHERE 'visit' IN (SELECT event FROM events) AND 3 IN (3, 4)", [{"a": 1, "b": 2}]),
    ("SELECT 1, 1, 'x'", [{"1": 1, "1 (2)": 1, "'x'": "x"}]),
    ("SELECT {n:UInt8} + 1 AS n, {names:Array(String)} AS names", [{"n": 8, "names": ["a", "b"]}]),
    ("SELECT nan AS x, toDate('2026-01-31') AS d, toDateTime('2026-01-31 12:00:00') AS t", [
        {"x": None, "d": "2026-01-31", "t": "2026-01-31T12:00:00+00:00"}
    ]),
    ("SELECT event FROM (SELECT event FROM events UNION ALL SELECT 'x') ORDER BY event", [{"event": "visit"}, {"event": "x"}]),
    ("SELECT quantileExact(0.5)(number) AS q, sum(number) FILTER (WHERE number > 1) AS s FROM numbers(5)", [{"q": 2, "s": 9}]),
    ("SELECT row_number() OVER (PARTITION BY event ORDER BY time) AS r FROM events QUALIFY r = 1", [{"r": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rows"), WORKS)
def test_ordinary_statements_give_what_the_engine_gives(world: Any, mine: str, text: str, rows: list[Any]) -> None:
    assert run(world, mine, text, n=7, names=["a", "b"]).rows == rows


def test_people_are_read_with_their_merged_ids(ask: Any) -> None:
    events = [{"person": person, "event": "visit", "time": "2026-01-05T09:00:00Z"} for person in ("phone", "web", "bob")]
    question = {"kind": "sql", "sql": "SELECT uniqExact(person) AS people FROM events"}
    assert ask(events, question, same={"phone": "ann", "web": "ann"}) == [{"people": 2}]


def test_filters_of_the_question_apply(ask: Any) -> None:
    events = [
        {"person": "ann", "event": "visit", "time": "2026-01-05T09:00:00Z", "properties": {"plan": "pro"}},
        {"person": "ann", "event": "visit", "time": "2001-01-05T09:00:00Z", "properties": {"plan": "pro"}},
        {"person": "bob", "event": "visit", "time": "2026-01-05T09:00:00Z", "properties": {"plan": "free"}},
    ]
    question = {"kind": "sql", "sql": "SELECT count() AS n FROM events", "filters": [{"property": "plan", "value": "pro"}]}
    assert ask(events, question) == [{"n": 2}]
    assert ask(events, {**question, "last": "60 days"}) == [{"n": 1}]


def test_a_hole_without_its_value_is_named(world: Any, mine: str) -> None:
    with pytest.raises(AlmanacError, match="no value for plan"):
        run(world, mine, "SELECT {plan:String}")
    with pytest.raises(AlmanacError, match="cannot be bound"):
        run(world, mine, "SELECT {scope_1:String}", scope_1="x")


PIECES = [
    "SELECT",
    "*",
    "FROM",
    "events",
    "persons",
    "system",
    ".",
    "one",
    "IN",
    "(",
    ")",
    ",",
    "WITH",
    "AS",
    "x",
    "default",
    "JOIN",
    "UNION",
]
PIECES += [
    "ALL",
    "'a'",
    "`events`",
    '"persons"',
    "file",
    "/*",
    "*/",
    "--",
    "\n",
    "#",
    "$$",
    "{t:Identifier}",
    "\\",
    "'",
    "`",
    "url",
    "WHERE",
]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
def test_whatever_is_written_is_read_within_the_walls_or_refused(world: Any, mine: str, text: str) -> None:
    answer = attempt(world, mine, f"SELECT * FROM events {text}")
    assert SECRET not in str(answer)
    assert not isinstance(answer, AlmanacError) or answer.code == "invalid"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_refused_cleanly_or_answered(world: Any, mine: str, text: str) -> None:
    answer = attempt(world, mine, text)
    assert not isinstance(answer, AlmanacError) or answer.code == "invalid"


def test_no_place_of_this_test_is_a_real_file() -> None:
    assert not Path("/tmp/out").exists()
