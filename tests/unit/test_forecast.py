"""What `plan` says of the work that is there and of jobs: reruns, and predictions corrected by jobs that are done."""

import json
from pathlib import Path

import pytest

from hpcrg.campaign import parse
from hpcrg.comm import Alone
from hpcrg.forecast import steps
from hpcrg.plan import Timings, cost, costs, series_costs
from hpcrg.sampler import Limits, sample
from hpcrg.status import standing

TEXT = """
name: c
seed: 1
model: {type: ising}
resources: {ranks: 1, workers: 1, processes: 1}
ensembles:
  scan: {sizes: [4, 6], ladder: {temperatures: [2.1, 2.3]}, updates: [{type: metropolis}], thermalise: 10, keep: 2, draws: 20}
scale: {fss: {ensemble: scan}}
"""


def campaign(*changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(text, "c.yaml")


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """The banks of the campaign as it stands."""
    place = tmp_path_factory.mktemp("results") / "c" / "banks"
    for e in campaign().ensembles():
        sample(e, place / f"{e.label}.h5", place.parent / "state", Alone(), Limits(), lambda *_: None)
    return place


def standings(banks, *changes):
    return [standing(e, banks / f"{e.label}.h5") for e in campaign(*changes).ensembles()]


def test_a_rerun_is_told_beforehand(banks):
    assert standings(banks) == ["done", "done"]
    assert standings(banks, ("[4, 6]", "[4, 6, 8]")) == ["done", "done", "new"]
    assert standings(banks, ("draws: 20", "draws: 30")) == ["extends 8 chains x 20 draws"] * 2
    assert standings(banks, ("draws: 20", "draws: 20, chains: 9"))[0] == "extends 8 chains x 20 draws"
    assert standings(banks, ("draws: 20", "draws: 10"))[0] == "cut from 8 chains x 20 draws"
    hotter = standings(banks, ("[2.1, 2.3]", "[2.1, 2.2, 2.3]"))
    assert hotter == ["new: other temperatures than the bank of 8 chains x 20 draws there"] * 2
    assert "other updates" in standings(banks, ("metropolis", "wolff"))[0]
    assert "other seed" in standings(banks, ("seed: 1", "seed: 2"))[0]


def test_a_file_that_is_no_bank_is_told(tmp_path):
    (tmp_path / "scan-L4.h5").write_text("something else")
    e = campaign().ensembles()[0]
    assert standing(e, tmp_path / "scan-L4.h5").startswith("new: ")


def foreseen(results, timings):
    c = campaign()
    known = [*costs(c, timings), *series_costs(c, timings)]
    return {s.title: s for s in steps(c, results, timings, known)}


def test_jobs_that_are_done_correct_the_others(banks):
    results, timings = banks.parent.parent, Timings()
    before = foreseen(results, timings)
    assert set(before) == {"sample scan-L4", "sample scan-L6", "inspect", "scale fss", "report"}
    assert before["sample scan-L4"].used is None
    took = {"seconds": 7 * before["sample scan-L4"].seconds, "memory": 3 * before["sample scan-L4"].memory}
    run = {"id": "x", "ranks": 1, "outcome": "finished", **took}
    (banks / "scan-L4.provenance.json").write_text(json.dumps([run]))
    after = foreseen(results, timings)
    assert after["sample scan-L4"].used == run
    assert after["sample scan-L6"].seconds == pytest.approx(7 * before["sample scan-L6"].seconds, rel=0.1)
    assert after["sample scan-L6"].memory == pytest.approx(3 * before["sample scan-L6"].memory)
    assert after["sample scan-L6"].earlier == 1
    assert after["scale fss"].seconds == before["scale fss"].seconds
    (banks / "scan-L4.provenance.json").write_text(json.dumps([run, run]))  # two runs: neither did all of it
    assert foreseen(results, timings)["sample scan-L6"].earlier == 0


def test_costs_grow_as_the_work_does():
    timings = Timings()
    small, large = (cost(e, timings, None) for e in campaign(("[4, 6]", "[16, 32]")).ensembles())
    assert large.spin_updates == 4 * small.spin_updates
    assert 2 < large.core_hours / small.core_hours < 8
    twice = cost(campaign(("draws: 20", "draws: 40")).ensembles()[0], timings, None)
    once = cost(campaign().ensembles()[0], timings, None)
    assert twice.spin_updates / once.spin_updates == pytest.approx(90 / 50)


def test_timings_are_kept_and_asked_for_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HPCRG_CACHE_DIR", str(tmp_path))
    first = Timings()
    assert first.get("a", lambda: 3.0) == first.get("a", lambda: 4.0) == 3.0
    first.save()
    assert Timings().get("a", lambda: 5.0) == 3.0
    assert Timings(refresh=True).get("a", lambda: 5.0) == 5.0
    assert Path(tmp_path).iterdir()
