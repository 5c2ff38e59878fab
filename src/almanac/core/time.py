"""Time ranges: resolved once, half-open, with their zone. `now` is always passed in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from almanac.core.errors import AlmanacError, invalid

Interval = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
WeekStart = Literal["monday", "sunday"]

INTERVAL_SECONDS: Final[dict[str, int]] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 7 * 86400}
_HOUR: Final = timedelta(hours=1)
_MONTHS: Final[dict[str, int]] = {"month": 1, "quarter": 3, "year": 12}
_RELATIVE = re.compile(r"-(\d{1,5})(min|h|d|w|m|q|y)")
_UNIT: Final[dict[str, Interval]] = {
    "min": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "m": "month",
    "q": "quarter",
    "y": "year",
}
_BEYOND: Final = 2149  # the store keeps days until then
_FIRST_YEAR: Final = 1900  # the engine's times, less a century at their end
_LAST_YEAR: Final = 2200
_LAST = re.compile(r"(\d{1,5})\s*(minute|hour|day|week|month|quarter|year)s?")


@dataclass(frozen=True)
class TimeRange:
    """`start <= t < end`, both aware. `zone` decides where days begin."""

    start: datetime
    end: datetime
    zone: str

    @property
    def length(self) -> timedelta:
        """Elapsed time from start to end."""
        return self.end - self.start


def zone_of(name: str) -> ZoneInfo:
    """The zone of that IANA name. Raises `invalid`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise invalid(f"There is no time zone {name!r}.", place="timezone", way_out="Use an IANA name such as Europe/Berlin.") from None


def resolve(date_from: str | None, date_to: str | None, *, now: datetime, zone: str, default: str = "-30d") -> TimeRange:
    """The range that two texts mean.

    Each is a date (`2026-01-31`: the whole day belongs to the range, at both ends), an instant (`2026-01-31T12:00:00`, in `zone` unless it
    carries an offset; as the end it is excluded), a step back (`-30d`, `-12h`, `-3m`: from the start of that day, hour, month …), `today`,
    `yesterday` or `now`. Without `date_to` the range ends now.
    """
    local = now.astimezone(zone_of(zone))
    start = _instant(date_from or default, local, end=False, place="date_from")
    end = now if date_to is None else _instant(date_to, local, end=True, place="date_to")
    if end <= start:
        raise invalid("The range ends before it starts.", place="date_to", way_out="Give a date_to after date_from.")
    for place, text, instant in (("date_from", date_from or default, start), ("date_to", date_to, end)):
        if not _FIRST_YEAR <= instant.year < _LAST_YEAR:
            way_out = f"Give a time from {_FIRST_YEAR} on and before {_LAST_YEAR}."
            raise invalid(f"{text!r} is out of reach.", place=place, way_out=way_out)
    return TimeRange(start.astimezone(UTC), end.astimezone(UTC), zone)


def check(text: str, *, now: datetime, place: str) -> None:
    """Raises `invalid` for what `resolve` would not take as an end of a range."""
    _instant(text, now, end=False, place=place)


def moment(text: str, zone: str) -> datetime:
    """A moment that does not move with the clock: the end of the day that a date names, or an instant, in `zone` unless it carries an
    offset. Raises `ValueError` with a sentence."""
    local = datetime(1970, 1, 1, tzinfo=zone_of(zone))
    try:
        found = _instant(text, local, end=True, place="") if text.strip()[:1].isdecimal() else None
        if found is not None and 1970 <= found.astimezone(UTC).year < _BEYOND:
            return found.astimezone(UTC)
    except (AlmanacError, OverflowError):
        pass
    raise ValueError(f"{text[:40]!r} is not a moment from 1970 on; write 2026-01-31 or 2026-01-31T12:00:00")


def last(text: str) -> str:
    """`30 days` as the step back `-30d`. Raises `invalid`."""
    match = _LAST.fullmatch(text.strip().lower())
    if not match:
        raise invalid(f"{text!r} is not a length of time.", place="last", way_out="Write it like '30 days' or '12 hours'.")
    short = next(key for key, unit in _UNIT.items() if unit == match.group(2))
    return f"-{match.group(1)}{short}"


