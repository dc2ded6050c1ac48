"""Kill every long verb at random moments, again and again, and hold what it leaves to the undisturbed result.

    python tests/faults/kills.py [--kills 200] [--seed 1] [--verbs sample,flow,scale,train,stack]

A cycle kills a verb some times at random moments of its life (SIGKILL to one rank, to the launcher, or to all), runs the
same command to its end, and compares. Prints one line a verb: kills, cycles, wrong results, and how much longer the work
took than undisturbed. Exit status 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import psutil

from hpcrg import checkpoint

KILLS_A_CYCLE = 5
CAMPAIGN = """
name: kills
seed: 3
model: {type: ising}
resources: {ranks: 2, workers: 2, processes: 2}
ensembles:
  scan: {sizes: [8, 12], ladder: {temperatures: [1.8, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.9]}, updates: [{type: metropolis}, {type: wolff}], chains: 8, thermalise: 100, keep: 5, draws: 300}
  long: {sizes: [16], ladder: {temperatures: [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]}, updates: [{type: metropolis}, {type: wolff}], chains: 4, thermalise: 100, keep: 5, draws: 3000}
  critical: {sizes: [16], ladder: {critical: true}, updates: [{type: swendsen_wang}], chains: 8, thermalise: 100, keep: 2, draws: 400}
