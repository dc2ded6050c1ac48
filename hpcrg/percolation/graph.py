"""A lattice as a list of bonds with displacement vectors: what percolation needs to know of it.

A cluster wraps along an axis when it contains a closed path whose displacements do not add up to zero along that axis
(Machta et al., Phys. Rev. E 54, 1332 (1996)). A displacement is packed into one int64, component k times 2^(w k) with
w = 64 // d: the packing is a homomorphism, so packed displacements add, and it can be undone as long as every component
stays below 2^(w - 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected
from hpcrg.lattice import HONEYCOMB, Lattice


@dataclass(frozen=True, eq=False)
class Graph:
    """`bonds` int32[B, 2] are pairs of different sites below `sites`; `displacements` int8[B, d] lead from the first to
    the second, x first. Raises ValueError for a bond that is none or a displacement that does not fit."""

    sites: int
    bonds: NDArray[np.int32]
    displacements: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.bonds.shape != (len(self.displacements), 2) or not 1 <= self.dimension <= 4:
            found = (self.bonds.shape, self.displacements.shape)
            raise ValueError(expected("graph", "bonds [B, 2] and displacements [B, d], d = 1 .. 4", found))
        if len(self.bonds) and not (self.bonds.min() >= 0 and self.bonds.max() < self.sites):
            raise ValueError(expected("graph.bonds", f"sites from 0 to {self.sites - 1}", int(self.bonds.max())))
        if (self.bonds[:, 0] == self.bonds[:, 1]).any():
            raise ValueError(expected("graph.bonds", "two different sites each", "a site with itself"))

    @property
    def dimension(self) -> int:
        """The number of axes d."""
        return int(self.displacements.shape[1])

    @property
    def width(self) -> int:
        """Bits of a component in a packed displacement."""
        return 64 // self.dimension

    @cached_property
    def _distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        scale = 1 << (self.width * np.arange(self.dimension, dtype=np.int64))
        packed, which = np.unique(self.displacements.astype(np.int64) @ scale, return_inverse=True)
        if len(packed) > 126:
            raise ValueError(expected("graph.displacements", "at most 126 different ones", len(packed)))
        return packed, which

    @property
    def moves(self) -> NDArray[np.int64]:
        """The packed displacement of every code, int64[K]: code 0 is none, and code 2 k + 1 the opposite of 2 k."""
        forward = self._distinct[0]
        return np.concatenate([[0, 0], np.stack([forward, -forward], axis=1).ravel()])

    @cached_property
    def codes(self) -> NDArray[np.uint8]:
        """The code of every bond, uint8[B]."""
        return np.asarray(2 + 2 * self._distinct[1], np.uint8)

    @cached_property
    def star(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """The neighbours of every site, int32[N, z], and the codes of the steps to them, uint8[N, z]. A site with
        fewer than z neighbours is filled up with itself and code 0, which changes nothing."""
        start = self.bonds.T.ravel()
        end, code = self.bonds[:, ::-1].T.ravel(), np.concatenate([self.codes, self.codes + np.uint8(1)])
        order = np.argsort(start, kind="stable")
        counts = np.bincount(start, minlength=self.sites)
        column = np.arange(len(start)) - np.repeat(np.cumsum(counts) - counts, counts)
        z = int(counts.max(initial=1))
        near = np.repeat(np.arange(self.sites, dtype=np.int32)[:, None], z, axis=1)
        codes = np.zeros((self.sites, z), np.uint8)
        near[start[order], column], codes[start[order], column] = end[order], code[order]
        return near, codes


def graph_of(lattice: Lattice) -> Graph:
    """The bonds of a lattice. Axes of the honeycomb lattice are those of its cells. A free axis is never wrapped.

    Raises Unsupported for helical boundaries, where a row does not close upon itself."""
    if lattice.boundary == "helical":
        raise Unsupported(expected("lattice.boundary", "periodic or free for percolation", lattice.boundary))
    steps = HONEYCOMB if lattice.kind == "honeycomb" else lattice.steps
    ends = lattice.neighbours()[: lattice.cells, : len(steps)]
    starts = np.broadcast_to(np.arange(lattice.cells, dtype=np.int32)[:, None], ends.shape)
    moves = np.broadcast_to(np.array(steps, np.int8)[:, ::-1], (*ends.shape, lattice.dimension))
    there = (starts != ends).ravel()
    bonds = np.stack([starts.ravel(), ends.ravel()], axis=1)[there]
    return Graph(lattice.volume, np.ascontiguousarray(bonds), moves.reshape(-1, lattice.dimension)[there])
