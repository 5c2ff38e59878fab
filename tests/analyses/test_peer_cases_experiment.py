"""The worked cases of experiments, through the arithmetic alone. Cases that are not followed stand below with their reasons."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from scipy import special

from almanac.predict import experiment as stats

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "abtest_cases.jsonl"
NOT_FOLLOWED = {
    "power_mean_sequential": "power is reckoned for the interval of all people of both sides, in which the peer differs",
    "mde_mean_sequential": "the least effect to be found goes by the same interval of all people of both sides",
    "group_sequential_interval": "looks at any time are the confidence sequence's; alpha * t^2 is not offered",
    "group_sequential_adjusted_alpha": "looks are not planned beforehand, so that no alpha is spent on each",
}
SIDES = {"greater": "greater", "lesser": "less"}


def worked_cases() -> list[Any]:
    if not CASES.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason="the shared folder with worked cases is not beside this checkout"))]
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    assert {case["kind"] for case in cases if case["strength"] == "general"}.isdisjoint(NOT_FOLLOWED)
    return [pytest.param(case, id=case["id"]) for case in cases if case["kind"] not in NOT_FOLLOWED]


def sample(of: dict[str, Any]) -> stats.Sample:
    if of["type"] == "proportion":
        return stats.proportion(of["n"], of["successes"])
    if of["type"] == "mean":
        return stats.mean(stats.moments(of["n"], of["sum"], of["sum_of_squares"]))
    top, under = (of["numerator_sum"], of["numerator_sum_of_squares"]), (of["denominator_sum"], of["denominator_sum_of_squares"])
    return stats.ratio(stats.moments(of["n"], *top, *under, of["sum_of_products"]))


def compared(given: dict[str, Any]) -> tuple[stats.Effect, dict[str, Any]]:
    control, treatment = sample(given["control"]), sample(given["treatment"])
    effect = stats.effect(control, treatment, relative=given.get("effect") == "relative")
    return effect, {"effect": effect.value, "standard_error": effect.error, "control_mean": control.mean, "treatment_mean": treatment.mean}


def judged(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    effect, found = compared(given)
    side: Any = SIDES.get(kind.rsplit("_", 1)[-1], "two_sided")
    if kind == "bayesian":
        belief = stats.bayesian(effect)
        risk = [belief.loss_of_control, belief.loss_of_treatment]
        more = {"posterior_sd": belief.sd, "chance_to_win": belief.chance, "risk": risk, "risk_treatment": risk[1]}
        return {**found, **more, "ci": [belief.low, belief.high]}
    if kind == "sequential_tuning_order":
        widths = {}
        for tuned in given["tuned_for_n_list"]:
            verdict = stats.sequential(effect, given["alpha"], tuned)
            widths[tuned] = effect.value - (verdict.low or 0.0)
        return {"order_of_width": "narrowest " + " < ".join(map(str, sorted(widths, key=lambda tuned: widths[tuned])))}
    if kind == "mid_experiment_power":
        factor = stats.times_as_many(given["relative_lift"], effect.error, given["alpha"])
        assert factor is not None
        return {"scaling_factor": factor - 1}
    if kind == "two_proportions_real":
        both = [given[name] for name in ("control", "treatment")]
        table = [[one["successes"], one["n"] - one["successes"]] for one in both]
        return {"rates": [sample(one).mean for one in both], "z_two_sided_p_value": stats.independence(table)[2]}
    if kind.startswith("sequential"):
        verdict = stats.sequential(effect, given["alpha"], given["tuned_for_n"], side)
    else:
        verdict = stats.welch(effect, given["alpha"], side)
    return {**found, "ci": [verdict.low, verdict.high], "p_value": verdict.p}


def checked(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if kind == "sample_ratio_mismatch":
        return dict(zip(("chi_square", "p_value"), stats.split(given["users"], given["expected_share"]), strict=True))
    if kind == "p_value_correction":
        return {"adjusted": (stats.benjamini_hochberg if given["method"] == "bh" else stats.holm)(given["p"])}
    if kind == "fisher_exact":
        return {"p_value": stats.fisher(given["table"], given["alternative"].replace("-", "_"))}
    if kind == "mann_whitney":
        return dict(zip(("W", "p_value"), stats.mann_whitney(given["x"], given["y"], given["alternative"]), strict=True))
    if kind == "chi_square_independence":
        return dict(zip(("chi_square", "df", "p_value"), stats.independence(given["table"]), strict=True))
    if kind == "trend_in_proportions":
        return dict(zip(("chi_square", "p_value"), stats.trend_in_proportions(given["successes"], given["totals"]), strict=True))
    assert kind == "welch_t_raw"
    first, second = (stats.Sample(len(some), statistics.fmean(some), statistics.variance(some)) for some in (given["x"], given["y"]))
    effect = stats.effect(second, first, relative=False)
    verdict = stats.welch(effect)
    return {"t": effect.value / effect.error, "df": effect.degrees, "p_value": verdict.p, "ci": [verdict.low, verdict.high]}


def planned(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if kind == "power_mean":
        people = given["total_users"] / given["variants"]
        error = stats.planned_error(given["mean"], given["variance"], given["relative_lift"], people)
        return {"power": stats.power(given["relative_lift"], error, given["alpha"])}
    if kind == "sample_size":
        shares = [given.get("baseline", 0.0), given.get("baseline", 0.0) + given["absolute_mde"]]
        first, second = [share * (1 - share) for share in shares] if "baseline" in given else [given["variance"]] * 2
        return {"total_n": stats.people_for_difference(given["absolute_mde"], (first, second), given["alpha"], given["power"])}
    if kind == "power_two_means":
        return {"n_per_group": stats.people_for_means(given["delta"], given["sd"], given["alpha"], given["power"])}
    if "power" in given:
        return {"n_per_group": stats.people_for_proportions(given["p1"], given["p2"], given["alpha"], given["power"])}
    return {"power": stats.power_of_proportions(given["n_per_group"], given["p1"], given["p2"], given["alpha"])}


SPENDING: dict[str, Any] = {
    "alpha*t": lambda alpha, t: alpha * t,
    "alpha*ln(1+(e-1)*t)": lambda alpha, t: alpha * math.log(1 + (math.e - 1) * t),
    "2-2*Phi(z(alpha/2)/sqrt(t))": lambda alpha, t: float(2 * special.ndtr(special.ndtri(alpha / 2) / math.sqrt(t))),
}


def answered(case: dict[str, Any]) -> dict[str, Any]:
    kind, given = case["kind"], case["inputs"]
    if "control" in given:
        return judged(kind, given)
    if kind == "group_sequential_bounds":
        spent = [SPENDING[given["spending"]](given["alpha"], share) for share in given["information"]]
        return {"critical_z": stats.bounds(spent, given["information"]), "alpha_spent": spent}
    if kind.startswith("power") or kind == "sample_size":
        return planned(kind, given)
    return checked(kind, given)


@pytest.mark.parametrize("case", worked_cases())
def test_worked_case(case: dict[str, Any]) -> None:
    found = answered(case)
    near = case["tolerance"]
    relative = near if case.get("notes", "").startswith("tolerance") or case["kind"] == "mid_experiment_power" else 0
    if case["id"] == "ab-012":
        near = 2e-4  # the peer looks for the p value by halving, to within about 1e-4
    for name, expected in case["expected"].items():
        if isinstance(expected, str):
            assert found[name] == expected
            continue
        values = expected if isinstance(expected, list) else [expected]
        for value, wanted in zip(found[name] if isinstance(expected, list) else [found[name]], values, strict=True):
            assert value == (wanted if wanted is None else pytest.approx(wanted, rel=relative, abs=near if not relative else 0)), name


def test_power_is_the_share_of_finds() -> None:
    """The least effect that is found, the power to find it and the people it takes say the same, sequential or not."""
    for tuned in (None, 5000.0):
        lift = stats.detectable(10, 400, 2000, tuned=tuned)
        error = stats.planned_error(10, 400, lift, 2000)
        assert stats.power(lift, error, n=4000, tuned=tuned) == pytest.approx(0.8)
        assert stats.times_as_many(lift, error * 2, n=1000, tuned=tuned) == pytest.approx(4)
    assert stats.detectable(10, 1e30, 2) == math.inf


def test_holm_is_never_below_what_it_corrects() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([]) == stats.benjamini_hochberg([]) == []


def test_a_prior_pulls_the_effect_to_itself() -> None:
    """As sure as the data: half way, and the spread is smaller by the root of two."""
    belief = stats.bayesian(stats.Effect(0.4, 0.1, 10, 20), prior_mean=0.0, prior_sd=0.1)
    assert (belief.mean, belief.sd) == (pytest.approx(0.2), pytest.approx(0.1 / math.sqrt(2)))


def test_nothing_impossible_raises() -> None:
    for control, treatment in [((0, 0.0, 0.0), (0, 0.0, 0.0)), ((5, 0.0, 1.0), (5, 1.0, 1.0)), ((5, 1.0, math.inf), (5, 1.0, 1.0))]:
        effect = stats.effect(stats.Sample(*control), stats.Sample(*treatment))
        assert effect.note
        assert (stats.welch(effect).p, stats.sequential(effect).p, stats.bayesian(effect).chance) == (1, 1, 0.5)
