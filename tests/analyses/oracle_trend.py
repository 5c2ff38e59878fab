"""Trend in plain Python, written from the question's description alone: slow, with no clever step, to be compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

EMPTY_IS_ZERO = ("count", "unique", "sum")


def trend(events: Sequence[Mapping[str, Any]], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows. `date_from` and `date_to` are dates; events carry `person`, `event`, `time` (aware) and `properties`."""
    zone = ZoneInfo(question.get("timezone", "UTC"))
    interval, week_start = question["interval"], question.get("week_start", "monday")
    first = date.fromisoformat(question["date_from"])
    after_last = date.fromisoformat(question["date_to"]) + timedelta(days=1)
    periods = calendar(first, after_last, interval, week_start)
    earlier: list[tuple[date, date]] = []
    if question.get("compare"):
        before_first, before_after = moved(first, after_last, periods, interval, question["compare"])
        earlier = calendar(before_first, before_after, interval, week_start)
    fields = [item["property"] for item in question.get("breakdown", [])]
    limits = [item["limit"] for item in question.get("breakdown", [])]
    cut = midnight(after_last, zone)
    events = [event for event in events if any(belongs(event, series) for series in question["series"])]
    inside = [event for event in events if midnight(periods[0][0], zone) <= event["time"] < cut]
    kept = [top(inside, field, limit, question["series"][0]) for field, limit in zip(fields, limits, strict=True)]

    def group(event: Mapping[str, Any]) -> tuple[str, ...]:
        values = [text(event["properties"].get(field)) for field in fields]
        return tuple(value if value in allowed else "Other" for value, allowed in zip(values, kept, strict=True))

    def line(spans: list[tuple[date, date]], end: datetime, series: Mapping[str, Any], wanted: tuple[str, ...]) -> list[Any]:
        mine = [event for event in events if event["time"] < end and group(event) == wanted and belongs(event, series)]
        values = []
        for start, after in spans:
            since = spans[0][0] if question.get("cumulative") and interval != "total" else start
            values.append(measure([e for e in mine if midnight(since, zone) <= e["time"] < midnight(after, zone)], series))
        return values

    earlier_end = midnight(before_after, zone) if earlier else cut
    seen = {group(e) for e in inside} | {group(e) for e in events if earlier and midnight(earlier[0][0], zone) <= e["time"] < earlier_end}
    groups = list(seen) if fields else [()]
    size = {one: sum(value or 0 for value in line(periods, cut, question["series"][0], one)) for one in groups}
    groups.sort(key=lambda one: ("Other" in one, -size[one], one))
    rows = []
    for series in question["series"]:
        for one in groups:
            values = line(periods, cut, series, one)
            before = line(earlier, earlier_end, series, one) if earlier else []
            for place, (start, after) in enumerate(periods):
                row: dict[str, Any] = {"series": series["name"]}
                row |= dict(zip(("breakdown", "breakdown_2", "breakdown_3"), one, strict=False))
                row["period"] = midnight(start, zone).astimezone(zone).isoformat() if interval == "total" else start.isoformat()
                row["value"] = values[place]
                row["previous"] = before[place] if place < len(before) else None
                row["complete"] = midnight(after, zone) <= min(cut, now)
                rows.append(row)
    return rows


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def start_of(day: date, interval: str, week_start: str) -> date:
    if interval == "week":
        return day - timedelta(days=day.weekday() if week_start == "monday" else (day.weekday() + 1) % 7)
    if interval == "month":
        return day.replace(day=1)
    if interval == "year":
        return day.replace(month=1, day=1)
    return day


def calendar(first: date, after_last: date, interval: str, week_start: str) -> list[tuple[date, date]]:
    """Start and end of each whole period that touches the days, found by walking day by day."""
    if interval == "total":
        return [(first, after_last)]
    starts: list[date] = []
    day = start_of(first, interval, week_start)
    while day < after_last:
        if not starts or start_of(day, interval, week_start) != starts[-1]:
            starts.append(day)
        day += timedelta(days=1)
    ends = [*starts[1:]]
    day = after_last
    while start_of(day, interval, week_start) == starts[-1]:
        day += timedelta(days=1)
    return list(zip(starts, [*ends, day], strict=True))


def months_back(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for last in (31, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError


def moved(first: date, after_last: date, periods: list[tuple[date, date]], interval: str, compare: str) -> tuple[date, date]:
    start = periods[0][0]
    if compare == "previous_week":
        return start - timedelta(days=7), after_last - timedelta(days=7)
    if compare == "previous_month":
        return months_back(start, 1), months_back(after_last, 1)
    if compare == "previous_year":
        return months_back(start, 12), months_back(after_last, 12)
    count = len(periods)
    if interval == "total":
        days = (after_last - first).days
        return start - timedelta(days=days), after_last - timedelta(days=days)
    if interval in ("day", "week"):
        days = count * (7 if interval == "week" else 1)
        return start - timedelta(days=days), after_last - timedelta(days=days)
    months = count * (12 if interval == "year" else 1)
    return months_back(start, months), months_back(after_last, months)


def text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def numeric(value: Any) -> Fraction | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return Fraction(str(value))
    except ValueError:
        return None


def belongs(event: Mapping[str, Any], series: Mapping[str, Any]) -> bool:
    return series.get("event") in (None, event["event"])


def top(events: Sequence[Mapping[str, Any]], field: str, limit: int, series: Mapping[str, Any]) -> list[str]:
    values = {text(event["properties"].get(field)) for event in events}

    def size(value: str) -> tuple[Any, ...]:
        found = measure([e for e in events if text(e["properties"].get(field)) == value and belongs(e, series)], series)
        return (found is None, -(found or 0), value)

    return sorted(values, key=size)[:limit]


def measure(events: Sequence[Mapping[str, Any]], series: Mapping[str, Any]) -> Any:
    kind = series["measure"]
    people = {event["person"] for event in events if event["person"]}
    if kind == "count":
        return len(events)
    if kind == "unique":
        return len(people)
    if kind == "count_per_person":
        return len([event for event in events if event["person"]]) / len(people) if people else None
    numbers = sorted(value for event in events if (value := numeric(event["properties"].get(series["property"]))) is not None)
    if not numbers:
        return 0 if kind in EMPTY_IS_ZERO else None
    if kind == "sum":
        return float(sum(numbers))
    if kind == "average":
        return float(sum(numbers) / len(numbers))
    if kind in ("min", "max"):
        return float(numbers[0] if kind == "min" else numbers[-1])
    place = Fraction(str(0.5 if kind == "median" else series["quantile"])) * (len(numbers) - 1)
    low = int(place)
    high = min(low + 1, len(numbers) - 1)
    return float(numbers[low] + (numbers[high] - numbers[low]) * (place - low))
