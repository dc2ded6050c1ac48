"""Logs of training: what TensorBoard reads is the state, after any stops; and what goes wrong with them ends nothing."""

import logging
import shutil
import sys

import numpy as np
import pytest
import torch

from hpcrg import checkpoint
from hpcrg.bank import read_series, write_bank
from hpcrg.errors import Interrupted
from hpcrg.learn import state
from hpcrg.learn import tensorboard_logs as board
from hpcrg.learn.limits import Limits
from hpcrg.learn.train import run
from hpcrg.learning_specs import TrainSpec

events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
SPEC = TrainSpec(ensemble="small", cold=2, hot=2, seeds=2, epochs=3, batch=16)
TAGS = {board.TRAINING, board.VALIDATION, board.RATE, board.PACE}


@pytest.fixture
def bank(small, tmp_path):
    """Ordered in the cold half, random in the hot half."""
    keep = np.array([0.95, 0.9, 0.7, 0.6, 0.55])[:, None, None, None]
    spins = np.where(np.random.default_rng(1).random((4, 5, 40, 8, 8)) < keep, 1, -1).astype(np.int8)
    bonds = spins.astype(np.int64) * (np.roll(spins, 1, -1) + np.roll(spins, 1, -2))
    series = {"energy": -bonds.sum((-1, -2)), "order": spins.sum((-1, -2), dtype=np.int64)}
    ensemble = small(betas=(0.6, 0.5, 0.4, 0.3, 0.2), chains=4, draws=40, measure=4, keep=4)
    write_bank(tmp_path / "bank.h5", ensemble, spins, series)
    return tmp_path / "bank.h5"


def go(bank, directory, place, spec=SPEC, stop=lambda: False, state="state", interval=1e9):
    output = directory / "series.h5"
    run([bank], "cnn", spec, 5, output, directory / state, place, Limits(interval, stop), lambda f, text: None)
    return output


def shown(directory):
    """What TensorBoard shows of one network: by tag the steps and the values."""
    read = events.EventAccumulator(str(directory), size_guidance={events.SCALARS: 0})
    read.Reload()
    tags = read.Tags()[events.SCALARS]
    return {t: ([e.step for e in read.Scalars(t)], [e.value for e in read.Scalars(t)]) for t in tags}


def agree(directory, state="state"):
    """Whether the logs are the states: every step and every epoch once, with the float32 of its value."""
    files = sorted((directory / state).rglob("*.checkpoint"))
    logs = sorted((directory / "tensorboard").iterdir())
    assert [log.name for log in logs] == [file.stem for file in files]
    return [same(shown(log), checkpoint.load(file)) for log, file in zip(logs, files, strict=True)]


