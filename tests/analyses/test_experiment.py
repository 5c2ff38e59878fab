"""Experiments against the oracle in plain Python, and the rules that the oracle does not show."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.analyses import oracle_experiment
from tests.analyses.behind import people_behind
from tests.analyses.worlds import Worlds, seeds

from almanac.core.errors import AlmanacError

START = datetime(2026, 3, 28, 12, tzinfo=UTC)  # Europe's clocks change in the night to the 29th
NOW = datetime(2026, 4, 20, tzinfo=UTC)
PEOPLE = [f"p{place}" for place in range(24)]
METRICS: list[dict[str, Any]] = [
    {"name": "share", "type": "proportion", "event": "a"},
    {"name": "times", "type": "count", "event": "a"},
    {"name": "spent", "type": "sum", "event": "a", "property": "amount"},
    {"name": "capped", "type": "sum", "event": "a", "property": "amount", "winsorize": 0.8},
    {"name": "back", "type": "retention", "event": "a", "after": {"value": 120, "unit": "minute"}},
    {"name": "each", "type": "ratio", "event": "a", "property": "amount", "denominator": "b"},
    {"name": "middle", "type": "quantile", "event": "a", "property": "amount", "quantile": 0.6},
    {"name": "way", "type": "funnel", "steps": ["a", "b", "a"]},
]
SHARES = ("proportion", "retention", "funnel")


def events_of(seed: int) -> list[dict[str, Any]]:
    """Random events of 24 people in steps of half an hour, many at one instant; some before the range."""
    chance = random.Random(seed)
    events = []
    for person in PEOPLE:
        plan = chance.choice(["pro", "free", "", "team", None])
        for _ in range(chance.randrange(1, 12)):
            minutes = chance.choice([0, 30, 60, 90, 120, 150, 180, 600, 1440, -30, -60, -600]) + chance.choice([0, 0, 60, 700])
            amount = chance.choice([1, 2.5, -3, 40, 0, "odd", None, True, [1]])
            event = chance.choice(["seen", "seen", "a", "a", "b"])
            shown = chance.choices(["control", "test", "third", "", None], [6, 6, 2, 1, 1])[0] if chance.random() < 0.1 else None
            variant = shown or ("control" if int(person[1:]) % 2 else "test")
            properties = {"amount": amount, "plan": plan, **({"variant": variant} if event == "seen" else {})}
            properties = {name: value for name, value in properties.items() if value is not None}
            events.append({"person": person, "event": event, "time": START + timedelta(minutes=minutes), "properties": properties})
    return [*events, {"person": "", "event": "seen", "time": START, "properties": {"variant": "test"}}]


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    cuped = draw(st.sampled_from([None, 60, 720]))
    window = draw(st.sampled_from([None, 120, 1440]))
    return {
        "kind": "experiment",
        "exposure": "seen",
        "metrics": draw(st.lists(st.sampled_from(METRICS[: 5 if cuped else 8]), min_size=1, max_size=4, unique_by=lambda one: one["name"])),
        "window": window,
        "complete_only": bool(window) and draw(st.booleans()),
        "cuped": cuped,
        "effect": "absolute",
        "breakdown": draw(st.sampled_from([None, None, 1, 3])),
        "date_from": draw(st.sampled_from(["2026-03-28", "2026-03-28T12:30:00+00:00"])),
        "date_to": draw(st.sampled_from(["2026-03-28", "2026-03-29", "2026-04-10"])),
        "timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles"])),
    }


def written(question: Mapping[str, Any]) -> dict[str, Any]:
    lengths = {name: {"value": question[name], "unit": "minute"} for name in ("window", "cuped") if question[name]}
    broken = {"property": "plan", "limit": question["breakdown"]} if question["breakdown"] else None
    return {**question, "window": None, "cuped": None, **lengths, "breakdown": broken}


SEEDS = seeds(200)


@pytest.fixture(scope="module")
def worlds(world: Any) -> Worlds:
    """In every eighth p1 is p0 and p3 is p2, so that they saw both variants."""
    return Worlds(world, SEEDS, events_of, lambda seed: {"p1": "p0", "p3": "p2"} if seed in SEEDS[::8] else {})


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), question=questions(), pick=st.integers(0, 2**16))
def test_any_experiment_equals_the_oracle(world: Any, worlds: Worlds, seed: int, question: dict[str, Any], pick: int) -> None:
    project, happened = worlds[seed]
    world.now = NOW
    answer = world.engine.ask(project, written(question), fresh=True)
    expected = oracle_experiment.experiment(happened, question, NOW)
    cells = expected["cells"]
    found = {(row.get("breakdown", ""), row["metric"], row["variant"]): row for row in answer.rows}
    assert {key for key, row in found.items() if row["people"]} == set(cells)
    assert answer.receipt["notes"][: bool(expected["mixed"])] == (
        [f"{expected['mixed']} people saw several variants and are left out."] if expected["mixed"] else []
    )
    for key, row in found.items():
        metric = next(metric for metric in METRICS if metric["name"] == row["metric"])
        cell = cells.get(key, {"people": set(), "values": [], "others": []})
        assert row["people"] == len(cell["people"])
        assert row["value"] == pytest.approx(oracle_experiment.shown_value(metric, cell)), key
        control = cells.get((key[0], key[1], "control"), {"people": set(), "values": [], "others": []})
        if key[2] == "control" or metric["type"] in ("ratio", "quantile"):
            continue
        shares = metric["type"] in SHARES
        if not question["cuped"]:
            effect, error = oracle_experiment.welch(control["values"], cell["values"], shares)
            assert (row["effect"], row["standard_error"]) == (pytest.approx(effect), pytest.approx(error)), key
        elif not shares:
            effect, error = oracle_experiment.cuped(control, cell, shares)
            if error > 1e-9:  # where the covariate says all, nothing is left to be compared
                assert (row["effect"], row["standard_error"]) == (pytest.approx(effect), pytest.approx(error)), key
    if found:
        key = sorted(found)[pick % len(found)]
        assert len(people_behind(world, project, written(question), found[key])) == found[key]["people"]


def seen(person: str, variant: Any = "test", **more: Any) -> dict[str, Any]:
    return {"person": person, "event": "seen", "time": START.isoformat(), "properties": {"variant": variant, **more}}


def asked(**more: Any) -> dict[str, Any]:
    return {"kind": "experiment", "exposure": "seen", "metrics": [{"event": "a"}], "date_from": "2026-03-28", **more}


def test_the_usual_exposures_are_known_by_the_name_of_the_experiment(ask: Any) -> None:
    def event(person: str, name: str, **properties: Any) -> dict[str, Any]:
        return {"person": person, "event": name, "time": START.isoformat(), "properties": properties}

    events = [
        event("ann", "$feature_flag_called", **{"$feature_flag": "new-cart", "$feature_flag_response": "control"}),
        event("bob", "$feature_flag_called", **{"$feature_flag": "another", "$feature_flag_response": "control"}),
        event("cat", "Experiment Viewed", experiment_id="new-cart", variation_name="test", variation_id="7"),
        event("dan", "experiment_viewed", experiment_name="new-cart", variation_id="test"),
    ]
    rows = ask(events, asked(exposure=None, experiment="new-cart"), now=NOW)
    assert [(row["variant"], row["people"]) for row in rows] == [("control", 1), ("test", 2)]


@pytest.mark.parametrize(
    ("events", "more", "words"),
    [
        ([], {}, "Nobody was exposed"),
        ([seen("ann")], {}, "Nobody saw the control 'control'; seen were test."),
        ([seen("ann"), seen("bob", "control")], {}, "fewer than two people on one side"),
        ([seen(f"p{place}", "test" if place else "control") for place in range(20)], {}, "split of people is not what it should be"),
        ([seen(name, name[0]) for name in ("a1", "a2", "b1", "b2")], {"control": "a"}, "no spread on one side"),
    ],
)
def test_what_cannot_be_compared_is_neutral_and_says_so(answer: Any, events: Any, more: dict[str, Any], words: str) -> None:
    got = answer(events, asked(**more), now=NOW)
    assert any(words in note for note in got.receipt["notes"]), got.receipt["notes"]
    judged = [row for row in got.rows if row["effect"] is not None]
    assert {(row["effect"], row["p_value"]) for row in judged} <= {(0, 1)}


def test_a_million_values_are_no_variants(ask: Any) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([seen(f"p{place}", f"v{place}") for place in range(300)], asked(), now=NOW)
    assert (caught.value.place, "more than 20 values" in caught.value.message) == ("variants", True)
    rows = ask([seen(f"p{place}", f"v{place}") for place in range(300)], asked(variants=["v1", "v7"], control="v7"), now=NOW)
    assert [(row["variant"], row["people"]) for row in rows] == [("v7", 1), ("v1", 1)]


def test_corrections_are_over_all_comparisons(ask: Any) -> None:
    events = [seen(f"{variant}{place}", variant) for variant in ("control", "b", "c") for place in range(30)]
    events += [{**seen(f"b{place}"), "event": "a"} for place in range(15)]
    events += [{**seen(f"{variant}{place}"), "event": "a"} for variant in ("control", "c") for place in range(5)]
    plain, corrected = (ask(events, asked(correction=name, effect="absolute"), now=NOW) for name in ("none", "holm"))
    p = {row["variant"]: row["p_value"] for row in plain[1:]}
    assert {row["variant"]: row["corrected_p_value"] for row in corrected[1:]} == {"b": pytest.approx(2 * p["b"]), "c": p["c"]}
    assert [row["significant"] for row in corrected] == [None, True, False]


SAVED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "orders": ({"event": "a"}, {"type": "count", "event": "a"}),
    "money": (
        {
            "event": "a",
            "measure": "sum",
            "property": "amount",
            "direction": "down",
            "filters": [{"property": "amount", "op": ">", "value": 1}],
        },
        {
            "type": "sum",
            "event": {"event": "a", "filters": [{"property": "amount", "op": ">", "value": 1}]},
            "property": "amount",
            "goal": "decrease",
        },
    ),
    "buyers": ({"event": "a", "measure": "unique"}, {"type": "proportion", "event": "a"}),
    "middle": ({"event": "a", "measure": "median", "property": "amount"}, {"type": "quantile", "event": "a", "property": "amount"}),
    "upper": (
        {"event": "a", "measure": "p90", "property": "amount"},
        {"type": "quantile", "event": "a", "property": "amount", "quantile": 0.9},
    ),
    "each": (
        {"formula": "x / y", "of": {"x": {"event": "a", "measure": "sum", "property": "amount"}, "y": {"metric": "visits"}}},
        {"type": "ratio", "event": "a", "property": "amount", "denominator": "b"},
    ),
}


def with_metrics(world: Any) -> str:
    project: str = world.project()
    world.insert(project, [{**event, "time": event["time"].isoformat()} for event in events_of(3)])
    world.now = NOW
    for name, body in {"visits": {"event": "b"}, **{name: saved for name, (saved, _) in SAVED.items()}}.items():
        world.engine.definitions.save(project, "metric", name, body)
    return project


@pytest.mark.parametrize("method", ["welch", "bayesian"])
def test_a_saved_metric_is_the_same_as_its_own_form_written_out(world: Any, method: str) -> None:
    project = with_metrics(world)
    for name, (_, written_out) in SAVED.items():
        by_name, plain = (
            world.engine.ask(project, asked(metrics=[metric], method=method))
            for metric in ({"metric": name}, {**written_out, "name": name})
        )
        assert by_name.rows == plain.rows
        assert {row["metric"] for row in by_name.rows} == {name}
        assert {item["name"] for item in by_name.receipt["definitions"]} == ({name, "visits"} if name == "each" else {name})


def test_the_mean_of_a_saved_metric_is_of_events_with_a_number(world: Any) -> None:
    """As the trend of the same metric has it: of all variants together, the sums and numbers of the ratio give the trend's mean."""
    project = world.project()
    amounts = {"ann": [10, 20], "bob": [60, "odd", None]}
    events = [seen("ann"), seen("bob", "control")]
    events += [{**seen(person), "event": "a", "properties": {"amount": one}} for person, given in amounts.items() for one in given]
    world.insert(project, events)
    world.now = NOW
    world.engine.definitions.save(project, "metric", "basket", {"event": "a", "measure": "average", "property": "amount"})
    rows = world.engine.ask(project, asked(metrics=[{"metric": "basket"}])).rows
    assert {row["variant"]: row["value"] for row in rows} == {"test": 15, "control": 60}


