"""Bonds between embedded Ising spins: laid with probability 1 - exp(-beta gap), many at once.

A random fraction has 32 bits at first and is compared with a single-precision exponential, which decides wherever the
two differ by more than TOLERANCE; the few that remain get 53 more bits and the exponential in double precision. The
probabilities are therefore those of `decay`, and no vector register is wasted on digits that decide nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hpcrg.exponential import decay
from hpcrg.interaction import make_near
from hpcrg.jit import part
from hpcrg.rng import advance, fraction
from hpcrg.system import System

U64 = np.uint64
F32 = np.float32
TOLERANCE = F32(2.0**-12)
"""Above the error of `rough`, which is below 2^-13, with that of rounding 32 bits to a float32."""

LARGEST = F32(12.0)
SIXTEENTH = F32(1.0 / 16.0)
MIDDLE = F32(0.375)
C0, C1, C2, C3, C4, C5 = (F32(math.exp(-0.375) * (-1.0) ** k / math.factorial(k)) for k in range(6))
HALF = F32(0.5)
UNIT = F32(2.0**-32)
ONE = np.uint8(1)


@part
def rough(x):  # type: ignore[no-untyped-def]
    """exp(-x) for x >= 0 in single precision."""
    y = min(x, LARGEST) * SIXTEENTH - MIDDLE
    root = C0 + y * (C1 + y * (C2 + y * (C3 + y * (C4 + y * C5))))
    p2 = root * root
    p4 = p2 * p2
    p8 = p4 * p4
    return p8 * p8


@part
def compare(gaps, numbers, laid, open_, count):  # type: ignore[no-untyped-def]
    """laid[i] = 1 where a random number, int32, is clearly above exp(-gaps[i]), and open_[i] = 1 where that is not
    clear; gaps are float32 and times beta."""
    for i in range(count):
        rest = F32(numbers[i]) * UNIT + HALF - rough(gaps[i])
        laid[i] = ONE if rest > TOLERANCE else np.uint8(0)
        open_[i] = ONE if abs(rest) <= TOLERANCE else np.uint8(0)


@part
def decide(gap, beta, number, state):  # type: ignore[no-untyped-def]
    """(r, whether a bond is laid), from 32 bits that were not enough and 53 more."""
    state, word = advance(state)
    share = (float(number) + 2147483648.0 + fraction(word)) * 2.0**-32
    return state, gap > 0.0 and share >= decay(beta * gap)


def make_resolve(system: System) -> Any:
    """resolve(x, neighbours, couplings, beta, begin, column, numbers, laid, open_, count, r) -> r: the open bonds of
    one column from site `begin` on; `open_` is a multiple of 8 long, the rest of it 0."""
    gap, coupling = system.physics.gap, make_near(system)

    @part
    def resolve(x, neighbours, couplings, beta, begin, column, numbers, laid, open_, count, state):  # type: ignore[no-untyped-def]
        eights = open_.view(np.uint64)
        for e in range((count + U64(7)) // U64(8)):
            if eights[e] != U64(0):
                for i in range(U64(8) * e, min(count, U64(8) * e + U64(8))):
                    if open_[i] > 0:
                        site = begin + i
                        other = x[U64(neighbours[site, column])]
                        here = gap(x[site], other, coupling(couplings, site, column))
                        state, yes = decide(here, beta, numbers[i], state)
                        laid[i] = np.uint8(yes)
        return state

    return resolve
