"""Over-relaxation: every spin is reflected about the field of its neighbours, at constant energy (Brown and Woch, Phys.
Rev. Lett. 58, 2394 (1987); Creutz, Phys. Rev. D 36, 515 (1987)).

Deterministic and not ergodic by itself: a round needs another update beside it. Sites are visited in C order.
"""

from __future__ import annotations

import numpy as np

from hpcrg.errors import Unsupported
from hpcrg.interaction import make_field
from hpcrg.jit import part
from hpcrg.system import System
from hpcrg.updates.base import Sweep, UpdateType, by_system

U64 = np.uint64


def make(system: System) -> Sweep:
    """The sweep for one system."""
    field, physics = make_field(system), system.physics
    overrelax, read, write = physics.overrelax, physics.read, physics.write

    @part
    def overrelaxation(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        for w in range(block.shape[0]):
            walker = block[w]
            for site in range(U64(neighbours.shape[0])):
                total = field(walker, neighbours, couplings, site)
                write(walker, site, overrelax(total, read(walker, site)))

    return overrelaxation


def check(system: System, slots: int, copies: int) -> None:
    """Only spins that can turn at constant energy."""
    if system.physics.overrelax is None:
        why = "its spins cannot turn at constant energy"
        raise Unsupported(f"overrelaxation: expected a model of vector spins, found {system.model.name}: {why}")


OVERRELAXATION = UpdateType(
    "overrelaxation", 1, check, by_system(make), by_system(lambda system: ()), ergodic=lambda system: False
)  # fmt: skip