def floor(moment: datetime, interval: str, *, week_start: WeekStart = "monday") -> datetime:
    """The start of the interval that holds `moment`, in its own zone."""
    if interval == "minute":
        return moment.replace(second=0, microsecond=0)
    if interval == "hour":
        # Hours count from midnight, as the engine's do: where clocks change by half an hour, those after the change begin at half past.
        midnight = datetime.combine(moment.date(), time(), tzinfo=moment.tzinfo).astimezone(UTC)
        return (midnight + (moment.astimezone(UTC) - midnight) // _HOUR * _HOUR).astimezone(moment.tzinfo)
    day = moment.date()
    if interval == "week":
        back = day.weekday() if week_start == "monday" else (day.weekday() + 1) % 7
        day -= timedelta(days=back)
    elif interval == "month":
        day = day.replace(day=1)
    elif interval == "quarter":
        day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    elif interval == "year":
        day = day.replace(month=1, day=1)
    return datetime.combine(day, time(), tzinfo=moment.tzinfo)


def shift(moment: datetime, interval: str, count: int) -> datetime:
    """`count` intervals later (earlier when negative). Days and longer are calendar steps of the local clock; the day of a month is cut to
    the month's length. Minutes and hours are elapsed time."""
    if interval in ("minute", "hour", "second"):
        later = moment.astimezone(UTC) + timedelta(seconds=count * INTERVAL_SECONDS[interval])
        return later.astimezone(moment.tzinfo)
    if interval in ("day", "week"):
        days = count * (7 if interval == "week" else 1)
        return datetime.combine(moment.date() + timedelta(days=days), moment.timetz())
    months = moment.year * 12 + moment.month - 1 + count * _MONTHS[interval]
    year, month = divmod(months, 12)
    month += 1
    last_day = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return moment.replace(year=year, month=month, day=min(moment.day, last_day))


def periods(span: TimeRange, interval: str, *, week_start: WeekStart = "monday") -> list[datetime]:
    """The starts, in the range's zone, of all whole intervals that touch the range. Whole: the first may start before the range does."""
    zone = zone_of(span.zone)
    moment = floor(span.start.astimezone(zone), interval, week_start=week_start)
    starts: list[datetime] = []
    while moment.astimezone(UTC) < span.end:
        starts.append(moment)
        later = shift(moment, interval, 1)
        moment = floor(later, interval) if interval == "hour" else later
    return starts


def whole(span: TimeRange, interval: str, *, week_start: WeekStart = "monday") -> TimeRange:
    """The range widened to begin with a whole interval. Its end stays."""
    zone = zone_of(span.zone)
    return TimeRange(floor(span.start.astimezone(zone), interval, week_start=week_start).astimezone(UTC), span.end, span.zone)


def _instant(text: str, local_now: datetime, *, end: bool, place: str) -> datetime:
    word = text.strip()
    if word == "now":
        return local_now
    today = floor(local_now, "day")
    if word in ("today", "yesterday"):
        day = today if word == "today" else shift(today, "day", -1)
        return shift(day, "day", 1) if end else day
    try:
        if match := _RELATIVE.fullmatch(word):
            unit = _UNIT[match.group(2)]
            moment = shift(floor(local_now, unit), unit, -int(match.group(1)))
            return shift(moment, unit, 1) if end else moment
        if len(word) == 10:
            day = datetime.combine(date.fromisoformat(word), time(), tzinfo=local_now.tzinfo)
            return shift(day, "day", 1) if end else day
        moment = datetime.fromisoformat(word.replace(" ", "T", 1))
    except (ValueError, OverflowError):
        raise invalid(
            f"{text!r} is not a time.", place=place, way_out="Write 2026-01-31, 2026-01-31T12:00:00, -30d, today or now."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=local_now.tzinfo)
