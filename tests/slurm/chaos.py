"""A campaign of many ensembles on a SLURM of this machine, with a fault every few seconds, held to the same banks without
faults.

    python tests/slurm/chaos.py [--ensembles 60] [--period 4] [--seed 1] [--calm]

Faults, in random order: SIGKILL of a sampling process, scancel, requeue, preemption, a node that goes down and comes back.
Prints what was injected, how many banks differ, the share of work that was lost (seconds between the last commit of what
was hit and the fault, over seconds sampled) and how much longer the campaign took than without faults; --calm leaves the
campaign without faults out, and with it that last figure. Exit status 1 when a bank is wrong.
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
from collections import Counter
from contextlib import suppress
from pathlib import Path

import h5py
import minislurm
import psutil

from hpcrg.campaign import load
from hpcrg.comm import Alone
from hpcrg.ensemble import Ensemble
from hpcrg.provenance import read_sidecar
from hpcrg.sampler import Limits, sample

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
FAULTS = ("kill", "cancel", "requeue", "preempt", "node down")
SITE = 'launcher = "srun --mpi=pmi2 -K1"\ninterface = "lo"\n[partitions]\ncpu = "scavenge"\n'
INTERVAL = 1.0
DOWN = 3.0
"""Seconds that a node stays down."""


def campaign(ensembles: int, draws: int) -> str:
    """So many ensembles, each of some seconds."""
    sizes = [16, 18, 20, 22, 24, 26, 28, 30, 32, 34]
    return json.dumps({
        "name": "chaos", "seed": 7, "model": {"type": "ising"}, "resources": {"ranks": 1, "interval": INTERVAL},
        "ensembles": {
            f"g{k}": {
                "sizes": sizes[: ensembles - 10 * k], "ladder": {"temperatures": [2.0 + 0.01 * k, 2.3, 2.6]},
                "updates": [{"type": "metropolis"}, {"type": "wolff"}], "chains": 4, "thermalise": 50, "keep": 10,
                "draws": draws,
            } for k in range(-(-ensembles // 10))
        },
    })  # fmt: skip


def content(path: Path) -> object:
    """All datasets of a bank, and the attributes that say what it is."""
    with h5py.File(path) as file:
        told = {
            k: str(file.attrs[k]) for k in ("schema", "id", "ensemble", "seed", "kernel_version", "draws", "chains")
        }
        return told, {k: v[()].tobytes() for k, v in file.items()}


class Campaign:
    """Snakemake on a SLURM, in a directory."""

    def __init__(self, place: Path, text: str, slurm: minislurm.MiniSlurm) -> None:
        self.place, self.slurm = place, slurm
        place.mkdir(parents=True)
        (place / "c.yaml").write_text(text)
        (place / "site.toml").write_text(SITE)
        self.ensembles = load(place / "c.yaml").ensembles()

    @property
    def out(self) -> Path:
        """Where results stand."""
        return self.place / "results" / "chaos"

    def start(self) -> subprocess.Popen[bytes]:
        """Run it to its end; every job may be tried often."""
        command = [str(BIN / "snakemake"), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.place),
                   "--workflow-profile", str(ROOT / "cluster/profiles/slurm"), "--retries", "50",
                   "--slurm-init-seconds-before-status-checks", "2",
                   "--config", "campaign=c.yaml", "site=site.toml"]  # fmt: skip
        log = (self.place / "log").open("ab")
        return subprocess.Popen(
            command, cwd=self.place, env=self.slurm.environment | {"HYDRA_IFACE": "lo"}, stdout=log, stderr=log
        )

    def last_commit(self, ensemble: Ensemble) -> float:
        """When something of an ensemble was committed last; 0 before."""
        found = [0.0]
        for file in (self.out / "state" / ensemble.id).glob("chain-*/checkpoint"):
            with suppress(OSError):
                found.append(file.stat().st_mtime)
        return max(found)

    def spent(self) -> float:
        """Seconds that the runs which ended took, by their sidecars."""
        runs = [run for e in self.ensembles for run in read_sidecar(self.out / "banks" / f"{e.label}.h5")]
        return sum(run.get("seconds") or 0.0 for run in runs)


def sampling(place: Path) -> list[tuple[psutil.Process, str]]:
    """The sampling processes that work in a directory, with the labels of their ensembles."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ValueError, IndexError):
            words = process.cmdline()
            if (
                "sample" in words
                and Path(process.cwd()) == place
                and any(w.endswith("hpcrg") for w in words)
                and "srun" not in words[0]
            ):
                found.append((process, words[words.index("--ensemble") + 1]))
    return found


