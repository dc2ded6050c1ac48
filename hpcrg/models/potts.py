"""The q-state Potts model, E = -sum over bonds of delta(s, s'), s = 0 .. q - 1 (Wu, Rev. Mod. Phys. 54, 235
(1982))."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import NO_LOGS, Exact, Logs, Model, Physics, read_int8, write_int8
from hpcrg.rng import choose

MAX_Q = 127
BAXTER = "exact: Baxter 1973"
WU = "exact: Wu 1982"
FOUR_STATES = Logs(-3 / 4, -1 / 16, "Salas and Sokal 1997")
NIENHUIS = "exact: den Nijs 1979, Nienhuis 1984"


def critical(kind: str, q: int) -> Reference:
    """beta_c in the plane from v = exp(beta) - 1: v^2 = q on the square lattice, v^3 + 3 v^2 = q on the triangular one,
    and v^3 - 3 q v = q^2 on the honeycomb lattice."""
    cubic = {"hypercubic": [1, 0, -q], "triangular": [1, 3, 0, -q], "honeycomb": [1, 0, -3 * q, -q * q]}[kind]
    return Reference(float(np.log1p(np.roots(cubic).real.max())), 0.0, BAXTER if kind == "hypercubic" else WU)


def exact(lattice: Lattice, q: int) -> Exact:
    """In the plane: beta_c and, for q <= 4, where the transition is continuous, the Coulomb gas exponents with
    u = (2 / pi) arccos(sqrt(q) / 2), with logarithms for q = 4."""
    if lattice.dimension != 2:
        return Exact()
    beta_c = critical(lattice.kind, q)
    if q > 4:
        return Exact(beta_c=beta_c)
    u = float(2 / np.pi * np.arccos(np.sqrt(q) / 2))
    y_t, y_h = 3 * (1 - u) / (2 - u), (3 - u) * (5 - u) / (4 * (2 - u))
    values = {
        "nu": 1 / y_t, "eta": 4 - 2 * y_h, "gamma": (2 * y_h - 2) / y_t, "beta": (2 - y_h) / y_t,
        "y_t": y_t, "y_h": y_h,
    }  # fmt: skip
    square = lattice.kind == "hypercubic"
    energy = Reference(-1 - 1 / float(np.sqrt(q)), 0.0, BAXTER) if square else None
    references = {k: Reference(v, 0.0, NIENHUIS) for k, v in values.items()}
    return Exact(beta_c=beta_c, energy=energy, logs=FOUR_STATES if q == 4 else NO_LOGS, **references)


@part
def pair(a, b):  # type: ignore[no-untyped-def]
    return -np.int64(a == b)


@part
def mirror(state):  # type: ignore[no-untyped-def]
    return state, 0


@part
def project(m, spin):  # type: ignore[no-untyped-def]
    return spin


@part
def gap(a, b, coupling):  # type: ignore[no-untyped-def]
    equal = np.int64(a == b)
    return coupling * equal if coupling > 0 else coupling * (equal - 1)


@part
def book(row, spin, parity):  # type: ignore[no-untyped-def]
    row[np.uint64(spin)] += 1


@part
def decode(code):  # type: ignore[no-untyped-def]
    return np.int8(code)


@cache
def make_physics(q: int) -> Physics:
    """The compiled functions of one q; a cluster takes a cyclic shift of colours, so every colour alike."""

    @part
    def fresh(state):  # type: ignore[no-untyped-def]
        state, colour = choose(state, q)
        return state, np.int8(colour)

    @part
    def propose(state, spin):  # type: ignore[no-untyped-def]
        state, shift = choose(state, q - 1)
        moved = spin + 1 + np.int64(shift)
        return state, np.int8(moved - q if moved >= q else moved)

    @part
    def reflect(m, k, spin):  # type: ignore[no-untyped-def]
        moved = spin + np.int64(k)
        return np.int8(moved - q if moved >= q else moved)

    return Physics(
        f"potts{q}", pair, read_int8, write_int8, fresh, propose, book, states=q, decode=decode, integer=True,
        pair_span=1, mirror=mirror, moves=q, reflect=reflect, project=project, gap=gap, gap_span=1,
    )  # fmt: skip


def codes(spins: NDArray[np.int8]) -> NDArray[np.uint8]:
    """The colour itself."""
    return spins.astype(np.uint8)


def from_codes(numbers: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The inverse of `codes`."""
    return numbers.astype(np.int8)


def potts(q: int) -> Model:
    """See the module. The raw order parameter is the number of sites of each colour; structure factors treat colours as
    unit vectors to the corners of a simplex."""
    if not (type(q) is int and 2 <= q <= MAX_Q):
        raise InputError(expected("model.q", f"an integer from 2 to {MAX_Q}", q))

    def order2(order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
        density: NDArray[np.float64] = order / volume
        squares: NDArray[np.float64] = (density**2).sum(axis=-1)
        return (q * squares - 1) / (q - 1)

    def ordered(lattice: Lattice) -> NDArray[np.int8]:
        return np.full(lattice.volume, q - 1, np.int8)

    return Model(
        "potts", {"q": q}, make_physics(q), q, order2, ordered,
        lambda lattice: exact(lattice, q), cumulant_components=q - 1, structure_scale=q / (q - 1), codes=codes,
        from_codes=from_codes,
    )  # fmt: skip
