"""A Dask graph inside one SLURM job: scheduler, verb and workers are its tasks; the estimates are those of one machine."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif("HPCRG_TEST_RUNNER" not in os.environ, reason="hung once on a loaded machine, cause not found; "
                       "set HPCRG_TEST_RUNNER to run it"),
]  # fmt: skip
CAMPAIGN = """
name: dask
seed: 5
model: {type: ising}
ensembles:
  scan: {sizes: [8, 12], ladder: {temperatures: [2.1, 2.2, 2.3, 2.4, 2.5]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 10, draws: 100}
scale: {fss: {ensemble: scan}}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the campaign and its banks."""
    place = tmp_path_factory.mktemp("dask")
    (place / "c.yaml").write_text(CAMPAIGN)
    for label in ("scan-L8", "scan-L12"):
        hpcrg(place, os.environ, "sample", "c.yaml", "--ensemble", label, "--output", f"{label}.h5", "--state", "state")
    return place


def hpcrg(place, environment, *arguments, before=()):
    """A verb, which has to end well."""
    command = [*before, sys.executable, "-m", "hpcrg", *arguments]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def test_tasks_of_one_job_are_scheduler_verb_and_workers(place, slurm):
    scale = ["scale", "c.yaml", "scan-L8.h5", "scan-L12.h5", "--scale", "fss", "--output"]
    hpcrg(place, os.environ, *scale, "here.json", "--workers", "1")
    hpcrg(place, slurm.environment, *scale, "job.json", "--scheduler", f"runner:{place}/scheduler.json",
          before=("srun", "--ntasks=4", "--nodes=2"))  # fmt: skip
    assert json.loads((place / "job.json").read_text()) == json.loads((place / "here.json").read_text())
