"""What follows from multicanonical histograms: ln g(E), and canonical averages at any temperature of the window,

    ln g(E) = ln H(E) - ln w(E) + constant,    <f>(beta) = sum over E of f(E) g(E) e^(-beta E) / sum of g(E) e^(-beta E)

(Ferrenberg and Swendsen, Phys. Rev. Lett. 61, 2635 (1988)). Errors are jackknife errors over the blocks of all chains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from hpcrg.estimate import Measured
from hpcrg.producing import Produced


@dataclass(frozen=True)
class Spectrum:
    """ln g[level] at the energies levels[level] that were visited, up to a constant."""

    levels: NDArray[np.int64]
    ln_g: NDArray[np.float64]

    def ln_p(self, beta: float) -> NDArray[np.float64]:
        """The logarithm of the canonical distribution of the energy, normalised."""
        raw = self.ln_g - beta * self.levels
        return np.asarray(raw - logsumexp(raw), np.float64)

    def average(self, values: NDArray[Any], beta: float) -> float:
        """The canonical average of values[level]."""
        return float(np.exp(self.ln_p(beta)) @ values)

    def energy(self, beta: float) -> float:
        """The mean energy."""
        return self.average(self.levels, beta)

    def variance(self, beta: float) -> float:
        """The variance of the energy, T^2 times the heat capacity."""
        return self.average((self.levels - self.energy(beta)) ** 2, beta)

    def ln_z(self, beta: float, states: float) -> float:
        """ln Z where the window holds all exp(`states`) configurations: `states` = N ln q."""
        return float(logsumexp(self.ln_g - beta * self.levels) - logsumexp(self.ln_g)) + states


@dataclass(frozen=True)
class Histograms:
    """Counts of every step, int64[block, level], taken with the weights ln_w[level] at the energies levels[level];
    `source` names them among the replicas of an estimate."""

    levels: NDArray[np.int64]
    ln_w: NDArray[np.float64]
    counts: NDArray[np.int64]
    source: str

    def spectrum(self, without: int | None = None) -> Spectrum:
        """The spectrum of all blocks, or of all but one."""
        counts = self.counts.sum(axis=0) - (0 if without is None else self.counts[without])
        seen = counts > 0
        return Spectrum(self.levels[seen], np.log(counts[seen]) - self.ln_w[seen])

    def derive(self, f: Callable[[Spectrum], float]) -> Measured:
        """A number that follows from the spectrum, with its replicas."""
        replicas = np.array([f(self.spectrum(without=b)) for b in range(len(self.counts))])
        return f(self.spectrum()), {self.source: replicas}


def histograms(produced: Produced, levels: NDArray[np.int64]) -> Histograms:
    """The blocks of all chains at the energies `levels`."""
    counts = produced["histogram"]
    return Histograms(levels, produced["ln_w"][0], counts.reshape(-1, counts.shape[-1]), produced.source)


def canonical(produced: Produced, levels: NDArray[np.int64], values: NDArray[np.float64], beta: float) -> Measured:
    """The canonical average of a measured quantity, values[chain, block, row], such as
    `model.order2(produced["order"], N)`, with its replicas."""
    energies, measured = (v.reshape(-1, v.shape[-1]) for v in (produced["energies"], values))
    exponent = -beta * energies - produced["ln_w"][0][energies - levels[0]]
    chance = np.exp(exponent - exponent.max())
    blocks = np.stack([(chance * measured).sum(axis=1), chance.sum(axis=1)])
    total = blocks.sum(axis=1)
    rest = total[:, None] - blocks
    return float(total[0] / total[1]), {produced.source: rest[0] / rest[1]}