def same(log, arrays):
    loss, validation = arrays["loss"].astype(np.float32), arrays["validation"].astype(np.float32)
    ends = (np.arange(len(validation)) + 1) * (len(loss) // SPEC.epochs)
    return (
        log[board.TRAINING] == (list(range(len(loss))), loss.tolist())
        and log[board.VALIDATION] == (ends.tolist(), validation.tolist())
        and log[board.RATE][0] == list(range(len(loss)))
    )


def in_pieces(bank, directory, place, monkeypatch, killed=lambda saves: False):
    """Trained with stops at every seventh step, and killed before some of the states are written; how often."""
    calls, saves, stops = 0, 0, 0
    save = state.save

    def stop():
        nonlocal calls
        calls += 1
        return calls % 7 == 0

    def dies(path, current):
        nonlocal saves
        saves += 1
        if killed(saves):
            raise Interrupted("killed")
        save(path, current)

    monkeypatch.setattr(state, "save", dies)
    while True:
        try:
            go(bank, directory, place, stop=stop, interval=0.001)
            return stops
        except Interrupted:
            stops += 1


def test_an_undisturbed_training_is_logged_once(bank, tmp_path, place, monkeypatch):
    """And with the learning rates that the optimiser had."""
    rates, step = [], torch.optim.Adam.step

    def noted(optimiser):
        rates.append(optimiser.param_groups[0]["lr"])
        step(optimiser)

    with monkeypatch.context() as watched:
        watched.setattr(torch.optim.Adam, "step", noted)
        go(bank, tmp_path, place)
    assert agree(tmp_path) == [True, True]
    logs = sorted((tmp_path / "tensorboard").iterdir())
    for log in logs:
        assert len(list(log.iterdir())) == 1
        assert shown(log).keys() == TAGS
        assert min(shown(log)[board.PACE][1]) > 0
    assert [r for log in logs for r in shown(log)[board.RATE][1]] == np.array(rates, np.float32).tolist()


def test_stopped_and_killed_every_step_is_there_once(bank, tmp_path, place, monkeypatch):
    assert in_pieces(bank, tmp_path, place, monkeypatch, lambda saves: saves % 3 == 0) > 10
    assert agree(tmp_path) == [True, True]
    for log in (tmp_path / "tensorboard").iterdir():
        steps = shown(log)[board.PACE][0]
        assert len(steps) == len(set(steps)) > 1


def test_twins_that_take_nothing_back_or_believe_that_all_is_there(bank, tmp_path, place, monkeypatch):
    """Steps appear twice, or are missing."""
    write = board.Log._write

    def forgets(self, wanted):
        write(self, [e for e in wanted if not e.HasField("session_log")])

    with monkeypatch.context() as twin:
        twin.setattr(board.Log, "_write", forgets)
        in_pieces(bank, tmp_path / "twice", place, twin, lambda saves: saves % 3 == 0)
    with monkeypatch.context() as twin:
        twin.setattr(board, "agreed", lambda directory, current: len(current.loss))
        in_pieces(bank, tmp_path / "missing", place, twin)
    assert agree(tmp_path / "twice") == agree(tmp_path / "missing") == [False, False]


def test_the_log_of_a_network_that_is_done_is_mended_where_it_needs_it(bank, tmp_path, place):
    """Gone; of another training, into the same directory; and as it should be, which adds no file."""
    go(bank, tmp_path, place)
    logs = tmp_path / "tensorboard"
    files = sorted(logs.rglob("events*"))
    go(bank, tmp_path, place)
    assert sorted(logs.rglob("events*")) == files
    shutil.rmtree(sorted(logs.iterdir())[0])
    go(bank, tmp_path, place)
    assert agree(tmp_path) == [True, True]
    go(bank, tmp_path, place, SPEC.model_copy(update={"batch": 32}), state="other")
    assert agree(tmp_path) == [False, False]
    go(bank, tmp_path, place)
    assert agree(tmp_path) == [True, True]


def test_what_is_missing_or_of_another_training_is_given_anew(bank, tmp_path, place):
    """A log cut off in the middle of a record, one that is gone, and one of a training with another batch."""
    for change in ("cut", "gone", "other"):
        directory = tmp_path / change
        if change == "other":
            go(bank, directory, place, SPEC.model_copy(update={"batch": 32}), state="before")
        calls = 0

        def stop():
            nonlocal calls
            calls += 1
            return calls == 20

        with pytest.raises(Interrupted):
            go(bank, directory, place, stop=stop)
        (state,) = (directory / "state").rglob("*.checkpoint")
        for file in (directory / "tensorboard" / state.stem).iterdir():
            if change == "cut":
                file.write_bytes(file.read_bytes()[:-300])
            if change == "gone":
                file.unlink()
        go(bank, directory, place)
        assert agree(directory) == [True, True], change


def test_without_the_package_one_line_says_so(bank, tmp_path, place, monkeypatch, caplog):
    """And the training is the same; with the package the log of what is not done begins with the first step."""
    with caplog.at_level(logging.INFO, "hpcrg"):
        whole = go(bank, tmp_path / "with", place)
        assert not caplog.records
        with monkeypatch.context() as without:
            for module in [m for m in sys.modules if m.partition(".")[0] == "tensorboard"]:
                without.delitem(sys.modules, module)
            without.setitem(sys.modules, "tensorboard", None)
            other = go(bank, tmp_path / "without", place)
        (record,) = caplog.records
    assert (record.levelname, "tensorboard" in record.message) == ("INFO", True)
    assert not (tmp_path / "without/tensorboard").exists()
    p, q = (read_series(output)[0].values["p"] for output in (whole, other))
    np.testing.assert_array_equal(p, q)


def test_a_directory_that_cannot_be_made_is_a_warning(bank, tmp_path, place, caplog):
    (tmp_path / "tensorboard").write_text("in the way")
    assert go(bank, tmp_path, place, interval=0.0).exists()
    (record,) = caplog.records
    assert "the training goes on" in record.message
