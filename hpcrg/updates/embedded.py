"""Swendsen-Wang of continuous spins: Ising spins embedded along a random axis.

Wolff, Phys. Rev. Lett. 62, 361 (1989). Every spin has a projection x on the axis; a bond of coupling c is laid with
probability 1 - exp(-beta max(0, 2 c x x')), and every cluster is reflected with probability 1/2. Work goes in passes
over a block of sites, each a loop of vector instructions: gather the gaps, make random words, compare
(embedded_bonds); union-find alone takes bonds one by one. The random words of a sweep come from generators that the
walker's own generator seeds anew for every sweep.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.packed.bernoulli import LANES, STATE_WORDS, WORK_WORDS, fair
from hpcrg.rng import advance, load, store
from hpcrg.system import System
from hpcrg.updates.base import Sweep
from hpcrg.updates.embedded_bonds import compare, make_resolve
from hpcrg.updates.union import unite

U64 = np.uint64
U32 = np.uint32
BLOCK = 512
"""Sites of a pass: their gaps, numbers and bonds stay in the first cache. A multiple of 2 LANES."""


@part
def seed(work, state):  # type: ignore[no-untyped-def]
    """Start the generators of `fair` from one."""
    for k in range(U64(STATE_WORDS)):
        state, work[k] = advance(state)
    return state


def make_gather(system: System) -> Any:
    """gather(x, neighbours, couplings, beta, begin, count, column, gaps): beta times the gaps in one column."""
    gap, coupling = system.physics.gap, make_near(system)

    @part
    def gather(x, neighbours, couplings, beta, begin, count, column, gaps):  # type: ignore[no-untyped-def]
        for i in range(count):
            site = begin + i
            here = gap(x[site], x[U64(neighbours[site, column])], coupling(couplings, site, column))
            gaps[i] = np.float32(beta * here)

    return gather


def make_join(system: System) -> Any:
    """join(neighbours, begin, count, laid, parent): the clusters of bonds laid[column, i]."""
    first, last = U64(system.columns.start), U64(system.columns.stop)

    @part
    def join(neighbours, begin, count, laid, parent):  # type: ignore[no-untyped-def]
        for i in range(count):
            site = begin + i
            root = U64(parent[site])
            while U64(parent[root]) != root:
                root = U64(parent[root])
            for k in range(first, last):
                root = unite(parent, root, U64(neighbours[site, k]), laid[k - first, i] > 0)
            parent[site] = U32(root)

    return join


def make_label(system: System) -> Any:
    """label(x, neighbours, couplings, beta, work, words, parent, r) -> r: lays bonds between projections x[site] and
    joins what they connect; `words` has room for BLOCK random words."""
    first, last, halved = U64(system.columns.start), U64(system.columns.stop), system.halved
    gather, resolve, join, width = make_gather(system), make_resolve(system), make_join(system), len(system.columns)

    @part
    def label(x, neighbours, couplings, beta, work, words, parent, state):  # type: ignore[no-untyped-def]
        volume, block = U64(neighbours.shape[0]), U64(BLOCK)
        gaps, laid, open_ = np.empty(BLOCK, np.float32), np.empty((width, BLOCK), np.uint8), np.zeros(BLOCK, np.uint8)
        numbers = words[: BLOCK // 2].view(np.int32)
        for site in range(volume):
            parent[site] = U32(site)
        for begin in range(volume // U64(2) if halved else U64(0), volume, block):
            count = min(block, volume - begin)
            for k in range(first, last):
                row = laid[k - first]
                gather(x, neighbours, couplings, beta, begin, count, k, gaps)
                fair(words[: needed(count, U64(2))], work)
                compare(gaps, numbers, row, open_, count)
                state = resolve(x, neighbours, couplings, beta, begin, k, numbers, row, open_, count, state)
            join(neighbours, begin, count, laid, parent)
        return state

    return label


@part
def needed(count, share):  # type: ignore[no-untyped-def]
    """Words for `count` numbers, `share` of them in a word; a multiple of LANES."""
    whole = share * U64(LANES)
    return (count + whole - U64(1)) // whole * U64(LANES)


@part
def choose_moves(parent, work, words, move):  # type: ignore[no-untyped-def]
    """move[site] = 0 or 1, the same in a cluster; gives the number of clusters. No parent has a larger index than its
    site, so one pass in order is enough."""
    volume, clusters, block = U64(parent.size), np.int64(0), U64(64 * BLOCK)
    for begin in range(U64(0), volume, block):
        stop = min(volume, begin + block)
        fair(words[: needed(stop - begin, U64(64))], work)
        for site in range(begin, stop):
            above, own = U64(parent[site]), (words[(site - begin) >> U64(6)] >> (site & U64(63))) & U64(1)
            move[site] = np.uint8(own)
            move[site] = move[above]
            clusters += np.int64(above == site)
    return clusters


def make(system: System) -> Sweep:
    """The sweep for one system."""
    physics, label = system.physics, make_label(system)
    read, write, reflect, project, mirror = (
        physics.read, physics.write, physics.reflect, physics.project, physics.mirror
    )  # fmt: skip

    @part
    def embedded(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume = U64(neighbours.shape[0])
        work, words = np.empty(WORK_WORDS, np.uint64), np.empty(BLOCK, np.uint64)
        x, parent, move = np.empty(volume), np.empty(volume, np.uint32), np.empty(volume, np.uint8)
        for w in range(block.shape[0]):
            walker = block[w]
            state, m = mirror(load(rng[w]))
            state = seed(work, state)
            for site in range(volume):
                x[site] = project(m, read(walker, site))
            state = label(x, neighbours, couplings, betas[w], work, words, parent, state)
            clusters = choose_moves(parent, work, words, move)
            for site in range(volume):
                write(walker, site, reflect(m, np.float64(move[site]), read(walker, site)))
            store(rng[w], state)
            info[w, 0] = clusters / volume

    return embedded
