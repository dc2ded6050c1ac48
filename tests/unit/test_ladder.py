"""Exchange leaves every slot's distribution alone, carries walkers ballistically, and ladders can be evened
out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from hpcrg import ladder, tuning
from hpcrg.enumeration import enumerate_all
from hpcrg.lattice import Lattice
from hpcrg.models import ising
from hpcrg.rng import Purpose, key_of
from hpcrg.running import start_state
from hpcrg.specs import TuneSpec
from hpcrg.system import System

BETAS = np.array([0.9, 0.6, 0.45, 0.2])
KEY = key_of(20261121, Purpose.SYNTHETIC)
FALSE_ALARM = 1e-9


def one_copy(key, turn, slot_of, energy, betas):
    """An exchange in a chain of one copy."""
    return tuple(rows[0] for rows in ladder.swap(key, turn, slot_of[None], energy, betas))


def test_copies_exchange_apart_and_not_alike():
    """Every copy takes part by itself: labels stay within it, and equal energies need not be exchanged alike."""
    slot_of, energy = np.tile(np.arange(4), (64, 1)), np.tile([-3.0, 0.0, -2.0, 1.0], 64)
    after, tried, accepted, _ = ladder.swap(KEY, 2, slot_of, energy, BETAS)
    assert np.array_equal(np.sort(after, axis=1), slot_of)
    assert np.array_equal(tried, np.tile([1, 0, 1, 0], (64, 1)))
    assert 0 < accepted[:, 0].mean() <= 1
    assert len({tuple(row) for row in after.tolist()}) > 1


def swap_by_slot_energies(key, turn, slot_of, energy, betas):
    """Twin: takes the energies by walker for energies by slot, as if walkers had never moved."""
    after, attempted, accepted, _ = one_copy(key, turn, np.arange(len(betas)), energy, betas)
    return after[slot_of], attempted, accepted, None


def swap_too_often(key, turn, slot_of, energy, betas):
    """Twin: the difference of inverse temperatures, halved."""
    return one_copy(key, turn, slot_of, energy, 0.5 * betas)


def smallest_p(swap, rounds=6000, turns=3):
    """Exact draws in permuted slots, some turns of exchange, then the energies in each slot against the
    exact law."""
    small = enumerate_all(System(ising(), Lattice((2, 3))))
    levels, level = np.unique(small.energy, return_inverse=True)
    laws = np.array([np.bincount(level, weights=small.weights(b)) for b in BETAS])
    generator = np.random.default_rng(7)
    counts = np.zeros((len(BETAS), len(levels)))
    for r in range(rounds):
        slot_of = generator.permutation(len(BETAS))
        drawn = np.array([generator.choice(len(levels), p=laws[s]) for s in slot_of])
        for turn in range(turns):
            slot_of = swap(KEY, r * turns + turn, slot_of, levels[drawn], BETAS)[0]
        counts[slot_of, drawn] += 1
    expected = laws * rounds
    keep = expected > 20
    terms = np.where(keep, (counts - expected) ** 2 / np.where(keep, expected, 1), 0)
    return min(chi2.sf(terms[s].sum(), keep[s].sum() - 1) for s in range(len(BETAS)))


def test_exchange_leaves_every_slot_in_equilibrium():
    assert smallest_p(one_copy) > FALSE_ALARM


@pytest.mark.parametrize("broken", [swap_by_slot_energies, swap_too_often])
def test_a_broken_exchange_is_refused(broken):
    assert smallest_p(broken) < FALSE_ALARM


def test_pairs_alternate_and_are_reported():
    energy = np.array([-4.0, -8.0, -2.0, -1.0, 0.0])
    betas = np.array([1.0, 0.9, 0.8, 0.7, 0.6])
    after, attempted, accepted, _ = one_copy(KEY, 0, np.arange(5), energy, betas)
    assert attempted.tolist() == [1, 0, 1, 0, 0]
    assert accepted[0] == 1  # the colder of the two had the higher energy
    assert after[0] == 1
    assert after[1] == 0
    assert one_copy(KEY, 1, np.arange(5), energy, betas)[1].tolist() == [0, 1, 0, 1, 0]


def test_exchange_is_a_pure_function():
    slot_of, energy = np.array([2, 0, 1, 3]), np.array([-3.0, -5.0, -1.0, -2.0])
    first = one_copy(KEY, 4, slot_of, energy, BETAS)
    second = one_copy(KEY, 4, slot_of, energy, BETAS)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert slot_of.tolist() == [2, 0, 1, 3]
    assert sorted(first[0]) == [0, 1, 2, 3]


def test_walkers_and_slots_must_be_equally_many():
    with pytest.raises(ValueError, match=r"swap: expected walkers \(copy, 4\)"):
        ladder.swap(KEY, 0, np.arange(3)[None], np.zeros(3), BETAS)


@pytest.mark.parametrize("slots", [2, 3, 4, 7])
def test_walkers_travel_ballistically_where_every_exchange_is_accepted(slots):
    """One round trip of every walker in 2 S rounds: S trips altogether."""
    slot_of, rows, periods, turns = np.arange(slots)[None], [], 50, None
    for turn in range(2 * slots * periods):
        slot_of, _, _, turns = ladder.swap(KEY, turn, slot_of, np.zeros(slots), np.linspace(1, 0.5, slots), turns)
        rows.append(np.argsort(slot_of[0]))
    assert abs(ladder.round_trips(np.array(rows)) - slots * periods) <= slots
    assert ladder.trips_of(turns).sum() == ladder.round_trips(np.array(rows))
    assert ladder.round_trip_rate(np.zeros(slots - 1)) == 0.5  # a round, of all walkers together


def test_a_round_trip_is_cold_to_hot_to_cold():
    path = [0, 1, 2, 1, 0, 1, 0, 1, 2, 2, 1, 0]  # the slot of walker 0 in three slots: two trips
    rows = []
    for slot in path:
        others = [1, 2]
        rows.append([0 if s == slot else others.pop() for s in range(3)])
    only_walker_0 = np.where(np.array(rows) == 0, 0, -np.arange(1, 37).reshape(12, 3))
    assert ladder.round_trips(only_walker_0) == 2


def test_a_tuned_ladder_has_equal_barriers():
    """Rejection rates from a density of barrier that peaks in the middle, as at a critical point."""

    def cumulative(beta):
        return 2 * np.tanh((0.6 - beta) / 0.1) - 2 * np.tanh(-3.0)

    betas = np.linspace(0.9, 0.3, 12)
    tuned = ladder.tune(betas, np.diff(cumulative(betas)), 10)
    steps = np.diff(cumulative(tuned))
    assert (tuned[0], tuned[-1], len(tuned)) == (0.9, 0.3, 10)
    assert steps.max() / steps.min() < 1.5
    untuned = np.diff(cumulative(np.linspace(0.9, 0.3, 10)))
    assert untuned.max() / untuned.min() > 1.5
    assert ladder.barrier(steps) == pytest.approx(4 * np.tanh(3.0))


def test_a_ladder_in_the_wrong_order_is_refused():
    with pytest.raises(ValueError, match="tune: expected betas coldest first"):
        ladder.tune(np.array([0.1, 0.2]), np.array([0.5]), 3)


def test_pilots_have_no_random_stream_of_a_chain(small, monkeypatch):
    """The last trial ladder is the one that is written, so its id is that of the ensemble to come."""
    e, streams = small(), []

    def spy(ensemble, chain, walkers):
        state = start_state(ensemble, chain, walkers)
        streams.append(state.rng.copy())
        return state

    monkeypatch.setattr(tuning, "start_state", spy)
    tuning.pilot_rejection(e, TuneSpec(coldest=2, hottest=3, slots=3, pilot_chains=2, pilot_rounds=200), 0)
    assert len(streams) == 2
    chains = [start_state(e, chain, range(e.walkers)).rng for chain in range(4)]
    rows = np.concatenate([*streams, *chains])
    assert len(np.unique(rows, axis=0)) == len(rows) == 6 * e.walkers
