"""From a fixed number n of occupied items to a fixed probability p: Q(p) = sum over n of B(N, n, p) Q_n, with
B(N, n, p) = N! / (n! (N - n)!) p^n (1 - p)^(N - n) (Newman and Ziff, Phys. Rev. E 64, 016706 (2001), equation 2).

Weights are built from the mode outwards by the logarithms of the ratios of neighbours, over the range where they
matter, and normalised: no factorial, no overflow, no cancellation. Derivatives use
Q'(p) = N sum over n of B(N - 1, n, p) (Q_(n+1) - Q_n), which has terms of one sign for a monotone Q.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import expected

DEVIATIONS = 12.0
"""Beyond so many standard deviations (and as many items) the weights are below 1e-25 of the whole."""


def binomial(items: int, p: float) -> tuple[int, NDArray[np.float64]]:
    """The first n that matters and the weights B(items, n, p) from there on. Raises ValueError for p outside 0 .. 1."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(expected("p", "a probability", p))
    if p in (0.0, 1.0) or items == 0:
        return int(p * items), np.ones(1)
    mode = min(items, int((items + 1) * p))
    reach = int(DEVIATIONS * (np.sqrt(items * p * (1 - p)) + DEVIATIONS))
    start, stop = max(0, mode - reach), min(items, mode + reach)
    n = np.arange(start, stop, dtype=np.float64)
    steps = np.log((items - n) / (n + 1)) + np.log(p) - np.log1p(-p)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    return start, weights / weights.sum()


def canonical(values: NDArray[np.float64], p: float) -> NDArray[np.float64]:
    """Q(p) from Q_n on the last axis, n = 0 .. N."""
    start, weights = binomial(values.shape[-1] - 1, p)
    return np.asarray(values[..., start : start + len(weights)] @ weights)


def derivative(values: NDArray[np.float64], p: float) -> NDArray[np.float64]:
    """dQ/dp from Q_n on the last axis."""
    items = values.shape[-1] - 1
    start, weights = binomial(items - 1, p)
    near = values[..., start : start + len(weights) + 1]
    return np.asarray(items * (np.diff(near, axis=-1) @ weights))
