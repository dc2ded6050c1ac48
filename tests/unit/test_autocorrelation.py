"""The Gamma method on AR(1) series, whose autocorrelation time and error are exact."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hpcrg.analysis.autocorrelation import block_means, gamma_method, gamma_within, leave_one_out
from hpcrg.errors import InputError

RHO = 0.95
TAU = 0.5 * (1 + RHO) / (1 - RHO)


def ar1(chains: int, n: int, seed: int, rho: float = RHO) -> np.ndarray:
    """Stationary AR(1) chains of variance 1."""
    noise = np.random.default_rng(seed).normal(size=(chains, n))
    noise[:, 0] /= np.sqrt(1 - rho**2)
    return lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], noise, axis=1)


def test_tau_and_error_are_the_exact_ones() -> None:
    found = gamma_method(ar1(4, 250_000, 11))
    assert pytest.approx(19.5) == TAU
    assert abs(found.tau - TAU) < 4 * found.tau_error
    assert found.tau_error < 0.05 * TAU
    assert found.error == pytest.approx(np.sqrt(2 * TAU / 1e6), rel=0.05)


def test_white_noise_has_tau_one_half() -> None:
    found = gamma_method(np.random.default_rng(3).normal(size=(8, 4000)))
    assert found.tau == pytest.approx(0.5, abs=0.05)


def test_short_chains_are_not_biased_by_their_fitted_mean() -> None:
    taus = [gamma_within(ar1(8, 1000, 100 + k, 0.8)).tau for k in range(40)]
    exact = 0.5 * 1.8 / 0.2
    error = np.std(taus, ddof=1) / np.sqrt(40)
    assert abs(np.mean(taus) - exact) < 4 * error + 0.02 * exact


def pulls(naive: bool) -> np.ndarray:
    """Means of 200 independent sets of chains in units of their errors."""
    out = []
    for seed in range(200):
        found = gamma_method(ar1(4, 2000, 1000 + seed, 0.8))
        error = np.sqrt(found.variance / found.samples) if naive else found.error
        out.append(found.mean / error)
    return np.array(out)


def test_errors_cover_the_truth() -> None:
    z = pulls(naive=False)
    assert 0.8 < z.std() < 1.25  # 5 sigma about 1 for 200 pulls
    assert (np.abs(z) < 2).mean() > 0.88


def test_twin_that_ignores_autocorrelation_is_rejected() -> None:
    assert pulls(naive=True).std() > 2.0


def test_chains_that_disagree_have_a_larger_error_about_the_common_mean() -> None:
    chains = ar1(4, 2000, 5, 0.5) + np.array([[0.0], [0.0], [0.0], [3.0]])
    assert gamma_method(chains).error > 5 * gamma_within(chains).error


def test_constant_and_short_series() -> None:
    assert gamma_method(np.ones((2, 10))).error == 0.0
    with pytest.raises(InputError, match="at least 4 measurements"):
        gamma_method(np.ones((2, 3)))


def test_jackknife_of_blocks_is_the_error_of_the_mean() -> None:
    series = ar1(8, 8000, 21, 0.8)
    rows = leave_one_out(block_means(series, 16))
    n = len(rows)
    error = np.sqrt((n - 1) / n * np.sum((rows - rows.mean()) ** 2))
    assert error == pytest.approx(gamma_method(series).error, rel=0.2)
