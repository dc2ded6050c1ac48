"""MPI ranks as a Comm (mpi4py; MPI 3.1)."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hpcrg.comm import Comm, share
from hpcrg.errors import InputError


def _short_addresses() -> None:
    """Have the mpich wheel talk over libfabric where SLURM's pmi2 starts ranks. Over UCX every node tells 4 kB of its
    heap, and the lines that what happens to lie there makes longer than 1024 characters are cut by SLURM: MPI_Init then
    fails or waits for ever. To be called before MPI is loaded."""
    if "SLURM_STEP_ID" in os.environ and "PMI_FD" in os.environ and any(metadata.distributions(name="mpich")):
        os.environ.setdefault("MPIR_CVAR_CH4_NETMOD", "ofi")


_short_addresses()
from mpi4py import MPI  # noqa: E402

KINDS = {
    "i1": MPI.INT8_T, "u1": MPI.UINT8_T, "i8": MPI.INT64_T, "u8": MPI.UINT64_T, "f4": MPI.FLOAT, "f8": MPI.DOUBLE,
}  # fmt: skip


MOST = 2**31 - 1
"""The largest count that MPI 3.1 takes."""


class Ranks:
    """A group of MPI ranks."""

    def __init__(self, comm: MPI.Intracomm) -> None:
        self._comm = comm
        self.rank: int = comm.Get_rank()
        self.size: int = comm.Get_size()

    def split(self, colour: int) -> Comm:
        """The ranks of one colour, in their old order."""
        return Ranks(cast(MPI.Intracomm, self._comm.Split(colour, self.rank)))

    def allgather(self, values: NDArray[Any], total: int) -> NDArray[Any]:
        """Shares of `total` rows joined along the first axis, in rank order."""
        local = np.ascontiguousarray(values)
        row = int(np.prod(local.shape[1:], dtype=np.int64))
        rows = [len(share(total, self.size, rank)) for rank in range(self.size)]
        out = np.empty((total, *local.shape[1:]), dtype=local.dtype)
        kind = KINDS[local.dtype.str[1:]]
        if total * row <= MOST:
            counts = [n * row for n in rows]
            self._comm.Allgatherv([local, local.size, kind], [out, counts, kind])
        else:
            whole = kind.Create_contiguous(row).Commit()
            self._comm.Allgatherv([local, len(local), whole], [out, rows, whole])
            whole.Free()
        return out

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's value at rank 0."""
        return self._comm.gather(value, root=0)

    def bcast(self, value: Any) -> Any:
        """Rank 0's value everywhere."""
        return self._comm.bcast(value, root=0)

    def abort(self, status: int) -> None:
        """End the whole world."""
        MPI.COMM_WORLD.Abort(status)


def world(expected_ranks: int | None) -> Ranks:
    """All ranks of this run. Raises InputError when there are not as many as the launcher was asked for: a launcher
    that does not fit the MPI library starts N separate worlds of one rank without a word."""
    ranks = Ranks(MPI.COMM_WORLD)
    if expected_ranks is not None and ranks.size != expected_ranks:
        raise InputError(f"MPI: expected a world of {expected_ranks} ranks, found {ranks.size}; "
                         "is the launcher (mpiexec, srun) the one of this MPI library?")  # fmt: skip
    return ranks
