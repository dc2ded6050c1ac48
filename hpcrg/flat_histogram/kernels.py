"""The compiled parts of flat-histogram sampling, for discrete spins and integer energies.

Every step draws one spin from its states with chances proportional to w(E), E being the energy that each of them would
give: w = 1 / g with the g of this moment for Wang-Landau, a fixed table for multicanonical production.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_local, make_near
from hpcrg.jit import kernel, part
from hpcrg.observables import make_bulk
from hpcrg.rng import advance, choose, fraction, load, store
from hpcrg.system import System

U64 = np.uint64
SPINS, RNG, TABLE, COUPLINGS = "int8[::1]", "uint64[::1]", "int32[:,::1]", "int8[:,::1]"
COMMON = f"{SPINS}, {RNG}, {TABLE}, {COUPLINGS}"
LARGEST_EXPONENT = 600.0


def make_changes(system: System) -> Any:
    """changes(walker, neighbours, couplings, site, out[state]): what the energy gains if the spin at `site` becomes
    each of the states, plus `local_span`, so that it is never negative."""
    local, physics, span = make_local(system), system.physics, system.local_span
    decode, pair, coupling, near = physics.decode, physics.pair, make_near(system), U64(system.coordination)
    states, pairwise = U64(physics.states), physics.local is None

    @part
    def changes(walker, neighbours, couplings, site, out):  # type: ignore[no-untyped-def]
        now = local(walker, neighbours, couplings, site, walker[site]) - span
        for code in range(states):
            out[code] = -now if pairwise else local(walker, neighbours, couplings, site, decode(code)) - now
        if pairwise:  # neighbours in the outer loop: the inner one becomes vector instructions
            for k in range(near):
                other, strength = walker[U64(neighbours[site, k])], coupling(couplings, site, k)
                for code in range(states):
                    out[code] += strength * pair(decode(code), other)

    return changes


@part
def pick(total, mark):  # type: ignore[no-untyped-def]
    """The first index whose running total exceeds `mark`, or the last one."""
    chosen = U64(0)
    for code in range(U64(total.size - 1)):
        chosen += U64(mark >= total[code])
    return chosen


def make_energy(system: System) -> Any:
    """energy(walker, neighbours, couplings): the total energy of one configuration."""
    bulk = make_bulk(system)

    @kernel(f"int64({SPINS}, {TABLE}, {COUPLINGS})")
    def energy(walker, neighbours, couplings):  # type: ignore[no-untyped-def]
        total = np.int64(0)
        for site in range(U64(walker.size)):
            total += bulk(walker, neighbours, couplings, site)
        return total

    return energy


def make_approach(system: System) -> Any:
    """approach(walker, rng, neighbours, couplings, lowest, highest, energy, steps) -> energy: random moves that never
    lead away from lowest .. highest, until it is reached or the steps are used up."""
    changes, span = make_changes(system), system.local_span
    decode, states = system.physics.decode, system.physics.states

    @kernel(f"int64({COMMON}, int64, int64, int64, int64)")
    def approach(walker, rng, neighbours, couplings, lowest, highest, energy, steps):  # type: ignore[no-untyped-def]
        state, out = load(rng), np.empty(states, np.int64)
        for _ in range(steps):
            away = max(lowest - energy, energy - highest)
            if away <= 0:
                break
            state, site = choose(state, walker.size)
            state, code = choose(state, states)
            changes(walker, neighbours, couplings, site, out)
            moved = energy + out[code] - span
            if max(lowest - moved, moved - highest) <= away:
                energy, walker[site] = moved, decode(code)
        store(rng, state)
        return energy

    return approach


@part
def odds(level, to, ln_g, known):  # type: ignore[no-untyped-def]
    """g(level) / g(to); 0 outside the window and 1 for a level not known yet."""
    if to < 0 or to >= known.size:
        return 0.0
    return np.exp(min(LARGEST_EXPONENT, ln_g[level] - ln_g[to])) if known[to] else 1.0


def make_walk(system: System) -> Any:
    """walk(walker, rng, neighbours, couplings, lowest, ln_g, visits, known, counters, f, sweeps): Wang-Landau steps at
    random sites. counters = energy, steps, step of the newest level, whether f = 1 / t."""
    changes, span = make_changes(system), system.local_span
    decode, states = system.physics.decode, system.physics.states
    state_types = "int64, float64[::1], int64[::1], uint8[::1], int64[::1], float64[::1], int64"

    @kernel(f"void({COMMON}, {state_types})")
    def walk(walker, rng, neighbours, couplings, lowest, ln_g, visits, known, counters, f, sweeps):  # type: ignore[no-untyped-def]
        state, change, total = load(rng), np.empty(states, np.int64), np.empty(states)
        memory, stamp = np.empty(2 * span + 1), np.full(2 * span + 1, -1)
        level, step, found = counters[0] - lowest, counters[1], np.int64(known.sum())
        for _ in range(sweeps):
            if counters[3]:
                f[0] = found / step
            for _ in range(walker.size):
                state, site = choose(state, walker.size)
                changes(walker, neighbours, couplings, site, change)
                running = 0.0
                for code in range(U64(states)):
                    k = U64(change[code])
                    if stamp[k] != step:  # few energies differ: one exponential each
                        stamp[k] = step
                        memory[k] = odds(level, level + change[code] - span, ln_g, known)
                    running += memory[k]
                    total[code] = running
                state, word = advance(state)
                chosen = pick(total, fraction(word) * running)
                walker[site] = decode(chosen)
                before, step = level, step + 1
                level += change[chosen] - span
                if not known[level]:
                    known[level], ln_g[level] = 1, ln_g[before]
                    found, counters[2] = found + 1, step
                ln_g[level] += f[0]
                visits[level] += 1
        counters[0], counters[1] = level + lowest, step
        store(rng, state)

    return walk


def make_production(system: System) -> Any:
    """produce(walker, rng, neighbours, couplings, lowest, table[level, change], parity[site], turns[2], counters,
    histogram[level], energies[row], order[row, component], stride): sweeps in C order, a row of the series after every
    `stride` of them; the histogram counts every step. counters = energy, direction, half round trips."""
    changes, span = make_changes(system), system.local_span
    decode, states = system.physics.decode, system.physics.states
    book = system.physics.book
    rest = "int64, float64[:,::1], uint8[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[:,::1], int64"

    @kernel(f"void({COMMON}, {rest})")
    def produce(  # type: ignore[no-untyped-def]
        walker, rng, neighbours, couplings, lowest, table, parity, turns, counters, histogram, energies, order, stride
    ):
        state, change, total = load(rng), np.empty(states, np.int64), np.empty(states)
        level = counters[0] - lowest
        for row in range(energies.size):
            for _ in range(stride):
                for site in range(U64(walker.size)):
                    changes(walker, neighbours, couplings, site, change)
                    running = 0.0
                    for code in range(U64(states)):
                        running += table[U64(level), U64(change[code])]
                        total[code] = running
                    state, word = advance(state)
                    chosen = pick(total, fraction(word) * running)
                    walker[site] = decode(chosen)
                    level += change[chosen] - span
                    histogram[U64(level)] += 1
                energy = level + lowest
                turned = (energy <= turns[0] and counters[1] > 0) or (energy >= turns[1] and counters[1] < 0)
                if turned:
                    counters[1], counters[2] = -counters[1], counters[2] + 1
            energies[row] = level + lowest
            order[row] = 0
            for site in range(U64(walker.size)):
                book(order[row], walker[site], parity[site])
        counters[0] = level + lowest
        store(rng, state)

    return produce
