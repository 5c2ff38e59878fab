"""Sessions in plain Python, written from the question's description alone: session by session, to be compared with."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from almanac.core import time as times
from almanac.core.filters import Window

Event = Mapping[str, Any]


@dataclass
class Visit:
    """One session of one person."""

    person: str
    events: list[Event]

    @property
    def began(self) -> datetime:
        return self.events[0]["time"]

    @property
    def length(self) -> timedelta:
        return self.events[-1]["time"] - self.began


def rows(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows of any view; every field of the question is given. Events carry `person` as the one whom their id belongs to."""
    span = span_of(question, now)
    visits = visits_of(events, question, now)
    total = question["interval"] == "total"
    starts = [span.start] if total else times.periods(span, question["interval"], week_start=question["week_start"])
    end = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"]).end

    def place(visit: Visit) -> int:
        return 0 if total else max(k for k, start in enumerate(starts) if start <= visit.began)

    pages = question["view"] == "pages"
    groups = by_page(visits, question) if pages else by_value(visits, question)
    name = "breakdown" if question["view"] == "sessions" else "page"
    labelled = question["view"] != "sessions" or question["breakdown"] is not None
    found = []
    for label, mine in groups:
        for k, start in enumerate(starts):
            here = [visit for visit in mine if place(visit) == k]
            found.append(
                {
                    **({name: label} if labelled else {}),
                    **({} if total else {"period": written(start, question["interval"])}),
                    **(page_measures(label, here, question) if pages else measures(here, question)),
                    **({} if total else {"complete": times.shift(start, question["interval"], 1) <= min(now, end)}),
                }
            )
    return found


def span_of(question: Mapping[str, Any], now: datetime) -> times.TimeRange:
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    return span if question["interval"] == "total" else times.whole(span, question["interval"], week_start=question["week_start"])


