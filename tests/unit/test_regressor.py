"""Regressors in the training loop: what they read and write, and what is refused."""

import numpy as np
import pytest
import torch

from hpcrg import figures
from hpcrg.bank import read_series, write_bank
from hpcrg.campaign import TrainSpec
from hpcrg.errors import InputError, Leakage
from hpcrg.learn.evaluate import held_out
from hpcrg.learn.job import jobs_of
from hpcrg.learn.limits import Limits
from hpcrg.learn.nets import NETS
from hpcrg.learn.train import run

BETAS = (0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
COLDER = tuple(b + 0.5 for b in BETAS)
CHAINS, DRAWS = 6, 40
SPEC = TrainSpec(ensemble="small", objective="regressor", cold=3, hot=3, seeds=3, epochs=8, batch=16)


class Pixel(torch.nn.Module):
    """A straight line in the first spin."""

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)

    def forward(self, codes):
        return self.line(codes[:, 0, :1].float())[:, 0]


@pytest.fixture
def bank(small, exact_draws, tmp_path):
    """A function that writes a bank of exact draws of 4 x 4 sites, after a change to the spins."""

    def make(change=lambda spins: spins):
        spins, energy, order = exact_draws(BETAS, CHAINS, DRAWS)
        ensemble = small(size=4, betas=BETAS, chains=CHAINS, draws=DRAWS, measure=4, keep=4)
        write_bank(tmp_path / "bank.h5", ensemble, change(spins.copy()), {"energy": energy, "order": order})
        return tmp_path / "bank.h5"

    return make


def go(bank, directory, place):
    output, limits = directory / "series.h5", Limits(1e9, lambda: False)
    run([bank], "cnn", SPEC, 5, output, directory / "state", place, limits, lambda f, text: None)
    return output


def tell(spins):
    """The first spin says which half of the ladder it is."""
    spins[..., 0, 0] = np.array([1, 1, 1, -1, -1, -1])[:, None]
    return spins


def test_a_regressor_reads_temperatures_and_is_refused_when_it_knows_them(bank, tmp_path, place, monkeypatch):
    """Of draws whose first spin tells the half of the ladder a network knows more than their energies can say."""
    (block,) = read_series(go(bank(), tmp_path / "honest", place))
    read = np.nanmean(block.values["beta"], axis=(0, 1, 3))
    assert read[0] > read[2] > read[-1]
    assert {"beta", "energy", "m2", "m4", "abs_m"} == set(block.values)
    root, best = (float(figures.load(tmp_path / "honest/series.figures.json").tables[0].rows[0][i]) for i in (3, 4))
    assert best < root < np.std(BETAS)

    monkeypatch.setitem(NETS, "cnn", lambda inputs, channels: Pixel())
    with pytest.raises(Leakage, match=r"a root mean square error of at least .* has seen its test data"):
        go(bank(tell), tmp_path / "told", place)


def other(small, path, chains):
    """A bank of random spins of 6 x 6 sites, said to be colder."""
    spins = np.random.default_rng(1).choice([-1, 1], (chains, 6, 20, 6, 6)).astype(np.int8)
    energy = -(spins * np.roll(spins, 1, 3) + spins * np.roll(spins, 1, 4)).sum((3, 4), dtype=np.int64)
    ensemble = small(group="other", size=6, betas=COLDER, chains=chains, draws=20, measure=4, keep=4)
    write_bank(path, ensemble, spins, {"energy": energy, "order": spins.sum((3, 4), dtype=np.int64)})
    return path


def test_readings_are_scored_on_the_ladder_that_they_are_tested_on(bank, small, tmp_path, place):
    """Networks of L = 4 on a bank of L = 6, whose posterior they cannot know."""
    spec = SPEC.model_copy(update={"size": 4})
    banks = [bank(), other(small, tmp_path / "other.h5", CHAINS)]
    job = jobs_of(banks, "cnn", spec, 5, tmp_path / "state")[0]
    of, (_, tested) = job.objective, job.tested
    found = held_out(tested, job.source, job.split, spec, of, job.network(), ("cnn", 0), place, lambda: False)
    assert found.objective.betas == COLDER
    assert found.best.min() >= min(COLDER)


def test_banks_of_other_numbers_of_chains_do_not_go_together(bank, small, tmp_path):
    """A network of one size is tested on the same chains of the other ones."""
    banks = [bank(), other(small, tmp_path / "other.h5", CHAINS + 1)]
    with pytest.raises(InputError, match=r"train cnn: chains: expected as many in every bank, found \[6, 7\]"):
        jobs_of(banks, "cnn", SPEC.model_copy(update={"size": 4}), 5, tmp_path / "state")
