"""Every update of continuous spins, alone, reaches the exact mean and variance of the energy.

Rings: the eigenvalues of the transfer operator, of the O(n) model those of exp(beta cos) on spherical harmonics. The torus
of 2 x 2 sites is a ring of four with every bond twice, that of the triangular lattice joins all four sites twice, so that
its energy is a square and one integral gives Z; on the cube of eight sites, currents without divergence are summed.
"""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammaln, iv, ive

from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models import make_model
from hpcrg.observables import initial
from hpcrg.rng import Purpose, stream
from hpcrg.system import System
from hpcrg.updates import UPDATES, metropolis
from hpcrg.updates.base import compiled

SEED = 20261126
SIGMAS = 6.0
H = 1e-3
"""Step of the numerical derivatives of ln Z by beta, of fourth order."""
XY, HEISENBERG, FOUR = {"type": "xy"}, {"type": "heisenberg"}, {"type": "on", "n": 4}
PHI4 = {"type": "phi4", "lam": 1.1}
COMPONENTS = {"xy": 2, "heisenberg": 3, "on": 4}
LATTICES = {
    "ring": Lattice((5,)), "square": Lattice((2, 2)), "triangular": Lattice((2, 2), "triangular"),
    "cube": Lattice((2, 2, 2)),
}  # fmt: skip


def harmonic(n, degree, beta):
    """The eigenvalue of exp(beta s.s') on harmonics of a degree."""
    k = n / 2 - 1
    return np.exp(gammaln(n / 2) + k * np.log(2 / beta)) * iv(degree + k, beta)


def multiplicity(n, degree):
    """How many harmonics of a degree there are."""
    if n == 2:
        return 1 if degree == 0 else 2
    return comb(degree + n - 1, n - 1) - comb(degree + n - 3, n - 1)


def ring(n, sites, beta):
    """ln Z of a ring of unit vectors."""
    return np.log(sum(multiplicity(n, k) * harmonic(n, k, beta) ** sites for k in range(40)))


def all_joined(n, beta):
    """ln Z of four unit vectors, every two joined twice: E = 4 - S^2."""

    def density(phi):
        k = n / 2 - 1
        bessel = ive(k, phi) * np.exp(gammaln(n / 2) + k * np.log(2 / phi)) if phi > 0 else 0.0
        return phi ** (n - 1) * np.exp(4 * phi - phi * phi / (4 * beta)) * bessel**4

    return (
        np.log(quad(density, 0, 60 * beta + 20, epsabs=0, epsrel=1e-12, limit=400)[0]) - 4 * beta - n / 2 * np.log(beta)
    )


def field_weights(beta):
    """Places, and weights exp(-beta V) da of the phi^4 field."""
    a = np.linspace(-5, 5, 1001)
    return a, np.exp(-beta * (a**2 + PHI4["lam"] * (a**2 - 1) ** 2)) * (a[1] - a[0])


def field_ring(sites, bonds, beta):
    """ln Z of the field on a ring with so many bonds between neighbours."""
    a, w = field_weights(beta)
    root = np.sqrt(w)
    values = np.linalg.eigvalsh(root[:, None] * np.exp(bonds * beta * np.outer(a, a)) * root)
    return np.log((values**sites).sum())


def field_all_joined(beta):
    """The same for four sites, every two joined twice: E = sum of a^2 - (sum of a)^2 + V."""
    a, w = field_weights(beta)
    phi = np.linspace(-40, 40, 4001) * np.sqrt(beta)
    one = np.exp(np.outer(phi, a)) @ (w * np.exp(-beta * a**2))
    return np.log((np.exp(-(phi**2) / (4 * beta)) * one**4).sum() * (phi[1] - phi[0])) - 0.5 * np.log(beta)


