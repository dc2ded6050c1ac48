"""Newman-Ziff sweeps on tori small enough to enumerate: every number against all 2^N configurations.

The union-find is compared integer by integer, configuration by configuration; the random order by statistics. The
enumeration shares nothing with the kernels: it walks through clusters on a 5 x 5-fold cover of the torus, where a
cluster wraps along an axis when it meets another copy of a site that differs along this axis.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise, permutations
from math import comb, factorial

import numba
import numpy as np
import pytest
from scipy.stats import chi2

from hpcrg import producing
from hpcrg.lattice import Lattice
from hpcrg.percolation import Percolation
from hpcrg.percolation.canonical import canonical, derivative
from hpcrg.percolation.graph import Graph, graph_of
from hpcrg.percolation.newman_ziff import QUANTITIES, choose, load, occupy_bonds, occupy_sites, shuffle, store
from hpcrg.percolation.scaling import moment_rows, wrapping_rows
from hpcrg.producing import Series
from hpcrg.rng import Purpose, stream

FALSE_ALARM = 1e-9
SEED = 20261124
COVER = 5
REALISATIONS = 2_000_000
CASES = [("site", (3, 3)), ("bond", (3, 3)), ("site", (2, 4)), ("bond", (2, 4)), ("site", (4, 2))]
OTHERS = [("site", (2, 3), "triangular"), ("bond", (2, 2), "honeycomb"), ("site", (3, 2), "honeycomb")]


def run(spec, chains):
    """Chains of a producer."""
    return producing.run(Series("test", spec.lattice.shape[-1], spec, SEED, chains))


def square_bonds(shape):
    """Bonds (i, j, seam crossings along x and y) of a torus of ly rows and lx columns, from its coordinates alone."""
    ly, lx = shape
    rows = []
    for y in range(ly):
        for x in range(lx):
            rows.append((y * lx + x, y * lx + (x + 1) % lx, int(x + 1 == lx), 0))
            rows.append((y * lx + x, (y + 1) % ly * lx + x, 0, int(y + 1 == ly)))
    return np.array(rows)


@numba.njit
def walk(bonds, sites, present, used):
    """x wraps, y wraps, largest, its square, sum of squares of the others, clusters; by walking on the cover."""
    seen, taken = np.zeros((sites, COVER, COVER), np.bool_), np.zeros(sites, np.bool_)
    queue = np.empty((sites * COVER * COVER, 3), np.int64)
    out = np.zeros(6, np.int64)
    for start in range(sites):
        if taken[start] or not present[start]:
            continue
        queue[0] = (start, 0, 0)
        seen[start, 0, 0] = True
        head, tail, size = 0, 1, 0
        while head < tail:
            site, a, b = queue[head]
            head += 1
            size += not taken[site]
            taken[site] = True
            out[0] |= site == start and a != 0
            out[1] |= site == start and b != 0
            for k in range(len(bonds)):
                for way in range(2):
                    if bonds[k, way] == site and used[k] and present[bonds[k, 1 - way]]:
                        sign = 1 - 2 * way
                        c, d = (a + sign * bonds[k, 2]) % COVER, (b + sign * bonds[k, 3]) % COVER
                        if not seen[bonds[k, 1 - way], c, d]:
                            seen[bonds[k, 1 - way], c, d] = True
                            queue[tail] = (bonds[k, 1 - way], c, d)
                            tail += 1
        out[2], out[4], out[5] = max(out[2], size), out[4] + size * size, out[5] + 1
    out[3] = out[2] ** 2
    out[4] -= out[3]
    return out


@numba.njit
def walk_all(bonds, sites, items, by_site):
    """`walk` for every subset of sites or bonds, bit k for item k."""
    table = np.zeros((2**items, 6), np.int64)
    present, used = np.ones(sites, np.bool_), np.ones(len(bonds), np.bool_)
    for subset in range(2**items):
        for k in range(items):
            (present if by_site else used)[k] = (subset >> k) & 1
        table[subset] = walk(bonds, sites, present, used)
    return table


@cache
def enumeration(kind, shape):
    """int64[2^items, 6] of `walk` for every configuration."""
    bonds, sites = square_bonds(shape), shape[0] * shape[1]
    return walk_all(bonds, sites, sites if kind == "site" else len(bonds), kind == "site")


def occupied(table):
    """How many items each configuration has."""
    return np.array([int(k).bit_count() for k in range(len(table))])


def torus(shape):
    """The same torus for the kernels, its displacements being seam crossings."""
    bonds = square_bonds(shape)
    return Graph(shape[0] * shape[1], bonds[:, :2].astype(np.int32), bonds[:, 2:].astype(np.int8))


def sweep(kind, graph, order):
    """`first` and `sums` of one sweep in a given order."""
    first, sums = np.empty(graph.dimension, np.int32), np.zeros((QUANTITIES, len(order) + 1), np.int64)
    parent, shift = np.empty(graph.sites, np.int32), np.zeros(graph.sites, np.int64)
    work = (graph.moves, graph.width, parent, shift, first, sums)
    if kind == "site":
        occupy_sites(order, *graph.star, *work)
    else:
        occupy_bonds(order, graph.bonds, graph.codes, *work)
    return first, sums


@pytest.mark.parametrize("make", [torus, lambda shape: graph_of(Lattice(shape))], ids=["seams", "lattice"])
@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_every_configuration(kind, shape, make):
    """Wrapping and cluster statistics of each configuration, whatever its items' order, and for both ways of giving
    displacements."""
    table, graph = enumeration(kind, shape), make(shape)
    items = int(np.log2(len(table)))
    if make is not torus:
        # The lattice numbers its bonds site by site, x first, as square_bonds does.
        np.testing.assert_array_equal(graph.bonds, torus(shape).bonds)
    generator = np.random.default_rng(SEED)
    chosen = np.arange(len(table)) if items < 12 else generator.choice(len(table), 20_000, replace=False)
    for subset in chosen:
        bits = (subset >> np.arange(items)) & 1
        order = np.lexsort((generator.random(items), -bits)).astype(np.int32)
        n = bits.sum()
        first, sums = sweep(kind, graph, order)
        assert [*(first <= n), *sums[:, n]] == list(table[subset])


@pytest.mark.parametrize("shape", [(3, 3), (2, 4)])
def test_all_orders_of_sites(shape):
    """The sums over all N! orders of sites are those over all configurations, times n! (N - n)!."""
    table, graph = enumeration("site", shape), graph_of(Lattice(shape))
    sites, n = graph.sites, occupied(table)
    near, codes = graph.star
    orders = np.array(list(permutations(range(sites))), np.int32)
    first, sums = all_orders(orders, near, codes, graph.moves, graph.width)
    for k in range(sites + 1):
        ways = factorial(k) * factorial(sites - k)
        wanted = table[n == k].sum(axis=0) * ways
        both = (table[n == k, :2].min(axis=1).sum() * ways, table[n == k, :2].max(axis=1).sum() * ways)
        assert list((first <= k).sum(axis=0)) == list(wanted[:2])
        assert ((first.max(axis=1) <= k).sum(), (first.min(axis=1) <= k).sum()) == both
        assert list(sums[:, k]) == list(wanted[2:])


@numba.njit
def all_orders(orders, near, codes, moves, width):
    """`first` and `sums` of sweeps in many given orders."""
    sites = near.shape[0]
    first, sums = np.empty((len(orders), 2), np.int32), np.zeros((QUANTITIES, sites + 1), np.int64)
    parent, shift = np.empty(sites, np.int32), np.zeros(sites, np.int64)
    for r in range(len(orders)):
        occupy_sites(orders[r], near, codes, moves, width, parent, shift, first[r], sums)
    return first, sums


# Random orders: first wrappings of a run, against the enumeration by chi^2.


def first_law(kind, shape):
    """P(first x, first y) is not a function of the configurations; that of each, of any and of all is."""
    table = enumeration(kind, shape)
    n, items = occupied(table), int(np.log2(len(table)))
    columns = np.stack([table[:, 0], table[:, 1], table[:, :2].max(axis=1), table[:, :2].min(axis=1)])
    q = np.array([columns[:, n == k].sum(axis=1) / comb(items, k) for k in range(items + 1)]).T
    return np.diff(q, axis=1, append=1.0, prepend=0.0)


def p_values(kind, shape, first):
    """p-values of the first wrappings along x, along y, any and all."""
    events = (first[:, 0], first[:, 1], first.min(axis=1), first.max(axis=1))
    out = []
    for law, event in zip(first_law(kind, shape), events, strict=True):
        counts = np.bincount(event, minlength=len(law))
        wanted = law * len(event)
        live = wanted > 20
        statistic = ((counts[live] - wanted[live]) ** 2 / wanted[live]).sum()
        out.append(chi2.sf(statistic + 1e9 * counts[wanted == 0].sum(), live.sum() - 1))
    return np.array(out)


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_first_wrapping(kind, shape):
    """The kernels' random orders give the exact distribution of first wrappings."""
    result = run(Percolation(Lattice(shape), kind, REALISATIONS), 1)
    assert (p_values(kind, shape, result["first"][0]) > FALSE_ALARM).all()


