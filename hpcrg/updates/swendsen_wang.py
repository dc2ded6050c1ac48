"""Swendsen-Wang: bonds are laid and every cluster takes a move of its own.

Swendsen and Wang, Phys. Rev. Lett. 58, 86 (1987); Wolff's embedding for continuous spins. For Potts these are
Fortuin-Kasteleyn clusters with fresh colours. Where every cluster takes each of the q states alike, the moments of the
squared order parameter have improved estimators, with S_k = sum over clusters of size^k:

    m2 = S_2 / N^2,    m4 = (S_4 + (S_2^2 - S_4) (1 + 2 / (q - 1))) / N^4.

Where there is an on-site energy e, a cluster takes a move with probability proportional to exp(-beta sum of e).

Labels are found by union-find (union.py), every bond being laid at the site that holds it. Where the energy is one of
three spins, sublattices are frozen in turn (frozen_sublattice.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.rng import advance, choose, fraction, load, store
from hpcrg.system import System
from hpcrg.updates import embedded, embedded_square, frozen_sublattice
from hpcrg.updates.base import Sweep, UpdateType, bond_chances, by_system, gap_levels, make_lay, needs_clusters
from hpcrg.updates.union import flatten, root_of, unite

U64 = np.uint64
U32 = np.uint32


def make_label(system: System) -> Any:
    """label(x, neighbours, couplings, beta, table, parent, r) -> r: lays bonds between projections x[site] and joins
    what they connect."""
    gap, lay, coupling, halved = system.physics.gap, make_lay(system), make_near(system), system.halved
    first, last = U64(system.columns.start), U64(system.columns.stop)

    @part
    def label(x, neighbours, couplings, beta, table, parent, state):  # type: ignore[no-untyped-def]
        volume = U64(neighbours.shape[0])
        for site in range(volume):
            parent[site] = U32(site)
        for site in range(volume // U64(2) if halved else U64(0), volume):
            root = root_of(parent, site)
            for k in range(first, last):
                near = U64(neighbours[site, k])
                state, word = advance(state)
                bond = coupling(couplings, site, k)
                laid = lay(word, gap(x[site], x[near], bond), beta, table)
                root = unite(parent, root, near, laid)
            parent[site] = U32(root)
        return state

    return label


def make_move(system: System) -> Any:
    """move(walker, m, parent, chosen, beta, r) -> r: draws a move for every cluster and makes it."""
    read, write, reflect, moves = (getattr(system.physics, k) for k in ("read", "write", "reflect", "moves"))

    @part
    def free(walker, m, parent, chosen, beta, state):  # type: ignore[no-untyped-def]
        for site in range(U64(parent.size)):
            state, chosen[site] = choose(state, moves)
            write(walker, site, reflect(m, np.int64(chosen[U64(parent[site])]), read(walker, site)))
        return state

    if system.physics.site is None or system.physics.even:
        return free
    site_energy = system.physics.site

    @part
    def weighed(walker, m, parent, chosen, beta, state):  # type: ignore[no-untyped-def]
        cost = np.zeros((parent.size, moves))
        for site in range(U64(parent.size)):
            for k in range(moves):
                cost[U64(parent[site]), k] += site_energy(reflect(m, k, read(walker, site)))
        for site in range(U64(parent.size)):
            if U64(parent[site]) == site:
                state, word = advance(state)
                chosen[site] = _draw(cost[site], beta, fraction(word))
            write(walker, site, reflect(m, np.int64(chosen[U64(parent[site])]), read(walker, site)))
        return state

    return weighed


@part
def _draw(cost, beta, mark):  # type: ignore[no-untyped-def]
    """A move k with probability proportional to exp(-beta cost[k])."""
    lowest, total = cost.min(), 0.0
    for k in range(cost.size):
        total += np.exp(-beta * (cost[k] - lowest))
    running, chosen = 0.0, np.int64(0)
    for k in range(cost.size - 1):
        running += np.exp(-beta * (cost[k] - lowest))
        chosen += np.int64(mark * total >= running)
    return chosen


def make(system: System) -> Sweep:
    """The sweep for one system."""
    if system.physics.three_spins:
        return frozen_sublattice.make_swendsen_wang(system)
    if system.physics.projection is np.float64:
        return embedded_square.make(system) if embedded_square.served(system) else embedded.make(system)
    label, move, physics = make_label(system), make_move(system), system.physics
    read, project, mirror, moves, kind = (
        physics.read,
        physics.project,
        physics.mirror,
        physics.moves,
        physics.projection,
    )
    levels, improved = gap_levels(system), has_improved(system)

    @part
    def swendsen_wang(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume = neighbours.shape[0]
        table, x = np.empty(levels, np.uint64), np.empty(volume, kind)
        parent, sizes = np.empty(volume, np.uint32), np.empty(volume, np.int32)
        chosen = np.empty(volume, np.uint8)
        for w in range(block.shape[0]):
            walker = block[w]
            bond_chances(betas[w], table)
            state, m = mirror(load(rng[w]))
            for site in range(U64(volume)):
                x[site] = project(m, read(walker, site))
            state = label(x, neighbours, couplings, betas[w], table, parent, state)
            s2, s4, clusters = flatten(parent, sizes)
            state = move(walker, m, parent, chosen, betas[w], state)
            store(rng[w], state)
            if improved:
                n2 = float(volume) * float(volume)
                info[w, 0] = s2 / n2
                info[w, 1] = (s4 + (s2 * s2 - s4) * (1.0 + 2.0 / (moves - 1))) / (n2 * n2)
            else:
                info[w, 0] = clusters / volume

    return swendsen_wang


def has_improved(system: System) -> bool:
    """Whether every cluster takes every state with equal chance, which improved estimators need; the formulas hold for
    ferromagnetic bonds and full lattices."""
    physics = system.physics
    full = system.model.coupling == "none" and physics.frozen is None
    return physics.mirror is not None and physics.moves == physics.states and physics.site is None and full


def series(system: System) -> tuple[str, ...]:
    """Improved moments where they hold, else the number of clusters per site."""
    return ("improved_m2", "improved_m4") if has_improved(system) else ("clusters",)


SWENDSEN_WANG = UpdateType(
    "swendsen_wang", 2, needs_clusters("swendsen_wang"), by_system(make), by_system(series),
    ergodic=lambda system: system.model.ergodic_clusters,
)  # fmt: skip
