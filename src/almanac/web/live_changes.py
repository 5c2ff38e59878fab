"""What is another in an answer than in the one before: rows changed and rows removed, by the columns that tell rows apart.

No list of such columns is kept anywhere. Texts and times name what a row is about (a line, a group, a period, a step), numbers mostly say
how much; where texts do not tell all rows apart, the number does whose values the two answers share (the step of a funnel, the period of a
cohort). The columns are found anew for each pair of answers and stand in the change, so that whoever applies it needs no rule.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

Row = Mapping[str, Any]
Key = tuple[Any, ...]

_SORTS: Final = {"text": "word", "time": "word", "integer": "number", "number": "number", "boolean": "neither", "list": "neither"}


@dataclass(frozen=True)
class Change:
    """`key`: columns that tell rows apart. `rows`: whole new rows with their places in the new answer, ascending. `removed`: keys of rows
    that are gone. A row that only moved, past others that stay, is in `rows`."""

    key: list[str]
    rows: list[tuple[int, Row]]
    removed: list[Key]


def change(old: Sequence[Row], new: Sequence[Row], columns: Sequence[Mapping[str, str]]) -> Change | None:
    """What makes `new` of `old`; None when no columns tell all rows apart."""
    found = _keyed(old, new, columns)
    if found is None:
        return None
    names, old_keys, new_keys = found
    places = {key: place for place, key in enumerate(old_keys)}
    # Rows that stay as they are, in the order of the new answer, by their places in both.
    same = [(place, places[key]) for place, key in enumerate(new_keys) if key in places and old[places[key]] == new[place]]
    steady = {same[index][0] for index in _longest_rise([before for _, before in same])}
    kept = set(new_keys)
    return Change(
        key=names,
        rows=[(place, row) for place, row in enumerate(new) if place not in steady],
        removed=[key for key in old_keys if key not in kept],
    )


def applied(old: Sequence[Row], key: Sequence[str], rows: Sequence[tuple[int, Row]], removed: Sequence[Sequence[Any]]) -> list[Row]:
    """The new rows: those of `old` without the removed and the changed, and the changed ones put at their places."""
    gone = {tuple(values) for values in removed} | {_key(row, key) for _, row in rows}
    result = [row for row in old if _key(row, key) not in gone]
    for place, row in rows:
        result.insert(place, row)
    return result


def _keyed(old: Sequence[Row], new: Sequence[Row], columns: Sequence[Mapping[str, str]]) -> tuple[list[str], list[Key], list[Key]] | None:
    best: tuple[list[str], list[Key], list[Key]] | None = None
    most = -1
    for names, enough in _choices(_sorted_out(columns, (old, new))):
        old_keys, new_keys = [_key(row, names) for row in old], [_key(row, names) for row in new]
        known = set(new_keys)
        if len(known) < len(new_keys) or len(set(old_keys)) < len(old_keys):
            continue
        shared = len(known.intersection(old_keys))
        if shared > most:
            best, most = (names, old_keys, new_keys), shared
        if enough:
            break
    return best


def _sorted_out(columns: Sequence[Mapping[str, str]], sides: Sequence[Sequence[Row]]) -> list[tuple[str, str]]:
    """Each column's name, and whether it is a word, a number or neither: by its declared type, else (in a user's SQL) by its values."""
    firsts = [rows[0] for rows in sides if rows]
    return [(name, _sort(name, kind, sides, firsts)) for name, kind in ((column["name"], column["type"]) for column in columns)]


def _sort(name: str, kind: str, sides: Sequence[Sequence[Row]], firsts: Sequence[Row]) -> str:
    if any(isinstance(row.get(name), (list, dict)) for row in firsts):
        return "neither"
    return _SORTS.get(kind) or _by_values(name, sides)


def _by_values(name: str, sides: Sequence[Sequence[Row]]) -> str:
    kinds = {type(row.get(name)) for rows in sides for row in rows} - {type(None)}
    return "word" if kinds <= {str} else "number" if kinds <= {int, float} else "neither"


def _choices(columns: Sequence[tuple[str, str]]) -> Iterator[tuple[list[str], bool]]:
    """Columns that may tell rows apart, the best first; whether they are good enough to look no further."""
    words = [name for name, sort in columns if sort == "word"]
    numbers = [name for name, sort in columns if sort == "number"]
    leading = [name for name, _ in takewhile(lambda column: column[1] == "word", columns)]
    if leading:
        yield leading, True
    yield words, bool(words)
    for number in numbers:
        yield [*words, number], False
    yield [*words, *numbers], True


def _key(row: Row, names: Sequence[str]) -> Key:
    return tuple(row.get(name) for name in names)


def _longest_rise(numbers: Sequence[int]) -> list[int]:
    """Places of a longest rising subsequence of different numbers (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, number in enumerate(numbers):
        at = bisect_left(tails, number)
        before.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(number)
            ends.append(place)
        else:
            tails[at], ends[at] = number, place
    rise: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        rise.append(place)
        place = before[place]
    return rise[::-1]
