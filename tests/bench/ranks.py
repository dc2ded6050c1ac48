"""What MPI costs: two ranks on one ensemble against two runs of one rank at the same time, and one exchange of a chain
that two ranks share.

    python tests/bench/ranks.py [--seconds 20] [--size 64] [--slots 16]

Efficiency is the time of two independent runs of one rank, started together, over that of two ranks which do the same
work; each time is what a run of many rounds takes beyond one of few, so that starting processes does not count. The cost
of an exchange is that of a round in which two ranks share the walkers of one chain, less that of half a round on one rank.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CAMPAIGN = """
name: ranks
seed: {seed}
model: {{type: ising}}
ensembles:
  bench: {{sizes: [{size}], ladder: {{temperatures: {temperatures}}}, updates: [{{type: swendsen_wang}}],
           chains: {chains}, thermalise: 0, measure: 10, keep: {rounds}, draws: 1}}
"""


def mpiexec() -> str:
    """The launcher beside this Python."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"


class Trial:
    """Runs of `sample` on a ladder of some slots."""

    def __init__(self, directory: Path, size: int, slots: int) -> None:
        self.directory, self.size, self.slots, self.runs = directory, size, slots, 0

    def start(self, ranks: int, chains: int, rounds: int) -> subprocess.Popen[bytes]:
        """One run, in the background."""
        self.runs += 1
        place = self.directory / str(self.runs)
        place.mkdir()
        ladder = [round(2.1 + 0.4 * k / self.slots, 6) for k in range(self.slots)]
        text = CAMPAIGN.format(seed=self.runs, size=self.size, temperatures=ladder, chains=chains, rounds=rounds)
        (place / "c.yaml").write_text(text)
        verb = ["-m", "hpcrg", "sample", "c.yaml", "--ensemble", f"bench-L{self.size}", "--output", "b.h5"]
        command = [mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py", *verb, "--state", "s"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "HYDRA_IFACE": "lo"}
        return subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.DEVNULL)

    def seconds(self, runs: int, ranks: int, chains: int, rounds: int) -> float:
        """Wall time of some runs that are started together."""
        begun = time.monotonic()
        for run in [self.start(ranks, chains, rounds) for _ in range(runs)]:
            if run.wait():
                raise SystemExit(f"a run of {ranks} ranks ended with status {run.returncode}")
        return time.monotonic() - begun

    def beyond(self, runs: int, ranks: int, chains: int, rounds: int) -> float:
        """What `rounds` rounds take beyond a tenth of them, for all of them."""
        few = rounds // 10
        return (self.seconds(runs, ranks, chains, rounds) - self.seconds(runs, ranks, chains, few)) / 0.9


def main() -> None:
    """Three rounds in turns, medians, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--slots", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        trial = Trial(Path(directory), options.size, options.slots)
        trial.seconds(1, 1, 1, 10)  # compiles
        rounds = 100 * max(1, int(2 * options.seconds / trial.beyond(1, 1, 1, 200)))
        found: list[tuple[float, float, float]] = []
        for _ in range(3):
            found.append((trial.beyond(2, 1, 1, rounds), trial.beyond(1, 2, 2, rounds), trial.beyond(1, 2, 1, rounds)))
    apart, together, shared = (sorted(column)[1] for column in zip(*found, strict=True))
    print(json.dumps({
        "size": options.size, "slots": options.slots, "rounds": rounds, "seconds": found,
        "efficiency": apart / together, "exchange_microseconds": 1e6 * (shared - apart / 2) / rounds,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
