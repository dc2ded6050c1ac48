"""Sizes of receptive fields: closed forms, and what they must not depend on."""

import math

import numpy as np
import pytest

from hpcrg.analysis.fields import of_stack, participation, radii


def test_sizes_of_fields_that_are_known():
    shape, n = (12, 12), 144
    point, even, pair, none = np.zeros((4, *shape))
    point[3, 11] = -2.0
    even[:] = 0.1
    pair[0, 0], pair[0, 11] = 1.0, -1.0  # neighbours across the boundary
    fields = np.stack([point, even, pair, none], axis=-1).reshape(n, 4)
    found = radii(fields, shape)
    assert found[:3] == pytest.approx([0.0, math.sqrt(2 * (12**2 + 2) / 24), 0.5], abs=1e-7)
    assert participation(fields)[:3] == pytest.approx([1.0, n, 2.0])
    assert np.isnan([found[3], participation(fields)[3]]).all()


@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_a_gaussian_has_the_second_moment_of_its_square(sigma):
    """f = exp(-r^2 / 4 s^2) has p = exp(-r^2 / 2 s^2), whose R is s sqrt(d)."""
    x = np.arange(32) - 10.0
    field = np.exp(-(x[:, None] ** 2 + x[None] ** 2) / (4 * sigma**2))
    assert radii(field.reshape(-1, 1), (32, 32))[0] == pytest.approx(sigma * math.sqrt(2), rel=1e-3)


def test_translations_and_signs_change_nothing_and_permutations_do():
    rng = np.random.default_rng(1)
    field = np.exp(-np.arange(8)[:, None] - np.arange(8)[None] / 2.0)
    moved = -np.roll(field, (5, 3), (0, 1))
    mixed = rng.permutation(field.ravel())
    sizes = radii(np.stack([field.ravel(), moved.ravel(), mixed], axis=-1), (8, 8))
    assert sizes[1] == pytest.approx(sizes[0], rel=1e-12)
    assert sizes[2] > 1.5 * sizes[0]


def test_fields_of_deeper_layers_are_products():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(9, 4)).astype(np.float32), rng.normal(size=(4, 2)).astype(np.float32)
    found = of_stack([first, second])
    assert np.allclose(found[1][:, 1], sum(first[:, k] * second[k, 1] for k in range(4)))
