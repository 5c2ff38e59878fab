"""A change makes of one answer the other, whatever the two are; and it is small where little changed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.web.live_changes import applied, change

Row = dict[str, Any]


def columns(*named: tuple[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind, "help": ""} for name, kind in named]


TREND = columns(("series", "text"), ("breakdown", "text"), ("period", "text"), ("value", "number"), ("complete", "boolean"))


def lines(*groups: str, values: Sequence[int] = (1, 2, 3)) -> list[Row]:
    return [
        {"series": "pay", "breakdown": group, "period": f"2026-01-0{day + 1}", "value": value, "complete": True}
        for group in groups
        for day, value in enumerate(values)
    ]


def sent(old: list[Row], new: list[Row], shape: list[dict[str, str]]) -> tuple[list[str], list[tuple[int, Row]], list[list[Any]]]:
    """The change as it comes out at the other end of the line."""
    found = change(old, new, shape)
    assert found is not None
    told = json.loads(json.dumps([found.key, found.rows, found.removed]))
    return told[0], [(place, row) for place, row in told[1]], told[2]


def test_one_number_that_grew_is_one_row() -> None:
    old, new = lines("a", "b"), lines("a", "b")
    new[4] = {**new[4], "value": 9}
    assert sent(old, new, TREND) == (["series", "breakdown", "period"], [(4, new[4])], [])


def test_a_new_period_and_one_that_fell_out() -> None:
    old = lines("a")
    new = [*old[1:], {**old[2], "period": "2026-01-04", "value": 0}]
    assert sent(old, new, TREND)[1:] == ([(2, new[2])], [["pay", "a", "2026-01-01"]])


def test_a_group_that_overtakes_another_moves_as_a_whole() -> None:
    old, new = lines("a", "b", "c"), lines("c", "a", "b")
    assert sent(old, new, TREND)[1:] == ([(0, new[0]), (1, new[1]), (2, new[2])], [])


def test_where_words_do_not_tell_rows_apart_the_number_does_that_stays() -> None:
    shape = columns(("cohort", "text"), ("size", "integer"), ("period", "integer"), ("count", "integer"))

    def cohorts(*counts: int) -> list[Row]:
        return [{"cohort": "w1", "size": counts[0], "period": period, "count": count} for period, count in enumerate(counts)]

    old, new = cohorts(9, 5, 3), cohorts(10, 5, 4)
    key, rows, removed = sent(old, new, shape)
    assert key == ["cohort", "period"]
    assert (len(rows), removed) == (3, [])
    old, new = cohorts(9, 5, 3), [*cohorts(9, 5, 4)]
    assert sent(old, new, shape) == (["cohort", "period"], [(2, new[2])], [])


def test_columns_of_a_users_own_statement_are_known_by_their_values() -> None:
    shape = columns(("plan", "LowCardinality(String)"), ("n", "UInt64"), ("tags", "Array(String)"))
    old = [{"plan": "free", "n": 1, "tags": ["x"]}, {"plan": "pro", "n": 2, "tags": []}]
    new = [old[0], {"plan": "pro", "n": 3, "tags": ["y"]}]
    assert sent(old, new, shape) == (["plan"], [(1, new[1])], [])


def test_rows_that_nothing_tells_apart_cannot_be_changed_one_by_one() -> None:
    shape = columns(("n", "UInt64"), ("tags", "Array(String)"))
    assert change([{"n": 1, "tags": []}], [{"n": 1, "tags": []}, {"n": 1, "tags": ["a"]}], shape) is None


WORDS = st.sampled_from(["", "a", "b", "Other", "é"])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": WORDS,
            "other": WORDS | st.none(),
            "step": st.integers(0, 3),
            "value": st.none() | st.integers(0, 3) | st.sampled_from([0.5, 1.25]),
            "complete": st.booleans(),
        }
    ),
    max_size=12,
)
SHAPES = st.sampled_from(
    [
        columns(("name", "text"), ("other", "text"), ("step", "integer"), ("value", "number"), ("complete", "boolean")),
        columns(("step", "integer"), ("name", "text"), ("complete", "boolean"), ("other", "text"), ("value", "number")),
        columns(("name", "String"), ("step", "UInt8"), ("other", "Nullable(String)"), ("complete", "Bool"), ("value", "Float64")),
    ]
)


@settings(max_examples=1000, deadline=None)
@given(ROWS, ROWS, SHAPES, st.booleans())
def test_a_change_leads_exactly_from_one_answer_to_the_other(
    old: list[Row], new: list[Row], shape: list[dict[str, str]], grown: bool
) -> None:
    if grown:  # as answers are: most of what there was is still there
        new = [*old[1:], *new[:3]]
    found = change(old, new, shape)
    scalars = [[(row["name"], row["other"], row["step"], row["value"]) for row in side] for side in (old, new)]
    if found is None:
        assert any(len(set(rows)) < len(rows) for rows in scalars), "rows that differ in a word or number are told apart"
        return
    key, rows, removed = sent(old, new, shape)
    assert applied(old, key, rows, removed) == new
    staying = len(new) - len(rows)
    assert staying <= sum(1 for row in new if row in old)
    if old == new:
        assert (rows, removed) == ([], [])


@pytest.mark.parametrize("count", [5000])
def test_large_answers_take_little_time(count: int) -> None:
    old = [{"series": "s", "breakdown": str(number), "period": "2026-01-01", "value": number, "complete": True} for number in range(count)]
    new = [{**row, "value": row["value"] + (row["value"] % 100 == 0)} for row in reversed(old)]
    began = time.process_time()
    found = change(old, new, TREND)
    assert found is not None
    assert time.process_time() - began < 1
