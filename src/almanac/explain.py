"""What a question will cost, and how to make it cheaper. No kind of question is named here: advice comes from what all are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from almanac.core.analysis import Question
from almanac.core.filters import Breakdown, Filter, Segment, Selector
from almanac.core.time import TimeRange

_MOST: Final = 0.5  # share of a project's events from which on it is worth a word
_LONG_DAYS: Final = 120
_MANY_VALUES: Final = 100
_BIG: Final = 1_000_000  # events below which nothing is slow


@dataclass(frozen=True)
class Explanation:
    """`rows`: those that it will read, as the engine reckons from its index; `all_rows`: those of the project. `seconds`: how long reading
    so many took lately, None when nothing ran yet.
    """

    statement: str
    rows: int
    all_rows: int
    seconds: float | None
    plan: list[str]
    advice: list[str]

    def as_json(self) -> dict[str, Any]:
        """For faces."""
        return {
            "sql": self.statement,
            "rows": self.rows,
            "all_rows": self.all_rows,
            "seconds": self.seconds,
            "plan": self.plan,
            "advice": self.advice,
        }


def advice(question: Question, window: TimeRange, rows: int, all_rows: int) -> list[str]:
    """What would make it read less, in sentences; the most worthwhile first."""
    if rows < _BIG:
        return []
    return list(_advice(question, window, rows, all_rows))


def _advice(question: Question, window: TimeRange, rows: int, all_rows: int) -> Iterator[str]:
    parts = list(_parts(question))
    if any(isinstance(part, Selector) and part.event is None for part in parts):
        yield "It looks at events of any name; naming the events reads only theirs, as they lie together."
    if all_rows and rows / all_rows >= _MOST:
        yield f"It reads {rows / all_rows:.0%} of the project's events."
    days = window.length.total_seconds() / 86_400
    if days > _LONG_DAYS:
        yield f"It covers {days:.0f} days; a shorter range reads as much less."
    filters = [part for part in parts if isinstance(part, Filter)]
    if any(part.op == "matches" for part in filters):
        yield "A regular expression costs more than contains, starts_with or a list of values."
    if any(part.op in ("contains", "not_contains", "ends_with") for part in filters):
        yield "Where the values are known, a list of them (in) is faster than contains."
    if any(part.of != "event" for part in parts if isinstance(part, (Filter, Breakdown))):
        yield "Properties of people and groups are joined to each event; a property of the event itself is faster."
    if any(isinstance(part, Segment) for part in parts):
        yield "Its segments look through events of all time; a segment with `within` looks through less."
    if any(isinstance(part, Breakdown) and part.limit > _MANY_VALUES for part in parts):
        yield f"Breaking down by more than {_MANY_VALUES} values takes memory for each; the rest can be Other."
    if question.as_of is not None:
        yield "Reading who was who at an earlier instant is slower than reading it as known now."


def _parts(value: Any) -> Iterator[BaseModel]:
    """The models that a question is made of."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from _parts(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from _parts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
