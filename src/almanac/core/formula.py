"""Arithmetic over the lines of a question: `A / B`, `(signups - refunds) * 100`."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MOST_LETTERS: Final = 500
_MOST_DEPTH: Final = 50
_PARTS: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div)


@dataclass(frozen=True)
class Formula:
    """A formula that was understood. `names`: those that it needs a value for."""

    text: str
    names: frozenset[str]
    _tree: ast.expr

    @property
    def quotient(self) -> tuple[str, str] | None:
        """The two names of a plain `A / B`; None for any other formula."""
        tree = self._tree
        if (
            isinstance(tree, ast.BinOp)
            and isinstance(tree.op, ast.Div)
            and isinstance(tree.left, ast.Name)
            and isinstance(tree.right, ast.Name)
        ):
            return tree.left.id, tree.right.id
        return None

    def value(self, values: Mapping[str, float | None]) -> tuple[float, bool]:
        """The result, and whether it is 0 for want of one: something was divided by zero on the way, or is too big for a number.

        A missing value is 0, and so is a quotient by zero (PostHog's convention)."""
        undefined = False

        def reckoned(tree: ast.expr) -> float:
            nonlocal undefined
            if isinstance(tree, ast.Constant):
                return float(tree.value)  # type: ignore[arg-type]
            if isinstance(tree, ast.Name):
                return values[tree.id] or 0.0
            if isinstance(tree, ast.UnaryOp):
                return -reckoned(tree.operand) if isinstance(tree.op, ast.USub) else reckoned(tree.operand)
            assert isinstance(tree, ast.BinOp)
            left, right = reckoned(tree.left), reckoned(tree.right)
            if isinstance(tree.op, ast.Add):
                return left + right
            if isinstance(tree.op, ast.Sub):
                return left - right
            if isinstance(tree.op, ast.Mult):
                return left * right
            if right == 0:
                undefined = True
                return 0.0
            return left / right

        result = reckoned(self._tree)
        return (result, undefined) if math.isfinite(result) else (0.0, True)


@lru_cache(maxsize=256)
def parse(text: str) -> Formula:
    """Raises `ValueError` with a sentence that says what is wrong."""
    if len(text) > MOST_LETTERS:
        raise ValueError(f"a formula has at most {MOST_LETTERS} letters")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is not a formula; write it like (A + B) / C") from None
    return Formula(text, frozenset(_names(tree, 0)), tree)


def _names(tree: ast.expr, depth: int) -> set[str]:
    if depth > _MOST_DEPTH:
        raise ValueError("the formula is nested too deeply")
    if isinstance(tree, ast.Name):
        return {tree.id}
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float) and abs(tree.value) < 1e300:  # type: ignore[arg-type]
        return set()
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        return _names(tree.operand, depth + 1)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, _PARTS):
        return _names(tree.left, depth + 1) | _names(tree.right, depth + 1)
    raise ValueError(f"a formula has names, numbers, + - * / and parentheses, not {ast.unparse(tree)!r}")
