"""The honest baseline: a classifier with one parameter, p = 1 / (1 + exp(-STEEPNESS (|m| - threshold))).

A network that does no better has learned |m| (Kim and Kim, Phys. Rev. E 104, 044104 (2021),
arXiv:2010.00351). The threshold minimises the network's own loss on the network's own examples; the steepness
is fixed, since phases that do not overlap in training would drive it to infinity.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

STEEPNESS = 20.0


def probability(abs_m: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Probability of the cold phase for each |m|."""
    out: NDArray[np.float64] = expit(STEEPNESS * (abs_m - threshold))
    return out


def fit(cold: NDArray[np.float64], hot: NDArray[np.float64]) -> float:
    """The threshold with the least cross entropy, both phases weighing the same, from |m| of cold and hot
    draws. The loss is convex in it, and its derivative vanishes where both phases are mistaken by the same
    amount."""

    def slope(threshold: float) -> float:
        return float((1 - probability(cold, threshold)).mean() - probability(hot, threshold).mean())

    return float(brentq(slope, -2.0, 3.0, xtol=1e-12))
