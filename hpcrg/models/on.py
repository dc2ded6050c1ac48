"""The O(n) model, E = -sum over bonds of s.s', unit vectors s of n components: XY (n = 2), Heisenberg (n = 3) and
further.

Spins are stored component by component, float64[n, site]. Updates keep their length to rounding.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.exponential import decay
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Exact, Model, Physics, make_book, make_read, make_write
from hpcrg.models.vectors import make_add, make_direction, make_dot, make_scale
from hpcrg.rng import advance, fraction

MAX_N = 8
ROOT_E = math.exp(0.5)  # y is at most 1/2
CAMPOSTRINI = "Campostrini et al. 2006, Hasenbusch 2019"
DENG = "Deng et al. 2005, Hasenbusch 2020"
KOSTERLITZ = "Kosterlitz 1974"
SQUARE_XY = Exact(
    beta_c=Reference(1 / 0.8929, 1e-4 / 0.8929**2, "Hasenbusch 2005, Komura and Okabe 2012"),
    eta=Reference(0.25, 0.0, KOSTERLITZ), y_h=Reference(1.875, 0.0, KOSTERLITZ),
)  # fmt: skip


def cubic(beta_c: Reference, nu: Reference, eta: Reference) -> Exact:
    """d = 3, with what the scaling relations make of nu and eta."""
    n, e, source = nu.value, eta.value, nu.source
    return Exact(
        beta_c=beta_c, nu=nu, eta=eta,
        y_t=Reference(1 / n, nu.error / n**2, source), y_h=Reference((5 - e) / 2, eta.error / 2, source),
        gamma=Reference(n * (2 - e), float(np.hypot((2 - e) * nu.error, n * eta.error)), source),
        beta=Reference(n * (1 + e) / 2, float(np.hypot((1 + e) / 2 * nu.error, n / 2 * eta.error)), source),
    )  # fmt: skip


CUBIC = {
    2: cubic(
        Reference(0.4541648, 2e-7, CAMPOSTRINI), Reference(0.6717, 1e-4, CAMPOSTRINI),
        Reference(0.0381, 2e-4, CAMPOSTRINI),
    ),
    3: cubic(Reference(0.693003, 2e-6, DENG), Reference(0.7116, 2e-4, DENG), Reference(0.0378, 3e-4, DENG)),
}  # fmt: skip


def make_heat_bath(n: int) -> Any:
    """heat_bath(r, field, beta): a unit vector of density exp(beta field.s) (von Mises and Fisher), exactly.

    A uniform direction u at the cosine t from the field is drawn towards it, to W = (t + x) / (1 + x t), as starlight
    is to a moving observer. Where k (1 - x^2) = (n - 1) x, with k = beta |field|, keeping it with probability
    ((1 - y) exp(y))^(n - 1), y = x t / (1 + x t), leaves exp(k W) (Best and Fisher, Appl. Stat. 28, 152 (1979), for n
    = 2; Wood, Commun. Stat. 23, 157 (1994))."""
    direction, dot, add, scale, m = make_direction(n), make_dot(n), make_add(n), make_scale(n), n - 1.0

    @part
    def heat_bath(state, field, beta):  # type: ignore[no-untyped-def]
        strength = np.sqrt(dot(field, field))
        k = beta * strength
        root = m + np.sqrt(m * m + 4.0 * k * k)
        x, across = 2.0 * k / root, np.sqrt(2.0 * m / root)  # across = sqrt(1 - x^2)
        unit = scale(1.0 / strength if strength > 0.0 else 0.0, field)
        state, u = direction(state)
        state, word = advance(state)
        t, f = dot(u, unit), 1.0
        while True:
            f = 1.0 / (1.0 + x * t)
            y = x * t * f
            single, weight = (1.0 - y) * ROOT_E * decay(0.5 - y), 1.0
            for _ in range(n - 1):
                weight *= single
            if fraction(word) < weight:
                break
            state, u = direction(state)
            state, word = advance(state)
            t = dot(u, unit)
        return state, add(scale(across * f, u), (x + t - across * t) * f, unit)

    return heat_bath


@cache
def make_physics(n: int) -> Physics:
    """The compiled functions of one n."""
    direction, dot, add, scale = make_direction(n), make_dot(n), make_add(n), make_scale(n)

    @part
    def pair(a, b):  # type: ignore[no-untyped-def]
        return -dot(a, b)

    @part
    def propose(state, spin):  # type: ignore[no-untyped-def]
        """The direction of s + l u, u a random direction and l uniform in [0, 2): it depends on the angle between old
        and new alone, so it is symmetric; short steps for the cold, and any direction in one step."""
        state, u = direction(state)
        state, word = advance(state)
        moved = add(spin, 2.0 * fraction(word), u)
        square = dot(moved, moved)
        return state, scale(1.0 / np.sqrt(square), moved) if square > 1e-30 else spin

    @part
    def overrelax(field, spin):  # type: ignore[no-untyped-def]
        square = dot(field, field)
        if square < 1e-30:
            return spin
        return add(scale(-1.0, spin), 2.0 * dot(field, spin) / square, field)

    @part
    def reflect(m, k, spin):  # type: ignore[no-untyped-def]
        return add(spin, -2.0 * k * dot(m, spin), m)

    @part
    def gap(x, y, coupling):  # type: ignore[no-untyped-def]
        return max(0.0, 2.0 * coupling * x * y)

    return Physics(
        f"o{n}", pair, make_read(n), make_write(n), direction, propose, make_book(n), heat_bath=make_heat_bath(n),
        overrelax=overrelax, mirror=direction, moves=2, reflect=reflect, project=dot, projection=np.float64, gap=gap,
    )  # fmt: skip


def order2(order: NDArray[np.float64], volume: int) -> NDArray[np.float64]:
    """|M / N|^2 from order (..., component)."""
    squares: NDArray[np.float64] = ((order / volume) ** 2).sum(axis=-1)
    return squares


def make_model(name: str, params: dict[str, Any], n: int) -> Model:
    """The model of n components under a name."""

    def ordered(lattice: Lattice) -> NDArray[np.float64]:
        spins = np.zeros((n, lattice.volume))
        spins[0] = 1.0
        return spins

    def exact(lattice: Lattice) -> Exact:
        if lattice.kind != "hypercubic":
            return Exact()
        if lattice.dimension == 3:
            return CUBIC.get(n, Exact())
        return SQUARE_XY if (n, lattice.dimension) == (2, 2) else Exact()

    return Model(name, params, make_physics(n), n, order2, ordered, exact, cumulant_components=n, spin_components=n)


def xy() -> Model:
    """Two components. The order parameter is the sum of the spins."""
    return make_model("xy", {}, 2)


def heisenberg() -> Model:
    """Three components."""
    return make_model("heisenberg", {}, 3)


def on(n: int) -> Model:
    """n components, n >= 2: O(1) is the Ising model, which has kernels of its own."""
    if not (type(n) is int and 2 <= n <= MAX_N):
        raise InputError(expected("model.n", f"an integer from 2 to {MAX_N} (n = 1 is ising)", n))
    return make_model("on", {"n": n}, n)
