"""What a block-spin transformation is: a rule that maps blocks of factor^d spins to one spin.

Arrays: spins int8[draw, *lattice], keys uint64[draw]. Source: K. G. Wilson, Rev. Mod. Phys. 47, 773 (1975).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.jit import kernel
from hpcrg.models import Model
from hpcrg.rng import hash64


class Scheme(Protocol):
    """A block-spin transformation of block length `factor`."""

    @property
    def factor(self) -> int: ...

    def coarsen(self, model: Model, spins: NDArray[np.int8], keys: NDArray[np.uint64]) -> NDArray[np.int8]:
        """Block spins int8[draw, *lattice / factor] of the same model. Whatever is random is decided by
        hash64(keys[draw], site of the block), so a draw's block spins depend on that draw alone.

        Raises InputError when `factor` does not divide the lattice.
        """
        ...


SchemeType = Callable[[int], Scheme]
"""Makes a scheme of a given factor."""


def blocked_shape(shape: tuple[int, ...], factor: int) -> tuple[int, ...]:
    """The lattice of block spins. Raises InputError if a factor is below 2 or does not divide an extent."""
    if factor < 2:
        raise InputError(expected("factor", "an integer of at least 2", factor))
    for extent in shape:
        if extent % factor or extent == factor:
            raise InputError(expected("lattice", f"extents that are 2 or more blocks of {factor}", extent))
    return tuple(extent // factor for extent in shape)


def tie_keys(key: np.uint64, chain: int, slot: int, start: int, draws: int, level: int) -> NDArray[np.uint64]:
    """One hash key for each of the draws start .. start + draws - 1 at one level, uint64[draw]."""
    keys = np.empty(draws, np.uint64)
    _fill_keys(np.uint64(key), chain, slot, start, level, keys)
    return keys


@kernel("(uint64, int64, int64, int64, int64, uint64[::1])")
def _fill_keys(key: np.uint64, chain: int, slot: int, start: int, level: int, keys: NDArray[np.uint64]) -> None:
    for i in range(keys.size):
        keys[i] = hash64(key, chain, slot, start + i, level)  # type: ignore[arg-type]
