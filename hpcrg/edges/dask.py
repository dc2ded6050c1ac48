"""Where a Dask graph runs: worker processes or threads of this machine, SLURM jobs, the tasks of one SLURM job, or a
scheduler that is there.

Everything local listens on the loopback interface only, as dashboards always do. Workers never oversubscribe the
machine: one thread each, with OMP, BLAS and numba threads set to 1. No result depends on any of it (analysis/graph.py).

    none of the others       workers of this machine
    slurm:SITE.toml          jobs of their own, by the table `dask` of a site file (hpcrg/site.py), on its `interface`
    runner:FILE              under srun -n N: task 0 is the scheduler, 1 runs the verb, the others work; FILE is where
                             they find each other (dask_step.py)
    tcp://HOST:PORT          a scheduler that is there; tls:// takes keys and certificates from Dask's configuration

Between nodes connections are encrypted unless told otherwise, and on the loopback interface where asked for
(dask_tls.py).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hpcrg.analysis.graph import Compute, Graph, Key
from hpcrg.edges.dask_step import DASHBOARD, step
from hpcrg.edges.dask_tls import AUTHORITY, encrypted, exports
from hpcrg.errors import InputError, expected
from hpcrg.progress import Report, reporting
from hpcrg.site import DaskJobs, Site, load_site

LOOPBACK = "127.0.0.1"
SLURM, RUNNER = "slurm:", "runner:"
REPLACED = 15.0
"""Seconds that a worker of this machine which died is given to be replaced, before its cluster is closed."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_LOGGING__DISTRIBUTED": "critical",  # a failed task is raised here; a closing scheduler is no failure
}
CONFIG = {
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,
    "distributed.comm.timeouts.connect": "30s",
    "distributed.worker.memory.pause": False,  # one that is paused for what it will not give back waits for ever
    "distributed.worker.memory.terminate": 0.95,
}
logger = logging.getLogger("hpcrg")


@contextmanager
def computing(
    workers: int, processes: bool = True, scheduler: str | None = None, tls: bool | None = None
) -> Iterator[Compute]:
    """A `compute(graph, keys)` with live progress, on `workers` local workers or on what `scheduler` names:
    the address of a running scheduler, or slurm:FILE.toml. Raises InputError when that does not exist."""
    with make_client(workers, processes, scheduler, tls=tls) as client:
        yield partial(compute_on, client)


@contextmanager
def make_client(
    workers: int, processes: bool = True, scheduler: str | None = None, memory: str = "auto", tls: bool | None = None
) -> Iterator[Any]:
    """A `distributed.Client`, closed with its cluster at the end; its dashboard link is printed. `memory` is
    the limit of each local worker process; "auto" shares the machine's memory by cores. `tls` says whether
    connections are encrypted; None leaves it to the kind of cluster."""
    import dask
    import distributed

    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every worker's life otherwise
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it cannot do is raised here
    connect: Any = distributed.Client
    with dask.config.set(CONFIG), ExitStack() as stack:
        if scheduler is None:
            cluster = stack.enter_context(_local(workers, processes, memory, bool(tls)))
        elif scheduler.startswith(SLURM):
            cluster = stack.enter_context(_slurm(Path(scheduler.removeprefix(SLURM)), tls))
        elif scheduler.startswith(RUNNER):
            cluster = stack.enter_context(step(Path(scheduler.removeprefix(RUNNER)), tls is not False))
        else:
            cluster = _known(scheduler, tls)
        try:
            client = stack.enter_context(connect(cluster))
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(expected("scheduler", "the address of a running Dask scheduler", scheduler)) from error
        logger.info("dask dashboard: %s", client.dashboard_link)
        yield client


