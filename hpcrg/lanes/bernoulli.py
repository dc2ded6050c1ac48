"""Words of 64 independent Bernoulli bits: bit l of word t of a site is 1 with probability p(t, l), exact to 2^-64.

A uniform number below p is compared bit by bit, least significant bit first: with l the outcome so far, t a bit of p
and r a random bit, l <- t ^ ((t ^ l) & r) is 1 with probability (t + l) / 2. What lies below the first bits matters
only where every r was 1, once in 2^FIRST. So GROUP words share the next SECOND random words; two words of a group that
need the same bit of them are a clash. A clash, and what is still open after all these bits, takes a number of its own.

All words of a site share their random words: the caller uses one of them in every lane. What is drawn depends neither
on p nor on the use that is made of it.

Random words are xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Softw. 47, 36 (2021)) from WIDTH generators that
advance together, word c of generator i at [c * WIDTH + i], and one more for the open lanes at the end.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from hpcrg.jit import part
from hpcrg.rng import advance, load, store

U64 = np.uint64
WIDTH = 64
FIRST, SECOND, GROUP = 7, 7, 4
BATCH = WIDTH * GROUP
STATE_WORDS = 4 * WIDTH + 4

_DRAW = """
        out = a + d
        out = ((out << U23) | (out >> U41)) + a
        shifted = b << U17
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= shifted
        d = (d << U45) | (d >> U19)
"""


@intrinsic
def trailing_zeros(_typing, word):  # type: ignore[no-untyped-def]
    """The index of the lowest bit that is set, of a word that is not zero."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


def table_words(count: int) -> int:
    """The words of a table for `count` probabilities a lane: bit k of p(t) from the lowest on, then the
    remainders."""
    return count * (FIRST + SECOND + 2 * 64)


def work_words(count: int) -> int:
    """The words that a batch takes: `count` words a site, those that were open, and marks."""
    return (count + 1) * BATCH + 2 * WIDTH


@part
def tabulate(chance, lane, count, which, table):  # type: ignore[no-untyped-def]
    """Enter a probability into a table that was zero in this lane."""
    scaled = chance * 18446744073709551616.0
    whole = U64(0xFFFFFFFFFFFFFFFF) if scaled >= 18446744073709551616.0 else U64(scaled)
    digits = FIRST + SECOND
    for k in range(digits):  # the lowest bit of the second stage first
        place = k + FIRST if k < SECOND else k - SECOND
        bit = (whole >> U64(64 - digits + k)) & U64(1)
        table[U64(which * digits + place)] |= bit << U64(lane)
    rest = count * digits + which * 128 + lane
    table[U64(rest)] = whole << U64(FIRST)
    table[U64(rest + 64)] = whole << U64(digits)


def _stage(count: int, first: int, steps: int, mask: str, result: str) -> str:
    """The comparison with bits `first`, `first + 1`, ... of every probability."""
    lines = ""
    for k in range(steps):
        lines += _DRAW + f"        {mask} = out\n" * (k == 0) + f"        {mask} &= out\n" * (k > 0)
        for t in range(count):
            before = f"t{t}_{first}" if k == 0 else f"{result}{t}"
            lines += f"        {result}{t} = d{t}_{first + k} ^ ({before} & out)\n"
    return lines


def _source(count: int) -> str:
    """The text of `fill`: unrolled, so that LLVM makes one loop over WIDTH of it and turns that into vector code."""
    digits, groups = FIRST + SECOND, range(GROUP)
    text = "def fill(rng, box, table, work):\n"
    for t in range(count):
        for k in range(digits):
            text += f"    t{t}_{k} = box[table + U64({t * digits + k})]\n"
        for first, last in ((0, FIRST), (FIRST, digits)):
            for k in range(first, last):
                text += f"    d{t}_{k} = t{t}_{k}" + (f" ^ t{t}_{k + 1}\n" if k + 1 < last else "\n")
    text += "    for i in range(WIDTH):\n"
    text += "".join(f"        {x} = rng[i + U64({c * WIDTH})]\n" for c, x in enumerate("abcd"))
    text += "".join(_stage(count, 0, FIRST, f"e{g}", f"m{g}_") for g in groups)
    text += _stage(count, FIRST, SECOND, "f", "q")
    text += "".join(f"        rng[i + U64({c * WIDTH})] = {x}\n" for c, x in enumerate("abcd"))
    text += "        some = e0\n        clash = e0 & e1\n        some |= e1\n"
    text += "".join(f"        clash |= some & e{g}\n        some |= e{g}\n" for g in groups[2:])
    text += "".join(f"        q{t} &= ~clash\n" for t in range(count))
    for g in groups:
        for t in range(count):
            text += f"        box[work + i + U64({(t * GROUP + g) * WIDTH})] = m{g}_{t} ^ (q{t} & e{g})\n"
        text += f"        box[work + i + U64({(count * GROUP + g) * WIDTH})] = e{g}\n"
    text += f"        box[work + i + U64({(count + 1) * BATCH})] = clash\n"
    text += f"        box[work + i + U64({(count + 1) * BATCH + WIDTH})] = clash | (some & f)\n"
    return text


@cache
def make_fill(count: int) -> Any:
    """fill(rng, box, table, work): new words into `box` from `work` on, for the table at `table` of `box`: word t of
    place j of the batch at [t * BATCH + j]."""
    names: dict[str, Any] = {"U64": U64, "WIDTH": U64(WIDTH)} | {f"U{n}": U64(n) for n in (17, 19, 23, 41, 45)}
    exec(_source(count), names)  # noqa: S102
    stages, resolve = part(names["fill"]), make_resolve(count)
    marks = U64((count + 1) * BATCH + WIDTH)

    @part
    def fill(rng, box, table, work):  # type: ignore[no-untyped-def]
        stages(rng, box, table, work)
        for i in range(U64(WIDTH)):
            if box[work + marks + i]:
                resolve(rng, box, table, work, i)

    return fill


@cache
def make_resolve(count: int) -> Any:
    """resolve(rng, box, table, work, i): the open lanes of group i."""
    group, open_words, marks = U64(GROUP), U64(count * BATCH), U64((count + 1) * BATCH)
    remainders = U64(count * (FIRST + SECOND))

    @part
    def resolve(rng, box, table, work, i):  # type: ignore[no-untyped-def]
        own = rng[4 * WIDTH :]
        state = load(own)
        clash, marked = box[work + marks + i], box[work + marks + U64(WIDTH) + i]
        for g in range(group):
            place = work + g * U64(WIDTH) + i
            todo = box[place + open_words] & marked
            while todo:
                lane = trailing_zeros(todo)  # type: ignore[call-arg, var-annotated]  # numba gives the context
                state, word = advance(state)
                rest = table + remainders + lane + (U64(64) - ((clash >> lane) & U64(1)) * U64(64))
                for t in range(U64(count)):
                    box[place + t * U64(BATCH)] ^= U64(word < box[rest + t * U64(128)]) << lane
                todo &= todo - U64(1)
        store(own, state)

    return resolve
