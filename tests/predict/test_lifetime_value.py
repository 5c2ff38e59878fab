"""The models of lifetime value: published figures, people made by the model itself, and data that hold nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from almanac.predict import lifetime_value as model

SHARED = Path(__file__).parents[2] / ".." / "shared"
TRUTH = (0.6, 20.0, 0.8, 2.5)  # r, alpha, a, b


def cdnow() -> list[np.ndarray]:
    path = SHARED / "data" / "cdnow" / "cdnow_customers_summary.csv"
    if not path.exists():
        pytest.skip("the shared folder with data sets is not beside this checkout")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return [np.array([float(row[name]) for row in rows]) for name in ("frequency", "recency", "T")]


def test_published_parameters() -> None:
    """Fader, Hardie and Lee 2005, table 2; the case that belongs to it."""
    repeats, recency, age = cdnow()
    fitted = model.fit_purchases(np.ones(len(age)), repeats, recency, age)
    assert np.round(fitted.parameters, 3) == pytest.approx([0.243, 4.414, 0.793, 2.426])
    assert fitted.log_likelihood == pytest.approx(-9582.4, abs=0.05)
    cases = [json.loads(line) for line in (SHARED / "cases" / "model_cases.jsonl").read_text().splitlines()]
    (case,) = [case for case in cases if case["kind"] == "bg_nbd"]
    assert dict(zip(fitted.names, fitted.parameters, strict=True)) == pytest.approx(case["expected"], abs=case["tolerance"])


def test_a_published_customer() -> None:
    """The paper's worked customer: 2 repeat purchases, the last in week 30.43 of 38.86; 1.226 are expected in the next 39 weeks."""
    parameters = np.array([0.243, 4.414, 0.793, 2.426])
    mean, _ = model.purchases(parameters, np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert mean == pytest.approx([1.226], abs=5e-4)


def test_cells_are_as_good_as_people() -> None:
    repeats, recency, age = cdnow()
    people, inverse = np.unique(np.stack([repeats, recency, age]), axis=1, return_inverse=True)
    one = model.fit_purchases(np.ones(len(age)), repeats, recency, age)
    counted = model.fit_purchases(np.bincount(inverse.ravel()).astype(float), *people)
    assert len(people[0]) < len(age)
    assert counted.parameters == pytest.approx(one.parameters, rel=1e-4)


def made(seed: int, count: int, horizon: float) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """People who behave as the models say: (repeats, recency, age, spent), their purchases and their spending in the horizon."""
    chance = np.random.default_rng(seed)
    r, alpha, a, b = TRUTH
    rows, later, spending = [], [], []
    for rate, leaves, age, each in zip(
        chance.gamma(r, 1 / alpha, count),
        chance.beta(a, b, count),
        chance.integers(100, 200, count),
        chance.gamma(5, 1 / 20, count),
        strict=True,
    ):
        times, now = [], 0.0
        while True:
            now += chance.exponential(1 / rate)
            if now > age + horizon:
                break
            times.append(now)
            if chance.random() < leaves:
                break
        before = [moment for moment in times if moment <= age]
        values = chance.gamma(6, 1 / (each * 6), len(times)) * 1.0
        rows.append((len(before), before[-1] if before else 0.0, age, values[: len(before)].sum()))
        later.append(len(times) - len(before))
        spending.append(values[len(before) :].sum())
    return list(np.array(rows, dtype=float).T), np.array(later, dtype=float), np.array(spending)


def test_intervals_hold_what_they_say() -> None:
    """Of 60 groups of 300 people each, about 95 % lie within; fewer than 52 would be so one time in a thousand."""
    held_purchases = held_values = 0
    for seed in range(20):
        (repeats, recency, age, spent), later, spending = made(seed, 900, 90.0)
        one = np.ones(900)
        bought = model.fit_purchases(one, repeats, recency, age)
        paying = repeats > 0
        mean = spent[paying] / repeats[paying]
        worth = model.fit_values(one[paying], repeats[paying], mean, np.log(mean))
        group = np.arange(900) % 3
        future = model.forecast(bought, worth, model.Histories(one, repeats, recency, age, spent, spent**2), group, 3, 90.0)
        assert future.value_low is not None
        assert future.value_high is not None
        counts, sums = np.bincount(group, later), np.bincount(group, spending)
        held_purchases += int(((future.purchases_low <= counts) & (counts <= future.purchases_high)).sum())
        held_values += int(((future.value_low <= sums) & (sums <= future.value_high)).sum())
    assert held_purchases >= 52
    assert held_values >= 52


@pytest.mark.parametrize("repeats", [0.0, 2.0, 15.0])
def test_mean_and_square_are_those_of_a_simulation(repeats: float) -> None:
    chance = np.random.default_rng(1)
    r, alpha, a, b = TRUTH
    count, age, horizon = 400_000, 120.0, 90.0
    rate, leaves = chance.gamma(r + repeats, 1 / (alpha + age), count), chance.beta(a, b + repeats, count)
    bought = np.minimum(chance.poisson(rate * horizon), chance.geometric(np.maximum(leaves, 1e-12))).astype(float)
    recency = np.array([age if repeats else 0.0])
    still = model.active(np.array(TRUTH), np.array([repeats]), recency, np.array([age]))
    mean, square = model.purchases(np.array(TRUTH), np.array([repeats]), recency, np.array([age]), horizon)
    assert mean / still == pytest.approx([bought.mean()], rel=0.01)
    assert square / still == pytest.approx([(bought**2).mean()], rel=0.02)


def test_who_never_bought_again_has_not_left() -> None:
    assert model.active(np.array(TRUTH), np.array([0.0]), np.array([0.0]), np.array([500.0])) == pytest.approx([1.0])
    long_ago, lately = model.active(np.array(TRUTH), np.array([9.0, 9.0]), np.array([30.0, 290.0]), np.array([300.0, 300.0]))
    assert long_ago < 0.05 < 0.8 < lately < 1


def test_people_who_are_all_alike_run_to_an_edge_and_stay_sane() -> None:
    """Everybody buys every tenth day and nobody leaves: 9 more are expected in 90 days, whatever the parameters are."""
    same = np.full(50, 9.0)
    fitted = model.fit_purchases(np.ones(50), same, same * 10, same * 10)
    assert fitted.at_edge
    cells = model.Histories(np.ones(50), same, same * 10, same * 10, same, same)
    future = model.forecast(fitted, None, cells, np.zeros(50, dtype=np.int64), 1, 90.0)
    assert future.purchases == pytest.approx([450.0], rel=0.02)
    assert 300 < future.purchases_low[0] < 450 < future.purchases_high[0] < 600
    assert future.value is None


def test_values_without_a_mean_are_refused() -> None:
    wild = np.tan(np.linspace(0.01, 1.55, 40)) ** 2  # a tail that falls as the square root
    with pytest.raises(model.TooLittleError, match="no mean"):
        model.fit_values(np.ones(40), np.ones(40), wild, np.log(wild))


def test_too_few_people_are_refused() -> None:
    one = np.ones(9)
    with pytest.raises(model.TooLittleError, match="Only 9 people bought again"):
        model.fit_purchases(one, one, one, 2 * one)
    with pytest.raises(model.TooLittleError, match="Only 9 people"):
        model.fit_values(one, one, one * 5, np.log(one * 5))
