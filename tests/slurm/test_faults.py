"""What a cluster does to a job that samples, and the bank that comes out all the same."""

import os
import signal
import subprocess
import sys
import time

import h5py
import psutil
import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.mpi]
PATIENCE = 120.0
CAMPAIGN = """
name: faults
seed: 3
model: {type: ising}
ensembles:
  long: {sizes: [32], ladder: {temperatures: [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]}, updates: [{type: metropolis}, {type: wolff}], chains: 4, thermalise: 100, keep: 20, draws: 1500}
"""


def command(place, *more):
    """The verb, over what lies in `place`."""
    return [sys.executable, "-m", "mpi4py", "-m", "hpcrg", "sample", str(place / "c.yaml"), "--ensemble", "long-L32",
            "--output", str(place / "bank.h5"), "--state", str(place / "state"), "--interval", "0.3", *more]  # fmt: skip


def datasets(path):
    """Everything that a bank says but where its segments lie."""
    with h5py.File(path) as file:
        told = {k: str(file.attrs[k]) for k in ("schema", "id", "ensemble", "seed", "kernel_version")}
        return told, {k: v[()].tobytes() for k, v in file.items()}


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The bank without SLURM and without faults."""
    place = tmp_path_factory.mktemp("calm")
    (place / "c.yaml").write_text(CAMPAIGN)
    subprocess.run(command(place), check=True, env=os.environ | {"HYDRA_IFACE": "lo"})
    return datasets(place / "bank.h5")


class Batch:
    """The verb as a job of two ranks on two nodes."""

    def __init__(self, slurm, place):
        self.slurm, self.place = slurm, place
        (place / "c.yaml").write_text(CAMPAIGN)
        line = " ".join(["srun --mpi=pmi2 -K1 -n 2", *command(place, "--ranks", "2")])
        (place / "job.sh").write_text(f"#!/bin/bash\nexport FI_TCP_IFACE=lo\n{line}\n")

    def submit(self, *options):
        self.number = self.slurm.call(
            "sbatch", "--parsable", "--requeue", "--ntasks=2", "--nodes=2", "--open-mode=append",
            f"--output={self.place}/job.out", *options, str(self.place / "job.sh"),
        ).strip()  # fmt: skip

    def state(self):
        """Of the job; what SLURM still clears up after goes on, and so does what a busy SLURM says nothing of."""
        found = self.slurm.jobs().get(self.number, "")
        return "RUNNING" if found in ("", "COMPLETING") else found

    def draws(self):
        return len(list((self.place / "state").rglob("draws-*.h5")))

    def wait_for(self, done, what):
        end = time.monotonic() + PATIENCE
        while not done():
            told = (self.place / "job.out").read_text()[-2000:] if (self.place / "job.out").exists() else ""
            assert time.monotonic() < end, f"waited for {what}: {self.state()} {told}"
            time.sleep(0.1)

    def wait_for_draws(self):
        """Until something new has been committed."""
        before = self.draws()
        self.wait_for(lambda: self.draws() > before, "draws")
        assert not (self.place / "bank.h5").exists()

    def rank(self, number):
        """The process of a rank."""
        known = psutil.process_iter(["pid", "cmdline", "environ"])
        (found,) = [p.pid for p in known if str(self.place / "c.yaml") in (p.info["cmdline"] or ()) and
                    (p.info["environ"] or {}).get("SLURM_PROCID") == str(number) and "srun" not in p.info["cmdline"]]  # fmt: skip
        return found

    def finish(self):
        self.wait_for(lambda: self.state() == "COMPLETED", "the end")
        return datasets(self.place / "bank.h5")


@pytest.fixture
def batch(slurm, tmp_path):
    return Batch(slurm, tmp_path)


def test_cancelled_and_submitted_again(batch, calm):
    batch.submit()
    batch.wait_for_draws()
    batch.slurm.call("scancel", batch.number)
    batch.wait_for(lambda: batch.state() == "CANCELLED", "the cancellation")
    assert "the same command goes on from there" in (batch.place / "job.out").read_text()
    batch.submit()
    assert batch.finish() == calm


def test_put_back_into_the_queue(batch, calm):
    batch.submit()
    batch.wait_for_draws()
    batch.slurm.call("scontrol", "requeue", batch.number)
    assert batch.finish() == calm


def test_a_rank_is_killed(batch, calm):
    """SIGKILL to one rank ends the other one too, which would wait for it for ever."""
    batch.submit()
    batch.wait_for_draws()
    os.kill(batch.rank(1), signal.SIGKILL)
    batch.wait_for(lambda: batch.state() == "FAILED", "the job to leave")
    batch.submit()
    assert batch.finish() == calm


def test_preempted(batch, calm, slurm):
    """SLURM puts a preempted job back into the queue only where it had to be killed. One that ends by itself within the
    grace time has failed, and Snakemake's retries submit it again, as here."""
    batch.submit("--partition=scavenge")
    batch.wait_for_draws()
    urgent = slurm.call(
        "sbatch", "--parsable", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap=sleep 1"
    ).strip()  # fmt: skip
    batch.wait_for(lambda: slurm.jobs().get(urgent) == "COMPLETED", "the urgent job")
    batch.wait_for(lambda: slurm.jobs()[batch.number] != "COMPLETING", "the preempted job to leave")
    if batch.state() == "FAILED":
        assert "the same command goes on from there" in (batch.place / "job.out").read_text()
        batch.submit("--partition=scavenge")
    assert batch.finish() == calm


def test_the_daemon_of_a_node_is_killed(batch, calm, slurm):
    """What runs on the node goes on without it."""
    batch.submit()
    batch.wait_for_draws()
    slurm.kill("cpu2")
    batch.wait_for_draws()
    slurm.start_node("cpu2")
    assert batch.finish() == calm


def test_a_node_goes_down(batch, calm, slurm):
    batch.submit()
    batch.wait_for_draws()
    slurm.call("scontrol", "update", "NodeName=cpu2", "State=DOWN", "Reason=test")
    batch.wait_for(lambda: batch.state() != "RUNNING", "the job to leave")
    slurm.call("scontrol", "update", "NodeName=cpu2", "State=RESUME", check=False)  # it may be back by itself
    if batch.state() == "FAILED":  # its ranks were told to stop, and had ended before SLURM put it back
        assert "the same command goes on from there" in (batch.place / "job.out").read_text()
        batch.submit()
    assert batch.finish() == calm


@pytest.mark.slow
def test_a_time_limit(batch, calm):
    """URG comes before the limit, or where ranks take longer than that to start TERM at the limit; the job ends by
    itself with status 75, and the next one goes on."""
    batch.submit("--partition=short", "--time=1", "--signal=URG@50")
    batch.wait_for(lambda: batch.state() not in ("PENDING", "RUNNING"), "the limit")
    if batch.state() != "COMPLETED":
        assert batch.state() in ("FAILED", "TIMEOUT")
        assert "the same command goes on from there" in (batch.place / "job.out").read_text()
        batch.submit()
    assert batch.finish() == calm
