"""Observables at the simulated temperatures themselves, each with an error that knows its autocorrelation.

The observables are functions of the means of (E, E^2, |m|, m^2, m^4, structure), with m the order parameter
per site and n its number of independent components (1 for Ising, q - 1 for Potts):

    c = beta^2 (<E^2> - <E>^2)/N,   chi = beta N (<m^2> - <|m|>^2),
    U4 = 1 - n <m^4>/((n + 2) <m^2>^2)            so that it vanishes for a Gaussian order parameter of n
    components, xi_2nd/L = sqrt(S(0)/S(k_1) - 1)/(2 L sin(pi/L)).

Deep in the paramagnet S(0) = S(k_1) but for noise, and xi is not defined where S(0) < S(k_1): NaN there, never a zero
that would look exact.

The error of a function is the Gamma-method error of its linearised series (Wolff 2004, section 2); its
jackknife rows leave out one block at a time, for fits that need correlations between observables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.analysis.autocorrelation import gamma_method, leave_one_out
from hpcrg.analysis.levels import BankSums

Array = NDArray[np.float64]
OBSERVABLES = ("energy", "heat", "abs_m", "m2", "chi", "u4", "xi")
STEP = 1e-20


@dataclass(frozen=True)
class Points:
    """Values, Gamma-method errors and autocorrelation times (in measurements) at each slot [slot]; `rows` are
    [1 + blocks, slot], row 0 everything, then without each block. All NaN where an observable is not defined."""

    id: str
    size: int
    temperatures: Array
    values: Mapping[str, Array]
    errors: Mapping[str, Array]
    taus: Mapping[str, Array]
    rows: Mapping[str, Array]

    def at(self, keep: NDArray[np.bool_]) -> Points:
        """The points of the slots `keep` [slot]."""
        values, errors, taus = ({k: v[keep] for k, v in each.items()} for each in (self.values, self.errors, self.taus))
        rows = {k: v.compress(keep, axis=1) for k, v in self.rows.items()}
        return replace(self, temperatures=self.temperatures[keep], values=values, errors=errors, taus=taus, rows=rows)

    def defined(self, names: Sequence[str]) -> Points:
        """The points at which every jackknife row of the named observables is finite."""
        return self.at(np.all([np.isfinite(self.rows[name]).all(axis=0) for name in names], axis=0))


def functions(size: int, volume: int, components: int, beta: float) -> dict[str, Callable[[Any], Any]]:
    """Each observable as a function of the means (E, E^2, |m|, m^2, m^4, structure) along the first axis."""
    moment_ratio = components / (components + 2.0)
    momentum = 2.0 * size * np.sin(np.pi / size)
    return {
        "energy": lambda m: m[0] / volume,
        "heat": lambda m: beta**2 * (m[1] - m[0] ** 2) / volume,
        "abs_m": lambda m: m[2],
        "m2": lambda m: m[3],
        "chi": lambda m: beta * volume * (m[3] - m[2] ** 2),
        "u4": lambda m: 1.0 - moment_ratio * m[4] / m[3] ** 2,
        "xi": lambda m: np.sqrt(m[3] / m[5] - 1.0) / momentum,
    }


def measure_points(sums: BankSums) -> Points:
    """All observables of a bank at its own temperatures."""
    slots = len(sums.betas)
    values, errors, taus = ({name: np.zeros(slots) for name in OBSERVABLES} for _ in range(3))
    rows = {name: np.zeros((1 + len(sums.blocks[0]), slots)) for name in OBSERVABLES}
    for slot, beta in enumerate(sums.betas):
        series = sums.series[slot]
        centred, means = series.mean(axis=(0, 1)), block_rows(sums, slot).T
        for name, f in functions(sums.size, sums.volume, sums.components, float(beta)).items():
            with np.errstate(invalid="ignore", divide="ignore"):
                rows[name][:, slot], here = f(means), f(centred)
            values[name][slot] = rows[name][0, slot]
            if not np.isfinite([here, values[name][slot]]).all():
                errors[name][slot], taus[name][slot] = np.nan, np.nan
                continue
            projected = (series - centred) @ gradient(f, centred)
            found = gamma_method(projected)
            errors[name][slot], taus[name][slot] = found.error, found.tau * sums.bin_length
    return Points(sums.id, sums.size, sums.temperatures, values, errors, taus, rows)


def block_rows(sums: BankSums, slot: int) -> Array:
    """Means [1 + blocks, (E, E^2, |m|, m^2, m^4, structure)] at one slot: of all blocks, then without
    each."""
    blocks = []
    for block in sums.blocks[slot]:
        e, n = block.energy.astype(np.float64), block.sums[:, 0]
        moments = np.array([n @ e, n @ e**2, *block.sums[:, 1:].sum(axis=0)])
        blocks.append(moments / n.sum())
    table = np.array(blocks)
    return np.vstack([table.mean(axis=0), leave_one_out(table)])


def gradient(f: Callable[[Any], Any], at: Array) -> Array:
    """The gradient of an analytic function by complex steps, exact to rounding (Squire and Trapp 1998)."""
    steps = at[:, None] + 1j * STEP * np.eye(len(at)) * np.maximum(np.abs(at), 1.0)
    slope: Array = np.imag(f(steps)) / STEP / np.maximum(np.abs(at), 1.0)
    return slope