@pytest.mark.parametrize(("kind", "shape"), CASES)
def test_moments(kind, shape):
    """Mean cluster statistics at every n, in units of their exact standard errors."""
    realisations = 200_000
    result = run(Percolation(Lattice(shape), kind, realisations), 1)
    table = enumeration(kind, shape)
    n = occupied(table)
    for k in range(result["sums"].shape[2]):
        wanted, spread = table[n == k, 2:].mean(axis=0), table[n == k, 2:].std(axis=0)
        found = result["sums"][0, :, k] / realisations
        np.testing.assert_array_less(np.abs(found - wanted), 6.5 * spread / np.sqrt(realisations) + 1e-9)


@numba.njit
def touching_block(rng, near, lx, first):
    """Twin: site percolation where a cluster wraps when it touches both ends of the lattice."""
    state, sites = load(rng), near.shape[0]
    order = np.arange(sites).astype(np.int32)
    for r in range(len(first)):
        state = shuffle(order, state)
        label = -np.ones(sites, np.int64)
        first[r] = sites + 1
        for n in range(sites):
            label[order[n]] = order[n]
            for k in range(near.shape[1]):
                other = label[near[order[n], k]]
                if other >= 0:
                    label[label == other] = order[n]
            mine = np.flatnonzero(label == order[n])
            x, y = mine % lx, mine // lx
            if x.min() == 0 and x.max() == lx - 1:
                first[r, 0] = min(first[r, 0], n + 1)
            if y.min() == 0 and y.max() == sites // lx - 1:
                first[r, 1] = min(first[r, 1], n + 1)
    store(rng, state)


