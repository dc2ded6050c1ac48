"""Bit-sliced counters: how often every lane of a stream of words is 1, for 64 lanes by word operations.

Plane p of a column holds bit p of 64 counts; words go to COLUMNS columns in turn, so that LLVM makes vector code of
the loop over columns. Before a column can overflow, the columns are added up by halves and the planes are read into
integers.
"""

from __future__ import annotations

from typing import Any

from hpcrg.jit import part
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
)  # fmt: skip

GROWTH = COLUMNS.bit_length() - 1
"""Planes that the sum of all columns has beyond those of one."""


def _cell(start: int, plane: int, column: str = "column") -> str:
    return f"box[U64({start + plane * COLUMNS}) + {column}]"


def _add(start: int, digits: tuple[str, ...]) -> str:
    """Lines that add a number, the names of its bits from the lowest on, to a column."""
    lines = ""
    for p in range(PLANES):
        held = _cell(start, p)
        inputs = [*digits[p : p + 1], *(("carry",) if p else ())]
        lines += f"        held = {held}\n"
        if len(inputs) == 2:
            lines += full_adder("held", inputs[0], inputs[1], "fresh", "carry")
        else:
            lines += half_adder("held", inputs[0], "fresh", "carry")
        lines += f"        {held} = fresh\n"
    return lines


def make_flush(dimension: int) -> Any:
    """flush(box, counts): add the counters to counts[lane] and clear them."""
    start = counter_start(dimension)
    text = "def fold(box, width):\n    for column in range(width):\n        carry = U64(0)\n"
    for p in range(PLANES + GROWTH):
        text += f"        held = {_cell(start, p)}\n        other = {_cell(start, p, 'column + width')}\n"
        text += full_adder("held", "other", "carry", "fresh", "carry")
        text += f"        {_cell(start, p)} = fresh\n"
    fold = part(f"lanes.fold.{dimension}")(compile_text(text, "fold"))

    @part(f"lanes.flush.{dimension}")
    def flush(box, counts):  # type: ignore[no-untyped-def]
        width = U64(COLUMNS // 2)
        while width:
            fold(box, width)
            width >>= U64(1)
        for p in range(PLANES + GROWTH):
            plane = box[U64(start + p * COLUMNS)]
            for lane in range(U64(LANES)):
                counts[lane] += ((plane >> lane) & U64(1)) << U64(p)
        box[start : start + (PLANES + GROWTH) * COLUMNS] = U64(0)

    return flush


def _chunks(header: str, load: str, digits: tuple[str, ...], dimension: int) -> str:
    """The text of a function that adds the words of places 0 .. count - 1, one number a place, to the counters."""
    text = f"def add({header}, count):\n    for base in range(U64(0), count, U64({COLUMNS})):\n"
    text += f"     for column in range(min(U64({COLUMNS}), count - base)):\n        i = base + column\n"
    return text + load + _add(counter_start(dimension), digits)


def make_count_bonds(dimension: int, coupled: bool) -> Any:
    """count_bonds(box, couplings, own_start, near0, near1, near2, bond, count): add the unsatisfied bonds of `count`
    places, at most LIMIT between two flushes."""
    header = "box, couplings, own_start, near0, near1, near2, bond"
    text = _chunks(header, surroundings(dimension, coupled), ("ones", "twos", "fours"), dimension)
    return part(f"lanes.count_bonds.{dimension}.{coupled}")(compile_text(text, "add"))


def make_count_words(dimension: int) -> Any:
    """count_words(box, start, count): add words, at most LIMIT between two flushes."""
    text = _chunks("box, start", "        one = box[start + i]\n", ("one",), dimension)
    return part(f"lanes.count_words.{dimension}")(compile_text(text, "add"))


LIMIT = (2**PLANES - 1) // 6 * COLUMNS
"""How many words, of at most 6 bonds each, the counters can take."""
