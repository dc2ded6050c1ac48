"""The workflow with a campaign file, and in a directory, whose names a shell must not see unquoted."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
ODD = "a 'b' \"c\" $(touch canary) `touch canary`;touch canary"
CAMPAIGN = """
name: quoting
seed: 5
model: {type: ising}
resources: {ranks: 1, workers: 1}
ensembles:
  scan: {sizes: [8, 12], ladder: {temperatures: [2.1, 2.3, 2.5]}, updates: [{type: swendsen_wang}], chains: 4, thermalise: 50, keep: 2, draws: 40}
scale: {fss: {ensemble: scan, check_equilibration: false}}
"""


def test_names_of_files_are_words_of_commands(tmp_path):
    place = tmp_path / ODD
    place.mkdir()
    (place / f"{ODD}.yaml").write_text(CAMPAIGN)
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"), "--directory",
               str(place), "--workflow-profile", str(ROOT / "cluster/profiles/local"), "--config"]  # fmt: skip
    done = subprocess.run([*command, f"campaign={ODD}.yaml"], cwd=place, capture_output=True, text=True)
    assert not list(tmp_path.rglob("canary"))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert (place / "results/quoting/report.html").exists()
