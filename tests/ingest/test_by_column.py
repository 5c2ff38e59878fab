"""Properties that are parsed by column come out as those parsed one by one: the same values of the same types, and nothing is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.together import together

from almanac.adapters import json_by_column
from almanac.adapters.clickhouse import ClickHouseStore
from almanac.core.event import Event
from almanac.core.sql import Sql
from almanac.ingest import batch

from .conftest import Bench

WHOLE = """
SELECT id_text, toString(properties) AS text
FROM events
WHERE project = {project:String}
ORDER BY id_text
"""
# Which type a list has hangs on the lists before it when they are read one by one: after one of mixed types, all are.
TYPES = """
SELECT path, arraySort(arrayDistinct(arrayMap(type -> if(startsWith(type, 'Array'), 'list', type), types))) AS kinds
FROM (SELECT distinctJSONPathsAndTypes(properties) AS found FROM events WHERE project = {project:String})
ARRAY JOIN mapKeys(found) AS path, mapValues(found) AS types
ORDER BY path
"""

names = st.sampled_from(["a", "b", "price", "ü", "a b", "$x", "", "a.b", "a`b", "a'b", "a\\b", "a\x01b", "a\nb", "Tuple(a", "{", "x" * 201])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5).filter(lambda text: not any(0xD800 <= ord(letter) < 0xE000 for letter in text)),
    st.sampled_from(["2026-01-01", "12", "{", "[", "null", "parsed" + "_" * 64, "\x00"]),
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.lists(st.lists(scalars, max_size=2), max_size=2),
    st.dictionaries(names, scalars, max_size=2),
    st.lists(st.dictionaries(names, scalars, max_size=1), max_size=2),
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """An object as a sender might write it: names twice, letters escaped or not, white space."""
    members = draw(st.lists(st.tuples(names, st.one_of(scalars, values)), max_size=5))
    plain = draw(st.booleans())
    colon = draw(st.sampled_from([":", " : "]))
    text = ",".join(f"{json.dumps(name, ensure_ascii=plain)}{colon}{json.dumps(value, ensure_ascii=plain)}" for name, value in members)
    return f"{{{text}}}".encode()


def outcome(bench: Bench) -> tuple[list[Any], list[Any], Any]:
    """Texts, types and dead letters by the events' ids."""
    letters = sorted(letter["original"].split('","')[1] for letter in bench.letters())
    return bench.rows(WHOLE), bench.rows(TYPES), letters


@pytest.mark.parametrize("columns", [4, 128], ids=["few columns", "all columns"])
def test_both_ways_are_one(make_bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Poison among them too: it is found and put aside in both ways."""

    def check(texts: list[bytes]) -> None:
        found = []
        for least in (10**9, 0):
            monkeypatch.setattr(batch, "_BY_COLUMN_FROM", least)
            monkeypatch.setattr(batch, "_MOST_COLUMNS", columns)
            bench = make_bench()
            every = [*texts, rb'{"s":"\ud800"}']
            bench.load(*(bench.event(f"e{place}", properties=text) for place, text in enumerate(every)))
            found.append(outcome(bench))
        assert found[0] == found[1]

    together(documents(), check, count=300)


def test_most_events_of_a_shop_go_by_column(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the few that are alike: one that holds an object goes its own way, and none is counted twice."""
    monkeypatch.setattr(batch, "_BY_COLUMN_FROM", 0)
    ways: list[int] = []
    by_column = ClickHouseStore.by_column

    def told(self: ClickHouseStore, rows: Sql, keys: list[str], file: Path) -> Any:
        made = by_column(self, rows, keys, file)
        assert made is not None
        ways.append(made[1])
        return made

    monkeypatch.setattr(ClickHouseStore, "by_column", told)
    events = [bench.event(f"e{number}", properties={"price": number, "tags": ["a"]}) for number in range(20)]
    bench.load(*events, bench.event("deep", properties={"price": 1, "more": {"a": 1}}), bench.event("twice"), bench.event("twice"))
    assert ways == [20]
    assert bench.value("SELECT count() FROM events WHERE project = {project:String}") == 22
    assert bench.value("SELECT sum(properties.price.:Int64) FROM events WHERE project = {project:String}") == sum(range(20)) + 1
    assert not list((bench.folder / "load").glob("*.native"))


def test_missing_rows_are_parsed_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that lost rows on its way is not believed."""
    monkeypatch.setattr(batch, "_BY_COLUMN_FROM", 0)
    monkeypatch.setattr(json_by_column, "become_json", lambda file, name, keys: 1)
    bench.load(*(bench.event(f"e{number}", properties={"n": number}) for number in range(5)))
    assert bench.value("SELECT sum(properties.n.:Int64) FROM events WHERE project = {project:String}") == 10


def test_many_blocks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block of the file has a head of its own."""
    monkeypatch.setattr(json_by_column, "WRITING", {**json_by_column.WRITING, "max_block_size": 700, "min_insert_block_size_rows": 1})
    for part in range(2):
        bench.log.add([bench.event(f"e{part}-{number}", properties={"n": number, "even": number % 2 == 0}) for number in range(2_000)])
    bench.loader.drain()
    total = "SELECT sum(properties.n.:Int64), countIf(properties.even.:Bool) FROM events WHERE project = {project:String}"
    assert list(bench.rows(total)[0].values()) == [2 * sum(range(2_000)), 2_000]


def test_a_name_cannot_be_taken_for_the_separator(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`a\\x01b` is one name, also where `a` and `b` are known."""
    monkeypatch.setattr(batch, "_BY_COLUMN_FROM", 0)
    events: list[Event] = [bench.event("plain", properties={"a": 1, "b": 2}), bench.event("odd", properties={"a\x01b": 3})]
    bench.load(*events)
    texts = {row["id_text"]: json.loads(row["text"]) for row in bench.rows(WHOLE)}
    assert texts == {"plain": {"a": 1, "b": 2}, "odd": {"a\x01b": 3}}
