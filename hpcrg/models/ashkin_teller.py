"""The Ashkin-Teller model, two Ising spins s and t on every site, E = -sum over bonds of (s s' + t t' + K s s' t t')
(Ashkin and Teller, Phys. Rev. 64, 178 (1943)).

K = 0 is two Ising models, K = 1 the Potts model of four states. For -1 < K <= 1 the square lattice is critical on its
self-dual line, with exponents that vary along it. Clusters flip either s or t, which feel the bonds 1 + K t t' and
1 + K s s'.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models import potts
from hpcrg.models.base import NO_LOGS, Exact, Model, Physics, is_number
from hpcrg.rng import advance

BAXTER = "exact: Baxter, Exactly Solved Models in Statistical Mechanics (1982), section 12.9"


def square(K: float) -> Exact:
    """The self-dual point sinh 2 beta = exp(-2 beta K), and exponents by cos(pi y / 2) = (exp(4 beta K) - 1) / 2."""

    def off(b: float) -> float:  # ln sinh 2b + 2bK
        return 2 * b * (1 + K) + math.log1p(-math.exp(-4 * b)) - math.log(2)

    from scipy.optimize import brentq  # slow to load, and few campaigns ask

    beta_c = brentq(off, 1e-3, 5 / (1 + K), xtol=1e-15, rtol=1e-15)
    y = 2 / math.pi * math.acos(min(1.0, (math.exp(4 * beta_c * K) - 1) / 2))
    nu = (2 - y) / (3 - 2 * y)
    values = {"nu": nu, "eta": 0.25, "gamma": 1.75 * nu, "beta": nu / 8, "y_t": 1 / nu, "y_h": 1.875}
    references = {k: Reference(v, 0.0, BAXTER) for k, v in values.items()}
    return Exact(beta_c=Reference(beta_c, 0.0, BAXTER), logs=potts.FOUR_STATES if K == 1 else NO_LOGS, **references)


@part
def mirror(state):  # type: ignore[no-untyped-def]
    state, word = advance(state)
    return state, np.int64(word >> np.uint64(63))


@part
def reflect(m, k, spin):  # type: ignore[no-untyped-def]
    return np.int8(spin ^ (k << m))


@part
def project(m, spin):  # type: ignore[no-untyped-def]
    return np.int8(spin if m == 0 else (spin >> 1) | (spin & 1) << 1)


@part
def book(row, spin, parity):  # type: ignore[no-untyped-def]
    row[0] += 1 - 2 * (spin & 1)
    row[1] += 1 - (spin & 2)


@cache
def make_physics(K: float) -> Physics:
    """The compiled functions; bit 0 of a spin is s, bit 1 is t, a bit that is set being a spin that is down."""

    @part
    def pair(a, b):  # type: ignore[no-untyped-def]
        first, second = 1 - 2 * ((a ^ b) & 1), 1 - ((a ^ b) & 2)
        return -(first + second + K * first * second)

    @part
    def gap(x, y, coupling):  # type: ignore[no-untyped-def]
        moving, resting = 1 - 2 * ((x ^ y) & 1), 1 - ((x ^ y) & 2)
        return max(0.0, 2.0 * coupling * moving * (1.0 + K * resting))

    return potts.make_physics(4)._replace(
        name=f"ashkin_teller-K{K!r}", pair=pair, book=book, integer=False, pair_span=0, mirror=mirror, moves=2,
        reflect=reflect, project=project, gap=gap, gap_span=0,
    )  # fmt: skip


def order2(order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
    """The mean of (sum s / N)^2 and (sum t / N)^2 from order (..., 2)."""
    return np.asarray(((order / volume) ** 2).mean(axis=-1))


def ashkin_teller(K: float) -> Model:
    """See the module. The order parameters are the sums of s and of t."""
    if not (is_number(K) and -1 <= K <= 1):
        raise InputError(expected("model.K", "a number from -1 to 1, where clusters can be grown", K))

    def exact(lattice: Lattice) -> Exact:
        plane = (lattice.kind, lattice.dimension) == ("hypercubic", 2)
        return square(float(K)) if plane and K > -1 else Exact()

    return Model(
        "ashkin_teller", {"K": float(K)}, make_physics(float(K)), 2, order2,
        lambda lattice: np.zeros(lattice.volume, np.int8), exact, cumulant_components=2, structure_scale=0.5,
        codes=potts.codes, from_codes=potts.from_codes,
    )  # fmt: skip
