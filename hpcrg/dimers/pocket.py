"""The pocket algorithm: dimers are reflected about a random symmetry of the torus, one after another, as they are hit
(Krauth and Moessner, Phys. Rev. B 67, 064503 (2003)).

A random dimer goes into the pocket. Each dimer of the pocket is reflected, and those that lie where it lands go into
the pocket. The dimers moved cover the same sites before and after, so the same symmetry and any of the same dimers undo
the move: the proposal is symmetric, and accepting it with probability min(1, exp(K dP)), dP the change in the number of
parallel plaquettes, keeps detailed balance. Without interaction every move is accepted; with a strong one on a large
lattice few are, and directed loops serve better.

Symmetries, each with a random centre: x -> a - x, y -> b - y, both of these (a point), (x, y) -> (y + a, x - a) and
(a - y, a - x). The first three keep the number of x-dimers, so the diagonal ones are needed for ergodicity and the
torus must be square. Loops of dimers around the torus that are moved change the winding numbers.
"""

from __future__ import annotations

import numpy as np

from hpcrg.dimers.covering import beside, dimer_pairs, direction_of, parallel_plaquettes, winding
from hpcrg.jit import kernel, part
from hpcrg.rng import advance, choose, fraction, load, store

U64 = np.uint64
AXIS_X, AXIS_Y, POINT, DIAGONAL, ANTIDIAGONAL = range(5)
SYMMETRIES = 5


@part
def image(site, lx, ly, symmetry, a, b):  # type: ignore[no-untyped-def]
    """Where a symmetry takes a site."""
    x, y = np.int64(site) % lx, np.int64(site) // lx
    if symmetry == AXIS_X:
        x = a - x
    elif symmetry == AXIS_Y:
        y = b - y
    elif symmetry == POINT:
        x, y = a - x, b - y
    elif symmetry == DIAGONAL:
        x, y = y + a, x - a
    else:
        x, y = a - y, a - x
    return U64((y % ly) * lx + x % lx)


@part
def turned(direction, symmetry):  # type: ignore[no-untyped-def]
    """Where a symmetry takes a direction."""
    d = U64(direction)
    if symmetry == AXIS_X:
        return d ^ (U64(2) * (U64(1) - (d & U64(1))))
    if symmetry == AXIS_Y:
        return d ^ (U64(2) * (d & U64(1)))
    if symmetry == POINT:
        return d ^ U64(2)
    if symmetry == DIAGONAL:
        return d ^ U64(1)
    return d ^ U64(3)


@part
def collect(covering, near, lx, symmetry, a, b, first, cluster, inside):  # type: ignore[no-untyped-def]
    """Fill `cluster` with one site of each dimer that moves with that of `first`; returns how many. `inside` marks
    both sites of each and is left clean."""
    ly = covering.size // lx
    cluster[0], count, done = first, 1, 0
    inside[first], inside[U64(near[first, direction_of(covering[first])])] = True, True
    while done < count:
        site = cluster[U64(done)]
        done += 1
        for end in range(2):
            here = site if end == 0 else U64(near[site, direction_of(covering[site])])
            hit = image(here, lx, ly, symmetry, a, b)
            if not inside[hit]:
                inside[hit], inside[U64(near[hit, direction_of(covering[hit])])] = True, True
                cluster[U64(count)] = hit
                count += 1
    for k in range(count):
        site = cluster[U64(k)]
        inside[site], inside[U64(near[site, direction_of(covering[site])])] = False, False
    return count


@part
def lift(covering, near, sites, directions):  # type: ignore[no-untyped-def]
    """Take dimers away one by one; returns the parallel pairs that go with them."""
    pairs = np.int64(0)
    for k in range(sites.size):
        site = sites[k]
        covering[site], covering[U64(near[site, directions[k]])] = 0, 0
        pairs += np.int64(beside(covering, near, site, directions[k]))
    return pairs


@part
def place(covering, near, sites, directions):  # type: ignore[no-untyped-def]
    """Put dimers down one by one; returns the parallel pairs that come with them."""
    pairs = np.int64(0)
    for k in range(sites.size):
        site, d = sites[k], directions[k]
        pairs += np.int64(beside(covering, near, site, d))
        covering[site], covering[U64(near[site, d])] = np.uint8(1) << d, np.uint8(1) << (d ^ U64(2))
    return pairs


@part
def move(covering, near, lx, symmetry, coupling, work, inside, state):  # type: ignore[no-untyped-def]
    """One cluster, reflected about a random centre and accepted by Metropolis."""
    ly = covering.size // lx
    state, right = choose(state, lx)
    state, up = choose(state, ly)
    a, b = np.int64(right), np.int64(up)
    state, first = choose(state, covering.size)
    count = U64(collect(covering, near, lx, symmetry, a, b, first, work[0], inside))
    old, old_way, new, new_way = work[0, :count], work[1, :count], work[2, :count], work[3, :count]
    for k in range(old.size):
        old_way[k] = direction_of(covering[old[k]])
        new[k], new_way[k] = image(old[k], lx, ly, symmetry, a, b), turned(old_way[k], symmetry)
    change = -lift(covering, near, old, old_way)
    change += place(covering, near, new, new_way)
    state, word = advance(state)
    if fraction(word) >= np.exp(coupling * change):
        lift(covering, near, new, new_way)
        place(covering, near, old, old_way)
    return state


SIGNATURE = (
    "void(uint64[::1], uint8[::1], int32[:, ::1], int64, float64, int64, int32[::1], int32[:, ::1], float64[:, ::1],"
    " int64[:, ::1])"
)


@kernel(SIGNATURE)
def sample(rng, covering, near, lx, coupling, moves, energy, windings, monomers, pairs):  # type: ignore[no-untyped-def]
    """`moves` clusters before each sample, in place; as in hpcrg/dimers/directed_loop.py, `monomers` left alone."""
    state = load(rng)
    work, inside = np.empty((4, covering.size), np.uint64), np.zeros(covering.size, np.bool_)
    for k in range(energy.size):
        for _ in range(moves):
            state, symmetry = choose(state, SYMMETRIES)
            state = move(covering, near, lx, np.int64(symmetry), coupling, work, inside, state)
        energy[k] = -parallel_plaquettes(covering, near)
        windings[k, 0], windings[k, 1] = winding(covering, lx)
        dimer_pairs(covering, lx, pairs)
    store(rng, state)
