"""Embedded Swendsen-Wang on the periodic square lattice: bonds as bits, clusters by union-find over runs (packed.runs).

As in `embedded`, with two differences: the neighbours of a band of rows stand in the same order as the band, one
step along x or y further, and the clusters of its bonds are found 64 sites a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.packed.bernoulli import LANES, WORK_WORDS, fair
from hpcrg.packed.block import bits_in, grid_of
from hpcrg.packed.runs import choose_moves, find_leaves, find_runs, label_runs, move_runs, move_sites
from hpcrg.rng import load, store
from hpcrg.system import System
from hpcrg.updates.base import Sweep
from hpcrg.updates.embedded import needed, seed
from hpcrg.updates.embedded_bonds import compare, make_resolve

U64 = np.uint64
BAND = 512
"""Sites of a band of rows, or one row where rows are longer."""


def served(system: System) -> bool:
    """Whether the lattice is a periodic square without couplings."""
    lattice = system.lattice
    square = (lattice.kind, lattice.dimension, lattice.boundary) == ("hypercubic", 2, "periodic")
    return square and system.coupling == "none" and system.model.shells == 1


@part
def pack(laid, bonds, begin, count, columns, grid):  # type: ignore[no-untyped-def]
    """The bonds of whole rows from site `begin` on as bits."""
    row = begin // columns * grid[1]
    for y in range(count // columns):
        for k in range(grid[1]):
            first, word = y * columns + U64(64) * k, U64(0)
            for i in range(bits_in(grid, k)):
                word |= U64(laid[first + i]) << i
            bonds[row + y * grid[1] + k] = word


@part
def find_clusters(bonds, flips, masks, tables, move, work, grid):  # type: ignore[no-untyped-def]
    """flips[word] = the bits of the sites to be reflected; gives the number of clusters."""
    up_leaf, down_leaf, core, starts, base, moved = _six(masks)
    label, parent = tables[0].view(np.uint32), tables[1].view(np.uint32)
    across, down, coins = bonds[0], bonds[1], bonds[2]
    find_leaves(across, down, up_leaf, down_leaf, core, grid)
    find_runs(across, core, starts, base)
    count = label_runs(across, down, up_leaf, down_leaf, starts, base, label, parent, grid)
    fair(coins[: needed(count, U64(64))], work)
    choose_moves(parent[:count], coins, move)
    move_runs(starts, core, up_leaf, down_leaf, base, label, move, tables[2].view(np.int32), moved, grid)
    fair(coins, work)
    clusters = move_sites(flips, moved, core, up_leaf, down_leaf, coins, grid)
    for i in range(count):
        clusters += U64(U64(parent[i]) == i)
    return clusters


@part
def _six(masks):  # type: ignore[no-untyped-def]
    return masks[0], masks[1], masks[2], masks[3], masks[4], masks[5]


def make_lay(system: System) -> Any:
    """lay(x, neighbours, couplings, beta, work, words, bonds, columns, grid, r) -> r: all bonds, as bits; x has a row
    more, the first one again."""
    gap, resolve = system.physics.gap, make_resolve(system)

    @part
    def lay(x, neighbours, couplings, beta, work, words, bonds, columns, grid, state):  # type: ignore[no-untyped-def]
        band, volume = max(U64(1), U64(BAND) // columns) * columns, U64(neighbours.shape[0])
        gaps, laid, open_ = np.empty(band, np.float32), np.empty(band, np.uint8), np.zeros(band + U64(8), np.uint8)
        open_, numbers = open_[: band // U64(8) * U64(8) + U64(8)], words.view(np.int32)
        for begin in range(U64(0), volume, band):
            count = min(band, volume - begin)
            for k in range(U64(2)):
                far = begin + (U64(1) if k == U64(0) else columns)
                for i in range(count):
                    gaps[i] = np.float32(beta * gap(x[begin + i], x[far + i], 1))
                if k == U64(0):
                    for i in range(columns - U64(1), count, columns):
                        gaps[i] = np.float32(beta * gap(x[begin + i], x[begin + i + U64(1) - columns], 1))
                fair(words[: needed(count, U64(2))], work)
                compare(gaps, numbers, laid, open_, count)
                state = resolve(x, neighbours, couplings, beta, begin, k, numbers, laid, open_, count, state)
                pack(laid, bonds[k], begin, count, columns, grid)
        return state

    return lay


def make(system: System) -> Sweep:
    """The sweep for one system."""
    physics, lay = system.physics, make_lay(system)
    read, write, reflect, project, mirror = (
        physics.read, physics.write, physics.reflect, physics.project, physics.mirror
    )  # fmt: skip

    @part
    def embedded_square(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        volume, row = U64(neighbours.shape[0]), U64(neighbours[0, 1])  # one step along y from site 0
        grid = grid_of(volume // row, row)
        count = grid[0] * grid[1]
        padded = (count + U64(LANES)) // U64(LANES) * U64(LANES)
        work, words = np.empty(WORK_WORDS, np.uint64), np.empty(U64(BAND) + row + U64(2 * LANES), np.uint64)
        x, flips, move = np.empty(volume + row), np.empty(count, np.uint64), np.empty(padded * U64(64), np.uint64)
        bonds, masks = np.empty((3, np.int64(padded)), np.uint64), np.empty((6, np.int64(count)), np.uint64)
        tables = np.zeros((3, np.int64(padded) * 32 + 16), np.uint64)
        for w in range(block.shape[0]):
            walker = block[w]
            state, m = mirror(load(rng[w]))
            state = seed(work, state)
            for site in range(volume):
                x[site] = project(m, read(walker, site))
            for site in range(row):
                x[volume + site] = x[site]
            state = lay(x, neighbours, couplings, betas[w], work, words, bonds, row, grid, state)
            flips[:] = U64(0)
            clusters = find_clusters(bonds, flips, masks, tables, move, work, grid)
            for y in range(grid[0]):
                for k in range(grid[1]):
                    word, first = flips[y * grid[1] + k], y * row + U64(64) * k
                    for i in range(bits_in(grid, k)):
                        turned = np.float64(np.int32((word >> i) & U64(1)))
                        write(walker, first + i, reflect(m, turned, read(walker, first + i)))
            store(rng[w], state)
            info[w, 0] = clusters / volume

    return embedded_square
