"""A campaign on a SLURM of one machine: MPI ranks on two nodes, Dask workers as jobs, torchrun over two nodes; the same
estimates as without SLURM."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from minislurm import SITE

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CAMPAIGN = """
name: small
seed: 5
model: {type: ising}
resources: {ranks: 2, workers: 1, processes: 2}
ensembles:
  scan: {sizes: [8, 12], ladder: {temperatures: [2.1, 2.2, 2.3, 2.4, 2.5]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 10, draws: 100}
  critical: {sizes: [16], ladder: {critical: true}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 2, draws: 400}
  phases: {sizes: [8, 12], ladder: {temperatures: [1.6, 1.8, 2.0, 2.2, 2.3, 2.4, 2.6, 2.9, 3.2]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 5, draws: 100}
scale: {fss: {ensemble: scan}}
flow: {majority: {ensemble: critical, scheme: majority, levels: 2}}
train: {cnn: {ensemble: phases, cold: 3, hot: 3, seeds: 1, epochs: 3}}
stack: {deep: {ensemble: critical, layers: [8, 2], epochs: 1, seeds: 2, annealing: 20, controls: [random]}}
"""


def snakemake(place, profile, environment, *more):
    """Snakemake with a profile of this project."""
    command = [str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(place),
               "--workflow-profile", str(ROOT / "cluster/profiles" / profile), *more]  # fmt: skip
    environment = environment | {"HYDRA_IFACE": "lo"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def places(tmp_path_factory, slurm):
    """The campaign run on this machine, and the same on SLURM."""
    found = {}
    for profile in ("local", "slurm"):
        place = found[profile] = tmp_path_factory.mktemp(profile)
        (place / "c.yaml").write_text(CAMPAIGN)
        (place / "site.toml").write_text(SITE)
        where = [] if profile == "local" else ["--slurm-init-seconds-before-status-checks", "2"]
        config = ["--config", "campaign=c.yaml", *([] if profile == "local" else ["site=site.toml", "gpus=1"])]
        snakemake(place, profile, os.environ if profile == "local" else slurm.environment, *where, *config)
    return found


def test_the_estimates_are_those_of_the_laptop(places):
    """All that is deterministic is the same to the last bit, which is everything."""
    local, cluster = (json.loads((places[p] / "results/small/estimates.json").read_text()) for p in places)
    assert [(r["method"], r["quantity"]) for r in local] == [(r["method"], r["quantity"]) for r in cluster]
    for mine, theirs in zip(local, cluster, strict=True):
        if mine["method"].startswith("cnn"):  # sums of gradients may come in another order
            assert abs(mine["value"] - theirs["value"]) < 3 * mine["error"]
        else:
            assert mine == theirs


def test_ranks_were_on_two_nodes_and_workers_were_jobs(places, slurm):
    names = slurm.call("squeue", "-h", "-t", "all", "-o", "%j %D %T").splitlines()
    assert sum(line.startswith("dask-worker") for line in names) >= 2
    assert sum(line.split()[1] == "2" for line in names) >= 6, names  # five banks and the network
    results = places["slurm"] / "results/small"
    provenance = json.loads((results / "banks/scan-L8.provenance.json").read_text())
    assert provenance[-1]["ranks"] == 2
    assert provenance[-1]["job"]
    seeds = [json.loads((results / f"stack/deep/seed{k}.provenance.json").read_text())[-1]["job"] for k in (0, 1)]
    assert len({None, *seeds}) == 3, "a job a seed"


def test_a_second_submission_submits_nothing(places, slurm):
    before = slurm.jobs()
    text = snakemake(
        places["slurm"], "slurm", slurm.environment, "--config", "campaign=c.yaml", "site=site.toml", "gpus=1"
    )
    assert "Nothing to be done" in text
    assert slurm.jobs() == before


MANY = """
name: many
seed: 3
model: {type: ising}
resources: {ranks: 1}
ensembles:
  a: {sizes: [4, 6, 8, 10, 12, 14, 16, 18], ladder: {temperatures: [2.2, 2.3]}, updates: [{type: swendsen_wang}], chains: 2, thermalise: 20, keep: 5, draws: 40}
"""


def test_small_ensembles_packed_into_jobs(tmp_path, slurm):
    (tmp_path / "c.yaml").write_text(MANY)
    before = set(slurm.jobs())
    packed = ["--groups", "sample=small", "--group-components", "small=4"]
    soon = ["--slurm-init-seconds-before-status-checks", "2"]
    snakemake(tmp_path, "slurm", slurm.environment, *packed, *soon, "--config", "campaign=c.yaml")
    assert len(list((tmp_path / "results/many/banks").glob("*.h5"))) == 8
    assert len(set(slurm.jobs()) - before) == 4  # two of sampling, inspect and the report
