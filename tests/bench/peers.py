"""Times one installed peer: `python peers.py NAME` answers requests on standard input, one JSON line each.

Runs under the Python of the peers' own environment and imports nothing of hpcrg. The first line that it writes is
{"version", "cases"} or {"error"}. A request {"case", "size"} is answered by {"ns"}, CPU nanoseconds per spin in one
timing, or by {"error"}. Every code first brings a configuration of its own to equilibrium.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Timing = Callable[[], float]  # CPU nanoseconds per spin
Work = Callable[[int], float]  # makes n sweeps, returns the number of spins that they updated
SECONDS = float(os.environ.get("BENCH_SECONDS", "0.4"))  # CPU time of one timing
EQUILIBRATE = 50  # sweeps
T_C = 2 / float(np.log1p(np.sqrt(2)))
T_XY = 0.9
LADDER = np.linspace(0.8, 2.0, 32)


def cpu(work: Work, sweeps: int) -> tuple[float, float]:
    """CPU nanoseconds of this process, and spins updated."""
    start = time.process_time_ns()
    spins = work(sweeps)
    return float(time.process_time_ns() - start), spins


def enough(work: Work) -> int:
    """Sweeps that take SECONDS."""
    sweeps, spent = 1, 0.0
    while spent < 2e7:
        sweeps *= 4
        spent = cpu(work, sweeps)[0]
    return max(2, int(sweeps * SECONDS * 1e9 / spent))


def direct(work: Work) -> Timing:
    """Nanoseconds per updated spin of a code that can be asked for sweeps and nothing else."""
    sweeps = enough(work)

    def timing() -> float:
        spent, spins = cpu(work, sweeps)
        return spent / spins

    return timing


def difference(whole: Work, part: Work) -> Timing:
    """Nanoseconds per spin that `whole` counts, less those of `part`, which updates none of them."""
    sweeps = enough(whole)

    def timing() -> float:
        spent, spins = cpu(whole, sweeps)
        return (spent - cpu(part, sweeps)[0]) / spins

    return timing


def bonds(shape: tuple[int, ...]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The two sites of every bond of a periodic hypercubic lattice."""
    sites = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    ahead = [np.roll(sites, -1, axis).ravel() for axis in range(len(shape))]
    return np.tile(sites.ravel(), len(shape)), np.concatenate(ahead)


