"""Lattices: sites in C order, periodic boundaries, neighbour tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected

MAX_VOLUME = 2**31 - 1


@dataclass(frozen=True)
class Lattice:
    """The hypercubic lattice with periodic boundaries. Axes are named x (d = 1), y x (d = 2), z y x (d =
    3).

    An axis of length 2 has two bonds between its two sites, as the periodic sum over positive directions
    says. Raises Unsupported for a dimension outside 1 .. 3, an extent below 2 or a volume above 2^31 - 1.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= 3:
            raise Unsupported(expected("lattice.dimension", "1, 2 or 3", len(self.shape)))
        for extent in self.shape:
            if extent < 2:
                raise Unsupported(expected("lattice.shape", "extents of at least 2", extent))
        if self.volume > MAX_VOLUME:
            raise Unsupported(expected("lattice.shape", f"a volume of at most {MAX_VOLUME}", self.volume))

    @property
    def volume(self) -> int:
        """The number of sites N."""
        return prod(self.shape)

    @property
    def dimension(self) -> int:
        """The number of axes d."""
        return len(self.shape)

    @property
    def coordination(self) -> int:
        """Neighbours of a site, 2 d."""
        return 2 * self.dimension

    def neighbours(self) -> NDArray[np.int32]:
        """The neighbour table, int32[N, 2 d]: column k < d is the step +1 along axis d - 1 - k (so +x first),
        column d + k the step -1 along the same axis."""
        sites = np.arange(self.volume, dtype=np.int32).reshape(self.shape)
        axes = range(self.dimension - 1, -1, -1)
        columns = [np.roll(sites, -step, axis).ravel() for step in (1, -1) for axis in axes]
        return np.ascontiguousarray(np.stack(columns, axis=1))


LATTICES: dict[str, Callable[[tuple[int, ...]], Lattice]] = {"hypercubic": Lattice}
