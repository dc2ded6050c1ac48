"""What a model is: a handful of compiled functions (Physics), a few facts for readers of banks, and its exact
answers. k_B = J = 1; generic kernels are closures over these functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import Unsupported
from hpcrg.estimate import Reference
from hpcrg.jit import part
from hpcrg.lattice import Lattice

Coupling = Literal["none", "integer", "real"]
"""Bond couplings of a model: none (all 1), integers of size at most 1, or real numbers."""


class Physics(NamedTuple):
    """The functions that generic kernels are built over; each is a `part`. Spins a, b are int8 scalars
    (discrete models) or tuples of floats (continuous ones); r is a random state; c the coupling of a bond.

    `name` names the physics with all its parameters.

    Energy: `pair(a, b)`, of a bond with c = 1, symmetric; `site(a)`, on-site energy, or None. `integer` says that all
    pair energies are integers and that there is no on-site energy; pair energies then differ by at most `pair_span`.
    A model that is not a sum over pairs brings `local(walker, neighbours, couplings, site, a)`, all energy that
    depends on the spin at `site` when that spin is a, and `bulk(walker, neighbours, couplings, site)`, which summed
    over sites is the energy; its local energies differ by at most `local_span`.

    Storage: `read(walker, site)` and `write(walker, site, a)`.

    Single-spin updates: `fresh(r)` gives (r, a) at infinite temperature. `propose(r, a)` gives (r, b), with equal
    probability (density) for a to b and b to a. `frozen(a)` is true for a place that holds no spin. Discrete:
    `decode(code)` is the spin of code 0 .. states - 1. Continuous: `heat_bath(r, field, beta)` draws a spin with
    density exp(beta field.a - beta site(a)), field being the sum over bonds of c b when pair = -a.b; `overrelax(field,
    a)` is another spin of the same energy.

    Cluster updates: `mirror(r)` gives (r, m), which fixes a group of `moves` moves for a whole sweep, and
    `reflect(m, k, a)` is the spin after move k; move 0 leaves it, and the same move applied to both spins leaves `pair`
    alone. With x = `project(m, a)`, a number of type `projection`, `gap(x, y, c)` is the largest energy of the bond
    over the moves of one of its spins, less its energy now, 0 where no move raises it, and that largest energy is
    reached by all moves of gap 0. A bond is laid with probability 1 - exp(-beta gap), and clusters move independently
    of each other (Edwards and Sokal, Phys. Rev. D 38, 2009 (1988); Wolff, Phys. Rev. Lett. 62, 361 (1989)). Integer
    gaps lie in 0 .. `gap_span`. `mirror` is None for a model without such moves. `even` says that moves leave the
    on-site energy alone. `three_spins` says that the energy is minus the sum over the triangles of the triangular
    lattice of the product of three Ising spins, which has clusters of its own.

    Measurements: `book(row, a, parity)` adds a spin to the raw order parameter row[component]; bit k of `parity` is the
    parity of the coordinate along axis k (x is bit 0), and on the triangular lattice parity >> 4 is the sublattice
    (x - y) mod 3.
    """

    name: str
    pair: Callable[..., Any]
    read: Callable[..., Any]
    write: Callable[..., Any]
    fresh: Callable[..., Any]
    propose: Callable[..., Any]
    book: Callable[..., Any]
    states: int = 0
    decode: Any = None
    integer: bool = False
    pair_span: int = 0
    site: Any = None
    local: Any = None
    bulk: Any = None
    local_span: int = 0
    frozen: Any = None
    heat_bath: Any = None
    overrelax: Any = None
    mirror: Any = None
    three_spins: bool = False
    even: bool = False
    moves: int = 0
    reflect: Any = None
    project: Any = None
    projection: Any = np.int8
    gap: Any = None
    gap_span: int = 0


@dataclass(frozen=True)
class Logs:
    """Powers of ln L beside the powers of L, where a field is marginal: the thermal field goes as L^y_t (ln L)^
    `thermal`, the magnetic one as L^y_h (ln L)^`magnetic`."""

    thermal: float = 0.0
    magnetic: float = 0.0
    source: str = ""


NO_LOGS = Logs()


@dataclass(frozen=True)
class Exact:
    """Exact or published answers; None where none is known. `binder` is U4 = 1 - <m^4> / (3 <m^2>^2) and
    `xi_ratio` is xi_2nd / L, both at the critical point of the periodic hypercube; `energy` is that per site of the
    infinite lattice at the critical point; `logs` are those of a marginal field."""

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
    energy: Reference | None = None
    logs: Logs = NO_LOGS


def is_number(value: object) -> bool:
    """Whether a parameter is a finite number, which truth values and text are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def no_codes(values: NDArray[Any]) -> NDArray[Any]:
    """Continuous spins have no codes. Raises Unsupported."""
    raise Unsupported("expected a model of discrete spins, found one of continuous spins")


