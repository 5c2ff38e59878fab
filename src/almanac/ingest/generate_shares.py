"""Shares as whole numbers that add up: what makes a planted truth exact."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

from almanac.ingest.generate_pack import Record


def rounded(value: float) -> int:
    """Half up, with 0.29 * 100 = 29."""
    return math.floor(value + 0.5 + 1e-9)


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Splits `total` by weights into whole numbers that add up: largest remainders, the first of equal ones."""
    whole = sum(weights)
    if total <= 0 or whole <= 0:
        return [0] * len(weights)
    exact = [total * weight / whole for weight in weights]
    counts = [math.floor(share) for share in exact]
    largest = sorted(range(len(weights)), key=lambda place: (counts[place] - exact[place], place))
    for place in largest[: total - sum(counts)]:
        counts[place] += 1
    return counts


def reached(total: int, rates: Sequence[float]) -> list[int]:
    """How many people reach each step, of `total` at the first."""
    return list(accumulate(rates, lambda count, rate: rounded(count * rate), initial=total))


def weighted(pool: Iterable[Record]) -> list[float]:
    """The weights of a pool's entries; 1 where none is given."""
    return [float(record.get("weight", 1)) for record in pool]