def graph(case: str, size: int) -> tuple[int, NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Number of sites, bonds (lower site first), and energy of each bond between equal spins."""
    glass = case == "ea_tempering"
    first, second = bonds((size,) * (3 if glass else 2))
    signs = np.random.default_rng(size).choice([-1.0, 1.0], first.size)
    weights = signs if glass else np.full(first.size, -1.0)
    return int(first.max()) + 1, np.minimum(first, second), np.maximum(first, second), weights


def betas(case: str) -> NDArray[np.float64]:
    """T_c, or once down the ladder of the spin glass."""
    return 1 / LADDER[::-1] if case == "ea_tempering" else np.array([1 / T_C])


def mcising(case: str, size: int) -> Timing:
    """Bare sweeps; the package says how many spins its clusters moved."""
    import mcising as package

    def simulation(algorithm: str) -> package.IsingSimulation:
        return package.IsingSimulation(size, 1.0, 0.0, 0.0, 0.0, 1, algorithm=algorithm)

    warm, timed = simulation("swendsen_wang"), simulation(case.removeprefix("ising_"))
    warm.sweep(EQUILIBRATE, temperature=T_C)
    timed.set_spins(warm.get_spins())
    return direct(lambda sweeps: float(timed.sweep(sweeps, temperature=T_C)[1]))


def peapods(case: str, size: int) -> Timing:
    """Sweeps declared as warm-up are not measured. Cluster updates come on top of a Metropolis sweep, so theirs is
    the difference of the two; a Wolff update moves N <m^2> spins on average, so there both are measured."""
    import peapods as package

    glass = case == "ea_tempering"
    volume = size**3 if glass else size**2
    model = (
        package.Ising((size,) * 3, couplings="bimodal", temperatures=LADDER, n_replicas=2)
        if glass
        else package.Ising((size, size), temperatures=np.array([T_C]))
    )

    def sweeps(number: int, cluster: str | None = None, warmup: float = 1.0) -> float:
        every = 1 if cluster else None
        model.sample(
            number, "metropolis", every, cluster or "sw", 1 if glass else None, warmup_ratio=warmup, sequential=True
        )
        return number * float(volume) * (2 * LADDER.size if glass else 1)

    np.seterr(invalid="ignore")  # its means of nothing
    sweeps(EQUILIBRATE, None if glass else "sw")
    if case == "ising_swendsen_wang":
        return difference(lambda n: sweeps(n, "sw"), sweeps)
    if case == "ising_wolff":
        return difference(lambda n: sweeps(n, "wolff", 0.0) * float(model.mags2[0]), lambda n: sweeps(n, warmup=0.0))
    return direct(sweeps)


def dwave(case: str, size: int) -> Timing:
    """Annealing at a constant temperature through the sampler's compiled part; its set-up cancels in a difference."""
    from dwave.samplers.sa.simulated_annealing import simulated_annealing

    volume, first, second, weights = graph(case, size)
    schedule, state = betas(case), np.ones((1, volume), np.int8)
    fields, seeds = np.zeros(volume), np.random.default_rng(1)

    def sweeps(number: int) -> float:
        nonlocal state
        seed = int(seeds.integers(1, 2**63))
        state, _ = simulated_annealing(
            1, fields, first, second, weights, number, schedule, seed, state, False, "Metropolis", None
        )
        return float(volume * number * schedule.size)

    sweeps(EQUILIBRATE)
    return difference(lambda n: sweeps(n + 1) * n / (n + 1), lambda n: sweeps(1))


def openjij(case: str, size: int) -> Timing:
    """The compiled sweeps on a compressed sparse graph, the faster of its two, at a constant temperature."""
    from openjij.cxxjij import algorithm
    from openjij.cxxjij import graph as graphs
    from openjij.cxxjij import system as systems
    from scipy.sparse import csr_matrix

    volume, first, second, weights = graph(case, size)
    # The last row and column hold the field; the corner is one by definition.
    entries = (np.append(weights, 1.0), (np.append(first, volume), np.append(second, volume)))
    system = systems.make_classical_ising([1] * volume, graphs.CSRSparse(csr_matrix(entries)))
    run = algorithm.Algorithm_SingleSpinFlip_run
    if case == "ising_swendsen_wang":
        run = algorithm.Algorithm_SwendsenWang_run

    def sweeps(number: int) -> float:
        run(system, [(beta, number) for beta in betas(case)])
        return float(volume * number * betas(case).size)

    sweeps(EQUILIBRATE // (3 if size > 256 else 1))
    return direct(sweeps)


ALPS_SWEEPS = {  # seconds of CPU time, since it looks at a clock of whole seconds
    ("ising_metropolis", 64): 5000, ("ising_metropolis", 256): 150, ("ising_metropolis", 1024): 5,
    ("ising_wolff", 64): 25000, ("ising_wolff", 256): 150, ("ising_wolff", 1024): 5,
    ("xy_metropolis", 64): 3000, ("xy_wolff", 64): 6000,
}  # fmt: skip


def alps(case: str, size: int) -> Timing:
    """Thermalisation, which makes no measurement and counts the spins that clusters moved; its start cancels in the
    difference from a short run. Sweeps that it makes, with measurements, until its clock says that it has finished
    are counted as well."""
    model, _, kind = case.partition("_")
    update = "cluster" if kind == "wolff" else "local"

    def run(sweeps: int) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as folder:
            return alps_run(Path(folder), {
                "LATTICE": "square lattice", "MODEL": "Ising" if model == "ising" else "XY", "L": size, "J": 1,
                "T": T_C if model == "ising" else T_XY, "UPDATE": update, "THERMALIZATION": sweeps, "SWEEPS": 1,
            })  # fmt: skip

    number = ALPS_SWEEPS[case, size]
    start, done = run(max(1, number // 100))

    def timing() -> float:
        spent, spins = run(number)
        return (spent - start) / (spins - done)

    return timing


def alps_run(folder: Path, parameters: dict[str, object]) -> tuple[float, float]:
    """CPU nanoseconds and spins updated of one run of ALPS spinmc, which starts from aligned spins."""
    import pyalps
    from pyalps.hdf5 import archive

    root = Path(pyalps.__file__).parent
    os.chdir(folder)
    pyalps.writeInputFiles("job", [parameters])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [root / "bin" / "spinmc", "--Tmin", "0", "job.in.xml"], check=True, timeout=100, capture_output=True,
        env=os.environ | {"ALPS_XML_PATH": str(root / "xml")},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    results = archive("job.task1.out.h5", "r")
    measured = float(results["/simulation/results/Energy Density/count"])
    if parameters["UPDATE"] == "cluster":
        measured *= float(results["/simulation/results/Cluster size/mean/value"])
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    os.chdir("/")
    return spent * 1e9, (float(str(parameters["THERMALIZATION"])) + measured) * float(str(parameters["L"])) ** 2


METROPOLIS, WOLFF, SWENDSEN_WANG, GLASS = "ising_metropolis", "ising_wolff", "ising_swendsen_wang", "ea_tempering"
CODES: dict[str, tuple[str, Callable[[str, int], Timing], tuple[str, ...]]] = {
    "mcising": ("mcising", mcising, (METROPOLIS, SWENDSEN_WANG, WOLFF)),
    "peapods": ("peapods", peapods, (METROPOLIS, SWENDSEN_WANG, WOLFF, GLASS)),
    "dwave-samplers": ("dwave-samplers", dwave, (METROPOLIS, GLASS)),
    "openjij": ("openjij", openjij, (METROPOLIS, SWENDSEN_WANG, GLASS)),
    "ALPS spinmc": ("pyalps", alps, (METROPOLIS, WOLFF, "xy_wolff", "xy_metropolis")),
}


def answers(name: str) -> None:
    """Answers until the input ends."""
    distribution, build, cases = CODES[name]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # peers may print
    timings: dict[tuple[str, int], Timing] = {}

    def reply(**values: object) -> None:
        print(json.dumps(values), file=replies, flush=True)

    try:
        reply(version=version(distribution), cases=cases)
    except Exception as error:
        reply(error=f"{type(error).__name__}: {error}")
        return
    for line in sys.stdin:
        request = json.loads(line)
        key = request["case"], request["size"]
        try:
            if key not in timings:
                timings[key] = build(*key)
            reply(ns=timings[key]())
        except Exception as error:
            reply(error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    answers(sys.argv[1])
