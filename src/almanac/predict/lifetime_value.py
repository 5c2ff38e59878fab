"""What people will still buy, and for how much: the models BG/NBD and gamma-gamma. Arrays in, estimates and intervals out; no SQL.

Purchases (BG/NBD): while active, a person buys at random moments at a rate of their own, and after each repeat purchase leaves for ever
with a probability of their own. Rates are gamma distributed among people with shape r and rate alpha, probabilities beta distributed with
a and b. P. Fader, B. Hardie, K. L. Lee, "Counting your customers" the easy way, Marketing Science 24(2), 2005.

Values (gamma-gamma): a purchase's value is gamma distributed with shape p around a mean of the person's own, and a person's rate gamma
with shape q and rate v; values do not depend on how often somebody buys. P. Fader, B. Hardie, Gamma-gamma model of monetary value, 2013.

Both are fitted by maximum likelihood without penalty. Time is in one unit throughout (the caller's; 1 / alpha has it), as money is in v.

An interval is of what will be seen, not of its mean: it holds what the future scatters by for people of known habits, and by the delta
method what is unsure about the parameters; both put together as a log-normal of that mean and variance, since totals are not negative. What
the models get wrong it does not hold; a holdout shows that.
"""

from __future__ import annotations

# Over 300 lines: two small models whose estimates only mean something together.
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_PEOPLE: Final = 10  # who bought again; with fewer, four parameters follow single people
_FARTHEST: Final = 9.0  # bound of a parameter's logarithm, beside the data's own scale: beyond it a distribution is a point
_NODES: Final = 16  # of a quadrature
_STEP: Final = 1e-4  # of a parameter's logarithm, for differences
_Z: Final = 1.959963984540054  # of 95 %


class TooLittleError(Exception):
    """The data cannot carry the model. The text is a sentence for a person."""


@dataclass(frozen=True)
class Histories:
    """People who are alike, a cell each: so many `people` with `repeats` purchases after the first, the last of them `recency` after the
    first, seen for `age` since the first; all their repeat purchases were worth `spent`, and `squares` sums each one's own, squared."""

    people: Floats
    repeats: Floats
    recency: Floats
    age: Floats
    spent: Floats
    squares: Floats


@dataclass(frozen=True)
class Fitted:
    """Parameters, the log-likelihood, and the covariance of their logarithms. `at_edge`: names of those that ran to their bound: people
    do not differ in what the parameter is about, or the data do not tell."""

    names: tuple[str, ...]
    parameters: Floats
    log_likelihood: float
    covariance: Floats
    at_edge: tuple[str, ...]


@dataclass(frozen=True)
class Future:
    """Sums over the people of each group: expected, and the ends of a 95 % interval."""

    active: Floats
    purchases: Floats
    purchases_low: Floats
    purchases_high: Floats
    value: Floats | None  # without a model of values: None
    value_low: Floats | None  # where values scatter without bound: None
    value_high: Floats | None


# ------------------------------------------------------------------ the fits


def fit_purchases(people: Floats, repeats: Floats, recency: Floats, age: Floats) -> Fitted:
    """BG/NBD from cells of people. Raises `TooLittleError`."""
    again = float(people[repeats > 0].sum())
    if again < LEAST_PEOPLE:
        raise TooLittleError(f"Only {again:.0f} people bought again; a prediction needs {LEAST_PEOPLE}.")
    from scipy.special import digamma, gammaln  # here: half a second that no other question needs

    # In units of the mean age, where every parameter is near 1.
    unit = float(np.average(age, weights=people))
    x, last, seen = repeats, recency / unit, age / unit
    bought = x > 0
    kinds, kind = np.unique(x, return_inverse=True)  # few: the special functions are for these alone

    def likelihood(logs: Floats) -> tuple[float, Floats]:
        r, alpha, a, b = np.exp(logs)
        stays = -(r + x) * np.log(alpha + seen)
        leaves = np.where(bought, np.log(a) - np.log(np.where(bought, b + x - 1, 1.0)) - (r + x) * np.log(alpha + last), -np.inf)
        either = np.logaddexp(stays, leaves)
        left = np.exp(leaves - either)
        rates = (gammaln(r + kinds) - gammaln(r))[kind] + r * np.log(alpha)
        chances = (gammaln(a + b) + gammaln(b + kinds) - gammaln(b) - gammaln(a + b + kinds))[kind]
        rates_slope = (digamma(r + kinds) - digamma(r))[kind]
        all_slope = (digamma(a + b) - digamma(a + b + kinds))[kind]
        stays_slope = (digamma(b + kinds) - digamma(b))[kind]
        slope = np.array(
            [
                rates_slope + np.log(alpha) - (1 - left) * np.log(alpha + seen) - left * np.log(alpha + last),
                r / alpha - (r + x) * ((1 - left) / (alpha + seen) + left / (alpha + last)),
                all_slope + left / a,
                all_slope + stays_slope - left / np.where(bought, b + x - 1, 1.0),
            ]
        )
        return float(people @ (rates + chances + either)), (slope @ people) * np.exp(logs)

    often = float(people @ x / people.sum())
    starts = [np.log([shape, shape / often, chance, 3 * chance]) for shape, chance in ((1.0, 1.0), (0.3, 0.3), (3.0, 0.1))]
    fitted = _fitted(("r", "alpha", "a", "b"), likelihood, starts)
    return Fitted(
        fitted.names,
        fitted.parameters * np.array([1.0, unit, 1.0, 1.0]),
        fitted.log_likelihood - float(people @ x) * float(np.log(unit)),
        fitted.covariance,
        fitted.at_edge,
    )


