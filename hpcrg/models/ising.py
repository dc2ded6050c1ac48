"""The Ising model, E = -sum over bonds of s s' - h sum of s, s = -1 or +1."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Model, Physics, book_scalar, is_number, read_int8, write_int8
from hpcrg.rng import advance

ONSAGER = "exact: Onsager 1944, Yang 1952"
HOUTAPPEL = "exact: Houtappel 1950"
SALAS_SOKAL = "Salas and Sokal 2000"
FERRENBERG = "Ferrenberg, Xu, Landau 2018"
BOOTSTRAP = "conformal bootstrap, Kos et al. 2016"
HASENBUSCH = "Hasenbusch 2010"
BETA_C = {
    "hypercubic": Reference(float(np.log1p(np.sqrt(2.0)) / 2), 0.0, ONSAGER),
    "triangular": Reference(float(np.log(3.0) / 4), 0.0, HOUTAPPEL),
    "honeycomb": Reference(float(np.log(2.0 + np.sqrt(3.0)) / 2), 0.0, HOUTAPPEL),
}
ENERGY = {
    "hypercubic": Reference(-math.sqrt(2.0), 0.0, ONSAGER), "triangular": Reference(-2.0, 0.0, HOUTAPPEL),
    "honeycomb": Reference(-2.0 / math.sqrt(3.0), 0.0, HOUTAPPEL),
}  # fmt: skip
PLANE: dict[str, Any] = {
    "nu": Reference(1.0, 0.0, ONSAGER), "eta": Reference(0.25, 0.0, ONSAGER), "gamma": Reference(1.75, 0.0, ONSAGER),
    "beta": Reference(0.125, 0.0, ONSAGER), "y_t": Reference(1.0, 0.0, ONSAGER), "y_h": Reference(1.875, 0.0, ONSAGER),
}  # fmt: skip
SQUARE: dict[str, Any] = {
    "binder": Reference(0.6106901, 1e-7, SALAS_SOKAL),
    "xi_ratio": Reference(0.9050488, 1e-7, SALAS_SOKAL),
}
CUBIC = Exact(
    beta_c=Reference(0.221654626, 5e-9, FERRENBERG), nu=Reference(0.629971, 4e-6, BOOTSTRAP),
    eta=Reference(0.036298, 2e-6, BOOTSTRAP), gamma=Reference(1.237075, 8e-6, BOOTSTRAP),
    y_t=Reference(1.587374, 1e-5, BOOTSTRAP), y_h=Reference(2.481851, 1e-6, BOOTSTRAP),
    omega=Reference(0.8297, 2e-4, BOOTSTRAP), binder=Reference(1 - 1.6036 / 3, 1e-4 / 3, HASENBUSCH),
    xi_ratio=Reference(0.6431, 1e-4, HASENBUSCH),
)  # fmt: skip


def exact(lattice: Lattice) -> Exact:
    """Exact and published answers; those of finite size only where boundaries are periodic."""
    if lattice.dimension == 2:
        torus = SQUARE if (lattice.kind, lattice.boundary) == ("hypercubic", "periodic") else {}
        return Exact(beta_c=BETA_C[lattice.kind], energy=ENERGY[lattice.kind], **PLANE, **torus)
    return CUBIC if lattice.dimension == 3 else Exact()


@part
def decode(code):  # type: ignore[no-untyped-def]
    return np.int8(2 * code - 1)


@part
def fresh(state):  # type: ignore[no-untyped-def]
    state, word = advance(state)
    return state, np.int8(1 - 2 * np.int64(word >> np.uint64(63)))


@part
def propose(state, spin):  # type: ignore[no-untyped-def]
    return state, np.int8(-spin)


@part
def pair(a, b):  # type: ignore[no-untyped-def]
    return -a * b


@part
def mirror(state):  # type: ignore[no-untyped-def]
    return state, 0


@part
def reflect(m, k, spin):  # type: ignore[no-untyped-def]
    return np.int8((1 - 2 * k) * spin)


@part
def project(m, spin):  # type: ignore[no-untyped-def]
    return spin


@part
def gap(a, b, coupling):  # type: ignore[no-untyped-def]
    product = coupling * a * b
    return product + abs(product)


PHYSICS = Physics(
    "ising", pair, read_int8, write_int8, fresh, propose, book_scalar, states=2, decode=decode, integer=True,
    pair_span=2, mirror=mirror, moves=2, reflect=reflect, project=project, gap=gap, gap_span=2,
)  # fmt: skip


@cache
def in_field(field: float) -> Physics:
    """The physics in a field."""
    if field == 0.0:
        return PHYSICS

    @part
    def site(spin):  # type: ignore[no-untyped-def]
        return -field * spin

    return PHYSICS._replace(name=f"ising-h{field!r}", integer=False, site=site)


def order2(order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
    """(M / N)^2 from order (..., 1)."""
    per_site: NDArray[np.float64] = order[..., 0] / volume
    return per_site**2


def codes(spins: NDArray[np.int8]) -> NDArray[np.uint8]:
    """0 for -1 and 1 for +1."""
    return (spins > 0).astype(np.uint8)


def from_codes(numbers: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The inverse of `codes`."""
    return 2 * numbers.astype(np.int8) - np.int8(1)


def ordered(lattice: Lattice) -> NDArray[np.int8]:
    """All spins up."""
    return np.ones(lattice.volume, np.int8)


def ising(field: float = 0.0) -> Model:
    """See the module. The order parameter is the sum of the spins. Exact answers are those at h = 0."""
    if not is_number(field):
        raise InputError(expected("model.field", "a finite number", field))
    return Model(
        "ising", {"field": float(field)} if field else {}, in_field(float(field)), 1, order2, ordered,
        exact if field == 0.0 else lambda lattice: Exact(), codes=codes, from_codes=from_codes,
    )  # fmt: skip
