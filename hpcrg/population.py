"""Population annealing: many walkers are cooled together, and at every step down in temperature each leaves copies in
proportion to its Boltzmann weight.

From beta to beta' walker i with energy E_i has the normalised weight tau_i = exp(-(beta' - beta) E_i) / Q,
Q = mean over i of exp(-(beta' - beta) E_i), and leaves n_i copies with mean tau_i and |n_i - tau_i| < 1 (systematic
resampling, at a constant number R of walkers); sweeps at beta' follow. The free energy comes along:

    ln Z(beta_k) = N ln(states) + sum over steps of ln Q

(Hukushima and Iba, AIP Conf. Proc. 690, 200 (2003); Machta, Phys. Rev. E 82, 026704 (2010)). Walkers with a common
ancestor are a family; with nu_f the fraction of walkers in family f, S = -sum nu_f ln nu_f and rho_t = R sum nu_f^2.
Families that are few or large, S < ln 100 or rho_t > R / 100, say that the population was too small (Wang, Machta and
Katzgraber, Phys. Rev. E 92, 063307 (2015)).

Lanes, not walkers, own random streams, and resampling is a pure function of all energies and a counter hash, so results
do not depend on how lanes are divided over ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from hpcrg.comm import Alone, Comm, share
from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.jit import helper, kernel
from hpcrg.models.base import Disorder
from hpcrg.rng import Purpose, fraction, hash64, key_of, load, store, stream
from hpcrg.system import System
from hpcrg.updates.base import Update

U64 = np.uint64
PILOT = 2**32 - 1
"""The chain number of pilots."""
RECORDS = ("ln_q", "energy", "energy2", "order2", "entropy", "rho_t")


@dataclass
class Population:
    """The state of one chain on one rank: block [lane, ...], rng uint64[lane, 4] and energies float64[lane] of the
    lanes here; family int64[R] of all lanes; step int64[1], the place in the schedule; key uint64[1] of the resampling;
    and one value a step, float64[step] each: ln_q, energy (mean), energy2 (mean square), order2 (mean squared order
    parameter per site), entropy S and rho_t. `vars` of it is what a checkpoint needs."""

    block: NDArray[Any]
    rng: NDArray[np.uint64]
    energies: NDArray[np.float64]
    family: NDArray[np.int64]
    step: NDArray[np.int64]
    key: NDArray[np.uint64]
    ln_q: NDArray[np.float64]
    energy: NDArray[np.float64]
    energy2: NDArray[np.float64]
    order2: NDArray[np.float64]
    entropy: NDArray[np.float64]
    rho_t: NDArray[np.float64]

    @property
    def ln_z(self) -> NDArray[np.float64]:
        """ln of Z(beta) / Z(0) at every step done, float64[step + 1]; Z(0) = states^N of discrete spins."""
        return np.cumsum(self.ln_q[: self.step[0] + 1])


@dataclass(frozen=True, eq=False)
class Annealing:
    """How populations of one system are annealed: R `walkers`, the update and how many `sweeps` of it follow a
    resampling, and the ranks that share the lanes. Raises Unsupported for an update that does not keep plain spins."""

    system: System
    update: Update
    update_name: str
    walkers: int
    sweeps: int
    disorder: Disorder
    comm: Comm = field(default_factory=Alone)

    def __post_init__(self) -> None:
        if self.update.layout.name != "plain":
            raise Unsupported(expected("population.update", "an update of plain spins", self.update.layout.name))

    @property
    def lanes(self) -> range:
        """The lanes of this rank."""
        return share(self.walkers, self.comm.size, self.comm.rank)

    @cached_property
    def tables(self) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Neighbours and couplings as the kernels want them."""
        return self.update.layout.prepare(self.disorder.couplings)

    @cached_property
    def heat(self) -> Any:
        """heat(block, rng, volume): every walker anew at infinite temperature."""
        fresh, write, layout = self.system.physics.fresh, self.system.physics.write, self.update.layout

        @kernel(f"void({layout.block}, uint64[:,::1], int64)", f"population-heat-{self.system.name}")
        def heat(block, rng, volume):  # type: ignore[no-untyped-def]
            for w in range(block.shape[0]):
                walker, state = block[w], load(rng[w])
                for site in range(U64(volume)):
                    state, spin = fresh(state)
                    write(walker, site, spin)
                store(rng[w], state)

        return heat

    @cached_property
    def sweep(self) -> Any:
        """sweep(block, beta, rng, neighbours, couplings, series, sweeps)."""
        one, layout, name = self.update.sweep, self.update.layout, f"{self.system.name}-{self.update_name}"

        @kernel(
            f"void({layout.block}, float64, uint64[:,::1], int32[:,::1], {layout.couplings}, int64, int64)",
            f"population-sweep-{name}",
        )
        def sweep(block, beta, rng, neighbours, couplings, series, sweeps):  # type: ignore[no-untyped-def]
            betas, info = np.full(block.shape[0], beta), np.empty((block.shape[0], series))
            for _ in range(sweeps):
                one(block, betas, rng, neighbours, couplings, info)

        return sweep

    @cached_property
    def measure(self) -> Any:
        """measure(block, neighbours, couplings, shape, energies, order)."""
        layout, raw = self.update.layout, self.update.layout.make_measure()
        energy, order = ("int64" if self.system.integer else "float64"), self.system.model.order_dtype.name

        @kernel(
            f"void({layout.block}, int32[:,::1], {layout.couplings}, int64[::1], {energy}[::1], {order}[:,::1])",
            f"population-measure-{self.system.name}",
        )
        def measure(block, neighbours, couplings, shape, energies, values):  # type: ignore[no-untyped-def]
            raw(block, neighbours, couplings, shape, 1.0, energies, values, np.empty(block.shape[0]))

        return measure

    def start(self, steps: int, seed: int, words: Sequence[int], chain: int) -> Population:
        """A population at beta = 0 with room for a schedule of `steps` inverse temperatures."""
        address = (*words, chain)
        rng = np.array([stream(seed, Purpose.POPULATION, *address, lane) for lane in self.lanes], np.uint64)
        components, n = self.system.model.spin_components, len(self.lanes)
        shape = (n, components, self.system.volume) if components else (n, self.system.volume)
        block = np.empty(shape, self.system.model.dtype)
        self.heat(block, rng, self.system.volume)
        if self.disorder.vacant is not None:
            block[..., self.disorder.vacant > 0] = 0
        key = np.array([key_of(seed, Purpose.POPULATION, *address)], np.uint64)
        records = np.full((len(RECORDS), steps), np.nan)
        population = Population(
            block,
            rng,
            np.empty(n),
            np.arange(self.walkers),
            np.zeros(1, np.int64),
            key,
            *(row.copy() for row in records),
        )
        population.ln_q[0] = 0.0
        self._record(population)
        return population

    def step(self, population: Population, change: float, beta: float) -> None:
        """Resample from beta - change to beta, sweep there and measure, in place. Collective."""
        energies = self.comm.allgather(population.energies, self.walkers)
        population.step += 1
        k = int(population.step[0])
        parents, population.ln_q[k] = resample(population.key[0], k, energies, change)
        whole = self.comm.allgather(population.block, self.walkers)
        population.block = np.ascontiguousarray(whole[parents[self.lanes.start : self.lanes.stop]])
        population.family = population.family[parents]
        self.sweep(population.block, beta, population.rng, *self.tables, len(self.update.series), self.sweeps)
        self._record(population)

    def run(
        self, population: Population, betas: Sequence[float], stop: Callable[[], bool] = lambda: False
    ) -> bool:  # fmt: skip
        """Go on through a schedule that starts at 0 to its end (True), or until `stop` says so (False), in place."""
        while population.step[0] + 1 < len(betas):
            if bool(self.comm.allgather(np.array([stop()]), self.comm.size).any()):
                return False
            k = int(population.step[0])
            self.step(population, betas[k + 1] - betas[k], betas[k + 1])
        return True

    def schedule(self, beta: float, culled: float, seed: int, words: Sequence[int]) -> tuple[float, ...]:
        """Inverse temperatures from 0 to `beta` at which a fraction `culled` of a pilot population, of a chain number
        of its own, would leave no copy. A schedule is fixed before data are taken: one that follows the data of its own
        population biases them. Raises InputError unless 0 < culled < 1."""
        if not 0.0 < culled < 1.0:
            raise InputError(expected("population.culled", "a fraction between 0 and 1", culled))
        betas, population = [0.0], self.start(1, seed, words, PILOT)
        while betas[-1] < beta:
            energies = self.comm.allgather(population.energies, self.walkers)
            betas.append(betas[-1] + next_step(energies, beta - betas[-1], culled))
            for name in RECORDS:
                setattr(population, name, np.append(getattr(population, name), np.nan))
            self.step(population, betas[-1] - betas[-2], betas[-1])
        return (*betas[:-1], beta)

    def _record(self, population: Population) -> None:
        n, k, model = len(self.lanes), int(population.step[0]), self.system.model
        energies, order = np.empty(n, self.system.energy_dtype), np.empty((n, model.components), model.order_dtype)
        self.measure(population.block, *self.tables, np.array(self.system.lattice.shape), energies, order)
        population.energies = energies.astype(np.float64)
        energy = self.comm.allgather(population.energies, self.walkers)
        order2 = self.comm.allgather(model.order2(order, self.system.volume), self.walkers)
        population.energy[k], population.energy2[k] = energy.mean(), (energy**2).mean()
        population.order2[k] = order2.mean()
        population.entropy[k], population.rho_t[k] = family_sizes(population.family)


