"""Union-find over sites: the parent of a site never has a larger index, so one pass flattens the trees."""

from __future__ import annotations

import numpy as np

from hpcrg.jit import part

U64 = np.uint64
U32 = np.uint32


@part
def root_of(parent, site):  # type: ignore[no-untyped-def]
    """The root of a site's tree."""
    root = U64(parent[site])
    while U64(parent[root]) != root:
        root = U64(parent[root])
    return root


@part
def unite(parent, root, near, laid):  # type: ignore[no-untyped-def]
    """The root of two sites where a bond is laid, one of them a root; without a bond the root is joined with itself, so
    there is no branch."""
    end = near if laid else root
    other = U64(parent[U64(parent[end])])
    while U64(parent[other]) != other:
        other = U64(parent[other])
    low, high = min(root, other), max(root, other)
    parent[high] = U32(low)
    parent[end] = U32(low)
    return low


@part
def flatten(parent, sizes):  # type: ignore[no-untyped-def]
    """Point every site at its root, count sites per root, and return the sums of size^2 and size^4 and the number of
    clusters."""
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
    second, fourth, clusters = 0.0, 0.0, np.int64(0)
    for site in range(U64(parent.size)):
        square = float(sizes[site]) * float(sizes[site])
        second += square
        fourth += square * square
        clusters += np.int64(sizes[site] > 0)
    return second, fourth, clusters
