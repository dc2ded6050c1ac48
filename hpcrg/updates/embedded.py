"""Swendsen-Wang of continuous spins: Ising spins embedded along a random axis (Wolff, Phys. Rev. Lett. 62, 361 (1989)).

Every spin has a projection x on the axis; a bond of coupling c is laid with probability 1 - exp(-beta max(0, 2 c x
x')), and every cluster is reflected with probability 1/2. Work goes in passes over a block of sites, so that each is a
loop of vector instructions: gather the gaps, make random words, compare; union-find alone takes bonds one by one. The
random numbers of a sweep come from LANES generators that the walker's own generator seeds anew for every sweep.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.exponential import decay
from hpcrg.interaction import make_near
from hpcrg.jit import helper, part
from hpcrg.rng import advance, fraction, load, store
from hpcrg.system import System

U64 = np.uint64
U32 = np.uint32
LANES = 16
N = U64(LANES)
BLOCK = 512


@helper
def seed(lanes, state):  # type: ignore[no-untyped-def]
    """Start the generators lanes[word, lane], flat, from one."""
    for k in range(U64(lanes.size)):
        state, lanes[k] = advance(state)
    return state


@helper
def fill(lanes, words, count):  # type: ignore[no-untyped-def]
    """The first `count` words, and some more, up to a multiple of LANES."""
    for begin in range(U64(0), count, N):
        for i in range(N):
            state = lanes[i], lanes[N + i], lanes[U64(2) * N + i], lanes[U64(3) * N + i]
            state, words[begin + i] = advance(state)
            lanes[i], lanes[N + i], lanes[U64(2) * N + i], lanes[U64(3) * N + i] = state


@helper
def compare(gaps, words, beta, laid, count):  # type: ignore[no-untyped-def]
    """laid[i] = 1 with probability 1 - exp(-beta gap)."""
    for i in range(count):
        laid[i] = np.uint8((fraction(words[i]) >= decay(beta * gaps[i])) & (gaps[i] > 0.0))


@helper
def unite(parent, site, near, laid):  # type: ignore[no-untyped-def]
    """Join two sites where a bond is laid; without one, a root is joined with itself, so there is no branch."""
    root = U64(parent[U64(parent[site])])
    while U64(parent[root]) != root:
        root = U64(parent[root])
    end = near if laid else root
    other = U64(parent[U64(parent[end])])
    while U64(parent[other]) != other:
        other = U64(parent[other])
    low, high = min(root, other), max(root, other)
    parent[high] = U32(low)
    parent[end] = U32(low)
    parent[site] = U32(low)


def make_gather(system: System) -> Any:
    """gather(x, neighbours, couplings, begin, count, column, gaps): the gaps of bonds begin .. begin + count - 1."""
    gap, coupling = system.physics.gap, make_near(system)

    @part(f"embedded.gather.{system.name}")
    def gather(x, neighbours, couplings, begin, count, column, gaps):  # type: ignore[no-untyped-def]
        for i in range(count):
            site = begin + i
            gaps[i] = gap(x[site], x[U64(neighbours[site, column])], coupling(couplings, site, column))

    return gather


def make_label(system: System) -> Any:
    """label(x, neighbours, couplings, beta, lanes, words, parent): lays bonds between projections x[site] and joins
    what they connect; `words` has room for BLOCK."""
    first, last, halved, gather = (
        U64(system.columns.start),
        U64(system.columns.stop),
        system.halved,
        make_gather(system),
    )
    width = len(system.columns)

    @part(f"embedded.label.{system.name}")
    def label(x, neighbours, couplings, beta, lanes, words, parent):  # type: ignore[no-untyped-def]
        volume, block = U64(neighbours.shape[0]), U64(BLOCK)
        gaps, laid = np.empty(BLOCK), np.empty((width, BLOCK), np.uint8)
        for site in range(volume):
            parent[site] = U32(site)
        for begin in range(volume // U64(2) if halved else U64(0), volume, block):
            count = min(block, volume - begin)
            for k in range(first, last):
                gather(x, neighbours, couplings, begin, count, k, gaps)
                fill(lanes, words, count)
                compare(gaps, words, beta, laid[k - first], count)
            for i in range(count):
                for k in range(first, last):
                    unite(parent, begin + i, U64(neighbours[begin + i, k]), laid[k - first, i] > 0)

    return label


@helper
def choose_moves(parent, lanes, words, move):  # type: ignore[no-untyped-def]
    """move[site] = 0 or 1, the same in a cluster; returns the number of clusters. No parent has a larger index than its
    site, so one pass in order finds all roots."""
    volume, clusters, block = U64(parent.size), np.int64(0), U64(64 * BLOCK)
    for begin in range(U64(0), volume, block):
        stop = min(volume, begin + block)
        fill(lanes, words, (stop - begin + U64(63)) // U64(64))
        for site in range(begin, stop):
            root = U64(parent[site])
            own = np.uint8((words[(site - begin) >> U64(6)] >> (site & U64(63))) & U64(1))
            new = root == site
            clusters += np.int64(new)
            move[site] = own if new else move[root]
    return clusters


def make(system: System) -> Any:
    """The sweep for one system."""
    physics, label = system.physics, make_label(system)
    read, write, project, mirror, reflect = (
        getattr(physics, k) for k in ("read", "write", "project", "mirror", "reflect")
    )  # fmt: skip

    @part(f"embedded.{system.name}")
    def embedded(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume = U64(neighbours.shape[0])
        lanes, words = np.empty(4 * LANES, np.uint64), np.empty(BLOCK + LANES, np.uint64)
        x, parent, move = np.empty(volume), np.empty(volume, np.uint32), np.empty(volume, np.uint8)
        for w in range(block.shape[0]):
            walker = block[w]
            state, m = mirror(load(rng[w]))
            store(rng[w], seed(lanes, state))
            for site in range(volume):
                x[site] = project(m, read(walker, site))
            label(x, neighbours, couplings, betas[w], lanes, words, parent)
            clusters = choose_moves(parent, lanes, words, move)
            for site in range(volume):
                write(walker, site, reflect(m, np.float64(move[site]), read(walker, site)))
            info[w, 0] = clusters / volume

    return embedded
