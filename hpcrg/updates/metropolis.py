"""Metropolis: propose another spin, accept with min(1, exp(-beta dE)) (Metropolis et al., J. Chem. Phys.
21, 1087 (1953)).

In d >= 2 sites are visited in a fixed order: those of even index, then those of odd index, so that an
update rarely waits for the one before it. In d = 1 a fixed order is not ergodic (a flip that costs nothing
is always accepted), and every step takes a random site.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import kernel, part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Physics
from hpcrg.rng import advance, choose, load, store
from hpcrg.updates.base import SIGNATURE, Kernel, UpdateType, chances, serves_all

U64 = np.uint64


def make_step(physics: Physics, coordination: int) -> Any:
    """step(spins, neighbours, site, table, r) -> (r, 1 if accepted else 0); table[dE + lowest]."""
    propose, pair = physics.propose, physics.pair
    highest = coordination * physics.pair_span

    @part(f"metropolis.{physics.name}.{coordination}")
    def step(spins, neighbours, site, table, state):  # type: ignore[no-untyped-def]
        old = spins[site]
        state, new = propose(state, old)
        change = np.int64(0)
        for k in range(coordination):
            other = spins[U64(neighbours[site, k])]
            change += pair(new, other) - pair(old, other)
        state, word = advance(state)
        accepted = (word >> U64(11)) < table[U64(change + highest)]
        spins[site] = new if accepted else old
        return state, np.int64(accepted)

    return step


def make_fixed(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for d >= 2: even indices, then odd ones."""
    step = make_step(physics, lattice.coordination)
    highest = lattice.coordination * physics.pair_span

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def metropolis(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        table = np.empty(2 * highest + 1, np.uint64)
        volume = U64(spins.shape[1])
        for w in range(spins.shape[0]):
            walker = spins[w]
            state = load(rng[w])
            chances(betas[w], table, -highest)
            accepted = np.int64(0)
            for parity in range(U64(2)):
                for site in range(parity, volume, U64(2)):
                    state, yes = step(walker, neighbours, site, table, state)
                    accepted += yes
            store(rng[w], state)
            info[w, 0] = accepted / volume

    return metropolis


def make_random(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for d = 1: N random sites."""
    step = make_step(physics, lattice.coordination)
    highest = lattice.coordination * physics.pair_span

    @kernel(SIGNATURE, f"{physics.name}-{lattice.dimension}d")
    def metropolis(spins, betas, rng, neighbours, info):  # type: ignore[no-untyped-def]
        table = np.empty(2 * highest + 1, np.uint64)
        volume = spins.shape[1]
        for w in range(spins.shape[0]):
            walker = spins[w]
            state = load(rng[w])
            chances(betas[w], table, -highest)
            accepted = np.int64(0)
            for _ in range(volume):
                state, site = choose(state, volume)
                state, yes = step(walker, neighbours, site, table, state)
                accepted += yes
            store(rng[w], state)
            info[w, 0] = accepted / volume

    return metropolis


def make(physics: Physics, lattice: Lattice) -> Kernel:
    """The kernel for one physics and dimension."""
    return make_random(physics, lattice) if lattice.dimension == 1 else make_fixed(physics, lattice)


METROPOLIS = UpdateType("metropolis", 1, ("acceptance",), serves_all, make)
