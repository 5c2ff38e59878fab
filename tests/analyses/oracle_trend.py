"""Trend in plain Python, written from the question's description alone: slow, with no clever step, to be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

EMPTY_IS_ZERO = ("count", "unique", "sum")
BY_DAYS = ("day", "total")  # where a window is one of days; longer periods count by themselves

Span = tuple[date, date]


def quotient(one: Any, other: Any) -> tuple[Any, bool]:
    return (one / other, False) if other else (0, True)


# Each formula with its reckoning, and whether it has no result.
FORMULAS: dict[str, Callable[..., tuple[Any, bool]]] = {
    "A": lambda a, b: (a, False),
    "A / B": lambda a, b: quotient(a, b),
    "(A - B) * 100": lambda a, b: ((a - b) * 100, False),
    "-B + 2 * A": lambda a, b: (2 * a - b, False),
    "1 - B / A": lambda a, b: (1 - quotient(b, a)[0], quotient(b, a)[1]),
}


def trend(events: Sequence[Mapping[str, Any]], question: Mapping[str, Any], now: datetime) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows, and for each formula for how many of them it has no result. `date_from` and `date_to` are dates; events carry `person`,
    `event`, `time` (aware) and `properties`. Formulas are those above, over the first two lines or over `A` and `B` of their `of`."""
    asked = Asked(events, question)
    sizes = {one: sum(value or 0 for value in asked.line(0, asked.shown[0], one)[0]) for one in asked.groups()}
    rows = []
    undefined: dict[str, int] = {}
    for line in asked.shown:
        for one in sorted(sizes, key=lambda one: ("Other" in one, -sizes[one], one)):
            values, missing = asked.line(0, line, one)
            before = asked.line(1, line, one)[0] if len(asked.sides) > 1 else []
            undefined[line["name"]] = undefined.get(line["name"], 0) + missing
            for place, (start, after) in enumerate(asked.sides[0]):
                row: dict[str, Any] = {"series": line["name"]}
                row |= dict(zip(("breakdown", "breakdown_2", "breakdown_3"), one, strict=False))
                row["period"] = midnight(start, asked.zone).astimezone(asked.zone).isoformat() if asked.total else start.isoformat()
                row["value"] = values[place]
                row["previous"] = before[place] if place < len(before) else None
                row["complete"] = midnight(after, asked.zone) <= min(midnight(asked.cuts[0], asked.zone), now)
                rows.append(row)
    return rows, undefined


