"""The funnel in plain Python, written from the question's description alone: every run of every person is walked, to be compared with."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]
Run = list[int]  # places in the stream, one a step
Found = tuple[str, str, str, "datetime | None", list[datetime]]


def funnel(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The rows. `date_from`, `date_to` are given; lengths of time are timedeltas; every other field has a value."""
    span = span_of(question, now)
    labelled = under_labels(found(events, question, now), question)
    if question["view"] == "steps":
        return step_rows(labelled, question)
    if question["view"] == "trend":
        return trend_rows(labelled, question, times.periods(span, question["interval"]), min(span.end, now))
    return bin_rows(labelled, question)


def behind(
    events: Sequence[Event], question: Mapping[str, Any], now: datetime, row: Mapping[str, Any], converted: bool | None
) -> list[str]:
    """The people of a row; with `converted`, only those who did or did not."""
    labelled = under_labels(found(events, question, now), question)
    first, last = question["from_step"] - 1, question["to_step"] - 1
    people = set()
    for person, period, run in labelled.get(row.get("breakdown", ""), []):
        if question["view"] == "steps":
            inside = len(run) >= row["step"] if converted is not False else len(run) == row["step"] - 1
        elif question["view"] == "trend":
            inside = period.date().isoformat() == row["period"] and len(run) > first
            inside = inside and converted in (None, len(run) > last)
        else:
            seconds = (run[last] - run[first]) / timedelta(seconds=1) if len(run) > last else -1
            inside = row["bin_start_seconds"] <= seconds < row["bin_end_seconds"]
        people |= {person} if inside else set()
    return sorted(people)


def span_of(question: Mapping[str, Any], now: datetime) -> times.TimeRange:
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    return times.whole(span, question["interval"]) if question["view"] == "trend" else span


def found(events: Sequence[Event], question: Mapping[str, Any], now: datetime) -> list[Found]:
    """All that is counted, and what else there is of the same unit: person, unit, value, period, times of the run."""
    span = span_of(question, now)
    inside = [event for event in events if span.start <= event["time"] < span.end]
    periods = times.periods(span, question["interval"]) if question["view"] == "trend" else []
    runs: list[Found] = []
    for person in sorted({event["person"] for event in inside}):
        for unit, value, stream in streams([event for event in inside if event["person"] == person], question):
            if question["count"] == "runs":
                for place, run in enumerate(each_run(stream, question)):
                    period = max((start for start in periods if start <= run[0]), default=None)
                    runs.append((person, f"{unit} {len(runs)} {place}", value, period, run))
                continue
            for start in periods or [None]:
                since, until = (start, times.shift(start, question["interval"], 1)) if start else (span.start, span.end)
                best = best_run(stream, question, since, until)
                runs += [(person, unit, value, start, best)] if best else []
    return runs


# ------------------------------------------------------------------ one person


def matches(event: Event, selector: Mapping[str, Any]) -> bool:
    properties = event["properties"]
    return selector.get("event") in (None, event["event"]) and all(
        properties.get(item["property"]) == item["value"] for item in selector.get("filters", [])
    )


def streams(mine: Sequence[Event], question: Mapping[str, Any]) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """What runs are looked for in: the sessions' numbers where they are counted, the values, the events."""
    everything = stream_of(mine, question)
    each = []
    for number, session in enumerate(sessions(mine, question)):
        of_session = stream_of(session, question)
        for held in equal_values(session, question):
            touched = of_session if question["count"] == "sessions" else everything
            for value, stream in under_values(stream_of(held, question), touched, question):
                each.append((str(number) if question["count"] == "sessions" else "", value, stream))
    return each


def sessions(mine: Sequence[Event], question: Mapping[str, Any]) -> list[list[Event]]:
    if question["within"] == "person" and question["count"] != "sessions":
        return [list(mine)]
    by_id: dict[str, list[Event]] = {}
    pauses: list[list[Event]] = []
    for event in sorted(mine, key=lambda event: event["time"]):
        if event.get("session_id"):
            by_id.setdefault(event["session_id"], []).append(event)
        elif pauses and event["time"] - pauses[-1][-1]["time"] <= question["session_timeout"]:
            pauses[-1].append(event)
        else:
            pauses.append([event])
    return [*by_id.values(), *pauses]


