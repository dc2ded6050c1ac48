"""How spins of parallel lines of a periodic lattice are correlated, and the exact length over which they are.

The mean spin of a line (a plane in three dimensions, a site in one) has no momentum along it, and above the critical
temperature correlations of two of them fall as exp(-r / xi) with nothing slower beside it, up to what goes around the
lattice: cosh((L/2 - r) / xi). analysis/correlation_length.py finds the xi.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hpcrg.estimate import Reference
from hpcrg.models import ising
from hpcrg.system import System


def of_lines(spins: NDArray[np.int8]) -> NDArray[np.float64]:
    """Of configurations of -1 and +1 [draw, *lattice], all sides L: the sum over draws of the mean product of the spins
    of two lines r = 0 to L // 2 apart, over all such pairs and all axes, [r]."""
    dimension, size = spins.ndim - 1, spins.shape[-1]
    total = np.zeros(size // 2 + 1)
    for axis in range(1, spins.ndim):
        means = spins.mean(axis=tuple(a for a in range(1, spins.ndim) if a != axis))
        power = np.abs(np.fft.rfft(means, axis=1)) ** 2
        total += np.fft.irfft(power.sum(axis=0), n=size)[: size // 2 + 1] / size
    return total / dimension


def exact_length(system: System, beta: float) -> Reference | None:
    """xi along an axis of the infinite lattice, in spacings: of the Ising chain, and of the square lattice above its
    critical temperature; None elsewhere."""
    lattice = system.lattice
    if system.model.name != ising().name or any(system.model.params.values()):
        return None
    if (lattice.kind, lattice.boundary) != ("hypercubic", "periodic") or lattice.dimension > 2:
        return None
    inverse = -math.log(math.tanh(beta)) - (2.0 * beta if lattice.dimension == 2 else 0.0)
    source = "exact: Ising 1925" if lattice.dimension == 1 else "exact: Onsager 1944"
    return Reference(1.0 / inverse, source=source) if inverse > 0 else None
