"""The Kosterlitz-Thouless transition of planar spins in two dimensions, from the jump of the helicity modulus.

At the transition pi Y / (2 T) jumps from 1 to 0 (Nelson and Kosterlitz, Phys. Rev. Lett. 39, 1201 (1977)), and on a
periodic square of size L it is still above 1 by a logarithm,

    pi Y_L / (2 T) = 1 + 1 / (2 ln L + C)                          (Weber and Minnhagen, Phys. Rev. B 37, 5986 (1988)).

T_c and C are those that fit all sizes best; Y_L(T) between the temperatures of a ladder is a polynomial. The
statistical error is the jackknife over blocks of chains. Systematic parts: `size`, the excess of the change when the
smallest size is left out, and `ansatz`, half the change with the next term of the flow, C + ln(C/2 + ln L) in place of
C (Hsieh, Kao and Sandvik, J. Stat. Mech. (2013) P09001). Methods that look for powers of L have no place here: the
correlation length has an essential singularity, and all temperatures below T_c are critical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from hpcrg.analysis.autocorrelation import leave_one_out
from hpcrg.analysis.corrections import excess
from hpcrg.analysis.graph import Compute, evaluate, partition
from hpcrg.bank import Bank, open_bank
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate, Reference, Replicas, jackknife_error

Array = NDArray[np.float64]
Form = Callable[[Array, float], Array]
METHOD = "fss/helicity"
DEGREE = 3


@dataclass(frozen=True)
class Helicity:
    """Y of one bank: `rows` [1 + blocks, slot], row 0 everything, then without each block."""

    id: str
    label: str
    model_name: str
    size: int
    temperatures: Array
    rows: Array

    @property
    def errors(self) -> Array:
        """Standard errors [slot]."""
        return np.array([jackknife_error(column) for column in self.rows[1:].T])


@dataclass(frozen=True)
class Solution:
    """The best `t_c` and `constant` with `chi2` on `freedom` degrees of freedom."""

    t_c: float
    constant: float
    chi2: float
    freedom: int

    @property
    def likely(self) -> float:
        """The probability of a larger chi^2; 1 without freedom."""
        return float(stats.chi2.sf(self.chi2, self.freedom)) if self.freedom else 1.0


def applies(path: Path) -> bool:
    """Whether a bank holds the stiffness of planar spins in two dimensions."""
    with open_bank(path) as bank:
        return bank.lattice.dimension == 2 and "stiffness" in bank.series_names


def moduli(stiffness: Array, beta: float, volume: int) -> Array:
    """(e - beta j^2) / N, averaged over axes, of a series [measurement, 2 d]; its mean is Y, since <j> = 0."""
    d = stiffness.shape[1] // 2
    return np.asarray((stiffness[:, :d] - beta * stiffness[:, d:] ** 2).mean(axis=1) / volume)


def add(total: float, bank: Bank, chain: int, slot: int, start: int, stop: int) -> float:
    """The step of the fold: adds one measurement after the other, in order."""
    values = moduli(bank.series("stiffness", chain, slot, start, stop), bank.betas[slot], bank.lattice.volume)
    return float(np.cumsum([total, *values])[-1])


def reduce_helicity(path: Path, blocks: int, chunk: int, compute: Compute) -> Helicity:
    """Y of a bank, by a graph over its chains, slots and blocks."""
    with open_bank(path) as bank:
        chains, slots, length = bank.chains, bank.slots, bank.measurements
        head = bank.id, bank.label, bank.model.name, bank.lattice.shape[0], bank.temperatures
    units = partition(chains, slots, length, blocks)
    sums = evaluate(path, units, add, 0.0, chunk, compute)
    means = np.reshape(sums, (chains, slots, blocks)) / (length // blocks)
    table = np.moveaxis(means, 1, 2).reshape(chains * blocks, slots)
    return Helicity(*head, np.vstack([table.mean(axis=0), leave_one_out(table)]))


def constant_form(log_size: Array, c: float) -> Array:
    """pi Y / (2 T) at the transition."""
    return np.asarray(1.0 + 1.0 / (2.0 * log_size + c))


def next_form(log_size: Array, c: float) -> Array:
    """The same with the next term of the flow."""
    inner = np.maximum(0.5 * c + log_size, 1e-3)
    return np.asarray(1.0 + 1.0 / (2.0 * log_size + c + np.log(inner)))


def polynomials(data: Sequence[Helicity]) -> tuple[list[Array], list[Array]]:
    """For every size the coefficients [row, power] of pi Y / (2 T) in T about the middle of all temperatures, and the
    covariance [power, power] of those of row 0."""
    middle = centre(data)
    found, covariance = [], []
    for h in data:
        x = np.pi * h.rows / (2.0 * h.temperatures)
        error = np.pi * np.maximum(h.errors, 1e-12) / (2.0 * h.temperatures)
        powers = np.vander(h.temperatures - middle, min(DEGREE + 1, len(h.temperatures)), increasing=True)
        gain = np.linalg.pinv(powers / error[:, None]) / error
        rows = x @ gain.T
        spread = rows[1:] - rows[1:].mean(axis=0)
        found.append(rows)
        covariance.append((len(spread) - 1) / len(spread) * spread.T @ spread)
    return found, covariance


def centre(data: Sequence[Helicity]) -> float:
    """The middle of all temperatures."""
    return float(np.mean([t for h in data for t in h.temperatures]))


def solve(data: Sequence[Helicity], form: Form) -> tuple[Solution, Replicas]:
    """The best T_c and C, and T_c without each block of every source. Raises InputError where T_c is outside the
    temperatures that all sizes share."""
    low, high = max(h.temperatures.min() for h in data), min(h.temperatures.max() for h in data)
    coefficients, covariance = polynomials(data)
    log_size, middle = np.log([h.size for h in data]), centre(data)

    def fit(rows: Sequence[Array], start: tuple[float, float]) -> Solution:
        width = max(len(c) for c in rows)
        table = np.array([np.pad(c, (0, width - len(c))) for c in rows])
        at = [np.vander([start[0] - middle], len(c), increasing=True)[0] for c in rows]
        error = np.sqrt([a @ v @ a for a, v in zip(at, covariance, strict=True)])

        def residuals(p: Array) -> Array:
            x = table @ (p[0] - middle) ** np.arange(width)
            return np.asarray((x - form(log_size, p[1])) / error)

        best = optimize.least_squares(residuals, start, x_scale=(0.01, 1.0), xtol=1e-12, ftol=1e-12)
        return Solution(float(best.x[0]), float(best.x[1]), float(2 * best.cost), len(rows) - 2)

    whole = [c[0] for c in coefficients]
    first = fit(whole, (0.5 * (low + high), 2.0))
    best = fit(whole, (min(max(first.t_c, low), high), first.constant))
    if not low < best.t_c < high:
        wanted = f"pi Y / (2 T) to fall through 1 + 1/(2 ln L + C) between {low:.4g} and {high:.4g}"
        raise InputError(expected(METHOD, wanted, f"T = {best.t_c:.4g}"))
    start = best.t_c, best.constant
    replicas: dict[str, Array] = {}
    for k, h in enumerate(data):
        without = [[*whole[:k], row, *whole[k + 1 :]] for row in coefficients[k][1:]]
        replicas[h.id] = np.array([fit(rows, start).t_c for rows in without])
    return best, replicas


def by_helicity(data: Sequence[Helicity], known: Reference | None) -> tuple[Estimate, Solution]:
    """T_c with its error, of banks smallest first. Raises InputError for fewer than two sizes, and where the modulus
    does not fall far enough."""
    if len(data) < 2:
        raise InputError(expected(f"{METHOD}: banks", "at least two sizes", [h.size for h in data]))
    best, replicas = solve(data, constant_form)
    other, _ = solve(data, next_form)
    parts = {"ansatz": 0.5 * abs(other.t_c - best.t_c)}
    if len(data) > 2:
        fewer, without = solve(data[1:], constant_form)
        full: Replicas = {data[0].id: np.full(len(replicas[data[0].id]), fewer.t_c), **without}
        parts["size"] = excess((best.t_c, replicas), (fewer.t_c, full), parts["ansatz"])
    settings = {"C": best.constant, "chi2": best.chi2, "freedom": best.freedom, "degree": DEGREE}
    ids, sizes = tuple(h.id for h in data), tuple(h.size for h in data)
    estimate = Estimate("T_c", METHOD, data[0].model_name, sizes, best.t_c, replicas, parts, ids, known, settings)
    return estimate, best


def reduce_all(paths: Sequence[Path], blocks: int, chunk: int, compute: Compute) -> list[Helicity]:
    """Every bank of a group, smallest first."""
    reduce = partial(reduce_helicity, blocks=blocks, chunk=chunk, compute=compute)
    return sorted((reduce(path) for path in paths), key=lambda h: h.size)
