"""T_c and nu from where the curves R(L, T) of dimensionless observables cross.

At the critical point R(L, T_c) = R* + b L^-omega, and dR/dbeta ~ L^(1/nu) (1 + c L^-omega). For two sizes
without b this is the crossing of a pair; for many it is the temperature at which R depends least on the size,
by chi^2 over all sizes and observables together,

    chi^2(beta) = r^T Q r,   r = R(beta),   Q = V^-1 with the R* profiled out   (corrections.py: V knows of
    b),

and 1/nu is the slope of ln |dR/dbeta| at that temperature against ln L, with V knowing of c. Neither uses the
value of T_c, nu, omega or R* from elsewhere. Nightingale, Physica A 83, 561 (1976); Binder, Z. Phys. B 43,
119 (1981).

Rows: row 0 is the estimate, then a jackknife row for each block of each size in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.corrections import Weights, block_covariance, weights
from hpcrg.analysis.reweight import Curves
from hpcrg.errors import InputError

Array = NDArray[np.float64]
ITERATIONS = 12


@dataclass(frozen=True)
class Fit:
    """`rows` of the fitted number; `prior` its standard deviation from unknown corrections of an `amplitude`; `chi2`
    over `freedom`."""

    rows: Array
    prior: float
    chi2: float
    freedom: int
    amplitude: float

    @property
    def value(self) -> float:
        """The estimate."""
        return float(self.rows[0])


def row_table(banks: Sequence[Curves]) -> NDArray[np.int64]:
    """Which row of each bank [bank, row] makes each jackknife row: its own block left out of one bank at a
    time."""
    counts = [len(next(iter(b.values.values()))) - 1 for b in banks]
    table = np.zeros((len(banks), 1 + sum(counts)), dtype=np.int64)
    at = 1
    for i, n in enumerate(counts):
        table[i, at : at + n] = np.arange(1, n + 1)
        at += n
    return table


def replicas(banks: Sequence[Curves], rows: Array) -> dict[str, Array]:
    """Jackknife rows as replicas keyed by ensemble id."""
    out: dict[str, Array] = {}
    at = 1
    for bank in banks:
        n = len(next(iter(bank.values.values()))) - 1
        out[bank.id] = rows[at : at + n].copy()
        at += n
    return out


def critical_beta(banks: Sequence[Curves], names: Sequence[str], omega: float, near: float | None = None) -> Fit:
    """beta_c by the module's chi^2. `near` starts it from there instead of from the best point of the whole
    range.

    Raises InputError when the curves do not cross inside the range of the ladders.
    """
    table = row_table(banks)
    grid = banks[0].beta
    guess = _largest_crossing(banks, names) if near is None else near
    for _ in range(2):
        w = _level_weights(banks, names, guess, omega)
        guess = float(_descend(banks, names, w, table[:, :1], np.array([guess]))[0])
        if not grid[0] < guess < grid[-1]:
            raise InputError(_outside(banks, names))
    beta = _descend(banks, names, w, table, np.full(table.shape[1], guess))
    if not np.all((beta > grid[0]) & (beta < grid[-1])):
        raise InputError(_outside(banks, names))
    r, slope = _stack(banks, names, table[:, :1], beta[:1])
    pull = w.inverse @ slope[:, 0] / (slope[:, 0] @ w.inverse @ slope[:, 0])
    return Fit(beta, w.deviation(pull), float(r[:, 0] @ w.inverse @ r[:, 0]), w.freedom - 1, w.amplitude)


def inverse_nu(banks: Sequence[Curves], names: Sequence[str], beta: Array, omega: float, log: float = 0.0) -> Fit:
    """1/nu from the slopes of R at `beta` [row], which carries its own jackknife rows; slopes grow with (ln L)^log
    too."""
    y = np.log(np.abs(slopes_at(banks, names, row_table(banks), beta)))
    own = [np.log(np.abs(slopes_at([b], names, own_rows(b)[None], _constant(beta, b)))) for b in banks]
    return power_law([b.size for b in banks], y, own, omega, log)


def exponent(banks: Sequence[Curves], name: str, beta: Array, omega: float, log: float = 0.0) -> Fit:
    """The power of L with which an observable grows at `beta` [row], beside a factor (ln L)^log."""
    pairs = zip(banks, row_table(banks), strict=True)
    y = np.log([hermite(b, name, row, beta)[0] for b, row in pairs])
    own = [np.log(hermite(b, name, own_rows(b), _constant(beta, b))[0])[None] for b in banks]
    return power_law([b.size for b in banks], y, own, omega, log)


def level(banks: Sequence[Curves], name: str, beta: Array, power: float, omega: float, log: float = 0.0) -> Fit:
    """The infinite-volume value at `beta` [row] of an observable that is a + b L^-power (ln L)^log."""
    pairs = list(zip(banks, row_table(banks), strict=True))
    y = np.array([hermite(b, name, row, beta)[0] for b, row in pairs])
    own = [hermite(b, name, own_rows(b), _constant(beta, b))[0][None] for b in banks]
    sizes = [b.size for b in banks]
    falling = np.array(sizes, np.float64) ** -power * np.log(sizes) ** log
    design = np.stack([np.ones(len(sizes)), falling], axis=1)
    w = weights(block_covariance(own), design, sizes, np.array([np.ptp(y[:, 0])]), omega, y[:, 0])
    gain = w.gain[0]
    return Fit(gain @ y, w.deviation(gain), float(y[:, 0] @ w.inverse @ y[:, 0]), w.freedom, w.amplitude)


def power_law(sizes: Sequence[int], y: Array, own: Sequence[Array], omega: float, log: float = 0.0) -> Fit:
    """The common slope against ln L of logarithms y [observable * size, row] less `log` times ln ln L; `own` are the
    jackknife rows of each size [observable, block] that weigh them."""
    n = len(own[0])
    log_size = np.tile(np.log(sizes), n)[:, None]
    y = y - log * np.log(log_size)
    design = np.hstack([np.kron(np.eye(n), np.ones((len(sizes), 1))), log_size])
    w = weights(block_covariance(own), design, sizes, np.ones(n), omega, y[:, 0])
    gain = w.gain[-1]
    return Fit(gain @ y, w.deviation(gain), float(y[:, 0] @ w.inverse @ y[:, 0]), w.freedom, w.amplitude)


def power_gain(statistical: Array, log_size: Array, omega: float, logs: Array) -> tuple[Array, float]:
    """The gain [size] of the slope of one observable's logarithm `logs` [size] against ln L, and the standard deviation
    that unknown corrections give it."""
    design = np.stack([np.ones(len(log_size)), log_size], axis=1)
    w = weights(statistical, design, [int(v) for v in np.round(np.exp(log_size))], np.ones(1), omega, logs)
    gain = w.gain[-1]
    return gain, w.deviation(gain)


def pair_crossing(a: Curves, b: Curves, name: str) -> Array | None:
    """beta at which R of two sizes is equal, with rows of `row_table`; None when they do not cross in the
    range."""
    table = row_table([a, b])
    change = _changes(a, b, name)
    if not len(change):
        return None
    steepest = change[np.argmax(np.abs(b.slopes[name][0])[change])]
    beta = np.full(table.shape[1], a.beta[steepest])
    for _ in range(ITERATIONS):
        (ra, sa), (rb, sb) = (hermite(c, name, t, beta) for c, t in ((a, table[0]), (b, table[1])))
        beta = np.clip(beta - (rb - ra) / (sb - sa), a.beta[0], a.beta[-1])
    inside = (beta > a.beta[0]) & (beta < a.beta[-1])
    return beta if inside.all() else None


def _changes(a: Curves, b: Curves, name: str) -> NDArray[np.int64]:
    """The points of the grid after which R of the larger size rises above that of the smaller one."""
    gap = b.values[name][0] - a.values[name][0]
    rising = b.slopes[name][0] - a.slopes[name][0] > 0.0
    return np.flatnonzero((gap[:-1] <= 0.0) & (gap[1:] > 0.0) & rising[1:])


def hermite(bank: Curves, name: str, row: NDArray[np.int64], beta: Array) -> tuple[Array, Array]:
    """An observable and its beta slope at `beta` [k] in rows `row` [k]: cubic Hermite interpolation on values
    and exact slopes."""
    y, dy = bank.values[name], bank.slopes[name]
    grid = bank.beta
    h = grid[1] - grid[0]
    k = np.clip(((beta - grid[0]) / h).astype(np.int64), 0, len(grid) - 2)
    t = (beta - grid[k]) / h
    y0, y1, d0, d1 = y[row, k], y[row, k + 1], h * dy[row, k], h * dy[row, k + 1]
    c, e = 3.0 * (y1 - y0) - 2.0 * d0 - d1, 2.0 * (y0 - y1) + d0 + d1
    return y0 + t * (d0 + t * (c + t * e)), (d0 + t * (2.0 * c + 3.0 * t * e)) / h


def slopes_at(banks: Sequence[Curves], names: Sequence[str], table: NDArray[np.int64], beta: Array) -> Array:
    """Slopes dR/dbeta [observable * size, row] at `beta` [row]: cubic interpolation of the exact covariances
    through the four nearest points of the grid."""
    out = []
    for name in names:
        for bank, row in zip(banks, table, strict=True):
            grid, s = bank.beta, bank.slopes[name]
            x = (beta - grid[0]) / (grid[1] - grid[0])
            k = np.clip(x.astype(np.int64), 1, len(grid) - 3)
            t = x - k
            cubic = (
                -t * (t - 1.0) * (t - 2.0) / 6.0 * s[row, k - 1],
                (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0 * s[row, k],
                -(t + 1.0) * t * (t - 2.0) / 2.0 * s[row, k + 1],
                (t + 1.0) * t * (t - 1.0) / 6.0 * s[row, k + 2],
            )
            out.append(np.sum(cubic, axis=0))
    return np.array(out)


def _stack(banks: Sequence[Curves], names: Sequence[str], table: NDArray[np.int64], beta: Array) -> tuple[Array, Array]:
    pairs = [hermite(b, name, row, beta) for name in names for b, row in zip(banks, table, strict=True)]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def _descend(
    banks: Sequence[Curves], names: Sequence[str], w: Weights, table: NDArray[np.int64], start: Array
) -> Array:
    """Gauss-Newton on chi^2(beta), all rows at once; stops at the ends of the range."""
    beta, grid = start, banks[0].beta
    for _ in range(ITERATIONS):
        r, slope = _stack(banks, names, table, beta)
        q = w.inverse @ slope
        beta = np.clip(beta - (q * r).sum(axis=0) / (q * slope).sum(axis=0), grid[0], grid[-1])
    return beta


def _level_weights(banks: Sequence[Curves], names: Sequence[str], beta: float, omega: float) -> Weights:
    where = np.array([beta])
    at = [np.array([hermite(b, n, own_rows(b), _constant(where, b))[0] for n in names]) for b in banks]
    design: Array = np.kron(np.eye(len(names)), np.ones((len(banks), 1))).astype(np.float64)
    scales = np.array([abs(float(row.mean())) for row in at[-1]])
    data, slope = (rows[:, 0] for rows in _stack(banks, names, np.zeros((len(banks), 1), np.int64), where))
    return weights(block_covariance(at), design, [b.size for b in banks], scales, omega, data, slope)


def own_rows(bank: Curves) -> NDArray[np.int64]:
    """The jackknife rows of one bank."""
    return np.arange(1, len(next(iter(bank.values.values()))))


def _constant(beta: Array, bank: Curves) -> Array:
    return np.full(len(own_rows(bank)), float(beta[0]))


def _largest_crossing(banks: Sequence[Curves], names: Sequence[str]) -> float:
    """Where the largest size that crosses a smaller one does so: the start of the fit."""
    for b in reversed(banks):
        for a in banks:
            for name in names:
                beta = pair_crossing(a, b, name) if a.size < b.size else None
                if beta is not None:
                    return float(beta[0])
    raise InputError(_outside(banks, names))


def _outside(banks: Sequence[Curves], names: Sequence[str]) -> str:
    """Whether no sizes cross, or some do and the fit of all, or a jackknife row of it, leaves the range."""
    sizes = ", ".join(str(b.size) for b in banks)
    low, high = 1.0 / banks[0].beta[-1], 1.0 / banks[0].beta[0]
    pairs = [(a, b, k) for name in names for a in banks for b in banks if a.size < b.size for k in _changes(a, b, name)]
    found = "none there"
    if pairs:
        a, b, k = pairs[-1]
        found = (f"sizes {a.size} and {b.size} crossing near {1.0 / a.beta[k]:.6g}, but the fit of all sizes, or one "
                 "without a block of the draws, outside: a wider ladder or more draws would hold it")  # fmt: skip
    return (
        f"crossing of {' and '.join(names)} at sizes {sizes}: expected inside the temperatures {low:.6g} to "
        f"{high:.6g} that all ladders share, found {found}"
    )
