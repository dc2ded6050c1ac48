"""One sweep leaves the Boltzmann distribution of a small system alone: every model, every update, d = 1, 2,
3.

Walkers are drawn exactly from the enumerated distribution, swept once, and binned by configuration class
(equal energy and equal order parameter) and, where few enough, by configuration. Every twin has one fault
and must be refused.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

from hpcrg.jit import helper
from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, MODELS, make_model
from hpcrg.models.enumeration import enumerate_all
from hpcrg.updates import UPDATES, heatbath, metropolis, swendsen_wang, wolff

FALSE_ALARM = 1e-9  # for each statistical test; together below 1e-6
SEED = 20261121
WALKERS = 100_000
SHAPES = {"ising": {1: (5,), 2: (3, 3), 3: (3, 2, 2)}, "potts": {1: (5,), 2: (3, 2), 3: (2, 2, 2)}}
BETA = {"ising": {1: 0.6, 2: 0.4, 3: 0.2}, "potts": {1: 1.0, 2: 0.9, 3: 0.5}}
CASES = [(spec, name, d) for spec in EXAMPLES for name in UPDATES for d in (1, 2, 3)]
TWIN_ROUNDS = {"metropolis": 12, "heat_bath": 1, "swendsen_wang": 4, "wolff": 2}
TWIN_SWEEPS = 5


def test_every_model_has_a_small_example():
    """A model in the registry without an example would go untested."""
    assert {spec["type"] for spec in EXAMPLES} == set(MODELS) == set(SHAPES)


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
    """Walkers drawn exactly, swept once by a compiled update, and compared with the exact distribution."""

    def __init__(self, spec, dimension):
        self.model = make_model(spec)
        self.lattice = Lattice(SHAPES[spec["type"]][dimension])
        self.beta = BETA[spec["type"]][dimension]
        self.exact = enumerate_all(self.model, self.lattice)
        self.weights = self.exact.weights(self.beta)
        table = np.round(np.stack([self.exact.energy, self.exact.order2 * 1e6], axis=1)).astype(np.int64)
        _, self.classes = np.unique(table, axis=0, return_inverse=True)

    def sweep(self, update, rounds=1, sweeps=1):
        """Counts by configuration after some sweeps of fresh exact draws, and the series of the last."""
        neighbours, generator = self.lattice.neighbours(), np.random.default_rng(SEED)
        kernel = update.build(self.model, self.lattice).kernel
        counts, series = np.zeros(len(self.weights)), []
        edges = np.cumsum(self.weights)[:-1]
        for _ in range(rounds):
            start = np.searchsorted(edges, generator.random(WALKERS), side="right")
            spins = np.ascontiguousarray(self.exact.spins[start])
            rng = generator.integers(0, 2**64, (WALKERS, 4), dtype=np.uint64)
            info = np.empty((WALKERS, len(update.series)))
            for _ in range(sweeps):
                kernel(spins, np.full(WALKERS, self.beta), rng, neighbours, info)
            counts += np.bincount(self.exact.index(spins), minlength=len(counts))
            series.append(info)
        return counts, np.concatenate(series)

    def p_values(self, update, rounds=1, sweeps=1):
        """By configuration, by class, and of the mean energy."""
        counts, _ = self.sweep(update, rounds, sweeps)
        merged, wanted = (np.bincount(self.classes, weights=x) for x in (counts, self.weights))
        mean = (self.weights * self.exact.energy).sum()
        spread = np.sqrt((self.weights * (self.exact.energy - mean) ** 2).sum() / counts.sum())
        off = abs((counts * self.exact.energy).sum() / counts.sum() - mean) / spread
        return chi_squared(counts, self.weights), chi_squared(merged, wanted), 2 * norm.sf(off)


@pytest.mark.parametrize(("spec", "name", "dimension"), CASES)
def test_a_sweep_leaves_the_exact_distribution_alone(spec, name, dimension):
    assert min(Trial(spec, dimension).p_values(UPDATES[name])) > FALSE_ALARM


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_improved_estimators_are_the_exact_moments(spec, dimension):
    trial = Trial(spec, dimension)
    _, series = trial.sweep(UPDATES["swendsen_wang"])
    for column, power in ((0, 1), (1, 2)):
        exact = (trial.weights * trial.exact.order2**power).sum()
        assert abs(z_score(series[:, column], exact)) < 6


def test_improved_estimators_of_the_wrong_number_of_colours_are_refused():
    """Twin: the fourth moment of three colours by the formula for two."""
    trial = Trial({"type": "potts", "q": 3}, 2)
    _, series = trial.sweep(UPDATES["swendsen_wang"])
    second, fourth = series.T
    rest = (fourth - second**2) / ((1 + 2 / 2) - 1)  # (S_2^2 - S_4) / N^4, from m4 = m2^2 + that for q = 3
    twin = second**2 + 2 * rest
    assert abs(z_score(twin, (trial.weights * trial.exact.order2**2).sum())) > 6


def z_score(values, exact):
    """The deviation of a mean of independent values, in standard errors."""
    return (values.mean() - exact) / (values.std(ddof=1) / np.sqrt(len(values)))


@helper
def chances_one_percent_too_high(beta, table, lowest):
    for k in range(table.size):
        table[k] = np.uint64(min(1.0, 1.01 * np.exp(-beta * (lowest + k))) * 9007199254740992.0)


@helper
def bonds_one_percent_too_likely(beta, table):
    for k in range(table.size):
        table[k] = np.uint64(-1.01 * np.expm1(-beta * k) * 9007199254740992.0)


@helper
def fraction_one_percent_too_small(word):
    return 0.99 * float(word >> np.uint64(11)) / 9007199254740992.0


TWINS = [
    ("acceptance 1 % too high", metropolis, "chances", chances_one_percent_too_high, "metropolis"),
    ("heat bath mark 1 % too small", heatbath, "fraction", fraction_one_percent_too_small, "heat_bath"),
    ("bond probability 1 % too high", swendsen_wang, "bond_chances", bonds_one_percent_too_likely, "swendsen_wang"),
    ("bond probability 1 % too high", wolff, "bond_chances", bonds_one_percent_too_likely, "wolff"),
]


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize(("fault", "module", "attribute", "broken", "name"), TWINS)
def test_a_faulty_kernel_is_refused(spec, fault, module, attribute, broken, name, monkeypatch, tmp_path):
    """The faulty kernels are compiled into a cache of their own, so that they can never be taken for real
    ones."""
    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(module, attribute, broken)
    assert min(Trial(spec, 2).p_values(UPDATES[name], TWIN_ROUNDS[name], TWIN_SWEEPS)) < FALSE_ALARM, fault


@pytest.mark.parametrize("spec", EXAMPLES)
@pytest.mark.parametrize("name", UPDATES)
def test_the_true_kernel_passes_the_same_trial(spec, name):
    """It is not the number of walkers or sweeps that the twins are refused for."""
    assert min(Trial(spec, 2).p_values(UPDATES[name], TWIN_ROUNDS[name], TWIN_SWEEPS)) > FALSE_ALARM
