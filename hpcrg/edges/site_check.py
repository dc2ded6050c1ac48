"""Whether a cluster does what hpcrg asks of it: small jobs, each with a verdict and the reason.

PASSED is what hpcrg needs, WARNING what it can do without, ERROR what has to be mended before a campaign is submitted.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hpcrg.edges.batch import WAITING, Ended, output_of, slurm, submit, wait
from hpcrg.errors import InputError
from hpcrg.site import Site

PATIENCE = 300.0
PYTHON = sys.executable
PROBE = f"{PYTHON} -m hpcrg.edges.site_probe"


@dataclass(frozen=True)
class Verdict:
    """One line of the check."""

    subject: str
    level: str
    text: str


@dataclass(frozen=True)
class Check:
    """A site, the directory on its shared file system where jobs write, and how long a job is waited for."""

    site: Site
    path: Path
    directory: Path
    patience: float = PATIENCE

    def job(self, kind: str, name: str, lines: list[str], *options: str) -> Ended:
        """Run a job to its end."""
        return wait(submit(self.site, kind, self.directory, name, lines, *options), self.directory, name, self.patience)

    def printed(self, name: str) -> str:
        """What a job has printed so far."""
        return output_of(self.directory, name)

    def run(self) -> Iterator[Verdict]:
        """Every check, in order; the first one decides whether the others make sense."""
        first = self._guarded("jobs", self.jobs)
        yield first
        if first.level == "ERROR":
            return
        for subject, check in (
            ("MPI", self.ranks), ("locks", self.locking), ("signals", self.signals), ("requeue", self.requeue),
            ("Dask", self.workers), ("torchrun", self.torchrun), ("GPU", self.gpu),
        ):  # fmt: skip
            yield self._guarded(subject, check)

    def _guarded(self, subject: str, check: Callable[[], Verdict]) -> Verdict:
        try:
            return check()
        except InputError as error:
            return Verdict(subject, "ERROR", str(error))

    def jobs(self) -> Verdict:
        """A job of one task, whose Python finds hpcrg."""
        begun = time.monotonic()
        ended = self.job("cpu", "jobs", [f"{PROBE} hello"], "--time=2")
        if not ended.good or "hpcrg" not in ended.output:
            return Verdict("jobs", "ERROR", f"a job that prints hpcrg's version ended as {_told(ended)}")
        return Verdict("jobs", "PASSED", f"{ended.output.strip()}, {time.monotonic() - begun:.0f} s after submission")

    def ranks(self) -> Verdict:
        """Two MPI ranks, on two nodes where the site spreads them."""
        nodes = self.site.sampling(2).get("nodes", 1)
        line = f"{self.site.launcher} -n 2 {PYTHON} -m mpi4py -m hpcrg.edges.site_probe ranks"
        ended = self.job("cpu", "ranks", [line], "--ntasks=2", f"--nodes={nodes}", "--time=2")
        lines = [x for x in ended.output.splitlines() if x.startswith("rank ")]
        worlds = {x.split()[3] for x in lines}
        if not ended.good or worlds != {"2"}:
            return Verdict("MPI", "ERROR", f"`{self.site.launcher} -n 2`: expected one world of 2 ranks, found "
                           f"{'worlds of ' + ', '.join(worlds) if worlds else 'none'}; {_told(ended)}")  # fmt: skip
        cores = "/".join(x.split("cores ")[1] for x in lines)
        return Verdict("MPI", "PASSED", f"a world of 2 ranks on {_nodes(nodes)}, which may use {cores} cores")

    def locking(self) -> Verdict:
        """Whether states can be locked where the campaign's results would be."""
        ended = self.job("cpu", "locking", [f"{PROBE} locking {self.directory}/probe.lock"], "--time=2")
        if not ended.good:
            return Verdict("locks", "ERROR", f"a file in {self.directory} could not be written: {_told(ended)}")
        if "locked" in ended.output:
            return Verdict("locks", "PASSED", f"files in {self.directory} can be locked")
        if "denied" in ended.output:
            told = "a file stands for the lock, which you have to remove after a run that was killed on another node"
            return Verdict("locks", "WARNING", f"no locks in {self.directory}: {told}")
        return Verdict(
            "locks", "WARNING", f"no locks in {self.directory}: two runs of one ensemble would not be noticed"
        )

    def signals(self) -> Verdict:
        """Whether SIGURG, which comes before a time limit, reaches a process under the launcher."""
        line = f"{self.site.launcher} -n 2 {PYTHON} -m mpi4py -m hpcrg.edges.site_probe signal"
        number = submit(self.site, "cpu", self.directory, "signals", [line], "--ntasks=2", "--time=3")

        def ready(state: str) -> bool:
            return state not in WAITING or self.printed("signals").count("ready") == 2

        waited = wait(number, self.directory, "signals", self.patience, ready)
        if waited.output.count("ready") == 2:
            slurm("scancel", "--signal=URG", number)
        ended = wait(number, self.directory, "signals", 60.0)
        heard = ended.output.count("heard")
        if heard == 2:
            return Verdict("signals", "PASSED", "SIGURG reached both ranks")
        return Verdict("signals", "ERROR", f"SIGURG reached {heard} of 2 ranks: time limits would kill without a "
                       f"checkpoint (one is written every 30 s all the same); {_told(ended)}")  # fmt: skip

    def requeue(self) -> Verdict:
        """Whether a job that is put back into the queue starts again."""
        lines = ["echo restart ${SLURM_RESTART_COUNT:-0}", '[ -n "$SLURM_RESTART_COUNT" ] || sleep 120']
        number = submit(self.site, "cpu", self.directory, "requeue", lines, "--requeue", "--time=3")
        wait(number, self.directory, "requeue", self.patience, lambda state: "restart" in self.printed("requeue"))
        try:
            slurm("scontrol", "requeue", number)
        except InputError as error:
            slurm("scancel", number)
            return Verdict("requeue", "WARNING", f"not allowed; Snakemake's retries have to do: {error}")
        again = "restart 1"
        ended = wait(number, self.directory, "requeue", self.patience, lambda state: again in self.printed("requeue"))
        if again in ended.output:
            return Verdict("requeue", "PASSED", "a job put back into the queue started again")
        return Verdict("requeue", "WARNING", f"a job put back into the queue did not start again; {_told(ended)}")

    def workers(self) -> Verdict:
        """Dask workers as jobs, from inside a job, as a campaign would have them."""
        if self.site.dask is None:
            return Verdict("Dask", "PASSED", "workers run inside the job that needs them (no table `dask`)")
        ended = self.job("cpu", "workers", [f"{PROBE} dask {self.path.absolute()}"], "--time=5")
        if "sum 499500" in ended.output:
            return Verdict("Dask", "PASSED", f"{self.site.dask.jobs} jobs of workers joined")
        return Verdict("Dask", "ERROR", f"workers as jobs did not answer: {_told(ended)}")

    def torchrun(self) -> Verdict:
        """Two training processes, on two nodes where the site spreads them."""
        nodes = self.site.training_nodes(2)
        line = f"{PROBE} torchrun {nodes} {2 // nodes}"
        line = f"srun --nodes={nodes} --ntasks-per-node=1 {line}" if nodes > 1 else line
        ended = self.job("cpu", "torchrun", [line], f"--nodes={nodes}", f"--ntasks={nodes}", "--time=5")
        if ended.good and "sum 3" in ended.output:
            return Verdict("torchrun", "PASSED", f"2 processes on {_nodes(nodes)} met")
        return Verdict("torchrun", "ERROR", f"2 processes on {_nodes(nodes)} did not meet: {_told(ended)}")

    def gpu(self) -> Verdict:
        """A GPU that SLURM gives and torch sees."""
        if not self.site.partitions.gpu:
            return Verdict("GPU", "WARNING", "the site names no partition for GPUs; networks train on CPUs")
        gres = self.site.training(1, 1)["gres"]
        ended = self.job("gpu", "gpu", [f"{PROBE} gpu"], f"--gres={gres}", "--time=2")
        if not ended.good:
            return Verdict("GPU", "ERROR", f"a job with --gres={gres} ended as {_told(ended)}")
        text = ended.output.strip()
        if "visible none" in text:
            return Verdict("GPU", "ERROR", f"SLURM gave --gres={gres} and no CUDA_VISIBLE_DEVICES")
        given = f"CUDA_VISIBLE_DEVICES is {text.split()[1]}"
        if "torch yes" in text:
            return Verdict("GPU", "PASSED", f"{given}; torch sees it")
        return Verdict("GPU", "WARNING", f"{given}; torch sees no GPU: networks would train on CPUs")


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _told(ended: Ended) -> str:
    last = [line for line in ended.output.splitlines() if line.strip()][-2:]
    return f"job {ended.number} {ended.state}" + (f": {' / '.join(last)}" if last else "")


def check(site: Site, path: Path, directory: Path, patience: float = PATIENCE) -> Iterator[Verdict]:
    """All verdicts on a site; jobs write into `directory`, which must be on the file system that nodes share."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.out"):
        old.unlink()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return Check(site, path, directory, patience).run()
