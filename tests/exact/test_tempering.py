"""Parallel tempering as a whole: every slot of a ladder has the exact energy of its temperature, and an exchange that
looks at the wrong walkers' energies does not."""

import numpy as np
import pytest
from scipy import stats

import hpcrg.rounds
import hpcrg.sampler
from hpcrg.bank import open_bank
from hpcrg.comm import Alone
from hpcrg.jit import part
from hpcrg.ladder import exchange_pairs
from hpcrg.models import kaufman

BETAS = (0.48, 0.42, 0.36)
CHAINS = 12
FALSE_ALARM = 1e-7


@pytest.fixture
def least_p(small, tmp_path):
    """A function that samples and gives the least two-sided p of the slots' energies against Kaufman's, over chains."""

    def run():
        e = small(betas=BETAS, thermalise=500, keep=10, chains=CHAINS, draws=400, seed=3)
        path = tmp_path / "bank.h5"
        hpcrg.sampler.sample(e, path, tmp_path / "state", Alone(), hpcrg.sampler.Limits(), lambda *_: None)
        with open_bank(path) as bank:
            energy = np.array([[bank.series("energy", c, s).mean() / 64 for s in range(3)] for c in range(CHAINS)])
            moved = np.array([[bank.series("exchange_accepted", c, s).sum() for s in (0, 1)] for c in range(CHAINS)])
        assert moved.min() > 100
        exact = [kaufman.energy(8, 8, beta) for beta in BETAS]
        return stats.ttest_1samp(energy, exact, axis=0).pvalue.min()

    return run


def test_every_slot_has_the_exact_energy(least_p):
    assert least_p() > FALSE_ALARM


def test_an_exchange_of_the_wrong_energies_is_seen(least_p, monkeypatch, tmp_path):
    """Twin: every walker is given the energy of the next. Compiled into a cache of its own."""

    @part
    def wrong(key, turn, energy, betas, slot_of, by_slot, attempted, accepted):
        rolled = np.empty_like(energy)
        for k in range(energy.size):
            rolled[k] = energy[(k + 1) % energy.size]
        exchange_pairs(key, turn, rolled, betas, slot_of, by_slot, attempted, accepted)

    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(hpcrg.rounds, "exchange_pairs", wrong)
    assert least_p() < FALSE_ALARM
