"""Directed loops for dimers with heat-bath turns (Sandvik and Moessner, Phys. Rev. B 73, 144504 (2006); Alet et al.,
Phys. Rev. E 74, 041124 (2006)).

A random site keeps an open end: its dimer is lifted, and the partner l looks for a new dimer. l turns to one of its
four neighbours m with probability W_m / sum W, W = exp(K times the parallel dimers beside the new dimer), K = v / T,
and the neighbour's former partner looks next, until the open site is met. Every turn is balanced at its own vertex,
and the weight of a configuration with two dimers at m is the same seen from both of their far ends, so the whole loop
obeys detailed balance, bounces included; no loop is rejected. Loops that close around the torus change the windings.

While l looks, the open site o and l are two monomers in an otherwise close-packed covering c, met with a frequency of
w(c) sum W / (N Z_0). Adding 1 / sum W at displacement l - o in every such moment and dividing by the number of loops
gives

    M(r) = Z_2(r) / Z_0,

the monomer-monomer function, with two monomers r apart (K = 0: M = 1/4 at nearest neighbours, where the bond itself is
free).
"""

from __future__ import annotations

import numpy as np

from hpcrg.dimers.covering import beside, dimer_pairs, direction_of, parallel_plaquettes, winding
from hpcrg.jit import kernel, part
from hpcrg.rng import advance, choose, fraction, load, store

U64 = np.uint64


@part
def turn(covering, near, site, weights, state):  # type: ignore[no-untyped-def]
    """The direction that a site without a dimer chooses by heat bath, and the sum of the four weights."""
    a = weights[beside(covering, near, site, 0)]
    b = a + weights[beside(covering, near, site, 1)]
    c = b + weights[beside(covering, near, site, 2)]
    total = c + weights[beside(covering, near, site, 3)]
    state, word = advance(state)
    u = fraction(word) * total
    return state, U64(u >= a) + U64(u >= b) + U64(u >= c), total


@part
def loop(covering, near, lx, weights, monomers, state):  # type: ignore[no-untyped-def]
    """One loop in place; adds 1 / sum W to monomers[y, x] at every turn."""
    ly = covering.size // lx
    state, start = choose(state, covering.size)
    site = U64(near[start, direction_of(covering[start])])
    covering[start], covering[site] = 0, 0
    start_y, start_x = np.int64(start) // lx, np.int64(start) % lx
    while True:
        state, d, total = turn(covering, near, site, weights, state)
        dy, dx = np.int64(site) // lx - start_y, np.int64(site) % lx - start_x
        monomers[U64(dy + ly * (dy < 0)), U64(dx + lx * (dx < 0))] += 1.0 / total
        other = U64(near[site, d])
        before = covering[other]
        covering[site], covering[other] = np.uint8(1) << d, np.uint8(1) << (d ^ U64(2))
        if other == start:
            return state
        site = U64(near[other, direction_of(before)])
        covering[site] = 0


SIGNATURE = (
    "void(uint64[::1], uint8[::1], int32[:, ::1], int64, float64, int64, int32[::1], int32[:, ::1], float64[:, ::1],"
    " int64[:, ::1])"
)


@kernel(SIGNATURE)
def sample(rng, covering, near, lx, coupling, moves, energy, windings, monomers, pairs):  # type: ignore[no-untyped-def]
    """`moves` loops before each sample, in place; sample k goes to energy[k] and windings[k], sums to the others."""
    state = load(rng)
    weights = np.exp(coupling * np.arange(3.0))
    for k in range(energy.size):
        for _ in range(moves):
            state = loop(covering, near, lx, weights, monomers, state)
        energy[k] = -parallel_plaquettes(covering, near)
        windings[k, 0], windings[k, 1] = winding(covering, lx)
        dimer_pairs(covering, lx, pairs)
    store(rng, state)
