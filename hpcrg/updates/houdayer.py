"""Houdayer's isoenergetic cluster move: two copies with the same couplings exchange a cluster of their overlap.

With q_i = a_i b_i, a cluster is a set of sites with q = -1 joined by bonds whose coupling is not 0. A random site with
q = -1 is chosen and its whole cluster changes hands, which flips it in both copies (Houdayer, Eur. Phys. J. B 22, 479
(2001)). A bond from the cluster to a site with q = +1 changes by opposite amounts in the two copies, so E_a + E_b is
conserved exactly; q itself does not change, so the way back is as likely and the joint distribution at equal beta is
left alone. The move is not ergodic by itself. It pays where sites with q = -1 do not percolate: in two dimensions, or
cold (Zhu, Ochoa and Katzgraber, Phys. Rev. Lett. 115, 077201 (2015)).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.errors import Unsupported, expected
from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.rng import choose, load, store
from hpcrg.system import System

U64 = np.uint64


def check(system: System) -> None:
    """Two states and a sum over pairs in which flipping both spins changes nothing. Raises Unsupported."""
    physics = system.physics
    if physics.states != 2 or physics.decode is None or physics.local is not None or physics.site is not None:
        wanted = "spins +1 and -1 that meet in pairs, without a field"
        raise Unsupported(expected("houdayer", wanted, system.model.name))


def make(system: System) -> Any:
    """houdayer(a, b, neighbours, couplings, rng) -> sites that changed hands: one move of the copies a[site] and
    b[site] in place; 0 when they are equal. rng uint64[4]. Raises Unsupported."""
    check(system)
    coupling, z = make_near(system), U64(system.coordination)

    @part(f"houdayer.{system.name}")
    def houdayer(a, b, neighbours, couplings, rng):  # type: ignore[no-untyped-def]
        volume, count = U64(a.size), U64(0)
        differs, queue = np.empty(volume, np.uint8), np.empty(volume, np.uint32)
        for site in range(volume):
            differs[site] = a[site] != b[site]
            queue[count] = site  # overwritten unless this site differs
            count += U64(differs[site])
        if count == 0:
            return np.int64(0)
        state, chosen = choose(load(rng), int(count))
        store(rng, state)
        queue[U64(0)] = queue[chosen]
        differs[U64(queue[U64(0)])] = 0
        done, found = U64(0), U64(1)
        while done < found:
            here = U64(queue[done])
            done += U64(1)
            a[here], b[here] = b[here], a[here]
            for k in range(z):
                near = U64(neighbours[here, k])
                if differs[near] and coupling(couplings, here, k) != 0:
                    differs[near] = 0
                    queue[found] = near
                    found += U64(1)
        return np.int64(found)

    return houdayer
