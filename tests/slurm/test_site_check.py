"""`hpcrg site check` on a SLURM of one machine: what works passes, and each thing that does not is named."""

import subprocess
import sys

import pytest
from minislurm import SITE

pytestmark = [pytest.mark.slurm, pytest.mark.mpi]


def check(slurm, place, site):
    """Level and text of every subject, and the exit status."""
    (place / "site.toml").write_text(site)
    environment = slurm.environment | {"HYDRA_IFACE": "lo"}
    command = [sys.executable, "-m", "hpcrg", "site", "check", "site.toml", "--patience", "120"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=500)
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return {subject: (level, text) for level, subject, text in rows}, done


def test_everything_that_hpcrg_asks_for(slurm, tmp_path):
    found, done = check(slurm, tmp_path, SITE)
    assert done.returncode == 0, done.stdout + done.stderr
    levels = {subject: level for subject, (level, _) in found.items()}
    passed = dict.fromkeys(("jobs", "MPI", "locks", "signals", "requeue", "Dask", "torchrun"), "PASSED")
    assert levels == passed | {"GPU": "WARNING"}  # the GPUs are links to /dev/null
    assert "CUDA_VISIBLE_DEVICES is 0" in found["GPU"][1]
    assert "2 nodes" in found["MPI"][1]


def test_a_launcher_that_is_not_the_one_of_the_mpi_library(slurm, tmp_path):
    """srun without PMI starts two worlds of one rank each, without a word."""
    found, done = check(
        slurm, tmp_path, SITE.replace("--mpi=pmi2", "--mpi=none").replace("[dask]\njobs = 2", "[dask]\njobs = 1")
    )
    assert done.returncode == 2
    assert found["MPI"][0] == "ERROR"
    assert "one world of 2 ranks, found worlds of 1" in found["MPI"][1]


def test_a_partition_that_is_not_there(slurm, tmp_path):
    found, done = check(slurm, tmp_path, SITE.replace('cpu = "cpu"', 'cpu = "cqu"'))
    assert done.returncode == 2
    assert list(found) == ["jobs"]
    assert "invalid partition" in found["jobs"][1]
