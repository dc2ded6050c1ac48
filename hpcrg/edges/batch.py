"""Small SLURM jobs: submit a script, wait, read what it printed; and the jobs that Snakemake has submitted."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpcrg.errors import InputError
from hpcrg.site import Site

WAITING = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED", "RESIZING", "STAGE_OUT")
POLL = 1.0
PATIENCE = 10.0


@dataclass(frozen=True)
class Ended:
    """A job that has ended, or that `patience` did not suffice for (then `state` is the one that it was in)."""

    number: str
    state: str
    output: str

    @property
    def good(self) -> bool:
        """Whether it came to its end with exit status 0."""
        return self.state == "COMPLETED"


def slurm(*command: str, patience: float | None = None) -> str:
    """What a SLURM command prints. Raises InputError when it is not there, fails, or takes longer than `patience`
    seconds: without a configuration it tries for a minute."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=patience)
    except FileNotFoundError:
        raise InputError(f"{command[0]}: expected SLURM's command on PATH, found none") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{command[0]}: expected an answer within {patience:.0f} s, found none") from None
    if done.returncode:
        told = " / ".join(done.stderr.split("\n")).strip(" /")
        raise InputError(f"{' '.join(command[:3])}: expected exit status 0, found {done.returncode}: {told}")
    return done.stdout


def submit(site: Site, kind: str, directory: Path, name: str, lines: Sequence[str], *options: str) -> str:
    """Submit a bash script of `lines` to the partition `kind`; its number. What it prints goes to NAME.out."""
    script = directory / f"{name}.sh"
    interface = [f"export GLOO_SOCKET_IFNAME={site.interface}"] if site.interface else []
    script.write_text("\n".join(["#!/bin/bash", *site.modules, *interface, *lines, ""]))
    place = site.place(kind)
    where = [f"--partition={place['slurm_partition']}"] if "slurm_partition" in place else []
    where += [f"--account={site.account}"] if site.account else []
    named = [
        f"--job-name=hpcrg-{name}",
        f"--output={directory / name}.out",
        "--open-mode=append",
        f"--chdir={directory}",
    ]
    return slurm("sbatch", "--parsable", *where, *named, *options, str(script)).strip().split(";")[0]


def state_of(number: str) -> str:
    """The state of a job; COMPLETED for one that SLURM has forgotten."""
    found = slurm("squeue", "-h", "-t", "all", "-j", number, "-o", "%T").split()
    return found[0] if found else "COMPLETED"


def wait(number: str, directory: Path, name: str, patience: float, done: Callable[[str], bool] | None = None) -> Ended:
    """Wait until a job has ended, or until `done`(state); at most so many seconds, after which it is cancelled."""
    end, over = time.monotonic() + patience, done or (lambda state: state not in WAITING)
    state = state_of(number)
    while not over(state):
        if time.monotonic() > end:
            slurm("scancel", "--quiet", number)
            break
        time.sleep(POLL)
        state = state_of(number)
    return Ended(number, state, output_of(directory, name))


def output_of(directory: Path, name: str) -> str:
    """What a job has printed; nothing before it starts."""
    path = directory / f"{name}.out"
    return path.read_text(errors="replace") if path.exists() else ""


def submitted(directory: Path) -> dict[str, str]:
    """What SLURM says of the jobs of this user that Snakemake has submitted from a directory, by rule and wildcards as
    `hpcrg status` names them; nothing where there is no SLURM."""
    try:
        lines = slurm("squeue", "--me", "-h", "-o", "%i|%T|%M|%N|%r|%k|%Z", patience=PATIENCE).splitlines()
    except InputError:
        return {}
    found = {}
    for line in lines:
        number, state, spent, nodes, reason, comment, place = line.split("|", 6)
        rule, _, wildcards = comment.removeprefix("rule_").partition("_wildcards_")
        if comment.startswith("rule_") and Path(place).resolve() == directory.resolve():
            found[f"{rule} {wildcards}".strip()] = f"SLURM job {number} " + (
                f"has run for {spent} on {nodes}" if state == "RUNNING"
                else f"is held ({reason}): scontrol release {number}" if "held" in reason.lower()
                else f"is {state.lower()} ({reason})"
            )  # fmt: skip
    return found
