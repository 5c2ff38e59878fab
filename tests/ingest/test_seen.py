"""The filter of message ids: it may suspect wrongly, and never forgets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.ingest.seen import Seen

keys = st.lists(st.integers(0, 2**64 - 1), max_size=200)


@settings(max_examples=200, deadline=None)
@given(batches=st.lists(keys, max_size=6), asked=keys)
def test_what_was_added_is_always_suspected(batches: list[list[int]], asked: list[int]) -> None:
    seen = Seen()
    for batch in batches:
        seen.add(np.array(batch, dtype=np.uint64))
    added = {key for batch in batches for key in batch}
    suspects = set(seen.suspects(np.array(asked + sorted(added), dtype=np.uint64)).tolist())
    assert added <= suspects
    assert suspects <= added | set(asked)


def test_an_empty_filter_suspects_nothing() -> None:
    assert len(Seen().suspects(np.arange(1000, dtype=np.uint64))) == 0
    assert len(Seen().suspects(np.zeros(0, dtype=np.uint64))) == 0


def test_few_false_suspicions_and_little_memory_for_three_million() -> None:
    """The module promises 0.4 % when full, and 1.6 to 3.3 bytes an id, over filters that grow."""
    generator = np.random.default_rng(7)
    seen = Seen()
    first = generator.integers(0, 2**64, 3_000_000, dtype=np.uint64)
    for part in np.array_split(first, 30):
        seen.add(part)
    strangers = generator.integers(0, 2**64, 200_000, dtype=np.uint64)
    rate = len(seen.suspects(strangers)) / len(strangers)
    print(f"false suspicions {rate:.4%}, {seen.bytes / len(first):.2f} bytes an id")
    assert rate < 0.01
    assert seen.bytes / len(first) <= 3.3
    assert len(seen.suspects(first[::1000])) == 3000


@pytest.mark.parametrize("size", [1_500_000])
def test_one_batch_larger_than_a_filter(size: int) -> None:
    """A restart adds the ids of the last days in blocks of any size."""
    many = np.arange(size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    seen = Seen()
    seen.add(many)
    assert len(seen.suspects(many)) == size
    strangers = np.random.default_rng(1).integers(0, 2**64, 100_000, dtype=np.uint64)
    assert len(seen.suspects(strangers)) < 1500
