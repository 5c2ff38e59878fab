"""What each touch adds to the chance of a conversion, by a Markov chain of order 1: counts of steps in, shares of the credit out.

Source: Anderl, Becker, von Wangenheim, Schumann (2016), "Mapping the customer journey", International Journal of Research in Marketing 33.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

# The states beside the touches, which are numbered from 0.
START: Final = -1
CONVERSION: Final = -2
NOTHING: Final = -3


@dataclass(frozen=True)
class Removal:
    """What a chain says. Probabilities and effects lie in 0 to 1."""

    conversion_probability: float  # that a path ends in a conversion
    effects: dict[int, float]  # of each touch: the part of the conversions that is lost when it leads nowhere
    shares: dict[int, float]  # the effects, scaled to sum up to 1; all 0 when no path converts


def markov(steps: Mapping[tuple[int, int], float]) -> Removal:
    """The removal effects of a chain with so many steps from one state to another.

    Paths begin at `START` and end in `CONVERSION` or `NOTHING`, so that every touch has a step out of it. Without a touch its visitors go
    to `NOTHING`: what is lost is the chance to pass it, times the chance to convert from there on. One inverse gives them all, in a time
    that grows with the third power of the number of touches (100 touches: a few milliseconds).
    """
    touches = sorted({state for step in steps for state in step if state >= 0})
    place = {START: 0} | {touch: number for number, touch in enumerate(touches, start=1)}
    moves = np.zeros((len(place), len(place)))
    ends = np.zeros(len(place))
    totals = np.zeros(len(place))
    for (source, target), count in steps.items():
        totals[place[source]] += count
        if target == CONVERSION:
            ends[place[source]] += count
        elif target != NOTHING:
            moves[place[source], place[target]] += count
    known = np.where(totals > 0, totals, 1.0)
    visits = np.linalg.inv(np.eye(len(place)) - moves / known[:, None])
    converts = visits @ (ends / known)
    probability = float(converts[0])
    if probability <= 0:
        return Removal(0.0, dict.fromkeys(touches, 0.0), dict.fromkeys(touches, 0.0))
    passes = visits[0] / np.diag(visits)
    effects = {touch: float(passes[place[touch]] * converts[place[touch]] / probability) for touch in touches}
    whole = sum(effects.values())
    return Removal(probability, effects, {touch: effect / whole if whole else 0.0 for touch, effect in effects.items()})
