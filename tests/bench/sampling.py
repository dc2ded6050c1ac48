"""Spin updates per nanosecond of CPU time of hpcrg and of installed peers, one core, in one run.

Run as `make bench`, or `python tests/bench/sampling.py --peers PYTHON` with the Python of the peers' environment. All
codes take turns, round after round; each peer lives in a process of its own (peers.py). Writes
results/bench/sampling.json, from which table.py makes docs/bench.md. `--quick` makes one short round at the smallest
sizes and writes quick.json beside it; `--only WORD` keeps the cases and codes whose names contain it and writes nothing.
"""

from __future__ import annotations

import os
import sys

os.environ |= {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
if "--quick" in sys.argv:
    os.environ["BENCH_SECONDS"] = "0.05"

import argparse
import datetime
import json
import platform
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from cases import Case, cases
from peers import CODES, Timing
from table import render

ROUNDS = 5
BUDGET = 10.0  # seconds; a row that has taken as long after its first timing gets no more turns
HERE = Path(__file__).parent
RESULTS = Path("results/bench")


class Peer:
    """The process of one peer. `ask` answers nanoseconds per spin, or raises RuntimeError with what the peer said."""

    def __init__(self, python: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [python, HERE / "peers.py", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        greeting = self._answer()
        self.version, self.refusal = greeting.get("version", "none"), greeting.get("error", "")

    def ask(self, case: str, size: int) -> float:
        """See the class."""
        assert self.process.stdin is not None
        if self.process.poll() is None and not self.refusal:
            print(json.dumps({"case": case, "size": size}), file=self.process.stdin)
        answer = {"error": self.refusal} if self.refusal else self._answer()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return float(answer["ns"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return dict(json.loads(line)) if line else {"error": f"its process ended with status {self.process.wait()}"}


@dataclass
class Row:
    """One case of one code while it is being measured."""

    case: str
    size: int
    code: str
    version: str
    time: Timing
    values: list[float] = field(default_factory=list)
    spent: float = 0.0
    error: str = ""

    def turn(self) -> None:
        """One timing, unless one failed before or enough time was spent. A row that fails does not stop the others."""
        if self.error or self.spent > BUDGET:
            return
        begin = time.monotonic()
        try:
            value = self.time()
            if value > 0:  # a difference of two times may be lost in the noise of a busy machine
                self.values.append(value)
        except Exception as error:
            self.error = str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"
        if len(self.values) > 1:
            self.spent += time.monotonic() - begin
        figure = self.error or (f"{1 / self.values[-1]:.4g}" if self.values else "lost in noise")
        print(f"{self.case} L = {self.size} {self.code}: {figure}", file=sys.stderr, flush=True)

    def record(self) -> dict[str, Any]:
        """As it stands in the file."""
        row: dict[str, Any] = {"case": self.case, "L": self.size, "code": self.code, "version": self.version}
        if self.values:
            row |= {"spins_per_ns": 1 / median(self.values), "best": 1 / min(self.values), "rounds": len(self.values)}
        return row | ({"error": self.error} if self.error else {})


def own(case: Case) -> Timing:
    """The timing of one case, built when it is first asked for."""
    built: list[Timing] = []

    def once() -> float:
        if not built:
            built.append(case.timing())
        return built[0]()

    return once


def rows(python: Path, wanted: Callable[[str, int, str], bool]) -> list[Row]:
    """All rows that are wanted, those of one case and size side by side."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"], capture_output=True, text=True, cwd=HERE
    )
    label, mine = f"{version('hpcrg')} {git.stdout.strip()}".strip(), list(cases())
    found: list[Row] = []
    peers: dict[str, Peer] = {}
    for name, size in dict.fromkeys((c.name, c.size) for c in mine):
        found += [
            Row(name, size, c.code, label, own(c))
            for c in mine
            if (c.name, c.size) == (name, size) and wanted(name, size, c.code)
        ]
        for code, (_, _, served) in CODES.items():
            if name in served and wanted(name, size, code):
                peer = peers[code] = peers.get(code) or Peer(python, code)
                found.append(Row(name, size, code, peer.version, partial(peer.ask, name, size)))
    return found


def machine() -> dict[str, str]:
    """Where and when."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    features = dict(llvm.get_host_cpu_features())
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{names[0] if names else platform.machine()} ({llvm.get_host_cpu_name()})",
        "vectors": next((name for name in ("avx512f", "avx2", "neon") if features.get(name)), "none known"),
        "python": platform.python_version(), "numba": numba.__version__, "numpy": np.__version__,
    }  # fmt: skip


def main() -> None:
    """Time everything in turns and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers/bin/python"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    small = {c.name: c.size for c in reversed(list(cases()))}
    table = rows(
        arguments.peers,
        lambda case, size, code: (not arguments.quick or size == small[case]) and arguments.only in f"{case} {code}",
    )
    rounds = 1 if arguments.quick else arguments.rounds
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}, spins per ns", file=sys.stderr)
        for row in table:
            row.turn()
        result = {"machine": machine(), "rows": [row.record() for row in table]}
        if not arguments.only:  # after every round, so that a run cut short leaves those before
            RESULTS.mkdir(parents=True, exist_ok=True)
            name = "quick.json" if arguments.quick else "sampling.json"
            (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")
    print(render(result))


if __name__ == "__main__":
    main()
