"""Thresholds and exponents of percolation against exact and published values, by finite-size scaling."""

from __future__ import annotations

import cmath
import math
from functools import cache

import pytest

from hpcrg import producing
from hpcrg.estimate import combined_error
from hpcrg.lattice import Lattice
from hpcrg.percolation import Percolation
from hpcrg.percolation.pinson import wrapping
from hpcrg.percolation.scaling import (
    PLANE_DECAY,
    at,
    crossing,
    largest_at,
    moment_rows,
    slope_at,
    threshold,
)
from hpcrg.producing import Series
from hpcrg.straight import limit, power

pytestmark = pytest.mark.slow

SEED = 20261124
CHAINS = 40
SIGMAS = 8  # a t-distribution of 39 degrees of freedom: false alarm below 1e-8
SITE_SQUARE = 0.592746051  # Jacobsen, J. Phys. A 48, 454003 (2015)
SQUARE = {"site": SITE_SQUARE, "bond": 0.5}
PLANE = [
    ("site", "triangular", 0.5),
    ("bond", "triangular", 2 * math.sin(math.pi / 18)),
    ("bond", "honeycomb", 1 - 2 * math.sin(math.pi / 18)),
]
CUBIC = {"site": 0.311608, "bond": 0.248812}  # Wang et al., Phys. Rev. E 87, 052107 (2013)


@cache
def sample(kind, lattice, shape, realisations):
    """40 chains."""
    spec = Percolation(Lattice(shape, lattice), kind, realisations)
    return producing.run(Series("test", shape[-1], spec, SEED, CHAINS))


SIDES = (32.0, 64.0, 128.0)


def square(kind):
    """Three sizes."""
    return [sample(kind, "hypercubic", (n, n), r) for n, r in ((32, 2500), (64, 1000), (128, 200))]


@pytest.mark.parametrize("kind", ["site", "bond"])
def test_square_threshold(kind):
    """p_c within 5e-4, from the exact probability of wrapping; the twins, a guess of 1/2 along an axis and the value for
    any axis taken for all, are refused."""
    exact = wrapping()
    for which, level, wrong in (("axis", exact.x, 0.5), ("all", exact.all, exact.any)):
        fit = limit(SIDES, [threshold(r, which, level) for r in square(kind)], PLANE_DECAY)
        assert fit.error < 5e-4 * SQUARE[kind]
        assert abs(fit.value - SQUARE[kind]) < SIGMAS * fit.error
        twin = threshold(square(kind)[0], which, wrong)
        assert abs(twin[0] - SQUARE[kind]) > SIGMAS * combined_error(twin[1])


@pytest.mark.parametrize("kind", ["site", "bond"])
def test_square_exponents(kind):
    """nu = 4/3 and D_f = 91/48; the twin at one p below the threshold is refused."""
    results, level = square(kind), wrapping().x
    slope = power(SIDES, [slope_at(r, "axis", level) for r in results])
    mass = power(SIDES, [largest_at(r, "axis", level) for r in results])
    assert slope.error < 0.02
    assert mass.error < 0.005
    assert abs(slope.value - 3 / 4) < SIGMAS * slope.error
    assert abs(mass.value + 2 - 91 / 48) < SIGMAS * mass.error
    masses = [at(r, moment_rows(r, "largest"), SQUARE[kind] - 0.01) for r in results]
    beside = power(SIDES, masses)
    assert abs(beside.value + 2 - 91 / 48) > SIGMAS * beside.error


def test_clusters_per_bond_square():
    """At p = 1/2 the number of clusters per site of the infinite square lattice is (3 sqrt 3 - 5) / 2 (Temperley and
    Lieb 1971; Ziff, Finch and Adamchik, Phys. Rev. Lett. 79, 3447 (1997)), to 1/N on a torus; p = 0.501 is refused."""
    result, exact = square("bond")[2], (3 * math.sqrt(3) - 5) / 2
    for p, right in ((0.5, True), (0.501, False)):
        value, replicas = at(result, moment_rows(result, "clusters"), p)
        assert (abs(value - exact) < SIGMAS * combined_error(replicas) + 1 / 128**2) is right


@pytest.mark.parametrize(("kind", "lattice", "exact"), PLANE)
def test_plane_thresholds(kind, lattice, exact):
    """The rhombus of the triangular and the honeycomb lattice has tau = exp(i pi / 3); the square's value is refused."""
    result = sample(kind, lattice, (64, 64), 1200)
    for which, tau, right in (("x", cmath.exp(1j * math.pi / 3), True), ("x", 1j, False)):
        value, replicas = threshold(result, which, wrapping(tau).x)
        assert (abs(value - exact) < SIGMAS * combined_error(replicas)) is right


def test_rectangle():
    """Both axes of a torus twice as long as wide wrap as the modulus 2 i says; exchanged, they do not."""
    result, exact = sample("bond", "hypercubic", (64, 32), 800), wrapping(2j)
    value, replicas = threshold(result, "x", exact.x)
    assert abs(value - 0.5) < SIGMAS * combined_error(replicas)
    twin, replicas = threshold(result, "x", exact.y)
    assert abs(twin - 0.5) > SIGMAS * combined_error(replicas)


@pytest.mark.parametrize("kind", ["site", "bond"])
def test_cubic_threshold(kind):
    """p_c of the cubic lattice from a crossing; the twin, where half of the samples of one size wrap, is refused."""
    small, large = (sample(kind, "hypercubic", (n, n, n), r) for n, r in ((12, 1000), (24, 200)))
    value, replicas = crossing(small, large, "axis")
    error = combined_error(replicas)
    assert error < 5e-3 * CUBIC[kind]
    assert abs(value - CUBIC[kind]) < SIGMAS * error
    twin, replicas = threshold(large, "axis", 0.5)
    assert abs(twin - CUBIC[kind]) > SIGMAS * combined_error(replicas)
