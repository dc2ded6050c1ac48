"""The Edwards-Anderson spin glass, E = -sum over bonds of c s s', s = -1 or +1, with couplings c = -1 or +1 alike, or
normal ones of mean 0 and variance 1 (Edwards and Anderson, J. Phys. F 5, 965 (1975)).

Every chain is one sample of the couplings, with two copies, whose overlaps tell the glass: the magnetisation, which is
the order parameter here, vanishes on average at every temperature. Clusters are correct and useless, since they span
the lattice far above the transition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.estimate import Reference
from hpcrg.lattice import Lattice
from hpcrg.models.base import Disorder, Exact, Model
from hpcrg.models.bonds import bonds_shape, both_ways
from hpcrg.models.ising import PHYSICS as ISING
from hpcrg.models.ising import codes, from_codes, order2, ordered

JANUS = "Baity-Jesi et al. 2013"
KATZGRABER = "Katzgraber et al. 2006"
COUPLINGS = ("pm1", "gaussian")
CUBIC = {
    "pm1": Exact(
        beta_c=Reference(1 / 1.102, 3e-3 / 1.102**2, JANUS), nu=Reference(2.56, 0.04, JANUS),
        eta=Reference(-0.390, 4e-3, JANUS), y_h=Reference(2.695, 2e-3, JANUS),
    ),
    "gaussian": Exact(
        beta_c=Reference(1 / 0.951, 9e-3 / 0.951**2, KATZGRABER), nu=Reference(2.44, 0.09, KATZGRABER)
    ),
}  # fmt: skip


def edwards_anderson(couplings: str = "pm1") -> Model:
    """See the module. `eta` and `y_h` are those of the overlap. In d <= 2 there is no transition above T = 0."""
    if couplings not in COUPLINGS:
        raise InputError(expected("model.couplings", f"one of {', '.join(COUPLINGS)}", couplings, COUPLINGS))

    def draw(lattice: Lattice, table: NDArray[np.int32], generator: np.random.Generator) -> Disorder:
        shape = bonds_shape(lattice, table)
        if couplings == "gaussian":
            return Disorder(both_ways(lattice, table, generator.standard_normal(shape)))
        return Disorder(both_ways(lattice, table, (2 * generator.integers(0, 2, shape) - 1).astype(np.int8)))

    def exact(lattice: Lattice) -> Exact:
        return CUBIC[couplings] if lattice.dimension == 3 else Exact()

    return Model(
        "edwards_anderson", {"couplings": couplings}, ISING, 1, order2, ordered, exact, codes=codes,
        from_codes=from_codes, coupling="integer" if couplings == "pm1" else "real", couplings=draw, disordered=True,
        copies=2, glass=True,
    )  # fmt: skip
