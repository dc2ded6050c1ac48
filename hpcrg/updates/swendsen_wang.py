"""Swendsen-Wang: bonds are laid, every cluster takes a move of its own (Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987)).

For Potts these are Fortuin-Kasteleyn clusters with fresh colours. Improved estimators of the moments of the squared
order parameter, where every cluster takes each of the q states alike, with S_k = sum over clusters of size^k:

    m2 = S_2 / N^2,    m4 = (S_4 + (S_2^2 - S_4) (1 + 2 / (q - 1))) / N^4.

Labels are found by union-find in which the parent of a site never has a larger index, so one pass flattens the trees.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.errors import Unsupported
from hpcrg.jit import helper, kernel
from hpcrg.lattice import Lattice
from hpcrg.models.base import Model, Physics
from hpcrg.rng import advance, choose, load, store
from hpcrg.updates.base import SIGNATURE, Kernel, UpdateType, bond_chances, needs_mirror

U64 = np.uint64
U32 = np.uint32


@helper
def unite(parent, a, b):  # type: ignore[no-untyped-def]
    """Join the trees of a and b under the smaller root. Uniting a site with itself does nothing."""
    x, y = U64(parent[U64(parent[a])]), U64(parent[U64(parent[b])])
    while U64(parent[x]) != x:
        x = U64(parent[x])
    while U64(parent[y]) != y:
        y = U64(parent[y])
    low, high = min(x, y), max(x, y)
    parent[high] = U32(low)
    parent[a] = U32(low)
    parent[b] = U32(low)


def make_bonds(physics: Physics, dimension: int) -> Any:
    """bonds(spins, neighbours, table, m, parent, r) -> r: lays bonds and joins what they connect."""
    gap = physics.gap

    @helper
    def bonds(spins, neighbours, table, m, parent, state):  # type: ignore[no-untyped-def]
        for site in range(U64(spins.size)):
            parent[site] = U32(site)
        for site in range(U64(spins.size)):
            for k in range(dimension):
                near = U64(neighbours[site, k])
                state, word = advance(state)
                laid = (word >> U64(11)) < table[U64(gap(m, spins[site], spins[near]))]
                unite(parent, site, near if laid else site)
        return state

    return bonds


@helper
def flatten(parent, sizes):  # type: ignore[no-untyped-def]
    """Point every site at its root, count sites per root, and return the sums of size^2 and size^4."""
    for site in range(U64(parent.size)):
        sizes[site] = 0
        root = parent[U64(parent[site])]
        parent[site] = root
        sizes[U64(root)] += 1
    second, fourth = 0.0, 0.0
    for site in range(U64(parent.size)):
        square = float(sizes[site]) * float(sizes[site])
        second += square
        fourth += square * square
    return second, fourth


def make(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for one physics and dimension."""
    bonds = make_bonds(physics, lattice.dimension)
    mirror, reflect, moves, levels = physics.mirror, physics.reflect, physics.moves, physics.gap_span + 1

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def swendsen_wang(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        volume = spins.shape[1]
        table = np.empty(levels, np.uint64)
        parent, sizes, move = np.empty(volume, np.uint32), np.empty(volume, np.int32), np.empty(volume, np.uint8)
        for w in range(spins.shape[0]):
            walker = spins[w]
            state = load(rng[w])
            bond_chances(betas[w], table)
            state, m = mirror(state)
            state = bonds(walker, neighbours, table, m, parent, state)
            s2, s4 = flatten(parent, sizes)
            for site in range(U64(volume)):
                state, move[site] = choose(state, moves)
                walker[site] = reflect(m, np.int64(move[U64(parent[site])]), walker[site])
            store(rng[w], state)
            n2 = float(volume) * float(volume)
            info[w, 0] = s2 / n2
            info[w, 1] = (s4 + (s2 * s2 - s4) * (1.0 + 2.0 / (moves - 1))) / (n2 * n2)

    return swendsen_wang


def check(model: Model, lattice: Lattice) -> None:
    """Improved estimators need clusters that take every state alike."""
    needs_mirror("swendsen_wang")(model, lattice)
    if model.physics.moves != model.states:
        raise Unsupported(f"swendsen_wang: expected a model whose clusters can take every state, found {model.name}")


SWENDSEN_WANG = UpdateType("swendsen_wang", 1, ("improved_m2", "improved_m4"), check, make)