scale: {fss: {ensemble: scan}}
flow: {majority: {ensemble: critical, scheme: majority, levels: 2}}
train: {cnn: {ensemble: scan, cold: 2, hot: 2, seeds: 1, epochs: 6}}
stack: {deep: {ensemble: critical, layers: [32, 8], epochs: 4, seeds: 1, negative: tempered, annealing: 20, controls: [shuffled]}}
"""


@dataclass(frozen=True)
class Verb:
    """A command in a directory, the file that it leaves, and what of that file has to be equal."""

    command: list[str]
    output: str
    content: Callable[[Path], object]


def datasets(path: Path) -> object:
    """All datasets of an HDF5 file, and those of its attributes that say what it is."""
    with h5py.File(path) as file:
        told = {k: str(file.attrs[k]) for k in ("schema", "id", "seed", "kernel_version") if k in file.attrs}
        return told, {k: v[()].tobytes() for k, v in file.items() if isinstance(v, h5py.Dataset)}


def numbers(path: Path) -> object:
    """Estimates."""
    return json.loads(path.read_text())


def arrays(path: Path) -> object:
    """A checkpoint file."""
    return {key: (a.dtype.str, a.shape, a.tobytes()) for key, a in checkpoint.load(path).items()}


def network(path: Path) -> object:
    """What networks say of the chains that they never saw."""
    with h5py.File(path) as file:
        found: dict[str, bytes] = {}
        file.visititems(lambda name, x: found.update({name: x[()].tobytes()}) if isinstance(x, h5py.Dataset) else None)
        return found


def verbs(place: Path) -> dict[str, Verb]:
    """Every verb that takes long, over banks that lie in `place`."""
    python, launcher = sys.executable, str(Path(sys.executable).with_name("mpiexec"))
    hpcrg = [python, "-m", "hpcrg"]
    banks = [str(place / f"scan-L{size}.h5") for size in (8, 12)]
    campaign = str(place / "c.yaml")
    mpi = [launcher, "-n", "2", python, "-m", "mpi4py", "-m", "hpcrg"]
    return {
        "sample": Verb([*mpi, "sample", campaign, "--ensemble", "long-L16", "--output", "bank.h5", "--state", "state",
                        "--ranks", "2", "--interval", "0.2"], "bank.h5", datasets),
        "flow": Verb([*hpcrg, "flow", campaign, str(place / "critical-L16.h5"), "--flow", "majority", "--output",
                      "flow.json"], "flow.json", numbers),
        "scale": Verb([*hpcrg, "scale", campaign, *banks, "--scale", "fss", "--output", "scale.json"], "scale.json", numbers),
        "train": Verb([*hpcrg, "train", campaign, *banks, "--train", "cnn", "--processes", "2", "--output", "series.h5",
                       "--state", "state"], "series.h5", network),
        "stack": Verb([*hpcrg, "stack", campaign, str(place / "critical-L16.h5"), "--stack", "deep", "--number", "0",
                       "--output", "seed0.stack", "--state", "state", "--interval", "0.2"], "seed0.stack", arrays),
    }  # fmt: skip


ENVIRONMENT = os.environ | {"HYDRA_IFACE": "lo", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "OMP_NUM_THREADS": "1"}


def prepare(place: Path) -> None:
    """The banks that verbs read."""
    (place / "c.yaml").write_text(CAMPAIGN)
    for label in ("scan-L8", "scan-L12", "critical-L16"):
        command = [sys.executable, "-m", "hpcrg", "sample", str(place / "c.yaml"), "--ensemble", label, "--output",
                   str(place / f"{label}.h5"), "--state", str(place / "state")]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)


def start(verb: Verb, place: Path) -> subprocess.Popen[bytes]:
    """The command in a session of its own."""
    return subprocess.Popen(
        verb.command, cwd=place, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def finish(verb: Verb, place: Path) -> float:
    """Run to the end; seconds. Raises RuntimeError when the verb fails."""
    begun = time.monotonic()
    done = subprocess.run(verb.command, cwd=place, env=ENVIRONMENT, check=False, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(verb.command)}: exit status {done.returncode}: {done.stderr.decode()[-2000:]}")
    return time.monotonic() - begun


def kill(process: subprocess.Popen[bytes], rng: random.Random) -> None:
    """SIGKILL to one process of the tree, to the launcher or to all; then to whatever is left after a moment."""
    try:
        tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    chosen = tree if rng.random() < 0.4 else [rng.choice(tree)]
    for each in chosen:
        _kill(each)
    _, alive = psutil.wait_procs(tree, timeout=rng.choice([0.2, 2.0]))
    for each in alive:
        _kill(each)
    psutil.wait_procs(alive, timeout=10)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGKILL)


def torment(name: str, verb: Verb, kills: int, rng: random.Random, place: Path) -> tuple[int, int, int, float]:
    """(kills, cycles, wrong, time over undisturbed time) of one verb."""
    calm = place / name / "calm"
    calm.mkdir(parents=True)
    undisturbed = finish(verb, calm)
    wanted, done, cycles, wrong, spent = verb.content(calm / verb.output), 0, 0, 0, 0.0
    while done < kills:
        here = place / name / f"cycle-{cycles}"
        here.mkdir()
        for _ in range(min(KILLS_A_CYCLE, kills - done)):
            process = start(verb, here)
            begun, moment = time.monotonic(), rng.uniform(0.0, undisturbed)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                kill(process, rng)
                done += 1
            process.kill()
            process.communicate()
            spent += time.monotonic() - begun
        try:
            spent += finish(verb, here)
            wrong += verb.content(here / verb.output) != wanted
        except (RuntimeError, OSError, ValueError) as error:
            print(f"{name}, cycle {cycles}: {error}", flush=True)
            wrong += 1
        cycles += 1
        shutil.rmtree(here)
    return done, cycles, wrong, spent / (cycles * undisturbed)


def run(kills: int, seed: int, names: list[str]) -> int:
    """Everything; how many results were wrong."""
    rng, failures = random.Random(seed), 0
    with tempfile.TemporaryDirectory(prefix="kills-") as directory:
        place = Path(directory)
        prepare(place)
        every = verbs(place)
        for name, share in zip(names, np.diff(np.linspace(0, kills, len(names) + 1).astype(int)), strict=True):
            done, cycles, wrong, ratio = torment(name, every[name], int(share), rng, place)
            print(
                f"{name}: {done} kills in {cycles} cycles, {wrong} wrong, {ratio:.2f} times the undisturbed time",
                flush=True,
            )
            failures += wrong
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbs", default="sample,flow,scale,train,stack")
    given = parser.parse_args()
    sys.exit(min(1, run(given.kills, given.seed, given.verbs.split(","))))
