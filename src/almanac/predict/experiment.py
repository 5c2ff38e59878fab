"""Comparing variants: effects, intervals and chances from a few moments of each variant. Moments in, numbers out; no SQL.

The methods are those of the papers named beside them, with the conventions of GrowthBook's engine where it has them, checked against its
published figures. Impossible data (fewer than two people, no spread, a relative effect of a control at 0) raise nothing: the effect is 0
with a note, its p value 1 and its chance to win 0.5.
"""

from __future__ import annotations

# Over 300 lines: what one experiment needs stays together.
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Alternative = Literal["two_sided", "greater", "less"]


@cache
def _special() -> Any:
    """Special functions, loaded when they are first needed: 0.2 s and 26 MiB that a server without experiments does not spend."""
    from scipy import special

    return special


_WIDE: Final = 1.959963984540054  # of the interval from which a quantile's standard error is taken


@dataclass(frozen=True)
class Moments:
    """What people did (`mean`, `variance` with n - 1) and a second number of each: a covariate, or the denominator of a ratio."""

    n: int
    mean: float
    variance: float
    other_mean: float = 0.0
    other_variance: float = 0.0
    covariance: float = 0.0


def moments(n: int, total: float, squares: float, other: float = 0.0, other_squares: float = 0.0, products: float = 0.0) -> Moments:
    """From sums over people: of the values, their squares, the second numbers, their squares, and the products of both."""
    if n < 2:
        return Moments(n, total / n if n else 0.0, 0.0, other / n if n else 0.0)
    return Moments(
        n,
        total / n,
        (squares - total * total / n) / (n - 1),
        other / n,
        (other_squares - other * other / n) / (n - 1),
        (products - total * other / n) / (n - 1),
    )


@dataclass(frozen=True)
class Sample:
    """A variant's value: the mean of `n` people, each of whom adds with `variance`. The rest is what CUPED makes of it."""

    n: int
    mean: float
    variance: float
    taken: float = 0.0  # what CUPED takes from the mean
    left: float | None = None  # variance of the adjusted value; None: not adjusted
    shared: float | None = None  # covariance of the adjusted and the plain value

    @property
    def level(self) -> float:
        """The mean after CUPED."""
        return self.mean - self.taken

    @property
    def spread(self) -> float:
        """The variance after CUPED."""
        return self.variance if self.left is None else self.left


def mean(of: Moments) -> Sample:
    """The mean of a number for each person."""
    return Sample(of.n, of.mean, of.variance)


def proportion(n: int, successes: float) -> Sample:
    """The share of people who did something; variance p (1 - p)."""
    share = successes / n if n else 0.0
    return Sample(n, share, share * (1 - share))


def ratio(of: Moments) -> Sample:
    """Sum by sum; the variance by the delta method (Deng et al. 2018, arXiv 1803.06336). A denominator of 0 gives a ratio of 0."""
    if of.other_mean == 0:
        return Sample(of.n, 0.0, 0.0)
    value = of.mean / of.other_mean
    spread = of.variance - 2 * value * of.covariance + value * value * of.other_variance
    return Sample(of.n, value, spread / of.other_mean**2)


def quantile(n: int, value: float, low: float, high: float) -> Sample:
    """A quantile, and the values at both ends of its 95 % interval by ranks (Woodruff 1952), whose width gives the variance."""
    return Sample(n, value, n * ((high - low) / (2 * _WIDE)) ** 2)


def adjusted(groups: Sequence[Moments], *, shares: bool = False) -> list[Sample]:
    """CUPED (Deng et al. 2013): each value less theta times its covariate, with one theta from all groups put together.

    `shares`: the values are 0 or 1, with the variance p (1 - p)."""
    plain = [proportion(one.n, one.mean * one.n) if shares else mean(one) for one in groups]
    n = sum(one.n for one in groups)
    if n < 2:
        return plain
    centre = sum(one.n * one.other_mean for one in groups) / n
    middle = sum(one.n * one.mean for one in groups) / n
    scatter = sum((one.n - 1) * one.other_variance + one.n * (one.other_mean - centre) ** 2 for one in groups if one.n)
    along = sum((one.n - 1) * one.covariance + one.n * (one.other_mean - centre) * (one.mean - middle) for one in groups if one.n)
    if not scatter > 0:
        return plain
    theta = along / scatter
    return [
        replace(
            sample,
            taken=theta * (one.other_mean - centre),
            left=max(sample.variance - 2 * theta * one.covariance + theta**2 * one.other_variance, 0.0),
            shared=sample.variance - theta * one.covariance,
        )
        for sample, one in zip(plain, groups, strict=True)
    ]


# ------------------------------------------------------------------ effects


