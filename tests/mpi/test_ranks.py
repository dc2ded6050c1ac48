"""The bank does not depend on ranks, stops, kills or the order of either. Real MPI ranks, real signals."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.mpi

CAMPAIGN = """
name: ranks
seed: 20
model: {type: ising}
ensembles:
  small: {sizes: [16], ladder: {temperatures: [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]},
          updates: [{type: metropolis}, {type: wolff}], chains: 2, thermalise: 100, keep: 5, draws: DRAWS}
"""


def mpiexec():
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"


def command(campaign, out, ranks):
    verb = ["-m", "mpi4py", "-m", "hpcrg", "sample", str(campaign), "--ensemble", "small-L16", "--output",
            str(out / "bank.h5"), "--state", str(out / "state"), "--ranks", str(ranks), "--interval", "0.3"]  # fmt: skip
    return [mpiexec(), "-n", str(ranks), sys.executable, *verb]


def commits(out):
    """Checkpoints and when they were written."""
    return {(path, path.stat().st_mtime_ns) for path in (out / "state").rglob("checkpoint")}


def wait_for_a_commit(out, run):
    """Until a run has committed something new."""
    before, deadline = commits(out), time.monotonic() + 120
    while commits(out) <= before and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def environment():
    return os.environ | {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "HYDRA_IFACE": "lo"}


def datasets(path):
    with h5py.File(path) as file:
        attributes = {k: file.attrs[k] for k in ("schema", "id", "ensemble", "seed", "kernel_version")}
        return {k: v[()] for k, v in file.items()}, attributes


def assert_same(a, b):
    assert a[1] == b[1]
    assert a[0].keys() == b[0].keys()
    for name in a[0]:
        assert np.array_equal(a[0][name], b[0][name]), name


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    campaign = out / "c.yaml"
    campaign.write_text(CAMPAIGN.replace("DRAWS", "600"))
    subprocess.run(command(campaign, out, 1), check=True, env=environment())
    return campaign, datasets(out / "bank.h5")


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_equal_on_any_number_of_ranks(ranks, alone, tmp_path):
    campaign, reference = alone
    subprocess.run(command(campaign, tmp_path, ranks), check=True, env=environment())
    assert_same(datasets(tmp_path / "bank.h5"), reference)


def every_update(directory, ranks):
    """The banks of an ensemble for every update, by name."""
    script = [str(Path(__file__).with_name("every_update.py")), str(directory), str(ranks)]
    run = [mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py", *script]
    subprocess.run(run, check=True, env=environment(), timeout=1500)
    return {path.name: datasets(path) for path in sorted(directory.glob("*.h5"))}


@pytest.fixture(scope="module")
def every_update_alone(tmp_path_factory):
    return every_update(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_every_update_is_equal_on_any_number_of_ranks(ranks, every_update_alone, tmp_path):
    """Two chains of five walkers, or of words that cannot be divided: with three ranks one chain is shared."""
    found = every_update(tmp_path, ranks)
    assert found.keys() == every_update_alone.keys()
    for name, bank in found.items():
        assert_same(bank, every_update_alone[name])


HOUDAYER = """
name: copies
seed: 21
model: {type: edwards_anderson}
lattice: {type: hypercubic, dimension: 2}
ensembles:
  small: {sizes: [16], ladder: {temperatures: [0.5, 0.8, 1.2, 1.8]}, chains: 3, thermalise: 50, measure: 3, keep: 3,
          updates: [{type: metropolis}, {type: houdayer, repeat: 2}], draws: 50}
