"""The Ising model, E = -sum over bonds of s s', s = -1 or +1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hpcrg.estimate import Reference
from hpcrg.jit import physics_function
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Physics

ONSAGER = "exact: Onsager 1944, Yang 1952"
SALAS_SOKAL = "Salas and Sokal 2000"
FERRENBERG = "Ferrenberg, Xu, Landau 2018"
BOOTSTRAP = "conformal bootstrap, Kos et al. 2016"
HASENBUSCH = "Hasenbusch 2010"

SQUARE = Exact(
    beta_c=Reference(float(np.log1p(np.sqrt(2.0)) / 2), 0.0, ONSAGER),
    nu=Reference(1.0, 0.0, ONSAGER), eta=Reference(0.25, 0.0, ONSAGER), gamma=Reference(1.75, 0.0, ONSAGER),
    beta=Reference(0.125, 0.0, ONSAGER), y_t=Reference(1.0, 0.0, ONSAGER), y_h=Reference(1.875, 0.0, ONSAGER),
    binder=Reference(0.6106901, 1e-7, SALAS_SOKAL), xi_ratio=Reference(0.9050488, 1e-7, SALAS_SOKAL),
)  # fmt: skip
CUBIC = Exact(
    beta_c=Reference(0.221654626, 5e-9, FERRENBERG), nu=Reference(0.629971, 4e-6, BOOTSTRAP),
    eta=Reference(0.036298, 2e-6, BOOTSTRAP), gamma=Reference(1.237075, 8e-6, BOOTSTRAP),
    y_t=Reference(1.587374, 1e-5, BOOTSTRAP), y_h=Reference(2.481851, 1e-6, BOOTSTRAP),
    omega=Reference(0.8297, 2e-4, BOOTSTRAP), binder=Reference(1 - 1.6036 / 3, 1e-4 / 3, HASENBUSCH),
    xi_ratio=Reference(0.6431, 1e-4, HASENBUSCH),
)  # fmt: skip
EXACT = {1: Exact(), 2: SQUARE, 3: CUBIC}


@physics_function("ising.decode")
def decode(code):  # type: ignore[no-untyped-def]
    return np.int8(2 * code - 1)


@physics_function("ising.propose")
def propose(state, spin):  # type: ignore[no-untyped-def]
    return state, np.int8(-spin)


@physics_function("ising.pair")
def pair(a, b):  # type: ignore[no-untyped-def]
    return -a * b


@physics_function("ising.mirror")
def mirror(state):  # type: ignore[no-untyped-def]
    return state, 0


@physics_function("ising.reflect")
def reflect(m, k, spin):  # type: ignore[no-untyped-def]
    return np.int8((1 - 2 * k) * spin)


@physics_function("ising.gap")
def gap(m, a, b):  # type: ignore[no-untyped-def]
    return 1 + a * b


@physics_function("ising.channel")
def channel(spin):  # type: ignore[no-untyped-def]
    return 0


@physics_function("ising.weight")
def weight(spin):  # type: ignore[no-untyped-def]
    return spin


PHYSICS = Physics("ising", 2, decode, propose, pair, 2, mirror, 2, reflect, gap, 2, channel, weight)


@dataclass(frozen=True)
class Ising:
    """See the module. The order parameter is the sum of the spins."""

    name: ClassVar[str] = "ising"
    version: ClassVar[int] = 1
    states: ClassVar[int] = 2
    components: ClassVar[int] = 1
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.int8)
    physics: ClassVar[Physics] = PHYSICS
    structure_scale: ClassVar[float] = 1.0

    @property
    def params(self) -> dict[str, Any]:
        """The parameters beside the name: none."""
        return {}

    def exact(self, lattice: Lattice) -> Exact:
        """Exact and published answers on this lattice."""
        return EXACT[lattice.dimension]

    def order2(self, order: NDArray[np.int64], volume: int) -> NDArray[np.float64]:
        """(M / N)^2 from order (..., 1)."""
        per_site: NDArray[np.float64] = order[..., 0] / volume
        return per_site**2

    def codes(self, spins: NDArray[np.int8]) -> NDArray[np.uint8]:
        """0 for -1 and 1 for +1."""
        return (spins > 0).astype(np.uint8)

    def from_codes(self, codes: NDArray[np.uint8]) -> NDArray[np.int8]:
        """The inverse of `codes`."""
        return 2 * codes.astype(np.int8) - np.int8(1)
