"""One sweep leaves the Boltzmann distribution of a small system alone: every model, every update, every lattice.

Walkers are drawn exactly from the enumerated distribution, swept once, and binned by configuration class
(equal energy and equal order parameter) and, where few enough, by configuration. Updates that do not reach every
configuration by themselves are held to the same. Every twin has one fault and must be refused.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.stats import chi2, norm

from hpcrg.enumeration import enumerate_all
from hpcrg.errors import Unsupported
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, MODELS, make_model
from hpcrg.rng import fraction
from hpcrg.system import System
from hpcrg.updates import UPDATES, cluster_growth, frozen_sublattice, heatbath, metropolis, swendsen_wang, wolff
from hpcrg.updates.base import compiled

FALSE_ALARM = 1e-9  # for each statistical test; together below 1e-6
SEED = 20261121
WALKERS = 100_000
MAX_CONFIGURATIONS = 70_000
SHAPES = {
    "chain": [(6,), (5,), (4,)], "square": [(3, 3), (2, 4), (2, 3), (2, 2)], "cubic": [(3, 2, 2), (2, 2, 2)],
    "4d": [(2, 2, 2, 2)], "triangular": [(3, 3), (2, 3), (2, 2)], "honeycomb": [(2, 3), (2, 2)],
}  # fmt: skip
"""Small lattices of every kind, the largest first; of a model, the first that it can live on and be enumerated on."""
DISCRETE = [spec for spec in EXAMPLES if not make_model(spec).spin_components]
TWIN_ROUNDS = {"metropolis": 12, "heat_bath": 1, "swendsen_wang": 4, "wolff": 2}
TWIN_SWEEPS = 5


def identify(value):
    """Names of parameters of tests."""
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


def lattices(kind, boundary="periodic"):
    """All small lattices of a kind."""
    name = kind if kind in ("triangular", "honeycomb") else "hypercubic"
    return [Lattice(shape, name, boundary) for shape in SHAPES[kind]]


def small(model, kind, boundary="periodic"):
    """The first small lattice that serves a model, or None: it may not exist, or have too many configurations."""
    for lattice in lattices(kind, boundary):
        try:
            if model.states**lattice.volume <= MAX_CONFIGURATIONS:
                return System(model, lattice)
        except Unsupported:
            continue
    return None


def plain_updates(system):
    """The updates that serve a single walker of a system in the plain layout, alone or beside others."""
    names = []
    for name, update in UPDATES.items():
        try:
            if update.build(system).layout.name == "plain":
                names.append(name)
        except Unsupported:
            continue
    return names


def cells(kinds, boundary="periodic", specs=DISCRETE):
    """Every model, update and kind that goes together."""
    found = []
    for spec in specs:
        for kind in kinds:
            system = small(make_model(spec), kind, boundary)
            found += [(spec, name, kind) for name in plain_updates(system)] if system else []
    return found


ISING, COLOURS = {"type": "ising"}, {"type": "potts", "q": 3}
THREE_SPINS = {"type": "baxter_wu"}
GLASS, GAUSSIAN = {"type": "edwards_anderson"}, {"type": "edwards_anderson", "couplings": "gaussian"}
QUICK = cells(["square"]) + cells(["triangular"], specs=[{"type": "baxter_wu"}])
QUICK += cells(["chain", "cubic", "triangular", "honeycomb"], specs=[ISING])
SLOW = [case for case in cells(SHAPES) if case not in QUICK]
CUT = [(spec, name, kind, b) for b in ("free", "helical") for kind in SHAPES for spec, name, kind in
       (cells([kind], b, [ISING, {"type": "diluted_ising", "site": 0.2}, GLASS])
        if (b, kind) != ("helical", "honeycomb") else [])]  # fmt: skip


def test_every_model_has_an_example_that_is_tested_here():
    """A model in the registry without an example, or whose small systems are too large, would go untested."""
    assert {spec["type"] for spec in EXAMPLES} == set(MODELS)
    tested = [spec for spec, _, _ in QUICK + SLOW]
    assert all(spec in tested for spec in DISCRETE)


def chi_squared(counts, probabilities):
    """The p-value of counts; cells of low expectation are put together."""
    expected = probabilities * counts.sum()
    order = np.argsort(expected)
    groups = (np.cumsum(expected[order]) // 30).astype(int)
    groups = np.minimum(groups, groups.max() - 1) if groups.max() else groups
    _, groups = np.unique(groups, return_inverse=True)
    seen = np.bincount(groups, weights=counts[order])
    wanted = np.bincount(groups, weights=expected[order])
    return chi2.sf(((seen - wanted) ** 2 / wanted).sum(), len(wanted) - 1)


class Trial:
    """Walkers drawn exactly, swept by a compiled update, and compared with the exact distribution."""

    def __init__(self, spec, kind, boundary="periodic"):
        self.system = small(make_model(spec), kind, boundary)
        self.disorder = self.system.disorder(np.random.default_rng(SEED))
        self.exact = enumerate_all(self.system, self.disorder)
        span = np.ptp(self.exact.energy) / self.system.volume
        self.beta = 1.2 / span
        self.weights = self.exact.weights(self.beta)
        table = np.round(np.stack([self.exact.energy, self.exact.order2], axis=1) * 1e6).astype(np.int64)
        _, self.classes = np.unique(table, axis=0, return_inverse=True)

    def sweep(self, update, kernel=None, rounds=1, sweeps=1):
        """Counts by configuration after some sweeps of fresh exact draws, and the series of the last."""
        generator, counts, series = np.random.default_rng(SEED), np.zeros(len(self.weights)), []
        built = UPDATES[update].build(self.system)
        kernel = kernel or compiled(built)
        tables, edges = built.layout.prepare(self.disorder.couplings), np.cumsum(self.weights)[:-1]
        for _ in range(rounds):
            start = np.searchsorted(edges, generator.random(WALKERS), side="right")
            spins = np.ascontiguousarray(self.exact.spins[start])
            rng = generator.integers(0, 2**64, (WALKERS, 4), dtype=np.uint64)
            info = np.empty((WALKERS, max(1, len(built.series))))
            for _ in range(sweeps):
                kernel(spins, np.full(WALKERS, self.beta), rng, *tables, info)
            counts += np.bincount(self.exact.index(spins), minlength=len(counts))
            series.append(info)
        return counts, np.concatenate(series)

    def p_values(self, update, rounds=1, sweeps=1):
        """By configuration, by class, and of the mean energy."""
        counts, _ = self.sweep(update, None, rounds, sweeps)
        merged, wanted = (np.bincount(self.classes, weights=x) for x in (counts, self.weights))
        mean = (self.weights * self.exact.energy).sum()
        spread = np.sqrt((self.weights * (self.exact.energy - mean) ** 2).sum() / counts.sum())
        off = abs((counts * self.exact.energy).sum() / counts.sum() - mean) / spread
        return chi_squared(counts, self.weights), chi_squared(merged, wanted), 2 * norm.sf(off)


@lru_cache(maxsize=4)
def _trial(text, kind, boundary):
    return Trial(dict(text), kind, boundary)


def trial(spec, kind="square", boundary="periodic"):
    """The enumerated system, shared by tests that follow each other."""
    return _trial(tuple(spec.items()), kind, boundary)


@pytest.mark.parametrize(("spec", "name", "kind"), QUICK, ids=identify)
def test_a_sweep_leaves_the_exact_distribution_alone(spec, name, kind):
    assert min(trial(spec, kind).p_values(name)) > FALSE_ALARM


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "name", "kind"), SLOW, ids=identify)
def test_a_sweep_leaves_the_exact_distribution_alone_on_every_lattice(spec, name, kind):
    assert min(trial(spec, kind).p_values(name)) > FALSE_ALARM


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "name", "kind", "boundary"), CUT, ids=identify)
def test_a_sweep_leaves_the_exact_distribution_alone_at_other_boundaries(spec, name, kind, boundary):
    assert min(trial(spec, kind, boundary).p_values(name)) > FALSE_ALARM


@pytest.mark.parametrize("name", plain_updates(small(make_model(ISING), "square")))
@pytest.mark.parametrize("boundary", ["free", "helical"])
def test_other_boundaries_of_the_ising_square(name, boundary):
    assert min(trial(ISING, "square", boundary).p_values(name)) > FALSE_ALARM


@pytest.mark.parametrize("spec", [ISING, COLOURS], ids=identify)
def test_improved_estimators_are_the_exact_moments(spec):
    one = trial(spec)
    _, series = one.sweep("swendsen_wang")
    for column, power in ((0, 1), (1, 2)):
        exact = (one.weights * one.exact.order2**power).sum()
        assert abs(z_score(series[:, column], exact)) < 6


def test_improved_estimators_of_the_wrong_number_of_colours_are_refused():
    """Twin: the fourth moment of three colours by the formula for two."""
    one = trial(COLOURS)
    _, series = one.sweep("swendsen_wang")
    second, fourth = series.T
    rest = (fourth - second**2) / ((1 + 2 / 2) - 1)  # (S_2^2 - S_4) / N^4, from m4 = m2^2 + that for q = 3
    twin = second**2 + 2 * rest
    assert abs(z_score(twin, (one.weights * one.exact.order2**2).sum())) > 6


def z_score(values, exact):
    """The deviation of a mean of independent values, in standard errors."""
    return (values.mean() - exact) / (values.std(ddof=1) / np.sqrt(len(values)))


@part
def chances_one_percent_too_high(beta, table, lowest):
    for k in range(table.size):
        table[k] = np.uint64(min(1.0, 1.01 * np.exp(-beta * (lowest + k))) * 9007199254740992.0)


@part
def bonds_one_percent_too_likely(beta, table):
    for k in range(table.size):
        table[k] = np.uint64(-1.01 * np.expm1(-beta * k) * 9007199254740992.0)


@part
def fraction_one_percent_too_small(word):
    return 0.99 * fraction(word)


def accept_real_energies_one_percent_too_often(system):
    @part
    def decide(word, change, beta, table):
        return change <= 0.0 or fraction(word) < 1.01 * np.exp(-beta * change)

    return decide


def lay_real_bonds_one_percent_too_often(system):
    @part
    def lay(word, gap, beta, table):
        return gap > 0.0 and fraction(word) < -1.01 * np.expm1(-beta * gap)

    return lay


ACCEPTANCE, BONDS = "acceptance 1 % too high", "bond probability 1 % too high"
TWINS = [
    (ACCEPTANCE, ISING, metropolis, "chances", chances_one_percent_too_high, "metropolis"),
    (ACCEPTANCE, GAUSSIAN, metropolis, "make_decide", accept_real_energies_one_percent_too_often, "metropolis"),
    ("heat bath mark 1 % too small", COLOURS, heatbath, "fraction", fraction_one_percent_too_small, "heat_bath"),
    (BONDS, COLOURS, swendsen_wang, "bond_chances", bonds_one_percent_too_likely, "swendsen_wang"),
    (BONDS, GAUSSIAN, swendsen_wang, "make_lay", lay_real_bonds_one_percent_too_often, "swendsen_wang"),
    (BONDS, ISING, wolff, "bond_chances", bonds_one_percent_too_likely, "wolff"),
    (BONDS, THREE_SPINS, frozen_sublattice, "bond_chances", bonds_one_percent_too_likely, "swendsen_wang"),
    (BONDS, THREE_SPINS, frozen_sublattice, "bond_chances", bonds_one_percent_too_likely, "wolff"),
    ("bonds of one triangle", THREE_SPINS, frozen_sublattice, "GAP", np.uint64(2), "swendsen_wang"),
    ("bonds of one triangle", THREE_SPINS, frozen_sublattice, "GAP", np.uint64(2), "wolff"),
    ("repelling bonds taken for attracting ones", GLASS, wolff, "make_grow_marked", cluster_growth.make_grow, "wolff"),
]


@pytest.mark.parametrize(("fault", "spec", "module", "attribute", "broken", "name"), TWINS)
def test_a_faulty_kernel_is_refused(fault, spec, module, attribute, broken, name, monkeypatch, tmp_path):
    """The faulty kernels are compiled into a cache of their own, so that they can never be taken for real
    ones; the true kernel passes the same trial, so it is not the number of walkers that they are refused for."""
    kind = "triangular" if spec is THREE_SPINS else "square"
    assert min(trial(spec, kind).p_values(name, TWIN_ROUNDS[name], TWIN_SWEEPS)) > FALSE_ALARM
    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(module, attribute, broken)
    assert min(trial(spec, kind).p_values(name, TWIN_ROUNDS[name], TWIN_SWEEPS)) < FALSE_ALARM, fault
