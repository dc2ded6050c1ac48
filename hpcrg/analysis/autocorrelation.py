"""Autocorrelation: the Gamma method with automatic windowing, and the blocked jackknife.

The integrated autocorrelation time is tau = 1/2 + sum_{t >= 1} rho(t) everywhere in hpcrg, so that

    error(mean)^2 = 2 tau variance / n,

and white noise has tau = 1/2. Emcee and others quote 2 tau. The sum stops at the window W that balances the
bias of cutting against the noise of going on: the first W with exp(-W/s) < s/sqrt(W n), s = S / ln((2 tau +
1)/(2 tau - 1)). Wolff, Comput. Phys. Commun. 156, 143 (2004), sections 3.2 and 3.3.

Axes: chain, measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected

Array = NDArray[np.float64]
STRETCH = 1.5
"""Wolff's S: the assumed ratio of the exponential to the integrated autocorrelation time."""


@dataclass(frozen=True)
class GammaResult:
    """A mean with its error: `tau` in units of the spacing of the series, `window` the W used, `samples` in
    all."""

    mean: float
    error: float
    variance: float
    tau: float
    tau_error: float
    window: int
    samples: int

    @property
    def effective(self) -> float:
        """The number of independent measurements that the series is worth, samples/(2 tau)."""
        return self.samples / (2.0 * self.tau)


def gamma_method(series: Array, stretch: float = STRETCH) -> GammaResult:
    """Mean, error and tau of chains [chain, measurement] about their common mean.

    Raises InputError with fewer than 4 measurements a chain. A constant series has error 0 and tau 1/2.
    """
    chains = _checked(series)
    return about(chains, np.full(len(chains), chains.mean()), stretch)


def gamma_within(series: Array, stretch: float = STRETCH) -> GammaResult:
    """As `gamma_method`, each chain about its own mean: what the chains say about themselves, whether or not
    they agree with one another. Raises InputError with fewer than 4 measurements a chain."""
    chains = _checked(series)
    return about(chains, chains.mean(axis=1), stretch)


def about(chains: Array, centres: Array, stretch: float) -> GammaResult:
    """The Gamma method of chains [chain, measurement] about given centres [chain]."""
    n = chains.size
    free = len(np.unique(centres))
    gamma = autocovariance(chains - centres[:, None])
    if gamma[0] <= 0.0:
        return GammaResult(float(chains.mean()), 0.0, 0.0, 0.5, 0.0, 0, n)
    tau_at = 0.5 + np.concatenate([[0.0], np.cumsum(gamma[1:] / gamma[0])])
    window = _window(tau_at, n, stretch)
    # Wolff (2004) eq. 49: subtracting `free` fitted means lowers every Gamma(t) by about C/n each
    whole = 2.0 * max(tau_at[window], 1e-12) * gamma[0]
    corrected = gamma[: window + 1] + free * whole / n
    tau = max(0.5 + float(corrected[1:].sum() / corrected[0]), 1e-12)
    error = math.sqrt(2.0 * tau * corrected[0] / n)
    tau_error = tau * math.sqrt(4.0 * max(window + 0.5 - tau, 0.25) / n)
    return GammaResult(float(chains.mean()), error, float(corrected[0]), tau, tau_error, window, n)


def autocovariance(deviations: Array) -> Array:
    """Gamma(t) for t = 0 .. n/2 of chains [chain, measurement] whose centre is taken out, averaged over
    chains."""
    n = deviations.shape[1]
    length = 1 << (2 * n - 1).bit_length()
    power = np.zeros(length // 2 + 1)
    for row in deviations:
        spectrum = np.fft.rfft(row, length)
        power += spectrum.real**2 + spectrum.imag**2
    lags = n // 2 + 1
    total: Array = np.fft.irfft(power, length)[:lags]
    total /= len(deviations) * (n - np.arange(lags))
    return total


def block_means(series: Array, blocks: int) -> Array:
    """Means [chain * blocks] of equal consecutive blocks of [chain, measurement], the trailing remainder
    dropped."""
    size = series.shape[1] // blocks
    means: Array = series[:, : size * blocks].reshape(len(series), blocks, size).mean(axis=2)
    return means.reshape(-1)


def leave_one_out(blocks: Array) -> Array:
    """Jackknife replicas of a mean or a sum of equal blocks, along the first axis: the mean without each
    block."""
    replicas: Array = (blocks.sum(axis=0) - blocks) / (len(blocks) - 1)
    return replicas


def _checked(series: Array) -> Array:
    chains = np.atleast_2d(np.asarray(series, dtype=np.float64))
    if chains.shape[1] < 4:
        raise InputError(expected("autocorrelation", "at least 4 measurements a chain", chains.shape[1]))
    return chains


def _window(tau_at: Array, n: int, stretch: float) -> int:
    w = np.arange(1, len(tau_at))
    tau = np.maximum(tau_at[1:], 0.5 + 1e-9)
    scale = stretch / np.log((2.0 * tau + 1.0) / (2.0 * tau - 1.0))
    going_down = np.exp(-w / scale) - scale / np.sqrt(w * float(n)) < 0.0
    return int(w[going_down.argmax()]) if going_down.any() else len(tau_at) - 1
