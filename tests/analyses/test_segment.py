"""Questions about segments against the oracle of membership, and what they refuse."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_segment
from tests.analyses.behind import behind
from tests.analyses.test_segments import END, did, groups, happened, having, in_order, listed
from tests.analyses.worlds import Worlds, seeds

from almanac.core import time as times
from almanac.core.errors import AlmanacError

NOW = END + timedelta(hours=5)


# The many forms of a segment are tested by themselves; here it is the moments. Counts and sequences are read in another way than all else.
counts = st.recursive(
    did | in_order | listed, lambda inner: groups(inner) | groups(inner).map(lambda segment: {"segment": segment}), max_leaves=4
)
few = st.one_of(counts, counts, counts, did, in_order, st.builds(lambda segment: {"segment": segment}, groups(did | having)))


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    segments = draw(st.lists(groups(few), min_size=1, max_size=2))
    report = draw(st.sampled_from(["size", "overlap", "migration"]))
    named = [{"name": name, **segment} for name, segment in zip("xyz", segments, strict=False)]
    return {
        "kind": "segment",
        "segments": [{"segment": segment} if draw(st.booleans()) else segment for segment in named],
        "report": report,
        "interval": draw(st.sampled_from(["day", "week", "month"])),
        "date_from": draw(st.sampled_from(["2026-03-29", "2026-03-29T12:00:00"])),
        "date_to": draw(st.sampled_from([None, "2026-03-29", "2026-03-30T23:30:00"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"])),
        "week_start": draw(st.sampled_from(["monday", "sunday"])),
    }


def expected(events: list[dict[str, Any]], question: dict[str, Any]) -> list[tuple[dict[str, Any], set[str]]]:
    """The rows, and who is behind each."""
    zone = question["timezone"]
    span = times.resolve(question["date_from"], question["date_to"], now=NOW, zone=zone)
    segments = [item.get("segment", item) for item in question["segments"]]
    names = [segment["name"] for segment in segments]

    def who(place: int, moment: datetime) -> set[str]:
        return oracle_segment.members(segments[place], events, moment, zone)

    if question["report"] == "overlap":
        inside = [who(place, span.end) for place in range(len(segments))]
        found = []
        for size in range(1, len(segments) + 1):
            for some in combinations(range(len(segments)), size):
                every = set.intersection(*(inside[place] for place in some))
                alone = every - set().union(*(inside[place] for place in range(len(segments)) if place not in some))
                found.append(({"segments": [names[place] for place in some], "people": len(alone), "in_all": len(every)}, alone))
        return found
    if question["report"] == "migration":
        where: list[dict[str, str]] = [{}, {}]
        for side, moment in zip(where, (span.start, span.end), strict=True):
            for place in reversed(range(len(segments))):
                side.update(dict.fromkeys(who(place, moment), names[place]))
        found = []
        for before, after in product([*names, "None"], repeat=2):
            if (before, after) != ("None", "None"):
                went = {p for p in where[0] | where[1] if (where[0].get(p, "None"), where[1].get(p, "None")) == (before, after)}
                found.append(({"from_segment": before, "to_segment": after, "people": len(went)}, went))
        return found
    found = []
    for place, name in enumerate(names):
        for start in times.periods(span, question["interval"], week_start=question["week_start"]):
            end = times.shift(start, question["interval"], 1).astimezone(UTC)
            inside_then = who(place, min(end, span.end))
            row = {"segment": name, "period": start.date().isoformat(), "people": len(inside_then), "complete": end <= min(span.end, NOW)}
            found.append((row, inside_then))
    return found


SEEDS = seeds(200)
TWO_IDS = SEEDS[::8]


def sent(seed: int) -> list[dict[str, Any]]:
    """Some people have a second id, which some of their events came from."""
    chance = random.Random(seed)
    seconds = seed in TWO_IDS
    return [
        {**event, "person": "p4+" if seconds and event["person"] == "p4" and chance.random() < 0.5 else event["person"]}
        for event in happened(seed)
    ]


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, sent, lambda seed: {"p4+": "p4"} if seed in TWO_IDS else {})


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), pick=st.integers(0, 2**16))
def test_any_question_about_segments_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], pick: int) -> None:
    project, events = worlds[seed]
    world.now = NOW
    rows = world.engine.ask(project, question, fresh=True).rows
    told = expected(events, question)
    assert rows == [row for row, _ in told]
    row, people = told[pick // 2 % len(told)]
    if pick % 2:
        assert behind(world, project, question, row, {event["person"] for event in events}) == sorted(people)


def test_saved_segments_are_named(world: Any) -> None:
    world.now = NOW
    project = world.project()
    world.insert(project, [{"person": "ann", "event": "buy", "time": "2026-03-05T09:00:00Z"}])
    world.engine.definitions.save(project, "segment", "buyers", {"all": [{"did": "buy"}]})
    for segments in ("buyers", ["buyers"], [{"segment": "buyers"}]):
        question = {"kind": "segment", "segments": segments, "interval": "month", "date_from": "2026-02-01", "date_to": "2026-03-31"}
        answer = world.engine.ask(project, question)
        assert [(row["segment"], row["period"], row["people"]) for row in answer.rows] == [
            ("buyers", "2026-02-01", 0),
            ("buyers", "2026-03-01", 1),
        ]
        assert answer.receipt["definitions"] == [{"kind": "segment", "name": "buyers", "version": 1}]


def test_many_years_are_not_too_many(ask: Any) -> None:
    rows = ask([], {"kind": "segment", "segments": [BUYERS], "interval": "year", "date_from": "1960-01-01", "date_to": "2026-01-31"})
    assert (len(rows), rows[0]["period"], rows[-1]["people"]) == (67, "1960-01-01", 0)


BUYERS = {"name": "buyers", "all": [{"did": "buy"}]}


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({}, "segments", "missing"),
        ({"segments": []}, "segments", "at least 1"),
        ({"segments": ["nothing"]}, "segment", "There is no segment 'nothing'"),
        ({"segments": [BUYERS, BUYERS]}, "", "Two segments are called 'buyers'"),
        ({"segments": [{"segment": BUYERS, "at": "2026-01-01"}]}, "", "The question itself says when"),
        ({"segments": [BUYERS], "filters": [{"property": "plan", "value": "pro"}]}, "", "take no filters"),
        ({"segments": [{"all": [{"did": name}]} for name in "abcdefg"], "report": "overlap"}, "", "at most 6 segments"),
        ({"segments": [{**BUYERS, "name": "None"}], "report": "migration"}, "", "None is who is in no segment"),
        ({"segments": [BUYERS], "interval": "hour", "last": "60 days"}, "interval", "more than 400 periods"),
        ({"segments": [{**BUYERS, "name": str(place)} for place in range(20)], "last": "40 days"}, "interval", "more than 20 periods"),
        ({"segments": 5}, "segments", ""),
        ({"segments": [{"all": [{"done": "buy"}]}]}, "segments", "There is no field 'done'"),
    ],
)
def test_a_wrong_question_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], {"kind": "segment", **question})
    assert caught.value.code in ("invalid", "not_found")
    assert (place in caught.value.place, words in caught.value.message) == (True, True), caught.value


@pytest.mark.parametrize(
    ("report", "row", "place"),
    [
        ("size", {"segment": "buyers", "period": "2025-01-01"}, "period"),
        ("size", {"segment": "None", "period": "2026-03-31"}, "segment"),
        ("overlap", {"segments": ["sellers"]}, "segments"),
        ("overlap", {"segments": []}, "segments"),
        ("overlap", {"segments": "buyers"}, "segments"),
        ("migration", {"from_segment": "buyers"}, "to_segment"),
        ("migration", {"from_segment": "None", "to_segment": "None"}, "to_segment"),
    ],
)
def test_a_row_that_the_answer_does_not_have_has_nobody_behind_it(world: Any, report: str, row: dict[str, Any], place: str) -> None:
    world.now = NOW
    project = world.project()
    with pytest.raises(AlmanacError) as refused:
        behind(world, project, {"kind": "segment", "segments": [BUYERS], "report": report, "date_from": "2026-03-01"}, row, ["ann"])
    assert refused.value.place == place
