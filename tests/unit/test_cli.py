"""The command line: quick help, a plan with ids and costs, tuned ladders, inspection and verification of a bank."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

CAMPAIGN = """
name: verbs
seed: 3
model: {type: ising}
ensembles:
  near: {sizes: [8], ladder: {temperatures: [2.2, 2.4]}, updates: [{type: swendsen_wang}], chains: 3, thermalise: 50, keep: 2, draws: 40}
  tuned: {sizes: [8], ladder: {tune: {coldest: 1.8, hottest: 3.2, slots: 6, pilot_rounds: 1000}}, updates: [{type: metropolis}], chains: 3, draws: 5}
"""


def hpcrg(*arguments, cwd, check=True):
    run = subprocess.run([sys.executable, "-m", "hpcrg", *arguments], cwd=cwd, capture_output=True, text=True)
    assert not check or run.returncode == 0, run.stderr
    return run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("verbs")
    (directory / "c.yaml").write_text(CAMPAIGN)
    return directory


def test_help_loads_nothing_heavy(place):
    run = hpcrg("--help", cwd=place)
    assert all(verb in run.stdout for verb in ("plan", "sample", "flow", "scale", "train", "report", "verify"))
    heavy = "import sys, hpcrg.cli; print([m for m in ('numba', 'torch', 'dask', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout.strip() == "[]"


def test_plan_names_ensembles_and_costs(place):
    text = hpcrg("plan", "c.yaml", cwd=place).stdout
    assert "near-L8" in text
    assert "(ladder to be tuned)" in text
    # 64 sites, 2 slots, 3 chains, 130 rounds
    assert "49.9 k" in text


def test_schema_is_json(place):
    assert json.loads(hpcrg("schema", cwd=place).stdout)["title"] == "Campaign"


def test_a_tuned_ladder_equalises_rejection_and_is_sampled(place):
    hpcrg("tune", "c.yaml", "--ensemble", "tuned-L8", "--output", "ladder.json", cwd=place)
    record = json.loads((place / "ladder.json").read_text())
    rejection = np.array(record["rejection"])
    assert len(record["betas"]) == 6
    assert rejection.max() / rejection.min() < 1.6
    even = np.linspace(1 / 1.8, 1 / 3.2, 6)
    assert not np.allclose(record["betas"], even, rtol=0.01)
    sample = ["sample", "c.yaml", "--ensemble", "tuned-L8", "--output", "tuned.h5", "--state", "state"]
    run = hpcrg(*sample, cwd=place, check=False)
    assert run.returncode == 2
    assert "expected a tuned ladder" in run.stderr
    hpcrg(*sample, "--ladder", "ladder.json", cwd=place)


@pytest.mark.parametrize(
    ("ladder", "found"),
    [("[1, 2]", "found 'list'"), ("{}", "found (None, None)"), ('{"schema": "hpcrg.ladder/1", "ensemble": "tuned-L8"}', "betas"),
     ('{"schema": "hpcrg.ladder/1", "ensemble": "tuned-L8", "betas": [0.5, -0.1]}', "positive numbers"),
     ('{"schema": "hpcrg.ladder/1", "ensemble": "near-L8", "betas": [0.5]}', "near-L8")],
)  # fmt: skip
def test_a_file_that_is_no_ladder_of_this_ensemble_is_refused(place, ladder, found):
    (place / "wrong.json").write_text(ladder)
    sample = ["sample", "c.yaml", "--ensemble", "tuned-L8", "--output", "wrong.h5", "--state", "wrong"]
    run = hpcrg(*sample, "--ladder", "wrong.json", cwd=place, check=False)
    assert run.returncode == 2
    assert found in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(("more", "found"), [(["b.h5"], "one file of series"), (["--workers", "2"], "--workers")])
def test_scaling_a_network_takes_one_file_and_no_workers(place, more, found):
    run = hpcrg("scale", "c.yaml", "a.h5", *more, "--train", "cnn", "--output", "e.json", cwd=place, check=False)
    assert run.returncode == 2
    assert found in run.stderr


def test_inspect_and_verify_a_bank(place):
    hpcrg("sample", "c.yaml", "--ensemble", "near-L8", "--output", "near.h5", "--state", "own", cwd=place)
    text = hpcrg("inspect", "near.h5", "--figures", "near.figures.json", cwd=place).stdout
    assert "round trips" in text
    assert "tau energy" in text
    assert (place / "near.figures.json").exists()
    assert "verified" in hpcrg("verify", "near.h5", "--replay", "40", cwd=place).stdout
    segment = next((place / "own").rglob("draws-*.h5"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 4
    segment.write_bytes(content)
    run = hpcrg("verify", "near.h5", cwd=place, check=False)
    assert run.returncode == 2
    assert "sha256" in run.stderr


def test_a_second_process_starts_and_samples_in_three_seconds_of_its_processor(place):
    sample = ["sample", "c.yaml", "--ensemble", "near-L8", "--output", "again.h5"]
    hpcrg(*sample, "--state", "first", cwd=place)
    spent = []
    for name in ("second", "third", "fourth"):
        begun = os.times()
        hpcrg(*sample, "--state", name, cwd=place)
        ended = os.times()
        spent.append(ended.children_user - begun.children_user + ended.children_system - begun.children_system)
    assert min(spent) < 3.0  # a kernel that is compiled again takes longer; the best of three: caches may be cold
