"""Asynchronous multi-spin Metropolis: 64 walkers in the bits of a word (Bhanot, Duke and Salvador, J. Stat. Phys. 44,
985 (1986); Michael, Phys. Rev. B 33, 7861 (1986)), with random bits and an inverse temperature of its own for every
lane.

A spin with u of its 2 d bonds unsatisfied flips if u >= d, or else with probability exp(-beta (4 d - 4 u)): d
probabilities a lane. Sites of one colour are visited class by class, then those of the other; see hpcrg.lanes.block
for the order. Needs beta >= 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.lanes.bernoulli import BATCH, make_fill, tabulate
from hpcrg.lanes.block import (
    LANES,
    TABLE_START,
    class_of,
    compile_text,
    make_collect,
    make_geometry,
    surroundings,
    work_start,
)  # fmt: skip

U64 = np.uint64


def make_refresh(dimension: int) -> Any:
    """refresh(box, betas): make the table again where it is not for these betas."""
    start, stop = TABLE_START, work_start(dimension)

    @part
    def refresh(box, betas):  # type: ignore[no-untyped-def]
        held = box[:LANES].view(np.float64)
        same = True
        for lane in range(betas.size):
            same &= held[lane] == betas[lane]
        if same:
            return
        table = box[start:stop]
        table[:] = 0
        for lane in range(betas.size):
            held[lane] = betas[lane]
            for u in range(dimension):
                tabulate(np.exp(-betas[lane] * (4 * dimension - 4 * u)), lane, dimension, u, table)

    return refresh


def _flip_text(dimension: int, coupled: bool) -> str:
    """The text of `flip`, which LLVM makes vector code of."""
    text = "def flip(box, couplings, own_start, near0, near1, near2, bond, work, count):\n    for i in range(count):\n"
    text += surroundings(dimension, coupled)
    words = [f"box[work + i + U64({u * BATCH})]" for u in range(dimension)]
    text += "".join(f"        w{u} = {word}\n" for u, word in enumerate(words))
    text += "        w = w0 ^ (ones & (w0 ^ w1))\n"
    if dimension == 2:
        return text + "        box[own_start + i] = own ^ (twos | fours | w)\n"
    text += "        w ^= twos & (w ^ w2)\n"
    return text + "        box[own_start + i] = own ^ (fours | (twos & ones) | w)\n"


def make_segment(dimension: int, coupled: bool) -> Any:
    """segment(box, couplings, extents, start, kind, first, count, used): update places first .. first + count - 1 of
    class `kind` with the random words from `used` on."""
    flip = part(compile_text(_flip_text(dimension, coupled), "flip"))
    collect, work = make_collect(dimension), U64(work_start(dimension))

    @part
    def segment(box, couplings, extents, start, kind, first, count, used):  # type: ignore[no-untyped-def]
        n = extents[0] * extents[1] * extents[2]
        own, near0, near1, near2 = collect(box, extents, start, kind, first, count)
        flip(box, couplings, own, near0, near1, near2, kind * n + first, work + used, count)

    return segment


def make_sweep(dimension: int, coupled: bool) -> Any:
    """sweep(block, betas, rng, neighbours, couplings, info) in d = 2 or 3, with or without couplings +-1; `neighbours`
    and `couplings` are those of hpcrg.lanes.block."""
    refresh, fill, segment = make_refresh(dimension), make_fill(dimension), make_segment(dimension, coupled)
    geometry, table, work = make_geometry(dimension), U64(TABLE_START), U64(work_start(dimension))

    @part
    def sweep(block, betas, rng, neighbours, couplings, info):  # type: ignore[no-untyped-def]
        box, random = block[0], rng[0]
        refresh(box, betas)
        extents, start = geometry(neighbours[0])
        n, used = extents[0] * extents[1] * extents[2], U64(BATCH)
        for step in range(U64(1 << dimension)):
            kind = class_of(step, U64(dimension))
            first = U64(0)
            while first < n:
                if used == U64(BATCH):
                    fill(random, box, table, work)
                    used = U64(0)
                count = min(n - first, U64(BATCH) - used)
                segment(box, couplings, extents, start, kind, first, count, used)
                first += count
                used += count

    return sweep