def compute_on(client: Any, graph: Graph, keys: list[Key]) -> list[Any]:
    """Run a graph on a client; progress counts finished units. The first failing task ends it. Raises InputError when
    the scheduler is lost, or workers die of one task again and again."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    with reporting("dask") as report:
        futures = client.get(graph, keys, sync=False)
        counter = _Counter(len(keys), report)
        for future in futures:
            future.add_done_callback(counter)
        try:
            return list(client.gather(futures))
        except FutureCancelledError as error:
            raise InputError(expected("scheduler", "one that lives as long as the verb", _lost(client))) from error
        except KilledWorker as error:
            wanted = "workers that live through a task"
            raise InputError(f"dask: expected {wanted}, found that it killed several; give them more memory") from error


def _lost(client: Any) -> str:
    address = getattr(client.scheduler, "address", "one")
    return f"{address} lost"


class _Counter:
    """Counts finished units and reports them."""

    def __init__(self, total: int, report: Report) -> None:
        self.total, self.done, self.report = total, 0, report

    def __call__(self, future: Any) -> None:
        self.done += 1
        self.report(self.done / self.total, f"{self.done} of {self.total} units")


def _known(address: str, tls: bool | None) -> str:
    """The address of a scheduler that is there. Raises InputError where it asks for another protocol than is wanted, or
    for certificates that nobody has named."""
    import dask

    encrypted_address = address.startswith("tls://")
    if tls is not None and tls != encrypted_address:
        raise InputError(expected("scheduler", f"an address {'tls' if tls else 'tcp'}://HOST:PORT", address))
    if encrypted_address and not dask.config.get(AUTHORITY):
        wanted = "certificates in Dask's configuration (distributed.comm.tls) for"
        raise InputError(f"scheduler: expected {wanted} {address}, found none")
    return address


@contextmanager
def _local(workers: int, processes: bool, memory: str, tls: bool) -> Iterator[Any]:
    import distributed

    start: Any = distributed.LocalCluster
    cores = len(os.sched_getaffinity(0))
    if workers > cores:
        logger.warning("%d workers on %d cores: expect no gain from more workers than cores", workers, cores)
    with (
        encrypted(tls) as protocol,
        start(
            n_workers=workers if processes else 1,
            threads_per_worker=1 if processes else workers,
            processes=processes,
            protocol=protocol,
            memory_limit=memory if processes else 0,
            host=LOOPBACK,
            dashboard_address=DASHBOARD,
        ) as cluster,
    ):
        try:
            yield cluster
        finally:
            if processes:
                _wait_until_replaced(cluster)


def _wait_until_replaced(cluster: Any) -> None:
    """Until every nanny's worker is one that the scheduler knows: distributed cannot close a nanny that is replacing a
    dead worker, and raises that, in place of an error that is under way too."""
    end = time.monotonic() + REPLACED
    while time.monotonic() < end:
        if all(nanny.worker_address in cluster.scheduler.workers for nanny in cluster.workers.values()):
            return
        time.sleep(0.05)


@contextmanager
def _slurm(path: Path, tls: bool | None) -> Iterator[Any]:
    from dask_jobqueue.slurm import SLURMCluster

    site = load_site(path)
    if site.dask is None:
        raise InputError(expected(f"{path}: dask", "a table that says how workers run as jobs", None))
    wanted = tls if tls is not None and tls != bool(site.dask.tls) else site.dask.tls
    jobs = site.dask.jobs
    with ExitStack() as stack:
        protocol = stack.enter_context(encrypted(wanted, Path.cwd()))
        try:
            cluster = stack.enter_context(SLURMCluster(protocol=protocol, **slurm_arguments(site, site.dask)))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: dask: expected arguments of SLURMCluster, found {error}") from error
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # unlike scale, this replaces a job that was lost
        yield cluster


def slurm_arguments(site: Site, jobs: DaskJobs) -> dict[str, Any]:
    """The arguments of SLURMCluster: the site's own, one thread a core, lost jobs put back in the queue."""
    given: dict[str, Any] = dict(jobs.model_extra or {})
    lines = [f"export {name}={value}" for name, value in ONE_THREAD.items()] + exports()
    given["job_script_prologue"] = [*site.modules, *lines, *given.get("job_script_prologue", [])]
    given["job_extra_directives"] = ["--requeue", *given.get("job_extra_directives", [])]
    given["scheduler_options"] = {"dashboard_address": DASHBOARD, **given.get("scheduler_options", {})}
    given["worker_extra_args"] = ["--dashboard-address", DASHBOARD, *given.get("worker_extra_args", [])]
    named = {"queue": site.partitions.cpu, "account": site.account, "interface": site.interface}
    return {**{key: value for key, value in named.items() if value}, "cores": 1, "memory": "2GB", **given}
