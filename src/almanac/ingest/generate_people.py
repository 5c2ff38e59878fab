"""The people of a made-up life and their sessions, as the plan has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from almanac.ingest.generate_pack import Entry, Generator, Record


@dataclass(slots=True, eq=False)
class Person:
    """`furthest`: index of the last step; `campaign`: the one that brought them, or ""."""

    number: int
    entry: Entry
    first_day: int
    campaign: str = ""
    furthest: int = 0
    drawn: dict[str, Record] = field(default_factory=dict[str, Record])
    has_account: bool = False
    group: Record | None = None
    other_device: Record | None = None
    sessions: list[Session] = field(default_factory=list["Session"])


@dataclass(slots=True, eq=False)
class Session:
    """`steps`: what is done of the journey beyond its first step; `run` tells runs apart. `start` is in seconds of its day."""

    person: Person
    day: int
    start: int
    entry: Entry
    steps: Sequence[int] = ()
    run: int = 0
    on_other_device: bool = False
    signs_up: bool = False
    logs_in: bool = False
    is_known: bool = False  # the person has an account and is logged in from the start
    browsing: int = 0


@dataclass(slots=True)
class Plan:
    """Sessions in the order of their start. `start` is the first moment of day 0."""

    start: datetime
    people: list[Person]
    bots: list[Person]
    sessions: list[Session]

    def day(self, number: int) -> date:
        """The date of a day by its number."""
        return self.start.date() + timedelta(days=number)

    def week(self, number: int) -> date:
        """The Monday of the week of a day."""
        day = self.day(number)
        return day - timedelta(days=day.weekday())


def is_bot(pack: Generator, person: Person) -> bool:
    """A crawler, drawn from the pool of crawlers."""
    return pack.bots.pool in person.drawn
