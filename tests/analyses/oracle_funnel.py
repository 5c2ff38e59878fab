"""The funnel in plain Python, written from the question's description alone: every run of every person is walked, to be compared with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]
Run = list[int]  # places in the person's stream, one a step


def funnel(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows. `date_from`, `date_to` are given; `window` is a timedelta; every other field has a value."""
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    if question["view"] == "trend":
        span = times.whole(span, question["interval"])
    inside = [event for event in events if span.start <= event["time"] < span.end]
    found: list[tuple[str, str, datetime | None, list[datetime]]] = []  # person, value, period, times of the best run
    for person in sorted({event["person"] for event in inside}):
        for value, stream in under_values([event for event in inside if event["person"] == person], question):
            if question["view"] == "trend":
                starts = times.periods(span, question["interval"])
                for start in starts:
                    best = best_run(stream, question, start, times.shift(start, question["interval"], 1))
                    found += [(person, value, start, best)] if best else []
            else:
                best = best_run(stream, question, span.start, span.end)
                found += [(person, value, None, best)] if best else []
    labelled = under_labels(found, question)
    if question["view"] == "steps":
        return step_rows(labelled, question)
    if question["view"] == "trend":
        return trend_rows(labelled, question, times.periods(span, question["interval"]), min(span.end, now))
    return bin_rows(labelled, question)


# ------------------------------------------------------------------ one person


def matches(event: Event, selector: Mapping[str, Any]) -> bool:
    properties = event["properties"]
    return selector.get("event") in (None, event["event"]) and all(
        properties.get(item["property"]) == item["value"] for item in selector.get("filters", [])
    )


