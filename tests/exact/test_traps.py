"""Mistakes that published packages made, each with the test that refuses it here.

mistake                                              refused by
Metropolis in a fixed order of sites in d = 1        test_equilibrium.test_metropolis_in_a_fixed_order_is_refused_on_the_chain
Metropolis at the hot end oscillates                 test_equilibrium.test_metropolis_oscillates_where_it_is_hot_and_heat_bath_does_not
Wolff until so many sites have moved                 test_equilibrium.test_wolff_until_enough_sites_have_moved_is_refused
clusters of an even clock about even axes alone      test_equilibrium.test_reflections_about_even_axes_alone_are_refused
clusters that forget the sign of a coupling          test_one_step.test_a_faulty_kernel_is_refused (repelling bonds),
                                                     test_models.test_a_gap_that_forgets_the_sign_of_the_coupling_is_refused
helicity modulus that forgets couplings              test_planar.test_the_helicity_modulus_is_the_response_to_a_twist
exchange by the wrong walkers' energies              test_tempering, test_ladder
exchange that loses its ballistic motion             test_ladders.test_alternating_parities_make_twice_the_round_trips
one random bit for many sites of a lattice           test_strips.test_shared_random_bits_are_refused
one coin for many clusters                           test_packed_sw.test_a_coin_shared_by_clusters_is_refused
autocorrelation ignored                              test_autocorrelation.test_twin_that_ignores_autocorrelation_is_rejected
results that depend on ranks, lost files             tests/mpi/test_ranks.py, test_sampler
streams shared by seeds, chains, temperatures, ranks here
one random bit for all walkers in a word             here
correlation length with 2 d = 6 wherever it is used  here
a sample's spread for the error of its mean          here, and test_estimate
flips at the wrong site                              here
a restart that loses the last exchange               here
"""

from __future__ import annotations

import itertools

import h5py
import numpy as np
import pytest

import hpcrg.updates.lanes
from hpcrg.analysis.autocorrelation import gamma_method
from hpcrg.analysis.points import functions
from hpcrg.chainfile import ChainFile
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.enumeration import energies, enumerate_all
from hpcrg.errors import Interrupted
from hpcrg.jit import part
from hpcrg.lanes.bernoulli import BATCH, make_fill
from hpcrg.lattice import Lattice
from hpcrg.layout import plain
from hpcrg.models import ising
from hpcrg.rng import Purpose, id_words, key_of, stream
from hpcrg.rounds import make_look
from hpcrg.running import Kernels, start, start_state
from hpcrg.sampler import Limits, sample
from hpcrg.system import System
from hpcrg.updates import UPDATES
from hpcrg.updates.base import compiled

U64 = np.uint64


# Streams


def all_streams(ensembles):
    """The states of every generator with which chains of ensembles begin, and the keys of their exchanges."""
    for e in ensembles:
        for chain in range(e.chains):
            rows = start_state(e, chain, range(e.walkers)).rng
            yield from rows.reshape(-1, 4)
            yield np.array([key_of(e.seed, Purpose.EXCHANGE, *id_words(e.id), chain)])


def many(small, update, **changes):
    """Ensembles that differ in seed, temperatures or size."""
    for seed, size, shift in itertools.product((11, 12, 13), (8, 12), (0.0, 0.01)):
        betas = tuple(b + shift for b in np.linspace(0.5, 0.4, changes.get("slots", 3)))
        yield small(seed=seed, size=size, betas=betas, updates=(UpdateCall(update),), chains=4)


@pytest.mark.parametrize(("update", "slots"), [("metropolis", 3), ("multispin", 40)])
def test_all_streams_are_distinct(update, slots, small):
    """Seed s, chain 1 and seed s + 1, chain 0; one temperature and another; walkers of one chain; lanes of one word.
    Ranks have no part in an address."""
    states = [row.tobytes() for row in all_streams(many(small, update, slots=slots))]
    assert len(set(states)) == len(states) >= 192


def test_seeds_that_are_added_up_are_refused():
    """Twin: seed + chain, and seed (1 + rank)."""
    added = [stream(seed + chain, Purpose.WALKER).tobytes() for seed in (42, 43) for chain in (0, 1)]
    assert len(set(added)) < len(added)
    multiplied = [stream(seed * (1 + rank), Purpose.WALKER).tobytes() for seed in (1, 2) for rank in (0, 1)]
    assert len(set(multiplied)) < len(multiplied)


# Lanes


def lane_overlap():
    """The mean overlap of different walkers at equal temperature in one word, in standard errors, and the fraction of
    equal pairs at the end."""
    model = {"type": "edwards_anderson"}
    lattice = {"type": "hypercubic", "dimension": 2}
    e = Ensemble("equal", 8, model, lattice, (0.3,) * 20, (UpdateCall("multispin"),), False, 5, 0, 1, 1, 1, 1, 2)
    running, rows = start(Kernels(e), 0, Alone(), range(40)), []
    running.advance(500)
    for _ in range(200):
        running.advance(20)
        spins = running.spins().astype(float)
        q = (spins @ spins.T / 64)[np.triu_indices(40, 1)]
        rows.append(q.mean())
    return abs(np.mean(rows)) / (np.std(rows) / np.sqrt(len(rows)) + 1e-9), (q == 1.0).mean()


def test_walkers_of_equal_temperature_in_one_word_stay_independent():
    score, equal = lane_overlap()
    assert score < 6
    assert equal < 0.01


