"""Swendsen-Wang for the Ising model on the periodic square lattice, 64 sites a word.

Bonds are laid by words of independent bits of probability 1 - exp(-2 beta), clusters are found by union-find over runs
(hpcrg.packed.runs), and a cluster flips if its coin is 1. The series are those of swendsen_wang, with S_k = sum over
clusters of size^k:

    m2 = S_2 / N^2,    m4 = (S_4 + 3 (S_2^2 - S_4)) / N^4.
"""

from __future__ import annotations

import numpy as np

from hpcrg.errors import Unsupported
from hpcrg.jit import part
from hpcrg.layout import Layout
from hpcrg.packed.bernoulli import LANES, STATE_WORDS, WORK_WORDS, bernoulli, digits_of, fair
from hpcrg.packed.block import grid_of, pack, unpack
from hpcrg.packed.measure import energies, measure
from hpcrg.packed.runs import (
    choose_moves,
    find_leaves,
    find_runs,
    label_runs,
    lay_bonds,
    move_runs,
    move_sites,
    sum_clusters,
)
from hpcrg.system import System
from hpcrg.updates.base import UpdateType, by_system

U64 = np.uint64
STATE, WORK, DIGITS = U64(STATE_WORDS), U64(WORK_WORDS), U64(64)
FOLD = U64(16)
MASKS = U64(6)


@part
def whole(words, unit):  # type: ignore[no-untyped-def]
    """The next multiple of a unit."""
    return (words + unit - U64(1)) // unit * unit


@part
def moments(sizes):  # type: ignore[no-untyped-def]
    """The sums of size^2 and size^4; FOLD partial sums make it a vector loop. `sizes` is a multiple of FOLD."""
    partial = np.zeros(U64(2) * FOLD)
    for i in range(U64(sizes.size) // FOLD):
        for j in range(FOLD):
            size = float(sizes[i * FOLD + j])
            square = size * size
            partial[j] += square
            partial[FOLD + j] += square * square
    return partial[:FOLD].sum(), partial[FOLD:].sum()


@part
def flip_clusters(block, bonds, coins, masks, tables, moves, work, grid):  # type: ignore[no-untyped-def]
    """Find the clusters of the bonds laid at random and flip each with probability 1/2; gives the sums over clusters
    of size^2 and size^4. All arrays but the block and the states at the beginning of `work` are scratch."""
    words, lanes = grid[0] * grid[1], U64(LANES)
    across, down = bonds[:words], bonds[words : U64(2) * words]
    up_leaf, down_leaf, core, starts, base, moved = masks[0], masks[1], masks[2], masks[3], masks[4], masks[5]
    label, parent = tables[0].view(np.uint32), tables[1].view(np.uint32)
    lay_bonds(block, across, down, grid)
    find_leaves(across, down, up_leaf, down_leaf, core, grid)
    find_runs(across, core, starts, base)
    count = label_runs(across, down, up_leaf, down_leaf, starts, base, label, parent, grid)
    parent, sizes = parent[:count], tables[2].view(np.int32)[:count]
    clusters = tables[3].view(np.int32)[: whole(count, FOLD)]
    fair(coins[: whole(whole(count, DIGITS) // DIGITS, lanes)], work)
    choose_moves(parent, coins, moves)
    sizes[:] = 0
    clusters[:] = 0
    move_runs(starts, core, up_leaf, down_leaf, base, label, moves, sizes, moved, grid)
    fair(coins, work)
    lone = float(move_sites(block, moved, core, up_leaf, down_leaf, coins, grid))
    sum_clusters(parent, sizes, clusters)
    second, fourth = moments(clusters)
    return second + lone, fourth + lone


@part
def sweep_walker(block, p, state, grid):  # type: ignore[no-untyped-def]
    """One sweep with bond probability p; gives the sums over clusters of size^2 and size^4."""
    words, lanes = grid[0] * grid[1], U64(LANES)
    laid, padded = whole(U64(2) * words, lanes), whole(words, lanes)
    table = padded * U64(32) + FOLD
    # One allocation: the allocator then gives the same memory at every sweep instead of fresh pages.
    scratch = np.empty(laid + padded + MASKS * words + U64(6) * table + WORK + DIGITS, np.uint64)
    bonds, scratch = scratch[:laid], scratch[laid:]
    coins, scratch = scratch[:padded], scratch[padded:]
    masks, scratch = scratch[: MASKS * words].reshape((6, np.int64(words))), scratch[MASKS * words :]
    work, scratch = scratch[:WORK], scratch[WORK:]
    digits, scratch = scratch[:DIGITS], scratch[DIGITS:]
    tables, moves = scratch[: U64(4) * table].reshape((4, np.int64(table))), scratch[U64(4) * table :]
    work[:STATE] = state
    digits_of(p, digits)
    bernoulli(bonds, digits, work)
    sums = flip_clusters(block, bonds, coins, masks, tables, moves, work, grid)
    state[:] = work[:STATE]
    return sums


@part
def sweep(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
    """One sweep of every walker; neighbours[0] holds the rows and columns."""
    rows, columns = neighbours[0, 0], neighbours[0, 1]
    n2 = (float(rows) * float(columns)) ** 2
    for w in range(block.shape[0]):
        s2, s4 = sweep_walker(block[w], -np.expm1(-2.0 * betas[w]), rng[w], grid_of(rows, columns))
        info[w, 0] = s2 / n2
        info[w, 1] = (s4 + 3.0 * (s2 * s2 - s4)) / (n2 * n2)


def served(system: System) -> str | None:
    """Why a system cannot be swept here, or None."""
    lattice = system.lattice
    if (lattice.kind, lattice.dimension, lattice.boundary) != ("hypercubic", 2, "periodic"):
        return f"expected the periodic square lattice, found {lattice.boundary} {lattice.kind} d = {lattice.dimension}"
    if system.model.name != "ising" or system.physics.site is not None or system.coupling != "none":
        return f"expected the Ising model without field or couplings, found {system.model.name}"
    return None


def check(system: System, slots: int, copies: int) -> None:
    """Raises Unsupported with the reason."""
    reason = served(system)
    if reason:
        raise Unsupported(f"packed_swendsen_wang: {reason}")


def layout(system: System, slots: int, copies: int) -> Layout:
    """Packed walkers, each with its own LANES generators."""
    shape = system.lattice.shape
    return Layout(
        "packed", "uint64[:,::1]", "int8[:,::1]",
        pack=lambda spins: pack(spins, shape),
        unpack=lambda block, walkers: unpack(block, shape),
        prepare=lambda couplings: (np.array([shape], np.int32), np.ascontiguousarray(couplings, np.int8)),
        rng=lambda walkers: (walkers, STATE_WORDS),
        make_energies=lambda: energies,
        make_measure=lambda: measure,
    )  # fmt: skip


PACKED_SWENDSEN_WANG = UpdateType(
    "packed_swendsen_wang",
    1,
    check,
    by_system(lambda system: sweep),
    by_system(lambda system: ("improved_m2", "improved_m4")),
    layout,
)
