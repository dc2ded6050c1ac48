"""The Baxter-Wu model, E = -sum over triangles of s s' s'' on the triangular lattice, s = -1 or +1 (Baxter and Wu,
Phys. Rev. Lett. 31, 1294 (1973)).

Every triangle has a corner on each of three sublattices, (x - y) mod 3. There are four ground states: all up, and two
of the sublattices down. At beta_c, ln(1 + sqrt 2) / 2, the energy per site is -sqrt 2.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported, expected
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Model, Physics
from hpcrg.models.ising import PHYSICS as ISING
from hpcrg.models.ising import codes, from_codes, ordered

SOURCE = "exact: Baxter and Wu 1973"
U64 = np.uint64
EXACT = Exact(
    beta_c=Reference(float(np.log1p(np.sqrt(2.0)) / 2), 0.0, SOURCE), nu=Reference(2 / 3, 0.0, SOURCE),
    eta=Reference(0.25, 0.0, SOURCE), gamma=Reference(7 / 6, 0.0, SOURCE), beta=Reference(1 / 12, 0.0, SOURCE),
    y_t=Reference(1.5, 0.0, SOURCE), y_h=Reference(1.875, 0.0, SOURCE),
    energy=Reference(-float(np.sqrt(2.0)), 0.0, SOURCE),
)  # fmt: skip


@part
def no_pair(a, b):  # type: ignore[no-untyped-def]
    """There is no energy of pairs."""
    return 0


@part
def local(walker, neighbours, couplings, site, spin):  # type: ignore[no-untyped-def]
    """Six triangles: the columns of the triangular lattice go around a site."""
    total, last = np.int64(0), np.int64(walker[U64(neighbours[site, U64(5)])])
    for k in range(U64(6)):
        here = np.int64(walker[U64(neighbours[site, k])])
        total += last * here
        last = here
    return -spin * total


@part
def bulk(walker, neighbours, couplings, site):  # type: ignore[no-untyped-def]
    """The two triangles that have a site at the lower corner of one side: (0, x, y) and (0, y, y - x)."""
    right, up = np.int64(walker[U64(neighbours[site, U64(0)])]), np.int64(walker[U64(neighbours[site, U64(1)])])
    up_left = np.int64(walker[U64(neighbours[site, U64(2)])])
    return -walker[site] * up * (right + up_left)


@part
def book(row, spin, parity):  # type: ignore[no-untyped-def]
    row[U64(parity >> 4)] += spin


@cache
def make_physics() -> Physics:
    """Ising spins with another energy."""
    return ISING._replace(
        name="baxter_wu", pair=no_pair, pair_span=0, local=local, bulk=bulk, local_span=12, book=book, mirror=None,
        three_spins=True,
    )  # fmt: skip


def order2(order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
    """The mean squared magnetisation of the sublattices from order (..., 3)."""
    return np.asarray(((3 * order / volume) ** 2).mean(axis=-1))


def energies(spins: NDArray[np.int8], lattice: Lattice) -> NDArray[np.float64]:
    """The energy of spins[..., site] by numpy alone."""
    s = spins.reshape(*spins.shape[:-1], *lattice.shape).astype(np.int64)
    right, up = np.roll(s, -1, -1), np.roll(s, -1, -2)
    up_left = np.roll(up, 1, -1)
    return np.asarray(-(s * up * (right + up_left)).sum(axis=(-2, -1)), np.float64)


def check(lattice: Lattice) -> None:
    """Three sublattices have to fit."""
    if lattice.kind != "triangular" or lattice.boundary != "periodic" or any(L % 3 for L in lattice.shape):
        wanted = "the periodic triangular lattice with extents that are multiples of 3, where three sublattices fit"
        raise Unsupported(expected("baxter_wu", wanted, f"{lattice.boundary} {lattice.kind} {lattice.shape}"))


def baxter_wu() -> Model:
    """See the module. The order parameters are the sums over each sublattice."""
    return Model(
        "baxter_wu", {}, make_physics(), 3, order2, ordered, lambda lattice: EXACT, cumulant_components=3,
        structure_scale=3.0, codes=codes, from_codes=from_codes, energies=energies, check=check,
    )  # fmt: skip
