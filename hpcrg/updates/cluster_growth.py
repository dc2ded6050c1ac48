"""The growth of one cluster where gaps are integers: four bonds from one random word, and no branch to mispredict.

A bond of chance T / 2^53 is laid where 16 random bits are below the upper 16 bits of T; where they are equal, which
happens once in 65536, 37 more bits decide against the rest of T. The chances are therefore those of `bond_chances`,
all 53 bits of them. A site is written to the end of the queue whether it joins or not, and counted if it does. A
member's spin from before the move is found by the opposite move, which is exact for discrete spins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import helper, part
from hpcrg.rng import advance
from hpcrg.system import System
from hpcrg.updates.base import gap_levels

U64 = np.uint64
U32 = np.uint32
BITS = U64(16)
"""Random bits of one bond; a word serves four."""

SHARE = U64(2**16 - 1)
REST = U64(53 - 16)
REST_MASK = U64(2**37 - 1)


@helper
def below(state, word, chance):  # type: ignore[no-untyped-def]
    """(r, whether the lowest 16 bits of `word`, continued by fresh ones, are below a chance in units of 2^-53)."""
    bits, upper = word & SHARE, chance >> REST
    laid = bits < upper
    if bits == upper:
        state, more = advance(state)
        laid = (more >> (U64(64) - REST)) < (chance & REST_MASK)
    return state, laid


def make_grow(system: System) -> Any:
    """grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, r) -> (r, size): moves the cluster
    of one site where all bonds attract; `table` holds `bond_chances`, `old` is not used."""
    physics, z = system.physics, U64(system.coordination)
    read, write, reflect, project, gap = physics.read, physics.write, physics.reflect, physics.project, physics.gap
    moves = physics.moves

    @part(f"cluster_growth.{system.name}.{z}")
    def grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        queue[0] = U32(first)
        write(walker, first, reflect(m, move, read(walker, first)))
        head, size, word = U64(0), U64(1), U64(0)
        while head < size:
            site = U64(queue[head])
            here = project(m, reflect(m, moves - move, read(walker, site)))
            head += U64(1)
            for k in range(z):
                # A site already moved has gap 0 with every member's old spin, so none joins twice.
                near = U64(neighbours[site, k])
                other = read(walker, near)
                if k & U64(3) == U64(0):
                    state, word = advance(state)
                state, joins = below(state, word, table[U64(gap(here, project(m, other), 1))])
                word >>= BITS
                queue[size] = U32(near)
                write(walker, near, reflect(m, move, other) if joins else other)
                size += U64(joins)
        return state, size

    return grow


def served(system: System) -> bool:
    """Whether gaps are integers and all bonds attract."""
    return system.coupling == "none" and gap_levels(system) > 1
