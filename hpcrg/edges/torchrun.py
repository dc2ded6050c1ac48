"""Training as a set of processes under torchrun: the process group, the device, the lock, signals, exit
status.

The processes of one node meet in files that only their owner can read, and talk over the loopback interface: nothing
listens beyond it. Those of several nodes meet at a port of the first one, which torch opens on all its interfaces and
does not protect."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hpcrg.edges.ownership import owned
from hpcrg.edges.signals import stop_requests
from hpcrg.errors import EXIT_STATUS, InputError, Interrupted, Lost, expected
from hpcrg.progress import reporting
from hpcrg.provenance import JOURNAL, Journal, Used, noted, used, write_sidecar

if TYPE_CHECKING:
    from hpcrg.campaign import TrainSpec
    from hpcrg.learn.place import Place

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
ALONE = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
MEETING = "HPCRG_MEETING"
"""Names the file in which the processes of one node meet."""
PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
LOCK_PATIENCE = 10.0
SETTLE = 1.0
"""Seconds between an error and the end of a process group."""
FIRST_PORT, PORTS = 20000, 10000
PATIENCE = timedelta(minutes=10)
INTERVAL = 20.0


@contextmanager
def process_group() -> Iterator[Place]:
    """This process among those that torchrun started, or alone: nccl and a GPU of its own where there is one
    for every process of the host, gloo and one CPU thread elsewhere."""
    _end_with_launcher()
    import torch
    import torch.distributed as dist

    from hpcrg.learn.place import Place

    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local, here = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    gpus = torch.cuda.is_available() and torch.cuda.device_count() >= here
    device = torch.device("cuda", local) if gpus else torch.device("cpu")
    if gpus:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False  # float32 is what it says; matrices are by default
    else:
        torch.set_num_threads(1)
    if here == world:
        _stay_on_loopback()
    torch.use_deterministic_algorithms(True)
    backend = "nccl" if gpus else "gloo"
    dist.init_process_group(backend, store=_store(world), rank=rank, world_size=world, timeout=PATIENCE)
    try:
        yield Place(rank, world, device)
    except BaseException as error:
        # gloo's thread takes Python's lock to let go of the tensors of a failed step; the group, when it goes, waits
        # for that thread with the lock held. Without this pause a process could stay for ever (seen under load).
        time.sleep(SETTLE)
        # What the frames of an error hold would live until Python ends: gloo's threads must end before, or may hang it.
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        dist.destroy_process_group()


def sum_of_ranks() -> int:
    """The sum of rank plus one over all processes of this run: whether they meet."""
    import torch
    import torch.distributed as dist

    with process_group() as place:
        value = torch.tensor([place.rank + 1.0], device=place.device)
        dist.all_reduce(value)
        return int(value.item())


def sees_gpu() -> bool:
    """Whether torch sees a GPU."""
    import torch

    return torch.cuda.is_available()


def run_training(
    banks: Sequence[Path], name: str, spec: TrainSpec, seed: int, output: Path, state: Path,
    time_limit: float | None = None, interval: float = INTERVAL, networks: Path | None = None,
) -> None:  # fmt: skip
    """Train on all processes of this run, or test what another campaign left in the directory `networks`. What the user
    can mend is raised on rank 0 and ends the other ranks without a word, with the same exit status."""
    import torch.distributed as dist

    from hpcrg.learn import taught
    from hpcrg.learn.limits import Limits
    from hpcrg.learn.train import run

    with process_group() as place, stop_requests(time_limit) as stop:
        try:
            first = place.rank == 0
            journal = Journal(state / JOURNAL) if first else None
            with (
                _owned(state, place),
                reporting(f"train {name}", quiet=not first) as report,
                noted(journal, f"train {name}", place.world, _processes_here),
            ):
                if networks is None:
                    run(banks, name, spec, seed, output, state, place, Limits(interval, stop), report)
                else:
                    taught.run(banks, name, spec, networks, output, place, stop, report)
            if journal:
                write_sidecar(output, journal.runs())
        except tuple(EXIT_STATUS) as error:
            if place.rank == 0:
                raise
            sys.exit(next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind)))
        except RuntimeError as error:
            if isinstance(error, dist.DistError) or "gloo" in str(error):
                raise Lost(_lost(name, place, error)) from None
            raise


def _lost(name: str, place: Place, error: RuntimeError) -> str:
    where = f"train {name}: process {place.rank} of {place.world}"
    told = str(error).strip().splitlines()[0]
    wanted = f"an answer of the others within {PATIENCE.total_seconds():.0f} s"
    return f"{where}: expected {wanted}, found {told}; the state is kept, and the same command goes on from there"


def _processes_here() -> list[Used]:
    """What the training processes of this host took, each taken for as large as this one."""
    return [used()] * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def launch(arguments: Sequence[str], processes: int, module: str = "hpcrg", nodes: int = 1) -> int:
    """torchrun with so many processes of `python -m MODULE ARGUMENTS` here, which with `nodes` above 1 meet those of
    the other nodes; the exit status of the first that failed, which torchrun itself would hide, or 75 when it was told
    to stop."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args
    from torch.distributed.run import run as torchrun

    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    with _meeting(nodes) as meeting:
        options = [*meeting, f"--nproc-per-node={processes}", "--module", module, *arguments]
        try:
            torchrun(parse_args(options))  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            return max(1, error.get_first_failure()[1].exitcode)
        except SignalException:
            return EXIT_STATUS[Interrupted]
        return 0


