"""Packed Swendsen-Wang: its words are the spins, its clusters those of a graph library, its coins fair and independent,
its bonds of the right probability, and its energies exact. Every twin has one fault and must be refused."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.stats import chi2, norm
from scipy.stats import t as student

import hpcrg
from hpcrg.jit import kernel
from hpcrg.lattice import Lattice
from hpcrg.models import kaufman, make_model
from hpcrg.packed import bernoulli as words_of
from hpcrg.packed import block as blocks
from hpcrg.packed import measure as measures
from hpcrg.packed import runs
from hpcrg.system import System
from hpcrg.updates import packed_swendsen_wang as packed
from hpcrg.updates.base import compiled

FALSE_ALARM = 1e-9
SEED = 20261124
SHAPES = [(2, 2), (3, 5), (5, 3), (4, 63), (3, 64), (2, 65), (7, 130), (64, 64), (300, 70), (12, 256)]
BETA_C = float(np.log1p(np.sqrt(2)) / 2)
U64 = np.uint64
SWEEP = "void(uint64[:,::1], float64[::1], uint64[:,::1], int32[:,::1], int8[:,::1], float64[:,::1], int64)"
NO_COUPLINGS = np.zeros((1, 1), np.int8)


def spins_of(shape, walkers=3):
    return np.random.default_rng(SEED).choice(np.array([-1, 1], np.int8), (walkers, shape[0] * shape[1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_unpack_is_the_inverse_of_pack(shape):
    spins = spins_of(shape)
    block = blocks.pack(spins, shape)
    assert block.shape == (3, shape[0] * -(-shape[1] // 64))
    assert (blocks.unpack(block, shape) == spins).all()
    assert ((block[0, 0] >> U64(1)) & U64(1)) == (spins[0, 1] > 0)


@numba.njit
def measured(block, table, energy, order, structure, again):
    measures.measure(block, table, NO_COUPLINGS, table, 1.5, energy, order, structure)
    measures.energies(block, table, NO_COUPLINGS, again)


@pytest.mark.parametrize("shape", SHAPES)
def test_measurements_are_those_of_numpy(shape):
    spins = spins_of(shape)
    energy, again = np.empty(3, np.int64), np.empty(3, np.int64)
    order, structure = np.empty((3, 1), np.int64), np.empty(3)
    measured(blocks.pack(spins, shape), np.array([shape], np.int32), energy, order, structure, again)
    s = spins.reshape(3, *shape).astype(np.int64)
    assert (energy == -(s * np.roll(s, 1, 1)).sum((1, 2)) - (s * np.roll(s, 1, 2)).sum((1, 2))).all()
    assert (again == energy).all()
    assert (order[:, 0] == s.sum((1, 2))).all()
    waves = np.fft.fft2(s)
    power = (np.abs(waves[:, 1, 0]) ** 2 + np.abs(waves[:, 0, 1]) ** 2) / 2
    np.testing.assert_allclose(structure, 1.5 * power / (shape[0] * shape[1]) ** 2, rtol=1e-9, atol=1e-9)


def twin_of(module, *changes):
    """The functions of a module with its source changed."""
    source = Path(module.__file__).read_text()
    for before, after in changes:
        assert source.count(before) == 1, before
        source = source.replace(before, after)
    twin = types.ModuleType(f"twin_of_{module.__name__.rpartition('.')[2]}")
    exec(compile(source, twin.__name__, "exec"), twin.__dict__)  # noqa: S102
    return twin


def make_clusters(of):
    """clusters(across, down, rows, columns, flips, sizes) -> labels: flips[b] holds bit b of every site's root, and
    the last one the lone sites; sizes[root] the sites of a cluster without lone ones."""

    @numba.njit
    def clusters(across, down, rows, columns, flips, sizes):
        grid, words = blocks.grid_of(rows, columns), across.size
        masks, coins = np.empty((6, words), np.uint64), np.zeros(words, np.uint64)
        up_leaf, down_leaf, core, starts, base, moved = masks
        label, parent = np.empty(words * 64 + 64, np.uint32), np.empty(words * 64 + 64, np.uint32)
        of.find_leaves(across, down, up_leaf, down_leaf, core, grid)
        of.find_runs(across, core, starts, base)
        count = of.label_runs(across, down, up_leaf, down_leaf, starts, base, label, parent, grid)
        moves, own = np.zeros(count, np.uint64), np.zeros(count, np.int32)
        of.choose_moves(parent[:count], coins, moves)
        for b in range(len(flips) - 1):
            for i in range(count):
                moves[i] = U64(0) - ((U64(parent[i]) >> U64(b)) & U64(1))
            own[:] = 0
            of.move_runs(starts, core, up_leaf, down_leaf, base, label, moves, own, moved, grid)
            of.move_sites(flips[b], moved, core, up_leaf, down_leaf, coins, grid)
        of.sum_clusters(parent[:count], own, sizes)
        moved[:] = 0
        coins[:] = U64(2**64 - 1)
        of.move_sites(flips[-1], moved, core, up_leaf, down_leaf, coins, grid)
        return count

    return clusters


def random_bonds(shape, p, rng):
    return rng.random(shape) < p, rng.random(shape) < p


def reference(right, down):
    """Cluster numbers of the sites by scipy."""
    site = np.arange(right.size).reshape(right.shape)
    ends = [(site[b], np.roll(site, -1, axis)[b]) for b, axis in ((right, 1), (down, 0))]
    i, j = (np.concatenate([e[k] for e in ends]) for k in (0, 1))
    graph = sparse.coo_matrix((np.ones(len(i)), (i, j)), shape=(site.size, site.size))
    return connected_components(graph, directed=False)[1]


def packed_bits(bits):
    return blocks.pack(np.where(bits, 1, -1).astype(np.int8).reshape(1, -1), bits.shape)[0]


def same_clusters(clusters, shape, p, rng):
    """Whether the clusters of random bonds, their sizes and the lone sites are those of scipy."""
    right, down = random_bonds(shape, p, rng)
    across, below = packed_bits(right), packed_bits(down)
    flips = np.zeros((int(np.ceil(np.log2(right.size))) + 2, across.size), np.uint64)
    sizes = np.zeros(across.size * 64 + 64, np.int32)
    count = clusters(across, below, *shape, flips, sizes)
    bits = blocks.unpack(flips, shape) > 0
    found, lone = (bits[:-1] * 2 ** np.arange(len(bits) - 1)[:, None]).sum(0), bits[-1]
    wanted = reference(right, down)
    alone = np.bincount(wanted)[wanted] == 1
    pairs = len(set(zip(found[~lone], wanted[~lone], strict=True)))
    partition = pairs == len(set(found[~lone])) == len(set(wanted[~lone]))
    sums = (
        (sizes[:count][sizes[:count] > 0] == np.bincount(found[~lone])[np.unique(found[~lone])]).all()
        if pairs
        else True
    )
    return bool((lone == alone).all() and partition and sums)


PROBABILITIES = (0.05, 0.2, 0.35, 0.45, 0.5, 0.55, 0.7, 0.9, 1.0)
CLUSTERS = make_clusters(runs)


@pytest.mark.parametrize("shape", SHAPES)
def test_clusters_are_those_of_scipy(shape):
    rng = np.random.default_rng(SEED)
    for p in PROBABILITIES:
        assert all(same_clusters(CLUSTERS, shape, p, rng) for _ in range(20 if shape[0] < 60 else 4)), p


GRAPH_TWINS = {
    "no bonds from the last row to the first": (
        "        bonds = down[u] & ~up_leaf[k] & ~down_leaf[u]\n",
        "        bonds = ZERO\n",
    ),
    "no bonds from the last column to the first": (
        "bond = (across[w] >> (bits_in(grid, k) - ONE)) & ONE",
        "bond = (across[w] >> (bits_in(grid, k) - ONE)) & ONE if k + ONE < grid[1] else ZERO",
    ),
    "of two leaves both follow": ("~up & ~up_leaf[below(grid, y, k)]", "~up"),
    "leaves below not counted": ("odd, twice = sites ^ upper ^ lower,", "odd, twice = sites ^ upper,"),
}


@pytest.mark.parametrize("fault", GRAPH_TWINS)
def test_wrong_clusters_are_refused(fault):
    twin, rng = make_clusters(twin_of(runs, GRAPH_TWINS[fault])), np.random.default_rng(SEED)
    assert not all(same_clusters(twin, (7, 130), p, rng) for p in PROBABILITIES for _ in range(20))


def make_coins(of):
    """coins(bonds, grid shape, state, out): the flips of many independent passes over the same bonds, one row each."""
    source = packed if of is runs else twin_of(packed)
    source.__dict__["choose_moves"] = of.choose_moves
    flip = source.flip_clusters

    @numba.njit
    def coins(across, down, rows, columns, state, out):
        grid, words = blocks.grid_of(rows, columns), across.size
        bonds, masks = np.zeros(2 * words, np.uint64), np.empty((6, words), np.uint64)
        extra, tables = np.empty((words + 15) // 16 * 16, np.uint64), np.empty((4, words * 32 + 64), np.uint64)
        moves, work = np.empty(words * 64, np.uint64), np.empty(packed.WORK, np.uint64)
        work[: packed.STATE] = state
        for i in range(len(out)):
            bonds[:words], bonds[words:] = across, down
            flip(out[i], bonds, extra, masks, tables, moves, work, grid)

    return coins


def coin_p_value(coins):
    """Of the hypothesis that every cluster flips as a whole with a fair coin of its own; 0 if one does not."""
    shape, rounds, rng = (7, 130), 4000, np.random.default_rng(SEED)
    right, down = random_bonds(shape, 0.5, rng)
    across, below = packed_bits(right), packed_bits(down)
    out = np.zeros((rounds, across.size), np.uint64)
    coins(across, below, *shape, rng.integers(0, 2**64, words_of.STATE_WORDS, dtype=np.uint64), out)
    signs = blocks.unpack(out, shape).astype(np.float64)
    labels = reference(right, down)
    first = np.unique(labels, return_index=True)[1]
    if (signs != signs[:, first][:, labels]).any():
        return 0.0
    own = signs[:, first]
    means, products = own.sum(0), np.triu(own.T @ own, 1)
    pairs = len(first) * (len(first) - 1) / 2
    return min(chi2.sf((means**2).sum() / rounds, len(first)), chi2.sf((products**2).sum() / rounds, pairs))


def test_every_cluster_has_a_fair_coin_of_its_own():
    assert coin_p_value(make_coins(runs)) > FALSE_ALARM


def test_a_coin_shared_by_clusters_is_refused():
    twin = twin_of(runs, ("coins[root >> U64(6)] >> (root & U64(63))", "coins[root >> U64(6)]"))
    assert coin_p_value(make_coins(twin)) < FALSE_ALARM


@numba.njit
def lay(block, p, state, rows, columns, bonds):
    grid, words = blocks.grid_of(rows, columns), block.size
    work, digits = np.empty(words_of.WORK_WORDS, np.uint64), np.empty(64, np.uint64)
    work[: words_of.STATE_WORDS] = state
    words_of.digits_of(p, digits)
    words_of.bernoulli(bonds, digits, work)
    runs.lay_bonds(block, bonds[:words], bonds[words : 2 * words], grid)


def bond_p_value(asked, p, shape=(1024, 1024)):
    """Of as many bonds as p says between like neighbours in both directions, laid with `asked`; 0 for a bond between
    unlike ones."""
    rng = np.random.default_rng(SEED)
    spins = rng.choice(np.array([-1, 1], np.int8), (1, shape[0] * shape[1]))
    block = blocks.pack(spins, shape)[0]
    bonds = np.empty(-(-2 * block.size // 16) * 16, np.uint64)
    lay(block, asked, rng.integers(0, 2**64, words_of.STATE_WORDS, dtype=np.uint64), *shape, bonds)
    s, result = spins.reshape(shape), []
    for k, axis in ((0, 1), (1, 0)):
        laid = blocks.unpack(bonds[None, k * block.size : (k + 1) * block.size], shape).reshape(shape) > 0
        like = s == np.roll(s, -1, axis)
        if (laid & ~like).any():
            return 0.0
        spread = np.sqrt(like.sum() * p * (1 - p))
        result.append(2 * norm.sf(abs(laid.sum() - like.sum() * p) / spread))
    return min(result)


@pytest.mark.parametrize("p", [2.0**-13, 3e-3, 0.1, 1 / 3, 0.5, 2 - 2**0.5, 0.9, 1 - 2.0**-14])
def test_bonds_join_like_neighbours_with_their_probability(p):
    assert bond_p_value(p, p) > FALSE_ALARM


def test_bonds_one_percent_too_likely_are_refused():
    assert bond_p_value(1.01 * 0.6, 0.6) < FALSE_ALARM


def test_bonds_are_certain_at_probability_1_and_absent_at_0():
    assert bond_p_value(0.0, 1e-12) > 0.9
    assert bond_p_value(1.0, 1 - 1e-12) > 0.9


@numba.njit
def draw_words(p, state, out):
    work, digits = np.empty(words_of.WORK_WORDS, np.uint64), np.empty(64, np.uint64)
    work[: words_of.STATE_WORDS] = state
    words_of.digits_of(p, digits)
    words_of.bernoulli(out, digits, work)


def test_bits_of_near_words_are_independent():
    p, n = 0.3, 2**15
    out, state = np.empty(n, np.uint64), np.random.default_rng(SEED).integers(0, 2**64, 64, dtype=np.uint64)
    draw_words(p, state, out)
    bits = (blocks.unpack(out[:, None], (1, 64)) > 0) - p
    covariance = [(bits[:, :-lag] * bits[:, lag:]).ravel() for lag in (1, 2, 32)]
    covariance += [(bits[:-lag] * bits[lag:]).ravel() for lag in (1, 2, 15, 16, 17, 32)]
    for products in covariance:
        assert 2 * norm.sf(abs(products.sum()) / (p * (1 - p) * np.sqrt(products.size))) > FALSE_ALARM


@cache
def make_sweeps():
    """Compiled when a test asks for it."""

    @kernel(SWEEP)
    def sweeps(block, betas, rng, neighbours, couplings, info, count):
        for _ in range(count):
            packed.sweep(block, betas, rng, neighbours, couplings, info)

    return sweeps


def random_state(walkers, rng):
    return rng.integers(0, 2**64, (walkers, words_of.STATE_WORDS), dtype=np.uint64)


def one_step_p_values(shape, beta, swept_at, rounds=1):
    """Of exact draws of a small lattice after some sweeps: their energies and squared magnetisations together, and the
    improved moments."""
    volume, walkers, rng = shape[0] * shape[1], 60_000, np.random.default_rng(SEED)
    every = (((np.arange(2**volume)[:, None] >> np.arange(volume)) & 1) * 2 - 1).astype(np.int8)
    s = every.reshape(-1, *shape).astype(np.int64)
    energy, order = -(s * np.roll(s, 1, 1)).sum((1, 2)) - (s * np.roll(s, 1, 2)).sum((1, 2)), s.sum((1, 2))
    weights = np.exp(-beta * (energy - energy.min()))
    weights /= weights.sum()
    block = blocks.pack(every[rng.choice(len(weights), walkers, p=weights)], shape)
    info = np.empty((walkers, 2))
    betas, table = np.full(walkers, swept_at), np.array([shape], np.int32)
    make_sweeps()(block, betas, random_state(walkers, rng), table, NO_COUPLINGS, info, rounds)
    spins = blocks.unpack(block, shape)
    index = ((spins > 0) * 2 ** np.arange(volume)).sum(1)
    _, classes = np.unique(np.stack([energy, order]), axis=1, return_inverse=True)
    wanted = np.bincount(classes, weights) * walkers
    seen = np.bincount(classes[index], minlength=len(wanted))
    common = wanted > 20
    statistic = ((seen - wanted) ** 2 / wanted)[common].sum()
    values = [chi2.sf(statistic, common.sum() - (1 if common.all() else 0))]
    for k, power in enumerate((2, 4)):
        off = info[:, k].mean() - (weights * (order / volume) ** power).sum()
        values.append(2 * norm.sf(abs(off) / (info[:, k].std() / np.sqrt(walkers))))
    return min(values)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (3, 4), (4, 3), (2, 2)])
def test_a_sweep_leaves_the_exact_distribution_alone(shape):
    assert one_step_p_values(shape, 0.4, 0.4) > FALSE_ALARM


def beta_of(p):
    return -np.log1p(-p) / 2


def test_a_sweep_with_bonds_one_percent_too_likely_is_refused():
    beta = 0.4
    assert one_step_p_values((3, 4), beta, beta, 8) > FALSE_ALARM
    assert one_step_p_values((3, 4), beta, beta_of(1.02 * -np.expm1(-2 * beta)), 8) < FALSE_ALARM


def kaufman_p_value(beta, swept_at, count=1500, walkers=48):
    """Of the mean energy at L = 64, from the means of independent walkers."""
    size, rng = 64, np.random.default_rng(SEED)
    block, betas = np.zeros((walkers, size * size // 64), np.uint64), np.full(walkers, swept_at)
    state, table, info = random_state(walkers, rng), np.array([[size, size]], np.int32), np.empty((walkers, 2))
    make_sweeps()(block, betas, state, table, NO_COUPLINGS, info, 200)
    energy, again, order = np.empty(walkers, np.int64), np.empty(walkers, np.int64), np.empty((walkers, 1), np.int64)
    total = np.zeros(walkers)
    for _ in range(count):
        make_sweeps()(block, betas, state, table, NO_COUPLINGS, info, 1)
        measured(block, table, energy, order, np.empty(walkers), again)
        total += energy
    means = total / (count * size * size)
    off = (means.mean() - kaufman.energy(size, size, beta)) / (means.std(ddof=1) / np.sqrt(walkers))
    return 2 * student.sf(abs(off), walkers - 1)


@pytest.mark.parametrize("beta", [BETA_C, 1 / 2.6])
def test_energies_are_kaufmans(beta):
    assert kaufman_p_value(beta, beta) > FALSE_ALARM


def test_energies_of_bonds_one_percent_too_likely_are_refused():
    assert kaufman_p_value(BETA_C, beta_of(1.01 * -np.expm1(-2 * BETA_C))) < FALSE_ALARM


def test_walkers_do_not_feel_each_other():
    rng, shape = np.random.default_rng(SEED), (5, 70)
    block, state, betas = blocks.pack(spins_of(shape), shape), random_state(3, rng), np.array([0.3, 0.44, 0.6])
    table, alone, info = np.array([shape], np.int32), [], np.empty((3, 2))
    for w in range(3):
        one = block[w : w + 1].copy()
        make_sweeps()(one, betas[w : w + 1], state[w : w + 1].copy(), table, NO_COUPLINGS, np.empty((1, 2)), 5)
        alone.append(one[0])
    make_sweeps()(block, betas, state, table, NO_COUPLINGS, info, 5)
    assert (block == np.array(alone)).all()


@pytest.mark.parametrize(
    ("model", "lattice"),
    [
        ({"type": "potts", "q": 3}, Lattice((8, 8))),
        ({"type": "ising"}, Lattice((8, 8, 8))),
        ({"type": "ising"}, Lattice((8, 8), "triangular")),
        ({"type": "ising"}, Lattice((8, 8), "hypercubic", "free")),
    ],
)
def test_other_systems_are_refused_with_the_reason(model, lattice):
    assert "expected" in packed.served(System(make_model(model), lattice))


def test_the_square_lattice_is_served():
    assert packed.served(System(make_model({"type": "ising"}), Lattice((8, 70)))) is None


BUILD = """
from hpcrg.jit import cache_hits
from hpcrg.lattice import Lattice
from hpcrg.models import make_model
from hpcrg.system import System
from hpcrg.updates.base import compiled
from hpcrg.updates.packed_swendsen_wang import PACKED_SWENDSEN_WANG
system = System(make_model({"type": "ising"}), Lattice((8, 8)))
print(cache_hits(compiled(PACKED_SWENDSEN_WANG.build(system))))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    environment = os.environ | {"HPCRG_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(hpcrg.__file__).parents[1])}
    hits = [
        subprocess.run(
            [sys.executable, "-c", BUILD],
            env=environment | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert hits == [["0"], ["1"]]


def test_the_update_is_built_like_the_others():
    system = System(make_model({"type": "ising"}), Lattice((6, 70)))
    update, spins, rng = packed.PACKED_SWENDSEN_WANG.build(system), spins_of((6, 70)), np.random.default_rng(SEED)
    block, state = update.layout.pack(spins), rng.integers(0, 2**64, update.layout.rng(3), dtype=np.uint64)
    table, couplings = update.layout.prepare(NO_COUPLINGS)
    compiled(update)(block, np.full(3, 0.4), state, table, couplings, np.empty((3, 2)))
    assert (update.layout.unpack(block, 3) != spins).any()
