"""Multi-histogram reweighting by unique energy levels: exact MBAR for H = beta E, with jackknife blocks.

With n(E) measurements at level E over all slots k, of which slot k gave N_k, the free energies f_k minimise
the convex

    Phi(f) = sum_E n(E) ln D(E) - sum_k N_k f_k,    D(E) = sum_k N_k exp(f_k - beta_k E)

(Newton, from thermodynamic integration; the gauge is f_0 = 0), and at any beta

    <A> = sum_E A(E) exp(-beta E)/D(E) / sum_E n(E) exp(-beta E)/D(E),   A(E) the sum of A over measurements
    at E.

Derivatives are covariances, d<A>/d beta = -(<A E> - <A><E>), never differences of fits. Ferrenberg and
Swendsen, Phys. Rev. Lett. 63, 1195 (1989); Shirts and Chodera, J. Chem. Phys. 129, 124105 (2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.levels import BankSums, Levels
from hpcrg.errors import InputError

Array = NDArray[np.float64]
NEWTON_STEPS = 60
TOLERANCE = 1e-11
NO_OVERLAP = (
    "reweighting: expected energy histograms of neighbouring temperatures that overlap, found a gap; "
    "put temperatures closer together"
)
COUNT = 0


@dataclass(frozen=True)
class Pool:
    """Levels over all slots: sums of everything [level, column], column 0 the count, and of each jackknife
    block [block, level, column]. `energy` is measured from `centre`; `counts` are measurements [slot,
    block]."""

    energy: Array
    centre: float
    total: Array
    blocks: Array
    betas: Array
    counts: Array


@dataclass(frozen=True)
class Curves:
    """Observables at `beta` [beta]: `values[name]` is [1 + blocks, beta], row 0 from everything, row 1 + b
    without block b; `slopes[name]` are the derivatives with respect to beta."""

    id: str
    size: int
    beta: Array
    values: Mapping[str, Array]
    slopes: Mapping[str, Array]


def pool(blocks: Sequence[Sequence[Levels]], betas: Array, unit: float = 1.0) -> Pool:
    """Merge levels [slot][block], slot after slot, on the union of their energies, which are in units of `unit`."""
    energy = np.unique(np.concatenate([block.energy for row in blocks for block in row]))
    sums = np.zeros((len(blocks[0]), len(energy), blocks[0][0].sums.shape[1]))
    for row in blocks:
        for b, block in enumerate(row):
            sums[b] += block.aligned(energy)
    centre = float(np.round(energy.mean()))
    counts = np.array([[block.sums[:, COUNT].sum() for block in row] for row in blocks])
    return Pool((energy - centre) * unit, centre * unit, sums.sum(axis=0), sums, betas, counts)


def free_energies(betas: Array, counts: Array, energy: Array, n: Array, start: Array) -> Array:
    """The f_k [slot] of the module's formula, f_0 = 0, from `start`; `n` are counts at the levels.

    Raises InputError when Newton does not converge (histograms that do not overlap at all).
    """
    f: Array = start - start[0]
    phi, gradient, hessian = _objective(f, betas, counts, energy, n)
    for _ in range(NEWTON_STEPS):
        if len(f) == 1 or np.abs(gradient).max() < TOLERANCE * counts.sum():
            return f
        step = np.zeros_like(f)
        step[1:] = -_solve(hessian[1:, 1:], gradient[1:])
        scale = 1.0
        while scale > 1e-6:
            trial = _objective(f + scale * step, betas, counts, energy, n)
            if trial[0] <= phi + 1e-12 * abs(phi):
                break
            scale /= 2.0
        f = f + scale * step
        phi, gradient, hessian = trial
        if np.abs(step).max() < 1e-13 * max(1.0, np.abs(f).max()):
            return f
    raise InputError(NO_OVERLAP)


def _solve(matrix: Array, right: Array) -> Array:
    try:
        step: Array = np.asarray(np.linalg.solve(matrix, right), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise InputError(NO_OVERLAP) from None
    return step


def thermodynamic_start(data: Pool, means: Array) -> Array:
    """f_k by the trapezoidal rule over the mean energies [slot]: df/dbeta = <E>."""
    steps = 0.5 * (means[1:] + means[:-1] - 2.0 * data.centre) * np.diff(data.betas)
    start: Array = np.concatenate([[0.0], np.cumsum(steps)])
    return start


def reweighted(data: Pool, means: Array, beta: Array) -> Array:
    """Moments [moment, 1 + blocks, beta]: <E> and <E^2> about the centre, then <A> and cov(A, E) of every
    column after the count; `means` are mean energies [slot]. Raises InputError when histograms do not
    overlap."""
    counts = data.counts.sum(axis=1)
    f = free_energies(data.betas, counts, data.energy, data.total[:, COUNT], thermodynamic_start(data, means))
    _connected(data, f, counts)
    rows = [_moments(data, data.total, f, counts, beta)]
    for b, block in enumerate(data.blocks):
        rest, left = data.total - block, counts - data.counts[:, b]
        replica = free_energies(data.betas, left, data.energy, rest[:, COUNT], f)
        rows.append(_moments(data, rest, replica, left, beta))
    return np.stack(rows, axis=1)


def curves(sums: BankSums, beta: Array) -> Curves:
    """All observables of one bank at the inverse temperatures `beta`, with jackknife rows."""
    data = pool(sums.blocks, sums.betas, sums.unit)
    moments = reweighted(data, sums.series[..., 0].mean(axis=(1, 2)), beta)
    values, slopes = observables(moments, data.centre, beta, sums)
    return Curves(sums.id, sums.size, beta, values, slopes)


def observables(
    moments: Array, centre: float, beta: Array, sums: BankSums
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Observables and their beta slopes from moments [moment, ..., beta]: <E>, <E^2> about `centre`, then <A>
    and the covariance of A with E for each column after the count."""
    energy, square, *rest = moments
    abs_m, m2, m4, structure = rest[0::2]
    d_abs, d2, d4, d_structure = (-x for x in rest[1::2])
    heat = square - energy**2
    volume, n = sums.volume, sums.components
    ratio = n / (n + 2.0) * m4 / m2**2
    k_factor = 1.0 / (2.0 * np.sin(np.pi / sums.size) * sums.size)
    over = np.maximum(m2 / structure - 1.0, 1e-300)
    xi = np.sqrt(over) * k_factor
    values = {
        "energy": (energy + centre) / volume,
        "heat": beta**2 * heat / volume,
        "abs_m": abs_m,
        "m2": m2,
        "chi": beta * volume * (m2 - abs_m**2),
        "u4": 1.0 - ratio,
        "xi": xi,
    }
    d_over = (d2 - m2 * d_structure / structure) / structure
    slopes = {
        "energy": -heat / volume,
        "abs_m": d_abs,
        "m2": d2,
        "u4": -ratio * (d4 / m4 - 2.0 * d2 / m2),
        "xi": 0.5 * xi * d_over / over,
        "ln_abs_m": d_abs / abs_m,
        "ln_m2": d2 / m2,
    }
    return values, slopes


