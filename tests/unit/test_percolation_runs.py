"""Percolation and dimers: refusals, exact limits, straight lines."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from hpcrg import dimers, percolation, producing
from hpcrg.errors import InputError, Unsupported
from hpcrg.lattice import Lattice
from hpcrg.percolation.graph import Graph
from hpcrg.percolation.pinson import class_probability, cross_probability, wrapping
from hpcrg.producing import Series
from hpcrg.straight import limit, parts, power

SEED = 5


def test_refusals():
    """What physics or int64 does not allow."""
    with pytest.raises(Unsupported, match="site or bond"):
        percolation.Percolation(Lattice((4, 4)), "vertex", 1)
    with pytest.raises(Unsupported, match="realisations"):
        percolation.Percolation(Lattice((1024, 1024)), "site", 2**23)
    with pytest.raises(Unsupported, match="helical"):
        percolation.Percolation(Lattice((4, 4), boundary="helical"), "site", 1)
    for lattice in (Lattice((4, 5)), Lattice((2, 4)), Lattice((4, 4), "triangular"), Lattice((4, 4), boundary="free")):
        with pytest.raises(Unsupported, match="dimers"):
            dimers.Dimers(lattice, 0.0, "pocket", 1, 0, 1)
    with pytest.raises(Unsupported, match="did you mean 'pocket'"):
        dimers.Dimers(Lattice((4, 4)), 0.0, "pockets", 1, 0, 1)
    with pytest.raises(InputError, match="moves"):
        dimers.Dimers(Lattice((4, 4)), 0.0, "pocket", 0, 0, 1)
    with pytest.raises(ValueError, match="two different sites"):
        Graph(3, np.array([[1, 1]], np.int32), np.zeros((1, 2), np.int8))


def test_free_axes_are_never_wrapped():
    """With free boundaries there is nothing to wrap around."""
    spec = percolation.Percolation(Lattice((5, 4), boundary="free"), "bond", 10)
    result = producing.run(Series("free", 4, spec, SEED, 1))
    assert (result["first"] == spec.items + 1).all()
    assert result["sums"][0, 3, -1] == 10


def test_exact_wrapping_probabilities():
    """Published figures of the square torus, and what symmetry and completeness ask of any torus."""
    square = wrapping(1j)
    figures = (0.521058290, 0.690473725, 0.351642855, 0.169415435)
    found = (square.x, square.any, square.all, class_probability(0, 1, 1j))
    np.testing.assert_allclose(found, figures, atol=1.1e-9)
    for tau in (1j, cmath.exp(1j * math.pi / 3), 2j, 0.3 + 1.7j):
        w = wrapping(tau)
        assert w.any + cross_probability(tau) == pytest.approx(1, abs=1e-12)
        assert w.x + w.y == pytest.approx(w.any + w.all, abs=1e-12)
        turned = wrapping(-1 / tau)
        assert (turned.x, turned.y) == pytest.approx((w.y, w.x), abs=1e-12)


def test_lines():
    """Exact powers and limits come back exactly, with replicas that carry their source's share alone."""
    sizes = [8.0, 16.0, 32.0]
    points = [(3 * n**0.7, {str(n): 3 * n**0.7 * np.array([0.99, 1.01])}) for n in sizes]
    fit = power(sizes, points)
    assert fit.value == pytest.approx(0.7)
    assert fit.error > 0
    corrected = [(3 * n**0.7 * math.exp(2 / n**2), replicas) for n, (_, replicas) in zip(sizes, points, strict=True)]
    assert power(sizes, corrected, 2.0).value == pytest.approx(0.7)
    ends = [(5 + 2 / n, {str(n): 5 + 2 / n + np.array([-0.1, 0.1])}) for n in sizes]
    assert limit(sizes, ends, 1.0).value == pytest.approx(5)
    with pytest.raises(InputError, match="at least 2 points"):
        limit(sizes[:1], ends[:1], 1.0)


def test_parts_are_there_as_soon_as_sizes_are_left_for_them():
    """`size` with one size more than parameters; `correction` with as many sizes as the other fit has parameters."""
    sizes = [8.0, 16.0, 32.0, 64.0]
    points = [(3 * n**0.7 * (1 + 5 / n), {str(n): 3 * n**0.7 * (1 + 5 / n) * np.array([0.99, 1.01])}) for n in sizes]

    def found(form, count, decay, other):
        return set(parts(lambda which, d: form(sizes[:count][which], points[:count][which], d), count, decay, other))

    assert found(limit, 2, 1.0, 2.0) == {"correction"}
    assert found(limit, 3, 1.0, 2.0) == {"size", "correction"}
    assert found(power, 2, None, 2.0) == set()
    assert found(power, 3, None, 2.0) == {"size", "correction"}
    assert found(power, 3, 2.0, None) == {"correction"}
    assert found(power, 4, 2.0, None) == {"size", "correction"}