def cube(beta):
    """ln Z of the XY model on eight sites: every bond of the cube twice, so exp(2 beta cos) on twelve edges."""
    edges = [(s, s | bit) for s in range(8) for bit in (1, 2, 4) if not s & bit]
    tree = [(0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 7)]
    free = [e for e in edges if e not in tree]
    currents = np.array(list(product(range(-7, 8), repeat=len(free)))).T
    flow = dict(zip(free, currents, strict=True))
    excess = np.zeros((8, currents.shape[1]), np.int64)
    for (a, b), c in flow.items():
        excess[a] += c
        excess[b] -= c
    for a, b in reversed(tree):  # leaves first: what arrives at b must come through its edge
        flow[a, b] = excess[b]
        excess[a] += flow[a, b]
    weight = np.ones(currents.shape[1])
    table = iv(np.arange(64), 2 * beta)
    for c in flow.values():
        weight *= table[np.abs(c)]
    return np.log(weight.sum())


def log_z(spec, name, beta):
    """ln Z of a model on one of LATTICES, up to a constant."""
    if spec["type"] == "phi4":
        rings = {"ring": (5, 1), "square": (4, 2)}
        return field_all_joined(beta) if name == "triangular" else field_ring(*rings[name], beta)
    n = COMPONENTS[spec["type"]]
    if name == "cube":
        return cube(beta)
    return {"ring": lambda: ring(n, 5, beta), "square": lambda: ring(n, 4, 2 * beta)}.get(
        name, lambda: all_joined(n, beta)
    )()


def moments(spec, name, beta):
    """The exact mean and variance of the energy."""
    a, b, here, c, d = (log_z(spec, name, beta + k * H) for k in (-2, -1, 0, 1, 2))
    return -(a - 8 * b + 8 * c - d) / (12 * H), (-a + 16 * b - 30 * here + 16 * c - d) / (12 * H**2)


def energies(spec, system, spins):
    """E of spins[walker, component, site]."""
    near = spins[:, :, system.neighbours]
    total = -0.5 * (spins[..., None] * near).sum(axis=(1, 2, 3))
    square = spins**2
    return total + (square + PHI4["lam"] * (square - 1) ** 2).sum(axis=(1, 2)) if spec["type"] == "phi4" else total


def worst(spec, name, updates, beta, walkers=1500, thermalise=80, measure=8, every=4):
    """The larger deviation, in standard errors, of the mean of E and of (E - <E>)^2."""
    system = System(make_model(spec), LATTICES[name])
    built = [UPDATES[u].build(system) for u in updates]
    sweeps = [compiled(b) for b, u in zip(built, updates, strict=True)]
    tables = built[0].layout.prepare(system.disorder(np.random.default_rng(SEED)).couplings)
    fill = stream(SEED, Purpose.INITIAL, 0)
    spins = np.array([initial(system, "random", fill) for _ in range(walkers)])
    rng = np.array([stream(SEED, Purpose.WALKER, w) for w in range(walkers)])
    info, betas, seen = np.empty((walkers, 4)), np.full(walkers, beta), np.zeros((2, walkers))
    mean, variance = moments(spec, name, beta)
    for step in range(thermalise + measure * every):
        for sweep in sweeps:
            sweep(spins, betas, rng, *tables, info)
        if step >= thermalise and (step - thermalise) % every == 0:
            e = energies(spec, system, spins)
            seen += np.stack([e, (e - mean) ** 2]) / measure
    errors = seen.std(axis=1, ddof=1) / np.sqrt(walkers)
    return float(np.max(np.abs(seen.mean(axis=1) - [mean, variance]) / errors))


BETA = {"ring": 1.0, "square": 0.6, "triangular": 0.35, "cube": 0.4}
ROUNDS = (("metropolis",), ("heat_bath",), ("overrelaxation", "metropolis"), ("wolff",), ("swendsen_wang",))
FIELD_ROUNDS = (("metropolis",), ("heat_bath",), ("wolff", "metropolis"), ("swendsen_wang", "metropolis"))
CASES = [
    (spec, name, updates)
    for spec in (XY, HEISENBERG, FOUR)
    for name in ("ring", "square", "triangular")
    for updates in ROUNDS
]
CASES += [(XY, "cube", updates) for updates in ROUNDS]
CASES += [(PHI4, name, updates) for name in ("ring", "square", "triangular") for updates in FIELD_ROUNDS]
QUICK = [case for case in CASES if case[0] in (XY, PHI4) and case[1] == "square"]


