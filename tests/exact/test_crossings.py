"""Crossings, quotients and the joint fit on exact, noise-free curves of small Ising squares.

The exact moments come from transfer matrices whose entries are power series in a magnetic field: the coefficients of
h^2 and h^4 in Z(h) give <M^2> and <M^4>, and a field h cos(2 pi x/L) gives S(k_1).
"""

from functools import cache

import numpy as np
import pytest

from hpcrg.analysis import corrections, crossing
from hpcrg.analysis.corrections import OMEGA, OMEGAS
from hpcrg.analysis.reweight import Curves
from hpcrg.errors import InputError

K_C = np.log1p(np.sqrt(2.0)) / 2.0
GRID = np.linspace(0.425, 0.465, 21)
STEP = 2e-4


def observables(size: int, k: float) -> dict[str, float]:
    """Exact U4 and xi_2nd/L of the L x L torus at coupling k."""
    m2, m4 = _moments(size, k, np.ones(size), 4)
    s2, _ = _moments(size, k, np.cos(2 * np.pi * np.arange(size) / size), 2)
    structure = 2.0 * s2  # cosine and sine parts are equal by translation
    return {
        "u4": 1.0 - m4 / (3.0 * m2**2),
        "xi": np.sqrt(m2 / structure - 1.0) / (2.0 * np.sin(np.pi / size) * size),
    }


def _moments(size: int, k: float, profile: np.ndarray, order: int) -> tuple[float, float]:
    """<(sum profile s)^2> and, to fourth order, <(...)^4>."""
    codes = np.arange(2**size)
    spins = 2.0 * ((codes[:, None] >> np.arange(size)) & 1) - 1.0
    within = np.exp(k * np.sum(spins * np.roll(spins, 1, axis=1), axis=1))
    between = np.exp(k * (spins @ spins.T)) * within
    field = spins @ profile
    row = [between * field**n / float(np.prod(range(1, n + 1))) for n in range(order + 1)]
    scale = np.abs(row[0]).max()
    matrix = [m / scale for m in row]
    power, left = None, size
    while left:
        if left % 2:
            power = matrix if power is None else _product(power, matrix)
        left //= 2
        if left:
            matrix = _product(matrix, matrix)
    assert power is not None
    z = [float(np.trace(p)) for p in power]
    return 2.0 * z[2] / z[0], (24.0 * z[4] / z[0] if order >= 4 else 0.0)


def _product(a: list[np.ndarray], b: list[np.ndarray]) -> list[np.ndarray]:
    return [sum(a[i] @ b[n - i] for i in range(n + 1)) for n in range(len(a))]  # type: ignore[misc]


@cache
def exact(size: int) -> Curves:
    """Curves of values and central-difference slopes, the same in the estimate and in two jackknife rows."""
    at = {n: [[observables(size, k + s)[n] for k in GRID] for s in (0.0, STEP, -STEP)] for n in ("u4", "xi")}
    values = {n: np.tile(v[0], (3, 1)) for n, v in at.items()}
    slopes = {n: np.tile((np.array(v[1]) - np.array(v[2])) / (2 * STEP), (3, 1)) for n, v in at.items()}
    return Curves(f"L{size}", size, GRID, values, slopes)


def noisy(size: int, error: float) -> Curves:
    """The exact curves with relative jackknife errors of about `error` in 16 rows; row 0 is still exact."""
    base, rng = exact(size), np.random.default_rng(size)

    def rows(table: np.ndarray) -> np.ndarray:
        change = error / 4.0 * rng.normal(size=(17, 1))
        change[0] = 0.0
        return table[0] * (1.0 + change)

    return Curves(base.id, size, GRID, {k: rows(v) for k, v in base.values.items()},
                  {k: rows(v) for k, v in base.slopes.items()})  # fmt: skip


def test_transfer_matrix_gives_the_tabulated_moments() -> None:
    found = observables(4, K_C)
    assert found["u4"] == pytest.approx(0.61719931841246, abs=1e-12)
    assert found["xi"] == pytest.approx(0.95318376641653, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "small", "large", "k", "quotient"),
    [("u4", 3, 6, 0.4535560767, None), ("xi", 3, 6, None, None), ("u4", 4, 6, None, None)],
)
def test_crossing_is_where_the_curves_are_equal(name, small, large, k, quotient) -> None:  # type: ignore[no-untyped-def]
    beta = crossing.pair_crossing(exact(small), exact(large), name)
    assert beta is not None
    if k is not None:
        assert beta[0] == pytest.approx(k, abs=3e-9)
    there = [observables(size, float(beta[0]))[name] for size in (small, large)]
    assert there[0] == pytest.approx(there[1], abs=1e-7)
    assert quotient is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "k", "quotient"), [("u4", 0.4472778400, 0.922339), ("xi", 0.4460347158, 0.877148)])
def test_crossings_of_four_and_eight(name: str, k: float, quotient: float) -> None:
    beta = crossing.pair_crossing(exact(4), exact(8), name)
    assert beta is not None
    assert beta[0] == pytest.approx(k, abs=3e-9)
    slopes = crossing.slopes_at([exact(4), exact(8)], (name,), np.zeros((2, len(beta)), dtype=np.int64), beta)
    assert np.log(slopes[1, 0] / slopes[0, 0]) / np.log(2.0) == pytest.approx(quotient, abs=2e-5)


