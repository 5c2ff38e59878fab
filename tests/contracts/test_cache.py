"""What every cache promises, one suite over all adapters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almanac.adapters.cache_memory import MemoryCache
from almanac.core.ports import Cache


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory"])
def opened(request: pytest.FixtureRequest) -> tuple[Cache, Clock]:
    clock = Clock()
    make: dict[str, Callable[[], Cache]] = {"memory": lambda: MemoryCache(1 << 20, clock=clock)}
    return make[request.param](), clock


def test_a_value_is_kept_for_its_seconds(opened: tuple[Cache, Clock]) -> None:
    cache, clock = opened
    assert cache.get("answer") is None
    cache.put("answer", b"42", seconds=10)
    clock.now += 9.9
    assert cache.get("answer") == b"42"
    clock.now += 0.2
    assert cache.get("answer") is None


def test_a_later_value_replaces_the_earlier_and_its_time(opened: tuple[Cache, Clock]) -> None:
    cache, clock = opened
    cache.put("answer", b"old", seconds=1)
    cache.put("answer", b"new", seconds=5)
    clock.now += 3
    assert cache.get("answer") == b"new"


def test_no_time_means_not_kept(opened: tuple[Cache, Clock]) -> None:
    cache, _ = opened
    cache.put("answer", b"old", seconds=10)
    cache.put("answer", b"new", seconds=0)
    assert cache.get("answer") is None


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    cache = MemoryCache(1000)  # room for three of these: 1 + 99 + 200 bytes each
    for key in "abc":
        cache.put(key, b"x" * 99, seconds=60)
    assert cache.size == 900
    assert cache.get("a")
    cache.put("d", b"x" * 99, seconds=60)
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_a_value_too_big_for_the_cache_displaces_nothing_else() -> None:
    cache = MemoryCache(1000)
    cache.put("a", b"x", seconds=60)
    cache.put("big", b"x" * 1000, seconds=60)
    assert cache.get("a") == b"x"
    assert cache.get("big") is None


STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 900) | st.none(), st.integers(0, 3)), max_size=40)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_it_never_tells_another_value_than_the_last_and_never_holds_too_much(steps: list[tuple[str, int | None, int]]) -> None:
    clock = Clock()
    cache = MemoryCache(1500, clock=clock)
    last: dict[str, tuple[bytes, float]] = {}
    for key, size, seconds in steps:
        if size is None:
            clock.now += seconds
            found = cache.get(key)
            assert found is None or (found == last[key][0] and clock.now < last[key][1])
        else:
            value = bytes([len(last) % 256]) * size
            cache.put(key, value, seconds=seconds)
            last[key] = (value, clock.now + seconds)
            assert cache.get(key) == (value if seconds and size + 201 <= 1500 else None)
        assert 0 <= cache.size <= 1500
