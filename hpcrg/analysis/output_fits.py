"""T_c from where a feature of the outputs lies at each size, and nu from how steep it is there: least squares with
corrections as a prior. What the parts of the errors mean stands in outputs.py."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis import crossing
from hpcrg.analysis.corrections import OMEGA, OMEGAS
from hpcrg.analysis.output_curves import Half, SizeCurves
from hpcrg.errors import InputError
from hpcrg.estimate import Measured

Array = NDArray[np.float64]
STRETCH = (0.75, 1.0, 4.0 / 3.0)


def extrapolated(
    sizes: Sequence[SizeCurves], halves: Sequence[Half], power: float
) -> tuple[Measured, dict[str, float]]:
    """T_c by least squares of t_half(L) = T_c + a L^-lambda with the prior |a| of order t_half."""
    rows, own = _rows(sizes, [h.t for h in halves])
    spread = np.array([h.t_spread for h in halves])
    seeds = np.array([h.seeds for h in halves], dtype=np.float64)
    variance = own**2 + spread**2 / seeds
    scale = float(rows[-1, 0])
    fits, corrections = {}, {}
    for stretch in STRETCH:
        f = scale * np.array([float(s.size) ** (-power * stretch) for s in sizes])
        corrections[stretch] = f
        total = np.linalg.inv(np.diag(variance) + np.outer(f, f))
        gain = total.sum(axis=0) / total.sum()
        fits[stretch] = (gain, abs(float(gain @ f)))
    gain, prior = fits[1.0]
    values = [float(g @ rows[:, 0]) for g, _ in fits.values()]
    parts = {
        "seed": float(np.sqrt((gain * spread) @ (gain * spread))),
        "misfit": misfit(rows[:, 0], variance, gain, np.ones((len(sizes), 1)), corrections[1.0]),
        "size": prior,
        "ansatz": 0.5 * (max(values) - min(values)),
    }
    fitted = gain @ rows
    return (float(fitted[0]), replicas(sizes, fitted)), parts


def misfit(values: Array, variance: Array, gain: Array, design: Array, correction: Array) -> float:
    """How far the error of gain @ values [size] has to be widened, in quadrature, for residuals from `design` and a
    `correction` of unit amplitude, which takes a degree of freedom too, to have the chi^2 of those left."""
    freedom = len(values) - design.shape[1] - 1
    if freedom < 1:
        return 0.0
    root = np.linalg.cholesky(np.diag(variance) + np.outer(correction, correction))
    whitened = np.linalg.solve(root, np.column_stack([design, values]))
    best, *_ = np.linalg.lstsq(whitened[:, :-1], whitened[:, -1], rcond=None)
    chi2 = float(np.sum((whitened[:, -1] - whitened[:, :-1] @ best) ** 2))
    return math.sqrt(float(gain**2 @ variance) * max(0.0, chi2 / freedom - 1.0))


def from_slopes(
    sizes: Sequence[SizeCurves], halves: Sequence[Half], log: float
) -> tuple[Measured, dict[str, float]]:  # fmt: skip
    """nu from ln |dP/dbeta| at the half-crossings against ln L, with corrections as a prior; slopes grow with a known
    power `log` of ln L too."""
    rows, own = _rows(sizes, [np.log(np.abs(h.slope)) for h in halves])
    spread = np.array([h.slope_spread for h in halves])
    seeds = np.array([h.seeds for h in halves], dtype=np.float64)
    variance = own**2 + spread**2 / seeds
    log_size = np.log([s.size for s in sizes])
    plain = rows
    rows = plain - log * np.log(log_size)[:, None]
    fits = {w: crossing.power_gain(np.diag(variance), log_size, w, rows[:, 0]) for w in OMEGAS}
    gain, prior = fits[OMEGA]
    fitted = gain @ rows
    y = float(fitted[0])
    if y <= 0.0:
        raise InputError(f"slopes at the half-crossings: expected growth with size, found the power {y:.3g}")
    values = [1.0 / max(float(g @ rows[:, 0]), 1e-3) for g, _ in fits.values()]
    seed = float(np.sqrt((gain * spread) @ (gain * spread)))
    design = np.stack([np.ones(len(sizes)), log_size], axis=1)
    scatter = misfit(rows[:, 0], variance, gain, design, np.exp(-OMEGA * log_size))
    parts = {"seed": seed / y**2, "misfit": scatter / y**2, "size": prior / y**2,
             "ansatz": 0.5 * (max(values) - min(values))}  # fmt: skip
    if log:
        without = float((gain @ plain)[0])
        parts["logarithms"] = 0.5 * abs(1.0 / max(without, 1e-3) - 1.0 / y)
    return (1.0 / y, replicas(sizes, 1.0 / fitted)), parts


def _rows(sizes: Sequence[SizeCurves], each: Sequence[Array]) -> tuple[Array, Array]:
    """Rows [size, row], row 0 everything, then without each block of each size in turn; errors [size]."""
    table = crossing.row_table([s.curves for s in sizes])
    rows = np.array([values[row] for values, row in zip(each, table, strict=True)])
    n = np.array([len(v) - 1 for v in each])
    errors = [math.sqrt((k - 1) / k * float(np.sum((v[1:] - v[1:].mean()) ** 2))) for v, k in zip(each, n, strict=True)]
    return rows, np.array(errors)


def replicas(sizes: Sequence[SizeCurves], rows: Array) -> dict[str, Array]:
    """The replicas of a number by the bank that they leave a block out of."""
    return crossing.replicas([s.curves for s in sizes], rows)
