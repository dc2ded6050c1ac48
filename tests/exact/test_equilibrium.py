"""Every update, alone, reaches equilibrium: enumeration for every model and lattice, transfer matrix in d = 1, Kaufman's
energy in d = 2.

Many independent walkers start from infinite temperature, so errors are those of independent values.
"""

from __future__ import annotations

import numpy as np
import pytest

from hpcrg.enumeration import energies, enumerate_all, raw_order
from hpcrg.errors import Unsupported
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, Disorder, chain, ising, kaufman, make_model
from hpcrg.models.base import Model
from hpcrg.observables import initial
from hpcrg.rng import Purpose, choose, stream
from hpcrg.system import System
from hpcrg.updates import UPDATES, check_round, metropolis
from hpcrg.updates.base import Update, compiled

SEED = 20261121
SIGMAS = 6.0  # two-sided 2e-9 for each test
BETA_C = float(np.log1p(np.sqrt(2)) / 2)
G1 = {8: -1.4915891074, 16: -1.4530648513, 32: -1.4336584635, 64: -1.4239383850}
LOG_Z = {8: 60.1417807891, 16: 238.6422566, 32: 952.6480796, 64: 3808.6722834}
SHAPES = {
    "chain": [(6,), (5,), (4,)], "square": [(3, 3), (2, 4), (2, 3), (2, 2)], "cubic": [(3, 2, 2), (2, 2, 2)],
    "4d": [(2, 2, 2, 2)], "triangular": [(3, 3), (2, 3), (2, 2)], "honeycomb": [(2, 3), (2, 2)],
}  # fmt: skip
DISCRETE = [spec for spec in EXAMPLES if not make_model(spec).spin_components]
SINGLE = ("metropolis", "heat_bath")


def small(model, kind):
    """The first small lattice that serves a model and can be enumerated, or None."""
    for shape in SHAPES[kind]:
        try:
            system = System(model, Lattice(shape, kind if kind in ("triangular", "honeycomb") else "hypercubic"))
        except Unsupported:
            continue
        if model.states**system.volume <= 70_000:
            return system
    return None


def ergodic_updates(system):
    """The updates that serve a single walker of a system, alone, in the plain layout."""
    names = []
    for name, update in UPDATES.items():
        try:
            check_round(system, [name], 1, 1)
        except Unsupported:
            continue
        names += [name] if update.layout(system, 1, 1).name == "plain" else []
    return names


def cells(kinds):
    """Every model, update and kind that goes together."""
    systems = [(spec, kind, small(make_model(spec), kind)) for spec in DISCRETE for kind in kinds]
    return [(spec, name, kind) for spec, kind, system in systems if system for name in ergodic_updates(system)]


QUICK = cells(["square"]) + [
    case for case in cells(["chain", "triangular"]) if case[0]["type"] in ("ising", "baxter_wu")
]
SLOW = [case for case in cells(SHAPES) if case not in QUICK]


def disorder_of(system):
    """The disorder of these tests."""
    return system.disorder(np.random.default_rng(SEED))


def chain_of_states(
    system, update, beta, walkers, thermalise, measure, every=1, frozen=None, sweep=None, start="random"
):
    """spins[walker, site] at every measurement, from infinite temperature or another start."""
    frozen = frozen or disorder_of(system)
    sweep = sweep or compiled(update)
    tables = update.layout.prepare(frozen.couplings)
    rng = np.array([stream(SEED, Purpose.WALKER, w) for w in range(walkers)])
    fill = stream(SEED, Purpose.INITIAL, 0)
    spins = np.array([initial(system, start, fill, frozen.vacant) for _ in range(walkers)])
    info, betas = np.empty((walkers, max(1, len(update.series)))), np.full(walkers, beta)
    for step in range(thermalise + measure * every):
        sweep(spins, betas, rng, *tables, info)
        if step >= thermalise and (step - thermalise) % every == 0:
            yield spins


def energy_means(system, update, beta, walkers, thermalise, measure, every=1, sweep=None):
    """The energy per site of each walker, averaged over its measurements."""
    total = np.zeros(walkers)
    frozen = disorder_of(system)
    for spins in chain_of_states(system, update, beta, walkers, thermalise, measure, every, frozen, sweep):
        total += energies(system, spins, frozen)
    return total / (measure * system.volume)


def deviation(values, exact):
    """In standard errors of independent values."""
    return abs(values.mean() - exact) / (values.std(ddof=1) / np.sqrt(len(values)))


