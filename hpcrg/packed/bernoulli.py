"""Words whose 64 bits are independently 1 with one probability p, exact to 2^-64.

A uniform 64-bit fraction R is compared with the threshold T = p 2^64 in every bit lane at once: with the binary
digits t of T and r of R from the lowest to the highest, less <- majority(less, t, not r) ends as R < T. The upper
DIGITS digits are compared for all lanes; where all of them are equal, the lower ones decide, digit by digit. The
generators are LANES xoshiro256++ states held word by word, so that the compiler makes vectors of them.
"""

from __future__ import annotations

import numpy as np

from hpcrg.jit import part
from hpcrg.rng import advance

U64 = np.uint64
LANES = 16
STATE_WORDS = 4 * LANES
WORK_WORDS = STATE_WORDS + 2 * LANES  # the states, then one word a lane, then what is undecided
N = U64(LANES)
DIGITS = 12
LAST = U64(64 - DIGITS)
ZERO = U64(0)
ONE = U64(1)
ALL = U64(2**64 - 1)
BELOW_ONE = 1.0 - 2.0**-53
SCALE = 2.0**64


@part
def digits_of(p, digits):  # type: ignore[no-untyped-def]
    """The binary digits of p, 0 <= p <= 1, as words of zeros or ones; digits[0] stands for 2^-64."""
    threshold = U64(max(0.0, min(p, BELOW_ONE)) * SCALE)
    for k in range(U64(64)):
        digits[k] = ZERO - ((threshold >> k) & ONE)


@part
def compare(state, digit, less, equal):  # type: ignore[no-untyped-def]
    """One more digit; the random word stands for the complement of R's."""
    state, word = advance(state)
    return state, less ^ ((less ^ digit) & (less ^ word)), equal & (digit ^ word)


@part
def compare4(state, digits, less, equal):  # type: ignore[no-untyped-def]
    """Four more digits."""
    state, less, equal = compare(state, digits[0], less, equal)
    state, less, equal = compare(state, digits[1], less, equal)
    state, less, equal = compare(state, digits[2], less, equal)
    return compare(state, digits[3], less, equal)


@part
def get_state(work, i):  # type: ignore[no-untyped-def]
    """The generator of lane i."""
    return work[i], work[N + i], work[U64(2) * N + i], work[U64(3) * N + i]


@part
def set_state(work, i, state):  # type: ignore[no-untyped-def]
    """Put it back."""
    work[i], work[N + i], work[U64(2) * N + i], work[U64(3) * N + i] = state


@part
def decide(digits, work):  # type: ignore[no-untyped-def]
    """Go on to the lower digits wherever the upper ones were equal."""
    for i in range(N):
        open_ = work[U64(5) * N + i]
        if open_ != ZERO:
            state, less, k = get_state(work, i), work[U64(4) * N + i] & ~open_, LAST
            while open_ != ZERO and k > ZERO:
                k -= ONE
                state, word = advance(state)
                less |= open_ & digits[k] & word
                open_ &= digits[k] ^ word
            set_state(work, i, state)
            work[U64(4) * N + i] = less


@part
def bernoulli(out, digits, work):  # type: ignore[no-untyped-def]
    """Fill `out`, a multiple of LANES words, with bits of the probability that `digits` write; `work` begins with
    the states, uint64[WORK_WORDS]."""
    upper = digits[LAST:]
    a = upper[U64(0)], upper[U64(1)], upper[U64(2)], upper[U64(3)]
    b = upper[U64(4)], upper[U64(5)], upper[U64(6)], upper[U64(7)]
    c = upper[U64(8)], upper[U64(9)], upper[U64(10)], upper[U64(11)]
    for block in range(U64(out.size) // N):
        for i in range(N):
            state, less, equal = compare4(get_state(work, i), a, ZERO, ALL)
            state, less, equal = compare4(state, b, less, equal)
            state, less, equal = compare4(state, c, less, equal)
            set_state(work, i, state)
            work[U64(4) * N + i], work[U64(5) * N + i] = less, equal
        undecided = ZERO  # in a loop of its own: a reduction would stop the vectorisation of the first
        for i in range(N):
            undecided |= work[U64(5) * N + i]
        if undecided != ZERO:
            decide(digits, work)
        for i in range(N):
            out[block * N + i] = work[U64(4) * N + i]


@part
def fair(out, work):  # type: ignore[no-untyped-def]
    """Fill `out`, a multiple of LANES words, with random bits."""
    for block in range(U64(out.size) // N):
        for i in range(N):
            state, word = advance(get_state(work, i))
            set_state(work, i, state)
            work[U64(4) * N + i] = word
        for i in range(N):
            out[block * N + i] = work[U64(4) * N + i]
