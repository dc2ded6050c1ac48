"""Population annealing against enumeration: ln Z, energy and order parameter of the 4 x 4 Ising model and of a 4 x 4 sample of
the +-J model. Every twin has one fault and must be refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from hpcrg import producing
from hpcrg.comm import Alone
from hpcrg.enumeration import enumerate_all
from hpcrg.lattice import Lattice
from hpcrg.models.base import Disorder
from hpcrg.models.diluted_ising import diluted_ising
from hpcrg.models.ising import ising
from hpcrg.population import Cooling, Population, Schedule, cooling, resampling
from hpcrg.population.estimates import evaluate, free_energies
from hpcrg.population.resampling import combine, combine_ln_z, ln_z
from hpcrg.producing import Series
from hpcrg.system import System

FALSE_ALARM = 1e-9
CHAINS, WALKERS, BETA = 40, 400, 1.0
RIGHT = resampling.resample
LIMIT = student.isf(FALSE_ALARM / 2, CHAINS - 1)


def glass_couplings(lattice):
    """+-1 on every bond, the same from both ends."""
    table, half = lattice.neighbours(), lattice.dimension
    forward = np.random.default_rng(3).choice(np.array([-1, 1], np.int8), (lattice.volume, half))
    both = np.ones(table.shape, np.int8)
    for k in range(half):
        both[:, k], both[table[:, k], half + k] = forward[:, k], forward[:, k]
    return both


def systems():
    plain = System(ising(), Lattice((4, 4)))
    model = replace(
        ising(),
        name="glass",
        coupling="integer",
        couplings=lambda lattice, table, rng: Disorder(glass_couplings(lattice)),
    )
    glass = System(model, Lattice((4, 4)))
    return {
        "ising": (plain, Disorder(np.zeros((1, 1), np.int8))),
        "glass": (glass, Disorder(glass_couplings(glass.lattice))),
    }


CASES = systems()


class Trial:
    """Independent chains on one schedule, and the exact answers."""

    def __init__(self, name, update="metropolis"):
        self.system, self.disorder = CASES[name]
        self.annealing = Population(Schedule(Cooling(self.system, update, WALKERS, 1), BETA, 0.1))
        self.series = Series(name, 4, self.annealing, 1, CHAINS)
        self.betas = np.linspace(0, BETA, 11)
        self.exact = enumerate_all(self.system, self.disorder)

    def chain(self, number, comm=None):
        """The record of one chain on the trial's schedule."""
        given = {"betas": self.betas[None]}
        return producing.run_chain(self.series, producing.MAIN, self.annealing, number, given, comm)

    def chains(self):
        return producing.stacked([self.chain(number) for number in range(CHAINS)])

    def pulls(self, chains):
        """(value - exact) / error of ln Z, energy and order parameter at the last beta."""
        weights = self.exact.weights(BETA)
        raw = -BETA * self.exact.energy
        exact_ln_z = np.log(np.exp(raw - raw.max()).mean()) + raw.max()
        found = ln_z(chains["ln_q"])[:, -1]
        wanted = [(*combine_ln_z(found), exact_ln_z)]
        for name, values in (("energy", self.exact.energy), ("order2", self.exact.order2)):
            wanted.append((*combine(chains[name][:, -1], found), weights @ values))
        scale = (CHAINS - 1) / np.sqrt(CHAINS)
        return np.array([(value - exact) / (scale * replicas.std()) for value, replicas, exact in wanted])


@pytest.mark.parametrize(
    ("name", "update"),
    [("ising", "metropolis"), ("ising", "heat_bath"), ("glass", "metropolis"), ("glass", "heat_bath")],
)
def test_exact(name, update):
    trial = Trial(name, update)
    pulls = trial.pulls(trial.chains())
    assert np.abs(pulls).max() < LIMIT


def unnormalised(key, step, energies, change):
    """A walker stays with chance min(1, exp(-change E)), without Q; others copy a walker drawn evenly."""
    generator = np.random.default_rng([int(key), step])
    stays = generator.random(energies.size) < np.exp(-change * energies)
    parents = np.where(stays, np.arange(energies.size), generator.integers(energies.size, size=energies.size))
    return parents, RIGHT(key, step, energies, change)[1]


def nobody(key, step, energies, change):
    """The right normaliser, and nobody is resampled."""
    return np.arange(energies.size), RIGHT(key, step, energies, change)[1]


