"""Why two answers differ, in words, from their receipts alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from almanac.core.errors import invalid

_NEEDED: Final = ("definition_hash", "question", "window", "timezone", "watermark")
_TOLD_APART: Final = ("kind", "date_from", "date_to", "last", "timezone", "week_start", "filters", "as_of")  # these have words of their own
_LONGEST: Final = 200  # letters of a value that are shown
# By name of what may differ: the sentence about both values, what stands there for a value, and what for none.
_SENTENCES: Final = {
    "kind": ("They are of different kinds: {} and {}.", "{}", "none"),
    "timezone": ("Days begin by the clocks of {} in the first, of {} in the second.", "{}", "no zone"),
    "week_start": ("Weeks begin on {} in the first, on {} in the second.", "{}", "no day"),
    "as_of": (
        "Who is who is read {} in the first, {} in the second: merges make several people one.",
        "as known at {}",
        "as known when it was asked",
    ),
    "approximation": ("The first is {}, the second {}.", "{}", "exact"),
    "almanac_version": ("They were reckoned by Almanac {} and {}; see the changelog.", "{}", "of no version"),
}


@dataclass(frozen=True)
class Difference:
    """One thing in which two answers differ. `first` and `second`: what each has."""

    what: str
    first: Any
    second: Any
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """For faces."""
        return {"what": self.what, "first": self.first, "second": self.second, "sentence": self.sentence}


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """All that may make the numbers of two receipts differ, what weighs most first; nothing: they must be equal.

    Raises `invalid` for what is no receipt."""
    for place, receipt in (("first", first), ("second", second)):
        missing = [name for name in _NEEDED if name not in receipt]
        if missing or not isinstance(receipt["question"], Mapping):
            raise invalid(
                f"This is no receipt: it has no {', '.join(missing) or 'question'}.", place=place, way_out="Give a whole receipt."
            )
    return list(_differences(first, second))


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    one, other = first["question"], second["question"]
    yield from _value("kind", one, other)
    yield from _window(first, second)
    yield from _value("timezone", first, second)
    yield from _value("week_start", first, second)
    yield from _filters(one.get("filters", []), other.get("filters", []))
    yield from _fields(one, other)
    yield from _definitions(first.get("definitions", []), second.get("definitions", []))
    yield from _value("as_of", first, second)
    yield from _age(first, second)
    yield from _value("approximation", first, second)
    yield from _value("almanac_version", first, second)


def _value(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    mine, others = first.get(name), second.get(name)
    if mine != others:
        sentence, given, missing = _SENTENCES[name]
        yield Difference(name, mine, others, sentence.format(*(given.format(value) if value else missing for value in (mine, others))))


def _window(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    one, other = first["window"], second["window"]
    if one == other:
        return
    if not one or not other:
        yield Difference("window", one, other, "One of them is a statement of its own, which says itself which times it reads.")
        return
    told = []
    for end, word in (("from", "begins"), ("to", "ends")):
        apart = datetime.fromisoformat(other[end]) - datetime.fromisoformat(one[end])
        if apart:
            told.append(f"{word} {_length(apart)} {'later' if apart > timedelta() else 'earlier'}")
    if told:
        yield Difference("window", one, other, f"The second {' and '.join(told)}: {other['from']} to {other['to']}.")


def _filters(first: list[Any], second: list[Any]) -> Iterator[Difference]:
    for mine, others, word in ((first, second, "first"), (second, first, "second")):
        for item in mine:
            if item not in others:
                one, other = (item, None) if word == "first" else (None, item)
                yield Difference("filters", one, other, f"Only the {word} has the filter {_short(item)}.")


def _fields(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[Difference]:
    for name in [*one, *(name for name in other if name not in one)]:
        mine, others = one.get(name), other.get(name)
        if name in _TOLD_APART or mine == others:
            continue
        words = [_short(value) if value is not None else "left out" for value in (mine, others)]
        yield Difference(name, mine, others, f"{name} is {words[0]} in the first, {words[1]} in the second.")


def _definitions(first: list[Any], second: list[Any]) -> Iterator[Difference]:
    versions = [{(item["kind"], item["name"]): item["version"] for item in items} for items in (first, second)]
    for key in versions[0].keys() & versions[1].keys():
        mine, others = versions[0][key], versions[1][key]
        if mine != others:
            yield Difference(
                "definitions", mine, others, f"The {key[0]} {key[1]!r} was at version {mine} in the first, at {others} in the second."
            )


def _age(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    mine, others = first["watermark"], second["watermark"]
    later = datetime.fromisoformat(others) - datetime.fromisoformat(mine)
    if abs(later) < timedelta(seconds=1):
        return
    newer, older = ("second", "first") if later > timedelta() else ("first", "second")
    yield Difference(
        "watermark",
        mine,
        others,
        f"The {newer} holds events received in {_length(later)} more than the {older}: late events of the same days count there only,"
        " and events that were deleted or expired meanwhile are missing there.",
    )


def _length(apart: timedelta) -> str:
    seconds = abs(apart.total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds / size
            return f"{count:.4g} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:.3g} seconds"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
