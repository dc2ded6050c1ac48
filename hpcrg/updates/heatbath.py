"""Heat bath: every spin is drawn anew from its distribution given its neighbours (Creutz, Phys. Rev. D 21,
2308 (1980)).

Sites are visited in C order. The series `acceptance` is the fraction of spins that changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.errors import Unsupported
from hpcrg.interaction import make_field, make_frozen, make_local
from hpcrg.jit import part
from hpcrg.rng import advance, fraction, load, store
from hpcrg.system import System
from hpcrg.updates.base import Sweep, UpdateType, by_system

U64 = np.uint64


def make_weigh(system: System) -> Any:
    """weigh(beta, energy, table): exp(-beta energy), from a table of integer energies where there is one."""
    if system.integer:
        highest = np.int64(system.local_span)

        @part
        def by_table(beta, energy, table):  # type: ignore[no-untyped-def]
            return table[U64(energy + highest)]

        return by_table

    @part
    def by_factor(beta, energy, table):  # type: ignore[no-untyped-def]
        return np.exp(-beta * energy)

    return by_factor


def make_draw(system: System) -> Any:
    """draw(walker, neighbours, couplings, site, beta, table, total, r) -> (r, spin) for discrete spins; energies are
    relative to the first state."""
    decode, states, local, weigh = system.physics.decode, system.physics.states, make_local(system), make_weigh(system)

    @part
    def draw(walker, neighbours, couplings, site, beta, table, total, state):  # type: ignore[no-untyped-def]
        running, first = 0.0, local(walker, neighbours, couplings, site, decode(0))
        for code in range(states):
            running += weigh(beta, local(walker, neighbours, couplings, site, decode(code)) - first, table)
            total[code] = running
        state, word = advance(state)
        mark = fraction(word) * running
        chosen = np.int64(0)
        for code in range(states - 1):
            chosen += np.int64(mark >= total[code])
        return state, decode(chosen)

    return draw


def make_draw_continuous(system: System) -> Any:
    """The same for continuous spins, from the field that the neighbours make."""
    heat_bath, field = system.physics.heat_bath, make_field(system)

    @part
    def draw(walker, neighbours, couplings, site, beta, table, total, state):  # type: ignore[no-untyped-def]
        return heat_bath(state, field(walker, neighbours, couplings, site), beta)

    return draw


def make(system: System) -> Sweep:
    """The sweep for one system."""
    draw = make_draw_continuous(system) if system.model.spin_components else make_draw(system)
    read, write, frozen = system.physics.read, system.physics.write, make_frozen(system)
    states, highest = system.physics.states, system.local_span if system.integer else 0

    @part
    def heat_bath(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        table, total = np.empty(2 * highest + 1), np.empty(states)
        for w in range(block.shape[0]):
            walker, state, changed = block[w], load(rng[w]), np.int64(0)
            for k in range(table.size):
                table[k] = np.exp(-betas[w] * (k - highest))
            for site in range(U64(neighbours.shape[0])):
                old = read(walker, site)
                if frozen(old):
                    continue
                state, new = draw(walker, neighbours, couplings, site, betas[w], table, total, state)
                changed += np.int64(new != old)
                write(walker, site, new)
            store(rng[w], state)
            info[w, 0] = changed / neighbours.shape[0]

    return heat_bath


def check(system: System, slots: int, copies: int) -> None:
    """Continuous spins need a way to be drawn."""
    if system.model.spin_components and system.physics.heat_bath is None:
        raise Unsupported(f"heat_bath: expected a model that says how to draw a spin, found {system.model.name}")


HEAT_BATH = UpdateType("heat_bath", 2, check, by_system(make), by_system(lambda system: ("acceptance",)))
