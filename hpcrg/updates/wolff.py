"""Wolff: one cluster is grown from a random site and moved (Wolff, Phys. Rev. Lett. 62, 361 (1989)).

A sweep is one cluster, whatever its size: sweeping until enough sites have moved would favour small clusters and is
biased. A campaign's `repeat` asks for more clusters. The series is the cluster's fraction of the lattice.
"""

from __future__ import annotations

import numpy as np

from hpcrg.jit import kernel
from hpcrg.lattice import Lattice
from hpcrg.models.base import Physics
from hpcrg.rng import advance, choose, load, store
from hpcrg.updates.base import SIGNATURE, Kernel, UpdateType, bond_chances, needs_mirror

U64 = np.uint64


def make(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for one physics and dimension."""
    mirror, reflect, gap, moves = physics.mirror, physics.reflect, physics.gap, physics.moves
    z, levels = lattice.coordination, physics.gap_span + 1

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def wolff(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        table = np.empty(levels, np.uint64)
        before = np.empty(spins.shape[1], spins.dtype)
        stack = np.empty(spins.shape[1] + 1, np.uint32)
        for w in range(spins.shape[0]):
            walker = spins[w]
            state = load(rng[w])
            bond_chances(betas[w], table)
            state, m = mirror(state)
            state, move = choose(state, moves - 1)
            move += U64(1)
            state, root = choose(state, walker.size)
            before[root], stack[0] = walker[root], root
            walker[root] = reflect(m, np.int64(move), walker[root])
            top, size = U64(1), U64(1)
            while top > U64(0):
                top -= U64(1)
                site = U64(stack[top])
                spin = before[site]
                for k in range(z):
                    # A site already moved has gap 0 with every member's old spin, so none is visited twice.
                    near = U64(neighbours[site, k])
                    old = walker[near]
                    state, word = advance(state)
                    joins = (word >> U64(11)) < table[U64(gap(m, spin, old))]
                    stack[top] = near
                    before[near] = old if joins else before[near]
                    walker[near] = reflect(m, np.int64(move), old) if joins else old
                    top += U64(joins)
                    size += U64(joins)
            store(rng[w], state)
            info[w, 0] = size / walker.size

    return wolff


WOLFF = UpdateType("wolff", 1, ("cluster_fraction",), needs_mirror("wolff"), make)
