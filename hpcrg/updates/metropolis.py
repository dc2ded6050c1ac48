"""Metropolis: propose another spin, accept with min(1, exp(-beta dE)) (Metropolis et al., J. Chem. Phys.
21, 1087 (1953)).

In d >= 2 sites are visited in a fixed order: those of even index, then those of odd index, so that an
update rarely waits for the one before it. In d = 1 a fixed order is not ergodic (a flip that costs nothing
is always accepted), nor where spins have lost all their neighbours or all but those of a ring, and every step takes a
random site there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.interaction import make_frozen, make_local
from hpcrg.jit import part
from hpcrg.rng import advance, choose, load, store
from hpcrg.system import System
from hpcrg.updates.base import Sweep, UpdateType, by_system, chances, make_decide, serves_all

U64 = np.uint64


def make_step(system: System) -> Any:
    """step(walker, neighbours, couplings, site, beta, table, r) -> (r, 1 if accepted else 0)."""
    propose, read, write = system.physics.propose, system.physics.read, system.physics.write
    local, frozen, decide = make_local(system), make_frozen(system), make_decide(system)

    @part
    def step(walker, neighbours, couplings, site, beta, table, state):  # type: ignore[no-untyped-def]
        old = read(walker, site)
        if frozen(old):
            return state, np.int64(0)
        state, new = propose(state, old)
        before = local(walker, neighbours, couplings, site, old)
        change = local(walker, neighbours, couplings, site, new) - before
        state, word = advance(state)
        accepted = decide(word, change, beta, table)
        write(walker, site, new if accepted else old)
        return state, np.int64(accepted)

    return step


def make_fixed(system: System) -> Sweep:
    """The sweep for d >= 2: even indices, then odd ones."""
    step, highest = make_step(system), system.local_span if system.integer else 0

    @part
    def metropolis(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        table = np.empty(2 * highest + 1, np.uint64)
        volume = U64(neighbours.shape[0])
        for w in range(block.shape[0]):
            walker = block[w]
            state = load(rng[w])
            chances(betas[w], table, -highest)
            accepted = np.int64(0)
            for parity in range(U64(2)):
                for site in range(parity, volume, U64(2)):
                    state, yes = step(walker, neighbours, couplings, site, betas[w], table, state)
                    accepted += yes
            store(rng[w], state)
            info[w, 0] = accepted / volume

    return metropolis


def make_random(system: System) -> Sweep:
    """The sweep for d = 1: N random sites."""
    step, highest = make_step(system), system.local_span if system.integer else 0

    @part
    def metropolis(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        table = np.empty(2 * highest + 1, np.uint64)
        volume = neighbours.shape[0]
        for w in range(block.shape[0]):
            walker = block[w]
            state = load(rng[w])
            chances(betas[w], table, -highest)
            accepted = np.int64(0)
            for _ in range(volume):
                state, site = choose(state, volume)
                state, yes = step(walker, neighbours, couplings, site, betas[w], table, state)
                accepted += yes
            store(rng[w], state)
            info[w, 0] = accepted / volume

    return metropolis


def make(system: System) -> Sweep:
    """The sweep for one system."""
    random = system.lattice.dimension == 1 or system.model.only_random_order
    return make_random(system) if random else make_fixed(system)


METROPOLIS = UpdateType("metropolis", 2, serves_all, by_system(make), by_system(lambda system: ("acceptance",)))
