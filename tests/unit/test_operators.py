"""Operator sums against sums written out site by site."""

import itertools

import numpy as np
import pytest

from hpcrg.errors import InputError, Unsupported
from hpcrg.models import ising, potts
from hpcrg.operators import EVEN, ODD, images, make_table, require_distinct, sums_for

SHAPES = {1: (7,), 2: (5, 6), 3: (3, 4, 5)}


def fitting(registry, dimension):
    return [name for name, cluster in registry.items() if max(map(len, cluster)) <= dimension]


def brute(spins, cluster, dimension):
    """Every image at every site: the colour of an image (its product, for +-1 spins), one list an image."""
    for image in images(cluster, dimension):
        for origin in itertools.product(*map(range, spins.shape)):
            yield [
                int(spins[tuple((o + x) % n for o, x, n in zip(origin, site, spins.shape, strict=True))])
                for site in image
            ]


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_ising_sums_are_sums_of_products(dimension):
    rng = np.random.default_rng(1)
    spins = rng.choice(np.array([-1, 1], np.int8), (3, *SHAPES[dimension]))
    sums = sums_for(ising())
    for registry, measure in ((EVEN, sums.even), (ODD, sums.odd)):
        names = fitting(registry, dimension)
        found = measure(spins, make_table(registry, names, dimension))
        for draw, (i, name) in itertools.product(range(3), enumerate(names)):
            wanted = sum(int(np.prod(image)) for image in brute(spins[draw], registry[name], dimension))
            assert found[draw, i, 0] == wanted, name


@pytest.mark.parametrize("q", [2, 3, 5])
def test_potts_sums_count_clusters_of_one_colour(q):
    rng = np.random.default_rng(2)
    spins = rng.integers(0, q, (2, 5, 6)).astype(np.int8)
    sums = sums_for(potts(q))
    for registry, measure in ((EVEN, sums.even), (ODD, sums.odd)):
        names = fitting(registry, 2)
        found = measure(spins, make_table(registry, names, 2))
        for draw, (i, name) in itertools.product(range(2), enumerate(names)):
            one = [image[0] for image in brute(spins[draw], registry[name], 2) if len(set(image)) == 1]
            count = np.bincount(one, minlength=q)
            wanted = [count.sum()] if registry is EVEN else q * count - count.sum()
            assert found[draw, i].tolist() == list(wanted), name


def test_odd_sums_change_with_the_colours_and_even_ones_do_not():
    spins = np.random.default_rng(3).integers(0, 3, (4, 6, 6)).astype(np.int8)
    moved = ((spins + 1) % 3).astype(np.int8)
    sums = sums_for(potts(3))
    even, odd = make_table(EVEN, fitting(EVEN, 2), 2), make_table(ODD, fitting(ODD, 2), 2)
    assert np.array_equal(sums.even(spins, even), sums.even(moved, even))
    assert np.array_equal(np.roll(sums.odd(spins, odd), 1, axis=2), sums.odd(moved, odd))
    flipped = (2 * (spins % 2) - 1).astype(np.int8)
    assert np.array_equal(sums_for(ising()).odd(flipped, odd), -sums_for(ising()).odd(-flipped, odd))


def test_number_of_images_of_each_cluster():
    names = [*fitting(EVEN, 2), *fitting(ODD, 2)]
    counts = {name: len(images({**EVEN, **ODD}[name], 2)) for name in names}
    assert counts == {
        "nn": 2, "nnn": 2, "plaquette": 1, "third": 2, "knight": 4, "cross": 1, "tee": 4, "far_diagonal": 2,
        "magnetisation": 1, "corner": 4, "line": 2, "diagonal_corner": 4, "plus": 1,
    }  # fmt: skip
    three = ("nn", "nnn", "plaquette", "body_diagonal")
    assert [len(images(EVEN[name], 3)) for name in three] == [3, 6, 3, 4]


def test_no_sum_exceeds_its_bound():
    even, odd = make_table(EVEN, fitting(EVEN, 2), 2), make_table(ODD, fitting(ODD, 2), 2)
    for model in (ising(), potts(4)):
        sums, aligned = sums_for(model), np.ones((1, 6, 6), np.int8)
        for table, measure in ((even, sums.even), (odd, sums.odd)):
            assert np.abs(measure(aligned, table)).max() <= sums.largest(table, 36)
    assert sums_for(ising()).even(aligned, even).max() == sums_for(ising()).largest(even, 36)


def test_operators_that_fold_are_refused():
    require_distinct(make_table(EVEN, ["nn", "nnn", "plaquette", "third"], 2), (4, 4))
    with pytest.raises(InputError, match="third folded onto itself"):
        require_distinct(make_table(EVEN, ["nn", "third"], 2), (2, 2))
    with pytest.raises(InputError, match="third folded onto nn"):
        require_distinct(make_table(EVEN, ["nn", "third"], 2), (3, 3))


def test_wrong_names_are_refused():
    with pytest.raises(InputError, match="did you mean 'plaquette'"):
        make_table(EVEN, ["plaquete"], 2)
    with pytest.raises(InputError, match="each name once"):
        make_table(ODD, ["corner", "corner"], 2)
    with pytest.raises(Unsupported, match="d = 1"):
        make_table(EVEN, ["nnn"], 1)
