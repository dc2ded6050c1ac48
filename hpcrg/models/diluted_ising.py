"""The diluted Ising model, E = -sum over bonds of c s s', s = -1 or +1: sites are vacant, or bonds missing (c = 0),
each independently of the others with a given probability (Harris, J. Phys. C 7, 1671 (1974)).

Every chain is one sample of the disorder. A vacancy is a spin 0. A spin with no neighbours, or a closed ring of them,
is not served by Metropolis in a fixed order of sites.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hpcrg.errors import InputError, expected
from hpcrg.jit import part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Disorder, Exact, Model, Physics, is_number
from hpcrg.models.bonds import bonds_shape, both_ways
from hpcrg.models.ising import PHYSICS as ISING
from hpcrg.models.ising import codes, from_codes, order2, ordered


@part
def frozen(spin):  # type: ignore[no-untyped-def]
    return spin == 0


@cache
def with_vacancies() -> Physics:
    """Ising spins and places that hold none."""
    return ISING._replace(name="ising-vacant", frozen=frozen)


def diluted_ising(site: float = 0.0, bond: float = 0.0) -> Model:
    """See the module: `site` is the probability that a site is vacant, `bond` that a bond is missing. The order
    parameter is the sum of the spins; quantities per site count vacant sites as well."""
    for name, value in (("site", site), ("bond", bond)):
        if not (is_number(value) and 0 <= value < 1):
            raise InputError(expected(f"model.{name}", "a probability below 1", value))
    if (site > 0) == (bond > 0):
        raise InputError(expected("model", "one of `site` and `bond` above 0", f"site {site}, bond {bond}"))

    def draw(lattice: Lattice, table: NDArray[np.int32], generator: np.random.Generator) -> Disorder:
        if site > 0:
            vacant = generator.random(lattice.volume) < site
            return Disorder(np.ones(table.shape, np.int8), vacant.astype(np.uint8))
        kept = generator.random(bonds_shape(lattice, table)) >= bond
        return Disorder(both_ways(lattice, table, kept.astype(np.int8)))

    return Model(
        "diluted_ising", {"site": float(site)} if site else {"bond": float(bond)},
        with_vacancies() if site else ISING, 1, order2, ordered, lambda lattice: Exact(), codes=codes,
        from_codes=from_codes, coupling="none" if site else "integer", couplings=draw, disordered=True,
        only_random_order=True,
    )  # fmt: skip
