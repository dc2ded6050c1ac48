"""All states of small Ising squares."""

from functools import cache

import numpy as np


@cache
def states(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spins, energy and structure factor of all states."""
    codes = np.arange(2 ** (size * size))
    s = (2 * ((codes[:, None] >> np.arange(size * size)) & 1) - 1).astype(np.int8).reshape(-1, size, size)
    x = s.astype(np.int64)
    energy = -(x * np.roll(x, 1, 1) + x * np.roll(x, 1, 2)).sum(axis=(1, 2))
    wave = np.exp(2j * np.pi * np.arange(size) / size)
    k1 = np.abs((x * wave).sum(axis=(1, 2))) ** 2 + np.abs((x * wave[:, None]).sum(axis=(1, 2))) ** 2
    return s, energy, k1 / (2 * size**4)
