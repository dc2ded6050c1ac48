"""Bits of 64-bit words: the population count as one machine instruction, and masks around the lowest set bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from hpcrg.jit import part

U64 = np.uint64
ONE = U64(1)


@intrinsic
def _population(context: Any, word: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit


@part
def popcount(word):  # type: ignore[no-untyped-def]
    """The number of set bits, an unsigned integer."""
    return _population(word)  # type: ignore[call-arg]  # numba gives the context


@part
def lowest(word):  # type: ignore[no-untyped-def]
    """The lowest set bit alone; 0 for 0."""
    return word & (U64(0) - word)


@part
def up_to_lowest(word):  # type: ignore[no-untyped-def]
    """Every bit up to and with the lowest set one; all for 0."""
    return word ^ (word - ONE)


@part
def first_in_run(marks, starts):  # type: ignore[no-untyped-def]
    """The lowest mark of every run, runs reaching from one start to the next. No mark may lie below the lowest
    start.

    A carry leaves every start without a mark, goes through unmarked bits and stops in the next mark.
    """
    free = ~marks
    return marks & (starts | ((starts & free) + free))
