"""Small banks for the verbs of this folder, made once."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from verbs import CAMPAIGN, hpcrg


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """A directory with a campaign and its banks."""
    place = tmp_path_factory.mktemp("secure")
    (place / "c.yaml").write_text(CAMPAIGN)
    for label in ("critical-L8", "phases-L8", "phases-L12"):
        hpcrg(place, "sample", "c.yaml", "--ensemble", label, "--output", f"{label}.h5", "--state", "state")
    return place
