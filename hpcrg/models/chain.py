"""Any discrete pair model on a closed chain of N sites, exactly, by its transfer matrix
T(a, b) = exp(-beta (pair(a, b) + (site(a) + site(b)) / 2)): Z = tr T^N."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.models.base import Model


def all_spins(model: Model) -> NDArray[np.int8]:
    """The spins of all codes. Raises Unsupported for continuous ones."""
    return np.asarray(model.from_codes(np.arange(model.states, dtype=np.uint8)))


def pair_energies(model: Model) -> NDArray[np.float64]:
    """The energy of a bond between every two states, float64[state, state]."""
    spins = all_spins(model)
    return np.array([[model.physics.pair(a, b) for b in spins] for a in spins], np.float64)


def site_energies(model: Model) -> NDArray[np.float64]:
    """The on-site energy of every state, float64[state]."""
    site = model.physics.site
    return np.array([0.0 if site is None else site(a) for a in all_spins(model)], np.float64)


def energy(model: Model, sites: int, beta: float) -> float:
    """The mean energy per site, tr(E T T^(N-1)) / tr T^N."""
    field = site_energies(model)
    bond = pair_energies(model) + (field[:, None] + field[None, :]) / 2
    transfer = np.exp(-beta * (bond - bond.min()))
    rest = np.linalg.matrix_power(transfer / transfer.sum(), sites - 1)
    return float(np.trace((bond * transfer) @ rest) / np.trace(transfer @ rest))
