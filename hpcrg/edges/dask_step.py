"""The tasks of one SLURM step as a Dask cluster: task 0 is the scheduler, 1 runs the verb, the others work.

Task 0 writes FILE, whole or not at all: which run this is, where the scheduler listens, how its certificate is called.
Nobody waits for ever:

    everybody           for the FILE of this run, at most PATIENCE; one that another run left is passed over
    the scheduler       for the verb to come, at most PATIENCE, then for it to leave; FILE then says that it is over
    a worker            for the scheduler to end; one that starts when all is over ends at once

All listen at the address of their node in the network over which SLURM started the step, dashboards on loopback.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcrg.edges.dask_tls import encrypted, in_force
from hpcrg.errors import InputError, expected
from hpcrg.files import write_atomically

PATIENCE = 300.0
DEATH = 60.0
"""Seconds that a worker tries to reach a scheduler that it was told of."""
POLL = 0.2
FEWEST = 3
DASHBOARD = "127.0.0.1:0"
"""Where dashboards listen, and what else of Dask speaks http: every worker does, on all interfaces unless told."""
STEP = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_LAUNCH_NODE_IPADDR")
logger = logging.getLogger("hpcrg")


@dataclass(frozen=True)
class Task:
    """One task: its number, the run that it belongs to, the file by which they meet and the host that started them."""

    number: int
    run: str
    path: Path
    launcher: str

    def tell(self, **more: Any) -> None:
        """Write the file."""
        write_atomically(self.path, json.dumps({"run": self.run, **more}).encode())

    def told(self) -> dict[str, Any] | None:
        """What the file says, if it is there and of this run."""
        try:
            found: dict[str, Any] = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) and found.get("run") == self.run else None


@contextmanager
def step(path: Path, tls: bool) -> Iterator[str]:
    """The address of the scheduler, in task 1; every other task does its part in here and ends with it. Raises
    InputError outside a step of at least three tasks, and when no scheduler comes."""
    import dask

    task = _this_task(path)
    if task.number == 0:
        with encrypted(tls, path.absolute().parent) as protocol:
            asyncio.run(_schedule(task, protocol))
        sys.exit(0)
    found = _wait(task)
    with dask.config.set(found["settings"]):
        if task.number == 1:
            yield found["address"]
        else:
            asyncio.run(_work(task, found["address"]))
            sys.exit(0)


def _this_task(path: Path) -> Task:
    given = [os.environ.get(name) for name in STEP]
    number, tasks, *names, launcher = given
    if None in given or int(str(tasks)) < FEWEST:
        wanted = f"a SLURM step of at least {FEWEST} tasks (srun --ntasks={FEWEST} hpcrg ...)"
        raise InputError(expected("scheduler: runner", wanted, f"{tasks or 'no'} tasks"))
    run = ".".join([*map(str, names), os.environ.get("SLURM_RESTART_COUNT", "0")])
    return Task(int(str(number)), run, path, str(launcher))


def _wait(task: Task) -> dict[str, Any]:
    """What the scheduler says in the file; a worker that finds that all is over ends here."""
    end = time.monotonic() + PATIENCE
    while (found := task.told()) is None:
        if time.monotonic() > end:
            raise InputError(expected(f"scheduler: runner:{task.path}", f"a scheduler within {PATIENCE:.0f} s", None))
        time.sleep(POLL)
    if found["address"] is None and task.number > 1:
        sys.exit(0)
    if found["address"] is None:
        raise InputError(expected(f"scheduler: runner:{task.path}", "a scheduler", "one that has ended"))
    return found


async def _schedule(task: Task, protocol: str) -> None:
    from distributed import Scheduler

    start: Any = Scheduler
    try:
        async with start(
            host=_address(task.launcher), port=0, protocol=protocol, dashboard_address=DASHBOARD
        ) as scheduler:
            task.tell(address=scheduler.address, settings=in_force())
            await _client_left(scheduler)
            task.tell(address=None)  # before workers are told, so that none comes later
    finally:
        task.tell(address=None)


async def _client_left(scheduler: Any) -> None:
    """Wait until the verb has come and left, or has not come for too long."""
    end, seen = time.monotonic() + PATIENCE, False
    while not seen or _clients(scheduler):
        seen = seen or bool(_clients(scheduler))
        if not seen and time.monotonic() > end:
            logger.warning("scheduler: the verb did not come within %.0f s; its task may have ended", PATIENCE)
            return
        await asyncio.sleep(POLL)


def _clients(scheduler: Any) -> list[str]:
    return [name for name in scheduler.clients if name != "fire-and-forget"]


async def _work(task: Task, address: str) -> None:
    from distributed import Worker

    start: Any = Worker
    own = {"host": _address(task.launcher), "dashboard_address": DASHBOARD, "memory_limit": None}  # SLURM has its own
    try:
        async with start(address, nthreads=1, name=task.number, death_timeout=DEATH, **own) as worker:
            await worker.finished()
    except (OSError, RuntimeError) as error:  # a scheduler that has ended while this one started
        logger.warning("worker %d: no scheduler at %s: %s", task.number, address, error)


def _address(host: str) -> str:
    """The address of this node in the network of a host."""
    from distributed.utils import get_ip

    return str(get_ip(host))  # type: ignore[no-untyped-call]
