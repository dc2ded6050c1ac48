"""The growth of one cluster on the periodic square lattice by index arithmetic: cluster_growth without a neighbour
table, which from L = 256 on no longer fits beside the spins in the caches next to the core.

The queue holds y 2^16 + x, for extents below 2^16.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.rng import advance
from hpcrg.system import System
from hpcrg.updates import cluster_growth
from hpcrg.updates.cluster_growth import lay_all, lay_four, make_begin, make_visit

U64 = np.uint64
U32 = np.uint32
ZERO, ONE = U64(0), U64(1)
HALF, ROW, COLUMN = U64(16), U64(2**16), U64(2**16 - 1)
LONGEST = 2**16 - 1


def make_grow(system: System) -> Any:
    """grow with the arguments of cluster_growth; neighbours[0] are the sites one step along x, along y, back along x
    and back along y. The queue is of no use afterwards."""
    begin, visit = make_begin(system), make_visit(system)

    @part
    def grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        columns, spare = U64(neighbours[0, 1]), np.empty(4, np.uint64)
        rows = U64(neighbours.shape[0]) // columns
        state, spin, new, upper, rest = begin(walker, table, m, move, first, spare, state)
        queue[0] = U32(first // columns * ROW + first % columns)
        head, size = ZERO, ONE
        while head < size:
            place = U64(queue[head])
            head += ONE
            y, x = place >> HALF, place & COLUMN
            start, row = y * columns, y * ROW
            up, down = (y if y > ZERO else rows) - ONE, y + ONE if y + ONE < rows else ZERO
            left, right = (x if x > ZERO else columns) - ONE, x + ONE if x + ONE < columns else ZERO
            state, word = advance(state)
            laid, decided = lay_four(word, upper)
            if not decided:
                laid = lay_all(word, upper, rest, spare)
            size = visit(walker, start + right, row + right, spin, new, laid, ZERO, queue, size)
            size = visit(walker, down * columns + x, down * ROW + x, spin, new, laid, ONE, queue, size)
            size = visit(walker, start + left, row + left, spin, new, laid, U64(2), queue, size)
            size = visit(walker, up * columns + x, up * ROW + x, spin, new, laid, U64(3), queue, size)
        return state, size

    return grow


def served(system: System) -> bool:
    """Whether the lattice and the gaps are of this kind, and nobody asks for the queue."""
    lattice, physics = system.lattice, system.physics
    square = (lattice.kind, lattice.boundary, lattice.dimension) == ("hypercubic", "periodic", 2)
    alone = physics.site is None or physics.even
    return (
        square
        and alone
        and system.model.shells == 1
        and max(lattice.shape) <= LONGEST
        and (cluster_growth.served(system))
    )
