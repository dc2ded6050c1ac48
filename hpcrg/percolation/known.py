"""Published thresholds and exponents of percolation, and the exact wrapping probability on a torus of the plane."""

from __future__ import annotations

import cmath
import math

from hpcrg.errors import Unsupported, expected
from hpcrg.estimate import Reference
from hpcrg.lattice import Lattice
from hpcrg.percolation.pinson import wrapping

JACOBSEN = "Jacobsen, J. Phys. A 48, 454003 (2015)"
SYKES_ESSAM = "exact (Sykes and Essam 1964)"
WANG = "Wang et al., Phys. Rev. E 87, 052107 (2013)"
COULOMB_GAS = "exact (den Nijs 1979, Nienhuis 1982)"
THRESHOLDS = {
    ("site", "hypercubic", 2): Reference(0.59274605079210, 0.00000000000002, JACOBSEN),
    ("bond", "hypercubic", 2): Reference(0.5, source="exact (Kesten 1980)"),
    ("site", "triangular", 2): Reference(0.5, source=SYKES_ESSAM),
    ("bond", "triangular", 2): Reference(2 * math.sin(math.pi / 18), source=SYKES_ESSAM),
    ("bond", "honeycomb", 2): Reference(1 - 2 * math.sin(math.pi / 18), source=SYKES_ESSAM),
    ("site", "hypercubic", 3): Reference(0.3116077, 0.0000002, WANG),
    ("bond", "hypercubic", 3): Reference(0.24881182, 0.00000010, WANG),
}
NU = {2: Reference(4 / 3, source=COULOMB_GAS), 3: Reference(1 / 1.1410, 0.0015 / 1.1410**2, WANG)}
FRACTAL = {2: Reference(91 / 48, source=COULOMB_GAS), 3: Reference(3 - 0.47705, 0.00015, WANG)}


def modulus(lattice: Lattice) -> complex:
    """The modulus tau of a torus of the plane: i for squares, exp(i pi / 3) for the rhombi of the other lattices."""
    if lattice.dimension != 2:
        raise Unsupported(expected("percolation: lattice.dimension", "2 for a torus of the plane", lattice.dimension))
    return 1j if lattice.kind == "hypercubic" else cmath.exp(1j * math.pi / 3)


def level(lattice: Lattice) -> float | None:
    """The exact critical probability of wrapping along an axis of an L x L torus; None where it is not known."""
    return wrapping(modulus(lattice)).x if lattice.dimension == 2 else None
