"""Dimers on tori small enough to list every covering: one move leaves the exact distribution alone, in detail."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numba
import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2

from hpcrg import producing
from hpcrg.dimers import Dimers, directed_loop, pocket
from hpcrg.dimers.correlations import dimer_far, energy, monomer_monomer, spec
from hpcrg.dimers.covering import beside, columnar, direction_of, is_covering, parallel_plaquettes, winding
from hpcrg.dimers.estimates import DECAY
from hpcrg.dimers.exact import ENTROPY, count_coverings, coverings, entropy_per_site, log_coverings, parallel
from hpcrg.errors import Unsupported
from hpcrg.estimate import combined_error
from hpcrg.lattice import Lattice
from hpcrg.producing import Series
from hpcrg.rng import advance, choose, fraction, load, store
from hpcrg.straight import power

FALSE_ALARM = 1e-9
SEED = 20261124
MOVES = 1_000_000
SQUARE = Lattice((4, 4))
COUPLINGS = (0.0, 0.6)
COUNTS = {(4, 4): 272, (4, 6): 3108, (6, 6): 90176, (8, 8): 311853312}


def run(spec, chains):
    """Chains of a producer."""
    return producing.run(Series("test", spec.lattice.shape[-1], spec, SEED, chains))


@cache
def listing(shape=(4, 4)):
    """All coverings uint8[n, N], sorted by key; their keys, energies and winding numbers."""
    found = np.array(list(coverings(Lattice(shape).neighbours())))
    keys = key_of(found)
    order = np.argsort(keys)
    found = found[order]
    energies = -parallel(found, shape)
    flux = np.array([_winding(c.reshape(shape)) for c in found])
    return found, keys[order], energies, flux


def key_of(many):
    """One integer for each covering of at most 31 sites, two bits a site."""
    digits = np.log2(many).astype(np.int64)
    return digits @ (4 ** np.arange(many.shape[1], dtype=np.int64))


def _winding(c):
    """Winding numbers, from the first column and row; checked to be those of every column and row."""
    ly, lx = c.shape
    sign = 1 - 2 * (np.add.outer(np.arange(ly), np.arange(lx)) % 2)
    along_x, along_y = ((c == 1) * sign).sum(axis=0), ((c == 2) * sign).sum(axis=1)
    assert len(set(along_x)) == len(set(along_y)) == 1
    return int(along_x[0]), int(along_y[0])


@pytest.mark.parametrize("shape", [(4, 4), (4, 6), (6, 6)])
def test_coverings_are_counted(shape):
    """Kasteleyn, transfer matrix and listing agree."""
    assert count_coverings(*shape) == COUNTS[shape]
    assert np.exp(log_coverings(*shape)) == pytest.approx(COUNTS[shape], rel=1e-12)
    assert sum(1 for _ in coverings(Lattice(shape).neighbours())) == COUNTS[shape]


def test_larger_tori_and_the_entropy():
    """Kasteleyn's product against the transfer matrix up to 10 x 8, and its limit G / pi."""
    assert count_coverings(8, 8) == COUNTS[8, 8]
    assert np.log(float(count_coverings(8, 10))) == pytest.approx(log_coverings(8, 10), rel=1e-12)
    assert entropy_per_site(64) == pytest.approx(ENTROPY, abs=1e-10)
    assert pytest.approx(0.2915609, abs=5e-8) == ENTROPY


def test_numbers_of_a_covering():
    """Parallel plaquettes, winding numbers and validity by the kernels are those of the arrays."""
    for shape in ((4, 4), (4, 6)):
        near = Lattice(shape).neighbours()
        found, _, energies, flux = listing(shape)
        for c, e, w in zip(found[::3], energies[::3], flux[::3], strict=True):
            assert is_covering(c, near)
            assert parallel_plaquettes(c, near) == -e
            assert winding(c, shape[1]) == tuple(w)
        broken = found[0].copy()
        broken[0] ^= 3
        assert not is_covering(broken, near)
    assert is_covering(columnar(SQUARE), SQUARE.neighbours())


# One move from exact draws.


