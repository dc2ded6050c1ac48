"""Houdayer's isoenergetic cluster move: two copies with the same couplings exchange a cluster of their overlap.

With q_i = a_i b_i, a cluster is a set of sites with q = -1 joined by bonds whose coupling is not 0. A random site with
q = -1 is chosen and its whole cluster changes hands, which flips it in both copies (Houdayer, Eur. Phys. J. B 22, 479
(2001)). A bond from the cluster to a site with q = +1 changes by opposite amounts in the two copies, so E_a + E_b is
conserved exactly; q itself does not change, so the way back is as likely and the joint distribution at equal beta is
left alone. The move is not ergodic by itself. As an update it moves one cluster in every pair of walkers of equal beta,
so it needs two copies, all walkers of a chain on one rank, and another update beside it. It pays where sites with
q = -1 do not percolate: in two dimensions, or cold (Zhu, Ochoa and Katzgraber, Phys. Rev. Lett. 115, 077201 (2015)).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hpcrg.errors import Unsupported, expected
from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.layout import Layout, plain
from hpcrg.rng import choose, load, store
from hpcrg.system import System
from hpcrg.updates.base import Sweep, UpdateType, by_system

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

    @part
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


def check_copies(system: System, slots: int, copies: int) -> None:
    """Raises Unsupported for a system without such moves, or for another number of copies than two."""
    check(system)
    if copies != 2:
        raise Unsupported(expected("houdayer", "two copies of every chain (copies: 2)", copies))


def advice(system: System) -> str | None:
    """What weakens the move though it stays exact, or None: above two dimensions sites with q = -1 percolate except
    where it is cold, and the move then does little more than change the names of the copies."""
    if system.lattice.dimension <= 2:
        return None
    return (f"houdayer: clusters span the lattice in d = {system.lattice.dimension} except where it is cold, and then "
            "only change the names of the two copies; see the series houdayer_fraction")  # fmt: skip


def make_sweep(system: System, slots: int, copies: int) -> Sweep:
    """One move for every walker of the first copy and the walker of equal beta of the second, with random numbers of
    the first. Leaves the fraction of sites that changed hands, of both."""
    move = make(system)

    @part
    def sweep(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        first = block.shape[0] // 2
        for w in range(first):
            for v in range(first, block.shape[0]):
                if betas[v] == betas[w]:
                    moved = move(block[w], block[v], neighbours, couplings, rng[w])
                    info[w, 0] = info[v, 0] = moved / block.shape[1]
                    break

    return sweep


def layout(system: System, slots: int, copies: int) -> Layout:
    """Plain, with all walkers of a chain on one rank, since copies meet."""
    return replace(plain(system), divisible=False)


HOUDAYER = UpdateType(
    "houdayer", 1, check_copies, make_sweep, by_system(lambda system: ("houdayer_fraction",)), layout,
    lambda system: False,
)  # fmt: skip
