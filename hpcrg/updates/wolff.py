"""Wolff: one cluster is grown from a random site and moved (Wolff, Phys. Rev. Lett. 62, 361 (1989)).

A sweep is one cluster, whatever its size: sweeping until enough sites have moved would favour small
clusters and is biased. A campaign's `repeat` asks for more clusters. How clusters grow: cluster_growth, square_growth,
embedded_growth, frozen_sublattice, and here where bonds may repel. Where there is an on-site energy the whole move is
accepted with min(1, exp(-beta dE)) of that energy. The series is the fraction of the lattice that moved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_frozen, make_near
from hpcrg.jit import part
from hpcrg.rng import advance, choose, fraction, load, store
from hpcrg.system import System
from hpcrg.updates import cluster_growth, embedded_growth, frozen_sublattice, square_growth
from hpcrg.updates.base import Sweep, UpdateType, bond_chances, by_system, gap_levels, make_lay, needs_clusters

U64 = np.uint64
U32 = np.uint32


def make_grow_marked(system: System) -> Any:
    """grow with the arguments of cluster_growth, where bonds may repel: a site that has moved can then have a gap with
    a member, and marks tell that it has."""
    physics, z = system.physics, U64(system.coordination)
    read, write, reflect, project, gap = physics.read, physics.write, physics.reflect, physics.project, physics.gap
    lay, coupling = make_lay(system), make_near(system)

    @part
    def grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        member = np.zeros(neighbours.shape[0], np.uint8)
        queue[0], old[0], member[first] = U32(first), project(m, read(walker, first)), 1
        head, size = U64(0), U64(1)
        while head < size:
            site, here = U64(queue[head]), old[head]
            head += U64(1)
            for k in range(z):
                near = U64(neighbours[site, k])
                there = project(m, read(walker, near))
                state, word = advance(state)
                bond = coupling(couplings, site, k)
                joins = lay(word, gap(here, there, bond), beta, table) and member[near] == 0
                queue[size], old[size] = U32(near), there
                member[near] |= np.uint8(joins)
                size += U64(joins)
        for i in range(size):
            write(walker, U64(queue[i]), reflect(m, move, read(walker, U64(queue[i]))))
        return state, size

    return grow


def make_grow(system: System) -> Any:
    """The growth for one system: the fastest that serves it."""
    if system.coupling != "none":
        return make_grow_marked(system)
    if square_growth.served(system):
        return square_growth.make_grow(system)
    return cluster_growth.make_grow(system) if cluster_growth.served(system) else embedded_growth.make_grow(system)


def make_judge(system: System) -> Any:
    """judge(walker, m, move, queue, size, beta, r) -> (r, kept): takes a grown cluster back with the probability that
    its on-site energy asks for."""
    physics = system.physics
    if physics.site is None or physics.even:

        @part
        def always(walker, m, move, queue, size, beta, state):  # type: ignore[no-untyped-def]
            return state, size

        return always
    site_energy, read, write, reflect, moves = physics.site, physics.read, physics.write, physics.reflect, physics.moves

    @part
    def judge(walker, m, move, queue, size, beta, state):  # type: ignore[no-untyped-def]
        change = 0.0
        for i in range(size):
            new = read(walker, U64(queue[i]))
            change += site_energy(new) - site_energy(reflect(m, moves - move, new))
        state, word = advance(state)
        if fraction(word) < np.exp(-beta * change):
            return state, size
        for i in range(size):
            site = U64(queue[i])
            write(walker, site, reflect(m, moves - move, read(walker, site)))
        return state, U64(0)

    return judge


def make(system: System) -> Sweep:
    """The sweep for one system; move k is undone by move `moves` - k."""
    if system.physics.three_spins:
        return frozen_sublattice.make_wolff(system)
    physics, grow, judge, frozen = system.physics, make_grow(system), make_judge(system), make_frozen(system)
    mirror, moves, levels, kind, read = (
        physics.mirror,
        physics.moves,
        gap_levels(system),
        physics.projection,
        physics.read,
    )

    @part
    def wolff(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume = neighbours.shape[0]
        table = np.empty(levels, np.uint64)
        queue, old = np.empty(volume + 1, np.uint32), np.empty(volume + 1, kind)
        for w in range(block.shape[0]):
            walker = block[w]
            bond_chances(betas[w], table)
            state, m = mirror(load(rng[w]))
            state, skip = choose(state, moves - 1)
            state, first = choose(state, volume)
            move, size = np.int64(skip) + 1, U64(0)
            if not frozen(read(walker, first)):
                state, size = grow(
                    walker, neighbours, couplings, betas[w], table, m, move, first, queue, old, state
                )  # fmt: skip
                state, size = judge(walker, m, move, queue, size, betas[w], state)
            store(rng[w], state)
            info[w, 0] = size / volume

    return wolff


WOLFF = UpdateType(
    "wolff", 3, needs_clusters("wolff"), by_system(make), by_system(lambda system: ("cluster_fraction",)),
    ergodic=lambda system: system.model.ergodic_clusters,
)  # fmt: skip