def worst(system, update, walkers=1500, thermalise=80, every=4, measure=8, frozen=None, start="random"):
    """The larger deviation of energy and squared order parameter from the exact ones."""
    frozen = frozen or disorder_of(system)
    exact = enumerate_all(system, frozen)
    beta = 1.2 / (np.ptp(exact.energy) / system.volume) if np.ptp(exact.energy) else 1.0
    weights, seen = exact.weights(beta), np.zeros((2, walkers))
    for spins in chain_of_states(system, update, beta, walkers, thermalise, measure, every, frozen, start=start):
        index = exact.index(spins)
        seen += np.stack([exact.energy[index], exact.order2[index]])
    wanted = (weights * exact.energy).sum(), (weights * exact.order2).sum()
    return max(deviation(row / measure, mean) if row.std() else 0.0 for row, mean in zip(seen, wanted, strict=True))


def build(system, name):
    """An update in the plain layout."""
    return UPDATES[name].build(system)


def settled(name):
    """Sweeps to equilibrium of the smallest systems."""
    return {"thermalise": 240, "every": 12} if name == "wolff" else {}


@pytest.mark.parametrize(("spec", "name", "kind"), QUICK)
def test_a_small_system_reaches_the_enumerated_means(spec, name, kind):
    system = small(make_model(spec), kind)
    assert worst(system, build(system, name), **settled(name)) < SIGMAS


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "name", "kind"), SLOW)
def test_a_small_system_reaches_the_enumerated_means_on_every_lattice(spec, name, kind):
    system = small(make_model(spec), kind)
    assert worst(system, build(system, name), **settled(name)) < SIGMAS


def test_reflections_about_even_axes_alone_are_refused():
    """Twin: without those between the states of an even clock no spin leaves the even or the odd ones."""
    model = make_model({"type": "clock", "q": 6})

    @part
    def even(state):
        state, m = choose(state, 3)
        return state, 2 * np.int64(m)

    twin = Model(**{**vars(model), "physics": model.physics._replace(name="clock6-even", mirror=even)})
    system = small(twin, "square")
    assert worst(system, build(system, "swendsen_wang"), start="ordered") > SIGMAS
    right = small(model, "square")
    assert worst(right, build(right, "swendsen_wang"), start="ordered") < SIGMAS


def test_lone_spins_need_a_random_order():
    """Twin: in a fixed order of sites two spins without neighbours flip together for ever."""
    model, vacant = make_model({"type": "diluted_ising", "site": 0.5}), np.ones(9, np.uint8)
    vacant[[0, 4]] = 0
    system, frozen = System(model, Lattice((3, 3))), Disorder(np.zeros((1, 1), np.int8), vacant)
    right = build(system, "metropolis")
    twin = Update(right.layout, metropolis.make_fixed(system), right.series)

    def deviation_of(update):
        start, seen = np.zeros((1500, 9), np.int8), np.zeros(1500)
        start[:, [0, 4]] = 1
        rng = np.array([stream(SEED, Purpose.WALKER, w) for w in range(1500)])
        sweep, info = compiled(update), np.empty((1500, 1))
        for _ in range(40):
            sweep(start, np.full(1500, 0.5), rng, *update.layout.prepare(frozen.couplings), info)
            seen += start[:, 0] * start[:, 4]
        return abs(seen.mean()) / max(seen.std() / np.sqrt(1500), 1e-12)

    assert deviation_of(right) < SIGMAS
    assert deviation_of(twin) > 1e3


def test_kaufman_is_the_enumerated_energy_and_the_published_one():
    system = System(ising(), Lattice((3, 4)))
    exact = enumerate_all(system)
    for beta in (0.2, BETA_C, 0.7):
        energy = (exact.weights(beta) * exact.energy).sum() / 12
        assert kaufman.energy(3, 4, beta) == pytest.approx(energy, abs=1e-12)
        assert kaufman.energy(4, 3, beta) == pytest.approx(energy, abs=1e-12)
        log_z = np.log(np.exp(-beta * exact.energy).sum())
        assert kaufman.log_partition(3, 4, beta) == pytest.approx(log_z, abs=1e-12)
    for size, energy in G1.items():
        assert kaufman.energy(size, size, BETA_C) == pytest.approx(energy, abs=1e-8)
        assert kaufman.log_partition(size, size, BETA_C) == pytest.approx(LOG_Z[size], abs=1e-6)


PAIRS = [s for s in DISCRETE if make_model(s).couplings is None and s["type"] != "baxter_wu"]


@pytest.mark.parametrize("spec", PAIRS)
def test_the_transfer_matrix_is_the_enumerated_energy(spec):
    model = make_model(spec)
    exact = enumerate_all(System(model, Lattice((5,))))
    for beta in (0.3, 1.0):
        energy = (exact.weights(beta) * exact.energy).sum() / 5
        assert chain.energy(model, 5, beta) == pytest.approx(energy, abs=1e-12)