def _connected(data: Pool, f: Array, counts: Array) -> None:
    """Refuse slots that share less than one measurement with all those beyond them."""
    share, _ = _shares(f, data.betas, counts, data.energy)
    common = (share * data.total[:, COUNT]) @ share.T
    for k in range(1, len(f)):
        if common[:k, k:].sum() < 1.0:
            t = 1.0 / data.betas
            raise InputError(f"{NO_OVERLAP}, between T = {t[k - 1]:.6g} and {t[k]:.6g}")


def _objective(f: Array, betas: Array, counts: Array, energy: Array, n: Array) -> tuple[float, Array, Array]:
    share, log_d = _shares(f, betas, counts, energy)
    phi = float(n @ log_d - counts @ f)
    held = share @ n
    hessian = np.diag(held) - (share * n) @ share.T
    return phi, held - counts, hessian


def _shares(f: Array, betas: Array, counts: Array, energy: Array) -> tuple[Array, Array]:
    """W[slot, level] = N_k exp(f_k - beta_k E)/D(E), and ln D(E)."""
    terms = (np.log(counts) + f)[:, None] - betas[:, None] * energy
    top = terms.max(axis=0)
    weights = np.exp(terms - top)
    total = weights.sum(axis=0)
    return weights / total, top + np.log(total)


def _moments(data: Pool, sums: Array, f: Array, counts: Array, beta: Array) -> Array:
    """[moment, beta]: <E>, <E^2>, then <A> and cov(A, E) for every column after the count."""
    e = data.energy
    _, log_d = _shares(f, data.betas, counts, e)
    seen = sums[:, COUNT] > 1e-9
    log_w = np.where(seen, -beta[:, None] * e - log_d, -np.inf)
    w = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    z = w @ sums[:, COUNT]
    mean = (w @ (sums[:, COUNT] * e)) / z
    square = (w @ (sums[:, COUNT] * e**2)) / z
    out = [mean, square]
    for column in range(COUNT + 1, sums.shape[1]):
        value = (w @ sums[:, column]) / z
        mixed = (w @ (sums[:, column] * e)) / z
        out += [value, mixed - value * mean]
    return np.array(out)
