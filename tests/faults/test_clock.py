"""A clock that goes back by an hour in the middle of the work (shim.c), and files that are an hour ahead of the clock."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from injection import CAMPAIGN, ENVIRONMENT, datasets, finish, hpcrg, producing, sampling, wait_for, written

ROOT = Path(__file__).resolve().parents[2]


def broken(shim, place):
    """The environment, and the file at which the clock goes back."""
    return place / "back", {"LD_PRELOAD": shim, "SHIM_BACK": str(place / "back")}


@pytest.mark.parametrize(("command", "name"), [(sampling, "bank"), (producing, "series")])
def test_sampling_and_producing(command, name, calm, shim, tmp_path):
    """Time is measured by a clock that cannot go back; the time of day is written down and no more."""
    back, environment = broken(shim, tmp_path)
    verb = command(written(tmp_path))
    with subprocess.Popen(verb, env=ENVIRONMENT | environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: list((tmp_path / "state").rglob("chain-*")), "a chain")
        back.touch()
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert datasets(tmp_path / f"{name}.h5") == datasets(calm / f"{name}.h5")
    assert back.with_name(f"back.{process.pid}").exists()
    (made,) = json.loads((tmp_path / f"{name}.provenance.json").read_text())
    assert 0 <= made["seconds"] < 600


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "name"), [("flow", "majority"), ("scale", "fss")])
def test_estimates(verb, name, calm, shim, tmp_path):
    """The clocks of the verb, its Dask scheduler and its workers go back once there are workers."""
    banks = {"flow": ["critical-L16.h5"], "scale": ["bank.h5", "scan-L8.h5"]}[verb]
    command = hpcrg(verb, calm, *(str(calm / b) for b in banks), f"--{verb}", name, "--output")
    finish([*command, str(tmp_path / "calm.json"), "--threads"])
    back, environment = broken(shim, tmp_path)
    run = [*command, str(tmp_path / "jump.json")]
    with subprocess.Popen(run, env=ENVIRONMENT | environment, stderr=subprocess.PIPE, text=True) as process:
        children = psutil.Process(process.pid).children
        wait_for(lambda: len(children(recursive=True)) >= 2 or process.poll() is not None, "workers")
        back.touch()
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert len(list(tmp_path.glob("back.*"))) >= 2
    calm_, jump = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("calm", "jump"))
    assert calm_ == jump


@pytest.mark.workflow
@pytest.mark.slow
def test_workflow(calm, shim, tmp_path):
    """Snakemake and all that it starts; as no rule goes by times, nothing runs again for a bank of the future."""
    snakemake = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"), "--directory",
                 str(written(tmp_path)), "--workflow-profile", str(ROOT / "cluster/profiles/local"), "--config",
                 "campaign=c.yaml", "--", "results/faults/flow/majority.json"]  # fmt: skip
    back, environment = broken(shim, tmp_path)
    out = tmp_path / "results/faults"
    with subprocess.Popen(snakemake, env=ENVIRONMENT | environment, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (out / "state").exists(), "sampling")
        back.touch()
        said = process.communicate(timeout=180)[1]
    assert process.returncode == 0, said
    assert len(list(tmp_path.glob("back.*"))) >= 4
    assert datasets(out / "banks/critical-L16.h5") == datasets(calm / "critical-L16.h5")
    later = time.time() + 3600.0
    os.utime(out / "banks/critical-L16.h5", (later, later))
    assert "Nothing to be done" in finish(snakemake)


def test_status_of_files_that_are_ahead(calm, shim, tmp_path):
    """A commit of the future is one of now, and no time is negative."""
    place = written(tmp_path, CAMPAIGN.replace("draws: 300", "draws: 600"))
    shutil.copytree(calm / "state", tmp_path / "results" / "faults" / "state")
    back, environment = broken(shim, tmp_path)
    back.touch()
    said = finish(hpcrg("status", place, "--results", str(tmp_path / "results")), **environment)
    assert "last commit 0 s ago" in said
    assert not re.search(r"-\d+ (s|min|h)", said), said
    assert re.search(r"sample scan-L16 +running +50%", said), said
