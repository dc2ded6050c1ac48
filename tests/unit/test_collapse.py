"""Data collapse on synthetic data with known exponents, and data that must be flagged."""

import numpy as np
import pytest

from hpcrg.analysis import collapse as co
from hpcrg.analysis.corrections import OMEGA, weights
from hpcrg.errors import InputError

T_C, NU = 1.37, 0.8


def data(
    seed: int, kappa: float = 0.0, shift: float = 0.0, error: float = 0.003, half: float = 0.12, free: bool = False
) -> co.Data:
    """y = L^kappa (0.5 - 0.4 tanh x) at five sizes; `shift` moves T_c of every other size apart."""
    rng = np.random.default_rng(seed)
    size = np.repeat([8.0, 12.0, 16.0, 24.0, 32.0], 9)
    t = np.tile(np.linspace(T_C - half, T_C + half, 9), 5)
    offset = shift * np.where(np.isin(size, [12.0, 24.0]), 1.0, -1.0)
    y = (0.5 - 0.4 * np.tanh(0.4 * (t - T_C - offset) * size ** (1 / NU))) * size**kappa
    noise = error * size**kappa
    return co.Data("y", size, t, y + noise * rng.normal(size=len(y)), noise, free)


def test_known_exponents_are_found_within_errors() -> None:
    found = [co.fit([data(seed)]) for seed in range(12)]
    assert not any(f.bad for f in found)
    t = np.array([f.theta[0] for f in found])
    a = np.array([f.theta[1] for f in found])
    own = [np.sqrt(np.sum((f.gain * data(s).error) ** 2, axis=1)) for s, f in enumerate(found)]
    z = np.array([[(x - T_C) / e[0], (y - 1 / NU) / e[1]] for x, y, e in zip(t, a, own, strict=True)])
    assert np.abs(z).max() < 4
    assert 0.5 < z.std() < 1.6
    assert a.std() < 0.05


def test_gain_is_the_response_to_the_data() -> None:
    base = data(1)
    fit = co.fit([base])
    bump = np.zeros(len(base.value))
    bump[22] = 1e-4
    moved = co.fit([co.Data("y", base.size, base.control, base.value + bump, base.error)], float(fit.theta[0]))
    assert moved.theta - fit.theta == pytest.approx(fit.gain[:, 22] * 1e-4, rel=0.05)


def test_gradient_is_the_derivative() -> None:
    problem = co._Problem([data(2, kappa=0.3, free=True), data(3)], T_C, 0.12, 16.0, OMEGA)
    p = np.array([0.1, 1.1, 0.2, -0.4, -0.3, -0.2, -0.6])
    steps = 1e-5 * np.eye(len(p))
    numeric = [(problem.minus_log_likelihood(p + h)[0] - problem.minus_log_likelihood(p - h)[0]) / 2e-5 for h in steps]
    assert problem.minus_log_likelihood(p)[1] == pytest.approx(np.array(numeric), rel=2e-4)


def test_free_exponent() -> None:
    fit = co.fit([data(4, kappa=-0.125, free=True)])
    assert fit.theta[2] == pytest.approx(-0.125, abs=0.02)
    assert not fit.bad


def test_sizes_that_do_not_collapse_are_flagged() -> None:
    assert co.fit([data(5, shift=0.02)]).bad
    assert co.fit([data(5, shift=0.006)]).bad


def test_errors_that_are_too_small_are_flagged() -> None:
    base = data(6)
    assert "chi^2" in co.fit([co.Data("y", base.size, base.control, base.value, base.error / 3)]).bad


def test_no_transition_in_the_range_is_flagged() -> None:
    base = data(7)
    flat = 0.5 + base.error * np.random.default_rng(8).normal(size=len(base.value))
    assert co.fit([co.Data("y", base.size, base.control, flat, base.error)]).bad


def test_one_size_is_refused() -> None:
    base = data(9)
    one = base.size == 8.0
    with pytest.raises(InputError, match="at least 2 sizes"):
        co.fit([co.Data("y", base.size[one], base.control[one], base.value[one], base.error[one])])


def test_data_without_any_scatter_are_refused():
    nothing, design = np.zeros((3, 3)), np.ones((3, 1))
    with pytest.raises(InputError, match="found a singular covariance"):
        weights(nothing, design, [8, 16, 32], np.zeros(1), OMEGA, np.ones(3))
