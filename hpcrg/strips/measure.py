"""What is measured of a lattice whose sites are bits of words: energy, order parameter and structure factor.

Every bond has one end of the first colour, so that E = 2 (unsatisfied bonds of the first colour) - d N. Planes across
the last axis are words, and counted whole; those across another are bits, and counted eight at a time in bytes.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hpcrg.bits import popcount
from hpcrg.jit import part
from hpcrg.packed.measure import wave_power
from hpcrg.strips.block import near_text, stride_names
from hpcrg.strips.margins import (
    BITS,
    BLOCKS,
    DIMENSION,
    HALF,
    HEAD,
    PARTS,
    PLACES,
    ROWS,
    SIZE,
    make_strides,
    margins,
    table_of,
)  # fmt: skip

U64 = np.uint64
BYTES, CHUNK = U64(0x0101010101010101), 120
"""Bit 0 of every byte, and how many words of each colour are counted before a byte may overflow."""


@cache
def make_unsatisfied(dimension: int) -> Any:
    """unsatisfied(walker, own, other, side, count, *strides): unsatisfied bonds of words of one colour, as `flip`
    sees."""
    body = ["spin = walker[own + i]", "total += popcount(spin ^ walker[other + i])"]
    body += [f"total += popcount(spin ^ walker[{near}])" for near in near_text(dimension)]
    head = f"def unsatisfied(walker, own, other, side, count, {stride_names(dimension)}):\n"
    head += "    total = U64(0)\n    for i in range(count):\n"
    namespace: dict[str, Any] = {"U64": U64, "popcount": popcount}
    exec(head + "".join(f"        {line}\n" for line in body) + "    return total\n", namespace)  # noqa: S102
    return part(namespace["unsatisfied"])


@cache
def make_energies(dimension: int) -> Any:
    """energies(block, neighbours, couplings, energy): the total energy of every walker; the margins of the block are
    written."""
    unsatisfied, strides = make_unsatisfied(dimension), make_strides(dimension)

    @part
    def energies(block, neighbours, couplings, energy):  # type: ignore[no-untyped-def]
        table = table_of(neighbours)
        rows, half, size, steps = table[ROWS], table[HALF], table[SIZE], strides(table)
        bonds = np.int64(U64(2 * dimension) * rows * half * popcount(table[BITS]))
        for w in range(block.shape[0]):
            walker, total = block[w], U64(0)
            margins(walker, U64(1), table)
            for r in range(rows):
                first, odd = table[HEAD + U64(2) * r], table[HEAD + U64(2) * r + U64(1)]
                total += unsatisfied(
                    walker, first, first + size, first + size + odd * U64(2) - U64(1), half, *steps
                )  # fmt: skip
            energy[w] = 2 * np.int64(total) - bonds

    return energies


@part
def count_bits(walker, first, half, size, counts):  # type: ignore[no-untyped-def]
    """Add the ones of a row, both colours, bit by bit, to counts[64]."""
    for start in range(U64(0), half, U64(CHUNK)):
        begin, count = first + start, min(U64(CHUNK), half - start)
        for shift in range(U64(8)):
            total = U64(0)
            for i in range(count):
                total += ((walker[begin + i] >> shift) & BYTES) + ((walker[begin + size + i] >> shift) & BYTES)
            for k in range(U64(8)):
                counts[U64(8) * k + shift] += np.int64((total >> (U64(8) * k)) & U64(255))


@part
def count_lines(walker, begin, half, mask, odd, line):  # type: ignore[no-untyped-def]
    """Add the ones under a mask of the words of one colour of a row to the places where they stand."""
    for i in range(half):
        line[U64(2) * i + odd] += np.int64(popcount(walker[begin + i] & mask))


@part
def planes(walker, table, sums):  # type: ignore[no-untyped-def]
    """sums[axis, x]: the number of spins +1 in every plane."""
    rows, half, size, last = table[ROWS], table[HALF], table[SIZE], table[DIMENSION] - U64(1)
    sums[:] = 0
    counts = np.empty(64, np.int64)
    for r in range(rows):
        first, odd = table[HEAD + U64(2) * r], table[HEAD + U64(2) * r + U64(1)]
        counts[:] = 0
        count_bits(walker, first, half, size, counts)
        for axis in range(last):
            at = table[PLACES] + axis * (U64(64) + rows)
            for bit in range(U64(64)):
                sums[axis, table[at + bit] + table[at + U64(64) + r]] += counts[bit]
        for k in range(table[BLOCKS]):
            mask, line = table[table[PARTS] + k], sums[last, U64(2) * half * k : U64(2) * half * (k + U64(1))]
            count_lines(walker, first, half, mask, odd, line)
            count_lines(walker, first + size, half, mask, odd ^ U64(1), line)


@cache
def make_measure(dimension: int) -> Any:
    """measure(block, neighbours, couplings, shape, scale, energy, order, structure): see hpcrg.observables."""
    energies = make_energies(dimension)

    @part
    def measure(block, neighbours, couplings, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
        energies(block, neighbours, couplings, energy)
        table, volume = table_of(neighbours), shape.prod()
        sums = np.empty((dimension, shape.max()), np.int64)
        for w in range(block.shape[0]):
            planes(block[w], table, sums)
            power = 0.0
            for axis in range(dimension):
                power += wave_power(sums[axis], shape[axis])
            order[w, 0] = 2 * sums[0, : shape[0]].sum() - volume
            structure[w] = scale * power / (dimension * float(volume) * float(volume))

    return measure
