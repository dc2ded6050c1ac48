"""Exact numbers of the first-order transition of the q-state Potts model on the square lattice, q > 4."""

from __future__ import annotations

import math

from hpcrg.estimate import Reference
from hpcrg.system import System

XI_DISORDERED = {7: 48.095907, 10: 10.559519, 15: 4.180954, 20: 2.695502}
"""The correlation length of the disordered phase at the transition (Buffenoir and Wallon 1993); 2 sigma = 1 / xi."""
TERMS = 200


def latent_heat(q: int) -> float:
    """The latent heat per site with energies -1 for equal neighbours (Baxter, J. Phys. C 6, L445 (1973)):
    2 (1 + q^-1/2) tanh(t / 2) times the product over n >= 1 of tanh^2(n t), with 2 cosh t = sqrt q."""
    t = math.acosh(math.sqrt(q) / 2)
    return 2 * (1 + 1 / math.sqrt(q)) * math.tanh(t / 2) * math.prod(math.tanh(n * t) ** 2 for n in range(1, TERMS))


def references(system: System) -> dict[str, Reference]:
    """`latent` and `tension` (2 sigma) where they are known."""
    lattice, q = system.lattice, system.physics.states
    square = (lattice.kind, lattice.boundary, lattice.dimension) == ("hypercubic", "periodic", 2)
    if system.model.name != "potts" or not square or q <= 4:
        return {}
    found = {"latent": Reference(latent_heat(q), source="exact (Baxter 1973)")}
    if q in XI_DISORDERED:
        source = "exact (Buffenoir and Wallon 1993, Borgs and Janke 1992)"
        found["tension"] = Reference(1 / XI_DISORDERED[q], source=source)
    return found
