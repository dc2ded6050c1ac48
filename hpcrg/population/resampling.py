"""Resampling and families of population annealing, averages over chains; formulas in hpcrg/population/cooling.py."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.jit import part
from hpcrg.rng import fraction, hash64


@part
def offset(key, step):  # type: ignore[no-untyped-def]
    """Where in [0, 1) the comb of a resampling starts."""
    return fraction(hash64(key, step))


def resample(
    key: np.uint64, step: int, energies: NDArray[np.float64], change: float
) -> tuple[NDArray[np.int64], float]:  # fmt: skip
    """The walker that every lane copies, int64[R], and ln Q; a pure function, the same on every rank."""
    from scipy.special import logsumexp  # slow to load, and few campaigns ask

    raw = -change * energies
    ln_q = float(logsumexp(raw) - np.log(raw.size))
    ends = np.cumsum(np.exp(raw - ln_q))
    marks = (np.arange(raw.size) + offset(key, step)) * (ends[-1] / raw.size)
    return np.minimum(np.searchsorted(ends, marks, side="right"), raw.size - 1).astype(np.int64), ln_q


def culled_fraction(energies: NDArray[np.float64], change: float) -> float:
    """The mean fraction of walkers that leave no copy: the mean of max(0, 1 - tau)."""
    from scipy.special import logsumexp

    raw = -change * energies
    tau = np.exp(raw - logsumexp(raw) + np.log(raw.size))
    return float(np.maximum(0.0, 1.0 - tau).mean())


def next_step(energies: NDArray[np.float64], longest: float, culled: float) -> float:
    """The step in beta at which a fraction `culled` goes, or `longest` if that is shorter."""
    from scipy.optimize import brentq

    if culled_fraction(energies, longest) <= culled:
        return longest
    return float(brentq(lambda change: culled_fraction(energies, change) - culled, 0.0, longest))


def family_sizes(family: NDArray[np.int64]) -> tuple[float, float]:
    """S = -sum nu ln nu and rho_t = R sum nu^2 of the families' shares nu."""
    share_of = np.bincount(family) / family.size
    alive = share_of[share_of > 0]
    return float(-(alive * np.log(alive)).sum()), float(family.size * (alive**2).sum())


def ln_z(ln_q: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of Z(beta) / Z(0) at every step; Z(0) = states^N of discrete spins."""
    return np.cumsum(ln_q, axis=-1)


def combine(values: NDArray[np.float64], ln_z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The mean over independent chains of values[chain] at one step, each chain weighted with its Z, exp(ln_z[chain]),
    which takes away the bias of finite populations; and the leave-one-out values."""
    weights = np.exp(ln_z - ln_z.max())
    total, norm = (weights * values).sum(), weights.sum()
    return float(total / norm), (total - weights * values) / (norm - weights)


def combine_ln_z(ln_z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """ln of the mean Z over chains, which is not biased, and the leave-one-out values."""
    weights = np.exp(ln_z - ln_z.max())
    rest = (weights.sum() - weights) / (weights.size - 1)
    return float(np.log(weights.mean()) + ln_z.max()), np.log(rest) + ln_z.max()
