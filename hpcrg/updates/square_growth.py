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
from hpcrg.updates.cluster_growth import BITS, SHARE, below

U64 = np.uint64
U32 = np.uint32
ONE, ROW = U64(1), U64(2**16)
LONGEST = 2**16 - 1


def make_grow(system: System) -> Any:
    """grow with the arguments of cluster_growth; neighbours[0] must be the sites one step along x, along y, back along
    x and back along y."""
    physics = system.physics
    read, write, reflect, project, gap = physics.read, physics.write, physics.reflect, physics.project, physics.gap
    moves, rows, columns = physics.moves, U64(system.lattice.shape[0]), U64(system.lattice.shape[1])

    @part(f"square_growth.{system.name}.visit")
    def visit(walker, m, move, here, near, place, chance, queue, size, word, state):  # type: ignore[no-untyped-def]
        other = read(walker, near)
        state, joins = below(state, word, chance[U64(gap(here, project(m, other), 1))])
        queue[size] = U32(place)
        write(walker, near, reflect(m, move, other) if joins else other)
        return size + U64(joins), state

    @part(f"square_growth.{system.name}.{rows}.{columns}")
    def grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        queue[0] = U32(first // columns * ROW + first % columns)
        write(walker, first, reflect(m, move, read(walker, first)))
        head, size = U64(0), ONE
        while head < size:
            place = U64(queue[head])
            y, x = place >> BITS, place & SHARE
            start = y * columns
            here = project(m, reflect(m, moves - move, read(walker, start + x)))
            head += ONE
            up, down = (y if y > U64(0) else rows) - ONE, y + ONE if y + ONE < rows else U64(0)
            left, right = (x if x > U64(0) else columns) - ONE, x + ONE if x + ONE < columns else U64(0)
            state, w = advance(state)
            size, state = visit(walker, m, move, here, start + right, place - x + right, table, queue, size, w, state)
            w >>= BITS
            size, state = visit(walker, m, move, here, down * columns + x, down * ROW + x, table, queue, size, w, state)
            w >>= BITS
            size, state = visit(walker, m, move, here, start + left, place - x + left, table, queue, size, w, state)
            w >>= BITS
            size, state = visit(walker, m, move, here, up * columns + x, up * ROW + x, table, queue, size, w, state)
        for i in range(size):  # sites again, as others hold them
            place = U64(queue[i])
            queue[i] = U32((place >> BITS) * columns + (place & SHARE))
        return state, size

    return grow


def served(system: System) -> bool:
    """Whether the lattice and the gaps are of this kind."""
    lattice = system.lattice
    square = (lattice.kind, lattice.boundary, lattice.dimension) == ("hypercubic", "periodic", 2)
    return square and system.model.shells == 1 and max(lattice.shape) <= LONGEST and cluster_growth.served(system)
