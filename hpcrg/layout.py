"""How the walkers of one chain are held in memory between measurements.

The plain layout keeps int8[walker, site], or float64[walker, component, site] for continuous spins. Other layouts hold
bits; each belongs to the updates that need it and says how to pack, unpack, measure and exchange.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.jit import part
from hpcrg.observables import make_bulk, make_measure
from hpcrg.system import System

Array = NDArray[Any]


@dataclass(frozen=True)
class Layout:
    """See the module. `block` and `couplings` are the numba types of those arguments of a sweep. Walkers are numbered
    copy * slots + j. Where `by_slot` is set lane j of a copy always is slot j: an exchange moves states between lanes
    by `make_exchange()` (a part exchange(block, accepted[pair of lanes])); otherwise it moves the labels of walkers.
    `divisible` says that walkers may be divided over ranks.

    `pack(spins[walker, ...])` gives the block and `unpack(block, walkers)` the spins; `prepare(couplings)` the
    neighbour table and couplings as kernels want them; `rng(walkers)` the shape of the random state, whose rows hold
    xoshiro states. `make_energies()` builds a part energies(block, neighbours, couplings, energy[walker]) and
    `make_measure()` a part measure(block, neighbours, couplings, shape, scale, energy, order[walker, component],
    structure[walker]). `extras` builds the layout's own forms of observables, by name; others unpack nothing and work
    on the plain layout alone.
    """

    name: str
    block: str
    couplings: str
    pack: Callable[[Array], Array]
    unpack: Callable[[Array, int], Array]
    prepare: Callable[[Array], tuple[NDArray[np.int32], Array]]
    rng: Callable[[int], tuple[int, int]]
    make_energies: Callable[[], Any]
    make_measure: Callable[[], Any]
    make_exchange: Callable[[], Any] | None = None
    divisible: bool = True
    extras: Mapping[str, Callable[[], Any]] = field(default_factory=dict)

    @property
    def by_slot(self) -> bool:
        """Whether states move at an exchange, rather than labels."""
        return self.make_exchange is not None


def plain(system: System) -> Layout:
    """One array element a spin, or a component of it."""
    real = system.coupling == "real"
    return Layout(
        "plain",
        "float64[:,:,::1]" if system.model.spin_components else "int8[:,::1]",
        "float64[:,::1]" if real else "int8[:,::1]",
        pack=lambda spins: np.ascontiguousarray(spins, system.model.dtype),
        unpack=lambda block, walkers: block,
        prepare=lambda couplings: (system.neighbours, np.ascontiguousarray(couplings, np.float64 if real else np.int8)),
        rng=lambda walkers: (walkers, 4),
        make_energies=lambda: make_energies(system),
        make_measure=lambda: make_measure(system),
    )


def make_energies(system: System) -> Any:
    """energies(block, neighbours, couplings, energy): the total energy of every walker."""
    bulk, zero = make_bulk(system), np.int64(0) if system.integer else 0.0

    @part
    def energies(block, neighbours, couplings, energy):  # type: ignore[no-untyped-def]
        for w in range(block.shape[0]):
            walker, total = block[w], zero
            for site in range(np.uint64(neighbours.shape[0])):
                total += bulk(walker, neighbours, couplings, site)
            energy[w] = total

    return energies