@pytest.mark.parametrize("twin", [unnormalised, nobody])
@pytest.mark.parametrize("name", ["ising", "glass"])
def test_twins_are_rejected(monkeypatch, twin, name):
    monkeypatch.setattr(cooling, "resample", twin)
    trial = Trial(name)
    trial.betas = np.linspace(0, BETA, 4)
    assert np.abs(trial.pulls(trial.chains())).max() > LIMIT


def test_a_vacant_site_has_one_state():
    """ln Z of every chain of a diluted model, against enumeration of its own disorder; with two states everywhere it is
    off by ln 2 a vacancy, which is refused."""
    system = System(diluted_ising(site=0.4), Lattice((4, 4)))
    cooling_ = Cooling(system, "heat_bath", 400, 2)
    series = Series("vacant", 4, Population(Schedule(cooling_, BETA, 0.05)), 5, 12)
    produced = producing.run(series)
    exact, vacancies = [], []
    for chain in range(12):
        disorder = cooling_.disorder(series.place(producing.MAIN, chain))
        energy = enumerate_all(system, disorder).energy
        vacancies.append(disorder.vacant.sum())
        exact.append(-BETA * energy.min() + np.log(np.exp(-BETA * (energy - energy.min())).sum()))
    wanted = np.mean(exact) / system.volume
    found = next(e for e in evaluate([produced])[0] if e.quantity.startswith("ln Z"))
    spread = np.std([free - e for free, e in zip(free_energies(produced), exact, strict=True)]) / np.sqrt(12)
    limit = 6 * spread / system.volume
    assert abs(found.value - wanted) < limit
    twin = found.value + np.log(2) * np.mean(vacancies) / system.volume
    assert abs(twin - wanted) > 2 * limit


def test_resampling_leaves_the_right_numbers_of_copies():
    """n_i is tau_i rounded up or down, with mean tau_i; families and the culled fraction follow."""
    energies = np.random.default_rng(1).normal(size=200)
    tau = np.exp(-0.7 * energies) / np.exp(-0.7 * energies).mean()
    copies = np.array([np.bincount(RIGHT(np.uint64(k), 1, energies, 0.7)[0], minlength=200) for k in range(4000)])
    assert (np.abs(copies - tau) < 1).all()
    spread = np.sqrt((tau % 1) * (1 - tau % 1) / 4000)
    assert (np.abs(copies.mean(axis=0) - tau) < 7 * spread + 1e-9).all()
    culled = (copies == 0).mean()
    assert abs(culled - resampling.culled_fraction(energies, 0.7)) < 0.01
    assert resampling.culled_fraction(energies, resampling.next_step(energies, 5.0, 0.1)) == pytest.approx(0.1)


def test_families():
    entropy, rho = resampling.family_sizes(np.array([0, 0, 0, 3]))
    assert entropy == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert rho == pytest.approx(4 * (0.75**2 + 0.25**2))


def test_schedule_culls_as_asked():
    trial = Trial("glass")
    produced = producing.run(trial.series)
    betas = produced.given["betas"][0]
    assert betas[0] == 0.0
    assert betas[-1] == BETA
    assert 5 < len(betas) < 40
    assert np.abs(trial.pulls(produced.arrays)).max() < LIMIT


class Lockstep:
    """One rank of several that are advanced in one process: what each brings to an allgather is computed by running every
    rank as a thread."""

    def __init__(self, rank, size, meeting):
        self.rank, self.size, self.meeting = rank, size, meeting

    def allgather(self, values, total):
        self.meeting.box[self.rank] = values
        self.meeting.barrier.wait()
        joined = np.concatenate([self.meeting.box[r] for r in range(self.size)])
        self.meeting.barrier.wait()
        assert len(joined) == total
        return joined


def on_ranks(trial, size):
    """The records of one chain on `size` threads that act as ranks."""
    import threading

    class Meeting:
        box, barrier = {}, threading.Barrier(size, timeout=60)

    out = [None] * size

    def work(rank):
        out[rank] = trial.chain(0, Lockstep(rank, size, Meeting))

    threads = [threading.Thread(target=work, args=(r,)) for r in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


def test_ranks_change_nothing():
    trial = Trial("glass")
    whole = trial.chain(0, Alone())
    for size in (2, 3):
        for record in on_ranks(trial, size):
            for name, values in record.items():
                assert np.array_equal(values, whole[name]), name
