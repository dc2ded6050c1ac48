"""What `hpcrg status` says of a campaign from nothing to done, and of results that are no longer asked for."""

import os

import pytest

from hpcrg import status
from hpcrg.campaign import parse
from hpcrg.comm import Alone
from hpcrg.edges.sampling import run_producing, run_sampling
from hpcrg.errors import InputError, Interrupted
from hpcrg.sampler import Limits, sample

CAMPAIGN = """
name: small
seed: 5
model: {type: ising}
ensembles:
  scan: {sizes: [4, 6], ladder: {temperatures: [2.1, 2.3, 2.5]}, updates: [{type: metropolis}], chains: 2, thermalise: 70, keep: 10, draws: 20}
scale: {fss: {ensemble: scan}}
percolation: {site: {type: site, sizes: [4, 6], realisations: 20, chains: 3}}
"""


@pytest.fixture
def campaign():
    return parse(CAMPAIGN, "c.yaml")


def told(campaign, results):
    return {row.name: row for row in status.of_campaign(campaign, results)}


def test_from_nothing_to_done(campaign, tmp_path):
    rows = told(campaign, tmp_path)
    assert {r.state for r in rows.values()} == {"not begun"}
    assert rows["scale fss"].told == "waits for 2 of 2 files"
    out = tmp_path / "small"
    for ensemble in campaign.ensembles():
        run_sampling(ensemble, out / "banks" / f"{ensemble.label}.h5", out / "state", None, None, 30.0)
    for series in campaign.series():
        run_producing(series, out / "series" / f"{series.label}.h5", out / "state", None, None, 30.0)
    rows = told(campaign, tmp_path)
    assert {rows[f"sample scan-L{size}"].state for size in (4, 6)} == {"done"}
    assert {rows[f"produce site-L{size}"].state for size in (4, 6)} == {"done"}
    assert rows["sample scan-L4"].told.startswith("1 run on ")
    assert rows["scale fss"] == status.Progress("scale fss", "not begun", 0.0)


def test_half_way_and_quiet(campaign, tmp_path):
    ensemble = campaign.ensemble("scan-L4", None)
    state = tmp_path / "small" / "state"
    calls = iter(range(100))
    with pytest.raises(Interrupted):  # the first chain is whole, and of the second some draws
        sample(ensemble, tmp_path / "bank.h5", state, Alone(), Limits(0.0, lambda: next(calls) > 31), lambda *_: None)
    row = told(campaign, tmp_path)["sample scan-L4"]
    assert row.state == "running"
    assert 0.5 < row.fraction < 1
    assert row.left is not None
    for file in state.rglob("*"):
        if file.is_file():
            os.utime(file, (1e9, 1e9))
    row = told(campaign, tmp_path)["sample scan-L4"]
    assert row.state == "waiting"
    assert row.told.startswith("last commit ")


def test_results_that_are_no_longer_asked_for(campaign, tmp_path):
    out = tmp_path / "small"
    ensemble = campaign.ensemble("scan-L4", None)
    run_sampling(ensemble, out / "banks" / "scan-L4.h5", out / "state", None, None, 30.0)
    (out / "scale").mkdir()
    (out / "scale" / "fss.json").write_text("[]")
    longer = parse(CAMPAIGN.replace("draws: 20", "draws: 40"), "c.yaml")
    row = told(longer, tmp_path)["sample scan-L4"]
    assert row.fraction == 0.5  # the old draws count
    assert "a bank of 2 x 20 draws is there" in row.told
    hotter = parse(CAMPAIGN.replace("2.5]", "2.6]"), "c.yaml")
    assert told(hotter, tmp_path)["sample scan-L4"].state == "stale"
    assert told(hotter, tmp_path)["scale fss"].state == "stale"


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (200, "3 min"), (9000, "2.5 h"), (300000, "3.5 d")])
def test_durations(seconds, text):
    assert status.duration(seconds) == text


def test_a_run_that_failed(campaign, tmp_path):
    """Until another run begins; what SLURM says of a job stands before it."""
    ensemble = campaign.ensemble("scan-L4", None)
    out = tmp_path / "small"
    arguments = (ensemble, out / "banks" / "scan-L4.h5", out / "state", None, None, 30.0)
    run_sampling(*arguments)
    (checkpoint,) = (out / "state" / ensemble.id).glob("chain-*1/checkpoint")
    checkpoint.write_bytes(b"other")
    (out / "banks" / "scan-L4.h5").unlink()
    with pytest.raises(InputError):
        run_sampling(*arguments)
    rows = status.with_jobs(status.of_campaign(campaign, tmp_path), {"sample scan-L4": "SLURM job 7 is held"})
    row = next(r for r in rows if r.name == "sample scan-L4")
    assert row.state == "failed"
    assert row.told.startswith("SLURM job 7 is held; failed: ")
    assert "checkpoint" in row.told
