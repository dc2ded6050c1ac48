"""64 walkers on a periodic square or cubic lattice of even extents, one bit each of the word of a site (spin +1 = 1).

Sites are held by the parities of their coordinates: class = px + 2 py (+ 4 pz), and within a class in C order of the
halved coordinates. So along every axis one neighbour stands at the same place of the class that differs in this
parity, and the other one step from there. A block uint64[1, word] holds, in this order,

    the betas that the table was made for, the table of probabilities, a batch of random words, shifted neighbours,
    counters, a guard of a plane, N words of sites, a guard,

of which only the words of sites are state.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.jit import part
from hpcrg.lanes.bernoulli import BATCH, table_words, work_words

U64 = np.uint64
LANES = 64
COLUMNS, PLANES = 32, 10
COUNTER_WORDS = COLUMNS * (PLANES + COLUMNS.bit_length() - 1)
TABLE_START = LANES
"""Where the table of probabilities starts in a block."""
NEVER = np.uint64(0xFFFFFFFFFFFFFFFF)
"""No float of these bits equals itself: a table that is not made yet."""


def work_start(dimension: int) -> int:
    """Where the batch of random words starts."""
    return TABLE_START + table_words(dimension)


def shift_start(dimension: int) -> int:
    """Where the shifted neighbours start, BATCH words for every axis from x on."""
    return work_start(dimension) + work_words(dimension)


def counter_start(dimension: int) -> int:
    """Where the counters start."""
    return shift_start(dimension) + dimension * BATCH


def header_words(dimension: int) -> int:
    """All that comes before the first guard."""
    return counter_start(dimension) + COUNTER_WORDS


def guard_words(shape: tuple[int, ...]) -> int:
    """The longest step within a class."""
    return prod(extent // 2 for extent in shape[1:])


def places(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The site (C order) whose word stands at every place, in the order of the block."""
    sites = np.arange(prod(shape)).reshape(shape)
    parts = [
        sites[tuple(slice((c >> k) & 1, None, 2) for k in reversed(range(len(shape))))] for c in range(2 ** len(shape))
    ]
    return np.concatenate([part.ravel() for part in parts])


def pack(spins: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """The block of up to 64 configurations int8[walker, site]; unused lanes are spin -1."""
    walkers, volume = spins.shape
    bits = np.zeros((volume, LANES), np.uint8)
    bits[:, :walkers] = (spins > 0).T
    words = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0]
    first = header_words(len(shape)) + guard_words(shape)
    block = np.zeros((1, first + volume + guard_words(shape)), np.uint64)
    block[0, :LANES] = NEVER
    block[0, first : first + volume] = words[places(shape)]
    return block


def unpack(block: NDArray[np.uint64], shape: tuple[int, ...], walkers: int) -> NDArray[np.int8]:
    """The configurations int8[walker, site] of a block."""
    first, order = header_words(len(shape)) + guard_words(shape), places(shape)
    words = np.empty(len(order), "<u8")
    words[order] = block[0, first : first + len(order)]
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")[:, :walkers]
    return np.ascontiguousarray(2 * bits.T.astype(np.int8) - 1)


