"""Every configuration of a small discrete system, with its energy: the exact answer that every update is held to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    per site float64[configuration]. Configuration c has code c // states^j % states at site sites[j]; other sites are
    vacant."""

    model: Model
    spins: NDArray[np.int8]
    energy: NDArray[np.float64]
    order2: NDArray[np.float64]
    sites: NDArray[np.int64]

    def weights(self, beta: float) -> NDArray[np.float64]:
        """The probability of each configuration at inverse temperature beta."""
        raw = np.exp(-beta * (self.energy - self.energy.min()))
        return np.asarray(raw / raw.sum(), np.float64)

    def index(self, spins: NDArray[np.int8]) -> NDArray[np.int64]:
        """The configuration numbers of spins[..., site]."""
        powers = self.model.states ** np.arange(len(self.sites), dtype=np.int64)
        return np.asarray(self.model.codes(spins[..., self.sites]) @ powers, np.int64)


def enumerate_all(system: System, disorder: Disorder | None = None) -> Enumeration:
    """Every configuration, with 0 on vacant sites. Raises Unsupported above 2^22 of them."""
    model = system.model
    vacant = np.zeros(system.volume) if disorder is None or disorder.vacant is None else disorder.vacant
    sites = np.flatnonzero(vacant == 0)
    count = model.states ** len(sites)
    if count > MAX_CONFIGURATIONS:
        raise Unsupported(expected("enumeration", f"at most {MAX_CONFIGURATIONS} configurations", count))
    codes = np.arange(count)[:, None] // model.states ** np.arange(len(sites)) % model.states
    spins = np.zeros((count, system.volume), np.int8)
    spins[:, sites] = model.from_codes(codes.astype(np.uint8))
    energy = energies(system, spins, disorder)
    return Enumeration(model, spins, energy, model.order2(raw_order(system, spins), system.volume), sites)


def present(system: System, spins: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Where there is a spin."""
    return spins != 0 if system.physics.frozen is not None else np.ones(spins.shape, bool)


def energies(system: System, spins: NDArray[np.int8], disorder: Disorder | None = None) -> NDArray[np.float64]:
    """The energy of spins[configuration, site] by numpy alone, from the energies of single bonds and sites."""
    model = system.model
    if model.energies is not None:
        return model.energies(spins, system.lattice)
    codes, bond, here = model.codes(spins), pair_energies(model), present(system, spins)
    energy = (site_energies(model)[codes] * here).sum(axis=1)
    couplings = (disorder or Disorder(np.zeros((1, 1), np.int8))).couplings
    first = system.volume // 2 if system.halved else 0
    for k in system.columns:
        ends = system.neighbours[first:, k]
        strength = couplings[first:, k] if couplings.shape[1] > 1 else np.ones(len(ends))
        energy += (bond[codes[:, first:], codes[:, ends]] * here[:, first:] * here[:, ends]) @ strength
    return np.asarray(energy, np.float64)


def raw_order(system: System, spins: NDArray[np.int8]) -> NDArray[Any]:
    """The raw order parameter of spins[configuration, site], [configuration, component]; vacancies count nothing."""
    model, found = system.model, parities(system)
    places, where = np.unique(found, return_inverse=True)
    table = np.zeros((model.states, len(places), model.components), model.order_dtype)
    for code, spin in enumerate(all_spins(model)):
        for k, parity in enumerate(places):
            model.physics.book(table[code, k], spin, parity)
    here = present(system, spins)[..., None]
    return np.asarray((table[model.codes(spins), where] * here).sum(axis=1), model.order_dtype)


def parities(system: System) -> NDArray[np.int64]:
    """Bit k of a site's number here is the parity of its coordinate along axis k, x being bit 0; the sublattice of the
    triangular lattice follows from bit 4 on."""
    places = np.indices(system.lattice.shape).reshape(system.lattice.dimension, -1)
    bits = sum((row & 1) << k for k, row in enumerate(places[::-1]))
    if system.lattice.kind == "triangular":
        bits = bits + ((places[1] - places[0]) % 3 << 4)
    return np.tile(np.asarray(bits, np.int64), system.lattice.basis)
