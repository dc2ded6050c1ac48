"""CPU nanoseconds per spin of the generic kernels, beside installed peers in the same run.

Run as `RAYON_NUM_THREADS=1 python tests/bench/kernels.py [L]`. CPU time of the process, all threads. Every
figure is the median over rounds in which all codes take turns; ratios are to the same algorithm of ours.
Peers (peapods, mcising) are timed where they can be imported. A Wolff figure is per moved spin. peapods
measures energy and magnetisation in every sweep and cannot be told not to; its Swendsen-Wang figure is that
of a Metropolis sweep with a cluster update less that of one without.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

import numpy as np

from hpcrg.lattice import Lattice
from hpcrg.models import EXAMPLES, Model, make_model
from hpcrg.observables import build_measure, initial
from hpcrg.rng import Purpose, stream
from hpcrg.updates import UPDATES

ROUNDS = 7
TARGET = 1.5e7  # spin updates in one timing
Run = Callable[[], float]  # CPU nanoseconds per spin
PEERS = ("mcising", "peapods")


def cpu(work: Callable[[], object]) -> float:
    """CPU nanoseconds of one call."""
    start = time.process_time_ns()
    work()
    return float(time.process_time_ns() - start)


def ours(model: Model, size: int) -> dict[str, Run]:
    """Every update of one model at its critical point, from one equilibrated configuration, and the
    measurement."""
    lattice = Lattice((size, size))
    table, rng = lattice.neighbours(), stream(1, Purpose.WALKER, 0)[None].copy()
    spins, betas = initial(model, lattice, "random", rng[0])[None].copy(), np.array([model.exact(lattice).beta_c.value])
    warm, info = UPDATES["swendsen_wang"].build(model, lattice), np.empty((1, 2))
    for _ in range(200):
        warm.kernel(spins, betas, rng, table, info)
    sweeps = max(1, int(TARGET / lattice.volume))

    def update(name: str) -> Run:
        built, state, walker = UPDATES[name].build(model, lattice), rng.copy(), spins.copy()
        row = np.empty((1, len(built.series)))
        per_cluster = built.series == ("cluster_fraction",)

        def run() -> float:
            moved = [0.0]

            def work() -> None:
                for _ in range(sweeps):
                    built.kernel(walker, betas, state, table, row)
                    moved[0] += row[0, 0] if per_cluster else 1.0

            return cpu(work) / (moved[0] * lattice.volume)

        return run

    def measurement() -> Run:
        measure = build_measure(model, lattice)
        out = np.empty(1, np.int64), np.empty((1, model.components), np.int64), np.empty(1)
        return lambda: cpu(lambda: [measure(spins, table, *out) for _ in range(sweeps)]) / (sweeps * lattice.volume)

    label = " ".join([model.name, *map(str, model.params.values())])
    return {f"hpcrg {label} {name}": update(name) for name in UPDATES} | {f"hpcrg {label} measure": measurement()}


def mcising_runs(size: int, temperature: float) -> dict[str, Run]:
    """Bare sweeps, no measurements."""
    import mcising

    sweeps = max(1, int(TARGET / size**2 / 4))

    def algorithm(name: str) -> Run:
        simulation = mcising.IsingSimulation(size, 1.0, 0.0, 0.0, 0.0, 1, algorithm=name)
        simulation.sweep(300, temperature=temperature)
        return lambda: cpu(lambda: simulation.sweep(sweeps, temperature=temperature)) / (sweeps * size**2)

    return {f"mcising ising {name}": algorithm(name) for name in ("metropolis", "swendsen_wang")}


def peapods_runs(size: int, temperature: float) -> dict[str, Run]:
    """Sweeps with their measurements; cluster updates by difference."""
    import peapods

    sweeps = max(2, int(TARGET / size**2 / 8))
    model = peapods.Ising((size, size), temperatures=np.array([temperature]))
    model.sample(300, cluster_update_interval=1, sequential=True)

    def run(interval: int | None) -> float:
        return cpu(lambda: model.sample(sweeps, cluster_update_interval=interval, sequential=True)) / (sweeps * size**2)

    return {
        "peapods ising metropolis": lambda: run(None),
        "peapods ising swendsen_wang": lambda: run(1) - run(None),
    }


def main(size: int) -> None:
    """Time everything in turns and print one line each."""
    runs: dict[str, Run] = {}
    for spec in EXAMPLES:
        runs |= ours(make_model(spec), size)
    temperature = 2 / float(np.log1p(np.sqrt(2)))
    for name, make in zip(PEERS, (mcising_runs, peapods_runs), strict=True):
        if find_spec(name):
            runs |= make(size, temperature)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            times[name].append(run())
    print(f"{'L = ' + str(size):36s} {'ns/spin':>8s} {'min':>7s} {'max':>7s}  time / ours")
    for name, values in times.items():
        same = times.get("hpcrg " + name.partition(" ")[2]) if not name.startswith("hpcrg") else None
        ratio = f"{median(values) / median(same):12.2f}" if same else ""
        print(f"{name:36s} {median(values):8.2f} {min(values):7.2f} {max(values):7.2f} {ratio}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 256)