def prepare_couplings(couplings: NDArray[np.int8], shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Couplings +-1, int8[N, z] with columns +x, +y, .., -x, -y, .., as int8[z, N] in the order of the block: 0 for a
    ferromagnetic bond and -1, all bits set, for an antiferromagnetic one; row 2 k to the neighbour along axis k (x =
    0) at the same place, row 2 k + 1 to the other one."""
    dimension, order = len(shape), places(shape)
    odd = [(np.arange(len(order)) // (len(order) >> dimension) >> k) & 1 for k in range(dimension)]
    ahead = [couplings[order, k] for k in range(dimension)]
    back = [couplings[order, k + dimension] for k in range(dimension)]
    rows = [np.where(odd[k], *pair) for k in range(dimension) for pair in ((back[k], ahead[k]), (ahead[k], back[k]))]
    return np.ascontiguousarray(-(np.stack(rows) < 0).astype(np.int8))


@part
def shift(box, source, first, count, stride, extent, parity, target):  # type: ignore[no-untyped-def]
    """target[i] = the other neighbour of place first + i, for an axis of halved `extent`; the neighbours' class starts
    at `source`. A place of even parity has it one step back, a place of odd parity one step ahead."""
    span = stride * extent
    step = stride if parity else U64(0) - stride
    begin = source + first + step
    for i in range(count):
        box[target + i] = box[begin + i]
    edge = span - stride if parity else U64(0)
    around = source + (stride - span if parity else span - stride)
    for start in range(first // span * span + edge, first + count, span):
        for place in range(max(start, first), min(start + stride, first + count)):
            box[target + place - first] = box[around + place]


@cache
def make_geometry(dimension: int) -> Any:
    """geometry(shape) -> the halved extents (x, y, z), and where the words of sites start."""
    header, d = U64(header_words(dimension)), dimension

    @part
    def geometry(shape):  # type: ignore[no-untyped-def]
        hx, hy = U64(shape[d - 1] // 2), U64(shape[d - 2] // 2)
        hz = U64(shape[0] // 2) if d == 3 else U64(1)
        return (hx, hy, hz), header + (hx * hy if d == 3 else hx)

    return geometry


@part
def class_of(step, dimension):  # type: ignore[no-untyped-def]
    """The class that is visited at a step: all of even parity come before those of odd parity."""
    low = U64(1) << (dimension - U64(1))
    kind = step & (low - U64(1))
    parity = (kind ^ (kind >> U64(1))) & U64(1)
    return kind | ((parity ^ U64(step >= low)) << (dimension - U64(1)))


@cache
def make_collect(dimension: int) -> Any:
    """collect(box, extents, start, kind, first, count) -> (own, near0, near1, near2): where places first ..
    first + count - 1 of a class and their neighbours at the same place stand; the others are copied to the shifted
    ones."""
    shifted = U64(shift_start(dimension))

    @part
    def collect(box, extents, start, kind, first, count):  # type: ignore[no-untyped-def]
        hx, hy, hz = extents
        n = hx * hy * hz
        near0, near1, near2 = start + (kind ^ U64(1)) * n, start + (kind ^ U64(2)) * n, start + (kind ^ U64(4)) * n
        shift(box, near0, first, count, U64(1), hx, kind & U64(1), shifted)
        shift(box, near1, first, count, hx, hy, (kind >> U64(1)) & U64(1), shifted + U64(BATCH))
        if dimension == 3:
            shift(box, near2, first, count, hx * hy, hz, kind >> U64(2), shifted + U64(2 * BATCH))
        return start + kind * n + first, near0 + first, near1 + first, near2 + first

    return collect


def half_adder(a: str, b: str, total: str, carry: str) -> str:
    """Lines for the two bits of a + b."""
    return f"        {total} = {a} ^ {b}\n        {carry} = {a} & {b}\n"


def full_adder(a: str, b: str, c: str, total: str, carry: str) -> str:
    """Lines for the two bits of a + b + c; `carry` may be one of them."""
    return f"        half = {a} ^ {b}\n        {total} = half ^ {c}\n        {carry} = ({a} & {b}) | (half & {c})\n"


def surroundings(dimension: int, coupled: bool, box: str = "box") -> str:
    """Lines that count the unsatisfied bonds of place i of a segment: ones + 2 twos + 4 fours."""
    lines = f"        own = {box}[own_start + i]\n"
    for k in range(2 * dimension):
        axis = k // 2
        near = f"near{axis} + i" if k % 2 == 0 else f"U64({shift_start(dimension) + axis * BATCH}) + i"
        lines += f"        n{k} = own ^ {box}[{near}]\n"
        lines += f"        n{k} ^= U64(couplings[{k}, bond + i])\n" * coupled
    if dimension == 2:
        lines += full_adder("n0", "n1", "n2", "sum0", "carry0")
        return lines + half_adder("sum0", "n3", "ones", "more") + half_adder("carry0", "more", "twos", "fours")
    lines += full_adder("n0", "n1", "n2", "sum0", "carry0") + full_adder("n3", "n4", "n5", "sum1", "carry1")
    return lines + half_adder("sum0", "sum1", "ones", "more") + full_adder("carry0", "carry1", "more", "twos", "fours")


def compile_text(text: str, name: str) -> Any:
    """The function of this name that a text defines."""
    scope: dict[str, Any] = {"U64": U64}
    exec(text, scope)  # noqa: S102
    return scope[name]
