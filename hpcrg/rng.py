"""Random numbers with addresses: streams for walkers, and a counter hash for everything that must not have
a state.

A stream is xoshiro256++ (Blackman and Vigna, ACM Trans. Math. Softw. 47, 36 (2021)), seeded by numpy's
SeedSequence with spawn_key = (purpose, *address). An address names physics (ensemble, chain, walker), never
a rank, and every word of it is below 2^32, so that two addresses never seed alike. The hash is splitmix64's
finaliser (Steele, Lea and Flood, OOPSLA 2014) folded over its arguments.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import expected
from hpcrg.jit import part

U64 = np.uint64
State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
WORD_LIMIT = 2**32


class Purpose(IntEnum):
    """What a stream is for. The numbers are part of the file format: never reuse or change one."""

    INITIAL = 1
    WALKER = 2
    EXCHANGE = 3
    PILOT = 4
    TIES = 5
    TRAINING = 6
    SYNTHETIC = 7
    DISORDER = 8
    POPULATION = 9
    PERCOLATION = 10
    FLAT_HISTOGRAM = 11
    DIMERS = 12
    PROBABILITY_CHANGING = 13
    STACK = 14
    HIERARCHY = 15


def _sequence(seed: int, purpose: Purpose, address: tuple[int, ...]) -> np.random.SeedSequence:
    for word in address:
        if not 0 <= word < WORD_LIMIT:
            raise ValueError(expected("address", "words from 0 to 2^32 - 1", word))
    return np.random.SeedSequence(seed, spawn_key=(int(purpose), *(int(word) for word in address)))


def stream(seed: int, purpose: Purpose, *address: int) -> NDArray[np.uint64]:
    """The state of a generator of its own, uint64[4]. Raises ValueError for a word outside 0 .. 2^32 - 1."""
    return np.asarray(_sequence(seed, purpose, address).generate_state(4, np.uint64), np.uint64)


def states(seed: int, purpose: Purpose, count: int, *address: int) -> NDArray[np.uint64]:
    """`count` independent states in one row, uint64[4 count]; one of them is that of `stream`."""
    return np.asarray(_sequence(seed, purpose, address).generate_state(4 * count, np.uint64), np.uint64)


def generator(seed: int, purpose: Purpose, *address: int) -> np.random.Generator:
    """A numpy generator of its own, for what is drawn once and stored."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose, address)))


def key_of(seed: int, purpose: Purpose, *address: int) -> np.uint64:
    """The key of a counter hash of its own. Raises ValueError for a word outside 0 .. 2^32 - 1."""
    return np.uint64(_sequence(seed, purpose, address).generate_state(1, np.uint64)[0])


def id_words(ensemble_id: str) -> tuple[int, ...]:
    """The words of an address that stand for an ensemble: its id, 8 hexadecimal digits a word."""
    if not ensemble_id or len(ensemble_id) % 8:
        raise ValueError(expected("ensemble id", "a multiple of 8 hexadecimal digits", ensemble_id))
    return tuple(int(ensemble_id[i : i + 8], 16) for i in range(0, len(ensemble_id), 8))


@part
def advance(state: State) -> tuple[State, np.uint64]:
    """The next state and 64 random bits; the state stays in registers."""
    a, b, c, d = state
    out = a + d
    out = ((out << U64(23)) | (out >> U64(41))) + a
    shifted = b << U64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << U64(45)) | (d >> U64(19))
    return (a, b, c, d), out


@part
def load(state: NDArray[np.uint64]) -> State:
    """A stored state as a tuple."""
    return state[0], state[1], state[2], state[3]


@part
def store(target: NDArray[np.uint64], state: State) -> None:
    """Write a state back."""
    target[0], target[1], target[2], target[3] = state


@part
def choose(state: State, n: int) -> tuple[State, np.uint64]:
    """The next state and a uniform integer from 0 to n - 1, exactly uniform, for 1 <= n < 2^32
    (Lemire, ACM Trans. Model. Comput. Simul. 29, 3 (2019))."""
    size, low = U64(n), U64(0xFFFFFFFF)
    state, word = advance(state)
    product = (word >> U64(32)) * size
    if (product & low) < size:
        threshold = (U64(1) << U64(32)) % size
        while (product & low) < threshold:
            state, word = advance(state)
            product = (word >> U64(32)) * size
    return state, product >> U64(32)


@part
def fraction(word: np.uint64) -> float:
    """A float in [0, 1) from the upper 53 bits of a word."""
    return float(word >> U64(11)) * (1.0 / 9007199254740992.0)


@part
def next_u64(state: NDArray[np.uint64]) -> np.uint64:
    """64 random bits; advances `state` in place."""
    after, word = advance(load(state))
    store(state, after)
    return word


@part
def uniform(state: NDArray[np.uint64]) -> float:
    """A float in [0, 1); advances `state` in place."""
    return fraction(next_u64(state))


@part
def below(state: NDArray[np.uint64], n: int) -> np.uint64:
    """A uniform integer from 0 to n - 1 for 1 <= n < 2^32; advances `state` in place."""
    after, value = choose(load(state), n)
    store(state, after)
    return value


@part
def _mix(x: np.uint64) -> np.uint64:
    x ^= x >> U64(30)
    x *= U64(0xBF58476D1CE4E5B9)
    x ^= x >> U64(27)
    x *= U64(0x94D049BB133111EB)
    return x ^ (x >> U64(31))


@part
def hash64(key: int, a: int, b: int = 0, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> np.uint64:
    """64 bits that depend on every argument and its place; arguments left out count as 0."""
    golden = U64(0x9E3779B97F4A7C15)
    h = _mix(U64(key) + golden)
    h = _mix((h ^ U64(a)) + golden)
    h = _mix((h ^ U64(b)) + golden)
    h = _mix((h ^ U64(c)) + golden)
    h = _mix((h ^ U64(d)) + golden)
    h = _mix((h ^ U64(e)) + golden)
    return _mix((h ^ U64(f)) + golden)
