"""Energy, magnetisation and structure factor of packed walkers, by counting bits.

E = 2 (unsatisfied bonds) - 2 N. Row sums are population counts; column sums are counted eight bits of a word at a time
in the bytes of another. The smallest wave vectors are one turn along a row or a column.
"""

from __future__ import annotations

import numpy as np

from hpcrg.bits import popcount
from hpcrg.jit import part
from hpcrg.packed.block import below, from_right, grid_of, sites_in

U64 = np.uint64
ZERO, EIGHT = U64(0), U64(8)
BYTES, CHUNK = U64(0x0101010101010101), U64(255)
"""Bit 0 of every byte, and how many bits a byte can count."""


@part
def unsatisfied(block, grid):  # type: ignore[no-untyped-def]
    """The number of bonds between unequal spins."""
    total = ZERO
    for y in range(grid[0]):
        for k in range(grid[1]):
            spin, sites = block[y * grid[1] + k], sites_in(grid, k)
            total += popcount((spin ^ from_right(block, grid, y, k)) & sites)
            total += popcount(spin ^ block[below(grid, y, k)])
    return np.int64(total)


@part
def count_rows(block, grid, ones):  # type: ignore[no-untyped-def]
    """The number of spins +1 in every row."""
    for y in range(grid[0]):
        total = ZERO
        for k in range(grid[1]):
            total += popcount(block[y * grid[1] + k])
        ones[y] = total


@part
def count_columns(block, grid, ones):  # type: ignore[no-untyped-def]
    """The number of spins +1 in every column; `ones` has a place for every bit."""
    for i in range(U64(ones.size)):
        ones[i] = 0
    for k in range(grid[1]):
        for first in range(ZERO, grid[0], CHUNK):
            last = min(first + CHUNK, grid[0])
            for shift in range(EIGHT):
                total = ZERO
                for y in range(first, last):
                    total += (block[y * grid[1] + k] >> shift) & BYTES
                for byte in range(EIGHT):
                    ones[k * U64(64) + EIGHT * byte + shift] += np.int64((total >> (EIGHT * byte)) & U64(255))


@part
def wave_power(ones, extent):  # type: ignore[no-untyped-def]
    """|sum over x of exp(2 pi i x / extent) sums[x]|^2 of the sums of spins, twice `ones` less a constant, by
    Horner's rule."""
    cosine, sine = np.cos(2.0 * np.pi / extent), np.sin(2.0 * np.pi / extent)
    real, imaginary = 0.0, 0.0
    for x in range(U64(extent)):
        real, imaginary = real * cosine - imaginary * sine + 2.0 * float(ones[x]), real * sine + imaginary * cosine
    return real * real + imaginary * imaginary


@part
def energies(block, neighbours, couplings, energy):  # type: ignore[no-untyped-def]
    """The total energy of every walker; neighbours[0] holds the rows and columns."""
    rows, columns = np.int64(neighbours[0, 0]), np.int64(neighbours[0, 1])
    for w in range(block.shape[0]):
        energy[w] = 2 * unsatisfied(block[w], grid_of(rows, columns)) - 2 * rows * columns


@part
def measure(block, neighbours, couplings, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
    """Energies, magnetisations and the squared order parameter at the smallest wave vectors, averaged over both."""
    rows, columns = np.int64(neighbours[0, 0]), np.int64(neighbours[0, 1])
    grid, volume = grid_of(rows, columns), rows * columns
    in_rows, in_columns = np.empty(rows, np.int64), np.empty(grid[1] * U64(64), np.int64)
    for w in range(block.shape[0]):
        energy[w] = 2 * unsatisfied(block[w], grid) - 2 * volume
        count_rows(block[w], grid, in_rows)
        count_columns(block[w], grid, in_columns)
        order[w, 0] = 2 * in_rows.sum() - volume
        power = wave_power(in_rows, rows) + wave_power(in_columns, columns)
        structure[w] = scale * power / (2.0 * float(volume) * float(volume))
