"""The Blume-Capel model, E = -sum over bonds of s s' + D sum of s^2 - h sum of s, s = -1, 0 or +1 (Blume, Phys. Rev.
141, 517 (1966); Capel, Physica 32, 966 (1966)).

On the square lattice the transition is of the Ising class below the tricritical crystal field D_t and of first order
above.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Model, Physics, is_number
from hpcrg.models.ising import PHYSICS as ISING
from hpcrg.models.ising import PLANE, order2, ordered
from hpcrg.rng import choose

TRICRITICAL_FIELD = Reference(1.966, 1e-3, "Beale 1986, Kwak et al. 2015")
CONFORMAL = "exact: Friedan, Qiu, Shenker 1984"
TRICRITICAL = Exact(
    beta_c=Reference(1 / 0.608, 1e-3 / 0.608**2, TRICRITICAL_FIELD.source), nu=Reference(5 / 9, 0.0, CONFORMAL),
    eta=Reference(3 / 20, 0.0, CONFORMAL), gamma=Reference(37 / 36, 0.0, CONFORMAL),
    beta=Reference(1 / 24, 0.0, CONFORMAL), y_t=Reference(9 / 5, 0.0, CONFORMAL),
    y_h=Reference(77 / 40, 0.0, CONFORMAL),
)  # fmt: skip


@part
def decode(code):  # type: ignore[no-untyped-def]
    return np.int8(code - 1)


@part
def fresh(state):  # type: ignore[no-untyped-def]
    state, code = choose(state, 3)
    return state, np.int8(np.int64(code) - 1)


@part
def propose(state, spin):  # type: ignore[no-untyped-def]
    state, shift = choose(state, 2)
    return state, np.int8((spin + 2 + np.int64(shift)) % 3 - 1)


@cache
def make_physics(crystal: float, field: float) -> Physics:
    """The compiled functions; without a field a flip of a cluster leaves the on-site energy alone."""

    @part
    def site(spin):  # type: ignore[no-untyped-def]
        return crystal * spin * spin - field * spin

    return ISING._replace(
        name=f"blume_capel-D{crystal!r}-h{field!r}", states=3, decode=decode, fresh=fresh, propose=propose,
        integer=False, site=site, even=field == 0.0,
    )  # fmt: skip


def codes(spins: NDArray[np.int8]) -> NDArray[np.uint8]:
    """0, 1, 2 for -1, 0, +1."""
    return (spins + 1).astype(np.uint8)


def from_codes(numbers: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The inverse of `codes`."""
    return numbers.astype(np.int8) - np.int8(1)


def blume_capel(D: float, field: float = 0.0) -> Model:
    """See the module. The order parameter is the sum of the spins. Cluster moves leave zeros where they are, so they
    need a single-spin update beside them."""
    for name, value in (("D", D), ("field", field)):
        if not is_number(value):
            raise InputError(expected(f"model.{name}", "a finite number", value))

    def exact(lattice: Lattice) -> Exact:
        if (lattice.kind, lattice.dimension) != ("hypercubic", 2) or field != 0.0:
            return Exact()
        if abs(D - TRICRITICAL_FIELD.value) <= TRICRITICAL_FIELD.error:
            return TRICRITICAL
        return Exact(**PLANE) if TRICRITICAL_FIELD.value > D else Exact()

    params = {"D": float(D)} | ({"field": float(field)} if field else {})
    return Model(
        "blume_capel", params, make_physics(float(D), float(field)), 1, order2, ordered, exact,
        codes=codes, from_codes=from_codes, ergodic_clusters=False,
    )  # fmt: skip