@dataclass(frozen=True)
class Disorder:
    """What is frozen in one chain: couplings [site, column of the neighbour table], int8 or float64, the same from both
    ends of a bond, (1, 1) where there are none; and vacant sites uint8[site], or None."""

    couplings: NDArray[Any]
    vacant: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Model:
    """A model as a value; two are equal when name and parameters are.

    `order2(order, volume)` maps raw order parameters (..., component) to the squared order parameter per site (...), 1
    when fully ordered; `structure_scale` times the sum over components of |sum_j exp(i k r_j) order_j|^2 / N^2 is the
    same quantity at k different from 0; `cumulant_components` is the number of its independent components. `codes` and
    `from_codes` translate discrete spins to 0 .. states - 1 and back. A continuous spin has `spin_components`
    components; `spin_components` is 0 for discrete spins.

    A model that is not a sum over pairs states its energy once more in numpy, `energies(spins[..., site], lattice)`,
    for tests.

    `couplings(lattice, table, generator)` gives the couplings of a chain, which differ from chain to chain where the
    model is `disordered`; `shells` is how many shells of neighbours
    interact; `copies` is how many configurations share one chain's disorder unless the campaign says otherwise;
    `check(lattice)` raises Unsupported for a lattice that the model cannot live on; `ordered(lattice)` is the ordered
    configuration [site] (or [component, site]) from which odd chains start. `ergodic_clusters` says whether
    cluster moves alone reach every configuration; `only_random_order` that Metropolis in a fixed order of sites does
    not; `real_order` that the raw order parameter is not made of integers though spins are discrete; `normalisable`
    that a spin has a distribution at infinite temperature, which `fresh` draws from; `glass` that the
    order parameter of its transition is the overlap of two copies.
    """

    name: str
    params: Mapping[str, Any]
    physics: Physics = field(compare=False)
    components: int = field(compare=False)
    order2: Callable[[NDArray[Any], int], NDArray[np.float64]] = field(compare=False)
    ordered: Callable[[Lattice], NDArray[Any]] = field(compare=False)
    exact: Callable[[Lattice], Exact] = field(compare=False)
    version: int = field(default=1, compare=False)
    cumulant_components: int = field(default=1, compare=False)
    structure_scale: float = field(default=1.0, compare=False)
    codes: Callable[[NDArray[Any]], NDArray[np.uint8]] = field(default=no_codes, compare=False)
    from_codes: Callable[[NDArray[np.uint8]], NDArray[Any]] = field(default=no_codes, compare=False)
    spin_components: int = field(default=0, compare=False)
    energies: Callable[[NDArray[Any], Lattice], NDArray[np.float64]] | None = field(default=None, compare=False)
    coupling: Coupling = field(default="none", compare=False)
    couplings: Callable[[Lattice, NDArray[np.int32], np.random.Generator], Disorder] | None = field(
        default=None, compare=False
    )
    disordered: bool = field(default=False, compare=False)
    shells: int = field(default=1, compare=False)
    copies: int = field(default=1, compare=False)
    check: Callable[[Lattice], None] = field(default=lambda lattice: None, compare=False)
    ergodic_clusters: bool = field(default=True, compare=False)
    only_random_order: bool = field(default=False, compare=False)
    real_order: bool = field(default=False, compare=False)
    normalisable: bool = field(default=True, compare=False)
    glass: bool = field(default=False, compare=False)

    @property
    def states(self) -> int:
        """States of a discrete spin; 0 for a continuous one."""
        return self.physics.states

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a spin in memory."""
        return np.dtype(np.float64 if self.spin_components else np.int8)

    @property
    def order_dtype(self) -> np.dtype[Any]:
        """The type of the raw order parameter."""
        return np.dtype(np.float64 if self.spin_components or self.real_order else np.int64)


@part
def read_int8(walker, site):  # type: ignore[no-untyped-def]
    return walker[site]


@part
def write_int8(walker, site, spin):  # type: ignore[no-untyped-def]
    walker[site] = spin


@part
def book_scalar(row, spin, parity):  # type: ignore[no-untyped-def]
    row[0] += spin


def make_read(components: int) -> Any:
    """read(walker[component, site], site): the components as a tuple."""
    if components == 1:

        @part
        def first(walker, site):  # type: ignore[no-untyped-def]
            return (walker[0, site],)

        return first
    last, rest = np.uint64(components - 1), make_read(components - 1)

    @part
    def read(walker, site):  # type: ignore[no-untyped-def]
        return (*rest(walker, site), walker[last, site])

    return read


def make_write(components: int) -> Any:
    """write(walker[component, site], site, spin)."""
    if components == 1:

        @part
        def first(walker, site, spin):  # type: ignore[no-untyped-def]
            walker[0, site] = spin[0]

        return first
    last, tail, rest = np.uint64(components - 1), components - 1, make_write(components - 1)

    @part
    def write(walker, site, spin):  # type: ignore[no-untyped-def]
        rest(walker, site, spin)
        walker[last, site] = spin[tail]

    return write


def make_book(components: int) -> Any:
    """book(row, spin, parity): the sum of all spins, component by component."""

    @part
    def book(row, spin, parity):  # type: ignore[no-untyped-def]
        for k in range(components):
            row[k] += spin[k]

    return book
