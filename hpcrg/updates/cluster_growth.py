"""The growth of one cluster of equal spins, four bonds a random word and no branch to mispredict.

Where gaps are integers and all bonds attract, a bond between equal spins has gap `gap_span` and any other 0: one chance
T / 2^53 serves the whole cluster, whose members all had the spin of the first one, and a site that has moved is joined
no more. Of four bonds, 15 bits each in one word, those below the upper 15 bits of T are laid; where they are
equal, once in 8192 words, 38 more bits decide against the rest of T: these are the chances of `bond_chances`, all 53
bits of them. A site is written to the end of the queue whether it joins or not, and counted if it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.rng import advance, load, store
from hpcrg.system import System

U64 = np.uint64
U32 = np.uint32
ZERO, ONE, FOUR = U64(0), U64(1), U64(4)
SHARE = U64(16)
"""Bits of a word for one bond; the highest is free for carries."""

EACH, TOPS, DIGITS = U64(0x0001000100010001), U64(0x8000800080008000), U64(0x7FFF7FFF7FFF7FFF)
LARGEST = U64(2**15 - 1)
REST = U64(53 - 15)


@part
def split(chance):  # type: ignore[no-untyped-def]
    """(upper, rest): a chance in units of 2^-53 is upper 2^38 + rest, upper < 2^15 and rest <= 2^38."""
    upper = min(chance >> REST, LARGEST)
    return upper, chance - (upper << REST)


@part
def lay_all(word, upper, rest, spare):  # type: ignore[no-untyped-def]
    """Four bonds, slowly, with more random bits from the generator `spare`, uint64[4], where 15 do not decide."""
    laid = ZERO
    for k in range(FOUR):
        digits = (word >> (SHARE * k)) & LARGEST
        yes = digits < upper
        if digits == upper:
            state, more = advance(load(spare))
            store(spare, state)
            yes = (more >> (U64(64) - REST)) < rest
        laid |= U64(yes) << (SHARE * k + SHARE - ONE)
    return laid


@part
def lay_four(word, upper):  # type: ignore[no-untyped-def]
    """(whether each of four bonds is laid: bits 15, 31, 47 and 63, other bits mean nothing; whether 15 bits decide them
    all). Hands on no array: numba would count a reference for every word."""
    digits, limit = word & DIGITS, upper * EACH
    return ~(digits + (TOPS - limit)), (((digits ^ limit) + DIGITS) & TOPS) == TOPS


@part
def seed(spare, state):  # type: ignore[no-untyped-def]
    """Start the spare generator from the walker's."""
    for k in range(FOUR):
        state, spare[k] = advance(state)
    return state


def make_visit(system: System) -> Any:
    """visit(walker, near, place, old, new, laid, k, queue, size) -> size: the site at the far end of bond k of four;
    `place` is what the queue calls it."""
    read, write = system.physics.read, system.physics.write

    @part
    def visit(walker, near, place, old, new, laid, k, queue, size):  # type: ignore[no-untyped-def]
        other = read(walker, near)
        joins = (laid >> (SHARE * k + SHARE - ONE)) & U64(other == old)
        queue[size] = U32(place)
        write(walker, near, new if joins != ZERO else other)
        return size + joins

    return visit


def make_begin(system: System) -> Any:
    """begin(walker, table, m, move, first, spare, r) -> (r, old, new, upper, rest): moves the first site."""
    physics = system.physics
    read, write, reflect, project, gap = physics.read, physics.write, physics.reflect, physics.project, physics.gap

    @part
    def begin(walker, table, m, move, first, spare, state):  # type: ignore[no-untyped-def]
        old = read(walker, first)
        new, x = reflect(m, move, old), project(m, old)
        upper, rest = split(table[U64(gap(x, x, 1))])
        write(walker, first, new)
        return seed(spare, state), old, new, upper, rest

    return begin


def make_grow(system: System) -> Any:
    """grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, r) -> (r, size): moves the cluster
    of one site; `table` holds `bond_chances`, the array `old` is not used."""
    z, begin, visit = U64(system.coordination), make_begin(system), make_visit(system)

    @part
    def grow(walker, neighbours, couplings, beta, table, m, move, first, queue, old, state):  # type: ignore[no-untyped-def]
        spare = np.empty(4, np.uint64)
        state, spin, new, upper, rest = begin(walker, table, m, move, first, spare, state)
        queue[0] = U32(first)
        head, size, laid = ZERO, ONE, ZERO
        while head < size:
            site = U64(queue[head])
            head += ONE
            for k in range(z):
                if k & U64(3) == ZERO:
                    state, word = advance(state)
                    laid, decided = lay_four(word, upper)
                    if not decided:
                        laid = lay_all(word, upper, rest, spare)
                near = U64(neighbours[site, k])
                size = visit(walker, near, near, spin, new, laid, k & U64(3), queue, size)
        return state, size

    return grow


def served(system: System) -> bool:
    """Whether all bonds attract and have the gap 0 or `gap_span`."""
    return system.coupling == "none" and system.physics.gap_span > 0
