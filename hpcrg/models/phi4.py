"""The phi^4 lattice field, E = -sum over bonds of a a' + sum over sites of (mass a^2 + lam (a^2 - 1)^2), a real.

Weights are exp(-beta E): beta multiplies all of E, as in every model here, so that ladders and reweighting mean
temperature. The action of the literature, -b sum a a' + sum (a^2 + l (a^2 - 1)^2) with b on the bonds alone, is the
same field in another unit of a; `standard` gives its (b, l). lam = 0 is the Gaussian model, which needs 2 mass above
the coordination. Hasenbusch, J. Phys. A 32, 4851 (1999).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, Unsupported, expected
from hpcrg.exponential import decay
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Model, Physics, is_number, make_book, make_read, make_write
from hpcrg.models.vectors import disc
from hpcrg.rng import advance, fraction

NEWTON = 5


def standard(beta: float, lam: float, mass: float = 1.0) -> tuple[float, float]:
    """(b, l) of the literature: its field squared is c a^2, c (1 - 2 l) = beta (mass - 2 lam), and c^2 l = beta lam.
    Raises InputError where no such unit exists (lam = 0 without mass)."""
    half = beta * (mass - 2 * lam) / 2
    c = half + math.sqrt(half**2 + 2 * beta * lam)
    if c <= 0:
        raise InputError(expected("model.lam, model.mass", "an energy with a minimum", (lam, mass)))
    return beta / c, beta * lam / c**2


@part
def normal(state):  # type: ignore[no-untyped-def]
    """A normal number of variance 1 (Marsaglia's polar method)."""
    state, x, _, s = disc(state)
    return state, x * np.sqrt(-2.0 * np.log(s) / s)


@part
def pair(a, b):  # type: ignore[no-untyped-def]
    return -a[0] * b[0]


@part
def fresh(state):  # type: ignore[no-untyped-def]
    """Normal: a field has no distribution at infinite temperature."""
    state, x = normal(state)
    return state, (x,)


@part
def propose(state, a):  # type: ignore[no-untyped-def]
    """A symmetric step of at most 3, short ones more often."""
    state, first = advance(state)
    state, second = advance(state)
    return state, (a[0] + 3.0 * fraction(first) * (2.0 * fraction(second) - 1.0),)


@part
def mirror(state):  # type: ignore[no-untyped-def]
    return state, 0


@part
def reflect(m, k, a):  # type: ignore[no-untyped-def]
    return ((1.0 - 2.0 * k) * a[0],)


@part
def project(m, a):  # type: ignore[no-untyped-def]
    return a[0]


@part
def gap(x, y, coupling):  # type: ignore[no-untyped-def]
    return max(0.0, 2.0 * coupling * x * y)


def make_heat_bath(lam: float, mass: float) -> Any:
    """heat_bath(r, field, beta): density exp(beta (f a - mass a^2 - lam (a^2 - 1)^2)), exactly.

    As (a^2 - s)^2 >= 0, a normal number of weight exp(beta (f a - w a^2)), w = mass - 2 lam + 2 lam s, kept with
    probability exp(-beta lam (a^2 - s)^2), is right for any s; s = 1 / (2 beta w) + f^2 / (4 w^2), its mean square, is
    kept most often, and Newton's method comes near it from below in w.
    """
    bare = mass - 2.0 * lam

    @part
    def heat_bath(state, field, beta):  # type: ignore[no-untyped-def]
        f2, w = field[0] * field[0], 0.5 * (bare + np.sqrt(bare * bare + 4.0 * lam / beta))
        for _ in range(NEWTON):
            value = w - bare - lam / (beta * w) - 0.5 * lam * f2 / (w * w)
            w -= value / (1.0 + lam / (beta * w * w) + lam * f2 / (w * w * w))
        s = 0.5 / (beta * w) + 0.25 * f2 / (w * w)
        w = bare + 2.0 * lam * s
        centre, width = 0.5 * field[0] / w, np.sqrt(0.5 / (beta * w))
        while True:
            state, z = normal(state)
            state, word = advance(state)
            a = centre + width * z
            off = a * a - s
            if lam == 0.0 or fraction(word) < decay(beta * lam * off * off):
                return state, (a,)

    return heat_bath


@cache
def make_physics(lam: float, mass: float) -> Physics:
    """The compiled functions; a cluster changes the sign of its field."""

    @part
    def site(a):  # type: ignore[no-untyped-def]
        square = a[0] * a[0]
        return mass * square + lam * (square - 1.0) * (square - 1.0)

    return Physics(
        f"phi4-{lam!r}-{mass!r}", pair, make_read(1), make_write(1), fresh, propose, make_book(1), site=site,
        heat_bath=make_heat_bath(lam, mass), mirror=mirror, moves=2, reflect=reflect, project=project,
        projection=np.float64, gap=gap, even=True,
    )  # fmt: skip


def order2(order: NDArray[np.float64], volume: int) -> NDArray[np.float64]:
    """(sum of a / N)^2 from order (..., 1)."""
    per_site: NDArray[np.float64] = order[..., 0] / volume
    return per_site**2


def ordered(lattice: Lattice) -> NDArray[np.float64]:
    """a = 1 everywhere."""
    return np.ones((1, lattice.volume))


def phi4(lam: float, mass: float = 1.0) -> Model:
    """See the module."""
    if not (is_number(lam) and lam >= 0):
        raise InputError(expected("model.lam", "a number of at least 0", lam))
    if not is_number(mass):
        raise InputError(expected("model.mass", "a finite number", mass))
    params = {"lam": float(lam), "mass": float(mass)}

    def check(lattice: Lattice) -> None:
        if lam == 0 and 2 * mass <= lattice.coordination:
            wanted = f"more than {lattice.coordination / 2:g} where lam = 0, for an energy with a minimum"
            raise Unsupported(expected("model.mass", wanted, mass))

    return Model(
        "phi4", params, make_physics(float(lam), float(mass)), 1, order2, ordered, lambda lattice: Exact(),
        spin_components=1, check=check, ergodic_clusters=False, normalisable=False,
    )  # fmt: skip
