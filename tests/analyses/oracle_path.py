"""Paths in plain Python, written from the question's description alone: session by session, node by node, to be compared with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from almanac.core import time as times

Event = Mapping[str, Any]
Visit = tuple[str, datetime]


def path(events: Sequence[Event], question: Mapping[str, Any], now: datetime, order: Mapping[str, int]) -> list[dict[str, Any]]:
    """The rows, each with `who`, the people behind it. Every field is given. `order`: the fixed order of the nodes, by their names."""
    span = times.resolve(question["date_from"], question["date_to"], now=now, zone=question["timezone"])
    by_person: dict[str, list[Visit]] = {}
    for event in events:
        name = node(event, question)
        if event["person"] and name and span.start <= event["time"] < span.end and counts(event, question):
            by_person.setdefault(event["person"], []).append((name, event["time"]))
    edges: dict[int, dict[tuple[str, str], list[tuple[str, float]]]] = {}
    for person, visits in by_person.items():
        for session in sessions(sorted(visits, key=lambda visit: (visit[1], order[visit[0]])), question):
            nodes = cut(collapsed(session), question)
            for place in range(len(nodes) - 1):
                (here, at), (there, then) = nodes[place], nodes[place + 1]
                number = place + 1 if question["count_from"] == "start" else place + 1 - len(nodes)
                edges.setdefault(number, {}).setdefault((here, there), []).append((person, (then - at).total_seconds()))
    rows = []
    for place in sorted(edges):
        found = sorted(edges[place].items(), key=lambda edge: (-len(edge[1]), order[edge[0][0]], order[edge[0][1]]))
        shown = [(names, taken) for names, taken in found[: question["edges"]] if len(taken) >= question["minimum"]]
        shown.sort(key=lambda edge: (-len(edge[1]), edge[0]))
        if rest := [one for _, taken in found[len(shown) :] for one in taken]:
            shown.append((("Other", "Other"), rest))
        rows += [row(place, names, taken) for names, taken in shown]
    return rows


def row(place: int, names: tuple[str, str], taken: list[tuple[str, float]]) -> dict[str, Any]:
    seconds = [pause for _, pause in taken]
    who = {person for person, _ in taken}
    return {
        "step": place,
        "from_node": names[0],
        "to_node": names[1],
        "sessions": len(taken),
        "people": len(who),
        "average_seconds": sum(seconds) / len(seconds),
        "median_seconds": median(seconds),
        "who": who,
    }


def node(event: Event, question: Mapping[str, Any]) -> str:
    named_by = question["property"]
    name = text(event["properties"].get(named_by)) if named_by else event[{"page": "path"}.get(question["node"], question["node"])]
    if not name:
        return ""
    if question["node"] == "page":
        name = without_slashes(name)
    for rule in question["patterns"]:
        rule = {"pattern": rule} if isinstance(rule, str) else rule
        wildcard = "".join(".*" if letter == "*" else re.escape(letter) for letter in rule["pattern"])
        fits = re.search(rule["pattern"], name) if rule.get("regex") else re.fullmatch(wildcard, name, re.DOTALL)
        if fits:
            return rule.get("name") or rule["pattern"]
    return str(name)


def without_slashes(page: str) -> str:
    while page.endswith("/") and page != "/":
        page = page[:-1]
    return page


def text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def counts(event: Event, question: Mapping[str, Any]) -> bool:
    only, exclude = question["only"], question["exclude"]
    return (not only or any(matches(event, item) for item in only)) and not any(matches(event, item) for item in exclude)


def matches(event: Event, selector: Any) -> bool:
    if isinstance(selector, str):
        return bool(event["event"] == selector)
    filters = selector.get("filters", [])
    return event["event"] == selector["event"] and all(event["properties"].get(item["property"]) == item["value"] for item in filters)


def sessions(visits: list[Visit], question: Mapping[str, Any]) -> list[list[Visit]]:
    if question["within"] == "person":
        return [visits]
    gap = timedelta(minutes=question["session_gap"]["value"])
    found: list[list[Visit]] = []
    for visit in visits:
        if not found or visit[1] - found[-1][-1][1] >= gap:
            found.append([])
        found[-1].append(visit)
    return found


def collapsed(session: list[Visit]) -> list[Visit]:
    return [visit for place, visit in enumerate(session) if place + 1 == len(session) or session[place + 1][0] != visit[0]]


def cut(nodes: list[Visit], question: Mapping[str, Any]) -> list[Visit]:
    steps, names = question["steps"], [name for name, _ in nodes]
    page = question["node"] == "page"
    start, end = (without_slashes(name) if name and page else name for name in (question["start"], question["end"]))
    if start:
        if start not in names:
            return []
        nodes = nodes[names.index(start) :]
        if not end:
            return nodes[:steps]
    if not end:
        return nodes[:steps]
    ends = [place for place, (name, _) in enumerate(nodes) if name == end and (place > 0 or not start)]
    if not ends:
        return []
    nodes = nodes[: ends[0] + 1]
    if not start:
        return nodes[-steps:]
    half = steps // 2
    return nodes if len(nodes) <= steps else [*nodes[:half], ("...", nodes[-half - 1][1]), *nodes[-half:]]
