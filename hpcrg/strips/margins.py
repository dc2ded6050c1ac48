"""The margins of a walker in strips: around a block lies the next one, whose words are those of the opposite end of
this one with their bits turned by one block."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.jit import part
from hpcrg.strips.block import Strips, Words, row_table

U64 = np.uint64
ROWS, HALF, SIZE, MARGINS, TURNS, PARTS, PLACES, BITS, DIMENSION, BLOCKS, STRIDES = (U64(k) for k in range(11))
HEAD = U64(16)
"""Where numbers of a cut stand in its tables, and where these begin."""


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


def plane_table(strips: Strips) -> Words:
    """For each axis but the last: of each bit the first place of its block, 64 of them, then of each row its place."""
    block = np.indices(strips.blocks).reshape(len(strips.blocks), -1)
    rows = np.indices(strips.places[:-1]).reshape(len(strips.shape) - 1, -1)
    first = np.zeros((len(rows), 64), np.int64)
    first[:, : strips.bits] = block[:-1] * np.array(strips.places[:-1])[:, None]
    return np.concatenate([first, rows], axis=1).astype(np.uint64)


def part_table(strips: Strips) -> Words:
    """For each block along the last axis the bits that stand in it."""
    last = np.indices(strips.blocks).reshape(len(strips.blocks), -1)[-1]
    return np.array([sum(1 << int(b) for b in np.flatnonzero(last == k)) for k in range(strips.blocks[-1])], U64)


def tables(strips: Strips) -> NDArray[np.int32]:
    """All that kernels must know of a cut, as the int32[1, n] that a sweep calls neighbours, to be viewed as uint64
    words: numbers by name, then the tables of rows, margins, turns, parts and planes. So one kernel serves all sizes of
    a dimension."""
    rows, outside = row_table(strips), margin_table(strips)
    turns = int(HEAD) + rows.size + outside.size
    parts = turns + 8 * len(strips.shape)
    places, head = parts + strips.blocks[-1], np.zeros(int(HEAD), np.uint64)
    numbers = (
        len(rows), strips.half, prod(strips.padded), len(outside), turns, parts, places, 2**strips.bits - 1,
        len(strips.shape), strips.blocks[-1], *strips.strides,
    )  # fmt: skip
    head[: len(numbers)] = numbers
    found = [head, rows, outside, turn_table(strips), part_table(strips), plane_table(strips)]
    return np.concatenate([t.ravel() for t in found]).view(np.int32).reshape(1, -1)


@part
def table_of(neighbours):  # type: ignore[no-untyped-def]
    """The tables as words."""
    return neighbours[0].view(np.uint64)


@cache
def make_strides(dimension: int) -> Any:
    """strides(table): the steps to the next row along every axis but the last, as a tuple."""
    names = [f"table[U64({int(STRIDES) + k})]" for k in range(dimension - 1)]
    namespace: dict[str, Any] = {"U64": U64}
    exec(f"def strides(table):\n    return ({', '.join(names)},)\n", namespace)  # noqa: S102
    return part(namespace["strides"])


@part
def turn(word, near, inner, far, outer, behind):  # type: ignore[no-untyped-def]
    """The word of the next block, ahead or behind; the rest is a row of turn_table."""
    if behind:
        return ((word << near) & inner) | ((word >> far) & outer)
    return ((word >> near) & inner) | ((word << far) & outer)


@part
def margins(walker, colour, table):  # type: ignore[no-untyped-def]
    """Write the margins of one colour; see `tables`."""
    rows, half, size, count, turns = table[ROWS], table[HALF], table[SIZE], table[MARGINS], table[TURNS]
    for m in range(count):
        at = HEAD + U64(2) * rows + U64(3) * m
        to, first, which = table[at] + colour * size, table[at + U64(1)] + colour * size, table[at + U64(2)]
        how = turns + U64(4) * which
        near, inner, far, outer = table[how], table[how + U64(1)], table[how + U64(2)], table[how + U64(3)]
        behind = which & U64(1)
        for j in range(half):
            walker[to + j] = turn(walker[first + j], near, inner, far, outer, behind)
    how = turns + U64(8) * (table[DIMENSION] - U64(1))
    near, inner, far, outer = table[how], table[how + U64(1)], table[how + U64(2)], table[how + U64(3)]
    far_near, far_inner, far_far, far_outer = (
        table[how + U64(4)], table[how + U64(5)], table[how + U64(6)], table[how + U64(7)]
    )  # fmt: skip
    for r in range(rows):
        first = table[HEAD + U64(2) * r] + colour * size
        walker[first + half] = turn(walker[first], near, inner, far, outer, U64(0))
        walker[first - U64(1)] = turn(
            walker[first + half - U64(1)], far_near, far_inner, far_far, far_outer, U64(1)
        )  # fmt: skip
