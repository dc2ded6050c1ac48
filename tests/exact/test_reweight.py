"""Reweighting on the 4 x 4 Ising square, enumerated: noise-free histograms must give the exact curves back."""

from functools import cache

import numpy as np
import pytest

from hpcrg.analysis.levels import BankSums, Levels
from hpcrg.analysis.points import functions
from hpcrg.analysis.reweight import curves, free_energies, pool
from hpcrg.errors import InputError

SIZE, N = 4, 16
BETAS = np.array([0.55, 0.48, 0.44, 0.40, 0.33])
K_C = np.log1p(np.sqrt(2.0)) / 2.0


@cache
def states() -> tuple[np.ndarray, np.ndarray]:
    """Energy and (|m|, m^2, m^4, structure) of all 2^16 states."""
    codes = np.arange(2**N)
    s = (2.0 * ((codes[:, None] >> np.arange(N)) & 1) - 1.0).reshape(-1, SIZE, SIZE)
    energy = -(s * np.roll(s, 1, 1) + s * np.roll(s, 1, 2)).sum(axis=(1, 2))
    m = s.mean(axis=(1, 2))
    wave = np.exp(2j * np.pi * np.arange(SIZE) / SIZE)
    k1 = 0.5 * (np.abs((s * wave).sum(axis=(1, 2))) ** 2 + np.abs((s * wave[:, None]).sum(axis=(1, 2))) ** 2) / N**2
    return energy, np.stack([np.abs(m), m**2, m**4, k1], axis=1)


def means(beta: float) -> np.ndarray:
    """Exact means of (E, E^2, |m|, m^2, m^4, structure)."""
    energy, columns = states()
    w = np.exp(-beta * (energy + 2 * N))
    table = np.column_stack([energy, energy**2, columns])
    return w @ table / w.sum()


def bank(betas: np.ndarray, blocks: int = 4, used: np.ndarray | None = None) -> BankSums:
    """A bank whose histograms are the exact probabilities at `used` (the same temperatures, unless it is a twin)."""
    energy, columns = states()
    at, index = np.unique(energy, return_inverse=True)
    every = np.column_stack([np.ones(len(energy)), columns])
    levels, series = [], []
    for beta in used if used is not None else betas:
        w = np.exp(-beta * (energy + 2 * N))
        sums = np.stack([np.bincount(index, w * column) for column in every.T], axis=1) * (1000.0 / w.sum())
        levels.append([Levels(at.astype(np.int64), sums)] * blocks)
        series.append(np.tile(means(float(beta)), (1, 8, 1)))
    return BankSums("id", "exact-L4", "ising", SIZE, 2, 1, betas, 4000, 1000, 1, levels, np.array(series))


def largest_error(sums: BankSums) -> float:
    """The largest deviation of reweighted observables from the exact ones, between the temperatures too."""
    grid = np.linspace(0.33, 0.55, 23)
    found = curves(sums, grid)
    worst = 0.0
    for i, beta in enumerate(grid):
        exact = means(float(beta))
        for name, f in functions(SIZE, N, 1, float(beta)).items():
            worst = max(worst, abs(found.values[name][0, i] - f(exact)))
    return worst


def test_exact_histograms_give_exact_curves() -> None:
    assert largest_error(bank(BETAS)) < 1e-9


def test_twin_with_a_wrong_temperature_is_rejected() -> None:
    assert largest_error(bank(BETAS, used=BETAS * np.array([1.0, 1.0, 1.01, 1.0, 1.0]))) > 1e-3


def test_free_energies_are_the_exact_ones() -> None:
    energy, _ = states()
    data = pool(bank(BETAS).blocks, BETAS)
    start = np.zeros(len(BETAS))
    f = free_energies(BETAS, data.counts.sum(axis=1), data.energy, data.total[:, 0], start)
    log_z = np.array([np.log(np.exp(-b * (energy + 2 * N)).sum()) + 2 * N * b for b in BETAS])
    expected = -(log_z - log_z[0]) - data.centre * (BETAS - BETAS[0])
    assert f == pytest.approx(expected, abs=1e-8)
    assert np.log(np.exp(-K_C * energy).sum()) / N == pytest.approx(0.9701197161722052, abs=1e-12)  # Kaufman


def test_kaufman_energy_and_heat_at_the_critical_point() -> None:
    found = curves(bank(BETAS), np.array([K_C, K_C + 1e-3]))
    assert found.values["energy"][0, 0] == pytest.approx(-1.565623787638319, abs=1e-9)
    assert found.values["heat"][0, 0] == pytest.approx(0.78326682592891, abs=1e-9)


@pytest.mark.parametrize("name", ["energy", "abs_m", "m2", "u4", "xi"])
def test_slopes_are_derivatives(name: str) -> None:
    grid = np.array([0.44 - 1e-4, 0.44, 0.44 + 1e-4])
    found = curves(bank(BETAS), grid)
    numeric = (found.values[name][0, 2] - found.values[name][0, 0]) / 2e-4
    assert found.slopes[name][0, 1] == pytest.approx(numeric, rel=1e-6)


def test_replicas_of_equal_blocks_are_equal() -> None:
    found = curves(bank(BETAS), np.array([0.44, 0.45]))
    assert np.ptp(found.values["u4"], axis=0).max() < 1e-9


def test_histograms_with_a_gap_are_refused() -> None:
    low, high = (Levels(np.array([e, e + 4]), np.ones((2, 5))) for e in (-32, 24))
    with pytest.raises(InputError, match="overlap"):
        curves(BankSums("id", "gap", "ising", 4, 2, 1, np.array([2.0, 0.01]), 2, 1, 1, [[low] * 2, [high] * 2],
                        np.zeros((2, 1, 8, 6))), np.array([0.5, 0.6]))  # fmt: skip
