"""Series do not depend on ranks, stops or kills. Real MPI ranks, real signals."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpcrg.bank import read_produced

pytestmark = pytest.mark.mpi

CAMPAIGN = """
name: ranks
seed: 20
model: {type: potts, q: 3}
percolation: {site: {type: site, sizes: [8, 16], realisations: 200, chains: 5}}
dimers: {free: {sizes: [8, 16], samples: 50, chains: 4}}
flat_histogram: {flat: {sizes: [4, 8], turns: [-1.5, -0.5], final: 1.e-3, rows: 50, chains: 2, blocks: 2}}
population: {cold: {sizes: [6], coldest: 1.0, walkers: 50, sweeps: 1, culled: 0.1, chains: 2}}
probability_changing: {dual: {rule: self_dual, sizes: [8], sweeps: 3000, chains: 4}}
"""
LABELS = ("site-L16", "free-L8", "flat-L4", "cold-L6", "dual-L8")


def mpiexec() -> str:
    """The launcher beside the interpreter, if there is one."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"


def command(campaign: Path, label: str, out: Path, ranks: int, *more: str) -> list[str]:
    """`produce` under mpiexec."""
    verb = ["-m", "mpi4py", "-m", "hpcrg", "produce", str(campaign), "--series", label, "--output",
            str(out / f"{label}.h5"), "--state", str(out / "state"), "--ranks", str(ranks), *more]  # fmt: skip
    return [mpiexec(), "-n", str(ranks), sys.executable, *verb]


def environment() -> dict[str, str]:
    """Ranks that share cores politely."""
    return os.environ | {"MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "HYDRA_IFACE": "lo"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The campaign, and its series from one rank."""
    out = tmp_path_factory.mktemp("alone")
    (out / "c.yaml").write_text(CAMPAIGN)
    for label in LABELS:
        subprocess.run(command(out / "c.yaml", label, out, 1), check=True, env=environment())
    return out


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("ranks", [2, 3])
def test_equal_on_any_number_of_ranks(label, ranks, alone, tmp_path):
    """Ranks that share chains, or the walkers of a chain where there are fewer chains than ranks; a digest holds all."""
    subprocess.run(command(alone / "c.yaml", label, tmp_path, ranks), check=True, env=environment())
    a, b = (read_produced(place / f"{label}.h5").attributes for place in (alone, tmp_path))
    assert a == b


@pytest.mark.parametrize("label", ["cold-L6", "dual-L8"])
def test_equal_after_stops_with_changing_ranks(label, alone, tmp_path):
    """Stopped before the first piece of work, killed, and ended by another number of ranks."""
    stopped = subprocess.run(
        command(alone / "c.yaml", label, tmp_path, 2, "--time-limit", "0"), env=environment(), check=False
    )
    assert stopped.returncode == 75
    run = subprocess.Popen(
        command(alone / "c.yaml", label, tmp_path, 3, "--interval", "0"), env=environment(), start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "state").rglob("*.running.npz")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    subprocess.run(command(alone / "c.yaml", label, tmp_path, 1), check=True, env=environment())
    a, b = (read_produced(place / f"{label}.h5").attributes for place in (alone, tmp_path))
    assert a == b
