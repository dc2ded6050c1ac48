"""The growth of one cluster where all bonds attract and gaps are real, as of embedded Ising spins: members in batches.

The bonds of up to BATCH members are looked at together: gather their gaps, compare them with random numbers in one
vector loop (embedded_bonds), list those that are laid, and let the sites at their ends join. Whether a bond is laid
does not depend on which sites joined before it. A site that has joined has the opposite projection: no bond to it is
laid later, and one laid in the same batch finds a projection other than it saw, so that no site joins twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.rng import advance
from hpcrg.system import System
from hpcrg.updates.embedded_bonds import compare, decide

U64 = np.uint64
U32 = np.uint32
BATCH = 16


def make_look(system: System) -> Any:
    """look(walker, neighbours, beta, m, queue, old, head, count, near, there, raised, gaps): the sites at the far ends
    of the bonds of `count` members, their projections, the gaps, and these times beta."""
    physics, z = system.physics, U64(system.coordination)
    read, project, gap = physics.read, physics.project, physics.gap

    @part
    def look(walker, neighbours, beta, m, queue, old, head, count, near, there, raised, gaps):  # type: ignore[no-untyped-def]
        for i in range(count):
            site, here = U64(queue[head + i]), old[head + i]
            for k in range(z):
                b, far = i * z + k, U64(neighbours[site, k])
                x = project(m, read(walker, far))
                near[b], there[b], raised[b] = U32(far), x, gap(here, x, 1)
                gaps[b] = np.float32(beta * raised[b])

    return look


def make_grow(system: System) -> Any:
    """grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, r) -> (r, size): moves the cluster
    of one site, by the one move of the group; `table` is not used."""
    physics, z, look = system.physics, U64(system.coordination), make_look(system)
    read, write, reflect, project = physics.read, physics.write, physics.reflect, physics.project
    kind, room = physics.projection, (BATCH * int(z) + 7) // 8 * 8

    @part
    def grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        near, there, raised = np.empty(room, np.uint32), np.empty(room, kind), np.empty(room)
        gaps, words = np.empty(room, np.float32), np.empty(room // 2, np.uint64)
        laid, open_, found = np.empty(room, np.uint8), np.zeros(room, np.uint8), np.empty(room + 1, np.uint32)
        numbers, eights = words.view(np.int32), open_.view(np.uint64)
        spin = read(walker, first)
        queue[0], old[0] = U32(first), project(m, spin)
        write(walker, first, reflect(m, move, spin))
        head, size = U64(0), U64(1)
        while head < size:
            members = min(U64(BATCH), size - head)
            bonds = members * z
            look(walker, neighbours, beta, m, queue, old, head, members, near, there, raised, gaps)
            head += members
            for i in range((bonds + U64(1)) // U64(2)):
                state, words[i] = advance(state)
            compare(gaps, numbers, laid, open_, bonds)
            for e in range((bonds + U64(7)) // U64(8)):
                if eights[e] != U64(0):
                    for b in range(U64(8) * e, min(bonds, U64(8) * e + U64(8))):
                        if open_[b] > 0:
                            state, yes = decide(raised[b], beta, numbers[b], state)
                            laid[b] = np.uint8(yes)
            count = U64(0)
            for b in range(bonds):
                found[count] = U32(b)
                count += U64(laid[b])
            for i in range(count):
                bond = U64(found[i])
                far, x = U64(near[bond]), there[bond]
                other = read(walker, far)
                joins = project(m, other) == x
                queue[size], old[size] = U32(far), x
                write(walker, far, reflect(m, np.int64(joins), other))
                size += U64(joins)
        return state, size

    return grow
