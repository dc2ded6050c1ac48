"""What a flat-histogram run explores: one system with its couplings, and the energies that it may visit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.flat_histogram.kernels import make_approach, make_energy, make_production, make_walk
from hpcrg.observables import initial
from hpcrg.producing import Place
from hpcrg.rng import Purpose
from hpcrg.system import System

NO_COUPLINGS = np.zeros((1, 1), np.int8)
MAX_SWEEPS = 10_000


@dataclass(frozen=True, eq=False)
class Landscape:
    """`couplings` int8[site, column], (1, 1) where there are none; energies are every integer from `lowest` to
    `highest`. Raises Unsupported for spins or energies that are not discrete, InputError for an empty window."""

    system: System
    lowest: int
    highest: int
    couplings: NDArray[np.int8]

    def __post_init__(self) -> None:
        if not (self.system.integer and self.system.physics.decode is not None):
            found = self.system.model.name
            raise Unsupported(expected("flat_histogram", "discrete spins and integer energies", found))
        if self.highest <= self.lowest:
            raise InputError(expected("window", "highest above lowest", (self.lowest, self.highest)))

    @property
    def levels(self) -> NDArray[np.int64]:
        """The energies."""
        return np.arange(self.lowest, self.highest + 1)

    @cached_property
    def energy(self) -> Any:
        """The compiled energy."""
        return make_energy(self.system)

    @cached_property
    def approach(self) -> Any:
        """The compiled way into the window."""
        return make_approach(self.system)

    @cached_property
    def walk(self) -> Any:
        """The compiled Wang-Landau walk."""
        return make_walk(self.system)

    @cached_property
    def produce(self) -> Any:
        """The compiled production."""
        return make_production(self.system)

    @cached_property
    def parity(self) -> NDArray[np.uint8]:
        """The parities of every site's coordinates, uint8[site]; bit 0 is that of x."""
        lattice = self.system.lattice
        places = np.indices(lattice.shape).reshape(lattice.dimension, -1)[::-1]
        bits = sum((axis % 2) << k for k, axis in enumerate(places))
        return np.tile(np.asarray(bits, np.uint8), lattice.basis)

    def enter(self, spins: NDArray[np.int8], rng: NDArray[np.uint64]) -> int:
        """Lead spins[site] into the window, in place; the energy then. Raises InputError when that does not succeed."""
        start, steps = self.energy(spins, self.system.neighbours, self.couplings), MAX_SWEEPS * self.system.volume
        energy = int(
            self.approach(spins, rng, self.system.neighbours, self.couplings, self.lowest, self.highest, start, steps)
        )
        if not self.lowest <= energy <= self.highest:
            wanted = f"energies that can be reached within {MAX_SWEEPS} sweeps"
            raise InputError(expected("window", wanted, (self.lowest, self.highest)))
        return energy

    def begin(self, place: Place) -> tuple[NDArray[np.int8], NDArray[np.uint64], int]:
        """Spins in the window, random state and energy of one chain: even chains from a random configuration, odd ones
        from the ordered one."""
        rng = place.stream(Purpose.FLAT_HISTOGRAM)
        spins = initial(self.system, "ordered" if place.chain % 2 else "random", rng)
        return spins, rng, self.enter(spins, rng)


def landscape(
    system: System, lowest: int | None = None, highest: int | None = None, couplings: NDArray[np.int8] | None = None
) -> Landscape:
    """The landscape of a system; without a window, all energies that its bonds could have."""
    if couplings is None and system.coupling != "none":
        raise InputError(expected("couplings", f"int8[site, column] of {system.model.name}", None))
    used = NO_COUPLINGS if couplings is None else couplings
    low, high = bounds(system, used)
    return Landscape(system, low if lowest is None else lowest, high if highest is None else highest, used)


def bounds(system: System, couplings: NDArray[np.int8]) -> tuple[int, int]:
    """Integers below and above every energy of a sum over pairs. Raises InputError for other energies."""
    physics, decode = system.physics, system.physics.decode
    if physics.local is not None or decode is None:
        raise InputError(expected("window", "lowest and highest energy of a model that is not a sum over pairs", None))
    spins = [decode(code) for code in range(physics.states)]
    pairs = [int(physics.pair(a, b)) for a in spins for b in spins]
    bonds = len(system.lattice.bond_sites) * len(system.columns)
    if system.coupling == "none":
        return bonds * min(pairs), bonds * max(pairs)
    strengths = couplings[system.lattice.bond_sites.start :, system.columns.start : system.columns.stop]
    products = strengths[..., None].astype(np.int64) * np.array([min(pairs), max(pairs)])
    return int(products.min(axis=-1).sum()), int(products.max(axis=-1).sum())
