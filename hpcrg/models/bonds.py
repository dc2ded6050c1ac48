"""Bond couplings, drawn once for every bond and written into the neighbour table from both of its ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcrg.lattice import Lattice


def bonds_shape(lattice: Lattice, table: NDArray[np.int32]) -> tuple[int, int]:
    """(site, column) of all bonds, each once."""
    return len(lattice.bond_sites), len(lattice.bond_columns(table.shape[1]))


def both_ways(lattice: Lattice, table: NDArray[np.int32], values: NDArray[Any]) -> NDArray[Any]:
    """couplings[site, column] from values[site, column] of shape `bonds_shape`."""
    columns = table.shape[1]
    first, bond_columns = lattice.bond_sites.start, lattice.bond_columns(columns)
    couplings = np.zeros(table.shape, values.dtype)
    couplings[first:, bond_columns.start :] = values
    if first:  # two sublattices: the sites before `first` have no bonds of their own
        couplings[:first] = couplings[table[:first], np.arange(columns)]
    else:
        ahead = np.arange(bond_columns.start)
        couplings[:, ahead] = couplings[table[:, ahead], lattice.opposite(columns)[ahead]]
    return couplings
