"""Ranks find each other under srun whatever lies in their memory."""

import sys

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.mpi]
FULL_HEAP = """
import ctypes, os
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def block(size):
    where = libc.malloc(size)
    ctypes.memmove(where, os.urandom(size), size)
    return where
for where in [block(16 + 37 * k % 1200) for k in range(40000)][::5]:
    libc.free(where)
{load}
print("a world of", MPI.COMM_WORLD.size, flush=True)
"""
"""Every address that MPI takes from the heap lies before what no run-length code shortens."""


def started(slurm, tmp_path, load):
    """What two ranks on two nodes print."""
    script = tmp_path / "ranks.py"
    script.write_text(FULL_HEAP.format(load=load))
    at_most = ["timeout", "--signal=KILL", "15"]
    return slurm.call(
        "srun", "--mpi=pmi2", "-K1", "--nodes=2", "--ntasks=2", *at_most, sys.executable, str(script), check=False
    )  # fmt: skip


LISTENING = """
import psutil
from hpcrg.edges.mpi import world
world(2)
print(*(c.laddr.ip for c in psutil.Process().net_connections() if c.status == "LISTEN"), "end", flush=True)
"""


def test_ranks_listen_on_the_interface_that_is_named(slurm, tmp_path, monkeypatch):
    """With the variables that the workflow sets for a site's `interface`."""
    script = tmp_path / "ranks.py"
    script.write_text(LISTENING)
    for variable in ("FI_TCP_IFACE", "FI_SOCKETS_IFACE"):
        monkeypatch.setenv(variable, "lo")
    told = slurm.call("srun", "--mpi=pmi2", "-K1", "--nodes=2", "--ntasks=2", sys.executable, str(script))
    addresses = [line.split()[:-1] for line in told.splitlines() if line.endswith("end")]
    assert len(addresses) == 2
    assert {ip for own in addresses for ip in own} == {"127.0.0.1"}


def test_two_nodes_with_a_full_heap(slurm, tmp_path):
    assert started(slurm, tmp_path, "from hpcrg.edges.mpi import MPI").count("a world of 2") == 2


def test_its_twin_without_short_addresses(slurm, tmp_path):
    """UCX of the mpich wheel sends 4 kB of heap in lines that SLURM's pmi2 cuts."""
    twin = "import os; os.environ['MPIR_CVAR_CH4_NETMOD'] = 'ucx'; from mpi4py import MPI"
    assert "a world of 2" not in started(slurm, tmp_path, twin)