@numba.njit
def careless_block(rng, near, codes, moves, width, first, sums):
    """Twin: every item of the order is exchanged with any item, which favours some orders."""
    state, sites = load(rng), near.shape[0]
    parent, shift = np.empty(sites, np.int32), np.zeros(sites, np.int64)
    for r in range(len(first)):
        order = np.arange(sites).astype(np.int32)
        for k in range(sites):
            state, other = choose(state, sites)
            order[k], order[other] = order[other], order[k]
        occupy_sites(order, near, codes, moves, width, parent, shift, first[r], sums)
    store(rng, state)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4)])
def test_twin_touching_is_rejected(shape):
    """Touching both ends is not wrapping."""
    graph, first = graph_of(Lattice(shape)), np.empty((200_000, 2), np.int32)
    touching_block(stream(SEED, Purpose.WALKER, 9), graph.star[0], shape[1], first)
    assert (p_values("site", shape, first) < FALSE_ALARM).any()


@pytest.mark.parametrize("shape", [(3, 3), (2, 4)])
def test_twin_careless_shuffle_is_rejected(shape):
    """An order that is not uniform shows in the first wrappings."""
    graph, first = graph_of(Lattice(shape)), np.empty((REALISATIONS, 2), np.int32)
    sums = np.zeros((QUANTITIES, graph.sites + 1), np.int64)
    careless_block(stream(SEED, Purpose.WALKER, 10), *graph.star, graph.moves, graph.width, first, sums)
    assert (p_values("site", shape, first) < FALSE_ALARM).any()