@pytest.mark.parametrize(
    ("saved", "given", "words"),
    [
        ({"event": "a", "measure": "max", "property": "amount"}, {}, "is a max, which variants cannot be compared by"),
        ({"event": "a", "measure": "count_per_person"}, {}, "is a count_per_person"),
        ({"event": "a", "measure": "quantile", "quantile": 1, "property": "amount"}, {}, "least or greatest value"),
        ({"formula": "x / y * 100", "of": {"x": "a", "y": "b"}}, {}, "a / b of two counts or sums"),
        ({"formula": "x / y", "of": {"x": "a", "y": {"event": "b", "measure": "unique"}}}, {}, "a / b of two counts or sums"),
        ({"event": "a", "measure": "average", "property": "amount", "per": "person"}, {}, "is reckoned per person"),
        ({"event": "a"}, {"event": "b"}, "event is the metric's to say"),
        ({"event": "a"}, {"type": "count"}, "type is the metric's to say"),
        (None, {}, "there is no metric 'one'"),
    ],
)
def test_a_saved_metric_that_variants_cannot_be_compared_by_is_refused(world: Any, saved: Any, given: dict[str, Any], words: str) -> None:
    project = world.project()
    if saved:
        world.engine.definitions.save(project, "metric", "one", saved)
    with pytest.raises(AlmanacError) as caught:
        world.engine.ask(project, asked(metrics=[{"metric": "one", **given}]))
    assert words in caught.value.message.lower(), caught.value


