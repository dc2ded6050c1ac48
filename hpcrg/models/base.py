"""What a model is: a handful of compiled functions (Physics), a few facts for readers of banks, and its
exact answers.

Energies are integers, in units of J, with k_B = 1. Generic kernels are closures over these functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hpcrg.estimate import Reference
from hpcrg.lattice import Lattice


class Physics(NamedTuple):
    """The functions that generic kernels are built over; each is a `physics_function`. Spins a, b; random
    state r.

    `name` names the physics with all its parameters and stands for it in the cache of compiled kernels.

    Single-spin updates: `decode(code)` is the spin of code 0 .. states - 1. `propose(r, a)` gives (r, b), b
    different from a, with equal probability for a to b and b to a. `pair(a, b)` is the energy of one bond,
    an integer, symmetric; `pair_span` is its largest value less its smallest.

    Cluster updates: `mirror(r)` gives (r, m), which fixes a group of `moves` moves for a whole sweep, and
    `reflect(m, k, a)` is the spin after move k; move 0 leaves it, and the same move applied to both spins
    leaves `pair` alone. `gap(m, a, b)` = max over k of pair(reflect(m, k, a), b), less pair(a, b); it lies
    in 0 .. `gap_span`, and the maximum is the energy of every pair that can be reached with gap 0. A bond
    is then laid with probability 1 - exp(-beta gap), and clusters move independently of each other (Edwards
    and Sokal, Phys. Rev. D 38, 2009 (1988); Wolff, Phys. Rev. Lett. 62, 361 (1989)). `mirror` is None for a
    model without them.

    Measurements: a spin adds `weight(a)` to component `channel(a)` of the raw order parameter.
    """

    name: str
    states: int
    decode: Callable[..., Any]
    propose: Callable[..., Any]
    pair: Callable[..., Any]
    pair_span: int
    mirror: Callable[..., Any] | None
    moves: int
    reflect: Callable[..., Any]
    gap: Callable[..., Any]
    gap_span: int
    channel: Callable[..., Any]
    weight: Callable[..., Any]


@dataclass(frozen=True)
class Exact:
    """Exact or published answers; None where none is known. `binder` is U4 = 1 - <m^4> / (3 <m^2>^2) and
    `xi_ratio` is xi_2nd / L, both at the critical point of the periodic hypercube."""

    beta_c: Reference | None = None
    nu: Reference | None = None
    eta: Reference | None = None
    gamma: Reference | None = None
    beta: Reference | None = None
    y_t: Reference | None = None
    y_h: Reference | None = None
    omega: Reference | None = None
    binder: Reference | None = None
    xi_ratio: Reference | None = None


class Model(Protocol):
    """A model: a frozen value. `order2` maps raw order parameters (..., component) and the volume to the
    squared order parameter per site (...), 1 when fully ordered. `structure_scale` times the sum over
    components of |sum_j exp(i k r_j) order_j|^2 / N^2 is the same quantity at k different from 0."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def states(self) -> int: ...
    @property
    def components(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def physics(self) -> Physics: ...
    @property
    def structure_scale(self) -> float: ...
    def exact(self, lattice: Lattice) -> Exact: ...
    def order2(self, order: NDArray[np.int64], volume: int) -> NDArray[np.float64]: ...
    def codes(self, spins: NDArray[np.int8]) -> NDArray[np.uint8]: ...
    def from_codes(self, codes: NDArray[np.uint8]) -> NDArray[np.int8]: ...
