"""Exact wrapping probabilities of critical percolation on a torus of modulus tau (Pinson, J. Stat. Phys. 75, 1167
(1994); Newman and Ziff, Phys. Rev. E 64, 016706 (2001), section III), summed here from the Coulomb gas.

The hulls of clusters carry a height that changes by windings 2 (m, m') around the torus. With coupling g = 2/3,

    Z(m, m') = sqrt(g / Im tau) / |eta(tau)|^2  exp(-pi g |m tau - m'|^2 / Im tau)

(di Francesco, Saleur and Zuber, J. Stat. Phys. 49, 57 (1987)). 2 c loops of primitive class (a, b), each of weight
2 cos(pi e / 2), give sum over M of C(2c, c + M) cos(pi e M), and Z(M a, M b) collects the configurations by M. So
weight 1 (e = 2/3) minus weight 0 (e = 1) leaves the probability that clusters wrap by (a, b) alone,

    P(a, b) = sum over M of [cos(2 pi M / 3) - (-1)^M] Z(M a, M b),

and weight 0 alone the probability that no loop winds, sum of (-1)^gcd(m, m') Z(m, m'): half of it, by duality, belongs
to clusters that wrap by all classes and half to none that wraps at all.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass
from math import gcd

COUPLING = 2 / 3
REACH = 14


@dataclass(frozen=True)
class Wrapping:
    """Probabilities at the critical point: along the axis 1 (`x`), the axis tau (`y`), any of both, all of both."""

    x: float
    y: float
    any: float
    all: float


def _sign(k: int) -> int:
    return 1 - 2 * (k % 2)


def _weight(m: int, k: int, tau: complex) -> float:
    return math.exp(-math.pi * COUPLING * abs(m * tau - k) ** 2 / tau.imag)


def _prefactor(tau: complex) -> float:
    """sqrt(g / Im tau) / |eta(tau)|^2, eta by Euler's pentagonal series."""
    phase = 2j * math.pi * tau
    eta = sum(_sign(k) * cmath.exp(phase * (k * (3 * k - 1) / 2 + 1 / 24)) for k in range(-REACH, REACH + 1))
    return math.sqrt(COUPLING / tau.imag) / abs(eta) ** 2


def class_probability(a: int, b: int, tau: complex) -> float:
    """The probability that clusters wrap b times around 1 for a times around tau, and no other way."""
    terms = ((math.cos(2 * math.pi * k / 3) - _sign(k)) * _weight(k * a, k * b, tau) for k in range(1, REACH))
    return 2 * _prefactor(tau) * sum(terms)


def cross_probability(tau: complex) -> float:
    """The probability of a cluster that wraps in every way; equal to that of no wrapping at all."""
    span = range(-REACH, REACH + 1)
    return 0.5 * _prefactor(tau) * sum(_sign(gcd(m, k)) * _weight(m, k, tau) for m in span for k in span)


def wrapping(tau: complex = 1j) -> Wrapping:
    """The exact probabilities for a torus with sides 1 and tau."""
    span = range(-REACH, REACH + 1)
    primitive = [(a, b) for a in range(REACH + 1) for b in span if gcd(a, b) == 1 and (a > 0 or b > 0)]
    single = {pair: class_probability(*pair, tau) for pair in primitive}
    cross = cross_probability(tau)
    return Wrapping(
        cross + sum(v for (a, b), v in single.items() if b),
        cross + sum(v for (a, b), v in single.items() if a),
        cross + sum(single.values()),
        cross + sum(v for (a, b), v in single.items() if a and b),
    )
