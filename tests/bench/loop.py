"""What sampling costs beside the bare kernel: a chain as `hpcrg sample` runs it, with measurements, stored configurations,
checksums, state hashes and checkpoint, over the same rounds in one compiled call. Kernels are loaded before.

    python tests/bench/loop.py [WORD]

WORD keeps the cases whose names contain it. Writes results/bench/loop.json, which table.py adds to docs/bench.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble, UpdateCall
from hpcrg.running import Kernels, start
from hpcrg.sampler import Limits, sample_chain

ROUNDS = 5
RESULTS = Path("results/bench")
BETA_C = float(np.log1p(np.sqrt(2)) / 2)
CASES = {  # update, L, slots, rounds between measurements and between stored configurations, draws
    "multispin, measured every 100 rounds, kept every 1000": ("multispin", 256, 32, 100, 1000, 8),
    "multispin in lanes, measured every 100 rounds, kept every 1000": ("multispin", 64, 64, 100, 1000, 30),
    "packed Swendsen-Wang, measured every round, kept every 100": ("packed_swendsen_wang", 256, 32, 1, 100, 5),
    "packed Swendsen-Wang, measured every round, kept every 10": ("packed_swendsen_wang", 256, 32, 1, 10, 30),
    "packed Swendsen-Wang, four small walkers, measured every round, kept every 10": (
        "packed_swendsen_wang",
        64,
        4,
        1,
        10,
        200,
    ),
}


def ensemble(update: str, size: int, slots: int, measure: int, keep: int, draws: int) -> Ensemble:
    """One chain around T_c, with exchanges."""
    betas = tuple(BETA_C * (1 + 1e-4 * np.arange(slots)[::-1]))
    return Ensemble(
        "loop", size, {"type": "ising"}, {"type": "hypercubic", "dimension": 2}, betas, (UpdateCall(update),), True, 1,
        0, measure, keep, 1, draws,
    )  # fmt: skip


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU time."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def timed(e: Ensemble) -> tuple[float, float]:
    """Medians of the seconds of the bare rounds and of sampling, in turns."""
    kernels, pairs = Kernels(e), []
    running = start(kernels, 0, Alone(), range(e.walkers))

    def bare() -> None:
        running.state.round = 1 << 40  # far from a power of two, where a state hash would be due
        running.advance(e.rounds)

    def whole() -> None:
        with tempfile.TemporaryDirectory() as folder:
            sample_chain(kernels, 0, Path(folder), Alone(), Limits(), lambda *_: None)

    for turn in range(ROUNDS + 1):  # the first compiles and warms up
        pair = cpu(bare), cpu(whole)
        if turn:
            pairs.append(pair)
    return median(p[0] for p in pairs), median(p[1] for p in pairs)


def main(word: str = "") -> None:
    """Time every case and write them down."""
    rows: list[dict[str, Any]] = []
    for name, parameters in CASES.items():
        if word in name:
            bare, whole = timed(ensemble(*parameters))
            rows.append({"case": name, "L": parameters[1], "slots": parameters[2], "bare": bare, "whole": whole})
            print(f"{name}: bare {bare:.3f} s, sampling {whole:.3f} s, {100 * (whole / bare - 1):+.0f} %", flush=True)
            if not word:  # after every case, so that a run cut short leaves those before
                RESULTS.mkdir(parents=True, exist_ok=True)
                (RESULTS / "loop.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
