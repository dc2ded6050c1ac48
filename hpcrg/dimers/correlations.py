"""Correlations of dimers and of monomers half a torus apart, whose decay with L gives the exponents.

    dimers     C(r) = <n(0) n(r)> - 1/16 of like dimers r apart along their axis, (-1)^r / (pi r)^2 without interaction
    monomers   M(r) = Z_2(r) / Z_0 of two monomers on opposite sublattices, r^-1/2 without interaction

(Fisher and Stephenson, Phys. Rev. 132, 1411 (1963); the amplitude 1/pi^2 is that of the infinite lattice). On a torus
both are L^-a f(r / L) with f even about 1/2. So their values near r = L/2 are pure powers of L up to corrections in
1/L^2: for monomers M at L/2 - 1, which must be odd, for dimers the mean of (-1)^r C(r) over r / L from 3/8 to 5/8.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from hpcrg.dimers.run import Dimers
from hpcrg.estimate import Measured
from hpcrg.producing import Produced, left_out


def spec(produced: Produced) -> Dimers:
    """What was asked for."""
    return cast(Dimers, produced.series.producer)


def energy(result: Produced) -> Measured:
    """The mean energy per site in units of v."""
    return left_out(result, result["energy"].mean(axis=1) / spec(result).lattice.volume)


def dimer_dimer(result: Produced, r: int, across: bool = False) -> Measured:
    """C(r) across or along the axis of the dimers; 1/4 is the exact density of each kind on a square torus."""
    weight = 2 * spec(result).lattice.volume * spec(result).samples
    return left_out(result, result["pairs"][:, int(across), r] / weight - 1 / 16)


def dimer_far(result: Produced) -> Measured:
    """The mean of (-1)^r C(r) along the axis over r / L from 3/8 to 5/8, by the trapezoidal rule."""
    half = spec(result).lattice.shape[1] // 2
    r = np.arange(half * 3 // 4, half + 1)
    weights = np.where((r == r[0]) | (r == half), 0.5, 1.0) * (1 - 2 * (r % 2)) / (half / 4)
    weight = 2 * spec(result).lattice.volume * spec(result).samples
    return left_out(result, (result["pairs"][:, 0, r] / weight - 1 / 16) @ weights)


def monomer_monomer(result: Produced, x: int, y: int) -> Measured:
    """M at a displacement, with that at all its mirror images; zero when x + y is even."""
    ly, lx = spec(result).lattice.shape
    loops = result["monomers"] / (spec(result).moves * spec(result).samples)
    images = {(b % ly, a % lx) for s in (x, -x) for t in (y, -y) for a, b in ((s, t), (t, s))}
    return left_out(result, np.mean([loops[:, b, a] for b, a in sorted(images)], axis=0))