def fit_values(people: Floats, repeats: Floats, mean_value: Floats, log_values: Floats) -> Fitted:
    """Gamma-gamma from cells of people with so many repeat purchases of that mean value; `log_values` sums the logarithms of each one's
    mean. All values are above 0. Raises `TooLittleError`."""
    count = float(people.sum())
    if count < LEAST_PEOPLE:
        raise TooLittleError(f"Only {count:.0f} people bought again for a value above 0; a prediction of value needs {LEAST_PEOPLE}.")
    unit = float(np.average(mean_value, weights=people))
    x, z = repeats, mean_value / unit
    logs_of_z = log_values - people * np.log(unit)
    if float(people @ (z - 1) ** 2) < 1e-9 * count:
        raise TooLittleError("All repeat purchases have the same value; there is nothing to tell people apart by.")
    from scipy.special import digamma, gammaln

    def likelihood(logs: Floats) -> tuple[float, Floats]:
        p, q, v = np.exp(logs)
        total = np.log(x * z + v)
        each = gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(v) + p * x * np.log(x) - (p * x + q) * total
        slope = np.array(
            [
                x * (digamma(p * x + q) - digamma(p * x) + np.log(x) - total),
                digamma(p * x + q) - digamma(q) + np.log(v) - total,
                q / v - (p * x + q) / (x * z + v),
            ]
        )
        by_parameter = slope @ people + np.array([x @ logs_of_z, 0.0, 0.0])
        return float(people @ each + (p * x - 1) @ logs_of_z), by_parameter * np.exp(logs)

    starts = [np.log([shape, 3.0, 2 / shape]) for shape in (1.0, 5.0)]
    fitted = _fitted(("p", "q", "v"), likelihood, starts)
    if fitted.parameters[1] <= 1.001:
        raise TooLittleError("The values of purchases scatter so widely that they have no mean; no value is predicted.")
    return Fitted(
        fitted.names,
        fitted.parameters * np.array([1.0, 1.0, unit]),
        fitted.log_likelihood - count * float(np.log(unit)),
        fitted.covariance,
        fitted.at_edge,
    )


def _fitted(names: tuple[str, ...], likelihood: Callable[[Floats], tuple[float, Floats]], starts: list[Floats]) -> Fitted:
    """The best from several starts, by the logarithms of the parameters."""
    from scipy.optimize import minimize

    scale = abs(likelihood(starts[0])[0]) + 1.0

    def cost(logs: Floats) -> tuple[float, Floats]:
        value, slope = likelihood(logs)
        return -value / scale, -slope / scale

    def search(start: Floats, rounds: int) -> Any:
        options = {"maxiter": rounds, "ftol": 1e-13, "gtol": 1e-8}
        return minimize(cost, start, jac=True, method="L-BFGS-B", bounds=[(-_FARTHEST, _FARTHEST)] * len(names), options=options)

    # A few rounds tell the starts apart; only the best goes on.
    begun = min((search(start, 12) for start in starts), key=lambda one: float(one.fun))
    logs: Floats = search(begun.x, 500).x
    free = np.abs(logs) < _FARTHEST - 0.01
    edge = tuple(name for name, inside in zip(names, free, strict=True) if not inside)
    return Fitted(names, np.exp(logs), likelihood(logs)[0], _covariance(likelihood, logs, free), edge)


