"""Formulas against arithmetic by hand, and what they refuse."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.core.formula import parse

LETTERS = ["A", "B", "C"]

# A tree: a letter, a whole number, or (operator, tree, tree); ("neg", tree).
TREES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([*LETTERS, 0, 1, 2, 7]),
    lambda inner: st.tuples(st.sampled_from("+-*/"), inner, inner) | st.tuples(st.just("neg"), inner),
    max_leaves=12,
)
VALUES = st.fixed_dictionaries({letter: st.sampled_from([None, 0, 1, -1, 2, 3, 8]) for letter in LETTERS})


def written(tree: Any) -> str:
    if not isinstance(tree, tuple):
        return str(tree)
    if tree[0] == "neg":
        return f"-({written(tree[1])})"
    return f"({written(tree[1])}) {tree[0]} ({written(tree[2])})"


def reckoned(tree: Any, values: dict[str, int | None]) -> tuple[Fraction, bool]:
    """By the rules of arithmetic, a quotient by zero being 0; and whether there was one."""
    if not isinstance(tree, tuple):
        return Fraction(values[tree] or 0 if isinstance(tree, str) else tree), False
    parts = [reckoned(part, values) for part in tree[1:]]
    numbers, undefined = [number for number, _ in parts], any(missing for _, missing in parts)
    if tree[0] == "neg":
        return -numbers[0], undefined
    if tree[0] == "/" and numbers[1] == 0:
        return Fraction(0), True
    one, other = numbers
    return {"+": one + other, "-": one - other, "*": one * other, "/": one / (other or 1)}[tree[0]], undefined


def near_zero(tree: Any, values: dict[str, int | None]) -> bool:
    """Whether something so small is divided by that rounding decides."""
    if not isinstance(tree, tuple):
        return False
    if tree[0] == "/" and 0 < abs(reckoned(tree[2], values)[0]) < Fraction(1, 10**6):
        return True
    return any(near_zero(part, values) for part in tree[1:])


def names_of(tree: Any) -> set[str]:
    if isinstance(tree, tuple):
        return set().union(*(names_of(part) for part in tree[1:]))
    return {tree} if isinstance(tree, str) else set()


def exact(tree: Any, values: dict[str, int | None]) -> bool:
    """Whether floats hold all numbers on the way, so that a difference which is 0 is 0 for them too."""
    if not isinstance(tree, tuple):
        return True
    number = reckoned(tree, values)[0]
    power_of_two = number.denominator & (number.denominator - 1) == 0
    return power_of_two and abs(number.numerator) < 2**50 and number.denominator < 2**20 and all(exact(part, values) for part in tree[1:])


@settings(max_examples=400, deadline=None)
@given(tree=TREES, values=VALUES)
def test_any_formula_is_arithmetic(tree: Any, values: dict[str, int | None]) -> None:
    formula = parse(written(tree))
    assert formula.names == names_of(tree)
    number, undefined = formula.value(values)
    expected, missing = reckoned(tree, values)
    if exact(tree, values):
        assert (number, undefined) == (float(expected), missing)
    elif not near_zero(tree, values) and not missing and not undefined:
        assert number == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("2 + 3 * A", {"A": 4}, (14, False)),
        ("(2 + 3) * A", {"A": 4}, (20, False)),
        ("-A - -A", {"A": 4}, (0, False)),
        ("A / B / 2", {"A": 8, "B": 2}, (2, False)),
        ("A / B", {"A": 8, "B": None}, (0, True)),
        ("1 + A / B", {"A": 8, "B": 0}, (1, True)),
        ("A * A", {"A": 1e200}, (0, True)),
        ("A * A / (A * A)", {"A": 1e200}, (0, True)),
        ("orders / people", {"orders": 3, "people": 2}, (1.5, False)),
    ],
)
def test_worked_by_hand(text: str, values: dict[str, float | None], expected: tuple[float, bool]) -> None:
    assert parse(text).value(values) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a formula"),
        ("A +", "is not a formula"),
        ("A = B", "is not a formula"),
        ("A ** 2", "not 'A ** 2'"),
        ("A // B", "not 'A // B'"),
        ("sum(A)", "not 'sum(A)'"),
        ("A.b", "not 'A.b'"),
        ("A if B else C", "not 'A if B else C'"),
        ("'A'", "not"),
        ("True", "not 'True'"),
        ("1e400", "not"),
        ("-" * 60 + "A", "nested too deeply"),
        ("(" * 240 + "A" + ")" * 240, "is not a formula"),
        ("A" * 501, "at most 500 letters"),
        ("A\x00", "is not a formula"),
    ],
)
def test_what_is_no_formula_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(text)
