"""Twenty kills at random moments; `python tests/faults/kills.py` has as many as one likes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kills

pytestmark = [pytest.mark.mpi, pytest.mark.ddp, pytest.mark.slow]


def test_random_kills_lose_nothing():
    assert kills.run(20, 20261126, ["sample", "flow", "scale", "train"]) == 0


def test_another_result_is_seen(tmp_path, monkeypatch):
    """The comparison has power: the same verb with another seed of the campaign counts as wrong."""
    monkeypatch.setattr(kills, "CAMPAIGN", kills.CAMPAIGN.replace("draws: 3000", "draws: 100"))
    kills.prepare(tmp_path)
    verb = kills.verbs(tmp_path)["sample"]
    found = []
    for seed in (3, 4):
        (tmp_path / "c.yaml").write_text(kills.CAMPAIGN.replace("seed: 3", f"seed: {seed}"))
        place = tmp_path / str(seed)
        place.mkdir()
        kills.finish(verb, place)
        found.append(verb.content(place / verb.output))
    assert found[0] != found[1]
