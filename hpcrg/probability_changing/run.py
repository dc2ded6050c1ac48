"""Probability-changing clusters: Swendsen-Wang sweeps that find the critical temperature by themselves.

Bonds between like spins are laid with probability p = 1 - exp(-beta gap) and clusters take new states. If some cluster
winds around the torus p is lowered, else it is raised (Tomita and Okabe, Phys. Rev. Lett. 86, 572 (2001)): the fixed
point has wrapping probability 1/2, and beta(L) = beta_c + a L^(-1/nu). Steps fall as t^(-3/4), and the answer is the
mean of p over the second half of the sweeps (Robbins and Monro, Ann. Math. Stat. 22, 400 (1951); Polyak and Juditsky,
SIAM J. Control Optim. 30, 838 (1992)).

On the square lattice there is a rule without size shift. Duality of the random-cluster model on the torus exchanges
configurations in which nothing winds with those in which clusters wind both ways, and at the self-dual point

    P(both) = q P(none)

for every L: by Euler's relation the weights sqrt(q)^(bonds + 2 clusters) of two dual configurations differ by a factor
q. With `SELF_DUAL`, p moves by q for none, by -1 for both and stays otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hpcrg.comm import Comm
from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.estimate import Measured
from hpcrg.jit import kernel, part
from hpcrg.lattice import HONEYCOMB, Lattice
from hpcrg.observables import initial
from hpcrg.producing import Place, Produced, State, describe, left_out
from hpcrg.rng import Purpose, advance, choose, fraction, load, store
from hpcrg.system import System

U64 = np.uint64
VERSION = 2
TRIAL = 2**20
"""Sites visited to time a chain."""
CHUNK = 1000
"""Sweeps in one piece of work."""
BITS = 15
"""A displacement has so many bits an axis; they lie side by side in one integer, which adds like a vector."""
HALF, SELF_DUAL = "half", "self_dual"
RULES = (HALF, SELF_DUAL)
POWER = 0.75
DELAY = 10.0


def packed(step: Sequence[int]) -> int:
    """A displacement (.., y, x) as one integer."""
    return sum(int(v) << (BITS * k) for k, v in enumerate(reversed(step)))


@part
def turn(a, b):  # type: ignore[no-untyped-def]
    """The cross product of two packed displacements in two dimensions; 0 when they are parallel."""
    size, half = np.int64(1 << BITS), np.int64(1 << (BITS - 1))
    ax = (a + half) % size - half
    bx = (b + half) % size - half
    return ax * ((b - bx) // size) - (a - ax) // size * bx


@part
def find(parent, offset, site):  # type: ignore[no-untyped-def]
    """The root of a site; afterwards offset[site] is the displacement from the root, and every site on the way hangs
    directly on it."""
    root, total = site, np.int64(0)
    while parent[root] != root:
        total += offset[root]
        root = U64(parent[root])
    while parent[site] != root and site != root:
        above, own = U64(parent[site]), offset[site]
        parent[site], offset[site] = root, total
        total -= own
        site = above
    return root


@part
def join(parent, offset, a, b, step):  # type: ignore[no-untyped-def]
    """Join b = a + step to the cluster of a; the displacement by which the bond winds around the torus, 0 if not at
    all."""
    one, other = find(parent, offset, a), find(parent, offset, b)
    distance = offset[a] + step - offset[b]
    if one == other:
        return distance
    if one < other:
        parent[other], offset[other] = one, distance
    else:
        parent[one], offset[one] = other, -distance
    return np.int64(0)


@part
def root_of(parent, site):  # type: ignore[no-untyped-def]
    """The root of a site."""
    while parent[site] != site:
        site = parent[site]
    return site


@dataclass(frozen=True)
class Finder:
    """How the critical point of one system is looked for: by one of the RULES in `sweeps` sweeps, the first steps in p
    being `first` and the first p `begin`. The state of a chain is spins int8[site], rng uint64[4], p float64[1], done
    int64[1] sweeps, and `trace` float64[sweep], p after every sweep, which is what a record holds. Raises Unsupported
    for a model without Fortuin-Kasteleyn clusters, a lattice without a torus, or a lattice that is not its own dual
    where the rule needs one."""

    system: System
    rule: str = HALF
    sweeps: int = 10_000
    first: float = 0.02
    begin: float = 0.5

    pilot: ClassVar[None] = None
    divisible: ClassVar[bool] = False
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({"trace": ("sweep",)})

    def __post_init__(self) -> None:
        check(self.system, self.rule)

    @property
    def work(self) -> float:
        """Sites visited by one chain."""
        return float(self.sweeps) * self.system.volume

    def trial(self) -> tuple[Finder, State]:
        """Few sweeps."""
        return replace(self, sweeps=1 + TRIAL // self.system.volume), {}

    def identity(self) -> dict[str, Any]:
        """See Producer."""
        return {"method": "probability_changing", "version": VERSION, "rule": self.rule, "sweeps": self.sweeps,
                "first": self.first, "begin": self.begin, **describe(self.system)}  # fmt: skip

    @cached_property
    def kernel(self) -> Any:
        """The compiled search."""
        return make(self.system)

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """The packed displacement of every column."""
        return np.array([packed(step) for step in displacements(self.system.lattice)])

    @property
    def score(self) -> NDArray[np.float64]:
        """How p moves, in units of the step, when clusters wind none, one or both ways."""
        return np.array([self.system.model.states, 0.0, -1.0] if self.rule == SELF_DUAL else [1.0, -1.0, -1.0])

    def start(self, place: Place, given: State) -> State:
        """A chain before its first sweep: even chains from a random configuration, odd ones from the ordered one."""
        rng = place.stream(Purpose.PROBABILITY_CHANGING)
        spins = initial(self.system, "ordered" if place.chain % 2 else "random", rng)
        p, done = np.array([self.begin]), np.zeros(1, np.int64)
        return {"spins": spins, "rng": rng, "p": p, "done": done, "trace": np.zeros(self.sweeps)}

    def advance(self, place: Place, given: State, state: State, comm: Comm) -> bool:
        """CHUNK sweeps."""
        done = int(state["done"][0])
        part = state["trace"][done : done + CHUNK]
        self.kernel(
            state["spins"], state["rng"], self.system.neighbours, self.steps, self.system.lattice.bond_sites.start,
            self.system.columns.start, self.score, self.first, state["p"], done, part,
        )  # fmt: skip
        state["done"] += part.size
        return bool(state["done"][0] == self.sweeps)

    def record(self, state: State) -> State:
        """The path of p."""
        return {"trace": state["trace"]}

    def beta(self, p: float) -> float:
        """The inverse temperature of a bond probability."""
        return -float(np.log1p(-p)) / self.system.physics.gap_span

    @property
    def unsettled(self) -> float:
        """By how much beta(L) is off since steps are finite: about the mean step of the second half. Noise in the
        windings that outlives a sweep moves the mean of p by a multiple of order one of the step."""
        t = np.arange(self.sweeps // 2, self.sweeps)
        step = self.first * float(((1.0 + t / DELAY) ** -POWER).mean())
        exact = self.system.model.exact(self.system.lattice).beta_c
        p = 0.5 if exact is None else 1.0 - float(np.exp(-exact.value * self.system.physics.gap_span))
        return step / ((1.0 - p) * self.system.physics.gap_span)

    def answer(self, produced: Produced) -> Measured:
        """beta(L) from the second halves of independent chains, with leave-one-chain-out replicas."""
        mean, replicas = left_out(produced, produced["trace"][:, self.sweeps // 2 :].mean(axis=1))
        return self.beta(mean), {source: np.array([self.beta(p) for p in rest]) for source, rest in replicas.items()}


def check(system: System, rule: str) -> None:
    """See Finder."""
    physics, lattice = system.physics, system.lattice
    if rule not in RULES:
        raise InputError(expected("probability_changing.rule", f"one of {', '.join(RULES)}", rule, RULES))
    if system.disordered:
        raise Unsupported(expected("probability_changing", "a model without disorder", system.model.name))
    random_cluster = physics.mirror is not None and system.integer and physics.moves == physics.states
    if not random_cluster or system.coupling != "none" or system.model.shells != 1:
        wanted = "a model whose clusters take every state with equal chance, without couplings"
        raise Unsupported(expected("probability_changing", wanted, system.model.name))
    if lattice.boundary != "periodic":
        raise Unsupported(
            expected("probability_changing", "periodic boundaries, so that clusters can wind", lattice.boundary)
        )
    square = lattice.kind == "hypercubic" and lattice.dimension == 2 and len(set(lattice.shape)) == 1
    if rule == SELF_DUAL and not square:
        raise Unsupported(expected("probability_changing.rule", "a square for the self-dual rule", lattice.shape))


def displacements(lattice: Lattice) -> list[tuple[int, ...]]:
    """The displacement (.., y, x) of every column of the neighbour table, as bonds meet it."""
    if lattice.kind == "honeycomb":  # bonds start at sites of the second sublattice
        return [tuple(-v for v in step) for step in HONEYCOMB]
    return [*lattice.steps, *(tuple(-v for v in step) for step in lattice.steps)]


def make(system: System) -> Any:
    """search(walker, rng, neighbours, steps, first_site, first_column, score, first, p[1], done, trace): a sweep for
    every entry of the trace."""
    physics, flat = system.physics, system.lattice.dimension == 2
    mirror, reflect, project, gap, moves = physics.mirror, physics.reflect, physics.project, physics.gap, physics.moves
    types = "int8[::1], uint64[::1], int32[:,::1], int64[::1], int64, int64, float64[::1], float64, float64[::1], int64"

    @kernel(f"void({types}, float64[::1])")
    def search(walker, rng, neighbours, steps, first_site, first_column, score, first, p, done, trace):  # type: ignore[no-untyped-def]
        parent, offset = np.empty(walker.size, np.uint64), np.empty(walker.size, np.int64)
        state = load(rng)
        for t in range(trace.size):
            state, m = mirror(state)
            for site in range(U64(walker.size)):
                parent[site], offset[site] = site, 0
            winding, both = np.int64(0), False
            for site in range(U64(first_site), U64(walker.size)):
                mine = project(m, walker[site])
                for k in range(U64(first_column), U64(steps.size)):
                    near = U64(neighbours[site, k])
                    state, word = advance(state)
                    if gap(mine, project(m, walker[near]), 1) > 0 and fraction(word) < p[0]:
                        wound = join(parent, offset, site, near, steps[k])
                        both = both or (wound != 0 and winding != 0 and flat and turn(winding, wound) != 0)
                        winding = wound if winding == 0 else winding
            for site in range(U64(walker.size)):
                state, trace_move = choose(state, moves)
                offset[site] = trace_move
            for site in range(U64(walker.size)):
                walker[site] = reflect(m, offset[root_of(parent, site)], walker[site])
            length = first * (1.0 + (done + t) / DELAY) ** -POWER
            p[0] = min(1.0, max(0.0, p[0] + length * score[2 if both else (1 if winding != 0 else 0)]))
            trace[t] = p[0]
        store(rng, state)

    return search
