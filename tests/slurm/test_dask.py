"""A Dask graph on SLURM, its workers tasks of one job or jobs of their own: the estimates are those of one machine."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from minislurm import SITE

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "security"))
from listening import Seen

pytestmark = pytest.mark.slurm
CAMPAIGN = """
name: dask
seed: 5
model: {type: ising}
ensembles:
  scan: {sizes: [8, 12], ladder: {temperatures: [2.1, 2.2, 2.3, 2.4, 2.5]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 10, draws: 100}
scale: {fss: {ensemble: scan}}
"""


RUNNER = ("srun", "--ntasks=4", "--nodes=2")
LATE = 'if [ "$SLURM_PROCID" = {task} ]; then sleep {seconds}; fi; exec "$@"'
PATIENCE = 240


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the campaign, its banks and the estimates of one machine."""
    place = tmp_path_factory.mktemp("dask")
    (place / "c.yaml").write_text(CAMPAIGN)
    for label in ("scan-L8", "scan-L12"):
        hpcrg(place, os.environ, "sample", "c.yaml", "--ensemble", label, "--output", f"{label}.h5", "--state", "state")
    hpcrg(place, os.environ, *scale("here.json"), "--workers", "1")
    return place


def scale(output):
    return "scale", "c.yaml", "scan-L8.h5", "scan-L12.h5", "--scale", "fss", "--output", output


def hpcrg(place, environment, *arguments, before=(), status=0):
    """What a verb says, which has to end in time with `status`. Nothing that runs under its directory meanwhile, whoever
    started it, may listen beyond the loopback interface, which is the network between the nodes here."""
    command = [*before, sys.executable, "-m", "hpcrg", *arguments]
    seen, end = Seen(), time.monotonic() + PATIENCE
    with (place / "said").open("w+") as said:
        process = subprocess.Popen(command, cwd=place, env=environment, stderr=said, stdout=said, text=True)
        while process.poll() is None and time.monotonic() < end:
            for each in running_in(place):
                seen.look(each)
            time.sleep(0.2)
        process.kill()
        process.wait()
        said.seek(0)
        text = said.read()
    assert process.returncode == status, text[-4000:]
    assert "Traceback" not in text, text
    assert seen.beyond == set()
    return text


def running_in(place):
    """The Pythons whose working directory is this one: tasks and jobs start where they are submitted."""
    for process in psutil.process_iter(["cwd", "name"]):
        if process.info["cwd"] == str(place) and "python" in (process.info["name"] or ""):
            yield process


def estimates(place, name):
    return json.loads((place / name).read_text())


def run(place, slurm, name, *more, before=RUNNER):
    """The verb among the tasks of a step; its estimates have to be those of one machine."""
    said = hpcrg(place, slurm.environment, *scale(f"{name}.json"), "--scheduler", f"runner:{place}/{name}.scheduler",
                 *more, before=before)  # fmt: skip
    assert estimates(place, f"{name}.json") == estimates(place, "here.json")
    return said


def test_tasks_of_one_job_are_scheduler_verb_and_workers(place, slurm):
    said = run(place, slurm, "job")
    assert "dask dashboard: https://127.0.0.1:" in said
    left = json.loads((place / "job.scheduler").read_text())
    assert left["address"] is None
    assert not list(place.glob(".hpcrg-tls-*")), "keys do not outlive the run"
    assert "dask dashboard: http://127.0.0.1:" in run(place, slurm, "job", "--no-tls"), "by the file that is there"


@pytest.mark.slow
@pytest.mark.parametrize("task", [1, 3])
def test_a_task_that_starts_late_holds_nobody(place, slurm, task):
    """The scheduler or the verb is waited for; a worker that finds all done ends."""
    late = LATE.format(task=task, seconds=30 if task == 3 else 5)
    run(place, slurm, f"late-{task}", before=(*RUNNER, "bash", "-c", late, "hpcrg"))


def test_a_verb_that_fails_ends_every_task(place, slurm):
    arguments = scale("fails.json")[:3]
    (place / "broken.h5").write_bytes(b"no bank")
    said = hpcrg(place, slurm.environment, *arguments, "broken.h5", *scale("fails.json")[4:], "--scheduler",
                 f"runner:{place}/fails.scheduler", before=RUNNER, status=2)  # fmt: skip
    assert said.count("broken.h5: expected an hpcrg bank") == 1


def test_too_few_tasks_are_refused(place, slurm):
    said = hpcrg(place, slurm.environment, *scale("few.json"), "--scheduler", f"runner:{place}/few.scheduler",
                 before=("srun", "--ntasks=2"), status=2)  # fmt: skip
    assert "a SLURM step of at least 3 tasks" in said


@pytest.mark.slow
@pytest.mark.parametrize("tls", ["true", "false"])
def test_workers_as_jobs(place, slurm, tls):
    """Encrypted unless the site says otherwise, from a directory whose name no shell may see unquoted."""
    odd = place / f"a 'b' $(touch canary) {tls}"
    odd.mkdir()
    (odd / "site.toml").write_text(SITE.replace("jobs = 2", f"jobs = 2\ntls = {tls}"))
    files = ["../c.yaml", "../scan-L8.h5", "../scan-L12.h5"]
    arguments = [*("scale", *files, "--scale", "fss", "--output", "jobs.json"), "--scheduler", "slurm:site.toml"]
    said = hpcrg(odd, slurm.environment, *arguments)
    assert f"dask dashboard: http{'s' if tls == 'true' else ''}://127.0.0.1:" in said
    assert estimates(odd, "jobs.json") == estimates(place, "here.json")
    assert not list(place.rglob("canary"))
    assert not list(odd.glob(".hpcrg-tls-*"))