def identify(value):
    """Names of parameters of tests."""
    return value["type"] if isinstance(value, dict) else "+".join(value) if isinstance(value, tuple) else value


def settled(updates):
    """A sweep of Wolff is one cluster."""
    return {"thermalise": 240, "every": 12} if updates[0] == "wolff" else {}


@pytest.mark.parametrize(("spec", "name", "updates"), QUICK, ids=identify)
def test_the_energy_of_continuous_spins(spec, name, updates):
    assert worst(spec, name, updates, BETA[name], **settled(updates)) < SIGMAS


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "name", "updates"), [c for c in CASES if c not in QUICK], ids=identify)
def test_the_energy_of_continuous_spins_on_every_lattice(spec, name, updates):
    assert worst(spec, name, updates, BETA[name], **settled(updates)) < SIGMAS


def test_the_exact_results_agree_where_they_meet():
    """Quadrature on a grid of angles for the XY model: four sites around a ring, and all joined."""
    angle = np.arange(48) * 2 * np.pi / 48
    a, b, c = np.meshgrid(angle, angle, angle, indexing="ij")
    around = np.cos(a) + np.cos(b - a) + np.cos(c - b) + np.cos(c)
    every = around + np.cos(b) + np.cos(c - a)
    for bonds, name in ((around, "square"), (every, "triangular")):
        weight = np.exp(2 * 0.35 * bonds)
        assert moments(XY, name, 0.35)[0] == pytest.approx(-2 * (weight * bonds).sum() / weight.sum(), abs=1e-6)
    plane = (iv(np.arange(-30, 31), 0.8) ** 4).sum()
    assert np.log(plane) == pytest.approx(ring(2, 4, 0.8), abs=1e-12)
    faces = 12 * (iv(1, 2e-3) / iv(0, 2e-3)) ** 4  # a current around one of six faces, either way
    assert cube(1e-3) == pytest.approx(12 * np.log(iv(0, 2e-3)) + faces, abs=1e-15)


TRIALS = {"walkers": 20_000, "measure": 16}


def test_a_heat_bath_three_percent_too_hot_is_refused(monkeypatch):
    assert worst(XY, "square", ("heat_bath",), BETA["square"], **TRIALS) < SIGMAS
    true = moments
    monkeypatch.setitem(globals(), "moments", lambda spec, name, beta: true(spec, name, beta / 1.03))
    assert worst(XY, "square", ("heat_bath",), BETA["square"], **TRIALS) > SIGMAS


def test_an_acceptance_three_percent_too_high_is_refused(monkeypatch, tmp_path):
    assert worst(PHI4, "square", ("metropolis",), BETA["square"], **TRIALS) < SIGMAS

    def too_often(system):
        @part
        def decide(word, change, beta, table):
            return change <= 0.0 or (word >> np.uint64(11)) * 2.0**-53 < 1.03 * np.exp(-beta * change)

        return decide

    monkeypatch.setattr(metropolis, "make_decide", too_often)
    assert worst(PHI4, "square", ("metropolis",), BETA["square"], **TRIALS) > SIGMAS


def test_bonds_three_percent_too_likely_are_refused(monkeypatch):
    assert worst(PHI4, "square", ("swendsen_wang", "metropolis"), BETA["square"], **TRIALS) < SIGMAS
    model = make_model(PHI4)
    physics = model.physics

    @part
    def gap(x, y, coupling):
        return 1.03 * max(0.0, 2.0 * coupling * x * y)

    twin = type(model)(**{**vars(model), "physics": physics._replace(name="phi4-twin", gap=gap)})
    monkeypatch.setitem(globals(), "make_model", lambda spec: twin)
    assert worst(PHI4, "square", ("swendsen_wang", "metropolis"), BETA["square"], **TRIALS) > SIGMAS
