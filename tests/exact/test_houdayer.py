"""Houdayer's cluster move on a 3 x 3 sample of the +-J model: E_a + E_b is conserved exactly, and heat bath with Houdayer moves
leaves the enumerated joint distribution of two copies alone. Every twin has one fault and must be refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from hpcrg.jit import kernel, part
from hpcrg.lattice import Lattice
from hpcrg.models.base import Disorder
from hpcrg.models.ising import ising
from hpcrg.rng import Purpose, stream
from hpcrg.system import System
from hpcrg.updates import houdayer

FALSE_ALARM = 1e-9
BETA, SHAPE, PAIRS = 0.7, (3, 3), 100_000


def couplings_of(lattice, seed):
    """+-1 on every bond, the same from both ends."""
    table, half = lattice.neighbours(), lattice.dimension
    forward = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (lattice.volume, half))
    both = np.ones(table.shape, np.int8)
    for k in range(half):
        both[:, k] = forward[:, k]
        both[table[:, k], half + k] = forward[:, k]
    return both


def glass(shape):
    """Ising spins with couplings."""
    model = replace(
        ising(),
        name="glass",
        coupling="integer",
        couplings=lambda lattice, table, rng: Disorder(couplings_of(lattice, 1)),
    )
    return System(model, Lattice(shape))


def energies(system, couplings, spins):
    """E of spins[..., site], from the forward bonds."""
    table, half = system.neighbours, system.lattice.dimension
    return -sum((couplings[:, k] * spins * spins[..., table[:, k]]).sum(axis=-1) for k in range(half)).astype(np.int64)


def everything(volume):
    """All configurations, int8[2^N, N]."""
    return (2 * (np.arange(2**volume)[:, None] >> np.arange(volume) & 1) - 1).astype(np.int8)


def compiled(move):
    """The move on many pairs, a[pair, site] and b[pair, site]."""

    @kernel("void(int8[:,::1], int8[:,::1], int32[:,::1], int8[:,::1], uint64[::1], int64[::1])")
    def moves(a, b, neighbours, couplings, rng, sizes):
        for k in range(a.shape[0]):
            sizes[k] = move(a[k], b[k], neighbours, couplings, rng)

    return moves


class Trial:
    """Pairs drawn exactly from the joint distribution."""

    def __init__(self, seed):
        self.system = glass(SHAPE)
        self.couplings = couplings_of(self.system.lattice, 4)
        self.all = everything(self.system.volume)
        self.energy = energies(self.system, self.couplings, self.all)
        weights = np.exp(-BETA * (self.energy - self.energy.min()))
        self.weights = weights / weights.sum()
        self.generator = np.random.default_rng(seed)
        drawn = self.generator.choice(len(self.all), (2, PAIRS), p=self.weights)
        self.a, self.b = (np.ascontiguousarray(self.all[d]) for d in drawn)
        self.sizes = np.zeros(PAIRS, np.int64)

    def move(self, moves):
        rng = stream(7, Purpose.WALKER, 1)
        moves(self.a, self.b, self.system.neighbours, self.couplings, rng, self.sizes)

    def heat_bath(self):
        """One sweep of both copies."""
        table = self.system.neighbours
        for spins in (self.a, self.b):
            for site in range(self.system.volume):
                field = (self.couplings[site] * spins[:, table[site]]).sum(axis=1)
                up = self.generator.random(PAIRS) < 1 / (1 + np.exp(-2 * BETA * field))
                spins[:, site] = np.where(up, 1, -1)

    def total(self):
        return energies(self.system, self.couplings, self.a) + energies(self.system, self.couplings, self.b)

    def p_value(self):
        """Chi-squared of the joint distribution, in classes of equal E_a, E_b, overlap and configuration of a modulo 64."""
        codes = [((spins > 0) * 2 ** np.arange(self.system.volume)).sum(axis=1) for spins in (self.a, self.b)]
        a, b = np.meshgrid(np.arange(len(self.all)), np.arange(len(self.all)), indexing="ij")
        overlap = (self.all[a] * self.all[b]).sum(axis=-1, dtype=np.int64)
        keys = np.stack([self.energy[a], self.energy[b], overlap, a % 16], axis=-1).reshape(-1, 4)
        _, classes = np.unique(keys, axis=0, return_inverse=True)
        wanted = np.bincount(classes, weights=np.outer(self.weights, self.weights).ravel()) * PAIRS
        seen = np.bincount(classes[codes[0] * len(self.all) + codes[1]], minlength=len(wanted))
        order = np.argsort(wanted)
        groups = np.unique((np.cumsum(wanted[order]) // 30).astype(int), return_inverse=True)[1]
        groups = np.minimum(groups, groups.max() - 1)
        x, y = np.bincount(groups, weights=seen[order]), np.bincount(groups, weights=wanted[order])
        return chi2.sf(((x - y) ** 2 / y).sum(), len(y) - 1)


@pytest.fixture(scope="module")
def right():
    return compiled(houdayer.make(glass(SHAPE)))


def test_the_sum_of_energies_is_conserved(right):
    trial = Trial(1)
    before, overlap = trial.total(), (trial.a * trial.b).copy()
    distinct = (trial.a != trial.b).any(axis=1)
    old = trial.a.copy()
    trial.move(right)
    assert np.array_equal(trial.total(), before)
    assert np.array_equal(trial.a * trial.b, overlap)
    assert np.array_equal((trial.a != old).sum(axis=1), trial.sizes)
    assert np.array_equal(trial.sizes > 0, distinct)


def test_large_sample_and_whole_cluster(right):
    """16 x 16: every cluster that moves is a connected component of q = -1."""
    system = glass((16, 16))
    couplings, generator = couplings_of(system.lattice, 3), np.random.default_rng(5)
    a, b = (generator.choice(np.array([-1, 1], np.int8), (50, system.volume)) for _ in range(2))
    old, overlap = a.copy(), a * b
    before = energies(system, couplings, a) + energies(system, couplings, b)
    right(a, b, system.neighbours, couplings, stream(7, Purpose.WALKER, 2), np.zeros(50, np.int64))
    assert np.array_equal(energies(system, couplings, a) + energies(system, couplings, b), before)
    moved = a != old
    rim = moved[:, system.neighbours].any(axis=2) & ~moved
    assert (overlap[moved] == -1).all()
    assert (overlap[rim] == 1).all()


def test_heat_bath_and_houdayer_leave_the_joint_distribution_alone(right):
    trial = Trial(2)
    for _ in range(3):
        trial.move(right)
        trial.heat_bath()
    trial.move(right)
    assert trial.p_value() > FALSE_ALARM


def test_the_smallest_clusters_alone(right):
    """Houdayer moves alone, many of them."""
    trial = Trial(3)
    for _ in range(5):
        trial.move(right)
    assert trial.p_value() > FALSE_ALARM


def twin(fault):
    """A plain Python-written move with one fault."""
    alike, one_copy, first = fault == "alike", fault == "one copy", fault == "first"

    def move(a, b, neighbours, couplings, rng):
        start = houdayer.choose(houdayer.load(rng), a.size)
        houdayer.store(rng, start[0])
        seed = np.int64(start[1])
        if first:  # the first differing site after a random one, and its cluster only up to nearest neighbours
            while a[seed] == b[seed] and seed < a.size - 1:
                seed += 1
        if a[seed] == b[seed]:
            return 0
        inside, queue = np.zeros(a.size, np.uint8), np.empty(a.size, np.int64)
        inside[seed], queue[0], done, found = 1, seed, 0, 1
        while done < found:
            site = queue[done]
            done += 1
            for k in range(neighbours.shape[1]):
                near = neighbours[site, k]
                if not inside[near] and (a[near] == b[near]) == alike and not first:
                    inside[near], queue[found] = 1, near
                    found += 1
        for k in range(found):
            a[queue[k]] = -a[queue[k]]
            if not one_copy:
                b[queue[k]] = -b[queue[k]]
        return found

    return compiled(part(move))


@pytest.mark.parametrize("fault", ["alike", "one copy", "first"])
def test_twins_are_rejected(fault):
    """Clusters that grow through sites with q = +1; the cluster turned in one copy only; single sites instead of clusters."""
    trial, moves = Trial(2), twin(fault)
    before = trial.total()
    for _ in range(3):
        trial.move(moves)
    assert not np.array_equal(trial.total(), before)
    assert trial.p_value() < FALSE_ALARM
