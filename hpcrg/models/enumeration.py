"""Every configuration of a small system, with its energy: the exact answer that every update is held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected
from hpcrg.lattice import Lattice
from hpcrg.models.base import Model
from hpcrg.models.chain import pair_energies

MAX_CONFIGURATIONS = 2**22


@dataclass(frozen=True)
class Enumeration:
    """All configurations: spins int8[configuration, site], their energy and their squared order parameter
    per site float64[configuration]. Configuration c has code c // states^j % states at site j."""

    model: Model
    spins: NDArray[np.int8]
    energy: NDArray[np.float64]
    order2: NDArray[np.float64]

    def weights(self, beta: float) -> NDArray[np.float64]:
        """The probability of each configuration at inverse temperature beta."""
        raw = np.exp(-beta * (self.energy - self.energy.min()))
        return np.asarray(raw / raw.sum(), np.float64)

    def index(self, spins: NDArray[np.int8]) -> NDArray[np.int64]:
        """The configuration numbers of spins[..., site]."""
        powers = self.model.states ** np.arange(self.spins.shape[1], dtype=np.int64)
        return np.asarray(self.model.codes(spins) @ powers, np.int64)


def enumerate_all(model: Model, lattice: Lattice) -> Enumeration:
    """Every configuration. Raises Unsupported above 2^22 of them."""
    count = model.states**lattice.volume
    if count > MAX_CONFIGURATIONS:
        raise Unsupported(expected("enumeration", f"at most {MAX_CONFIGURATIONS} configurations", count))
    numbers = np.arange(count)[:, None]
    codes = (numbers // model.states ** np.arange(lattice.volume) % model.states).astype(np.uint8)
    bond, forward = pair_energies(model), lattice.neighbours()[:, : lattice.dimension]
    energy = np.zeros(count)
    for column in forward.T:
        energy += bond[codes, codes[:, column]].sum(axis=1)
    spins = model.from_codes(codes)
    return Enumeration(model, spins, energy, model.order2(raw_order(model, spins), lattice.volume))


def raw_order(model: Model, spins: NDArray[np.int8]) -> NDArray[np.int64]:
    """The raw order parameter of spins[configuration, site], int64[configuration, component]."""
    order = np.zeros((len(spins), model.components), np.int64)
    for spin in model.from_codes(np.arange(model.states, dtype=np.uint8)):
        order[:, model.physics.channel(spin)] += model.physics.weight(spin) * (spins == spin).sum(axis=1)
    return order
