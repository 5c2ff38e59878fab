"""When something is to run: every so often, daily or weekly at a time, or by the five fields of cron.

every 15 minutes    every 2 hours    every day at 03:30    every monday at 06:00    */20 8-18 * * 1-5    by hand
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_EVERY: Final = re.compile(r"every\s+(?:(\d{1,5})\s+)?(minute|hour|day)s?", re.IGNORECASE)
_AT: Final = re.compile(rf"(?:every\s+(day|{'|'.join(_WEEKDAYS)})|daily)\s+at\s+([01]?\d|2[0-3]):([0-5]\d)", re.IGNORECASE)
_BY_HAND: Final = re.compile(r"by\s+hand", re.IGNORECASE)
_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_FIELDS: Final = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
_FARTHEST: Final = 366 * 8  # days; a 29th of February comes within them
_FORMS: Final = "Write 'every 15 minutes', 'every day at 03:30', 'every monday at 06:00', five fields of cron, or 'by hand'."


@dataclass(frozen=True)
class Schedule:
    """Moments. `seconds` 0: by the fields of cron, in the zone of whoever asks; without those either, never."""

    seconds: int = 0
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    either_day: bool = False  # both kinds of day are restricted: one of them is enough, as cron has it

    def next(self, after: datetime, zone: ZoneInfo) -> datetime | None:
        """The first moment later than `after` (aware), in UTC; None: never. A time that a clock change skips comes just behind it, one
        that it repeats comes once."""
        if self.seconds:
            return datetime.fromtimestamp((int(after.timestamp()) // self.seconds + 1) * self.seconds, UTC)
        if not self.minutes:
            return None
        first = after.astimezone(zone).date()
        for number in range(_FARTHEST):
            day = first + timedelta(days=number)
            if self._has(day):
                moments = [
                    datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
                    for hour in self.hours
                    for minute in self.minutes
                ]
                if later := [moment for moment in moments if moment > after]:
                    return min(later)
        return None

    def _has(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week


def parse(text: str) -> Schedule:
    """The schedule that a text says. Raises `ValueError` with a sentence."""
    words = " ".join(text.split())
    if _BY_HAND.fullmatch(words):
        return Schedule()
    if found := _EVERY.fullmatch(words):
        seconds = int(found[1] or 1) * _SECONDS[found[2].lower()]
        if not 60 <= seconds <= 366 * 86400:
            raise ValueError(f"{text!r} is not from a minute to a year")
        return Schedule(seconds=seconds)
    if found := _AT.fullmatch(words):
        name = (found[1] or "day").lower()
        weekday = "*" if name == "day" else str(_WEEKDAYS.index(name))
        return _cron(text, f"{int(found[3])} {int(found[2])} * * {weekday}".split(" "))
    fields = words.lower().split(" ")
    if len(fields) != 5:
        raise ValueError(f"{text!r} is no schedule. {_FORMS}")
    schedule = _cron(text, fields)
    if schedule.next(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC")) is None:
        raise ValueError(f"{text!r} names a day that never comes")
    return schedule


def _cron(text: str, fields: list[str]) -> Schedule:
    minutes, hours, days, months, weekdays = (_field(text, field, *bounds) for field, bounds in zip(fields, _FIELDS, strict=True))
    return Schedule(
        0,
        minutes,
        hours,
        days,
        months,
        frozenset(day % 7 for day in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )


def _field(text: str, field: str, name: str, least: int, most: int) -> frozenset[int]:
    numbers: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = least, most
        else:
            begin, dash, end = span.partition("-")
            first = _number(text, begin, name)
            last = _number(text, end, name) if dash else most if step else first
        pace = _number(text, step, name) if step else 1
        if not (least <= first <= last <= most) or pace < 1:
            raise ValueError(f"{field!r} in {text!r} is no {name}: it goes from {least} to {most}")
        numbers.update(range(first, last + 1, pace))
    return frozenset(numbers)


def _number(text: str, word: str, name: str) -> int:
    names = {"month": _MONTHS, "day of the week": _DAYS}.get(name, ())
    if word in names:
        return names.index(word) + (1 if name == "month" else 0)
    if not re.fullmatch(r"\d{1,4}", word):
        raise ValueError(f"{word!r} in {text!r} is no {name}. {_FORMS}")
    return int(word)
