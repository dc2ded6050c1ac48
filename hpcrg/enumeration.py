"""Every configuration of a small discrete system, with its energy: the exact answer that every update is held to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected
from hpcrg.models.base import Disorder, Model
from hpcrg.models.chain import all_spins, pair_energies, site_energies
from hpcrg.system import System

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


def enumerate_all(system: System, disorder: Disorder | None = None) -> Enumeration:
    """Every configuration; vacant sites are taken into account by the caller. Raises Unsupported above 2^22 of them."""
    model = system.model
    count = model.states**system.volume
    if count > MAX_CONFIGURATIONS:
        raise Unsupported(expected("enumeration", f"at most {MAX_CONFIGURATIONS} configurations", count))
    numbers = np.arange(count)[:, None]
    codes = (numbers // model.states ** np.arange(system.volume) % model.states).astype(np.uint8)
    spins = model.from_codes(codes)
    energy = energies(system, spins, disorder)
    return Enumeration(model, spins, energy, model.order2(raw_order(system, spins), system.volume))


def energies(system: System, spins: NDArray[np.int8], disorder: Disorder | None = None) -> NDArray[np.float64]:
    """The energy of spins[configuration, site] by numpy alone, from the energies of single bonds and sites."""
    model = system.model
    if model.energies is not None:
        return model.energies(spins, system.lattice)
    codes, bond = model.codes(spins), pair_energies(model)
    energy = site_energies(model)[codes].sum(axis=1)
    couplings = (disorder or Disorder(np.zeros((1, 1), np.int8))).couplings
    first = system.volume // 2 if system.halved else 0
    for k in system.columns:
        ends = system.neighbours[first:, k]
        strength = couplings[first:, k] if couplings.shape[1] > 1 else np.ones(len(ends))
        energy += bond[codes[:, first:], codes[:, ends]] @ strength
    return np.asarray(energy, np.float64)


def raw_order(system: System, spins: NDArray[np.int8]) -> NDArray[np.int64]:
    """The raw order parameter of spins[configuration, site], int64[configuration, component]."""
    model, axes = system.model, system.lattice.dimension
    table = np.zeros((model.states, 2**axes, model.components), np.int64)
    for code, spin in enumerate(all_spins(model)):
        for parity in range(2**axes):
            model.physics.book(table[code, parity], spin, parity)
    return np.asarray(table[model.codes(spins), parities(system)].sum(axis=1), np.int64)


def parities(system: System) -> NDArray[np.int64]:
    """Bit k of a site's number here is the parity of its coordinate along axis k, x being bit 0."""
    places = np.indices(system.lattice.shape).reshape(system.lattice.dimension, -1)
    bits = sum((row & 1) << k for k, row in enumerate(places[::-1]))
    return np.tile(np.asarray(bits, np.int64), system.lattice.basis)
