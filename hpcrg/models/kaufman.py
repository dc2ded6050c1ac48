"""The Ising model on a periodic rows x columns square lattice, exactly (Kaufman, Phys. Rev. 76, 1232
(1949)).

    Z = 1/2 (2 sinh 2K)^(N/2) [prod 2 cosh(n g_odd / 2) + prod 2 sinh(n g_odd / 2)
                               + prod 2 cosh(n g_even / 2) + prod 2 sinh(n g_even / 2)],

with n rows, m columns, cosh g_l = cosh^2 2K / sinh 2K - cos(pi l / m), g_0 = 2 K + ln tanh K, and products
over the m odd or even l.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 1e-30
Complex = np.complex128


def _logs(gamma: NDArray[Any], rows: int) -> tuple[Any, Any]:
    """The logarithms of prod 2 cosh(n g / 2) and prod 2 sinh(n g / 2) for g > 0."""
    small = np.exp(-rows * gamma)
    half = np.sum(rows * gamma / 2)
    return half + np.sum(np.log1p(small)), half + np.sum(np.log1p(-small))


def _log_partition(rows: int, columns: int, coupling: complex) -> Any:
    k = Complex(coupling)
    rise = np.cosh(2 * k) ** 2 / np.sinh(2 * k)
    odd = np.arccosh(rise - np.cos(np.pi * np.arange(1, 2 * columns, 2) / columns))
    even = np.arccosh(rise - np.cos(np.pi * np.arange(2, 2 * columns, 2) / columns))
    zero = rows * (2 * k + np.log(np.tanh(k))) / 2
    cosh_odd, sinh_odd = _logs(odd, rows)
    cosh_even, sinh_even = _logs(even, rows)
    logs = np.array([cosh_odd, sinh_odd, cosh_even + zero, cosh_even - zero, sinh_even + zero, sinh_even - zero])
    top = logs.real.max()
    total = np.sum(np.array([1, 1, 1, 1, 1, -1]) * np.exp(logs - top))
    return rows * columns / 2 * np.log(2 * np.sinh(2 * k)) + np.log(total / 2) + top


def log_partition(rows: int, columns: int, beta: float) -> float:
    """ln Z at inverse temperature beta > 0."""
    return float(_log_partition(rows, columns, beta).real)


def energy(rows: int, columns: int, beta: float) -> float:
    """The mean energy per site; the derivative of ln Z is taken along the imaginary axis, free of
    cancellation."""
    slope = _log_partition(rows, columns, complex(beta, STEP)).imag / STEP
    return float(-slope / (rows * columns))
