"""Attribution against the oracle in plain Python, its people, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_attribution
from tests.analyses.behind import people_behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError
from almanac.core.sql import Sql

START = datetime(2026, 3, 20, tzinfo=UTC)
ALL = ["first", "last", "last_non_direct", "linear", "position", "time_decay", "shapley", "markov"]
SAME = {"phone": "p0", "tablet": "p0", "laptop": "p1"}


def happenings(seed: int) -> list[dict[str, Any]]:
    """Random events of some people and of nobody, before, in and after the range; many at the same moment."""
    chance = random.Random(seed)
    ids = [f"p{person}" for person in range(12)] + ["phone", "tablet", "laptop", ""]
    return [
        {
            "person": chance.choice(ids),
            "event": chance.choice(["click", "click", "visit", "order", "ad_cost"]),
            "time": START + timedelta(hours=chance.randrange(-100, 400), minutes=chance.choice([0, 0, 0, 30])),
            "kind": chance.choice(["page", "track"]),
            "channel": chance.choice(["Direct", "Direct", "Email", "Paid Search", "Referral", ""]),
            "referrer": chance.choice(["", "", "https://example.com/"]),
            "properties": {
                "campaign": chance.choice(["spring", "autumn", "Direct", "Other", "zürich", "", None, 5, True]),
                "price": chance.choice([10, 2.5, "7", "many", None, True]),
                "cost": chance.choice([1, 4.5, None]),
            },
        }
        for _ in range(chance.randrange(0, 160))
    ]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    first = draw(st.sampled_from([0.0, 0.25, 0.4, 1.0]))
    return {
        "kind": "attribution",
        "conversion": {"event": draw(st.sampled_from(["order", "order", "click"]))},
        "measure": draw(st.sampled_from(["count", "unique", "value"])),
        "property": None,
        "touches": draw(st.sampled_from([None, {"event": "click"}, {"event": "visit"}])),
        "label": draw(st.sampled_from(["@channel", "campaign"])),
        "limit": draw(st.sampled_from([1, 2, 3, 20])),
        "models": draw(st.lists(st.sampled_from(ALL), min_size=1, max_size=8, unique=True)),
        "look_back": draw(st.sampled_from(["1 hours", "12 hours", "3 days", "30 days"])),
        "half_life": draw(st.sampled_from(["2 hours", "7 days"])),
        "first_weight": first,
        "last_weight": draw(st.sampled_from([0.0, 0.25, 0.6 if first <= 0.4 else 0.0])) if first < 1 else 0.0,
        "direct": draw(st.sampled_from([["Direct"], ["spring", "Email"], []])),
        "most_touches": draw(st.sampled_from([1, 2, 3, 100])),
        "interval": draw(st.sampled_from(["total", "total", "hour", "day", "week", "month"])),
        "costs": draw(st.sampled_from([None, {"events": {"event": "ad_cost"}, "property": "cost"}])),
        "date_from": draw(st.sampled_from(["2026-03-20", "2026-03-28T20:20:00"])),
        "date_to": draw(st.sampled_from([None, "2026-03-30"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu"])),
    }


SEEDS = seeds(200)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    return Worlds(world, SEEDS, happenings, lambda seed: SAME)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), hours=st.integers(250, 500))
def test_any_attribution_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], hours: int) -> None:
    project, merged = worlds[seed]
    asked = question if question["measure"] != "value" and not question["costs"] else {**question, "property": "price"}
    world.now = now = START + timedelta(hours=hours)
    rows = world.engine.ask(project, asked, fresh=True).rows
    expected = oracle_attribution.attribution(merged, question, now)
    told = [{name: value for name, value in row.items() if name != "people"} for row in expected]
    assert [(row.get("period"), row["touch"], row["model"]) for row in rows] == [
        (row.get("period"), row["touch"], row["model"]) for row in told
    ]
    for row, wanted in zip(rows, told, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6)
    for place in random.Random(seed).sample(range(len(rows)), min(1, len(rows))):
        assert len(people_behind(world, project, asked, rows[place])) == len(expected[place]["people"])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), shown=st.sampled_from([1, 2, 5, 50]), pick=st.integers(0, 2**16))
def test_any_paths_equal_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], shown: int, pick: int) -> None:
    plain = {name: value for name, value in question.items() if name not in ("models", "interval", "costs")}
    asked = {**plain, "view": "paths", "paths": shown, **({"property": "price"} if question["measure"] == "value" else {})}
    project, merged = worlds[seed]
    world.now = now = START + timedelta(hours=390)
    rows = world.engine.ask(project, asked, fresh=True).rows
    expected = oracle_attribution.attribution(merged, {**asked, "interval": "total", "costs": None, "models": ["first"]}, now)
    told = [{name: value for name, value in row.items() if name != "people"} for row in expected]
    assert [row["path"] for row in rows] == [row["path"] for row in told]
    for row, wanted in zip(rows, told, strict=True):
        assert {**row, "path": 0} == pytest.approx({**wanted, "path": 0}, abs=1e-6)
    if rows and pick % 3 == 0:
        chosen = pick // 3 % len(rows)
        assert len(people_behind(world, project, asked, rows[chosen])) == len(expected[chosen]["people"])


def at(person: str, event: str, hour: float, **properties: Any) -> dict[str, Any]:
    return {"person": person, "event": event, "time": (START + timedelta(hours=hour)).isoformat(), "properties": properties}


def asked(**fields: Any) -> dict[str, Any]:
    return {"kind": "attribution", "conversion": "order", "touches": "click", "label": "from", "date_from": "2026-03-20", **fields}


NOW = "2026-04-20T00:00:00Z"


def test_nothing_vanishes(answer: Any) -> None:
    """The credit of every model is all conversions: those of nobody, those without a touch, and those with."""
    events = [
        at("ann", "click", 1, **{"from": "a"}),
        at("ann", "order", 2),
        at("ann", "order", 3),
        at("bob", "order", 2),
        at("", "order", 2),
    ]
    got = answer(events, asked(models=ALL), now=NOW)
    for model in ALL:
        credit = {row["touch"]: row["conversions"] for row in got.rows if row["model"] == model}
        assert credit == {"a": 2.0, "": 2.0}
    assert got.receipt["exact"]


def test_a_path_that_is_cut_is_told(answer: Any) -> None:
    events = [*(at("ann", "click", hour, **{"from": f"c{hour}"}) for hour in range(5)), at("ann", "order", 6)]
    got = answer(events, asked(models="first", most_touches=2), now=NOW)
    assert [(row["touch"], row["conversions"]) for row in got.rows] == [("c3", 1.0), ("c4", 0.0)]
    assert got.receipt["notes"] == ["1 paths had more than 2 touches; their latest ones count."]


def test_an_empty_project_has_no_rows(ask: Any) -> None:
    assert ask([], asked(models=ALL, costs="ad_cost", interval="day"), now=NOW) == []
    assert ask([at("ann", "click", 1, **{"from": "a"})], asked(models=ALL), now=NOW) == []


def test_everything_ever_can_be_asked(ask: Any) -> None:
    """A window that reaches back before 1970 is no fault."""
    rows = ask(
        [at("ann", "click", 1, **{"from": "a"}), at("ann", "order", 2)],
        asked(date_from="1970-01-01", date_to="2090-01-01", look_back="3660 days", models="markov"),
        now=NOW,
    )
    assert [(row["touch"], row["conversions"]) for row in rows] == [("a", 1.0)]


def test_words_of_other_products_are_understood(ask: Any) -> None:
    events = [at("ann", "click", 1, **{"from": "a"}), at("ann", "order", 2)]
    rows = ask(events, asked(models=["first_touch", "u_shaped", "first"]), now=NOW)
    assert [row["model"] for row in rows] == ["first", "position"]


def test_one_person_may_do_what_a_million_do(world: Any) -> None:
    """Every second event of one person a conversion, every label another: bounded memory, and the credit is whole."""
    project = world.project()
    world.store.execute(
        Sql(
            "INSERT INTO events (project, event, day, person_hash, time, id, distinct_id, properties) SELECT {p:String},"
            " if(number % 2, 'order', 'click'), toDate(moment), 7, moment, generateUUIDv4(), 'one',"
            " concat('{\"from\":\"', toString(number), '\"}')"
            " FROM (SELECT number, toDateTime64('2026-03-20 00:00:00', 6, 'UTC') + number AS moment FROM numbers(200000))",
            {"p": project},
        )
    )
    world.now = datetime(2026, 4, 20, tzinfo=UTC)
    rows = world.engine.ask(project, asked(models=["first", "markov"], limit=2)).rows
    for model in ("first", "markov"):
        assert sum(row["conversions"] for row in rows if row["model"] == model) == pytest.approx(100_000, abs=1e-3)
    assert {row["touch"] for row in rows} == {"0", "10", "Other"}


@pytest.mark.parametrize(
    ("question", "place", "words"),
    [
        ({"conversion": None}, "conversion", "an event's name or an object"),
        ({"view": "paths", "models": ["last"]}, "", "does not go with the view paths"),
        ({"view": "paths", "interval": "day"}, "", "does not go"),
        ({"paths": 0}, "paths", "greater than or equal to 1"),
        ({"models": ["best"]}, "models", "not possible"),
        ({"models": []}, "models", "at least 1"),
        ({"look_back": "0 days"}, "look_back.value", "greater than 0"),
        ({"look_back": "20 months 3 days"}, "look_back", "not a length of time"),
        ({"look_back": "4000 days"}, "look_back", "at most 3660 days"),
        ({"half_life": "0 hours"}, "half_life.value", "greater than 0"),
        ({"first_weight": 0.7, "last_weight": 0.7}, "", "sum up to 1.4"),
        ({"models": "markov", "limit": 101}, "", "at most 100"),
        ({"limit": 0}, "limit", "greater than or equal to 1"),
        ({"most_touches": 501}, "most_touches", "less than or equal to 500"),
        ({"label": "@chanel"}, "label", "no built-in column"),
        ({"property": "@price"}, "property", "no built-in column"),
        ({"date_from": "2026-04-01", "date_to": "2026-03-01"}, "date_to", "ends before"),
        ({"interval": "hour", "last": "3 years", "date_from": None}, "interval", "more than 10000 periods"),
        ({"costs": {"events": "ad_cost", "prop": "x", "extra": 1}}, "costs.extra", "no field"),
    ],
)
def test_a_wrong_attribution_is_refused_by_the_name_of_its_field(ask: Any, question: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([at("ann", "order", 2)], asked(**question), now=NOW)
    assert caught.value.code == "invalid"
    assert (caught.value.place.startswith(place), words in caught.value.message) == (True, True), (caught.value.place, caught.value)


def test_a_row_that_is_not_of_the_answer_has_no_people(world: Any) -> None:
    project = world.project()
    with pytest.raises(AlmanacError, match="names no path"):
        people_behind(world, project, asked(view="paths"), {"path": "a"})
    for row in (
        {"model": "best", "touch": "a"},
        {"model": "first", "touch": None},
        {"model": "first", "touch": "a", "period": "2020-01-01"},
    ):
        with pytest.raises(AlmanacError) as caught:
            people_behind(world, project, asked(interval="day"), row)
        assert caught.value.place == "row"
