"""What an update is: a name, a version, the series it yields, what it can serve, and how to build its
kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported
from hpcrg.jit import helper
from hpcrg.lattice import Lattice
from hpcrg.models.base import Model, Physics

Kernel = Callable[
    [NDArray[np.int8], NDArray[np.float64], NDArray[np.uint64], NDArray[np.int32], NDArray[np.float64]], None
]
SIGNATURE = "void(int8[:,::1], float64[::1], uint64[:,::1], int32[:,::1], float64[:,::1])"


@dataclass(frozen=True)
class Sweep:
    """A compiled update: kernel(spins[walker, site], betas[walker], rng[walker, 4], neighbours[site, 2 d],
    info[walker, series]) makes one sweep of every walker at its own beta, in place. Walkers do not feel
    each other, nor how many there are. Arrays are C contiguous."""

    kernel: Kernel
    series: tuple[str, ...]


@dataclass(frozen=True)
class UpdateType:
    """An update. `check(model, lattice)` raises Unsupported with the reason that physics gives;
    `build(model, lattice)` checks, then compiles or loads the kernel. `version` rises with every change
    of the numbers that a kernel makes."""

    name: str
    version: int
    series: tuple[str, ...]
    check: Callable[[Model, Lattice], None]
    make: Callable[[Physics, Lattice], Kernel]

    def build(self, model: Model, lattice: Lattice) -> Sweep:
        """The compiled sweep. Raises Unsupported."""
        self.check(model, lattice)
        return Sweep(self.make(model.physics, lattice), self.series)


def serves_all(model: Model, lattice: Lattice) -> None:
    """Nothing to refuse."""


def needs_mirror(update: str) -> Callable[[Model, Lattice], None]:
    """The check of a cluster update."""

    def check(model: Model, lattice: Lattice) -> None:
        if model.physics.mirror is None:
            raise Unsupported(f"{update}: expected a model whose pair energy has a mirror, found {model.name}")

    return check


def mirror_of(physics: Physics) -> Callable[..., Any]:
    """The mirror that a cluster update needs. Raises Unsupported where there is none."""
    if physics.mirror is None:
        raise Unsupported(f"cluster update: expected a physics with a mirror, found {physics.name}")
    return physics.mirror


@helper
def chances(beta: float, table: NDArray[np.uint64], lowest: int) -> None:
    """min(1, exp(-beta E)) for E = lowest, lowest + 1, ..., in units of 2^-53; compare with the upper 53
    bits."""
    for k in range(table.size):
        table[k] = np.uint64(min(1.0, np.exp(-beta * (lowest + k))) * 9007199254740992.0)


@helper
def bond_chances(beta: float, table: NDArray[np.uint64]) -> None:
    """1 - exp(-beta gap) for gap = 0, 1, ..., in units of 2^-53."""
    for k in range(table.size):
        table[k] = np.uint64(-np.expm1(-beta * k) * 9007199254740992.0)
