"""Heat bath: every spin is drawn anew from its distribution given its neighbours (Creutz, Phys. Rev. D 21,
2308 (1980)).

Sites are visited in C order. The series `acceptance` is the fraction of spins that changed.
"""

from __future__ import annotations

import numpy as np

from hpcrg.jit import kernel
from hpcrg.lattice import Lattice
from hpcrg.models.base import Physics
from hpcrg.rng import advance, fraction, load, store
from hpcrg.updates.base import SIGNATURE, Kernel, UpdateType, serves_all

U64 = np.uint64


def make(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for one physics and dimension."""
    decode, pair, states, z = physics.decode, physics.pair, physics.states, lattice.coordination
    highest = z * physics.pair_span

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def heat_bath(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        weight = np.empty(2 * highest + 1)
        total = np.empty(states)
        for w in range(spins.shape[0]):
            walker, state, changed = spins[w], load(rng[w]), np.int64(0)
            for k in range(weight.size):
                weight[k] = np.exp(-betas[w] * (k - highest))
            for site in range(U64(walker.size)):
                # Energies relative to the first state, so that they lie in -highest .. highest for any pair energy.
                running = 0.0
                for code in range(states):
                    cost = np.int64(0)
                    for k in range(z):
                        other = walker[U64(neighbours[site, k])]
                        cost += pair(decode(code), other) - pair(decode(0), other)
                    running += weight[U64(cost + highest)]
                    total[code] = running
                state, word = advance(state)
                mark = fraction(word) * running
                chosen = np.int64(0)
                for code in range(states - 1):
                    chosen += np.int64(mark >= total[code])
                new = decode(chosen)
                changed += np.int64(new != walker[site])
                walker[site] = new
            store(rng[w], state)
            info[w, 0] = changed / walker.size

    return heat_bath


HEAT_BATH = UpdateType("heat_bath", 1, ("acceptance",), serves_all, make)
