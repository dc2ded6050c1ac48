"""Clusters of the Baxter-Wu model: one of the three sublattices of the triangular lattice is frozen.

Novotny and Evertz, in Computer Simulation Studies in Condensed Matter Physics VI (Springer, 1993). With the spins
of sublattice a frozen, a neighbouring pair of the two others shares two triangles and has the energy -(a + a') b c:
an Ising bond of strength 2, 0 or -2. All bonds of the hexagon around a site of a have its sign, so none is
frustrated. A bond that is satisfied is laid with probability 1 - exp(-4 beta), and any cluster may be flipped.

The six columns of the neighbour table go around a site, so the two triangles of column k have their third corners
in the columns k - 1 and k + 1. With (x - y) mod 3 for the colour of a site, even columns lead from colour c to c + 1,
odd ones to c - 1.
"""

from __future__ import annotations

import numpy as np

from hpcrg.jit import part
from hpcrg.rng import advance, choose, load, store
from hpcrg.system import System
from hpcrg.updates.base import Sweep, bond_chances
from hpcrg.updates.cluster_growth import lay_all, lay_four, seed, split
from hpcrg.updates.union import flatten, root_of, unite

U64 = np.uint64
U32 = np.uint32
ZERO, ONE, TWO, THREE, SIX, SIXTEEN = U64(0), U64(1), U64(2), U64(3), U64(6), U64(16)
GAP = U64(4)


@part
def first_of(row, colour):  # type: ignore[no-untyped-def]
    """The first x of a row whose colour, (x - y) mod 3, is this one; every third x follows."""
    return (row + colour) % THREE


@part
def satisfied(walker, neighbours, site, k):  # type: ignore[no-untyped-def]
    """Whether the two triangles of a site and its neighbour k both have the energy -1."""
    before, after = k + (SIX - ONE if k == ZERO else -ONE), k + (ONE - SIX if k == SIX - ONE else ONE)
    pair = walker[site] * walker[U64(neighbours[site, k])]
    return pair * (walker[U64(neighbours[site, before])] + walker[U64(neighbours[site, after])]) > 0


@part
def join(walker, neighbours, frozen, columns, chance, spare, parent, state):  # type: ignore[no-untyped-def]
    """Lay the bonds between the two sublattices that are not frozen, and join what they connect."""
    upper, rest = split(chance)
    for site in range(U64(parent.size)):
        parent[site] = U32(site)
    for row in range(U64(parent.size) // columns):
        begin = row * columns
        for site in range(begin + first_of(row, frozen + ONE), begin + columns, THREE):
            state, word = advance(state)
            laid, decided = lay_four(word, upper)
            if not decided:
                laid = lay_all(word, upper, rest, spare)
            root = root_of(parent, site)
            for i in range(THREE):
                bit = (laid >> (SIXTEEN * i + SIXTEEN - ONE)) & ONE
                joined = (bit == ONE) & satisfied(walker, neighbours, site, TWO * i)
                root = unite(parent, root, U64(neighbours[site, TWO * i]), joined)
            parent[site] = U32(root)
    return state


@part
def flip(walker, frozen, columns, parent, words, state):  # type: ignore[no-untyped-def]
    """Flip every cluster with probability 1/2, by the bit of its root."""
    for k in range(U64(words.size)):
        state, words[k] = advance(state)
    for row in range(U64(parent.size) // columns):
        begin = row * columns
        for other in range(ONE, THREE):
            for site in range(begin + first_of(row, frozen + other), begin + columns, THREE):
                root = U64(parent[site])
                turned = (words[root >> SIX] >> (root & U64(63))) & ONE
                walker[site] *= np.int8(1) - np.int8(2) * np.int8(turned)
    return state


def make_swendsen_wang(system: System) -> Sweep:
    """A sweep freezes each sublattice in turn; the series is the mean number of clusters per site that is not
    frozen."""

    @part
    def frozen_sublattice(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume, columns = U64(neighbours.shape[0]), U64(neighbours[0, 1])  # one step along y from site 0
        table, spare = np.empty(5, np.uint64), np.empty(4, np.uint64)
        parent, sizes = np.empty(volume, np.uint32), np.empty(volume, np.int32)
        words = np.empty(volume // U64(64) + ONE, np.uint64)
        for w in range(block.shape[0]):
            bond_chances(betas[w], table)
            state, clusters = seed(spare, load(rng[w])), np.int64(0)
            for frozen in range(THREE):
                state = join(block[w], neighbours, frozen, columns, table[GAP], spare, parent, state)
                clusters += flatten(parent, sizes)[2]
                state = flip(block[w], frozen, columns, parent, words, state)
            store(rng[w], state)
            info[w, 0] = (clusters - volume) / (2.0 * volume)

    return frozen_sublattice


@part
def grow(walker, neighbours, first, odd, chance, spare, queue, member, state):  # type: ignore[no-untyped-def]
    """The cluster of a site by its even bonds, or by its odd ones; members at odd distances go the other way."""
    upper, rest = split(chance)
    queue[0], member[first] = U32(first * TWO + odd), 1
    head, size = ZERO, ONE
    while head < size:
        site, way = U64(queue[head]) >> ONE, U64(queue[head]) & ONE
        head += ONE
        state, word = advance(state)
        laid, decided = lay_four(word, upper)
        if not decided:
            laid = lay_all(word, upper, rest, spare)
        for i in range(THREE):
            near = U64(neighbours[site, TWO * i + way])
            bit = (laid >> (SIXTEEN * i + SIXTEEN - ONE)) & ONE
            joins = bit == ONE and member[near] == 0 and satisfied(walker, neighbours, site, TWO * i + way)
            queue[size] = U32(near * TWO + (ONE - way))
            member[near] |= np.uint8(joins)
            size += U64(joins)
    for i in range(size):
        site = U64(queue[i]) >> ONE
        walker[site] = -walker[site]
        member[site] = 0
    return state, size


def make_wolff(system: System) -> Sweep:
    """A sweep is one cluster from a random site, with one of the two other sublattices frozen at random."""

    @part
    def frozen_wolff(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume = neighbours.shape[0]
        table, spare = np.empty(5, np.uint64), np.empty(4, np.uint64)
        queue, member = np.empty(volume + 1, np.uint32), np.zeros(volume, np.uint8)
        for w in range(block.shape[0]):
            bond_chances(betas[w], table)
            state, odd = choose(seed(spare, load(rng[w])), 2)
            state, first = choose(state, volume)
            state, size = grow(block[w], neighbours, first, odd, table[GAP], spare, queue, member, state)
            store(rng[w], state)
            info[w, 0] = size / volume

    return frozen_wolff
