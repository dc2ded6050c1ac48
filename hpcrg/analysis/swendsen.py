"""Swendsen's matrix: how couplings after a block-spin step answer to couplings before it.

    T = <S' S'>_c^-1 <S' S>_c,     y = ln(leading eigenvalue of T) / ln b

S are operator sums before the step and S' the same operators after it; the leading even eigenvalue gives y_t,
the leading odd one y_h. Averages are exact ratios of integers: sums are Python integers of any size, so
neither the order of the draws nor cancellation in the connected parts costs a bit. Odd averages vanish by
symmetry and are not subtracted. Source: R. H. Swendsen, Phys. Rev. Lett. 42, 859 (1979).

Arrays: values int64[draw, operator, component]; sums of Python integers, dtype object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]
Array = NDArray[np.float64]
INT64 = 2**63 - 1


@dataclass(frozen=True)
class Moments:
    """Sums over `draws` draws: `first` [level, operator, component] of S; `within` [level, a, b] of S_a S_b
    at one level; `across` [level, a, b] of S_a at the next level times S_b at this one, components summed
    over."""

    draws: int
    first: Integers
    within: Integers
    across: Integers

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.draws + other.draws, self.first + other.first,
            self.within + other.within, self.across + other.across,
        )  # fmt: skip

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            self.draws - other.draws, self.first - other.first,
            self.within - other.within, self.across - other.across,
        )  # fmt: skip


def no_moments(levels: int, operators: int, components: int) -> Moments:
    """Sums over nothing, for `levels` block-spin steps."""
    n = operators
    return Moments(
        0, _zeros(levels + 1, n, components), _zeros(levels + 1, n, n), _zeros(levels, n, n)
    )  # fmt: skip


def moments_of(values: list[NDArray[np.int64]], bound: int) -> Moments:
    """The sums over the draws of `values[level]`, the operator sums at every level, of which none exceeds
    `bound`.

    Products are added in int64 over so few draws at once that they cannot overflow, and then in Python
    integers. Raises OverflowError when one draw could overflow: components * bound^2 must stay below 2^63.
    """
    batch = largest_batch(bound, values[0].shape[2])
    pairs = list(zip(values[1:], values, strict=False))
    return Moments(
        len(values[0]),
        np.array([v.sum(axis=0).astype(object) for v in values]),
        np.array([_products(v, v, batch) for v in values]),
        np.array([_products(after, before, batch) for after, before in pairs]),
    )


def largest_batch(bound: int, components: int) -> int:
    """How many draws int64 can add up when no operator sum exceeds `bound`. Raises OverflowError for none."""
    batch = INT64 // (components * bound**2)
    if batch < 1:
        raise OverflowError(f"expected {components} x {bound}^2 below 2^63")
    return batch


def matrix(moments: Moments, level: int, operators: int, centred: bool) -> Array:
    """T of the step from `level` to `level + 1` with the first `operators` operators.

    Raises numpy.linalg.LinAlgError when the correlations after the step are singular.
    """
    n = operators
    after = _connected(moments, moments.within[level + 1], level + 1, level + 1, centred)[:n, :n]
    mixed = _connected(moments, moments.across[level], level + 1, level, centred)[:n, :n]
    return np.asarray(np.linalg.solve(after, mixed), dtype=np.float64)


def eigenvalues(moments: Moments, level: int, operators: int, centred: bool) -> NDArray[np.complex128]:
    """Eigenvalues of T, largest modulus first; NaN where T does not exist."""
    try:
        found = np.linalg.eigvals(matrix(moments, level, operators, centred)).astype(np.complex128)
    except np.linalg.LinAlgError:
        return np.full(operators, np.nan, np.complex128)
    return found[np.argsort(-np.abs(found), kind="stable")]


def exponent(moments: Moments, level: int, operators: int, centred: bool, factor: int) -> float:
    """y from the leading eigenvalue; NaN when that is not real and positive."""
    leading = eigenvalues(moments, level, operators, centred)[0]
    if not (leading.real > 0 and abs(leading.imag) <= 1e-9 * abs(leading)):
        return float("nan")
    return float(np.log(leading.real) / np.log(factor))


@dataclass(frozen=True)
class Exponents:
    """y by level and number of operators: `value` [level, operators - 1], `replicas` [block, level, operators
    - 1] without one block each, and the moduli of all eigenvalues of the full T, `spectrum` [level,
    eigenvalue]."""

    value: Array
    replicas: Array
    spectrum: Array

    @property
    def error(self) -> Array:
        """Jackknife errors [level, operators - 1]."""
        n = len(self.replicas)
        spread = self.replicas - self.replicas.mean(axis=0)
        return np.asarray(np.sqrt((n - 1) / n * np.sum(spread**2, axis=0)), dtype=np.float64)

    def change(self, level: int) -> tuple[float, float]:
        """The change from the level before, with all operators, and its jackknife error."""
        n = len(self.replicas)
        r = self.replicas[:, level, -1] - self.replicas[:, level - 1, -1]
        error = np.sqrt((n - 1) / n * np.sum((r - r.mean()) ** 2))
        return float(self.value[level, -1] - self.value[level - 1, -1]), float(error)


def exponents(blocks: list[Moments], centred: bool, factor: int) -> Exponents:
    """y at every level with 1, 2, ... operators, from the sums of every jackknife block."""
    total = blocks[0]
    for block in blocks[1:]:
        total = total + block
    levels, n = len(total.across), total.first.shape[1]
    spectrum = np.array([np.abs(eigenvalues(total, level, n, centred)) for level in range(levels)])
    return Exponents(
        _table(total, levels, n, centred, factor),
        np.array([_table(total - block, levels, n, centred, factor) for block in blocks]),
        spectrum,
    )


def _table(moments: Moments, levels: int, operators: int, centred: bool, factor: int) -> Array:
    kept = range(1, operators + 1)
    rows = [[exponent(moments, level, n, centred, factor) for n in kept] for level in range(levels)]
    return np.array(rows)


def _connected(moments: Moments, second: Integers, left: int, right: int, centred: bool) -> Array:
    if not centred:
        return np.asarray(second, dtype=np.float64)
    product = moments.first[left][:, 0, None] * moments.first[right][None, :, 0]
    return np.asarray(moments.draws * second - product, dtype=np.float64)


def _products(a: NDArray[np.int64], b: NDArray[np.int64], batch: int) -> Integers:
    total = _zeros(a.shape[1], b.shape[1])
    for i in range(0, len(a), batch):
        total = total + np.einsum("dac,dbc->ab", a[i : i + batch], b[i : i + batch]).astype(object)
    return total


def _zeros(*shape: int) -> Integers:
    return np.full(shape, 0, dtype=object)
