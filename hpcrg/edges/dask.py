"""Where a Dask graph runs: worker processes or threads of this machine, SLURM jobs, the tasks of one SLURM job, or a
scheduler that is there.

Everything local listens on the loopback interface only. Workers never oversubscribe the machine: one thread
each, with OMP, BLAS and numba threads set to 1. No result depends on any of it (analysis/graph.py).

    none of the others       workers of this machine
    slurm:SITE.toml          jobs of their own, by the table `dask` of a site file (hpcrg/site.py)
    runner:FILE              under srun -n N: task 0 is the scheduler, 1 runs the verb, the others work; FILE is where
                             they find each other, and must not be there before
    tcp://HOST:PORT          a scheduler that is there; tls:// takes keys and certificates from Dask's configuration
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hpcrg.analysis.graph import Compute, Graph, Key
from hpcrg.errors import InputError, expected
from hpcrg.progress import Report, reporting
from hpcrg.site import Site, load_site

LOOPBACK = "127.0.0.1"
SLURM, RUNNER = "slurm:", "runner:"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "DASK_LOGGING__DISTRIBUTED": "critical",  # a failed task is raised here; a closing scheduler is no failure
}
CONFIG = {
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.worker.memory.terminate": 0.95,
}
logger = logging.getLogger("hpcrg")


@contextmanager
def computing(workers: int, processes: bool = True, scheduler: str | None = None) -> Iterator[Compute]:
    """A `compute(graph, keys)` with live progress, on `workers` local workers or on what `scheduler` names:
    the address of a running scheduler, or slurm:FILE.toml. Raises InputError when that does not exist."""
    with make_client(workers, processes, scheduler) as client:
        yield partial(compute_on, client)


@contextmanager
def make_client(
    workers: int, processes: bool = True, scheduler: str | None = None, memory: str = "auto"
) -> Iterator[Any]:
    """A `distributed.Client`, closed with its cluster at the end; its dashboard link is printed. `memory` is
    the limit of each local worker process; "auto" shares the machine's memory by cores."""
    import dask
    import distributed

    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every worker's life otherwise
    connect: Any = distributed.Client
    with dask.config.set(CONFIG), ExitStack() as stack:
        if scheduler is None:
            cluster = stack.enter_context(_local(workers, processes, memory))
        elif scheduler.startswith(SLURM):
            cluster = stack.enter_context(_slurm(Path(scheduler.removeprefix(SLURM)), workers))
        elif scheduler.startswith(RUNNER):
            cluster = stack.enter_context(_runner(Path(scheduler.removeprefix(RUNNER))))
        else:
            cluster = scheduler
        try:
            client = stack.enter_context(connect(cluster))
        except (OSError, ValueError) as error:
            raise InputError(expected("scheduler", "the address of a running Dask scheduler", scheduler)) from error
        logger.info("dask dashboard: %s", client.dashboard_link)
        yield client


def compute_on(client: Any, graph: Graph, keys: list[Key]) -> list[Any]:
    """Run a graph on a client; progress counts finished units. The first failing task ends it."""
    with reporting("dask") as report:
        futures = client.get(graph, keys, sync=False)
        counter = _Counter(len(keys), report)
        for future in futures:
            future.add_done_callback(counter)
        return list(client.gather(futures))


class _Counter:
    """Counts finished units and reports them."""

    def __init__(self, total: int, report: Report) -> None:
        self.total, self.done, self.report = total, 0, report

    def __call__(self, future: Any) -> None:
        self.done += 1
        self.report(self.done / self.total, f"{self.done} of {self.total} units")


def _local(workers: int, processes: bool, memory: str) -> Any:
    import distributed

    start: Any = distributed.LocalCluster
    cores = len(os.sched_getaffinity(0))
    if workers > cores:
        logger.warning("%d workers on %d cores: expect no gain from more workers than cores", workers, cores)
    return start(
        n_workers=workers if processes else 1,
        threads_per_worker=1 if processes else workers,
        processes=processes,
        protocol="tcp://",
        memory_limit=memory if processes else 0,
        host=LOOPBACK,
        dashboard_address=f"{LOOPBACK}:0",
    )


@contextmanager
def _slurm(path: Path, workers: int) -> Iterator[Any]:
    from dask_jobqueue.slurm import SLURMCluster

    site = load_site(path)
    try:
        cluster = SLURMCluster(**slurm_arguments(site))
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: dask: expected arguments of SLURMCluster, found {error}") from error
    jobs = site.dask.jobs if site.dask else workers
    with cluster:
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # unlike scale, this replaces a job that was lost
        yield cluster


def slurm_arguments(site: Site) -> dict[str, Any]:
    """The arguments of SLURMCluster: the site's own, one thread a core, lost jobs put back in the queue."""
    given: dict[str, Any] = dict(site.dask.model_extra or {}) if site.dask else {}
    exports = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
    given["job_script_prologue"] = [*site.modules, *exports, *given.get("job_script_prologue", [])]
    given["job_extra_directives"] = ["--requeue", *given.get("job_extra_directives", [])]
    named = {"queue": site.partitions.cpu, "account": site.account, "interface": site.interface}
    return {**{key: value for key, value in named.items() if value}, "cores": 1, "memory": "2GB", **given}


@contextmanager
def _runner(path: Path) -> Iterator[Any]:
    """The tasks of one SLURM step as scheduler, client and workers; only the client comes back from here."""
    from dask_jobqueue.slurm import SLURMRunner

    start: Any = SLURMRunner
    with start(scheduler_file=str(path), worker_options={"nthreads": 1}) as runner:
        yield runner
