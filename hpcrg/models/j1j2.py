"""The J1-J2 Ising model on the square lattice, E = -sum over nearest neighbours of s s' - J2 sum over second neighbours
of s s', s = -1 or +1 (Landau, Phys. Rev. B 21, 1285 (1980)).

Couplings are positive where they favour equal spins: J1 = 1, and J2 < 0 frustrates. J2 > -1/2 orders ferromagnetically,
J2 < -1/2 in stripes along x or y. Clusters are correct for every J2, and useless where J2 frustrates: they span the
lattice long before the transition.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Disorder, Exact, Model, Physics, is_number
from hpcrg.models.ising import PHYSICS as ISING
from hpcrg.models.ising import codes, from_codes
from hpcrg.models.ising import order2 as magnetic
from hpcrg.models.ising import ordered as ferromagnet

STRIPES_BELOW = -0.5


@part
def book(row, spin, parity):  # type: ignore[no-untyped-def]
    row[0] += spin * (1 - 2 * (parity & 1))
    row[1] += spin * (1 - (parity & 2))


@cache
def striped() -> Physics:
    """Ising spins that are booked by stripes."""
    return ISING._replace(name="ising-stripes", book=book)


def order2(order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
    """The sum of the squares of both stripe orders per site, from order (..., 2)."""
    return np.asarray(((order / volume) ** 2).sum(axis=-1))


def stripes(lattice: Lattice) -> NDArray[np.int8]:
    """Rows up and down by turns."""
    return np.asarray((1 - 2 * (np.indices(lattice.shape)[0] % 2)).ravel(), np.int8)


def check(lattice: Lattice) -> None:
    """Stripes have to fit, and no second neighbour may be the site itself."""
    if (lattice.kind, lattice.dimension) != ("hypercubic", 2) or any(L % 2 for L in lattice.shape):
        found = f"{lattice.kind} {lattice.shape}"
        raise Unsupported(expected("j1j2", "a square lattice of even extents, where both stripes fit", found))


def j1j2(J2: float) -> Model:
    """See the module. The order parameter is the staggered sum by columns and by rows where stripes order, else the sum
    of the spins."""
    if not is_number(J2):
        raise InputError(expected("model.J2", "a finite number", J2))

    def couplings(lattice: Lattice, table: NDArray[np.int32], generator: np.random.Generator) -> Disorder:
        shells = np.repeat([1.0, J2], [len(lattice.steps), table.shape[1] // 2 - len(lattice.steps)])
        return Disorder(np.ascontiguousarray(np.broadcast_to(np.tile(shells, 2), table.shape)))

    physics, components, square, start = (
        (striped(), 2, order2, stripes) if J2 <= STRIPES_BELOW else (ISING, 1, magnetic, ferromagnet)
    )
    return Model(
        "j1j2", {"J2": float(J2)}, physics, components, square, start, lambda lattice: Exact(),
        cumulant_components=components, codes=codes, from_codes=from_codes, coupling="real", couplings=couplings,
        shells=2, check=check,
    )  # fmt: skip
