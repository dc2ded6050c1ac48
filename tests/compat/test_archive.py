"""Files written by every past version of each format still read, and say what they said."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import xarray

from hpcrg import checkpoint, estimate, figures
from hpcrg.bank import open_bank, read_series
from hpcrg.bank.read import check_integrity

VERSIONS = sorted(p for p in Path(__file__).parent.iterdir() if p.is_dir() and p.name.startswith("v"))


@pytest.fixture(params=VERSIONS, ids=lambda p: p.name)
def archive(request):
    return request.param


@pytest.mark.parametrize("name", ["ising", "potts"])
def test_banks(name, archive):
    facts = json.loads((archive / "facts.json").read_text())[name]
    path = archive / f"{name}-bank.h5"
    with open_bank(path) as bank:
        pairs = [(c, s) for c in range(2) for s in range(2)]
        spins = np.stack([bank.spins(c, s, 0, bank.draws) for c, s in pairs])
        energy = [int(bank.series("energy", c, s).sum()) for c, s in pairs]
        assert bank.id == facts["id"]
    assert hashlib.sha256(spins.tobytes()).hexdigest() == facts["spins"]
    assert energy == facts["energy"]
    assert list(check_integrity(path)) == []
    with xarray.open_dataset(path) as data:
        assert data["energy"].dims == ("chain", "slot", "measurement")


def test_a_changed_spin_would_be_seen(archive):
    facts = json.loads((archive / "facts.json").read_text())["ising"]
    with open_bank(archive / "ising-bank.h5") as bank:
        spins = np.stack([bank.spins(c, s, 0, bank.draws) for c in range(2) for s in range(2)])
    spins[0, 0, 0, 0] *= -1
    assert hashlib.sha256(spins.tobytes()).hexdigest() != facts["spins"]


def test_checkpoints_series_estimates_and_figures(archive):
    assert int(checkpoint.load(archive / "checkpoint")["round"]) == 28
    (block,) = read_series(archive / "series.h5")
    assert block.values["p"].shape == (1, 2, 2, 3)
    (found,) = estimate.load(archive / "estimates.json")
    assert str(found) == "2.270(14)"
    assert found.reference is not None
    assert figures.load(archive / "figures.json").figures[0].reference == figures.Mark("exact", 2.27)
