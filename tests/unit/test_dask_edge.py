"""Making Dask clients: refusals, the SLURM job script, loopback, and a graph on threads."""

import sys

import pytest

from hpcrg.edges.dask import computing, make_client, slurm_arguments
from hpcrg.errors import InputError
from hpcrg.site import load_site

SITE = """
account = "proj"
interface = "lo"
modules = ["module load site"]
[partitions]
cpu = "cpu"
[dask]
jobs = 3
cores = 2
processes = 2
memory = "2GB"
walltime = "00:10:00"
"""


def test_threads_on_loopback_run_a_graph():
    with make_client(2, processes=False) as client:
        assert "127.0.0.1" in client.scheduler.address
        assert "127.0.0.1" in client.dashboard_link
    with computing(2, processes=False) as compute:
        first, second = ("a", 0, 0), ("a", 1, 0)
        assert compute({first: (sum, [1, 2]), second: (sum, [3, 4])}, [second, first]) == [7, 3]


def test_a_worker_near_its_limit_goes_on():
    """Dask would pause it, and wait for ever for memory that no task holds."""
    with make_client(1, processes=False) as client:
        found = client.run(lambda dask_worker: dask_worker.memory_manager.memory_pause_fraction)
        assert set(found.values()) == {False}


def test_slurm_job_script(tmp_path):
    pytest.importorskip("dask_jobqueue")
    from dask_jobqueue.slurm import SLURMJob

    path = tmp_path / "site.toml"
    path.write_text(SITE)
    site = load_site(path)
    arguments = slurm_arguments(site, site.dask)
    assert arguments.pop("scheduler_options") == {"dashboard_address": "127.0.0.1:0"}
    script = SLURMJob("tcp://127.0.0.1:1", name="w", python=sys.executable, **arguments).job_script()
    options = ("#SBATCH -p cpu", "#SBATCH -A proj", "#SBATCH --requeue", "--nthreads 1", "--nworkers 2")
    never = "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False"
    for line in (*options, "module load site", "export OMP_NUM_THREADS=1", never, "--dashboard-address 127.0.0.1:0"):
        assert line in script


def test_an_address_without_a_scheduler_is_refused(monkeypatch):
    from hpcrg.edges import dask as edge

    monkeypatch.setattr(edge, "CONFIG", edge.CONFIG | {"distributed.comm.timeouts.connect": "300ms"})
    nobody = computing(1, True, "tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="running Dask scheduler"), nobody:
        pass
