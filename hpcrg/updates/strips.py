"""Multi-spin Metropolis of one lattice: 64 sites of the Ising model at a time, accepted with min(1, exp(-beta dE)).

The sites of a colour of the checkerboard do not feel each other: all of one are updated, then all of the other. With u
of its 2 d bonds unsatisfied a flip costs dE = 4 (d - u): u >= d is always accepted, and u < d is the class that chooses
one of d probabilities. Every site has random bits of its own (hpcrg.lanes.bernoulli), exact to 2^-64. The checkerboard
is not ergodic in d = 1.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from hpcrg.bits import popcount
from hpcrg.jit import part
from hpcrg.lanes.bernoulli import BATCH, FIRST, SECOND, make_fill, table_words, tabulate, work_words
from hpcrg.strips.block import near_text, stride_names
from hpcrg.strips.margins import BITS, HALF, HEAD, ROWS, SIZE, make_strides, margins, table_of

U64 = np.uint64


def flip_text(dimension: int) -> str:
    """The source of `flip`: `least` c says where more than c bonds are unsatisfied; word c of the box is what class c
    decides."""
    words = [f"box[at + i + U64({table_words(dimension) + c * BATCH})]" for c in range(dimension)]
    body = ["spin = walker[own + i]", "least0 = spin ^ walker[other + i]"]
    body += [f"least{c} = U64(0)" for c in range(1, dimension)]
    for near in near_text(dimension):
        body += [f"bond = spin ^ walker[{near}]"]
        body += [f"least{c} |= least{c - 1} & bond" for c in range(dimension - 1, 0, -1)] + ["least0 |= bond"]
    body += [f"flips = {words[0]}"]
    body += [f"flips ^= least{c - 1} & (flips ^ {words[c]})" for c in range(1, dimension)]
    body += [f"flips = (flips | least{dimension - 1}) & bits"]
    body += ["walker[own + i] = spin ^ flips", "total += popcount(flips)"]
    head = f"def flip(walker, own, other, side, at, count, box, bits, {stride_names(dimension)}):\n"
    head += "    total = U64(0)\n    for i in range(count):\n"
    return head + "".join(f"        {line}\n" for line in body) + "    return total\n"


@cache
def make_flip(dimension: int) -> Any:
    """flip(walker, own, other, side, at, count, box, bits, *strides) -> flips: updates `count` words of a row from word
    `own` on, with the decisions from place `at` of the batch on. The first neighbours along the row are `other`, the
    word of the other colour at the same place, and `side`; `bits` are those that are sites."""
    namespace: dict[str, Any] = {"U64": U64, "popcount": popcount}
    exec(flip_text(dimension), namespace)  # noqa: S102
    return part(namespace["flip"])


@cache
def make_update(dimension: int) -> Any:
    """update(walker, rng, box, table) -> flips: every site of one colour, then of the other. A batch of decisions, made
    before anyone asks for them, may serve the end of one colour and the beginning of the next."""
    flip, fill, words = make_flip(dimension), make_fill(dimension), table_words(dimension)
    strides = make_strides(dimension)

    @part
    def update(walker, rng, box, table):  # type: ignore[no-untyped-def]
        rows, half, size, bits, steps = table[ROWS], table[HALF], table[SIZE], table[BITS], strides(table)
        flips, at = U64(0), U64(BATCH)
        for colour in range(U64(2)):
            margins(walker, U64(1) - colour, table)
            for r in range(rows):
                first, odd = table[HEAD + U64(2) * r], table[HEAD + U64(2) * r + U64(1)]
                own, other = first + colour * size, first + (U64(1) - colour) * size
                side, j = (odd ^ colour) * U64(2) - U64(1), U64(0)
                while j < half:
                    if at == U64(BATCH):
                        fill(rng, box, U64(0), U64(words))
                        at = U64(0)
                    count = min(half - j, U64(BATCH) - at)
                    flips += flip(
                        walker, own + j, other + j, other + side + j, at, count, box, bits, *steps
                    )  # fmt: skip
                    j, at = j + count, at + count
        return flips

    return update


@part
def tabulate_all(chance, count, which, table):  # type: ignore[no-untyped-def]
    """Enter one of `count` probabilities for every lane: see tabulate of hpcrg.lanes.bernoulli, which enters lane 0."""
    digits, rest = U64(FIRST + SECOND), U64(count * (FIRST + SECOND) + which * 128)
    first = U64(which) * digits
    for k in range(digits):
        table[first + k] = U64(0)
    table[rest] = U64(0)
    tabulate(chance, 0, count, which, table)
    for k in range(digits):
        table[first + k] = U64(0) - table[first + k]
    low, lowest = table[rest], table[rest + U64(64)]
    for lane in range(U64(64)):
        table[rest + lane] = low
        table[rest + U64(64) + lane] = lowest


@cache
def make_sweep(dimension: int) -> Any:
    """sweep(block, betas, rng, neighbours, couplings, info): one sweep of every walker at its own beta >= 0, in place;
    `neighbours` are the `tables` of a cut, couplings are not looked at; info[walker, 0] is the fraction of sites
    flipped."""
    update, words = make_update(dimension), table_words(dimension) + work_words(dimension)

    @part
    def sweep(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        box, table = np.empty(words, np.uint64), table_of(neighbours)
        volume = 2.0 * float(table[ROWS] * table[HALF] * popcount(table[BITS]))
        for w in range(block.shape[0]):
            chance = 1.0
            for c in range(dimension - 1, -1, -1):
                chance *= np.exp(-4.0 * betas[w])
                tabulate_all(chance, dimension, c, box)
            info[w, 0] = update(block[w], rng[w], box, table) / volume

    return sweep