@numba.njit
def loops(rng, many, near, lx, coupling):
    """One directed loop on each covering."""
    state, weights, unused = load(rng), np.exp(coupling * np.arange(3.0)), np.zeros((lx, lx))
    for r in range(len(many)):
        state = directed_loop.loop(many[r], near, lx, weights, unused, state)
    store(rng, state)


@numba.njit
def pockets(rng, many, near, lx, coupling):
    """One pocket cluster on each covering."""
    state, work, inside = load(rng), np.empty((4, lx * lx), np.uint64), np.zeros(lx * lx, np.bool_)
    for r in range(len(many)):
        state, symmetry = choose(state, 5)
        state = pocket.move(many[r], near, lx, np.int64(symmetry), coupling, work, inside, state)
    store(rng, state)


@numba.njit
def pockets_accepting_all(rng, many, near, lx, coupling):
    """Twin: what the pocket algorithm does is right without interaction only."""
    pockets(rng, many, near, lx, 0.0)


@numba.njit
def loops_never_back(rng, many, near, lx, coupling):
    """Twin: heat bath among the three directions that do not lead back, with their weights as they are."""
    state, weights = load(rng), np.exp(coupling * np.arange(3.0))
    for r in range(len(many)):
        c = many[r]
        state, start = choose(state, c.size)
        back = direction_of(c[start])
        site = np.uint64(near[start, back])
        back ^= np.uint64(2)
        c[start], c[site] = 0, 0
        while True:
            total = 0.0
            for d in range(4):
                total += weights[beside(c, near, site, d)] * (d != back)
            state, word = advance(state)
            u, turn, total = fraction(word) * total, np.uint64(0), 0.0
            for d in range(4):
                total += weights[beside(c, near, site, d)] * (d != back)
                if u < total:
                    turn = np.uint64(d)
                    break
            other = np.uint64(near[site, turn])
            before = c[other]
            c[site], c[other] = np.uint8(1) << turn, np.uint8(1) << (turn ^ np.uint64(2))
            if other == start:
                break
            back = direction_of(before)
            site = np.uint64(near[other, back])
            back ^= np.uint64(2)
            c[site] = 0
    store(rng, state)


def transitions(step, coupling):
    """Counts [before, after] of one step from exact draws, and the exact probabilities."""
    found, keys, energies, _ = listing()
    weights = np.exp(-coupling * energies)
    weights /= weights.sum()
    generator = np.random.default_rng(SEED)
    start = np.searchsorted(np.cumsum(weights)[:-1], generator.random(MOVES), side="right")
    many = np.ascontiguousarray(found[start])
    step(generator.integers(0, 2**64, 4, dtype=np.uint64), many, SQUARE.neighbours(), 4, coupling)
    after = np.searchsorted(keys, key_of(many))
    assert (keys[after] == key_of(many)).all()
    size = len(found)
    return np.bincount(start * size + after, minlength=size**2).reshape(size, size), weights


def p_stationary(counts, weights):
    """The p-value of the final coverings, all together and in each sector of the winding numbers, smallest."""
    flux = listing()[3]
    after, values = counts.sum(axis=0), []
    _, sector = np.unique(flux, axis=0, return_inverse=True)
    sector = sector.reshape(-1)
    by_sector = np.bincount(sector, weights=after), np.bincount(sector, weights=weights)
    groups = [
        (after, weights),
        by_sector,
        *((after[sector == s], weights[sector == s]) for s in range(max(sector) + 1)),
    ]
    for seen, law in groups:
        wanted = seen.sum() * law / law.sum()
        if len(law) > 1 and wanted.min() > 20:
            values.append(chi2.sf(((seen - wanted) ** 2 / wanted).sum(), len(law) - 1))
    return min(values)


def p_detailed(counts):
    """The p-value of as many steps there as back, for every pair of coverings; few together count as one pair."""
    there, back = counts[np.triu_indices(len(counts), 1)], counts.T[np.triu_indices(len(counts), 1)]
    enough = there + back > 20
    statistic = ((there - back)[enough] ** 2 / (there + back)[enough]).sum()
    return chi2.sf(statistic, enough.sum())