def visits_of(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[Visit]:
    span = span_of(question, now)
    day = timedelta(days=1)
    until = max(span.end, min(span.end + day, now))
    read = sorted((event for event in events if span.start - day <= event["time"] < until), key=lambda event: event["time"])
    visits: dict[tuple[str, str, int], Visit] = {}
    latest: dict[str, tuple[datetime, int]] = {}
    for event in read:
        person = event["person"]
        if not person or event["kind"] in ("identify", "alias", "group", "profile", "group_profile"):
            continue
        sent = event.get("session_id", "") if question["by"] == "sender" else ""
        count = 0
        if not sent:
            before, count = latest.get(person, (event["time"], 0))
            if event["time"] - before > length(question["timeout"]):
                count += 1
            latest[person] = (event["time"], count)
        visits.setdefault((person, sent, count), Visit(person, [])).events.append(event)
    return [visit for visit in visits.values() if span.start <= visit.began < span.end and kept(visit, question)]


def kept(visit: Visit, question: Mapping[str, Any]) -> bool:
    wanted = question["event"] is None or any(event["event"] == question["event"] for event in visit.events)
    long = question["min_length"] is None or visit.length >= length(question["min_length"])
    return wanted and long and (question["max_length"] is None or visit.length <= length(question["max_length"]))


def length(text: str) -> timedelta:
    return timedelta(microseconds=Window.model_validate(text).microseconds)


def is_page(event: Event, question: Mapping[str, Any]) -> bool:
    return event["event"] == question["page_event"] if question["page_event"] else event.get("kind") in ("page", "screen")


def page_name(event: Event, question: Mapping[str, Any]) -> str:
    if question["page_property"]:
        return text(event["properties"].get(question["page_property"]))
    return event.get("path") or event.get("screen") or ""


def text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def page_views(visit: Visit, question: Mapping[str, Any]) -> list[tuple[datetime, str]]:
    return sorted((event["time"], page_name(event, question)) for event in visit.events if is_page(event, question))


def value(visit: Visit, question: Mapping[str, Any]) -> str:
    if question["view"] in ("entry_pages", "exit_pages"):
        views = page_views(visit, question)
        return views[0 if question["view"] == "entry_pages" else -1][1] if views else ""
    if not question["breakdown"]:
        return ""
    named = sorted((event["time"], text(event["properties"].get(question["breakdown"]["property"]))) for event in visit.events)
    named = [item for item in named if item[1]]
    return named[0 if question["breakdown_event"] == "first" else -1][1] if named else ""


def by_value(visits: Sequence[Visit], question: Mapping[str, Any]) -> list[tuple[str, list[Visit]]]:
    """Each label's sessions, biggest first, Other last."""
    if question["view"] == "sessions" and not question["breakdown"]:
        return [("", list(visits))]
    values: dict[str, list[Visit]] = {}
    for visit in visits:
        values.setdefault(value(visit, question), []).append(visit)
    limit = question["breakdown"]["limit"] if question["breakdown"] else question["limit"]
    biggest = sorted(values, key=lambda label: (-len(values[label]), label))[:limit]
    labels: dict[str, list[Visit]] = {}
    for name, some in values.items():
        labels.setdefault(name if name in biggest else "Other", []).extend(some)
    return sorted(labels.items(), key=lambda item: (item[0] == "Other", -len(item[1]), item[0]))


def by_page(visits: Sequence[Visit], question: Mapping[str, Any]) -> list[tuple[str, list[Visit]]]:
    views: dict[str, int] = {}
    for visit in visits:
        for _, name in page_views(visit, question):
            views[name] = views.get(name, 0) + 1
    biggest = sorted(views, key=lambda name: (-views[name], name))[: question["limit"]]
    return [(name, [visit for visit in visits if any(seen == name for _, seen in page_views(visit, question))]) for name in biggest]


def measures(visits: Sequence[Visit], question: Mapping[str, Any]) -> dict[str, Any]:
    count, people = len(visits), len({visit.person for visit in visits})
    found: dict[str, Any] = dict.fromkeys(question["measures"])
    found |= {"sessions": count, "people": people}
    if count:
        lengths = [visit.length.total_seconds() for visit in visits]
        found |= {
            "sessions_per_person": count / people,
            "average_seconds": statistics.fmean(lengths),
            "median_seconds": float(np.quantile(lengths, 0.5)),
            "p90_seconds": float(np.quantile(lengths, 0.9)),
            "events_per_session": sum(len(visit.events) for visit in visits) / count,
            "pages_per_session": sum(len(page_views(visit, question)) for visit in visits) / count,
            "bounce_rate": sum(bounced(visit, question) for visit in visits) / count,
        }
    return {name: found[name] for name in question["measures"]}


def bounced(visit: Visit, question: Mapping[str, Any]) -> bool:
    key = question["key_event"] is not None and any(event["event"] == question["key_event"] for event in visit.events)
    return len(page_views(visit, question)) <= 1 and visit.length < length(question["engaged_after"]) and not key


def page_measures(name: str, visits: Sequence[Visit], question: Mapping[str, Any]) -> dict[str, Any]:
    views = entries = exits = 0
    known = []
    for visit in visits:
        seen = page_views(visit, question)
        entries += seen[0][1] == name
        exits += seen[-1][1] == name
        for place, (moment, page) in enumerate(seen):
            last = place == len(seen) - 1
            stayed = (visit.events[-1]["time"] if last else seen[place + 1][0]) - moment
            if page == name:
                views += 1
                if stayed or not last:
                    known.append(stayed.total_seconds())
    return {
        "views": views,
        "sessions": len(visits),
        "people": len({visit.person for visit in visits}),
        "entries": entries,
        "exits": exits,
        "average_seconds": statistics.fmean(known) if known else None,
    }


def written(start: datetime, unit: str) -> str:
    return start.isoformat() if unit in ("minute", "hour") else start.astimezone(start.tzinfo or UTC).date().isoformat()
