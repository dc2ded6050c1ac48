"""64 sites of one lattice in a word: a sweep against a reference that visits site by site, flip rates and their
independence, an enumerated lattice, and Kaufman's energy."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from hpcrg.jit import kernel
from hpcrg.lanes.bernoulli import BATCH, STATE_WORDS, make_fill, table_words, work_words
from hpcrg.lattice import Lattice
from hpcrg.models import kaufman
from hpcrg.strips.block import Strips, cut, pack_strips, unpack_strips
from hpcrg.strips.margins import tables
from hpcrg.strips.measure import make_energies
from hpcrg.updates.strips import make_sweep, tabulate_all

SEED = 20261124
SIGMAS = 5.5  # two-sided 4e-8
FALSE_ALARM = 1e-9
BETA_C = float(np.log1p(np.sqrt(2)) / 2)
SMALL = Strips((4, 4), (2, 2))
SQUARE = cut((128, 128))
CUTS = [SMALL, SQUARE, cut((64, 96)), cut((16, 16, 16)), Strips((4, 4, 4, 4), (2, 1, 2, 2))]
names = pytest.mark.parametrize("strips", CUTS, ids=lambda strips: strips.name)
SWEEP = "void(uint64[:,::1], float64[::1], uint64[:,::1], int32[:,::1], int8[:,::1], float64[:,::1], int64, int64[::1])"
NOTHING = np.zeros((1, 1), np.int8)


@cache
def sweeps_of(dimension):
    """many(block, betas, rng, neighbours, couplings, info, times, energy): the energies are those afterwards."""
    sweep, energies = make_sweep(dimension), make_energies(dimension)

    @kernel(SWEEP)
    def many(block, betas, rng, neighbours, couplings, info, times, energy):
        for _ in range(times):
            sweep(block, betas, rng, neighbours, couplings, info)
        energies(block, neighbours, couplings, energy)

    return many


@cache
def drawing(dimension):
    """draw(beta, rng, words, out[batch, class, place]): the decisions that a sweep makes."""
    fill, start = make_fill(dimension), table_words(dimension)
    size = start + work_words(dimension)

    @kernel("void(float64, uint64[::1], uint64[:,:,::1])")
    def draw(beta, rng, out):
        box, chance = np.empty(size, np.uint64), 1.0
        for c in range(dimension - 1, -1, -1):
            chance *= np.exp(-4.0 * beta)
            tabulate_all(chance, dimension, c, box)
        for b in range(out.shape[0]):
            fill(rng, box, np.uint64(0), np.uint64(start))
            for c in range(dimension):
                for j in range(BATCH):
                    out[b, c, j] = box[start + c * BATCH + j]

    return draw


def random_spins(strips, walkers, seed=SEED):
    generator = np.random.default_rng(seed)
    return generator.choice(np.array([-1, 1], np.int8), (walkers, np.prod(strips.shape)))


def random_states(walkers, seed=SEED):
    return np.random.default_rng([seed, 1]).integers(0, 2**64, (walkers, STATE_WORDS), dtype=np.uint64)


def sweep(strips, block, beta, rng, times=1):
    """In place; the fractions of flips of the last sweep, and the energies."""
    info, energy = np.empty((len(block), 1)), np.empty(len(block), np.int64)
    sweeps_of(len(strips.shape))(
        block, np.full(len(block), beta, np.float64), rng, tables(strips), NOTHING, info, times, energy
    )
    return info[:, 0], energy


@cache
def sites_of(strips):
    """The site of every bit of the words that hold sites, in the order of words: int[word, bit]. Found by packing the
    binary digits of the numbers of the sites."""
    numbers = np.arange(np.prod(strips.shape))
    inside = np.zeros((2, *strips.padded), bool)
    inside[:, *strips.inside] = True
    planes = range(int(numbers[-1]).bit_length())
    digits = np.stack([np.where(numbers >> k & 1, 1, -1).astype(np.int8) for k in planes])
    words = pack_strips(digits, strips)[:, inside.ravel()]
    return sum(
        (words[k, :, None] >> np.arange(strips.bits, dtype=np.uint64) & np.uint64(1)) << np.uint64(k) for k in planes
    )


def decisions(strips, betas, rng):
    """bool[walker, class, word, bit]: what every class of every site is told in the next sweep; advances rng."""
    words, dimension = sites_of(strips).shape[0], len(strips.shape)
    out = np.empty((len(rng), -(-words // BATCH), dimension, BATCH), np.uint64)
    for w in range(len(rng)):
        drawing(dimension)(betas[w], rng[w], out[w])
    flat = out.transpose(0, 2, 1, 3).reshape(len(rng), dimension, -1)[:, :, :words]
    return (flat[..., None] >> np.arange(strips.bits, dtype=np.uint64) & np.uint64(1)).astype(bool)


def reference(strips, spins, told, stale=False):
    """One checkerboard sweep of int8[walker, site], site by site; also the class of every site and whether it flipped,
    in the order of words. `stale` is a twin: the second colour sees the first as it was."""
    spins, before, sites, dimension = spins.copy(), spins.copy(), sites_of(strips), len(strips.shape)
    neighbours, half = Lattice(strips.shape).neighbours(), len(sites_of(strips)) // 2
    classes, flipped = [], []
    for words in (slice(0, half), slice(half, None)):
        own = sites[words].astype(np.int64)
        seen = before if stale else spins
        unsatisfied = (seen[:, neighbours[own]] != spins[:, own, None]).sum(-1)
        chosen = np.take_along_axis(told[:, :, words], np.minimum(unsatisfied, dimension - 1)[:, None], 1)[:, 0]
        flip = chosen | (unsatisfied >= dimension)
        spins[:, own] *= np.where(flip, -1, 1).astype(np.int8)
        classes.append(unsatisfied)
        flipped.append(flip)
    return spins, np.concatenate(classes, 1), np.concatenate(flipped, 1)


@names
def test_every_site_is_in_one_bit_and_the_two_colours_are_the_checkerboard(strips):
    sites = sites_of(strips).astype(np.int64)
    np.testing.assert_array_equal(np.sort(sites.ravel()), np.arange(np.prod(strips.shape)))
    parity = np.array(np.unravel_index(sites, strips.shape)).sum(0) % 2
    half = len(sites) // 2
    np.testing.assert_array_equal(parity, np.repeat([0, 1], half)[:, None] + 0 * parity)


@names
def test_a_sweep_is_the_checkerboard_sweep_with_the_same_decisions(strips):
    """Every site is visited once, with its own bits and the neighbours as they then are; twin: as they were."""
    spins, rng, betas = random_spins(strips, 3), random_states(3), np.array([0.2, 0.3, 0.5])
    block, info, twin_refused = pack_strips(spins, strips), np.empty((3, 1)), False
    energy = np.empty(3, np.int64)
    for _ in range(3):
        told = decisions(strips, betas, rng.copy())
        wanted, _, flipped = reference(strips, spins, told)
        twin_refused |= bool((reference(strips, spins, told, stale=True)[0] != wanted).any())
        sweeps_of(len(strips.shape))(block, betas, rng, tables(strips), NOTHING, info, 1, energy)
        spins = unpack_strips(block, strips)
        np.testing.assert_array_equal(spins, wanted)
        np.testing.assert_allclose(info[:, 0], flipped.mean((1, 2)))
    assert twin_refused


def test_at_infinite_temperature_every_site_flips_and_at_zero_none_that_costs_energy():
    spins, rng = random_spins(SQUARE, 2), random_states(2)
    block = pack_strips(spins, SQUARE)
    assert (sweep(SQUARE, block, 0.0, rng)[0] == 1.0).all()
    np.testing.assert_array_equal(unpack_strips(block, SQUARE), -spins)
    rows, columns = np.indices(SQUARE.shape)
    staggered = np.where((rows + columns) % 2, -1, 1).astype(np.int8).reshape(1, -1)
    block = pack_strips(staggered, SQUARE)
    assert sweep(SQUARE, block, 1e3, rng)[0] == 0.5  # the first colour alone
    assert (unpack_strips(block, SQUARE) == -1).all()
    assert sweep(SQUARE, block, 1e3, rng)[0] == 0.0


def residuals(beta, told_beta, rounds=12, walkers=32, tamper=None):
    """(flip - probability) of every site in the order of words, and its variance and class, over `rounds` sweeps of
    warmed-up walkers; twins are told decisions for another temperature, or tampered ones."""
    spins, rng = random_spins(SQUARE, walkers), random_states(walkers)
    block = pack_strips(spins, SQUARE)
    sweep(SQUARE, block, beta, rng, 50)
    spins, chances = unpack_strips(block, SQUARE), np.exp(-beta * np.array([8, 4, 0, 0, 0]))
    for _ in range(rounds):
        told = decisions(SQUARE, np.full(walkers, told_beta), rng)
        if tamper is not None:
            tamper(told)
        spins, classes, flipped = reference(SQUARE, spins, told)
        yield flipped - chances[classes], classes


def rate_deviations(beta, told_beta):
    """Of the fraction of flips of the two classes that cost energy, in standard errors."""
    total, count = np.zeros(2), np.zeros(2)
    for rest, classes in residuals(beta, told_beta):
        for c in (0, 1):
            total[c] += rest[classes == c].sum()
            count[c] += (classes == c).sum()
    p = np.exp(-beta * np.array([8, 4]))
    return abs(total) / np.sqrt(count * p * (1 - p))


@pytest.mark.parametrize("beta", [0.3, BETA_C])
def test_flip_rates_are_the_metropolis_probabilities(beta):
    """The reference above is the sweep, decision for decision; twin: acceptance too high by 1 %, of dE = 8 by 2 %."""
    assert rate_deviations(beta, beta).max() < SIGMAS
    assert rate_deviations(beta, beta - np.log(1.01) / 4)[1] > SIGMAS


def correlation(tamper=None):
    """The largest correlation, in standard errors, of what happens at two sites of one bit at any distance in words,
    and of one word at any distance in bits. Given the past, every factor that comes later has mean zero."""
    words, bits = len(sites_of(SQUARE)), SQUARE.bits
    sums, squares = np.zeros(words + bits), np.zeros(words + bits)
    for rest, _ in residuals(0.3, 0.3, rounds=4, walkers=16, tamper=tamper):
        for d in range(1, words):
            product = rest[:, d:] * rest[:, :-d]
            sums[d] += product.sum()
            squares[d] += (product**2).sum()
        for d in range(1, bits):
            product = rest[:, :, d:] * rest[:, :, :-d]
            sums[words + d] += product.sum()
            squares[words + d] += (product**2).sum()
    kept = squares > 0
    return abs(sums[kept] / np.sqrt(squares[kept])).max()


def same_bits_for_both_colours(told):
    told[:, :, 128:256] = told[:, :, :128]


def same_bits_for_two_rows(told):
    told[:, :, 64:128] = told[:, :, :64]


def same_bits_for_two_blocks(told):
    told[..., 1] = told[..., 0]


def test_flips_of_different_sites_are_independent():
    assert correlation() < 6.5  # of 318 correlations, 8e-11 each


@pytest.mark.parametrize("twin", [same_bits_for_both_colours, same_bits_for_two_rows, same_bits_for_two_blocks])
def test_shared_random_bits_are_refused(twin):
    assert correlation(twin) > 6.5


@cache
def enumerated():
    """Spins, energies and squared magnetisations of all states of the 4 x 4 lattice."""
    states = (np.arange(2**16)[:, None] >> np.arange(16) & 1).astype(np.int8) * 2 - 1
    grid = states.reshape(-1, 4, 4).astype(np.int64)
    energy = -sum((grid * np.roll(grid, 1, axis)).sum((1, 2)) for axis in (1, 2))
    return states, energy, grid.sum((1, 2)) ** 2


def p_value(beta, swept_beta, walkers=100_000, times=3):
    """Of the classes of equal energy and magnetisation after sweeps of walkers drawn from the exact distribution."""
    states, energy, square = enumerated()
    weight = np.exp(-beta * (energy - energy.min()))
    generator = np.random.default_rng(SEED)
    start = np.searchsorted(np.cumsum(weight / weight.sum())[:-1], generator.random(walkers), side="right")
    block = pack_strips(states[start], SMALL)
    sweep(SMALL, block, swept_beta, random_states(walkers), times)
    after = (unpack_strips(block, SMALL) > 0) @ (1 << np.arange(16))
    _, kind = np.unique(energy * 1000 + square, return_inverse=True)
    expected = np.bincount(kind, weight / weight.sum()) * walkers
    seen = np.bincount(kind[after], minlength=len(expected))
    often = expected > 30
    seen = np.append(seen[often], seen[~often].sum())
    expected = np.append(expected[often], expected[~often].sum())
    return chi2.sf(((seen - expected) ** 2 / expected).sum(), len(seen) - 1)


def test_the_distribution_of_the_enumerated_lattice_stays():
    assert p_value(0.4, 0.4) > FALSE_ALARM
    assert p_value(0.4, 0.4 - np.log(1.03) / 4) < FALSE_ALARM  # twin: acceptance 3 % too high


def energies_per_site(strips, beta, walkers, thermalise, measures, every, start="random"):
    """Of each walker, averaged over its measurements."""
    spins = random_spins(strips, walkers) if start == "random" else np.ones((walkers, np.prod(strips.shape)), np.int8)
    block, rng, total = pack_strips(spins, strips), random_states(walkers), np.zeros(walkers)
    sweep(strips, block, beta, rng, thermalise)
    for _ in range(measures):
        total += sweep(strips, block, beta, rng, every)[1]
    return total / (measures * np.prod(strips.shape))


def deviation(values, exact):
    return abs(values.mean() - exact) / (values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("temperature", [2.6, 3.0])
def test_kaufmans_energy_of_the_disordered_phase(temperature):
    beta = 1 / temperature
    exact = kaufman.energy(128, 128, beta)
    assert deviation(energies_per_site(SQUARE, beta, 64, 1000, 50, 20), exact) < SIGMAS
    twin = energies_per_site(SQUARE, beta - np.log(1.01) / 4, 64, 1000, 50, 20)  # acceptance 1 % too high
    assert deviation(twin, exact) > SIGMAS


def test_kaufmans_energy_at_the_critical_point():
    small = cut((16, 16))
    exact = kaufman.energy(16, 16, BETA_C)
    assert deviation(energies_per_site(small, BETA_C, 400, 2000, 100, 20), exact) < SIGMAS
    assert deviation(energies_per_site(small, BETA_C - np.log(1.01) / 4, 400, 2000, 100, 20), exact) > SIGMAS


@pytest.mark.slow
def test_kaufmans_energy_at_the_critical_point_of_a_size_that_is_served():
    values = energies_per_site(SQUARE, BETA_C, 64, 100_000, 100, 200, start="ordered")
    assert deviation(values, kaufman.energy(128, 128, BETA_C)) < SIGMAS
