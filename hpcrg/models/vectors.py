"""Vectors of n components, as tuples: sums, products, and exactly uniform random directions.

A point of the unit disc has an angle and a squared radius s that are independent and uniform. n = 2: its angle
doubled. n = 3: Marsaglia, Ann. Math. Stat. 43, 645 (1972). A unit vector of n + 2 components is (V u, sqrt(1 - V^2)
c), with u one of n components, c one of two, and V^n uniform, for which s serves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpcrg.jit import part
from hpcrg.rng import advance, fraction


@part
def disc(state):  # type: ignore[no-untyped-def]
    """(r, x, y, s): a uniform point of the unit disc and s = x^2 + y^2, 0 < s < 1."""
    x, y, s = 0.0, 0.0, 0.0
    while s >= 1.0 or s == 0.0:
        state, first = advance(state)
        state, second = advance(state)
        x, y = 2.0 * fraction(first) - 1.0, 2.0 * fraction(second) - 1.0
        s = x * x + y * y
    return state, x, y, s


@part
def circle(state):  # type: ignore[no-untyped-def]
    """A unit vector of two components."""
    state, x, y, s = disc(state)
    return state, ((x * x - y * y) / s, 2.0 * x * y / s)


@part
def sphere(state):  # type: ignore[no-untyped-def]
    """A unit vector of three components."""
    state, x, y, s = disc(state)
    factor = 2.0 * np.sqrt(1.0 - s)
    return state, (factor * x, factor * y, 1.0 - 2.0 * s)


def make_direction(components: int) -> Any:
    """direction(r) -> (r, unit vector of so many components)."""
    if components in (2, 3):
        return circle if components == 2 else sphere
    fewer, power, scale = make_direction(components - 2), 1.0 / (components - 2), make_scale(components - 2)

    @part
    def direction(state):  # type: ignore[no-untyped-def]
        state, u = fewer(state)
        state, x, y, s = disc(state)
        length = s**power
        across = np.sqrt((1.0 - length * length) / s)
        return state, (*scale(length, u), across * x, across * y)

    return direction


def make_dot(components: int) -> Any:
    """dot(a, b) of two vectors."""
    if components == 1:

        @part
        def product(a, b):  # type: ignore[no-untyped-def]
            return a[0] * b[0]

        return product
    last, rest = components - 1, make_dot(components - 1)

    @part
    def dot(a, b):  # type: ignore[no-untyped-def]
        return rest(a, b) + a[last] * b[last]

    return dot


def make_scale(components: int) -> Any:
    """scale(factor, a) = factor a."""
    if components == 1:

        @part
        def times(factor, a):  # type: ignore[no-untyped-def]
            return (factor * a[0],)

        return times
    last, rest = components - 1, make_scale(components - 1)

    @part
    def scale(factor, a):  # type: ignore[no-untyped-def]
        return (*rest(factor, a), factor * a[last])

    return scale


def make_add(components: int) -> Any:
    """add(a, factor, b) = a + factor b for tuples of floats."""
    if components == 1:

        @part
        def scalar(a, factor, b):  # type: ignore[no-untyped-def]
            return (a[0] + factor * b[0],)

        return scalar
    last, rest = components - 1, make_add(components - 1)

    @part
    def add(a, factor, b):  # type: ignore[no-untyped-def]
        return (*rest(a, factor, b), a[last] + factor * b[last])

    return add
