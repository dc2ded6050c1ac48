"""A job as a process or a set of MPI ranks: the world, the lock on the state, signals, progress, provenance."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpcrg.comm import Alone, Comm
from hpcrg.edges.ownership import owned
from hpcrg.edges.signals import stop_requests
from hpcrg.errors import EXIT_STATUS, InputError, Interrupted
from hpcrg.producing import Stop
from hpcrg.progress import Report, reporting
from hpcrg.provenance import JOURNAL, Journal, noted, used, write_sidecar

LAUNCHER_VARIABLES = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")


def world(expected_ranks: int | None) -> Comm:
    """The ranks of this run; without a launcher, one, and MPI is not even loaded."""
    if expected_ranks in (None, 1) and not any(v in os.environ for v in LAUNCHER_VARIABLES):
        return Alone()
    from hpcrg.edges import mpi

    return mpi.world(expected_ranks)


@dataclass(frozen=True)
class Job:
    """The ranks of a job, whether it is asked to stop, whom to tell how far it is, and what else the sidecar
    should say."""

    comm: Comm
    stop: Stop
    report: Report
    notes: dict[str, object]


@contextmanager
def job(
    title: str, what: str, identifier: str, output: Path, state: Path, ranks: int | None, time_limit: float | None
) -> Iterator[Job]:  # fmt: skip
    """Run on all ranks with the state directory of `identifier` locked; afterwards rank 0 notes who made `output`.
    Raises InputError when another run holds the state."""
    comm = world(ranks)
    journal = Journal(state / identifier / JOURNAL) if comm.rank == 0 else None
    notes = dict[str, object]()
    with (
        _owned(state / identifier, what, comm),
        stop_requests(time_limit) as stop,
        reporting(title, quiet=comm.rank != 0) as report,
        _together(comm),
        noted(journal, identifier, comm.size, lambda: comm.gather(used()), notes),
    ):
        yield Job(comm, stop, report, notes)
    if journal:
        write_sidecar(output, journal.runs())


@contextmanager
def _together(comm: Comm) -> Iterator[None]:
    """What one rank cannot get over ends all ranks, which would wait for it for ever."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        if comm.size == 1:
            raise
        known = [status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)]
        print(f"error: {error}" if known else traceback.format_exc(), file=sys.stderr, flush=True)
        comm.abort(known[0] if known else 1)


@contextmanager
def _owned(directory: Path, what: str, comm: Comm) -> Iterator[None]:
    """Hold one state on rank 0; every rank learns when that cannot be."""
    with ExitStack() as until_the_end:
        problem = None
        if comm.rank == 0:
            try:
                until_the_end.enter_context(owned(directory, what))
            except InputError as error:
                problem = str(error)
        problem = comm.bcast(problem)
        if problem:
            raise InputError(problem)
        yield