@dataclass(frozen=True)
class Effect:
    """What the treatment adds; `note` says why there is none to be had."""

    value: float = 0.0
    error: float = 0.0  # standard error
    degrees: float = 1.0  # of freedom, Welch and Satterthwaite
    n: int = 0  # people of both
    note: str = ""


def effect(control: Sample, treatment: Sample, *, relative: bool = True) -> Effect:
    """Treatment less control; relative: as a share of the size of the control's plain mean, by the delta method."""
    n = control.n + treatment.n
    if control.n < 2 or treatment.n < 2:
        return Effect(n=n, note="fewer than two people on one side")
    if not (control.spread > 0 and treatment.spread > 0) or not math.isfinite(control.spread + treatment.spread):
        return Effect(n=n, note="no spread on one side")
    if relative and control.mean == 0:
        return Effect(n=n, note="a relative effect needs a control above or below 0")
    ours, theirs = control.spread / control.n, treatment.spread / treatment.n
    degrees = (ours + theirs) ** 2 / (ours**2 / (control.n - 1) + theirs**2 / (treatment.n - 1))
    difference = treatment.level - control.level
    if not relative:
        return Effect(difference, math.sqrt(ours + theirs), degrees, n)
    share = difference / control.mean
    shared = control.variance if control.shared is None else control.shared
    turned = (control.spread + 2 * share * shared + share**2 * control.variance) / control.n
    error = math.sqrt(max(theirs + turned, 0.0)) / abs(control.mean)
    return Effect(difference / abs(control.mean), error, degrees, n) if error > 0 else Effect(n=n, note="no spread on one side")


@dataclass(frozen=True)
class Verdict:
    """An interval (None: open on that side) and a p value."""

    low: float | None
    high: float | None
    p: float


def welch(of: Effect, alpha: float = 0.05, alternative: Alternative = "two_sided") -> Verdict:
    """Welch's t test, to be read once, at the end."""
    if not of.error:
        return Verdict(0.0, 0.0, 1.0)
    t = of.value / of.error
    if alternative == "two_sided":
        width = float(_special().stdtrit(of.degrees, 1 - alpha / 2)) * of.error
        return Verdict(of.value - width, of.value + width, float(2 * _special().stdtr(of.degrees, -abs(t))))
    width = float(_special().stdtrit(of.degrees, 1 - alpha)) * of.error
    if alternative == "greater":
        return Verdict(of.value - width, None, float(_special().stdtr(of.degrees, -t)))
    return Verdict(None, of.value + width, float(_special().stdtr(of.degrees, t)))


def sequential(of: Effect, alpha: float = 0.05, tuned: float = 5000, alternative: Alternative = "two_sided") -> Verdict:
    """Asymptotic confidence sequence (Waudby-Smith et al., arXiv 2103.06476): holds at every moment, however often it is read.

    `tuned`: the number of people, both sides together, at which it is to be narrowest."""
    if not of.error:
        return Verdict(0.0, 0.0, 1.0)
    grown = 1 + of.n * _rho(alpha, tuned, alternative) ** 2
    width = _half_width(of.error, grown, alpha, alternative)
    exponent = (of.value / of.error) ** 2 * (grown - 1) / (2 * grown)
    if alternative == "two_sided":
        return Verdict(of.value - width, of.value + width, min(1.0, math.exp(0.5 * math.log(grown) - min(exponent, 700.0))))
    for_it = of.value > 0 if alternative == "greater" else of.value < 0
    odds = math.sqrt(grown) / (2 * math.expm1(min(exponent, 700.0))) if exponent > 0 else math.inf
    p = min(odds, 1.0) if for_it else 1.0
    return Verdict(of.value - width, None, p) if alternative == "greater" else Verdict(None, of.value + width, p)


def _rho(alpha: float, tuned: float, alternative: Alternative = "two_sided") -> float:
    level = -2 * math.log(alpha if alternative == "two_sided" else 2 * alpha)
    return math.sqrt((level + math.log(level + 1)) / tuned)


def _half_width(error: float, grown: float, alpha: float, alternative: Alternative = "two_sided") -> float:
    """`grown`: 1 + n rho squared."""
    root = math.sqrt(grown)
    level = math.log(root / alpha) if alternative == "two_sided" else math.log1p(root / (2 * alpha))
    return error * math.sqrt(2 * grown / (grown - 1) * level)


@dataclass(frozen=True)
class Posterior:
    """What is to be believed of the effect: normal, with an interval of equal tails. Losses: what each choice is expected to forgo."""

    mean: float
    sd: float
    low: float
    high: float
    chance: float  # that the effect is above 0
    loss_of_control: float
    loss_of_treatment: float