def equal_values(mine: Sequence[Event], question: Mapping[str, Any]) -> list[list[Event]]:
    if not question["hold"]:
        return [list(mine)]
    groups: dict[Any, list[Event]] = {}
    for event in mine:
        if all_set(event, question):
            groups.setdefault(tuple(event["properties"][name] for name in question["hold"]), []).append(event)
    return list(groups.values())


def all_set(event: Event, question: Mapping[str, Any]) -> bool:
    return all(event["properties"].get(name) for name in question["hold"])


def stream_of(mine: Sequence[Event], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In order: time, matched steps (from 1), exclusions, value."""
    stream = []
    for event in mine:
        if not all_set(event, question):
            continue
        steps = {place for place, step in enumerate(question["steps"], 1) if matches(event, step)}
        excluded = {place for place, item in enumerate(question["exclusions"]) if matches(event, item)}
        if steps or excluded or question["order"] == "strict":
            breakdown = question["breakdown"]
            value = (event["properties"].get(breakdown["property"]) or "") if breakdown else ""
            stream.append({"time": event["time"], "steps": steps, "excluded": excluded, "value": value})

    for event in stream:
        event["lowest"] = min(bits_of(event, question), default=math.inf)
    stream.sort(key=lambda event: (event["time"], event["lowest"], sum(1 << bit for bit in bits_of(event, question))))
    return stream


def under_values(
    stream: list[dict[str, Any]], touched: list[dict[str, Any]], question: Mapping[str, Any]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The stream under each value that it counts for. `touched`: where first and last touch look."""
    if not question["breakdown"]:
        return [("", stream)]
    set_values = [event["value"] for event in touched if event["steps"] and event["value"]]
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
    valued = []
    for value in values:
        left = [event if event["value"] == value else {**event, "steps": event["steps"] - attributed} for event in stream]
        # Simultaneous events keep the turn of the lowest step that they matched at first.
        left.sort(key=lambda event: (event["time"], event["lowest"], sum(1 << bit for bit in bits_of(event, question))))
        valued.append((value, left))
    return valued


def bits_of(event: Mapping[str, Any], question: Mapping[str, Any]) -> list[int]:
    return [place - 1 for place in event["steps"]] + [len(question["steps"]) + place for place in event["excluded"]]


def best_run(stream: list[dict[str, Any]], question: Mapping[str, Any], since: datetime, until: datetime) -> list[datetime]:
    """The times of the run that counts; none when there is none, or when a run was spoilt."""
    limited = any(step.get("within") for step in question["steps"])
    walk = {"ordered": in_time if limited else ordered, "strict": strict, "any": unordered}[question["order"]]
    if question["order"] == "ordered":
        starts = [place for place in starts_of(stream, question) if since <= stream[place]["time"] < until]
        if limited and overtaken_spoilt(stream, starts, question):
            return []
    else:
        begins = [bool(event["steps"]) if question["order"] == "any" else 1 in event["steps"] for event in stream]
        starts = [place for place, event in enumerate(stream) if begins[place] and since <= event["time"] < until]
    runs: list[Run] = []
    for place in starts:
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


def starts_of(stream: list[dict[str, Any]], question: Mapping[str, Any]) -> list[int]:
    """Which events start a run, in order: those at one instant are one, and re-entry may rule some out."""
    starts: list[int] = []
    open_until: tuple[datetime, int] | None = None
    for place, event in enumerate(stream):
        if 1 not in event["steps"]:
            continue
        if question["reentry"] == "never" and starts:
            break
        if question["reentry"] == "after":
            if open_until and (event["time"], place) <= open_until:
                continue
            levels = arrivals(stream, place, question)
            if len(levels) == len(question["steps"]):
                open_until = (stream[levels[-1][0]]["time"], levels[-1][0])
            else:
                open_until = (event["time"] + question["window"], len(stream))
        if not starts or stream[starts[-1]]["time"] != event["time"]:
            starts.append(place)
    return starts


def arrivals(stream: list[dict[str, Any]], start: int, question: Mapping[str, Any]) -> list[list[int]]:
    """For each step that a run from there can get to, all events by which it can."""
    levels, limit = [[start]], stream[start]["time"] + question["window"]
    for number, step in enumerate(question["steps"][1:], 2):
        most = step.get("within") or question["window"]
        now = [
            place
            for place, event in enumerate(stream)
            if number in event["steps"]
            and event["time"] <= limit
            and any(before < place and event["time"] - stream[before]["time"] <= most for before in levels[-1])
        ]
        if not now:
            break
        levels.append(now)
    return levels


def in_time(stream: list[dict[str, Any]], start: int, question: Mapping[str, Any]) -> Run:
    return [places[0] for places in arrivals(stream, start, question)]


def overtaken_spoilt(stream: list[dict[str, Any]], starts: list[int], question: Mapping[str, Any]) -> bool:
    """Whether an excluded event hits the latest of the runs that had reached its first step by then."""
    runs = [in_time(stream, start, question) for start in starts]
    for place, event in enumerate(stream):
        for item in (question["exclusions"][number] for number in event["excluded"]):
            there = [run for run in runs if len(run) >= item["from_step"] and run[item["from_step"] - 1] < place]
            open_still = bool(there) and event["time"] <= stream[there[-1][0]]["time"] + question["window"]
            if open_still and (len(there[-1]) < item["to_step"] or there[-1][item["to_step"] - 1] >= place):
                return True
    return False


def each_run(stream: list[dict[str, Any]], question: Mapping[str, Any]) -> list[list[datetime]]:
    """All runs that were not spoilt, where each run counts."""
    if question["order"] == "strict":
        walked = [strict(stream, place, question) for place, event in enumerate(stream) if 1 in event["steps"]]
        return [[stream[place]["time"] for place in run] for run in walked if run]
    runs: dict[int, Run] = {start: [start] for start in starts_of(stream, question)}
    been: dict[int, dict[int, list[int]]] = {start: {1: [start]} for start in runs}  # by step, wherever the run was led there
    for place, event in enumerate(stream):
        for number in sorted(event["steps"] - {1}, reverse=True):
            before = [start for start, levels in been.items() if any(past < place for past in levels.get(number - 1, []))]
            if not before or event["time"] > stream[max(before)]["time"] + question["window"]:
                continue
            latest = max(before)
            most = question["steps"][number - 1].get("within") or question["window"]
            if not any(past < place and event["time"] - stream[past]["time"] <= most for past in been[latest][number - 1]):
                continue
            been[latest].setdefault(number, []).append(place)
            if len(runs[latest]) == number - 1:
                runs[latest].append(place)
    return [[stream[place]["time"] for place in run] for run in runs.values() if not run_spoilt(stream, run, question)]


def run_spoilt(stream: list[dict[str, Any]], run: Run, question: Mapping[str, Any]) -> bool:
    for item_place, item in enumerate(question["exclusions"]):
        if len(run) < item["from_step"]:
            continue
        first, last = run[item["from_step"] - 1], run[item["to_step"] - 1] if len(run) >= item["to_step"] else len(stream)
        for place in range(first + 1, min(last + 1, len(stream))):
            event = stream[place]
            if item_place in event["excluded"] and event["time"] <= stream[run[0]]["time"] + question["window"]:
                return True
    return False


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
        most = question["steps"][len(run)].get("within")
        if most and event["time"] - stream[run[-1]]["time"] > most:
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


def under_labels(runs: list[Found], question: Mapping[str, Any]) -> dict[str, list[tuple[str, Any, list[datetime]]]]:
    """Of each label, biggest first: person, period and run of each that is counted."""
    counted: dict[str, set[Any]] = {}
    for person, unit, value, _, _ in runs:
        counted.setdefault(value, set()).add((person, unit))  # for people, there is but one unit of each
    kept = sorted(counted, key=lambda value: (-len(counted[value]), value))[
        : question["breakdown"]["limit"] if question["breakdown"] else 1
    ]
    best: dict[Any, Any] = {}
    for person, unit, value, period, run in runs:
        key = (value if value in kept else "Other", person, unit, period)
        rank = (-len(run), run[-1], value, -run[0].timestamp(), run)
        if key not in best or rank < best[key]:
            best[key] = rank
    labelled: dict[str, list[Any]] = {} if question["breakdown"] else {"": []}
    for (label, person, _, period), rank in best.items():
        labelled.setdefault(label, []).append((person, period, rank[-1]))
    return labelled


def ordered_labels(sizes: Mapping[str, int]) -> list[str]:
    return sorted((label for label in sizes if sizes[label] >= 0), key=lambda label: (label == "Other", -sizes[label], label))


def under(question: Mapping[str, Any], label: str) -> dict[str, Any]:
    return {"breakdown": label} if question["breakdown"] else {}


def step_rows(labelled: Mapping[str, Any], question: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for label in ordered_labels({label: len(runs) for label, runs in labelled.items()}):
        runs = [run for _, _, run in labelled[label]]
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
        return sum(period == start and len(run) >= step for _, period, run in labelled[label])

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
        label: [(run[last_step] - run[first_step]) / timedelta(seconds=1) for _, _, run in runs if len(run) > last_step]
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


# ------------------------------------------------------- what goes with conversion


def having(
    events: Sequence[Event], question: Mapping[str, Any], now: datetime, of_people: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, str], set[tuple[str, bool]]]:
    """Of each property and value, who has it and whether he converted; ("", "") for all who entered."""
    span, steps = span_of(question, now), question["steps"]
    has: dict[tuple[str, str], set[tuple[str, bool]]] = {("", ""): set()}
    for person, _, run in under_labels(found(events, question, now), question)[""]:
        if len(run) < question["from_step"]:
            continue
        converted = len(run) >= question["to_step"]
        has["", ""].add((person, converted))
        for event in events:
            since = run[question["from_step"] - 1] <= event["time"] < span.end
            until = event["time"] < run[question["to_step"] - 1] if converted else event["time"] <= run[0] + question["window"]
            if event["person"] != person or not since or not until:
                continue
            pairs = [(name, event["properties"].get(name)) for name in question["properties"]]
            if question["correlate"] == "events":
                pairs = [] if any(matches(event, step) for step in steps) else [("@event", event["event"])]
            elif question["correlate"] == "person_properties":
                pairs = [(name, of_people[person].get(name)) for name in question["properties"]]
            for name, value in pairs:
                if value:
                    has.setdefault((name, value), set()).add((person, converted))
    return has


def correlation(
    events: Sequence[Event], question: Mapping[str, Any], now: datetime, of_people: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    has = having(events, question, now, of_people)
    everybody = has.pop(("", ""))
    all_s = sum(converted for _, converted in everybody)
    all_f = len(everybody) - all_s
    rows = []
    for (name, value), people in has.items():
        s = sum(converted for _, converted in people)
        f = len(people) - s
        rows.append(
            {
                "property": name,
                "value": value,
                "success_count": s,
                "failure_count": f,
                "success_total": all_s,
                "failure_total": all_f,
                "odds_ratio": ((s + 1) / (f + 1)) / ((all_s - s + 1) / (all_f - f + 1)),
                "p_value": by_chance(s, f, all_s, all_f),
            }
        )
    ordered_by_p = sorted(row["p_value"] for row in rows)
    level = max((p for place, p in enumerate(ordered_by_p, 1) if p <= 0.05 * place / len(rows)), default=-1.0)
    for row in rows:
        row["significant"] = row["p_value"] <= level
    return sorted(rows, key=lambda row: (-row["odds_ratio"], row["property"], row["value"]))


def by_chance(s: int, f: int, all_s: int, all_f: int) -> float:
    """Of all ways to choose s + f of the people, the part of those at most as likely as this one (Fisher)."""
    ways = {some: math.comb(all_s, some) * math.comb(all_f, s + f - some) for some in range(s + f + 1)}
    return sum(number for number in ways.values() if number <= ways[s]) / math.comb(all_s + all_f, s + f)
