"""Wolff: one cluster is grown from a random site and moved (Wolff, Phys. Rev. Lett. 62, 361 (1989)).

A sweep is one cluster, whatever its size: sweeping until enough sites have moved would favour small
clusters and is biased. A campaign's `repeat` asks for more clusters. The series is the cluster's fraction
of the lattice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import kernel, part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Physics
from hpcrg.rng import advance, choose, load, store
from hpcrg.updates.base import SIGNATURE, Kernel, UpdateType, bond_chances, mirror_of, needs_mirror

U64 = np.uint64
U32 = np.uint32


def make_grow(physics: Physics, coordination: int) -> Any:
    """grow(spins, neighbours, table, m, move, first, queue, old, r) -> (r, size): moves the cluster of one
    site.

    The cluster waits in a queue with its spins from before the move; a site is written to the queue's end
    whether it joins or not, and counted if it does, so there is no branch to mispredict.
    """
    reflect, gap = physics.reflect, physics.gap

    @part(f"wolff.{physics.name}.{coordination}")
    def grow(spins, neighbours, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        queue[0], old[0] = U32(first), spins[first]
        spins[first] = reflect(m, move, spins[first])
        head, size = U64(0), U64(1)
        while head < size:
            site, spin = U64(queue[head]), old[head]
            head += U64(1)
            for k in range(coordination):
                # A site already moved has gap 0 with every member's old spin, so none joins twice.
                near = U64(neighbours[site, k])
                other = spins[near]
                state, word = advance(state)
                joins = (word >> U64(11)) < table[U64(gap(m, spin, other))]
                queue[size], old[size] = U32(near), other
                spins[near] = reflect(m, move, other) if joins else other
                size += U64(joins)
        return state, size

    return grow


def make(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for one physics and dimension."""
    grow, mirror, moves = make_grow(physics, lattice.coordination), mirror_of(physics), physics.moves
    levels = physics.gap_span + 1

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def wolff(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        volume = spins.shape[1]
        table = np.empty(levels, np.uint64)
        queue, old = np.empty(volume + 1, np.uint32), np.empty(volume + 1, spins.dtype)
        for w in range(spins.shape[0]):
            walker = spins[w]
            bond_chances(betas[w], table)
            state, m = mirror(load(rng[w]))
            state, skip = choose(state, moves - 1)
            state, first = choose(state, volume)
            move = np.int64(skip) + 1
            state, size = grow(walker, neighbours, table, m, move, first, queue, old, state)
            store(rng[w], state)
            info[w, 0] = size / volume

    return wolff


WOLFF = UpdateType("wolff", 1, ("cluster_fraction",), needs_mirror("wolff"), make)
