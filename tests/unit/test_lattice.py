"""Neighbour tables, against plain walks and tables counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hpcrg.errors import Unsupported
from hpcrg.lattice import Lattice

SHAPES = [(5,), (2,), (4, 3), (2, 6), (3, 4, 2), (5, 5, 5), (2, 3, 4, 2)]
EVERY = [
    Lattice((6,)), Lattice((3, 4)), Lattice((2, 3, 4)), Lattice((2, 3, 2, 4)), Lattice((3, 4), "triangular"),
    Lattice((3, 4), "honeycomb"), Lattice((5,), boundary="helical"), Lattice((3, 4), boundary="helical"),
    Lattice((2, 3, 4), boundary="helical"), Lattice((4, 3), boundary="helical"),
    Lattice((2, 3, 5), boundary="helical"), Lattice((4, 6)), Lattice((3, 5), "triangular", "helical"), Lattice((6,), boundary="free"),
    Lattice((3, 4), boundary="free"), Lattice((2, 3, 4), boundary="free"), Lattice((3, 4), "triangular", "free"),
    Lattice((3, 4), "honeycomb", "free"),
]  # fmt: skip
PERIODIC = {"hypercubic": 2, "triangular": 3, "honeycomb": 1.5}


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


@pytest.mark.parametrize("lattice", EVERY, ids=str)
@pytest.mark.parametrize("shells", [1, 2])
def test_a_step_back_undoes_a_step_forward(lattice, shells):
    if shells == 2 and lattice.kind == "honeycomb":
        with pytest.raises(Unsupported, match="Bravais"):
            lattice.neighbours(2)
        return
    table = lattice.neighbours(shells)
    back, sites = lattice.opposite(table.shape[1]), np.arange(lattice.volume)
    for k in range(table.shape[1]):
        gone = table[:, k] != sites
        assert gone.all() or lattice.boundary == "free"
        assert np.array_equal(table[table[gone, k], back[k]], sites[gone])


@pytest.mark.parametrize("lattice", EVERY, ids=str)
def test_every_bond_is_met_once(lattice):
    table = lattice.neighbours()
    ends = [(site, table[site, k]) for site in lattice.bond_sites for k in lattice.bond_columns(table.shape[1])]
    met = sorted(tuple(sorted(map(int, pair))) for pair in ends if pair[0] != pair[1])
    both = sorted(
        tuple(sorted((site, int(near)))) for site in range(lattice.volume) for near in table[site] if near != site
    )
    assert sorted(met * 2) == both
    if lattice.boundary != "free":
        axes = lattice.dimension / 2 if lattice.kind == "hypercubic" else 1
        assert len(met) == lattice.volume * PERIODIC[lattice.kind] * axes


def test_a_helical_square_counted_by_hand():
    """3 rows of 4: the last site of a row is followed by the first of the next, the last of all by the first."""
    table = Lattice((3, 4), boundary="helical").neighbours()
    assert table[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]
    assert table[:, 1].tolist() == [4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3]
    assert table[:, 2].tolist() == [11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert table[:, 3].tolist() == [8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7]


def test_a_helical_triangular_lattice_counted_by_hand():
    """3 rows of 3; the third step is up and to the left, two sites on."""
    table = Lattice((3, 3), "triangular", "helical").neighbours()
    assert table[:, 2].tolist() == [2, 3, 4, 5, 6, 7, 8, 0, 1]


def test_a_free_square_counted_by_hand():
    """2 rows of 3, columns +x, +y, -x, -y; beyond the edge stands the site itself."""
    table = Lattice((2, 3), boundary="free").neighbours()
    assert table.tolist() == [[1, 3, 0, 0], [2, 4, 0, 1], [2, 5, 1, 2], [4, 3, 3, 0], [5, 4, 3, 1], [5, 5, 4, 2]]


def test_a_triangular_lattice_counted_by_hand():
    """2 rows of 3 with free edges: +x, +y, y - x and back; and the steps go around a site."""
    table = Lattice((2, 3), "triangular", "free").neighbours()
    assert table[1].tolist() == [2, 4, 3, 0, 1, 1]
    assert table[4].tolist() == [5, 4, 4, 3, 1, 2]
    around = Lattice((5, 5), "triangular").neighbours()
    for site in range(25):
        for k in range(6):
            assert around[site, (k + 1) % 6] in around[around[site, k]]


def test_a_honeycomb_counted_by_hand():
    """2 x 2 cells: a at 0 .. 3, b at 4 .. 7; a (y, x) meets b at (y, x), (y, x - 1) and (y - 1, x)."""
    table = Lattice((2, 2), "honeycomb").neighbours()
    assert table[:4].tolist() == [[4, 5, 6], [5, 4, 7], [6, 7, 4], [7, 6, 5]]
    assert table[4:].tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0], [3, 2, 1]]
    free = Lattice((2, 2), "honeycomb", "free").neighbours()
    assert free[:4].tolist() == [[4, 0, 0], [5, 4, 1], [6, 2, 4], [7, 6, 5]]
    assert free[4:].tolist() == [[0, 1, 2], [1, 5, 3], [2, 3, 6], [3, 7, 7]]


def test_second_neighbours_counted_by_hand():
    """A square has them on its diagonals, a triangular lattice at the distance sqrt 3, a chain two steps away."""
    square = Lattice((4, 4)).neighbours(2)
    assert square.shape == (16, 8)
    assert sorted(square[5, [2, 3, 6, 7]].tolist()) == [0, 2, 8, 10]
    assert Lattice((6,)).neighbours(2).tolist()[2] == [3, 4, 1, 0]
    triangular = Lattice((6, 6), "triangular").neighbours(2)
    places = [(y, x) for y, x in ((1, 1), (2, -1), (1, -2), (-1, -1), (-2, 1), (-1, 2))]
    assert sorted(triangular[14, [3, 4, 5, 9, 10, 11]].tolist()) == sorted(14 + 6 * y + x for y, x in places)
    assert all(y * y + x * x + x * y == 3 for y, x in places)


@pytest.mark.parametrize("lattice", EVERY, ids=str)
def test_bipartite_is_what_the_table_says(lattice):
    colour, table = np.full(lattice.volume, -1), lattice.neighbours()
    for first in range(lattice.volume):
        stack, colour[first] = ([first], 0) if colour[first] < 0 else ([], colour[first])
        while stack:
            site = stack.pop()
            for near in table[site]:
                if colour[near] < 0:
                    colour[near] = 1 - colour[site]
                    stack.append(int(near))
    inner = table != np.arange(lattice.volume)[:, None]
    assert lattice.bipartite == bool((colour[table] != colour[:, None])[inner].all())


@pytest.mark.parametrize(
    "lattice", [Lattice((4, 5)), Lattice((3, 4), boundary="helical"), Lattice((4, 4), "honeycomb")]
)
def test_axes_of_an_array(lattice):
    assert np.prod(lattice.array_shape) == lattice.volume
    assert len(lattice.axes) == len(lattice.array_shape)


@pytest.mark.parametrize("shape", [(), (2, 2, 2, 2, 2), (1, 4), (0,), (2**16, 2**16)])
def test_lattices_that_nothing_can_serve_are_refused(shape):
    with pytest.raises(Unsupported, match=r"lattice\.(shape|dimension): expected"):
        Lattice(shape)


@pytest.mark.parametrize(("arguments", "message"), [
    (((4, 4), "trangular"), "did you mean 'triangular'"), (((4, 4), "hypercubic", "fre"), "did you mean 'free'"),
    (((4, 4), "honeycomb", "helical"), "periodic or free on the honeycomb"), (((4,), "triangular"), "dimension: expected 2"),
])  # fmt: skip
def test_kinds_and_boundaries_that_do_not_exist_are_refused(arguments, message):
    with pytest.raises(Unsupported, match=message):
        Lattice(*arguments)
