"""64 neighbours of a row in a word: bit b of word y width + k is the site x = 64 k + b of row y, 1 for spin +1.

A `grid` is (rows, words in a row, bits of a row's last word); bits beyond the row are 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.jit import part

U64 = np.uint64
ZERO, ONE, WORD = U64(0), U64(1), U64(64)
ALL = U64(2**64 - 1)


def pack(spins: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """uint64[walker, word] from spins -1 and +1, int8[walker, site]."""
    rows, columns = shape
    width = -(-columns // 64)
    bits = np.zeros((len(spins), rows, 64 * width), np.uint8)
    bits[:, :, :columns] = spins.reshape(-1, rows, columns) > 0
    words = np.packbits(bits, axis=-1, bitorder="little").view("<u8").astype(np.uint64)
    return np.ascontiguousarray(words.reshape(len(spins), rows * width))


def unpack(block: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.int8]:
    """The inverse of `pack`."""
    rows, columns = shape
    words = block.astype("<u8").view(np.uint8).reshape(len(block), rows, -1)
    bits = np.unpackbits(words, axis=-1, bitorder="little")[:, :, :columns]
    return 2 * bits.reshape(len(block), rows * columns).astype(np.int8) - np.int8(1)


@part
def grid_of(rows, columns):  # type: ignore[no-untyped-def]
    """(rows, words in a row, bits of a row's last word)."""
    width = (U64(columns) + U64(63)) // WORD
    return U64(rows), width, U64(columns) - WORD * (width - ONE)


@part
def bits_in(grid, k):  # type: ignore[no-untyped-def]
    """How many bits of word k of a row are sites."""
    return grid[2] if k + ONE == grid[1] else WORD


@part
def sites_in(grid, k):  # type: ignore[no-untyped-def]
    """The bits of word k of a row that are sites."""
    return ALL >> (WORD - bits_in(grid, k))


@part
def below(grid, y, k):  # type: ignore[no-untyped-def]
    """The word one row down, periodic."""
    return (y + ONE if y + ONE < grid[0] else ZERO) * grid[1] + k


@part
def above(grid, y, k):  # type: ignore[no-untyped-def]
    """The word one row up, periodic."""
    return (y - ONE if y > ZERO else grid[0] - ONE) * grid[1] + k


@part
def right(grid, y, k):  # type: ignore[no-untyped-def]
    """The next word of the same row, periodic."""
    return y * grid[1] + (k + ONE if k + ONE < grid[1] else ZERO)


@part
def from_right(words, grid, y, k):  # type: ignore[no-untyped-def]
    """Every bit's right neighbour."""
    return (words[y * grid[1] + k] >> ONE) | (words[right(grid, y, k)] << (bits_in(grid, k) - ONE))


@part
def from_left(words, grid, y, k):  # type: ignore[no-untyped-def]
    """Every bit's left neighbour."""
    before = k - ONE if k > ZERO else grid[1] - ONE
    end = words[y * grid[1] + before] >> (bits_in(grid, before) - ONE)
    return (words[y * grid[1] + k] << ONE) | (end & ONE)
