"""What is measured of a lattice whose sites are bits of words: energy, order parameter and structure factor.

Every bond has one end of the first colour, so that E = 2 (unsatisfied bonds of the first colour) - d N. Planes across
the last axis are words, and counted whole; those across another are bits, and counted eight at a time in bytes.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.strips.block import Strips, near_text, row_table
from hpcrg.strips.margins import make_margins
from hpcrg.updates.bits import popcount

U64 = np.uint64
BYTES, CHUNK = U64(0x0101010101010101), 120
"""Bit 0 of every byte, and how many words of each colour are counted before a byte may overflow."""


@cache
def make_unsatisfied(strips: Strips) -> Any:
    """unsatisfied(walker, own, other, side, count): unsatisfied bonds of words of one colour, as `flip` sees."""
    body = ["spin = walker[own + i]", "total += popcount(spin ^ walker[other + i])"]
    body += [f"total += popcount(spin ^ walker[{near}])" for near in near_text(strips)]
    head = "def unsatisfied(walker, own, other, side, count):\n    total = U64(0)\n    for i in range(count):\n"
    namespace: dict[str, Any] = {"U64": U64, "popcount": popcount}
    exec(head + "".join(f"        {line}\n" for line in body) + "    return total\n", namespace)  # noqa: S102
    return part(f"strips.unsatisfied.{strips.name}")(namespace["unsatisfied"])


@cache
def make_energies(strips: Strips) -> Any:
    """energies(block, neighbours, couplings, energy): the total energy of every walker; the margins of the block are
    written."""
    margins, unsatisfied, rows = make_margins(strips), make_unsatisfied(strips), row_table(strips)
    half, size, bonds = U64(strips.half), U64(prod(strips.padded)), len(strips.shape) * prod(strips.shape)

    @part(f"strips.energies.{strips.name}")
    def energies(block, neighbours, couplings, energy):  # type: ignore[no-untyped-def]
        for w in range(block.shape[0]):
            walker, total = block[w], U64(0)
            margins(walker, U64(1))
            for r in range(U64(len(rows))):
                first = rows[r, 0]
                total += unsatisfied(walker, first, first + size, first + size + rows[r, 1] * U64(2) - U64(1), half)
            energy[w] = 2 * np.int64(total) - bonds

    return energies


@cache
def make_count_bits(strips: Strips) -> Any:
    """count_bits(walker, first, counts[64]): adds the ones of a row, both colours, bit by bit."""
    half, size, chunk = U64(strips.half), U64(prod(strips.padded)), U64(CHUNK)

    @part(f"strips.count_bits.{strips.name}")
    def count_bits(walker, first, counts):  # type: ignore[no-untyped-def]
        for start in range(U64(0), half, chunk):
            begin, count = first + start, min(chunk, half - start)
            for shift in range(U64(8)):
                total = U64(0)
                for i in range(count):
                    total += ((walker[begin + i] >> shift) & BYTES) + ((walker[begin + size + i] >> shift) & BYTES)
                for k in range(U64(8)):
                    counts[U64(8) * k + shift] += np.int64((total >> (U64(8) * k)) & U64(255))

    return count_bits


@cache
def make_planes(strips: Strips) -> Any:
    """planes(walker, sums[axis, x]): the number of spins +1 in every plane."""
    count_bits, rows, half, last = make_count_bits(strips), row_table(strips), U64(strips.half), len(strips.shape) - 1
    size, length, places = U64(prod(strips.padded)), U64(strips.places[-1]), strips.places
    block = np.indices(strips.blocks).reshape(last + 1, -1)
    first = np.ascontiguousarray(block * np.array(places)[:, None])
    at = np.ascontiguousarray(np.indices(places[:-1]).reshape(last, -1))
    parts = np.array(
        [sum(1 << int(b) for b in np.flatnonzero(block[last] == k)) for k in range(strips.blocks[-1])], U64
    )

    @part(f"strips.planes.{strips.name}")
    def planes(walker, sums):  # type: ignore[no-untyped-def]
        sums[:] = 0
        counts = np.empty(64, np.int64)
        for r in range(U64(len(rows))):
            counts[:] = 0
            count_bits(walker, rows[r, 0], counts)
            for axis in range(last):
                for bit in range(first.shape[1]):
                    sums[axis, first[axis, bit] + at[axis, r]] += counts[bit]
            for colour in range(U64(2)):
                begin, odd = rows[r, 0] + colour * size, rows[r, 1] ^ colour
                for k in range(U64(len(parts))):
                    line, mask = sums[last, k * length : (k + U64(1)) * length], parts[k]
                    for i in range(half):
                        line[U64(2) * i + odd] += np.int64(popcount(walker[begin + i] & mask))

    return planes


@cache
def make_measure(strips: Strips) -> Any:
    """measure(block, neighbours, couplings, shape, scale, energy, order, structure): see hpcrg.observables."""
    energies, planes, shape = make_energies(strips), make_planes(strips), strips.shape
    dimension, volume, longest = len(shape), prod(shape), max(shape)
    angles = [2 * np.pi * np.arange(longest) / extent for extent in shape]
    waves = np.array([[np.cos(angle), np.sin(angle)] for angle in angles])

    @part(f"strips.measure.{strips.name}")
    def measure(block, neighbours, couplings, shape, scale, energy, order, structure):  # type: ignore[no-untyped-def]
        energies(block, neighbours, couplings, energy)
        sums = np.empty((dimension, longest), np.int64)
        for w in range(block.shape[0]):
            planes(block[w], sums)
            power = 0.0
            for axis in range(dimension):
                real, imaginary = 0.0, 0.0
                for x in range(shape[axis]):
                    real += 2.0 * sums[axis, x] * waves[axis, 0, x]
                    imaginary += 2.0 * sums[axis, x] * waves[axis, 1, x]
                power += real * real + imaginary * imaginary
            order[w, 0] = 2 * sums[0, : shape[0]].sum() - volume
            structure[w] = scale * power / (dimension * float(volume) * float(volume))

    return measure
