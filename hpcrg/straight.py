"""Straight lines through numbers that carry jackknife replicas: power laws from logarithms, limits from powers of 1/L.

The weights are those of the whole data in every replica, so that the fit is linear in the numbers and its jackknife
error is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Measured, combined_error, excess


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

    @property
    def quality(self) -> float:
        """The probability of a larger chi^2; 1 where no freedom is left."""
        return float(chi2.sf(self.chi2, self.freedom)) if self.freedom else 1.0


def linear(columns: Sequence[Sequence[float]], points: Sequence[Measured], term: int) -> Fit:
    """The coefficient of column `term` in the fit of points of independent sources by a sum of columns, weighted by
    their errors. Raises InputError for fewer points than columns."""
    if len(points) < len(columns):
        raise InputError(expected("fit", f"at least {len(columns)} points", len(points)))
    y = np.array([value for value, _ in points])
    errors = np.array([combined_error(replicas) for _, replicas in points])
    design = np.array(columns, np.float64).T / errors[:, None]
    solve = np.linalg.pinv(design)
    gain, rest = solve[term] / errors, y / errors - design @ (solve @ (y / errors))
    replicas = {
        source: y @ gain + (r - y[i]) * gain[i]
        for i, (_, sources) in enumerate(points)
        for source, r in sources.items()
    }
    return Fit((float(y @ gain), replicas), float(rest @ rest), len(points) - len(columns))


def limit(sizes: Sequence[float], points: Sequence[Measured], decay: float) -> Fit:
    """y at infinite size, of y + b L^-decay."""
    return linear([[1.0] * len(sizes), [size**-decay for size in sizes]], points, 0)


def power(sizes: Sequence[float], points: Sequence[Measured], decay: float | None = None) -> Fit:
    """The exponent a of y ~ L^a (1 + b L^-decay), for positive y; without b when `decay` is None."""
    logs = [(math.log(value), {source: np.log(r) for source, r in replicas.items()}) for value, replicas in points]
    correction = [] if decay is None else [[size**-decay for size in sizes]]
    return linear([[1.0] * len(sizes), [math.log(size) for size in sizes], *correction], logs, 1)


def parts(
    fit: Callable[[slice, float | None], Fit], sizes: int, decay: float | None, other: float | None
) -> dict[str, float]:  # fmt: skip
    """The systematic parts of a fit(which sizes, decay of corrections), fixed beforehand: `size`, the excess of the
    change when the smallest of `sizes` sizes is left out; `correction`, that when these decay as L^-other instead. What
    leaves fewer sizes than parameters is left out."""
    whole, out = fit(slice(0, None), decay), {}
    if whole.freedom > 0:
        out["size"] = excess(whole.measured, fit(slice(1, None), decay).measured)
    more = int(other is not None) - int(decay is not None)  # parameters of the other fit beyond those of this one
    if whole.freedom >= more:
        out["correction"] = excess(whole.measured, fit(slice(0, None), other).measured)
    return out