@pytest.mark.slow
def test_one_random_bit_for_all_walkers_is_refused(monkeypatch, tmp_path):
    """Twin: every lane decides by the bit of lane 0. The distribution of each is right, and many run together (seen: 0.24 of pairs)."""

    def make_shared(dimension):
        fill, words = make_fill(dimension), U64(dimension * BATCH)

        @part
        def shared(random, box, table, work):
            fill(random, box, table, work)
            for k in range(words):
                box[work + k] = U64(0) - (box[work + k] & U64(1))

        return shared

    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(hpcrg.updates.lanes, "make_fill", make_shared)
    score, equal = lane_overlap()
    assert score > 6
    assert equal > 0.1


# Correlation length


@pytest.mark.parametrize(("axes", "agrees"), [(1, True), (3, False)])
def test_the_correlation_length_of_the_chain(axes, agrees):
    """xi_2nd of the Ising chain is sqrt(t) / (1 - t) with t = tanh(beta), from the measured structure factor of all
    configurations of a ring. Twin: an average over axes that takes every lattice for a cubic one."""
    system, beta = System(ising(), Lattice((16,))), 0.5
    every, layout = enumerate_all(system), plain(System(ising(), Lattice((16,))))
    n = len(every.spins)
    energy, order, structure = np.empty(n, np.int64), np.empty((n, 1), np.int64), np.empty(n)
    tables = layout.prepare(system.disorder(np.random.default_rng(0)).couplings)
    make_look(system, layout)(every.spins, *tables, np.array([16]), 1.0, energy, order, structure)
    weights = every.weights(beta)
    means = np.array([0, 0, 0, weights @ (order[:, 0] / 16.0) ** 2, 0, weights @ structure / axes])
    t = np.tanh(beta)
    ratio = functions(16, 16, 1, beta)["xi"](means) * 16 / (np.sqrt(t) / (1 - t))
    assert (abs(ratio - 1) < 1e-3) == agrees


# Errors


def test_an_error_falls_with_the_length_and_is_the_spread_of_repeated_runs():
    """400 runs of an autoregressive series with tau = 9.5. Twin: the spread within a sample, which does neither."""
    generator, rho = np.random.default_rng(20261126), 0.9
    for length in (1000, 4000):
        noise = generator.normal(size=(400, length))
        series = np.empty_like(noise)
        series[:, 0] = noise[:, 0] / np.sqrt(1 - rho**2)
        for t in range(1, length):
            series[:, t] = rho * series[:, t - 1] + noise[:, t]
        spread = series.mean(axis=1).std(ddof=1)
        told = np.mean([gamma_method(row).error for row in series])
        assert told == pytest.approx(spread, rel=0.15)
        assert told == pytest.approx(10 / np.sqrt(length), rel=0.1)
        assert series.std(axis=1).mean() > 5 * spread
        assert series.std(axis=1).mean() / np.sqrt(length) < spread / 3


# Sites


def energy_score(system, table):
    """The deviation of the heat bath's mean energy from the enumerated one, in standard errors of 8000 walkers."""
    update, beta = UPDATES["heat_bath"].build(system), 1.2 / system.coordination
    every = enumerate_all(system)
    exact = every.weights(beta) @ every.energy
    sweep = compiled(update)
    rng = np.array([stream(1, Purpose.WALKER, w) for w in range(8000)])
    spins = np.random.default_rng(2).choice(np.array([-1, 1], np.int8), (8000, system.volume))
    couplings = system.disorder(np.random.default_rng(0)).couplings
    for _ in range(60):
        sweep(spins, np.full(8000, beta), rng, table, couplings, np.empty((8000, max(1, len(update.series)))))
    values = energies(system, spins)
    return abs(values.mean() - exact) / (values.std(ddof=1) / np.sqrt(8000))


@pytest.mark.parametrize(("shape", "kind"), [((3, 2, 2), "hypercubic"), ((2, 3), "honeycomb"), ((3, 4), "triangular")])
def test_flips_at_the_wrong_site_are_refused_on_every_lattice(shape, kind):
    """Twin: sites are numbered with the first axis fastest, so a spin turns where another was decided upon."""
    system, turned = System(ising(), Lattice(shape, kind)), System(ising(), Lattice(shape[::-1], kind))
    assert energy_score(system, system.neighbours) < 6
    assert energy_score(system, turned.neighbours) > 6


# Restarts


def stopped_at_every_draw(e, directory):
    """The bank of a run that stops as often as it can."""
    while True:
        try:
            sample(e, directory / "bank.h5", directory / "state", Alone(), Limits(stop=lambda: True), lambda *_: None)
            break
        except Interrupted:
            continue
    with h5py.File(directory / "bank.h5") as file:
        return {name: data[()] for name, data in file.items()}


def test_a_restart_that_loses_the_last_exchange_is_refused(small, tmp_path, monkeypatch):
    """Slots, turns and counts of exchanges are in the checkpoint. Twin: walkers come back in the slots they began in."""
    e = small(betas=(0.46, 0.44, 0.42), measure=4)
    sample(e, tmp_path / "whole" / "bank.h5", tmp_path / "whole" / "state", Alone(), Limits(), lambda *_: None)
    with h5py.File(tmp_path / "whole" / "bank.h5") as file:
        whole = {name: data[()] for name, data in file.items()}
    pieces = stopped_at_every_draw(e, tmp_path / "pieces")
    assert all(np.array_equal(whole[name], pieces[name]) for name in whole)
    right = ChainFile.resume

    def forgetful(self, ensemble, *arguments):
        found = right(self, ensemble, *arguments)
        if found is not None:
            found[0].slot_of = np.tile(np.arange(ensemble.slots), (ensemble.copies, 1))
        return found

    monkeypatch.setattr(ChainFile, "resume", forgetful)
    twin = stopped_at_every_draw(e, tmp_path / "twin")
    assert not all(np.array_equal(whole[name], twin[name]) for name in whole)
