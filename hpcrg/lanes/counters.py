"""Bit-sliced counters: how often every lane of a stream of words is 1, for 64 lanes by word operations.

Numbers of one to three bits a lane are listed, BATCH of them, bit k of number j at word k * BATCH + j of the batch of
random words, which nobody needs between sweeps. A full list is added, by a tree of full adders, to COLUMNS columns of
counters, of which plane p holds bit p. Before a column can overflow, the columns are added up by halves and read into
integers.

All addresses are known when the text is made: LLVM then makes vector code without checks for overlaps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hpcrg.jit import part
from hpcrg.lanes.bernoulli import BATCH
from hpcrg.lanes.block import (
    COLUMNS,
    LANES,
    PLANES,
    U64,
    compile_text,
    counter_start,
    full_adder,
    half_adder,
    surroundings,
    work_start,
)  # fmt: skip

GROWTH = COLUMNS.bit_length() - 1
"""Planes that the sum of all columns has beyond those of one."""
CAPACITY = (2**PLANES - 1) // (6 * BATCH // COLUMNS)
"""Lists of numbers up to 6 that the counters can take."""


def _cell(address: int, column: str = "column") -> str:
    return f"box[U64({address}) + {column}]"


def _sum(weights: list[list[str]]) -> str:
    """Lines that add up bits, weights[p] being the names of those of weight 2^p, into sum0, sum1, ..."""
    lines, carries = "", 0
    for p, bits in enumerate(weights):
        while len(bits) > 1:
            names = f"total{carries}", f"carry{carries}"
            if len(bits) > 2:
                lines += full_adder(bits[0], bits[1], bits[2], *names)
            else:
                lines += half_adder(bits[0], bits[1], *names)
            bits = [*bits[3:], f"total{carries}"]
            if p + 1 < len(weights):
                weights[p + 1].append(f"carry{carries}")
            carries += 1
        lines += f"        sum{p} = {bits[0]}\n"
    return lines


def _add_text(dimension: int, digits: int) -> str:
    """The text of add(box): the list goes to the counters."""
    start, work = counter_start(dimension), work_start(dimension)
    text = f"def add(box):\n    for column in range(U64({COLUMNS})):\n"
    weights = []
    for p in range(PLANES):
        text += f"        held{p} = {_cell(start + p * COLUMNS)}\n"
        weights.append([f"held{p}"])
    for p in range(digits):
        for row in range(BATCH // COLUMNS):
            text += f"        bit{p}_{row} = {_cell(work + p * BATCH + row * COLUMNS)}\n"
            weights[p].append(f"bit{p}_{row}")
    text += _sum(weights)
    return text + "".join(f"        {_cell(start + p * COLUMNS)} = sum{p}\n" for p in range(PLANES))


def _fold_text(dimension: int) -> str:
    """The text of fold(box): the sum of all columns comes to stand in column 0."""
    start, text, width = counter_start(dimension), "def fold(box):\n", COLUMNS // 2
    planes = range(PLANES + GROWTH)
    while width:
        text += f"    for column in range(U64({width})):\n"
        for p in planes:
            text += (
                f"        a{p} = {_cell(start + p * COLUMNS)}\n        b{p} = {_cell(start + p * COLUMNS + width)}\n"
            )
        text += _sum([[f"a{p}", f"b{p}"] for p in planes])
        text += "".join(f"        {_cell(start + p * COLUMNS)} = sum{p}\n" for p in planes)
        width //= 2
    return text


def _read_text(dimension: int) -> str:
    """The text of read(box, counts): column 0 is added to counts[lane]."""
    start, text = counter_start(dimension), "def read(box, counts):\n"
    planes = range(PLANES + GROWTH)
    text += "".join(f"    p{p} = box[U64({start + p * COLUMNS})]\n" for p in planes)
    text += f"    for lane in range(U64({LANES})):\n        total = counts[lane]\n"
    text += "".join(f"        total += ((p{p} >> lane) & U64(1)) << U64({p})\n" for p in planes)
    return text + "        counts[lane] = total\n"


@cache
def make_flush(dimension: int) -> Any:
    """flush(box, counts): add the counters to counts[lane] and clear them."""
    start, stop = counter_start(dimension), counter_start(dimension) + (PLANES + GROWTH) * COLUMNS
    fold = part(compile_text(_fold_text(dimension), "fold"))
    read = part(compile_text(_read_text(dimension), "read"))

    @part
    def flush(box, counts):  # type: ignore[no-untyped-def]
        fold(box)
        read(box, counts)
        for i in range(U64(start), U64(stop)):
            box[i] = U64(0)

    return flush


@cache
def make_settle(dimension: int, digits: int) -> Any:
    """settle(box, counts, held, lists) -> lists: take in a list of `held` numbers of `digits` bits; `lists` counts
    those since the last flush. Ends with a flush when `held` is not BATCH, which says that the list is the last."""
    add = part(compile_text(_add_text(dimension, digits), "add"))
    flush, work = make_flush(dimension), U64(work_start(dimension))

    @part
    def settle(box, counts, held, lists):  # type: ignore[no-untyped-def]
        if held:
            for p in range(U64(digits)):
                for j in range(held, U64(BATCH)):
                    box[work + p * U64(BATCH) + j] = U64(0)
            add(box)
        if held == U64(BATCH) and lists + U64(1) < U64(CAPACITY):
            return lists + U64(1)
        flush(box, counts)
        return U64(0)

    return settle


@cache
def make_list_bonds(dimension: int, coupled: bool) -> Any:
    """list_bonds(box, couplings, own_start, near0, near1, near2, bond, held, count): list the unsatisfied bonds of
    `count` places as numbers `held`, held + 1, ..."""
    text = (
        "def listing(box, couplings, own_start, near0, near1, near2, bond, held, count):\n    for i in range(count):\n"
    )
    text += surroundings(dimension, coupled)
    for k, digit in enumerate(("ones", "twos", "fours")):
        text += f"        box[U64({work_start(dimension) + k * BATCH}) + held + i] = {digit}\n"
    return part(compile_text(text, "listing"))