class Asked:
    """A question with its times: two sides of periods, each with the day before which events count."""

    def __init__(self, events: Sequence[Mapping[str, Any]], question: Mapping[str, Any]) -> None:
        self.question = question
        self.zone = ZoneInfo(question.get("timezone", "UTC"))
        self.interval, self.week_start = question["interval"], question.get("week_start", "monday")
        self.total = self.interval == "total"
        self.average = question.get("moving_average") or 1
        first = date.fromisoformat(question["date_from"])
        after_last = date.fromisoformat(question["date_to"]) + timedelta(days=1)
        self.sides = [calendar(first, after_last, self.interval, self.week_start)]
        self.cuts = [after_last]
        if question.get("compare"):
            before_first, before_after = moved(first, after_last, self.sides[0], self.interval, question["compare"])
            self.sides.append(calendar(before_first, before_after, self.interval, self.week_start))
            self.cuts.append(before_after)
        self.shown = [line for line in question["series"] if not line.get("hidden")]
        self.plain = [line for line in question["series"] if "formula" not in line]
        self.parts = [part for line in self.shown for part in self.parts_of(line)]
        self.fields = [item["property"] for item in question.get("breakdown", [])]
        self.events = [event for event in events if any(belongs(event, part) for part in self.parts)]
        start = min(midnight(self.since(0, part), self.zone) for part in self.parts)
        inside = [event for event in self.events if start <= event["time"] < midnight(self.cuts[0], self.zone)]
        ranked = self.plain[0] if self.plain else self.parts[0]
        ranked = {**ranked, "measure": "unique"} if ranked.get("per") == "person" else ranked
        self.kept = [top(inside, item["property"], item["limit"], ranked) for item in question.get("breakdown", [])]

    def parts_of(self, line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        if "formula" not in line:
            return [line]
        pair = [line["of"]["A"], line["of"]["B"]] if "of" in line else self.plain[:2]
        return [part for letter, part in zip("AB", pair, strict=False) if letter in line["formula"]]

    def over(self, part: Mapping[str, Any]) -> int:
        return int(part["over"].split()[0]) if part.get("over") and self.interval in BY_DAYS else 0

    def way(self, part: Mapping[str, Any]) -> str:
        """Parts of one way are read together: a value that any of them reads has its rows."""
        if part.get("per") == "person":
            return "persons"
        return "windows of people" if part["measure"] == "unique" and (self.over(part) or self.running(part)) else "events"

    def running(self, part: Mapping[str, Any]) -> bool:
        return bool(self.question.get("cumulative")) and not self.total and any(part is line for line in self.shown)

    def since(self, side: int, part: Mapping[str, Any]) -> date:
        """The first day that is read for a part."""
        if self.total:
            return self.cuts[side] - timedelta(days=self.over(part)) if self.over(part) else self.sides[side][0][0]
        together = [other for other in self.parts if self.way(other) == self.way(part)]
        first = self.further(side)[0][0]
        return first - timedelta(days=max(0, *(self.over(other) - 1 for other in together), 0))

    def read(self, side: int, part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        start, end = (midnight(day, self.zone) for day in (self.since(side, part), self.cuts[side]))
        nobody = self.way(part) == "events"
        return [event for event in self.events if belongs(event, part) and start <= event["time"] < end and (nobody or event["person"])]

    def further(self, side: int) -> list[Span]:
        """The periods shown, and those before that their moving averages need."""
        spans = list(self.sides[side])
        for _ in range(self.average - 1):
            before = start_of(spans[0][0] - timedelta(days=1), self.interval, self.week_start)
            spans.insert(0, (before, spans[0][0]))
        return spans

    def group(self, event: Mapping[str, Any]) -> tuple[str, ...]:
        values = [text(event["properties"].get(field)) for field in self.fields]
        return tuple(value if value in allowed else "Other" for value, allowed in zip(values, self.kept, strict=True))

    def groups(self) -> list[tuple[str, ...]]:
        if not self.fields:
            return [()]
        return list({self.group(event) for side in range(len(self.sides)) for part in self.parts for event in self.read(side, part)})

    def line(self, side: int, line: Mapping[str, Any], group: tuple[str, ...]) -> tuple[list[Any], int]:
        shown = len(self.sides[side])
        missing: list[bool] = []
        if "formula" in line:
            pair = [line["of"]["A"], line["of"]["B"]] if "of" in line else self.plain[:2]
            columns = [[value or 0 for value in self.part(side, part, group, run_up=False)] for part in pair]
            columns += [columns[0]] * (2 - len(columns))
            found = [FORMULAS[line["formula"]](*pair) for pair in zip(*columns, strict=True)]
            values, missing = [value for value, _ in found], [undefined for _, undefined in found][-shown:]
        else:
            values = self.part(side, line, group, run_up=self.running(line))
        if self.question.get("cumulative") and not self.total and "formula" in line:
            values = [sum(values[: place + 1]) for place in range(len(values))]
        if self.average > 1:
            values = [mean(values[place + 1 - self.average : place + 1]) for place in range(len(values) - shown, len(values))]
        return [None if value is None else float(value) for value in values], sum(missing)

    def part(self, side: int, part: Mapping[str, Any], group: tuple[str, ...], *, run_up: bool) -> list[Any]:
        places = range(len(self.further(side)))
        return [measure(self.happened(side, part, group, place, run_up=run_up), part) for place in places]

    def happened(self, side: int, part: Mapping[str, Any], group: tuple[str, ...], place: int, *, run_up: bool) -> list[Mapping[str, Any]]:
        """The events of a part in that period (of `further`)."""
        spans = self.further(side)
        start, after = spans[place]
        if run_up:
            start = spans[0][0]
        if self.over(part):
            start = (self.cuts[side] if self.total else after) - timedelta(days=self.over(part))
        first, end = midnight(start, self.zone), min(midnight(after, self.zone), midnight(self.cuts[side], self.zone))
        return [e for e in self.events if first <= e["time"] < end and belongs(e, part) and self.group(e) == group]

    def people(self, row: Mapping[str, Any]) -> list[str]:
        """Whose events the value of a row is made of."""
        line = next(line for line in self.shown if line["name"] == row["series"])
        group = tuple(row[name] for name in ("breakdown", "breakdown_2", "breakdown_3")[: len(self.fields)])
        place = next(at for at, span in enumerate(self.sides[0]) if self.total or span[0].isoformat() == row["period"])
        found: set[str] = set()
        for part in self.parts_of(line):
            numbers = part["measure"] in ("sum", "average", "min", "max", "median", "quantile") and part.get("property")
            for at in range(place, place + self.average):
                for event in self.happened(0, part, group, at, run_up=bool(self.question.get("cumulative")) and not self.total):
                    if event["person"] and (not numbers or numeric(event["properties"].get(part["property"])) is not None):
                        found.add(event["person"])
        return sorted(found)


def mean(values: Sequence[Any]) -> Any:
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


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
    if compare == "previous_day":
        return start - timedelta(days=1), after_last - timedelta(days=1)
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
    if series.get("per") == "person":
        numbers = sorted(value for one in people if (value := of_person(one, events, series)) is not None)
    else:
        numbers = sorted(value for event in events if (value := numeric(event["properties"].get(series["property"]))) is not None)
    if not numbers:
        return 0 if kind in EMPTY_IS_ZERO else None
    if kind == "sum":
        return sum(numbers)
    if kind == "average":
        return sum(numbers) / len(numbers)
    if kind in ("min", "max"):
        return numbers[0] if kind == "min" else numbers[-1]
    place = Fraction(str(0.5 if kind == "median" else series["quantile"])) * (len(numbers) - 1)
    low = int(place)
    high = min(low + 1, len(numbers) - 1)
    return numbers[low] + (numbers[high] - numbers[low]) * (place - low)


def of_person(person: str, events: Sequence[Mapping[str, Any]], series: Mapping[str, Any]) -> Fraction | None:
    mine = [event for event in events if event["person"] == person]
    if not series.get("property"):
        return Fraction(len(mine))
    numbers = [value for event in mine if (value := numeric(event["properties"].get(series["property"]))) is not None]
    return sum(numbers, Fraction(0)) if numbers else None
