"""Clusters of bonds on a periodic square lattice, 64 sites a word, found by union-find over horizontal runs.

    lone sites      have no bond: each is a cluster
    leaves          have one bond only, up or down: they follow that neighbour (of two leaves the lower follows)
    core            all others; a run is a maximal row of core sites joined from left to right inside one word

Of the bonds between two rows only the first between the same two runs is kept. The first of those at a lower run
attaches it to the tree of the upper one; the rest, few, are joins of two trees. The parent of a run never has a
larger number, so one pass in order flattens the trees. Hoshen and Kopelman, Phys. Rev. B 14, 3438 (1976), with
runs in place of sites.

All arrays but labels have one word per word of the block, see hpcrg.packed.block.
"""

from __future__ import annotations

import numpy as np

from hpcrg.bits import first_in_run, lowest, popcount, up_to_lowest
from hpcrg.jit import part
from hpcrg.packed.block import above, below, bits_in, from_left, from_right, right, sites_in

U64 = np.uint64
U32 = np.uint32
ZERO, ONE = U64(0), U64(1)


@part
def lay_bonds(block, across, down, grid):  # type: ignore[no-untyped-def]
    """Keep the bonds to the right neighbour and to the row below between equal spins."""
    for y in range(grid[0]):
        for k in range(grid[1]):
            w, sites = y * grid[1] + k, sites_in(grid, k)
            across[w] &= ~(block[w] ^ from_right(block, grid, y, k)) & sites
            down[w] &= ~(block[w] ^ block[below(grid, y, k)]) & sites


@part
def find_leaves(across, down, up_leaf, down_leaf, core, grid):  # type: ignore[no-untyped-def]
    """Sort the sites into leaves of the row above, leaves of the row below, lone sites and the core."""
    for y in range(grid[0]):
        for k in range(grid[1]):
            w = y * grid[1] + k
            core[w] = ~(across[w] | from_left(across, grid, y, k))
            up_leaf[w] = core[w] & down[above(grid, y, k)] & ~down[w]
    for y in range(grid[0]):
        for k in range(grid[1]):
            w, up, sites = y * grid[1] + k, down[above(grid, y, k)], sites_in(grid, k)
            down_leaf[w] = core[w] & down[w] & ~up & ~up_leaf[below(grid, y, k)]
            core[w] = sites & (~core[w] | (down[w] & ~down_leaf[w]))


@part
def find_runs(across, core, starts, base):  # type: ignore[no-untyped-def]
    """Mark the first site of every run and number the runs; run i of word w, from 1, is base[w] + i. Gives their
    number."""
    total = ZERO
    for w in range(U64(core.size)):
        starts[w] = core[w] & ~(across[w] << ONE)
        base[w] = total
        total += popcount(starts[w])
    return total


@part
def join(parent, a, b):  # type: ignore[no-untyped-def]
    """One tree of two, without a branch that is hard to foresee; a == b does nothing."""
    p, q = U64(parent[a]), U64(parent[b])
    if ((U64(parent[p]) ^ p) | (U64(parent[q]) ^ q)) != ZERO:
        while U64(parent[p]) != p:
            p = U64(parent[p])
        while U64(parent[q]) != q:
            q = U64(parent[q])
    low, high = min(p, q), max(p, q)
    parent[high] = U32(low)
    parent[a] = U32(low)
    parent[b] = U32(low)


@part
def join_words(across, starts, base, label, parent, grid, y):  # type: ignore[no-untyped-def]
    """Join the last run of every word of a row to the first of the next where a bond leads across."""
    for k in range(grid[1]):
        w = y * grid[1] + k
        last, first = base[w] + popcount(starts[w]), base[right(grid, y, k)] + ONE
        bond = (across[w] >> (bits_in(grid, k) - ONE)) & ONE
        join(parent, U64(label[last]), U64(label[first if bond != ZERO else last]))


@part
def join_rows(marks, u, w, starts, base, label, parent):  # type: ignore[no-untyped-def]
    """Join the runs of words u and w, one above the other, at every mark."""
    while marks != ZERO:
        reach = up_to_lowest(marks)
        marks &= marks - ONE
        a, b = label[base[w] + popcount(starts[w] & reach)], label[base[u] + popcount(starts[u] & reach)]
        join(parent, U64(a), U64(b))


@part
def attach_rows(marks, u, w, starts, base, label, parent):  # type: ignore[no-untyped-def]
    """Give the runs of word w the labels of those of word u at every mark."""
    while marks != ZERO:
        reach = up_to_lowest(marks)
        marks &= marks - ONE
        upper = label[base[u] + popcount(starts[u] & reach)]
        label[base[w] + popcount(starts[w] & reach)] = parent[U64(upper)]