def _covariance(likelihood: Callable[[Floats], tuple[float, Floats]], logs: Floats, free: NDArray[np.bool_]) -> Floats:
    """Of the logarithms: the inverse of the observed information. Parameters at their bound are taken as known."""
    size = len(logs)
    steps = np.eye(size) * _STEP
    curve = np.array([(likelihood(logs + step)[1] - likelihood(logs - step)[1]) / (2 * _STEP) for step in steps])
    information = -(curve + curve.T) / 2 * np.outer(free, free)
    values, vectors = np.linalg.eigh(information)
    # Along a flat direction the parameters move together without moving the data's likelihood, nor what is predicted.
    known = values > 1e-9 * max(float(values[-1]), 1e-300)
    kept: Floats = (vectors[:, known] / values[known]) @ vectors[:, known].T
    return kept


# ------------------------------------------------------------ what will come


def active(parameters: Floats, repeats: Floats, recency: Floats, age: Floats) -> Floats:
    """The probability that a person has not left for ever. Who never bought again has not: people leave after a repeat purchase only."""
    r, alpha, a, b = parameters
    bought = repeats > 0
    odds = np.log(a) - np.log(np.where(bought, b + repeats - 1, 1.0)) + (r + repeats) * np.log((alpha + age) / (alpha + recency))
    return np.where(bought, 1 / (1 + np.exp(np.minimum(odds, 700.0))), 1.0)


def purchases(parameters: Floats, repeats: Floats, recency: Floats, age: Floats, horizon: float) -> tuple[Floats, Floats]:
    """Of the number of purchases within `horizon` from now: the mean and the mean of its square."""
    # Of one number of purchases and one age, the recency does not matter while active.
    pairs, pair = np.unique(repeats + 1j * age, return_inverse=True)
    mean, square = (one[pair] for one in _while_active(parameters, pairs.real, pairs.imag, horizon))
    still = active(parameters, repeats, recency, age)
    return still * mean, still * square


def _while_active(parameters: Floats, repeats: Floats, age: Floats, horizon: float) -> tuple[Floats, Floats]:
    """The same for people who are active now.

    With rate l and chance p to leave, the count N of a Poisson process is cut at the first purchase after which the person leaves:
    E[X] = (1 - e^(-lpt)) / p, E[X(X+1)] = 2 (1 - (1 + lpt(1-p)) e^(-lpt)) / p². Over l both are in closed form, over p by quadrature, as p
    is beta distributed: nothing diverges where a is near 1, as it does in the paper's form."""
    r, alpha, a, b = parameters
    kinds, which = np.unique(np.round(repeats, 1), return_inverse=True)
    nodes, weights = _beta_quadrature(float(a), b + kinds)
    chance, weight = nodes[which], weights[which]
    shape, rate = (r + repeats)[:, None], (alpha + age)[:, None]
    share = chance * horizon / rate
    gone = -np.expm1(-shape * np.log1p(share))
    expected_rate = shape / rate * horizon
    small = chance < 1e-5
    safe = np.where(small, 1.0, chance)
    mean = np.where(small, expected_rate, gone / safe)
    second = np.where(
        small,
        expected_rate * (1 + (shape + 1) / rate * horizon / 2),
        (gone - expected_rate * chance * (1 - chance) / (1 + share) * (1 - gone)) / safe**2,
    )
    return (weight * mean).sum(axis=1), (weight * (2 * second - mean)).sum(axis=1)


def _beta_quadrature(first: float, second: Floats) -> tuple[Floats, Floats]:
    """Nodes and weights for means over beta distributions, a row each (Golub and Welsch, 1969, for Jacobi's polynomials)."""
    n = np.arange(_NODES, dtype=np.float64)
    left, right = first - 1, (second - 1)[:, None]
    both = left + right
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (left**2 - right**2) / ((2 * n + both) * (2 * n + both + 2))
        middle[:, 0] = ((left - right) / (both + 2))[:, 0]
        k = n[1:]
        beside = 4 * k * (k + left) * (k + right) * (k + both) / ((2 * k + both) ** 2 * (2 * k + both + 1) * (2 * k + both - 1))
        beside[:, 0] = (4 * (1 + left) * (1 + right) / ((2 + both) ** 2 * (3 + both)))[:, 0]
    matrix = np.zeros((len(second), _NODES, _NODES))
    places = np.arange(_NODES)
    matrix[:, places, places] = middle
    matrix[:, places[1:], places[:-1]] = np.sqrt(beside)
    values, vectors = np.linalg.eigh(matrix)
    return np.clip((1 + values) / 2, 0.0, 1.0), vectors[:, 0, :] ** 2


