"""Couplings of two-valued spins from configurations, by maximal pseudo-likelihood (local_sums.py).

The couplings that make the product of p(s_i | others) over all sites most likely are the true ones where the operators
are all that there are, however few or correlated the draws; no partition function is needed.
Source: J. Besag, The Statistician 24, 179 (1975).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hpcrg.errors import InputError
from hpcrg.local_sums import LocalSums

LARGEST = 30.0
"""A coupling beyond this is one that the draws do not bound."""
TOLERANCE = 1e-13
STEPS = 100
SINGULAR = 1e12
LONGEST_STEP = 1.0


def fit(operators: LocalSums, counts: NDArray[np.float64], where: str = "couplings") -> NDArray[np.float64]:
    """The couplings float64[operator] that make the counts most likely, by Newton's method. Raises InputError where the
    counts do not bound them: too few draws, or all of them ordered."""
    seen = counts > 0
    z, n = operators.values[seen].astype(np.float64), counts[seen] / counts.sum()
    k = np.zeros(len(operators.names))
    for _ in range(STEPS):
        other = expit(-2.0 * (z @ k))
        slope = 2.0 * (n * other) @ z
        curvature = 4.0 * (z * (n * other * (1.0 - other))[:, None]).T @ z
        if np.linalg.cond(curvature) > SINGULAR:
            break
        step = np.linalg.solve(curvature, slope)
        largest = float(np.abs(step).max())
        k += step * (LONGEST_STEP / max(LONGEST_STEP, largest))
        if np.abs(k).max() > LARGEST:
            break
        if largest < TOLERANCE * max(1.0, np.abs(k).max()):
            return k
    found = ", ".join(f"{v:.3g}" for v in k)
    raise InputError(f"{where}: expected draws that bound {', '.join(operators.names)}, found {found} still growing")


def measured(
    operators: LocalSums, blocks: Sequence[NDArray[np.float64]], where: str = "couplings"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Couplings of all blocks together, float64[operator], and without each of them, float64[block, operator]."""
    whole = np.sum(blocks, axis=0)
    return fit(operators, whole, where), np.array([fit(operators, whole - block, where) for block in blocks])
