"""One process of several is stopped (SIGSTOP) for longer than anything waits, or killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from injection import (
    CAMPAIGN,
    ENVIRONMENT,
    HERE,
    commits,
    datasets,
    finish,
    hpcrg,
    ranks_of,
    sampling,
    wait_for_a_commit,
    written,
)

pytestmark = pytest.mark.slow
SHARED = """
name: shared
seed: 3
model: {type: ising}
ensembles:
  scan: {sizes: [16], ladder: {temperatures: [2.0, 2.1, 2.2, 2.3]}, updates: [{type: metropolis}], chains: 1, thermalise: 100, keep: 5, draws: 1500}
"""
LONG = CAMPAIGN.replace("epochs: 4", "epochs: 12")
LAUNCH = "import sys; from hpcrg.edges.torchrun import launch; sys.exit(launch(sys.argv[1:], 2, 'impatient'))"
IMPATIENCE, GRACE = 4.0, 30.0
"""Seconds that processes wait for each other, and that torchrun then gives a stopped one before it kills it."""


@pytest.mark.mpi
def test_a_rank_that_stands_still_holds_the_others_up_and_no_more(tmp_path):
    """Two ranks share the walkers of the only chain and meet in every round; MPI waits as long as it takes."""
    alone, place = written(tmp_path / "alone", SHARED), written(tmp_path / "two", SHARED)
    finish(sampling(alone))
    with subprocess.Popen(sampling(place, ranks=2), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as run:
        wait_for_a_commit(place, run)
        (stopped,) = ranks_of(run)[-1:]
        os.kill(stopped, signal.SIGSTOP)
        time.sleep(1.0)
        before = commits(place)
        time.sleep(4.0)
        assert commits(place) == before
        assert run.poll() is None
        os.kill(stopped, signal.SIGCONT)
        said = run.communicate(timeout=120)[1]
    assert run.returncode == 0, said
    assert datasets(place / "bank.h5") == datasets(alone / "bank.h5")


def training(calm, place, campaign=LONG):
    """`train` in two processes under torchrun, which wait IMPATIENCE seconds for each other."""
    verb = hpcrg("train", written(place, campaign), str(calm / "scan-L8.h5"), "--train", "cnn", "--output",
                 str(place / "series.h5"), "--state", str(place / "state"))[3:]  # fmt: skip
    return [sys.executable, "-c", LAUNCH, *verb]


def beset(command, place, number):
    """Send a signal to one of the processes when something has been saved; status, message, seconds till the end."""
    environment = ENVIRONMENT | impatience()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as run:
        wait_for_a_commit(place, run)
        os.kill(ranks_of(run)[-1], number)
        begun = time.monotonic()
        said = run.communicate(timeout=180)[1]
    return run.returncode, said, time.monotonic() - begun


def impatience():
    return {"IMPATIENCE": str(IMPATIENCE), "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), *sys.path]))}


@pytest.mark.ddp
def test_training_that_loses_a_process_ends_and_goes_on(calm, tmp_path):
    """First one is killed, then one is stopped and never wakes; what was saved is what the next run goes on from."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finish(training(calm, whole), **impatience())
    status, said, seconds = beset(training(calm, cut), cut, signal.SIGKILL)
    assert status != 0, said
    assert seconds < GRACE
    status, said, seconds = beset(training(calm, cut), cut, signal.SIGSTOP)
    assert status == 75, said
    assert "error: train cnn: process 0 of 2: expected an answer of the others within 4 s" in said
    assert "the same command goes on from there" in said
    assert "Traceback" not in said
    assert seconds < IMPATIENCE + GRACE + 20.0
    assert not (cut / "series.h5").exists()
    finish(training(calm, cut), **impatience())
    assert datasets(cut / "series.h5") == datasets(whole / "series.h5")