@contextmanager
def _meeting(nodes: int) -> Iterator[list[str]]:
    """How torchrun's processes find each other: on one node by files, or as `_rendezvous` says."""
    if nodes > 1:
        os.environ.pop(MEETING, None)
        yield _rendezvous(nodes)
        return
    _stay_on_loopback()
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # or torchrun opens a port on all interfaces
    with TemporaryDirectory(prefix="hpcrg-train-", ignore_cleanup_errors=True) as own:
        os.environ[MEETING] = f"{own}/processes"
        yield ["--nnodes=1", "--rdzv-backend=c10d", "--rdzv-conf=store_type=file", f"--rdzv-endpoint={own}/torchrun",
               f"--rdzv-id={os.getpid()}", "--local-addr=127.0.0.1"]  # fmt: skip


def _stay_on_loopback() -> None:
    for key, value in ALONE.items():
        os.environ.setdefault(key, value)


def _store(world: int) -> Any:
    """Where processes tell each other their addresses: the file of `_meeting`, the port that a torchrun started by the
    user names (None, torch then looks for it), or for one process nothing."""
    import torch.distributed as dist

    if MEETING in os.environ:
        return dist.FileStore(os.environ[MEETING], world)  # type: ignore[attr-defined]
    return None if "MASTER_ADDR" in os.environ else dist.HashStore()  # type: ignore[attr-defined]


def _rendezvous(nodes: int) -> list[str]:
    """Where the nodes of a SLURM step meet: at the node that started it, on a port that the job's number gives. Raises
    InputError outside such a step."""
    host, step = os.environ.get("SLURM_LAUNCH_NODE_IPADDR"), os.environ.get("SLURM_STEP_NUM_NODES")
    if host is None or step != str(nodes):
        wanted = f"{nodes} nodes of one SLURM step (srun --nodes={nodes} --ntasks-per-node=1)"
        raise InputError(expected("train --nodes", wanted, f"{step or 'no'} nodes"))
    job, number = os.environ["SLURM_JOB_ID"], os.environ.get("SLURM_STEP_ID", "0")
    port = FIRST_PORT + int(job) % PORTS
    return [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-id={job}.{number}", f"--rdzv-endpoint={host}:{port}"]


def _end_with_launcher() -> None:
    """Ask Linux for a SIGTERM when torchrun is killed: its processes would otherwise go on unseen, and hold
    the lock against the next run."""
    if "TORCHELASTIC_RUN_ID" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


@contextmanager
def _owned(directory: Path, place: Place) -> Iterator[None]:
    """Hold the lock of the state on rank 0; every process learns when another run holds it."""
    with ExitStack() as until_the_end:
        place.from_first(lambda: until_the_end.enter_context(owned(directory, "training", LOCK_PATIENCE)))
        yield
