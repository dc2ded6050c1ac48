"""Training as processes under torchrun: the same bits twice, after SIGKILL and after SIGTERM; statuses."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from hpcrg import checkpoint
from hpcrg.bank import read_series, write_bank

pytestmark = pytest.mark.ddp

BETAS = (0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
LAUNCH = """
import sys
from hpcrg.edges.torchrun import launch
sys.exit(launch(sys.argv[2:], int(sys.argv[1]), "ddp_worker"))
"""


def make_bank(small, path, chains=6):
    """Any spins will do: ordered in the cold half, random in the hot half."""
    rng = np.random.default_rng(1)
    keep = np.array([0.97, 0.93, 0.85, 0.65, 0.55, 0.52])[:, None, None, None]
    spins = np.where(rng.random((chains, 6, 40, 8, 8)) < keep, 1, -1).astype(np.int8)
    bonds = spins.astype(np.int64) * (np.roll(spins, 1, -1) + np.roll(spins, 1, -2))
    series = {"energy": -bonds.sum((-1, -2)), "order": spins.sum((-1, -2), dtype=np.int64)}
    write_bank(path, small(betas=BETAS, chains=chains, draws=40, measure=4, keep=4), spins, series)
    return path


@pytest.fixture
def bank(small, tmp_path):
    return make_bank(small, tmp_path / "bank.h5")


def start(bank, directory, processes=2, **changes):
    paths = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(processes), str(bank), str(directory),
         json.dumps({"epochs": 2} | changes)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in paths if p)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    errors = process.communicate(timeout=240)[1]
    return process.returncode, errors


def train(*args, **kwargs):
    status, errors = finish(start(*args, **kwargs))
    assert status == 0, errors
    return args[1]


def losses(directory):
    files = sorted((directory / "state").rglob("*.checkpoint"))
    return {f.stem: checkpoint.load(f) for f in files}


def assert_same(a, b):
    """Bit for bit: losses, weights and everything else in the states, and the outputs."""
    first, second = losses(a), losses(b)
    assert first.keys() == second.keys()
    for job, arrays in first.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, second[job][name], err_msg=f"{job} {name}")
    p, q = (read_series(d / "series.h5")[0].values["p"] for d in (a, b))
    np.testing.assert_array_equal(p, q)


def kill(process, workers_too):
    """SIGKILL to the launcher and, if wanted, to its workers, which otherwise must see to it themselves."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    for pid in (process.pid, *pids)[: None if workers_too else 1]:
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=180)


def wait_for_state(process, directory):
    while process.poll() is None and not any((directory / "state").rglob("*.checkpoint")):
        time.sleep(0.01)


def test_two_processes_twice_are_the_same_bits_and_nearer_to_one_process_than_seeds_are(bank, tmp_path):
    a, b, one = (train(bank, tmp_path / n, processes=k) for n, k in (("a", 2), ("b", 2), ("one", 1)))
    assert_same(a, b)
    for job, arrays in losses(a).items():
        np.testing.assert_allclose(arrays["loss"], losses(one)[job]["loss"], rtol=2e-3, atol=1e-5)
        np.testing.assert_allclose(arrays["loss"][0], losses(one)[job]["loss"][0], rtol=1e-6)
    two, alone = (np.array([x["validation"][-1] for x in losses(d).values()]) for d in (a, one))
    assert np.abs(two - alone).max() < 0.1 * alone.std(ddof=1)


@pytest.mark.parametrize("net", ["cnn", "resnet"])
def test_in_float64_fifty_steps_do_not_depend_on_the_number_of_processes(net, bank, tmp_path):
    """Which examples a batch has, and what is summed, is the same on 1, 2 and 4; in float32 rounding shows."""
    given = {"net": net, "seeds": 1, "epochs": 2, "batch": 16, "precision": "float64"}
    found = {n: losses(train(bank, tmp_path / str(n), processes=n, **given)) for n in (1, 2, 4)}
    (alone,) = found[1].values()
    assert len(alone["loss"]) >= 50
    for n in (2, 4):
        (other,) = found[n].values()
        for name, values in alone.items():
            np.testing.assert_allclose(other[name], values, rtol=0, atol=1e-10, err_msg=f"{n} processes, {name}")


@pytest.mark.parametrize("read_ahead", [False, True])
def test_killed_at_random_moments_it_ends_with_the_same_curve(read_ahead, bank, tmp_path):
    whole = train(bank, tmp_path / "whole", epochs=4)
    rng, kills, cut = np.random.default_rng(int.from_bytes(os.urandom(8))), 0, tmp_path / "cut"
    for workers_too in (False, True):
        process = start(bank, cut, epochs=4, read_ahead=read_ahead)
        wait_for_state(process, cut)
        time.sleep(rng.uniform(0, 1.5))
        kills += process.poll() is None
        kill(process, workers_too)
    assert kills
    assert_same(whole, train(bank, cut, epochs=4, read_ahead=read_ahead))


@pytest.mark.parametrize("read_ahead", [False, True])
def test_told_to_stop_it_says_75_and_goes_on(read_ahead, bank, tmp_path):
    whole, cut = train(bank, tmp_path / "whole", epochs=12), tmp_path / "cut"
    process = start(bank, cut, epochs=12, read_ahead=read_ahead)
    wait_for_state(process, cut)
    process.send_signal(signal.SIGTERM)
    status, errors = finish(process)
    assert status == 75, errors
    assert "stopped at step" in errors
    assert not (cut / "series.h5").exists()
    assert_same(whole, train(bank, cut, epochs=12, read_ahead=read_ahead))


def test_a_user_error_keeps_its_status_and_is_said_once(small, tmp_path):
    status, errors = finish(start(make_bank(small, tmp_path / "two.h5", chains=2), tmp_path / "out"))
    assert status == 2
    assert errors.count("expected at least 3 chains") == 1


def test_a_training_that_diverges_while_it_reads_ahead_ends(bank, tmp_path):
    status, errors = finish(start(bank, tmp_path / "out", learning_rate=1e6, read_ahead=True))
    assert status == 2, errors
    assert errors.count("expected a loss that stays below") == 1


@pytest.mark.gpu
def test_on_gpus_twice_is_the_same_bits(bank, tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no GPU: torch.cuda.is_available() is false on this machine")
    a, b = (train(bank, tmp_path / n, processes=torch.cuda.device_count()) for n in ("a", "b"))
    assert_same(a, b)