def bayesian(of: Effect, alpha: float = 0.05, prior_mean: float = 0.0, prior_sd: float | None = None) -> Posterior:
    """Normal posterior of the effect, with a normal prior, or a flat one (`prior_sd` None)."""
    if not of.error:
        return Posterior(0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0)
    told = 1 / of.error**2
    known = 0.0 if prior_sd is None else 1 / prior_sd**2
    sd = math.sqrt(1 / (told + known))
    middle = (told * of.value + known * prior_mean) * sd**2
    z = middle / sd
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    above = float(_special().ndtr(z))
    width = float(_special().ndtri(1 - alpha / 2)) * sd
    return Posterior(
        middle,
        sd,
        middle - width,
        middle + width,
        above,
        sd * density + middle * above,
        max(sd * density - middle * float(_special().ndtr(-z)), 0.0),
    )


# ------------------------------------------------------------ whole experiments


def split(people: Sequence[int], shares: Sequence[float]) -> tuple[float, float]:
    """Sample ratio mismatch: chi-square and p value of the split of people. Variants with share 0 are left out; fewer than two: (0, 1)."""
    kept = [(count, share) for count, share in zip(people, shares, strict=True) if share > 0]
    n, whole = sum(count for count, _ in kept), sum(share for _, share in kept)
    if len(kept) < 2 or not n:
        return 0.0, 1.0
    square = sum((count - n * share / whole) ** 2 / (n * share / whole) for count, share in kept)
    return square, float(_special().chdtrc(len(kept) - 1, square))


def holm(p: Sequence[float]) -> list[float]:
    """P values that keep the chance of any false find (Holm 1979)."""
    order = sorted(range(len(p)), key=lambda place: p[place])
    found, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p[place] * (len(p) - rank)))
        found[place] = highest
    return found


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """P values that keep the share of false finds among finds (Benjamini and Hochberg 1995)."""
    order = sorted(range(len(p)), key=lambda place: p[place], reverse=True)
    found, lowest = [0.0] * len(p), 1.0
    for rank, place in enumerate(order):
        lowest = min(lowest, p[place] * len(p) / (len(p) - rank))
        found[place] = lowest
    return found


# ------------------------------------------------------------------- design


def power(of: float, error: float, alpha: float = 0.05, *, n: float = 0.0, tuned: float | None = None) -> float:
    """Chance to find an effect `of` that is really there, two-sided, when it is measured with the standard error `error`.

    `tuned`: with the sequential test, read at `n` people."""
    if not error > 0:
        return 0.0
    width = float(_special().ndtri(1 - alpha / 2)) * error
    if tuned is not None:
        width = _half_width(error, 1 + n * _rho(alpha, tuned) ** 2, alpha)
    return float(_special().ndtr((abs(of) - width) / error) + _special().ndtr((-abs(of) - width) / error))


def planned_error(mean: float, variance: float, lift: float, people: float) -> float:
    """Standard error of a relative effect `lift` between two groups of so many people each."""
    return math.sqrt(variance / people * (1 + (1 + lift) ** 2)) / abs(mean)