def test_a_saved_experiment_keeps_the_name_of_its_metric(world: Any) -> None:
    project = with_metrics(world)
    question = asked(metrics=[{"metric": "orders"}], cuped="1 day", effect="absolute")
    kept = world.engine.definitions.save(project, "question", "cart", question).body
    assert kept["metrics"] == [{"metric": "orders"}]
    assert world.engine.ask(project, {"saved": "cart"}).rows == world.engine.ask(project, question).rows


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"exposure": None}, "either experiment or exposure"),
        ({"experiment": "f"}, "either experiment or exposure"),
        ({"metrics": []}, "at least 1"),
        ({"metrics": [{"event": "a"}] * 2}, "same name"),
        ({"metrics": [{"type": "sum", "event": "a"}]}, "needs a property"),
        ({"metrics": [{"event": "a", "property": "x"}]}, "has no property"),
        ({"metrics": [{"type": "ratio", "event": "a"}]}, "needs a denominator"),
        ({"metrics": [{"type": "funnel"}]}, "needs steps"),
        ({"metrics": [{"type": "funnel", "event": "a", "steps": ["a"]}]}, "no event"),
        ({"metrics": [{"type": "funnel", "steps": ["a"] * 11}]}, "at most 10"),
        ({"metrics": [{"type": "retention", "event": "a"}]}, "needs after"),
        ({"metrics": [{"event": "a", "winsorize": 0.9}]}, "winsorize goes with"),
        ({"metrics": [{"event": "a", "steps": ["a"]}]}, "needs steps, and nothing else"),
        ({"metrics": [{}]}, "needs an event"),
        ({"window": "0 days"}, "greater than 0"),
        ({"variants": ["a", "b"]}, "not among the variants"),
        ({"variants": ["control", "control"]}, "one twice"),
        ({"shares": {"control": -1}}, "from 0 to 100"),
        ({"complete_only": True}, "needs a window"),
        ({"prior": {"sd": 1}}, "goes with the method bayesian"),
        ({"method": "bayesian", "correction": "holm"}, "do not go with the method bayesian"),
        ({"cuped": "7 days", "metrics": [{"type": "funnel", "steps": ["a"]}]}, "cuped does not go with funnel"),
        ({"window": "1 day", "metrics": [{"type": "retention", "event": "a", "after": "2 days"}]}, "longer than the window"),
        ({"date_to": "2026-03-01"}, "ends before it starts"),
        ({"alpha": 0}, "greater than 0"),
    ],
)
def test_a_wrong_experiment_is_refused_with_a_sentence(ask: Any, more: dict[str, Any], words: str) -> None:
    with pytest.raises(AlmanacError) as caught:
        ask([], asked(**more), now=NOW)
    assert caught.value.code == "invalid"
    assert words in caught.value.message.lower(), caught.value
