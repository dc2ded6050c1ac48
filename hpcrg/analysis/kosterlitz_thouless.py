"""The Kosterlitz-Thouless transition of planar spins in two dimensions, from the jump of the helicity modulus.

At the transition pi Y / (2 T) jumps from 1 to 0 (Nelson and Kosterlitz, Phys. Rev. Lett. 39, 1201 (1977)), and on a
periodic square of size L it is still above 1 by a logarithm,

    pi Y_L / (2 T) = 1 + 1 / (2 ln L + C + ln(ln L + C/2)),

Weber and Minnhagen, Phys. Rev. B 37, 5986 (1988), with the next term of the flow (Hsieh, Kao and Sandvik, J. Stat.
Mech. (2013) P09001). T_c and C are those that fit all sizes best; Y_L(T) between the temperatures of a ladder is a
polynomial. The statistical error is the jackknife over blocks of chains. Systematic parts: `size`, the excess of the
change when the smallest size is left out, and `ansatz`, half the change without that next term. Methods that look for
powers of L have no place here: the correlation length has an essential singularity, and all temperatures below T_c are
critical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from hpcrg.analysis.autocorrelation import leave_one_out
from hpcrg.analysis.graph import Compute, evaluate, partition
from hpcrg.bank import Bank, open_bank
from hpcrg.errors import InputError, expected
from hpcrg.estimate import Estimate, Reference, Replicas, excess, jackknife_error

Array = NDArray[np.float64]
Form = Callable[[Array, Array], Array]
METHOD = "fss/helicity"
DEGREE = 3
TINY = 1e-6
STRIDE = np.array([0.01, 0.5])


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


def constant_form(log_size: Array, c: Array) -> Array:
    """pi Y / (2 T) at the transition, Weber and Minnhagen."""
    return np.asarray(1.0 + 1.0 / (2.0 * log_size + c))


def next_form(log_size: Array, c: Array) -> Array:
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
    table, middle = jackknife_table(coefficients), centre(data)
    problem = Problem(table, np.log([h.size for h in data]), middle, form, np.ones(len(data)))
    first = optimize.least_squares(lambda p: problem.residuals(p[None], table[:1])[0], (0.5 * (low + high), 2.0)).x
    powers = [(float(np.clip(first[0], low, high)) - middle) ** np.arange(len(v)) for v in covariance]
    error = np.sqrt([p @ v @ p for p, v in zip(powers, covariance, strict=True)])
    problem = replace(problem, error=error)
    found = problem.descend(np.tile(first, (len(table), 1)))
    if not (low < found[:, 0].min() and found[:, 0].max() < high):
        wanted = f"pi Y / (2 T) to fall through the universal jump between {low:.4g} and {high:.4g}"
        raise InputError(expected(METHOD, wanted, f"T = {found[0, 0]:.4g}"))
    chi2 = float((problem.residuals(found[:1], table[:1]) ** 2).sum())
    ends = np.cumsum([1, *(len(h.rows) - 1 for h in data)])
    replicas = {h.id: found[i:j, 0] for h, i, j in zip(data, ends[:-1], ends[1:], strict=True)}
    return Solution(float(found[0, 0]), float(found[0, 1]), chi2, len(data) - 2), replicas


def jackknife_table(coefficients: Sequence[Array]) -> Array:
    """[row, size, power]: row 0 everything, then without each block of each size in turn."""
    width = max(c.shape[1] for c in coefficients)
    padded = [np.pad(c, ((0, 0), (0, width - c.shape[1]))) for c in coefficients]
    table = np.tile(np.stack([c[0] for c in padded]), (1 + sum(len(c) - 1 for c in padded), 1, 1))
    first = 1
    for k, c in enumerate(padded):
        table[first : first + len(c) - 1, k] = c[1:]
        first += len(c) - 1
    return table


@dataclass(frozen=True)
class Problem:
    """The least squares of all rows of a `jackknife_table` at once; `error` [size] weighs, parameters are [row, (T,
    C)]."""

    table: Array
    log_size: Array
    middle: float
    form: Form
    error: Array

    def residuals(self, p: Array, table: Array) -> Array:
        """In standard errors [row, size]."""
        powers = (p[:, :1] - self.middle) ** np.arange(table.shape[2])
        x = np.einsum("rsp,rp->rs", table, powers)
        return np.asarray((x - self.form(self.log_size, p[:, 1:])) / self.error)

    def descend(self, p: Array, steps: int = 30) -> Array:
        """Gauss-Newton steps of every row, none longer than STRIDE."""
        for _ in range(steps):
            r = self.residuals(p, self.table)
            slope = np.stack([(self.residuals(p + d, self.table) - r) / TINY for d in TINY * np.eye(2)], axis=2)
            step = np.einsum("rks,rs->rk", np.linalg.pinv(slope), r)
            p = p - np.clip(step, -STRIDE, STRIDE)
        return p


def by_helicity(data: Sequence[Helicity], known: Reference | None) -> tuple[Estimate, Solution]:
    """T_c with its error, of banks smallest first. Raises InputError for fewer than two sizes, and where the modulus
    does not fall far enough."""
    if len(data) < 2:
        raise InputError(expected(f"{METHOD}: banks", "at least two sizes", [h.size for h in data]))
    best, replicas = solve(data, next_form)
    other, _ = solve(data, constant_form)
    parts = {"ansatz": 0.5 * abs(other.t_c - best.t_c)}
    if len(data) > 2:
        fewer, without = solve(data[1:], next_form)
        full: Replicas = {data[0].id: np.full(len(replicas[data[0].id]), fewer.t_c), **without}
        parts["size"] = excess((best.t_c, replicas), (fewer.t_c, full), parts["ansatz"])
    settings: dict[str, float] = {
        "without the next term": other.t_c,
        "C": best.constant,
        "chi2": best.chi2,
        "freedom": best.freedom,
        "degree": DEGREE,
    }
    ids, sizes = tuple(h.id for h in data), tuple(h.size for h in data)
    estimate = Estimate("T_c", METHOD, data[0].model_name, sizes, best.t_c, replicas, parts, ids, known, settings)
    return estimate, best


def reduce_all(paths: Sequence[Path], blocks: int, chunk: int, compute: Compute) -> list[Helicity]:
    """Every bank of a group, smallest first."""
    reduce = partial(reduce_helicity, blocks=blocks, chunk=chunk, compute=compute)
    return sorted((reduce(path) for path in paths), key=lambda h: h.size)
