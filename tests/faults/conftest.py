"""Shared by the tests of faults: undisturbed results, and the library that makes clocks and locks go wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hpcrg.campaign import load
from hpcrg.edges.sampling import run_producing, run_sampling

sys.path.insert(0, str(Path(__file__).parent))
import injection


@pytest.fixture(scope="session")
def calm(tmp_path_factory):
    """The campaign's banks and a series of it, undisturbed: bank.h5 of scan-L16, scan-L8.h5, critical-L16.h5, series.h5."""
    place = injection.written(tmp_path_factory.mktemp("calm"))
    campaign = load(place / "c.yaml")
    for label, name in (("scan-L16", "bank"), ("scan-L8", "scan-L8"), ("critical-L16", "critical-L16")):
        run_sampling(campaign.ensemble(label, None), place / f"{name}.h5", place / "state", None, None, 30.0)
    run_producing(campaign.one_series("site-L64"), place / "series.h5", place / "state", None, None, 30.0)
    return place


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library of shim.c. Skips without gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("no gcc to compile tests/faults/shim.c with")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([gcc, "-shared", "-fPIC", "-O1", "-o", str(library), str(injection.HERE / "shim.c")], check=True)
    return str(library)
