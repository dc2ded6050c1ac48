"""Lattice operators: sums over the lattice of products of spins on small clusters of sites.

An operator is a cluster and all its images under the symmetries of the hypercubic lattice:

    two-valued spins     S = sum over images of  prod_{i in cluster} s_i
    q-state Potts        n_a = number of images with every spin in state a;
                         even: S = sum_a n_a,  odd: S_a = q n_a - sum_b n_b   (a = 0 .. q - 1)

Even operators are invariant under the symmetry of the spins and couple to temperature; odd ones transform
like the order parameter and couple to the field; products of two odd Potts operators are summed over colours.
For q = 2 both forms span the same space. Sums are integers. Arrays: spins int8[draw, *lattice], sums
int64[draw, operator, component]. Source: R. H. Swendsen, Phys. Rev. B 20, 2080 (1979); Landau and Swendsen,
Phys. Rev. B 30, 2787 (1984).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.jit import kernel
from hpcrg.models import Model

Site = tuple[int, ...]
Cluster = tuple[Site, ...]

EVEN: Mapping[str, Cluster] = {
    "nn": ((0,), (1,)),
    "nnn": ((0, 0), (1, 1)),
    "plaquette": ((0, 0), (0, 1), (1, 0), (1, 1)),
    "third": ((0,), (2,)),
    "knight": ((0, 0), (2, 1)),
    "cross": ((-1, 0), (1, 0), (0, -1), (0, 1)),
    "tee": ((-1, 0), (0, 0), (1, 0), (0, 1)),
    "far_diagonal": ((0, 0), (2, 2)),
    "body_diagonal": ((0, 0, 0), (1, 1, 1)),
}
ODD: Mapping[str, Cluster] = {
    "magnetisation": ((0,),),
    "corner": ((0, 0), (1, 0), (0, 1)),
    "line": ((-1,), (0,), (1,)),
    "diagonal_corner": ((1, 1), (0, 0), (1, -1)),
    "plus": ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)),
}


@dataclass(frozen=True)
class Table:
    """Images of some operators as kernels want them: site offsets int64[image, site, (z, y, x)] from 0 up,
    the number of sites int64[image], and the operator each image belongs to int64[image]."""

    names: tuple[str, ...]
    offsets: NDArray[np.int64]
    sites: NDArray[np.int64]
    owner: NDArray[np.int64]

    @property
    def most_images(self) -> int:
        """The largest number of images of one operator."""
        return int(np.bincount(self.owner).max())


def images(cluster: Cluster, dimension: int) -> list[Cluster]:
    """Every image of a cluster up to translations, as sorted sites with offsets from 0 up."""
    padded = [(*site, *(0,) * (dimension - len(site))) for site in cluster]
    found = set()
    for axes in itertools.permutations(range(dimension)):
        for signs in itertools.product((1, -1), repeat=dimension):
            moved = [tuple(s * site[a] for s, a in zip(signs, axes, strict=True)) for site in padded]
            low = [min(axis) for axis in zip(*moved, strict=True)]
            found.add(tuple(sorted(tuple(x - m for x, m in zip(site, low, strict=True)) for site in moved)))
    return sorted(found)


def make_table(registry: Mapping[str, Cluster], names: Sequence[str], dimension: int) -> Table:
    """The operators `names` of a registry, EVEN or ODD, in this order. Raises InputError for an unknown name,
    one given twice, and Unsupported for an operator with more dimensions than the lattice."""
    kind = "even" if registry is EVEN else "odd"
    for name in names:
        if name not in registry:
            raise InputError(expected(f"operators, {kind}", f"one of {', '.join(registry)}", name, registry))
        if names.count(name) > 1:
            raise InputError(expected(f"operators, {kind}", "each name once", name))
        if max(map(len, registry[name])) > dimension:
            raise Unsupported(expected(f"operators, {kind}", f"operators that fit in d = {dimension}", name))
    clusters = [(i, image) for i, name in enumerate(names) for image in images(registry[name], dimension)]
    offsets = np.zeros((len(clusters), max(len(image) for _, image in clusters), 3), np.int64)
    for t, (_, image) in enumerate(clusters):
        offsets[t, : len(image), 3 - dimension :] = image
    sites = np.array([len(image) for _, image in clusters], np.int64)
    return Table(tuple(names), offsets, sites, np.array([i for i, _ in clusters], np.int64))


def require_distinct(table: Table, shape: tuple[int, ...]) -> None:
    """Raise InputError where the periodic lattice is so small that an operator folds onto itself or onto
    another, which would make the matrix of their correlations singular."""
    extents = np.array((1,) * (3 - len(shape)) + shape)
    seen: dict[frozenset[Site], str] = {}
    for offsets, size, owner in zip(table.offsets, table.sites, table.owner, strict=True):
        name = table.names[owner]
        moved = [(offsets[:size] - origin) % extents for origin in offsets[:size]]
        forms = [frozenset(tuple(int(x) for x in site) for site in sites) for sites in moved]
        where = f"operators on the {' x '.join(map(str, shape))} lattice"
        if len(forms[0]) < size or any(seen.get(form, name) != name for form in forms):
            other = seen.get(forms[0], "itself")
            advice = "take fewer levels, a larger lattice or fewer operators"
            raise InputError(f"{where}: expected operators that differ, found {name} folded onto {other}; {advice}")
        seen |= dict.fromkeys(forms, name)


class Sums(Protocol):
    """The operator sums of one kind of spins."""

    def even(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]: ...

    def odd(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]: ...

    def largest(self, table: Table, volume: int) -> int:
        """A bound on the size of every sum."""
        ...


@dataclass(frozen=True)
class Products:
    """Two-valued spins, -1 and +1; one component."""

    def even(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]:
        """Products over clusters, int64[draw, operator, 1]."""
        out = np.zeros((len(spins), len(table.names), 1), np.int64)
        _products(_three_axes(spins), table.offsets, table.sites, table.owner, out)
        return out

    def odd(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]:
        """The same, for clusters of an odd number of sites."""
        return self.even(spins, table)

    def largest(self, table: Table, volume: int) -> int:
        """See Sums."""
        return volume * table.most_images


@dataclass(frozen=True)
class Coincidences:
    """Potts spins 0 .. states - 1."""

    states: int

    def even(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]:
        """Clusters of one colour, int64[draw, operator, 1]."""
        total: NDArray[np.int64] = np.sum(self._count(spins, table), axis=2, keepdims=True)
        return total

    def odd(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]:
        """Clusters of each colour, less the mean over colours, times q: int64[draw, operator, colour]."""
        count = self._count(spins, table)
        total: NDArray[np.int64] = np.sum(count, axis=2, keepdims=True)
        return self.states * count - total

    def largest(self, table: Table, volume: int) -> int:
        """See Sums."""
        return volume * table.most_images * self.states

    def _count(self, spins: NDArray[np.int8], table: Table) -> NDArray[np.int64]:
        out = np.zeros((len(spins), len(table.names), self.states), np.int64)
        _coincidences(_three_axes(spins), table.offsets, table.sites, table.owner, out)
        return out


def sums_for(model: Model) -> Sums:
    """How operators are summed for a model. Raises Unsupported for a model that has neither form."""
    kinds: dict[str, Sums] = {"ising": Products(), "potts": Coincidences(model.states)}
    if model.name not in kinds:
        raise Unsupported(expected("flow: model", f"one of {', '.join(kinds)}", model.name, kinds))
    return kinds[model.name]


def _three_axes(spins: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.ascontiguousarray(spins).reshape(len(spins), *(1,) * (4 - spins.ndim), *spins.shape[1:])


KERNEL = "(int8[:, :, :, ::1], int64[:, :, ::1], int64[::1], int64[::1], int64[:, :, ::1])"


@kernel(KERNEL)
def _products(
    spins: NDArray[np.int8], offsets: NDArray[np.int64], sites: NDArray[np.int64], owner: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:  # fmt: skip
    # A row of spins as bits, 1 for -1, continued periodically; a product is then an exclusive or, row by row.
    draws, lz, ly, lx = spins.shape
    reach = offsets[:, :, 2].max()
    bits = np.empty((lz, ly, lx + reach), np.uint8)
    row = np.empty(lx, np.uint8)
    for draw in range(draws):
        for z in range(lz):
            for y in range(ly):
                for x in range(lx):
                    bits[z, y, x] = np.uint8(spins[draw, z, y, x] < 0)
                for x in range(reach):
                    bits[z, y, lx + x] = bits[z, y, x % lx]
        for t in range(len(sites)):
            negative = 0
            for z in range(lz):
                for y in range(ly):
                    o = offsets[t, 0]
                    first = bits[(z + o[0]) % lz, (y + o[1]) % ly, o[2] : o[2] + lx]
                    for x in range(lx):
                        row[x] = first[x]
                    for k in range(1, sites[t]):
                        o = offsets[t, k]
                        other = bits[(z + o[0]) % lz, (y + o[1]) % ly, o[2] : o[2] + lx]
                        for x in range(lx):
                            row[x] ^= other[x]
                    for x in range(lx):
                        negative += row[x]
            out[draw, owner[t], 0] += lz * ly * lx - 2 * negative


@kernel(KERNEL)
def _coincidences(
    spins: NDArray[np.int8], offsets: NDArray[np.int64], sites: NDArray[np.int64], owner: NDArray[np.int64],
    out: NDArray[np.int64],
) -> None:  # fmt: skip
    # A row holds the colour of each image, or -1 where its spins differ; colours are then counted one by one.
    draws, lz, ly, lx = spins.shape
    reach = offsets[:, :, 2].max()
    wide = np.empty((lz, ly, lx + reach), np.int8)
    row = np.empty(lx, np.int8)
    for draw in range(draws):
        for z in range(lz):
            for y in range(ly):
                for x in range(lx + reach):
                    wide[z, y, x] = spins[draw, z, y, x % lx]
        for t in range(len(sites)):
            for z in range(lz):
                for y in range(ly):
                    o = offsets[t, 0]
                    first = wide[(z + o[0]) % lz, (y + o[1]) % ly, o[2] : o[2] + lx]
                    for x in range(lx):
                        row[x] = first[x]
                    for k in range(1, sites[t]):
                        o = offsets[t, k]
                        other = wide[(z + o[0]) % lz, (y + o[1]) % ly, o[2] : o[2] + lx]
                        for x in range(lx):
                            row[x] = row[x] if other[x] == first[x] else np.int8(-1)
                    for colour in range(out.shape[2]):
                        count = 0
                        for x in range(lx):
                            count += row[x] == colour
                        out[draw, owner[t], colour] += count