def rejected(step, coupling):
    """Whether a step fails one of both tests."""
    counts, weights = transitions(step, coupling)
    return min(p_stationary(counts, weights), p_detailed(counts)) < FALSE_ALARM


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("step", [loops, pockets])
def test_detailed_balance(step, coupling):
    """One move from exact draws: final coverings exactly distributed, in every winding sector, and as many moves there
    as back; all sectors are left and entered."""
    counts, weights = transitions(step, coupling)
    assert p_stationary(counts, weights) > FALSE_ALARM
    assert p_detailed(counts) > FALSE_ALARM
    flux = listing()[3]
    _, sector = np.unique(flux, axis=0, return_inverse=True)
    sector = sector.reshape(-1)
    assert len(set(sector)) == 13
    for s in range(13):
        assert counts[np.ix_(sector == s, sector != s)].sum() > 0


@pytest.mark.parametrize("step", [pockets_accepting_all, loops_never_back])
def test_twins_are_rejected(step):
    """Always accepting, or never turning back, is refused when dimers interact."""
    assert rejected(step, COUPLINGS[1])


def test_never_turning_back_is_right_without_interaction():
    """The twin's fault is in its weights alone: without interaction it is the loop without bounces."""
    assert not rejected(loops_never_back, 0.0)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_monomers(coupling):
    """M(r) against all coverings with two monomers; the twin that does not divide by the sum of weights is refused."""
    result = run(Dimers(SQUARE, coupling, "directed_loop", 5, 20, 20_000), 20)
    near, whole = SQUARE.neighbours(), np.exp(-coupling * listing()[2]).sum()
    for x, y in ((1, 0), (1, 2)):
        pairs = coverings(near, (0, y * 4 + x))
        exact = np.exp(coupling * parallel(np.array(list(pairs)), (4, 4))).sum() / whole
        value, replicas = monomer_monomer(result, x, y)
        assert abs(value - exact) < 8 * combined_error(replicas)
        if coupling:
            flat = np.exp(coupling)
            assert abs(value * (1 + flat) / 2 - exact) > 8 * combined_error(replicas)


@pytest.mark.parametrize(
    ("algorithm", "shape"), [("directed_loop", (4, 6)), ("directed_loop", (6, 6)), ("pocket", (6, 6))]
)
def test_energy(algorithm, shape):
    """The energy with interaction against all coverings, started far from it."""
    coupling = 0.6
    energies = energies_of(shape)
    weights = np.exp(-coupling * energies)
    result = run(Dimers(Lattice(shape), coupling, algorithm, 4, 50, 20_000), 20)
    value, replicas = energy(result)
    assert abs(value - weights @ energies / weights.sum() / np.prod(shape)) < 8 * combined_error(replicas)


@cache
def energies_of(shape):
    """The energies of all coverings."""
    return -parallel(np.array(list(coverings(Lattice(shape).neighbours()))), shape)


@numba.njit
def reachable(many, near, lx, symmetries, keys):
    """The key of the covering that each pocket cluster without rejection makes of each covering, [covering, cluster]."""
    sites = many.shape[1]
    ly, work, inside = sites // lx, np.empty((4, sites), np.uint64), np.zeros(sites, np.bool_)
    for r in range(len(many)):
        k = 0
        for symmetry in symmetries:
            for centre in range(sites):
                for first in range(sites):
                    c, a, b = many[r].copy(), centre % lx, centre // lx
                    count = pocket.collect(c, near, lx, symmetry, a, b, np.uint64(first), work[0], inside)
                    old, way, new, turned = work[0, :count], work[1, :count], work[2, :count], work[3, :count]
                    for i in range(count):
                        way[i] = direction_of(c[old[i]])
                        new[i] = pocket.image(old[i], lx, ly, symmetry, a, b)
                        turned[i] = pocket.turned(way[i], symmetry)
                    pocket.lift(c, near, old, way)
                    pocket.place(c, near, new, turned)
                    for i in range(sites):
                        keys[r, k] += np.int64(direction_of(c[i])) << np.int64(2 * i)
                    k += 1


