"""Any model on a closed chain of N sites, exactly, by its transfer matrix T(a, b) = exp(-beta pair(a, b)):
Z = tr T^N."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.models.base import Model


def pair_energies(model: Model) -> NDArray[np.float64]:
    """The energy of a bond between every two states, float64[state, state]."""
    spins = model.from_codes(np.arange(model.states, dtype=np.uint8))
    return np.array([[model.physics.pair(a, b) for b in spins] for a in spins], np.float64)


def energy(model: Model, sites: int, beta: float) -> float:
    """The mean energy per site, tr(E T T^(N-1)) / tr T^N."""
    bond = pair_energies(model)
    transfer = np.exp(-beta * (bond - bond.min()))
    rest = np.linalg.matrix_power(transfer / transfer.sum(), sites - 1)
    return float(np.trace((bond * transfer) @ rest) / np.trace(transfer @ rest))
