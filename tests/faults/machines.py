"""Begin an ensemble with machine code for this CPU, go on with code for another, and compare with an undisturbed run.

    python tests/faults/machines.py [--groups metropolis,swendsen_wang-xy] [--cpu x86-64]

The ensembles are those of tests/mpi/every_update.py, every update among them. Half of the draws are made by a process
whose numba compiles for the CPU that it runs on, the rest by one that compiles for `--cpu` (NUMBA_CPU_NAME) with SSE2
and no later instructions. Prints one line an ensemble; exit status 1 when one of integer energies differs, or when one of
others goes on without a warning and a record of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "mpi"))
from every_update import ensembles
from injection import datasets

from hpcrg.edges.sampling import run_sampling
from hpcrg.progress import start_logging

HALF = 4


def chosen(groups: str) -> list:
    """The ensembles of these groups, or all."""
    return [e for e in ensembles() if not groups or e.group in groups.split(",")]


def make(groups: str, directory: Path, half: bool) -> None:
    """Sample all of them, or half of their draws."""
    start_logging()
    for e in chosen(groups):
        wanted = replace(e, draws=HALF) if half else e
        run_sampling(wanted, directory / f"{e.group}.h5", directory / "state", None, None, 30.0)


def child(groups: str, directory: Path, part: str, cpu: str | None) -> str:
    """`make` in a process of its own; what it said."""
    environment = os.environ | ({"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "+sse2"} if cpu else {})
    command = [sys.executable, __file__, "--groups", groups, "--part", part, "--directory", str(directory)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr


def verdict(group: str, label: str, integer: bool, calm: Path, mixed: Path, said: str) -> tuple[bool, str]:
    """Whether an ensemble is as it should be, and a line on it."""
    same = datasets(calm / f"{group}.h5") == datasets(mixed / f"{group}.h5")
    record = json.loads((mixed / f"{group}.provenance.json").read_text())[-1]
    warned = f"warning: {label}:" in said and "expected one machine" in str(record["warning"])
    silent = f"warning: {label}:" not in said and record["warning"] is None
    right = len(record["machines"]) == 2 and ((same and silent) if integer else warned)
    told = "the same" if same else "NOT THE SAME" if integer else "not the same"
    return right, f"{group}: {'integer' if integer else 'real'} energies, {told}, {'warned' if warned else 'silent'}"


def run(groups: str, cpu: str) -> int:
    """Everything; how many ensembles were wrong."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="machines-") as directory:
        calm, mixed = Path(directory) / "calm", Path(directory) / "mixed"
        child(groups, calm, "whole", None)
        child(groups, mixed, "half", None)
        said = child(groups, mixed, "whole", cpu)
        for e in chosen(groups):
            right, line = verdict(e.group, e.label, e.system.integer, calm, mixed, said)
            print(line if right else f"WRONG: {line}", flush=True)
            wrong += not right
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", default="")
    parser.add_argument("--cpu", default="x86-64")
    parser.add_argument("--part", choices=["half", "whole"], help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        make(given.groups, given.directory, given.part == "half")
    else:
        sys.exit(min(1, run(given.groups, given.cpu)))
