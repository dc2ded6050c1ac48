"""Swendsen-Wang: bonds are laid and every cluster takes a move of its own.

Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987). For Potts these are Fortuin-Kasteleyn clusters with fresh
colours. Where every cluster takes each of the q states alike, the moments of the squared order parameter
have improved estimators, with S_k = sum over clusters of size^k:

    m2 = S_2 / N^2,    m4 = (S_4 + (S_2^2 - S_4) (1 + 2 / (q - 1))) / N^4.

Labels are found by union-find, bonds to the sites before each site being laid in C order. The parent of a
site never has a larger index, so one pass flattens the trees.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.errors import Unsupported
from hpcrg.jit import helper, kernel, part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Model, Physics
from hpcrg.rng import advance, choose, load, store
from hpcrg.updates.base import SIGNATURE, Kernel, UpdateType, bond_chances, mirror_of, needs_mirror

U64 = np.uint64
U32 = np.uint32


@helper
def root_of(parent, site):  # type: ignore[no-untyped-def]
    """The root of a site's tree."""
    root = U64(parent[site])
    while U64(parent[root]) != root:
        root = U64(parent[root])
    return root


def make_label(physics: Physics, dimension: int) -> Any:
    """label(spins, neighbours, table, m, parent, r) -> r: lays bonds and joins what they connect."""
    gap = physics.gap

    @part(f"swendsen_wang.{physics.name}.{dimension}")
    def label(spins, neighbours, table, m, parent, state):  # type: ignore[no-untyped-def]
        for site in range(U64(spins.size)):
            parent[site] = U32(site)
        for site in range(U64(spins.size)):
            root = root_of(parent, site)
            for k in range(dimension, 2 * dimension):
                near = U64(neighbours[site, k])
                state, word = advance(state)
                laid = (word >> U64(11)) < table[U64(gap(m, spins[site], spins[near]))]
                end = near if laid else root  # no branch: a root joined with itself stays
                other = root_of(parent, U64(parent[end]))
                low, high = min(root, other), max(root, other)
                parent[high] = U32(low)
                parent[end] = U32(low)
                root = low
            parent[site] = U32(root)
        return state

    return label


@helper
def flatten(parent, sizes):  # type: ignore[no-untyped-def]
    """Point every site at its root, count sites per root, and return the sums of size^2 and size^4."""
    sizes[:] = 0
    last, run = U32(0), 0
    for site in range(U64(parent.size)):
        root = parent[U64(parent[site])]
        parent[site] = root
        if root != last:
            sizes[U64(last)] += run
            last, run = root, 0
        run += 1
    sizes[U64(last)] += run
    second, fourth = 0.0, 0.0
    for site in range(U64(parent.size)):
        square = float(sizes[site]) * float(sizes[site])
        second += square
        fourth += square * square
    return second, fourth


def make(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for one physics and dimension."""
    label, mirror, reflect = make_label(physics, lattice.dimension), mirror_of(physics), physics.reflect
    moves, levels = physics.moves, physics.gap_span + 1

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def swendsen_wang(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        volume = spins.shape[1]
        table = np.empty(levels, np.uint64)
        parent, sizes = np.empty(volume, np.uint32), np.empty(volume, np.int32)
        move = np.empty(volume, np.uint8)
        for w in range(spins.shape[0]):
            walker = spins[w]
            bond_chances(betas[w], table)
            state, m = mirror(load(rng[w]))
            state = label(walker, neighbours, table, m, parent, state)
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
        wanted = "a model whose clusters take every state alike"
        raise Unsupported(f"swendsen_wang: expected {wanted}, found {model.name}")


SWENDSEN_WANG = UpdateType("swendsen_wang", 1, ("improved_m2", "improved_m4"), check, make)