def joint(error: float) -> tuple[float, float]:
    """Pulls of beta_c and 1/nu from sizes 3 to 7, by the parts `size` and `ansatz` alone."""
    banks = [noisy(size, error) for size in (3, 4, 5, 6, 7)]
    betas = {w: crossing.critical_beta(banks, ("u4", "xi"), w) for w in OMEGAS}
    slopes = {w: crossing.inverse_nu(banks, ("u4", "xi"), betas[OMEGA].rows, w) for w in OMEGAS}
    out = []
    for fits, exact_value in ((betas, K_C), (slopes, 1.0)):
        values = [fit.value for fit in fits.values()]
        total = np.hypot(fits[OMEGA].prior, 0.5 * (max(values) - min(values)))
        out.append((fits[OMEGA].value - exact_value) / total)
    return out[0], out[1]


def test_unknown_corrections_cover_the_bias_of_tiny_lattices() -> None:
    t, nu = joint(1e-3)
    assert abs(t) < 2
    assert abs(nu) < 2


def test_twin_without_corrections_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "AMPLITUDE", 1e-3)
    monkeypatch.setattr(corrections, "LARGEST", 1e-3)
    t, nu = joint(1e-3)
    assert max(abs(t), abs(nu)) > 5


def power_of(correction: float, largest: float, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """The power 1 found from slopes L (1 + c (L/4)^-1.5) with errors of 2 %, and its error without the statistical
    part."""
    monkeypatch.setattr(corrections, "LARGEST", largest)
    sizes, rng = [8, 12, 16, 24, 32], np.random.default_rng(1)
    exact = np.log([n * (1.0 + correction * (n / 4.0) ** -1.5) for n in sizes])
    own = [y + 2e-2 / 4.0 * rng.normal(size=(1, 16)) for y in exact]
    fits = {w: crossing.power_law(sizes, exact[:, None], own, w) for w in OMEGAS}
    values = [fit.value for fit in fits.values()]
    return fits[OMEGA].value, float(np.hypot(fits[OMEGA].prior, 0.5 * (max(values) - min(values))))


def test_large_corrections_raise_their_amplitude(monkeypatch: pytest.MonkeyPatch) -> None:
    """A correction eight times the usual is covered; the twin that keeps the usual amplitude claims too much. A usual
    one changes nothing."""
    value, error = power_of(1.0, 2.0, monkeypatch)
    twin, small = power_of(1.0, corrections.AMPLITUDE, monkeypatch)
    assert abs(value - 1.0) < 2 * error
    assert abs(twin - 1.0) > 3 * small
    assert power_of(0.1, 2.0, monkeypatch) == power_of(0.1, corrections.AMPLITUDE, monkeypatch)


def test_curves_that_do_not_cross_in_the_range_are_refused() -> None:
    cut = GRID > 0.456

    def part(c: Curves) -> Curves:
        return Curves(c.id, c.size, GRID[cut], {k: v[:, cut] for k, v in c.values.items()},
                      {k: v[:, cut] for k, v in c.slopes.items()})  # fmt: skip

    with pytest.raises(InputError, match="expected inside the temperatures"):
        crossing.critical_beta([part(noisy(5, 1e-3)), part(noisy(6, 1e-3)), part(noisy(7, 1e-3))], ("u4", "xi"), OMEGA)


def test_a_fit_that_leaves_the_range_says_that_sizes_cross() -> None:
    with pytest.raises(InputError, match=r"found sizes 5 and 7 crossing near 2\.\d+, but the fit .* outside"):
        crossing.critical_beta([noisy(3, 0.5), noisy(5, 0.5), noisy(7, 0.5)], ("u4", "xi"), OMEGA)


@pytest.mark.parametrize(("log", "off"), [(-0.75, 0.0), (0.0, 0.1)])
def test_known_powers_of_the_logarithm_leave_the_power_alone(log: float, off: float) -> None:
    """L^1.5 (ln L)^-0.75, and L^-0.5 (ln L)^-0.75 above a level, as of four colours; the twins without the logarithm
    have the power 0.1 to 0.3 and the level 8e-4 off."""
    sizes, rng = [24, 32, 48, 64, 96], np.random.default_rng(1)
    n = np.array(sizes, float)
    noise = 1e-4 * rng.normal(size=(len(sizes), 16))
    grown, fallen = np.log(n**1.5 * np.log(n) ** -0.75), n**-0.5 * np.log(n) ** -0.75 - 1.5
    power = crossing.power_law(sizes, grown[:, None], list(grown[:, None, None] + noise[:, None]), OMEGA, log).value
    banks = [
        Curves(str(k), size, GRID, {"energy": np.full((17, len(GRID)), e) + np.append(0.0, 0.02 * d)[:, None]},
               {"energy": np.zeros((17, len(GRID)))})
        for k, (size, e, d) in enumerate(zip(sizes, fallen, noise, strict=True))
    ]  # fmt: skip
    level = crossing.level(banks, "energy", np.full(1 + 16 * 5, GRID[10]), 0.5, OMEGA, log).value
    if not off:
        assert (power, level) == (pytest.approx(1.5, abs=1e-9), pytest.approx(-1.5, abs=1e-9))
    else:
        assert 0.1 < abs(power - 1.5) < 0.3
        assert abs(level + 1.5) > 5e-4
