"""Data collapse by Gaussian processes: T_c and nu for which all sizes lie on one smooth curve, and whether
they do.

Observable o at size L and control parameter t obeys y = l^kappa f_o(x), x = (t - t_c) l^(1/nu), l = L/L_0, with a
factor (ln L / ln L_0)^log in x where that power is known.
Nothing is known of f_o but that it is smooth: a Gaussian process with amplitude A and length s,

    cov(y, y') = (l l')^kappa (A^2 exp(-(x - x')^2/(2 s^2)) + constant) C(L, L') + error^2 delta,
    C(L, L') = 1 + AMPLITUDE^2 (L L'/REFERENCE^2)^-omega.

C lets every size deviate by a smooth correction of unknown shape that dies as
L^-omega (corrections.py has its amplitude). Minus the log marginal likelihood is minimised over t_c, 1/nu, A,
s (and kappa where asked) with its analytic gradient, by L-BFGS-B from several starts. Harada, Phys. Rev. E
84, 056704 (2011).

The estimate responds linearly to its data, d theta = gain . dy, gain = -H^-1 d^2 NLL/(d theta dy); jackknife
rows and the part of the unknown corrections in the error both come from the gain.

Quality: chi^2 of the residuals over the freedom that the smoother leaves. A collapse is `bad` when its chi^2
is improbable (below 1e-4; observables of the same draws count as one), when little freedom is left, or when
the sizes do not overlap on the axis x; a minimum of the likelihood without overlap means nothing (Houdayer
and Hartmann's S = 0 trap).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, stats

from hpcrg.analysis.corrections import AMPLITUDE, OMEGA, REFERENCE
from hpcrg.errors import InputError, expected

Array = NDArray[np.float64]
INVERSE_NU = (0.3, 4.0)
STARTS = (0.7, 1.0, 1.6)
LENGTHS = (0.08, 5.0)
MIN_OVERLAP = 0.5
IMPROBABLE = 1e-4


@dataclass(frozen=True)
class Data:
    """Points of one observable: size, control parameter, value and error, each [point]. `kappa_free` asks for
    the exponent kappa too; it is 0 otherwise."""

    name: str
    size: Array
    control: Array
    value: Array
    error: Array
    kappa_free: bool = False


Part = tuple[Data, int | None, float, float, float]


@dataclass(frozen=True)
class Collapse:
    """A fit. `theta` = (t_c, 1/nu, kappa of the observables that asked for one); `gain` [theta, point] is its
    response to the data (points of all observables in order); `prior` the standard deviation of theta from
    unknown corrections; `chi2` over `freedom`; `overlap` the least share, over sizes, of points that lie
    among those of another size; `bad` says why the collapse cannot be trusted, or is empty; `log` is the known power
    of ln L in x."""

    theta: Array
    gain: Array
    prior: Array
    chi2: float
    freedom: float
    overlap: float
    bad: str
    log: float = 0.0

    @property
    def quality(self) -> float:
        """chi^2 over the freedom left."""
        return self.chi2 / max(self.freedom, 1e-9)


@dataclass(frozen=True)
class _Problem:
    """Scaled parameters: p = ((t_c - middle)/half, 1/nu, kappas..., then ln A and ln s of each
    observable)."""

    data: Sequence[Data]
    middle: float
    half: float
    size_0: float
    omega: float
    log: float = 0.0

    @property
    def kappas(self) -> int:
        return sum(d.kappa_free for d in self.data)

    def parts(self, p: Array) -> list[Part]:
        """For each observable: its data, the index of its kappa in p, kappa, ln A, ln s."""
        out = []
        k = 2
        first = 2 + self.kappas
        for i, d in enumerate(self.data):
            index = k if d.kappa_free else None
            kappa = float(p[k]) if d.kappa_free else 0.0
            k += d.kappa_free
            out.append((d, index, kappa, float(p[first + 2 * i]), float(p[first + 2 * i + 1])))
        return out

    def kernel(self, p: Array, part: Part) -> tuple[Array, Array, dict[int, Array]]:
        """Signal covariance, its correction part, and the derivatives of the signal by parameters 0, 1 and
        kappa."""
        d, index, kappa, log_a, log_s = part
        log_l = np.log(d.size / self.size_0)
        stretch = np.exp(p[1] * log_l) * (np.log(d.size) / np.log(self.size_0)) ** self.log
        x = (d.control - self.middle - self.half * p[0]) / self.half * stretch
        gap = x[:, None] - x
        spread = float(np.mean(d.value**2))
        smooth = spread * np.exp(2.0 * log_a - 0.5 * gap**2 * np.exp(-2.0 * log_s))
        both = log_l[:, None] + log_l
        correction = AMPLITUDE**2 * (d.size[:, None] * d.size / REFERENCE**2) ** -self.omega
        factor = np.exp(kappa * both) * (1.0 + correction)
        bell, whole = factor * smooth, factor * (smooth + spread)
        by_gap = -bell * gap * np.exp(-2.0 * log_s)
        slopes = {0: by_gap * (stretch - stretch[:, None]), 1: by_gap * ((x * log_l)[:, None] - x * log_l)}
        if index is not None:
            slopes[index] = whole * both
        amplitude = 2 + self.kappas + 2 * next(i for i, e in enumerate(self.data) if e is d)
        slopes[amplitude] = 2.0 * bell
        slopes[amplitude + 1] = bell * gap**2 * np.exp(-2.0 * log_s)
        return whole, np.exp(kappa * both) * correction * (smooth + spread), slopes

    def minus_log_likelihood(self, p: Array) -> tuple[float, Array]:
        """NLL and its gradient."""
        value, slope = 0.0, np.zeros_like(p)
        for part in self.parts(p):
            d = part[0]
            signal, _, slopes = self.kernel(p, part)
            factor = linalg.cho_factor(signal + np.diag(d.error**2), lower=True)
            inverse = linalg.cho_solve(factor, np.eye(len(d.value)))
            alpha = inverse @ d.value
            value += 0.5 * float(d.value @ alpha) + float(np.log(np.diag(factor[0])).sum())
            for k, dk in slopes.items():
                slope[k] += 0.5 * float(np.sum(inverse * dk)) - 0.5 * float(alpha @ dk @ alpha)
        return value, slope


def fit(data: Sequence[Data], guess: float | None = None, omega: float = OMEGA, log: float = 0.0) -> Collapse:
    """Collapse one or more observables on common t_c and nu. `guess` is a starting t_c; the middle and
    quarters of the range are tried too; `log` is a known power of ln L in x. Raises InputError with fewer than two
    sizes."""
    sizes = np.unique(np.concatenate([d.size for d in data]))
    if len(sizes) < 2:
        raise InputError(expected("collapse", "at least 2 sizes", len(sizes)))
    control = np.concatenate([d.control for d in data])
    low, high = float(control.min()), float(control.max())
    problem = _Problem(data, 0.5 * (low + high), 0.5 * (high - low), float(np.exp(np.log(sizes).mean())), omega, log)
    p = _search(problem, guess)
    return _assess(problem, p)


def _search(problem: _Problem, guess: float | None) -> Array:
    n = len(problem.data)
    bounds = [(-1.0, 1.0), INVERSE_NU] + problem.kappas * [(-4.0, 4.0)]
    bounds += n * [(-4.0, 4.0), (float(np.log(LENGTHS[0])), float(np.log(LENGTHS[1])))]
    middles = [-0.5, 0.0, 0.5] if guess is None else [(guess - problem.middle) / problem.half]
    best: tuple[float, Array] = (np.inf, np.zeros(0))
    for t, a in itertools.product(middles, STARTS):
        start = np.array([t, a, *(problem.kappas * [0.0]), *(n * [-0.5, -0.5])])
        found = optimize.minimize(
            problem.minus_log_likelihood,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 300, "ftol": 1e-11, "gtol": 1e-6},
        )
        if found.fun < best[0] - 1e-9:
            best = (float(found.fun), np.asarray(found.x))
    return best[1]


def _assess(problem: _Problem, p: Array) -> Collapse:
    points = sum(len(d.value) for d in problem.data)
    mixed, prior = np.zeros((len(p), points)), np.zeros((points, points))
    chi2, freedom, at = 0.0, -float(2 + problem.kappas), 0
    for part in problem.parts(p):
        d = part[0]
        n = len(d.value)
        signal, correction, slopes = problem.kernel(p, part)
        inverse = np.linalg.inv(signal + np.diag(d.error**2))
        alpha = inverse @ d.value
        chi2 += float(np.sum((d.error * alpha) ** 2))
        freedom += float(np.sum(d.error**2 * np.diag(inverse)))
        for k, dk in slopes.items():
            mixed[k, at : at + n] = -(inverse @ dk @ alpha)
        prior[at : at + n, at : at + n] = correction
        at += n
    gain = -_inverse_hessian(problem, p) @ mixed
    scale = np.array([problem.half, 1.0, *(problem.kappas * [1.0])])
    kept = gain[: len(scale)] * scale[:, None]
    theta = p[: len(scale)] * scale + np.array([problem.middle, 0.0, *(problem.kappas * [0.0])])
    overlap = _overlap(problem.data, theta, problem.log)
    from_prior = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", kept, prior, kept), 0.0))
    return Collapse(
        theta, kept, from_prior, chi2, freedom, overlap, _verdict(problem, p, chi2, freedom, overlap, points),
        problem.log,
    )  # fmt: skip


def _inverse_hessian(problem: _Problem, p: Array) -> Array:
    """Of the NLL, by central differences of its analytic gradient; directions that the data leave open, or
    that stand at a bound, do not respond."""
    hessian = np.zeros((len(p), len(p)))
    for k in range(len(p)):
        h = np.zeros(len(p))
        h[k] = 1e-5
        difference = problem.minus_log_likelihood(p + h)[1] - problem.minus_log_likelihood(p - h)[1]
        hessian[k] = difference / 2e-5
    values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
    open_ = values < 1e-7 * values.max()
    inverse = np.where(open_, 0.0, 1.0 / np.where(open_, 1.0, values))
    out: Array = (vectors * inverse) @ vectors.T
    return out


def _overlap(data: Sequence[Data], theta: Array, log: float) -> float:
    shares = []
    for d in data:
        x = (d.control - theta[0]) * d.size ** theta[1] * np.log(d.size) ** log
        for size in np.unique(d.size):
            others = [x[d.size == s] for s in np.unique(d.size) if s != size]
            mine = x[d.size == size]
            shared = np.any([(mine >= o.min()) & (mine <= o.max()) for o in others], axis=0)
            shares.append(float(shared.mean()))
    return min(shares)


def _verdict(problem: _Problem, p: Array, chi2: float, freedom: float, overlap: float, points: int) -> str:
    if overlap < MIN_OVERLAP:
        return f"only {overlap:.0%} of the points of some size lie among those of another"
    if not (-0.999 < p[0] < 0.999 and INVERSE_NU[0] * 1.001 < p[1] < INVERSE_NU[1] * 0.999):
        return "the best collapse lies at the edge of what was searched"
    if freedom < 0.1 * points:
        return f"the curve is so flexible that {freedom:.1f} degrees of freedom are left of {points} points"
    if stats.chi2.sf(chi2 / len(problem.data), freedom / len(problem.data)) < IMPROBABLE:
        return f"chi^2 is {chi2:.1f} for {freedom:.1f} degrees of freedom"
    return ""
