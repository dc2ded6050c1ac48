"""The majority rule: the block spin is the state that most spins of the block have, with random ties.

For two states this is s' = sign(sum of the block), for q states the plurality. A tie is decided by a counter
hash of the draw's key and the block's site, uniformly among the tied states: a fixed choice would break the
symmetry between states. Source: R. H. Swendsen, Phys. Rev. Lett. 42, 859 (1979), and Phys. Rev. B 20, 2080
(1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcrg.jit import kernel, part
from hpcrg.models import Model
from hpcrg.rng import hash64
from hpcrg.schemes.base import blocked_shape


@dataclass(frozen=True)
class Majority:
    """Plurality over blocks of factor^d spins."""

    factor: int = 2

    def coarsen(self, model: Model, spins: NDArray[np.int8], keys: NDArray[np.uint64]) -> NDArray[np.int8]:
        """See Scheme."""
        shape = blocked_shape(spins.shape[1:], self.factor)
        flat = (1,) * (3 - len(shape))
        bz, by, bx = (*flat, *(self.factor for _ in shape))
        codes = np.ascontiguousarray(model.codes(spins)).reshape(len(spins), *flat, *spins.shape[1:])
        out = np.empty((len(spins), *flat, *shape), np.uint8)
        if model.states == 2:
            _majority(codes, bz, by, bx, keys, out)
        else:
            _plurality(codes, bz, by, bx, model.states, keys, out)
        return model.from_codes(out.reshape(len(spins), *shape))


@part
def _ranked(count: NDArray[np.int64], most: int, rank: int) -> int:
    """The state of the given rank among those that `most` spins have."""
    for state in range(count.size):
        if count[state] == most:
            if rank == 0:
                return state
            rank -= 1
    return 0


@kernel("(uint8[:, :, :, ::1], int64, int64, int64, int64, uint64[::1], uint8[:, :, :, ::1])")
def _plurality(
    codes: NDArray[np.uint8], bz: int, by: int, bx: int, states: int, keys: NDArray[np.uint64],
    out: NDArray[np.uint8],
) -> None:  # fmt: skip
    draws, lz, ly, lx = out.shape
    count = np.zeros(states, np.int64)
    for draw in range(draws):
        site = 0
        for z in range(lz):
            for y in range(ly):
                for x in range(lx):
                    count[:] = 0
                    for k in range(z * bz, (z + 1) * bz):
                        for j in range(y * by, (y + 1) * by):
                            for i in range(x * bx, (x + 1) * bx):
                                count[codes[draw, k, j, i]] += 1
                    most, tied, winner = 0, 0, 0
                    for a in range(states):
                        if count[a] > most:
                            most, tied, winner = count[a], 1, a
                        elif count[a] == most:
                            tied += 1
                    if tied > 1:
                        rank = int(hash64(keys[draw], site) % np.uint64(tied))
                        winner = _ranked(count, most, rank)
                    out[draw, z, y, x] = winner
                    site += 1


@kernel("(uint8[:, :, :, ::1], int64, int64, int64, uint64[::1], uint8[:, :, :, ::1])")
def _majority(
    codes: NDArray[np.uint8], bz: int, by: int, bx: int, keys: NDArray[np.uint64], out: NDArray[np.uint8]
) -> None:
    # The plurality of two states, ties included, several times as fast.
    draws, lz, ly, lx = out.shape
    volume = bz * by * bx
    for draw in range(draws):
        site = 0
        for z in range(lz):
            for y in range(ly):
                for x in range(lx):
                    ones = 0
                    for k in range(z * bz, (z + 1) * bz):
                        for j in range(y * by, (y + 1) * by):
                            for i in range(x * bx, (x + 1) * bx):
                                ones += codes[draw, k, j, i]
                    if 2 * ones == volume:
                        out[draw, z, y, x] = hash64(keys[draw], site) % np.uint64(2)
                    else:
                        out[draw, z, y, x] = 2 * ones > volume
                    site += 1