def classes(symmetries):
    """Into how many classes pocket moves with some symmetries divide the coverings of the 4 x 4 torus."""
    found, keys, _, _ = listing()
    after = np.zeros((len(found), len(symmetries) * 16 * 16), np.int64)
    reachable(found, SQUARE.neighbours(), 4, np.array(symmetries), after)
    to = np.searchsorted(keys, after)
    assert (keys[to] == after).all()
    start = np.repeat(np.arange(len(found)), after.shape[1])
    links = coo_matrix((np.ones(to.size), (start, to.ravel())), shape=(len(found),) * 2)
    return connected_components(links, directed=False)[0]


def test_pocket_needs_the_diagonals():
    """All symmetries join all coverings; those that keep the number of x-dimers do not."""
    assert classes(list(range(pocket.SYMMETRIES))) == 1
    assert classes([pocket.AXIS_X, pocket.AXIS_Y, pocket.POINT]) == 5
    with pytest.raises(Unsupported, match="x-dimers"):
        Dimers(Lattice((4, 6)), 0.0, "pocket", 1, 0, 1)


# Thermodynamic integration and exponents.


@pytest.mark.slow
def test_entropy_by_integration():
    """ln Z(0) = ln Z(K) + the integral of <E> from 0 to K, from the four columnar ground states at K = 7, for 8 x 8; the
    twin that starts from one ground state is refused."""
    lattice, total, variance = Lattice((8, 8)), np.log(4.0) + 7.0 * 32, 0.0
    for low, high, order in ((0.0, 3.0, 10), (3.0, 7.0, 8)):
        nodes, gains = np.polynomial.legendre.leggauss(order)
        for node, gain in zip(nodes, gains, strict=True):
            coupling = float(low + (high - low) * (node + 1) / 2)
            value, replicas = energy(run(Dimers(lattice, coupling, "directed_loop", 8, 500, 4000), 20))
            total += gain * (high - low) / 2 * value * 64
            variance += (gain * (high - low) / 2 * 64 * combined_error(replicas)) ** 2
    assert variance < 0.03**2
    assert abs(total - log_coverings(8, 8)) < 8 * np.sqrt(variance)
    assert abs(total - np.log(4.0) - log_coverings(8, 8)) > 8 * np.sqrt(variance)


def dimer_exponent(results):
    """The power of L in C near L/2."""
    return power([r.size for r in results], [dimer_far(r) for r in results], DECAY)


def monomer_exponent(results):
    """The power of L in M(L/2 - 1, 0)."""
    return power([r.size for r in results], [monomer_monomer(r, r.size // 2 - 1, 0) for r in results], DECAY)


def changed(produced, **arrays):
    """The same series with other arrays."""
    return replace(produced, arrays=produced.arrays | arrays)


@pytest.mark.slow
def test_exponents():
    """Monomers decay as r^-1/2, dimers as r^-2. The twins, dimers without the product of densities taken off and
    monomers counted by turn instead of by loop, are refused."""
    results = [
        run(Dimers(Lattice((size, size)), 0.0, "directed_loop", moves, 50, samples), 20)
        for size, moves, samples in ((16, 6, 20_000), (24, 8, 12_000), (32, 8, 12_000), (48, 10, 4_000))
    ]
    monomers, dimers = monomer_exponent(results), dimer_exponent(results)
    assert monomers.error < 0.02
    assert dimers.error < 0.15
    assert abs(monomers.value + 0.5) < 6 * monomers.error
    assert abs(dimers.value + 2) < 6 * dimers.error
    sites_and_samples = [2 * spec(r).lattice.volume * spec(r).samples // 16 for r in results]
    signs = [
        (1 - 2 * (np.arange(r["pairs"].shape[2]) % 2)) * k for r, k in zip(results, sites_and_samples, strict=True)
    ]
    whole = dimer_exponent([changed(r, pairs=r["pairs"] + s) for r, s in zip(results, signs, strict=True)])
    by_turn = [
        changed(r, monomers=r["monomers"] * 1e6 / r["monomers"].sum(axis=(1, 2), keepdims=True)) for r in results
    ]
    by_turn = [changed(r, monomers=r["monomers"] * spec(r).moves * spec(r).samples) for r in by_turn]
    turns = monomer_exponent(by_turn)
    assert abs(whole.value + 2) > 6 * whole.error
    assert abs(turns.value + 0.5) > 6 * turns.error