def detectable(mean: float, variance: float, people: float, alpha: float = 0.05, wanted: float = 0.8, tuned: float | None = None) -> float:
    """The least relative effect that two groups of so many people each find with that power; inf where no effect up to 1000 is."""

    def found(lift: float) -> bool:
        return power(lift, planned_error(mean, variance, lift, people), alpha, n=2 * people, tuned=tuned) >= wanted

    low, high = 0.0, 1e-6
    while not found(high):
        low, high = high, high * 2
        if high > 1000:
            return math.inf
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def times_as_many(
    of: float, error: float, alpha: float = 0.05, wanted: float = 0.8, *, n: float = 0.0, tuned: float | None = None
) -> float | None:
    """How many times as many people it takes to find an effect `of` with that power; 1: there are enough. None: beyond 2 ** 40."""

    def found(factor: float) -> bool:
        return power(of, error / math.sqrt(factor), alpha, n=n * factor, tuned=tuned) >= wanted

    if not error > 0 or not of:
        return None
    low, high = 1.0, 1.0
    while not found(high):
        low, high = high, high * 2
        if high > 2.0**40:
            return None
    for _ in range(60 if high > 1 else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def people_for_difference(difference: float, variances: tuple[float, float], alpha: float = 0.05, wanted: float = 0.8) -> float:
    """People in all, in two equal groups, to find that difference with that power, two-sided."""
    z = float(_special().ndtri(1 - alpha / 2) + _special().ndtri(wanted))
    return 2 * z * z * sum(variances) / difference**2


def power_of_proportions(people: float, first: float, second: float, alpha: float = 0.05) -> float:
    """Of the test of two proportions with so many people in each group, two-sided (as R's power.prop.test)."""
    pooled = math.sqrt((first + second) * (1 - (first + second) / 2))
    apart = math.sqrt(first * (1 - first) + second * (1 - second))
    return float(_special().ndtr((math.sqrt(people) * abs(first - second) - float(_special().ndtri(1 - alpha / 2)) * pooled) / apart))


def people_for_proportions(first: float, second: float, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """People in each group for that power, two-sided."""
    pooled = math.sqrt((first + second) * (1 - (first + second) / 2))
    apart = math.sqrt(first * (1 - first) + second * (1 - second))
    z = float(_special().ndtri(1 - alpha / 2)) * pooled + float(_special().ndtri(wanted)) * apart
    return float((z / (first - second)) ** 2)


def people_for_means(difference: float, sd: float, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """People in each group for that power of the t test with equal spread, two-sided, by the non-central t distribution."""

    def found(people: float) -> bool:
        degrees = 2 * people - 2
        limit = float(_special().stdtrit(degrees, 1 - alpha / 2))
        return 1 - float(_special().nctdtr(degrees, abs(difference) / sd * math.sqrt(people / 2), limit)) >= wanted

    low, high = 2.0, 4.0
    while not found(high):
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def bounds(spent: Sequence[float], information: Sequence[float]) -> list[float]:
    """Critical z values of a one-sided group sequential test: at each look, a share of information, so much of alpha is spent in all.

    By integration over the paths that went on (Armitage, McPherson and Rowe 1969; spending after Lan and DeMets 1983)."""
    found: list[float] = []
    grid: npt.NDArray[np.float64] = np.zeros(0)
    density: npt.NDArray[np.float64] = np.zeros(0)
    for look, share in enumerate(information):
        used = spent[look] - (spent[look - 1] if look else 0.0)
        step = math.sqrt(share - (information[look - 1] if look else 0.0))

        def crossing(z: float) -> float:
            edge = z * math.sqrt(share)  # noqa: B023 (called within the round)
            if not len(grid):  # noqa: B023
                return float(_special().ndtr(-z))
            return float(np.trapezoid(density * _special().ndtr((grid - edge) / step), grid))  # noqa: B023

        low, high = -10.0, 10.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (low, middle) if crossing(middle) < used else (middle, high)
        found.append(high)
        fresh = np.linspace(-9 * math.sqrt(share), high * math.sqrt(share), 2001)
        apart = fresh[:, None] - (grid[None, :] if len(grid) else np.zeros((1, 1)))
        kernel = np.exp(-((apart / step) ** 2) / 2) / (step * math.sqrt(2 * math.pi))
        density = np.asarray(np.trapezoid(kernel * density[None, :], grid, axis=1)) if len(grid) else kernel[:, 0]
        grid = fresh
    return found


# ------------------------------------------------- tests of raw values and tables


def fisher(table: Sequence[Sequence[int]], alternative: Alternative = "two_sided") -> float:
    """P value of Fisher's exact test of a table of two by two: for shares of few people."""
    from scipy import stats  # here: it takes 40 MB that questions do not need

    return float(stats.fisher_exact(table, _ALTERNATIVES[alternative])[1])


def mann_whitney(first: Sequence[float], second: Sequence[float], alternative: Alternative = "two_sided") -> tuple[float, float]:
    """W of the first and its p value: for values that are no numbers to take a mean of. Exact for few values without ties."""
    from scipy import stats

    found = stats.mannwhitneyu(first, second, alternative=_ALTERNATIVES[alternative])
    return float(found.statistic), float(found.pvalue)


def independence(table: Sequence[Sequence[int]]) -> tuple[float, int, float]:
    """Chi-square, degrees of freedom and p value of a table of counts, without a correction for continuity."""
    from scipy import stats

    found = stats.chi2_contingency(table, correction=False)
    return float(found.statistic), int(found.dof), float(found.pvalue)


def trend_in_proportions(successes: Sequence[int], totals: Sequence[int]) -> tuple[float, float]:
    """Chi-square and p value of a rise or fall of shares over groups in order (Cochran and Armitage), with scores 1, 2, 3 …"""
    n, share = sum(totals), sum(successes) / sum(totals)
    middle = sum(score * total for score, total in enumerate(totals, 1)) / n
    along = sum((score - middle) * (hits - total * share) for score, (hits, total) in enumerate(zip(successes, totals, strict=True), 1))
    scatter = share * (1 - share) * sum(total * (score - middle) ** 2 for score, total in enumerate(totals, 1))
    square = along**2 / scatter if scatter > 0 else 0.0
    return square, float(_special().chdtrc(1, square))


_ALTERNATIVES: Final = {"two_sided": "two-sided", "greater": "greater", "less": "less"}