"""


def test_moves_between_copies_are_equal_on_any_number_of_ranks(tmp_path):
    """Two copies meet in a move, so a chain stays on one rank; ranks beyond the chains rest."""
    campaign, banks = tmp_path / "c.yaml", []
    campaign.write_text(HOUDAYER)
    for ranks in (1, 2, 4):
        out = tmp_path / str(ranks)
        out.mkdir()
        subprocess.run(command(campaign, out, ranks), check=True, env=environment())
        banks.append(datasets(out / "bank.h5"))
    assert_same(banks[0], banks[1])
    assert_same(banks[0], banks[2])
    assert 0 < banks[0][0]["houdayer_fraction"].mean() < 1


def test_equal_after_ten_kills_at_random_moments_with_changing_ranks(alone, tmp_path):
    campaign, _ = alone
    longer = tmp_path / "c.yaml"
    longer.write_text(campaign.read_text().replace("draws: 600", "draws: 60000"))
    once = tmp_path / "once"
    once.mkdir()
    subprocess.run(command(longer, once, 2), check=True, env=environment())
    chance, kills, ranks = random.Random(4), 0, [1, 2, 3, 4]
    while kills < 10:
        run = subprocess.Popen(command(longer, tmp_path, ranks[kills % 4]), env=environment(), start_new_session=True)
        wait_for_a_commit(tmp_path, run)
        time.sleep(chance.uniform(0.0, 0.7))
        assert run.poll() is None, "the run ended before it could be killed"
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        subprocess.run(["pkill", "-9", "-f", str(tmp_path / "state")], check=False)
        kills += 1
    subprocess.run(command(longer, tmp_path, 2), check=True, env=environment())
    assert_same(datasets(tmp_path / "bank.h5"), datasets(once / "bank.h5"))


MANY = """
import numpy as np
from hpcrg.comm import share
from hpcrg.edges import mpi
ranks = mpi.world(3)
rows = np.arange(7 * 5, dtype=np.float64).reshape(7, 5)
mine = share(7, 3, ranks.rank)
for most in (mpi.MOST, 10):
    mpi.MOST = most
    assert np.array_equal(ranks.allgather(rows[mine.start : mine.stop], 7), rows)
"""


def test_rows_are_gathered_where_their_elements_are_too_many_to_count():
    run = [mpiexec(), "-n", "3", sys.executable, "-m", "mpi4py", "-c", MANY]
    subprocess.run(run, check=True, env=environment(), timeout=120)


def test_a_world_of_the_wrong_size_is_refused(alone, tmp_path):
    campaign, _ = alone
    wrong = command(campaign, tmp_path, 2)
    wrong[2] = "1"
    run = subprocess.run(wrong, env=environment(), capture_output=True, text=True)
    assert run.returncode == 2
    assert "expected a world of 2 ranks, found 1" in run.stderr
    assert not (tmp_path / "bank.h5").exists()


def test_sigterm_keeps_everything_and_exits_75(alone, tmp_path):
    campaign, _ = alone
    longer = tmp_path / "c.yaml"
    longer.write_text(campaign.read_text().replace("draws: 600", "draws: 100000"))
    one = command(longer, tmp_path, 1)[3:]
    run = subprocess.Popen(one, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_for_a_commit(tmp_path, run)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 75
    assert "goes on from there" in err
    assert list((tmp_path / "state").rglob("checkpoint"))


def test_two_runs_on_one_ensemble_are_refused(alone, tmp_path):
    campaign, _ = alone
    longer = tmp_path / "c.yaml"
    longer.write_text(campaign.read_text().replace("draws: 600", "draws: 100000"))
    first = subprocess.Popen(command(longer, tmp_path, 1)[3:], env=environment(), stderr=subprocess.DEVNULL)
    try:
        wait_for_a_commit(tmp_path, first)
        second = subprocess.run(command(longer, tmp_path, 1)[3:], env=environment(), capture_output=True, text=True)
        assert second.returncode == 2
        assert "only run on this ensemble" in second.stderr
    finally:
        first.terminate()
        first.wait()


def test_what_one_rank_cannot_get_over_ends_all_ranks(alone, tmp_path):
    campaign, _ = alone
    subprocess.run(command(campaign, tmp_path, 2), check=True, env=environment())
    checkpoint = next((tmp_path / "state").rglob("chain-0000/checkpoint"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    plain = [a for a in command(campaign, tmp_path, 2) if a != "mpi4py"]
    plain.remove("-m")  # `python -m hpcrg`, without mpi4py's own abort
    run = subprocess.run(plain, env=environment(), capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "fits its sha256" in run.stderr + run.stdout


def test_more_ranks_than_walkers(tmp_path):
    """Those that are left over rest; also when the bank is extended."""
    two = CAMPAIGN.replace("2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7", "2.2, 2.3").replace("chains: 2", "chains: 1")
    found = {}
    for ranks in (1, 4):
        (out := tmp_path / str(ranks)).mkdir()
        for draws in (10, 20):
            (out / "c.yaml").write_text(two.replace("DRAWS", str(draws)))
            subprocess.run(command(out / "c.yaml", out, ranks), check=True, env=environment())
        found[ranks] = datasets(out / "bank.h5")
    arrays, attributes = found[4]
    assert attributes == found[1][1]
    assert all(np.array_equal(values, found[1][0][name]) for name, values in arrays.items())
