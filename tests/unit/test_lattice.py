"""The neighbour table, against a plain walk along the axes."""

from __future__ import annotations

import numpy as np
import pytest

from hpcrg.errors import Unsupported
from hpcrg.lattice import Lattice

SHAPES = [(5,), (2,), (4, 3), (2, 6), (3, 4, 2), (5, 5, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_neighbours_are_one_step_along_each_axis_x_first(shape):
    lattice, d = Lattice(shape), len(shape)
    table = lattice.neighbours()
    assert table.shape == (lattice.volume, lattice.coordination) == (np.prod(shape), 2 * d)
    assert table.dtype == np.int32
    for site in range(lattice.volume):
        here = np.unravel_index(site, shape)
        for k in range(d):
            for step, column in ((1, k), (-1, d + k)):
                there = list(here)
                axis = d - 1 - k
                there[axis] = (there[axis] + step) % shape[axis]
                assert table[site, column] == np.ravel_multi_index(there, shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_back_undoes_a_step_forward(shape):
    table, d = Lattice(shape).neighbours(), len(shape)
    for k in range(d):
        assert np.array_equal(table[table[:, k], d + k], np.arange(len(table)))


@pytest.mark.parametrize("shape", [(), (2, 2, 2, 2), (1, 4), (0,), (2**16, 2**16)])
def test_lattices_that_nothing_can_serve_are_refused(shape):
    with pytest.raises(Unsupported, match=r"lattice\.(shape|dimension): expected"):
        Lattice(shape)
