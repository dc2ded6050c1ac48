"""Two phases in one spectrum: transition temperatures, latent heat and interface tension of a first-order transition.

Energies below `cut`, the minimum of P(E) between its two peaks, belong to the ordered phase, the others to the
disordered one. With q ordered phases, W_o = q W_d at the transition of the infinite system up to terms that vanish
exponentially with L (Borgs and Kotecky, J. Stat. Phys. 61, 79 (1990)), so that

    weight ratio q    beta = beta_t,                       exponentially fast
    weight ratio 1    beta = beta_t - ln q / (N latent),   latent = e_d - e_o > 0

(Borgs and Janke, Phys. Rev. Lett. 68, 1738 (1992)). The two interfaces of a mixed configuration in a periodic square
cost 2 sigma L = ln(P_max / P_min) at equal heights (Binder, Phys. Rev. A 25, 1699 (1982)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Measured
from hpcrg.flat_histogram.results import Histograms, Spectrum

FALL = 0.7
"""A peak is fitted where ln P is within this much of its top."""
DEGREE = 4
BARRIER = 0.1
"""Peaks of a first-order transition stand at least this much above the valley between them, in ln P."""
SEARCH = 0.2
"""Transitions are looked for within this relative distance of the first guess."""


@dataclass(frozen=True)
class Extremum:
    """Where a smooth curve through ln P has its extremum, and its height there."""

    energy: float
    ln_p: float


def smoothed(ln_p: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Running means over 2 width + 1 levels, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(ln_p)])
    k = np.arange(ln_p.size)
    low, high = np.maximum(k - width, 0), np.minimum(k + width + 1, ln_p.size)
    return np.asarray((sums[high] - sums[low]) / (high - low))


def extremum(spectrum: Spectrum, beta: float, inside: NDArray[np.bool_], sign: int, fall: float = FALL) -> Extremum:
    """The maximum (sign 1) or minimum (sign -1) of ln P among the levels `inside`, from a polynomial through the levels
    around the top of a running mean."""
    levels, ln_p = spectrum.levels[inside].astype(np.float64), spectrum.ln_p(beta)[inside]
    rough = sign * smoothed(ln_p, max(2, levels.size // 60))
    top = int(rough.argmax())
    far = rough < rough[top] - fall
    left = int(np.flatnonzero(far[:top]).max(initial=-1)) + 1
    right = top + int(np.flatnonzero(np.append(far[top:], True))[0])
    middle, half = (levels[left] + levels[right - 1]) / 2, max(1.0, (levels[right - 1] - levels[left]) / 2)
    x = (levels[left:right] - middle) / half
    curve = np.polynomial.Polynomial.fit(x, sign * ln_p[left:right], min(DEGREE, len(x) - 1), domain=[-1, 1])
    grid = np.linspace(-1, 1, 2001)
    best = float(grid[curve(grid).argmax()])
    return Extremum(middle + half * best, sign * float(curve(best)))


@dataclass(frozen=True)
class Phases:
    """The two sides of a cut energy."""

    cut: float

    def ln_ratio(self, spectrum: Spectrum, beta: float) -> float:
        """ln(W_o / W_d)."""
        raw, ordered = spectrum.ln_g - beta * spectrum.levels, spectrum.levels < self.cut
        return float(logsumexp(raw[ordered]) - logsumexp(raw[~ordered]))

    def transition(self, spectrum: Spectrum, guess: float, ratio: float = 1.0) -> float:
        """The beta where W_o = `ratio` W_d. Raises InputError when there is none near the guess."""
        return _root(lambda beta: self.ln_ratio(spectrum, beta) - float(np.log(ratio)), guess)

    def means(self, spectrum: Spectrum, beta: float) -> tuple[float, float]:
        """The mean energies below and above the cut, mixed configurations included."""
        return self._means(spectrum, np.exp(spectrum.ln_p(beta)))

    def pure_means(self, spectrum: Spectrum, beta: float) -> tuple[float, float]:
        """The mean energies of the ordered and the disordered phase without the mixed configurations. Their two
        interfaces cost the same wherever they are, so between the peaks they are a plateau as high as the valley."""
        low, high = self.peaks(spectrum, beta)
        between = (spectrum.levels > low.energy) & (spectrum.levels < high.energy)
        valley = extremum(spectrum, beta, between, -1, fall=1.0)
        return self._means(spectrum, np.exp(spectrum.ln_p(beta)) - np.where(between, math.exp(valley.ln_p), 0.0))

    def _means(self, spectrum: Spectrum, chance: NDArray[np.float64]) -> tuple[float, float]:
        ordered, weighted = spectrum.levels < self.cut, chance * spectrum.levels
        return (
            float(weighted[ordered].sum() / chance[ordered].sum()),
            float(weighted[~ordered].sum() / chance[~ordered].sum()),
        )

    def peaks(self, spectrum: Spectrum, beta: float) -> tuple[Extremum, Extremum]:
        """The tops of P(E) in the ordered and in the disordered phase."""
        ordered = spectrum.levels < self.cut
        return extremum(spectrum, beta, ordered, 1), extremum(spectrum, beta, ~ordered, 1)

    def equal_height(self, spectrum: Spectrum, guess: float) -> float:
        """The beta where both peaks are equally high. Raises InputError when there is none near equal weights."""

        def excess(beta: float) -> float:
            low, high = self.peaks(spectrum, beta)
            return low.ln_p - high.ln_p

        start = self.transition(spectrum, guess)
        unit = 1.0 / abs(np.subtract(*self.means(spectrum, start)))
        for width in (2.0 * unit, 4.0 * unit, 8.0 * unit):
            if excess(start - width) * excess(start + width) < 0:
                return float(brentq(excess, start - width, start + width, xtol=1e-9))
        raise InputError(expected("first_order", f"peaks of equal height near beta = {start:.6g}", "none"))

    def gap(self, spectrum: Spectrum, beta: float) -> float:
        """The distance between the mean energies of the phases, pure ones."""
        low, high = self.pure_means(spectrum, beta)
        return high - low

    def barrier(self, spectrum: Spectrum, beta: float) -> float:
        """ln(P_max / P_min) between the peaks, P_max being the mean of both on the logarithmic scale."""
        low, high = self.peaks(spectrum, beta)
        between = (spectrum.levels > low.energy) & (spectrum.levels < high.energy)
        valley = extremum(spectrum, beta, between, -1, fall=1.0)
        return (low.ln_p + high.ln_p) / 2 - valley.ln_p


def analyse(histograms: Histograms, volume: int, ordered_phases: int, guess: float) -> dict[str, Measured]:
    """What one size says, with replicas: `beta` (weight ratio q), `beta_equal_weight`, `beta_equal_height`,
    `energy_ordered`, `energy_disordered` and `latent`, the means of the pure phases per site at weight ratio q and
    their difference, which reach their limits as exp(-L / xi); and `barrier`, ln(P_max / P_min) at equal heights."""
    sides, q = phases(histograms.spectrum(), guess), float(ordered_phases)

    def at_ratio(f: Callable[[Spectrum, float], float]) -> Measured:
        return histograms.derive(lambda s: f(s, sides.transition(s, guess, q)) / volume)

    return {
        "beta": histograms.derive(lambda s: sides.transition(s, guess, q)),
        "beta_equal_weight": histograms.derive(lambda s: sides.transition(s, guess)),
        "beta_equal_height": histograms.derive(lambda s: sides.equal_height(s, guess)),
        "energy_ordered": at_ratio(lambda s, beta: sides.pure_means(s, beta)[0]),
        "energy_disordered": at_ratio(lambda s, beta: sides.pure_means(s, beta)[1]),
        "latent": at_ratio(sides.gap),
        "barrier": histograms.derive(lambda s: sides.barrier(s, sides.equal_height(s, guess))),
    }


def _root(f: Callable[[float], float], guess: float) -> float:
    low, high = guess * (1 - SEARCH), guess * (1 + SEARCH)
    if f(low) * f(high) > 0:
        raise InputError(expected("first_order", f"two phases of comparable weight near beta = {guess}", "one"))
    return float(brentq(f, low, high, xtol=1e-12))


def phases(spectrum: Spectrum, guess: float) -> Phases:
    """The cut at the minimum of P(E) between its peaks. Raises InputError where P(E) has not two peaks."""
    cut = spectrum.energy(steepest(spectrum, guess))
    for _ in range(3):
        trial = Phases(cut)
        beta = trial.transition(spectrum, guess)
        low, high = trial.peaks(spectrum, beta)
        between = (spectrum.levels > low.energy) & (spectrum.levels < high.energy)
        if between.sum() < 2 * DEGREE:
            raise InputError(expected("first_order", "an energy distribution with two peaks", "one peak"))
        valley = extremum(spectrum, beta, between, -1, fall=1.0)
        cut = valley.energy
    if valley.ln_p > min(low.ln_p, high.ln_p) - BARRIER:
        raise InputError(expected("first_order", f"peaks that stand {BARRIER} above the valley in ln P", "one peak"))
    return Phases(cut)


def steepest(spectrum: Spectrum, guess: float) -> float:
    """The beta near the guess where the energy falls fastest, its variance being largest: both phases weigh alike
    there."""
    width = SEARCH
    for _ in range(4):
        grid = guess * (1 + width * np.linspace(-1, 1, 161))
        guess = float(grid[np.argmax([spectrum.variance(beta) for beta in grid])])
        width /= 40
    return guess