@helper
def offset(key, step):  # type: ignore[no-untyped-def]
    """Where in [0, 1) the comb of a resampling starts."""
    return fraction(hash64(key, step))


def resample(
    key: np.uint64, step: int, energies: NDArray[np.float64], change: float
) -> tuple[NDArray[np.int64], float]:  # fmt: skip
    """The walker that every lane copies, int64[R], and ln Q; a pure function, the same on every rank."""
    raw = -change * energies
    ln_q = float(logsumexp(raw) - np.log(raw.size))
    ends = np.cumsum(np.exp(raw - ln_q))
    marks = (np.arange(raw.size) + offset(key, step)) * (ends[-1] / raw.size)
    return np.minimum(np.searchsorted(ends, marks, side="right"), raw.size - 1).astype(np.int64), ln_q


def culled_fraction(energies: NDArray[np.float64], change: float) -> float:
    """The mean fraction of walkers that leave no copy: the mean of max(0, 1 - tau)."""
    raw = -change * energies
    tau = np.exp(raw - logsumexp(raw) + np.log(raw.size))
    return float(np.maximum(0.0, 1.0 - tau).mean())


def next_step(energies: NDArray[np.float64], longest: float, culled: float) -> float:
    """The step in beta at which a fraction `culled` goes, or `longest` if that is shorter."""
    if culled_fraction(energies, longest) <= culled:
        return longest
    return float(brentq(lambda change: culled_fraction(energies, change) - culled, 0.0, longest))


def family_sizes(family: NDArray[np.int64]) -> tuple[float, float]:
    """S = -sum nu ln nu and rho_t = R sum nu^2 of the families' shares nu."""
    share_of = np.bincount(family) / family.size
    alive = share_of[share_of > 0]
    return float(-(alive * np.log(alive)).sum()), float(family.size * (alive**2).sum())


def combine(values: NDArray[np.float64], ln_z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The mean over independent chains of values[chain] at one step, each chain weighted with its Z, exp(ln_z[chain]),
    which takes away the bias of finite populations; and the leave-one-out values."""
    weights = np.exp(ln_z - ln_z.max())
    total, norm = (weights * values).sum(), weights.sum()
    return float(total / norm), (total - weights * values) / (norm - weights)


def combine_ln_z(ln_z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """ln of the mean Z over chains, which is not biased, and the leave-one-out values."""
    weights = np.exp(ln_z - ln_z.max())
    rest = (weights.sum() - weights) / (weights.size - 1)
    return float(np.log(weights.mean()) + ln_z.max()), np.log(rest) + ln_z.max()
