"""Every update, alone, reaches equilibrium: transfer matrix in d = 1, Kaufman's energy in d = 2,
enumeration in d = 3.

Many independent walkers start from infinite temperature, so errors are those of independent values.
"""

from __future__ import annotations

import numpy as np
import pytest
from hpcrg.models.enumeration import enumerate_all

from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, Ising, chain, kaufman, make_model
from hpcrg.observables import build_measure, initial
from hpcrg.rng import Purpose, stream
from hpcrg.updates import UPDATES, metropolis
from hpcrg.updates.base import Sweep

SEED = 20261121
SIGMAS = 5.5  # two-sided 4e-8 for each of some twenty tests
BETA_C = float(np.log1p(np.sqrt(2)) / 2)
G1 = {8: -1.4915891074, 16: -1.4530648513, 32: -1.4336584635, 64: -1.4239383850}
LOG_Z = {8: 60.1417807891, 16: 238.6422566, 32: 952.6480796, 64: 3808.6722834}


def energies(model, lattice, sweep, beta, walkers, thermalise, measure, every=1):
    """The energy per site of each walker, averaged over its measurements."""
    table, betas = lattice.neighbours(), np.full(walkers, beta)
    rng = np.array([stream(SEED, Purpose.WALKER, w) for w in range(walkers)])
    spins = np.array([initial(model, lattice, "random", stream(SEED, Purpose.INITIAL, w)) for w in range(walkers)])
    info, total = np.empty((walkers, len(sweep.series))), np.zeros(walkers)
    out = np.empty(walkers, np.int64), np.empty((walkers, model.components), np.int64), np.empty(walkers)
    look = build_measure(model, lattice)
    for step in range(thermalise + measure * every):
        sweep.kernel(spins, betas, rng, table, info)
        if step >= thermalise and (step - thermalise) % every == 0:
            look(spins, table, *out)
            total += out[0]
    return total / (measure * lattice.volume)


def deviation(values, exact):
    """In standard errors of independent values."""
    return abs(values.mean() - exact) / (values.std(ddof=1) / np.sqrt(len(values)))


def test_kaufman_is_the_enumerated_energy_and_the_published_one():
    small = enumerate_all(Ising(), Lattice((3, 4)))
    for beta in (0.2, BETA_C, 0.7):
        exact = (small.weights(beta) * small.energy).sum() / 12
        assert kaufman.energy(3, 4, beta) == pytest.approx(exact, abs=1e-12)
        assert kaufman.energy(4, 3, beta) == pytest.approx(exact, abs=1e-12)
        log_z = np.log(np.exp(-beta * small.energy).sum())
        assert kaufman.log_partition(3, 4, beta) == pytest.approx(log_z, abs=1e-12)
    for size, energy in G1.items():
        assert kaufman.energy(size, size, BETA_C) == pytest.approx(energy, abs=1e-8)
        assert kaufman.log_partition(size, size, BETA_C) == pytest.approx(LOG_Z[size], abs=1e-6)


@pytest.mark.parametrize("spec", EXAMPLES)
def test_the_transfer_matrix_is_the_enumerated_energy(spec):
    model = make_model(spec)
    small = enumerate_all(model, Lattice((6,)))
    for beta in (0.3, 1.0):
        assert chain.energy(model, 6, beta) == pytest.approx((small.weights(beta) * small.energy).sum() / 6, abs=1e-12)


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize("name", UPDATES)
def test_the_chain_has_the_energy_of_the_transfer_matrix(spec, name):
    model, lattice = make_model(spec), Lattice((16,))
    repeat = 4 if name == "wolff" else 1
    values = energies(model, lattice, UPDATES[name].build(model, lattice), 1.0, 1500, 150 * repeat, 10, 5 * repeat)
    assert deviation(values, chain.energy(model, 16, 1.0)) < SIGMAS


def test_metropolis_in_a_fixed_order_is_refused_on_the_chain():
    """Twin: a flip that costs nothing is always accepted, and a fixed order then only carries domain walls
    around."""
    lattice = Lattice((16,))
    twin = Sweep(metropolis.make_fixed(Ising().physics, lattice), ("acceptance",))
    assert deviation(energies(Ising(), lattice, twin, 1.0, 1500, 150, 10, 5), chain.energy(Ising(), 16, 1.0)) > SIGMAS


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("size", [8, 16])
def test_the_square_lattice_has_kaufmans_energy_at_the_critical_point(name, size):
    model, lattice = Ising(), Lattice((size, size))
    slow = name in ("metropolis", "heat_bath")
    thermalise, measure, every = (20 * size**2 // 8, 60, 8) if slow else (100, 60, 2)
    values = energies(model, lattice, UPDATES[name].build(model, lattice), BETA_C, 64, thermalise, measure, every)
    assert deviation(values, kaufman.energy(size, size, BETA_C)) < SIGMAS


def test_a_temperature_one_percent_off_is_refused():
    """Twin: what a wrong coupling constant does to the same trial."""
    model, lattice = Ising(), Lattice((16, 16))
    sweep = UPDATES["swendsen_wang"].build(model, lattice)
    values = energies(model, lattice, sweep, 0.99 * BETA_C, 64, 100, 60, 2)
    assert deviation(values, kaufman.energy(16, 16, BETA_C)) > SIGMAS


def test_a_chain_that_has_not_thermalised_is_refused():
    """Twin: single flips from infinite temperature, measured too early."""
    model, lattice = Ising(), Lattice((16, 16))
    values = energies(model, lattice, UPDATES["metropolis"].build(model, lattice), BETA_C, 64, 5, 5)
    assert deviation(values, kaufman.energy(16, 16, BETA_C)) > SIGMAS


@pytest.mark.slow
@pytest.mark.parametrize("name", UPDATES)
def test_a_larger_square_lattice_has_kaufmans_energy(name):
    model, lattice = Ising(), Lattice((32, 32))
    slow = name in ("metropolis", "heat_bath")
    thermalise, measure, every = (8000, 200, 40) if slow else (200, 200, 2)
    values = energies(model, lattice, UPDATES[name].build(model, lattice), BETA_C, 32, thermalise, measure, every)
    assert deviation(values, kaufman.energy(32, 32, BETA_C)) < SIGMAS


def wolff_until(flips):
    """Twin: Wolff clusters until so many sites have moved; when a walker stops then depends on their sizes."""

    one = UPDATES["wolff"].build(Ising(), Lattice((16, 16))).kernel

    def kernel(spins, betas, rng, neighbours, info):
        for w in range(len(spins)):
            moved = 0.0
            while moved < flips:
                one(spins[w : w + 1], betas[w : w + 1], rng[w : w + 1], neighbours, info[w : w + 1])
                moved += info[w, 0]

    return Sweep(kernel, ("cluster_fraction",))


def test_wolff_until_enough_sites_have_moved_is_refused():
    values = energies(Ising(), Lattice((16, 16)), wolff_until(0.5), BETA_C, 64, 30, 40)
    assert deviation(values, kaufman.energy(16, 16, BETA_C)) > SIGMAS


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize("name", UPDATES)
def test_the_cube_has_the_enumerated_energy(spec, name):
    model, lattice = make_model(spec), Lattice((2, 2, 2))
    exact = enumerate_all(model, lattice)
    beta = 0.15 if spec["type"] == "ising" else 0.4
    values = energies(model, lattice, UPDATES[name].build(model, lattice), beta, 1500, 60, 10, 3)
    assert deviation(values, (exact.weights(beta) * exact.energy).sum() / 8) < SIGMAS