def mean_value(parameters: Floats, people: Floats, repeats: Floats, spent: Floats) -> Floats:
    """The expected value of a purchase, summed over the people of each cell: their own mean and everybody's, weighed by what is known."""
    p, q, v = parameters
    known: Floats = p * (people * v + spent) / (p * repeats + q - 1)
    return known


def forecast(bought: Fitted, worth: Fitted | None, cells: Histories, group: NDArray[np.int64], groups: int, horizon: float) -> Future:
    """What the people of each group will buy within `horizon`, and for how much. `group`: of each cell, the number of its group."""

    mean, square = purchases(bought.parameters, cells.repeats, cells.recency, cells.age, horizon)
    scatter = np.maximum(square - mean**2, 0.0)

    def value_of(parameters: Floats) -> Floats:
        return mean_value(parameters, cells.people, cells.repeats, cells.spent)

    each = cells.people * 0 if worth is None else value_of(worth.parameters)

    def by_habits(parameters: Floats) -> tuple[Floats, Floats]:
        some, _ = purchases(parameters, cells.repeats, cells.recency, cells.age, horizon)
        return _sums(cells.people * some, group, groups), _sums(some * each, group, groups)

    def by_values(parameters: Floats) -> tuple[Floats, Floats]:
        return np.zeros(groups), _sums(mean * value_of(parameters), group, groups)

    expected, values = _sums(cells.people * mean, group, groups), _sums(mean * each, group, groups)
    slopes = _slopes(by_habits, bought.parameters)
    unsure_purchases, unsure_values = _spread(slopes[0], bought.covariance), _spread(slopes[1], bought.covariance)
    if worth is not None:
        unsure_values = unsure_values + _spread(_slopes(by_values, worth.parameters)[1], worth.covariance)
    low, high = _interval(expected, _sums(cells.people * scatter, group, groups) + unsure_purchases)
    still = cells.people * active(bought.parameters, cells.repeats, cells.recency, cells.age)
    future = Future(_sums(still, group, groups), expected, low, high, None, None, None)
    if worth is None:
        return future
    spread = _value_scatter(worth.parameters, cells, mean, scatter)
    if spread is None:
        return Future(future.active, expected, low, high, values, None, None)
    value_low, value_high = _interval(values, _sums(spread, group, groups) + unsure_values)
    return Future(future.active, expected, low, high, values, value_low, value_high)


def _value_scatter(parameters: Floats, cells: Histories, mean: Floats, scatter: Floats) -> Floats | None:
    """The variance of what the people of a cell will spend; None when it is not finite.

    For one person of mean value M: Var(S) = E[M²] (E[X] / p + Var(X)) + E[X]² Var(M)."""
    p, q, v = parameters
    if q <= 2.001:
        return None
    known = p * cells.repeats + q
    squares = cells.people * v**2 + 2 * v * cells.spent + cells.squares
    mean_squared = p**2 * squares / (known - 1) ** 2
    raw = p**2 * squares / ((known - 1) * (known - 2))
    result: Floats = raw * (mean / p + scatter) + mean**2 * (raw - mean_squared)
    return result


def _sums(values: Floats, group: NDArray[np.int64], groups: int) -> Floats:
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64)


def _slopes(totals: Callable[[Floats], tuple[Floats, Floats]], parameters: Floats) -> tuple[Floats, Floats]:
    """How both totals move with the logarithm of each parameter: rows by parameter, columns by group."""
    pairs = []
    for place in range(len(parameters)):
        up, down = parameters.copy(), parameters.copy()
        up[place] *= np.exp(_STEP)
        down[place] *= np.exp(-_STEP)
        above, below = totals(up), totals(down)
        pairs.append([(above[k] - below[k]) / (2 * _STEP) for k in (0, 1)])
    return np.array([one[0] for one in pairs]), np.array([one[1] for one in pairs])


def _spread(slopes: Floats, covariance: Floats) -> Floats:
    variance: Floats = np.einsum("ig,ij,jg->g", slopes, covariance, slopes)
    return np.maximum(variance, 0.0)


def _interval(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """The middle 95 % of a log-normal of that mean and variance."""
    safe = np.where(mean > 0, mean, 1.0)
    width = np.sqrt(np.log1p(variance / safe**2))
    low, high = (np.where(mean > 0, safe * np.exp(-(width**2) / 2 + sign * _Z * width), 0.0) for sign in (-1, 1))
    return low, high