@pytest.mark.parametrize(("kind", "shape", "lattice"), OTHERS)
def test_other_lattices(kind, shape, lattice):
    """Triangular and honeycomb, configuration by configuration."""
    bonds, sites = lattice_bonds(shape, lattice)
    graph = graph_of(Lattice(shape, lattice))
    assert sorted(map(tuple, np.sort(bonds[:, :2], axis=1))) == sorted(map(tuple, np.sort(graph.bonds, axis=1)))
    if kind == "bond":
        rank = {(*sorted(row[:2]), *np.abs(row[2:])): k for k, row in enumerate(bonds)}
        assert len(rank) == len(bonds)
    items = sites if kind == "site" else len(bonds)
    table = walk_all(bonds, sites, items, kind == "site")
    own = Graph(sites, bonds[:, :2].astype(np.int32), bonds[:, 2:].astype(np.int8)) if kind == "bond" else graph
    for subset in range(len(table)):
        bits = (subset >> np.arange(items)) & 1
        first, sums = sweep(kind, own, np.argsort(-bits, kind="stable").astype(np.int32))
        assert [*(first <= bits.sum()), *sums[:, bits.sum()]] == list(table[subset])


def lattice_bonds(shape, lattice):
    """Bonds with seam crossings of the triangular and the honeycomb lattice, from coordinates."""
    ly, lx = shape
    rows, cells = [], ly * lx
    for y in range(ly):
        for x in range(lx):
            steps = ((1, 0), (0, 1), (-1, 1)) if lattice == "triangular" else ((0, 0), (-1, 0), (0, -1))
            for dx, dy in steps:
                to = (y + dy) % ly * lx + (x + dx) % lx
                start, end = (y * lx + x, to) if lattice == "triangular" else (y * lx + x, cells + to)
                rows.append((start, end, (x + dx) // lx, (y + dy) // ly))
    return np.array(rows), cells * (2 if lattice == "honeycomb" else 1)


@pytest.mark.parametrize("kind", ["site", "bond"])
def test_canonical(kind):
    """Microcanonical means of a 3 x 3 torus, convolved, are the polynomials in p; so are their derivatives."""
    table = enumeration(kind, (3, 3))
    n, items = occupied(table), int(np.log2(len(table)))
    values = np.array([table[n == k].mean(axis=0) for k in range(items + 1)]).T
    for p in (0.0, 1e-9, 0.03, 0.5, 0.77, 1.0):
        np.testing.assert_allclose(canonical(values, p), polynomial(table, n, items, p), rtol=1e-10, atol=1e-14)
    for p in (0.03, 0.5, 0.77):
        h = 1e-5
        slope = (polynomial(table, n, items, p + h) - polynomial(table, n, items, p - h)) / (2 * h)
        np.testing.assert_allclose(derivative(values, p), slope, rtol=1e-6, atol=1e-6)


def polynomial(table, n, items, p):
    """The mean over all configurations, each with its probability."""
    return (p**n * (1 - p) ** (items - n)) @ table


def test_canonical_of_a_large_lattice():
    """A constant, n and n^2 of 10^7 items give 1, N p and its second moment."""
    items, p = 10**7, 0.3127
    n = np.arange(items + 1, dtype=np.float64)
    found = canonical(np.stack([np.ones(items + 1), n, n * n]), p)
    np.testing.assert_allclose(found, [1, items * p, (items * p) ** 2 + items * p * (1 - p)], rtol=1e-11)
    np.testing.assert_allclose(derivative(n[None], p), [items], rtol=1e-11)


def test_rows():
    """Row 0 is everything, row 1 + b leaves block b out; wrapping never decreases with n."""
    result = run(Percolation(Lattice((4, 4)), "site", 50), 3)
    rows = wrapping_rows(result, "any")
    np.testing.assert_allclose(rows[0], rows[1:].mean(axis=0))
    assert all((np.diff(row) >= 0).all() for row in rows)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, -1] == 1).all()
    largest = moment_rows(result, "largest")
    assert all(a <= b for a, b in pairwise(largest[0]))
    assert largest[0, -1] == 1
