"""Population annealing: many walkers are cooled together, and at every step down in temperature each leaves copies in
proportion to its Boltzmann weight.

From beta to beta' walker i with energy E_i has the normalised weight tau_i = exp(-(beta' - beta) E_i) / Q,
Q = mean over i of exp(-(beta' - beta) E_i), and leaves n_i copies with mean tau_i and |n_i - tau_i| < 1 (systematic
resampling, at a constant number R of walkers); sweeps at beta' follow. The free energy comes along:

    ln Z(beta_k) = N ln(states) + sum over steps of ln Q,  N counting the sites that hold a spin

(Hukushima and Iba, AIP Conf. Proc. 690, 200 (2003); Machta, Phys. Rev. E 82, 026704 (2010)). Walkers with a common
ancestor are a family; with nu_f the fraction of walkers in family f, S = -sum nu_f ln nu_f and rho_t = R sum nu_f^2.
Families that are few or large, S < ln 100 or rho_t > R / 100, say that the population was too small (Wang, Machta and
Katzgraber, Phys. Rev. E 92, 063307 (2015)).

Lanes, not walkers, own random streams, and resampling is a pure function of all energies and a counter hash, so results
do not depend on how lanes are divided over ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.comm import Comm, share
from hpcrg.errors import Unsupported, expected
from hpcrg.jit import kernel
from hpcrg.models import Disorder
from hpcrg.population.resampling import family_sizes, resample
from hpcrg.producing import Place, State, describe
from hpcrg.rng import Purpose, generator, load, store
from hpcrg.system import System
from hpcrg.updates import UPDATES
from hpcrg.updates.base import Update

U64 = np.uint64
VERSION = 2
RECORDS = ("ln_q", "energy", "energy2", "order2", "entropy", "rho_t")
"""One value a step: ln Q, mean energy, mean squared energy, mean squared order parameter per site, S and rho_t."""


@dataclass(frozen=True)
class Cooling:
    """How populations of one system are cooled: R `walkers`, the update by name and how many `sweeps` of it follow a
    resampling. The state of a chain is block [lane, ...], rng uint64[lane, 4], energies float64[lane] and family
    int64[lane] of all lanes, step int64[1], key uint64[1] of the resampling, the couplings of
    the chain, and RECORDS float64[step]. Every rank holds all of it and sweeps its own lanes. Raises Unsupported for an
    update that does not keep plain spins and for spins without a distribution at infinite temperature."""

    system: System
    update_name: str
    walkers: int
    sweeps: int

    def __post_init__(self) -> None:
        if self.update_name not in UPDATES:
            raise Unsupported(expected("population: update", f"one of {', '.join(UPDATES)}", self.update_name, UPDATES))
        if not self.system.model.normalisable:
            wanted = "spins with a distribution at infinite temperature, from which populations are cooled"
            raise Unsupported(expected("population", wanted, self.system.model.name))
        update = UPDATES[self.update_name]
        update.check(self.system, 1, 1)
        if self.update.layout.name != "plain":
            raise Unsupported(expected("population: update", "an update of plain spins", self.update.layout.name))
        if not update.ergodic(self.system):
            raise Unsupported(expected("population: update", "an update that reaches everything", self.update_name))

    @cached_property
    def update(self) -> Update:
        """The update itself."""
        return UPDATES[self.update_name].build(self.system)

    def identity(self) -> dict[str, Any]:
        """What determines the numbers at a given schedule."""
        return {
            "update": {"type": self.update_name, "version": UPDATES[self.update_name].version},
            "walkers": self.walkers, "sweeps": self.sweeps, "version": VERSION, **describe(self.system),
        }  # fmt: skip

    @cached_property
    def heat(self) -> Any:
        """heat(block, rng, volume): every walker anew at infinite temperature."""
        fresh, write, layout = self.system.physics.fresh, self.system.physics.write, self.update.layout

        @kernel(f"void({layout.block}, uint64[:,::1], int64)")
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
        one, layout = self.update.sweep, self.update.layout

        @kernel(
            f"void({layout.block}, float64, uint64[:,::1], int32[:,::1], {layout.couplings}, int64, int64)",
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
        )
        def measure(block, neighbours, couplings, shape, energies, values):  # type: ignore[no-untyped-def]
            raw(block, neighbours, couplings, shape, 1.0, energies, values, np.empty(block.shape[0]))

        return measure

    def disorder(self, place: Place) -> Disorder:
        """What is frozen in one chain."""
        return self.system.disorder(generator(place.seed, Purpose.DISORDER, *place.words, place.chain))

    def start(self, place: Place, steps: int) -> State:
        """A population at beta = 0 with room for a schedule of `steps` inverse temperatures."""
        rng = np.array([place.stream(Purpose.POPULATION, lane) for lane in range(self.walkers)], np.uint64)
        components, n = self.system.model.spin_components, self.walkers
        shape = (n, components, self.system.volume) if components else (n, self.system.volume)
        block = np.empty(shape, self.system.model.dtype)
        self.heat(block, rng, self.system.volume)
        disorder = self.disorder(place)
        if disorder.vacant is not None:
            block[..., disorder.vacant > 0] = 0
        state: State = {
            "block": block, "rng": rng, "energies": np.empty(n), "family": np.arange(n),
            "step": np.zeros(1, np.int64), "key": np.array([place.key(Purpose.POPULATION)]),
            "couplings": disorder.couplings, **{name: np.full(steps, np.nan) for name in RECORDS},
        }  # fmt: skip
        state["ln_q"][0] = 0.0
        state["energies"], measured = self._measure(state["block"], state)
        self._record(state, measured)
        return state

    def step(self, state: State, change: float, beta: float, comm: Comm) -> None:
        """Resample from beta - change to beta, sweep there and measure, in place. Collective."""
        state["step"] += 1
        k = int(state["step"][0])
        parents, state["ln_q"][k] = resample(state["key"][0], k, state["energies"], change)
        state["family"] = state["family"][parents]
        mine = share(self.walkers, comm.size, comm.rank)
        lanes = slice(mine.start, mine.stop)
        block, rng = np.ascontiguousarray(state["block"][parents[lanes]]), state["rng"][lanes].copy()
        self.sweep(block, beta, rng, *self._tables(state), len(self.update.series), self.sweeps)
        energies, order2 = self._measure(block, state)
        state["block"], state["rng"] = comm.allgather(block, self.walkers), comm.allgather(rng, self.walkers)
        state["energies"] = comm.allgather(energies, self.walkers)
        self._record(state, comm.allgather(order2, self.walkers))

    def _tables(self, state: State) -> tuple[NDArray[np.int32], NDArray[Any]]:
        return self.update.layout.prepare(state["couplings"])

    def _measure(self, block: NDArray[Any], state: State) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy and squared order parameter of every walker of a block."""
        n, model = len(block), self.system.model
        energies, order = np.empty(n, self.system.energy_dtype), np.empty((n, model.components), model.order_dtype)
        self.measure(block, *self._tables(state), np.array(self.system.lattice.shape), energies, order)
        return energies.astype(np.float64), model.order2(order, self.system.volume)

    def _record(self, state: State, order2: NDArray[np.float64]) -> None:
        k, energy = int(state["step"][0]), state["energies"]
        state["order2"][k], state["energy"][k], state["energy2"][k] = order2.mean(), energy.mean(), (energy**2).mean()
        state["entropy"][k], state["rho_t"][k] = family_sizes(state["family"])