def inject(fault: str, target: Campaign, chance: random.Random) -> list[str]:
    """One fault; the labels of the ensembles that it hit, none where there was nothing to hit."""
    slurm, running = target.slurm, sampling(target.place)
    if not running:
        return []
    if fault == "kill":
        process, label = chance.choice(running)
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
        return [label]
    lines = slurm.call("squeue", "-h", "-t", "R", "-o", "%i|%N|%k", check=False).splitlines()
    jobs = [line.split("|") for line in lines if "wildcards_" in line]
    if not jobs:
        return []
    number, node, comment = chance.choice(jobs)
    if fault == "cancel":
        slurm.call("scancel", number, check=False)
    elif fault == "requeue":
        slurm.call("scontrol", "requeue", number, check=False)
    elif fault == "preempt":
        slurm.call("sbatch", "--partition=cpu", "--exclusive", f"--nodelist={node}", "--output=/dev/null",
                   "--wrap=sleep 1", check=False)  # fmt: skip
    else:
        slurm.call("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=chaos", check=False)
        time.sleep(DOWN)
        slurm.call("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
    if fault in ("preempt", "node down"):
        return [c.rpartition("wildcards_")[2] for _, n, c in jobs if n == node]
    return [comment.rpartition("wildcards_")[2]]


def release(slurm: minislurm.MiniSlurm) -> int:
    """Release the jobs that SLURM holds since a node would not start them, as `hpcrg status` advises; how many."""
    lines = slurm.call("squeue", "-h", "-t", "PD", "-o", "%i|%r", check=False).splitlines()
    held = [line.partition("|")[0] for line in lines if "held" in line]
    for number in held:
        slurm.call("scontrol", "release", number, check=False)
    return len(held)


def torment(target: Campaign, period: float, chance: random.Random) -> tuple[Counter[str], float, float, int, int]:
    """Faults until the campaign ends; how many of each, the seconds of work lost to them, the seconds in all, and how
    many jobs were released and controllers started again."""
    begun, injected, lost, released, revived = time.monotonic(), Counter[str](), 0.0, 0, 0
    known = {e.label: e for e in target.ensembles}
    since: dict[str, float] = {}
    process = target.start()
    while process.poll() is None:
        time.sleep(chance.uniform(0.5, 1.5) * period)
        for _, label in sampling(target.place):
            since.setdefault(label, time.time())
        fault = chance.choice(FAULTS)
        commits = {label: target.last_commit(e) for label, e in known.items()}
        hit = inject(fault, target, chance)
        injected[fault] += bool(hit)
        released += release(target.slurm)
        revived += target.slurm.revive()
        for label in hit:
            if label in known:
                lost += max(0.0, time.time() - max(commits[label], since.pop(label, time.time())))
    if process.returncode:
        raise RuntimeError((target.place / "log").read_text()[-4000:])
    return injected, lost, time.monotonic() - begun, released, revived


def main(ensembles: int, draws: int, period: float, seed: int, calm: bool, directory: Path) -> int:
    """The whole; how many banks are wrong."""
    text, slurm = campaign(ensembles, draws), minislurm.MiniSlurm(minislurm.make_place())
    try:
        slurm.start()
        undisturbed = Campaign(directory / "calm", text, slurm)
        begun = time.monotonic()
        if calm:
            for e in undisturbed.ensembles:
                sample(e, undisturbed.out / "banks" / f"{e.label}.h5", undisturbed.out / "state", Alone(), Limits(),
                       lambda *_: None)  # fmt: skip
        elif undisturbed.start().wait():
            raise RuntimeError((undisturbed.place / "log").read_text())
        quiet = time.monotonic() - begun
        target = Campaign(directory / "faults", text, slurm)
        injected, lost, took, released, revived = torment(target, period, random.Random(seed))
    finally:
        slurm.stop()
        shutil.rmtree(slurm.place, ignore_errors=True)
    wrong = [e.label for e in target.ensembles
             if content(target.out / "banks" / f"{e.label}.h5") != content(undisturbed.out / "banks" / f"{e.label}.h5")]  # fmt: skip
    faults = ", ".join(f"{count} {name}" for name, count in sorted(injected.items()))
    print(
        f"{ensembles} ensembles, {sum(injected.values())} faults ({faults}) in {took:.0f} s, "
        f"{released} held jobs released, {revived} controllers that had crashed started again: {len(wrong)} banks wrong"
    )
    print(f"work lost: {lost:.0f} s of {target.spent():.0f} s, {100 * lost / max(1.0, target.spent()):.0f} %"
          + ("" if calm else f"; {quiet:.0f} s without faults, {100 * (took / quiet - 1):.0f} % longer with them"))  # fmt: skip
    return len(wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ensembles", type=int, default=60)
    parser.add_argument("--draws", type=int, default=1500)
    parser.add_argument("--period", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calm", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="chaos-") as place:
        sys.exit(min(1, main(given.ensembles, given.draws, given.period, given.seed, given.calm, Path(place))))