@pytest.mark.parametrize("name", ergodic_updates(System(ising(), Lattice((16,)))))
def test_the_chain_has_the_energy_of_the_transfer_matrix(name):
    system, repeat = System(ising(), Lattice((16,))), 4 if name == "wolff" else 1
    values = energy_means(system, build(system, name), 1.0, 1500, 150 * repeat, 10, 5 * repeat)
    assert deviation(values, chain.energy(ising(), 16, 1.0)) < SIGMAS


def test_metropolis_in_a_fixed_order_is_refused_on_the_chain():
    """Twin: a flip that costs nothing is always accepted, and a fixed order then only carries domain walls
    around."""
    system = System(ising(), Lattice((16,)))
    right = build(system, "metropolis")
    twin = Update(right.layout, metropolis.make_fixed(system), right.series)
    sweep = compiled(twin)
    values = energy_means(system, twin, 1.0, 1500, 150, 10, 5, sweep)
    assert deviation(values, chain.energy(ising(), 16, 1.0)) > SIGMAS


@pytest.mark.parametrize("name", ergodic_updates(System(ising(), Lattice((8, 8)))))
@pytest.mark.parametrize("size", [8, 16])
def test_the_square_lattice_has_kaufmans_energy_at_the_critical_point(name, size):
    system = System(ising(), Lattice((size, size)))
    thermalise, measure, every = (20 * size**2 // 8, 60, 8) if name in SINGLE else (100, 60, 2)
    values = energy_means(system, build(system, name), BETA_C, 64, thermalise, measure, every)
    assert deviation(values, kaufman.energy(size, size, BETA_C)) < SIGMAS


def test_a_temperature_one_percent_off_is_refused():
    """Twin: what a wrong coupling constant does to the same trial."""
    system = System(ising(), Lattice((16, 16)))
    values = energy_means(system, build(system, "swendsen_wang"), 0.99 * BETA_C, 256, 100, 60, 2)
    assert deviation(values, kaufman.energy(16, 16, BETA_C)) > SIGMAS


def test_a_chain_that_has_not_thermalised_is_refused():
    """Twin: single flips from infinite temperature, measured too early."""
    system = System(ising(), Lattice((16, 16)))
    values = energy_means(system, build(system, "metropolis"), BETA_C, 64, 5, 5)
    assert deviation(values, kaufman.energy(16, 16, BETA_C)) > SIGMAS


@pytest.mark.slow
@pytest.mark.parametrize("name", ergodic_updates(System(ising(), Lattice((8, 8)))))
def test_a_larger_square_lattice_has_kaufmans_energy(name):
    system = System(ising(), Lattice((32, 32)))
    thermalise, measure, every = (8000, 200, 40) if name in SINGLE else (200, 200, 2)
    values = energy_means(system, build(system, name), BETA_C, 32, thermalise, measure, every)
    assert deviation(values, kaufman.energy(32, 32, BETA_C)) < SIGMAS


def test_wolff_until_enough_sites_have_moved_is_refused():
    """Twin: when a walker stops then depends on the sizes of its clusters."""
    system = System(ising(), Lattice((16, 16)))
    wolff = build(system, "wolff")
    one = compiled(wolff)

    def until_half(spins, betas, rng, neighbours, couplings, info):
        for w in range(len(spins)):
            moved = 0.0
            while moved < 0.5:
                here = slice(w, w + 1)
                one(spins[here], betas[here], rng[here], neighbours, couplings, info[here])
                moved += info[w, 0]

    values = energy_means(system, wolff, BETA_C, 64, 30, 40, sweep=until_half)
    assert deviation(values, kaufman.energy(16, 16, BETA_C)) > SIGMAS


def autocorrelation(name, temperature):
    """rho_M(1) of the magnetisation, over walkers that have forgotten their start."""
    system = System(ising(), Lattice((32, 32)))
    states = chain_of_states(system, build(system, name), 1 / temperature, 400, 20, 2)
    first, second = (raw_order(system, spins)[:, 0].astype(float) for spins in states)
    return np.corrcoef(first, second)[0, 1]


def test_metropolis_oscillates_where_it_is_hot_and_heat_bath_does_not():
    """Nearly every flip is accepted at T = 20: a sweep turns the magnetisation round. Hence heat bath for the hot end
    of a ladder."""
    assert autocorrelation("metropolis", 20.0) < -0.5
    assert abs(autocorrelation("heat_bath", 20.0)) < 0.35
    assert autocorrelation("heat_bath", 2.6) > 0.35  # and where it is cold, both remember
