"""Who made a file, when, where, and what it took: runs in a sidecar beside it, so that equal physics gives equal files.

A run of long work is noted in a journal when it begins and when it ends; one that was killed has a beginning only. The
sidecar FILE.provenance.json lists the runs of the journal, oldest first, when the file is complete.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from hpcrg import __version__
from hpcrg.errors import Interrupted, Unusable
from hpcrg.files import naming, parse_json, write_atomically

JOURNAL, SIDECAR = "runs.jsonl", ".provenance.json"
FAILED = "failed: "
PACKAGES = ("numpy", "numba", "h5py", "mpi4py")
JOB, RESTARTS = "SLURM_JOB_ID", "SLURM_RESTART_COUNT"
MEMORY = Path("/proc/self/status")

Run = dict[str, Any]
"""What is told of a run: id, begun, host, ranks and the versions; of one that ended also outcome (finished, stopped or
failed), seconds since its process started, cpu seconds of all processes, bytes of memory of the fullest host, hosts."""


@dataclass(frozen=True)
class Used:
    """What one process took: its host, CPU seconds and bytes at its fullest."""

    host: str
    cpu: float
    memory: int


def used(children: int = 0) -> Used:
    """Of this process, and of `children` that it started and that have ended, each taken for the largest of them."""
    own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + (below.ru_utime + below.ru_stime) * bool(children)
    return Used(platform.node(), cpu, _fullest(own.ru_maxrss) + 1024 * children * below.ru_maxrss)


def _fullest(kilobytes: int) -> int:
    """Bytes of this process at its fullest; what the system counts for it may be that of the process before it."""
    try:
        line = next(line for line in MEMORY.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    except (OSError, StopIteration):
        return 1024 * kilobytes


def seconds_here() -> float:
    """Since this process started, by clocks that nobody sets."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError):
        return time.monotonic() - _IMPORTED


_IMPORTED = time.monotonic()


@dataclass(frozen=True)
class Journal:
    """The runs in one directory of states."""

    path: Path

    def begin(self, identifier: str, ranks: int) -> str:
        """Note that a run begins; the name by which to end it."""
        name = f"{time.time_ns():x}-{os.getpid()}"
        self._append({"run": name} | beginning(identifier, ranks))
        return name

    def end(self, name: str, outcome: str, parts: Sequence[Used], notes: Run) -> None:
        """Note how the run ended, what its processes took and what else is to be told."""
        self._append({"run": name} | ending(outcome, parts) | notes)

    def runs(self) -> list[Run]:
        """Oldest first; lines that a kill cut short are left out."""
        found: dict[str, Run] = {}
        for line in self.path.read_text(errors="replace").splitlines() if self.path.exists() else ():
            try:
                told = parse_json(line)
                found.setdefault(told["run"], {"outcome": "lost", "seconds": None}).update(told)
            except (ValueError, TypeError, KeyError):
                continue
        return [run for run in found.values() if "begun" in run and is_run(run)]

    def _append(self, told: Run) -> None:
        with naming(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            cut = self.path.exists() and not self.path.read_bytes().endswith(b"\n")
            with self.path.open("a") as file:
                file.write("\n" * cut + json.dumps(told) + "\n")


def beginning(identifier: str, ranks: int) -> Run:
    """What is known of a run from its first second."""
    return {
        "id": identifier, "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "host": platform.node(),
        "machine": platform.machine(), "ranks": ranks, "job": os.environ.get(JOB), "restart": os.environ.get(RESTARTS),
        "hpcrg": __version__, "git": source(), "python": sys.version.split()[0],
        "packages": {p: _version(p) for p in PACKAGES},
    }  # fmt: skip


def ending(outcome: str, parts: Sequence[Used]) -> Run:
    """What is known of it at its end."""
    hosts = sorted({p.host for p in parts})
    memory = max(sum(p.memory for p in parts if p.host == host) for host in hosts)
    return {"outcome": outcome, "seconds": round(seconds_here(), 1), "cpu": round(sum(p.cpu for p in parts), 1),
            "memory": memory, "hosts": hosts}  # fmt: skip


def sidecar(output: Path) -> Path:
    """Where the runs that made a file are told."""
    return output.with_suffix(SIDECAR)


def write_sidecar(output: Path, runs: Sequence[Run]) -> None:
    """Tell the runs that made a file, after those that its sidecar already tells."""
    known = {run["run"] for run in runs}
    earlier = [run for run in read_sidecar(output) if run.get("run") not in known]
    write_atomically(sidecar(output), json.dumps([*earlier, *runs], indent=1).encode())


def read_sidecar(output: Path) -> list[Run]:
    """The runs that made a file; none where the sidecar cannot be read, which is no reason to lose the file."""
    try:
        found = parse_json(sidecar(output).read_text())
    except (OSError, ValueError):
        return []
    return [run for run in found if is_run(run)] if isinstance(found, list) else []


class _Told(BaseModel):
    """What readers rely on; a sidecar may tell more."""

    begun: str | None = None
    host: str | None = None
    hosts: list[str] | None = None
    outcome: str | None = None
    ranks: int | None = None
    seconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    cpu: float | None = Field(None, ge=0, allow_inf_nan=False)
    memory: float | None = Field(None, ge=0, allow_inf_nan=False)
    packages: dict[str, Any] | None = None


def is_run(found: Any) -> bool:
    """Whether what is told is a run, with numbers where there should be numbers."""
    try:
        return bool(_Told.model_validate(found))
    except ValidationError:
        return False


@contextmanager
def noted(
    journal: Journal | None, identifier: str, ranks: int, parts: Callable[[], Sequence[Used] | None],
    notes: Run | None = None,
) -> Iterator[None]:  # fmt: skip
    """Note the run that the block is, on the rank that has the journal. `parts` says what the processes took, and is
    asked of every rank when all of them end together; `notes` is looked at at the end."""
    name = journal.begin(identifier, ranks) if journal else ""
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        taken = parts() if error is None or isinstance(error, Interrupted) else [used()]
        if journal and taken:
            with suppress(Unusable):  # a full disk has its own error, and the journal is no result
                journal.end(name, outcome_of(error), taken, notes or {})


@contextmanager
def told(output: Path, identifier: str, children: int = 0) -> Iterator[None]:
    """Tell in the sidecar of `output` of the one run that makes it, here and in so many child processes."""
    run = beginning(identifier, 1)
    yield
    write_atomically(sidecar(output), json.dumps([run | ending("finished", [used(children)])], indent=1).encode())


def outcome_of(error: BaseException | None) -> str:
    """In a word, and for a failure with its first line."""
    if error is None:
        return "finished"
    text = str(error).partition("\n")[0] or type(error).__name__
    return "stopped" if isinstance(error, Interrupted) else f"{FAILED}{text}"


@lru_cache
def source() -> str | None:
    """The commit of the source that runs, with `-dirty` where it was changed; None for an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
