"""The margins of a walker in strips: around a block lies the next one, whose words are those of the opposite end of
this one with their bits turned by one block."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np

from hpcrg.jit import helper, part
from hpcrg.strips.block import Strips, Words, row_table

U64 = np.uint64


def turn_table(strips: Strips) -> Words:
    """For each axis and direction (ahead, behind), how to turn a word by one block along it: the shift of the bits
    under the first mask, that mask, the opposite shift of those under the second, and that mask."""
    block, found = np.indices(strips.blocks).reshape(len(strips.blocks), -1), []
    for axis, count in enumerate(strips.blocks):
        stride = prod(strips.blocks[axis + 1 :]) if count > 1 else 0
        for edge in (count - 1, 0):
            inner = sum(1 << int(b) for b in np.flatnonzero(block[axis] != edge))
            outer = 2**strips.bits - 1 - inner
            found.append((stride, inner, (count - 1) * stride, outer))
    return np.array(found, np.uint64)


def margin_table(strips: Strips) -> Words:
    """For each row of the margin its first word, that of the row to be turned, and which turn."""
    places, first = np.indices(strips.places[:-1]).reshape(len(strips.shape) - 1, -1), row_table(strips)[:, 0]
    found = []
    for axis, (length, stride) in enumerate(zip(strips.places[:-1], strips.strides, strict=True)):
        for row in np.flatnonzero(places[axis] == 0):
            found.append((int(first[row]) + length * stride, int(first[row]), 2 * axis))
        for row in np.flatnonzero(places[axis] == length - 1):
            found.append((int(first[row]) - length * stride, int(first[row]), 2 * axis + 1))
    return np.array(found, np.uint64)


@helper
def turn(word, turns, which):  # type: ignore[no-untyped-def]
    """The word of the next block, ahead (even `which`) or behind (odd)."""
    near, inner, far, outer = turns[which, 0], turns[which, 1], turns[which, 2], turns[which, 3]
    if which & U64(1):
        return ((word << near) & inner) | ((word >> far) & outer)
    return ((word >> near) & inner) | ((word << far) & outer)


@cache
def make_margins(strips: Strips) -> Any:
    """margins(walker, colour): writes the margins of one colour."""
    rows, outside, table, half = row_table(strips), margin_table(strips), turn_table(strips), U64(strips.half)
    size, ahead, behind = U64(prod(strips.padded)), U64(2 * len(strips.shape) - 2), U64(2 * len(strips.shape) - 1)

    @part(f"strips.margins.{strips.name}")
    def margins(walker, colour):  # type: ignore[no-untyped-def]
        for m in range(U64(len(outside))):
            to, first, which = outside[m, 0] + colour * size, outside[m, 1] + colour * size, outside[m, 2]
            for j in range(half):
                walker[to + j] = turn(walker[first + j], table, which)
        for r in range(U64(len(rows))):
            first = rows[r, 0] + colour * size
            walker[first + half] = turn(walker[first], table, ahead)
            walker[first - U64(1)] = turn(walker[first + half - U64(1)], table, behind)

    return margins