def under_values(mine: Sequence[Event], question: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The person's streams, one for each value that he stands under: time, matched steps (from 1), exclusions, value; in order."""
    stream = []
    for event in mine:
        steps = {place for place, step in enumerate(question["steps"], 1) if matches(event, step)}
        excluded = {place for place, item in enumerate(question["exclusions"]) if matches(event, item)}
        if steps or excluded or question["order"] == "strict":
            breakdown = question["breakdown"]
            value = (event["properties"].get(breakdown["property"]) or "") if breakdown else ""
            stream.append({"time": event["time"], "steps": steps, "excluded": excluded, "value": value})

    for event in stream:
        event["lowest"] = min(bits_of(event, question), default=math.inf)
    stream.sort(key=lambda event: (event["time"], event["lowest"], sum(1 << bit for bit in bits_of(event, question))))
    if not question["breakdown"]:
        return [("", stream)]
    set_values = [event["value"] for event in stream if event["steps"] and event["value"]]
    match question["breakdown"]["attribution"]:
        case "first_touch":
            return [(set_values[0] if set_values else "", stream)]
        case "last_touch":
            return [(set_values[-1] if set_values else "", stream)]
        case "all_steps":
            attributed = {place for place, _ in enumerate(question["steps"], 1)}
        case _:
            attributed = {question["breakdown"]["attribution_step"]}
    values = {event["value"] for event in stream if event["steps"] & attributed} or {""}
    streams = []
    for value in values:
        left = [event if event["value"] == value else {**event, "steps": event["steps"] - attributed} for event in stream]
        # Simultaneous events keep the turn of the lowest step that they matched at first.
        left.sort(key=lambda event: (event["time"], event["lowest"], sum(1 << bit for bit in bits_of(event, question))))
        streams.append((value, left))
    return streams


def bits_of(event: Mapping[str, Any], question: Mapping[str, Any]) -> list[int]:
    return [place - 1 for place in event["steps"]] + [len(question["steps"]) + place for place in event["excluded"]]


def best_run(stream: list[dict[str, Any]], question: Mapping[str, Any], since: datetime, until: datetime) -> list[datetime]:
    """The times of the run that counts; none when there is none, or when a run was spoilt."""
    walk = {"ordered": ordered, "strict": strict, "any": unordered}[question["order"]]
    runs: list[Run] = []
    instants: set[datetime] = set()
    for place, event in enumerate(stream):
        starts = bool(event["steps"]) if question["order"] == "any" else 1 in event["steps"]
        if not starts or not since <= event["time"] < until or (question["order"] == "ordered" and event["time"] in instants):
            continue
        instants.add(event["time"])
        run = walk(stream, place, question)
        if run is None:
            return []
        runs.append(run)
    if not runs:
        return []
    furthest = max(len(run) for run in runs)
    best = min((run for run in runs if len(run) == furthest), key=lambda run: (stream[run[-1]]["time"], run[-1], -run[0]))
    if question["order"] == "any":  # of an any-order run only the times are told
        best = min((run for run in runs if len(run) == furthest), key=lambda run: (stream[run[-1]]["time"], -run[0]))
    return [stream[place]["time"] for place in best]


def ordered(stream: list[dict[str, Any]], start: int, question: Mapping[str, Any]) -> Run | None:
    run, limit = [start], stream[start]["time"] + question["window"]
    for place in range(start + 1, len(stream)):
        event = stream[place]
        if event["time"] > limit:
            break
        if spoils(event, len(run), question):
            return None
        if len(run) + 1 in event["steps"]:
            run.append(place)
    return run


def strict(stream: list[dict[str, Any]], start: int, question: Mapping[str, Any]) -> Run | None:
    run, limit = [start], stream[start]["time"] + question["window"]
    for place in range(start + 1, len(stream)):
        event = stream[place]
        if event["time"] > limit:
            break
        if spoils(event, len(run), question):
            return None
        if len(run) + 1 not in event["steps"]:
            break
        run.append(place)
    return run


def spoils(event: Mapping[str, Any], reached: int, question: Mapping[str, Any]) -> bool:
    return any(
        question["exclusions"][place]["from_step"] <= reached < question["exclusions"][place]["to_step"] for place in event["excluded"]
    )


def unordered(stream: list[dict[str, Any]], start: int, question: Mapping[str, Any]) -> Run:
    """Only for steps of which any two are the same or have no event in common."""
    run, limit, done = [], stream[start]["time"] + question["window"], set()
    for place in range(start, len(stream)):
        event = stream[place]
        if event["time"] > limit or len(done) == len(question["steps"]):
            break
        if event["excluded"] and place > start:
            return [start]
        if open_steps := event["steps"] - done:
            done.add(min(open_steps))
            run.append(place)
    return run


# ----------------------------------------------------------------------- rows


def under_labels(found: list[Any], question: Mapping[str, Any]) -> dict[str, list[tuple[datetime | None, list[datetime]]]]:
    """Of each label, biggest first: period and best run of each person."""
    if not question["breakdown"]:
        return {"": [(period, run) for _, _, period, run in found]}
    people: dict[str, set[str]] = {}
    for person, value, _, _ in found:
        people.setdefault(value, set()).add(person)
    kept = sorted(people, key=lambda value: (-len(people[value]), value))[: question["breakdown"]["limit"]]
    best: dict[Any, Any] = {}
    for person, value, period, run in found:
        key = (value if value in kept else "Other", person, period)
        rank = (-len(run), run[-1], value)
        if key not in best or rank < best[key][0]:
            best[key] = (rank, run)
    labelled: dict[str, list[Any]] = {}
    for (label, _, period), (_, run) in best.items():
        labelled.setdefault(label, []).append((period, run))
    return labelled


def ordered_labels(sizes: Mapping[str, int]) -> list[str]:
    return sorted((label for label in sizes if sizes[label] >= 0), key=lambda label: (label == "Other", -sizes[label], label))


def under(question: Mapping[str, Any], label: str) -> dict[str, Any]:
    return {"breakdown": label} if question["breakdown"] else {}


def step_rows(labelled: Mapping[str, Any], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for label in ordered_labels({label: len(runs) for label, runs in labelled.items()}):
        runs = [run for _, run in labelled[label]]
        counts = [sum(len(run) > place for run in runs) for place in range(len(question["steps"]))]
        for place, step in enumerate(question["steps"]):
            gaps = [(run[place] - run[place - 1]).total_seconds() for run in runs if place and len(run) > place]
            rows.append(
                {
                    **under(question, label),
                    "step": place + 1,
                    "name": (step.get("event") or "any event") if question["order"] != "any" else f"{place + 1} step{'s' if place else ''}",
                    "count": counts[place],
                    "rate_from_first": counts[place] / counts[0] if counts[0] else 0.0,
                    "rate_from_previous": (counts[place] / counts[place - 1] if counts[place - 1] else 0.0) if place else None,
                    "average_seconds_from_previous": statistics.fmean(gaps) if gaps else None,
                    "median_seconds_from_previous": statistics.median(gaps) if gaps else None,
                }
            )
    return rows


def trend_rows(labelled: Mapping[str, Any], question: Mapping[str, Any], starts: list[datetime], closed: datetime) -> list[dict[str, Any]]:
    rows = []

    def reached(label: str, start: datetime, step: int) -> int:
        return sum(period == start and len(run) >= step for period, run in labelled[label])

    sizes = {label: sum(reached(label, start, question["from_step"]) for start in starts) for label in labelled}
    for label in ordered_labels(sizes):
        for start in starts:
            entered, completed = reached(label, start, question["from_step"]), reached(label, start, question["to_step"])
            rows.append(
                {
                    **under(question, label),
                    "period": start.date().isoformat(),
                    "entered": entered,
                    "completed": completed,
                    "rate": completed / entered if entered else 0.0,
                    "complete": times.shift(start, question["interval"], 1) + question["window"] <= closed,
                }
            )
    return rows


def bin_rows(labelled: Mapping[str, Any], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    first_step, last_step = question["from_step"] - 1, question["to_step"] - 1
    lengths = {
        label: [(run[last_step] - run[first_step]) / timedelta(seconds=1) for _, run in runs if len(run) > last_step]
        for label, runs in labelled.items()
    }
    every = [seconds for some in lengths.values() for seconds in some]
    if not every:
        return []
    bins = question["bins"] or min(60, max(3, math.ceil(round(len(every) ** (1 / 3), 9))))
    first = math.floor(min(every))
    width = 60 if min(every) == max(every) else math.ceil((max(every) - first) / bins)
    rows = []
    for label in ordered_labels({label: len(some) for label, some in lengths.items() if some}):
        for place in range(bins + 1):
            start = first + place * width
            rows.append(
                {
                    **under(question, label),
                    "bin_start_seconds": start,
                    "bin_end_seconds": start + width,
                    "count": sum(start <= seconds < start + width for seconds in lengths[label]),
                    "average_seconds": statistics.fmean(lengths[label]),
                    "median_seconds": statistics.median(lengths[label]),
                }
            )
    return rows
