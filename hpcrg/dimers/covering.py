"""Dimer coverings of a square torus: one byte a site, bit k set when its dimer points along column k of the neighbour
table (+x, +y, -x, -y), so that the opposite of k is k ^ 2 and the directions across it are k ^ 1 and k ^ 3.

The energy is -v times the number of plaquettes with two parallel dimers. The winding number along x is the sum of
(-1)^(x + y) over the x-dimers of a column, the same for every column; along y likewise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected
from hpcrg.jit import part
from hpcrg.lattice import Lattice

U64 = np.uint64
EAST, NORTH, WEST, SOUTH = 1, 2, 4, 8
Covering = NDArray[np.uint8]


def check(lattice: Lattice) -> None:
    """Raises Unsupported unless the lattice is a square torus with even extents of at least 4: a covering needs two
    equal sublattices, and an extent of 2 joins two sites by two bonds."""
    if (lattice.kind, lattice.boundary, lattice.dimension) != ("hypercubic", "periodic", 2):
        found = (lattice.kind, lattice.boundary, lattice.dimension)
        raise Unsupported(expected("dimers: lattice", "a periodic square lattice", found))
    if any(extent < 4 or extent % 2 for extent in lattice.shape):
        raise Unsupported(expected("dimers: lattice.shape", "even extents of at least 4", lattice.shape))


def columnar(lattice: Lattice) -> Covering:
    """The covering by x-dimers in straight columns, one of the four ground states for v > 0."""
    check(lattice)
    return np.tile(np.array([EAST, WEST], np.uint8), lattice.volume // 2)


def is_covering(covering: Covering, near: NDArray[np.int32]) -> bool:
    """Whether every site has exactly one dimer, and so has its partner, with each other."""
    if not np.isin(covering, (EAST, NORTH, WEST, SOUTH)).all():
        return False
    direction = np.log2(covering).astype(np.int64)
    partner = near[np.arange(len(covering)), direction]
    return bool((covering[partner] == 1 << (direction ^ 2)).all())


@part
def beside(covering, near, site, direction):  # type: ignore[no-untyped-def]
    """How many dimers lie parallel beside a dimer from `site` along `direction`, 0 .. 2."""
    d = U64(direction)
    left = covering[U64(near[site, d ^ U64(1)])]
    right = covering[U64(near[site, d ^ U64(3)])]
    return ((U64(left) >> d) & U64(1)) + ((U64(right) >> d) & U64(1))


@part
def direction_of(bits):  # type: ignore[no-untyped-def]
    """The direction of a single bit."""
    return U64(bits > 1) + U64(bits > 2) + U64(bits > 4)


@part
def parallel_plaquettes(covering, near):  # type: ignore[no-untyped-def]
    """The number of plaquettes with two parallel dimers."""
    count = 0
    for s in range(covering.size):
        site = U64(s)
        up, right = U64(near[site, U64(1)]), U64(near[site, U64(0)])
        count += (covering[site] & covering[up]) & EAST
        count += ((covering[site] & covering[right]) & NORTH) >> 1
    return count


@part
def winding(covering, lx):  # type: ignore[no-untyped-def]
    """The winding numbers along x and along y."""
    along_x, along_y = 0, 0
    for y in range(covering.size // lx):
        along_x += (1 - 2 * (y & 1)) * (covering[U64(y * lx)] == EAST)
    for x in range(lx):
        along_y += (1 - 2 * (x & 1)) * (covering[U64(x)] == NORTH)
    return along_x, along_y


@part
def dimer_pairs(covering, lx, pairs):  # type: ignore[no-untyped-def]
    """Add to pairs[0, r] the pairs of like dimers r apart along their own axis, to pairs[1, r] across it, both
    directions together."""
    ly = covering.size // lx
    for y in range(ly):
        for x in range(lx):
            bits = covering[U64(y * lx + x)]
            if bits != EAST and bits != NORTH:
                continue
            along_x = U64(bits == NORTH)
            for r in range(pairs.shape[1]):
                to_x, to_y = x + r, y + r
                to_x -= lx * (to_x >= lx)
                to_y -= ly * (to_y >= ly)
                pairs[along_x, U64(r)] += covering[U64(y * lx + to_x)] == bits
                pairs[along_x ^ U64(1), U64(r)] += covering[U64(to_y * lx + x)] == bits
