"""The workflow on a small campaign: from the file to the report, nothing twice, and only what a change concerns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
RING = """
name: ring
seed: 5
model: {type: ising}
lattice: {type: hypercubic, dimension: 1}
ensembles:
  ring: {sizes: [8], ladder: {betas: [0.5]}, updates: [{type: swendsen_wang}], chains: 4, thermalise: 50, keep: 5, draws: 500}
hierarchy: {windows: {ensemble: ring, levels: 1, window: 3, starts: 1, folds: 2, iterations: 20}}
"""
CAMPAIGN = """
name: small
seed: 5
model: {type: ising}
resources: {ranks: 2, workers: 1, processes: 2}
ensembles:
  scan: {sizes: [8, 12, 16], ladder: {temperatures: [2.1, 2.2, 2.3, 2.4, 2.5]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 10, draws: 100}
  critical: {sizes: [16], ladder: {critical: true}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 2, draws: 400}
  phases: {sizes: [8, 12, 16], ladder: {temperatures: [1.6, 1.8, 2.0, 2.2, 2.3, 2.4, 2.6, 2.9, 3.2]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 5, draws: 200}
  tuned: {sizes: [8], ladder: {tune: {coldest: 1.8, hottest: 3.0, slots: 4, pilot_rounds: 400}}, updates: [{type: metropolis}], chains: 2, draws: 10}
scale: {fss: {ensemble: scan}}
flow: {majority: {ensemble: critical, scheme: majority, levels: 2}}
train: {cnn: {ensemble: phases, cold: 3, hot: 3, seeds: 2, epochs: 3}}
stack: {deep: {ensemble: critical, layers: [8, 2], epochs: 1, seeds: 2, annealing: 20, controls: [random, permuted]}}
"""
TAUGHT = """
name: taught
seed: 6
model: {type: ising}
lattice: {type: triangular, dimension: 2}
resources: {ranks: 2, workers: 1, processes: 2}
ensembles:
  phases: {sizes: [8, 12], ladder: {temperatures: [2.6, 2.9, 3.2, 3.5, 3.7, 3.9, 4.2, 4.6, 5.1]}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 5, draws: 200}
train:
  far: {ensemble: phases, cold: 3, hot: 3, seeds: 2, taught_by: {campaign: small, train: cnn, ensemble: phases, size: 16}}
"""


def snakemake(place, *arguments, check=True, campaign="c.yaml"):
    """Snakemake as a user starts it, but without the environment's programs on PATH."""
    command = [str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(place),
               "--workflow-profile", str(ROOT / "cluster/profiles/local"), "--config", f"campaign={campaign}"]  # fmt: skip
    environment = os.environ | {"PATH": "/usr/bin:/bin", "HYDRA_IFACE": "lo"}
    return subprocess.run(
        [*command, *arguments], cwd=place, env=environment, check=check, capture_output=True, text=True
    )


def jobs(run):
    """How many jobs of each rule a dry run or a run lists."""
    text = run.stdout + run.stderr
    if "Job stats:" not in text:
        return {}
    table = text.split("Job stats:")[1].split("total")[0].splitlines()[3:]
    return {name: int(count) for name, count in (line.split() for line in table if line.strip())}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("workflow")
    (directory / "c.yaml").write_text(CAMPAIGN)
    snakemake(directory)
    return directory


def test_from_one_file_to_the_report(place):
    rows = json.loads((place / "results/small/estimates.json").read_text())
    found = {(r["quantity"], r["method"]) for r in rows}
    wanted = {("T_c", "fss/crossing"), ("nu", "fss/crossing"), ("y_t", "mcrg/majority"), ("y_h", "mcrg/majority"),
              ("T_c", "cnn/classifier"), ("T_c", "baseline/abs_m"), ("T_c", "baseline/binder"),
              ("K_nn", "pseudo-likelihood"), ("divergence per site", "rbm/first machine")}  # fmt: skip
    assert wanted <= found
    crossing = next(r for r in rows if (r["quantity"], r["method"]) == ("T_c", "fss/crossing"))
    assert abs(crossing["pull"]) < 5
    page = (place / "results/small/report.html").read_text()
    assert "fss/crossing" in page
    assert 'src="http' not in page


def test_a_second_run_runs_nothing(place):
    run = snakemake(place)
    assert "Nothing to be done" in run.stdout + run.stderr


def test_networks_of_one_campaign_on_the_banks_of_another(place, tmp_path):
    (tmp_path / "t.yaml").write_text(TAUGHT)
    run = snakemake(tmp_path, check=False, campaign="t.yaml")
    assert run.returncode != 0
    assert "expected a network of train.cnn of the campaign small, which has to be run first" in run.stdout + run.stderr
    (place / "t.yaml").write_text(TAUGHT)
    snakemake(place, campaign="t.yaml")
    rows = json.loads((place / "results/taught/estimates.json").read_text())
    found = {(r["quantity"], r["method"]): r for r in rows}
    assert {("T_c", "cnn/decision"), ("T_c", "baseline/abs_m"), ("T_c", "baseline/binder")} <= found.keys()
    assert found["T_c", "cnn/decision"]["reference"]["value"] == pytest.approx(3.6409569)
    page = (place / "results/taught/report.html").read_text()
    assert "these are networks of small, train.cnn, trained on phases-L16" in page
    assert "Nothing to be done" in snakemake(place, campaign="t.yaml").stderr


def test_a_changed_size_reruns_only_what_depends_on_it(place):
    text = CAMPAIGN.replace("scan: {sizes: [8, 12, 16]", "scan: {sizes: [8, 12, 20]")
    (place / "c.yaml").write_text(text)
    assert jobs(snakemake(place, "--dry-run")) == {"all": 1, "inspect": 1, "report": 1, "sample": 1, "scale": 1}
    (place / "c.yaml").write_text(CAMPAIGN)
    assert jobs(snakemake(place, "--dry-run")) == {}


def test_more_draws_rerun_one_ensemble_and_its_analysis(place):
    text = CAMPAIGN.replace("draws: 400", "draws: 500")
    (place / "c.yaml").write_text(text)
    assert jobs(snakemake(place, "--dry-run")) == {
        "all": 1, "fields": 1, "flow": 1, "inspect": 1, "report": 1, "sample": 1, "stack": 2
    }  # fmt: skip
    (place / "c.yaml").write_text(CAMPAIGN)


def test_a_mistake_in_the_campaign_is_named_without_a_traceback(place, tmp_path):
    (tmp_path / "c.yaml").write_text(CAMPAIGN.replace("scheme: majority", "scheme: majorty"))
    run = snakemake(tmp_path, check=False)
    text = run.stdout + run.stderr
    assert run.returncode != 0
    assert "did you mean 'majority'" in text
    assert "Traceback" not in text
    assert not (tmp_path / "results").exists()


def test_lint_leaves_only_the_remarks_that_contributing_answers():
    run = subprocess.run([str(BIN / "snakemake"), "--lint"], cwd=ROOT, capture_output=True, text=True)
    text = run.stdout + run.stderr
    assert "Traceback" not in text
    remarks = {line.strip(" *:").split(":")[0] for line in text.splitlines() if line.startswith("    * ")}
    outside = {
        f"Shell command directly uses variable {name} from outside of the rule"
        for name in ("DASK", "HPCRG", "NODES", "ONE_A_NODE", "SAMPLING")
    }
    assert remarks == {"No log directive defined", "Specify a conda environment or container for each rule."} | outside


def test_a_campaign_of_rings(tmp_path):
    """A hierarchical network from its bank to the report; and nothing runs twice."""
    (tmp_path / "c.yaml").write_text(RING)
    snakemake(tmp_path)
    (row,) = json.loads((tmp_path / "results/ring/estimates.json").read_text())
    assert (row["quantity"], row["method"]) == ("-ln p per site", "hierarchy/network")
    assert row["reference"]["source"] == "exact entropy"
    assert row["value"] > row["reference"]["value"] - 4 * row["error"]
    assert "Nothing to be done" in snakemake(tmp_path).stderr