@part
def new_labels(marks, w, starts, base, label, parent, labels):  # type: ignore[no-untyped-def]
    """A new label for every run of word w without a mark; the others get theirs later. Gives the number of
    labels."""
    free = ~marks
    fresh = starts[w] & free
    total = fresh + free
    last = base[w] + popcount(starts[w])
    parent[labels] = U32(labels)
    label[last] = U32(labels) if total < free else label[last]
    labels += U64(total < free)
    ends = (total ^ fresh ^ free) & starts[w]  # a start with a carry follows a run without a mark
    while ends != ZERO:
        reach = up_to_lowest(ends)
        ends &= ends - ONE
        parent[labels] = U32(labels)
        label[base[w] + popcount(starts[w] & reach) - ONE] = U32(labels)
        labels += ONE
    return labels


@part
def label_runs(across, down, up_leaf, down_leaf, starts, base, label, parent, grid):  # type: ignore[no-untyped-def]
    """Labels of all runs of the core and their trees; gives the number of labels."""
    labels, label[0] = ZERO, U32(0)  # a word without runs looks at the run before it
    for y in range(grid[0]):
        for k in range(grid[1]):
            w, u = y * grid[1] + k, above(grid, y, k)
            bonds = down[u] & ~up_leaf[w] & ~down_leaf[u] if y > ZERO else ZERO
            first = first_in_run(bonds, starts[w])
            labels = new_labels(first, w, starts, base, label, parent, labels)
            attach_rows(first, u, w, starts, base, label, parent)
            join_rows(first_in_run(bonds, starts[w] | starts[u]) & ~first, u, w, starts, base, label, parent)
        join_words(across, starts, base, label, parent, grid, y)
    for k in range(grid[1]):
        u = above(grid, ZERO, k)
        bonds = down[u] & ~up_leaf[k] & ~down_leaf[u]
        join_rows(first_in_run(bonds, starts[k] | starts[u]), u, k, starts, base, label, parent)
    return labels


@part
def choose_moves(parent, coins, move):  # type: ignore[no-untyped-def]
    """Flatten the trees and write all ones for labels whose root has a coin of 1, zeros for others."""
    for i in range(U64(parent.size)):
        root = U64(parent[U64(parent[i])])
        parent[i] = U32(root)
        move[i] = ZERO - ((coins[root >> U64(6)] >> (root & U64(63))) & ONE)


@part
def move_runs(starts, core, up_leaf, down_leaf, base, label, move, sizes, moved, grid):  # type: ignore[no-untyped-def]
    """Write into `moved` the runs that flip, bits between runs to be ignored, and add up the sites of every label, its
    leaves with it."""
    for y in range(grid[0]):
        for k in range(grid[1]):
            w = y * grid[1] + k
            sites, upper, lower = core[w], down_leaf[above(grid, y, k)], up_leaf[below(grid, y, k)]
            odd, twice = sites ^ upper ^ lower, (sites & (upper | lower)) | (upper & lower)
            rest, mask, run = starts[w], ZERO, base[w]
            start = lowest(rest)
            while rest != ZERO:
                rest &= rest - ONE
                following = lowest(rest)
                reach = following - start
                start = following
                run += ONE
                i = U64(label[run])
                mask |= reach & move[i]
                sizes[i] += np.int32(popcount(reach & odd) + U64(2) * popcount(reach & twice))
            moved[w] = mask


@part
def sum_clusters(parent, sizes, clusters):  # type: ignore[no-untyped-def]
    """The sites of every cluster, at its root."""
    for i in range(U64(parent.size)):
        clusters[U64(parent[i])] += sizes[i]


@part
def move_sites(block, moved, core, up_leaf, down_leaf, coins, grid):  # type: ignore[no-untyped-def]
    """Flip the core as chosen, leaves with their neighbours and lone sites by coins of their own; gives the
    number of lone sites."""
    lone_sites = ZERO
    for y in range(grid[0]):
        for k in range(grid[1]):
            w, sites = y * grid[1] + k, sites_in(grid, k)
            lone = sites & ~(core[w] | up_leaf[w] | down_leaf[w])
            leaves = (moved[above(grid, y, k)] & up_leaf[w]) | (moved[below(grid, y, k)] & down_leaf[w])
            block[w] ^= (moved[w] & core[w]) | leaves | (coins[w] & lone)
            lone_sites += popcount(lone)
    return lone_sites
