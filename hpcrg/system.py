"""A System: a model on a lattice, which is what kernels are built for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hpcrg.lattice import Lattice
from hpcrg.models.base import Coupling, Disorder, Model, Physics


@dataclass(frozen=True)
class System:
    """See the module. Raises Unsupported for a lattice that the model cannot live on."""

    model: Model
    lattice: Lattice

    def __post_init__(self) -> None:
        self.model.check(self.lattice)

    @property
    def physics(self) -> Physics:
        """The model's compiled functions."""
        return self.model.physics

    @property
    def coupling(self) -> Coupling:
        """The kind of couplings: a free boundary cuts bonds, which are then integers 0 and 1 at least."""
        if self.model.coupling == "none" and self.lattice.boundary == "free":
            return "integer"
        return self.model.coupling

    @property
    def integer(self) -> bool:
        """Whether energies are integers, so that all Boltzmann factors stand in tables."""
        return self.physics.integer and self.coupling != "real"

    @property
    def energy_dtype(self) -> np.dtype[np.int64] | np.dtype[np.float64]:
        """The type of stored energies."""
        return np.dtype(np.int64) if self.integer else np.dtype(np.float64)

    @property
    def name(self) -> str:
        """What the speed of a kernel depends on, for timings."""
        coupling = self.coupling if self.coupling == self.model.coupling else "cut"
        order = "-random" if self.model.only_random_order else ""
        return (
            f"{self.physics.name}-{self.lattice.kind}-{self.lattice.dimension}d-{coupling}-{self.model.shells}{order}"
        )

    @property
    def volume(self) -> int:
        """The number of sites N."""
        return self.lattice.volume

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """The neighbour table int32[N, z] with all shells of the model."""
        return self.lattice.neighbours(self.model.shells)

    @property
    def coordination(self) -> int:
        """Columns z of the neighbour table."""
        return self.lattice.columns(self.model.shells)

    @property
    def columns(self) -> range:
        """The columns that meet every bond once, from `first_bond_site` on."""
        return self.lattice.bond_columns(self.coordination)

    @property
    def halved(self) -> bool:
        """Whether only the second half of the sites meets bonds (two sublattices)."""
        return self.lattice.bond_sites.start > 0

    @property
    def local_span(self) -> int:
        """How much the integer energy of one spin in its surroundings can change at most."""
        return self.physics.local_span or self.coordination * self.physics.pair_span

    @property
    def disordered(self) -> bool:
        """Whether every chain has a disorder of its own."""
        return self.model.disordered

    def disorder(self, generator: np.random.Generator) -> Disorder:
        """The frozen part of one chain; the model's own couplings times 0 where a free boundary cuts a bond."""
        if self.model.couplings is not None:
            drawn = self.model.couplings(self.lattice, self.neighbours, generator)
        elif self.coupling != "none":
            drawn = Disorder(np.ones(self.neighbours.shape, np.int8))
        if self.coupling == "none":
            return Disorder(np.zeros((1, 1), np.int8), drawn.vacant if self.model.couplings is not None else None)
        if self.lattice.boundary != "free":
            return drawn
        cut = self.neighbours == np.arange(self.volume, dtype=np.int32)[:, None]
        return Disorder(np.where(cut, drawn.couplings.dtype.type(0), drawn.couplings), drawn.vacant)
