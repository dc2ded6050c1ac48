"""One SLURM for all tests of this folder, or the reason why there is none."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import minislurm


@pytest.fixture(scope="session")
def slurm():
    """A running MiniSlurm."""
    missing = minislurm.missing()
    if missing:
        pytest.skip(f"SLURM is not installed here: no {', '.join(missing)} (Debian: apt install slurm-wlm munge)")
    place = minislurm.make_place()
    cluster = minislurm.MiniSlurm(place)
    try:
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(place, ignore_errors=True)
