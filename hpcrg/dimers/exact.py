"""Exact dimer numbers on tori: Kasteleyn's product, the transfer matrix, and every covering one by one.

On a torus of even extents, Z = (P(0, 1/2) + P(1/2, 0) + P(1/2, 1/2)) / 2 with

    P(a, b) = product over j, k of (4 sin^2(2 pi (j + a) / l_x) + 4 sin^2(2 pi (k + b) / l_y))^(1/4)

(Kasteleyn, Physica 27, 1209 (1961)); ln Z / N tends to G / pi = 0.29156090, G Catalan's constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from hpcrg.dimers.covering import EAST, NORTH, Covering

CATALAN = 0.915965594177219015
ENTROPY = CATALAN / math.pi


def log_coverings(lx: int, ly: int) -> float:
    """ln of the number of coverings of a torus with even extents."""
    logs = []
    for a, b in ((0.0, 0.5), (0.5, 0.0), (0.5, 0.5)):
        x = np.sin(2 * np.pi * (np.arange(lx) + a) / lx) ** 2
        y = np.sin(2 * np.pi * (np.arange(ly) + b) / ly) ** 2
        logs.append(0.25 * float(np.log(4 * (x[:, None] + y[None, :])).sum()))
    return float(logsumexp(logs)) - math.log(2)


def entropy_per_site(small: int) -> float:
    """ln Z / N of square tori of sides L = `small` (even), 2 L and 4 L, extrapolated in 1/L^2 and 1/L^4."""
    a, b, c = (log_coverings(n, n) / n**2 for n in (small, 2 * small, 4 * small))
    first, second = (4 * b - a) / 3, (4 * c - b) / 3
    return (16 * second - first) / 15


def count_coverings(lx: int, ly: int) -> int:
    """The number of coverings as the trace of the transfer matrix between rows; its states are the sets of dimers
    between two rows. Exact in integers; lx up to 10 or so."""
    states = np.arange(1 << lx)
    fills = np.array([_ring_fillings(lx, int(free)) for free in states], object)
    union = states[:, None] | states[None, :]
    matrix = np.where(states[:, None] & states[None, :], 0, fills[(1 << lx) - 1 - union])
    power = np.eye(1 << lx, dtype=object)
    for _ in range(ly):
        power = _sparse_product(power, matrix)
    return int(np.trace(power))


def _sparse_product(left: NDArray[np.object_], right: NDArray[np.object_]) -> NDArray[np.object_]:
    out = np.zeros_like(left)
    for k, row in enumerate(right):
        columns = np.flatnonzero(row)
        out[:, columns] += left[:, k, None] * row[columns]
    return out


def _ring_fillings(lx: int, free: int) -> int:
    """In how many ways x-dimers fill exactly the sites `free` of a ring."""
    if free == 0:
        return 1
    site = (free & -free).bit_length() - 1
    pairs = [(1 << site) | (1 << (site + 1) % lx), (1 << site) | (1 << (site - 1) % lx)]
    return sum(_ring_fillings(lx, free & ~pair) for pair in pairs if pair & free == pair)


def coverings(near: NDArray[np.int32], monomers: tuple[int, ...] = ()) -> Iterator[Covering]:
    """Every covering of the sites other than `monomers`, one by one."""
    covering = np.zeros(len(near), np.uint8)
    taken = np.zeros(len(near), np.bool_)
    taken[list(monomers)] = True

    def cover(site: int) -> Iterator[Covering]:
        while site < len(near) and taken[site]:
            site += 1
        if site == len(near):
            yield covering.copy()
            return
        for d in range(4):
            other = int(near[site, d])
            if not taken[other]:
                taken[site] = taken[other] = True
                covering[site], covering[other] = 1 << d, 1 << (d ^ 2)
                yield from cover(site + 1)
                taken[site] = taken[other] = False
                covering[site] = covering[other] = 0

    return cover(0)


def parallel(many: Covering, shape: tuple[int, int]) -> NDArray[np.int64]:
    """The number of plaquettes with two parallel dimers in each covering [.., N], from the array itself."""
    c = many.reshape(*many.shape[:-1], *shape)
    across = (c == EAST) & (np.roll(c, -1, axis=-2) == EAST)
    along = (c == NORTH) & (np.roll(c, -1, axis=-1) == NORTH)
    return np.asarray((across | along).sum(axis=(-2, -1)))
