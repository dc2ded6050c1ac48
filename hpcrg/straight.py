"""A straight line through numbers that carry jackknife replicas: power laws from logarithms, limits from powers of 1/L.

A Measured is a value with its replicas per source (hpcrg/estimate.py). The weights are those of the whole data in every
replica, so that the fit is linear in the numbers and its jackknife error is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpcrg.estimate import Replicas, combined_error

Measured = tuple[float, Replicas]


@dataclass(frozen=True)
class Fit:
    """A fitted number with chi^2 over the degrees of freedom."""

    measured: Measured
    chi2: float
    freedom: int

    @property
    def value(self) -> float:
        """The fitted number."""
        return self.measured[0]

    @property
    def error(self) -> float:
        """Its statistical error."""
        return combined_error(self.measured[1])


def straight(x: Sequence[float], points: Sequence[Measured], term: int) -> Fit:
    """The intercept (term 0) or slope (term 1) of a line through points of independent sources, weighted by their
    errors."""
    y = np.array([value for value, _ in points])
    errors = np.array([combined_error(replicas) for _, replicas in points])
    design = np.stack([np.ones(len(points)), np.array(x)], axis=1) / errors[:, None]
    solve = np.linalg.pinv(design)
    gain, rest = solve[term] / errors, y / errors - design @ (solve @ (y / errors))
    replicas = {
        source: y @ gain + (r - y[i]) * gain[i]
        for i, (_, sources) in enumerate(points)
        for source, r in sources.items()
    }
    return Fit((float(y @ gain), replicas), float(rest @ rest), len(points) - 2)


def power(sizes: Sequence[float], points: Sequence[Measured]) -> Fit:
    """The exponent a of y ~ L^a, for positive y."""
    logs = [(math.log(value), {source: np.log(r) for source, r in replicas.items()}) for value, replicas in points]
    return straight([math.log(size) for size in sizes], logs, 1)
