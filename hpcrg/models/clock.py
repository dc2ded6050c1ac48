"""The q-state clock model, E = -sum over bonds of cos(2 pi (a - b) / q), a = 0 .. q - 1 (Potts, Proc. Camb. Phil. Soc.
48, 106 (1952); Jose et al., Phys. Rev. B 16, 1217 (1977)).

q = 3 is the Potts model at 3 / 2 of its beta, q = 4 two Ising models at half of theirs; q >= 5 has two transitions of
the Kosterlitz-Thouless kind in the plane. A cluster is reflected by a -> m - a (mod q), about an axis at the angle
pi m / q. Even m alone would never leave the even or the odd states where q is even.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models import ising, potts
from hpcrg.models.base import Exact, Model, Physics
from hpcrg.rng import choose


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zeros, ones and halves exact, which floating point misses by some 1e-16."""
    halves = np.round(values * 2) / 2 + 0.0
    return np.where(np.abs(values - halves) < 1e-12, halves, values)


@part
def gap(x, y, coupling):  # type: ignore[no-untyped-def]
    return max(0.0, 2.0 * coupling * x * y)


def make_mirror(q: int) -> Physics:
    """Colours of the Potts model of q states with the reflections of a regular polygon; pair energies are still those
    of Potts. The projection of a is the sine of its angle to the axis."""
    number = np.arange(q)
    sines = rounded(np.sin(2 * np.pi * (number[None, :] - number[:, None] / 2) / q))

    @part
    def mirror(state):  # type: ignore[no-untyped-def]
        state, m = choose(state, q)
        return state, np.int64(m)

    @part
    def reflect(m, k, spin):  # type: ignore[no-untyped-def]
        moved = m - spin
        return np.int8((moved + q if moved < 0 else moved) if k else spin)

    @part
    def project(m, spin):  # type: ignore[no-untyped-def]
        return sines[np.uint64(m), np.uint64(spin)]

    return potts.make_physics(q)._replace(
        mirror=mirror, moves=2, reflect=reflect, project=project, projection=np.float64, gap=gap, gap_span=0
    )


@cache
def make_physics(q: int) -> Physics:
    """The compiled functions of one q."""
    angles = 2 * np.pi * np.arange(q) / q
    bonds, x, y = rounded(np.cos(angles)), rounded(np.cos(angles)), rounded(np.sin(angles))
    bonds = np.concatenate([bonds[1:][::-1], bonds])  # of b - a = 1 - q .. q - 1

    @part
    def pair(a, b):  # type: ignore[no-untyped-def]
        return -bonds[np.uint64(q - 1 + b - a)]

    @part
    def book(row, spin, parity):  # type: ignore[no-untyped-def]
        row[0] += x[np.uint64(spin)]
        row[1] += y[np.uint64(spin)]

    return make_mirror(q)._replace(name=f"clock{q}", pair=pair, book=book, integer=False, pair_span=0)


def order2(order: NDArray[np.float64], volume: int) -> NDArray[np.float64]:
    """|M / N|^2 from order (..., 2)."""
    return np.asarray(((order / volume) ** 2).sum(axis=-1))


def exact(lattice: Lattice, q: int) -> Exact:
    """By the models that q = 3 and 4 are; exponents of q = 4 are those of its two Ising models."""
    if q > 4:
        return Exact()
    known, factor = (potts.exact(lattice, 3), 2 / 3) if q == 3 else (ising.exact(lattice), 2.0)
    fields = {name: getattr(known, name) for name in ("nu", "eta", "gamma", "beta", "y_t", "y_h")}
    beta_c = known.beta_c
    if beta_c is not None:
        beta_c = Reference(factor * beta_c.value, factor * beta_c.error, beta_c.source)
    return Exact(beta_c=beta_c, **fields)


def clock(q: int) -> Model:
    """See the module. The order parameter is the vector sum of the spins."""
    if not (type(q) is int and 3 <= q <= potts.MAX_Q):
        raise InputError(expected("model.q", f"an integer from 3 (2 is ising) to {potts.MAX_Q}", q))
    return Model(
        "clock", {"q": q}, make_physics(q), 2, order2, lambda lattice: np.zeros(lattice.volume, np.int8),
        lambda lattice: exact(lattice, q), cumulant_components=2, codes=potts.codes, from_codes=potts.from_codes,
        real_order=True,
    )  # fmt: skip
