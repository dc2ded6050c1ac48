"""A campaign of many small ensembles: how long it takes to find that nothing is to be done, and to plan one that is larger.

    python tests/workflow/large.py [--ensembles 500] [--planned 10000] [--directory DIR]

The banks are sampled in this process, since starting as many jobs would take most of the time; Snakemake then marks them
as its own (--touch) and runs what follows from them. Prints seconds and the largest memory of each command.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpcrg.campaign import load
from hpcrg.comm import Alone
from hpcrg.sampler import Limits, sample

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
GROUPS = 10


def campaign(name: str, ensembles: int) -> str:
    """So many ensembles in ten groups."""
    sizes = [4 + 2 * k for k in range(-(-ensembles // GROUPS))] if ensembles <= 1000 else list(range(4, 104))
    groups = -(-ensembles // len(sizes))
    return json.dumps({
        "name": name, "seed": 1, "model": {"type": "ising"}, "resources": {"ranks": 1},
        "ensembles": {
            f"g{k}": {
                "sizes": sizes, "ladder": {"temperatures": [2.0 + 0.001 * k, 2.5]}, "updates": [{"type": "metropolis"}],
                "thermalise": 4, "measure": 2, "keep": 2, "draws": 2, "chains": 2,
            } for k in range(groups)
        },
    })  # fmt: skip


def run(place: Path, *command: str) -> tuple[float, float, str]:
    """Seconds, megabytes and what a command printed. Raises RuntimeError when it fails."""
    begun = time.monotonic()
    code = ("import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
            "print('KB', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=place, capture_output=True, text=True)
    text = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(text[-3000:])
    return time.monotonic() - begun, int(text.rpartition("KB ")[2].split()[0]) / 1e3, text


def snakemake(place: Path, *more: str) -> tuple[float, float, str]:
    """Snakemake with the local profile."""
    return run(place, str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(place),
               "--workflow-profile", str(ROOT / "cluster/profiles/local"), *more, "--config", "campaign=many.yaml")  # fmt: skip


def prepare(place: Path, ensembles: int) -> None:
    """A finished campaign."""
    (place / "many.yaml").write_text(campaign("many", ensembles))
    out = place / "results" / "many"
    for e in load(place / "many.yaml").ensembles():
        sample(e, out / "banks" / f"{e.label}.h5", out / "state", Alone(), Limits(), lambda *_: None)
    snakemake(place, "--touch")
    snakemake(place)


def main(ensembles: int, planned: int, place: Path) -> dict[str, tuple[float, float]]:
    """Seconds and megabytes of a second submission and of a plan, from a warm cache of timings."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    prepare(place, ensembles)
    found: dict[str, tuple[float, float]] = {}
    seconds, megabytes, text = snakemake(place)
    if "Nothing to be done" not in text:
        raise RuntimeError(text[-3000:])
    found[f"second submission of {ensembles} ensembles"] = seconds, megabytes
    (place / "planned.yaml").write_text(campaign("planned", planned))
    for cache in ("timing kernels", "timings known"):
        seconds, megabytes, _ = run(place, str(BIN / "hpcrg"), "plan", "planned.yaml")
        found[f"plan of {planned} ensembles, {cache}"] = seconds, megabytes
    seconds, megabytes, _ = run(place, str(BIN / "hpcrg"), "status", "many.yaml")
    found[f"status of {ensembles} ensembles"] = seconds, megabytes
    for what, (took, peak) in found.items():
        print(f"{what}: {took:.1f} s, {peak:.0f} MB", flush=True)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ensembles", type=int, default=500)
    parser.add_argument("--planned", type=int, default=10000)
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="large-") as directory:
        main(given.ensembles, given.planned, given.directory or Path(directory))
