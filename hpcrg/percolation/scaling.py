"""The percolation threshold and exponents from finite-size scaling of canonical curves.

    p_c   R_L(p) = R*, the exact critical value, whose root approaches p_c as L^(-1/nu - omega); 11/4 on the square
          lattice (Newman and Ziff 2001, figure 9); or R_L(p) = R_2L(p) where R* is not known
    1/nu  slope of ln R_L'(p_L) against ln L           D_f  slope of ln <S>(p_L) against ln L, at R_L(p_L) = R*

Rows [1 + chains, n]: row 0 is of all chains, row 1 + c without chain c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from hpcrg.errors import CorruptFile, InputError, expected
from hpcrg.estimate import Measured
from hpcrg.percolation.canonical import canonical, derivative
from hpcrg.percolation.run import Percolation
from hpcrg.producing import Produced

Array = NDArray[np.float64]
PLANE_DECAY = 11 / 4
"""p_L - p_c ~ L^(-1/nu - 2) at the exact critical value of R in the plane."""
MOMENTS = {"largest": 0, "largest2": 1, "susceptibility": 2, "clusters": 3}
"""S, S^2, chi = sum of s^2 without the largest, and the number of clusters, each divided by the number of sites N."""


def spec(produced: Produced) -> Percolation:
    """What was asked for."""
    return cast(Percolation, produced.series.producer)


EVENTS: dict[str, Callable[[NDArray[np.int32]], list[NDArray[np.int32]]]] = {
    "axis": lambda first: [first[..., k] for k in range(first.shape[-1])],
    "x": lambda first: [first[..., 0]],
    "any": lambda first: [first.min(axis=-1)],
    "all": lambda first: [first.max(axis=-1)],
}
"""Wrapping along one axis (the mean over axes), along x, along any axis, along all (in d > 2 perhaps by several
clusters; in d = 2 by one). Along exactly one of two is any minus all."""


def wrapping_rows(result: Produced, which: str) -> Array:
    """Rows of R_n, n = 0 .. items: the fraction of realisations that wrap with n occupied items."""
    first, length = result["first"], spec(result).items + 2
    if first.min(initial=0) < 0 or first.max(initial=0) >= length:
        found = f"{first.min()} to {first.max()}"
        raise CorruptFile(expected(f"{result.series.label}: first", f"numbers from 0 to {length - 1}", found))
    events = EVENTS[which](first)
    blocks = np.array([sum(np.bincount(e[b], minlength=length) for e in events) for b in range(result.chains)])
    return _left_out(blocks[:, :-1].cumsum(axis=1), len(events) * spec(result).realisations)


def moment_rows(result: Produced, name: str) -> Array:
    """Rows of one of MOMENTS at n = 0 .. items, per site."""
    return _left_out(result["sums"][:, MOMENTS[name]], spec(result).realisations * spec(result).lattice.volume)


def _left_out(blocks: NDArray[np.int64], weight: int) -> Array:
    if len(blocks) < 2:
        raise InputError(expected("chains", "at least 2 for an error", len(blocks)))
    total, n = blocks.sum(axis=0), len(blocks)
    return np.concatenate([[total / (weight * n)], (total - blocks) / (weight * (n - 1))])


def at(result: Produced, rows: Array, p: float, slope: bool = False) -> Measured:
    """A canonical value, or its derivative in p, with its replicas."""
    values = derivative(rows, p) if slope else canonical(rows, p)
    return float(values[0]), {result.source: values[1:]}


def _root(f: Callable[[float], float], low: float, high: float, where: str) -> float:
    if f(low) * f(high) > 0:
        raise InputError(f"{where}: expected a root between {low:.6f} and {high:.6f}, found no change of sign")
    return cast(float, brentq(f, low, high, xtol=1e-12, rtol=1e-12))


def _level(row: Array, level: float) -> float:
    return _root(lambda p: float(canonical(row, p)) - level, 0.0, 1.0, "threshold")


def threshold(result: Produced, which: str, level: float) -> Measured:
    """The p at which the wrapping probability is `level`."""
    value, *others = levels(wrapping_rows(result, which), level)
    return value, {result.source: np.array(others)}


def levels(rows: Array, level: float) -> list[float]:
    """The p at which every row is `level`."""
    return [_level(row, level) for row in rows]


def along(result: Produced, rows: Array, points: Sequence[float], slope: bool = False) -> Measured:
    """A canonical value, or its derivative in p, of every row at a p of its own."""
    f = derivative if slope else canonical
    value, *others = (float(f(row, p)) for row, p in zip(rows, points, strict=True))
    return value, {result.source: np.array(others)}


def crossing(small: Produced, large: Produced, which: str) -> Measured:
    """The p at which two sizes wrap with equal probability, sought where the larger one's is between 0.02 and 0.95."""
    a, b = wrapping_rows(small, which), wrapping_rows(large, which)
    low, high = _level(b[0], 0.02), _level(b[0], 0.95)

    def cross(i: int, j: int) -> float:
        return _root(lambda p: float(canonical(a[i], p) - canonical(b[j], p)), low, high, "crossing")

    left_a = np.array([cross(i, 0) for i in range(1, len(a))])
    left_b = np.array([cross(0, j) for j in range(1, len(b))])
    return cross(0, 0), {small.source: left_a, large.source: left_b}


def slope_at(result: Produced, which: str, level: float) -> Measured:
    """R'(p) where R(p) = `level`."""
    rows = wrapping_rows(result, which)
    return along(result, rows, levels(rows, level), slope=True)


def largest_at(result: Produced, which: str, level: float) -> Measured:
    """<S>/N where R(p) = `level`."""
    return along(result, moment_rows(result, "largest"), levels(wrapping_rows(result, which), level))
