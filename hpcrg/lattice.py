"""Lattices: sites in C order, boundaries, neighbour tables.

    hypercubic   d = 1 .. 4, z = 2 d
    triangular   d = 2, z = 6: steps x, y and y - x of a rhombus with an angle of 60 degrees
    honeycomb    d = 2, z = 3, two sublattices a and b: site a (y, x) meets b at (y, x), (y, x - 1) and (y - 1, x)

Boundaries are periodic, helical (the last site of a row is followed by the first of the next) or free.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected

MAX_VOLUME = 2**31 - 1
Steps = tuple[tuple[int, ...], ...]
"""Steps to neighbours, or to further shells, each as (.., dz, dy, dx); the opposite ones follow of themselves."""

BOUNDARIES = ("periodic", "helical", "free")
LATTICES = ("hypercubic", "triangular", "honeycomb")
AXES = ("w", "z", "y", "x")
HONEYCOMB: Steps = ((0, 0), (0, -1), (-1, 0))


def _unit_steps(dimension: int) -> Steps:
    return tuple(tuple(int(axis == k) for axis in range(dimension)) for k in range(dimension - 1, -1, -1))


def _diagonal_steps(dimension: int) -> Steps:
    units = [np.array(step) for step in _unit_steps(dimension)]
    pairs = [(a, b) for i, a in enumerate(units) for b in units[i + 1 :]]
    return tuple(tuple(int(v) for v in a + sign * b) for a, b in pairs for sign in (1, -1))


@dataclass(frozen=True)
class Lattice:
    """A lattice of `shape` unit cells. Axes are named x (d = 1), y x (d = 2), z y x (d = 3), w z y x (d = 4).

    An axis of length 2 has two bonds between its two sites, as the periodic sum over positive directions says.
    Raises Unsupported for a dimension that the kind does not have, an extent below 2 or a volume above 2^31 - 1.
    """

    shape: tuple[int, ...]
    kind: str = "hypercubic"
    boundary: str = "periodic"

    def __post_init__(self) -> None:
        if self.kind not in LATTICES:
            raise Unsupported(expected("lattice.type", f"one of {', '.join(LATTICES)}", self.kind, LATTICES))
        if self.boundary not in BOUNDARIES:
            raise Unsupported(
                expected("lattice.boundary", f"one of {', '.join(BOUNDARIES)}", self.boundary, BOUNDARIES)
            )
        allowed = (1, 2, 3, 4) if self.kind == "hypercubic" else (2,)
        if self.dimension not in allowed:
            raise Unsupported(expected("lattice.dimension", " or ".join(map(str, allowed)), self.dimension))
        if self.kind == "honeycomb" and self.boundary == "helical":
            raise Unsupported(expected("lattice.boundary", "periodic or free on the honeycomb lattice", self.boundary))
        for extent in self.shape:
            if extent < 2:
                raise Unsupported(expected("lattice.shape", "extents of at least 2", extent))
        if self.volume > MAX_VOLUME:
            raise Unsupported(expected("lattice.shape", f"a volume of at most {MAX_VOLUME}", self.volume))

    @property
    def cells(self) -> int:
        """The number of unit cells."""
        return prod(self.shape)

    @property
    def basis(self) -> int:
        """Sites in a unit cell."""
        return 2 if self.kind == "honeycomb" else 1

    @property
    def volume(self) -> int:
        """The number of sites N; site = sublattice * cells + cell."""
        return self.cells * self.basis

    @property
    def dimension(self) -> int:
        """The number of axes d."""
        return len(self.shape)

    @property
    def coordination(self) -> int:
        """Neighbours of a site."""
        return {"hypercubic": 2 * self.dimension, "triangular": 6, "honeycomb": 3}[self.kind]

    @property
    def bipartite(self) -> bool:
        """Whether sites fall into two classes that are neighbours of each other only."""
        if self.kind == "hypercubic":
            even = [extent % 2 == 0 for extent in self.shape]
            helical = even[0] and not any(even[1:])  # every step is then an odd one along one even ring of all sites
            return {"periodic": all(even), "helical": helical, "free": True}[self.boundary]
        return self.kind == "honeycomb"

    @property
    def array_shape(self) -> tuple[int, ...]:
        """The axes of a configuration as an array: the sublattice first where there are two."""
        return (self.basis, *self.shape) if self.basis > 1 else self.shape

    @property
    def axes(self) -> tuple[str, ...]:
        """Their names."""
        names = AXES[len(AXES) - self.dimension :]
        return ("sublattice", *names) if self.basis > 1 else names

    @property
    def steps(self) -> Steps:
        """Half the steps to the nearest neighbours of a Bravais lattice: +x first."""
        return ((0, 1), (1, 0), (1, -1)) if self.kind == "triangular" else _unit_steps(self.dimension)

    def neighbours(self, shells: int = 1) -> NDArray[np.int32]:
        """The neighbour table int32[N, z]. On a Bravais lattice column k < z / 2 is a step of `steps` and column
        z / 2 + k the opposite one; with `shells` = 2 the steps to the second neighbours follow those to the nearest
        ones in each half. On the honeycomb lattice column k joins the same two sites both ways. At a free boundary a
        missing neighbour is the site itself. Raises Unsupported for shells that the lattice does not have here."""
        if self.kind == "honeycomb":
            if shells != 1:
                raise Unsupported(expected("lattice", "a Bravais lattice for second neighbours", self.kind))
            b_of_a = np.stack([self._moved(step) for step in HONEYCOMB], axis=1)
            opposite = [tuple(-v for v in step) for step in HONEYCOMB]
            a_of_b = np.stack([self._moved(step) for step in opposite], axis=1)
            b_of_a = np.where(b_of_a < 0, np.arange(self.cells)[:, None], b_of_a + self.cells)
            a_of_b = np.where(a_of_b < 0, np.arange(self.cells, 2 * self.cells)[:, None], a_of_b)
            return np.ascontiguousarray(np.concatenate([b_of_a, a_of_b]), np.int32)
        steps = self.steps if shells == 1 else (*self.steps, *self._second())
        both = (*steps, *(tuple(-v for v in step) for step in steps))
        table = np.stack([self._moved(step) for step in both], axis=1)
        return np.ascontiguousarray(np.where(table < 0, np.arange(self.cells)[:, None], table), np.int32)

    def columns(self, shells: int = 1) -> int:
        """Columns of the neighbour table, which is not made."""
        return self.coordination + (2 * len(self._second()) if shells == 2 else 0)

    def _second(self) -> Steps:
        if self.kind == "triangular":
            return (1, 1), (2, -1), (1, -2)
        if self.dimension == 1:
            return ((2,),)
        return _diagonal_steps(self.dimension)

    def _moved(self, step: tuple[int, ...]) -> NDArray[np.int64]:
        """The cell one step from every cell; -1 beyond a free boundary."""
        if self.boundary == "helical":
            strides = [prod(self.shape[k + 1 :]) for k in range(self.dimension)]
            shift = sum(s * v for s, v in zip(strides, step, strict=True))
            return np.asarray((np.arange(self.cells, dtype=np.int64) + shift) % self.cells)
        places = np.indices(self.shape).reshape(self.dimension, -1) + np.array(step)[:, None]
        extents = np.array(self.shape)[:, None]
        wrapped = np.ravel_multi_index(tuple(places % extents), self.shape)
        outside = ((places < 0) | (places >= extents)).any(axis=0)
        return np.where(outside & (self.boundary == "free"), -1, wrapped)

    @property
    def bond_sites(self) -> range:
        """Every bond is met once as (site of `bond_sites`, column of `bond_columns`)."""
        return range(self.cells, self.volume) if self.kind == "honeycomb" else range(self.volume)

    def bond_columns(self, columns: int) -> range:
        """The columns of a table of `columns` columns that meet every bond once."""
        return range(columns) if self.kind == "honeycomb" else range(columns // 2, columns)

    def opposite(self, columns: int) -> NDArray[np.int64]:
        """The column of the neighbour that leads back."""
        k = np.arange(columns)
        return k if self.kind == "honeycomb" else (k + columns // 2) % columns
