"""The sweep of Newman and Ziff: sites or bonds are occupied one by one in random order, clusters joined by union-find
(Phys. Rev. E 64, 016706 (2001)), with displacements to the root that tell exactly when a cluster first wraps.

One realisation is one sweep from the empty to the full lattice. `parent` holds the parent of a site, or minus the
size of its cluster at a root; `shift` the packed displacement from the parent to the site. Sums over realisations,
one column for every number of occupied items:

    sums[0] largest cluster S    sums[1] S^2    sums[2] sum of s^2 without the largest    sums[3] clusters

and `first[k]` is the number of occupied items at which some cluster first wraps along axis k; items + 1 if none does.
All are integers, so that they do not depend on the order in which realisations are added.
"""

from __future__ import annotations

import numpy as np

from hpcrg.jit import kernel, part
from hpcrg.rng import choose, load, store

U64 = np.uint64
EMPTY = np.int32(-(2**31))
QUANTITIES = 4


@part
def shuffle(order, state):  # type: ignore[no-untyped-def]
    """A uniform permutation in place, whatever was there before (Fisher and Yates)."""
    for k in range(order.size - 1, 0, -1):
        state, other = choose(state, k + 1)
        at = U64(k)
        order[at], order[other] = order[other], order[at]
    return state


@part
def find(parent, shift, site):  # type: ignore[no-untyped-def]
    """The root of a site and the displacement from it; halves the path on the way."""
    total = np.int64(0)
    here = U64(site)
    up = parent[here]
    while up >= 0:
        above = parent[U64(up)]
        if above >= 0:
            shift[here] += shift[U64(up)]
            parent[here] = above
            up = above
        total += shift[here]
        here = U64(up)
        up = parent[here]
    return here, total


@part
def wraps(first, mismatch, count, width):  # type: ignore[no-untyped-def]
    """Note the axes along which a closed path does not close; returns how many had not been wrapped before."""
    fresh = 0
    half = np.int64(1) << np.int64(width - 1)
    for axis in range(first.size):
        component = mismatch
        if width < 64:
            component = ((mismatch + half) & ((np.int64(1) << np.int64(width)) - np.int64(1))) - half
            mismatch = (mismatch - component) >> np.int64(width)
        if component != 0 and first[axis] > count:
            first[axis] = count
            fresh += 1
    return fresh


@part
def attach(parent, shift, a, b, mismatch):  # type: ignore[no-untyped-def]
    """Join the clusters of two roots, the smaller under the larger, when b lies at `mismatch` from a. Returns the new
    root, its size and the product of the sizes joined."""
    size_a, size_b = -np.int64(parent[a]), -np.int64(parent[b])
    if size_a < size_b:
        parent[a], shift[a] = np.int32(b), -mismatch
        a, b = b, a
    else:
        parent[b], shift[b] = np.int32(a), mismatch
    parent[a] = np.int32(-(size_a + size_b))
    return a, size_a + size_b, size_a * size_b


@part
def add(sums, n, largest, squares, clusters):  # type: ignore[no-untyped-def]
    """Add the cluster statistics at n occupied items."""
    at = U64(n)
    sums[U64(0), at] += largest
    sums[U64(1), at] += largest * largest
    sums[U64(2), at] += squares - largest * largest
    sums[U64(3), at] += clusters


@part
def occupy_sites(order, near, codes, moves, width, parent, shift, first, sums):  # type: ignore[no-untyped-def]
    """One realisation of site percolation in the given order of sites."""
    parent[:] = EMPTY
    first[:] = order.size + 1
    pending, largest, squares, clusters = first.size, np.int64(0), np.int64(0), np.int64(0)
    for n in range(order.size):
        site = U64(order[U64(n)])
        parent[site], shift[site] = np.int32(-1), np.int64(0)
        root, here, size = site, np.int64(0), np.int64(1)
        squares += 1
        clusters += 1
        for k in range(near.shape[1]):
            other = U64(near[site, U64(k)])
            if parent[other] == EMPTY:
                continue
            far, there = find(parent, shift, other)
            mismatch = here + moves[U64(codes[site, U64(k)])] - there
            if far != root:
                top, size, product = attach(parent, shift, root, far, mismatch)
                if top != root:
                    here, root = here - mismatch, top
                squares += 2 * product
                clusters -= 1
            elif pending and mismatch != 0:
                pending -= wraps(first, mismatch, n + 1, width)
        largest = max(largest, size)
        add(sums, n + 1, largest, squares, clusters)


@part
def occupy_bonds(order, bonds, codes, moves, width, parent, shift, first, sums):  # type: ignore[no-untyped-def]
    """One realisation of bond percolation in the given order of bonds; clusters are of sites, all present."""
    parent[:] = -1
    shift[:] = 0
    first[:] = order.size + 1
    pending, largest = first.size, np.int64(1)
    squares, clusters = np.int64(parent.size), np.int64(parent.size)
    add(sums, 0, largest, squares, clusters)
    for n in range(order.size):
        bond = U64(order[U64(n)])
        root, here = find(parent, shift, bonds[bond, U64(0)])
        far, there = find(parent, shift, bonds[bond, U64(1)])
        mismatch = here + moves[U64(codes[bond])] - there
        if far != root:
            _, size, product = attach(parent, shift, root, far, mismatch)
            squares += 2 * product
            clusters -= 1
            largest = max(largest, size)
        elif pending and mismatch != 0:
            pending -= wraps(first, mismatch, n + 1, width)
        add(sums, n + 1, largest, squares, clusters)


SITES = "void(uint64[::1], int32[:, ::1], uint8[:, ::1], int64[::1], int64, int32[:, ::1], int64[:, ::1])"
BONDS = "void(uint64[::1], int64, int32[:, ::1], uint8[::1], int64[::1], int64, int32[:, ::1], int64[:, ::1])"


@kernel(SITES)
def site_block(rng, near, codes, moves, width, first, sums):  # type: ignore[no-untyped-def]
    """Realisations first[r] of site percolation, added to `sums`; advances `rng`."""
    state, sites = load(rng), near.shape[0]
    order = np.arange(sites).astype(np.int32)
    parent, shift = np.empty(sites, np.int32), np.zeros(sites, np.int64)
    for r in range(first.shape[0]):
        state = shuffle(order, state)
        occupy_sites(order, near, codes, moves, width, parent, shift, first[r], sums)
    store(rng, state)


@kernel(BONDS)
def bond_block(rng, sites, bonds, codes, moves, width, first, sums):  # type: ignore[no-untyped-def]
    """Realisations first[r] of bond percolation, added to `sums`; advances `rng`."""
    state = load(rng)
    order = np.arange(bonds.shape[0]).astype(np.int32)
    parent, shift = np.empty(sites, np.int32), np.zeros(sites, np.int64)
    for r in range(first.shape[0]):
        state = shuffle(order, state)
        occupy_bonds(order, bonds, codes, moves, width, parent, shift, first[r], sums)
    store(rng, state)
