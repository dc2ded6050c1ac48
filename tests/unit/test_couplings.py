"""Couplings by pseudo-likelihood: exact on distributions that can be summed, and within errors on draws."""

import numpy as np
import pytest

from hpcrg.analysis.couplings import fit, measured
from hpcrg.errors import InputError
from hpcrg.estimate import jackknife_error
from hpcrg.local_sums import LocalSums

TRUE = {"nn": 0.31, "nnn": -0.12, "magnetisation": 0.05}


def torus(columns=4, rows=4):
    """All configurations of a small torus, int8[state, rows, columns]."""
    bits = np.arange(1 << (rows * columns))[:, None] >> np.arange(rows * columns) & 1
    return (2 * bits - 1).astype(np.int8).reshape(-1, rows, columns)


def weights(spins, couplings):
    """p of each configuration: sums over the lattice written out, not those of the code under test."""
    right, down = np.roll(spins, -1, 2), np.roll(spins, -1, 1)
    diagonal, other = np.roll(right, -1, 1), np.roll(np.roll(spins, 1, 2), -1, 1)
    sums = {
        "nn": (spins * right + spins * down).sum((1, 2), dtype=float),
        "nnn": (spins * diagonal + spins * other).sum((1, 2), dtype=float),
        "magnetisation": spins.sum((1, 2), dtype=float),
        "plaquette": (spins * right * down * diagonal).sum((1, 2), dtype=float),
        "corner": sum((spins * np.roll(spins, a, 2) * np.roll(spins, b, 1)).sum((1, 2), dtype=float)
                      for a in (1, -1) for b in (1, -1)),
    }  # fmt: skip
    raw = sum(k * sums[name] for name, k in couplings.items())
    p = np.exp(raw - raw.max())
    return p / p.sum()


@pytest.mark.parametrize("couplings", [TRUE, {"nn": 0.2, "plaquette": 0.15}, {"nn": 0.3, "corner": 0.07}])
def test_the_couplings_of_a_known_distribution(couplings):
    """4 x 3 would fold; on 4 x 4 each operator is summed over its images as they are."""
    spins = torus()
    operators = LocalSums(tuple(couplings), 2)
    found = fit(operators, operators.count(spins, weights(spins, couplings)))
    assert found == pytest.approx(list(couplings.values()), abs=1e-10)


def test_an_operator_left_out_is_seen():
    """Twin: without nnn the nearest neighbours take some of its part."""
    spins = torus()
    operators = LocalSums(("nn",), 2)
    found = fit(operators, operators.count(spins, weights(spins, {"nn": 0.31, "nnn": -0.12})))
    assert abs(found[0] - 0.31) > 0.05


def test_a_chain():
    ring = torus(10, 1).reshape(-1, 10)
    sums = (ring * np.roll(ring, 1, 1)).sum(1, dtype=float)
    p = np.exp(0.7 * sums)
    operators = LocalSums(("nn",), 1)
    assert fit(operators, operators.count(ring, p / p.sum())) == pytest.approx([0.7], abs=1e-10)


def test_counts_add_up_and_errors_are_of_the_blocks():
    spins = torus()
    rng = np.random.default_rng(7)
    drawn = spins[rng.choice(len(spins), 20_000, p=weights(spins, TRUE))]
    operators = LocalSums(tuple(TRUE), 2)
    blocks = [operators.count(part) for part in np.split(drawn, 40)]
    assert np.array_equal(sum(blocks), operators.count(drawn))
    value, replicas = measured(operators, blocks)
    errors = np.array([jackknife_error(r) for r in replicas.T])
    pulls = (value - list(TRUE.values())) / errors
    assert (np.abs(pulls) < 3.5).all(), pulls
    assert (errors < 0.01).all()
    wrong = (value - [0.31, 0.0, 0.05]) / errors
    assert np.abs(wrong).max() > 5


def test_draws_that_do_not_bound_a_coupling():
    operators = LocalSums(("nn",), 2)
    with pytest.raises(InputError, match="expected draws that bound nn"):
        fit(operators, operators.count(np.ones((5, 4, 4), np.int8)))


def test_unknown_operators_and_too_many():
    with pytest.raises(InputError, match="found 'nm'"):
        LocalSums(("nm",), 2)
    with pytest.raises(InputError, match="sets of their values"):
        LocalSums(("nn", "nnn", "third", "knight", "plaquette", "tee", "far_diagonal"), 2)
