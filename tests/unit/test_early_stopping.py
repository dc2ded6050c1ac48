"""Training ends when the validation loss has not fallen for some epochs, with the weights of the best one, and the same
when it was interrupted."""

import hashlib
import json
from itertools import count

import numpy as np
import pytest
import torch

from hpcrg import figures
from hpcrg.bank import write_bank
from hpcrg.campaign import TrainSpec
from hpcrg.errors import Interrupted
from hpcrg.learn import train
from hpcrg.learn.job import jobs_of
from hpcrg.learn.limits import Limits
from hpcrg.learn.state import State

SPEC = TrainSpec(ensemble="small", cold=2, hot=2, seeds=3, epochs=9, patience=2, batch=16)
VALIDATION = (0.9, 0.5, 0.6, 0.4, 0.4, 0.45, 0.1, 0.1, 0.1)
"""The fourth epoch is the best, the fifth and the sixth are not lower."""


@pytest.fixture
def go(small, tmp_path, place, monkeypatch):
    """A function that trains in a directory, with validation losses that are given; the epochs that each network had, by
    the shape of its record."""
    ensemble = small(size=4, betas=(0.7, 0.6, 0.5, 0.4, 0.3, 0.2), chains=6, draws=20, measure=4, keep=4)
    spins = np.random.default_rng(1).choice([-1, 1], size=(6, 6, 20, 4, 4)).astype(np.int8)
    energy = -(spins * np.roll(spins, 1, 3) + spins * np.roll(spins, 1, 4)).sum((3, 4), dtype=np.int64)
    write_bank(tmp_path / "bank.h5", ensemble, spins, {"energy": energy, "order": spins.sum((3, 4), dtype=np.int64)})
    done = {}
    """Bias of the network after each epoch that ended, by state file."""
    end = train._end_epoch

    def counted(job, current, place, log):
        end(job, current, place, log)
        done.setdefault(job.file, []).append(current.net.head.bias.item())

    monkeypatch.setattr(train, "_validate", lambda job, net, place: VALIDATION[len(done.get(job.file, []))])
    monkeypatch.setattr(train, "_end_epoch", counted)

    def run(directory, spec=SPEC, stop=lambda: False):
        output, kept = tmp_path / directory / "series.h5", tmp_path / directory / "state"
        train.run([tmp_path / "bank.h5"], "cnn", spec, 5, output, kept, place, Limits(1e9, stop), lambda f, text: None)
        mine = {file.name: epochs for file, epochs in done.items() if kept in file.parents}
        return figures.load(output.with_suffix(".figures.json")), mine

    return run


def test_it_ends_after_epochs_without_a_lower_loss(go):
    drawn, done = go("patient")
    assert {len(epochs) for epochs in done.values()} == {6}
    validation = next(c for c in drawn.figures[0].curves if "validation" in c.label)
    assert validation.y == pytest.approx(VALIDATION[:6])


def test_without_patience_it_goes_on(go):
    _, done = go("on", SPEC.model_copy(update={"patience": None}))
    assert {len(epochs) for epochs in done.values()} == {9}


def test_interrupted_it_ends_where_it_would_have(go):
    """Stopped at every fortieth question, until it is through."""
    _, whole = go("whole")
    asked, stopped = count(), 0
    while True:
        try:
            _, pieces = go("pieces", stop=lambda: next(asked) % 40 == 39)
            break
        except Interrupted:
            stopped += 1
    assert stopped > 2
    assert pieces == whole


@pytest.mark.parametrize(("losses", "stale"), [([], False), ([1.0, 2.0], False), ([1.0, 2.0, 3.0], True),
                                               ([1.0, 2.0, 0.9], False), ([1.0, 1.0, 1.0], True)])  # fmt: skip
def test_stale_is_no_lower_than_before(losses, stale):
    net = torch.nn.Linear(1, 1)
    state = State(net, torch.optim.Adam(net.parameters()), validation=losses)
    assert state.stale(2) == stale
    assert not state.stale(None)


def test_states_of_before_there_was_patience_are_found(go, tmp_path):
    """Their directory is named by a hash of what the numbers depend on."""
    spec = SPEC.model_copy(update={"patience": None})
    go("no")
    job = jobs_of([tmp_path / "bank.h5"], "cnn", spec, 5, tmp_path)[0]
    e = job.source.ensemble
    then = {"ensemble": "small", "objective": "classifier", "cold": 2, "hot": 2, "seeds": 3, "epochs": 9, "batch": 16,
            "channels": 8, "learning_rate": None, "precision": "float32"}  # fmt: skip
    text = json.dumps([then, 5, e.id, e.chains, e.draws], sort_keys=True)
    assert job.file.parent.name == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert jobs_of([tmp_path / "bank.h5"], "cnn", SPEC, 5, tmp_path)[0].file.parent != job.file.parent
