"""From a campaign's series to estimates, figures and the report, on tiny settings."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hpcrg import estimate, evaluation, figures, producing
from hpcrg.bank import write_produced
from hpcrg.campaign import parse
from hpcrg.errors import InputError
from hpcrg.report.page import write

CAMPAIGN = """
name: tiny
seed: 3
model: {type: ising}
percolation:
  site: {type: site, sizes: [8, 16, 24], realisations: 50, chains: 8}
dimers:
  free: {sizes: [8, 16, 24, 32], samples: 300, moves: 4, chains: 8}
population:
  cold: {sizes: [4], coldest: 2.0, walkers: 200, chains: 8}
probability_changing:
  dual: {rule: self_dual, sizes: [8, 12], sweeps: 2000, chains: 8}
  half: {rule: half, sizes: [8, 12, 16], sweeps: 2000, chains: 8}
"""
POTTS = """
name: potts
seed: 3
model: {type: potts, q: 20}
flat_histogram:
  flat: {sizes: [12, 16], lowest: -1.99, highest: -0.3, turns: [-1.7, -0.7], final: 1.e-4, rows: 2000, chains: 4, blocks: 4}
"""
WANTED = {
    ("p_c", "percolation/level"), ("p_c", "percolation/crossing"), ("nu", "percolation/slope"),
    ("D_f", "percolation/largest"), ("entropy per site", "dimers/tori"), ("dimer exponent", "dimers/directed_loop"),
    ("monomer exponent", "dimers/directed_loop"), ("ln Z per site at T = 2, L = 4", "population/heat_bath"),
    ("energy per site at T = 2, L = 4", "population/heat_bath"), ("T_c", "probability_changing/self_dual"),
    ("T_c", "probability_changing/half"),
}  # fmt: skip


@pytest.fixture(scope="module", params=[CAMPAIGN, POTTS], ids=["tiny", "potts"])
def place(request, tmp_path_factory):
    """A directory with a campaign, its series and its estimates."""
    directory = tmp_path_factory.mktemp("series")
    campaign = parse(request.param, "c")
    (directory / "c.yaml").write_text(request.param)
    for series in campaign.series():
        made = producing.run(series)
        write_produced(directory / f"{series.label}.h5", series, made.arrays, made.given)
    for name in campaign.series_specs:
        found, data = evaluation.run(campaign, name, [directory / f"{s.label}.h5" for s in campaign.series_of(name)])
        estimate.save(directory / f"{name}.json", found)
        figures.save(directory / f"{name}.figures.json", data)
    return directory, campaign


def test_every_method_gives_estimates_near_the_truth(place):
    """All that is expected, with errors, and no pull beyond what tiny lattices explain."""
    directory, campaign = place
    found = [e for name in campaign.series_specs for e in estimate.load(directory / f"{name}.json")]
    if campaign.name == "tiny":
        assert {(e.quantity, e.method) for e in found} == WANTED
    else:
        assert {e.quantity for e in found} == {"T_c", "latent heat", "2 sigma"}
    for e in found:
        assert e.error > 0
        assert e.reference is not None
        assert abs(e.pull) < 8, e
        assert set(e.replicas) == set(e.source)


def test_they_stand_in_the_report(place):
    """Every method is on the page, with its figures and where its series come from."""
    directory, campaign = place
    files = [directory / f"{n}{end}" for n in campaign.series_specs for end in (".json", ".figures.json")]
    write(directory / "c.yaml", files, directory / "all.json", directory / "report.html")
    page = (directory / "report.html").read_text()
    for row in json.loads((directory / "all.json").read_text()):
        assert row["method"] in page
    assert all(series.id in page for series in campaign.series())


def test_files_of_other_series_are_refused(place):
    """A size that is missing, and a file of another seed."""
    directory, campaign = place
    name = next(n for n in campaign.series_specs if len(campaign.series_of(n)) > 1)
    paths = [directory / f"{s.label}.h5" for s in campaign.series_of(name)]
    with pytest.raises(InputError, match=f"evaluate {name}-L.*expected a file of the series"):
        evaluation.run(campaign, name, paths[1:])
    with pytest.raises(InputError, match="one a size"):
        evaluation.run(campaign, name, [*paths, paths[0]])
    other = parse((directory / "c.yaml").read_text().replace("seed: 3", "seed: 4"), "c")
    with pytest.raises(InputError, match="expected a file of the series"):
        evaluation.run(other, name, paths)


def test_doubtful_fits_are_said_so(place):
    """Two sizes leave nothing to judge a fit by; chi^2 that is too large is named."""
    directory, campaign = place
    name = next(iter(campaign.series_specs))
    estimates, _ = evaluation.run(campaign, name, [directory / f"{s.label}.h5" for s in campaign.series_of(name)])
    fitted = next(e for e in estimates if "quality" in e.settings)
    for settings, words in (({"freedom": 0, "quality": 1.0}, "as many parameters as sizes"),
                            ({"freedom": 2, "quality": 1e-6, "chi2": 28.0}, "chi^2 = 28.0 for 2"),
                            ({"freedom": 2, "quality": 0.5}, None)):  # fmt: skip
        notes = [n.text for n in evaluation.doubts([replace(fitted, settings={**fitted.settings, **settings})])]
        assert [words in text for text in notes] == ([True] if words else [])


def hpcrg(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A verb as a user runs it."""
    return subprocess.run([sys.executable, "-m", "hpcrg", *arguments], cwd=directory, capture_output=True, text=True)


@pytest.mark.parametrize("place", [CAMPAIGN], ids=["tiny"], indirect=True)
def test_the_verbs(place):
    """produce writes the same file as in memory; it stops with 75 and goes on; evaluate, inspect and verify read it."""
    directory, campaign = place
    again = ["produce", "c.yaml", "--series", "site-L16", "--output", "again.h5", "--state", "state"]
    stopped = hpcrg(directory, *again, "--time-limit", "0")
    assert stopped.returncode == 75
    assert not (directory / "again.h5").exists()
    assert hpcrg(directory, *again).returncode == 0
    shown = [hpcrg(directory, "inspect", f"{name}.h5").stdout for name in ("again", "site-L16")]
    assert shown[0] == shown[1]
    assert "sums" in shown[0]
    assert hpcrg(directory, "verify", "again.h5").returncode == 0
    files = [f"{s.label}.h5" for s in campaign.series_of("site")]
    assert hpcrg(directory, "evaluate", "c.yaml", *files, "--series", "site", "--output", "e.json").returncode == 0
    assert json.loads((directory / "e.json").read_text()) == json.loads((directory / "site.json").read_text())
    unknown = hpcrg(directory, *again[:3], "site-L17", *again[4:])
    assert unknown.returncode == 2
    assert "did you mean 'site-L1" in unknown.stderr
    assert hpcrg(directory, "plan", "c.yaml").returncode == 0
