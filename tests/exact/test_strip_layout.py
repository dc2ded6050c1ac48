"""64 sites of one lattice in a word: packing, the sizes that are served, and what is measured."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hpcrg.errors import Unsupported
from hpcrg.jit import kernel
from hpcrg.strips.block import Strips, cut, pack, pack_strips, served, unpack, unpack_strips
from hpcrg.strips.margins import tables
from hpcrg.strips.measure import make_energies, make_measure

SEED = 20261124
SMALL = Strips((4, 4), (2, 2))
SQUARE = cut((128, 128))
CUTS = [SMALL, Strips((8, 16), (2, 8)), SQUARE, cut((64, 96)), cut((16, 16, 16)),
        Strips((4, 8, 12), (2, 1, 2)), Strips((4, 4, 4, 4), (2, 1, 2, 2))]  # fmt: skip
names = pytest.mark.parametrize("strips", CUTS, ids=lambda strips: strips.name)
MEASURE = (
    "void(uint64[:,::1], int32[:,::1], int8[:,::1], int64[::1], float64, int64[::1], int64[:,::1], float64[::1],"
    " int64[::1])"
)
NOTHING = np.zeros((1, 1), np.int8)


def random_spins(strips, walkers, seed=SEED):
    generator = np.random.default_rng(seed)
    return generator.choice(np.array([-1, 1], np.int8), (walkers, np.prod(strips.shape)))


@cache
def measures_of(dimension):
    """look(..., energy, order, structure, alone): all measurements, and the energies alone."""
    measure, energies = make_measure(dimension), make_energies(dimension)

    @kernel(MEASURE)
    def look(block, neighbours, couplings, shape, scale, energy, order, structure, alone):
        measure(block, neighbours, couplings, shape, scale, energy, order, structure)
        energies(block, neighbours, couplings, alone)

    return look


@names
def test_unpack_is_the_inverse_of_pack(strips):
    spins = random_spins(strips, 3)
    block = pack_strips(spins, strips)
    assert (block.shape, block.dtype) == ((3, strips.words), np.uint64)
    np.testing.assert_array_equal(unpack_strips(block, strips), spins)


def test_pack_of_a_shape_that_is_served_and_of_one_that_is_not():
    spins = random_spins(SQUARE, 2)
    np.testing.assert_array_equal(unpack(pack(spins, (128, 128)), (128, 128)), spins)
    for shape in ((128, 128), (256, 256), (384, 384), (1024, 1024), (192, 192), (64, 64, 64), (32, 32, 32, 32)):
        assert served(shape) is None, shape
    for shape in ((16384,), (64, 64), (100, 100), (130, 128), (16, 16, 16)):
        assert "strips: expected" in served(shape)
        with pytest.raises(Unsupported, match="strips: expected"):
            pack(np.ones((1, int(np.prod(shape))), np.int8), shape)


@names
def test_measurements_are_those_of_the_spins(strips):
    walkers, shape, scale = 3, strips.shape, 1.5
    spins = random_spins(strips, walkers)
    spins[0], spins[1] = 1, np.where(np.arange(spins.shape[1]) % shape[-1] < shape[-1] // 2, 1, -1)
    block, volume = pack_strips(spins, strips), np.prod(shape)
    energy, alone, order = np.empty(walkers, np.int64), np.empty(walkers, np.int64), np.empty((walkers, 1), np.int64)
    structure = np.empty(walkers)
    look = measures_of(len(shape))
    look(block, tables(strips), NOTHING, np.array(shape), scale, energy, order, structure, alone)
    grid, axes = spins.reshape(walkers, *shape).astype(np.int64), range(1, len(shape) + 1)
    exact = -sum((grid * np.roll(grid, 1, axis)).reshape(walkers, -1).sum(1) for axis in axes)
    np.testing.assert_array_equal(energy, exact)
    np.testing.assert_array_equal(alone, exact)
    np.testing.assert_array_equal(order[:, 0], spins.sum(1, dtype=np.int64))
    power = 0
    for axis in axes:
        planes = grid.sum(tuple(a for a in axes if a != axis))
        power = power + abs(planes @ np.exp(2j * np.pi * np.arange(shape[axis - 1]) / shape[axis - 1])) ** 2
    np.testing.assert_allclose(structure, scale * power / (len(shape) * volume**2), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(unpack_strips(block, strips), spins)
