"""The correlation length from correlations of lines (correlations.py).

Where they are A cosh((L/2 - r) / xi), C(r - 1) + C(r + 1) = 2 cosh(1 / xi) C(r) at every r; here by least squares over
r from FROM xi to L/2 - 1, the near ones being left out for what dies faster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError
from hpcrg.estimate import excess

FROM = 0.5
WIDEST = 0.25
"""Of the side of the lattice: longer ones are not found."""
Array = NDArray[np.float64]


def length(correlations: Array, first: int) -> float:
    """xi from correlations [r], r = 0 to L // 2, at r from `first` upwards; NaN where they do not fall."""
    r = np.arange(max(1, first), len(correlations) - 1)
    c, beside = correlations[r], correlations[r - 1] + correlations[r + 1]
    ratio = float(c @ beside / (2.0 * (c @ c)))
    return 1.0 / math.acosh(ratio) if ratio > 1.0 else math.nan


def nearest(correlations: Array) -> int:
    """The first r that counts. Raises InputError where the correlations have no length that the lattice holds."""
    rough = length(correlations, 1)
    most = WIDEST * 2 * (len(correlations) - 1)
    if not rough < most:
        raise InputError(f"correlation length: expected at most {WIDEST:g} of the side, {most:g}, found {rough:.3g}")
    return min(max(1, math.ceil(FROM * rough)), max(1, len(correlations) - 3))


def measured(blocks: Sequence[Array]) -> tuple[float, Array, dict[str, float]]:
    """xi of all blocks [block][r] together, without each of them [block], and two parts of its error: `window`, half
    the excess of the change when the first r is doubled, and `size`, by how much a lattice of this side has another
    length than an infinite one, xi sqrt(2 xi / pi L) exp(-L / xi) (of the periodic Ising strip). Raises InputError as
    `nearest`."""
    whole = np.sum(blocks, axis=0)
    first = nearest(whole)
    rest = [whole, *(whole - block for block in blocks)]
    rows, further = (np.array([length(c, r) for c in rest]) for r in (first, min(2 * first, len(whole) - 2)))
    if not (np.isfinite(rows).all() and np.isfinite(further).all()):
        raise InputError("correlation length: expected correlations that fall without each block, found others")
    window = 0.5 * excess((float(rows[0]), {"": rows[1:]}), (float(further[0]), {"": further[1:]}))
    xi, side = float(rows[0]), 2.0 * (len(whole) - 1)
    size = xi * math.sqrt(2.0 * xi / (math.pi * side)) * math.exp(-side / xi)
    return xi, rows[1:], {"window": window, "size": size}
