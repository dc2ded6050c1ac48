"""What the tests of faults share: a small campaign, verbs as processes, and ways to make things go wrong for real."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"HYDRA_IFACE": "lo", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1", "OMP_NUM_THREADS": "1"}
CAMPAIGN = """
name: faults
seed: 3
model: {type: ising}
resources: {ranks: 2, workers: 1, processes: 1}
ensembles:
  scan: {sizes: [8, 16], ladder: {temperatures: [2.0, 2.1, 2.2, 2.3, 2.4, 2.5]}, updates: [{type: metropolis}], chains: 4, thermalise: 100, keep: 5, draws: 300}
  critical: {sizes: [16], ladder: {critical: true}, updates: [{type: swendsen_wang}], chains: 4, thermalise: 100, keep: 2, draws: 100}
scale: {fss: {ensemble: scan}}
flow: {majority: {ensemble: critical, scheme: majority, levels: 2}}
train: {cnn: {ensemble: scan, cold: 2, hot: 2, seeds: 1, epochs: 4}}
percolation: {site: {type: site, sizes: [32, 64], realisations: 200, chains: 3}}
"""


FRAME = re.compile(r'File "[^"]*/hpcrg/[\w/]+\.py"')
"""A line of a traceback that goes through hpcrg; Dask on a busy machine may print others when it ends."""


def mpiexec() -> str:
    """The launcher beside the interpreter, if there is one."""
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"


def hpcrg(verb: str, place: Path, *more: str, ranks: int = 0) -> list[str]:
    """A verb on the campaign in `place`; under mpiexec where `ranks` are given."""
    told = ["--ranks", str(ranks)] if ranks else []
    start = [mpiexec(), "-n", str(ranks), sys.executable, "-m", "mpi4py"] if ranks else [sys.executable]
    return [*start, "-m", "hpcrg", verb, str(place / "c.yaml"), *more, *told]


def sampling(place: Path, name: str = "scan-L16", ranks: int = 0) -> list[str]:
    """`sample` with bank and state in `place`."""
    return hpcrg("sample", place, "--ensemble", name, "--output", str(place / "bank.h5"), "--state",
                 str(place / "state"), "--interval", "0.1", ranks=ranks)  # fmt: skip


def producing(place: Path, ranks: int = 0) -> list[str]:
    """`produce` with file and state in `place`."""
    return hpcrg("produce", place, "--series", "site-L64", "--output", str(place / "series.h5"), "--state",
                 str(place / "state"), "--interval", "0", ranks=ranks)  # fmt: skip


def written(place: Path, text: str = CAMPAIGN) -> Path:
    """The directory, with the campaign in it."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "c.yaml").write_text(text)
    return place


def run(
    command: list[str], before: Callable[[], None] | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever that is; `before` runs in the process before the verb."""
    return subprocess.run(command, env=ENVIRONMENT | environment, preexec_fn=before, check=False, capture_output=True,
                          text=True, timeout=180)  # fmt: skip


def finish(command: list[str], **environment: str) -> str:
    """Run to a good end; what it said."""
    done = run(command, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def refused(done: subprocess.CompletedProcess[str], *words: str, status: int = 2) -> None:
    """It ended with a clear error that has these words, and with the status of errors of its kind."""
    assert done.returncode == status, (done.returncode, done.stderr)
    assert not FRAME.search(done.stderr), done.stderr
    lines = [line for line in done.stderr.splitlines() if line.lower().startswith("error:")]
    assert lines, done.stderr
    assert all(word in lines[0] for word in words), lines


def datasets(path: Path) -> object:
    """All that a bank or a series says but where its segments lie and who made it."""
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, x: found.update({name: x[()].tobytes()}) if isinstance(x, h5py.Dataset) else None)
        told = {k: str(file.attrs[k]) for k in ("schema", "id", "ensemble", "seed") if k in file.attrs}
    return told, found


def wait_for(done: Callable[[], object], what: str, patience: float = 90.0) -> None:
    """Until it is true."""
    end = time.monotonic() + patience
    while not done():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.02)


def commits(place: Path) -> set[tuple[str, int]]:
    """Checkpoints and when they were written."""
    return {(str(p), p.stat().st_mtime_ns) for p in (place / "state").rglob("*checkpoint") if p.suffix != ".tmp"}


def wait_for_a_commit(place: Path, process: subprocess.Popen[str]) -> None:
    """Until something new has been committed."""
    before = commits(place)
    wait_for(lambda: commits(place) - before or process.poll() is not None, "a commit")
    assert process.poll() is None, process.communicate()


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """The Python processes below a launcher."""
    import psutil

    children = psutil.Process(process.pid).children(recursive=True)
    return [c.pid for c in children if Path(c.exe()).name.startswith("python")]


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes (3m) at `place`. Skips where mounting is not allowed."""
    place.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no small file system: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def grow(place: Path, size: str) -> None:
    """Make space on a small disk."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def small_files(size: int) -> Callable[[], None]:
    """Files of at most so many bytes, and an error rather than a signal for more: needs no root."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    return limit


def obey_permissions() -> None:
    """Take from root its right to read and write everything (PR_CAPBSET_DROP of CAP_DAC_OVERRIDE, _READ_SEARCH)."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
