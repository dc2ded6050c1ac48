"""The q-state Potts model, E = -sum over bonds of delta(s, s'), s = 0 .. q - 1 (Wu, Rev. Mod. Phys. 54, 235
(1982))."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.jit import physics_function
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Physics
from hpcrg.rng import choose

MAX_Q = 127
BAXTER = "exact: Baxter 1973"
NIENHUIS = "exact: den Nijs 1979, Nienhuis 1984"


def square(q: int) -> Exact:
    """Square lattice: beta_c = ln(1 + sqrt q), and for q <= 4, where the transition is continuous, the
    Coulomb gas exponents with u = (2 / pi) arccos(sqrt(q) / 2)."""
    beta_c = Reference(float(np.log1p(np.sqrt(q))), 0.0, BAXTER)
    if q > 4:
        return Exact(beta_c=beta_c)
    u = float(2 / np.pi * np.arccos(np.sqrt(q) / 2))
    y_t, y_h = 3 * (1 - u) / (2 - u), (3 - u) * (5 - u) / (4 * (2 - u))
    values = {
        "nu": 1 / y_t, "eta": 4 - 2 * y_h, "gamma": (2 * y_h - 2) / y_t, "beta": (2 - y_h) / y_t,
        "y_t": y_t, "y_h": y_h,
    }  # fmt: skip
    return Exact(beta_c=beta_c, **{k: Reference(v, 0.0, NIENHUIS) for k, v in values.items()})


@cache
def make_physics(q: int) -> Physics:
    """The compiled functions of one q; a cluster takes a cyclic shift of colours, so every colour alike."""

    @physics_function(f"potts{q}.decode")
    def decode(code):  # type: ignore[no-untyped-def]
        return np.int8(code)

    @physics_function(f"potts{q}.propose")
    def propose(state, spin):  # type: ignore[no-untyped-def]
        state, shift = choose(state, q - 1)
        moved = spin + 1 + np.int64(shift)
        return state, np.int8(moved - q if moved >= q else moved)

    @physics_function(f"potts{q}.pair")
    def pair(a, b):  # type: ignore[no-untyped-def]
        return -np.int64(a == b)

    @physics_function(f"potts{q}.mirror")
    def mirror(state):  # type: ignore[no-untyped-def]
        return state, 0

    @physics_function(f"potts{q}.reflect")
    def reflect(m, k, spin):  # type: ignore[no-untyped-def]
        moved = spin + np.int64(k)
        return np.int8(moved - q if moved >= q else moved)

    @physics_function(f"potts{q}.gap")
    def gap(m, a, b):  # type: ignore[no-untyped-def]
        return np.int64(a == b)

    @physics_function(f"potts{q}.channel")
    def channel(spin):  # type: ignore[no-untyped-def]
        return spin

    @physics_function(f"potts{q}.weight")
    def weight(spin):  # type: ignore[no-untyped-def]
        return 1

    return Physics(f"potts{q}", q, decode, propose, pair, 1, mirror, q, reflect, gap, 1, channel, weight)


@dataclass(frozen=True)
class Potts:
    """See the module. The raw order parameter is the number of sites of each colour."""

    q: int
    name: ClassVar[str] = "potts"
    version: ClassVar[int] = 1
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.int8)

    def __post_init__(self) -> None:
        if not (type(self.q) is int and 2 <= self.q <= MAX_Q):
            raise InputError(expected("model.q", f"an integer from 2 to {MAX_Q}", self.q))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters beside the name."""
        return {"q": self.q}

    @property
    def states(self) -> int:
        """Colours q."""
        return self.q

    @property
    def components(self) -> int:
        """Components of the raw order parameter: one count per colour."""
        return self.q

    @property
    def physics(self) -> Physics:
        """The compiled functions."""
        return make_physics(self.q)

    @property
    def structure_scale(self) -> float:
        """q / (q - 1): colours as unit vectors to the corners of a simplex."""
        return self.q / (self.q - 1)

    def exact(self, lattice: Lattice) -> Exact:
        """Exact answers on this lattice."""
        return square(self.q) if lattice.dimension == 2 else Exact()

    def order2(self, order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
        """(q sum rho^2 - 1) / (q - 1) from colour counts (..., q)."""
        density: NDArray[np.float64] = order / volume
        squares: NDArray[np.float64] = (density**2).sum(axis=-1)
        return (self.q * squares - 1) / (self.q - 1)

    def codes(self, spins: NDArray[np.int8]) -> NDArray[np.uint8]:
        """The colour itself."""
        return spins.astype(np.uint8)

    def from_codes(self, codes: NDArray[np.uint8]) -> NDArray[np.int8]:
        """The inverse of `codes`."""
        return codes.astype(np.int8)
