"""What the jobs of `hpcrg site check` run; each prints one line that the check reads."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hpcrg import __version__

LIMIT = 120.0


def hello() -> None:
    """Which hpcrg this is, and where."""
    print(f"hpcrg {__version__}, Python {sys.version.split()[0]} on {os.uname().nodename}")


def ranks() -> None:
    """The size of the world, and the cores that this rank may use."""
    import numpy as np

    from hpcrg.edges.mpi import world

    comm = world(None)
    total = len(comm.allgather(np.ones(1, np.int64), comm.size))
    cores = len(os.sched_getaffinity(0))
    print(f"rank {comm.rank} of {total} on {os.uname().nodename} cores {cores}", flush=True)


def locking(path: str) -> None:
    """Whether a file here can be locked."""
    from hpcrg.edges.ownership import lock_of

    print(lock_of(Path(path)))


def wait_for_signal() -> None:
    """Wait for SIGURG."""
    heard: list[int] = []
    signal.signal(signal.SIGURG, lambda number, frame: heard.append(number))
    print("ready", flush=True)
    end = time.monotonic() + LIMIT
    while not heard and time.monotonic() < end:
        time.sleep(0.1)
    print("heard" if heard else "silence", flush=True)


def dask(path: str) -> None:
    """A sum on workers that are jobs."""
    from hpcrg.edges.dask import computing

    with computing(1, True, f"slurm:{path}") as compute:
        first, last = ("part", 0, 0), ("part", 1, 0)
        parts = compute({first: (sum, list(range(500))), last: (sum, list(range(500, 1000)))}, [first, last])
        print(f"sum {sum(parts)}", flush=True)


def torchrun(nodes: str, processes: str) -> int:
    """Start processes that add up their ranks plus one."""
    from hpcrg.edges.torchrun import launch

    return launch(["meet"], int(processes), module="hpcrg.edges.site_probe", nodes=int(nodes))


def meet() -> None:
    """The sum over processes of rank plus one."""
    from hpcrg.edges.torchrun import sum_of_ranks

    print(f"sum {sum_of_ranks()}", flush=True)


def gpu() -> None:
    """What CUDA may see, and whether torch does."""
    from hpcrg.edges.torchrun import sees_gpu

    print(f"visible {os.environ.get('CUDA_VISIBLE_DEVICES') or 'none'} torch {'yes' if sees_gpu() else 'no'}")


PROBES: dict[str, Callable[..., int | None]] = {
    "hello": hello, "ranks": ranks, "locking": locking, "signal": wait_for_signal, "dask": dask, "torchrun": torchrun,
    "meet": meet, "gpu": gpu,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(PROBES[sys.argv[1]](*sys.argv[2:]))
