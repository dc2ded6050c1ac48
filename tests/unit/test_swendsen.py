"""Swendsen's matrix from integer sums, against floating-point linear algebra and with sums beyond int64."""

import numpy as np
import pytest

from hpcrg.analysis.swendsen import eigenvalues, exponent, exponents, largest_batch, matrix, moments_of


def samples(draws=4000, seed=9):
    """Gaussian integers before and after a step, correlated so that T is known to a few per cent."""
    rng = np.random.default_rng(seed)
    before = np.rint(rng.normal(3.0, 40.0, (draws, 2)) @ np.array([[1.0, 0.3], [0.0, 1.0]])).astype(np.int64)
    noise = np.rint(rng.normal(0.0, 10.0, (draws, 2))).astype(np.int64)
    return [before[:, :, None], (before // 2 + noise)[:, :, None]]


def float_matrix(values):
    before, after = (v[:, :, 0].astype(np.float64) for v in values)
    before, after = before - before.mean(axis=0), after - after.mean(axis=0)
    return np.linalg.solve(after.T @ after, after.T @ before)


def test_matrix_of_integer_sums():
    values = samples()
    assert np.allclose(matrix(moments_of(values, 10**4), 0, 2, True), float_matrix(values), rtol=1e-10)
    uncentred = [v[:, :, 0].astype(np.float64) for v in values]
    wanted = np.linalg.solve(uncentred[1].T @ uncentred[1], uncentred[1].T @ uncentred[0])
    assert np.allclose(matrix(moments_of(values, 10**4), 0, 2, False), wanted, rtol=1e-10)


def test_components_are_summed_over():
    values = samples()
    doubled = [np.concatenate([v, -v], axis=2) for v in values]
    single, double = moments_of(values, 10**4), moments_of(doubled, 10**4)
    assert np.array_equal(double.within, 2 * single.within)
    assert np.array_equal(double.across, 2 * single.across)


def test_sums_beyond_int64_are_exact():
    big = 3 * 10**9
    values = [np.full((5, 1, 1), big, np.int64), np.full((5, 1, 1), -big, np.int64)]
    found = moments_of(values, big)
    assert found.within[0, 0, 0] == 5 * big**2 > 2**63
    assert found.across[0, 0, 0] == -5 * big**2
    assert (found + found - found).within[1, 0, 0] == 5 * big**2
    careless = int((values[0][:, 0, 0] * values[0][:, 0, 0]).sum())  # the broken twin: wraps around
    assert careless != 5 * big**2


def test_a_draw_that_could_overflow_is_refused():
    assert largest_batch(3 * 10**9, 1) == 1
    with pytest.raises(OverflowError, match="below 2\\^63"):
        largest_batch(3 * 10**9, 2)


def test_jackknife_leaves_out_one_block_each():
    blocks = [moments_of(samples(500, seed), 10**4) for seed in range(8)]
    found = exponents(blocks, True, 2)
    kept = [samples(500, seed) for seed in range(8) if seed != 3]
    rest = [np.concatenate(level) for level in zip(*kept, strict=True)]
    leading = np.abs(np.linalg.eigvals(float_matrix(rest))).max()
    assert found.replicas[3, 0, 1] == pytest.approx(np.log2(leading), abs=1e-10)
    assert found.value.shape == (1, 2)
    r = found.replicas[:, 0, 1]
    assert found.error[0, 1] == pytest.approx(np.sqrt(7 / 8 * np.sum((r - r.mean()) ** 2)))


def test_no_exponent_from_a_singular_or_rotating_matrix():
    constant = [np.ones((50, 1, 1), np.int64)] * 2
    assert np.isnan(exponent(moments_of(constant, 1), 0, 1, True, 2))
    before = np.random.default_rng(10).integers(-50, 50, (4000, 2))
    turned = before @ np.array([[0, 1], [-1, 0]])
    rotating = moments_of([before[:, :, None], turned[:, :, None]], 100)
    assert abs(eigenvalues(rotating, 0, 2, True)[0].imag) > 0.9
    assert np.isnan(exponent(rotating, 0, 2, True, 2))
