"""Runs of percolation and dimers: the same blocks however they are divided, files that resume, refusals, exact limits."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from hpcrg import dimers, percolation
from hpcrg.errors import CorruptFile, InputError, Interrupted, Unsupported
from hpcrg.lattice import Lattice
from hpcrg.percolation.graph import Graph
from hpcrg.percolation.pinson import class_probability, cross_probability, wrapping
from hpcrg.straight import limit, power

SEED, WORDS = 5, (1, 2)
SITE = percolation.Percolation(Lattice((6, 6)), "site", 20)
LOOPS = dimers.Dimers(Lattice((4, 6)), 0.3, "directed_loop", 2, 3, 10)
CASES = [
    (percolation, SITE, ("first", "sums")),
    (percolation, percolation.Percolation(Lattice((4, 4), "honeycomb"), "bond", 20), ("first", "sums")),
    (dimers, LOOPS, ("energy", "winding", "monomers", "pairs")),
    (dimers, dimers.Dimers(Lattice((8, 8)), 0.0, "pocket", 2, 3, 10), ("energy", "winding", "monomers", "pairs")),
]


def assert_same(a, b, names):
    assert (a.spec, a.seed, a.words, a.blocks) == (b.spec, b.seed, b.words, b.blocks)
    for name in names:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(("package", "spec", "names"), CASES)
def test_blocks_do_not_depend_on_their_company(package, spec, names):
    """Blocks sampled together, apart and in another order are the same; two blocks or two seeds are not."""
    whole = package.run(spec, SEED, WORDS, range(4))
    parts = [package.run(spec, SEED, WORDS, blocks) for blocks in ([3, 1], [2], [0])]
    assert_same(whole, package.merge(parts), names)
    first = getattr(whole, names[0])
    assert (first[0] != first[1]).any()
    assert (getattr(package.run(spec, SEED + 1, WORDS, [0]), names[0]) != first[:1]).any()
    with pytest.raises(ValueError, match="every block once"):
        package.merge([parts[0], parts[0]])


@pytest.mark.parametrize(("package", "spec", "names"), CASES)
def test_files_resume(package, spec, names, tmp_path):
    """What a stopped run has done is kept, and the end is the same; an altered or foreign file is refused."""
    asked = iter([False, False, True])
    with pytest.raises(Interrupted, match="block 2"):
        package.produce(spec, SEED, WORDS, range(4), tmp_path, lambda: next(asked))
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert sorted(kept) == ["block-00000.npz", "block-00001.npz"]
    whole = package.produce(spec, SEED, WORDS, range(4), tmp_path)
    assert_same(whole, package.run(spec, SEED, WORDS, range(4)), names)
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in kept.items())
    package.save(tmp_path / "all.npz", whole)
    assert_same(whole, package.load(tmp_path / "all.npz"), names)
    with pytest.raises(CorruptFile, match="of this run"):
        package.produce(spec, SEED + 1, WORDS, range(4), tmp_path)
    damaged = bytearray((tmp_path / "block-00001.npz").read_bytes())
    damaged[-30] ^= 1
    (tmp_path / "block-00001.npz").write_bytes(damaged)
    with pytest.raises(CorruptFile, match="sha256"):
        package.produce(spec, SEED, WORDS, range(4), tmp_path)


def test_refusals():
    """What physics or int64 does not allow."""
    with pytest.raises(Unsupported, match="site or bond"):
        percolation.Percolation(Lattice((4, 4)), "vertex", 1)
    with pytest.raises(Unsupported, match="realisations"):
        percolation.Percolation(Lattice((1024, 1024)), "site", 2**23)
    with pytest.raises(Unsupported, match="helical"):
        percolation.Percolation(Lattice((4, 4), boundary="helical"), "site", 1)
    for lattice in (Lattice((4, 5)), Lattice((2, 4)), Lattice((4, 4), "triangular"), Lattice((4, 4), boundary="free")):
        with pytest.raises(Unsupported, match="dimers"):
            dimers.Dimers(lattice, 0.0, "pocket", 1, 0, 1)
    with pytest.raises(Unsupported, match="did you mean 'pocket'"):
        dimers.Dimers(Lattice((4, 4)), 0.0, "pockets", 1, 0, 1)
    with pytest.raises(InputError, match="moves"):
        dimers.Dimers(Lattice((4, 4)), 0.0, "pocket", 0, 0, 1)
    with pytest.raises(ValueError, match="two different sites"):
        Graph(3, np.array([[1, 1]], np.int32), np.zeros((1, 2), np.int8))


def test_free_axes_are_never_wrapped():
    """With free boundaries there is nothing to wrap around."""
    result = percolation.run(percolation.Percolation(Lattice((5, 4), boundary="free"), "bond", 10), SEED, WORDS, [0])
    assert (result.first == result.items + 1).all()
    assert result.sums[0, 3, -1] == 10


def test_exact_wrapping_probabilities():
    """Published figures of the square torus, and what symmetry and completeness ask of any torus."""
    square = wrapping(1j)
    figures = (0.521058290, 0.690473725, 0.351642855, 0.169415435)
    found = (square.x, square.any, square.all, class_probability(0, 1, 1j))
    np.testing.assert_allclose(found, figures, atol=1.1e-9)
    for tau in (1j, cmath.exp(1j * math.pi / 3), 2j, 0.3 + 1.7j):
        w = wrapping(tau)
        assert w.any + cross_probability(tau) == pytest.approx(1, abs=1e-12)
        assert w.x + w.y == pytest.approx(w.any + w.all, abs=1e-12)
        turned = wrapping(-1 / tau)
        assert (turned.x, turned.y) == pytest.approx((w.y, w.x), abs=1e-12)


def test_lines():
    """Exact powers and limits come back exactly, with replicas that carry their source's share alone."""
    sizes = [8.0, 16.0, 32.0]
    points = [(3 * n**0.7, {str(n): 3 * n**0.7 * np.array([0.99, 1.01])}) for n in sizes]
    fit = power(sizes, points)
    assert fit.value == pytest.approx(0.7)
    assert fit.error > 0
    corrected = [(3 * n**0.7 * math.exp(2 / n**2), replicas) for n, (_, replicas) in zip(sizes, points, strict=True)]
    assert power(sizes, corrected, 2.0).value == pytest.approx(0.7)
    ends = [(5 + 2 / n, {str(n): 5 + 2 / n + np.array([-0.1, 0.1])}) for n in sizes]
    assert limit(sizes, ends, 1.0).value == pytest.approx(5)
    with pytest.raises(InputError, match="at least 2 points"):
        limit(sizes[:1], ends[:1], 1.0)
